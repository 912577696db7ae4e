"""Sequences of different lengths, in batches that waste little and mask the rest."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["length_batches", "pad", "window_edges", "windows"]


def length_batches(lengths: Sequence[int], *, budget: int) -> list[list[int]]:
    """Group sequences of similar length into batches of limited size.

    Args:
        lengths: of each sequence.
        budget: the most that a batch may come to when padded, that is, its number of sequences times the longest of
            them. A sequence that is longer than this is a batch of its own.

    Returns:
        The positions in `lengths`, each in exactly one batch, the longest sequences first: what does not fit into
        memory then fails before the work is done, not after.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def pad(sequences: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Stack sequences of shape (length, ...) with zeros behind the shorter ones.

    Returns:
        The batch (batch, longest, ...) and its mask (batch, longest), true where it is real. `longest` is at least 1,
        so that a batch of empty sequences is one padded step, as the graphs expect of a missing modality.
    """
    longest = max(1, *(len(sequence) for sequence in sequences))
    batch = np.zeros((len(sequences), longest, *sequences[0].shape[1:]), sequences[0].dtype)
    mask = np.zeros((len(sequences), longest), np.bool_)
    for row, sequence in enumerate(sequences):
        batch[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = True
    return batch, mask


def windows(features: NDArray[Any], *, longest: int) -> list[NDArray[Any]]:
    """Cut features (frames, ...) into as few stretches of at most `longest` frames as possible.

    They are as equal in length as can be: cutting full windows off the front would leave a last one of a few frames,
    in which no encoder hears anything.
    """
    return [features[start:end] for start, end in itertools.pairwise(window_edges(len(features), longest=longest))]


def window_edges(frames: int, *, longest: int) -> list[int]:
    """Where :func:`windows` cuts: each window's first frame, and `frames` at the end; empty for no frames."""
    count = -(-frames // longest)
    return [frames * i // count for i in range(count + 1)] if count else []
