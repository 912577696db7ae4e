"""Any folder of recordings that is sorted by emotion: sub-folders are the labels.

::

    recordings/angry/anna_01.wav        labelled by the nearest folder above it that names an emotion
    recordings/angry/anna_01.txt        its words, where there are any

What folders may be called is :data:`~m3ser.corpora.label_names.LABEL_NAMES` ("anger", "ang" and "Angry" are all angry);
other names can be mapped by hand.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePath

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.folders import about, listed, read_text
from m3ser.corpora.label_names import emotion_of
from m3ser.corpora.recordings import audio_files, inspect_recording
from m3ser.errors import DataError, UsageError
from m3ser.schema import Utterance

__all__ = ["read_labelled_folder"]


def read_labelled_folder(
    folder: str | os.PathLike[str],
    *,
    label_map: Mapping[str, str] | None = None,
    speaker_pattern: str | None = None,
    language: str | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Read a folder whose sub-folders are named after emotions, at any depth.

    Args:
        folder: the folder; its own name becomes that of the corpus.
        label_map: a folder's name -> one of :data:`~m3ser.schema.EMOTIONS`; goes before the names that are known.
        speaker_pattern: a regular expression that is searched for in each recording's path below `folder`
            ("angry/anna_01.wav"); its group "speaker", or else its first group, or else all of it is the speaker.
            None: nobody knows who speaks.
        language: BCP 47 code of all recordings; None: not known.
        progress: told how many recordings have been looked at, and of how many.

    Returns:
        The utterances in the order of their paths. "id" in ``extra`` is the path below `folder` without extension,
        "label" the name of the folder that the emotion was taken from.

    Raises:
        DataError: there is no such folder, or no recording in it lies in a folder that names an emotion.
        UsageError: `speaker_pattern` is not a regular expression.
        MissingExtraError: the recordings are in a format (m4a, say) whose decoder is not installed.
    """
    root = Path(folder)
    if not root.is_dir():
        found = "a file" if root.exists() else "not there"
        raise DataError(f"'{root}' is {found}; expected a folder with sub-folders that are named after emotions.")
    speakers = _compiled(speaker_pattern)
    files, findings = audio_files(root)
    unlabelled: Counter[str] = Counter()
    labelled: dict[str, tuple[str, str, str]] = {}
    copies: list[str] = []
    for path in files:
        inside = PurePath(path).relative_to(root)
        identity = inside.with_suffix("").as_posix()
        label, emotion = _label(inside, label_map)
        if emotion is None:
            unlabelled[label] += 1
        elif identity in labelled:
            copies.append(inside.as_posix())
        else:
            labelled[identity] = (path, label, emotion)
    if not labelled:
        names = f"found {listed(sorted(unlabelled), most=5)}" if unlabelled else "found no audio files"
        raise DataError(
            f"'{root}' has no sub-folder with recordings that is named after an emotion ({names}); expected angry, "
            "happy, sad and the like, or a map from its names to them."
        )
    findings += about(copies, "There in more than one format, the least processed is used")

    name = root.resolve().name or "folder"
    counts: Counter[str] = Counter()
    damage: defaultdict[str, list[str]] = defaultdict(list)
    speakerless: list[str] = []
    utterances: list[Utterance] = []
    for done, (identity, (path, label, emotion)) in enumerate(sorted(labelled.items()), start=1):
        counts[label] += 1
        inside = PurePath(path).relative_to(root)
        duration, fault = inspect_recording(path)
        if progress is not None:
            progress(done, len(labelled))
        if fault is not None:
            damage[fault].append(inside.as_posix())
            continue
        speaker = None if speakers is None else _speaker(speakers, inside)
        if speakers is not None and speaker is None:
            speakerless.append(inside.as_posix())
        extra = {"corpus": name, "id": identity, "label": label}
        if duration is not None:
            extra["duration"] = f"{duration:.3f}"
        utterances.append(
            Utterance(
                audio=Path(path),
                emotion=emotion,
                text=_words(Path(path).with_suffix(".txt")),
                speaker=None if speaker is None else f"{name}/{speaker}",
                language=language,
                extra=extra,
            )
        )
    findings += [sentence for fault, paths in damage.items() for sentence in about(paths, f"{fault}, left out")]
    findings += about(speakerless, "The pattern finds no speaker in the path")
    info = CorpusInfo(
        name=name,
        title=f"Labelled folder '{name}'",
        kind="speech",
        languages=() if language is None else (language,),
        licence="NOASSERTION",  # SPDX for: nobody has said
        citation="",
        labels={label: emotion for _, label, emotion in labelled.values()},
        utterances=len(labelled),
        speakers=len({u.speaker for u in utterances if u.speaker is not None}) or None,
        layout="angry/recording.wav",
        counts=counts,
    )
    left_out = {f"in folder '{label}', which names no emotion": count for label, count in sorted(unlabelled.items())}
    return Corpus(info, root, tuple(utterances), tuple(findings), left_out)


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    try:
        return None if pattern is None else re.compile(pattern)
    except re.error as error:
        raise UsageError(f"Speaker pattern '{pattern}' is not a regular expression: {error}.") from None


def _label(inside: PurePath, label_map: Mapping[str, str] | None) -> tuple[str, str | None]:
    """The nearest folder that names an emotion, and the emotion; or the recording's own folder, and None."""
    folders = [folder.name for folder in inside.parents if folder.name]
    for name in folders:
        emotion = emotion_of(name, label_map)
        if emotion is not None:
            return name, emotion
    return (folders[0] if folders else "."), None


def _speaker(pattern: re.Pattern[str], inside: PurePath) -> str | None:
    match = pattern.search(inside.as_posix())
    if match is None:
        return None
    name = match.groupdict().get("speaker") or (match[1] if pattern.groups else match[0])
    return name or None


def _words(path: Path) -> str | None:
    try:
        return " ".join(read_text(path).split()) or None
    except OSError:
        return None
