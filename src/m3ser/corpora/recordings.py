"""From a folder of recordings, and what their names or some tables say about them, to a corpus.

People's copies differ from the published ones: other extensions, other nesting, the same archive unpacked twice, Git
LFS pointers in place of the audio, macOS's ``._x.wav`` beside ``x.wav``, tables that list other recordings than those
that are there. All of that is accepted or reported, none of it raised.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.folders import about, existing_folder, listed
from m3ser.errors import AudioError, DataError
from m3ser.schema import Utterance

__all__ = [
    "EXTENSIONS",
    "Clip",
    "Recordings",
    "audio_files",
    "file_name",
    "find_recordings",
    "inspect_recording",
    "missing_clips",
    "placeholder",
    "read_annotated",
    "read_recordings",
]

EXTENSIONS = (
    *("wav", "flac", "w64", "aif", "aiff", "au", "sph"),
    *("opus", "ogg", "mp3", "m4a", "aac", "wma", "webm", "mp4"),
)
"""What recordings' names end in. In order of preference: where the same clip is there in two formats, the earlier one
is the less processed."""

_PREFERENCE = {extension: place for place, extension in enumerate(EXTENSIONS)}
_LFS_POINTER = b"version https://git-lfs"
_LFS_POINTER_LIMIT = 1024  # bytes; by its specification a pointer is smaller


@dataclass(frozen=True)
class Clip:
    """What a recording's name, or a table, says about it.

    Attributes:
        id: the published name without extension.
        label: the corpus's own label, a key of its label map.
        speaker: without the corpus's prefix ("03"); None where this recording's speaker is not known.
        sentence: which sentence, or which script, is spoken, without the prefix ("a01"); None where there is no such
            identity.
        text: the words; None where the copy does not say.
        language: BCP 47 code.
        extra: further columns; empty values are dropped.
        session: in which it was recorded, without the prefix; None where the corpus has no sessions.
        split: its part in the official split, in m3ser's spelling; None where there is none.
        valence, arousal, dominance: ratings on the corpus's own scale; None where it has none.
    """

    id: str
    label: str
    speaker: str | None
    sentence: str | None
    text: str | None
    language: str
    extra: Mapping[str, str] = field(default_factory=dict)
    session: str | None = None
    split: str | None = None
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None


@dataclass(frozen=True)
class Recordings:
    """The recordings of one copy of a corpus.

    Attributes:
        root: the copy.
        files: name without extension -> the path of the recording to use, in the order of the names.
        findings: what is there besides, a sentence each.
    """

    root: Path
    files: Mapping[str, str]
    findings: tuple[str, ...]


def read_recordings(
    folder: str | os.PathLike[str],
    info: CorpusInfo,
    *,
    names: re.Pattern[str],
    describe: Callable[[re.Match[str]], Clip | str],
    missing: Callable[[Collection[str]], Iterable[str]],
    progress: Progress | None = None,
) -> Corpus:
    """Read a corpus whose file names are its annotation.

    Args:
        folder: the copy; recordings may lie at any depth, with any audio extension.
        info: the corpus.
        names: what the name of a recording, without extension, looks like.
        describe: what such a name says, or why that recording is left out.
        missing: given the ids of all recordings that are there, says what a complete copy has beyond them.
        progress: told how many recordings have been looked at, and of how many.

    Raises:
        DataError: no recording in the folder is named as in this corpus.
        MissingExtraError: the recordings are in a format (m4a, say) whose decoder is not installed.
    """
    found = find_recordings(folder, info, names=names)
    clips: list[tuple[Clip, str]] = []
    left_out: Counter[str] = Counter()
    for name, path in found.files.items():
        match = names.fullmatch(name)
        assert match is not None
        clip = describe(match)
        if isinstance(clip, str):
            left_out[clip] += 1
        else:
            clips.append((clip, path))
    return _corpus(info, found, clips, left_out, missing({clip.id for clip, _ in clips}), progress)


def read_annotated(
    info: CorpusInfo,
    found: Recordings,
    rows: Mapping[str, Clip | str],
    *,
    findings: Iterable[str] = (),
    progress: Progress | None = None,
) -> Corpus:
    """Read a corpus whose annotation stands in tables beside the recordings.

    Args:
        info: the corpus.
        found: the recordings that are there.
        rows: name of a recording without extension -> what the tables say about it, or why it is left out; their order
            is that of the utterances.
        findings: what is already known to be wrong with this copy.
        progress: told how many recordings have been looked at, and of how many.

    Raises:
        MissingExtraError: the recordings are in a format (m4a, say) whose decoder is not installed.
    """
    clips = [(row, found.files[name]) for name, row in rows.items() if isinstance(row, Clip) and name in found.files]
    left_out = Counter(row for row in rows.values() if isinstance(row, str))
    absent = [name for name, row in rows.items() if isinstance(row, Clip) and name not in found.files]
    strangers = [name for name in found.files if name not in rows]
    mismatches = (
        *about(absent, "Annotated, but the recording is not there, left out"),
        *about(strangers, "Recordings without annotation, left out"),
    )
    return _corpus(info, found, clips, left_out, (*mismatches, *findings), progress)


def file_name(path: str) -> str:
    """A file's name without folder and extension."""
    return path.rpartition(os.sep)[2].rpartition(".")[0]


