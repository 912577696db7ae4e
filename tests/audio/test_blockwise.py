"""Features made block by block are those of the whole recording, wherever it is cut."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from m3ser.audio import FRONT_ENDS

BLOCKWISE = sorted(name for name, front_end in FRONT_ENDS.items() if front_end.blockwise is not None)


def pieces(waveform: NDArray[np.float32], size: int) -> list[NDArray[np.float32]]:
    return [waveform[first : first + size] for first in range(0, len(waveform), size)]


def test_which_front_ends_can() -> None:
    assert BLOCKWISE == ["vggish", "waveform", "whisper128", "whisper80"]


@pytest.mark.parametrize("name", BLOCKWISE)
# A fraction of a frame, no multiple of a hop, the usual 30 s, and all of it at once.
@pytest.mark.parametrize("size", [250, 12_345, 480_000, 10_000_000])
@pytest.mark.parametrize("samples", [16_000 * 25 + 123, 16_000 * 33])
def test_same_as_of_the_whole(name: str, size: int, samples: int) -> None:
    rng = np.random.default_rng(samples)
    # The loudest part lies near the end, so that whatever needs it cannot have known it at the beginning.
    waveform = (rng.normal(size=samples) * np.geomspace(1e-5, 0.3, samples)).astype(np.float32)
    front_end = FRONT_ENDS[name]
    assert front_end.blockwise is not None
    expected = front_end.features(waveform)
    extent = front_end.blockwise.survey(iter(pieces(waveform, size)))
    blocks = list(front_end.blockwise.features(iter(pieces(waveform, size)), extent))
    assert extent.steps == len(expected)
    assert {block.dtype for block in blocks} == {np.dtype(np.float32)}
    np.testing.assert_allclose(np.concatenate(blocks), expected, rtol=0, atol=2e-6)
