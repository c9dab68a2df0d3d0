"""VDV 452 timetables: rotations by type of day, driving times and waits, empty ways, character sets."""

from __future__ import annotations

import io
import zipfile
from datetime import date

import pytest

from fleet.formats.blocks import BlockRow, Fleet, KnownType, Reading
from fleet.formats.registry import read_schedule

FLEET = Fleet(frozenset({"hof"}), (), (KnownType("eCitaro", 300, 1.2),))
HEAD = 'mod; DD.MM.YYYY; HH:MM:SS; free\nsrc; "Planer"; "06.02.2026"; "15:01:01"\nchs; "ISO8859-1"\nver; "1.4"\n\n'
TABLES = {
    "FIRMENKALENDER": (
        "BASIS_VERSION; BETRIEBSTAG; BETRIEBSTAG_TEXT; TAGESART_NR",
        ['1; 20260309; "Mo"; 1', '1; 20260310; "Di"; 1', '1; 20260311; "Mi"; 2', '1; 20260314; "Sa"; 3'],
    ),
    "LID_VERLAUF": (
        "BASIS_VERSION; LI_LFD_NR; LI_NR; STR_LI_VAR; ONR_TYP_NR; ORT_NR",
        [
            '1; 1; 7; "H"; 1; 10',
            '1; 3; 7; "H"; 1; 30',
            '1; 2; 7; "H"; 1; 20',
            '1; 1; 7; "R"; 1; 30',
            '1; 2; 7; "R"; 1; 10',
        ],
    ),
    "SEL_FZT_FELD": (
        "BASIS_VERSION; BEREICH_NR; FGR_NR; ONR_TYP_NR; ORT_NR; SEL_ZIEL; SEL_ZIEL_TYP; SEL_FZT",
        ["1; 1; 5; 1; 10; 20; 1; 300", "1; 1; 5; 1; 20; 30; 1; 600", "1; 1; 5; 1; 30; 10; 1; 840"],
    ),
    "REC_SEL": (
        "BASIS_VERSION; BEREICH_NR; ONR_TYP_NR; ORT_NR; SEL_ZIEL; SEL_ZIEL_TYP; SEL_LAENGE",
        ["1; 1; 1; 10; 20; 1; 2500", "1; 1; 1; 20; 30; 1; 5000", "1; 1; 1; 30; 10; 1; 7000"],
    ),
    "ORT_HZTF": ("BASIS_VERSION; FGR_NR; ONR_TYP_NR; ORT_NR; HP_HZT", ["1; 5; 1; 20; 60"]),
    "UEB_FZT": (
        "BASIS_VERSION; BEREICH_NR; FGR_NR; ONR_TYP_NR; ORT_NR; UEB_ZIEL_TYP; UEB_ZIEL; UEB_FAHRZEIT",
        ["1; 1; 5; 2; 99; 1; 10; 420", "1; 1; 5; 2; 99; 1; 30; 600", "1; 1; 5; 1; 10; 2; 99; 480"],
    ),
    "REC_UEB": (
        "BASIS_VERSION; BEREICH_NR; ONR_TYP_NR; ORT_NR; UEB_ZIEL_TYP; UEB_ZIEL; UEB_LAENGE",
        ["1; 1; 2; 99; 1; 10; 3000", "1; 1; 1; 10; 2; 99; 3100"],
    ),
    "MENGE_FZG_TYP": ("BASIS_VERSION; FZG_TYP_NR; FZG_TYP_TEXT", ['1; 4; "ecitaro"']),
    "REC_UMLAUF": (
        "BASIS_VERSION; TAGESART_NR; UM_UID; ANF_ORT; ANF_ONR_TYP; END_ORT; END_ONR_TYP; FZG_TYP_NR",
        ["1; 1; 701; 99; 2; 99; 2; 4", "1; 2; 701; 99; 2; 99; 2; 4", "1; 3; 701; 99; 2; 99; 2; 4"],
    ),
    "REC_FRT": (
        "BASIS_VERSION; FRT_FID; FRT_START; LI_NR; TAGESART_NR; LI_KU_NR; FAHRTART_NR; FGR_NR; STR_LI_VAR; UM_UID",
        [f'1; {kind}1; 21600; 7; {kind}; 1; 1; 5; "H"; 701' for kind in (1, 2)]
        + [f'1; {kind}2; 86700; 7; {kind}; 1; 1; 5; "R"; 701' for kind in (1, 2, 3)],
    ),
}


def text_of(table: str, encoding: str = "latin-1") -> bytes:
    columns, rows = TABLES[table]
    lines = [f"tbl; {table}", f"atr; {columns}", "frm; num[9.0]", *(f"rec; {row}" for row in rows)]
    return (HEAD + "\n".join(lines) + f"\nend; {len(rows)}\neof; 1\n").encode(encoding)


