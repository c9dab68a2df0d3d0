"""Write a load as the CSV that `read_load` reads."""

from __future__ import annotations

import csv
import io
from datetime import timedelta, tzinfo

import numpy as np

from billing.tariff.load import LoadSeries

ALWAYS = ("start", "import_kw", "export_kw", "estimated")
IF_GIVEN = ("import_price_per_kwh", "export_price_per_kwh", "reactive_kvar")


def write_load(load: LoadSeries, zone: tzinfo) -> str:
    """Return a load as CSV, times with the UTC offset of `zone`, numbers with all their digits.

    The bill of the text is the bill of the load: estimated steps are written as estimated.
    """
    more = [name for name in IF_GIVEN if getattr(load, name) is not None]
    series = [load.import_kw, load.export_kw, load.estimated.astype(np.int64)]
    columns = [values.tolist() for values in (*series, *(getattr(load, name) for name in more))]
    step = timedelta(minutes=load.step_minutes)
    starts = [(load.start_at + index * step).astimezone(zone).isoformat() for index in range(load.steps)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*ALWAYS, *more])
    writer.writerows(zip(starts, *columns, strict=True))
    return out.getvalue()
