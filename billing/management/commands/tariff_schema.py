"""Write the JSON Schema of the product's own tariff format: a thin door."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from billing.management.commands import write
from billing.tariff.schema_document import SCHEMA


class Command(BaseCommand):
    help = "Write the JSON Schema of the tariff format, for editors and other programs."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("-o", "--output", help="File to write; default is standard output.")

    def handle(self, *args: Any, **options: Any) -> None:
        write(self, json.dumps(SCHEMA, indent=1, ensure_ascii=False) + "\n", options["output"])
