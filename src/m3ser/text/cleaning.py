"""Transcript cleaning: what was said stays, what the transcriber noted about the sound goes.

Transcripts carry more than words: ``[LAUGHTER]`` (IEMOCAP), ``++BREATHING++`` (its forced alignments), ``<noise>``,
``{cough}``, ``[laughter-okay]`` (Switchboard: "okay" said laughing), ``((I think))`` (LDC: an uncertain stretch),
``(sighs)`` and ``*sighs*`` (captions, chats), music notes. A text encoder trained on prose takes them for words, and an
emotion corpus that writes [LAUGHTER] hands the answer to the text model. The rules:

======================================  =====================================================================
``[...]`` ``{...}`` ``<tag>``           always an event; at most 100 characters, and a tag starts with a letter
``(...)`` ``*...*`` ``++...++``         an event only where every word belongs to the vocabulary of events below
``[laughter-okay]`` ``{F um}``          the mark goes, the words stay
``((I think))``                         the marks go, the words stay
``(( ))`` ``(...)`` ``(?)`` ``[ ]``     nothing readable inside: an event
``(0.5)``                               a timed pause, as conversation analysis writes it
``WORD(2)``                             a pronunciation variant: the number goes
``♪`` ``♫`` ``>>``                      marks; what is sung stays
``Speaker 1:`` ``SPEAKER_00:``          a speaker label; names ("JOHN:") could be words and stay
======================================  =====================================================================

So "I *really* mean it" and "(well, mostly) yes" are left as they are. Whitespace becomes single spaces; control
characters, lone surrogates and stray zero-width characters go; the rest is Unicode NFC. A text that is left without a
letter or a digit is empty: nothing was said.

The cleaner reads once, from left to right, over a stack of open brackets, so its time is linear in the text however the
text is nested, and what it leaves is what it would leave again: ``clean(clean(x).text).text == clean(x).text``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from m3ser.errors import TextError

__all__ = ["CleanText", "clean"]

_MAX_EVENT = 100
"""Characters between two brackets beyond which they are taken for stray brackets around speech."""

_MAX_LABEL = 20
"""Characters of the longest speaker label, "speaker" and a number."""

_JOINERS = "\u200c\u200d"
_NOTES = "\u2669\u266a\u266b\u266c\U0001f3b5\U0001f3b6"

# Joiners belong to the spelling of Persian, Hindi and emoji, hence stay between two characters of such a script.
_JOINED = rf"[^\x00-\x7f\s{_JOINERS}{_NOTES}]"
_STRAY_JOINER = re.compile(rf"(?<!{_JOINED})[{_JOINERS}]|[{_JOINERS}](?!{_JOINED})")

_TOKEN = re.compile(rf"[^\[\](){{}}<>*+:{_NOTES}]+|[{_NOTES}](?: ?[{_NOTES}])*|\*+|\+\++|>+|.")

_PAIRS = {"]": "[", ")": "(", "}": "{", ">": "<"}
_TAG = re.compile(r"/?[A-Za-z][^<>]*")
_LAUGHED_WORD = re.compile(r"laughter-(\w[\w' -]*)", re.IGNORECASE)
_WORDS = r"[^\[\](){}<>*+:]+"
_BRACE_CODE = re.compile(rf"([A-F]) ({_WORDS})")
_GUESS = re.compile(rf"\(({_WORDS})\)")
_TIMED_PAUSE = re.compile(r"\d*\.\d+ ?s?")
_SPEAKER_LABEL = re.compile(r"(?<!\w)(?:speaker|spkr?)[ _-]?\d{1,3} ?$", re.IGNORECASE)

_EVENT = re.compile(
    r"""
      laugh(?:s|ed|ing|ter)? | chuckl(?:e|es|ed|ing) | giggl(?:e|es|ed|ing) | snicker(?:s|ing)? | cackl(?:e|es|ing)
    | sigh(?:s|ed|ing)? | cough(?:s|ed|ing)? | sneez(?:e|es|ed|ing) | sniff(?:s|ed|ing)? | sniffl(?:e|es|ed|ing)
    | sob(?:s|bed|bing)? | cry | cries | crying | weep(?:s|ing)? | whimper(?:s|ed|ing)? | wail(?:s|ing)?
    | groan(?:s|ed|ing)? | moan(?:s|ed|ing)? | grunt(?:s|ed|ing)? | gasp(?:s|ed|ing)? | pant(?:s|ing)
    | breath(?:s|e|es|ed|ing)? | inhal(?:e|es|ed|ing) | exhal(?:e|es|ed|ing) | wheez(?:e|es|ing) | snor(?:e|es|ing)
    | snort(?:s|ed|ing)? | scoff(?:s|ed|ing)? | yawn(?:s|ed|ing)? | hum(?:s|ming)? | hiccup(?:s|ing)? | burp(?:s|ing)?
    | gulp(?:s|ed|ing)? | swallow(?:s|ed|ing)? | (?:lip)?smack(?:s|ing)? | tsk | throat | whistl(?:e|es|ed|ing)
    | scream(?:s|ed|ing)? | shout(?:s|ed|ing)? | yell(?:s|ed|ing)? | shriek(?:s|ing)? | whisper(?:s|ed|ing)?
    | mumbl(?:e|es|ed|ing) | mutter(?:s|ed|ing)? | murmur(?:s|ed|ing)? | stutter(?:s|ing)? | sing(?:s|ing) | music
    | applau(?:se|ds|ding) | clap(?:s|ping)? | cheer(?:s|ing) | noises? | static | feedback | tone | beep(?:s|ing)?
    | bleep(?:s|ed)? | buzz(?:es|ing)? | click(?:s|ing)? | ring(?:s|ing) | slam(?:s|ming)? | knock(?:s|ing)?
    | footsteps | clatter(?:s|ing)? | silence | pauses? | sil | inaudible | unintelligible | indistinct | indiscernible
    | garbage | crosstalk | overlap(?:s|ping)? | x{2,3}
    """,
    re.IGNORECASE | re.VERBOSE,
)
_QUALIFIER = re.compile(
    r"""
      [a-z]+ly | and | or | a | an | the | in | on | of | with | to | his | her | their | other | no | some | more
    | again | background | ambient | foreign | language | speech | voices? | vocal(?:ized)? | conversation | chatter
    | audience | crowd | everyone | door | phone | telephone | dial | car | horn | dog | baby | tape | mic | microphone
    | bell | lip | clears? | clearing | deep | heavy | long | short | brief | big | small | slight | soft | loud
    | quiet | nervous | bitter | hard | starts? | stops? | continu(?:es|ed|ing) | plays | playing | while
    | speak(?:s|ing) | \d[\d:.]*
    """,
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class CleanText:
    """A transcript's words, and what was taken out of it.

    Attributes:
        text: the words; empty where nothing was said, and callers then treat the text as missing.
        removed: the events and marks, as they were written and in their order. A mark around words that stay is given
            without them: "(( ))", "[laughter-]". Characters that cannot be seen are not listed.
    """

    text: str
    removed: tuple[str, ...] = ()


def clean(text: str) -> CleanText:
    """Take out of a transcript whatever is not speech; the rules are at the top of this module.

    >>> clean("[LAUGHTER] I *really* mean it (sighs).")
    CleanText(text='I *really* mean it .', removed=('[LAUGHTER]', '(sighs)'))

    Raises:
        TextError: `text` is not a string.
    """
    if not isinstance(text, str):
        raise TextError(f"A transcript has to be a string; found {type(text).__name__}.")
    scan = _Scan(_printable(text))
    words = "".join(scan.kept).strip()
    removed = [mark or scan.source[start:end] for start, end, mark in sorted(scan.removed)]
    if not any(character.isalnum() for character in words):
        if words:
            removed.append(words)
        words = ""
    return CleanText(words, tuple(removed))


def _printable(text: str) -> str:
    """`text` in NFC with single spaces, and without characters that cannot be seen."""
    spaced = " ".join(text.split())
    visible = "".join(c for c in spaced if c in _JOINERS or unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    # Composed twice: a stray joiner may have stood between a letter and its accent.
    composed = _STRAY_JOINER.sub("", unicodedata.normalize("NFC", visible))
    return " ".join(unicodedata.normalize("NFC", composed).split())


class _Scan:
    """One pass over `source`.

    A closing bracket belongs to the opening one on top of the stack, or to none. What stands between them has been
    cleaned by then, so a decision never has to be taken again, and taking a stretch out leaves the stack as it was
    before the stretch: hence a second pass changes nothing.

    Attributes:
        kept: the characters that stay.
        removed: (start, end) in `source` of what goes, and how it is to be named where not by its own characters.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.kept: list[str] = []
        self.removed: list[tuple[int, int, str]] = []
        self._open: list[tuple[str, int, int]] = []  # bracket, its index in `kept`, its index in `source`
        for token in _TOKEN.finditer(source):
            self._read(token.group(), token.start())

    def _read(self, token: str, at: int) -> None:
        first = token[0]
        if first in "[({<":
            self._push(token, at)
        elif first == "*" or token.startswith("++"):
            if not self._close(first, token, at):
                self._push(token, at)
        elif first == ">":
            self._read_angles(token, at)
        elif first in _PAIRS:
            if not self._close(_PAIRS[first], token, at):
                self._keep(token)
        elif first in _NOTES:
            self._remove(at, at + len(token))
        elif first == ":":
            self._read_colon(at)
        else:
            self._keep(token)

    def _read_angles(self, token: str, at: int) -> None:
        # ">>" marks a change of speaker in captions, unless it closes two tags.
        used = 0
        while used < len(token) and self._opened() == "<":
            self._close("<", ">", at + used)
            used += 1
        rest = token[used:]
        if len(rest) > 1:
            self._remove(at + used, at + len(token))
        else:
            self._keep(rest)

    def _read_colon(self, at: int) -> None:
        floor = self._open[-1][1] + 1 if self._open else 0
        tail = "".join(self.kept[max(floor, len(self.kept) - _MAX_LABEL) :])
        label = _SPEAKER_LABEL.search(tail)
        if label is None:
            self._keep(":")
        else:
            written = label.group()
            del self.kept[len(self.kept) - len(written) :]
            self._remove(at, at + 1, f"{written}:")

    def _keep(self, text: str) -> None:
        if text.startswith(" ") and (not self.kept or self.kept[-1] == " "):
            text = text[1:]
        self.kept.extend(text)

    def _push(self, token: str, at: int) -> None:
        self._open.append((token[0], len(self.kept), at))
        self._keep(token)

    def _opened(self) -> str:
        return self._open[-1][0] if self._open else ""

    def _close(self, opening: str, closing: str, at: int) -> bool:
        """Decide on the stretch that `closing` ends; False where it ends none, and `closing` is still to be kept."""
        if self._opened() != opening:
            return False
        _, index, start = self._open[-1]
        content = self._content(index)
        if content is None:
            return self._give_up(opening, closing)
        end = at + len(closing)
        if _is_event(opening, content, self._before(index)):
            del self.kept[index:]
            while self.removed and self.removed[-1][0] >= start:
                self.removed.pop()
            self._remove(start, end)
        elif (words := _marked_words(opening, content)) is not None:
            text, mark = words
            del self.kept[index:]
            self._remove(start, start + 1, mark)
            self._keep(text)
            self._keep(" ")
        else:
            return self._give_up(opening, closing)
        self._open.pop()
        return True

    def _give_up(self, opening: str, closing: str) -> bool:
        # Two brackets around speech stay. A second asterisk may yet open the next event, so the caller pushes it.
        self._open.pop()
        if opening in "*+":
            return False
        self._keep(closing)
        return True

    def _content(self, index: int) -> str | None:
        """What stands after the bracket at `index`, or None where it is too long for an event."""
        begin = index + 1
        while begin < len(self.kept) and self.kept[begin] == self.kept[index] and self.kept[index] in "*+":
            begin += 1
        return "".join(self.kept[begin:]) if len(self.kept) - begin <= _MAX_EVENT else None

    def _before(self, index: int) -> str:
        return self.kept[index - 1] if index else " "

    def _remove(self, start: int, end: int, mark: str = "") -> None:
        self.removed.append((start, end, mark))
        self._keep(" ")


