"""CTM, NIST's "time marked conversation" format: recording, channel, start, duration, word, confidence."""

from __future__ import annotations

from m3ser.errors import TextError
from m3ser.text.timed.spoken import Spoken

__all__ = ["parse_ctm"]

_CHANNELS = {"A": 1, "B": 2}


def parse_ctm(content: str, recording: str = "") -> list[Spoken]:
    """The words of `recording`, of alternatives the first.

    Channels are 1, 2, ... or A, B; where all words are in one of them it says nothing, and is not known.

    Raises:
        TextError: a line without five fields or with times that are no numbers; several recordings, none of them
            called `recording`.
    """
    by_recording: dict[str, list[Spoken]] = {}
    alternative = 0
    for number, line in enumerate(content.splitlines(), 1):
        fields = line.split()
        if not fields or line.startswith(";;"):
            continue
        if len(fields) < 5:
            raise TextError(f"line {number} has {len(fields)} fields; expected file, channel, start, length, word.")
        name, channel, start, length, word = fields[:5]
        if word.startswith("<ALT"):
            alternative = {"<ALT_BEGIN>": 1, "<ALT_END>": 0}.get(word, alternative + 1)
            continue
        try:
            begin = float(start)
            spoken = Spoken(begin, begin + float(length), word, _channel(channel))
        except ValueError:
            raise TextError(f"line {number} has the times '{start}' and '{length}'; expected seconds.") from None
        except TextError as error:
            raise TextError(f"line {number}: {error}") from error
        if alternative <= 1:
            by_recording.setdefault(name, []).append(spoken)
    if len(by_recording) > 1:
        if recording not in by_recording:
            names = ", ".join(list(by_recording)[:5])
            raise TextError(f"it has {len(by_recording)} recordings ({names}), none of them called '{recording}'.")
        words = by_recording[recording]
    else:
        words = next(iter(by_recording.values()), [])
    if len({word.channel for word in words}) > 1:
        return words
    return [Spoken(word.start, word.end, word.text) for word in words]


def _channel(name: str) -> int | None:
    if name.isdecimal() and len(name) < 4 and int(name) > 0:
        return int(name)
    return _CHANNELS.get(name.upper())
