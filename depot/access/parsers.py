"""Bodies of API requests: JSON and JSON lines, plain or packed with gzip, never more than fits."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

GZIP_WINDOW = 16 + zlib.MAX_WBITS


class JSONBody(BaseParser):
    """`application/json`, with `Content-Encoding: gzip` or without."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the parsed body; a body that is no JSON is a 400 with the place in it."""
        return self.read(_text(parser_context or {}))

    def read(self, text: str) -> Any:
        """Return one JSON document."""
        return _json(text, "")


class JSONLines(JSONBody):
    """`application/x-ndjson`: one item a line; it is read as a list."""

    media_type = "application/x-ndjson"

    def read(self, text: str) -> Any:
        """Return the items of all lines that are not empty."""
        lines = enumerate(text.splitlines(), 1)
        return [_json(line, f"Line {number}: ") for number, line in lines if line.strip()]


def _text(context: Mapping[str, Any]) -> str:
    request = context["request"]
    # Not the stream: whoever looks at the body again (Idempotency-Key does) needs it kept, and Django limits it.
    body = request.body
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "gzip":
        body = _unpacked(body, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    elif encoding != "identity":
        raise UnsupportedMediaType(encoding, f"Content-Encoding {encoding} is not read. Use gzip or none.")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParseError("JSON parse error - the body is not UTF-8.", "parse_error") from error


def _unpacked(body: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj(GZIP_WINDOW)
    try:
        content = unpacker.decompress(body, most + 1)
    except zlib.error as error:
        raise ParseError("The body says it is gzip and is not.", "envelope") from error
    if len(content) > most:
        raise RequestDataTooBig
    if not unpacker.eof:
        raise ParseError("The gzip body is cut off.", "envelope")
    return content


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise ParseError(f"{place}JSON parse error - {error}", "parse_error") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"Out of range float values are not JSON compliant: {name}")
