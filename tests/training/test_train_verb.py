"""``m3ser train`` before it trains: what it refuses at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from typer.testing import CliRunner

from m3ser.cli.app import app

RECORD = {"recipe": "starter", "groups": {}, "failed": {}}


@pytest.mark.parametrize(
    ("recipe", "content", "sentence"),
    [
        ("starter", "{", "Record '{file}' cannot be read: "),
        ("starter", None, "Record '{file}' cannot be read: No such file or directory."),
        ("starter", "[]", "'{file}' is not a record of the recipe 'starter' by m3ser reproduce starter."),
        ("starter", json.dumps(RECORD | {"recipe": "other"}), "'{file}' is not a record of the recipe 'starter'"),
        ("zoo/emodb/3m-ser", json.dumps(RECORD), "Recipe '3m-ser (emodb)' makes no bundle"),
    ],
)
def test_a_record_for_the_card_has_to_be_the_recipes_own(
    tmp_path: Path, recipe: str, content: str | None, sentence: str
) -> None:
    file = tmp_path / "record.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    result = CliRunner().invoke(app, ["train", recipe, "--out", str(tmp_path / "run"), "--standing", str(file)])
    assert result.exit_code == 2
    assert sentence.format(file=file) in result.stderr
    assert not (tmp_path / "run").exists()
