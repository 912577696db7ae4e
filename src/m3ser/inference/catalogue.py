"""Where bundles come from: the package itself, a folder, or the Hugging Face Hub."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from m3ser.bundle import MANIFEST_NAME, Bundle, Manifest, read_manifest
from m3ser.errors import BundleError, UsageError
from m3ser.schema import SCHEMES

__all__ = ["BUNDLED", "ListedBundle", "find_bundle", "list_bundles", "name_of"]

BUNDLED = Path(__file__).resolve().parents[1] / "bundled"
"""The folder of bundles that come with the package; each is called by its folder's name."""

_BASE = "starter"  # whose files the others need not repeat

_HUB_ID = re.compile(r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>\w[\w.-]*))?", re.ASCII)

# What a bundle is made of. Other files of a Hub repository (checkpoints, training logs) are left where they are.
_HUB_PATTERNS = [MANIFEST_NAME, "*.onnx", "*.npy", "tokenizer.json", "parity.json", "README.md"]


@dataclass(frozen=True)
class ListedBundle:
    """A bundle that can be loaded by its name.

    Attributes:
        name: what to call it by in :func:`m3ser.inference.load`.
        folder: where it is.
        manifest: what it says of itself; its files have not been checked.
    """

    name: str
    folder: Path
    manifest: Manifest


def list_bundles() -> list[ListedBundle]:
    """The bundles that come with the package, by name.

    Raises:
        BundleError: one of them is damaged.
    """
    folders = sorted(path.parent for path in BUNDLED.glob(f"*/{MANIFEST_NAME}"))
    return [ListedBundle(folder.name, folder, read_manifest(folder)) for folder in folders]


def find_bundle(name_or_folder: str | os.PathLike[str]) -> Bundle:
    """Open the bundle that is meant, checking every file of it.

    Looked for in this order: a bundle that comes with the package (``"starter"``), a folder (``"./starter"`` where the
    name alone would mean the package's own), a Hugging Face Hub id (``"owner/name"``, ``"owner/name@revision"``). Where
    it has heads for several emotion schemes, one that is not its usual one is named after a colon
    (``"starter:basic7"``).

    Raises:
        UsageError: nothing has this name, or it has no classes of that scheme.
        BundleError: what has it is missing, damaged, of a newer format, or cannot be fetched.
    """
    name = os.fspath(name_or_folder)
    bundle, colon, scheme = name.rpartition(":")
    # Other colons are a folder's ("C:\\models").
    if colon and scheme in SCHEMES and not Path(name).exists():
        return _find(bundle, by_name=isinstance(name_or_folder, str)).with_head(scheme)
    return _find(name, by_name=isinstance(name_or_folder, str))


def _find(name: str, *, by_name: bool) -> Bundle:
    if by_name and _is_plain(name) and (BUNDLED / name / MANIFEST_NAME).is_file():
        return _packaged(BUNDLED / name)
    if name and Path(name).exists():
        return _packaged(Path(name)) if Path(name).resolve().parent == BUNDLED.resolve() else Bundle.open(name)
    hub_id = _HUB_ID.fullmatch(name)
    if by_name and hub_id:
        return _from_hub(hub_id["repository"], hub_id["revision"])
    if not (by_name and _is_plain(name)):
        raise BundleError(f"Bundle folder '{name}' does not exist.")
    known = ", ".join(bundle.name for bundle in list_bundles()) or "none"
    raise UsageError(
        f"No bundle is called '{name}'; m3ser comes with: {known}; another one is named by its folder (./{name}) or "
        "its Hugging Face Hub id (owner/name)."
    )


def name_of(bundle: Bundle) -> str:
    """What :func:`find_bundle` opens `bundle` by, also where the package is in another place."""
    folder = bundle.folder.absolute()
    name = folder.name if folder.parent == BUNDLED else str(folder)
    return name if bundle.head is None else f"{name}:{bundle.head}"


def _packaged(folder: Path) -> Bundle:
    return Bundle.open(folder, base=None if folder.name == _BASE else BUNDLED / _BASE)


def _is_plain(name: str) -> bool:
    return bool(name) and Path(name).name == name and name != ".."


def _from_hub(repository: str, revision: str | None) -> Bundle:
    # Imported here: it takes 0.4 s, and the bundled model needs none of it.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    # The bases of HfHubHTTPError belong to the HTTP library that the installed huggingface_hub is built on, which has
    # changed twice; they take in connections that break half-way.
    faults: tuple[type[BaseException], ...] = (
        OSError,
        EntryNotFoundError,
        HFValidationError,
        *HfHubHTTPError.__bases__,
    )
    asked = repository if revision is None else f"{repository}@{revision}"
    try:
        snapshot = Path(snapshot_download(repository, revision=revision, allow_patterns=_HUB_PATTERNS))
    except GatedRepoError as error:
        raise BundleError(
            f"Hugging Face Hub model '{repository}' is open only to those whom its owner admits: ask on its page, then "
            "log in with `hf auth login`."
        ) from error
    except RepositoryNotFoundError as error:
        raise BundleError(
            f"The Hugging Face Hub has no public model '{repository}', and no folder here has that name."
        ) from error
    except RevisionNotFoundError as error:
        raise BundleError(f"Hugging Face Hub model '{repository}' has no revision '{revision}'.") from error
    except faults as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise BundleError(
            f"Bundle '{asked}' is not a folder here and could not be fetched from the Hugging Face Hub: {reason}."
        ) from error
    # The cache's snapshots/<commit>/ holds links to its blobs/: <repository>/ is as far as they may lead.
    return Bundle.open(snapshot, within=snapshot.parent.parent)
