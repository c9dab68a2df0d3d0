"""Start the processes of the Procfile together, and stop them together."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.process import Process

PR_SET_PDEATHSIG = 1  # prctl(2): the signal this process gets when its parent dies


class Companion(Process):
    """The runner's reader of one process's output; it ends with the runner, also when that is killed outright."""

    def run(self, *args: Any, **kwargs: Any) -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        super().run(*args, **kwargs)


class PatientManager(Manager):
    """A manager that can also be stopped while its processes are still starting.

    The runner kills by process number, and learns each number a moment after the start.
    """

    def __init__(self) -> None:
        super().__init__()
        self._process_ctor = Companion

    def terminate(self) -> None:
        if self._all_started():
            super().terminate()
        else:
            threading.Timer(0.1, self.terminate).start()


def run(commands: Mapping[str, str], env: Mapping[str, str], folder: Path) -> int:
    """Run each command under its name until one ends or Ctrl-C; return the exit code of the first that ended.

    On Linux the processes also end when this one is killed outright, so that the next start meets none of them.
    """
    manager = PatientManager()
    programs = str(Path(sys.executable).parent)
    environment = {**os.environ, **env, "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"}
    leash = "setpriv --pdeathsig TERM " if shutil.which("setpriv") else ""
    for name, command in commands.items():
        manager.add_process(name, f"exec {leash}{command}", env=environment, cwd=str(folder))
    manager.loop()
    return int(manager.returncode or 0)


def procfile(folder: Path) -> dict[str, str]:
    """Return the commands of the Procfile by name."""
    return dict(parse_procfile((folder / "Procfile").read_text()).processes)
