"""The bundle: a trained model as a folder that training writes and inference reads.

::

    starter/
    ├── bundle.json          what the model is, what it takes, and the size and SHA-256 of every other file
    ├── audio_encoder.onnx   features (batch, frames, ...), mask (batch, frames) -> states, states_mask
    ├── text_encoder.onnx    input_ids, attention_mask (batch, tokens) -> states
    ├── fusion.onnx          text, text_mask, audio, audio_mask -> logits (batch, labels)
    ├── tokenizer.json       the text encoder's tokens, as the `tokenizers` library stores them
    └── README.md            the model card

Opening a bundle reads data and nothing else: no pickle, no code, no file outside the folder. Needs neither torch nor
ONNX Runtime.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from m3ser import __version__
from m3ser.errors import BundleError
from m3ser.schema import EMOTIONS

__all__ = [
    "FORMAT",
    "MANIFEST_NAME",
    "AudioPart",
    "Bundle",
    "FileRecord",
    "FusionPart",
    "Manifest",
    "Temperature",
    "TextPart",
    "read_manifest",
    "write_bundle",
]

FORMAT: Final = 1
"""The layout this module writes, and the only one it reads."""

MANIFEST_NAME = "bundle.json"

_MANIFEST_LIMIT = 1 << 20  # bytes; a real bundle.json has a few thousand
_HASH_BLOCK = 1 << 20
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def _plain_file_name(name: str) -> str:
    # One flat folder: a name without a separator cannot lead out of it, on any operating system.
    if not _PLAIN_NAME.fullmatch(name) or name == MANIFEST_NAME:
        raise ValueError(f"'{name}' is not a plain file name (letters, digits, '.', '_', '-'; no folder)")
    return name


FileName = Annotated[str, AfterValidator(_plain_file_name)]
_Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(gt=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AudioPart(_Part):
    """How a waveform becomes audio states.

    Attributes:
        graph: file of the audio encoder.
        front_end: the features it takes, by their name in ``m3ser.audio.FRONT_ENDS``.
        dim: size of one state.
        max_seconds: the longest stretch the encoder takes at once; longer recordings are cut into windows.
    """

    graph: FileName
    front_end: str
    dim: _Count
    max_seconds: _Positive = 30.0


class TextPart(_Part):
    """How a transcript becomes text states.

    Attributes:
        graph: file of the text encoder.
        tokenizer: file of its tokenizer.
        max_tokens: the longest text it takes, special tokens included; the rest is cut off.
        dim: size of one state.
        language: what it was trained to read, as a BCP 47 code ("en").
    """

    graph: FileName
    tokenizer: FileName
    max_tokens: Annotated[int, Field(ge=3)]
    dim: _Count
    language: str


class FusionPart(_Part):
    """The graph that turns text and audio states into logits."""

    graph: FileName


class Temperature(_Part):
    """What the logits are divided by before the softmax (Guo et al. 2017), fitted for each set of modalities.

    One number would not do: hearing only the voice makes a model too sure by another amount than reading the words too.
    """

    both: _Positive = 1.0
    audio: _Positive = 1.0
    text: _Positive = 1.0


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
        audio, text, fusion: the parts and their files.
        precision: "fp32", or "int8-weights" where the weights are stored as int8 and widened when loaded.
        licence: SPDX expression for the weights.
        data: what the weights were trained on.
        scores: how well it does, per condition and measure (``{"both": {"ua": 0.7}}``), in [0, 1]; the model card tells
            on what.
        created_by: versions of the software that made it (``{"m3ser": "0.1.0"}``).
        files: every file but bundle.json itself.
    """

    format: Literal[1] = FORMAT
    name: _Slug
    version: _Slug
    description: str = ""
    architecture: str
    scheme: str
    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    temperature: Temperature = Temperature()
    audio: AudioPart
    text: TextPart
    fusion: FusionPart
    precision: Literal["fp32", "int8-weights"]
    licence: str
    data: tuple[str, ...] = ()
    scores: Mapping[str, Mapping[str, float]] = Field(default_factory=dict)
    created_by: Mapping[str, str] = Field(default_factory=dict)
    files: Mapping[FileName, FileRecord] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _labels_are_emotions(self) -> Manifest:
        strangers = [label for label in self.labels if label not in EMOTIONS]
        if strangers:
            raise ValueError(f"labels {strangers} are not emotions m3ser knows ({', '.join(EMOTIONS)})")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"labels {list(self.labels)} repeat themselves")
        return self

    @property
    def full_name(self) -> str:
        """Name and version as predictions carry them: "starter@1"."""
        return f"{self.name}@{self.version}"

    @property
    def part_files(self) -> tuple[str, ...]:
        """The files without which there is no model: the three graphs and the tokenizer."""
        return (self.audio.graph, self.text.graph, self.text.tokenizer, self.fusion.graph)


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files have been found whole.

    Attributes:
        folder: where it is.
        manifest: what its bundle.json says.
    """

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: str | Path, *, within: Path | None = None) -> Bundle:
        """Check a bundle and open it: its format, then presence, size and SHA-256 of every file it lists.

        Files in the folder that bundle.json does not list are never read.

        Args:
            folder: the bundle's folder.
            within: links may lead to files under this folder and to nowhere else; the default is `folder` itself. The
                Hugging Face cache links into a folder of its own beside the one that it hands out.

        Raises:
            BundleError: the folder is not a bundle, is of another format, or is damaged.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        _require_parts(folder, manifest)
        boundary = (folder if within is None else within).resolve()
        for name, record in manifest.files.items():
            _check_file(folder, name, record, boundary)
        return cls(folder, manifest)

    def path(self, name: str) -> Path:
        """Where the bundle's file `name` is."""
        return self.folder / name


