"""The centre of a model that is exported, as a file of its bundle; see :mod:`m3ser.training.centre`."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from m3ser.schema import Utterance
from m3ser.training.centre import centre_of, recordings_by_group
from m3ser.training.encoding import Encoders
from m3ser.training.exporting.inputs import Inputs, windows_of
from m3ser.training.exporting.runners import Model
from m3ser.training.states import Recording

__all__ = ["CENTRE", "centre_file"]

CENTRE = "audio_centre.npy"

_EACH = 64
"""Recordings of one emotion in one corpus that are heard, at most: their mean hardly changes by more."""


def centre_file(
    model: Model,
    training: Iterable[Utterance],
    encoders: Encoders,
    *,
    waiting: Callable[[str, int], Callable[[], object]],
) -> bytes | None:
    """What :data:`CENTRE` is to hold; None: the model does not listen, or its training's recordings are not at hand.

    Args:
        model: as exported, for int8 states differ a little from those of training.
        training: the training part.
        encoders: what the model listens by.
        waiting: name and number of steps to what is called after each.
    """
    groups = recordings_by_group(training)
    if "audio" not in model.dims or not groups:
        return None

    def states(recording: Recording) -> NDArray[np.float32]:
        return model.states("audio", Inputs(windows_of(recording, encoders), None, None))

    total = sum(min(len(recordings), _EACH) for recordings in groups.values())
    centre = centre_of(groups, states, each=_EACH, on_each=waiting("Finding the centre", total))
    if centre is None:
        return None
    file = io.BytesIO()
    np.save(file, centre, allow_pickle=False)
    return file.getvalue()
