"""An adversary learns who speaks, and the model below it learns the opposite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402
from torch.nn import functional  # noqa: E402

from m3ser import models  # noqa: E402
from m3ser.errors import RecipeError  # noqa: E402
from m3ser.training import load_recipe  # noqa: E402
from m3ser.training.adversary import Adversary, groups_of  # noqa: E402
from m3ser.training.examples import NOBODY  # noqa: E402
from m3ser.training.run import Trained  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


def test_its_loss_is_a_weighed_cross_entropy_of_those_who_are_heard() -> None:
    torch.manual_seed(0)
    adversary = Adversary(6, 3, weight=0.5)
    features, groups = torch.randn(4, 6), torch.tensor([2, NOBODY, 0, 1])
    heard = groups != NOBODY
    expected = 0.5 * functional.cross_entropy(adversary.judge(features[heard]), groups[heard])
    torch.testing.assert_close(adversary(features, groups), expected)
    assert adversary(features, torch.full((4,), NOBODY)) == 0


def test_the_gradient_below_it_is_turned_round() -> None:
    torch.manual_seed(0)
    adversary = Adversary(6, 3, weight=0.5)
    groups = torch.tensor([0, 1, 2, 2])
    features = torch.randn(4, 6, requires_grad=True)
    adversary(features, groups).backward()
    own = [weight.grad.clone() for weight in adversary.parameters()]
    plain = features.detach().requires_grad_()
    adversary.zero_grad()
    (0.5 * functional.cross_entropy(adversary.judge(plain), groups)).backward()
    torch.testing.assert_close(features.grad, -plain.grad)
    for one, weight in zip(own, adversary.parameters(), strict=True):
        torch.testing.assert_close(one, weight.grad)


def test_a_speaker_is_one_of_a_corpus() -> None:
    def utterance(name: str, corpus: str, speaker: str | None) -> SimpleNamespace:
        audio = None if not name else Path(name)
        return SimpleNamespace(audio=audio, start=None, end=None, speaker=speaker, extra={"corpus": corpus})

    said = [utterance("a", "x", "01"), utterance("b", "y", "01"), utterance("c", "x", "02"), utterance("", "x", "03")]
    said += [utterance("d", "x", None)]
    found, count = groups_of(said, "speaker")
    assert (len(found), count) == (4, 4)
    assert len(set(found.values())) == 4
    found, count = groups_of(said, "corpus")
    assert count == 2
    assert [found[key] for key in sorted(found)] == [0, 1, 0, 0]


def test_a_training_against_speakers(run: Callable[..., Trained]) -> None:
    settings = ["training.adversary={against: speaker, weight: 1.0}", "training.modalities.text_alone=0.3"]
    first, same, plain = run(*settings, out="a"), run(*settings, out="b"), run(settings[1], out="c")
    one, other, usual = (load_file(t.folder / "model" / "model.safetensors") for t in (first, same, plain))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert set(one) == set(usual)  # the adversary stays behind
    assert any(not torch.equal(value, usual[name]) for name, value in one.items())
    assert isinstance(models.load(first.folder / "model"), models.FusionModel)


def test_where_it_cannot_be_is_said(run: Callable[..., Trained], tiny_recipe: Path) -> None:
    with pytest.raises(RecipeError, match="mixup and adversary exclude each other"):
        load_recipe(tiny_recipe, ["training.mixup=0.3", "training.adversary={against: corpus}"])
