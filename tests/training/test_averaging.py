"""Averaged weights, beside the definition."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import save_file  # noqa: E402

from m3ser.training.averaging import Average, average_of, load_weights, save_weights  # noqa: E402
from m3ser.training.run import Trained  # noqa: E402


def trained(average: Average, model: torch.nn.Module, steps: int) -> list[torch.Tensor]:
    """Random steps; the weights after each."""
    seen = []
    for _ in range(steps):
        with torch.no_grad():
            model.weight.add_(torch.randn_like(model.weight))
        average.on_step_end()
        seen.append(model.weight.clone())
    return seen


def test_it_is_the_exponential_average_that_begins_with_the_first_step() -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    average = Average(model, 0.6)
    seen = trained(average, model, 30)
    expected = seen[0]
    for number, weight in enumerate(seen[1:], 1):
        decay = min(0.6, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * weight
    with average.in_place():
        torch.testing.assert_close(model.weight, expected)
    assert torch.equal(model.weight, seen[-1])


def test_an_average_goes_on_from_where_it_was_written(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    average = Average(model, 0.9)
    trained(average, model, 5)
    average.save(tmp_path)
    other = Average(torch.nn.Linear(3, 2), 0.9)
    other.load(tmp_path)
    other._model.load_state_dict(model.state_dict())
    torch.manual_seed(1)
    trained(average, model, 5)
    torch.manual_seed(1)
    trained(other, other._model, 5)
    with average.in_place(), other.in_place():
        assert torch.equal(model.weight, other._model.weight)


def test_a_checkpoint_has_averaged_weights_where_there_are_any(tmp_path: Path) -> None:
    model, wanted = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    save_file(wanted.state_dict(), tmp_path / "model.safetensors")
    load_weights(model, tmp_path)
    assert torch.equal(model.weight, wanted.weight)
    averaged = torch.nn.Linear(3, 2)
    Average(averaged, 0.9).save(tmp_path)
    load_weights(model, tmp_path)
    assert torch.equal(model.weight, averaged.weight)
    assert torch.equal(model.bias, averaged.bias)


def test_the_average_of_several_models(tmp_path: Path) -> None:
    made = []
    for number in range(3):
        model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
        model[1].num_batches_tracked += number
        save_weights(model, tmp_path / f"{number}.safetensors")
        made.append(model.state_dict())
    found = average_of([tmp_path / f"{number}.safetensors" for number in range(3)])
    assert set(found) == set(made[0])
    torch.testing.assert_close(found["0.weight"], sum(one["0.weight"] for one in made) / 3)
    assert found["1.num_batches_tracked"] == 0  # no weight


@pytest.mark.filterwarnings("ignore")
def test_several_trainings_from_the_same_first_weights(
    run: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    from m3ser.training import fitting

    kept: list[dict[str, Any]] = []

    def observed(files: list[Path]) -> dict[str, Any]:
        found = average_of(files)
        kept.append({file.stem: average_of([file]) for file in files} | {"average": found})
        return found

    monkeypatch.setattr(fitting, "average_of", observed)
    single = run("model.scale_audio=false", out="single")
    several = run("model.scale_audio=false", "training.seeds=3", out="several")
    (weights,) = kept
    assert list(weights) == ["seed0", "seed1", "seed2", "average"]
    for name, value in single.fusion.state_dict().items():
        torch.testing.assert_close(weights["seed0"][name], value)  # the first of them is the one that there would be
        torch.testing.assert_close(several.fusion.state_dict()[name], weights["average"][name])
    changed = [name for name in weights["seed0"] if name.endswith("weight")]
    assert any(not torch.equal(weights["seed0"][name], weights["seed1"][name]) for name in changed)


@pytest.mark.filterwarnings("ignore")
def test_finished_ones_are_not_trained_again(run: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch) -> None:
    from m3ser.training import fitting

    whole = run("training.seeds=2", out="whole")
    plain, begun = fitting._fit, []

    def interrupted(*arguments: Any) -> Any:
        if len(begun) == 1:
            raise KeyboardInterrupt
        begun.append(1)
        return plain(*arguments)

    monkeypatch.setattr(fitting, "_fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("training.seeds=2", out="again")
    resumed = []

    def counted(*arguments: Any) -> Any:
        resumed.append(1)
        return plain(*arguments)

    monkeypatch.setattr(fitting, "_fit", counted)
    monkeypatch.setattr("m3ser.training.run.open_run", lambda *_, **__: None)
    again = run("training.seeds=2", out="again")
    assert len(resumed) == 1
    for name, value in whole.fusion.state_dict().items():
        torch.testing.assert_close(again.fusion.state_dict()[name], value)
