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

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from m3ser.audio import SAMPLE_RATE
from m3ser.audio.spectrum import triangular_filters

__all__ = ["HOP", "LEAST_FRAMES", "Fingerprint", "Match", "find_matches", "fingerprint"]

HOP = 256
"""Samples at 16 kHz between two frames: 16 ms."""

LEAST_FRAMES = 32
"""Loud frames that a fingerprint needs: half a second. Less sound says too little to be told from any other."""

_WINDOW = 2048  # samples: 128 ms, long enough that frames cut at other places are much alike
_BITS = 32
_LAG = 4  # frames
_AT_A_TIME = 32  # frames: their spectra stay in the second-level cache, the product with the filters in one thread
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
_FRAMES_AT_A_TIME = 1 << 17

_Ints: TypeAlias = "NDArray[np.int64]"


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
    bands = _bands()
    pending = np.empty(0, dtype=np.float32)
    powers = []
    for block in blocks:
        pending = np.concatenate([pending, block]) if len(pending) else block
        powers.append(bands.power(pending))
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
    there = [i for i, own in enumerate(prints) if own is not None]
    known = [own for own in prints if own is not None]
    if len(known) < 2:
        return []
    sounds = _Sounds(known)
    search = _Search(sounds)
    best: dict[tuple[int, int], Match] = {}
    # NumPy sorts and counts without Python's lock.
    with ThreadPoolExecutor(max_workers=2) as pool:
        found = pool.map(lambda block: sounds.matches(*search.candidates(*block)), search.blocks)
        for (_, last), matches in zip(search.blocks, found, strict=True):
            for match in matches:
                pair = match.first, match.second
                if pair not in best or match.error < best[pair].error:
                    best[pair] = match
            if progress is not None:
                progress(last, len(known))
    return [replace(best[a, b], first=there[a], second=there[b]) for a, b in sorted(best)]


class _Sounds:
    """All fingerprints, end to end, to compare many pairs at once."""

    def __init__(self, prints: Sequence[Fingerprint]) -> None:
        self.bits = np.concatenate([own.bits for own in prints])
        self.loud = np.concatenate([own.loud for own in prints])
        self.lengths = np.array([len(own.bits) for own in prints])
        self.starts = np.cumsum(self.lengths) - self.lengths
        self._loud_frames = np.add.reduceat(self.loud, self.starts, dtype=np.int64)

    def compare(self, first: _Ints, second: _Ints, offset: _Ints) -> tuple[NDArray[np.float64], _Ints]:
        """How well pairs of recordings agree where frame ``i`` of `first` lies on frame ``i + offset`` of `second`.

        Returns:
            Of each pair the bit error rate (1 where nothing loud overlaps), and the loud frames that were compared.
        """
        begin = np.maximum(0, -offset)
        length = np.minimum(self.lengths[first] - begin, self.lengths[second] - begin - offset)
        length = np.maximum(length, 0)
        errors = np.zeros(len(first), dtype=np.int64)
        frames = np.zeros(len(first), dtype=np.int64)
        some = np.flatnonzero(length)
        if len(some):
            ends = np.cumsum(length[some])
            cuts = ends - length[some]
            ours = np.arange(ends[-1]) + np.repeat((self.starts[first] + begin)[some] - cuts, length[some])
            theirs = ours + np.repeat((self.starts[second] + offset - self.starts[first])[some], length[some])
            loud = self.loud[ours] & self.loud[theirs]
            wrong = np.bitwise_count(self.bits[ours] ^ self.bits[theirs]) * loud
            errors[some] = np.add.reduceat(wrong, cuts, dtype=np.int64)
            frames[some] = np.add.reduceat(loud, cuts, dtype=np.int64)
        return np.where(frames > 0, errors / np.maximum(1, _BITS * frames), 1.0), frames

    def matches(self, first: _Ints, second: _Ints, offset: _Ints) -> list[Match]:
        """Those of some candidates that are the same, each at the best offset around the one proposed."""
        found: list[Match] = []
        # As many pairs at a time as are compared in a bounded number of frames; one at least.
        load = np.cumsum(np.minimum(self.lengths[first], self.lengths[second])) // _FRAMES_AT_A_TIME
        for here in np.split(np.arange(len(first)), np.flatnonzero(np.diff(load)) + 1):
            a, b, middle = first[here], second[here], offset[here]
            error, frames, best = np.ones(len(a)), np.zeros_like(a), middle
            for near in range(-_WIGGLE, _WIGGLE + 1):
                this_error, these_frames = self.compare(a, b, middle + near)
                better = this_error < error
                error, frames = np.where(better, this_error, error), np.where(better, these_frames, frames)
                best = np.where(better, middle + near, best)
            loud_a, loud_b = self._loud_frames[a], self._loud_frames[b]
            enough = np.maximum(LEAST_FRAMES / 2, _LEAST_COVERAGE * np.minimum(loud_a, loud_b))
            whole = frames >= _LEAST_COVERAGE * np.maximum(loud_a, loud_b)
            for i in np.flatnonzero((frames >= enough) & (error <= _bit_error_limit(frames))).tolist():
                seconds = float(best[i]) * HOP / SAMPLE_RATE
                found.append(Match(int(a[i]), int(b[i]), float(error[i]), seconds, bool(whole[i])))
        return found


def _bit_error_limit(frames: _Ints) -> NDArray[np.float64]:
    """The largest bit error rate at which recordings that overlap in so many loud frames count as the same."""
    share = (frames - LEAST_FRAMES) / (_ENOUGH_FRAMES - LEAST_FRAMES)
    return _STRICT_LIMIT + (_LIMIT - _STRICT_LIMIT) * np.clip(share, 0.0, 1.0)


