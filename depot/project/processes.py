"""Start the processes of the Procfile together, and stop them together."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from honcho.environ import parse_procfile
from honcho.manager import Manager


def run(commands: Mapping[str, str], env: Mapping[str, str], folder: Path) -> int:
    """Run each command under its name until one ends or Ctrl-C; return the exit code of the first that ended."""
    manager = Manager()
    programs = str(Path(sys.executable).parent)
    environment = {**os.environ, **env, "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"}
    for name, command in commands.items():
        manager.add_process(name, f"exec {command}", env=environment, cwd=str(folder))
    manager.loop()
    return int(manager.returncode or 0)


def procfile(folder: Path) -> dict[str, str]:
    """Return the commands of the Procfile by name."""
    return dict(parse_procfile((folder / "Procfile").read_text()).processes)
