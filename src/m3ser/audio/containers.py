"""What the first bytes of a file say: which container it is, and whether all the sound that it promises is there.

Decoders are content with whatever they find: libsndfile reads half a WAV file as a shorter one. Only the container's
own statement of its size tells the two apart.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from m3ser.audio.ogg import OpusStream, walk_pages
from m3ser.audio.sources import ByteStream

__all__ = ["MEDIA_KINDS", "Container", "inspect_container"]


@dataclass(frozen=True)
class Container:
    """What a file's own bytes say about it.

    Attributes:
        kind: "WAV", "MP4", ...; None: nothing known.
        share: how much of the sound data that the container promises is there, in [0, 1]; 1 where it promises nothing.
        cut: the file breaks off in the middle of something, without saying how much was to come.
        seconds: length that the container states, where the decoder would not see it; None elsewhere.
        guesses_length: the container states no length, and what decoders report is a guess.
        unfinished: the header promises no sound at all, but something follows: the program that recorded it never
            came to fill in the size.
        opus: the Opus stream of an Ogg file, where its pages tell how long it is.
    """

    kind: str | None
    share: float = 1.0
    cut: bool = False
    seconds: float | None = None
    guesses_length: bool = False
    unfinished: bool = False
    opus: OpusStream | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing speaks against the length that the header states."""
        return self.share >= 1.0 and not (self.cut or self.guesses_length or self.unfinished)


@dataclass(frozen=True)
class _ChunkLayout:
    """How a container of chunks is laid out; sizes in bytes."""

    first: int  # where the first chunk begins
    identifier: int  # length of a chunk's identifier
    size: str  # struct format of a chunk's size
    alignment: int  # chunks begin at multiples of this
    counts_header: bool  # the size includes identifier and size
    sound: bytes  # identifier of the chunk that holds the sound


