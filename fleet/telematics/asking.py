"""Ask a maker's server over HTTP, bounded in time and size; what goes wrong is told without any secret."""

from __future__ import annotations

import http
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from depot.words import tr

TIMEOUT_S = 20
MAX_ANSWER = 32 * 2**20
REFUSED = (401, 403)

Ask = Callable[[str, Mapping[str, str], Mapping[str, Any] | None], Any]


class FeedError(Exception):
    """A feed that gives nothing, in words for who set it up. `refused`: a person has to act."""

    def __init__(self, words: str, refused: bool = False) -> None:
        super().__init__(words)
        self.refused = refused


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token goes to the server it was entered for, and to none that that one names."""

    def redirect_request(self, *_: Any) -> None:
        return None


OPENER = urllib.request.build_opener(_NoRedirects)


def ask(url: str, headers: Mapping[str, str], body: Mapping[str, Any] | None = None) -> Any:
    """Return the JSON that `url` answers; POST where there is a body. Raises FeedError."""
    data = None if body is None else json.dumps(body).encode()
    sent = {"Accept": "application/json", **headers} | ({"Content-Type": "application/json"} if data else {})
    request = urllib.request.Request(url, data, sent)  # noqa: S310 - the model allows makers' https hosts only
    try:
        with OPENER.open(request, timeout=TIMEOUT_S) as answer:
            content = answer.read(MAX_ANSWER + 1)
    except urllib.error.HTTPError as error:
        raise _refusal(error.code) from None
    except (OSError, http.client.HTTPException) as error:
        raise FeedError(tr("Its server does not answer ({error}).", error=error.__class__.__name__)) from None
    if len(content) > MAX_ANSWER:
        raise FeedError(
            tr("Its server answered more than {most_mb} MB at once.", most_mb=MAX_ANSWER // 2**20)
        )
    try:
        return json.loads(content)
    except ValueError:
        raise FeedError(tr("Its server answered something that is no JSON.")) from None


def _refusal(status: int) -> FeedError:
    if status in REFUSED:
        return FeedError(
            tr("Its server refuses the key ({status}). Enter a valid one.", status=status), refused=True
        )
    if status == http.HTTPStatus.TOO_MANY_REQUESTS:
        return FeedError(tr("Its server asks to come less often (429)."))
    return FeedError(tr("Its server answered {status}.", status=status))
