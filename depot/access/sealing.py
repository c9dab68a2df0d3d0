"""Keep a secret that must be used again, like a broker's password, unreadable to who reads only the database.

Encrypt, then authenticate, with keys derived from the installation's (`DEPOT_SECRET_KEY`): the text is combined with
HMAC-SHA256 of a fresh nonce and a counter, and HMAC-SHA256 of nonce and result is the tag.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets

from django.utils.crypto import salted_hmac

SALT = "depot.access.sealing"
SCHEME = "sealed1:"
NONCE, TAG, BLOCK = 16, 32, 32


class SealError(ValueError):
    """What was sealed cannot be opened: the installation has another key now, or it was changed."""


def seal(plain: str, purpose: str) -> str:
    """Return text that only this installation can open again, for the same `purpose`; "" stays ""."""
    if not plain:
        return ""
    nonce = secrets.token_bytes(NONCE)
    hidden = _combined(plain.encode(), nonce, purpose)
    return SCHEME + base64.b64encode(nonce + hidden + _tag(nonce + hidden, purpose)).decode()


def unseal(sealed: str, purpose: str) -> str:
    """Return what was sealed for `purpose`; raises SealError when it was not sealed with the present key."""
    if not sealed:
        return ""
    try:
        raw = base64.b64decode(sealed.removeprefix(SCHEME), validate=True)
    except binascii.Error as error:
        raise SealError("It is not what was sealed.") from error
    nonce, hidden, tag = raw[:NONCE], raw[NONCE:-TAG], raw[-TAG:]
    if not sealed.startswith(SCHEME) or not hmac.compare_digest(tag, _tag(nonce + hidden, purpose)):
        raise SealError("It was sealed with another key.")
    return _combined(hidden, nonce, purpose).decode()


def _combined(text: bytes, nonce: bytes, purpose: str) -> bytes:
    blocks = -(-len(text) // BLOCK)
    stream = b"".join(_hmac("stream", purpose, nonce + number.to_bytes(8, "big")) for number in range(blocks))
    return bytes(one ^ other for one, other in zip(text, stream, strict=False))


def _tag(content: bytes, purpose: str) -> bytes:
    return _hmac("tag", purpose, content)


def _hmac(use: str, purpose: str, content: bytes) -> bytes:
    return salted_hmac(f"{SALT}.{use}.{purpose}", content, algorithm="sha256").digest()
