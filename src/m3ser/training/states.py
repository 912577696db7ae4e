"""What frozen encoders make of every recording and every sentence: computed once, kept in an Arrow cache.

A cache entry is keyed by what it depends on: the encoder's fingerprint and the content of the items. Another encoder,
another option or another file gives another entry; nothing is ever read that does not belong.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from m3ser.audio import FRONT_ENDS, load_waveform
from m3ser.batching import length_batches, pad
from m3ser.encoders import Encoder
from m3ser.text import Tokens
from m3ser.training.progress import console

__all__ = ["EncodeBatch", "StateTable", "batch_encoder", "encode_audio", "encode_texts"]

Floats = NDArray[np.float32]
EncodeBatch = Callable[[NDArray[Any], NDArray[np.bool_]], tuple[Floats, NDArray[np.bool_]]]
"""A padded batch and its mask to states and theirs: a torch encoder or an exported graph."""

_FRAME_BUDGET = 6000  # frames of 10 ms in a padded batch: a minute of audio
_TOKEN_BUDGET = 4096
_DECODE_CHUNK = 512  # recordings whose features are in memory at once


@dataclass(frozen=True)
class StateTable:
    """States of many items, memory-mapped.

    Attributes:
        keys: item -> its row.
        rows: the Arrow table: "states" (flat float16) of each item.
        dim: width of a state.
    """

    keys: dict[str, int]
    rows: datasets.Dataset
    dim: int

    def __getitem__(self, key: str) -> Floats:
        """The states of one item: (steps, dim) float32."""
        flat = np.asarray(self.rows[self.keys[key]]["states"], np.float32)
        return flat.reshape(-1, self.dim)

    def loaded(self, keys: Sequence[str]) -> dict[str, Floats]:
        """The states of several items in memory, for when they are read many times over."""
        return {key: self[key] for key in keys}


def batch_encoder(encoder: Encoder) -> EncodeBatch:
    """A torch encoder, called as ``encoder(padded, mask)``, as a function of arrays."""

    def encode(padded: NDArray[Any], mask: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
        with torch.inference_mode():
            states, states_mask = encoder(torch.from_numpy(padded), torch.from_numpy(mask))
        return states.numpy(), states_mask.numpy()

    return encode


def encode_audio(
    files: Sequence[Path], encode: EncodeBatch, *, front_end: str, dim: int, fingerprint: str, cache: Path
) -> StateTable:
    """States of recordings; the item's key is the file's path as a string.

    Args:
        files: the recordings.
        encode: the encoder.
        front_end: name of its features in :data:`m3ser.audio.FRONT_ENDS`.
        dim: width of its states.
        fingerprint: what identifies the encoder and its options.
        cache: folder of the cache.

    Raises:
        AudioError: a recording cannot be used.
    """
    files = sorted(set(files))
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]

    def states() -> Iterator[tuple[int, Floats]]:
        for start in track(
            range(0, len(files), _DECODE_CHUNK), description="Encoding recordings", transient=True, console=console()
        ):
            chunk = files[start : start + _DECODE_CHUNK]
            features = [FRONT_ENDS[front_end].features(load_waveform(file)) for file in chunk]
            for index, found in _encoded(features, encode, _FRAME_BUDGET):
                yield start + index, found

    key = [front_end, fingerprint, *digests]
    return _cached([str(file) for file in files], states, dim=dim, key=key, cache=cache)


def encode_texts(
    texts: Sequence[str], encode: EncodeBatch, *, tokens: Tokens, dim: int, fingerprint: str, cache: Path
) -> StateTable:
    """States of sentences; the item's key is the sentence. Arguments as for :func:`encode_audio`."""
    texts = sorted(set(texts))

    def states() -> Iterator[tuple[int, Floats]]:
        ids = [tokens.encode([text])[0][0] for text in texts]
        yield from _encoded(ids, encode, _TOKEN_BUDGET, description="Encoding sentences")

    key = [fingerprint, str(tokens.max_tokens), *texts]
    return _cached(texts, states, dim=dim, key=key, cache=cache)


def _encoded(
    sequences: Sequence[NDArray[Any]], encode: EncodeBatch, budget: int, *, description: str = ""
) -> Iterator[tuple[int, Floats]]:
    batches = length_batches([len(sequence) for sequence in sequences], budget=budget)
    for batch in track(batches, description=description, transient=True, disable=not description, console=console()):
        states, mask = encode(*pad([sequences[i] for i in batch]))
        for row, index in enumerate(batch):
            yield index, states[row][mask[row]]


def _cached(
    keys: Sequence[str],
    states: Callable[[], Iterator[tuple[int, Floats]]],
    *,
    dim: int,
    key: Sequence[str],
    cache: Path,
) -> StateTable:
    digest = hashlib.sha256(json.dumps(["states-1", dim, *key]).encode()).hexdigest()[:32]
    folder = cache / digest
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        draft = cache / f".{digest}.{os.getpid()}"
        try:
            features = datasets.Features({"item": datasets.Value("int64"), "states": [datasets.Value("float16")]})

            def rows() -> Iterator[dict[str, Any]]:
                for item, found in states():
                    yield {"item": item, "states": found.astype(np.float16).ravel()}

            made = datasets.Dataset.from_list(list(rows()), features=features)
            made.save_to_disk(str(draft))
            draft.replace(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    table = datasets.load_from_disk(str(folder)).with_format("numpy")
    order = {keys[int(item)]: row for row, item in enumerate(table["item"])}
    return StateTable(order, table, dim)
