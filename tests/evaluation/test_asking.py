"""What a model is asked under each condition, and what becomes of its answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from m3ser.errors import AudioReadError, M3serError, UsageError
from m3ser.evaluation import CONDITIONS, Question, answers, conditions_for, questions, tabulate
from m3ser.files import Journal
from m3ser.schema import BASIC7, IEMOCAP4, EmotionScheme, Utterance

UTTERANCES = (
    Utterance(Path("a.wav"), "angry", text="No.", speaker="s1", start=1.0, end=2.0, extra={"corpus": "c", "x": "y"}),
    Utterance(Path("b.wav"), "excited", speaker="s2", language="en"),
    Utterance(None, "sad", text="I miss her."),
    Utterance(Path("d.wav"), "fearful", text="Help!", speaker="s2"),
)
NAMES = ("a", "b", "c", "d")


def asked(condition: str, transcripts: dict[str, str] | None = None) -> dict[str, Question]:
    found = questions(UTTERANCES, NAMES, condition=condition, scheme=IEMOCAP4, transcripts=transcripts)
    assert {one.condition for one in found} <= {condition}
    return {one.utterance: one for one in found}


class Model:
    """Says of every question the probabilities that it is given; a recording called bad.wav is no audio."""

    name, fold, seed, fingerprint = "model", "", 0, ""
    modalities, data = ("audio", "text"), ()

    def __init__(self, shares: Sequence[float], scheme: EmotionScheme = IEMOCAP4) -> None:
        self.shares = shares
        self.scheme = scheme
        self.labels = scheme.classes
        self.asked: list[Question] = []

    def reads(self, question: Question) -> bool:
        return question.language != "de"

    def trained_on(self, utterances: Iterable[Utterance]) -> None:
        return

    def answer(self, questions: Iterable[Question]) -> Iterator[NDArray[np.float64] | M3serError]:
        for question in questions:
            self.asked.append(question)
            bad = question.audio == Path("bad.wav")
            yield AudioReadError("bad.wav is not audio.") if bad else np.array(self.shares)


@pytest.mark.parametrize(
    ("modalities", "texts", "expected"),
    [
        (("text", "audio"), ("given",), ("audio", "text", "both")),
        (("audio", "text"), ("transcribed",), ("audio", "text-transcribed", "both-transcribed")),
        (("audio", "text"), ("transcribed", "given"), CONDITIONS),
        (("audio",), ("given", "transcribed"), ("audio",)),
        (("text",), ("given", "transcribed"), ("text", "text-transcribed")),
    ],
)
def test_conditions(modalities: Sequence[str], texts: Sequence[str], expected: Sequence[str]) -> None:
    assert conditions_for(modalities, texts) == tuple(expected)


def test_each_condition_takes_what_it_needs() -> None:
    heard = asked("audio")
    assert list(heard) == ["a", "b"]  # no class for fearful, no recording of c
    assert (heard["a"].audio, heard["a"].text, heard["a"].truth) == (Path("a.wav"), None, 0)
    assert (heard["a"].start, heard["a"].end, heard["a"].speaker) == (1.0, 2.0, "s1")
    assert (heard["a"].extra, heard["b"].extra) == ({"corpus": "c"}, {"language": "en"})
    assert heard["b"].truth == 1  # excited counts as happy
    read = asked("text")
    assert {name: (one.audio, one.text, one.truth) for name, one in read.items()} == {
        "a": (None, "No.", 0),
        "c": (None, "I miss her.", 2),
    }
    assert {name: (one.audio, one.text) for name, one in asked("both").items()} == {"a": (Path("a.wav"), "No.")}


def test_transcribed_words_take_the_place_of_given_ones() -> None:
    understood = {"a": "know", "b": "", "d": "help"}
    read = asked("text-transcribed", understood)
    assert {name: (one.audio, one.text) for name, one in read.items()} == {"a": (None, "know")}
    both = asked("both-transcribed", understood)
    # Where nothing was understood there is still the voice; where nothing was transcribed there is no question.
    assert {name: (one.audio, one.text) for name, one in both.items()} == {
        "a": (Path("a.wav"), "know"),
        "b": (Path("b.wav"), None),
    }
    assert list(asked("both-transcribed", {"b": "x"})) == ["b"]
    with pytest.raises(UsageError, match="no condition 'voice'"):
        questions(UTTERANCES, NAMES, condition="voice", scheme=IEMOCAP4)


def test_halves_of_a_paired_corpus_are_asked_once() -> None:
    def pair(clip: str, text: str, text_id: str, text_emotion: str) -> Utterance:
        extra = {"relation": "conflict", "text_emotion": text_emotion, "text_id": text_id}
        return Utterance(Path(clip), "angry", text=text, speaker="s1", extra=extra)

    pairs = [pair("a.wav", "Yay!", "t1", "happy"), pair("a.wav", "Oh.", "t2", "sad"), pair("b.wav", "Oh.", "t2", "sad")]
    names = ["c/a+t1", "c/a+t2", "c/b+t2"]

    def found(condition: str) -> list[tuple[str, str, int]]:
        transcripts = dict.fromkeys(names, "no")
        rows = questions(pairs, names, condition=condition, scheme=IEMOCAP4, transcripts=transcripts)
        return [(one.utterance, one.speaker, one.truth) for one in rows]

    assert found("audio") == [("c/a", "s1", 0), ("c/b", "s1", 0)]
    assert found("text") == [("sentence t1", "sentence t1", 1), ("sentence t2", "sentence t2", 2)]
    assert found("both") == [(name, "s1", 0) for name in names]
    assert found("both-transcribed") == found("text-transcribed") == found("audio")


def test_paired_and_plain_corpora_are_laid_out_as_in_training() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from m3ser.training.judging import ask

    extra = {"relation": "agree", "text_emotion": "sad", "text_id": "t1", "corpus": "c", "id": "x"}
    pairs = (
        Utterance(Path("x.wav"), "sad", text="Oh.", speaker="s1", extra=extra),
        Utterance(Path("x.wav"), "sad", text="Ah.", speaker="s1", extra={**extra, "text_id": "t2"}),
    )
    plain = tuple(one for one in UTTERANCES if one.emotion != "fearful")
    for utterances, names in ((pairs, ("c/x+t1", "c/x+t2")), (plain, NAMES[:3])):
        for condition in ("audio", "text", "both"):
            expected = ask(condition, utterances, names, IEMOCAP4)
            found = questions(utterances, names, condition=condition, scheme=IEMOCAP4)
            assert tuple(one.utterance for one in found) == expected.names
            assert tuple(one.speaker for one in found) == expected.speakers
            assert [one.truth for one in found] == [example.label for example in expected.examples]
            assert [one.text for one in found] == [example.text for example in expected.examples]
            assert [(one.audio, one.start, one.end) for one in found if one.audio is not None] == [
                (example.audio.path, example.audio.start, example.audio.end)
                for example in expected.examples
                if example.audio is not None
            ]


def test_answers_become_a_table() -> None:
    rows = questions(UTTERANCES, NAMES, condition="audio", scheme=IEMOCAP4)
    model = Model([0.1, 0.2, 0.3, 0.4])
    found = [
        (question, shares)
        for question, shares in answers(model, rows, scheme=IEMOCAP4, journal=Journal(None))
        if not isinstance(shares, M3serError)
    ]
    table = tabulate(found, scheme=IEMOCAP4, fold="fold2", seed=3)
    assert table.labels == IEMOCAP4.classes
    assert (table.utterances, table.speakers, table.conditions) == (("a", "b"), ("s1", "s2"), ("audio", "audio"))
    assert (table.folds, table.seeds.tolist(), table.truth.tolist()) == (("fold2", "fold2"), [3, 3], [0, 1])
    np.testing.assert_allclose(table.probabilities, [[0.1, 0.2, 0.3, 0.4]] * 2)
    assert table.extra == {"corpus": ("c", ""), "language": ("", "en")}
    assert len(tabulate([], scheme=IEMOCAP4)) == 0


def test_what_is_known_is_not_asked_again_and_failures_are(tmp_path: Path) -> None:
    rows = [Question(name, "audio", 0, audio=Path(f"{name}.wav"), text=None) for name in ("good", "bad", "fine")]
    model = Model([0.7, 0.1, 0.1, 0.1])
    with Journal(tmp_path / "answers.jsonl") as journal:
        stream = answers(model, rows, scheme=IEMOCAP4, journal=journal)
        # Cut short after the first one: what was answered is in the file by then.
        next(stream)
        assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 1
    with Journal(tmp_path / "answers.jsonl") as journal:
        found = {q.utterance: shares for q, shares in answers(model, rows, scheme=IEMOCAP4, journal=journal)}
        assert isinstance(found["bad"], AudioReadError)
        np.testing.assert_array_equal(found["good"], [0.7, 0.1, 0.1, 0.1])
    assert [one.utterance for one in model.asked] == ["good", "bad", "fine"]
    again = Model([0.25] * 4)
    with Journal(tmp_path / "answers.jsonl") as journal:
        assert len(list(answers(again, rows, scheme=IEMOCAP4, journal=journal))) == 3
    assert [one.utterance for one in again.asked] == ["bad"]


def test_a_model_of_more_classes_chooses_among_those_of_the_scheme() -> None:
    rows = [Question("a", "audio", 0, audio=Path("a.wav"), text=None)]
    shares = [0.1, 0.2, 0.05, 0.05, 0.3, 0.2, 0.1]
    ((_, found),) = answers(Model(shares, BASIC7), rows, scheme=IEMOCAP4, journal=Journal(None))
    np.testing.assert_allclose(np.asarray(found), [0.25, 0.5, 0.125, 0.125])
    ((_, found),) = answers(Model([0, 0, 0, 0, 1.0, 0, 0], BASIC7), rows, scheme=IEMOCAP4, journal=Journal(None))
    np.testing.assert_allclose(np.asarray(found), [0.25] * 4)
    with pytest.raises(
        UsageError, match="cannot be judged by 'basic7': it has nothing for fearful, disgusted, surpris"
    ):
        list(answers(Model([0.25] * 4), rows, scheme=BASIC7, journal=Journal(None)))
