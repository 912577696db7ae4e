"""Utterances as training sees them: in an order, whole or with one half missing, in padded batches."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from m3ser.batching import pad
from m3ser.schema import EmotionScheme, Utterance
from m3ser.training.recipe import ModalityRecipe
from m3ser.training.states import Recording

__all__ = [
    "CONDITIONS",
    "NOBODY",
    "BalancedSampler",
    "Collator",
    "Example",
    "ExampleDataset",
    "Sequences",
    "ShuffledSampler",
    "TrainingCollator",
    "balanced_weights",
    "example_of",
    "under",
]

CONDITIONS = ("audio", "text", "both")
"""What a model may be given of an utterance: the voice alone, the words alone, both."""

NOBODY = -1
"""The group of an utterance without a voice: there is nobody for an adversary to find."""


@dataclass(frozen=True)
class Example:
    """An utterance by the keys of its halves, either None where it is to be missing, and the target."""

    audio: Recording | None
    text: str | None
    label: int
    text_label: int | None = None
    """What the words alone say, where that is something else than what the voice says (paired corpora)."""


def example_of(utterance: Utterance, scheme: EmotionScheme) -> Example:
    """An utterance of one of the scheme's classes as an example."""
    label = scheme.index_of(utterance.emotion)
    assert label is not None
    audio = None if utterance.audio is None else Recording(utterance.audio, utterance.start, utterance.end)
    text_emotion = utterance.extra.get("text_emotion")
    return Example(audio, utterance.text, label, None if text_emotion is None else scheme.index_of(text_emotion))


def under(condition: str, example: Example) -> Example | None:
    """What `condition` leaves of an example; None where that is nothing, or half of what it asks for."""
    if condition == "audio":
        return None if example.audio is None else replace(example, text=None)
    if condition == "text":
        label = example.label if example.text_label is None else example.text_label
        return None if example.text is None else replace(example, audio=None, label=label)
    return None if example.audio is None or example.text is None else example


