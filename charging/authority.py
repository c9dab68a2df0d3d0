"""The installation's own certificate authority: it signs what chargers log in by (security profile 3).

Its key lies in a folder of the installation, readable by its owner alone. It goes into no database, log or answer.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from depot.words import tr

KEY_FILE, ROOT_FILE = "authority.key", "authority.pem"
ROOT_LIFE, CHARGER_LIFE, SERVER_LIFE = timedelta(days=3650), timedelta(days=730), timedelta(days=397)
CLOCKS_DIFFER = timedelta(days=1)
"""A certificate begins so long before now: chargers' clocks may be behind."""
LARGEST_REQUEST = 10_000
LEAST_RSA_BITS, LEAST_EC_BITS = 2048, 256


class AuthorityError(ValueError):
    """There is no authority, there is one already, or it does not sign what it was asked to."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate: `chain` is PEM text, the authority last; the fingerprint is SHA-256 in hexadecimal."""

    chain: str
    fingerprint: str
    serial: str
    not_before: datetime
    not_after: datetime


class Authority:
    """The authority whose files lie in a folder."""

    def __init__(self, folder: Path) -> None:
        self._key_file, self.root_file = folder / KEY_FILE, folder / ROOT_FILE

    @property
    def exists(self) -> bool:
        return self.root_file.exists()

    def create(self, name: str, now: datetime) -> None:
        """Make the key and the root certificate; raises AuthorityError when they are there."""
        self._key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        root = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(root, root, key.public_key(), now, ROOT_LIFE)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        _write_new(self._key_file, _pem_of(key))
        _write_new(self.root_file, _pem(builder.sign(key, hashes.SHA256())).encode(), mode=0o644)

    def root_pem(self) -> str:
        """Return the root certificate as PEM text; raises AuthorityError when there is none."""
        try:
            return self.root_file.read_text()
        except FileNotFoundError as error:
            raise AuthorityError(
                tr("There is no authority yet. Make one: manage.py ocpp_authority --create.")
            ) from error

    def sign_request(self, request: str, identity: str, now: datetime) -> Signed:
        """Sign a charger's request (PEM text), which must name it by its identity and nobody else.

        Raises AuthorityError for a request that cannot be read, is not signed by its own key, has a weak key, or is
        another's.
        """
        if len(request) > LARGEST_REQUEST:
            raise AuthorityError(tr("The request is too long."))
        try:
            asked = x509.load_pem_x509_csr(request.encode())
            whole, key = asked.is_signature_valid, asked.public_key()
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
            raise AuthorityError(tr("The request is no certificate signing request.")) from error
        names = [str(one.value) for one in asked.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if not whole:
            raise AuthorityError(tr("The request is not signed by its own key."))
        if names != [identity]:
            raise AuthorityError(tr("The request does not name the charger by its identity."))
        return self._sign_charger(identity, _strong(key), now)

    def issue(self, identity: str, now: datetime) -> tuple[Signed, bytes]:
        """Return a charger's certificate and its new key (PEM), for one that cannot make a request itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._sign_charger(identity, key.public_key(), now), _pem_of(key)

    def issue_server(self, names: Sequence[str], now: datetime) -> tuple[str, bytes]:
        """Return the gateway's own certificate chain for host names or addresses, and its new key (both PEM)."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(names[0], key.public_key(), now, SERVER_LIFE)
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_host(name) for name in names]), critical=False
        )
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        return _pem(self._signed(builder)) + self.root_pem(), _pem_of(key)

    def _sign_charger(self, identity: str, key: _PublicKey, now: datetime) -> Signed:
        builder = self._builder(identity, key, now, CHARGER_LIFE)
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        certificate = self._signed(builder)
        return Signed(
            chain=_pem(certificate) + self.root_pem(),
            fingerprint=fingerprint_of(certificate.public_bytes(serialization.Encoding.DER)),
            serial=f"{certificate.serial_number:x}",
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
        )

    def _builder(self, name: str, key: _PublicKey, now: datetime, life: timedelta) -> x509.CertificateBuilder:
        root = x509.load_pem_x509_certificate(self.root_pem().encode())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, root.subject, key, now, life)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key())  # type: ignore[arg-type]
        return builder.add_extension(own, critical=False)

    def _signed(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        try:
            key = serialization.load_pem_private_key(self._key_file.read_bytes(), None)
        except FileNotFoundError as error:
            raise AuthorityError(
                tr("The authority's key {name} is not there. Put it back.", name=self._key_file.name)
            ) from error
        return builder.sign(key, hashes.SHA256())  # type: ignore[arg-type]


_PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


def fingerprint_of(der: bytes) -> str:
    """Return by what a certificate is known: SHA-256 of its bytes, in hexadecimal."""
    return hashlib.sha256(der).hexdigest()


def _strong(key: object) -> _PublicKey:
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size >= LEAST_EC_BITS:
        return key
    raise AuthorityError(
        tr(
            "The request's key is weak. Use RSA of {rsa_bits} bits or ECDSA of {ec_bits}.",
            rsa_bits=LEAST_RSA_BITS,
            ec_bits=LEAST_EC_BITS,
        )
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: _PublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_new(path: Path, text: bytes, mode: int = 0o600) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise AuthorityError(tr("There is an authority already: {name} exists.", name=path.name)) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