def find_recordings(
    folder: str | os.PathLike[str],
    info: CorpusInfo,
    *,
    names: re.Pattern[str],
    beside: re.Pattern[str] | None = None,
    name_of: Callable[[str], str] = file_name,
) -> Recordings:
    """Find a corpus's recordings, at any depth and with any audio extension.

    Args:
        folder: the copy.
        info: the corpus.
        names: what the name of a recording, without extension, looks like.
        beside: what other recordings of the published corpus are called (whole dialogues, say); passed over.
        name_of: the name of the recording with this path, where the file's name alone does not tell recordings apart.

    Raises:
        DataError: no recording in the folder is named as in this corpus.
    """
    root = existing_folder(folder, info)
    files, findings = audio_files(root)
    matched: defaultdict[str, list[str]] = defaultdict(list)
    strays: list[str] = []
    for path in files:
        name = name_of(path)
        if names.fullmatch(name):
            matched[name].append(path)
        elif beside is None or not beside.fullmatch(name):
            strays.append(path)
    if not matched:
        example = f", such as '{Path(strays[0]).name}'" if strays else ""
        raise DataError(
            f"'{root}' is not a copy of {info.title}: looked for recordings named like '{info.layout}', "
            f"found {len(files):,} audio files{example}."
        )
    copies = [paths[1] for paths in matched.values() if len(paths) > 1]
    findings += about(_within(root, strays), f"Not named as in {info.title}, ignored")
    findings += about(_within(root, copies), "There more than once, one of each is used")
    chosen = {name: paths[0] for name, paths in sorted(matched.items())}
    return Recordings(root, MappingProxyType(chosen), tuple(findings))


