"""The clips of MELD: ``train_splits/dia0_utt0.mp4`` and its like, or sound that people extracted from them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath

from m3ser.corpora.folders import about
from m3ser.corpora.movie_header import inspect_movie
from m3ser.corpora.recordings import audio_files, inspect_recording, placeholder

__all__ = ["find_clips", "inspect_clip"]

_NAME = re.compile(r"dia\d+_utt\d+")
# In the published test folder lie further copies of some of its clips.
_BESIDE = re.compile(r"final_videos_testdia\d+_utt\d+")
# What the folders of the parts are called, as words: train_splits, dev_splits_complete, output_repeated_splits_test.
_PARTS: Mapping[str, str] = {
    "train": "train",
    "dev": "validation",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


def find_clips(root: Path) -> tuple[dict[str, str], list[str]]:
    """Find clips, at any depth, as video or as sound.

    Returns:
        Id of an utterance ("train/dia0_utt0") -> the path of its clip; and what is there besides, a sentence each.
    """
    files, findings = audio_files(root)
    clips: defaultdict[str, list[str]] = defaultdict(list)
    strays: list[str] = []
    homeless: list[str] = []
    for path in files:
        place = PurePath(path).relative_to(root)
        part = next(_parts_in(place), None)
        if _BESIDE.fullmatch(place.stem):
            continue
        if not _NAME.fullmatch(place.stem):
            strays.append(place.as_posix())
        elif part is None:
            homeless.append(place.as_posix())
        else:
            clips[f"{part}/{place.stem}"].append(path)
    findings += about(strays, "Not named as MELD's clips, ignored")
    findings += about(homeless, "Clips in no folder that is called after a part (train, dev, test), ignored")
    return {clip: paths[0] for clip, paths in clips.items()}, findings


def inspect_clip(path: str) -> tuple[float | None, str | None]:
    """A clip's duration in seconds, where it says, and what is wrong with it, where something is.

    Video is not decoded, and needs no decoder that is installed: its header tells.
    """
    if not path.lower().endswith(".mp4"):
        return inspect_recording(path)
    fault = placeholder(path)
    return inspect_movie(path) if fault is None else (None, fault)


def _parts_in(place: PurePath) -> Iterator[str]:
    """The parts that the folders around a clip are called after, from the innermost."""
    for folder in reversed(place.parts[:-1]):
        for word in re.split(r"[^a-z]+", folder.lower()):
            if word in _PARTS:
                yield _PARTS[word]
