"""Rows of any foreign format, and how each becomes an utterance.

Other tools call the same things by other names: who speaks is ``spk``, ``spk_id`` or ``speaker``. Names that mean one
thing are here, once for all formats; whatever else a row holds is kept in the utterance's ``extra``.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from m3ser.corpora.folders import listed
from m3ser.corpora.interchange.contract import Reading, Row
from m3ser.corpora.interchange.records import Problem
from m3ser.corpora.label_names import emotion_of
from m3ser.corpora.manifest_rows import COLUMNS, known_of, problems_of, utterance_of
from m3ser.errors import DataError
from m3ser.schema import EMOTIONS, Utterance

__all__ = ["NAMES", "PART_WORDS", "part_of", "utterances_of"]

NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "emotion": ("emotion", "emo", "emotion_label", "label"),
        "text": ("text", "transcript", "transcription", "words", "wrd", "sentence"),
        "speaker": ("speaker", "spk", "spk_id", "speaker_id"),
        "session": ("session", "session_id"),
        "script": ("script", "script_id"),
        "start": ("start", "start_time"),
        "end": ("end", "end_time"),
        "language": ("language", "lang", "locale"),
        "split": ("split", "subset"),
        "valence": ("valence",),
        "arousal": ("arousal",),
        "dominance": ("dominance",),
        "id": ("id", "key", "utt", "utt_id"),
        "corpus": ("corpus", "dataset"),
        "duration": ("duration", "length", "dur"),
    }
)
"""What m3ser calls a thing -> what others do, in lower case, m3ser's own name first."""

PART_WORDS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("train", "training"), "train"),
        **dict.fromkeys(("validation", "valid", "val", "dev", "devel", "development"), "validation"),
        **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
    }
)
"""What others call a part of a split -> what m3ser does."""

_WORDS = ("emotion", "text", "speaker", "session", "script")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")  # as in a manifest
_SHOWN = 100
"""Faults that an error lists."""
_RESERVED = (*COLUMNS, "meta")


def part_of(name: str) -> str | None:
    """The part of a split that `name` ("dev", "iemocap_train") stands for; None where it stands for none."""
    return PART_WORDS.get(re.split(r"[-_. ]", name.lower())[-1])


def utterances_of(
    reading: Reading, labels: Mapping[str, str], place: Callable[[str], Path], notes: list[str]
) -> tuple[Utterance, ...]:
    """The utterances of a source, all of them or none.

    Args:
        reading: what was found there.
        labels: label -> emotion, before the names that are known.
        place: where a recording of that path lies.
        notes: told what was carried over under another name.

    Raises:
        DataError: rows are wrong, or labels are not known; lists all labels, and the first hundred rows.
    """
    problems: list[Problem] = []
    unknown: Counter[str] = Counter()
    unnamed: Counter[str] = Counter()
    utterances = []
    for row in reading.rows:
        if isinstance(row, Problem):
            problems.append(row)
            continue
        wrong: list[str] = []
        utterance = _utterance(row, _Labels(labels, reading.label_map, unknown), place, wrong, unnamed)
        problems += [Problem(row.where, what) for what in wrong]
        if utterance is not None:
            utterances.append(utterance)
    faults = []
    if unknown:
        counts = ", ".join(f"'{label}' ({count:,})" for label, count in sorted(unknown.items()))
        faults.append(
            f"labels that are not known: {counts}; say what each means with --label LABEL=EMOTION, one of "
            f"{', '.join(EMOTIONS)}"
        )
    faults += [str(problem) for problem in problems]
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults):,} faults"
        more = [f"and {len(faults) - _SHOWN:,} more"] if len(faults) > _SHOWN else []
        raise DataError("\n  ".join([f"{reading.what} has {count}:", *faults[:_SHOWN], *more]))
    if not utterances:
        raise DataError(f"{reading.what} has no utterances.")
    if unnamed:
        names = [f"'{name}'" for name in sorted(unnamed)]
        notes.append(f"Languages that are no BCP 47 codes went to column language_name: {listed(names)}.")
    return tuple(utterances)


@dataclass(frozen=True)
class _Labels:
    """What labels mean, and those that nobody knows."""

    given: Mapping[str, str]
    own: Mapping[str, str]
    unknown: Counter[str]

    def emotion(self, label: str) -> str | None:
        emotion = emotion_of(label, self.given)
        if emotion is None and label in self.own:
            # After the known names: EmoBox's map of IEMOCAP makes excited happy, which a scheme can still do later.
            emotion = emotion_of(self.own[label], self.given)
        if emotion is None:
            self.unknown[label] += 1
        return emotion


def _utterance(
    row: Row, labels: _Labels, place: Callable[[str], Path], problems: list[str], unnamed: Counter[str]
) -> Utterance | None:
    known = _named(row.values)
    for name in _WORDS:
        if isinstance(known.get(name), (bool, int, float)):
            known[name] = json.dumps(known[name])  # speaker 3
    if not row.audio:
        problems.append("no recording; expected its path")
    known["audio"] = str(place(row.audio))

    split = known.get("split")
    if isinstance(split, str):
        known["split"] = PART_WORDS.get(split.strip().lower(), split)
    language = known.get("language")
    if isinstance(language, str) and not _LANGUAGE.fullmatch(language):
        known.setdefault("language_name", known.pop("language"))
        unnamed[language] += 1
    label = known.get("emotion")
    emotion = None
    if isinstance(label, str):
        emotion = labels.emotion(label)
        if emotion is not None and emotion != label:
            known["emotion"] = emotion
            known.setdefault("label", label)

    for kind, problem in problems_of(known, "", check_audio=False):
        if kind != "column emotion" or (label is not None and not isinstance(label, str)):
            problems.append(problem)
        elif label is None:
            problems.append(f"no emotion; expected one of the columns {', '.join(NAMES['emotion'])}")
    return None if problems or emotion is None else utterance_of(known, Path())


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is known, by m3ser's names where it has any."""
    rest = known_of({str(name): value for name, value in values.items()})
    spelled = {name.lower(): name for name in rest}
    named: dict[str, Any] = {}
    for ours, theirs in NAMES.items():
        name = next((spelled[alias] for alias in theirs if alias in spelled), None)
        if name is not None:
            named[ours] = rest.pop(name)
            del spelled[name.lower()]
    # The rest keep their names, but for those that have another meaning in a manifest.
    return named | {(f"{name}_" if name in _RESERVED else name): value for name, value in rest.items()}
