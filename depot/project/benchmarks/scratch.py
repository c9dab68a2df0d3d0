"""A folder, a database and a broker of a benchmark's own, beside the configured ones and gone afterwards."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis
from psycopg import sql

REDIS_DATABASES = range(15, -1, -1)


class BenchmarkError(RuntimeError):
    """The measurement could not be made; the message says why and what to do."""


def run_apart(
    module: str, size: Mapping[str, Any], database_url: str, redis_url: str, more: Mapping[str, str]
) -> dict[str, Any]:
    """Run `python -m module SIZE` in an environment of its own and return the JSON object it prints.

    URLs that are empty stand for SQLite and the broker in a folder. Nothing of the user's is read or written.
    Raises BenchmarkError where the run failed.
    """
    with (
        tempfile.TemporaryDirectory(prefix="depot-benchmark-") as folder,
        scratch_database(database_url) as own,
        _broker(redis_url) as broker,
    ):
        env = os.environ | {
            "DEPOT_VAR": folder,
            "DATABASE_URL": own,
            "REDIS_URL": broker,
            "DEPOT_LOG_LEVEL": "WARNING",
            **more,
        }
        if not own:
            env.pop("DATABASE_URL")
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", module, json.dumps(dict(size))],
            env=env,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    if done.returncode:
        raise BenchmarkError("The run failed; what it said stands above.")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


@contextmanager
def scratch_database(url: str) -> Iterator[str]:
    """Make a database of its own on the server of `url` and drop it afterwards; "" stays "" (SQLite in a folder)."""
    if not url.startswith(("postgres://", "postgresql://")):
        yield ""
        return
    name = f"depot_benchmark_{secrets.token_hex(4)}"
    server = urlunsplit(urlsplit(url)._replace(path="/postgres"))
    _administer(server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    finally:
        _administer(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _administer(server: str, statement: sql.Composed) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)


@contextmanager
def _broker(url: str) -> Iterator[str]:
    """Choose an empty Redis database on the server of `url`, the named one first, and leave it empty again.

    "" stays "" (a broker in a folder).
    """
    if not url:
        yield ""
        return
    address = _empty_redis(url)
    try:
        yield address
    finally:
        with redis.Redis.from_url(address) as client:
            for key in client.scan_iter("depot:*"):
                client.delete(key)


def _empty_redis(url: str) -> str:
    named = urlsplit(url).path.strip("/")
    for number in (int(named or 0), *REDIS_DATABASES):
        address = urlunsplit(urlsplit(url)._replace(path=f"/{number}"))
        with redis.Redis.from_url(address) as client:
            if client.dbsize() == 0:
                return address
    raise BenchmarkError("No Redis database is empty. Leave out REDIS_URL to use a broker in a folder.")
