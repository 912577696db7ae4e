from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def with_torch() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")


@pytest.mark.slow
@pytest.mark.usefixtures("with_torch")
def test_every_system_beside_what_is_printed(m3ser: Run) -> None:
    from m3ser.models import names

    result = m3ser("complexity")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    for name in names():
        assert sum(line[:1] == [name] for line in lines) == 3
    assert ["3m-ser", "109,482,240", "72,141,184", "2,552,388", "184,175,812", "203", "M"] in lines
    assert ["3m-ser-ln", "2,552,644", "74,693,828"] in lines
    assert ["3m-ser", "3.41331", "5.18337", "0.10117", "8.69785", "1.74"] in lines
    assert ["text-only", "3.41331", "0.00010", "3.41341", "0.00683"] in lines
    assert "the printed 0.00683 is not possible" in " ".join(result.stdout.split())


@pytest.mark.usefixtures("with_torch")
def test_no_number_is_cut_off_on_a_narrow_screen(m3ser: Run) -> None:
    shown = m3ser("complexity", "server", env={"COLUMNS": "50"}).stdout
    assert "…" not in shown


@pytest.mark.usefixtures("with_torch")
def test_json_for_the_utterance_that_was_asked_for(m3ser: Run) -> None:
    from m3ser.models.complexity import explain, measure

    result = m3ser("complexity", "server", "3m-ser-ln", "server", "--tokens", "8", "--seconds", "2", "--json")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    measured = [measure(name, tokens=8, seconds=2.0) for name in ("server", "3m-ser-ln")]
    assert records == [{**one.to_dict(), "notes": list(explain([one]))} for one in measured]


@pytest.mark.usefixtures("with_torch")
def test_other_widths(m3ser: Run) -> None:
    (record,) = map(json.loads, m3ser("complexity", "server", "--text-dim", "384", "--json").stdout.splitlines())
    assert list(record["parts"]) == ["audio encoder", "fusion"]
    assert record["printed"] is None


@pytest.mark.usefixtures("with_torch")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["5m-ser"], "There is no model '5m-ser'; there are 3m-ser"),
        (["server", "--tokens", "513"], "The text has 513 tokens; expected 1 to 512"),
        (["server", "--seconds", "0.5"], "0.5 s hold no VGGish example"),
    ],
)
def test_bad_use(m3ser: Run, arguments: list[str], complaint: str) -> None:
    result = m3ser("complexity", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in result.stderr


def test_without_the_extra_it_says_what_to_install(m3ser: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "m3ser.models.complexity", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    result = m3ser("complexity")
    assert result.exit_code == 1
    assert (
        result.stderr == "m3ser: Counting a model's operations needs the 'train' extra: pip install \"m3ser[train]\".\n"
    )
