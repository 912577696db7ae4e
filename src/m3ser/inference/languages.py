"""Which words a model reads: those in a language that it was trained on. The others are masked, and that is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from m3ser.bundle import Manifest
from m3ser.text.language import foreign_language
from m3ser.text.language_codes import language_name

__all__ = ["Reading", "Words", "in_words"]


@dataclass(frozen=True)
class Words:
    """What becomes of an utterance's words.

    Attributes:
        read: the words that the model gets; None: none.
        unread: the words that it does not get, for their language; None: there are no such words.
        language: see :class:`m3ser.schema.Prediction`.
        note: why words are not used, a sentence.
    """

    read: str | None
    unread: str | None = None
    language: str | None = None
    note: str | None = None


class Reading:
    """Tells the words that a model reads from those that it does not.

    Args:
        manifest: of the model's bundle.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._part = manifest.text
        self._name = manifest.full_name

    def reads(self, language: str) -> bool:
        """Whether the model reads words in this language."""
        return self._part is not None and self._part.reads(language)

    def words(self, text: str | None, language: str | None, *, certain: bool = False, alone: bool = False) -> Words:
        """What becomes of words.

        Args:
            text: cleaned; None: there are none.
            language: theirs, where it is known.
            certain: whether it is not to be recognised where it is not known.
            alone: there is no voice. Then words whose language was only recognised are read all the same, with a note:
                what is short may be taken for foreign wrongly, and there would be no answer.
        """
        if text is None or self._part is None:
            return Words(text, language=language)
        named = language
        if language is None and not certain and self._part.reads("en"):
            # What is recognised is whether words are English; of a model that reads others that says nothing.
            found = foreign_language(text)
            language = None if found is None or self._part.reads(found) else found
        if language is None or self._part.reads(language):
            return Words(text, language=named)
        if alone and named is None:
            return Words(text, language=language, note=self._doubt(language))
        return Words(None, unread=text, language=language, note=self._note(language, recognised=named is None))

    def untranscribed(self, transcriber: str, understood: Sequence[str], language: str) -> str:
        """Why a recording was not transcribed, a sentence."""
        return (
            f"Nothing was transcribed, so the voice alone was used: {transcriber} understands {in_words(understood)} "
            f"and no {language_name(language)}."
        )

    def _doubt(self, language: str) -> str:
        assert self._part is not None
        return (
            f"The text seems to be {language_name(language)}; {self._name} was trained to read "
            f"{in_words(self._part.languages)} alone, and there is no voice: if it is, this answer means nothing."
        )

    def _note(self, language: str, *, recognised: bool) -> str:
        assert self._part is not None
        named = language_name(language)
        what = f"it seems to be {named} (name its language if it is not)" if recognised else f"it is {named}"
        return f"The text was not used: {what}, and {self._name} reads {in_words(self._part.languages)} alone."


def in_words(codes: Sequence[str]) -> str:
    """Languages by their names: "English and German"."""
    names = [language_name(code) for code in codes]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