def _is_event(bracket: str, content: str, before: str) -> bool:
    if bracket == "<":  # "a < b" is no tag: the name has to follow at once
        return not content.strip() or _TAG.fullmatch(content) is not None
    if bracket in "[{":
        return _marked_words(bracket, content) is None
    content = content.strip()
    readable = any(character.isalnum() for character in content)
    if bracket == "(":
        variant = len(content) == 1 and content.isdigit() and before.isalnum()
        return not readable or variant or _TIMED_PAUSE.fullmatch(content) is not None or _names_sounds(content)
    if bracket == "+" and content.isupper() and content.replace("_", "").isalpha():
        return True  # a filler of the forced alignment, such as ++GARBAGE++ or ++UM++
    return _names_sounds(content)


def _names_sounds(content: str) -> bool:
    """Whether `content` is made of words for sounds, at least one, and of what may qualify them."""
    words = [word for word in re.split(r"[\s,;/&.!?_]+", content.replace("-", "")) if word]
    events = [_EVENT.fullmatch(word) is not None for word in words]
    return any(events) and all(event or _QUALIFIER.fullmatch(word) for event, word in zip(events, words, strict=True))


def _marked_words(bracket: str, content: str) -> tuple[str, str] | None:
    """The words that a mark is put around, and the mark without them; None where it is no such mark."""
    content = content.strip()
    if bracket == "[" and (laughed := _LAUGHED_WORD.fullmatch(content)):
        return laughed.group(1), "[laughter-]"
    if bracket == "{" and (coded := _BRACE_CODE.fullmatch(content)):
        return coded.group(2), f"{{{coded.group(1)} }}"
    if bracket == "(" and (guess := _GUESS.fullmatch(content)):
        return guess.group(1), "(( ))"
    return None
