"""The standing evaluation, from made-up corpora to its page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from typer.testing import CliRunner

from m3ser.cli.app import app
from m3ser.training import load_recipe
from m3ser.training.standing.run import record_group


@pytest.fixture(scope="module")
def data(paired_corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two speech corpora: the made-up EmoDB, and its recordings once more, other in a bit, as SAVEE's."""
    import soundfile

    root = tmp_path_factory.mktemp("data")
    shutil.copytree(paired_corpora, root, dirs_exist_ok=True)
    letters = {"W": "a", "F": "h", "T": "sa", "N": "n"}
    for file in sorted((root / "emodb" / "wav").glob("*.wav")):
        speaker = {"03": "DC", "08": "JE", "09": "JK", "10": "KL"}.get(file.name[:2])
        if speaker is not None:
            waveform, rate = soundfile.read(file)
            (root / "savee").mkdir(exist_ok=True)
            soundfile.write(root / "savee" / f"{speaker}_{letters[file.name[5]]}01.wav", waveform[::-1], rate)
    return root


@pytest.fixture(scope="module", autouse=True)
def _few_sentences() -> Iterator[None]:
    """The made-up text corpus has two of each class and part."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("m3ser.training.standing.questions.PAIRS", 2)
        patched.setattr("m3ser.training.standing.questions.PER_GROUP", 1)
        yield


@pytest.fixture(scope="module")
def reproduce(data: Path, tiny_encoders: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Runs ``m3ser reproduce starter`` with tiny encoders and two folds of speakers; the folder is its ``out``."""
    folder = tmp_path_factory.mktemp("starter")
    settings = [
        "data.voices={emodb: emodb, savee: savee}",
        "data.sentences={goemotions: goemotions}",
        "data.per_clip=1",
        "data.folds=2",
        f"audio_encoder={{kind: whisper, source: {tiny_encoders / 'whisper'}, step_seconds: 0.2}}",
        f"text_encoder={{kind: text, source: {tiny_encoders / 'bert'}}}",
        "model.options={fusion_dim: 16, num_heads: 2}",
        "training.epochs=1",
        "training.pairs_per_epoch=16",
    ]

    def run(*more: str) -> Any:
        command = ["reproduce", "starter", "--data", str(data), "--out", str(folder), "--cache", str(folder / "cache")]
        command += [word for setting in settings for word in ("--set", setting)]
        return CliRunner().invoke(app, [*command, *more], catch_exceptions=False)

    run.out = folder  # type: ignore[attr-defined]
    return run


