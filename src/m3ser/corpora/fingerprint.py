"""Fingerprints: the same recording, told from another take of the same sentence, whatever its file looks like.

After Haitsma and Kalker (2002), "A highly robust audio fingerprinting system", ISMIR, fitted to utterances of a few
seconds. Every 16 ms, of the power in 33 mel bands from 200 to 3,400 Hz (what 8 kHz and low bit rates leave over), 32
bits: whether the difference between neighbouring bands has grown within the last 64 ms. A factor on the waveform
changes none of them. Two recordings are compared by their bit error rate (BER): the share of bits that differ, over the
frames that are loud in both, at the offset where it is smallest. The same recording lies near 0, any two others near
0.5. Offsets worth a look come from an index: which recordings have 16 of 32 bits of a frame in common, several times at
the same distance.

Same means: BER at most 0.20 over at least 75% of the shorter one's loud frames; a part cut out of a longer recording is
found in it. What overlaps in less than 2 s of loud frames has to be more alike than that, down to 0.17 for half a
second, for few bits agree by chance more easily. Takes of one sentence by one actor come down to 0.22 (RAVDESS).

Measured by ``benchmarks/fingerprint.py EMODB RAVDESS EMOVO NEMO --reencode 100`` (7,044 recordings, 11 million pairs):
two pairs are called the same. One is RAVDESS's known copy; the other, EMOVO's tri-f3-n1 and tri-f3-n2, is indeed one
recording under two names. Of 400 recordings, a changed copy is found of all in FLAC, Vorbis and Opus, by way of 8 or
44.1 kHz, 12 dB softer, and 100 ms longer or shorter; of 397 as MP3 at its lowest quality; of 396 made 12 dB louder,
which clips them. The thresholds were chosen on these corpora.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import SAMPLE_RATE
from m3ser.audio.spectrum import MelSpectrum, triangular_filters

__all__ = ["HOP", "LEAST_FRAMES", "Fingerprint", "Match", "bit_error_limit", "compare", "find_matches", "fingerprint"]

HOP = 256
"""Samples at 16 kHz between two frames: 16 ms."""

LEAST_FRAMES = 32
"""Loud frames that a fingerprint needs: half a second. Less sound says too little to be told from any other."""

_WINDOW = 2048  # samples: 128 ms, long enough that frames cut at other places are much alike
_BITS = 32
_LAG = 4  # frames
_LOWEST, _HIGHEST = 200.0, 3400.0  # Hz
# Frames quieter than this below the loudest one are noise, which codecs replace by noise of their own.
_FLOOR = 10 ** (-35 / 10)
# The least change, relative to the power, for bits to mean anything: a steady tone changes by rounding errors.
_LEAST_CHANGE = 0.02

_LIMIT, _STRICT_LIMIT = 0.20, 0.17
_ENOUGH_FRAMES = 125  # 2 s
_LEAST_COVERAGE = 0.75

# Two keys a frame, of every other bit: few errors in a frame often leave one of them whole.
_KEY_HITS = 4
# Keys that are this much more frequent than others say little, and cost the most: most hits are theirs.
_COMMON = 4.0
_HITS_AT_A_TIME = 1 << 21
_OFFSET_BITS = 24  # offsets to 2**23 frames: 37 hours
_WIGGLE = 2  # frames around an offset that the index proposes


@dataclass(frozen=True)
class Fingerprint:
    """What one recording sounds like.

    Attributes:
        bits: (frames,) uint32, one every 16 ms.
        loud: (frames,) bool; the others are not compared.
    """

    bits: NDArray[np.uint32]
    loud: NDArray[np.bool_]


@dataclass(frozen=True)
class Match:
    """Two recordings that are the same, or one of which holds the other.

    Attributes:
        first, second: their positions, the smaller one first.
        error: bit error rate, in [0, 0.5).
        offset: seconds from the beginning of `second` to where `first` begins in it; negative where it begins before.
        whole: they are the same from end to end, but for a little; else one is a part of the other.
    """

    first: int
    second: int
    error: float
    offset: float
    whole: bool


def fingerprint(blocks: Iterable[NDArray[np.float32]]) -> Fingerprint | None:
    """The fingerprint of a recording; None where there is too little sound in it (half a second that is not steady).

    Args:
        blocks: (samples,) each, at 16 kHz; joined, they are the recording.
    """
    spectrum = _spectrum()
    pending = np.empty(0, dtype=np.float32)
    powers = []
    for block in blocks:
        pending = np.concatenate([pending, block])
        powers.append(spectrum(pending))
        pending = pending[len(powers[-1]) * HOP :]
    power = np.concatenate(powers) if powers else np.empty((0, _BITS + 1), dtype=np.float32)
    if len(power) < _LAG + LEAST_FRAMES:
        return None
    slope = power[:, :-1] - power[:, 1:]
    change = slope[_LAG:] - slope[:-_LAG]
    total = power.sum(axis=1)
    level = np.maximum(total[_LAG:], total[:-_LAG])
    loud = (level > _FLOOR * level.max()) & (np.abs(change).sum(axis=1) > _LEAST_CHANGE * level)
    if np.count_nonzero(loud) < LEAST_FRAMES:
        return None
    bits = np.packbits(change > 0, axis=1, bitorder="little").view("<u4")[:, 0].astype(np.uint32)
    return Fingerprint(bits, loud)


def bit_error_limit(frames: int) -> float:
    """The largest bit error rate at which recordings that overlap in so many loud frames count as the same."""
    share = (frames - LEAST_FRAMES) / (_ENOUGH_FRAMES - LEAST_FRAMES)
    return _STRICT_LIMIT + (_LIMIT - _STRICT_LIMIT) * min(1.0, max(0.0, share))


def compare(a: Fingerprint, b: Fingerprint, offset: int) -> tuple[float, int]:
    """How well two recordings agree where frame ``i`` of `a` lies on frame ``i + offset`` of `b`.

    Returns:
        The bit error rate (1 where nothing overlaps), and the loud frames that were compared.
    """
    begin = max(0, -offset)
    length = min(len(a.bits) - begin, len(b.bits) - begin - offset)
    if length <= 0:
        return 1.0, 0
    ours, theirs = slice(begin, begin + length), slice(begin + offset, begin + offset + length)
    loud = a.loud[ours] & b.loud[theirs]
    frames = int(np.count_nonzero(loud))
    if not frames:
        return 1.0, 0
    errors = int(np.bitwise_count((a.bits[ours] ^ b.bits[theirs])[loud]).sum())
    return errors / (_BITS * frames), frames


def find_matches(
    prints: Sequence[Fingerprint | None], *, progress: Callable[[int, int], None] | None = None
) -> list[Match]:
    """All pairs of recordings that are the same, or one of which holds the other.

    Args:
        prints: one per recording; None matches nothing.
        progress: told how many recordings have been looked up, and of how many.

    Returns:
        In the order of their positions.
    """
    matches: dict[tuple[int, int], Match] = {}
    for first, second, offset in _candidates(prints, progress):
        match = _verified(prints, first, second, offset)
        if match is not None and match.error < getattr(matches.get((first, second)), "error", 1.0):
            matches[first, second] = match
    return [matches[pair] for pair in sorted(matches)]


def _verified(prints: Sequence[Fingerprint | None], first: int, second: int, offset: int) -> Match | None:
    a, b = prints[first], prints[second]
    assert a is not None
    assert b is not None
    tries = [(*compare(a, b, near), near) for near in range(offset - _WIGGLE, offset + _WIGGLE + 1)]
    error, frames, best = min(tries)
    loud = (int(np.count_nonzero(a.loud)), int(np.count_nonzero(b.loud)))
    if frames < max(LEAST_FRAMES / 2, _LEAST_COVERAGE * min(loud)) or error > bit_error_limit(frames):
        return None
    return Match(first, second, error, best * HOP / SAMPLE_RATE, frames >= _LEAST_COVERAGE * max(loud))


def _candidates(
    prints: Sequence[Fingerprint | None], progress: Callable[[int, int], None] | None
) -> Iterator[tuple[int, int, int]]:
    """Pairs of recordings, and offsets in frames, at which several of their keys agree."""
    there = [i for i, own in enumerate(prints) if own is not None]
    if len(there) < 2:
        return
    loud = [np.flatnonzero(own.loud) for own in prints if own is not None]
    bits = np.concatenate([own.bits[own.loud] for own in prints if own is not None])
    frame = np.concatenate(loud)
    owner = np.repeat(np.arange(len(there)), [len(own) for own in loud])
    starts = np.concatenate([[0], np.cumsum([len(own) for own in loud])])
    tables = [_Table(key, owner, frame) for key in _keys(bits)]
    partners = sum(table.partners for table in tables)
    # Blocks of recordings whose hits fit into memory together, one recording at least.
    load = np.concatenate([[0], np.cumsum(partners)])[starts]
    blocks = []
    begin = 0
    while begin < len(there):
        end = max(begin + 1, int(np.searchsorted(load, load[begin] + _HITS_AT_A_TIME, side="right")) - 1)
        blocks.append((begin, end))
        begin = end

    def frequent(block: tuple[int, int]) -> list[tuple[int, int]]:
        first, last = block
        hits = [table.hits(starts[first], starts[last], first, len(there)) for table in tables]
        return list(_frequent(np.concatenate(hits)))

    # Sorting, which takes most of the time, leaves Python's lock.
    with ThreadPoolExecutor(max_workers=2) as pool:
        for (first, last), found in zip(blocks, pool.map(frequent, blocks), strict=True):
            for pair, offset in found:
                yield there[first + pair // len(there)], there[pair % len(there)], offset
            if progress is not None:
                progress(last, len(there))


def _keys(bits: NDArray[np.uint32]) -> Iterator[NDArray[np.uint16]]:
    """The even bits, and the odd ones."""
    for shift in (0, 1):
        key = (bits >> np.uint32(shift)) & np.uint32(0x55555555)
        for step, mask in ((1, 0x33333333), (2, 0x0F0F0F0F), (4, 0x00FF00FF), (8, 0x0000FFFF)):
            key = (key | (key >> np.uint32(step))) & np.uint32(mask)
        yield key.astype(np.uint16)


class _Table:
    """Which frames have the same key.

    Args:
        key: of each frame.
        owner: the number of its recording, ascending.
        frame: its place there.
    """

    def __init__(self, key: NDArray[np.uint16], owner: NDArray[np.int64], frame: NDArray[np.int64]) -> None:
        order = np.argsort(key, kind="stable")
        ends = np.cumsum(np.bincount(key, minlength=1 << 16))
        self._owner, self._frame = owner[order], frame[order]
        self._place = np.empty_like(order)
        self._place[order] = np.arange(len(order))
        # Later frames of the same key, in the order of the frames: each pair of frames is met once.
        counts = np.bincount(key, minlength=1 << 16)
        common = (counts > _COMMON * max(1.0, len(key) / np.count_nonzero(counts)))[key]
        self.partners = np.where(common, 0, ends[key] - self._place - 1)

    def hits(self, begin: int, end: int, first: int, owners: int) -> NDArray[np.int64]:
        """Frames ``begin`` to ``end`` with each of their partners in other recordings.

        Returns:
            Of each hit, one number: the two recordings (of the former, its distance from `first`), and the offset.
        """
        counts = self.partners[begin:end]
        ours = np.repeat(self._place[begin:end], counts)
        steps = np.arange(len(ours)) - np.repeat(np.cumsum(counts) - counts, counts)
        theirs = ours + 1 + steps
        others = self._owner[ours] != self._owner[theirs]
        ours, theirs = ours[others], theirs[others]
        pair = (self._owner[ours] - first) * owners + self._owner[theirs]
        codes: NDArray[np.int64] = (pair << _OFFSET_BITS) + (
            self._frame[theirs] - self._frame[ours] + (1 << (_OFFSET_BITS - 1))
        )
        return codes


def _frequent(codes: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Pairs and offsets that are hit often enough, offsets that are neighbours taken together."""
    codes = np.sort(codes)
    edges = np.flatnonzero(np.diff(codes, prepend=-1, append=-1))
    distinct, hits = codes[edges[:-1]], np.diff(edges)
    together = hits.copy()
    if len(hits) > 1:
        together[:-1] += np.where(np.diff(distinct) == 1, hits[1:], 0)
    for code in distinct[together >= _KEY_HITS].tolist():
        yield code >> _OFFSET_BITS, (code & ((1 << _OFFSET_BITS) - 1)) - (1 << (_OFFSET_BITS - 1))


@cache
def _spectrum() -> MelSpectrum:
    def mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(1127.0 * np.log1p(hertz / 700.0))

    bins = mel(np.linspace(0.0, SAMPLE_RATE / 2, _WINDOW // 2 + 1))
    lowest, highest = mel(np.array([_LOWEST, _HIGHEST]))
    filters = triangular_filters(bins, np.linspace(lowest, highest, _BITS + 3))
    return MelSpectrum(window_length=_WINDOW, hop=HOP, fft_length=_WINDOW, filters=filters, power=True)
