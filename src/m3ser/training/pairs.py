"""Pairs of voice and words as training sees them: drawn in balance, shown whole or with one half missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from m3ser.batching import pad
from m3ser.schema import EmotionScheme, Utterance
from m3ser.training.recipe import ModalityRecipe

__all__ = ["BalancedSampler", "Collator", "Pair", "PairDataset", "TrainingCollator", "balanced_weights"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Pair:
    """A recording and a sentence by their keys, either None where it is to be missing, and the target."""

    audio: str | None
    text: str | None
    label: int
    text_label: int | None = None


class PairDataset(Dataset[Pair]):
    """Pairs for transformers' Trainer."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Pair:
        return self.pairs[index]


class Collator:
    """Pairs to a padded batch of states with masks.

    Args:
        voices: recording -> its states (steps, audio_dim).
        sentences: sentence -> its states (tokens, text_dim).
        audio_dim, text_dim: their widths, for batches in which nobody has the one or the other.
    """

    def __init__(
        self, voices: Mapping[str, Floats], sentences: Mapping[str, Floats], *, audio_dim: int, text_dim: int
    ) -> None:
        self.voices = voices
        self.sentences = sentences
        self.nothing = {"audio": np.zeros((0, audio_dim), np.float32), "text": np.zeros((0, text_dim), np.float32)}

    def __call__(self, pairs: Sequence[Pair]) -> dict[str, Tensor]:
        """The batch as :meth:`m3ser.models.FusionModel.forward` takes it."""
        audio = [self.nothing["audio"] if pair.audio is None else self.voices[pair.audio] for pair in pairs]
        text = [self.nothing["text"] if pair.text is None else self.sentences[pair.text] for pair in pairs]
        batch: dict[str, Tensor] = {}
        for name, sequences in (("text", text), ("audio", audio)):
            states, mask = pad(sequences)
            batch[name] = torch.from_numpy(states)
            batch[f"{name}_mask"] = torch.from_numpy(mask)
        batch["labels"] = torch.tensor([pair.label for pair in pairs])
        return batch


class TrainingCollator(Collator):
    """A collator that hides halves of pairs and features of voices, at random (torch's global generator)."""

    def __init__(self, *args: Any, modalities: ModalityRecipe, state_dropout: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.modalities = modalities
        self.state_dropout = state_dropout

    def __call__(self, pairs: Sequence[Pair]) -> dict[str, Tensor]:
        """The batch; a pair without its voice has its sentence's emotion as the target."""
        shown = []
        for pair, draw in zip(pairs, torch.rand(len(pairs)).tolist(), strict=True):
            if draw < self.modalities.text_alone and pair.text_label is not None:
                shown.append(Pair(None, pair.text, pair.text_label))
            elif draw < self.modalities.text_alone + self.modalities.audio_alone:
                shown.append(Pair(pair.audio, None, pair.label))
            else:
                shown.append(pair)
        batch = super().__call__(shown)
        if self.state_dropout:
            rows, _, width = batch["audio"].shape
            keep = torch.rand(rows, 1, width) >= self.state_dropout
            batch["audio"] = batch["audio"] * keep / (1 - self.state_dropout)
        return batch


class BalancedSampler(Sampler[int]):
    """Draws with replacement by weight; each epoch's draw follows from the seed and the epoch's number alone."""

    def __init__(self, weights: NDArray[np.float64], *, count: int, seed: int) -> None:
        self.weights = torch.from_numpy(weights)
        self.count = count
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return iter(torch.multinomial(self.weights, self.count, replacement=True, generator=generator).tolist())


def balanced_weights(utterances: Sequence[Utterance], scheme: EmotionScheme, *, power: float) -> NDArray[np.float64]:
    """How likely each utterance is to be drawn: (utterances,), sums to 1.

    The utterances of a group of n, one corpus's voices of one class, weigh n ** -power each.
    """
    groups = [(u.extra.get("corpus", ""), scheme.class_of(u.emotion)) for u in utterances]
    sizes = Counter(groups)
    weights: NDArray[np.float64] = np.array([float(sizes[group]) ** -power for group in groups])
    weights /= weights.sum()
    return weights
