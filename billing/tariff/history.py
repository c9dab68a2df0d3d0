"""Remember demand peaks: what ratchets, yearly charges and means over several periods look back on."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from billing.tariff.model import DemandCharge, Ratchet
from billing.tariff.problems import LoadError, Problem
from depot.words import tr

History = Mapping[str, Mapping[date, Decimal]]
"""Peaks in kW (or kVA) by demand charge id and first day of a billing period."""

HALF_A_MONTH = timedelta(days=15)


@dataclass(slots=True)
class PeakBook:
    """Hold the peaks of earlier billing periods by charge id, and the share of a month each was billed."""

    peaks: dict[str, dict[date, Decimal]] = field(default_factory=dict)
    shares: dict[str, dict[date, Fraction]] = field(default_factory=dict)

    @classmethod
    def of(cls, history: History | None) -> PeakBook:
        """Open a book with the peaks from before the first bill."""
        return cls({charge: dict(known) for charge, known in (history or {}).items()})

    def record(self, charge: DemandCharge, first: date, kw: Decimal, share: Fraction = Fraction(1)) -> None:
        """Note the metered kW of a billing period; the higher of two (rows, versions) counts."""
        known = self.peaks.setdefault(charge.id, {})
        known[first] = max(kw, known.get(first, kw))
        shares = self.shares.setdefault(charge.id, {})
        shares[first] = shares.get(first, Fraction(0)) + share

    def before(self, charge: DemandCharge, first: date, periods: int) -> dict[date, Decimal]:
        """Return the peaks of the last `periods` billing periods before the one that begins on `first`."""
        since = months_before(first, periods) - HALF_A_MONTH  # cycles differ by days
        return {day: kw for day, kw in self.peaks.get(charge.id, {}).items() if since < day < first}

    def floor(self, charge: DemandCharge, first: date) -> tuple[Decimal, Decimal, date] | None:
        """Return the ratchet's least kW, and the peak and billing period that it comes from."""
        ratchet = charge.ratchet
        if ratchet is None:
            return None
        counted = {
            day: kw
            for day, kw in self.before(charge, first, ratchet.months_back).items()
            if not ratchet.months or day.month in ratchet.months
        }
        if not counted:
            return None
        day = max(counted, key=lambda day: (counted[day], day))
        return counted[day] * ratchet.percent / 100, counted[day], day

    def year_so_far(self, charge: DemandCharge, first: date) -> tuple[Decimal, Fraction]:
        """Return the highest kW of the calendar year before a billing period, and the months it was billed."""
        known = {
            day: kw
            for day, kw in self.peaks.get(charge.id, {}).items()
            if day.year == first.year and day < first
        }
        shares = self.shares.get(charge.id, {})
        billed = sum((shares.get(day, Fraction(1)) for day in known), Fraction(0))
        return max(known.values(), default=Decimal(0)), billed


def months_before(day: date, months: int) -> date:
    """Return the same day a number of months earlier (or that month's last day)."""
    index = day.year * 12 + day.month - 1 - months
    first = date(index // 12, index % 12 + 1, 1)
    following = (first + timedelta(days=31)).replace(day=1)
    return min(first + timedelta(days=day.day - 1), following - timedelta(days=1))


def look_back(ratchet: Ratchet | None, mean_of_periods: int, per_year: bool) -> int:
    """Return how many billing periods before its own a charge looks back on."""
    back = ratchet.months_back if ratchet else 0
    return max(back, mean_of_periods - 1, 11 if per_year else 0)


def read_history(text: str, file: str = "history") -> dict[str, dict[date, Decimal]]:
    """Read peaks from CSV with the columns `month` (2024-07, or the first day of a cycle), `charge`, `kw`.

    `charge` is the id of a demand charge. Raises LoadError with row, value and cure.
    """
    rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    missing = {"month", "charge", "kw"} - set(rows.fieldnames or ())
    if missing:
        cure = tr("The columns are month, charge, kw")
        raise LoadError(
            [
                Problem(tr("{file}, row 1", file=file), tr("column '{name}' is missing", name=name), cure)
                for name in sorted(missing)
            ]
        )
    problems: list[Problem] = []
    found: dict[str, dict[date, Decimal]] = {}
    seen: Counter[tuple[str, date]] = Counter()
    for row in rows:
        place = tr("{file}, row {line_num}", file=file, line_num=rows.line_num)
        day, kw = _day(row["month"] or ""), _kw(row["kw"] or "")
        charge = (row["charge"] or "").strip()
        if day is None:
            cure = tr("Write 2024-07, or the first day of the cycle 2024-07-09")
            problems.append(Problem(place, tr("'{month}' is not a month", month=row["month"]), cure))
        elif kw is None:
            problems.append(
                Problem(place, tr("'{kw}' is not a power", kw=row["kw"]), tr("Write kW of 0 or more"))
            )
        else:
            found.setdefault(charge, {})[day] = kw
            seen[charge, day] += 1
            if seen[charge, day] == 2:
                problems.append(
                    Problem(
                        place, tr("{charge} {day} is there twice", charge=charge, day=day), tr("Keep one")
                    )
                )
    if problems:
        raise LoadError(problems)
    return found


def _day(text: str) -> date | None:
    text = text.strip()
    try:
        return date.fromisoformat(f"{text}-01" if len(text) == 7 else text)
    except ValueError:
        return None


def _kw(text: str) -> Decimal | None:
    try:
        kw = Decimal(text.strip())
    except InvalidOperation:
        return None
    return kw if kw.is_finite() and kw >= 0 else None
