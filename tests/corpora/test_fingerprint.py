"""Fingerprints: the same recording is found however it was changed, and another take is not."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from m3ser.audio import load_waveform
from m3ser.corpora.fingerprint import Fingerprint, find_matches, fingerprint

RATE = 16_000


@pytest.fixture(scope="module")
def waveforms(demo_clips: Path) -> list[np.ndarray]:
    """Thirteen real clips; several say the same sentence, by the same actor in other emotions."""
    return [load_waveform(path) for path in sorted(demo_clips.glob("*.wav"))]


@pytest.fixture(scope="module")
def prints(waveforms: list[np.ndarray]) -> list[Fingerprint | None]:
    return [fingerprint([waveform]) for waveform in waveforms]


def through(codec: str, subtype: str, **options: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(waveform: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        soundfile.write(file, waveform, RATE, format=codec, subtype=subtype, **options)
        return load_waveform(file.getvalue())

    return change


def resampled(rate: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda waveform: soxr.resample(soxr.resample(waveform, RATE, rate), rate, RATE).astype(np.float32)


CHANGES = {
    "flac": through("FLAC", "PCM_16"),
    "mp3": through("MP3", "MPEG_LAYER_III"),
    "vorbis": through("OGG", "VORBIS"),
    "opus": through("OGG", "OPUS"),
    "8 kHz": resampled(8_000),
    "44.1 kHz": resampled(44_100),
    "louder": lambda w: np.clip(w * 3.98, -1, 1).astype(np.float32),
    "softer": lambda w: (w / 3.98).astype(np.float32),
    "padded": lambda w: np.concatenate([np.zeros(1600, np.float32), w]),
    "trimmed": lambda w: w[1600:],
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_recording_is_found_and_nothing_else(
    name: str, waveforms: list[np.ndarray], prints: list[Fingerprint | None]
) -> None:
    changed = [fingerprint([CHANGES[name](waveform)]) for waveform in waveforms]
    found = [(match.first, match.second) for match in find_matches([*prints, *changed])]
    assert found == [(i, i + len(prints)) for i in range(len(prints))]


def test_other_takes_are_others(prints: list[Fingerprint | None]) -> None:
    assert find_matches(prints) == []


def test_blocks_make_no_difference(waveforms: list[np.ndarray]) -> None:
    whole = fingerprint([waveforms[0]])
    pieces = fingerprint(np.array_split(waveforms[0], 7))
    assert whole is not None
    assert pieces is not None
    np.testing.assert_array_equal(whole.bits, pieces.bits)
    np.testing.assert_array_equal(whole.loud, pieces.loud)


def test_a_part_is_found_in_the_whole(waveforms: list[np.ndarray]) -> None:
    longer = np.concatenate(waveforms[:3])
    (match,) = find_matches([fingerprint([longer]), fingerprint([waveforms[1]])])
    assert not match.whole
    # The part begins at where it lies in the whole, seen from the whole: before the part's own beginning.
    assert match.offset == pytest.approx(-len(waveforms[0]) / RATE, abs=0.02)


def test_how_many_pairs_are_compared_at_a_time_makes_no_difference(
    waveforms: list[np.ndarray], prints: list[Fingerprint | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [fingerprint([waveform[len(waveform) // 4 :]]) for waveform in waveforms]
    everything = [None, *prints, None, *parts]
    together = find_matches(everything)
    assert [(match.first, match.second) for match in together] == [
        (i + 1, i + 2 + len(prints)) for i, part in enumerate(parts) if part is not None
    ]
    monkeypatch.setattr("m3ser.corpora.fingerprint._FRAMES_AT_A_TIME", 1)
    monkeypatch.setattr("m3ser.corpora.fingerprint._HITS_AT_A_TIME", 1)
    assert find_matches(everything) == together


def test_threads_do_not_share_their_buffers(waveforms: list[np.ndarray], prints: list[Fingerprint | None]) -> None:
    with ThreadPoolExecutor(4) as pool:
        for found, expected in zip(pool.map(lambda w: fingerprint([w]), waveforms * 4), prints * 4, strict=True):
            assert found is not None
            assert expected is not None
            np.testing.assert_array_equal(found.bits, expected.bits)
            np.testing.assert_array_equal(found.loud, expected.loud)


@pytest.mark.parametrize(
    "waveform",
    [
        np.zeros(3 * RATE, np.float32),
        np.zeros(0, np.float32),
        np.full(RATE // 4, 0.1, np.float32),
        np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE).astype(np.float32),
    ],
    ids=["silence", "nothing", "a quarter of a second", "a steady tone"],
)
def test_what_says_too_little_has_no_fingerprint_and_matches_nothing(waveform: np.ndarray) -> None:
    own = fingerprint([waveform])
    assert own is None
    assert find_matches([own, own]) == []
