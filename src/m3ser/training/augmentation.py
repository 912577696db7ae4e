"""Training recordings as they would sound elsewhere: in a room, in noise, by a narrow line, louder, or a little slower.

Each recording is changed a few times beforehand, at random, and what a frozen encoder makes of every copy is kept like
what it makes of the recording itself; in training an utterance is then heard as one of its copies now and then.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from m3ser.audio import SAMPLE_RATE
from m3ser.errors import needing
from m3ser.training.examples import Example
from m3ser.training.recipe import AugmentationRecipe
from m3ser.training.rooms import in_a_room
from m3ser.training.states import Recording

__all__ = ["CHANGES", "Changed", "copies_of", "hear_copies"]

Waveform = NDArray[np.float32]

_EDITION = 1  # of what is computed here; another one is computed anew in every cache
_GLOBAL_RANDOMNESS = threading.Lock()


def _library() -> Any:
    with needing("augment", "Augmentation"):
        import audiomentations
    return audiomentations


def _pace() -> Callable[[Waveform], Waveform]:
    return _transform(_library().TimeStretch(min_rate=0.9, max_rate=1.1, leave_length_unchanged=False, p=1.0))


def _room() -> Callable[[Waveform], Waveform]:
    def change(waveform: Waveform) -> Waveform:
        seconds, decibels = random.uniform(0.2, 1.0), random.uniform(-3.0, 9.0)  # noqa: S311
        generator = np.random.default_rng(random.getrandbits(32))
        return in_a_room(waveform, generator, seconds=seconds, direct=10 ** (decibels / 10))

    return change


def _noise() -> Callable[[Waveform], Waveform]:
    """From blue (rising by 3 dB an octave) to brown (falling by 6)."""
    return _transform(
        _library().AddColorNoise(min_snr_db=3.0, max_snr_db=30.0, min_f_decay=-6.0, max_f_decay=3.0, p=1.0)
    )


def _band() -> Callable[[Waveform], Waveform]:
    library = _library()
    low = library.HighPassFilter(min_cutoff_freq=100.0, max_cutoff_freq=400.0, min_rolloff=12, max_rolloff=24, p=1.0)
    high = library.LowPassFilter(min_cutoff_freq=2500.0, max_cutoff_freq=6000.0, min_rolloff=12, max_rolloff=24, p=1.0)
    return _transform(library.Compose([low, high]))


def _level() -> Callable[[Waveform], Waveform]:
    return _transform(_library().Gain(min_gain_db=-15.0, max_gain_db=12.0, p=1.0))


CHANGES: Mapping[str, Callable[[], Callable[[Waveform], Waveform]]] = MappingProxyType(
    {"pace": _pace, "room": _room, "noise": _noise, "band": _band, "level": _level}
)
"""Name -> what makes the change, in the order in which they come: somebody speaks, in a room, in noise, into a machine.

pace: 10% slower to 10% faster, the pitch staying; room: 0.2 to 1 s to -60 dB, the direct sound at -3 to 9 dB; noise: of
any colour, at a signal-to-noise ratio of 3 to 30 dB; band: low and high frequencies cut off, as by a line or a small
microphone; level: -15 to 12 dB, clipped.
"""


@dataclass(frozen=True, order=True)
class Changed(Recording):
    """A recording, changed at random, always in the same way.

    Attributes:
        copy: number of the copy.
        changes: name in :data:`CHANGES` -> how probable it is. Where none of them is drawn, one is all the same.
    """

    copy: int = 0
    changes: tuple[tuple[str, float], ...] = ()

    def waveform(self) -> Waveform:
        """See :meth:`~m3ser.training.states.Recording.waveform`.

        Raises:
            AudioError: the recording cannot be used.
            MissingExtraError: the library for it is not installed.
        """
        waveform = super().waveform()
        # By the name: the folder is another one on another machine.
        seed = [_EDITION, self.copy, *self.path.stem.encode(), *f"{self.start} {self.end}".encode()]
        generator = np.random.default_rng(seed)
        shares = dict(self.changes)
        drawn = [name for name in CHANGES if generator.random() < shares.get(name, 0.0)]
        if not drawn:
            names, weights = [*shares], np.array([*shares.values()])
            drawn = [names[generator.choice(len(names), p=weights / weights.sum())]]
        made = [_made(name) for name in drawn]
        with _seeded(int(generator.integers(1 << 32))):
            for change in made:
                waveform = change(waveform)
        return np.clip(waveform, -1.0, 1.0).astype(np.float32, copy=False)

    def digest(self) -> str:
        """See :meth:`~m3ser.training.states.Recording.digest`."""
        return f"{super().digest()} {self.copy} {dict(self.changes)} {_EDITION}"


def copies_of(examples: Iterable[Example], setting: AugmentationRecipe | None) -> list[Example]:
    """Every example that has a recording with each of its copies in the recording's place; None: none."""
    if setting is None:
        return []
    heard = (example for example in examples if example.audio is not None)
    return [replace(example, audio=copy) for example in heard for copy in _copies(example.audio, setting)]


def hear_copies(examples: Sequence[Example], setting: AugmentationRecipe | None) -> Sequence[Example]:
    """Examples as training hears them this time: some by a copy, drawn from torch's global generator."""
    if setting is None:
        return examples
    return [
        replace(example, audio=_copies(example.audio, setting)[int(torch.randint(setting.copies, ()))])
        if example.audio is not None and torch.rand(()).item() < setting.share
        else example
        for example in examples
    ]


def _copies(recording: Recording | None, setting: AugmentationRecipe) -> list[Changed]:
    assert recording is not None
    changes = tuple(sorted(setting.changes.items()))
    return [Changed(recording.path, recording.start, recording.end, copy, changes) for copy in range(setting.copies)]


@lru_cache(maxsize=len(CHANGES))
def _made(name: str) -> Callable[[Waveform], Waveform]:
    return CHANGES[name]()


def _transform(transform: Any) -> Callable[[Waveform], Waveform]:
    def change(waveform: Waveform) -> Waveform:
        changed: Waveform = transform(samples=waveform, sample_rate=SAMPLE_RATE)
        return changed

    return change


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The generators that audiomentations draws from, Python's and NumPy's global ones, seeded and then put back.

    One thread at a time: its transforms keep what they drew, too.
    """
    with _GLOBAL_RANDOMNESS:
        before = random.getstate(), np.random.get_state()  # noqa: NPY002
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002
