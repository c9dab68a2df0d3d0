"""Start the processes of the Procfile together, and stop them together."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from honcho.environ import parse_procfile
from honcho.manager import Manager


class PatientManager(Manager):
    """A manager that can also be stopped while its processes are still starting.

    The runner kills by process number, and learns each number a moment after the start.
    """

    def terminate(self) -> None:
        if self._all_started():
            super().terminate()
        else:
            threading.Timer(0.1, self.terminate).start()


def run(commands: Mapping[str, str], env: Mapping[str, str], folder: Path) -> int:
    """Run each command under its name until one ends or Ctrl-C; return the exit code of the first that ended."""
    manager = PatientManager()
    programs = str(Path(sys.executable).parent)
    environment = {**os.environ, **env, "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"}
    for name, command in commands.items():
        manager.add_process(name, f"exec {command}", env=environment, cwd=str(folder))
    manager.loop()
    return int(manager.returncode or 0)


def procfile(folder: Path) -> dict[str, str]:
    """Return the commands of the Procfile by name."""
    return dict(parse_procfile((folder / "Procfile").read_text()).processes)
