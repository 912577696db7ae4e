"""What a model is compared on before and after export: utterances as inputs of its encoders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import FRONT_ENDS
from m3ser.batching import windows
from m3ser.errors import DataError, M3serError
from m3ser.schema import EmotionScheme, Utterance
from m3ser.training.encoding import Encoders
from m3ser.training.states import Recording, token_ids

__all__ = ["Inputs", "Sample", "random_inputs", "window_seconds", "windows_of"]

_WINDOW_SECONDS = 30.0
_LONGEST = 600.0  # what prediction takes at most
_RANDOM_TOKENS, _RANDOM_SECONDS = 24, 4.0


@dataclass(frozen=True, eq=False)
class Inputs:
    """One utterance.

    Attributes:
        windows: features, each (frames, ...) and no longer than the audio encoder takes; empty: no sound.
        ids: token numbers (tokens,); None: no words.
        label: index of its class; None: not known.
        text_label: index of the class that its words are of by themselves, which in a paired corpus are another
            utterance's; None: that of `label`.
    """

    windows: tuple[NDArray[np.float32], ...]
    ids: NDArray[np.int64] | None
    label: int | None
    text_label: int | None = None

    def label_of(self, modality: str | None) -> int:
        """What is right by this modality alone, or by all (None); -1: not known."""
        known = self.text_label if modality == "text" and self.text_label is not None else self.label
        return -1 if known is None else known


class Sample:
    """Utterances, read anew whenever they are gone through: memory does not grow with their number.

    Args:
        utterances: those that have nothing that the model looks at are left out, and those of no class of the scheme.
        encoders: what the inputs are for.
        scheme: the classes.
        source: what they are called in reports.
        limit: at most so many, evenly over the order that they come in; None: all.

    Raises:
        DataError: nothing is left.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        encoders: Encoders,
        scheme: EmotionScheme,
        *,
        source: str,
        limit: int | None = None,
    ) -> None:
        self._encoders = encoders
        self._scheme = scheme
        self.source = source
        usable = [u for u in utterances if self._looked_at(u) and scheme.index_of(u.emotion) is not None]
        if not usable:
            looked_at = [name for name in ("audio", "text") if getattr(encoders, name) is not None]
            raise DataError(
                f"Nothing in {source} can be used; expected utterances with {' or '.join(looked_at)}, of "
                f"{', '.join(scheme.classes)}."
            )
        if limit is not None and len(usable) > limit:
            usable = [usable[i * len(usable) // limit] for i in range(limit)]
        self._utterances = usable
        self.failed: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._utterances)

    def __iter__(self) -> Iterator[Inputs]:
        """The inputs; a recording that cannot be used is left out, and noted in `failed`.

        Raises:
            DataError: none of them can be used.
        """
        given = 0
        for utterance in self._utterances:
            try:
                inputs = self._inputs(utterance)
            except M3serError as error:
                self.failed[str(utterance.audio)] = str(error)
                continue
            if inputs.windows or inputs.ids is not None:
                given += 1
                yield inputs
        if not given:
            why = next(iter(self.failed.values()), "its recordings are too short")
            raise DataError(f"No utterance of {self.source} can be used: {why.rstrip('.')}.")

    def _looked_at(self, utterance: Utterance) -> bool:
        heard = self._encoders.audio is not None and utterance.audio is not None
        return heard or (self._encoders.text is not None and bool(utterance.text))

    def _inputs(self, utterance: Utterance) -> Inputs:
        tokens = self._encoders.tokens
        stretches: tuple[NDArray[np.float32], ...] = ()
        if self._encoders.audio is not None and utterance.audio is not None:
            stretches = windows_of(Recording(utterance.audio, utterance.start, utterance.end), self._encoders)
        ids = None
        if tokens is not None and utterance.text:
            (ids,) = token_ids([utterance.text], tokens)
            ids = ids if len(ids) else None
        words = utterance.extra.get("text_emotion")
        text_label = None if words is None else self._scheme.index_of(words)
        return Inputs(stretches, ids, self._scheme.index_of(utterance.emotion), text_label)


def windows_of(recording: Recording, encoders: Encoders) -> tuple[NDArray[np.float32], ...]:
    """The features of a recording, each (frames, ...) and no longer than the audio encoder takes.

    Raises:
        AudioError: it cannot be used.
    """
    assert encoders.audio is not None
    front_end = FRONT_ENDS[encoders.audio.front_end]
    longest = max(1, int(window_seconds(encoders) * front_end.frames_per_second))
    return tuple(windows(front_end.features(recording.waveform()), longest=longest))


def random_inputs(encoders: Encoders, *, count: int, seed: int = 0) -> list[Inputs]:
    """Noise in the shape of utterances, for want of any: it shows that graphs agree, and nothing of accuracy."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        stretches: tuple[NDArray[Any], ...] = ()
        if encoders.audio is not None:
            samples = round(rng.uniform(0.5, 1.0) * _RANDOM_SECONDS * 16_000)
            noise = (0.1 * rng.normal(size=samples)).astype(np.float32)
            stretches = (FRONT_ENDS[encoders.audio.front_end].features(noise),)
        ids = None
        if encoders.text is not None:
            most = min(_RANDOM_TOKENS, encoders.text.max_tokens or _RANDOM_TOKENS)
            ids = rng.integers(1, encoders.text.vocabulary, rng.integers(min(3, most), most + 1))
        found.append(Inputs(stretches, ids, None))
    return found


def window_seconds(encoders: Encoders) -> float:
    """The longest stretch of sound that the audio encoder is given at once, in seconds.

    As long as it takes, up to half a minute; features without a network are taken whole, as in training.
    """
    audio = encoders.audio
    assert audio is not None
    if audio.max_frames is not None:
        return min(_WINDOW_SECONDS, audio.max_frames / FRONT_ENDS[audio.front_end].frames_per_second)
    return _WINDOW_SECONDS if any(True for _ in audio.parameters()) else _LONGEST