def missing_clips(
    present: Collection[str],
    expected: Mapping[str, Collection[str] | int],
    *,
    speaker_of: Callable[[str], str],
    group: str = "speaker",
    items: str = "recordings",
) -> list[str]:
    """Sentences on what a complete copy has beyond `present`.

    Args:
        present: ids of the recordings that are there.
        expected: speaker -> the ids of that speaker's recordings, or only how many they are.
        speaker_of: an id's speaker.
        group: what stands for the speaker where recordings are counted by something else ("session").
        items: what is counted, where not recordings.
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
        who = f"{len(absent)} of the {len(expected)} {group}s ({listed(absent)})"
        findings.append(f"Nothing is there of {who}: {recordings:,} {items}.")
    if lacking:
        counts = [f"{lacking[s]} of {group} {s}'s {wanted[s]}" for s in lacking]
        names = [name for s in lacking if not isinstance(ids := expected[s], int) for name in sorted({*ids} - there[s])]
        findings.append(f"Missing {items}: {listed(counts)}{f' (such as {listed(names)})' if names else ''}.")
    return findings


def audio_files(root: Path) -> tuple[list[str], list[str]]:
    """Every audio file below `root`, the preferred copy of each name first; and what could not be looked into.

    Paths are strings here and below: a large corpus has tens of thousands, and making, comparing and joining as many
    Path objects costs more than reading the recordings' headers.
    """
    files: list[tuple[int, int, str]] = []
    findings: list[str] = []

    def unreadable(error: OSError) -> None:
        findings.append(f"Folder '{error.filename}' cannot be read: {error.strerror}.")

    for folder, subfolders, names in os.walk(root, onerror=unreadable):
        # "._x.wav" and "__MACOSX" are what macOS's archiver leaves: named like audio, holding none.
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(".") and name != "__MACOSX")
        depth = folder.count(os.sep)
        for name in names:
            preference = _PREFERENCE.get(name.rpartition(".")[2].lower())
            if preference is not None and not name.startswith("."):
                files.append((preference, depth, f"{folder.removesuffix(os.sep)}{os.sep}{name}"))
    return [path for *_, path in sorted(files)], findings


def inspect_recording(path: str) -> tuple[float | None, str | None]:
    """A recording's duration in seconds, where its header says, and what is wrong with it, where something is."""
    from m3ser.audio import probe

    fault = placeholder(path)
    if fault is not None:
        return None, fault
    try:
        duration = probe(path).duration
    except AudioError:
        return None, "Not readable as audio"
    return (None, "Without any samples") if duration == 0 else (duration, None)


def placeholder(path: str) -> str | None:
    """Why a file cannot hold a recording, whatever its format; None where it may."""
    try:
        size = Path(path).stat().st_size
        if size == 0:
            return "Empty"
        if size < _LFS_POINTER_LIMIT and Path(path).read_bytes().startswith(_LFS_POINTER):
            return "Git LFS pointers in place of audio (run: git lfs pull)"
    except OSError as error:
        return f"Not readable: {error.strerror}"
    return None


def _corpus(
    info: CorpusInfo,
    found: Recordings,
    clips: Sequence[tuple[Clip, str]],
    left_out: Counter[str],
    findings: Iterable[str],
    progress: Progress | None,
) -> Corpus:
    utterances: dict[str, Utterance] = {}
    damage: defaultdict[str, list[str]] = defaultdict(list)
    for done, (clip, path) in enumerate(clips, 1):
        emotion = info.labels[clip.label]
        if emotion is None:
            left_out[f"label '{clip.label}'"] += 1
        else:
            duration, fault = inspect_recording(path)
            if fault is not None:
                damage[fault].append(path)
            else:
                utterances[clip.id] = _utterance(info, clip, emotion, Path(path), duration)
        if progress is not None:
            progress(done, len(clips))
    damaged = [s for fault, paths in damage.items() for s in about(_within(found.root, paths), f"{fault}, left out")]
    return Corpus(info, found.root, tuple(utterances.values()), (*found.findings, *damaged, *findings), left_out)


def _utterance(info: CorpusInfo, clip: Clip, emotion: str, audio: Path, duration: float | None) -> Utterance:
    extra = {"corpus": info.name, "id": clip.id, "label": clip.label, **clip.extra}
    if duration is not None:
        extra["duration"] = f"{duration:.3f}"

    def identity(name: str | None) -> str | None:
        return None if name is None else f"{info.name}/{name}"

    return Utterance(
        audio=audio,
        emotion=emotion,
        text=clip.text,
        speaker=identity(clip.speaker),
        session=identity(clip.session),
        script=identity(clip.sentence),
        language=clip.language,
        split=clip.split,
        valence=clip.valence,
        arousal=clip.arousal,
        dominance=clip.dominance,
        extra={name: value for name, value in extra.items() if value},
    )


def _within(root: Path, paths: Iterable[str]) -> list[str]:
    return [Path(path).relative_to(root).as_posix() for path in paths]