def zipped(**changes: tuple[str, list[str]] | None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in TABLES:
            if changes.get(name, ()) is None:
                continue
            content = text_of(name)
            if name in changes:
                columns, rows = changes[name]  # type: ignore[misc]
                content = (
                    HEAD + "\n".join([f"tbl; {name}", f"atr; {columns}", *(f"rec; {r}" for r in rows)])
                ).encode()
            archive.writestr(f"{name.lower()}.x10", content)
    return out.getvalue()


def read(**changes: tuple[str, list[str]] | None) -> Reading:
    return read_schedule(zipped(**changes), "export.zip", FLEET)


def days_of(row: BlockRow) -> set[date]:
    if row.service_date:
        return {row.service_date}
    return {date.fromordinal(day) for day in range(row.first_day, row.last_day + 1) if row.running()(day)}


def test_a_rotation_is_one_row_for_the_days_it_does_the_same_work() -> None:
    found = read()
    assert (found.file_format, found.errors, found.warnings) == ("vdv452", (), ())
    usual, saturday = sorted(found.rows, key=lambda row: row.depart_minute)
    assert days_of(usual) == {date(2026, 3, 9), date(2026, 3, 10), date(2026, 3, 11)}
    assert days_of(saturday) == {date(2026, 3, 14)}
    assert usual.block_id == saturday.block_id == "701"
    assert usual.vehicle_type == "eCitaro"


def test_times_add_driving_waits_and_empty_ways() -> None:
    usual = min(read().rows, key=lambda row: row.depart_minute)
    assert usual.depart_minute == (21600 - 420) // 60, "7 minutes from the depot"
    assert usual.return_minute == (86700 + 840 + 480) // 60, "24:05, 14 minutes of driving, 8 minutes home"
    assert usual.distance_km == pytest.approx(3.0 + 7.5 + 7.0 + 3.1)


def test_a_trips_own_waits_go_first_and_waits_of_zero_everywhere_mean_the_usual_ones() -> None:
    columns = "BASIS_VERSION; FRT_FID; ONR_TYP_NR; ORT_NR; FRT_HZT_ZEIT"
    TABLES["REC_FRT_HZT"] = (columns, [])
    try:
        for seconds, length in ((0, 960), (180, 1080)):
            rows = [f"1; {kind}1; 1; 20; {seconds}" for kind in (1, 2)]
            alone = [f'1; {kind}1; 21600; 7; {kind}; 1; 1; 5; "H"; 701' for kind in (1, 2)]
            found = read(REC_FRT_HZT=(columns, rows), REC_FRT=(TABLES["REC_FRT"][0], alone), UEB_FZT=None)
            assert found.rows[0].return_minute - found.rows[0].depart_minute == length // 60
            assert "no driving time" in found.warnings[0].message
    finally:
        del TABLES["REC_FRT_HZT"]


def test_without_rotations_the_depots_own_deadhead_counts() -> None:
    fleet = Fleet(frozenset({"hof"}), (), (), deadhead=(10, 4.0))
    found = read_schedule(zipped(REC_UMLAUF=None), "export.zip", fleet)
    usual = min(found.rows, key=lambda row: row.depart_minute)
    assert (usual.depart_minute, usual.distance_km) == (350, pytest.approx(22.5))


def test_one_text_file_with_all_tables_is_read_too() -> None:
    found = read_schedule(b"\n".join(text_of(name) for name in TABLES), "all.x10", FLEET)
    assert (found.file_format, len(found.rows), found.errors) == ("vdv452", 2, ())


def test_an_unknown_vehicle_type_is_told_and_left_open() -> None:
    found = read(MENGE_FZG_TYP=(TABLES["MENGE_FZG_TYP"][0], ['1; 4; "Gelenkbus Größe XL"']))
    assert found.rows[0].vehicle_type == ""
    assert "no vehicle type Gelenkbus" in found.warnings[0].message


BAD = {
    "a table lacks": ({"LID_VERLAUF": None}, None, "no table LID_VERLAUF"),
    "a day": (
        {"FIRMENKALENDER": (TABLES["FIRMENKALENDER"][0], ['1; 20260230; "x"; 1'])},
        8,
        "“20260230” is not a date",
    ),
    "two versions": (
        {"FIRMENKALENDER": (TABLES["FIRMENKALENDER"][0], ['1; 20260309; "x"; 1', '2; 20260309; "x"; 1'])},
        9,
        "stands in versions 1 and 2",
    ),
    "a start": (
        {"REC_FRT": (TABLES["REC_FRT"][0], ['1; 11; 6:00; 7; 1; 1; 1; 5; "H"; 701'])},
        8,
        "“6:00” is no start in seconds",
    ),
    "a path": (
        {"REC_FRT": (TABLES["REC_FRT"][0], ['1; 11; 21600; 8; 1; 1; 1; 5; "H"; 701'])},
        8,
        "no path with two stops",
    ),
    "a driving time": (
        {"REC_FRT": (TABLES["REC_FRT"][0], ['1; 11; 21600; 7; 1; 1; 1; 6; "H"; 701'])},
        8,
        "no driving time from 10 to 20 in group 6",
    ),
    "a length": (
        {"REC_SEL": (TABLES["REC_SEL"][0], ["1; 1; 1; 10; 20; 1; far"])},
        8,
        "“far” is no whole number",
    ),
    "nothing runs": (
        {"FIRMENKALENDER": (TABLES["FIRMENKALENDER"][0], ['1; 20260309; "x"; 9'])},
        None,
        "No rotation ever runs",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_timetables_name_place_and_cure(kind: str) -> None:
    changes, line, words = BAD[kind]
    error = read(**changes).errors[0]
    assert words in error.message
    assert error.row == line
