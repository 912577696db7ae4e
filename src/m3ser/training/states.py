"""What does not change while a model is trained, computed once and kept in an Arrow cache.

For a frozen encoder that is its states; for one that is trained, the features that go into it, or what its frozen lower
part makes of them. A cache folder holds one folder for each way of computing (encoder, weights, options), and in it
files of some hundred items each, found by the items' content. Whatever was computed before a crash stays; a corpus that
has grown costs what is new in it; another encoder, option or file never finds what does not belong to it.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from logging import getLogger
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor

from m3ser.audio import FRONT_ENDS, load_waveform
from m3ser.batching import length_batches, pad, windows
from m3ser.encoders import Encoder, EncoderStates
from m3ser.errors import DataError
from m3ser.text import Tokens
from m3ser.training.progress import waiting

__all__ = [
    "EncodeBatch",
    "InMemory",
    "Recording",
    "StateTable",
    "batch_encoder",
    "encode_audio",
    "encode_texts",
    "encode_upper",
    "features_of",
    "file_digest",
    "token_ids",
    "upper_encoder",
]

Floats = NDArray[np.float32]
EncodeBatch = Callable[[NDArray[Any], NDArray[np.bool_]], tuple[Floats, NDArray[np.bool_]]]
"""A padded batch and its mask to states and theirs: a torch encoder or an exported graph."""

_LOG = getLogger(__name__)
_FORMAT = "m3ser states 2"
_SECONDS_BUDGET = 60.0  # of audio in a padded batch
_STEPS_BUDGET = 3000  # of a lower part's states
_TOKEN_BUDGET = 1024  # enough to be fast; more only means more padding
_CHUNK = 256  # items that are computed before they are written


@dataclass(frozen=True, order=True)
class Recording:
    """A stretch of a recording: what an utterance's audio is.

    Attributes:
        path: the file.
        start, end: in seconds; None: from its beginning, to its end.
    """

    path: Path
    start: float | None = None
    end: float | None = None

    def waveform(self) -> Floats:
        """(samples,) at 16 kHz.

        Raises:
            AudioError: it cannot be used.
        """
        return load_waveform(self.path, start=self.start or 0.0, end=self.end)

    def digest(self) -> str:
        """What the waveform follows from: the cache finds its states by this.

        Raises:
            DataError: the file cannot be read.
        """
        return f"{file_digest(self.path)} {self.start} {self.end}"


@dataclass(frozen=True)
class StateTable:
    """States (or features) of many items, memory-mapped.

    Attributes:
        digests: item -> the digest of its content.
        places: digest -> the column that holds it, and its row there.
        shape: of one step: (dim,) for states, (96, 64) for VGGish's features.
    """

    digests: Mapping[Any, str]
    places: Mapping[str, tuple[Any, int]]
    shape: tuple[int, ...]

    def __getitem__(self, item: Any) -> Floats:
        """The states of one item: (steps, *shape) float32."""
        return self.stored(item).astype(np.float32)

    def stored(self, item: Any) -> NDArray[np.floating[Any]]:
        """The same as they are stored: float16, or float32; not in memory but mapped."""
        column, row = self.places[self.digests[item]]
        states: NDArray[np.floating[Any]] = column[row].values.to_numpy(zero_copy_only=True).reshape(-1, *self.shape)
        return states


class InMemory(Mapping[Any, NDArray[Any]]):
    """Some items, held as they are stored; what is float16 is widened each time it is asked for."""

    def __init__(self, held: Mapping[Any, NDArray[Any]]) -> None:
        self._held = held

    def __getitem__(self, item: Any) -> NDArray[Any]:
        found = self._held[item]
        return found.astype(np.float32) if found.dtype == np.float16 else found

    def __iter__(self) -> Iterator[Any]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


def batch_encoder(encoder: Encoder, device: torch.device | str = "cpu") -> EncodeBatch:
    """What a torch encoder makes of a padded batch and its mask before a mix, as a function of arrays.

    Of one that learns: what its frozen lower part does.
    """
    return _of_arrays(encoder.to(device).encode if encoder.prefix_dim is None else encoder.to(device).prefix, device)


def upper_encoder(encoder: Encoder, device: torch.device | str = "cpu") -> EncodeBatch:
    """What an encoder makes of what its frozen lower part has made, as :func:`batch_encoder`."""
    return _of_arrays(encoder.to(device).encode_from, device)


def _of_arrays(computed: Callable[[Tensor, Tensor], EncoderStates], device: torch.device | str) -> EncodeBatch:
    def encode(padded: NDArray[Any], mask: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
        with torch.inference_mode():
            states, states_mask = computed(torch.from_numpy(padded).to(device), torch.from_numpy(mask).to(device))
        return states.float().cpu().numpy(), states_mask.cpu().numpy()

    return encode


def encode_audio(
    recordings: Sequence[Recording],
    encode: EncodeBatch,
    *,
    front_end: str,
    max_frames: int | None,
    dim: int,
    fingerprint: str,
    cache: Path,
    half_precision: bool = True,
) -> StateTable:
    """States of recordings.

    Args:
        recordings: the recordings.
        encode: the encoder.
        front_end: name of its features in :data:`m3ser.audio.FRONT_ENDS`.
        max_frames: the most features that the encoder takes at once; longer ones are cut into equal windows.
        dim: width of its states.
        fingerprint: what identifies the encoder and its options.
        cache: folder of the cache.
        half_precision: keep them as float16.

    Raises:
        AudioError: a recording cannot be used.
        DataError: the cache was written by another version, or cannot be written.
    """
    features = FRONT_ENDS[front_end].features
    budget = round(_SECONDS_BUDGET * FRONT_ENDS[front_end].frames_per_second)

    def compute(items: Sequence[Recording]) -> Iterator[tuple[int, Floats]]:
        # Decoding and the front end run beside the encoder: both leave Python's lock for most of the time.
        with ThreadPoolExecutor(max_workers=2) as pool:
            sequences = list(pool.map(lambda item: features(item.waveform()), items))
        pieces = [windows(sequence, longest=max_frames or max(1, len(sequence))) for sequence in sequences]
        states: dict[int, list[Floats]] = {}
        owners = [index for index, parts in enumerate(pieces) for _ in parts]
        found = dict(_encoded([part for parts in pieces for part in parts], encode, budget))
        for position, owner in enumerate(owners):
            states.setdefault(owner, []).append(found[position])
        for owner, parts in states.items():
            yield owner, parts[0] if len(parts) == 1 else np.concatenate(parts)

    store = _audio_store(cache, front_end, dim, fingerprint, half_precision=half_precision)
    return store.table(recordings, [one.digest() for one in recordings], compute, what="Encoding recordings")


def encode_upper(
    recordings: Sequence[Recording],
    below: StateTable,
    encode: EncodeBatch,
    *,
    front_end: str,
    dim: int,
    fingerprint: str,
    cache: Path,
    half_precision: bool = True,
) -> StateTable:
    """The states that :func:`encode_audio` finds, from what the encoder's lower part made of the recordings before.

    Args:
        recordings: the recordings.
        below: what the lower part made of them, none of it more than the upper one takes at once.
        encode: the upper part.
        front_end: as there, and so is the rest.
        dim: width of the states.
        fingerprint: what identifies the whole encoder and its options.
        cache: folder of the cache.
        half_precision: keep them as float16.

    Raises:
        DataError: the cache was written by another version, or cannot be written.
    """

    def compute(items: Sequence[Recording]) -> Iterator[tuple[int, Floats]]:
        yield from _encoded([below[item] for item in items], encode, _STEPS_BUDGET)

    store = _audio_store(cache, front_end, dim, fingerprint, half_precision=half_precision)
    return store.table(recordings, [one.digest() for one in recordings], compute, what="Encoding recordings")


def features_of(recordings: Sequence[Recording], *, front_end: str, cache: Path) -> StateTable:
    """The front end's features of recordings, for an encoder that is trained; errors as :func:`encode_audio`."""
    front = FRONT_ENDS[front_end]

    def compute(items: Sequence[Recording]) -> Iterator[tuple[int, Floats]]:
        with ThreadPoolExecutor(max_workers=2) as pool:
            yield from enumerate(pool.map(lambda item: front.features(item.waveform()), items))

    store = _Store(cache, ["features", front_end], shape=tuple(front.feature_shape), stored=np.float32)
    return store.table(recordings, [one.digest() for one in recordings], compute, what="Preparing recordings")


