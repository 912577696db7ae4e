"""A model taught by another one: beside the right class, what a teacher thinks of every class.

Source: Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (2015). The teacher is trained before,
by a recipe of its own, on the training part of the same fold: nothing that is judged has taught either. It hears and
reads what is in the corpus, whatever becomes of that in training: the student, that hears it in noise or with a
profile, is to think the same of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from m3ser.errors import RecipeError
from m3ser.models.losses import CrossEntropy
from m3ser.training.examples import Example, under
from m3ser.training.judging import conditions_for, logits_of
from m3ser.training.learner import trainee
from m3ser.training.states import Recording

if TYPE_CHECKING:
    from m3ser.training.run import Trained

__all__ = ["Targets", "distillation_loss", "targets_of"]


@dataclass(frozen=True)
class Targets:
    """What a teacher says.

    Attributes:
        logits: (recording or None, text or None) -> its logits (classes,); not empty.
    """

    logits: Mapping[tuple[Recording | None, str | None], Tensor]

    def of(self, examples: Sequence[Example]) -> Tensor:
        """(examples, classes); not a number where the teacher was not asked just that."""
        unknown = torch.full_like(next(iter(self.logits.values())), torch.nan)
        return torch.stack([self.logits.get((one.audio, one.text), unknown) for one in examples])


def targets_of(teacher: Trained, training: Iterable[Example], *, device: torch.device | str) -> Targets:
    """Ask a teacher about the training part: each voice alone, words alone and both, as far as it looks at them.

    Raises:
        RecipeError: nothing there has what it looks at.
    """
    conditions = conditions_for(teacher.fusion.modalities)
    asked: dict[tuple[Recording | None, str | None], Example] = {}
    for example in training:
        for condition in conditions:
            shown = under(condition, example)
            if shown is not None:
                asked.setdefault((shown.audio, shown.text), shown)
    if not asked:
        raise RecipeError(f"The teacher, '{teacher.recipe.name}', looks at {', '.join(conditions)}; nothing has that.")
    model = trainee(teacher.fusion, teacher.encoders, CrossEntropy(), adversary=None, state_dropout=0.0)
    found = torch.from_numpy(logits_of(model, teacher.material, device=device)(list(asked.values())))
    return Targets(dict(zip(asked, found, strict=True)))


def distillation_loss(logits: Tensor, targets: Tensor, *, temperature: float) -> Tensor:
    """How far what a student thinks is from what its teacher does, averaged over a batch.

    Args:
        logits: (batch, classes), the student's.
        targets: (batch, classes), the teacher's; examples of which it says nothing (not a number) count as 0.
        temperature: that both are divided by, so that small probabilities are told apart.

    Returns:
        The mean Kullback-Leibler divergence times the temperature's square, which keeps gradients as large as without.
    """
    told = torch.isfinite(targets).all(dim=1)
    # Where there is no target any would do: its row is not counted, and has to have a gradient of 0.
    wanted = functional.log_softmax(torch.where(told[:, None], targets, 0.0) / temperature, dim=1)
    found = functional.log_softmax(logits.float() / temperature, dim=1)
    apart = functional.kl_div(found, wanted, log_target=True, reduction="none").sum(dim=1)
    return temperature**2 * (apart * told).mean()
