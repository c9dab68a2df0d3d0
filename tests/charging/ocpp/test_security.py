"""Security profiles 2 and 3 over real TLS."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import connect

from charging.models import Charger
from charging.ocpp.gateway import tls_context
from tests.charging.ocpp.conftest import PASSWORD, Running, basic

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")


def openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = folder / "ca.pem"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Depot CA", "-days", 2,
                "-keyout", folder / "ca.key", "-out", self.certificate)  # fmt: skip

    def sign(self, name: str) -> tuple[Path, Path]:
        """Return certificate and key of a name."""
        key, request, certificate = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        alternative = self.folder / f"{name}.ext"
        alternative.write_text("subjectAltName=IP:127.0.0.1\n")
        openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request
        )
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.folder / "ca.key",
                "-CAcreateserial", "-days", 2, "-extfile", alternative, "-out", certificate)  # fmt: skip
        return certificate, key


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def log_in(running: Running, charger: Charger, trust: ssl.SSLContext, **headers: str) -> Any:
    assert running.gateway is not None
    return connect(
        f"wss://127.0.0.1:{running.gateway.port}/ocpp/{charger.identity}",
        subprotocols=["ocpp2.0.1"],
        ssl=trust,
        additional_headers=headers,
        proxy=None,
    )


@needs_openssl
def test_profile_2_is_a_password_over_tls(running: Running, charger: Charger, authority: Authority) -> None:
    running.stop()
    tls = tls_context(*map(str, authority.sign("server")))
    assert tls.minimum_version == ssl.TLSVersion.TLSv1_2
    running.start(tls=tls)
    trust = ssl.create_default_context(cafile=str(authority.certificate))
    with log_in(running, charger, trust, Authorization=basic(charger.identity, PASSWORD)) as socket:
        assert socket.subprotocol == "ocpp2.0.1"
    with pytest.raises(InvalidStatus), log_in(running, charger, trust):
        pass


@needs_openssl
def test_profile_3_is_the_chargers_own_certificate(
    running: Running, charger: Charger, authority: Authority
) -> None:
    running.stop()
    server, key = authority.sign("server")
    running.start(tls=tls_context(str(server), str(key), str(authority.certificate)))
    trust = ssl.create_default_context(cafile=str(authority.certificate))
    with pytest.raises((OSError, WebSocketException)), log_in(running, charger, trust) as socket:
        socket.recv(2)
    trust.load_cert_chain(*authority.sign("another-charger"))
    with pytest.raises(InvalidStatus), log_in(running, charger, trust):
        pass
    trust.load_cert_chain(*authority.sign(charger.identity))
    with log_in(running, charger, trust) as socket:
        assert socket.subprotocol == "ocpp2.0.1"


def test_the_command_says_what_is_wrong_with_tls(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="need --tls-cert"):
        call_command("ocpp_gateway", "--tls-key", "key.pem")
    with pytest.raises(CommandError, match="TLS files cannot be used"):
        call_command("ocpp_gateway", "--tls-cert", str(tmp_path / "none.pem"))
