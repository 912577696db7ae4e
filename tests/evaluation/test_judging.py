"""A made-up model judged on a manifest of words: who asks what, who is told what, what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn", reason="needs the train extra")

from m3ser.corpora import read_part
from m3ser.errors import DataError, M3serError, TextError, UsageError
from m3ser.evaluation import Question, read_predictions
from m3ser.evaluation.judging import Verdict, judge
from m3ser.schema import EmotionScheme, Utterance, get_scheme

CLASSES = ("angry", "happy", "sad", "neutral")
ROWS = [
    ("a1", "angry", "I hate this", "s1", "train"),
    ("h1", "happy", "we won", "s1", "test"),
    ("s1", "sad", "I miss her", "s2", "test"),
    ("n1", "neutral", "the train leaves at nine", "s2", "test"),
    ("f1", "fearful", "what is that", "s2", "test"),
]


class Reader:
    """Takes every text for happy but those of its own list, at a probability of 0.7."""

    name, labels, fold, seed, fingerprint, data = "reader@1", CLASSES, "", 0, "f" * 64, ()
    modalities = ("text",)

    def __init__(self, known: dict[str, str] | None = None, unusable: str = "", trained: int | None = None) -> None:
        self.known, self.unusable, self.trained = known or {}, unusable, trained
        self.asked: list[str | None] = []

    @property
    def scheme(self) -> EmotionScheme:
        return get_scheme("iemocap4")

    def reads(self, question: Question) -> bool:
        return question.language != "de"

    def trained_on(self, utterances: Iterable[Utterance]) -> int | None:
        return self.trained

    def answer(self, questions: Iterable[Question]) -> Iterator[NDArray[np.float64] | M3serError]:
        for one in questions:
            self.asked.append(one.text)
            assert one.audio is None
            if one.text == self.unusable:
                yield TextError(f"'{one.text}' cannot be read.")
                continue
            yield np.where(np.array(CLASSES) == self.known.get(one.text or "", "happy"), 0.7, 0.1)


class Listener:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.work: list[tuple[str, int, str, int]] = []
        self.sentences: list[str] = []

    @contextmanager
    def working(self, what: str, total: int, unit: str) -> Iterator[Callable[[], None]]:
        steps: list[None] = []
        yield lambda: steps.append(None)
        self.work.append((what, total, unit, len(steps)))

    def failed(self, sentence: str) -> None:
        self.sentences.append(sentence)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "words.csv"
    lines = ["audio,emotion,text,speaker,split", *(f"{n}.wav,{e},{t},{s},{p}" for n, e, t, s, p in ROWS)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def judged(manifest: Path, reader: Reader, listener: Listener | None = None, **options: Any) -> Verdict:
    labelled = read_part(manifest, options.get("part"))
    return judge(reader, labelled, manifest, audience=listener or Listener(), max_seconds=60.0, **options)


def test_what_is_asked_answered_and_told(manifest: Path, tmp_path: Path) -> None:
    listener = Listener()
    reader = Reader({"I miss her": "sad"})
    verdict = judged(manifest, reader, listener, part="test", out=tmp_path / "out", made={"command": "typed"})
    assert reader.asked == ["we won", "I miss her", "the train leaves at nine"]
    assert listener.work == [("judging", 3, "utterances", 3)]
    assert listener.sentences == []
    (scores,) = verdict.scores.values()
    assert scores.unweighted_accuracy == pytest.approx(2 / 3)
    assert (verdict.asked["conditions"], verdict.asked["part"], verdict.asked["manifest"]) == (
        ["text"],
        "test",
        "words.csv",
    )
    assert verdict.notes == ("1 utterance is left out, for 'iemocap4' has no class for them: fearful 1.",)
    kept = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert kept == {**json.loads(json.dumps(verdict.to_dict())), "command": "typed"}
    assert len(read_predictions(tmp_path / "out" / "predictions.csv")) == 3


def test_what_the_model_knows_is_noted(manifest: Path) -> None:
    notes = judged(manifest, Reader(trained=2)).notes
    assert "those of the train part too: what was trained on scores too well; --part test judges on others" in notes[0]
    assert notes[1] == "this training saw 2 of the utterances itself: on those it scores too well."


def test_a_failure_is_said_once_and_kept(manifest: Path, tmp_path: Path) -> None:
    listener = Listener()
    verdict = judged(manifest, Reader(unusable="we won"), listener, out=tmp_path / "out")
    assert listener.sentences == ["'we won' cannot be read."]
    assert verdict.failures == (("h1.wav", "'we won' cannot be read."),)
    assert verdict.to_dict()["failed"] == 1
    assert "h1.wav" in (tmp_path / "out" / "failures.csv").read_text(encoding="utf-8")
    # Gone on with, only that is asked again.
    again = Reader()
    verdict = judged(manifest, again, out=tmp_path / "out", resume=True)
    assert again.asked == ["we won"]
    assert verdict.failures == ()
    assert not (tmp_path / "out" / "failures.csv").exists()


def test_what_cannot_be_judged(manifest: Path) -> None:
    with pytest.raises(UsageError, match="reader@1 cannot be judged under audio, both, only under text"):
        judged(manifest, Reader(), kinds=("audio", "both"))
    only = manifest.with_name("only.csv")
    only.write_text("audio,emotion,text\nf.wav,fearful,no\n", encoding="utf-8")
    with pytest.raises(DataError, match="Nothing in the manifest can be judged under text; expected utterances with"):
        judged(only, Reader())
    silent = manifest.with_name("silent.csv")
    silent.write_text("audio,emotion,text\nf.wav,sad,no\n", encoding="utf-8")
    with pytest.raises(DataError, match="Nothing could be judged: none of the recordings or texts could be used"):
        judged(silent, Reader(unusable="no"))


class BothReader(Reader):
    """Hears and reads; remembers the recordings that it is asked about."""

    modalities = ("audio", "text")

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[tuple[bool, str | None, str | None]] = []

    def answer(self, questions: Iterable[Question]) -> Iterator[NDArray[np.float64] | M3serError]:
        for one in questions:
            self.pairs.append((one.audio is not None, one.text, one.language))
            yield np.full(4, 0.25)


def test_words_that_are_not_read_are_no_questions_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_text(
        "audio,emotion,text,language,text_language\na.wav,angry,Nein,de,\nb.wav,happy,we won,de,en\nc.wav,sad,why,,\n",
        encoding="utf-8",
    )
    reader = BothReader()
    verdict = judged(path, reader)
    assert list(verdict.scores) == ["audio", "text", "both"]
    assert reader.pairs == [
        *[(True, None, None)] * 3,
        *[(False, "we won", "en"), (False, "why", None)],
        *[(True, "Nein", "de"), (True, "we won", "en"), (True, "why", None)],
    ]
    assert verdict.notes[-2:] == (
        "reader@1 does not read the language of 1 text: text leaves it out.",
        "reader@1 does not read the language of 1 text: both is the voice alone there.",
    )


def test_nothing_that_is_read_is_nothing_to_judge(tmp_path: Path) -> None:
    path = tmp_path / "german.csv"
    path.write_text("audio,emotion,text,language\na.wav,angry,Nein,de\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"reader@1 does not read the language of the words"):
        judged(path, Reader())
