"""Whatever is wrong with a recording is one sentence that names it, what was found and what was expected."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from m3ser.audio import load_waveform, probe, stream_waveform
from m3ser.audio.readers import SoundFileReader
from m3ser.errors import (
    AudioContentError,
    AudioReadError,
    AudioTooLongError,
    AudioTooShortError,
    M3serError,
    UsageError,
)


@contextmanager
def refused(error: type[M3serError], name: str, *words: str) -> Iterator[pytest.ExceptionInfo[M3serError]]:
    """The block raises `error` with one sentence that begins with the recording's name and holds `words`."""
    with pytest.raises(error) as caught:
        yield caught
    assert caught.type is error
    message = str(caught.value)
    assert message.startswith(name), message
    assert message.endswith(".")
    assert "\n" not in message
    assert "expected" in message
    for word in words:
        assert word in message, message


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes], str]:
    """Write a file and say what the caller would call it."""

    def write_file(name: str, data: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return write_file


@pytest.mark.parametrize(
    "data",
    [b"Dear diary, today I said no.\n" * 50, bytes(5000), b"\x89PNG\r\n\x1a\n" + bytes(500), b"%PDF-1.7\n" * 99, b"x"],
    ids=["text", "zeros", "png", "pdf", "one byte"],
)
def test_not_audio(write, data: bytes, capfd) -> None:
    path = write("clip.wav", data)
    with refused(AudioReadError, path, "is not audio", repr(data[:8])):
        load_waveform(path)
    with refused(AudioReadError, path):
        probe(path)
    with refused(AudioReadError, path):
        list(stream_waveform(path))
    assert capfd.readouterr() == ("", "")


def test_random_bytes(write, capfd) -> None:
    path = write("clip.wav", np.random.default_rng(0).bytes(20_000))
    with refused(AudioReadError, path, "is not audio"):
        load_waveform(path)
    assert capfd.readouterr().out == ""


def test_no_bytes_at_all(write) -> None:
    path = write("clip.wav", b"")
    with refused(AudioTooShortError, path, "is empty (0 bytes)"):
        load_waveform(path)
    with refused(AudioTooShortError, "The recording", "is empty"):
        load_waveform(b"")
    with refused(AudioTooShortError, path):
        probe(path)


def test_no_samples(write, encode) -> None:
    path = write("clip.wav", encode(np.empty(0, np.float32)))
    with refused(AudioTooShortError, path, "0.00 ms of sound", "at least 25 ms"):
        load_waveform(path)
    with refused(AudioTooShortError, "The recording"):
        load_waveform(np.empty(0, np.float32), sample_rate=16_000)


def test_shorter_than_a_frame(write, encode, speech) -> None:
    assert len(load_waveform(encode(speech[8000:8400]))) == 400
    path = write("clip.wav", encode(speech[8000:8399]))
    with refused(AudioTooShortError, path, "24.94 ms", "at least 25 ms"):
        load_waveform(path)
    with refused(AudioTooShortError, path):
        list(stream_waveform(path, block_seconds=0.025))
    with refused(AudioTooShortError, "The recording", "from 1 s to 1.01 s"):
        load_waveform(speech, sample_rate=16_000, start=1.0, end=1.01)


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF"])
@pytest.mark.parametrize("missing", [100, 36_000])
def test_truncated_containers(write, encode, speech, container: str, missing: int) -> None:
    data = encode(speech, container, "PCM_16")
    path = write("clip.wav", data[:-missing])
    if container == "CAF" and missing > 1000:  # libsndfile does not open it at all, so only the share is known
        with refused(AudioReadError, path, "is truncated: only 50%"):
            load_waveform(path)
        return
    readable = (len(speech) - missing / 2) / 16_000
    with refused(AudioReadError, path, f"{readable:.2f} s of 2.27 s could be read"):
        load_waveform(path)
    with refused(AudioReadError, path):
        probe(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_truncated_flac(write, encode, speech, share: float) -> None:
    data = encode(np.tile(speech, 5), "FLAC")
    path = write("clip.flac", data[: int(share * len(data))])
    with refused(AudioReadError, path, "of 11.36 s could be read") as caught:
        load_waveform(path)
    readable = float(str(caught.value).rpartition(": ")[2].split(" s")[0])
    assert share * 11.36 - 1.5 < readable < share * 11.36 + 1.5


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_truncated_mp3(write, encode, speech, share: float, capfd) -> None:
    data = encode(np.tile(speech, 5), "MP3")
    path = write("clip.mp3", data[: int(share * len(data))])
    with refused(AudioReadError, path, "of 11.45 s could be read") as caught:
        load_waveform(path)
    readable = float(str(caught.value).rpartition(": ")[2].split(" s")[0])
    assert readable == pytest.approx(share * 11.45, abs=0.1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_truncated_ogg(write, encode, speech, codec: str, share: float, capfd) -> None:
    data = encode(np.tile(speech, 5), "OGG", codec)
    path = write("clip.ogg", data[: int(share * len(data))])
    with refused(AudioReadError, path, "its Ogg pages break off"):
        load_waveform(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("container", "codec"), [("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS")])
def test_damaged_in_the_middle(write, encode, speech, container: str, codec: str | None) -> None:
    data = bytearray(encode(np.tile(speech, 5), container, codec))
    middle = len(data) // 2
    data[middle : middle + 12_000] = np.random.default_rng(1).bytes(12_000)
    path = write("clip", bytes(data))
    with refused(AudioReadError, path, "is truncated or damaged"):
        load_waveform(path)


@pytest.mark.parametrize("container", ["WAV", "AIFF", "FLAC", "OGG", "MP3", "CAF", "AU"])
def test_headers_alone(write, encode, speech, container: str) -> None:
    path = write("clip", encode(speech, container)[:64])
    with refused(AudioReadError, path):
        load_waveform(path)


def test_silence(write, encode) -> None:
    path = write("clip.wav", encode(np.zeros(16_000, np.float32)))
    with refused(AudioContentError, path, "is silent (it holds no sound at all)", "at least -80 dBFS"):
        load_waveform(path)
    with refused(AudioContentError, path):
        list(stream_waveform(path, block_seconds=0.1))
    noise = np.random.default_rng(0).uniform(-5e-5, 5e-5, 16_000)
    with refused(AudioContentError, "The recording", "-86 dBFS"):
        load_waveform(noise, sample_rate=16_000)


def test_a_constant_cannot_be_heard(write, encode) -> None:
    path = write("clip.wav", encode(np.full(16_000, 0.5, np.float32)))
    with refused(AudioContentError, path, "is silent"):
        load_waveform(path)


def test_channels_that_cancel_out(speech) -> None:
    with refused(AudioContentError, "The recording", "is silent"):
        load_waveform(np.stack([speech, -speech], axis=1), sample_rate=16_000)


def test_quiet_speech_is_not_silence(speech) -> None:
    assert len(load_waveform(speech * 0.001, sample_rate=16_000)) == len(speech)


def test_a_silent_part_of_a_recording(speech) -> None:
    samples = np.concatenate([speech, np.zeros(16_000, np.float32)])
    load_waveform(samples, sample_rate=16_000)
    with refused(AudioContentError, "The recording", "is silent from 2.5 s to 3 s"):
        load_waveform(samples, sample_rate=16_000, start=2.5, end=3.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_samples_that_are_not_numbers(write, encode, speech, value: float, subtype: str) -> None:
    samples = speech.astype(np.float64)
    samples[8_000] = value
    path = write("clip.wav", encode(samples, "WAV", subtype))
    with refused(AudioContentError, path, "NaN or infinite", "at 0.500 s"):
        load_waveform(path)
    with refused(AudioContentError, "The recording", "at 0.500 s"):
        load_waveform(samples, sample_rate=16_000, start=0.25)


def test_samples_beyond_float32() -> None:
    with refused(AudioContentError, "The recording", "NaN or infinite"):
        load_waveform(np.full(16_000, 1e300), sample_rate=16_000)


def test_integers_passed_off_as_floats(speech) -> None:
    with refused(AudioContentError, "The recording", "samples as large as", "floats in [-1, 1]"):
        load_waveform(speech * 32_768, sample_rate=16_000)
    assert len(load_waveform(speech * 8, sample_rate=16_000)) == len(speech)  # overdriven, but sound


def test_too_long_is_said_before_decoding(write, encode, speech, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("call.wav", encode(np.tile(speech, 5)))
    assert len(load_waveform(path, max_seconds=5 * len(speech) / 16_000)) == 5 * len(speech)
    assert len(load_waveform(path, start=1.0, end=3.0, max_seconds=2.0)) == 32_000
    monkeypatch.setattr(SoundFileReader, "blocks", lambda *_: pytest.fail("decoded all the same"))
    with refused(AudioTooLongError, path, "is 11.4 s long", "at most 10 s"):
        load_waveform(path, max_seconds=10.0)
    with refused(AudioTooLongError, path, "is 10.4 s long"):
        load_waveform(path, start=1.0, max_seconds=10.0)


def test_too_long_is_noticed_while_decoding(write, encode, speech) -> None:
    data = encode(np.tile(speech, 5), "MP3")
    path = write("call.mp3", data[data.index(data[:2], 4) :])  # without the frame that states the length
    with refused(AudioTooLongError, path, "is longer than 10 s", "expected at most that"):
        load_waveform(path, max_seconds=10.0)


def test_a_header_that_promises_hours_takes_no_memory(write, encode, speech) -> None:
    data = bytearray(encode(speech, "FLAC"))
    data[21] |= 0x0F  # the highest 4 of the 36 bits that count the samples: 50 days of them
    path = write("clip.flac", bytes(data))
    with refused(AudioReadError, path, "2.27 s of", "could be read"):
        load_waveform(path)


@pytest.mark.parametrize("rate", [100, 900_000])
def test_rates_that_no_recording_has(write, encode, speech, rate: int) -> None:
    path = write("clip.wav", encode(speech, sample_rate=rate))
    with refused(AudioReadError, path, f"sample rate of {rate} Hz", "1000 to 768000 Hz"):
        load_waveform(path)
    with refused(AudioReadError, "The recording"):
        load_waveform(speech, sample_rate=rate)


def test_a_folder(tmp_path: Path) -> None:
    for source in (tmp_path, str(tmp_path)):
        with refused(AudioReadError, str(tmp_path), "is a folder"):
            load_waveform(source)


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "nothing.wav"
    with refused(AudioReadError, str(path), "does not exist"):
        load_waveform(path)
    with refused(AudioReadError, str(tmp_path)):
        load_waveform(tmp_path / "clip.wav" / "nested.wav")


def test_a_path_that_cannot_be() -> None:
    with refused(AudioReadError, "'a\\x00b.wav'", "cannot be opened"):
        load_waveform("a\0b.wav")
    with refused(AudioReadError, "'" + "a" * 5000, "cannot be opened"):
        load_waveform("a" * 5000)


def test_a_path_to_something_else() -> None:
    with refused(AudioReadError, os.devnull, "is not a regular file"):
        load_waveform(os.devnull)


def test_no_permission(write, demo_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("secret.wav", demo_clip.read_bytes())

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")  # root is never denied, so this cannot be had from the system

    monkeypatch.setattr(Path, "open", denied)
    with refused(AudioReadError, path, "permission denied"):
        load_waveform(path)


@pytest.mark.parametrize("container", ["WAV", "FLAC"])
@pytest.mark.parametrize("until", [0, 30_000])
def test_a_disk_that_fails_while_reading(encode, speech, container: str, until: int, capfd) -> None:
    class Failing(io.BytesIO):
        name = "clip.wav"

        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= until:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with refused(AudioReadError, "clip.wav", "cannot be read", "Input/output error"):
        load_waveform(Failing(encode(np.tile(speech, 5), container)))
    assert capfd.readouterr() == ("", "")


def test_a_closed_file(demo_clip: Path) -> None:
    with demo_clip.open("rb") as file:
        pass
    with refused(AudioReadError, str(demo_clip), "cannot be read"):
        load_waveform(file)


def test_a_file_open_as_text(demo_clip: Path) -> None:
    with demo_clip.open(encoding="latin-1") as file, refused(UsageError, str(demo_clip), "is open as text"):
        load_waveform(file)


@pytest.mark.parametrize("source", [None, 3, [0.1, 0.2], {"audio": "clip.wav"}])
def test_what_no_recording_can_be(source: object) -> None:
    with refused(UsageError, "A recording cannot be", type(source).__name__):
        load_waveform(source)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 3, 4)), "shape (2, 3, 4)"),
        (np.float64(1.0), "shape ()"),
        (np.zeros((100, 0)), "shape (100, 0)"),
        (np.zeros((2, 48_000)), "48000 channels"),
        (np.zeros(100, dtype=complex), "complex128"),
        (np.array(["a"]), "<U1"),
        (np.zeros(100, dtype=bool), "bool"),
    ],
)
def test_arrays_that_are_no_waveform(array: np.ndarray, words: str) -> None:
    with refused(UsageError, "An array of", words):
        load_waveform(array, sample_rate=16_000)


def test_an_array_without_a_rate(speech) -> None:
    with refused(UsageError, "An array of samples", "sample_rate"):
        load_waveform(speech)
