"""The runner: all processes start together and end together."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from depot.project.processes import procfile

ROOT = Path(__file__).resolve().parents[2]
RUN = (
    "import json, sys; from pathlib import Path; from depot.project.processes import run;"
    "sys.exit(run(json.loads(sys.argv[1]), {'WORD': 'hello'}, Path(sys.argv[2])))"
)
pytestmark = pytest.mark.processes


def start(folder: Path, commands: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, commands, str(folder)], cwd=ROOT, stdout=subprocess.DEVNULL
    )


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def read_when_there(path: Path) -> str:
    for _ in range(200):
        if path.exists() and path.read_text():
            return path.read_text().strip()
        time.sleep(0.05)
    raise AssertionError(f"{path} never came")


def test_procfile_names_the_four_processes() -> None:
    assert list(procfile(ROOT)) == ["web", "worker", "beat", "gateway"]


def test_when_one_process_ends_all_end_and_its_code_is_told(tmp_path: Path) -> None:
    runner = start(
        tmp_path, '{"a": "sh -c \'echo $$ > a; exec sleep 60\'", "b": "sh -c \'sleep 1; exit 3\'"}'
    )
    assert runner.wait(timeout=60) == 3
    assert not alive(int(read_when_there(tmp_path / "a")))


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_stopping_the_runner_stops_every_process(tmp_path: Path, sign: signal.Signals) -> None:
    runner = start(tmp_path, '{"a": "sh -c \'echo $$ > a; exec sleep 60\'"}')
    pid = int(read_when_there(tmp_path / "a"))
    runner.send_signal(sign)
    runner.wait(timeout=60)
    assert not alive(pid)


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is not installed")
def test_killing_the_runner_leaves_no_process_behind(tmp_path: Path) -> None:
    runner = start(tmp_path, '{"a": "sh -c \'echo $$ > a; exec sleep 60\'", "b": "sleep 60"}')
    pid = int(read_when_there(tmp_path / "a"))
    time.sleep(0.5)  # the runner hears of every start
    runner.kill()
    runner.wait(timeout=60)
    for _ in range(100):
        if not alive(pid):
            return
        time.sleep(0.05)
    raise AssertionError("the process outlived its runner")


def test_processes_get_the_environment_and_the_folder(tmp_path: Path) -> None:
    runner = start(tmp_path, '{"a": "sh -c \'echo $WORD > a\'"}')
    assert runner.wait(timeout=60) == 0
    assert read_when_there(tmp_path / "a") == "hello"
