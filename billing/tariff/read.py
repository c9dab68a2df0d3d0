"""Read a tariff in either format."""

from __future__ import annotations

from typing import Any

from billing.tariff.model import Tariff
from billing.tariff.problems import TariffError
from billing.tariff.schema import from_document
from billing.tariff.urdb import from_urdb
from billing.tariff.urdb_fields import unwrap
from billing.tariff.validate import check


def read_tariff(data: Any) -> Tariff:
    """Read a tariff from JSON or YAML text, or what one holds: OpenEI URDB, or the own format (has
    `format`).

    Raises TariffError with every problem, each naming its place and cure. Elements that cannot be billed do
    not raise: they are named in `Tariff.unsupported`, and such a tariff gets no bill and no price curve.
    """
    record = unwrap(data)
    tariff = from_document(record) if "format" in record else from_urdb(record)
    problems = check(tariff)
    if problems and not tariff.unsupported:
        raise TariffError(problems)
    return tariff
