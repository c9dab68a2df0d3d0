"""The door `manage.py battery_wear`: one JSON document, or sentences and exit code 1."""

import io
import json
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

DAY_CSV = "hours,soc\n0,0.5\n3,0.5\n6,0.8\n8,0.6\n24,0.5\n"


def test_the_command_prints_one_json_document(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_text(DAY_CSV)
    out = io.StringIO()
    options = ["--cell", "lfp", "--years", "2", "--temperature", "25", "--repeat"]
    call_command("battery_wear", str(path), *options, "--json", stdout=out)
    assert len(json.loads(out.getvalue())["years"]) == 2
    out = io.StringIO()
    call_command("battery_wear", str(path), *options, stdout=out)
    assert "full cycles" in out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "cell", "words"),
    [
        ("day.csv", b"hours,soc\n0,80\n1,0.5\n", "lfp", "day.csv, row 2, column soc"),
        ("day.csv", b"hours,soc\n0,0.8\n1,0.5\n", "unobtainium", "Known: lfp"),
        ("day.csv", b"\xff\xfeh\x00", "lfp", "not UTF-8"),
        ("none.csv", None, "lfp", "cannot be read"),
    ],
)
def test_wrong_input_ends_the_command_with_1(
    tmp_path: Path, name: str, content: bytes | None, cell: str, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandError, match=words) as caught:
        call_command("battery_wear", str(path), "--cell", cell, "--repeat")
    assert caught.value.returncode == 1
