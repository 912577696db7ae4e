"""Training voices heard with the profile of their speaker (:mod:`m3ser.profile`), as they may be in prediction.

A model that has only heard voices as they are takes a profile for a voice of nobody that it knows; one that has heard
each now with, now without its speaker's does well by both, and leans less on what tells speakers apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from m3ser.schema import Utterance
from m3ser.training.adversary import groups_of
from m3ser.training.centre import centre_of, recordings_by_group
from m3ser.training.examples import Sequences
from m3ser.training.states import Recording

__all__ = ["Shifts", "shifts_of"]


@dataclass(frozen=True)
class Shifts:
    """What profiles add to the audio states of training recordings.

    Attributes:
        speakers: recording -> the number of its speaker.
        by_speaker: (speakers, dim) float32: the centre of the training part, less how each of them usually sounds.
    """

    speakers: Mapping[Recording, int]
    by_speaker: Tensor

    def of(self, recordings: Sequence[Recording | None], *, share: float) -> Tensor:
        """(recordings, dim): the shift of each, for a share of them drawn from torch's global generator; 0 for others.

        None: there is no voice.
        """
        told = torch.rand(len(recordings)) < share
        numbers = torch.tensor([0 if one is None else self.speakers[one] for one in recordings])
        return self.by_speaker[numbers] * told[:, None]


def shifts_of(training: Sequence[Utterance], audio: Sequences) -> Shifts:
    """Make a profile of all training recordings of each speaker, as :meth:`m3ser.inference.Recogniser.learn` would.

    Args:
        training: the utterances that are learnt from, with voices.
        audio: recording -> states (steps, dim), as the model reads them.
    """
    speakers, count = groups_of(training, "speaker")
    centre = centre_of(recordings_by_group(training), lambda recording: audio[recording])
    assert centre is not None
    total = np.zeros((count, len(centre.mean)))
    heard = np.zeros(count)
    for recording, number in speakers.items():
        total[number] += audio[recording].mean(axis=0, dtype=np.float64)
        heard[number] += 1
    return Shifts(speakers, torch.from_numpy((centre.mean - total / heard[:, None]).astype(np.float32)))
