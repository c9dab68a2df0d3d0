"""Settings: safe with nothing set, everything from the environment, complaints that name the variable."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRINT = (
    "import json, sys, depot.project.settings as s;"
    "print(json.dumps({name: getattr(s, name, None) for name in sys.argv[1:]}, default=str))"
)


def start(var: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python in an environment that holds nothing but `env`."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "DEPOT_VAR": str(var), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def read(var: Path, *names: str, **env: str) -> dict[str, Any]:
    result = start(var, "-c", PRINT, *names, **env)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_nothing_set_is_one_safe_machine(tmp_path: Path) -> None:
    var = tmp_path / "var"
    found = read(var, "DEBUG", "ALLOWED_HOSTS", "SECRET_KEY", "DATABASES", "CELERY_BROKER_URL", "WEB_HOST")
    assert found["DEBUG"] is False
    assert found["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]
    assert found["SECRET_KEY"] == (var / "secret_key").read_text()
    database = found["DATABASES"]["default"]
    assert database["NAME"] == str(var / "depot.sqlite3")
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]
    assert found["CELERY_BROKER_URL"] == "filesystem://"
    assert found["WEB_HOST"] == "127.0.0.1"
    assert stat.S_IMODE(var.stat().st_mode) == 0o700


def test_database_and_broker_come_from_the_environment(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "DATABASES", "CELERY_BROKER_URL", "CELERY_BROKER_TRANSPORT_OPTIONS", "CELERY_TASK_TIME_LIMIT",
        DATABASE_URL="postgres://depot:word@db.example:5433/site",
        REDIS_URL="redis://broker.example:6379/2",
    )  # fmt: skip
    database = found["DATABASES"]["default"]
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db.example", 5433, "site")
    assert database["CONN_MAX_AGE"] == 0
    assert found["CELERY_BROKER_URL"] == "redis://broker.example:6379/2"
    transport = found["CELERY_BROKER_TRANSPORT_OPTIONS"]
    assert transport["socket_timeout"] and transport["socket_connect_timeout"]
    assert found["CELERY_TASK_TIME_LIMIT"] < transport["visibility_timeout"] / 2


def test_own_names_stay_allowed_beside_the_given_ones(tmp_path: Path) -> None:
    hosts = read(tmp_path, "ALLOWED_HOSTS", DEPOT_ALLOWED_HOSTS="depot.example,bus.example")["ALLOWED_HOSTS"]
    assert hosts == ["depot.example", "bus.example", "localhost", "127.0.0.1", "[::1]"]


def test_given_secret_is_used_and_none_is_written(tmp_path: Path) -> None:
    assert read(tmp_path, "SECRET_KEY", DEPOT_SECRET_KEY="given")["SECRET_KEY"] == "given"
    assert not (tmp_path / "secret_key").exists()


def test_https_secures_cookies_and_redirects(tmp_path: Path) -> None:
    names = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS")
    assert not any(read(tmp_path, *names).values())
    assert all(read(tmp_path, *names, DEPOT_HTTPS="1").values())


def test_no_header_of_a_stranger_makes_a_request_secure(tmp_path: Path) -> None:
    assert read(tmp_path, "SECURE_PROXY_SSL_HEADER", DEPOT_HTTPS="1") == {"SECURE_PROXY_SSL_HEADER": None}


def test_content_policy_allows_only_own_scripts(tmp_path: Path) -> None:
    policy = read(tmp_path, "CONTENT_SECURITY_POLICY")["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]
    assert policy["default-src"] == policy["script-src"] == ["'self'"]
    assert policy["object-src"] == policy["frame-ancestors"] == ["'none'"]
    assert not any("unsafe" in source for sources in policy.values() for source in sources)


def test_deployment_check_has_nothing_to_say(tmp_path: Path) -> None:
    result = start(
        tmp_path, "manage.py", "check", "--deploy", "--fail-level", "WARNING",
        DEPOT_HTTPS="1", DEPOT_ALLOWED_HOSTS="depot.example",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("DEPOT_HTTPS", "perhaps"), ("DEPOT_WEB_PORT", "http"), ("DEPOT_LOG_FORMAT", "xml")]
)
def test_wrong_value_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    result = start(tmp_path, "-c", "import depot.project.settings", **{name: value})
    assert result.returncode != 0
    assert name in result.stderr


LOG = """
import django, logging, structlog
django.setup()
with structlog.contextvars.bound_contextvars(job="plan"):
    logging.getLogger("depot").info("one\\ntwo")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("depot").exception("it broke")
"""


def test_json_log_has_context_and_one_line_a_record(tmp_path: Path) -> None:
    settings = {"DJANGO_SETTINGS_MODULE": "depot.project.settings", "DEPOT_LOG_FORMAT": "json"}
    first, second = start(tmp_path, "-c", LOG, **settings).stderr.splitlines()
    record = json.loads(first)
    assert (record["event"], record["job"], record["level"]) == ("one\ntwo", "plan", "info")
    assert "ZeroDivisionError" in json.loads(second)["exception"]


def test_console_log_is_for_people(tmp_path: Path) -> None:
    lines = start(tmp_path, "-c", LOG, DJANGO_SETTINGS_MODULE="depot.project.settings").stderr.splitlines()
    assert "job=plan" in "".join(lines[:2])
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_readings_are_not_thinned_before_bills_are_final(tmp_path: Path) -> None:
    assert read(tmp_path, "RAW_DAYS", DEPOT_RAW_DAYS="0") == {"RAW_DAYS": 0}
    refused = start(tmp_path, "-c", PRINT, "RAW_DAYS", DEPOT_RAW_DAYS="34")
    assert refused.returncode == 1
    assert "DEPOT_RAW_DAYS must be 0 (keep all) or at least 35" in refused.stderr
