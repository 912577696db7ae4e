"""m4a, mp4, webm and their like, through PyAV."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from m3ser.audio import SAMPLE_RATE, load_waveform, probe, stream_waveform
from m3ser.errors import AudioReadError, AudioTooLongError, MissingExtraError

pytest.importorskip("av", reason="needs PyAV, the 'media' extra")

# Container, codec, rate, and how many samples at 16 kHz the codec puts before the sound.
KINDS = [
    pytest.param("ipod", "aac", 16_000, 1024, id="m4a"),
    pytest.param("mp4", "aac", 44_100, 372, id="mp4"),
    pytest.param("mov", "pcm_s16le", 16_000, 0, id="mov"),
    pytest.param("mp4", "alac", 16_000, 0, id="alac"),
    pytest.param("webm", "libopus", 48_000, 0, id="webm"),
    pytest.param("adts", "aac", 16_000, 1024, id="aac"),
    pytest.param("wv", "wavpack", 16_000, 0, id="wavpack"),
]
INDEXED = KINDS[:5]


def best_correlation(waveform, speech, delay: int) -> float:
    """Over a few places around the delay that is expected."""
    length = len(speech) - 2000
    places = range(max(0, delay - 20), delay + 21)
    return max(np.corrcoef(waveform[place : place + length], speech[:length])[0, 1] for place in places)


@pytest.mark.parametrize(("container", "codec", "rate", "delay"), KINDS)
def test_reads_what_libsndfile_cannot(speech, encode_media, container, codec, rate, delay, capfd) -> None:
    long = np.tile(speech, 3)
    data = encode_media(long, container, codec, sample_rate=rate)
    waveform = load_waveform(data)
    assert waveform.dtype == np.float32
    assert abs(len(waveform) - len(long)) < 4 * 1024
    assert max(best_correlation(waveform, long, delay), best_correlation(waveform, long, 0)) > 0.97
    assert (probe(data).sample_rate, probe(data).channels) == (rate, 1)
    np.testing.assert_array_equal(np.concatenate(list(stream_waveform(data, block_seconds=1.3))), waveform)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("container", "codec", "rate", "delay"), INDEXED)
def test_a_part_is_the_same_as_cut_from_the_whole(speech, encode_media, container, codec, rate, delay) -> None:
    data = encode_media(np.tile(speech, 6), container, codec, sample_rate=rate)
    whole = load_waveform(data)
    assert probe(data).duration == pytest.approx(len(whole) / SAMPLE_RATE, abs=0.1)
    for start, end in ((0.0, 1.0), (3.125, 4.75), (9.0, 13.0)):
        part = load_waveform(data, start=start, end=end)
        cut = whole[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        assert abs(len(part) - len(cut)) <= 1
        # Resampling sees nothing before the part's first sample and after its last.
        inner = slice(200, len(cut) - 200)
        if rate == 44_100:
            # AAC at this rate fills bands with random noise, another one in every run: compare by place.
            likeness = [np.corrcoef(part[inner], np.roll(cut, lag)[inner])[0, 1] for lag in (-1, 0, 1)]
            assert likeness[1] == max(likeness)
            assert likeness[1] > 0.99
        else:
            np.testing.assert_allclose(part[inner], cut[inner], atol=2e-4)


def test_raw_streams_are_decoded_from_the_beginning(speech, encode_media) -> None:
    data = encode_media(np.tile(speech, 4), "adts", "aac")
    assert probe(data).duration is None
    whole = load_waveform(data)
    np.testing.assert_array_equal(load_waveform(data, start=3.0, end=4.5), whole[48_000:72_000])


def test_webm_without_a_length(speech, encode_media) -> None:
    """As browsers record it: they write the header before they know."""
    data = encode_media(np.tile(speech, 2), "webm", "libopus", sample_rate=48_000)
    duration = b"\x44\x89\x88"  # EBML: the element "Duration", 8 bytes long; overwritten with one that means nothing
    assert data.count(duration) == 1
    bare = data.replace(duration, b"\xec\x89\x00")
    assert probe(bare).duration is None
    np.testing.assert_array_equal(load_waveform(bare), load_waveform(data))
    np.testing.assert_allclose(
        load_waveform(bare, start=2.0, end=4.0)[200:-200], load_waveform(bare)[32_200:63_800], atol=2e-4
    )
    with pytest.raises(AudioTooLongError, match="is longer than 3 s"):
        load_waveform(bare, max_seconds=3.0)


def test_a_film_is_heard_not_seen(speech, encode_media) -> None:
    data = encode_media(speech, "mp4", "aac", video=True)
    assert best_correlation(load_waveform(data), speech, 1024) > 0.97


def test_a_silent_film_holds_no_sound(speech, encode_media) -> None:
    data = encode_media(speech, "mp4", "aac", video=True, sound=False)
    with pytest.raises(AudioReadError, match="begins like MP4 or M4A but holds no sound"):
        load_waveform(data)


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [("ipod", "aac", 16_000), ("webm", "libopus", 48_000), ("adts", "aac", 16_000), ("wv", "wavpack", 16_000)],
)
def test_half_a_file_is_an_error(speech, encode_media, tmp_path: Path, container, codec, rate, capfd) -> None:
    data = encode_media(np.tile(speech, 3), container, codec, sample_rate=rate)
    path = tmp_path / "half.bin"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioReadError, match=r"half\.bin (is truncated or damaged|begins like)"):
        load_waveform(path)
    assert capfd.readouterr() == ("", "")


def test_half_a_webm_says_how_much_is_there(speech, encode_media) -> None:
    data = encode_media(np.tile(speech, 3), "webm", "libopus", sample_rate=48_000)
    with pytest.raises(AudioReadError, match=r"3\.\d\d s of 6\.8\d s could be read"):
        load_waveform(data[: len(data) // 2])


def test_length_is_limited_with_and_without_a_stated_one(speech, encode_media) -> None:
    long = np.tile(speech, 3)
    with pytest.raises(AudioTooLongError, match=r"is 6\.\d s long; expected at most 5 s"):
        load_waveform(encode_media(long, "ipod", "aac"), max_seconds=5.0)
    with pytest.raises(AudioTooLongError, match="is longer than 5 s"):
        load_waveform(encode_media(long, "adts", "aac"), max_seconds=5.0)


@pytest.mark.parametrize("riff_size", [0, 8, 36])
def test_a_wav_that_was_never_closed(speech, encode, riff_size: int) -> None:
    """The recorder was killed before it filled in the sizes."""
    data = bytearray(encode(speech, "WAV", "PCM_16"))
    sizes = data.index(b"data") + 4
    data[sizes : sizes + 4] = bytes(4)
    data[4:8] = riff_size.to_bytes(4, "little")
    np.testing.assert_array_equal(load_waveform(bytes(data)), speech)


def test_play_lists_are_not_followed(tmp_path: Path, demo_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording sent by a stranger must not make the reader open other files or addresses."""
    (tmp_path / "private.wav").write_bytes(demo_clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    lists = {
        "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:3,\nprivate.wav\n#EXT-X-ENDLIST\n",
        "list.ffconcat": "ffconcat version 1.0\nfile private.wav\n",
    }
    for name, text in lists.items():
        Path(name).write_text(text)
        with pytest.raises(AudioReadError, match=f"{name} is not audio"):
            load_waveform(name)


@pytest.fixture(scope="module")
def m4a(speech, encode_media) -> bytes:
    return encode_media(speech, "ipod", "aac")


class TestWithoutPyAV:
    @pytest.fixture(autouse=True)
    def no_pyav(self, m4a: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "av", None)  # importing it fails

    def test_says_what_to_install(self, m4a: bytes, tmp_path: Path) -> None:
        path = tmp_path / "call.m4a"
        path.write_bytes(m4a)
        with pytest.raises(MissingExtraError, match=r"call\.m4a needs the 'media' extra: pip install"):
            load_waveform(path)
        with pytest.raises(MissingExtraError, match="Reading the recording needs"):
            load_waveform(m4a)

    def test_what_is_not_audio_does_not_ask_for_it(self) -> None:
        with pytest.raises(AudioReadError, match="is not audio"):
            load_waveform(b"Dear diary, today I said no.\n" * 50)

    def test_what_libsndfile_reads_does_not_need_it(self, demo_clip: Path, speech) -> None:
        np.testing.assert_array_equal(load_waveform(demo_clip), speech)
