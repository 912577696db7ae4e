"""The bundle: a trained model as a folder that training writes and inference reads.

::

    starter/
    ├── bundle.json          what the model is, what it takes, and the size and SHA-256 of every other file
    ├── audio_centre.npy     the mean audio state of the recordings that it was trained on, where it takes profiles
    ├── audio_neutral.npy    how neutral ones differ from the others, for profiles that say how much of them is neutral
    ├── audio_encoder.onnx   features (batch, frames, ...), mask (batch, frames) -> states, states_mask
    ├── text_encoder.onnx    input_ids, attention_mask (batch, tokens) -> states
    ├── fusion.onnx          text, text_mask, audio, audio_mask -> logits (batch, labels)
    ├── fusion-basic7.onnx   another head, with classes of its own, where there is one
    ├── parity.json          where it was exported from a training: what exporting changed
    ├── tokenizer.json       the text encoder's tokens, as the `tokenizers` library stores them
    └── README.md            the model card

A model that looks at one modality alone has no graph for the other, and a fusion that takes the one pair of inputs.
Opening a bundle reads data and nothing else: no pickle, no code, no file outside the folder. Needs neither torch nor
ONNX Runtime.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import from_json

from m3ser import __version__
from m3ser.bundle_parts import (
    FORMAT,
    MANIFEST_NAME,
    AudioPart,
    FileRecord,
    FusionPart,
    HeadPart,
    Manifest,
    NeutralPart,
    Precision,
    Slug,
    Temperature,
    TextPart,
    plain_file_name,
    slug,
)
from m3ser.errors import BundleError, UsageError
from m3ser.profile import Profile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "FORMAT",
    "MANIFEST_NAME",
    "AudioPart",
    "Bundle",
    "FileRecord",
    "FusionPart",
    "HeadPart",
    "Manifest",
    "NeutralPart",
    "Precision",
    "Slug",
    "Temperature",
    "TextPart",
    "read_manifest",
    "require_replaceable",
    "slug",
    "write_bundle",
]

_MANIFEST_LIMIT = 1 << 20  # bytes; a real bundle.json has a few thousand
_HASH_BLOCK = 1 << 20


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files have been found whole.

    Attributes:
        folder: where it is.
        manifest: what its bundle.json says; of a head, what it says of that.
        head: the scheme of the head that is asked; None: the model itself is.
        base: the folder that has the files which `folder` has not; None: `folder` has them all.
        profile: whose recordings it is to hear; None: anybody's.
    """

    folder: Path
    manifest: Manifest
    head: str | None = None
    base: Path | None = None
    profile: Profile | None = None

    @classmethod
    def open(cls, folder: str | Path, *, within: Path | None = None, base: Path | None = None) -> Bundle:
        """Check a bundle and open it: its format, then presence, size and SHA-256 of every file it lists.

        Files in the folder that bundle.json does not list are never read.

        Args:
            folder: the bundle's folder.
            within: links may lead to files under this folder and to nowhere else; the default is `folder` itself. The
                Hugging Face cache links into a folder of its own beside the one that it hands out.
            base: where files are looked for that the folder lacks; they have to be what bundle.json says all the same.
                Bundles that come together can share large files so.

        Raises:
            BundleError: the folder is not a bundle, is of another format, or is damaged.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        _require_parts(folder, manifest)
        boundary = (folder if within is None else within).resolve()
        bundle = cls(folder, manifest, base=base)
        for name, record in manifest.files.items():
            found = bundle.path(name).parent
            _check_file(found, name, record, boundary if found == folder else found.resolve())
        return bundle

    def with_head(self, scheme: str) -> Bundle:
        """The same files, asked for the classes of another emotion scheme; see :meth:`Manifest.with_head`.

        Raises:
            UsageError: it has no classes of that scheme.
        """
        head = None if scheme == self.manifest.scheme else scheme
        return replace(self, manifest=self.manifest.with_head(scheme), head=head)

    def with_profile(self, profile: Profile) -> Bundle:
        """The same files, for the recordings that `profile` was learnt from, and others like them.

        Its version then names the profile ("starter@5+anna"), so that predictions tell. It takes the place of one that
        is there already.

        Raises:
            UsageError: see :meth:`check_profile`.
        """
        self.check_profile(profile)
        version = self.manifest.version
        if self.profile is not None:
            version = version.removesuffix(f"+{self.profile.name}")
        named = self.manifest.model_copy(update={"version": f"{version}+{profile.name}"})
        return replace(self, manifest=named, profile=profile)

    def check_profile(self, profile: Profile) -> None:
        """Make sure that the model takes `profile`.

        Raises:
            UsageError: it takes no profiles, or this one is of another audio encoder, or says how much of it is
                neutral, which the model takes no account of.
        """
        self.require_adaptable(profile.neutral)
        audio = self.manifest.audio
        assert audio is not None
        if profile.encoder != self.encoder or len(profile.mean) != audio.dim:
            raise UsageError(
                f"Profile '{profile.name}' was learnt with {profile.model}, whose audio encoder is not that of "
                f"{self.manifest.full_name}; learn it anew with this model (m3ser adapt)."
            )

    def require_adaptable(self, neutral: float | None = None) -> None:
        """Make sure that the model takes profiles, with this share of neutral recordings in them, if one is said.

        Raises:
            UsageError: it does not.
        """
        if self.manifest.audio is None:
            raise UsageError(f"Model '{self.manifest.full_name}' does not listen, so that no profile can help it.")
        if self.manifest.audio.centre is None:
            raise UsageError(
                f"Model '{self.manifest.full_name}' takes no profiles: its bundle lacks the mean audio state of its "
                "training (those that were exported before format 4 do)."
            )
        if neutral is None:
            return
        if not 0 <= neutral <= 1:
            raise UsageError(f"neutral is {neutral:g}; expected a share of neutral recordings from 0 to 1.")
        if self.manifest.audio.neutral is None:
            raise UsageError(
                f"Model '{self.manifest.full_name}' cannot take account of how many recordings are neutral: its bundle "
                "does not tell how these differ from others (those that were exported before format 5 do not)."
            )

    @property
    def encoder(self) -> str | None:
        """SHA-256 of the audio encoder; None: it does not listen."""
        audio = self.manifest.audio
        return None if audio is None else self.manifest.files[audio.graph].sha256

    def shift(self) -> NDArray[np.float32] | None:
        """What is added to every audio state, (dim,); None: nothing, for there is no profile.

        Raises:
            BundleError: a file that is needed for it does not hold what it should.
        """
        audio = self.manifest.audio
        if self.profile is None or audio is None or audio.centre is None:
            return None
        shift = self._state(audio.centre, audio.dim) - self.profile.state()
        if self.profile.neutral is not None and audio.neutral is not None:
            shift += (self.profile.neutral - audio.neutral.share) * self._state(audio.neutral.offset, audio.dim)
        return shift

    def _state(self, name: str, dim: int) -> NDArray[np.float32]:
        """The file `name`, which holds one audio state (dim,)."""
        import numpy as np  # here, so that the commands' help need not wait for it

        try:
            state: NDArray[np.float32] = np.load(self.path(name), allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise BundleError(f"File '{name}' of bundle '{self.folder}' is not an array: {error}.") from error
        if state.shape != (dim,) or state.dtype != np.float32 or not np.isfinite(state).all():
            raise BundleError(
                f"File '{name}' of bundle '{self.folder}' is an array {state.shape} of {state.dtype}; expected "
                f"({dim},) of finite float32."
            )
        return state

    def path(self, name: str) -> Path:
        """Where the bundle's file `name` is."""
        own = self.folder / name
        return own if self.base is None or own.exists() or own.is_symlink() else self.base / name

    def digest(self) -> str:
        """SHA-256 of bundle.json, which holds that of every other file; of a profile, too, where there is one."""
        own = _sha256(self.folder / MANIFEST_NAME)
        return own if self.profile is None else hashlib.sha256((own + self.profile.digest()).encode()).hexdigest()


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
    require_replaceable(target, overwrite=overwrite)
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
            f"Bundle '{path.parent}' has format {found}, and this m3ser {__version__} reads format {FORMAT} and older: "
            f"it needs {needed} (pip install --upgrade m3ser)."
        )


def _require_parts(folder: Path, manifest: Manifest) -> None:
    missing = [name for name in manifest.part_files if name not in manifest.files]
    if missing:
        raise BundleError(f"Bundle '{folder}' names {', '.join(missing)} but does not list it under 'files'.")


def require_replaceable(target: Path, *, overwrite: bool) -> None:
    """Make sure that a bundle can be written to `target`.

    Raises:
        BundleError: something is there that is not to be replaced.
    """
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
        path = draft / plain_file_name(name)
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
