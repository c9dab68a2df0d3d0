"""Keep a solver's banner out of the figures."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_banner() -> Iterator[None]:
    """Keep off standard output what HiGHS prints there, past Python, whenever its public class is made."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(nowhere)
        os.close(kept)
