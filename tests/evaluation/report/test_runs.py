from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from m3ser.errors import DataError, MissingExtraError
from m3ser.evaluation.report import read_run


def test_a_cross_validation_as_one_record(runs: dict[str, Path]) -> None:
    seen: list[tuple[int, int]] = []
    run = read_run(runs["first"], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert (run.name, run.protocol, run.expected) == ("first", "speaker", "UA 70%, by the paper")
    assert (run.seeds, [one.fold for one in run.folds]) == ((0, 1), [1, 2])
    assert [(one.seed, one.fold) for one in run.trainings] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert run.conditions == ("both", "audio", "text")
    assert run.notes == ("a note",)
    assert (run.paired, run.optimistic, run.marks) == (False, "", ("speaker",))
    assert len(run.predictions) == 2 * 3 * 48
    first = run.trainings[0]
    assert first.fold_name == "speakers 1"
    assert first.temperatures == {"audio": 1.25, "text": 1.25, "both": 1.25}
    assert first.selected_on == "validation"
    assert first.curve("eval_both_ua") == [(1.0, 0.4), (2.0, 0.6), (3.0, 0.5)]
    assert first.chosen("both") == 2.0
    assert first.chosen("nothing") is None


def test_parts_are_counted_by_the_classes_of_the_scheme(runs: dict[str, Path]) -> None:
    train, validation, test = read_run(runs["first"]).folds[0].parts.values()
    assert (test.utterances, test.speakers, test.corpora) == (24, 3, ("made-up",))
    assert dict(test.classes) == {"angry": 6, "happy": 6, "sad": 6, "neutral": 6}
    assert (validation.utterances, validation.speakers) == (8, 1)
    assert (train.utterances, train.speakers) == (16, 2)


def test_what_makes_a_score_less_than_it_seems(
    runs: dict[str, Path], tmp_path: Path, write_run: Callable[..., Path]
) -> None:
    paper = read_run(runs["paper"])
    assert paper.marks == ("paper", "optimistic: as published")
    assert paper.trainings[0].selected_on == "test"
    assert read_run(runs["paired"]).marks == ("speaker", "paired (semi-synthetic)")
    by_comment = write_run(tmp_path / "manifest", comment="paired (semi-synthetic): a manifest of pairs")
    assert read_run(by_comment).paired
    official = read_run(write_run(tmp_path / "official", protocol="official", validation=False))
    assert official.optimistic == "optimistic: best epoch chosen on the test part"


def test_folds_that_are_missing_are_named(runs: dict[str, Path], tmp_path: Path) -> None:
    def damaged(name: str, *gone: str) -> Path:
        copy = shutil.copytree(runs["first"], tmp_path / name)
        for one in gone:
            path = copy / one
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return copy

    for name, gone, says in (
        ("a", ["scores.json", "seed0/fold2/scores.json"], "of 2 seeds and at least 2 folds, seed0/fold2 are missing"),
        ("b", ["scores.json", "seed1/fold2"], "seed1/fold2 are missing"),
        ("c", ["scores.json"], "4 folds that are there have not been added up"),
        ("d", ["seed0", "seed1"], "has lost its folds: seed0/fold1, seed0/fold2, seed1/fold1, seed1/fold2"),
        ("e", ["seed1"], "has lost folds that its scores are of: seed1/fold1, seed1/fold2"),
    ):
        with pytest.raises(DataError, match=says) as caught:
            read_run(damaged(name, *gone))
        assert "\n" not in str(caught.value)
    copy = damaged("f")
    shutil.copytree(copy / "seed0", copy / "seed7")
    with pytest.raises(DataError, match="lack folds whose folders are there: seed7/fold1, seed7/fold2"):
        read_run(copy)


def test_what_is_no_run_or_not_finished_is_said(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="nowhere' is not the folder of a run: not there"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(
        DataError, match=r"has no recipe.yaml; expected what m3ser train, m3ser crossval or m3ser evaluate made"
    ):
        read_run(tmp_path)
    run = write_run(tmp_path / "run")
    with pytest.raises(DataError, match="it is a file"):
        read_run(run / "recipe.yaml")
    (run / "scores.json").unlink()
    with pytest.raises(DataError, match=r"is not finished: it has no scores.json; .* --resume"):
        read_run(run)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("run.json", "{", "'.*run.json' is damaged: not JSON"),
        ("run.json", "[]", "'.*run.json' is damaged: it holds a list; expected a dict"),
        ("run.json", "{}", "run.json' or its scores.json is damaged: KeyError at 'seed'"),
        ("scores.json", '{"temperatures": {"both": "warm"}}', "its scores.json is damaged: ValueError"),
        ("log.json", "", "'.*log.json' is damaged: not JSON"),
        ("audit.json", None, "'.*audit.json' cannot be read: No such file"),
        ("predictions.csv", None, "Predictions '.*' cannot be read"),
        ("recipe.yaml", "{", "Recipe '.*' is not valid YAML"),
        ("recipe.yaml", "name: x", "Recipe '.*' is damaged; expected at least a name and data"),
        ("recipe.yaml", "{name: x, data: {scheme: none}}", "Recipe of the run in '.*'"),
        ("split.csv", "audio,emotion\n", "Split '.*' is damaged: it has no column split"),
        ("split.csv", "emotion,split\n", "Split '.*' lists no utterance"),
        ("split.csv", "emotion,split\nsad,held\n", "Split '.*' has a part 'held'; expected one of train, validation"),
        ("split.csv", None, "Split '.*' cannot be read"),
    ],
)
def test_a_damaged_file_is_named(
    tmp_path: Path, write_run: Callable[..., Path], name: str, content: str | None, says: str
) -> None:
    run = write_run(tmp_path / "run")
    (run / name).unlink() if content is None else (run / name).write_text(content)
    with pytest.raises(DataError, match=says) as caught:
        read_run(run)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    run = write_run(tmp_path / "run")
    (run / "run.json").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="is damaged: it is not UTF-8"):
        read_run(run)


def test_a_run_of_an_earlier_version_has_no_licences(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    run = write_run(tmp_path / "run")
    facts = json.loads((run / "run.json").read_text())
    del facts["licences"], facts["peak_memory"], facts["fold_name"]
    (run / "run.json").write_text(json.dumps(facts))
    assert read_run(run).trainings[0].fold_name == "fold 1"


def test_without_yaml(runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtraError, match="Reading a run needs the 'train' extra"):
        read_run(runs["first"])
