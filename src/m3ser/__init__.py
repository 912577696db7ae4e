"""m3ser: how was it said? Emotion in speech, from audio and text.

>>> import m3ser
>>> recogniser = m3ser.load()                                  # the model that comes with the package
>>> recogniser.predict("clip.wav", text="I'm fine.").label     # doctest: +SKIP
'angry'

Importing m3ser loads nothing heavy; each name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from m3ser.errors import M3serError

if TYPE_CHECKING:
    from m3ser.inference import TRANSCRIBE, Recogniser, Request, list_bundles, load
    from m3ser.inference.annotation import annotate
    from m3ser.schema import EMOTIONS, IEMOCAP4, EmotionScheme, Prediction, Segment, Utterance

__version__ = "0.1.0"

__all__ = [
    "EMOTIONS",
    "IEMOCAP4",
    "TRANSCRIBE",
    "EmotionScheme",
    "M3serError",
    "Prediction",
    "Recogniser",
    "Request",
    "Segment",
    "Utterance",
    "__version__",
    "annotate",
    "list_bundles",
    "load",
]

_HOMES = {
    "annotate": "m3ser.inference.annotation",
    **dict.fromkeys(("TRANSCRIBE", "Recogniser", "Request", "list_bundles", "load"), "m3ser.inference"),
    **dict.fromkeys(("EMOTIONS", "IEMOCAP4", "EmotionScheme", "Prediction", "Segment", "Utterance"), "m3ser.schema"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
