"""The pages of an Ogg file (RFC 3533): whether they break off, and how long the Opus stream in them is (RFC 7845)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from m3ser.audio.sources import ByteStream

__all__ = ["OggPages", "OpusStream", "walk_pages"]

_HEADER = struct.Struct("<4sBBqIIIB")  # capture pattern, version, flags, granule, serial, number, checksum, segments
_OPUS_HEAD = struct.Struct("<8sBBHI")  # magic, version, channels, samples to skip, rate of what was encoded
_LAST_PAGE = 4
_OPUS_RATE = 48_000  # Hz; granules count samples at this rate whatever was encoded
_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)  # Hz; what Opus can decode to
# Samples at 48 kHz of the frames in a packet, by the configuration in its first byte (RFC 6716, 3.1).
_FRAME_SAMPLES = (*(480, 960, 1920, 2880) * 3, *(480, 960) * 2, *(120, 240, 480, 960) * 4)


class OpusStream(NamedTuple):
    """A mono or stereo Opus stream; decoded to `sample_rate` (Hz), it is `frames` samples long."""

    frames: int
    sample_rate: int
    channels: int


class OggPages(NamedTuple):
    """What the pages of a file say.

    Attributes:
        cut: they break off: the last one is not whole, or something else follows.
        opus: the one Opus stream in them; None where it is anything else, or where its length takes decoding to tell.
    """

    cut: bool
    opus: OpusStream | None


def walk_pages(stream: ByteStream) -> OggPages:
    """Go through a file from page to page, without decoding it."""
    offset = 0
    ended = False
    head = b""
    serial = granule = pages = 0
    single, from_start = True, False
    first = True
    while offset < stream.size:
        page = stream.read_at(offset, 27 + 255)
        if page[:4] != b"OggS":
            if ended:  # tags that some programs put after the last page do no harm
                break
            return OggPages(True, None)
        if len(page) < 27 or len(page) < 27 + page[26]:
            return OggPages(True, None)
        _, _, flags, granule, page_serial, _, _, segments = _HEADER.unpack_from(page)
        lengths = page[27 : 27 + segments]
        if pages == 0:
            head, serial = page[27 + segments :], page_serial
        elif granule > 0 and first:
            first = False
            # A packet ends at each segment that is not full. Encoders keep to one length of packet.
            packets = segments - lengths.count(255)
            from_start = granule <= packets * _packet_samples(stream.read_at(offset + 27 + segments, 2))
        single = single and page_serial == serial and not (ended and pages)
        ended = bool(flags & _LAST_PAGE)
        pages += 1
        offset += 27 + segments + sum(lengths)
    if offset > stream.size:
        return OggPages(True, None)
    # Where the first page of sound counts more samples than it holds, the beginning is missing, and the length with it.
    return OggPages(False, _opus(head, granule) if single and from_start else None)


def _packet_samples(packet: bytes) -> int:
    """How long the packet is that begins so, in samples at 48 kHz."""
    if len(packet) < 2:
        return 0
    frames = (1, 2, 2, packet[1] & 63)[packet[0] & 3]
    return frames * _FRAME_SAMPLES[packet[0] >> 3]


def _opus(head: bytes, granule: int) -> OpusStream | None:
    if len(head) < _OPUS_HEAD.size:
        return None
    magic, version, channels, skipped, rate = _OPUS_HEAD.unpack_from(head)
    if magic != b"OpusHead" or version >> 4 or channels not in (1, 2) or rate not in _RATES or granule <= skipped:
        return None
    return OpusStream((granule - skipped) // (_OPUS_RATE // rate), rate, channels)