class _Search:
    """Pairs of recordings, and offsets in frames, at which several of their keys agree.

    Attributes:
        blocks: recordings, from one up to another, whose hits fit into memory together.
    """

    def __init__(self, sounds: _Sounds) -> None:
        self._count = len(sounds.lengths)
        heard = np.flatnonzero(sounds.loud)
        owner = np.repeat(np.arange(self._count), sounds.lengths)[heard]
        frame = heard - sounds.starts[owner]
        self._starts = np.searchsorted(owner, np.arange(self._count + 1))
        self._tables = [_Table(key, owner, frame) for key in _keys(sounds.bits[heard])]
        load = np.concatenate([[0], np.cumsum(sum(table.partners for table in self._tables))])[self._starts]
        self.blocks: list[tuple[int, int]] = []
        begin = 0
        while begin < self._count:
            end = max(begin + 1, int(np.searchsorted(load, load[begin] + _HITS_AT_A_TIME, side="right")) - 1)
            self.blocks.append((begin, end))
            begin = end

    def candidates(self, first: int, last: int) -> tuple[_Ints, _Ints, _Ints]:
        """Of the recordings from `first` up to `last`: their positions, those of their partners, and the offsets."""
        begin, end = self._starts[first], self._starts[last]
        codes = _frequent(np.concatenate([table.hits(begin, end, first, self._count) for table in self._tables]))
        pair = codes >> _OFFSET_BITS
        offset = (codes & ((1 << _OFFSET_BITS) - 1)) - (1 << (_OFFSET_BITS - 1))
        return first + pair // self._count, pair % self._count, offset


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

    def __init__(self, key: NDArray[np.uint16], owner: _Ints, frame: _Ints) -> None:
        order = np.argsort(key, kind="stable")
        ends = np.cumsum(np.bincount(key, minlength=1 << 16))
        self._owner, self._frame = owner[order], frame[order]
        self._place = np.empty_like(order)
        self._place[order] = np.arange(len(order))
        # Later frames of the same key, in the order of the frames: each pair of frames is met once.
        counts = np.bincount(key, minlength=1 << 16)
        common = (counts > _COMMON * max(1.0, len(key) / np.count_nonzero(counts)))[key]
        self.partners = np.where(common, 0, ends[key] - self._place - 1)

    def hits(self, begin: int, end: int, first: int, owners: int) -> _Ints:
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
        codes: _Ints = (pair << _OFFSET_BITS) + (self._frame[theirs] - self._frame[ours] + (1 << (_OFFSET_BITS - 1)))
        return codes


def _frequent(codes: _Ints) -> _Ints:
    """Pairs and offsets that are hit often enough, offsets that are neighbours taken together."""
    codes = np.sort(codes)
    edges = np.flatnonzero(np.diff(codes, prepend=-1, append=-1))
    distinct, hits = codes[edges[:-1]], np.diff(edges)
    together = hits.copy()
    if len(hits) > 1:
        together[:-1] += np.where(np.diff(distinct) == 1, hits[1:], 0)
    frequent: _Ints = distinct[together >= _KEY_HITS]
    return frequent


class _Bands(threading.local):
    """The power of a waveform in mel bands: Hann window, FFT, triangular filters.

    Made for many short recordings. The buffers are kept, a set in each thread: fresh memory for each of them took as
    long as the arithmetic. Squares are summed without the roots that :class:`~m3ser.audio.spectrum.MelSpectrum` takes.
    """

    def __init__(self) -> None:
        def mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(1127.0 * np.log1p(hertz / 700.0))

        bins = mel(np.linspace(0.0, SAMPLE_RATE / 2, _WINDOW // 2 + 1))
        lowest, highest = mel(np.array([_LOWEST, _HIGHEST]))
        filters = triangular_filters(bins, np.linspace(lowest, highest, _BITS + 3))
        used = np.flatnonzero(filters.any(axis=1))
        self._used = slice(int(used[0]), int(used[-1]) + 1)
        self._filters = np.ascontiguousarray(filters[self._used], dtype=np.float32)
        self._window = 0.5 - 0.5 * np.cos(2 * np.pi / _WINDOW * np.arange(_WINDOW))
        # Double precision: NumPy's FFT is as fast in it as in single.
        self._framed = np.empty((_AT_A_TIME, _WINDOW))
        self._spectrum = np.empty((_AT_A_TIME, len(bins)), dtype=np.complex128)
        self._real = np.empty((_AT_A_TIME, len(used)), dtype=np.float32)
        self._imaginary = np.empty_like(self._real)

    def power(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """(frames, bands) of the whole frames of a waveform, one every :data:`HOP` samples; perhaps none."""
        count = 0 if len(samples) < _WINDOW else 1 + (len(samples) - _WINDOW) // HOP
        power = np.empty((count, _BITS + 1), dtype=np.float32)
        if not count:
            return power
        frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::HOP]
        for first in range(0, count, _AT_A_TIME):
            size = min(_AT_A_TIME, count - first)
            framed, spectrum = self._framed[:size], self._spectrum[:size]
            real, imaginary = self._real[:size], self._imaginary[:size]
            np.multiply(frames[first : first + size], self._window, out=framed)
            np.fft.rfft(framed, axis=1, out=spectrum)
            np.square(spectrum[:, self._used].real, out=real, casting="same_kind")
            np.square(spectrum[:, self._used].imag, out=imaginary, casting="same_kind")
            np.matmul(np.add(real, imaginary, out=real), self._filters, out=power[first : first + size])
        return power


@cache
def _bands() -> _Bands:
    return _Bands()
