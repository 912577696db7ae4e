"""The published systems, each one graph in one file, and the composition with their encoders; and systems of one's own.

>>> from m3ser import models
>>> models.names()[:4]
('3m-ser', '3m-ser-ln', '3m-ser-minmax', 'server')
>>> model = models.build("3m-ser-ln", text_dim=768, audio_dim=128, num_labels=4)
>>> model.num_parameters()
2552644

Only what is used is imported: the names and descriptions of the systems need no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from m3ser.errors import needing
from m3ser.models.registry import SYSTEMS, System, build, names, register, system, systems

if TYPE_CHECKING:
    from m3ser.models.base import Classified, FusionModel, FusionOutput
    from m3ser.models.checkpoints import load, save
    from m3ser.models.composition import SpeechEmotionConfig, SpeechEmotionModel
    from m3ser.models.config import FusionConfig
    from m3ser.models.masked import MaskedStates

__all__ = [
    "SYSTEMS",
    "Classified",
    "FusionConfig",
    "FusionModel",
    "FusionOutput",
    "MaskedStates",
    "SpeechEmotionConfig",
    "SpeechEmotionModel",
    "System",
    "build",
    "load",
    "names",
    "register",
    "save",
    "system",
    "systems",
]

_TORCH = {
    "Classified": "base",
    "FusionConfig": "config",
    "FusionModel": "base",
    "FusionOutput": "base",
    "MaskedStates": "masked",
    "SpeechEmotionConfig": "composition",
    "SpeechEmotionModel": "composition",
    "load": "checkpoints",
    "save": "checkpoints",
}


def __getattr__(name: str) -> Any:
    if name not in _TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needing("train", f"m3ser.models.{name}"):
        return getattr(importlib.import_module(f"{__name__}.{_TORCH[name]}"), name)
