"""Whether words are in another language than English.

What short utterances are in can often not be told ("No!", names, laughter), and to take English for something else
costs more than to miss a foreign word or two. So words are called foreign only where that is clear:

1. What is mostly written in other letters than Latin ones is.
2. Too few letters are not, nor is a text of which a good part are words that English alone has.
3. Anything else is where py3langid (Lui and Baldwin 2012; naive Bayes over byte n-grams, BSD licence) finds a language
   more likely than English by far enough.

docs/languages.md says what the numbers were chosen on, and how well they do on other texts. py3langid's model takes
half a second to load, which rule 2 saves most English.
"""

from __future__ import annotations

import math
import re
import threading
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

__all__ = ["MIN_LETTERS", "MIN_MARGIN", "SHORT_LETTERS", "SHORT_MARGIN", "foreign_language"]

MIN_LETTERS: Final = 8
"""Fewer Latin letters than this tell nothing."""

MIN_MARGIN: Final = 2.5
"""How much more likely than English a language has to be: nats, over the root of the text's length in bytes."""

SHORT_LETTERS: Final = 16
SHORT_MARGIN: Final = 3.5
"""How much more likely for a text of fewer letters than that."""

_ENGLISH_SHARE: Final = 0.2
"""So many words of :data:`_ENGLISH` in all words are enough to take a text for English."""

_ENGLISH_WORDS: Final = """
    the this that that's thats these those there there's here's and you you're you've you'll your yours i'm i've i'll
    i'd it's he's she's we're we've they they're them their what what's which who who's why where how when with without
    have haven't has had would wouldn't could couldn't should shouldn't don't doesn't didn't can't won't isn't aren't
    wasn't weren't are were been being because about know think thought want really right okay yeah yes yep nope please
    thanks thank thx love loved sorry hello hey good great nice bad wow awesome dude guys guy gonna wanna gotta from
    just like look looks well much very never always every everyone everything something nothing someone anything think
    going doing getting people time back need make makes too damn happy cool
    she his it its us our if but out up off down than then into before again only maybe sure new day now life better
    best hope wish enjoy feel feeling believe
"""
_ENGLISH: Final = frozenset(_ENGLISH_WORDS.split())

# What py3langid tells apart and people speak every day. The others are dead, invented, or so close to English (Nigerian
# Pidgin) that they would be found in it.
_KNOWN_CODES: Final = """
    af am ar az be bg bn bs ca cs cy da de el es et eu fa fi fr ga gl gu ha he hi hr hu hy id ig is it ja ka kk km kn
    ko ky lo lt lv mk ml mn mr ms mt my ne nl nn no pa pl pt ro ru si sk sl so sq sr sv sw ta te tg th tl tr uk ur uz
    vi xh yo yue zh zu
"""
_KNOWN: Final = frozenset(_KNOWN_CODES.split())

_CURLY: Final = "\N{RIGHT SINGLE QUOTATION MARK}"
_NO_WORDS = re.compile(r"\[[^\]]*\]|https?://\S+|[@#/]\S+")
_STRETCHED = re.compile(r"(\w)\1{2,}")
_LAUGHTER = re.compile(r"\b(?:\w?(?:[ae]+h+){2,}[ae]*|h[ae]h[ae]*h?|lol|lmf?ao)\b")
_NO_LETTERS = re.compile(r"[\W\d_]*\s[\W\d_]*|[\d_]")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")

_lock = threading.Lock()


def foreign_language(text: str) -> str | None:
    """The language of a text that is clearly not English, as ISO 639 code; None: it is English, or that is not clear.

    Threads may share it. The first text that it is not clear for takes half a second, the others about 0.1 ms.

    Args:
        text: words as they are spoken, of any length.
    """
    plain = _plain(text)
    if 2 * sum(not _is_latin(character) for character in plain if character.isalpha()) > _letters(plain) > 0:
        return _best(plain)[0]
    # Each once: "No! No! No!" is no longer than "No!".
    words = list(dict.fromkeys(_WORD.findall(plain)))
    letters = sum(map(_letters, words))
    if letters < MIN_LETTERS or _is_english(words):
        return None
    found, margin = _best(" ".join(words))
    return found if margin > (SHORT_MARGIN if letters < SHORT_LETTERS else MIN_MARGIN) else None


def _plain(text: str) -> str:
    """`text` without what is no word of a language: markers, addresses, laughter, letters drawn out."""
    text = _STRETCHED.sub(r"\1", _NO_WORDS.sub(" ", text).lower().replace(_CURLY, "'"))
    return _NO_LETTERS.sub(" ", _LAUGHTER.sub(" ", text)).strip()


def _letters(text: str) -> int:
    return sum(character.isalpha() for character in text)


def _is_english(words: Sequence[str]) -> bool:
    return sum(word in _ENGLISH for word in words) >= _ENGLISH_SHARE * len(words)


@lru_cache(maxsize=4096)
def _is_latin(character: str) -> bool:
    return unicodedata.name(character, "").startswith(("LATIN", "MODIFIER LETTER", "FEMININE", "MASCULINE"))


def _best(plain: str) -> tuple[str, float]:
    """The likeliest language but English, and by how much it is likelier than English (:data:`MIN_MARGIN`)."""
    with _lock:
        identifier = _identifier()
    scores = dict(identifier.rank(plain))
    english = scores.pop("en")
    best = max(scores, key=lambda code: scores[code])
    return best, (scores[best] - english) / math.sqrt(len(plain.encode("utf-8", "replace")))


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    # One of our own: the one that the package keeps is everybody's, and so are the languages that it is limited to.
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages(_KNOWN | {"en"})
    return identifier
