"""Words in a language that the model does not read are masked, and the prediction says so."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from m3ser import inference
from m3ser.bundle import TextPart
from m3ser.errors import TextError, TranscriptionError, UsageError
from m3ser.evaluation import Question
from m3ser.inference import BundleRespondent, Recogniser, Request
from m3ser.schema import Prediction
from m3ser.text.asr import Transcript

Sound = Callable[..., NDArray[np.float32]]
AssertScores = Callable[[Prediction, dict[str, float]], None]

BOTH, AUDIO, TEXT = 2.0, 0.5, 1.25  # the tiny bundle's temperatures
GERMAN = "Das ist mir doch egal."
RECOGNISED = (
    "The text was not used: it seems to be German (name its language if it is not), and tiny@3 reads English alone."
)
GIVEN = "The text was not used: it is German, and tiny@3 reads English alone."


class Linguist:
    """A transcriber that understands some languages, and remembers which it was told."""

    name = "linguist"

    def __init__(self, heard: str, languages: tuple[str, ...] | None, found: str | None = "en") -> None:
        self.heard, self.languages, self.found = heard, languages, found
        self.told: list[str | None] = []

    def transcribe(self, waveform: NDArray[np.float32], *, language: str | None = None) -> Transcript:
        self.told.append(language)
        if language == "xh":
            raise TranscriptionError("It knows no such language.")
        return Transcript(self.heard, segments=(), words=(), language=language or self.found, transcriber=self.name)


@pytest.mark.parametrize(("language", "note"), [(None, RECOGNISED), ("de", GIVEN), ("de-AT", GIVEN), ("ger", GIVEN)])
def test_the_voice_alone_is_judged_and_the_words_stay_in_sight(
    recogniser: Recogniser,
    arithmetic: Any,
    sound: Sound,
    assert_scores: AssertScores,
    language: str | None,
    note: str,
) -> None:
    waveform = sound(1.3)
    prediction = recogniser.predict(waveform, text=GERMAN, sample_rate=16000, language=language)
    assert_scores(prediction, arithmetic.scores(waveform, None, temperature=AUDIO))
    assert (prediction.text, prediction.text_source) == (GERMAN, "none")
    assert (prediction.language, prediction.note) == ("de", note)
    record = prediction.to_dict()
    assert (record["language"], record["note"], record["text"]) == ("de", note, GERMAN)


@pytest.mark.parametrize("language", ["en", "en-GB"])
def test_who_says_that_it_is_english_is_believed(
    recogniser: Recogniser, arithmetic: Any, sound: Sound, assert_scores: AssertScores, language: str
) -> None:
    waveform = sound(1.3)
    prediction = recogniser.predict(waveform, text=GERMAN, sample_rate=16000, language=language)
    assert_scores(prediction, arithmetic.scores(waveform, GERMAN, temperature=BOTH))
    assert (prediction.text_source, prediction.language, prediction.note) == ("given", "en", None)


def test_english_words_of_which_another_language_is_said_are_masked(
    recogniser: Recogniser, arithmetic: Any, sound: Sound, assert_scores: AssertScores
) -> None:
    waveform = sound(1.3)
    prediction = recogniser.predict(waveform, text="I am fine", sample_rate=16000, language="de")
    assert_scores(prediction, arithmetic.scores(waveform, None, temperature=AUDIO))


def test_the_usual_prediction_has_the_keys_it_had(recogniser: Recogniser, sound: Sound) -> None:
    record = recogniser.predict(sound(1), text="I am fine", sample_rate=16000).to_dict()
    assert list(record) == ["file", "duration", "label", "scores", "text", "text_source", "model", "segments"]


def test_words_alone_of_another_language_leave_nothing(recogniser: Recogniser) -> None:
    with pytest.raises(TextError, match="it is German") as caught:
        recogniser.predict(text=GERMAN, language="de")
    assert GERMAN in str(caught.value)


def test_words_alone_that_only_seem_to_be_of_another_language_are_read_with_a_note(recogniser: Recogniser) -> None:
    doubted, sure = recogniser.predict(text=GERMAN), recogniser.predict(text=GERMAN, language="en")
    assert doubted.scores == sure.scores
    assert (doubted.text, doubted.text_source, doubted.language) == (GERMAN, "given", "de")
    assert doubted.note is not None
    assert "seems to be German" in doubted.note
    assert sure.note is None


def test_in_a_batch_the_others_are_what_they_are_alone(recogniser: Recogniser, sound: Sound) -> None:
    waveforms = [sound(1, seed) for seed in range(3)]
    texts = ["I am fine", GERMAN, None]
    batch = recogniser.predict_batch(
        [Request(waveform, text=text, sample_rate=16000) for waveform, text in zip(waveforms, texts, strict=True)]
    )
    assert [one.text_source for one in batch] == ["given", "none", "none"]
    assert [one.note for one in batch] == [None, RECOGNISED, None]
    alone = recogniser.predict(waveforms[1], text=None, sample_rate=16000)
    np.testing.assert_allclose(list(batch[1].scores.values()), list(alone.scores.values()), atol=1e-5)


@pytest.mark.parametrize("language", ["german", "", "xx"])
def test_what_is_no_code_is_refused_at_once(recogniser: Recogniser, sound: Sound, language: str) -> None:
    with pytest.raises(UsageError, match="is no code of a language"):
        recogniser.predict(sound(1), text="fine", sample_rate=16000, language=language)


class TestTranscription:
    def test_what_a_transcriber_does_not_understand_is_not_transcribed(
        self, tiny_folder: Path, arithmetic: Any, sound: Sound, assert_scores: AssertScores
    ) -> None:
        linguist = Linguist("never again", ("en", "fr"))
        waveform = sound(1.2)
        prediction = inference.load(tiny_folder, transcriber=linguist).predict(
            waveform, sample_rate=16000, language="de"
        )
        assert linguist.told == []
        assert_scores(prediction, arithmetic.scores(waveform, None, temperature=AUDIO))
        assert (prediction.text, prediction.text_source, prediction.language) == (None, "none", "de")
        assert prediction.note == (
            "Nothing was transcribed, so the voice alone was used: linguist understands English and French and no "
            "German."
        )

    @pytest.mark.parametrize("languages", [None, ("en", "de")])
    def test_the_language_is_passed_on(self, tiny_folder: Path, sound: Sound, languages: Any) -> None:
        linguist = Linguist(GERMAN, languages)
        recogniser = inference.load(tiny_folder, transcriber=linguist)
        prediction = recogniser.predict(sound(1.2), sample_rate=16000, language="de-CH")
        assert linguist.told == ["de"]
        assert (prediction.text, prediction.text_source, prediction.note) == (GERMAN, "none", GIVEN)

    def test_a_transcriber_that_tells_the_language_is_believed(
        self, tiny_folder: Path, arithmetic: Any, sound: Sound, assert_scores: AssertScores
    ) -> None:
        waveform = sound(1.2)
        for found, source in (("de", "none"), ("en", "transcribed"), (None, "transcribed"), ("klingon", "transcribed")):
            recogniser = inference.load(tiny_folder, transcriber=Linguist("never again", None, found))
            prediction = recogniser.predict(waveform, sample_rate=16000)
            assert (prediction.text, prediction.text_source) == ("never again", source)
            expected = (None, AUDIO) if found == "de" else ("never again", BOTH)
            assert_scores(prediction, arithmetic.scores(waveform, expected[0], temperature=expected[1]))

    def test_one_that_fails_on_a_language_leaves_the_voice(
        self, tiny_folder: Path, sound: Sound, caplog: pytest.LogCaptureFixture
    ) -> None:
        recogniser = inference.load(tiny_folder, transcriber=Linguist("never", None))
        with caplog.at_level(logging.WARNING):
            prediction = recogniser.predict(sound(1), sample_rate=16000, language="xh")
        assert (prediction.text, prediction.text_source) == (None, "none")
        assert "It knows no such language." in caplog.text


@pytest.mark.parametrize(
    ("language", "read"),
    [("en", {"en"}), ("de-AT", {"de"}), ("en, DE", {"en", "de"}), ("mul", {"en", "de", "zu"})],
)
def test_what_a_bundle_reads(language: str, read: set[str]) -> None:
    part = TextPart(graph="t.onnx", tokenizer="t.json", max_tokens=8, dim=4, language=language)
    assert {code for code in ("en", "de", "zu") if part.reads(code)} == read


def test_a_model_of_several_languages_reads_them(write_tiny: Callable[..., Path], sound: Sound) -> None:
    part = TextPart(graph="text_encoder.onnx", tokenizer="tokenizer.json", max_tokens=16, dim=5, language="en,de")
    recogniser = inference.load(write_tiny(text=part), transcriber=None)
    assert recogniser.predict(sound(1), text=GERMAN, sample_rate=16000).text_source == "given"
    prediction = recogniser.predict(sound(1), text="Non ci posso credere.", sample_rate=16000)
    assert prediction.note is not None
    assert prediction.note.endswith("tiny@3 reads English and German alone.")


def test_a_respondent_says_what_it_reads(recogniser: Recogniser) -> None:
    respondent = BundleRespondent(recogniser)

    def asked(text: str, language: str | None) -> Question:
        return Question("a", "text", 0, audio=None, text=text, language=language)

    assert not respondent.reads(asked(GERMAN, None))
    assert not respondent.reads(asked("fine", "de"))
    assert respondent.reads(asked(GERMAN, "en"))
    assert respondent.reads(asked("fine", None))
    assert respondent.reads(asked("fine", "no code at all"))
    (answer,) = respondent.answer([asked("fine", "en-US")])
    assert not isinstance(answer, Exception)
