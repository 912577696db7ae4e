"""Recordings of any length: speech found, cut into utterances, each with its words and its emotion. No torch.

A recording is read block by block (:func:`m3ser.audio.open_blocks`); :class:`Segmenter` cuts what it hears by the rules
of :class:`CutSettings`; the recogniser answers the utterances while the next ones are being cut; and
:mod:`m3ser.inference.timeline.formats` and its neighbours write and draw what comes out.
"""

from __future__ import annotations

from m3ser.inference.timeline.envelope import Envelope
from m3ser.inference.timeline.segmenter import Cut, Segmenter
from m3ser.inference.timeline.settings import Channels, CutSettings, TimelineSettings
from m3ser.inference.timeline.smoothing import smoothed
from m3ser.inference.timeline.timeline import Timeline
from m3ser.inference.timeline.voice import SileroVoice, Voice

__all__ = [
    "Channels",
    "Cut",
    "CutSettings",
    "Envelope",
    "Segmenter",
    "SileroVoice",
    "Timeline",
    "TimelineSettings",
    "Voice",
    "smoothed",
]
