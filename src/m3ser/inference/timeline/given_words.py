"""Given words for the utterances of a recording, while it is being cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from m3ser.audio import SAMPLE_RATE
from m3ser.errors import M3serError
from m3ser.inference.timeline.alignment import REACH_SECONDS, Alignment
from m3ser.inference.timeline.cutting import ChannelCut

__all__ = ["given_words"]


def given_words(
    cuts: Iterable[ChannelCut], alignment: Alignment, *, seconds: Callable[[int], float], apart: bool
) -> Iterator[tuple[ChannelCut, str | None]]:
    """The cuts, each with its words; one of every channel is held back, for the next one's start counts.

    Args:
        cuts: by their start.
        alignment: of the words.
        seconds: a place in samples -> the time that the words' own times are told in.
        apart: whether words are of one channel or another.

    Raises:
        AudioError: what `cuts` raise, behind those before.
    """
    held: dict[int, ChannelCut] = {}
    far = 2 * REACH_SECONDS * SAMPLE_RATE
    ends: dict[int, float] = {}
    order: deque[ChannelCut] = deque()
    fault: M3serError | None = None
    texts: dict[tuple[int, int], str | None] = {}

    def settle(one: ChannelCut, following: ChannelCut | None) -> None:
        start, end = seconds(one.cut.start), seconds(one.cut.end)
        texts[one.place] = alignment.text(
            start,
            end,
            after=ends.get(one.channel),
            before=None if following is None else seconds(following.cut.start),
            channel=one.channel + 1 if apart else None,
        )
        ends[one.channel] = end

    try:
        for one in cuts:
            before = held.get(one.channel)
            held[one.channel] = one
            order.append(one)
            if before is not None:
                settle(before, one)
            # Another channel may be silent for hours: what comes this late is no neighbour of its last utterance.
            for other in [held[c] for c in held if one.cut.start - held[c].cut.end >= far]:
                settle(held.pop(other.channel), None)
            while order and order[0].place in texts:
                ready = order.popleft()
                yield ready, texts.pop(ready.place)
    except M3serError as error:
        fault = error
    for one in sorted(held.values(), key=lambda one: one.place):
        settle(one, None)
    for one in order:
        yield one, texts.pop(one.place)
    if fault is not None:
        raise fault
