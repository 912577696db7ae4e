"""Recordings of every kind become the same waveform."""

from __future__ import annotations

import io
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from m3ser.audio import SAMPLE_RATE, load_waveform, probe, resample, stream_waveform
from m3ser.errors import AudioTooShortError, UsageError


def can_write(container: str, subtype: str) -> bool:
    try:
        soundfile.write(io.BytesIO(), np.zeros(2000, np.float32), 16_000, format=container, subtype=subtype)
    except (soundfile.LibsndfileError, ValueError):
        return False
    return True


FORMATS = [
    (container, subtype)
    for container in ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3")
    for subtype in soundfile.available_subtypes(container)
    if can_write(container, subtype)
]


def correlation(left: NDArray[Any], right: NDArray[Any]) -> float:
    length = min(len(left), len(right))
    return float(np.corrcoef(left[:length], right[:length])[0, 1])


def test_the_formats_that_matter_can_be_written_here() -> None:
    wanted = {("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_24"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")}
    assert wanted <= set(FORMATS)


@pytest.mark.parametrize(("container", "subtype"), FORMATS)
def test_reads_every_format_and_subtype(speech, encode, container: str, subtype: str) -> None:
    data = encode(speech, container, subtype)
    waveform = load_waveform(data)
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert abs(len(waveform) - len(speech)) < 700  # codecs of fixed frames pad the last one
    assert correlation(waveform, speech) > 0.96  # GSM, the worst of them
    info = probe(data)
    assert (info.sample_rate, info.channels) == (16_000, 1)
    assert info.duration == pytest.approx(len(waveform) / SAMPLE_RATE, abs=1e-6)


@pytest.mark.parametrize("container", ["WAV", "FLAC", "AIFF", "CAF"])
def test_lossless_files_give_exact_samples(speech, encode, container: str) -> None:
    np.testing.assert_array_equal(load_waveform(encode(speech, container, "PCM_16")), speech)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000])
def test_reads_every_rate(speech, encode, rate: int) -> None:
    at_rate = soxr.resample(speech, SAMPLE_RATE, rate, quality="VHQ")
    waveform = load_waveform(encode(at_rate, "WAV", "FLOAT", rate))
    np.testing.assert_array_equal(waveform, soxr.resample(at_rate, rate, SAMPLE_RATE))
    assert abs(len(waveform) - len(speech)) <= 1
    # At 8 kHz everything above 4 kHz is gone; otherwise only the edge of the band.
    assert correlation(waveform, speech) > (0.95 if rate < 16_000 else 0.999)


def test_resampling_an_array_equals_decoding_it(speech) -> None:
    np.testing.assert_array_equal(resample(speech, 44_100), load_waveform(speech, sample_rate=44_100))
    np.testing.assert_array_equal(resample(speech, SAMPLE_RATE), speech)


@pytest.mark.parametrize("channels", range(1, 9))
def test_channels_are_averaged(speech, encode, channels: int) -> None:
    gains = np.linspace(0.2, 1.0, channels, dtype=np.float32)
    many = speech[:, None] * gains
    waveform = load_waveform(encode(many, "WAV", "FLOAT"))
    np.testing.assert_allclose(waveform, speech * gains.mean(), atol=1e-6)
    np.testing.assert_allclose(load_waveform(many, sample_rate=SAMPLE_RATE), waveform, atol=1e-7)


def test_every_way_to_hand_a_recording_over_gives_the_same(demo_clip: Path, speech) -> None:
    data = demo_clip.read_bytes()

    class Pipe(io.RawIOBase):
        """Bytes that can be read once, from the front."""

        def __init__(self) -> None:
            self.rest = data

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            part, self.rest = self.rest[: len(buffer)], self.rest[len(buffer) :]
            buffer[: len(part)] = part
            return len(part)

    with demo_clip.open("rb") as file:
        file.seek(100)  # wherever it stands
        sources = [demo_clip, str(demo_clip), data, bytearray(data), io.BytesIO(data), file, io.BufferedReader(Pipe())]
        for source in sources:
            np.testing.assert_array_equal(load_waveform(source), speech)
        assert not file.closed