class ExampleDataset(Dataset[Example]):
    """Examples for transformers' Trainer."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]


class Sequences(Protocol):
    """Item -> its states or features, (steps, ...)."""

    def __getitem__(self, item: Any) -> NDArray[Any]: ...


class Collator:
    """Examples to a padded batch with masks.

    Args:
        audio: recording -> what the model reads of it: states (steps, audio_dim), or the features of an encoder that is
            trained; None: nothing, it does not look at audio.
        text: text -> states (tokens, text_dim), or token ids (tokens,); None as above.
        nothing: for "audio" and "text" a sequence without any step, for batches in which nobody has the one or the
            other.
    """

    def __init__(self, audio: Sequences | None, text: Sequences | None, *, nothing: Mapping[str, NDArray[Any]]) -> None:
        self.audio = audio
        self.text = text
        self.nothing = nothing

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """The batch as :meth:`m3ser.models.FusionModel.forward` takes it."""
        batch: dict[str, Tensor] = {}
        for name, table in (("text", self.text), ("audio", self.audio)):
            items = [getattr(one, name) for one in examples]
            states, mask = pad([self.nothing[name] if table is None or i is None else table[i] for i in items])
            batch[name] = torch.from_numpy(states)
            batch[f"{name}_mask"] = torch.from_numpy(mask)
        batch["labels"] = torch.tensor([one.label for one in examples])
        return batch


class TrainingCollator(Collator):
    """A collator that hides halves of examples and features of voices, at random (torch's global generator).

    Args:
        args, kwargs: as :class:`Collator`'s.
        modalities: how often which half is hidden.
        state_dropout: share of a voice's features that are.
        hear: what the examples' recordings become before they are looked up.
        groups: recording -> the group that an adversary is to find; None: there is no adversary.
        targets: examples, as they are shown -> what a teacher says of each, (examples, classes); None: there is no
            teacher.
        shift: recordings, None for what has no voice -> what is added to the audio states of each, (recordings, dim);
            None: nothing is.
    """

    def __init__(
        self,
        *args: Any,
        modalities: ModalityRecipe,
        state_dropout: float,
        hear: Callable[[Sequence[Example]], Sequence[Example]] = list,
        groups: Mapping[Recording, int] | None = None,
        shift: Callable[[Sequence[Recording | None]], Tensor] | None = None,
        targets: Callable[[Sequence[Example]], Tensor] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.modalities = modalities
        self.state_dropout = state_dropout
        self.hear = hear
        self.groups = groups
        self.shift = shift
        self.targets = targets

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """The batch; an example without its voice has what its words say as the target."""
        shown = [self._shown(one) for one in examples]
        batch = super().__call__(self.hear(shown))
        if self.groups is not None:
            batch["groups"] = torch.tensor([NOBODY if one.audio is None else self.groups[one.audio] for one in shown])
        if self.targets is not None:
            batch["teacher"] = self.targets(shown)
        if self.shift is not None:
            # By the recordings themselves: their copies are of the same speaker.
            shifts = self.shift([one.audio for one in shown])
            batch["audio"] = batch["audio"] + shifts[:, None] * batch["audio_mask"][..., None]
        if self.state_dropout:
            rows, _, width = batch["audio"].shape
            keep = torch.rand(rows, 1, width) >= self.state_dropout
            batch["audio"] = batch["audio"] * keep / (1 - self.state_dropout)
        return batch

    def _shown(self, example: Example) -> Example:
        if self.modalities.text_alone == self.modalities.audio_alone == 0.0:
            return example
        draw = torch.rand(()).item()
        condition = "both"
        if draw < self.modalities.text_alone:
            condition = "text"
        elif draw < self.modalities.text_alone + self.modalities.audio_alone:
            condition = "audio"
        return under(condition, example) or example


class _EpochSampler(Sampler[int]):
    """An order of examples that follows from the seed and the epoch's number alone, so that a training can go on.

    Args:
        seed: of the order.
        lengths: where given, neighbours in the order are of similar length: it is sorted within stretches of some
            batches, and cut into batches, whose order is random again.
        batch_size: of these batches.
    """

    BATCHES_IN_A_STRETCH = 50

    def __init__(self, *, seed: int, lengths: NDArray[np.int64] | None = None, batch_size: int = 1) -> None:
        self.seed = seed
        self.lengths = lengths
        self.batch_size = batch_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = self._drawn(generator)
        if self.lengths is not None:
            order = self._bucketed(order, self.lengths, generator)
        return iter(order.tolist())

    @abstractmethod
    def _drawn(self, generator: torch.Generator) -> NDArray[np.int64]:
        """The examples of one epoch, in random order."""

    def _bucketed(
        self, order: NDArray[np.int64], lengths: NDArray[np.int64], generator: torch.Generator
    ) -> NDArray[np.int64]:
        stretch = self.BATCHES_IN_A_STRETCH * self.batch_size
        batches: list[NDArray[np.int64]] = []
        for start in range(0, len(order), stretch):
            part = order[start : start + stretch]
            part = part[np.argsort(lengths[part], kind="stable")]
            batches += [part[i : i + self.batch_size] for i in range(0, len(part), self.batch_size)]
        # The one that is not full stays last: in the middle it would shift all the batches behind it.
        full = [batch for batch in batches if len(batch) == self.batch_size]
        rest = [batch for batch in batches if len(batch) < self.batch_size]
        shuffled = [full[i] for i in torch.randperm(len(full), generator=generator).tolist()]
        return np.concatenate([*shuffled, *rest])


class BalancedSampler(_EpochSampler):
    """Draws with replacement by weight.

    Args:
        weights: how likely each example is to be drawn.
        count: how many are drawn for an epoch.
        options: see :class:`_EpochSampler`.
    """

    def __init__(self, weights: NDArray[np.float64], *, count: int, **options: Any) -> None:
        super().__init__(**options)
        self.weights = torch.from_numpy(weights)
        self.count = count

    def __len__(self) -> int:
        return self.count

    def _drawn(self, generator: torch.Generator) -> NDArray[np.int64]:
        drawn: NDArray[np.int64] = torch.multinomial(
            self.weights, self.count, replacement=True, generator=generator
        ).numpy()
        return drawn


class ShuffledSampler(_EpochSampler):
    """Every example once an epoch.

    Args:
        count: how many examples there are.
        options: see :class:`_EpochSampler`.
    """

    def __init__(self, count: int, **options: Any) -> None:
        super().__init__(**options)
        self.count = count

    def __len__(self) -> int:
        return self.count

    def _drawn(self, generator: torch.Generator) -> NDArray[np.int64]:
        order: NDArray[np.int64] = torch.randperm(self.count, generator=generator).numpy()
        return order


def balanced_weights(utterances: Sequence[Utterance], scheme: EmotionScheme, *, power: float) -> NDArray[np.float64]:
    """How likely each utterance is to be drawn: (utterances,), sums to 1.

    The utterances of a group of n, one corpus's voices of one class, weigh n ** -power each.
    """
    groups = [(u.extra.get("corpus", ""), scheme.class_of(u.emotion)) for u in utterances]
    sizes = Counter(groups)
    weights: NDArray[np.float64] = np.array([float(sizes[group]) ** -power for group in groups])
    weights /= weights.sum()
    return weights
