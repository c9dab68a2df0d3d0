"""The installation's own authority: certificates asked for, signed, used, renewed and revoked, over real TLS."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from django.core.management import CommandError, call_command
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from charging.authority import Authority, AuthorityError, fingerprint_of
from charging.models import Charger, ChargerCertificate, StationNotice
from charging.ocpp import gateway
from charging.ocpp.gateway import tls_context
from charging.services import certificates
from depot import clock
from depot.alerts import open_alerts
from depot.models import AuditEvent
from tests.charging.ocpp.conftest import BOOT_16, BOOT_201, PASSWORD, Running, Talk, basic
from tests.factories import make_charger, make_person


def request_of(name: str, key: Any = None) -> tuple[str, Any]:
    """Return a signing request of a name, and its key."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    asked = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return asked.public_bytes(serialization.Encoding.PEM).decode(), key


class Shop:
    """A gateway with its own authority, and what its chargers keep."""

    def __init__(self, running: Running, folder: Path) -> None:
        self.running, self.folder = running, folder
        call_command("ocpp_authority", "--create", stdout=StringIO())
        call_command("ocpp_authority", "--server", "127.0.0.1", "--out", str(folder), stdout=StringIO())
        root = str(certificates.authority().root_file)
        tls = tls_context(str(folder / "gateway.pem"), str(folder / "gateway.key"), root, asked=False)
        running.stop()
        running.start(tls=tls, own_authority=True)

    def trust(self, chain: str = "", key: Any = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(certificates.authority().root_file))
        if chain:
            pem = (
                key
                if isinstance(key, bytes)
                else key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
            (self.folder / "own.pem").write_text(chain)
            (self.folder / "own.key").write_bytes(pem)
            context.load_cert_chain(self.folder / "own.pem", self.folder / "own.key")
        return context

    def dial(
        self, charger: Charger, chain: str = "", key: Any = None, version: str = "2.0.1", **headers: str
    ) -> ClientConnection:
        assert self.running.gateway is not None
        return connect(
            f"wss://127.0.0.1:{self.running.gateway.port}/ocpp/{charger.identity}",
            subprotocols=[f"ocpp{version}"],  # type: ignore[list-item]
            ssl=self.trust(chain, key),
            additional_headers=headers,
            proxy=None,
        )

    def by_password(self, charger: Charger, version: str = "2.0.1") -> ClientConnection:
        return self.dial(charger, version=version, Authorization=basic(charger.identity, PASSWORD))

    def refused(self, dial: Callable[[], ClientConnection]) -> bool:
        try:
            dial().close()
        except (WebSocketException, ssl.SSLError, ConnectionError, EOFError):
            return True
        return False


@pytest.fixture
def shop(running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(gateway, "LIFE_SIGN_S", 0.2)
    return Shop(running, tmp_path)


def asked_and_signed(shop: Shop, charger: Charger, talk: Talk, **more: Any) -> tuple[str, Any]:
    """Let a charger ask for a certificate and take it; return the chain and its key."""
    request, key = request_of(charger.identity)
    before = len(talk.told)
    assert talk.ask("SignCertificate", {"csr": request, **more})[2] == {"status": "Accepted"}
    talk.listen(lambda: "CertificateSigned" in [action for action, _ in talk.told[before:]])
    told = next(payload for action, payload in talk.told[before:] if action == "CertificateSigned")
    return told["certificateChain"], key


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_a_charger_asks_for_a_certificate_comes_by_it_and_never_again_by_less(
    shop: Shop, charger: Charger, version: str
) -> None:
    with shop.by_password(charger, version) as socket:
        talk = Talk(socket)
        talk.ask("BootNotification", BOOT_16 if version == "1.6" else BOOT_201)
        chain, key = asked_and_signed(shop, charger, talk)
    assert chain.count("BEGIN CERTIFICATE") == 2
    with shop.by_password(charger, version):
        pass  # until it has used the certificate
    with shop.dial(charger, chain, key, version) as socket:
        assert socket.subprotocol == f"ocpp{version}"
    row = ChargerCertificate.objects.get()
    assert row.used_at is not None
    assert timedelta(days=720) < row.not_after - row.issued_at < timedelta(days=740)
    assert shop.refused(lambda: shop.by_password(charger, version))


def test_a_renewed_certificate_ends_the_old_one_when_it_is_used(shop: Shop, charger: Charger) -> None:
    with shop.by_password(charger) as socket:
        talk = Talk(socket)
        talk.ask("BootNotification", BOOT_201)
        first = asked_and_signed(shop, charger, talk, certificateType="ChargingStationCertificate")
    with shop.dial(charger, *first) as socket:
        talk = Talk(socket)
        talk.ask("BootNotification", BOOT_201)
        second = asked_and_signed(shop, charger, talk)
    with shop.dial(charger, *first):
        pass
    with shop.dial(charger, *second):
        pass
    assert shop.refused(lambda: shop.dial(charger, *first))
    assert [row.end_reason for row in ChargerCertificate.objects.order_by("issued_at")] == ["renewed", ""]


def test_a_revoked_certificate_ends_its_link_and_the_password_counts_again(
    shop: Shop, charger: Charger
) -> None:
    call_command("ocpp_authority", "--issue", charger.identity, "--out", str(shop.folder), stdout=StringIO())
    chain = (shop.folder / f"{charger.identity}.pem").read_text()
    key = (shop.folder / f"{charger.identity}.key").read_bytes()
    with shop.dial(charger, chain, key) as socket:
        row = charger.certificates.get()
        assert certificates.revoke(row, make_person(charger.depot, "technician"), "lost")
        assert not certificates.revoke(row, "nobody", "again")
        with pytest.raises(ConnectionClosed):
            socket.recv(10)
        assert socket.close_reason == "its certificate is not valid any more"
    assert shop.refused(lambda: shop.dial(charger, chain, key))
    with shop.by_password(charger):
        pass
    sentences = AuditEvent.objects.filter(verb="charger.certificate").values_list("sentence", flat=True)
    assert any("revoked the certificate" in sentence for sentence in sentences)


def test_a_certificate_opens_the_door_of_its_own_charger_alone(shop: Shop, charger: Charger) -> None:
    other = make_charger(charger.depot)
    signed, key = certificates.authority().issue(charger.identity, clock.wall_now())
    assert shop.refused(lambda: shop.dial(charger, signed.chain, key)), "it was never kept"
    certificates.keep(charger, signed, "test")
    assert shop.refused(lambda: shop.dial(other, signed.chain, key))
    with shop.dial(charger, signed.chain, key):
        pass
    stranger = Authority(shop.folder / "elsewhere")
    stranger.create("Another", clock.wall_now())
    forged, its_key = stranger.issue(charger.identity, clock.wall_now())
    assert shop.refused(lambda: shop.dial(charger, forged.chain, its_key))


@pytest.mark.parametrize(
    ("request_pem", "kind", "words"),
    [
        ("no request", "", "no certificate signing request"),
        (request_of("somebody")[0], "", "does not name the charger"),
        ("weak", "", "key is weak"),
        ("own", "V2GCertificate", "V2GCertificate is not signed here"),
    ],
    ids=["junk", "another's", "weak", "kind"],
)
def test_what_is_not_signed_is_refused_by_name(
    shop: Shop, charger: Charger, request_pem: str, kind: str, words: str
) -> None:
    own = {
        "weak": request_of(charger.identity, rsa.generate_private_key(65537, 1024))[0],  # noqa: S505 - to be refused
        "own": request_of(charger.identity)[0],
    }
    with shop.by_password(charger) as socket:
        talk = Talk(socket)
        talk.ask("BootNotification", BOOT_201)
        more = {"certificateType": kind} if kind else {}
        asked = own.get(request_pem, request_pem)
        assert talk.ask("SignCertificate", {"csr": asked, **more})[2] == {"status": "Rejected"}
    assert not ChargerCertificate.objects.exists()
    notice = StationNotice.objects.get(kind="SignCertificate", level="warning")
    assert words in notice.summary


def test_a_charger_that_asks_again_and_again_is_refused(
    shop: Shop, charger: Charger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "MOST_A_DAY", 2)
    for _ in range(2):
        certificates.sign(charger, request_of(charger.identity)[0])
    with pytest.raises(AuthorityError, match="2 certificates within a day"):
        certificates.sign(charger, request_of(charger.identity)[0])


def test_without_an_authority_nothing_is_signed_and_the_technician_is_told(
    running: Running, charger: Charger
) -> None:
    with pytest.raises(AuthorityError, match="ocpp_authority --create"):
        certificates.sign(charger, request_of(charger.identity)[0])
    with pytest.raises(CommandError, match="ocpp_authority --create"):
        call_command("ocpp_gateway", "--own-authority", "--tls-cert", "none.pem")


def test_the_authoritys_key_is_its_owners_alone_and_made_once(yard: Any) -> None:
    out = StringIO()
    call_command("ocpp_authority", "--create", stdout=out)
    folder = certificates.authority().root_file.parent
    assert stat.S_IMODE((folder / "authority.key").stat().st_mode) == 0o600
    assert "PRIVATE" not in out.getvalue() + certificates.authority().root_pem()
    with pytest.raises(CommandError, match="There is an authority already"):
        call_command("ocpp_authority", "--create", stdout=out)
    with pytest.raises(CommandError, match="no charger with the identity nobody"):
        call_command("ocpp_authority", "--issue", "nobody", stdout=out)


def test_a_certificate_that_ends_soon_is_an_alert(shop: Shop, charger: Charger) -> None:
    signed, _ = certificates.authority().issue(charger.identity, clock.wall_now())
    certificates.keep(charger, signed, "test")
    certificates.warn_of_ends(charger.depot, clock.wall_now())
    assert not open_alerts(charger.depot).exists()
    for days, level in ((10, "warning"), (-1, "critical")):
        certificates.warn_of_ends(charger.depot, signed.not_after - timedelta(days=days))
        alert = open_alerts(charger.depot).get()
        assert (alert.level, alert.key) == (level, f"certificate:{charger.pk}")
    certificates.sign(charger, request_of(charger.identity)[0])
    certificates.warn_of_ends(charger.depot, clock.wall_now())
    assert not open_alerts(charger.depot).exists()


def test_fingerprints_are_those_of_the_certificate_itself(shop: Shop) -> None:
    root = x509.load_pem_x509_certificate(certificates.authority().root_pem().encode())
    der = root.public_bytes(serialization.Encoding.DER)
    assert fingerprint_of(der) == root.fingerprint(hashes.SHA256()).hex()
    assert root.not_valid_after_utc > datetime.now(UTC) + timedelta(days=3600)
