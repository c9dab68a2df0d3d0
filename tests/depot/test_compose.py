"""The production files: one Procfile for both ways to run, nothing secret in them, nothing left to guess."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from depot.project.processes import procfile

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES = yaml.safe_load(COMPOSE)["services"]
OURS = ("migrate", "web", "worker", "beat", "gateway")
ON_DEMAND = ("meters",)
ALL_INTERFACES = "0.0.0.0"  # noqa: S104 - inside the container
READ_BY_LIBRARIES = {"FORWARDED_ALLOW_IPS"}
READ_BY_COMPOSE = {"POSTGRES_PASSWORD", "DEPOT_PUBLISH_WEB", "DEPOT_PUBLISH_GATEWAY"}


def run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def test_compose_file_follows_the_compose_specification() -> None:
    checker = str(Path(sys.executable).with_name("check-jsonschema"))
    result = run(checker, "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_process_of_the_procfile_is_a_service() -> None:
    assert set(procfile(ROOT)) == set(OURS) - {"migrate"}
    assert {name for name, service in SERVICES.items() if "profiles" in service} == set(ON_DEMAND)


@pytest.mark.parametrize("name", ["web", "worker", "beat", "gateway"])
def test_service_runs_the_procfile_line(name: str) -> None:
    shell, flag, line = SERVICES[name]["command"]
    assert (shell, flag) == ("sh", "-c")
    assert line.replace("$$", "$") == f"exec {procfile(ROOT)[name]}"


def test_image_runs_the_web_server_by_default() -> None:
    command = re.search(r'^CMD \["sh", "-c", "exec (.+)"\]$', (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert command is not None
    line = re.sub(r"\$\{DEPOT_WEB_HOST:-.*?\}", ALL_INTERFACES, procfile(ROOT)["web"])
    assert command[1] == re.sub(r"\$\{DEPOT_WEB_PORT:-(.*?)\}", r"\1", line)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_service_is_watched_restarted_and_without_root(name: str) -> None:
    service = SERVICES[name]
    if name == "migrate":
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    if name != "postgres":  # its image starts as root to own its folder, then drops to postgres itself
        assert service["user"].split(":")[0] not in ("0", "root")
        assert service["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", ["web", "worker", "beat", "gateway"])
def test_service_starts_after_the_schema_is_there(name: str) -> None:
    waits = SERVICES[name]["depends_on"]
    assert waits["migrate"]["condition"] == "service_completed_successfully"
    assert {waits["postgres"]["condition"], waits["redis"]["condition"]} == {"service_healthy"}


@pytest.mark.parametrize("secret", ["POSTGRES_PASSWORD", "DEPOT_SECRET_KEY", "DEPOT_ALLOWED_HOSTS"])
def test_what_is_required_has_no_default(secret: str) -> None:
    uses = re.findall(rf"\$\{{{secret}(.*?)\}}", COMPOSE)
    assert uses
    assert all(use.startswith(f":?Set {secret} in .env") for use in uses)
    assert re.search(rf"^{secret}=$", (ROOT / ".env.example").read_text(), re.MULTILINE)


def test_database_and_broker_are_out_of_reach_from_outside() -> None:
    document = yaml.safe_load(COMPOSE)
    assert document["networks"]["back"]["internal"] is True
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["back"]
        assert "ports" not in SERVICES[name]


def test_example_environment_names_every_variable_that_is_read() -> None:
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "depot/project/settings.py").read_text()))
    named = set(re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    procfile = (ROOT / "Procfile").read_text()
    in_procfile, set_there = (
        set(re.findall(pattern, procfile)) for pattern in (r"\$\{([A-Z_]+)", r"env ([A-Z_]+)=")
    )
    assert named == (read - set_there) | in_procfile | READ_BY_LIBRARIES | READ_BY_COMPOSE


def test_image_leaves_data_secrets_and_tests_outside() -> None:
    first, *others = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")
    ]
    assert first == "*"
    allowed = {line[1:] for line in others if line.startswith("!")}
    assert allowed.isdisjoint({".env", "var", "tests", ".git", ".venv"})
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = " ".join(re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)).split()
    assert {name for name in copied if name != "."} <= allowed, "the image could not be built"
    assert "--require-hashes" in dockerfile
    assert dockerfile.index("\nUSER depot") < dockerfile.index("\nCMD")
    assert not re.search(r"(SECRET|PASSWORD|TOKEN)\w*=", dockerfile)


def test_static_files_can_be_collected_with_hashed_names(tmp_path: Path) -> None:
    result = run(
        sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0",
        DEPOT_VAR=str(tmp_path / "var"), DEPOT_STATIC_ROOT=str(tmp_path / "static"), DEPOT_STATIC_MANIFEST="1",
        PATH="/usr/bin:/bin",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "static" / "staticfiles.json").exists()
