"""A recording's channels cut into utterances, which come in the order of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import SAMPLE_RATE, Blocks
from m3ser.errors import AudioError
from m3ser.inference.timeline.envelope import Envelope
from m3ser.inference.timeline.segmenter import Cut, Segmenter

__all__ = ["ChannelCut", "Cutting"]


@dataclass(frozen=True, eq=False)
class ChannelCut:
    """One utterance of one channel.

    Attributes:
        cut: where it is in what is read, and its sound.
        channel: counted from 0.
    """

    cut: Cut
    channel: int

    @property
    def place(self) -> tuple[int, int]:
        """(start in samples, channel): no other utterance has the same."""
        return self.cut.start, self.channel


class Cutting:
    """Cuts a recording as it is read; can be iterated once.

    Args:
        blocks: the recording.
        make_segmenter: makes what cuts one channel.
        heard: is called whenever a block has been read.

    Attributes:
        envelopes: one a channel, of what has been read.
        samples: how many samples of each channel have been read, at 16 kHz.
    """

    def __init__(
        self, blocks: Blocks, make_segmenter: Callable[[], Segmenter], heard: Callable[[], None] = lambda: None
    ) -> None:
        self._blocks = blocks
        self._heard = heard
        self._segmenters = [make_segmenter() for _ in range(blocks.channels)]
        self.envelopes: Sequence[Envelope] = [Envelope() for _ in range(blocks.channels)]
        self.samples = 0

    def __iter__(self) -> Iterator[ChannelCut]:
        """The utterances by their start, then by their channel.

        Raises:
            AudioError: behind what could be read, where the recording is damaged; see :class:`~m3ser.audio.Blocks`.
        """
        waiting: list[ChannelCut] = []
        fault: AudioError | None = None
        try:
            for block in self._blocks:
                self._hear(block, waiting)
                self._heard()
                settled = min(segmenter.settled for segmenter in self._segmenters)
                yield from _taken(waiting, before=settled)
        except AudioError as error:
            fault = error  # what was heard before is cut as if the recording had ended there
        for channel, segmenter in enumerate(self._segmenters):
            waiting += [ChannelCut(cut, channel) for cut in segmenter.finish()]
        yield from _taken(waiting, before=None)
        if fault is not None:
            raise fault

    def _hear(self, block: NDArray[np.float32], waiting: list[ChannelCut]) -> None:
        self.samples += len(block)
        for channel, segmenter in enumerate(self._segmenters):
            samples = np.ascontiguousarray(block[:, channel])
            self.envelopes[channel].push(samples)
            waiting += [ChannelCut(cut, channel) for cut in segmenter.push(samples)]

    @property
    def seconds(self) -> float:
        """How much of the recording has been read."""
        return self.samples / SAMPLE_RATE


def _taken(waiting: list[ChannelCut], *, before: int | None) -> Iterator[ChannelCut]:
    waiting.sort(key=lambda one: one.place)
    while waiting and (before is None or waiting[0].cut.start < before):
        yield waiting.pop(0)
