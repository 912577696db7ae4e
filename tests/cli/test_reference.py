from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from m3ser.cli import reference
from m3ser.cli.app import app

ROOT: Any = typer.main.get_command(app)


def test_the_page_in_docs_is_the_current_one(repository: Path) -> None:
    page = (repository / "docs" / "commands.md").read_text(encoding="utf-8")
    assert page == reference.render(), "docs/commands.md is stale: python -m m3ser.cli.reference writes it anew"


COMMANDS = dict(reference.commands_of(ROOT))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_option_is_explained(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    page = reference.render()
    assert f"\n## m3ser {name}\n" in page
    for param in command.params:
        assert param.help, f"{name} {param.opts} lacks its help"
        if param.param_type_name == "argument" or not param.is_flag:
            assert param.metavar, f"{name} {param.opts} lacks a name for its value"


def test_write_replaces_the_page_whole(tmp_path: Path) -> None:
    page = tmp_path / "commands.md"
    page.write_text("old")
    reference.write(page)
    assert page.read_text(encoding="utf-8") == reference.render()
    assert list(tmp_path.iterdir()) == [page]
