"""A report of what training really writes."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("matplotlib")

from m3ser.evaluation.report import read_run, write_report  # noqa: E402
from m3ser.training import load_recipe  # noqa: E402
from m3ser.training.crossval import crossvalidate  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.slow
def test_from_a_training_to_its_report(tiny_recipe: Path, tmp_path: Path) -> None:
    recipe = load_recipe(tiny_recipe, ["training.epochs=2", "expected=better than chance"])
    found = crossvalidate(recipe, tmp_path / "cv", seeds=(0, 1), cache=tmp_path / "cache")
    assert found is not None
    run = read_run(tmp_path / "cv")
    assert (run.seeds, len(run.folds), run.conditions) == ((0, 1), 3, ("both", "audio", "text"))
    assert (run.expected, run.protocol, run.optimistic) == ("better than chance", "session", "")
    fold = read_run(tmp_path / "cv" / "seed0" / "fold1")
    assert (fold.seeds, len(fold.folds)) == ((0,), 1)
    written = write_report([run], tmp_path / "out", resamples=100)
    (whole,) = written.results.runs
    for condition, scores in found.scores["conditions"].items():
        assert whole.scores[condition].unweighted_accuracy == scores["pooled"]["unweighted_accuracy"]
        deviation = whole.deviations[condition]
        assert deviation is not None
        assert deviation["unweighted_accuracy"] == pytest.approx(
            scores["over_seeds"]["unweighted_accuracy"]["deviation"]
        )
    for training in run.trainings:
        # The epoch that the report takes for the chosen one is among those that were trained.
        assert training.chosen("both") in (1.0, 2.0)
        assert set(training.parts) == {"train", "validation", "test"}
        tested = run.predictions.where(fold=f"fold{training.fold}", seed=0, condition="both")
        assert training.parts["test"].utterances == len(tested)
        assert training.facts["licences"] == {"iemocap": "LicenseRef-IEMOCAP"}
    page, text = (file.read_text(encoding="utf-8") for file in written.files)
    assert "better than chance" in page
    assert "LicenseRef-IEMOCAP" in text
    assert run.trainings[0].facts["corpus_fingerprint"] in text
