"""ESD: ten Mandarin and ten English speakers, 350 sentences a language, five emotions.

The number in a file's name is its annotation, and a table per speaker says the words::

    0011/Angry/train/0011_000401.wav     speaker 0011; numbers 351 to 700 are angry, so this is sentence 51
    0011/0011.txt                        0011_000401<TAB>The nine the eggs, I keep.<TAB>Angry

Some copies have no folders for the parts of the official split; the number tells the part as well.
"""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path

from m3ser.corpora.corpus import Corpus, CorpusInfo, Progress
from m3ser.corpora.folders import lines_of
from m3ser.corpora.recordings import Clip, find_recordings, missing_clips, read_annotated

__all__ = ["INFO", "read"]

INFO = CorpusInfo(
    name="esd",
    title="ESD (Emotional Speech Database)",
    kind="speech",
    languages=("zh", "en"),
    licence="LicenseRef-ESD",
    citation="K. Zhou, B. Sisman, R. Liu, H. Li: Seen and Unseen Emotional Style Transfer for Voice Conversion with a "
    "New Emotional Speech Dataset. ICASSP 2021, 920-924.",
    # In the order of the numbers of their recordings.
    labels={"Neutral": "neutral", "Angry": "angry", "Happy": "happy", "Sad": "sad", "Surprise": "surprised"},
    utterances=35_000,
    speakers=20,
    layout="0011/Angry/train/0011_000401.wav",
    access="github.com/HLTSingapore/Emotional-Speech-Data, with a signed licence agreement",
    counts=dict.fromkeys(("Neutral", "Angry", "Happy", "Sad", "Surprise"), 7_000),
    splits=("train", "validation", "test"),
    notes=(
        "For research purposes only, its authors say.",
        "Every sentence is spoken by every speaker of its language in every emotion.",
        "The official parts share all speakers, not sentences; the part called evaluation is read as validation.",
    ),
)

_NAME = re.compile(r"(\d{4})_(\d{6})")
_ROW = re.compile(r"\s*(\d{4}_\d{6})(\s.*)")
_LABELS = tuple(INFO.labels)
# What the tables call the emotions, in the order of the labels.
_WRITTEN = (*_LABELS, "中立", "生气", "快乐", "伤心", "惊喜")
_SENTENCES = 350
_SPEAKERS = tuple(f"{number:04}" for number in range(1, 21))
_MEN = frozenset(("0004", "0005", "0006", "0008", "0010", "0011", "0012", "0013", "0014", "0020"))
_PARTS = {"train": "train", "evaluation": "validation", "test": "test"}


def read(folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Corpus:
    """Read a copy of ESD; the words come from ``0001.txt`` and its like.

    Raises:
        DataError: no recording below `folder` is named like ``0011_000401.wav``.
    """
    found = find_recordings(folder, INFO, names=_NAME)
    texts = _texts(found.root)
    rows = {
        name: _describe(match, Path(path), texts.get(name))
        for name, path in found.files.items()
        if (match := _NAME.fullmatch(name))
    }
    clips = [row for row in rows.values() if isinstance(row, Clip)]
    numbers = range(1, len(_LABELS) * _SENTENCES + 1)
    expected = {speaker: {f"{speaker}_{number:06}" for number in numbers} for speaker in _SPEAKERS}
    findings = missing_clips({clip.id for clip in clips}, expected, speaker_of=lambda clip: clip[:4])
    wordless = sum(clip.text is None for clip in clips)
    if wordless:
        findings.append(f"Recordings without their words, which no table (0001.txt and so on) has: {wordless:,}.")
    return read_annotated(INFO, found, rows, findings=findings, progress=progress)


def _describe(name: re.Match[str], path: Path, text: str | None) -> Clip | str:
    speaker, number = name[1], int(name[2])
    if speaker not in _SPEAKERS or not 1 <= number <= len(_LABELS) * _SENTENCES:
        return "name with a speaker or number that ESD does not have"
    block, sentence = divmod(number - 1, _SENTENCES)
    language = "zh" if speaker <= "0010" else "en"
    return Clip(
        id=name.string,
        label=_LABELS[block],
        speaker=speaker,
        sentence=f"{language}-{sentence + 1:03}",
        text=text,
        language=language,
        split=_part(path, sentence + 1),
        extra={"gender": "male" if speaker in _MEN else "female"},
    )


def _part(path: Path, sentence: int) -> str:
    """The part that a recording's folder names, or else that its sentence is in: the first 20 or the next 30 of 350."""
    part = _PARTS.get(path.parent.name)
    return part or ("validation" if sentence <= 20 else "test" if sentence <= 50 else "train")


def _texts(root: Path) -> dict[str, str]:
    """Recording -> its words, from the speakers' tables; what is missing or cannot be read has none."""
    texts: dict[str, str] = {}
    for path in sorted(root.rglob("00[0-2][0-9].txt")):
        try:
            raw = path.read_bytes()
        except OSError:
            continue
        for line in lines_of(_decoded(raw, mandarin=path.stem <= "0010")):
            row = _ROW.fullmatch(line)
            if row is not None and (words := _words(row[2])):
                texts.setdefault(row[1], words)
    return texts


def _words(rest: str) -> str:
    """What follows the name of a recording, without the label at its end; a few rows have blanks in place of tabs."""
    rest = rest.rstrip()
    for label in _WRITTEN:
        words = rest.removesuffix(label)
        if words != rest and words[-1:].isspace():
            return " ".join(words.split())
    return " ".join(rest.split())


def _decoded(raw: bytes, *, mandarin: bool) -> str:
    """The published tables are UTF-8, UTF-16, GBK or Latin-1, from speaker to speaker."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace")
    if b"\0" in raw[:2]:
        return raw.decode("utf-16-be" if raw[:1] == b"\0" else "utf-16-le", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        # GB 18030 is GBK and more; Windows' code page 1252 is Latin-1 and more.
        return raw.decode("gb18030" if mandarin else "cp1252", errors="replace")
