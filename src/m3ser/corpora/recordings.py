"""From a folder of recordings whose names are their annotation to a corpus.

People's copies differ from the published ones: other extensions, other nesting, the same archive unpacked twice, Git
LFS pointers in place of the audio, macOS's ``._x.wav`` beside ``x.wav``. All of that is accepted or reported, none of
it raised.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from m3ser.corpora.corpus import Corpus, CorpusInfo
from m3ser.corpora.folders import existing_folder, listed
from m3ser.errors import AudioError, DataError
from m3ser.schema import Utterance

__all__ = ["Clip", "missing_clips", "read_recordings"]

# In order of preference: where the same clip is there in two formats, the earlier one is the less processed.
_EXTENSIONS = (
    *("wav", "flac", "w64", "aif", "aiff", "au", "sph"),
    *("opus", "ogg", "mp3", "m4a", "aac", "wma", "webm", "mp4"),
)
_LFS_POINTER = b"version https://git-lfs"
_LFS_POINTER_LIMIT = 1024  # bytes; by its specification a pointer is smaller


@dataclass(frozen=True)
class Clip:
    """What a recording's name says.

    Attributes:
        id: the published name without extension.
        label: the corpus's own label, a key of its label map.
        speaker: without the corpus's prefix ("03").
        sentence: which sentence is spoken, without the prefix ("a01"); None where sentences have no identity.
        text: that sentence; None where the copy does not say.
        language: BCP 47 code.
        extra: further columns; empty values are dropped.
    """

    id: str
    label: str
    speaker: str
    sentence: str | None
    text: str | None
    language: str
    extra: Mapping[str, str] = field(default_factory=dict)


def read_recordings(
    folder: str | os.PathLike[str],
    info: CorpusInfo,
    *,
    names: re.Pattern[str],
    describe: Callable[[re.Match[str]], Clip | str],
    missing: Callable[[Collection[str]], Iterable[str]],
) -> Corpus:
    """Read a corpus whose file names are its annotation.

    Args:
        folder: the copy; recordings may lie at any depth, with any audio extension.
        info: the corpus.
        names: what the name of a recording, without extension, looks like.
        describe: what such a name says, or why that recording is left out.
        missing: given the ids of all recordings that are there, says what a complete copy has beyond them.

    Raises:
        DataError: no recording in the folder is named as in this corpus.
        MissingExtraError: the recordings are in a format (m4a, say) whose decoder is not installed.
    """
    root = existing_folder(folder, info)
    files, findings = _audio_files(root)
    matched: defaultdict[str, list[Path]] = defaultdict(list)
    strays: list[Path] = []
    for path in files:
        if names.fullmatch(path.stem):
            matched[path.stem].append(path)
        else:
            strays.append(path)
    if not matched:
        example = f", such as '{strays[0].name}'" if strays else ""
        raise DataError(
            f"'{root}' is not a copy of {info.title}: looked for recordings named like '{info.layout}', "
            f"found {len(files):,} audio files{example}."
        )
    findings += _about(strays, root, f"Not named as in {info.title}, ignored")
    copies = [paths[1] for paths in matched.values() if len(paths) > 1]
    findings += _about(copies, root, "There more than once, one of each is used")

    utterances: dict[str, Utterance] = {}
    left_out: Counter[str] = Counter()
    damage: defaultdict[str, list[Path]] = defaultdict(list)
    present: set[str] = set()
    for stem, paths in sorted(matched.items()):
        match = names.fullmatch(stem)
        assert match is not None
        clip = describe(match)
        if isinstance(clip, str):
            left_out[clip] += 1
            continue
        present.add(clip.id)
        emotion = info.labels[clip.label]
        if emotion is None:
            left_out[f"label '{clip.label}'"] += 1
            continue
        duration, fault = _inspect(paths[0])
        if fault is not None:
            damage[fault].append(paths[0])
            continue
        utterances[clip.id] = _utterance(info, clip, emotion, paths[0], duration)
    for fault, paths in damage.items():
        findings += _about(paths, root, f"{fault}, left out")
    findings += missing(present)
    return Corpus(info, root, tuple(utterances.values()), tuple(findings), left_out)


def missing_clips(
    present: Collection[str], expected: Mapping[str, Collection[str] | int], *, speaker_of: Callable[[str], str]
) -> list[str]:
    """Sentences on what a complete copy has beyond `present`.

    Args:
        present: ids of the recordings that are there.
        expected: speaker -> the ids of that speaker's recordings, or only how many they are.
        speaker_of: an id's speaker.
    """
    there: defaultdict[str, set[str]] = defaultdict(set)
    for clip in present:
        there[speaker_of(clip)].add(clip)
    wanted = {speaker: ids if isinstance(ids, int) else len(ids) for speaker, ids in expected.items()}
    absent = [speaker for speaker in expected if not there[speaker]]
    lacking = {s: wanted[s] - len(there[s]) for s in expected if 0 < len(there[s]) < wanted[s]}
    findings = []
    if absent:
        recordings = sum(wanted[speaker] for speaker in absent)
        who = f"{len(absent)} of the {len(expected)} speakers ({listed(absent)})"
        findings.append(f"Nothing is there of {who}: {recordings:,} recordings.")
    if lacking:
        counts = [f"{lacking[s]} of speaker {s}'s {wanted[s]}" for s in lacking]
        names = [name for s in lacking if not isinstance(ids := expected[s], int) for name in sorted({*ids} - there[s])]
        findings.append(f"Missing recordings: {listed(counts)}{f' (such as {listed(names)})' if names else ''}.")
    return findings


def _audio_files(root: Path) -> tuple[list[Path], list[str]]:
    """Every audio file below `root`, the preferred copy of each name first; and what could not be looked into."""
    files: list[tuple[int, int, Path]] = []
    findings: list[str] = []

    def unreadable(error: OSError) -> None:
        findings.append(f"Folder '{error.filename}' cannot be read: {error.strerror}.")

    for folder, subfolders, names in os.walk(root, onerror=unreadable):
        # "._x.wav" and "__MACOSX" are what macOS's archiver leaves: named like audio, holding none.
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(".") and name != "__MACOSX")
        for name in names:
            extension = name.rpartition(".")[2].lower()
            if extension in _EXTENSIONS and not name.startswith("."):
                path = Path(folder, name)
                files.append((_EXTENSIONS.index(extension), len(path.parts), path))
    return [path for *_, path in sorted(files)], findings


def _inspect(path: Path) -> tuple[float | None, str | None]:
    """A recording's duration in seconds, where its header says, and what is wrong with it, where something is."""
    from m3ser.audio import probe

    try:
        size = path.stat().st_size
        if size == 0:
            return None, "Empty"
        if size < _LFS_POINTER_LIMIT and path.read_bytes().startswith(_LFS_POINTER):
            return None, "Git LFS pointers in place of audio (run: git lfs pull)"
    except OSError as error:
        return None, f"Not readable: {error.strerror}"
    try:
        duration = probe(path).duration
    except AudioError:
        return None, "Not readable as audio"
    return (None, "Without any samples") if duration == 0 else (duration, None)


def _utterance(info: CorpusInfo, clip: Clip, emotion: str, audio: Path, duration: float | None) -> Utterance:
    extra = {"corpus": info.name, "id": clip.id, "label": clip.label, **clip.extra}
    if duration is not None:
        extra["duration"] = f"{duration:.3f}"
    return Utterance(
        audio=audio,
        emotion=emotion,
        text=clip.text,
        speaker=f"{info.name}/{clip.speaker}",
        script=None if clip.sentence is None else f"{info.name}/{clip.sentence}",
        language=clip.language,
        extra={name: value for name, value in extra.items() if value},
    )


def _about(paths: list[Path], root: Path, what: str) -> list[str]:
    """A sentence on these recordings, where there are any."""
    return [f"{what} ({len(paths):,}): {listed([p.relative_to(root).as_posix() for p in paths])}."] if paths else []
