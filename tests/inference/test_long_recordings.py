"""Recordings that are too long to be held: decoded twice, and judged as if they had been held."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from m3ser import inference
from m3ser.audio.blockwise import Extent, whisper_blockwise
from m3ser.batching import windows
from m3ser.errors import AudioReadError, AudioTooLongError, M3serError
from m3ser.inference import Recogniser, Request, preparation
from m3ser.inference.windows import StreamedWindows
from m3ser.text.asr import Transcript

Sound = Callable[..., NDArray[np.float32]]


@pytest.fixture
def nothing_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "_HELD_SECONDS", 1.0)


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is made of recordings that are held, as long as the test lasts."""
    made: list[Any] = []
    plain = preparation.Preparation._windows
    monkeypatch.setattr(
        preparation.Preparation, "_windows", lambda *arguments: made.append(plain(*arguments)) or made[-1]
    )
    return made


def written(path: Path, waveform: NDArray[np.float32]) -> Path:
    soundfile.write(path, waveform, 16_000, subtype="PCM_16")
    return path


class TestStreamedWindows:
    @pytest.mark.parametrize("longest", [7, 100, 977, 5000])
    def test_same_windows_as_of_the_whole(self, longest: int, sound: Sound) -> None:
        waveform = sound(47.3)
        blockwise = whisper_blockwise(80)

        def decode() -> Iterator[NDArray[np.float32]]:
            yield from np.array_split(waveform, 11)

        extent = blockwise.survey(decode())
        features = np.concatenate(list(blockwise.features(decode(), extent)))
        expected = windows(features, longest=longest)
        streamed = StreamedWindows(decode, blockwise, extent, longest=longest, label="It")
        assert len(streamed) == len(expected)
        for _ in range(2):  # as often as anyone likes
            found = [window.copy() for window in streamed]
            assert [len(window) for window in found] == [len(window) for window in expected]
            np.testing.assert_array_equal(np.concatenate(found), features)

    @pytest.mark.parametrize("seconds", [9.0, 11.0])
    def test_a_recording_that_changed_is_noticed(self, seconds: float, sound: Sound) -> None:
        extent = Extent(steps=1000, peak=np.float32(0))
        streamed = StreamedWindows(lambda: [sound(seconds)], whisper_blockwise(80), extent, longest=300, label="a.wav")
        with pytest.raises(AudioReadError, match=r"a\.wav changed while it was being read"):
            list(streamed)


class TestRecogniser:
    @pytest.mark.parametrize("text", [None, "I am fine"])
    def test_same_scores_as_held(
        self, recogniser: Recogniser, sound: Sound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
    ) -> None:
        path = written(tmp_path / "long.wav", sound(75.2))
        held = recogniser.predict(path, text=text)
        monkeypatch.setattr(preparation, "_HELD_SECONDS", 1.0)
        monkeypatch.delattr(preparation.Preparation, "_windows")  # what holds a recording goes through here
        assert recogniser.predict(path, text=text) == held
        assert recogniser.predict(path.read_bytes(), text=text).scores == held.scores

    @pytest.mark.usefixtures("nothing_held")
    def test_part_of_it(self, recogniser: Recogniser, sound: Sound, tmp_path: Path, whole: list[Any]) -> None:
        waveform = sound(70)
        path = written(tmp_path / "long.wav", waveform)
        found = recogniser.predict(path, text=None, start=3, end=63.5)
        assert found.duration == 60.5
        assert not whole
        samples, _ = soundfile.read(path, dtype="float32")
        expected = recogniser.predict(io.BytesIO(path.read_bytes()), text=None, start=3, end=63.5)
        assert whole
        assert found.scores == expected.scores
        assert recogniser.predict(samples, sample_rate=16_000, text=None, start=3, end=63.5).scores == expected.scores

    @pytest.mark.usefixtures("nothing_held")
    def test_among_short_ones(self, recogniser: Recogniser, sound: Sound, tmp_path: Path) -> None:
        paths = [written(tmp_path / f"{i}.wav", sound(seconds, i)) for i, seconds in enumerate((0.6, 40, 0.9, 35, 0.3))]
        alone = [recogniser.predict(path, text="no") for path in paths]
        together = recogniser.predict_batch([Request(path, text="no") for path in paths])
        for one, other in zip(alone, together, strict=True):
            assert one.duration == other.duration
            np.testing.assert_allclose(list(one.scores.values()), list(other.scores.values()), atol=1e-5)

    @pytest.mark.usefixtures("nothing_held")
    def test_one_that_vanishes_fails_alone(self, recogniser: Recogniser, sound: Sound, tmp_path: Path) -> None:
        prepared = [
            recogniser._preparation.prepare(Request(written(tmp_path / f"{i}.wav", sound(3, i)), text=None))
            for i in range(3)
        ]
        (tmp_path / "1.wav").unlink()
        first, second, third = recogniser._settle(prepared)
        assert isinstance(second, M3serError)
        assert "1.wav does not exist" in str(second)
        assert not isinstance(first, M3serError)
        assert not isinstance(third, M3serError)

    @pytest.mark.usefixtures("nothing_held")
    def test_what_is_transcribed_is_held(
        self, tiny_folder: Path, sound: Sound, tmp_path: Path, whole: list[Any]
    ) -> None:
        heard = []

        class Transcriber:
            name = "own"

            def transcribe(self, waveform: NDArray[np.float32]) -> Transcript:
                heard.append(len(waveform))
                return Transcript("I am fine", (), (), "en", "own")

        recogniser = inference.load(tiny_folder, transcriber=Transcriber(), threads=1)
        path = written(tmp_path / "long.wav", sound(40))
        assert recogniser.predict(path).text == "I am fine"
        assert heard == [640_000]
        assert len(whole) == 1
        assert recogniser.predict(path, text=None).text is None
        assert len(whole) == 1

    @pytest.mark.usefixtures("nothing_held")
    def test_one_that_is_too_long_is_refused(self, tiny_folder: Path, sound: Sound, tmp_path: Path) -> None:
        recogniser = inference.load(tiny_folder, transcriber=None, max_seconds=20)
        path = written(tmp_path / "long.wav", sound(20.1))
        with pytest.raises(AudioTooLongError, match="expected at most 20 s"):
            recogniser.predict(path)


MEMORY = """
import resource, sys
import m3ser
m3ser.load(transcriber=None, max_seconds=1e9, threads=1).predict(sys.argv[1], text="I think so.")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say how much memory a process had")
def test_memory_hardly_grows_with_the_length(tmp_path: Path, sound: Sound) -> None:
    """Twenty minutes more are 77 MB of samples and 38 MB of features; the encoder's states of them are 8 MB."""
    peaks = []
    for name, minutes in (("short", 4), ("long", 24)):
        path = tmp_path / f"{name}.wav"
        with soundfile.SoundFile(path, "w", 16_000, 1, subtype="PCM_16") as file:
            for _ in range(minutes):
                file.write(sound(60))
        found = subprocess.run([sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True)
        peaks.append(int(found.stdout) / (2**20 if sys.platform == "darwin" else 2**10))
    assert peaks[1] - peaks[0] < 60  # MiB
