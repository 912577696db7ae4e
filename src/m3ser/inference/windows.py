"""Windows of a recording that is too long to be in memory: made anew whenever they are gone through."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from m3ser.audio.blockwise import Blockwise, Extent
from m3ser.batching import window_edges
from m3ser.errors import AudioReadError

__all__ = ["StreamedWindows"]

Floats = NDArray[np.float32]


class StreamedWindows:
    """The windows that :func:`m3ser.batching.windows` would cut from the features of a whole recording, one at a time.

    Args:
        decode: decodes the recording from its beginning: (samples,) blocks at 16 kHz.
        blockwise: makes features of them.
        extent: what was found when the recording was gone through for the first time.
        longest: steps in a window, at most.
        label: what an error calls the recording.
    """

    def __init__(
        self,
        decode: Callable[[], Iterable[Floats]],
        blockwise: Blockwise,
        extent: Extent,
        *,
        longest: int,
        label: str,
    ) -> None:
        self._decode = decode
        self._blockwise = blockwise
        self._extent = extent
        self._edges = window_edges(extent.steps, longest=longest)
        self._label = label

    def __len__(self) -> int:
        return max(0, len(self._edges) - 1)

    def __iter__(self) -> Iterator[Floats]:
        """Decodes the recording and yields each window (steps, ...).

        Raises:
            AudioError: the recording is not any more what it was the first time.
        """
        pending: list[Floats] = []
        held = 0
        sizes = (end - start for start, end in itertools.pairwise(self._edges))
        size = next(sizes, None)
        for block in self._blockwise.features(self._decode(), self._extent):
            pending.append(block)
            held += len(block)
            while size is not None and held >= size:
                joined = np.concatenate(pending) if len(pending) > 1 else pending[0]
                yield joined[:size]
                # A copy, so that what has been encoded is not kept by what is left.
                pending, held = [joined[size:].copy()], held - size
                size = next(sizes, None)
        if size is not None or held:
            raise AudioReadError(f"{self._label} changed while it was being read; expected the same recording.")
