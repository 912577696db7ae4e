"""Encoders as plain values, without their weights and without the place where those once came from.

A checkpoint of a whole model holds all weights itself. It must load where the folder or the Hub repository that its
encoders were fetched from is out of reach, so it cannot keep :class:`m3ser.encoders.EncoderConfig`, which names that
source; it keeps the sizes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from transformers import AutoConfig, AutoModel

from m3ser.encoders import (
    Encoder,
    TextEncoder,
    VGGish,
    VGGishEncoder,
    WhisperArchitecture,
    WhisperEncoder,
    freeze,
)
from m3ser.encoders.whisper import STATES_PER_SECOND
from m3ser.errors import CheckpointError, UsageError

__all__ = ["construct", "describe"]


def describe(encoder: Encoder) -> dict[str, Any]:
    """The sizes and options of `encoder` as JSON-ready values, from which :func:`construct` makes its like.

    Raises:
        UsageError: an encoder of a class that is not m3ser's.
    """
    if isinstance(encoder, VGGishEncoder):
        sizes: dict[str, Any] = {"kind": "vggish", "postprocess": encoder.vggish.pproc is not None}
    elif isinstance(encoder, WhisperEncoder):
        sizes = {
            "kind": "whisper",
            "architecture": asdict(encoder.architecture),
            "layer": list(encoder.picked),
            "combine": encoder.combine,
            "step_seconds": None if encoder.window is None else encoder.window / STATES_PER_SECOND,
            "statistics": encoder.statistics,
        }
    elif isinstance(encoder, TextEncoder):
        sizes = {
            "kind": "text",
            "architecture": json.loads(encoder.model.config.to_json_string()),
            "pooled": encoder.pooled,
            "pooler": getattr(encoder.model, "pooler", None) is not None,
        }
    else:
        raise UsageError(f"A {type(encoder).__name__} cannot be saved in a checkpoint; m3ser's own encoders can.")
    return sizes | {"frozen": encoder.frozen}


def construct(blueprint: Mapping[str, Any]) -> Encoder:
    """The encoder that `blueprint` describes, with random weights.

    Raises:
        CheckpointError: a kind or an option that this version of m3ser does not know.
    """
    options = dict(blueprint)
    kind, frozen = options.pop("kind", None), options.pop("frozen", True)
    if kind not in _CONSTRUCTORS:
        raise CheckpointError(
            f"The checkpoint has an encoder of kind {kind!r}; known kinds are {', '.join(_CONSTRUCTORS)}."
        )
    try:
        encoder = _CONSTRUCTORS[kind](**options)
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(f"The checkpoint's encoder of kind '{kind}' cannot be built: {error}.") from error
    return freeze(encoder) if frozen else encoder


def _vggish(*, postprocess: bool) -> Encoder:
    return VGGishEncoder(VGGish(postprocess=postprocess))


def _whisper(*, architecture: Mapping[str, Any], **options: Any) -> Encoder:
    return WhisperEncoder(WhisperArchitecture(**architecture), **options)


def _text(*, architecture: Mapping[str, Any], pooled: bool, pooler: bool) -> Encoder:
    config = AutoConfig.for_model(**architecture)
    model = AutoModel.from_config(config)  # type: ignore[no-untyped-call,unused-ignore]
    if not pooler:
        model.pooler = None
    return TextEncoder(model, pooled=pooled)


_CONSTRUCTORS: dict[str, Callable[..., Encoder]] = {"text": _text, "vggish": _vggish, "whisper": _whisper}
