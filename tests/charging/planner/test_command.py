"""manage.py solve: one document out, or one sentence a problem and exit code 1; usage is exit code 2."""

import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tests.charging.planner.small import document


@pytest.fixture
def case_file(tmp_path):
    path = tmp_path / "case.json"
    path.write_text(json.dumps(document()), encoding="utf-8")
    return path


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        call_command("solve", *map(str, arguments))
    printed = capsys.readouterr()
    assert (caught.value.code, printed.out) == (1, "")
    return printed.err.splitlines()


def test_the_plan_is_one_document_on_standard_output(case_file, capfd):
    call_command("solve", str(case_file))
    assert json.loads(capfd.readouterr().out)["status"] == "optimal"


def test_the_plan_goes_into_a_file(case_file, tmp_path, capsys):
    target = tmp_path / "plan.json"
    call_command("solve", str(case_file), "-o", str(target), "--time-limit", "5")
    assert json.loads(target.read_text(encoding="utf-8"))["case"] == "small"
    assert capsys.readouterr().out == ""


def test_wrong_input_names_file_place_and_cure(case_file, tmp_path, capsys):
    case_file.write_text(json.dumps(document(steps=5, version=2)), encoding="utf-8")
    problems = refused(capsys, case_file)
    assert problems[0] == f"{case_file}: version: 2 is not supported; use 1"
    assert len(problems) == 2
    assert "gone.json: No such file or directory; give a file" in refused(capsys, tmp_path / "gone.json")[0]
    case_file.write_bytes(b"\xff\xfe{")
    assert refused(capsys, case_file) == [f"{case_file}: is not text in UTF-8; save the case as UTF-8 JSON"]


@pytest.mark.parametrize("limit", ["0", "-3", "nan", "soon"])
def test_a_wrong_time_limit_is_a_usage_error(case_file, limit):
    with pytest.raises(CommandError, match="--time-limit"):
        call_command("solve", str(case_file), "--time-limit", limit)
