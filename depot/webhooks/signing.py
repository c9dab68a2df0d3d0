"""Sign what is sent, so that the receiver knows who said it and when. PURE.

The scheme is that of Standard Webhooks (www.standardwebhooks.com): HMAC-SHA256 over "id.timestamp.body", in base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

PREFIX = "whsec_"
VERSION = "v1"


def headers(secret: bytes, delivery: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers of a delivery; `timestamp` is in seconds since 1970."""
    signed = f"{delivery}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"{VERSION},{signature}",
    }


def readable(secret: bytes) -> str:
    """Return a secret as its receiver enters it."""
    return PREFIX + base64.b64encode(secret).decode()