@pytest.mark.parametrize("name", ["speech.txt", "speech.raw", "speech.vox", "speech.mp3", "speech", "Sprach\u00e4.m4a"])
def test_the_content_decides_not_the_name(tmp_path: Path, demo_clip: Path, speech, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(demo_clip.read_bytes())
    np.testing.assert_array_equal(load_waveform(path), speech)


def test_the_result_does_not_share_memory_with_the_array(speech) -> None:
    array = speech.copy()
    waveform = load_waveform(array, sample_rate=SAMPLE_RATE)
    assert not np.shares_memory(waveform, array)


@given(
    dtype=st.sampled_from([np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16]),
    channels=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_integers_are_fractions_of_full_scale(dtype: Any, channels: int, seed: int) -> None:
    limits = np.iinfo(dtype)
    samples = np.random.default_rng(seed).integers(limits.min, limits.max, (500, channels), dtype=dtype, endpoint=True)
    middle = 0.0 if limits.min else 2.0 ** (limits.bits - 1)
    expected = ((samples.astype(np.float64) - middle) / 2.0 ** (limits.bits - 1)).mean(axis=1)
    waveform = load_waveform(samples, sample_rate=SAMPLE_RATE)
    np.testing.assert_allclose(waveform, expected, atol=1e-6)
    assert np.abs(waveform).max() <= 1.0


@settings(deadline=None, max_examples=25)
@given(
    block_seconds=st.floats(0.025, 5.0),
    rate=st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000]),
    channels=st.integers(1, 2),
)
def test_blocks_join_to_the_whole(speech_for_blocks, block_seconds: float, rate: int, channels: int) -> None:
    samples = np.repeat(speech_for_blocks[:, None], channels, axis=1)
    whole = load_waveform(samples, sample_rate=rate)
    blocks = list(stream_waveform(samples, sample_rate=rate, block_seconds=block_seconds))
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    size = round(block_seconds * SAMPLE_RATE)
    assert all(len(block) == size for block in blocks[:-1])
    assert 0 < len(blocks[-1]) <= size


@pytest.fixture(scope="module")
def speech_for_blocks(speech):
    return np.tile(speech, 6)  # more than two of the blocks that are decoded at a time


@pytest.mark.parametrize(("container", "subtype"), [("WAV", "PCM_16"), ("FLAC", None), ("OGG", "OPUS"), ("MP3", None)])
def test_blocks_of_a_file_join_to_the_whole(
    speech_for_blocks, encode, container: str, subtype: str | None, capfd
) -> None:
    data = encode(speech_for_blocks, container, subtype, 24_000)
    whole = load_waveform(data)
    np.testing.assert_array_equal(np.concatenate(list(stream_waveform(data, block_seconds=0.7))), whole)
    # libsndfile in one go, which is what reading in blocks must not differ from.
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        reference = file.read(file.frames, dtype="float32")
    np.testing.assert_array_equal(whole, soxr.resample(reference, 24_000, SAMPLE_RATE))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "GSM610"),
        ("FLAC", None),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", None),
        ("AIFF", None),
    ],
)
def test_a_part_is_the_same_as_cut_from_the_whole(
    speech_for_blocks, encode, container: str, subtype: str | None
) -> None:
    data = encode(speech_for_blocks, container, subtype)
    whole = load_waveform(data)
    for start, end in ((0.0, 1.0), (3.125, 4.75), (9.0, 13.0), (12.5, None)):
        part = load_waveform(data, start=start, end=end)
        cut = whole[round(start * SAMPLE_RATE) : None if end is None else round(end * SAMPLE_RATE)]
        np.testing.assert_allclose(part, cut, atol=1e-6)


def test_a_part_of_an_array(speech) -> None:
    part = load_waveform(speech, sample_rate=SAMPLE_RATE, start=0.5, end=1.5)
    np.testing.assert_array_equal(part, speech[8_000:24_000])


def test_an_end_beyond_the_end_is_the_end(demo_clip: Path, speech) -> None:
    np.testing.assert_array_equal(load_waveform(demo_clip, start=1.0, end=60.0), speech[SAMPLE_RATE:])