def read_manifest(folder: str | Path) -> Manifest:
    """Read a bundle's bundle.json without looking at its other files.

    Raises:
        BundleError: there is no folder, no bundle.json, or not one that this m3ser understands.
    """
    folder = Path(folder)
    if not folder.exists():
        raise BundleError(f"Bundle folder '{folder}' does not exist.")
    if not folder.is_dir():
        raise BundleError(f"'{folder}' is not a folder; a bundle is a folder with {MANIFEST_NAME} in it.")
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise BundleError(f"Folder '{folder}' has no {MANIFEST_NAME}, so it is not a bundle.")
    try:
        with path.open("rb") as file:
            raw = file.read(_MANIFEST_LIMIT + 1)
    except OSError as error:
        raise BundleError(f"'{path}' cannot be read: {error.strerror or error}.") from error
    if len(raw) > _MANIFEST_LIMIT:
        raise BundleError(f"'{path}' is larger than {_MANIFEST_LIMIT:,} bytes, so it is not a bundle's manifest.")
    try:
        content = from_json(raw)
        _require_format(path, content)
        # Strict: a number written as a string is a fault of the writer, not ours to guess at.
        return Manifest.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise BundleError(f"'{path}' is not a valid manifest: {'; '.join(_faults(error))}.") from error
    except ValueError as error:
        raise BundleError(f"'{path}' is not valid JSON: {error}.") from error


