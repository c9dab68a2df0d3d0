"""The secret of an installation: made once, by whoever comes first, read by its owner alone."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from depot.project.secret import secret_from


def test_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret_key"
    first = secret_from(path)
    assert len(first) >= 50
    assert secret_from(path) == first == path.read_text()


def test_two_installations_have_two_secrets(tmp_path: Path) -> None:
    assert secret_from(tmp_path / "one") != secret_from(tmp_path / "other")


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    secret_from(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_processes_that_start_together_agree_and_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    with ThreadPoolExecutor(max_workers=16) as pool:
        secrets = set(pool.map(secret_from, [path] * 64))
    assert secrets == {path.read_text()}
    assert list(tmp_path.iterdir()) == [path]
