"""Find the real inputs that live beside the project and are never copied into it."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("DEPOT_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def shared(*parts: str) -> Path:
    """Return a path below the shared folder; skip the test when it is not on this machine."""
    path = ROOT.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path.relative_to(ROOT.parent)} is not on this machine (set DEPOT_SHARED)")
    return path
