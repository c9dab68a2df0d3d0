"""Run the gateway that chargers log in to."""

from __future__ import annotations

import asyncio
import signal
import ssl
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from charging.ocpp.gateway import Gateway, tls_context
from charging.services.certificates import authority


class Command(BaseCommand):
    help = "Serve chargers: ws(s)://HOST:PORT/ocpp/<charger identity>, OCPP 1.6, 2.0.1 and 2.1."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.GATEWAY_HOST)
        parser.add_argument("--port", type=int, default=settings.GATEWAY_PORT)
        parser.add_argument("--tls-cert", default="", help="PEM file with the server's certificate chain.")
        parser.add_argument("--tls-key", default="", help="PEM file with its private key.")
        parser.add_argument(
            "--client-ca",
            default="",
            help="PEM file of the authority that signs the chargers' certificates (security profile 3). "
            "Each charger then needs a certificate whose common name is its identity.",
        )
        parser.add_argument(
            "--own-authority",
            action="store_true",
            help="Chargers may log in by certificates of this installation (manage.py ocpp_authority) instead of "
            "passwords; who has done so once does not come by password any more.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            asyncio.run(_serve(options["host"], options["port"], _tls(options), options["own_authority"]))
        except OSError as error:
            raise CommandError(
                f"Cannot listen at {options['host']}:{options['port']}: {error.strerror or error}. "
                "Choose another --port, or stop what listens there."
            ) from error


def _tls(options: dict[str, Any]) -> ssl.SSLContext | None:
    certificate, key, client_ca = options["tls_cert"], options["tls_key"], options["client_ca"]
    own = options["own_authority"]
    if not certificate:
        if key or client_ca or own:
            raise CommandError("--tls-key, --client-ca and --own-authority need --tls-cert as well.")
        return None
    if own and client_ca:
        raise CommandError("Give either --client-ca or --own-authority.")
    if own and not authority().exists:
        raise CommandError("There is no authority yet. Make one: manage.py ocpp_authority --create.")
    try:
        return tls_context(certificate, key, str(authority().root_file) if own else client_ca, asked=not own)
    except (OSError, ssl.SSLError) as error:
        raise CommandError(f"The TLS files cannot be used: {error}") from error


async def _serve(host: str, port: int, tls: ssl.SSLContext | None, own_authority: bool) -> None:
    gateway = Gateway(host, port, tls, own_authority=own_authority)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, gateway.stop)
    await gateway.run()
