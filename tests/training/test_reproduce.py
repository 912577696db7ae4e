"""Whole tables, from a made-up IEMOCAP to the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from typer.testing import CliRunner

from m3ser.cli.app import app
from m3ser.errors import RecipeError, UsageError
from m3ser.training.reproduce import rows_of


@pytest.fixture(scope="module")
def corpus(iemocap_tree: Callable[..., Any]) -> Path:
    """Long enough for the protocol `paper`: two VGGish examples each."""
    root: Path = iemocap_tree(sessions=3, turns=6, labels=("ang", "hap", "sad", "neu"), seconds=(1.95, 2.2)).root
    return root


@pytest.fixture(scope="module")
def reproduce(
    corpus: Path, tiny_encoders: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Any, Path]]:
    """Runs ``m3ser reproduce table1`` with tiny encoders in place of VGGish and BERT."""
    out, cache = tmp_path_factory.mktemp("table1"), tmp_path_factory.mktemp("cache")
    whisper = {"kind": "whisper", "source": str(tiny_encoders / "whisper"), "step_seconds": 0.2}
    settings = [
        f"audio_encoder={json.dumps(whisper)}",
        f"text_encoder.source={tiny_encoders / 'bert'}",
        "training.epochs=1",
        "training.batch_size=8",
    ]

    def run(*more: str) -> tuple[Any, Path]:
        command = ["reproduce", "table1", "--iemocap", str(corpus), "--out", str(out), "--cache", str(cache)]
        command += [word for setting in settings for word in ("--set", setting)]
        return CliRunner().invoke(app, [*command, *more], catch_exceptions=False), out

    return run


@pytest.mark.slow
def test_table_1_from_the_corpus_to_the_report(reproduce: Callable[..., tuple[Any, Path]], corpus: Path) -> None:
    chosen = ["--protocol", "paper", "--protocol", "session", "--system", "server", "--system", "3m-ser-ln-quantised"]
    result, out = reproduce(*chosen, "--seeds", "0,1")
    assert result.exit_code == 0, result.output
    text = (out / "results.md").read_text(encoding="utf-8")
    assert text.strip() in result.stdout
    assert "## paper" in text
    assert "optimistic: as published" in text
    assert "## session" in text
    assert "3 folds, 2 seeds" in text
    assert "UA 80.66" in text, "what was printed stands beside what came out"
    command = "m3ser reproduce table1 --iemocap FOLDER --system server --system 3m-ser-ln-quantised --protocol paper "
    assert f"{command}--protocol session --seeds 0,1 --set " in text
    assert str(corpus) not in text
    for group in ("paper", "session"):
        page = (out / group / "report.html").read_text(encoding="utf-8")
        assert "server" in page
        assert "3m-ser-ln-quantised" in page
    scores = json.loads((out / "session" / "server" / "scores.json").read_text())
    pooled = scores["conditions"]["both"]["pooled"]["unweighted_accuracy"]
    assert f"{100 * pooled:.2f}%" in text

    # The same again trains nothing; another protocol is added, and the table is whole.
    done = (out / "session" / "server" / "seed0" / "fold1" / "scores.json").stat().st_mtime_ns
    again, _ = reproduce(*chosen, "--seeds", "0,1", "--json")
    assert again.exit_code == 0, again.output
    assert (out / "session" / "server" / "seed0" / "fold1" / "scores.json").stat().st_mtime_ns == done
    record = json.loads(again.stdout)
    assert set(record["results"]) == {"paper", "session"}
    assert record["failed"] == []


def test_a_row_that_cannot_be_run_costs_the_others_nothing(
    reproduce: Callable[..., tuple[Any, Path]], tmp_path: Path
) -> None:
    result, out = reproduce(
        *("--protocol", "session", "--system", "text-only", "--system", "audio-only"),
        *("--set", f"text_encoder.source={tmp_path / 'nowhere'}"),
    )
    assert result.exit_code == 1
    assert "text-only on session: " in result.stderr
    text = (out / "results.md").read_text(encoding="utf-8")
    assert "Not run" in text
    assert "nowhere" in text
    assert "audio-only" in text


def test_a_corpus_that_is_not_there_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    command = ["reproduce", "table1", "--iemocap", str(tmp_path / "IEMOCAP"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 1
    assert "IEMOCAP" in result.stderr
    assert "No row of the table could be run." in result.stderr
    assert not (tmp_path / "out").exists()


def test_table_2_is_a_file_too(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["reproduce", "table2", "--out", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    text = (tmp_path / "table2.md").read_text(encoding="utf-8")
    assert "184,176,068" in text
    assert "the printed 0.00683 is not" in text
    assert text.split("```")[1].strip() in result.stdout


@pytest.fixture(scope="module")
def zoo(corpus: Path, tiny_encoders: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Any, Path]]:
    """Runs ``m3ser reproduce zoo`` on the made-up corpus, whatever the group is called, with tiny encoders."""
    out, cache = tmp_path_factory.mktemp("zoo"), tmp_path_factory.mktemp("cache")
    data = {"kind": "corpus", "corpora": {"iemocap": str(corpus)}, "protocol": "session"}
    settings = [
        f"data={json.dumps(data)}",
        f"audio_encoder.source={tiny_encoders / 'whisper'}",
        "audio_encoder.layer=[1, 2]",
        f"text_encoder.source={tiny_encoders / 'bert'}",
        "training.epochs=1",
        "training.batch_size=8",
    ]

    def run(*more: str) -> tuple[Any, Path]:
        command = ["reproduce", "zoo", "--data", str(corpus), "--out", str(out), "--cache", str(cache)]
        command += [word for setting in settings for word in ("--set", setting)]
        return CliRunner().invoke(app, [*command, *more], catch_exceptions=False), out

    return run


@pytest.mark.slow
def test_the_zoo_from_the_corpus_to_the_ranking(zoo: Callable[..., tuple[Any, Path]]) -> None:
    chosen = [word for name in ("are", "3m-ser-ln") for word in ("--system", name)]
    chosen += ["--corpus", "ravdess", "--corpus", "emodb", "--seeds", "0"]
    result, out = zoo(*chosen)
    assert result.exit_code == 0, result.output
    text = (out / "results.md").read_text(encoding="utf-8")
    assert text.index("What the ranking shows, and what it does not") < text.index("How it was made")
    overview = text[text.index("## Overview") : text.index("## The systems")]
    # Those that look at both come first.
    assert overview.index("| 3m-ser-ln | voice and words |") < overview.index("| are | the voice alone |")
    assert "](results.png)" in overview
    assert (out / "results.png").read_bytes().startswith(b"\x89PNG")
    assert "| are | faithful | Yoon, Byun, Jung 2018 (SLT); published code | sigmoid |" in text
    assert "UA against 3m-ser-ln" in text

    # Nothing is trained or measured again, whatever of it is asked for.
    costs = (out / "costs.json").stat().st_mtime_ns
    again, _ = zoo("--corpus", "emodb", "--system", "are", "--seeds", "0", "--json")
    assert again.exit_code == 0, again.output
    assert [one["system"] for one in json.loads(again.stdout)["costs"]["systems"]] == ["are"]
    assert (out / "costs.json").stat().st_mtime_ns == costs


@pytest.mark.slow
def test_damaged_costs_are_said(zoo: Callable[..., tuple[Any, Path]]) -> None:
    _, out = zoo("--corpus", "emodb", "--system", "are", "--seeds", "0")
    (out / "costs.json").write_text("{}")
    result, _ = zoo("--corpus", "emodb", "--system", "are", "--seeds", "0")
    assert result.exit_code == 1
    assert "costs.json' is damaged; delete it" in result.stderr.replace("\n", " ")
    (out / "costs.json").unlink()


def test_table_1_has_no_other_systems_unless_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[list[str]] = []

    def noted(rows: Any, *_: Any, **__: Any) -> Any:
        asked.append(sorted({row.recipe.model.system for row in rows}))
        raise UsageError("enough")

    monkeypatch.setattr("m3ser.training.reproduce.reproduce", noted)
    command = ["reproduce", "table1", "--iemocap", str(tmp_path)]
    CliRunner().invoke(app, command)
    CliRunner().invoke(app, [*command, "--system", "mdre", "--system", "server"])
    six = ["3m-ser", "3m-ser-ln", "3m-ser-minmax", "audio-only", "server", "text-only"]
    assert asked == [six, ["mdre", "server"]]


def test_an_override_needs_to_be_possible_for_what_is_asked_for_alone() -> None:
    settings = ["audio_encoder.source=weights.pth", "training.epochs=1"]
    (row,) = rows_of("iemocap", groups=["session"], systems=["3m-ser-ln-trainable"], overrides=settings)
    assert (row.recipe.audio_encoder.source, row.recipe.training.epochs) == ("weights.pth", 1)
    with pytest.raises(RecipeError, match=r"adcrnn.*unknown key 'audio_encoder\.source'"):
        rows_of("iemocap", groups=["session"], systems=["adcrnn"], overrides=settings)


def test_rows_come_in_the_papers_order() -> None:
    rows = rows_of("iemocap", groups=["session", "paper"], systems=["3m-ser", "server", "3m-ser-ln-trainable"])
    assert [(row.group, row.name) for row in rows[:4]] == [
        ("session", "3m-ser-quantised"),
        ("session", "3m-ser-trainable"),
        ("session", "3m-ser-ln-trainable"),
        ("session", "server"),
    ]
    assert [row.group for row in rows] == ["session"] * 4 + ["paper"] * 4
    everything = rows_of("iemocap")
    assert len(everything) == 4 * 9 + 3 * 10
    assert list(dict.fromkeys(row.group for row in everything)) == ["paper", "session", "speaker", "session+script"]
    with pytest.raises(UsageError, match="no system 'elmo' in this table; it has 3m-ser-ln-quantised, "):
        rows_of("iemocap", systems=["elmo"])
    with pytest.raises(UsageError, match="no group 'official' in this table; it has paper, session, "):
        rows_of("iemocap", groups=["official"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_vggish_is_trained_at_its_published_size(
    iemocap_tree: Callable[..., Any], tiny_encoders: Path, tmp_path: Path
) -> None:
    """The trainable recipe as it stands, batch 1 and all: BERT's weights and the number of epochs are other ones."""
    import torch

    from m3ser import models
    from m3ser.encoders import VGGish

    corpus = iemocap_tree(sessions=2, turns=4, labels=("ang", "hap", "sad", "neu"), seconds=(1.95, 2.2)).root
    weights = tmp_path / "vggish-random.pth"
    torch.manual_seed(0)
    torch.save(VGGish().state_dict(), weights)
    out = tmp_path / "out"
    command = ["reproduce", "table1", "--iemocap", str(corpus), "--out", str(out), "--cache", str(tmp_path / "cache")]
    command += ["--protocol", "paper", "--system", "3m-ser-ln-trainable"]
    for setting in (
        f"audio_encoder.source={weights}",
        f"text_encoder.source={tiny_encoders / 'bert'}",
        "training.epochs=1",
    ):
        command += ["--set", setting]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    text = (out / "results.md").read_text(encoding="utf-8")
    assert "3m-ser-ln-trainable" in text
    assert "optimistic: as published" in text
    assert "Not run" not in text

    (run,) = (out / "paper" / "3m-ser-ln-trainable").glob("seed0/fold*")
    model = models.load(run / "model")
    assert isinstance(model, models.SpeechEmotionModel)
    assert sum(one.numel() for one in model.audio_encoder.parameters()) == 72_141_184
    before = torch.load(weights, weights_only=True)
    after = model.audio_encoder.vggish.state_dict()
    assert after.keys() == before.keys()
    assert [name for name, weight in before.items() if torch.equal(weight, after[name])] == [], "every layer has learnt"
    from transformers import BertModel

    bert = BertModel.from_pretrained(tiny_encoders / "bert").state_dict()
    kept = model.text_encoder.model.state_dict()
    assert all(torch.equal(weight, bert[name]) for name, weight in kept.items()), "BERT stays frozen"
    history = json.loads((run / "log.json").read_text(encoding="utf-8"))
    assert any("eval_both_ua" in record for record in history)
    tested = (run / "predictions.csv").read_text(encoding="utf-8")
    assert ",both," in tested
    assert not (run / "checkpoints").exists()
