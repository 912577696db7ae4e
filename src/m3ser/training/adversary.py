"""An adversary: who recognises the speaker, or the corpus, in the fused vector, and is made to fail.

Ganin, Lempitsky (2015), "Unsupervised Domain Adaptation by Backpropagation": it learns by its own loss, and the model
below it by the same gradient turned round. What tells speakers (or corpora) apart is of no use for those never met.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from m3ser.schema import Utterance
from m3ser.training.examples import NOBODY
from m3ser.training.states import Recording

__all__ = ["Adversary", "groups_of"]

_HIDDEN = 64


class Adversary(nn.Module):
    """Tells groups apart by fused vectors, and turns the gradient round that it sends below.

    Args:
        width: of the vectors.
        groups: how many there are.
        weight: of its loss, and of the gradient.
    """

    def __init__(self, width: int, groups: int, *, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.judge = nn.Sequential(nn.Linear(width, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, groups))

    def forward(self, features: Tensor, groups: Tensor) -> Tensor:
        """The weighed cross-entropy of a batch.

        Args:
            features: (batch, width).
            groups: (batch,) int; those that are :data:`~m3ser.training.examples.NOBODY` do not count.
        """
        turned: Tensor = _TurnedRound.apply(features)  # type: ignore[no-untyped-call]
        guesses = self.judge(turned).float()
        heard = groups != NOBODY
        loss = functional.cross_entropy(guesses, groups, ignore_index=NOBODY, reduction="sum")
        return self.weight * loss / heard.sum().clamp(min=1)


def groups_of(utterances: Sequence[Utterance], by: Literal["speaker", "corpus"]) -> tuple[Mapping[Recording, int], int]:
    """The group of each recording of the training part, and how many there are.

    A speaker is one of a corpus: corpora call theirs 01, 02, ... alike.
    """
    names = {
        Recording(u.audio, u.start, u.end): (u.extra.get("corpus", ""), u.speaker if by == "speaker" else "")
        for u in utterances
        if u.audio is not None
    }
    numbers = {name: number for number, name in enumerate(sorted(set(names.values()), key=str))}
    return {recording: numbers[name] for recording, name in names.items()}, len(numbers)


class _TurnedRound(torch.autograd.Function):
    """The identity, whose gradient has the other sign."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:  # noqa: ARG004
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        return gradients[0].neg()