def test_a_part_that_begins_after_the_end(demo_clip: Path) -> None:
    with pytest.raises(AudioTooShortError, match=r"is 2\.27 s long, so nothing is left from 5 s to 6 s"):
        load_waveform(demo_clip, start=5.0, end=6.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": -1.0}, "start is -1.0"),
        ({"end": float("nan")}, "end is nan"),
        ({"start": 2.0, "end": 1.0}, "from 2 to 1 s is empty"),
        ({"max_seconds": float("inf")}, "max_seconds is inf"),
        ({"sample_rate": 16_000}, "states its own sample rate"),
    ],
)
def test_arguments_that_make_no_sense(demo_clip: Path, options: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_waveform(demo_clip, **options)


def test_blocks_shorter_than_a_frame_are_refused(demo_clip: Path) -> None:
    with pytest.raises(UsageError, match="block_seconds is 0"):
        next(stream_waveform(demo_clip, block_seconds=0.0))


def test_memory_does_not_grow_with_length(tmp_path: Path, speech) -> None:
    peaks = []
    for copies in (30, 300):  # one and eleven minutes
        path = tmp_path / f"{copies}.wav"
        soundfile.write(path, np.tile(speech, copies), SAMPLE_RATE)
        tracemalloc.start()
        seconds = sum(len(block) for block in stream_waveform(path, block_seconds=10.0)) / SAMPLE_RATE
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert seconds == pytest.approx(copies * len(speech) / SAMPLE_RATE)
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 4_000_000


class TestHeadersThatStateNoLength:
    def test_wav_written_to_a_pipe(self, encode, speech) -> None:
        data = bytearray(encode(speech, "WAV", "PCM_16"))
        sizes = data.index(b"data") + 4
        for unknown in (0xFFFF_FFFF, 0x7FFF_FFFF):
            data[sizes : sizes + 4] = struct.pack("<I", unknown)
            data[4:8] = struct.pack("<I", unknown)
            np.testing.assert_array_equal(load_waveform(bytes(data)), speech)

    def test_flac_written_to_a_pipe(self, encode, speech) -> None:
        data = bytearray(encode(np.tile(speech, 3), "FLAC"))
        # STREAMINFO: the number of samples is the last 36 of the 64 bits that begin with the rate.
        data[21] &= 0xF0
        data[22:26] = bytes(4)
        assert probe(bytes(data)).duration is None
        np.testing.assert_array_equal(load_waveform(bytes(data)), np.tile(speech, 3))
        np.testing.assert_array_equal(load_waveform(bytes(data), start=3.0, end=5.0), np.tile(speech, 3)[48_000:80_000])

    def test_mp3_without_a_summary(self, encode, speech) -> None:
        data = encode(np.tile(speech, 3), "MP3")
        first = data[:2]
        bare = data[data.index(first, 4) :]  # what follows the first frame, which holds the summary
        assert probe(data).duration == pytest.approx(3 * len(speech) / SAMPLE_RATE)
        assert probe(bare).duration is None
        assert correlation(load_waveform(bare)[1105:], np.tile(speech, 3)) > 0.97  # the encoder's delay is not cut off


def test_mp3_after_tags(encode, speech) -> None:
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 8, 0]) + bytes(1024)  # an empty tag of 1024 bytes
    data = encode(speech, "MP3")
    assert probe(tag + data).duration == pytest.approx(len(speech) / SAMPLE_RATE)
    np.testing.assert_array_equal(load_waveform(tag + data), load_waveform(data))


def test_ogg_with_something_after_its_last_page(encode, speech) -> None:
    data = encode(speech, "OGG", "OPUS")
    np.testing.assert_array_equal(load_waveform(data + b"TAG" + bytes(125)), load_waveform(data))


def test_reads_real_corpora(shared_data: Path) -> None:
    folder = shared_data / "speech"
    for pattern in ("emodb/wav/*.flac", "emovo/f1/*.opus", "ravdess/Actor_01/*.flac"):
        for path in sorted(folder.glob(pattern))[:20]:
            assert 0.5 < len(load_waveform(path)) / SAMPLE_RATE < 20
