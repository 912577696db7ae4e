from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from m3ser.errors import UsageError
from m3ser.inference.timeline import Cut, CutSettings, Segmenter
from m3ser.inference.timeline.settings import _RANGES

FRAME = 512
SECOND = 16_000 / FRAME  # frames

Make = Callable[..., Segmenter]
NO_PADDING = CutSettings(padding_seconds=0.0)


def sound(*stretches: tuple[float, int]) -> NDArray[np.float32]:
    """A waveform that stands for (probability, frames) after each other; a ramp makes every sample its own."""
    probabilities = np.concatenate([np.full(frames, p, np.float32) for p, frames in stretches])
    waveform = np.repeat(probabilities, FRAME)
    waveform[np.arange(len(waveform)) % FRAME > 0] = np.linspace(0, 1, len(waveform), dtype=np.float32)[
        np.arange(len(waveform)) % FRAME > 0
    ]
    return waveform


def cuts_of(segmenter: Segmenter, waveform: NDArray[np.float32], chunks: Sequence[int] = ()) -> list[Cut]:
    pieces = np.split(waveform, np.cumsum(np.asarray(chunks, int))) if len(chunks) else [waveform]
    return [cut for piece in pieces for cut in segmenter.push(piece)] + segmenter.finish()


def frames(cuts: list[Cut]) -> list[tuple[float, float]]:
    return [(cut.start / FRAME, cut.end / FRAME) for cut in cuts]


def test_pauses_end_utterances_and_shorter_ones_do_not(scripted: Make) -> None:
    # 0.5 s are 16 frames (15.6 rounded).
    waveform = sound((0, 10), (0.9, 40), (0, 15), (0.9, 40), (0, 16), (0.9, 40), (0, 50))
    assert frames(cuts_of(scripted(NO_PADDING), waveform)) == [(10, 105), (121, 161)]


def test_weak_frames_go_on_but_do_not_begin(scripted: Make) -> None:
    waveform = sound((0.3, 40), (0.4, 40), (0.25, 40), (0.1, 10), (0.3, 30), (0, 30))
    # The weak frames behind the speech belong to it; those behind a quiet stretch do not.
    assert frames(cuts_of(scripted(NO_PADDING), waveform)) == [(40, 120)]


def test_a_click_is_left_out(scripted: Make) -> None:
    waveform = sound((0, 60), (0.9, 2), (0, 60), (0.9, 3), (0, 60))
    assert frames(cuts_of(scripted(NO_PADDING), waveform)) == [(122, 125)]


@pytest.mark.parametrize(
    ("stretches", "expected"),
    [
        # A short one joins the one before, a short first one the one behind.
        (((0.9, 60), (0, 20), (0.9, 10), (0, 60)), [(0, 90)]),
        (((0.9, 10), (0, 20), (0.9, 60), (0, 60)), [(0, 90)]),
        # Long ones do not join, however near.
        (((0.9, 60), (0, 20), (0.9, 60), (0, 60)), [(0, 60), (80, 140)]),
        # Across 1 s (31 frames) nothing joins.
        (((0.9, 60), (0, 31), (0.9, 10), (0, 60)), [(0, 60), (91, 101)]),
        (((0.9, 60), (0, 30), (0.9, 10), (0, 60)), [(0, 100)]),
        # Joined ones must not be longer than the longest: 15 s are 469 frames.
        (((0.9, 439), (0, 20), (0.9, 10), (0, 60)), [(0, 469)]),
        (((0.9, 440), (0, 20), (0.9, 10), (0, 60)), [(0, 440), (460, 470)]),
        # What cannot join the one before may join the one behind.
        (((0.9, 440), (0, 20), (0.9, 10), (0, 20), (0.9, 60), (0, 60)), [(0, 440), (460, 550)]),
    ],
)
def test_short_utterances_join_near_neighbours(
    scripted: Make, stretches: tuple[Any, ...], expected: list[tuple[int, int]]
) -> None:
    assert frames(cuts_of(scripted(NO_PADDING), sound(*stretches))) == expected


def test_long_speech_is_split_where_it_is_weakest_in_its_middle_third(scripted: Make) -> None:
    # The deepest place is at the beginning, where nothing is split; the next is at 250 to 258.
    waveform = sound((0.9, 50), (0.36, 8), (0.9, 192), (0.4, 8), (0.9, 342), (0, 60))
    found = frames(cuts_of(scripted(NO_PADDING), waveform))
    assert found[0] == (0, 254)
    assert found[-1][1] == 600
    assert [end for _, end in found[:-1]] == [start for start, _ in found[1:]]


