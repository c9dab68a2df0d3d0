"""A server on this machine that answers as ENTSO-E's and Nord Pool's do, for their packages to ask."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from depot.timegrid import local_to_utc

BROKEN = "not HTTP at all"
"""An answer that is no HTTP."""
Answer = bytes | tuple[int, bytes] | Mapping[str, Any] | str | None

WHOLE = {
    "updatedAt": "2026-03-09T11:58:00.1234567Z",
    "market": "DayAhead",
    "blockPriceAggregates": [],
    "areaAverages": [{"areaCode": "FI", "price": 50.0}],
    "areaStates": [{"state": "Final", "areas": ["FI"]}],
    "exchangeRate": 1,
    "version": 3,
}
UNKNOWN_FORM = WHOLE | {
    "deliveryDateCET": "2026-03-05",
    "currency": "EUR",
    "multiAreaEntries": [{"start": 1}],
}


def nordpool_day(asked: Mapping[str, str], price: float, zone: ZoneInfo) -> dict[str, Any]:
    """Return a delivery day of 24 hours at one price in EUR/MWh, as the portal answers it."""
    start = local_to_utc(date.fromisoformat(asked["date"]), 0, zone).astimezone(UTC)
    entries = [
        {
            "deliveryStart": f"{start + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}",
            "deliveryEnd": f"{start + timedelta(hours=hour + 1):%Y-%m-%dT%H:%M:%SZ}",
            "entryPerArea": {asked["deliveryArea"]: price},
        }
        for hour in range(24)
    ]
    return WHOLE | {
        "deliveryDateCET": asked["date"],
        "currency": asked["currency"],
        "multiAreaEntries": entries,
    }


class Market:
    """The server: `asked` holds the questions, `answer` makes an answer; None is "not published yet" (204)."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.answer: Callable[[dict[str, str]], Answer] = lambda _: None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        market = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                question = dict(parse_qsl(urlsplit(self.path).query))
                market.asked.append(question)
                given = market.answer(question)
                if given == BROKEN:
                    self.wfile.write(BROKEN.encode())
                    return
                status, body = given if isinstance(given, tuple) else (204 if given is None else 200, given)
                content = json.dumps(body).encode() if isinstance(body, dict) else body or b""
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if isinstance(body, dict) else "text/xml")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
