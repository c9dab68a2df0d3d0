"""Commands about money, and what they share."""

from __future__ import annotations

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from depot.models import Depot


def depot_named(slug: str) -> Depot:
    """Return a depot by its short name; a CommandError that lists the known ones otherwise."""
    depot = Depot.objects.filter(slug=slug).first()
    if depot is None:
        known = ", ".join(Depot.objects.values_list("slug", flat=True)) or "none yet"
        raise CommandError(f"There is no depot “{slug}”. Known: {known}.")
    return depot


def write(command: BaseCommand, text: str, output: str | None) -> None:
    """Write a document to a file, or to standard output."""
    if output is None:
        command.stdout.write(text, ending="")
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {error.strerror}. Name another file.") from error
