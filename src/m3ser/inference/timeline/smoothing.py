"""Neighbouring utterances' scores averaged, by choice."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from m3ser.errors import UsageError
from m3ser.schema import Segment

__all__ = ["GAP_SECONDS", "MOST_NEIGHBOURS", "smoothed"]

GAP_SECONDS = 10.0
"""Across a longer silence utterances are no neighbours."""

MOST_NEIGHBOURS = 20

_LEAST = 1e-9  # below which a score's logarithm would drown its neighbours'


def smoothed(segments: Iterable[Segment], neighbours: int) -> Iterator[Segment]:
    """Each utterance's log-scores averaged with those of its neighbours in the same channel.

    The weights are triangular: with n neighbours on each side, the one k places away weighs (n + 1 - k) / (n + 1).
    The averages are turned back into probabilities (a weighted geometric mean), and the label is the most probable
    class of those. Two utterances with a silence of more than 10 s between them, and whatever lies beyond it, are no
    neighbours.

    Args:
        segments: in the order of time.
        neighbours: on each side, 0 to 20; 0: nothing is changed.

    Yields:
        The segments in their order, each as soon as its later neighbours are known.

    Raises:
        UsageError: another number of neighbours.
    """
    if not 0 <= neighbours <= MOST_NEIGHBOURS:
        raise UsageError(f"Smoothing over {neighbours} neighbours is not possible; expected 0 to {MOST_NEIGHBOURS}.")
    return _smoothed(segments, neighbours) if neighbours else iter(segments)


def _smoothed(segments: Iterable[Segment], neighbours: int) -> Iterator[Segment]:
    waiting: deque[tuple[Segment, _Channel, int]] = deque()
    channels: dict[int | None, _Channel] = {}
    for segment in segments:
        channel = channels.setdefault(segment.channel, _Channel(neighbours))
        waiting.append((segment, channel, channel.add(segment)))
        while waiting and waiting[0][1].knows(waiting[0][2], segment.start):
            yield _average(*waiting.popleft())
    while waiting:
        yield _average(*waiting.popleft())


class _Channel:
    """The last utterances of one channel, each with the number of its run between long silences."""

    def __init__(self, neighbours: int) -> None:
        self.neighbours = neighbours
        self.count = 0
        self._run = 0
        self._end: float | None = None
        self._kept: dict[int, tuple[Segment, int]] = {}

    def add(self, segment: Segment) -> int:
        if self._end is not None and segment.start - self._end > GAP_SECONDS:
            self._run += 1
        self._end = segment.end
        self._kept[self.count] = (segment, self._run)
        self.count += 1
        return self.count - 1

    def knows(self, place: int, now: float) -> bool:
        """Whether all that can be a neighbour of that utterance is there; nothing begins before `now` any more."""
        if self.count - 1 >= place + self.neighbours or self._kept[place][1] != self._run:
            return True
        return self._end is not None and now - self._end > GAP_SECONDS

    def around(self, place: int) -> list[tuple[float, Segment]]:
        """The utterance and its neighbours, each with its weight; those further back are forgotten."""
        run = self._kept[place][1]
        reach = range(max(0, place - self.neighbours), min(self.count, place + self.neighbours + 1))
        found = [
            (1 - abs(other - place) / (self.neighbours + 1), self._kept[other][0])
            for other in reach
            if self._kept[other][1] == run
        ]
        self._kept.pop(place - self.neighbours, None)
        return found


def _average(segment: Segment, channel: _Channel, place: int) -> Segment:
    around = channel.around(place)
    whole = sum(weight for weight, _ in around)
    logs = {
        label: sum(weight * math.log(max(other.scores[label], _LEAST)) for weight, other in around) / whole
        for label in segment.scores
    }
    highest = max(logs.values())
    shares = {label: math.exp(value - highest) for label, value in logs.items()}
    total = sum(shares.values())
    scores = {label: share / total for label, share in shares.items()}
    return replace(segment, scores=scores, label=max(scores, key=lambda label: scores[label]))
