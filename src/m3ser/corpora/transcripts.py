"""Transcripts that lie beside a corpus as one text file a recording."""

from __future__ import annotations

import os
import re
from pathlib import Path

from m3ser.corpora.folders import about, read_text

__all__ = ["transcripts_of"]


def transcripts_of(root: Path, names: re.Pattern[str]) -> tuple[dict[str, str], list[str]]:
    """The words of recordings, from text files that are called like them, at any depth.

    Args:
        root: the copy of the corpus.
        names: what the name of a recording, without extension, looks like.

    Returns:
        Name of a recording -> its words on one line, but for those without any; and which files cannot be read.
    """
    texts: dict[str, str] = {}
    unreadable: list[str] = []
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(".") and name != "__MACOSX")
        for file in sorted(files):
            name, _, extension = file.rpartition(".")
            if extension.lower() != "txt" or name in texts or not names.fullmatch(name):
                continue
            try:
                text = " ".join(read_text(Path(folder, file)).split())
            except OSError as error:
                unreadable.append(f"{file} ({error.strerror})")
                continue
            if text:
                texts[name] = text
    return texts, about(unreadable, "Transcripts that cannot be read")
