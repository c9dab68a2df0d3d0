"""Make and use the installation's own certificate authority for chargers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from charging.authority import AuthorityError
from charging.models import Charger
from charging.services import certificates
from depot import clock


class Command(BaseCommand):
    help = (
        "The authority that signs chargers' certificates (security profile 3): make it once, sign the gateway's own "
        "certificate, issue one to a charger that cannot ask for it over OCPP, or revoke a charger's."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        act = parser.add_mutually_exclusive_group(required=True)
        act.add_argument("--create", action="store_true", help="Make its key and root certificate.")
        act.add_argument(
            "--server",
            nargs="+",
            metavar="NAME",
            help="Sign the gateway's certificate for these names or addresses.",
        )
        act.add_argument("--issue", metavar="IDENTITY", help="Make a key and certificate for a charger.")
        act.add_argument("--revoke", metavar="IDENTITY", help="End all certificates of a charger.")
        parser.add_argument(
            "--name", default="Depot charging authority", help="The authority's name (with --create)."
        )
        parser.add_argument("--out", type=Path, default=Path(), help="Folder for certificate and key files.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["create"]:
                self._create(options["name"])
            elif options["server"]:
                self._sign_server(options["server"], options["out"])
            elif options["issue"]:
                self._issue(_charger(options["issue"]), options["out"])
            else:
                self._revoke(_charger(options["revoke"]))
        except AuthorityError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"The file cannot be written: {error}. Choose another --out.") from error

    def _create(self, name: str) -> None:
        made = certificates.authority()
        made.create(name, clock.wall_now())
        self.stdout.write(
            f"The root certificate is {made.root_file}. Keep the key beside it safe, with a backup."
        )
        self.stdout.write("Next: manage.py ocpp_authority --server NAME, for the gateway's own certificate.")

    def _sign_server(self, names: list[str], folder: Path) -> None:
        chain, key = certificates.authority().issue_server(names, clock.wall_now())
        self._write(folder, "gateway", chain, key)

    def _issue(self, charger: Charger, folder: Path) -> None:
        signed, key = certificates.authority().issue(charger.identity, clock.wall_now())
        self._write(folder, charger.identity, signed.chain, key)
        certificates.keep(charger, signed, "manage.py ocpp_authority")

    def _revoke(self, charger: Charger) -> None:
        valid = charger.certificates.filter(ended_at__isnull=True)
        ended = [certificates.revoke(row, "manage.py ocpp_authority", "by command") for row in valid]
        self.stdout.write(
            f"{sum(ended)} certificates of {charger.name} are revoked; its password counts again."
        )

    def _write(self, folder: Path, name: str, chain: str, key: bytes) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text, mode in (
            (folder / f"{name}.pem", chain.encode(), 0o644),
            (folder / f"{name}.key", key, 0o600),
        ):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
            self.stdout.write(str(path))


def _charger(identity: str) -> Charger:
    found = Charger.objects.filter(identity=identity).select_related("depot").first()
    if found is None:
        raise CommandError(f"There is no charger with the identity {identity}. Set it up first.")
    return found
