"""What the files for Docker and systemd name is there: options of the command, paths, the port, extras."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from m3ser.cli.app import app

EXTRAS = ("serve", "asr", "media")
PORT = "8080"


@pytest.fixture(scope="module")
def dockerfile(repository: Path) -> list[tuple[str, str]]:
    """The Dockerfile's instructions and what they say."""
    text = re.sub(r"^#.*\n", "", (repository / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(name, said.strip()) for name, _, said in (line.partition(" ") for line in lines)]


@pytest.fixture(scope="module")
def compose(repository: Path) -> dict[str, Any]:
    """The one service of compose.yaml."""
    yaml = pytest.importorskip("yaml", reason="needs PyYAML (the train extra)")
    known: dict[str, Any] = yaml.safe_load((repository / "compose.yaml").read_text(encoding="utf-8"))
    return known["services"]["m3ser"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def unit(repository: Path) -> configparser.ConfigParser:
    """deploy/m3ser.service; of settings that are there several times, the last one."""
    known = configparser.ConfigParser(strict=False, interpolation=None)
    known.optionxform = str  # type: ignore[assignment,method-assign]
    known.read(repository / "deploy" / "m3ser.service", encoding="utf-8")
    return known


@pytest.fixture(scope="module")
def options() -> set[str]:
    """What m3ser serve takes."""
    found = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert found.exit_code == 0
    return set(re.findall(r"--[a-z-]+", found.stdout))


def asked(command: list[str]) -> set[str]:
    return {word for word in command if word.startswith("--")}


def test_the_image_starts_what_there_is(dockerfile: list[tuple[str, str]], options: set[str]) -> None:
    said = dict(dockerfile)
    command = json.loads(said["ENTRYPOINT"])
    assert command[:2] == ["m3ser", "serve"]
    assert asked(command)
    assert asked(command) <= options
    assert command[command.index("--port") + 1] == PORT == said["EXPOSE"]
    assert f"http://127.0.0.1:{PORT}/readyz" in said["HEALTHCHECK"]
    assert "curl" not in said["HEALTHCHECK"]
    assert said["USER"].split(":")[0].isdigit()
    assert said["USER"] != "0:0"


def test_the_image_is_built_from_what_there_is(dockerfile: list[tuple[str, str]], repository: Path) -> None:
    sources = [
        word for name, said in dockerfile if name == "COPY" and "--from" not in said for word in said.split()[:-1]
    ]
    admitted = {line[1:] for line in (repository / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(sources) == admitted
    assert all((repository / source).exists() for source in sources)


def test_extras_are_those_of_the_package(dockerfile: list[tuple[str, str]], repository: Path) -> None:
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    with (repository / "pyproject.toml").open("rb") as file:
        known = tomllib.load(file)["project"]["optional-dependencies"]
    wanted = f"[{','.join(EXTRAS)}]"
    assert any(f'install --no-cache-dir --disable-pip-version-check ".{wanted}"' in said for _, said in dockerfile)
    assert f"m3ser{wanted}" in (repository / "deploy" / "m3ser.service").read_text(encoding="utf-8")
    assert not any("torch" in requirement for extra in EXTRAS for requirement in known[extra])


def test_compose_is_closed_but_for_loopback(compose: dict[str, Any], options: set[str]) -> None:
    assert compose["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert asked(compose["command"]) == {"--api-key-file"}
    assert asked(compose["command"]) <= options
    assert compose["command"][1] == f"/run/secrets/{compose['secrets'][0]}"
    assert compose["read_only"] is True
    assert compose["cap_drop"] == ["ALL"]
    assert compose["security_opt"] == ["no-new-privileges:true"]
    assert compose["mem_limit"]


def test_the_unit_starts_what_there_is(unit: configparser.ConfigParser, options: set[str]) -> None:
    service = unit["Service"]
    command = shlex.split(service["ExecStart"])
    assert [Path(command[0]).name, command[1]] == ["m3ser", "serve"]
    assert asked(command) == {"--port", "--api-key-file"}
    assert asked(command) <= options
    credential = service["LoadCredential"].partition(":")[0]
    assert command[command.index("--api-key-file") + 1] == f"%d/{credential}"
    assert (service["DynamicUser"], service["ProtectSystem"]) == ("yes", "strict")


def test_systemd_knows_every_setting_of_the_unit(repository: Path, tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("needs systemd-analyze, which this machine lacks")
    # Its program is installed nowhere here.
    text = (repository / "deploy" / "m3ser.service").read_text(encoding="utf-8")
    (tmp_path / "m3ser.service").write_text(text.replace("/opt/m3ser/bin/m3ser", sys.executable))
    found = subprocess.run(
        [verify, "verify", "--man=no", str(tmp_path / "m3ser.service")], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")


def test_stopping_leaves_time_for_what_was_accepted(unit: configparser.ConfigParser, compose: dict[str, Any]) -> None:
    from m3ser.serving.settings import ServiceSettings

    limit = ServiceSettings().stop_seconds
    assert float(unit["Service"]["TimeoutStopSec"]) > limit
    assert float(compose["stop_grace_period"].removesuffix("s")) > limit


@pytest.mark.parametrize("page", ["deployment.md"])
def test_the_page_asks_for_options_that_there_are(repository: Path, page: str, options: set[str]) -> None:
    text = (repository / "docs" / page).read_text(encoding="utf-8")
    for line in re.findall(r"m3ser serve (.*)$", text, flags=re.MULTILINE):
        assert set(re.findall(r"--[a-z-]+", line)) <= options, line
