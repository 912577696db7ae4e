"""What a bundle's ``bundle.json`` says: the parts of the model, their files, and what it is and comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from m3ser.errors import UsageError
from m3ser.schema import EMOTIONS

__all__ = [
    "FORMAT",
    "MANIFEST_NAME",
    "AudioPart",
    "FileRecord",
    "FusionPart",
    "HeadPart",
    "Manifest",
    "NeutralPart",
    "Precision",
    "Slug",
    "Temperature",
    "TextPart",
    "plain_file_name",
    "slug",
]

FORMAT: Final = 5
"""The layout that is written. Earlier ones are read, too: 4 does not know how neutral recordings differ, 1 to 3 have no
centre, 1 and 2 have no heads, and 1 always has both modalities."""

MANIFEST_NAME = "bundle.json"

Precision = Literal["fp32", "fp16", "int8", "int8-weights"]
"""How the encoders' weights are stored; see :class:`Manifest`."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def plain_file_name(name: str) -> str:
    """`name`, where it names a file of the one folder that a bundle is.

    Raises:
        ValueError: it does not.
    """
    # One flat folder: a name without a separator cannot lead out of it, on any operating system.
    if not _PLAIN_NAME.fullmatch(name) or name == MANIFEST_NAME:
        raise ValueError(f"'{name}' is not a plain file name (letters, digits, '.', '_', '-'; no folder)")
    return name


def slug(name: str) -> str:
    """`name` as the name of a model may be: what else is in it becomes hyphens; "model" if nothing is left.

    >>> slug("3m-ser (emodb)")
    '3m-ser-emodb'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._") or "model"


FileName = Annotated[str, AfterValidator(plain_file_name)]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""What the name and the version of a model are made of."""


def _emotions(labels: tuple[str, ...]) -> tuple[str, ...]:
    """`labels`, where each is an emotion, and no other one's.

    Raises:
        ValueError: they are not.
    """
    strangers = [label for label in labels if label not in EMOTIONS]
    if strangers:
        raise ValueError(f"labels {strangers} are not emotions m3ser knows ({', '.join(EMOTIONS)})")
    if len(set(labels)) < len(labels):
        raise ValueError(f"labels {list(labels)} repeat themselves")
    return labels


