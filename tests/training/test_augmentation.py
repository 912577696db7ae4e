"""Changed copies of recordings: the same every time, different from each other, and heard as often as is asked for."""

from __future__ import annotations

import random
import shutil
import typing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("audiomentations", reason="changes recordings with audiomentations (the augment extra)")

from m3ser.audio import SAMPLE_RATE
from m3ser.errors import AudioReadError
from m3ser.training.augmentation import CHANGES, Changed, copies_of, hear_copies
from m3ser.training.examples import Example
from m3ser.training.recipe import AugmentationRecipe
from m3ser.training.states import Recording


def level(waveform: np.ndarray) -> float:
    """Of the mean square, in dB."""
    return float(10 * np.log10(np.square(waveform, dtype=np.float64).mean()))


def above(waveform: np.ndarray, hertz: float) -> float:
    """The share of the energy above a frequency."""
    energy = np.square(np.abs(np.fft.rfft(waveform)))
    return float(energy[np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE) > hertz].sum() / energy.sum())


def changed(path: Path, copy: int = 0, **changes: float) -> np.ndarray:
    return Changed(path, copy=copy, changes=tuple(changes.items())).waveform()


def test_a_recipe_knows_every_change() -> None:
    annotation = AugmentationRecipe.model_fields["changes"].annotation
    assert set(typing.get_args(typing.get_args(annotation)[0])) == set(CHANGES)
    assert set(AugmentationRecipe().changes) == set(CHANGES)


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_heard_and_is_always_the_same(demo_clip: Path, tmp_path: Path, name: str) -> None:
    original = Recording(demo_clip).waveform()
    first, second = (changed(demo_clip, copy, **{name: 1.0}) for copy in range(2))
    for one in (first, second):
        assert one.dtype == np.float32
        assert one.ndim == 1
        assert np.isfinite(one).all()
        assert np.abs(one).max() <= 1.0
        assert 0.88 < len(one) / len(original) < 1.12
        assert (len(one) == len(original)) == (name != "pace")
        assert len(one) != len(original) or not np.array_equal(one, original)
    assert len(first) != len(second) or not np.array_equal(first, second)
    elsewhere = shutil.copy(demo_clip, tmp_path / demo_clip.name)
    np.testing.assert_array_equal(changed(Path(elsewhere), **{name: 1.0}), first)


def test_changes_are_what_they_are_called(demo_clip: Path) -> None:
    original = Recording(demo_clip).waveform()
    copies = range(20)
    gains = [level(changed(demo_clip, copy, level=1.0)) - level(original) for copy in copies]
    assert min(gains) < -5 < 2 < max(gains) < 12.1
    ratios = [level(original) - level(changed(demo_clip, copy, noise=1.0) - original) for copy in copies]
    assert 2.9 < min(ratios) < 10 < 20 < max(ratios) < 30.1
    lengths = [len(changed(demo_clip, copy, pace=1.0)) / len(original) for copy in copies]
    assert min(lengths) < 0.97 < 1.03 < max(lengths)
    narrow = [above(changed(demo_clip, copy, band=1.0), 6500.0) for copy in copies]
    assert max(narrow) < above(original, 6500.0) / 2
    rooms = [changed(demo_clip, copy, room=1.0) for copy in copies]
    assert all(abs(level(one) - level(original)) < 0.5 for one in rooms)


def test_one_change_is_made_at_least(demo_clip: Path) -> None:
    original = Recording(demo_clip).waveform()
    assert all(not np.array_equal(changed(demo_clip, copy, level=1e-9, band=1e-9), original) for copy in range(5))


def test_threads_and_other_peoples_random_numbers_are_left_alone(demo_clips: Path) -> None:
    recordings = [Changed(path, copy=1, changes=(("noise", 1.0),)) for path in sorted(demo_clips.glob("*.wav"))[:6]]
    alone = [one.waveform() for one in recordings]
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(Changed.waveform, recordings))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002


def test_copies_are_kept_apart_by_what_was_done(demo_clip: Path) -> None:
    digests = {
        Changed(demo_clip, copy=copy, changes=(("noise", share),)).digest() for copy in range(2) for share in (0.3, 0.5)
    }
    assert len(digests | {Recording(demo_clip).digest()}) == 5


def test_who_is_heard_as_a_copy(demo_clip: Path) -> None:
    setting = AugmentationRecipe(copies=3, share=0.25, changes={"level": 1.0})
    voice, words = Example(Recording(demo_clip), "text", 0), Example(None, "text", 0)
    known = copies_of([voice, words], setting)
    assert len({one.audio for one in known}) == len(known) == 3
    assert {(one.text, one.label) for one in known} == {("text", 0)}
    torch.manual_seed(0)
    heard = hear_copies([voice, words] * 2_000, setting)
    assert all(one is words for one in heard[1::2])
    copies = [one for one in heard[::2] if one is not voice]
    assert {one.audio for one in copies} == {one.audio for one in known}
    assert 0.2 < len(copies) / 2_000 < 0.3
    assert copies_of([voice], None) == []
    assert hear_copies([voice], None) == [voice]


def test_a_broken_recording_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.wav"
    path.write_bytes(b"RIFF")
    with pytest.raises(AudioReadError, match=r"broken\.wav"):
        changed(path, level=1.0)
