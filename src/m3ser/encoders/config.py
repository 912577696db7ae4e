"""What an encoder is made from, in a form that a checkpoint or a recipe can keep: plain values, and back again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from m3ser.encoders.acoustic import AcousticEncoder
from m3ser.encoders.adapters import add_lora
from m3ser.encoders.base import Encoder, freeze, freeze_first
from m3ser.encoders.layers import Combine
from m3ser.encoders.pooling import Statistics
from m3ser.encoders.published import BERT_BASE
from m3ser.encoders.speech import SpeechEncoder
from m3ser.encoders.text import TextEncoder
from m3ser.encoders.vggish import VGGish, VGGishEncoder
from m3ser.encoders.whisper import WhisperEncoder
from m3ser.encoders.word_vectors import WordVectorEncoder
from m3ser.errors import UsageError

__all__ = [
    "EgemapsConfig",
    "EncoderConfig",
    "FirstFrozen",
    "LoraOptions",
    "MfccConfig",
    "SpeechConfig",
    "TextConfig",
    "VGGishConfig",
    "WhisperConfig",
    "WordVectorConfig",
    "build_encoder",
]

PUBLISHED = "published"


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FirstFrozen(_Options):
    """An encoder that is frozen in part.

    Attributes:
        first: how many of its blocks stay as they are, and with them all that is below the blocks.
    """

    first: int = Field(ge=0)


class LoraOptions(_Options):
    """LoRA; see :func:`m3ser.encoders.adapters.add_lora`."""

    rank: int = Field(default=8, ge=1)
    alpha: int = Field(default=16, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: list[str] | None = Field(default=None, min_length=1)


class _Config(_Options):
    """One encoder's source and options.

    Attributes:
        frozen: whether it stays as it is (see :func:`~m3ser.encoders.freeze`), as a whole or in part.
    """

    frozen: bool | FirstFrozen = True

    @property
    def learns(self) -> bool:
        """Whether anything of the network changes in training."""
        return self.frozen is not True

    @property
    def mixes(self) -> bool:
        """Whether a mix of its layers is learnt."""
        return False

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON-ready values, from which :func:`build_encoder` builds the same encoder."""
        return self.model_dump(mode="json")

    @abstractmethod
    def build(self) -> Encoder:
        """The encoder that this describes."""


class _Adaptable(_Config):
    """A network of blocks, which can be trained in part.

    Attributes:
        lora: trained matrices beside the weights, which stay as they are; None: none.
        combine: what becomes of several hidden states.
    """

    lora: LoraOptions | None = None
    layer: int | list[int] | None = None
    combine: Combine = "concat"

    @model_validator(mode="after")
    def _check_lora(self) -> Any:
        if self.lora is not None and self.frozen is not True:
            raise ValueError("lora leaves the encoder's own weights as they are: it goes with frozen: true")
        return self

    @property
    def learns(self) -> bool:
        """Whether anything of the network changes in training."""
        return self.frozen is not True or self.lora is not None

    @property
    def mixes(self) -> bool:
        """Whether a mix of its layers is learnt."""
        return self.combine == "mix"

    def build(self) -> Encoder:
        """The encoder that this describes."""
        encoder = self._load()
        if self.lora is not None:
            add_lora(encoder, **self.lora.model_dump())
        elif isinstance(self.frozen, FirstFrozen):
            freeze_first(encoder, self.frozen.first)
        elif self.frozen:
            freeze(encoder)
        return encoder

    @abstractmethod
    def _load(self) -> Encoder:
        """The encoder with nothing frozen."""


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
        if isinstance(self.frozen, FirstFrozen):
            raise ValueError("VGGish has no blocks: it is frozen or trained as a whole")  # noqa: TRY004 - pydantic's
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


class WhisperConfig(_Adaptable):
    """The encoder of a Whisper model; see :class:`~m3ser.encoders.WhisperEncoder` for the options."""

    kind: Literal["whisper"] = "whisper"
    source: str
    revision: str | None = None
    step_seconds: float | None = None
    statistics: Statistics = "mean"

    def _load(self) -> WhisperEncoder:
        return WhisperEncoder.from_pretrained(frozen=False, **self.model_dump(exclude={"kind", "frozen", "lora"}))


class SpeechConfig(_Adaptable):
    """A speech model of transformers; see :meth:`SpeechEncoder.from_pretrained` for the options."""

    kind: Literal["speech"] = "speech"
    source: str
    revision: str | None = None
    normalise: bool | None = None
    step_seconds: float | None = None
    statistics: Statistics = "mean"

    def _load(self) -> SpeechEncoder:
        return SpeechEncoder.from_pretrained(frozen=False, **self.model_dump(exclude={"kind", "frozen", "lora"}))


class TextConfig(_Adaptable):
    """A text model of transformers; see :class:`~m3ser.encoders.TextEncoder` for the options."""

    kind: Literal["text"] = "text"
    source: str = BERT_BASE
    revision: str | None = None
    pooled: bool = False

    def _load(self) -> TextEncoder:
        return TextEncoder.from_pretrained(frozen=False, **self.model_dump(exclude={"kind", "frozen", "lora"}))


class _Acoustic(_Config):
    """Features without weights."""

    @model_validator(mode="after")
    def _check_frozen(self) -> Any:
        if self.learns:
            raise ValueError("acoustic features have no weights that could learn: frozen is true")
        return self


class MfccConfig(_Acoustic):
    """Mel-frequency cepstral coefficients; see :class:`~m3ser.encoders.AcousticEncoder`.

    Attributes:
        coefficients: 39 (12, energy, and the first and second deltas) or 40 (0 to 39 of 40 bands).
        normalise: bring each to mean 0 and variance 1 over the utterance.
        functionals: what stands behind the coefficients of every frame.
        keep_frames: only the first so many frames (of 10 ms) are used; None: all.
    """

    kind: Literal["mfcc"] = "mfcc"
    coefficients: Literal[39, 40] = 39
    normalise: bool = False
    functionals: Literal["none", "egemaps"] = "none"
    keep_frames: int | None = Field(default=None, ge=1)

    def build(self) -> AcousticEncoder:
        """The encoder that this describes."""
        behind = "" if self.functionals == "none" else f"+{self.functionals}"
        front_end = f"mfcc{self.coefficients}{behind}"
        return AcousticEncoder(front_end, normalise=self.normalise, keep=self.keep_frames)


class EgemapsConfig(_Acoustic):
    """The 88 functionals of eGeMAPS over the whole utterance, as one state."""

    kind: Literal["egemaps"] = "egemaps"

    def build(self) -> AcousticEncoder:
        """The encoder that this describes."""
        return AcousticEncoder("egemaps")


class WordVectorConfig(_Config):
    """Word vectors from a file; see :meth:`WordVectorEncoder.from_file` for the options."""

    kind: Literal["word-vectors"] = "word-vectors"
    source: str
    vocabulary: str | None = None
    words: int | None = Field(default=None, ge=1)
    lowercase: bool = True

    @model_validator(mode="after")
    def _check(self) -> WordVectorConfig:
        if isinstance(self.frozen, FirstFrozen):
            raise ValueError("word vectors have no blocks: they are frozen or trained as a whole")  # noqa: TRY004
        return self

    def build(self) -> WordVectorEncoder:
        """The encoder that this describes."""
        options = self.model_dump(exclude={"kind", "source"})
        return WordVectorEncoder.from_file(self.source, **options)


EncoderConfig = VGGishConfig | WhisperConfig | SpeechConfig | MfccConfig | EgemapsConfig | TextConfig | WordVectorConfig

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