def encode_texts(
    texts: Sequence[str], encode: EncodeBatch, *, tokens: Tokens, dim: int, fingerprint: str, cache: Path
) -> StateTable:
    """States of texts, special tokens included; the item is the text itself. Arguments as :func:`encode_audio`."""

    def compute(items: Sequence[str]) -> Iterator[tuple[int, Floats]]:
        yield from _encoded(token_ids(items, tokens), encode, _TOKEN_BUDGET)

    store = _Store(cache, ["text", fingerprint, str(tokens.max_tokens)], shape=(dim,), stored=np.float16)
    texts = sorted(set(texts))
    return store.table(texts, [_digest(text.encode()) for text in texts], compute, what="Encoding sentences")


def token_ids(texts: Sequence[str], tokens: Tokens) -> list[NDArray[np.int64]]:
    """The ids of each text, special tokens included, without padding."""
    ids, mask = tokens.encode(texts)
    return [row[real] for row, real in zip(ids, mask, strict=True)]


def _audio_store(cache: Path, front_end: str, dim: int, fingerprint: str, *, half_precision: bool) -> _Store:
    key = ["audio", front_end, fingerprint]
    return _Store(cache, key, shape=(dim,), stored=np.float16 if half_precision else np.float32)


class _Store:
    """The folder of one way of computing."""

    def __init__(self, cache: Path, key: Sequence[str], *, shape: tuple[int, ...], stored: type[np.generic]) -> None:
        self.shape = shape
        self.stored = stored
        _check_format(cache)
        self.folder = cache / _digest(json.dumps([_FORMAT, list(shape), *key]).encode())[:32]

    def table(
        self,
        items: Sequence[Any],
        digests: Sequence[str],
        compute: Callable[[Sequence[Any]], Iterator[tuple[int, NDArray[Any]]]],
        *,
        what: str,
    ) -> StateTable:
        """What the cache has of `items`, and the rest computed and added to it."""
        places = self._read()
        by_digest = dict(zip(digests, items, strict=True))  # equal content is computed once
        missing = [digest for digest in by_digest if digest not in places]
        if missing:
            with waiting() as progress:
                self._fill(missing, by_digest, compute, progress, what)
            places = self._read()
        return StateTable(dict(zip(items, digests, strict=True)), places, self.shape)

    def _fill(
        self,
        missing: Sequence[str],
        by_digest: Mapping[str, Any],
        compute: Callable[[Sequence[Any]], Iterator[tuple[int, NDArray[Any]]]],
        progress: Progress,
        what: str,
    ) -> None:
        task = progress.add_task(what, total=len(missing))
        for start in range(0, len(missing), _CHUNK):
            chunk = missing[start : start + _CHUNK]
            found: dict[str, NDArray[Any]] = {}
            for index, states in compute([by_digest[digest] for digest in chunk]):
                found[chunk[index]] = states.astype(self.stored).ravel()
                progress.advance(task)
            self._write(found)

    def _write(self, found: Mapping[str, NDArray[Any]]) -> None:
        lengths = [len(states) for states in found.values()]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        values = pa.array(np.concatenate(list(found.values())))
        columns = [pa.array(list(found)), pa.ListArray.from_arrays(pa.array(offsets), values)]
        table = pa.table(columns, names=["digest", "states"])
        draft = self.folder / f".{uuid.uuid4().hex}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with pa.OSFile(str(draft), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
                writer.write_table(table)
            draft.replace(self.folder / f"{uuid.uuid4().hex}.arrow")
        except OSError as error:
            raise DataError(f"The cache '{self.folder}' cannot be written: {error.strerror or error}.") from error
        finally:
            with suppress(OSError):
                draft.unlink()

    def _read(self) -> dict[str, tuple[Any, int]]:
        places: dict[str, tuple[Any, int]] = {}
        for file in sorted(self.folder.glob("*.arrow")):
            try:
                rows = datasets.Dataset.from_file(str(file)).data.table
            except (pa.ArrowInvalid, OSError):
                _LOG.warning("A damaged file of the cache is left out, and its states computed anew: %s.", file)
                with suppress(OSError):
                    file.unlink()
                continue
            column = rows.column("states")
            # Chunks that are combined are copied into memory, one by itself as well.
            column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
            places.update((digest, (column, row)) for row, digest in enumerate(rows.column("digest").to_pylist()))
        return places