def write_bundle(
    folder: str | Path,
    manifest: Manifest,
    files: Mapping[str, Path | bytes],
    *,
    overwrite: bool = False,
) -> Bundle:
    """Write a bundle, whole or not at all.

    Everything goes to a new folder beside the target, which then takes the target's name in one step.

    Args:
        folder: where the bundle shall be; its parent is made where it does not exist.
        manifest: all of bundle.json but `files`, which is filled in here.
        files: the content of each file, as bytes or as a file to copy.
        overwrite: replace a bundle that is already there. A folder that holds anything but a bundle is never replaced.

    Returns:
        The bundle at `folder`.

    Raises:
        BundleError: the target is taken, a file that the manifest names is not given, or the disk refuses.
    """
    target = Path(folder).resolve()
    _require_replaceable(target, overwrite=overwrite)
    token = secrets.token_hex(4)
    draft, retired = (target.with_name(f".{target.name}.{token}.{state}") for state in ("new", "old"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir()
        records = {name: _write_file(draft, name, content) for name, content in files.items()}
        complete = manifest.model_copy(update={"files": records})
        _require_parts(target, complete)
        (draft / MANIFEST_NAME).write_text(complete.model_dump_json(indent=2) + "\n", encoding="utf-8")
        if target.exists():
            target.rename(retired)
        try:
            draft.rename(target)
        except OSError:
            if retired.exists():
                retired.rename(target)
            raise
    except OSError as error:
        raise BundleError(f"Bundle '{target}' cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(retired, ignore_errors=True)  # only once the new bundle stands in its place
    return Bundle(target, complete)


def _require_format(path: Path, content: Any) -> None:
    """Compare formats before anything else is read: what a later format means by its keys is not known here."""
    found = content.get("format") if isinstance(content, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise BundleError(f"'{path}' is not a bundle's manifest: it has no whole number under 'format'.")
    if found > FORMAT:
        made_by = content.get("created_by")
        maker = made_by.get("m3ser") if isinstance(made_by, dict) else None
        needed = f"m3ser {maker} or later" if isinstance(maker, str) else "a later m3ser"
        raise BundleError(
            f"Bundle '{path.parent}' has format {found}, and this m3ser {__version__} reads format {FORMAT}: "
            f"it needs {needed} (pip install --upgrade m3ser)."
        )


def _require_parts(folder: Path, manifest: Manifest) -> None:
    missing = [name for name in manifest.part_files if name not in manifest.files]
    if missing:
        raise BundleError(f"Bundle '{folder}' names {', '.join(missing)} but does not list it under 'files'.")


def _require_replaceable(target: Path, *, overwrite: bool) -> None:
    if not target.exists():
        return
    if not overwrite:
        raise BundleError(f"'{target}' already exists; it is replaced only when overwriting is asked for.")
    if not (target / MANIFEST_NAME).is_file():
        raise BundleError(f"'{target}' exists and is not a bundle (no {MANIFEST_NAME}), so it is not overwritten.")


def _check_file(folder: Path, name: str, record: FileRecord, boundary: Path) -> None:
    path = folder / name
    try:
        resolved = Path(os.path.realpath(path, strict=True))
        if not resolved.is_relative_to(boundary):
            raise BundleError(f"File '{name}' of bundle '{folder}' is a link that leads out of the bundle.")
        if not resolved.is_file():
            raise BundleError(f"'{name}' of bundle '{folder}' is not a regular file.")
        size = resolved.stat().st_size
        if size != record.bytes:
            raise BundleError(
                f"File '{name}' of bundle '{folder}' has {size:,} bytes where {MANIFEST_NAME} says {record.bytes:,}: "
                "it is damaged or incomplete."
            )
        digest = _sha256(resolved)
    except FileNotFoundError as error:
        raise BundleError(f"Bundle '{folder}' lacks its file '{name}'.") from error
    except OSError as error:
        raise BundleError(f"File '{name}' of bundle '{folder}' cannot be read: {error.strerror or error}.") from error
    if digest != record.sha256:
        raise BundleError(
            f"File '{name}' of bundle '{folder}' is damaged: its SHA-256 is {digest[:12]}... "
            f"where {MANIFEST_NAME} says {record.sha256[:12]}...."
        )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _write_file(draft: Path, name: str, content: Path | bytes) -> FileRecord:
    try:
        path = draft / _plain_file_name(name)
    except ValueError as error:
        raise BundleError(f"A bundle cannot hold this file: {error}.") from error
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        shutil.copyfile(content, path)
    return FileRecord(sha256=_sha256(path), bytes=path.stat().st_size)


def _faults(error: ValidationError) -> Iterator[str]:
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        key = "'" + ".".join(str(step) for step in detail["loc"]) + "'"
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            yield f"{key} is not a key this m3ser knows"
        elif detail["type"] == "missing":
            yield f"{key} is missing"
        else:
            yield f"{key}: {message}" if detail["loc"] else message
