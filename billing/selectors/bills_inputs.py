"""What a bill is made of: the ledger's load, the tariff versions of its days, and what earlier months left."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from billing.models import BillInputs
from billing.models import Tariff as TariffRow
from billing.selectors.history import Peaks, bills_in_force, earlier_peaks
from billing.selectors.ledger import load_of
from billing.selectors.tariffs import parsed, tariffs_by_day
from billing.tariff import (
    NOTHING,
    Carried,
    LoadSeries,
    Tariff,
    carried_from,
    read_load,
    read_tariff,
    to_document,
    write_load,
)
from billing.tariff.history import months_before
from depot.models import Depot


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that a bill is made of: with these the engine makes it, here and in `manage.py bill`."""

    versions: tuple[Tariff, ...]
    load: LoadSeries
    peaks: Peaks
    carried: Carried = NOTHING


@dataclass(frozen=True, slots=True)
class Packed:
    """Inputs as they are kept with a final bill."""

    tariffs: list[dict]
    peaks: dict[str, dict[str, str]]
    brought: dict
    load: bytes
    load_sha256: str


def versions_between(depot: Depot, first: date, last: date) -> list[TariffRow]:
    """Return the tariff versions that hold on any local day of a span (both ends included), the oldest first."""
    rows = {row.pk: row for row in tariffs_by_day(depot, first, last).values() if row is not None}
    return sorted(rows.values(), key=lambda row: row.valid_from)


def as_entered(row: TariffRow) -> Tariff:
    """Return a stored version as the engine's own object, under the name and on the days that its row says."""
    return replace(parsed(row), name=row.name, valid_from=row.valid_from, valid_to=row.valid_to)


def inputs_of(
    depot: Depot, versions: Sequence[Tariff], start_at: datetime, end_at: datetime, scenario: str
) -> Inputs | None:
    """Return what the bill of a cycle is made of; None when nothing is recorded in it."""
    load = load_of(depot, start_at, end_at, scenario)
    if load is None:
        return None
    first = depot.local(start_at).date()
    return Inputs(
        tuple(versions),
        load,
        earlier_peaks(depot, versions, first, scenario),
        carried_into(depot, versions, first, scenario),
    )


def carried_into(depot: Depot, versions: Sequence[Tariff], first: date, scenario: str) -> Carried:
    """Return what the month before handed on, as far as any version lets it roll on."""
    exports = [version.export for version in versions if version.export is not None]
    credited = any(export.carry_credit or export.method == "net_metering" for export in exports)
    yearly = any(version.minimum is not None and version.minimum.per == "year" for version in versions)
    if not credited and not yearly:
        return NOTHING
    before = depot.cycles.bounds(months_before(first, 1))[0]
    row = (
        bills_in_force(depot)
        .filter(scenario=scenario, start_at=before)
        .values_list("carried", flat=True)
        .first()
    )
    found = carried_from(row or {})
    return found if yearly else replace(found, charges=())


def pack(inputs: Inputs, depot: Depot) -> Packed:
    """Return inputs as they are kept: documents, text, and the digest of the load's text."""
    text = write_load(inputs.load, depot.tz).encode()
    documents = [
        to_document(replace(version, time_zone=version.time_zone or depot.time_zone))
        for version in inputs.versions
    ]
    digest = hashlib.sha256(text).hexdigest()
    brought = inputs.carried.as_json()
    return Packed(documents, _peaks_document(inputs.peaks), brought, gzip.compress(text, mtime=0), digest)


def is_same_load(row: BillInputs, inputs: Inputs, depot: Depot) -> bool:
    """Tell whether the load of a final bill is still that of inputs, to the last digit."""
    return hashlib.sha256(write_load(inputs.load, depot.tz).encode()).hexdigest() == row.load_sha256


def is_same_before(row: BillInputs, inputs: Inputs) -> bool:
    """Tell whether earlier peaks, and what was handed on, are still those of a final bill."""
    return _peaks_document(inputs.peaks) == row.peaks and inputs.carried.as_json() == row.brought


def versions_kept(row: BillInputs) -> tuple[Tariff, ...]:
    """Return the tariff versions that a final bill was made by."""
    return tuple(read_tariff(document) for document in row.tariffs)


def _peaks_document(peaks: Peaks) -> dict[str, dict[str, str]]:
    return {id: {day.isoformat(): str(kw) for day, kw in known.items()} for id, known in peaks.items()}


def unpack(row: BillInputs) -> Inputs:
    """Return what a final bill was made of."""
    return Inputs(
        versions_kept(row),
        read_load(load_text(row)),
        {
            id: {date.fromisoformat(day): Decimal(kw) for day, kw in known.items()}
            for id, known in row.peaks.items()
        },
        carried_from(row.brought),
    )


def load_text(row: BillInputs) -> str:
    """Return the LOAD.csv that a final bill was made of."""
    return gzip.decompress(bytes(row.load)).decode()
