"""How long an Opus file is by its pages; nothing where they are unusual."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3ser.audio import probe
from m3ser.audio.ogg import OggPages, OpusStream, walk_pages
from m3ser.audio.opening import open_recording
from m3ser.audio.sources import ByteStream

Encode = Callable[..., bytes]


def walk(*pages: bytes) -> OggPages:
    return walk_pages(ByteStream(io.BytesIO(b"".join(pages))))


def pages_of(data: bytes) -> list[bytes]:
    pages = []
    while data:
        size = 27 + data[26] + sum(data[27 : 27 + data[26]])
        pages.append(data[:size])
        data = data[size:]
    return pages


@pytest.fixture
def pages(encode: Encode, speech: Any) -> list[bytes]:
    """The pages of an Opus file: its head, its tags, and several with sound."""
    pages = pages_of(encode(np.tile(speech, 3), "OGG", "OPUS"))
    assert len(pages) > 4
    return pages


def test_the_length_of_a_whole_stream(pages: list[bytes], speech: Any) -> None:
    whole = OggPages(cut=False, opus=OpusStream(3 * len(speech), 16_000, 1))
    assert walk(*pages) == whole
    assert walk(*pages, b"TAG" + bytes(125)) == whole  # what some programs put behind the last page


def test_pages_that_break_off(pages: list[bytes]) -> None:
    assert walk(*pages[:-1], pages[-1][:-1]) == OggPages(cut=True, opus=None)
    assert walk(*pages[:-1], pages[-1][:20]) == OggPages(cut=True, opus=None)
    assert walk(*pages[:-1], b"something else") == OggPages(cut=True, opus=None)


def test_unusual_streams_have_no_length_here(tmp_path: Path, pages: list[bytes]) -> None:
    head, tags, *sound = pages
    rate = head.index(b"OpusHead") + 12
    other_serial = sound[0][:14] + struct.pack("<I", 77) + sound[0][18:]
    unusual = {
        "the beginning is missing": (head, tags, *sound[1:]),
        "two streams in turn": (*pages, *pages),
        "two streams at once": (head, tags, other_serial, *sound[1:]),
        "not Opus": (head.replace(b"OpusHead", b"OpusHaed"), tags, *sound),
        "a rate that Opus does not decode to": (head[:rate] + struct.pack("<I", 44_100) + head[rate + 4 :], *pages[1:]),
        "no sound": (head, tags),
        "a head alone": (head,),
    }
    for what, parts in unusual.items():
        assert walk(*parts) == OggPages(cut=False, opus=None), what
    # What libsndfile makes of the first is then the answer.
    path = tmp_path / "clip.opus"
    path.write_bytes(b"".join(unusual["the beginning is missing"]))
    with open_recording(path) as reader:
        assert probe(path).duration == reader.duration


@pytest.mark.parametrize(
    ("first_bytes", "samples"),
    # Configuration and number of frames, as RFC 6716 tabulates them, in samples at 48 kHz.
    [
        (b"\x00\x00", 480),  # SILK, 10 ms
        (b"\x18\x00", 2880),  # SILK, 60 ms
        (b"\x68\x00", 960),  # hybrid, 20 ms
        (b"\x80\x00", 120),  # CELT, 2.5 ms
        (b"\xf9\x00", 1920),  # CELT, two frames of 20 ms
        (b"\xfb\x03", 2880),  # CELT, three frames of 20 ms
    ],
)
def test_the_length_of_a_packet_bounds_the_first_page(first_bytes: bytes, samples: int) -> None:
    def page(flags: int, granule: int, body: bytes) -> bytes:
        return struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, 1, 0, 0, 1) + bytes([len(body)]) + body

    head = page(2, 0, struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, 0, 48_000, 0, 0))
    assert walk(head, page(4, samples, first_bytes)).opus == OpusStream(samples, 48_000, 1)
    assert walk(head, page(4, samples + 1, first_bytes)).opus is None


def test_an_empty_file() -> None:
    assert walk(b"") == OggPages(cut=False, opus=None)
