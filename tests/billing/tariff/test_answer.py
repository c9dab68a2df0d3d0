"""`manage.py bill`: the pure answer, and the door to it."""

import json
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from billing.tariff.answer import Question, Source, bill_texts, table
from billing.tariff.schema_document import SCHEMA
from billing.tariff.text import write_yaml
from tests.billing.tariff.examples import document, urdb

TARIFF = json.dumps(
    document(
        time_zone="America/New_York",
        demand=[{"id": "s", "label": "Site", "prices": [{"id": "all", "price_per_kw": 2}]}],
    )
)
LOAD = "start,import_kw\n2025-07-01T00:00:00-04:00,10\n2025-07-01T00:15:00-04:00,30\n"


def test_the_document_has_the_promised_shape():
    answer = bill_texts(TARIFF, LOAD)

    assert answer.result is not None
    found = json.loads(json.dumps(answer.result.as_json()))
    assert (answer.exit_code, answer.errors) == (0, ())
    assert (found["total"], found["unsupported"]) == (61.0, [])
    (period,) = found["periods"]
    assert (period["start"], period["end"]) == ("2025-07-01T00:00:00-04:00", "2025-08-01T00:00:00-04:00")
    assert period["peaks_kw"] == {"demand_flat.s.all": {"kw": 30.0, "when": "2025-07-01T00:15:00-04:00"}}
    assert period["lines"][0] == {
        "id": "energy.e.all",
        "label": "Energy",
        "quantity": 10.0,
        "unit": "kWh",
        "rate": 0.1,
        "amount": 1.0,
        "explanation": "10.000 kWh imported at 0.1 USD/kWh.",
    }


def test_faults_of_both_files_come_together():
    answer = bill_texts("{", "start\n", tariff_file="t.json", load_file="l.csv")

    assert (answer.result, answer.exit_code) == (None, 1)
    assert [error.split(":")[0] for error in answer.errors] == ["t.json", "l.csv, row 1"]


def test_a_bill_that_needs_a_zone_says_so():
    local = LOAD.replace("-04:00", "")
    assert "no UTC offset" in bill_texts(TARIFF, local).errors[0]
    assert bill_texts(TARIFF, local, time_zone=ZoneInfo("America/New_York")).exit_code == 0

    answer = bill_texts(
        json.dumps(urdb()), LOAD.replace("00:15:00-04:00", "01:15:00-03:00"), load_file="l.csv"
    )
    assert (answer.exit_code, answer.result) == (1, None)
    assert answer.errors[0].startswith("l.csv: time zone: neither the tariff nor the load names one")


def test_a_refused_tariff_has_no_total_and_a_reason():
    answer = bill_texts(json.dumps(document(ratchet=1)), LOAD, tariff_file="t.json")

    assert answer.exit_code == 1
    assert answer.result is not None
    assert "total" not in answer.result.as_json()
    assert answer.errors[0].startswith("t.json: ratchet: element 'ratchet'")
    assert table(answer) == ""


def test_the_table_is_readable():
    answer = bill_texts(json.dumps(urdb()), LOAD)
    assert answer.result is not None
    text = table(answer)

    assert "2025-07-01 to 2025-08-01" in text
    assert "Total $1.00 (UTC-04:00)" in text
    assert "Warning: The tariff names no time zone" in text
    assert max(map(len, text.splitlines()[:3])) <= 100


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    tariff, load = tmp_path / "tariff.json", tmp_path / "load.csv"
    tariff.write_text(TARIFF)
    load.write_text(LOAD)
    return [str(tariff), str(load)]


def test_the_command_prints_json_or_a_table(files: list[str], capsys: pytest.CaptureFixture[str]):
    call_command("bill", *files, "--json")
    assert json.loads(capsys.readouterr().out)["total"] == 61.0

    call_command("bill", *files)
    assert "Total $61.00" in capsys.readouterr().out


def test_the_command_ends_with_1_and_a_sentence_when_an_input_is_wrong(
    files: list[str], capsys: pytest.CaptureFixture[str]
):
    Path(files[1]).write_text("start\n")
    with pytest.raises(SystemExit) as ended:
        call_command("bill", *files, "--json")
    assert ended.value.code == 1
    assert "load.csv, row 1: column 'import_kw' is missing" in capsys.readouterr().err

    with pytest.raises(SystemExit) as ended:
        call_command("bill", files[0], files[1] + "x")
    assert ended.value.code == 1
    assert "it cannot be read" in capsys.readouterr().err


def test_a_zone_that_is_none_is_a_usage_error(files: list[str]):
    with pytest.raises(CommandError, match="'Mars' is not a time zone"):
        call_command("bill", *files, "--timezone", "Mars")


def test_the_command_takes_versions_history_cycles_and_tariffs_to_compare(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    new = json.loads(TARIFF) | {"name": "New", "valid_from": "2025-07-01"}
    new["demand"][0] |= {"ratchet": {"percent": 100}, "prices": [{"id": "all", "price_per_kw": 3}]}
    paths = {name: tmp_path / name for name in ("new.yaml", "peaks.csv", "other.json")}
    paths["new.yaml"].write_text(write_yaml(new))
    paths["peaks.csv"].write_text("month,charge,kw\n2025-06,s,100\n")
    paths["other.json"].write_text(json.dumps(urdb(name="Other")))
    asked = ["--then", str(paths["new.yaml"]), "--history", str(paths["peaks.csv"])]
    asked += [
        "--cycle-start",
        "2025-06-20",
        "--cycle-start",
        "2025-07-20",
        "--compare",
        str(paths["other.json"]),
    ]

    call_command("bill", *files, *asked, "--timezone", "America/New_York", "--json")
    found = json.loads(capsys.readouterr().out)

    (period,) = found["periods"]
    assert (period["start"], period["end"]) == ("2025-06-20T00:00:00-04:00", "2025-07-20T00:00:00-04:00")
    lines = {line["id"]: line["amount"] for line in period["lines"]}
    # July's version holds 19 of 30 days: 100 kW x 3 x 19/30
    assert lines["demand_flat.s.all"] == 190
    assert [one["name"] for one in found["comparison"]] == ["Other", "Test"]

    call_command("bill", *files, *asked)
    assert "Compared: Other" in capsys.readouterr().out


def test_faults_of_all_files_come_together_with_their_names():
    asked = Question(
        then=(Source("new.json", "{"),),
        compare=(Source("other.yaml", "a: ["),),
        history=Source("peaks.csv", "x\n"),
    )
    answer = bill_texts(TARIFF, LOAD, question=asked)
    assert [error.split(":")[0].split(",")[0] for error in answer.errors] == [
        "new.json",
        "other.yaml",
        *["peaks.csv"] * 3,
    ]

    cycles = bill_texts(TARIFF, LOAD, question=Question(cycle_starts=(date(2025, 7, 1),)))
    assert "cycle starts: they do not enclose 2025-07-01 to 2025-07-01" in cycles.errors[0]


def test_a_date_that_is_none_is_a_usage_error(files: list[str]):
    with pytest.raises(CommandError, match="'soon' is not a date"):
        call_command("bill", *files, "--cycle-start", "soon")


def test_the_schema_is_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    call_command("tariff_schema")
    assert json.loads(capsys.readouterr().out) == SCHEMA
    call_command("tariff_schema", "--output", str(tmp_path / "s.json"))
    assert json.loads((tmp_path / "s.json").read_text()) == SCHEMA