@pytest.mark.slow
def test_one_group_after_the_other(reproduce: Any) -> None:
    result = reproduce("--only", "choice", "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)["starter"]
    assert list(record["groups"]) == ["choice"]
    assert set(record["groups"]["choice"]["scores"]["voice"]) == {"emodb", "savee", "all"}
    assert "voices" in " ".join(record["changes"]), "what differs from the starter's recipe is told"
    assert record["groups"]["choice"]["scores"]["30 of the speaker"]["all"]["n"]
    run = reproduce.out / "starter" / "shares" / "seed0" / "fold1" / "scores.json"
    trained = run.stat().st_mtime_ns

    # What was asked stays, unless it is to be asked again.
    standing = reproduce.out / "starter" / "standing.json"
    kept = json.loads(standing.read_text(encoding="utf-8"))
    kept["groups"]["choice"]["scores"] = {}
    standing.write_text(json.dumps(kept), encoding="utf-8")
    for more, found in (((), {}), (("--again",), record["groups"]["choice"]["scores"])):
        result = reproduce("--only", "choice", "--json", *more)
        assert json.loads(result.stdout)["starter"]["groups"]["choice"]["scores"] == found

    result = reproduce("--only", "choice,speakers,texts,robustness")
    assert result.exit_code == 0, result.output
    assert run.stat().st_mtime_ns == trained
    page = (reproduce.out / "experiments.md").read_text(encoding="utf-8")
    for heading in ("Choice: validation part", "(a) (e) Unseen speakers", "(c) Sentences", "(f) Degraded"):
        assert f"## {heading}" in page
    assert "(b)" not in page.split("## ")[2], "a group that was not asked for is no table"


@pytest.mark.slow
def test_all_groups(reproduce: Any) -> None:
    result = reproduce("--only", "choice,speakers,corpora,texts,pairs,robustness,profiles", "--json")
    assert result.exit_code == 0, result.output
    groups = json.loads(result.stdout)["starter"]["groups"]
    # Every speaker is tested once, and every corpus.
    assert groups["speakers"]["scores"]["all"]["units"] == groups["corpora"]["scores"]["all"]["units"] == 10
    assert groups["corpora"]["scores"]["mean"] == pytest.approx(
        sum(groups["corpora"]["scores"][name]["ua"] for name in ("emodb", "savee")) / 2
    )
    pairs = groups["pairs"]["scores"]
    assert pairs["both"]["n"] == 2 * pairs["voice"]["n"]
    assert "own words" not in pairs, "neither corpus tells words that the model reads"
    assert {"half without words", "half without words, voice alone"} <= set(pairs)
    for title, group in (("unseen speakers", "speakers"), ("unseen corpora", "corpora")):
        found = groups["profiles"]["scores"][title]
        assert found["none"] == {name: one for name, one in groups[group]["scores"].items() if name in found["none"]}
        assert found["the speaker"]["all"]["n"] == found["none"]["all"]["n"]
        assert found["the speaker"]["mean without"] == pytest.approx(
            sum(found["none"][name]["ua"] for name in ("emodb", "savee")) / 2
        )


@pytest.mark.slow
def test_corpora_that_a_recipe_does_not_train_with(reproduce: Any, data: Path) -> None:
    """EMOVO stands where the starter's recipe looks for it; one corpus alone cannot be left out."""
    emovo = data / "speech" / "emovo" / "f1"
    emovo.mkdir(parents=True)
    letters = {"W": "rab", "F": "gio", "T": "tri", "N": "neu"}
    for number, file in enumerate(sorted((data / "emodb" / "wav").glob("03*.wav"))):
        if file.name[5] in letters:
            shutil.copy(file, emovo / f"{letters[file.name[5]]}-f1-b{number % 3 + 1}.wav")
    emodb = ("--set", "data.voices={emodb: emodb}")
    result = reproduce("--recipe", "starter/open", "--only", "corpora", "--json", *emodb)
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)["starter-open"]
    scores = record["groups"]["corpora"]["scores"]
    assert set(scores) == {"emovo", "all", "mean"}, "Italian is no language that the model reads"
    assert scores["emovo"]["n"] == len(list(emovo.iterdir()))
    assert scores["mean"] == scores["emovo"]["ua"]


def test_a_group_that_is_none(reproduce: Any) -> None:
    result = reproduce("--only", "speed")
    assert result.exit_code == 2
    assert "known are choice, speakers, corpora, texts, pairs, robustness, profiles, costs" in result.stderr.replace(
        "\n", " "
    )


def test_a_recipe_without_pairs(tmp_path: Path) -> None:
    command = ["reproduce", "starter", "--data", str(tmp_path), "--out", str(tmp_path), "--only", "choice"]
    result = CliRunner().invoke(app, [*command, "--recipe", "zoo/emodb/3m-ser-ln"])
    assert result.exit_code == 1
    assert "has data of kind 'corpus'; a starter needs paired data." in result.stderr.replace("\n", " ")


def test_groups_that_are_finished_side_by_side_are_all_kept(tmp_path: Path) -> None:
    """Two processes may each have a group to train for, and either may be the first."""
    recipe = load_recipe("starter")

    def slower() -> dict[str, int]:
        record_group(recipe, tmp_path, "texts", lambda: {"n": 1})
        return {"n": 2}

    record = record_group(recipe, tmp_path, "choice", slower)
    assert {name: group["scores"] for name, group in record["groups"].items()} == {
        "choice": {"n": 2},
        "texts": {"n": 1},
    }
    assert json.loads((tmp_path / "standing.json").read_text(encoding="utf-8")) == record
