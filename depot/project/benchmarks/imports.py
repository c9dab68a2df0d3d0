"""Measure uploads of schedules: big files checked against a depot, and files that are too big refused.

Every file is made here, and each is read in a process of its own, so that its peak of memory is its own.
"""

import csv
import io
import multiprocessing
import resource
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from openpyxl import Workbook

from fleet.formats.blocks import Fleet, KnownType, KnownVehicle
from fleet.formats.preview import preview
from fleet.formats.registry import read_schedule

ROWS = 10_000
TRIPS, BLOCKS, STOPS_PER_TRIP = 15_000, 600, 20
TOO_MANY_ROWS = 1_000_000
VEHICLES = 200
START = date(2026, 3, 2)


@dataclass(frozen=True, slots=True)
class ImportFigure:
    """One file: what it holds, its size, seconds to check it, and the process's peak of memory.

    `cpu_seconds` leaves out what other programs took; `base_mb` is what the process held before the file. A refused
    file has `errors` and no `blocks`.
    """

    name: str
    size_mb: float
    blocks: int
    errors: int
    seconds: float
    cpu_seconds: float
    base_mb: float
    peak_mb: float


def measure() -> Iterable[ImportFigure]:
    """Yield the figures of each file, one after the other."""
    makers: tuple[tuple[str, Callable[[], bytes]], ...] = (
        ("schedule.csv", lambda: schedule_csv(ROWS)),
        ("schedule.xlsx", lambda: schedule_workbook(ROWS)),
        ("feed.zip", lambda: gtfs_feed(TRIPS)),
        ("too-many.csv", lambda: too_many_rows(TOO_MANY_ROWS)),
        ("too-many.xlsx", lambda: too_many_rows_workbook(TOO_MANY_ROWS)),
    )
    context = multiprocessing.get_context("spawn")
    for name, make in makers:
        content = make()
        with context.Pool(1) as pool:
            yield pool.apply(read_one, (content, name))


def read_one(content: bytes, name: str) -> ImportFigure:
    """Read and check one file in this process."""
    fleet = example_fleet()
    base_mb = _peak_mb()
    began, worked = time.perf_counter(), time.process_time()
    found = preview(read_schedule(content, name, fleet), fleet, ())
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - worked
    return ImportFigure(
        name=name,
        size_mb=round(len(content) / 2**20, 2),
        blocks=len(found.rows),
        errors=len(found.errors),
        seconds=round(seconds, 3),
        cpu_seconds=round(cpu_seconds, 3),
        base_mb=round(base_mb, 1),
        peak_mb=round(_peak_mb(), 1),
    )


def example_fleet() -> Fleet:
    """Return a depot of 200 like buses whose way to the first stop is known."""
    return Fleet(
        depot_names=frozenset({"measured"}),
        vehicles=tuple(KnownVehicle(f"Bus {number:03}", "Bus") for number in range(VEHICLES)),
        types=(KnownType("Bus", 400.0, 1.0),),
        time_zone="America/New_York",
        deadhead=(10, 4.0),
        split_gap_minutes=120,
    )


def schedule_csv(rows: int) -> bytes:
    """Return a canonical CSV file: dated blocks, two a day for each of 200 buses."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADER)
    writer.writerows(_schedule_rows(rows))
    return out.getvalue().encode()


def schedule_workbook(rows: int) -> bytes:
    """Return the same rows as a workbook."""
    return _workbook(HEADER, _schedule_rows(rows))


HEADER = ("block_id", "date", "depart_at", "return_at", "distance_km", "vehicle")


def _schedule_rows(rows: int) -> Iterable[Sequence[str]]:
    for number in range(rows):
        bus, turn = number % VEHICLES, number // VEHICLES
        day, half = START + timedelta(days=turn // 2), turn % 2
        hour, minute = (6, 13)[half], bus % 60
        yield (
            f"{bus:03}-{'AP'[half]}",
            day.isoformat(),
            f"{hour:02}:{minute:02}",
            f"{hour + 4:02}:{minute:02}",
            f"{60 + bus % 40}",
            f"Bus {bus:03}",
        )


def gtfs_feed(trips: int, blocks: int = BLOCKS) -> bytes:
    """Return a GTFS feed whose trips follow each other in so many blocks, with distances at the stops."""
    tables = {
        "agency.txt": (
            "agency_id,agency_name,agency_url,agency_timezone",
            ("a,Measured,https://example.org,America/New_York",),
        ),
        "routes.txt": ("route_id,agency_id,route_short_name,route_type", ("r,a,1,3",)),
        "calendar.txt": (
            "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date",
            ("week,1,1,1,1,1,0,0,20260302,20260612", "end,0,0,0,0,0,1,1,20260302,20260612"),
        ),
        "stops.txt": ("stop_id,stop_name,stop_lat,stop_lon", _stops()),
        "trips.txt": ("route_id,service_id,trip_id,block_id", _trips(trips, blocks)),
        "stop_times.txt": (
            "trip_id,arrival_time,departure_time,stop_id,stop_sequence,shape_dist_traveled",
            _stop_times(trips, blocks),
        ),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (header, lines) in tables.items():
            archive.writestr(name, "\n".join((header, *lines)) + "\n")
    return out.getvalue()


def _stops() -> Iterable[str]:
    return (f"s{stop},Stop {stop},{36 + stop / 100:.2f},-79.9" for stop in range(STOPS_PER_TRIP))


def _trips(trips: int, blocks: int) -> Iterable[str]:
    for trip in range(trips):
        block = trip % blocks
        yield f"r,{'end' if block % 4 == 3 else 'week'},t{trip},b{block}"


def _stop_times(trips: int, blocks: int) -> Iterable[str]:
    for trip in range(trips):
        start = 300 + trip % blocks % 60 + trip // blocks * 40
        for stop in range(STOPS_PER_TRIP):
            at = f"{(start + stop) // 60:02}:{(start + stop) % 60:02}:00"
            yield f"t{trip},{at},{at},s{stop},{stop + 1},{stop * 0.5:.1f}"


def too_many_rows(rows: int) -> bytes:
    """Return a CSV file of so many short rows, below the limit of bytes."""
    return b"block_id,date,depart_at,return_at\n" + b"1,x,6:00,7:00\n" * rows


def too_many_rows_workbook(rows: int) -> bytes:
    """Return a workbook of so many rows of one cell."""
    return _workbook(("block_id",), (("1",) for _ in range(rows)))


def _workbook(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Schedule")
    sheet.append(list(header))
    for row in rows:
        sheet.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _peak_mb() -> float:
    """Return the greatest memory this process has held, in MB.

    Linux tells it in /proc; what `getrusage` counts there includes the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
