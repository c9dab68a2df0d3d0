"""The REST API's doors: keys, scopes, pages, filters, one error shape."""

from __future__ import annotations

import pytest

from depot.access.keys import make_key


@pytest.fixture
def api(client, depot):
    """Return a function that gives a caller with a key of `depot`."""

    def caller(*scopes, of=depot):
        _, raw = make_key(of, "test", scopes or ["read"])
        client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {raw}"
        return client

    return caller


READS = ["depots", "vehicles", "blocks", "chargers", "sessions", "alerts", "meters", "bills", "savings", "readiness"]


@pytest.mark.parametrize("address", READS)
def test_reads_answer(api, address):
    answer = api().get(f"/api/v1/{address}")
    assert answer.status_code == 200, answer.content
