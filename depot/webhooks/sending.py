"""Send one request to an address that a person entered, and reach nothing that they may not.

A name is resolved once, every address it has must be public, and the connection goes to that very address: a name that
points elsewhere a moment later changes nothing. Redirects are not followed.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from depot.words import tr

ANSWER_S, ALL_S = 10.0, 20.0
KEPT_OF_ANSWER = 300
LONGEST_URL = 500


class AddressError(ValueError):
    """An address that is not sent to, in words for who entered it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver answered: its status (0 = nothing came) and the beginning of its words."""

    status: int
    words: str

    @property
    def heard(self) -> bool:
        return 200 <= self.status < 300


def check_url(url: str) -> SplitResult:
    """Return the parts of an address; raises AddressError for one that is never sent to."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressError(tr("This is no address.")) from error
    if len(url) > LONGEST_URL or not url.isprintable() or " " in url:
        raise AddressError(tr("This is no address."))
    if parts.scheme != "https" and not (settings.DEBUG and parts.scheme == "http"):
        raise AddressError(tr("The address must begin with https://."))
    if not parts.hostname or parts.username is not None or parts.password is not None or port == 0:
        raise AddressError(tr("The address needs a host, and no user name in it."))
    try:
        literal = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return parts
    _refuse_private(literal)
    return parts


def _refuse_private(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if settings.WEBHOOKS_TO_PRIVATE:
        return
    inner = address
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _behind_nat64(address) or address
    if not inner.is_global or inner.is_multicast:
        raise AddressError(tr("The address lies in a private network. Webhooks go to public addresses only."))


def _behind_nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    nat64 = ipaddress.ip_network("64:ff9b::/96")
    return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in nat64 else None


def resolve(host: str, port: int) -> str:
    """Return the address to connect to; raises AddressError when any address of the name is not public."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressError(tr("The name {host} cannot be resolved.", host=host)) from error
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    for address in addresses:
        _refuse_private(ipaddress.ip_address(address))
    return addresses[0]


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was resolved and checked before, whatever the name says now."""

    def __init__(self, parts: SplitResult, address: str, port: int) -> None:
        super().__init__(str(parts.hostname), port, timeout=ANSWER_S)
        self._address, self._tls = address, parts.scheme == "https"
        self.is_cut = False

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), ANSWER_S)
        if self._tls:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)
        if self.is_cut:
            raise TimeoutError

    def cut(self) -> None:
        """End it from another thread: a receiver that sends a byte now and then would hold a worker for long."""
        self.is_cut = True
        if self.sock is not None:
            with suppress(OSError):  # ended, or just changing to TLS, which has a limit of its own
                self.sock.shutdown(socket.SHUT_RDWR)  # closing it would not wake who reads


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send a body and return what came back; a receiver that cannot be reached is status 0 with the reason."""
    try:
        parts = check_url(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        connection = _Pinned(parts, resolve(str(parts.hostname), port), port)
    except AddressError as error:
        return Answer(0, str(error))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    watchdog = threading.Timer(ALL_S, connection.cut)
    watchdog.start()
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        words = answer.read(KEPT_OF_ANSWER).decode("utf-8", "replace")
        if connection.is_cut:
            raise TimeoutError
        return Answer(answer.status, "".join(sign if sign.isprintable() else " " for sign in words))
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Answer(0, tr("No answer: {error}.", error=error.__class__.__name__))
    finally:
        watchdog.cancel()
        connection.close()
