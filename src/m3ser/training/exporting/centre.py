"""The centre of a model that is exported, as files of its bundle; see :mod:`m3ser.training.centre`."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from m3ser.bundle import NeutralPart
from m3ser.schema import Utterance
from m3ser.training.centre import centre_of, recordings_by_group
from m3ser.training.encoding import Encoders
from m3ser.training.exporting.inputs import Inputs, windows_of
from m3ser.training.exporting.runners import Model
from m3ser.training.states import Recording

__all__ = ["CentreFiles", "centre_files"]

_CENTRE = "audio_centre.npy"
_NEUTRAL = "audio_neutral.npy"

_EACH = 64
"""Recordings of one emotion in one corpus that are heard, at most: their mean hardly changes by more."""


@dataclass(frozen=True)
class CentreFiles:
    """The part of a bundle that profiles are held against.

    Attributes:
        files: name -> content; none where the model does not listen, or its training's recordings are not at hand.
        centre, neutral: as an :class:`~m3ser.bundle.AudioPart` names them.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    centre: str | None = None
    neutral: NeutralPart | None = None


def centre_files(
    model: Model,
    training: Iterable[Utterance],
    encoders: Encoders,
    *,
    waiting: Callable[[str, int], Callable[[], object]],
) -> CentreFiles:
    """Hear the training part as the model does.

    Args:
        model: as exported, for int8 states differ a little from those of training.
        training: the training part.
        encoders: what the model listens by.
        waiting: name and number of steps to what is called after each.
    """
    groups = recordings_by_group(training)
    if "audio" not in model.dims or not groups:
        return CentreFiles()

    def states(recording: Recording) -> NDArray[np.float32]:
        return model.states("audio", Inputs(windows_of(recording, encoders), None, None))

    total = sum(min(len(recordings), _EACH) for recordings in groups.values())
    centre = centre_of(groups, states, each=_EACH, on_each=waiting("Finding the centre", total))
    if centre is None:
        return CentreFiles()
    files = {_CENTRE: _array_file(centre.mean)}
    neutral = None
    if centre.neutral is not None:
        files[_NEUTRAL] = _array_file(centre.neutral.offset)
        neutral = NeutralPart(offset=_NEUTRAL, share=centre.neutral.share)
    return CentreFiles(files, _CENTRE, neutral)


def _array_file(array: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
