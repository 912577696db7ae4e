"""Features of recordings that are too long to be in memory: made block by block, and the same as of the whole.

What depends on the whole recording (its length, its loudest band) is known only at its end. So it is gone through
twice: once for that, and once more for the features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import vggish, whisper

__all__ = ["EXAMPLES", "SAMPLES", "Blockwise", "Extent", "whisper_blockwise"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Extent:
    """What the first time through a recording finds.

    Attributes:
        steps: of features.
        peak: the largest value before :attr:`Blockwise.finish`.
    """

    steps: int
    peak: np.float32


@dataclass(frozen=True)
class Blockwise:
    """How a front end makes features of a waveform that comes in blocks.

    Attributes:
        begin: blocks (samples,) at 16 kHz -> blocks (steps, ...) of what can be made without knowing the rest.
        finish: such a block, and the recording's peak -> its features; may be in place.
    """

    begin: Callable[[Iterable[Floats]], Iterator[Floats]]
    finish: Callable[[Floats, np.float32], Floats]

    def survey(self, blocks: Iterable[Floats]) -> Extent:
        """Go through a recording for the first time."""
        steps, peak = 0, np.float32(-np.inf)
        for made in self.begin(blocks):
            steps += len(made)
            peak = max(peak, made.max(initial=peak))
        return Extent(steps, peak)

    def features(self, blocks: Iterable[Floats], extent: Extent) -> Iterator[Floats]:
        """Go through it again, for its features: blocks (steps, ...)."""
        for made in self.begin(blocks):
            yield self.finish(made, extent.peak)


def _as_they_are(made: Floats, peak: np.float32) -> Floats:  # noqa: ARG001
    return made


def whisper_blockwise(bands: int) -> Blockwise:
    """That of :func:`m3ser.audio.whisper_log_mel`."""
    return Blockwise(lambda blocks: whisper.whisper_logarithms(blocks, bands=bands), whisper.whisper_range)


EXAMPLES = Blockwise(vggish.blocks_of_examples, _as_they_are)
"""That of :func:`m3ser.audio.log_mel_examples`, from 16 kHz."""

SAMPLES = Blockwise(iter, _as_they_are)
"""That of a waveform that is its own features."""
