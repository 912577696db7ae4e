"""A small IEMOCAP in the published layout, made up: sound that has the rhythm of speech, and words that mean little.

As in the real one, scripted dialogues repeat their sentences in every session, with a word changed here and there, and
always in the same emotion; improvised ones are never the same. Voices differ by speaker and by emotion, so that models
have something to learn. The same arguments give the same files, to the byte.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

FAULTS = (
    "missing wav",  # the first turn of the first dialogue has no recording
    "missing label",  # its second turn has a recording and a transcript, but no annotation
    "missing transcript",  # its third turn has no line among the transcriptions
    "duplicate id",  # its fourth turn is annotated once more, as something else
    "empty wav",  # its fifth turn's recording has no bytes
    "crlf",  # the tables have Windows' line ends
    "latin-1",  # one transcript has an accent, in Latin-1
    "strays",  # "._x.wav" and "._x.txt" of macOS, and somebody's holiday.wav
)
SCRIPTS = ("script01_1", "script02_2")
IMPROVISATIONS = ("impro01", "impro02")
LABELS = ("ang", "hap", "sad", "neu", "exc", "fru", "xxx")

# label -> valence, activation and dominance; pitch and loudness, relative; some words that betray it
_EMOTIONS: dict[str, tuple[tuple[float, float, float], float, float, tuple[str, ...]]] = {
    "ang": ((1.5, 4.0, 4.5), 1.25, 1.0, ("furious", "damn", "enough")),
    "hap": ((4.5, 3.5, 3.0), 1.35, 0.7, ("lovely", "glad", "wonderful")),
    "sad": ((2.0, 2.0, 2.0), 0.85, 0.25, ("lonely", "crying", "lost")),
    "neu": ((3.0, 2.5, 2.5), 1.0, 0.5, ("paper", "table", "number")),
    "exc": ((4.5, 4.5, 3.5), 1.5, 0.9, ("amazing", "finally", "incredible")),
    "fru": ((2.0, 3.5, 3.5), 1.15, 0.8, ("again", "waiting", "useless")),
    "fea": ((2.0, 3.5, 1.5), 1.4, 0.5, ("scared", "shadow", "running")),
    "sur": ((3.5, 3.5, 3.0), 1.45, 0.7, ("really", "suddenly", "what")),
    "dis": ((2.0, 3.0, 3.0), 0.95, 0.6, ("gross", "rotten", "dirty")),
    "oth": ((3.0, 3.0, 3.0), 1.0, 0.5, ("perhaps", "somehow", "whatever")),
    "xxx": ((3.0, 3.0, 3.0), 1.1, 0.5, ("maybe", "anyway", "well")),
}
_WORDS = {
    "ang": "Anger",
    "hap": "Happiness",
    "sad": "Sadness",
    "neu": "Neutral",
    "exc": "Excited",
    "fru": "Frustration",
    "fea": "Fear",
    "sur": "Surprise",
    "dis": "Disgust",
    "oth": "Other",
}
_COMMON = (
    "about after around augie back because before better bring call carla chance child come could country door down "
    "every father find first form friend from give going home house husband keep kind know later leave letter life "
    "light line long look love make married might moment money moon morning mother moving name never night nothing "
    "ocean office only people place pretty quite right room said same school should since some something still story "
    "talk than their there thing think this those time today together told tonight under until water were when where "
    "while window with woman wonder word world would write year yesterday your"
)
_FILLERS = _COMMON.split()


@dataclass(frozen=True)
class Turn:
    """One annotated turn, as the tree has it; `path` is its recording, whether it is there or not."""

    id: str
    label: str
    text: str
    dialogue: str
    start: float
    end: float
    path: Path

    @property
    def session(self) -> str:
        return self.id[:5]

    @property
    def speaker(self) -> str:
        return self.session + self.id.rpartition("_")[2][0]


@dataclass(frozen=True)
class IemocapTree:
    """What was written: the folder to read, and every turn in the order of the files."""

    root: Path
    turns: tuple[Turn, ...]


def write_iemocap(
    folder: Path,
    *,
    sessions: int = 2,
    scripts: Sequence[str] = SCRIPTS,
    improvisations: Sequence[str] = IMPROVISATIONS,
    markers: str = "F",
    turns: int = 4,
    seconds: tuple[float, float] = (0.3, 0.6),
    labels: Sequence[str] = LABELS,
    extension: str = "wav",
    flat: bool = False,
    faults: Collection[str] = (),
    seed: int = 0,
) -> IemocapTree:
    """Write a made-up IEMOCAP.

    Args:
        folder: where; made if it is not there. The copy is its ``IEMOCAP_full_release``.
        sessions: how many, 1 to 5; each has two speakers of its own.
        scripts, improvisations: the dialogues of every session ("script01_1b" and "impro05a" are fine).
        markers: who wears the markers in each dialogue: "F", "M", or "FM" for one recording of each.
        turns: of each of the two speakers in each dialogue.
        seconds: shortest and longest turn. VGGish needs 0.96 s for an example, the `paper` protocol two examples.
        labels: which occur, drawn at random; those of a script are the same in every session.
        extension: of the recordings, "wav" or "flac".
        flat: all recordings in ``wav``, all tables in ``EmoEvaluation`` and ``transcriptions``, as some copies are.
        faults: which of :data:`FAULTS` the copy has.
        seed: of words and voices.
    """
    unknown = set(faults) - set(FAULTS)
    if unknown or not 1 <= sessions <= 5:
        raise ValueError(f"unknown faults {sorted(unknown)}, or {sessions} sessions where IEMOCAP has 5")
    root = folder / "IEMOCAP_full_release"
    written: list[Turn] = []
    for session in range(1, sessions + 1):
        place = root if flat else root / f"Session{session}"
        for script in (*scripts, *improvisations):
            for marker in markers:
                name = f"Ses{session:02}{marker}_{script}"
                wavs = root / "wav" if flat else place / "sentences" / "wav" / name
                dialogue = list(_dialogue(name, wavs, turns, seconds, labels, extension, seed))
                first = faults if not written else set(faults) & {"crlf"}
                _write_recordings(dialogue, first, seed)
                _write_tables(place if flat else place / "dialog", name, dialogue, first)
                written += dialogue
    if "strays" in faults:
        path = written[0].path
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
        tables = next(root.rglob("EmoEvaluation"))
        (tables / f"._{written[0].dialogue}.txt").write_bytes(b"\0\5\x16\7")
        _write_audio(root / "holiday.wav", np.zeros(1600))
    return IemocapTree(root, tuple(written))


def speech(
    seconds: float, *, pitch: float, loudness: float, seed: int, sample_rate: int = 16_000
) -> NDArray[np.float64]:
    """Sound with the rhythm, harmonics and formants of speech: four syllables a second, each another vowel."""
    noise = np.random.default_rng(seed)
    length = round(seconds * sample_rate)
    time = np.arange(length) / sample_rate
    melody = pitch * (1 + 0.15 * np.sin(2 * np.pi * 0.7 * time + noise.uniform(0, 6)) - 0.1 * time / seconds)
    phase = 2 * np.pi * np.cumsum(melody) / sample_rate
    syllables = max(1, round(4 * seconds))
    place = np.minimum((time * syllables / seconds).astype(int), syllables - 1)
    formants = noise.uniform((300, 900, 2300), (800, 2200, 3000), (syllables, 3))
    sound = np.zeros(length)
    for harmonic in range(1, int(4000 / pitch)):
        gains = np.exp(-(((harmonic * pitch - formants) / 180) ** 2)).sum(axis=1) + 0.02
        sound += gains[place] / harmonic**0.5 * np.sin(harmonic * phase)
    envelope = np.abs(np.sin(np.pi * time * syllables / seconds)) ** 0.5
    sound = envelope * sound / np.abs(sound).max() + 0.01 * noise.standard_normal(length)
    return np.asarray(0.9 * loudness * sound / np.abs(sound).max())


def _dialogue(
    name: str,
    wavs: Path,
    turns: int,
    seconds: tuple[float, float],
    labels: Sequence[str],
    extension: str,
    seed: int,
) -> Iterator[Turn]:
    """The turns of a dialogue in the order of its file: first all of hers, then all of his, though they alternate."""
    scripted = "script" in name
    script = name.partition("_")[2]
    # What is scripted depends on the script alone, what is improvised on the dialogue as well.
    chance = random.Random(f"{seed} {script if scripted else name}")
    own = random.Random(f"{seed} {name} of its own")
    clock = 1.0
    spoken = []
    for number in range(turns):
        for gender in "FM":
            label = labels[chance.randrange(len(labels))]
            words = [*chance.sample(_FILLERS, 8), chance.choice(_EMOTIONS[label][3])]
            slip = chance.randrange(8)  # the word that some sessions have otherwise
            if scripted and own.random() < 0.5:
                words[slip] = own.choice(_FILLERS)
            end = clock + round(own.uniform(*seconds), 4)
            turn = f"{name}_{gender}{number:03}"
            text = f"{' '.join(words).capitalize()}."
            spoken.append(Turn(turn, label, text, name, clock, end, wavs / f"{turn}.{extension}"))
            clock = end + 0.25
    yield from sorted(spoken, key=lambda turn: turn.id)


def _write_recordings(dialogue: Sequence[Turn], faults: Collection[str], seed: int) -> None:
    for number, turn in enumerate(dialogue):
        if "missing wav" in faults and number == 0:
            continue
        if "empty wav" in faults and number == 4:
            turn.path.parent.mkdir(parents=True, exist_ok=True)
            turn.path.write_bytes(b"")
            continue
        _, pitch, loudness, _ = _EMOTIONS[turn.label]
        voice = random.Random(f"{seed} {turn.speaker}").uniform(0.9, 1.1) * (200 if turn.speaker[-1] == "F" else 115)
        sound = speech(
            turn.end - turn.start,
            pitch=voice * pitch,
            loudness=loudness,
            seed=random.Random(f"{seed} {turn.id}").randrange(2**32),
        )
        _write_audio(turn.path, sound)


def _write_audio(path: Path, sound: NDArray[np.float64]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, 16_000, subtype="PCM_16")


def _write_tables(place: Path, name: str, dialogue: Sequence[Turn], faults: Collection[str]) -> None:
    annotated = [turn for number, turn in enumerate(dialogue) if not ("missing label" in faults and number == 1)]
    if "duplicate id" in faults:
        twin = dialogue[3]
        annotated.append(replace(twin, label="oth" if twin.label != "oth" else "neu"))
    evaluation = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n" + "".join(map(_annotation, annotated))
    spoken = sorted(dialogue, key=lambda turn: turn.start)
    if "missing transcript" in faults:
        spoken.remove(dialogue[2])
    lines = [_transcript(turn.id, turn.start, turn.end, turn.text) for turn in spoken]
    # What stands between the turns in the published files.
    lines[1:1] = [_transcript(f"{name}_FXX0", 0.1, 0.4, "[LAUGHTER]"), "M: [BREATHING]"]
    if "latin-1" in faults:
        lines[0] = lines[0].removesuffix(".") + " caf\N{LATIN SMALL LETTER E WITH ACUTE}."
    end = "\r\n" if "crlf" in faults else "\n"
    encoding = "latin-1" if "latin-1" in faults else "utf-8"
    for table, text in (
        (f"EmoEvaluation/{name}.txt", evaluation),
        (f"transcriptions/{name}.txt", "\n".join(lines) + "\n"),
        # Of the same names, and none of a reader's business.
        (f"EmoEvaluation/Categorical/{name}_e2_cat.txt", f"{dialogue[0].id} :Neutral state; ()\n"),
        (f"MOCAP_head/{name}.txt", "Frame# Time pitch roll yaw tra_x tra_y tra_z\n"),
    ):
        path = place / table
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.replace("\n", end).encode(encoding))


def _annotation(turn: Turn) -> str:
    ratings = _EMOTIONS[turn.label][0]
    if turn.label == "xxx":
        votes = ["Anger", "Sadness", "Neutral"]
    else:
        other = "Neutral" if turn.label != "neu" else "Frustration"
        # Two of three agree, but for the first of each speaker, where all do; one of them names two emotions.
        last = _WORDS[turn.label] if turn.id.endswith("000") else other
        votes = [_WORDS[turn.label], f"{_WORDS[turn.label]}; Surprise" if turn.label != "sur" else "Surprise", last]
    first = f"[{turn.start:.4f} - {turn.end:.4f}]\t{turn.id}\t{turn.label}\t[{', '.join(f'{r:.4f}' for r in ratings)}]"
    categories = [f"C-E{number}:\t{vote};\t()" for number, vote in enumerate(votes, 2)]
    actor = turn.id.rpartition("_")[2][0]
    attributes = [
        f"A-E{number}:\tval {ratings[0]:.0f}; act {ratings[1]:.0f}; dom  {ratings[2]:.0f};\t()" for number in (3, 4)
    ]
    own = [f"C-{actor}1:\tOther;\t(curious)", f"A-{actor}1:\tval 3; act 2; dom  1;\t()"]
    return "\n".join([first, *categories, own[0], *attributes, own[1]]) + "\n\n"


def _transcript(turn: str, start: float, end: float, text: str) -> str:
    return f"{turn} [{start:08.4f}-{end:08.4f}]: {text}"
