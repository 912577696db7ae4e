"""What an encoder is made from, in a form that a checkpoint or a recipe can keep: plain values, and back again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from m3ser.encoders.base import Encoder, freeze
from m3ser.encoders.pooling import Statistics
from m3ser.encoders.published import BERT_BASE
from m3ser.encoders.text import TextEncoder
from m3ser.encoders.vggish import VGGish, VGGishEncoder
from m3ser.encoders.whisper import Combine, WhisperEncoder
from m3ser.errors import UsageError

__all__ = ["EncoderConfig", "TextConfig", "VGGishConfig", "WhisperConfig", "build_encoder"]

PUBLISHED = "published"


class _Config(BaseModel):
    """One encoder's source and options.

    Attributes:
        frozen: whether it stays as it is; see :func:`~m3ser.encoders.freeze`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    frozen: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON-ready values, from which :func:`build_encoder` builds the same encoder."""
        return self.model_dump(mode="json")


class VGGishConfig(_Config):
    """VGGish.

    Attributes:
        source: ``published`` (the AudioSet weights), a local file, or None for random weights.
        pca: ``published``, or a local file; used with `postprocess` only.
        postprocess: the AudioSet release's quantising post-processing, which lets no gradient through.
    """

    kind: Literal["vggish"] = "vggish"
    source: str | None = PUBLISHED
    pca: str = PUBLISHED
    postprocess: bool = False

    @model_validator(mode="after")
    def _check(self) -> VGGishConfig:
        if self.postprocess and not self.frozen:
            raise ValueError("VGGish cannot be trained through its post-processing: postprocess needs frozen")
        if self.postprocess and self.source is None:
            raise ValueError("VGGish with random weights has no post-processing: postprocess needs a source")
        return self

    def build(self) -> VGGishEncoder:
        """The encoder that this describes."""
        if self.source is None:
            vggish = VGGish()
        else:
            vggish = VGGish.from_published(
                postprocess=self.postprocess,
                weights_file=None if self.source == PUBLISHED else self.source,
                pca_file=None if self.pca == PUBLISHED else self.pca,
            )
        encoder = VGGishEncoder(vggish)
        return freeze(encoder) if self.frozen else encoder


class WhisperConfig(_Config):
    """The encoder of a Whisper model; see :class:`~m3ser.encoders.WhisperEncoder` for the options."""

    kind: Literal["whisper"] = "whisper"
    source: str
    revision: str | None = None
    layer: int | list[int] | None = None
    combine: Combine = "concat"
    step_seconds: float | None = None
    statistics: Statistics = "mean"

    def build(self) -> WhisperEncoder:
        """The encoder that this describes."""
        return WhisperEncoder.from_pretrained(**self.model_dump(exclude={"kind"}))


class TextConfig(_Config):
    """A text encoder of the BERT family; see :class:`~m3ser.encoders.TextEncoder` for the options."""

    kind: Literal["text"] = "text"
    source: str = BERT_BASE
    revision: str | None = None
    pooled: bool = False

    def build(self) -> TextEncoder:
        """The encoder that this describes."""
        return TextEncoder.from_pretrained(**self.model_dump(exclude={"kind"}))


EncoderConfig = VGGishConfig | WhisperConfig | TextConfig

_KINDS: dict[str, type[EncoderConfig]] = {
    config.model_fields["kind"].default: config for config in get_args(EncoderConfig)
}


def build_encoder(spec: EncoderConfig | Mapping[str, Any]) -> Encoder:
    """Build an encoder from its config, or from that config as a dictionary with the key ``kind``.

    The encoder's `config` attribute says what it was built from.

    Raises:
        UsageError: an unknown kind (the message lists the known ones), an unknown option or an impossible value.
        CheckpointError: the source is not what it should be.
        DownloadError: the source could not be fetched.
    """
    config = _parse(spec) if isinstance(spec, Mapping) else spec
    encoder = config.build()
    encoder.config = config
    return encoder


def _parse(spec: Mapping[str, Any]) -> EncoderConfig:
    kind = spec.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise UsageError(f"There is no encoder of kind {kind!r}; known kinds are {', '.join(sorted(_KINDS))}.")
    config = _KINDS[kind]
    unknown = [name for name in spec if name not in config.model_fields]
    if unknown:
        known = ", ".join(config.model_fields)
        raise UsageError(f"An encoder of kind '{kind}' has no option {', '.join(map(repr, unknown))}; it has {known}.")
    try:
        return config.model_validate(dict(spec))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'options'}: {fault['msg']}" for fault in error.errors()
        )
        raise UsageError(f"The options of the encoder '{kind}' are not possible: {faults}.") from error
