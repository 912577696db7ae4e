"""What a request carries, read within limits: nothing is buffered beyond them, and nobody may take for ever."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import cast

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from m3ser.errors import UsageError
from m3ser.inference.requests import TRANSCRIBE, TextRequest
from m3ser.inference.timeline import Channels
from m3ser.serving.problems import ProblemError
from m3ser.serving.service import Buffer, Recording
from m3ser.serving.settings import ServiceSettings

__all__ = ["FIELDS", "LONGEST_TEXT", "Asked", "read_asked"]

FIELDS = ("text", "transcribe", "language", "timeline", "profile", "adapt", "neutral", "channels")
"""What can be said about a recording, besides the recording."""

LONGEST_TEXT = 20_000
"""Characters; a quarter of an hour of speech. Models read the first few hundred words of it at most."""

_LARGEST_FIELD = 4 * LONGEST_TEXT + 1  # bytes
_LARGEST_JSON = 12 * LONGEST_TEXT  # bytes, every character an escape
_LONGEST_NAME = 255  # characters
_RAW = ("audio/", "video/")
_RAW_EXACT = ("application/octet-stream", "application/ogg")


@dataclass(frozen=True)
class Asked:
    """What a client wants to know.

    Attributes:
        recordings: in the order in which they were sent.
        texts: what is said in them; empty: it is not known.
        transcribe: whether words are to be transcribed where none are given; None: nothing was said about it.
        language: of the words; None: it is not known.
        timeline: whether emotions over time are asked for.
        profile: the name of the one that the voices are to be judged by; None: none is named.
        adapt: whether a timeline is to learn first how its recording usually sounds.
        neutral: share of neutral utterances in what it learns from; None: nothing was said about it.
        channels: what a timeline is to do with its recording's channels.
    """

    recordings: tuple[Recording, ...] = ()
    texts: tuple[str, ...] = ()
    transcribe: bool | None = None
    language: str | None = None
    timeline: bool = False
    profile: str | None = None
    adapt: bool = False
    neutral: float | None = None
    channels: Channels = "mix"

    def text_of(self, index: int) -> TextRequest:
        """What a recogniser is to do about the words of one recording."""
        if self.texts:
            return self.texts[index]
        return None if self.transcribe is False else TRANSCRIBE


async def read_asked(request: Request, settings: ServiceSettings, buffer: Buffer, *, most_files: int) -> Asked:
    """Read a request's body, whichever of the three forms it has.

    ``multipart/form-data`` with parts `file` and :data:`FIELDS`; a recording as the body itself (``audio/*``) with the
    fields, and its `name`, in the query; or ``application/json`` with `text` and `language`.

    Args:
        request: nothing of its body has been read.
        settings: the limits.
        buffer: what its bytes are counted in.
        most_files: how many recordings it may carry.

    Raises:
        ProblemError: 400, 408, 413, 415 or 503: what is wrong with it.
        UsageError: its parts contradict each other.
        ClientDisconnect: the client is gone.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        body = _limited(request, settings, buffer, largest=settings.max_bytes)
        return await _from_form(request, body, settings, most_files=most_files)
    if kind == "application/json":
        return _from_json(await _whole(_limited(request, settings, buffer, largest=_LARGEST_JSON)))
    if kind.startswith(_RAW) or kind in _RAW_EXACT:
        query = request.query_params.multi_items()
        values = [(name, value) for name, value in query if name != "name"]
        content = await _whole(_limited(request, settings, buffer, largest=settings.max_bytes))
        return _asked(values, (Recording(content, _shown_name(request.query_params.get("name"))),))
    raise ProblemError(
        415,
        "unsupported-content-type",
        f"The content type is {kind[:80]!r}; expected multipart/form-data, audio/* or application/json.",
    )


async def _limited(
    request: Request, settings: ServiceSettings, buffer: Buffer, *, largest: int
) -> AsyncGenerator[bytes, None]:
    too_large = ProblemError(
        413, "body-too-large", f"The body is larger than {largest:,} bytes; expected at most that."
    )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > largest:
        raise too_large
    loop = asyncio.get_running_loop()
    end = loop.time() + settings.body_seconds
    received = 0
    while True:
        try:
            message = await asyncio.wait_for(request.receive(), max(0.0, end - loop.time()))
        except asyncio.TimeoutError as error:
            raise ProblemError(
                408, "body-too-slow", f"The body did not arrive within {settings.body_seconds:g} s."
            ) from error
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        received += len(chunk)
        if received > largest:
            raise too_large
        buffer.grow(len(chunk))
        if chunk:
            yield chunk
        if not message.get("more_body", False):
            return


async def _whole(body: AsyncGenerator[bytes, None]) -> bytes:
    content = bytearray()
    async for chunk in body:
        content += chunk
    return bytes(content)


async def _from_form(
    request: Request, body: AsyncGenerator[bytes, None], settings: ServiceSettings, *, most_files: int
) -> Asked:
    most_fields = len(FIELDS) + most_files
    parser = MultiPartParser(
        request.headers, body, max_files=most_files, max_fields=most_fields, max_part_size=_LARGEST_FIELD
    )
    parser.spool_max_size = settings.max_bytes + 1  # nothing is ever written to a disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise ProblemError(400, "bad-form", f"The form cannot be read: {error.message}") from error
    try:
        recordings, values = [], []
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if name != "file":
                    raise ProblemError(400, "bad-form", f"A file is called {name[:40]!r}; expected 'file'.")
                recordings.append(Recording(await value.read(), _shown_name(value.filename)))
            elif name == "file":
                raise ProblemError(400, "bad-form", "The part 'file' is no file; expected one with a filename.")
            else:
                values.append((name, value))
    finally:
        await form.close()
    return _asked(values, tuple(recordings))


def _from_json(content: bytes) -> Asked:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, "bad-json", "The body is not JSON; expected an object with the key text.") from error
    if not isinstance(found, dict) or not isinstance(found.get("text"), str):
        raise ProblemError(400, "bad-json", "The body has no text; expected an object whose key text is a string.")
    unknown = [name for name in found if name not in ("text", "language")]
    if unknown:
        raise ProblemError(400, "bad-json", f"The key {unknown[0][:40]!r} is not known; known are text, language.")
    language = found.get("language")
    if language is not None and not isinstance(language, str):
        raise ProblemError(400, "bad-json", "The language is not a string; expected a code such as 'en'.")
    return Asked(texts=(_checked_text(found["text"]),), language=language)


def _asked(values: list[tuple[str, str]], recordings: tuple[Recording, ...]) -> Asked:
    single: dict[str, str] = {}
    texts = []
    for name, value in values:
        if name not in FIELDS:
            raise UsageError(f"The field {name[:40]!r} is not known; known are file, {', '.join(FIELDS)}.")
        if name == "text":
            texts.append(_checked_text(value))
        elif name in single:
            raise UsageError(f"The field '{name}' is there twice; expected it once.")
        else:
            single[name] = value
    transcribe = _flag(single, "transcribe")
    if texts and transcribe:
        raise UsageError("The text is given and transcribe asks for another one; give one of them.")
    timeline, adapt = bool(_flag(single, "timeline")), bool(_flag(single, "adapt"))
    profile = single.get("profile")
    if adapt and not timeline:
        raise UsageError("adapt is for timelines, and none is asked for; give timeline=true along with it.")
    if adapt and profile is not None:
        raise UsageError("adapt makes a profile of the recording, and profile names one; give one of them.")
    neutral = _share(single, "neutral")
    if neutral is not None and not adapt:
        raise UsageError("neutral is about what adapt learns from; give adapt=true along with it.")
    channels = single.get("channels", "mix")
    if channels not in ("mix", "split"):
        raise UsageError(f"channels is {channels[:40]!r}; expected mix or split.")
    if channels == "split" and not timeline:
        raise UsageError("channels=split is for timelines, and none is asked for; give timeline=true along with it.")
    if profile is not None and not recordings:
        raise UsageError("A profile is about a voice, and there is no recording; expected a part named file.")
    return Asked(
        recordings=recordings,
        texts=tuple(texts),
        transcribe=transcribe,
        language=single.get("language") or None,
        timeline=timeline,
        profile=profile,
        adapt=adapt,
        neutral=neutral,
        channels=cast("Channels", channels),
    )


def _checked_text(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise ProblemError(
            413, "text-too-long", f"The text has {len(text):,} characters; expected at most {LONGEST_TEXT:,}."
        )
    return text


def _flag(values: dict[str, str], name: str) -> bool | None:
    value = values.get(name)
    if value is None:
        return None
    if value.lower() in ("true", "1"):
        return True
    if value.lower() in ("false", "0"):
        return False
    raise UsageError(f"{name} is {value[:40]!r}; expected true or false.")


def _share(values: dict[str, str], name: str) -> float | None:
    value = values.get(name)
    if value is None:
        return None
    try:
        share = float(value)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise UsageError(f"{name} is {value[:40]!r}; expected a share from 0 to 1.")
    return share


def _shown_name(name: str | None) -> str | None:
    """The last part of a file's name, without what cannot be printed."""
    if not name:
        return None
    last = PurePosixPath(PureWindowsPath(name).name).name
    return "".join(char for char in last if char.isprintable())[:_LONGEST_NAME] or None