def _check_format(cache: Path) -> None:
    """Make sure that the cache is of this version's format; a new one is marked as such."""
    mark = cache / "FORMAT"
    try:
        if mark.is_file():
            found = mark.read_text(encoding="utf-8").strip()
            if found != _FORMAT:
                raise DataError(
                    f"The cache '{cache}' is of another version of m3ser ('{found}', not '{_FORMAT}'): delete it, or "
                    "name another with --cache."
                )
            return
        cache.mkdir(parents=True, exist_ok=True)
        draft = cache / f".FORMAT.{os.getpid()}"
        draft.write_text(_FORMAT + "\n", encoding="utf-8")
        draft.replace(mark)
    except OSError as error:
        raise DataError(f"The cache '{cache}' cannot be used: {error.strerror or error}.") from error


def _encoded(sequences: Sequence[NDArray[Any]], encode: EncodeBatch, budget: int) -> Iterator[tuple[int, Floats]]:
    for batch in length_batches([len(sequence) for sequence in sequences], budget=budget):
        states, mask = encode(*pad([sequences[i] for i in batch]))
        for row, index in enumerate(batch):
            yield index, states[row][mask[row]]


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content; read once, as long as the file stays as it is.

    Raises:
        DataError: it cannot be read.
    """
    try:
        status = path.stat()
        return _digest_of_state(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise DataError(f"Recording '{path}' cannot be read: {error.strerror or error}.") from error


@cache
def _digest_of_state(path: Path, size: int, changed: int) -> str:  # noqa: ARG001
    return _digest(path.read_bytes())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