_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(gt=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NeutralPart(_Part):
    """How neutral recordings differ from others, for profiles that are mostly of such.

    Attributes:
        offset: file of the mean state of neutral recordings, less that of others (``.npy``, float32, (dim,)).
        share: that neutral recordings have in the centre, and are taken to have in a profile that does not say.
    """

    offset: FileName
    share: Annotated[float, Field(ge=0, le=1)]


class AudioPart(_Part):
    """How a waveform becomes audio states.

    Attributes:
        graph: file of the audio encoder.
        front_end: the features it takes, by their name in ``m3ser.audio.FRONT_ENDS``.
        dim: size of one state.
        max_seconds: the longest stretch the encoder takes at once; longer recordings are cut into windows.
        centre: file of the mean state of the recordings that the model was trained on (``.npy``, float32, (dim,)),
            to which a profile (:mod:`m3ser.profile`) moves the states of others; None: it takes no profile.
        neutral: None: it takes no profile that says how much of it is neutral.
    """

    graph: FileName
    front_end: str
    dim: _Count
    max_seconds: _Positive = 30.0
    centre: FileName | None = None
    neutral: NeutralPart | None = None


class TextPart(_Part):
    """How a transcript becomes text states.

    Attributes:
        graph: file of the text encoder.
        tokenizer: file of its tokenizer.
        max_tokens: the longest text it takes, special tokens included; the rest is cut off.
        dim: size of one state.
        language: what it was trained to read, as a BCP 47 code ("en"); several are set apart by commas, and "mul"
            stands for all.
        special_tokens: whether the tokenizer puts tokens of its own around a text; word vectors have none.
    """

    graph: FileName
    tokenizer: FileName
    max_tokens: Annotated[int, Field(ge=1)]
    dim: _Count
    language: str
    special_tokens: bool = True

    def reads(self, language: str) -> bool:
        """Whether it was trained to read a language.

        Args:
            language: its code, as :func:`m3ser.text.language_codes.language_code` gives it.
        """
        return "mul" in self.languages or language in self.languages

    @property
    def languages(self) -> tuple[str, ...]:
        """The codes of what it reads, without region or script."""
        return tuple(code.strip().partition("-")[0].lower() for code in self.language.split(","))


class FusionPart(_Part):
    """The graph that turns the states of what the model looks at into logits."""

    graph: FileName


class Temperature(_Part):
    """What the logits are divided by before the softmax (Guo et al. 2017), fitted for each set of modalities.

    One number would not do: hearing only the voice makes a model too sure by another amount than reading the words too.
    """

    both: _Positive = 1.0
    audio: _Positive = 1.0
    text: _Positive = 1.0


class HeadPart(_Part):
    """Another answer from the same states: a fusion part with classes of its own.

    Attributes:
        scheme, labels, temperature, fusion, scores: as the :class:`Manifest` has them.
    """

    scheme: Slug
    labels: Annotated[tuple[str, ...], Field(min_length=2), AfterValidator(_emotions)]
    temperature: Temperature = Temperature()
    fusion: FusionPart
    scores: Mapping[str, Mapping[str, float]] = Field(default_factory=dict)


class FileRecord(_Part):
    """What a file of the bundle must be: its SHA-256 (64 hexadecimal digits, lower case) and its size in bytes."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class Manifest(_Part):
    """The content of bundle.json.

    Attributes:
        format: layout of the bundle; this m3ser knows :data:`FORMAT`.
        name, version: which model, and which edition of it; predictions carry both as ``name@version``.
        description: what the model is for, in a line.
        architecture: the system its fusion part implements ("3m-ser-ln").
        scheme: the emotion scheme behind the labels ("iemocap4").
        labels: the classes in the order of the logits, each one of ``m3ser.schema.EMOTIONS``.
        temperature: the calibration of the logits.
        audio, text, fusion: the parts and their files; no `audio` (or `text`) where the model does not look at it.
        precision: "fp32"; "fp16" or "int8-weights" where weights are stored as that and widened when loaded; "int8"
            where the encoders' products are those of whole numbers.
        licence: SPDX expression for the weights.
        data: what the weights were trained on.
        heads: other answers from the same states, one for each scheme; see :meth:`with_head`.
        scores: how well it does, per condition and measure (``{"both": {"ua": 0.7}}``), in [0, 1]; the model card tells
            on what.
        created_by: versions of the software that made it (``{"m3ser": "0.1.0"}``).
        files: every file but bundle.json itself.
    """

    format: Literal[1, 2, 3, 4, 5] = FORMAT
    name: Slug
    version: Slug
    description: str = ""
    architecture: str
    scheme: str
    labels: Annotated[tuple[str, ...], Field(min_length=2), AfterValidator(_emotions)]
    temperature: Temperature = Temperature()
    audio: AudioPart | None = None
    text: TextPart | None = None
    fusion: FusionPart
    heads: tuple[HeadPart, ...] = ()
    precision: Precision
    licence: str
    data: tuple[str, ...] = ()
    scores: Mapping[str, Mapping[str, float]] = Field(default_factory=dict)
    created_by: Mapping[str, str] = Field(default_factory=dict)
    files: Mapping[FileName, FileRecord] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _looks_at_something(self) -> Manifest:
        if self.audio is None and self.text is None:
            raise ValueError("neither 'audio' nor 'text' is there; a model looks at one of them at least")
        if self.format == 1 and (self.audio is None or self.text is None):
            raise ValueError("'audio' or 'text' is missing; a bundle of format 1 has both")
        return self

    @model_validator(mode="after")
    def _schemes_differ(self) -> Manifest:
        schemes = self.schemes
        if len(set(schemes)) < len(schemes):
            raise ValueError(f"schemes {list(schemes)} repeat themselves; a model has one answer for each")
        return self

    def with_head(self, scheme: str) -> Manifest:
        """What the bundle is to those who ask for the classes of another scheme that it knows; itself for its own.

        Its version then names the scheme, so that predictions tell what they were asked for ("starter@5:basic7").

        Raises:
            UsageError: it has no classes of that scheme.
        """
        if scheme == self.scheme:
            return self
        for head in self.heads:
            if head.scheme == scheme:
                own = {name: getattr(head, name) for name in HeadPart.model_fields}
                return self.model_copy(update={**own, "heads": (), "version": f"{self.version}:{scheme}"})
        known = ", ".join(self.schemes)
        raise UsageError(f"Model '{self.full_name}' has no classes of the scheme '{scheme}'; it has {known}.")

    @property
    def schemes(self) -> tuple[str, ...]:
        """Every emotion scheme that it has classes of, its usual one first."""
        return (self.scheme, *(head.scheme for head in self.heads))

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the model looks at: "audio", "text" or both."""
        return tuple(name for name in ("audio", "text") if getattr(self, name) is not None)

    @property
    def full_name(self) -> str:
        """Name and version as predictions carry them: "starter@5"."""
        return f"{self.name}@{self.version}"

    @property
    def part_files(self) -> tuple[str, ...]:
        """The files that it names: its graphs, what else its audio part has, and the tokenizer where it reads text."""
        heard: tuple[str, ...] = ()
        if self.audio is not None:
            neutral = None if self.audio.neutral is None else self.audio.neutral.offset
            heard = tuple(filter(None, (self.audio.graph, self.audio.centre, neutral)))
        read = () if self.text is None else (self.text.graph, self.text.tokenizer)
        return (*heard, *read, self.fusion.graph, *(head.fusion.graph for head in self.heads))