def test_no_piece_is_longer_than_the_longest_or_shorter_than_a_third(scripted: Make) -> None:
    rng = np.random.default_rng(1)
    waveform = np.repeat(rng.uniform(0.4, 1, 5000).astype(np.float32), FRAME)
    found = frames(cuts_of(scripted(NO_PADDING), waveform))
    lengths = [end - start for start, end in found]
    assert sum(lengths) == 5000
    assert max(lengths) <= round(15 * SECOND)
    assert min(lengths) >= round(15 * SECOND) // 3 - 1


def test_padding_stays_inside_the_recording_and_out_of_splits(scripted: Make) -> None:
    padding = round(0.2 * 16_000)
    waveform = sound((0.9, 40), (0, 60), (0.9, 900), (0, 60), (0.9, 40))
    cuts = cuts_of(scripted(), waveform)
    assert (cuts[0].start, cuts[0].end) == (0, 40 * FRAME + padding)
    assert cuts[1].start == 100 * FRAME - padding
    assert all(one.end == two.start for one, two in itertools.pairwise(cuts[1:-1]))
    assert cuts[-2].end == 1000 * FRAME + padding
    assert cuts[-1].end == len(waveform)
    for cut in cuts:
        np.testing.assert_array_equal(cut.waveform, waveform[cut.start : cut.end])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 20_000), max_size=40))
def test_chunks_of_any_size_give_the_same_cuts(seed: int, chunks: list[int]) -> None:
    from runpy import run_path

    voice = run_path(str(__file__).replace("test_segmenter", "conftest"))["ScriptedVoice"]
    rng = np.random.default_rng(seed)
    levels = rng.choice([0.0, 0.1, 0.3, 0.5, 0.9], 60)
    waveform = sound(*[(level, int(rng.integers(1, 60))) for level in levels])[: -int(rng.integers(1, 400))]
    whole = cuts_of(Segmenter(voice=voice), waveform)
    pieces = cuts_of(Segmenter(voice=voice), waveform, chunks)
    assert [(cut.start, cut.end) for cut in whole] == [(cut.start, cut.end) for cut in pieces]
    for one, two in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(one.waveform, two.waveform)


def test_an_hour_of_speech_and_one_of_silence_are_held_in_bounded_memory(scripted: Make) -> None:
    segmenter = scripted()
    rng = np.random.default_rng(0)
    held = 0
    for level in (0.9, 0.0):
        for _ in range(1200):
            chunk = np.repeat(np.full(93, level, np.float32) * rng.uniform(0.5, 1), FRAME)
            segmenter.push(chunk)
            held = max(held, sum(map(len, segmenter._sound._chunks)))
    assert held <= 2 * 15 * 16_000 + 3 * 16_000


def test_an_utterance_is_given_as_soon_as_it_is_certain(scripted: Make) -> None:
    segmenter = scripted()
    assert segmenter.push(sound((0.9, 60))) == []
    assert segmenter.speaking_since == 0
    # 1 s behind its end nothing can join it any more.
    assert segmenter.push(sound((0.0, 30))) == []
    assert len(segmenter.push(sound((0.0, 1)))) == 1
    assert segmenter.speaking_since is None
    # Nor can what has grown too long to be joined.
    assert segmenter.push(sound((0.9, 60), (0.0, 20), (0.9, 30))) == []
    assert len(segmenter.push(sound((0.9, 1)))) == 1


def test_an_array_that_is_filled_anew_does_no_harm(scripted: Make) -> None:
    waveform = sound((0.9, 60), (0, 60))
    segmenter = scripted()
    buffer = np.empty(2048, np.float32)
    cuts = []
    for first in range(0, len(waveform), 2048):
        buffer[:] = waveform[first : first + 2048]
        cuts += segmenter.push(buffer)
    (cut,) = cuts + segmenter.finish()
    np.testing.assert_array_equal(cut.waveform, waveform[cut.start : cut.end])


def test_no_sound_at_all(scripted: Make) -> None:
    assert scripted().finish() == []
    segmenter = scripted()
    assert segmenter.push(np.empty(0, np.float32)) == []
    assert segmenter.finish() == []


@pytest.mark.parametrize("name", sorted(_RANGES))
@pytest.mark.parametrize("value", [-0.1, 1e9, math.nan, math.inf])
def test_a_number_outside_of_its_range_is_named(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name):
        CutSettings(**{name: value})


def test_numbers_that_contradict_each_other() -> None:
    with pytest.raises(UsageError, match="at least twice padding_seconds"):
        CutSettings(pause_seconds=0.3)
    with pytest.raises(UsageError, match="at least three times min_seconds"):
        CutSettings(min_seconds=2, max_seconds=5)
