"""Files of a model that is a folder here or a repository on the Hugging Face Hub."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from m3ser.errors import CheckpointError

__all__ = ["find_file", "looks_like_folder", "one_line", "without_load_report"]


def find_file(source: str, name: str, *, revision: str | None = None) -> Path | None:
    """The file `name` of the model `source`, fetched from the Hub where `source` is not a folder.

    Args:
        source: a folder, or a repository's name.
        name: the file's name inside.
        revision: branch, tag or commit on the Hub.

    Returns:
        Where it is; None where the model has no such file.

    Raises:
        CheckpointError: there is no such model, or the Hub cannot be reached and the file was not fetched before.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder / name if (folder / name).is_file() else None
    if looks_like_folder(source):
        raise CheckpointError(f"{source} is not a folder with a model.")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(source, name, revision=revision))
    except (OSError, ValueError, EntryNotFoundError) as error:
        if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
            return None
        raise CheckpointError(
            f"The model '{source}' is not a folder, and cannot be had from the Hugging Face Hub: {one_line(error)}"
        ) from error


def looks_like_folder(source: str) -> bool:
    """Whether `source` can only be meant as a path: repositories are called NAME or OWNER/NAME."""
    return source.startswith((".", "~", os.sep)) or "\\" in source or source.count("/") > 1


def one_line(error: Exception) -> str:
    """The first sentence of a library's long message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    # "Validation error for field 'x':" says what is wrong only in its second line.
    sentence = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return sentence.rstrip(".:!") + "."


@contextmanager
def without_load_report() -> Iterator[None]:
    """Keep transformers from printing its table of weights that do not fit; the caller reads the report itself."""
    logger = logging.getLogger("transformers.modeling_utils")

    def only_errors(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    logger.addFilter(only_errors)
    try:
        yield
    finally:
        logger.removeFilter(only_errors)
