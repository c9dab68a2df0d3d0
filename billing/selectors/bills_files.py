"""A bill as files: its lines as CSV, and what it was made from."""

from __future__ import annotations

import io
import json
import zipfile
from decimal import Decimal

from billing.bills.reconcile import Pair
from billing.models import Bill, BillInputs, UtilityBill
from billing.selectors.bills import pairs_of
from billing.selectors.bills_inputs import load_text
from depot.imports.delimited import write_delimited
from depot.words import tr

HEADER = ("line", "label", "quantity", "unit", "rate", "amount", "currency", "explanation")
UTILITY_HEADER = ("utility_quantity", "utility_amount", "difference")
EPOCH = (1980, 1, 1, 0, 0, 0)  # of ZIP: the same inputs give the same file


def bill_csv(bill: Bill, utility: UtilityBill | None) -> str:
    """Return the lines of a bill, beside the utility's where they were entered, and the total.

    No cell can act as a formula in a spreadsheet program.
    """
    lines = {line.line_id: line for line in bill.lines.all()}
    rows = []
    pairs = pairs_of(bill, utility) if utility else []
    theirs = {pair.line_id: pair for pair in pairs if pair.ours is not None}
    for id, line in lines.items():
        row = [id, line.label, _number(line.quantity), line.unit, _number(line.rate), _number(line.amount)]
        row += [bill.currency, line.explanation]
        rows.append([*row, *_utility(theirs.get(id), utility)])
    for pair in pairs:
        if pair.ours is None and pair.theirs is not None:
            label, unit = pair.theirs.label, pair.theirs.unit
            rows.append(["", label, "", unit, "", "", bill.currency, "", *_utility(pair, utility)])
    total = ["total", "Total", "", "", "", _number(bill.total), bill.currency, ""]
    if utility:
        total += ["", _number(utility.total), _number(utility.total - bill.total)]
    return write_delimited([*HEADER, *(UTILITY_HEADER if utility else ())], [*rows, total])


def _utility(pair: Pair | None, utility: UtilityBill | None) -> list[str]:
    if utility is None:
        return []
    if pair is None or pair.theirs is None:
        return ["", "", _number(pair.difference) if pair else ""]
    quantity = pair.theirs.quantity
    return [
        "" if quantity is None else _number(quantity),
        _number(pair.theirs.amount),
        _number(pair.difference),
    ]


def _number(value: Decimal) -> str:
    """Write a number in full, without the zeros that the database adds beyond two decimals."""
    cents = round(value, 2)
    return f"{cents:f}" if cents == value else f"{value.normalize():f}"


def inputs_zip(row: BillInputs) -> bytes:
    """Return what a final bill was made from, with the command that makes it again."""
    names = [f"tariff-{number}.json" for number in range(1, len(row.tariffs) + 1)]
    files = dict(zip(names, (json.dumps(document, indent=1) for document in row.tariffs), strict=True))
    files["load.csv"] = load_text(row)
    command = tr(
        "manage.py bill {names} load.csv --timezone {time_zone}", names=names[0], time_zone=row.time_zone
    )
    if starts := row.bill.depot.cycles.starts(row.bill.start_at, row.bill.end_at):
        command += "".join(tr(" --cycle-start {day}", day=day) for day in starts)
    command += "".join(tr(" --then {name}", name=name) for name in names[1:])
    if row.peaks:
        peaks = [f"{day},{id},{kw}" for id, known in row.peaks.items() for day, kw in known.items()]
        files["peaks.csv"] = "\n".join(["month,charge,kw", *peaks, ""])
        command += tr(" --history peaks.csv")
    if row.brought:
        files["carried.json"] = json.dumps(row.brought, indent=1)
        command += tr(" --carried carried.json")
    files["README.txt"] = tr(
        "{bill}\n\nThis command makes the bill again, with version {engine} of the billing "
        "rules:\n\n    {command} --json\n\nSHA-256 of load.csv: {load_sha256}\n",
        bill=row.bill,
        engine=row.engine,
        command=command,
        load_sha256=row.load_sha256,
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), text, zipfile.ZIP_DEFLATED)
    return out.getvalue()
