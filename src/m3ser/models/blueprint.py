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
    AcousticEncoder,
    Encoder,
    SpeechEncoder,
    TextEncoder,
    VGGish,
    VGGishEncoder,
    WhisperArchitecture,
    WhisperEncoder,
    WordVectorEncoder,
    add_lora,
    freeze,
    freeze_first,
)
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
            **encoder.selection.options(),
        }
    elif isinstance(encoder, SpeechEncoder):
        sizes = {
            "kind": "speech",
            "architecture": _architecture(encoder.model),
            "normalise": encoder.normalise,
            **encoder.selection.options(),
        }
    elif isinstance(encoder, WordVectorEncoder):
        sizes = {"kind": "word-vectors", "rows": encoder.vocabulary, "dim": encoder.dim}
    elif isinstance(encoder, AcousticEncoder):
        sizes = {
            "kind": "acoustic",
            "front_end": encoder.front_end,
            "normalise": encoder.normalise,
            "keep": encoder.keep,
        }
    elif isinstance(encoder, TextEncoder):
        sizes = {
            "kind": "text",
            "architecture": _architecture(encoder.model),
            "pooled": encoder.pooled,
            "pooler": getattr(encoder.model, "pooler", None) is not None,
            "layer": list(encoder.selection.picked),
            "combine": encoder.selection.combine,
        }
    else:
        raise UsageError(f"A {type(encoder).__name__} cannot be saved in a checkpoint; m3ser's own encoders can.")
    learning = {"lora": encoder.lora, "frozen_first": encoder.frozen_first}
    return sizes | {"frozen": encoder.frozen} | {name: value for name, value in learning.items() if value is not None}


def construct(blueprint: Mapping[str, Any]) -> Encoder:
    """The encoder that `blueprint` describes, with random weights.

    Raises:
        CheckpointError: a kind or an option that this version of m3ser does not know.
    """
    options = dict(blueprint)
    kind, frozen = options.pop("kind", None), options.pop("frozen", True)
    lora, first = options.pop("lora", None), options.pop("frozen_first", None)
    if kind not in _CONSTRUCTORS:
        raise CheckpointError(
            f"The checkpoint has an encoder of kind {kind!r}; known kinds are {', '.join(_CONSTRUCTORS)}."
        )
    try:
        encoder = _CONSTRUCTORS[kind](**options)
        if lora is not None:
            add_lora(encoder, **lora)
        elif first is not None:
            freeze_first(encoder, first)
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(f"The checkpoint's encoder of kind '{kind}' cannot be built: {error}.") from error
    return freeze(encoder) if frozen else encoder


def _vggish(*, postprocess: bool) -> Encoder:
    return VGGishEncoder(VGGish(postprocess=postprocess))


def _whisper(*, architecture: Mapping[str, Any], **options: Any) -> Encoder:
    return WhisperEncoder(WhisperArchitecture(**architecture), **options)


def _speech(*, architecture: Mapping[str, Any], **options: Any) -> Encoder:
    return SpeechEncoder.of(_model(architecture), **options)


def _acoustic(*, front_end: str, **options: Any) -> Encoder:
    return AcousticEncoder(front_end, **options)


def _text(*, architecture: Mapping[str, Any], pooler: bool, **options: Any) -> Encoder:
    model = _model(architecture)
    if not pooler:
        model.pooler = None
    return TextEncoder(model, **options)


def _architecture(model: Any) -> dict[str, Any]:
    """The config of a model of transformers, without the place where it once came from."""
    found: dict[str, Any] = json.loads(model.config.to_json_string())
    found.pop("_name_or_path", None)
    return found


def _model(architecture: Mapping[str, Any]) -> Any:
    config = AutoConfig.for_model(**architecture)
    return AutoModel.from_config(config)  # type: ignore[no-untyped-call,unused-ignore]


_CONSTRUCTORS: dict[str, Callable[..., Encoder]] = {
    "acoustic": _acoustic,
    "speech": _speech,
    "text": _text,
    "vggish": _vggish,
    "whisper": _whisper,
    "word-vectors": WordVectorEncoder,
}
