"""Averaged weights, beside the definition."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import save_file  # noqa: E402

from m3ser.training.averaging import Average, load_weights  # noqa: E402


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
