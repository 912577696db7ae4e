"""The path of an utterance, by value: every score is computed a second time in NumPy (see `Arithmetic`)."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from m3ser import inference
from m3ser.audio import load_waveform
from m3ser.bundle import AudioPart
from m3ser.errors import (
    AudioContentError,
    AudioReadError,
    AudioTooLongError,
    AudioTooShortError,
    BundleError,
    M3serError,
    TextError,
    TranscriptionError,
    UsageError,
)
from m3ser.inference import TRANSCRIBE, Recogniser, preparation
from m3ser.schema import Prediction
from m3ser.text.asr import Transcript

Sound = Callable[..., NDArray[np.float32]]
AssertScores = Callable[[Prediction, dict[str, float]], None]

BOTH, AUDIO, TEXT = 2.0, 0.5, 1.25  # the tiny bundle's temperatures


class Stenographer:
    """A transcriber that hears what it is told to, and counts how often it is asked."""

    name = "stenographer"

    def __init__(self, text: str | M3serError) -> None:
        self.text = text
        self.asked = 0

    def transcribe(self, waveform: NDArray[np.float32]) -> Transcript:
        self.asked += 1
        if isinstance(self.text, M3serError):
            raise self.text
        return Transcript(text=self.text, segments=(), words=(), language="en", transcriber=self.name)


class TestByValue:
    def test_voice_and_words(
        self, recogniser: Recogniser, arithmetic: Any, sound: Sound, assert_scores: AssertScores
    ) -> None:
        waveform = sound(1.7)
        prediction = recogniser.predict(waveform, text="I said no", sample_rate=16000)
        assert_scores(prediction, arithmetic.scores(waveform, "I said no", temperature=BOTH))
        assert (prediction.text, prediction.text_source, prediction.duration) == ("I said no", "given", 1.7)
        assert (prediction.model, prediction.file, prediction.removed) == ("tiny@3", None, ())

    def test_voice_alone(
        self, recogniser: Recogniser, arithmetic: Any, sound: Sound, assert_scores: AssertScores
    ) -> None:
        waveform = sound(0.9)
        prediction = recogniser.predict(waveform, text=None, sample_rate=16000)
        assert_scores(prediction, arithmetic.scores(waveform, None, temperature=AUDIO))
        assert (prediction.text, prediction.text_source) == (None, "none")

    def test_words_alone(self, recogniser: Recogniser, arithmetic: Any, assert_scores: AssertScores) -> None:
        prediction = recogniser.predict(text="never again")
        assert_scores(prediction, arithmetic.scores(None, "never again", temperature=TEXT))
        assert (prediction.text_source, prediction.duration, prediction.file) == ("given", None, None)

    def test_real_clip(
        self, recogniser: Recogniser, arithmetic: Any, demo_clip: Path, assert_scores: AssertScores
    ) -> None:
        prediction = recogniser.predict(demo_clip, text="do not care")
        waveform = load_waveform(demo_clip)
        assert_scores(prediction, arithmetic.scores(waveform, "do not care", temperature=BOTH))
        assert prediction.file == str(demo_clip)
        assert prediction.duration == len(waveform) / 16000

    def test_any_kind_of_source_is_the_same_clip(self, recogniser: Recogniser, demo_clip: Path) -> None:
        waveform = load_waveform(demo_clip)
        expected = list(recogniser.predict(str(demo_clip), text=None).scores.values())
        for source in (demo_clip, demo_clip.read_bytes(), io.BytesIO(demo_clip.read_bytes())):
            assert list(recogniser.predict(source, text=None).scores.values()) == expected
        scores = recogniser.predict(np.stack([waveform, waveform], axis=1), text=None, sample_rate=16000).scores
        np.testing.assert_allclose(list(scores.values()), expected, atol=1e-5)

    def test_part_of_a_recording(
        self, recogniser: Recogniser, arithmetic: Any, sound: Sound, assert_scores: AssertScores
    ) -> None:
        waveform = sound(3)
        prediction = recogniser.predict(waveform, text=None, sample_rate=16000, start=0.5, end=1.75)
        assert_scores(prediction, arithmetic.scores(waveform[8000:28000], None, temperature=AUDIO))
        assert prediction.duration == 1.25

    @pytest.mark.parametrize(
        ("seconds", "cuts"), [(30.0, []), (30.01, [1500]), (75.0, [2500, 5000]), (90.02, [2250, 4501, 6751])]
    )
    def test_windows_beyond_30_seconds(
        self,
        recogniser: Recogniser,
        arithmetic: Any,
        seconds: float,
        cuts: list[int],
        sound: Sound,
        assert_scores: AssertScores,
    ) -> None:
        waveform = sound(seconds)
        prediction = recogniser.predict(waveform, text="fine", sample_rate=16000)
        assert_scores(prediction, arithmetic.scores(waveform, "fine", temperature=BOTH, cuts=cuts))
        assert prediction.duration == seconds

    def test_the_window_is_the_bundle_s(
        self, write_tiny: Callable[..., Path], arithmetic: Any, sound: Sound, assert_scores: AssertScores
    ) -> None:
        audio = AudioPart(graph="audio_encoder.onnx", front_end="whisper80", dim=6, max_seconds=1.0)
        prediction = inference.load(write_tiny(audio=audio)).predict(sound(2.5), text=None, sample_rate=16000)
        assert_scores(prediction, arithmetic.scores(sound(2.5), None, temperature=AUDIO, cuts=[83, 166]))

    def test_long_text_is_cut_to_what_the_encoder_takes(
        self, recogniser: Recogniser, arithmetic: Any, assert_scores: AssertScores
    ) -> None:
        text = "no " * 50 + "jacket"
        prediction = recogniser.predict(text=text)
        assert_scores(prediction, arithmetic.scores(None, text, temperature=TEXT))
        assert prediction.text == text


class TestText:
    def test_marks_are_taken_out_and_kept(
        self, recogniser: Recogniser, arithmetic: Any, sound: Sound, assert_scores: AssertScores
    ) -> None:
        prediction = recogniser.predict(sound(1), text="I am [laughter] fine", sample_rate=16000)
        assert_scores(prediction, arithmetic.scores(sound(1), "I am fine", temperature=BOTH))
        assert (prediction.text, prediction.removed) == ("I am fine", ("[laughter]",))

    @pytest.mark.parametrize("text", ["[laughter]", "", "  ", "..."])
    def test_text_without_words_counts_as_none(
        self, recogniser: Recogniser, arithmetic: Any, text: str, sound: Sound, assert_scores: AssertScores
    ) -> None:
        prediction = recogniser.predict(sound(1), text=text, sample_rate=16000)
        assert_scores(prediction, arithmetic.scores(sound(1), None, temperature=AUDIO))
        assert (prediction.text, prediction.text_source) == (None, "none")
        assert "".join(prediction.removed) == text.strip()

    def test_text_without_words_and_no_recording(self, recogniser: Recogniser) -> None:
        with pytest.raises(TextError, match=r"'\[laughter\]' holds no words"):
            recogniser.predict(text="[laughter]")

    def test_text_that_is_no_string(self, recogniser: Recogniser) -> None:
        with pytest.raises(TextError, match="bytes"):
            recogniser.predict("clip.wav", text=b"hello")  # type: ignore[arg-type]

    @pytest.mark.parametrize("text", [None, TRANSCRIBE])
    def test_nothing_at_all(self, recogniser: Recogniser, text: Any) -> None:
        with pytest.raises(UsageError, match="Nothing to recognise"):
            recogniser.predict(text=text)


class TestTranscription:
    def test_words_are_transcribed_unless_they_are_given(
        self, tiny_folder: Path, arithmetic: Any, sound: Sound, assert_scores: AssertScores
    ) -> None:
        transcriber = Stenographer("No, never again! [music]")
        recogniser = inference.load(tiny_folder, transcriber=transcriber)
        assert recogniser.transcriber is transcriber
        prediction = recogniser.predict(sound(1), sample_rate=16000)
        assert_scores(prediction, arithmetic.scores(sound(1), "No, never again!", temperature=BOTH))
        assert (prediction.text, prediction.text_source) == ("No, never again!", "transcribed")
        assert prediction.removed == ("[music]",)
        recogniser.predict(sound(1), text="fine", sample_rate=16000)
        recogniser.predict(sound(1), text=None, sample_rate=16000)
        recogniser.predict(text="fine")
        assert transcriber.asked == 1

    def test_without_a_transcriber_the_voice_alone_is_used(
        self, recogniser: Recogniser, arithmetic: Any, sound: Sound, assert_scores: AssertScores
    ) -> None:
        assert recogniser.transcriber is None
        prediction = recogniser.predict(sound(1), sample_rate=16000)
        assert_scores(prediction, arithmetic.scores(sound(1), None, temperature=AUDIO))
        assert (prediction.text, prediction.text_source) == (None, "none")

    def test_nothing_understood(self, tiny_folder: Path, sound: Sound) -> None:
        recogniser = inference.load(tiny_folder, transcriber=Stenographer(""))
        assert recogniser.predict(sound(1), sample_rate=16000).text_source == "none"

    def test_failure_leaves_the_voice(
        self,
        tiny_folder: Path,
        arithmetic: Any,
        demo_clip: Path,
        caplog: pytest.LogCaptureFixture,
        assert_scores: AssertScores,
    ) -> None:
        recogniser = inference.load(tiny_folder, transcriber=Stenographer(TranscriptionError("The pen broke.")))
        with caplog.at_level(logging.WARNING, logger="m3ser.inference"):
            prediction = recogniser.predict(demo_clip)
        assert_scores(prediction, arithmetic.scores(load_waveform(demo_clip), None, temperature=AUDIO))
        assert (prediction.text, prediction.text_source) == (None, "none")
        (message,) = caplog.messages
        assert demo_clip.name in message
        assert "The pen broke." in message

    def test_default_one_is_looked_for_once_and_only_when_needed(
        self, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, sound: Sound
    ) -> None:
        offered = iter([Stenographer("fine")])
        monkeypatch.setattr(preparation, "default_transcriber", lambda: next(offered))
        recogniser = inference.load(tiny_folder)
        recogniser.predict(sound(1), text="no", sample_rate=16000)
        assert next(offered, None) is not None
        offered = iter([Stenographer("fine")])
        assert recogniser.predict(sound(1), sample_rate=16000).text == "fine"
        assert recogniser.transcriber is recogniser.transcriber

    def test_unknown_name(self, tiny_folder: Path) -> None:
        with pytest.raises(UsageError, match="dragon"):
            inference.load(tiny_folder, transcriber="dragon")


class TestBadAudio:
    def test_longer_than_allowed(self, tiny_folder: Path, demo_clip: Path) -> None:
        recogniser = inference.load(tiny_folder, max_seconds=2)
        with pytest.raises(AudioTooLongError) as caught:
            recogniser.predict(demo_clip, text=None)
        assert demo_clip.name in str(caught.value)
        assert recogniser.predict(demo_clip, text=None, end=1.5).duration == 1.5

    def test_ten_minutes_are_the_limit_unless_told_otherwise(self, recogniser: Recogniser) -> None:
        with pytest.raises(AudioTooLongError, match="600"):
            recogniser.predict(np.ones(601 * 16000, np.float32), text=None, sample_rate=16000)

    def test_too_short_for_the_front_end(self, write_tiny: Callable[..., Path], sound: Sound) -> None:
        audio = AudioPart(graph="audio_encoder.onnx", front_end="vggish", dim=6)
        recogniser = inference.load(write_tiny(audio=audio), transcriber=None)
        with pytest.raises(AudioTooShortError, match=r"lasts 0\.50 s; this model needs at least 0\.975 s"):
            recogniser.predict(sound(0.5), text="fine", sample_rate=16000)

    @pytest.mark.parametrize(
        ("source", "error"),
        [
            ("nowhere.wav", AudioReadError),
            (b"not audio", AudioReadError),
            (np.zeros(16000, np.float32), AudioContentError),
            (np.ones(10, np.float32), AudioTooShortError),
        ],
    )
    def test_what_cannot_be_used(self, recogniser: Recogniser, source: Any, error: type[M3serError]) -> None:
        with pytest.raises(error):
            recogniser.predict(source, text=None, sample_rate=16000 if isinstance(source, np.ndarray) else None)


class TestThreads:
    def test_many_at_once(self, tiny_folder: Path, sound: Sound, assert_scores: AssertScores) -> None:
        fresh = inference.load(tiny_folder, transcriber=Stenographer("never again"))
        waveforms = [sound(0.5 + 0.2 * i, i) for i in range(12)]
        with ThreadPoolExecutor(6) as pool:
            together = list(pool.map(lambda w: fresh.predict(w, sample_rate=16000), waveforms))
        for waveform, prediction in zip(waveforms, together, strict=True):
            assert_scores(prediction, dict(fresh.predict(waveform, sample_rate=16000).scores))


class TestLoading:
    def test_what_it_says_of_itself(self, recogniser: Recogniser, tiny_folder: Path) -> None:
        assert recogniser.name == "tiny@3"
        assert recogniser.labels == ("angry", "happy", "sad", "neutral")
        assert recogniser.bundle.folder == tiny_folder
        assert repr(recogniser) == "<Recogniser tiny@3: angry, happy, sad, neutral>"

    def test_damage_is_reported_before_onnxruntime_is_asked(self, write_tiny: Callable[..., Path]) -> None:
        folder = write_tiny()
        (folder / "fusion.onnx").write_bytes((folder / "fusion.onnx").read_bytes()[:-7])
        with pytest.raises(BundleError, match="damaged or incomplete"):
            inference.load(folder)

    def test_front_end_of_the_future(self, write_tiny: Callable[..., Path]) -> None:
        audio = AudioPart(graph="audio_encoder.onnx", front_end="cochlea", dim=6)
        with pytest.raises(BundleError, match=r"front end 'cochlea'.*vggish.*whisper80"):
            inference.load(write_tiny(audio=audio))

    def test_tokenizer_that_is_none(self, write_tiny: Callable[..., Path]) -> None:
        with pytest.raises(BundleError, match=r"tokenizer\.json"):
            inference.load(write_tiny(files={"tokenizer.json": b"{}"}))

    def test_weights_that_are_not_numbers(self, write_tiny: Callable[..., Path], tiny_folder: Path) -> None:
        onnx = pytest.importorskip("onnx")
        model = onnx.load(tiny_folder / "fusion.onnx")
        (bias,) = [tensor for tensor in model.graph.initializer if tensor.name == "bias"]
        bias.CopyFrom(onnx.numpy_helper.from_array(np.full(4, np.nan, np.float32), "bias"))
        folder = write_tiny(files={"fusion.onnx": model.SerializeToString()})
        with pytest.raises(BundleError, match="NaN"):
            inference.load(folder).predict(text="fine")

    @pytest.mark.parametrize("max_seconds", [0, -1, float("nan")])
    def test_impossible_limit(self, tiny_folder: Path, max_seconds: float) -> None:
        with pytest.raises(UsageError, match="max_seconds"):
            inference.load(tiny_folder, max_seconds=max_seconds)

    def test_no_torch(self, tiny_folder: Path, demo_clip: Path) -> None:
        code = (
            "import sys; from m3ser import inference; recogniser = inference.load(sys.argv[1]);"
            "recogniser.predict(sys.argv[2], text='no'); recogniser.predict_batch([sys.argv[2]] * 3);"
            "heavy = {'torch', 'transformers', 'scipy', 'sklearn'} & set(sys.modules); assert not heavy, heavy"
        )
        subprocess.run([sys.executable, "-c", code, str(tiny_folder), str(demo_clip)], check=True)