_RIFF = _ChunkLayout(12, 4, "<I", 2, False, b"data")
_RIFX = _ChunkLayout(12, 4, ">I", 2, False, b"data")
_AIFF = _ChunkLayout(12, 4, ">I", 2, False, b"SSND")
_CAF = _ChunkLayout(8, 4, ">Q", 1, False, b"data")
_W64 = _ChunkLayout(40, 16, "<Q", 8, True, b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a")

# Kind, the first four bytes, where four more that tell are found, what they are, layout.
_CHUNKED = (
    ("WAV", (b"RIFF", b"RF64", b"BW64"), 8, (b"WAVE",), _RIFF),
    ("WAV", (b"RIFX",), 8, (b"WAVE",), _RIFX),
    ("AIFF", (b"FORM",), 8, (b"AIFF", b"AIFC"), _AIFF),
    ("W64", (b"riff",), 24, (b"wave",), _W64),
    ("CAF", (b"caff",), 0, (b"caff",), _CAF),
)

# Programs that write to a pipe cannot know the size: they leave all bits set, or a round number just below 2 GiB.
_UNKNOWN_SIZE = 0x7FFF_0000
# Other programs count a header of their own into the sound.
_SLOPPY_BYTES = 64
_MOST_CHUNKS = 1000

# Kinds that need no further look, as (offset, bytes there, kind); libsndfile reads none of them but FLAC.
_MAGIC = (
    (0, b"\x1aE\xdf\xa3", "WebM or Matroska"),
    (4, b"ftyp", "MP4 or M4A"),
    (4, b"moov", "QuickTime"),
    (4, b"wide", "QuickTime"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"),
    (0, b"#!AMR", "AMR"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"FLV\x01", "FLV"),
    (0, b"TTA1", "TTA"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (8, b"AVI ", "AVI"),
    (0, b"fLaC", "FLAC"),
)
MEDIA_KINDS = frozenset(kind for _, _, kind in _MAGIC) - {"FLAC"}
"""Kinds that libsndfile does not read and FFmpeg does."""


def inspect_container(stream: ByteStream) -> Container:
    """Look at a file's structure without decoding it; the stream is left at its beginning."""
    container = _inspect(stream, stream.read_at(0, 64))
    stream.seek(0)
    return container


def _inspect(stream: ByteStream, head: bytes) -> Container:
    for kind, first, second_at, second, layout in _CHUNKED:
        if head[:4] in first and head[second_at : second_at + 4] in second:
            return _inspect_chunks(stream, kind, layout)
    if head[:4] in (b".snd", b"dns.") and len(head) >= 12:
        offset, size = struct.unpack(">II" if head[:4] == b".snd" else "<II", head[4:12])
        return _promise(stream, "AU", offset, size)
    if head[:4] == b"OggS":
        pages = walk_pages(stream)
        return Container("Ogg", cut=pages.cut, opus=pages.opus)
    for offset, magic, kind in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return Container(kind)
    return _inspect_mp3(stream, head) or Container(None)


def _promise(stream: ByteStream, kind: str, offset: int, size: int) -> Container:
    """A container that promises `size` bytes of sound from `offset` on."""
    return Container(
        kind,
        share=_share(stream.size - offset, size),
        unfinished=size == 0 and stream.size - offset > _SLOPPY_BYTES,
    )


def _share(present: int, promised: int) -> float:
    if promised <= 0 or promised - present <= _SLOPPY_BYTES or promised >= _UNKNOWN_SIZE > present:
        return 1.0
    return max(0, present) / promised


def _inspect_chunks(stream: ByteStream, kind: str, layout: _ChunkLayout) -> Container:
    header = layout.identifier + struct.calcsize(layout.size)
    offset = layout.first
    long_size = None  # RF64 keeps the true size of a sound chunk of 4 GiB and more apart
    for _ in range(_MOST_CHUNKS):
        head = stream.read_at(offset, header)
        if len(head) < header:
            break
        identifier = head[: layout.identifier]
        (size,) = struct.unpack(layout.size, head[layout.identifier :])
        if identifier == b"ds64":
            long_size = int.from_bytes(stream.read_at(offset + header + 8, 8), "little")
        if layout.counts_header:
            size -= header
        if identifier == layout.sound:
            return _promise(stream, kind, offset + header, long_size or size if size == 0xFFFF_FFFF else size)
        if size < 0:
            break
        offset += header + size
        offset += -offset % layout.alignment
    return Container(kind)


# MPEG audio, layer III (ISO/IEC 11172-3, 13818-3), by the version bits of the frame header: 3 is MPEG-1, 2 MPEG-2,
# 0 the unofficial MPEG-2.5.
_MP3_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}  # Hz
_MP3_FRAME_SAMPLES = {3: 1152, 2: 576, 0: 576}
_MP3_SIDE_BYTES = {3: (32, 17), 2: (17, 9), 0: (17, 9)}  # (stereo, mono)


def _inspect_mp3(stream: ByteStream, head: bytes) -> Container | None:
    """What an MP3's first frame states: encoders put the number of frames and bytes there ("Xing" or "Info")."""
    offset = 0
    while head[:3] == b"ID3" and len(head) >= 10:
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        offset += 10 + size + (10 if head[5] & 0x10 else 0)
        head = stream.read_at(offset, 64)
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return Container("MP3", guesses_length=True) if offset else None
    version, rate = head[1] >> 3 & 3, head[2] >> 2 & 3
    if version not in _MP3_RATES or rate > 2:
        return None
    mono = head[3] >> 6 == 3
    tag = 4 + _MP3_SIDE_BYTES[version][mono]
    summary = stream.read_at(offset + tag, 16)
    if summary[:4] not in (b"Xing", b"Info") or len(summary) < 16 or summary[7] & 1 == 0:
        return Container("MP3", guesses_length=True)
    frames, size = struct.unpack(">II", summary[8:16])
    return Container(
        "MP3",
        # The size follows the frame count where the flags say that there is one.
        share=_share(stream.size - offset, size) if summary[7] & 2 else 1.0,
        seconds=frames * _MP3_FRAME_SAMPLES[version] / _MP3_RATES[version][rate],
    )
