"""What is computed once: mapped from the cache, not copied, and in memory as it is stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch")
pa = pytest.importorskip("pyarrow")

from m3ser.training.states import InMemory, Recording, encode_audio, encode_upper  # noqa: E402


@pytest.fixture
def recordings(tmp_path: Path) -> list[Recording]:
    rng = np.random.default_rng(0)
    made = []
    for number in range(6):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, rng.normal(scale=0.1, size=16_000 + 1_600 * number), 16_000)
        made.append(Recording(path))
    return made


def lower(features: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return features[..., :8] * mask[..., None], mask


def encoded(recordings: list[Recording], cache: Path) -> object:
    return encode_audio(
        recordings, lower, front_end="whisper80", max_frames=None, dim=8, fingerprint="lower", cache=cache
    )


def test_what_is_cached_is_mapped_and_not_copied(recordings: list[Recording], tmp_path: Path) -> None:
    first = encoded(recordings, tmp_path / "cache")
    before = pa.total_allocated_bytes()
    table = encoded(recordings, tmp_path / "cache")
    assert pa.total_allocated_bytes() == before
    for recording in recordings:
        assert table.stored(recording).dtype == np.float16
        assert table[recording].dtype == np.float32
        np.testing.assert_array_equal(table[recording], first[recording])
    held = InMemory({recording: table.stored(recording).copy() for recording in recordings})
    assert list(held) == recordings
    np.testing.assert_array_equal(held[recordings[2]], table[recordings[2]])
    assert held[recordings[2]].dtype == np.float32


def test_an_upper_part_goes_on_from_a_lower_one(
    recordings: list[Recording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = encoded(recordings, tmp_path / "cache")
    monkeypatch.setattr(Recording, "waveform", None)  # nothing is heard again

    def upper(padded: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return padded[..., :3] * 2, mask

    table = encode_upper(
        recordings, below, upper, front_end="whisper80", dim=3, fingerprint="whole", cache=tmp_path / "cache"
    )
    for recording in recordings:
        np.testing.assert_allclose(table[recording], below[recording][:, :3] * 2, rtol=1e-2, atol=1e-3)
