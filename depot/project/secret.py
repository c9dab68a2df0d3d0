"""Keep a secret of this installation in a file only its owner can read."""

import secrets
from pathlib import Path


def secret_from(path: Path) -> str:
    """Return the secret in `path`, made and written (mode 600) on the first call."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        candidate = path.with_suffix(f".{secrets.token_hex(4)}")
        candidate.touch(mode=0o600)
        candidate.write_text(secrets.token_urlsafe(50))
        try:
            path.hardlink_to(candidate)  # of several processes starting at once, the first one decides
        except FileExistsError:
            pass
        finally:
            candidate.unlink()
        return path.read_text().strip()
