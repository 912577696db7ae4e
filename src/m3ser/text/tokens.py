"""Text to token ids, by the ``tokenizer.json`` that belongs to a text encoder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from m3ser.errors import BundleError, TextError, UsageError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

__all__ = ["Tokens", "load_tokenizer", "make_tokens"]

_PADDING_TOKENS = ("[PAD]", "<pad>")


class Tokens:
    """A tokenizer set up once, then only read: safe to share between threads. Made by :func:`load_tokenizer`.

    Attributes:
        max_tokens: the longest row that :meth:`encode` gives, special tokens included.
        padding_id: the token id behind the end of a row.
        highest_id: the highest token id that a row can hold.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_tokens: int, padding_id: int) -> None:
        self._tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.padding_id = padding_id
        self.highest_id = max(tokenizer.get_vocab(with_added_tokens=True).values())

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Token ids with the special tokens around them ([CLS] first, [SEP] last, in the BERT family).

        Args:
            texts: at least one text; an empty string gives the special tokens alone.

        Returns:
            `input_ids` int64 and `attention_mask` bool (true = real), both (batch, tokens), where tokens is the longest
            row's length and at most `max_tokens`. What is longer was cut; :meth:`truncated` says which.

        Raises:
            TextError: `texts` is empty, one string, or holds something that is not Unicode text.
        """
        rows = [encoding.ids for encoding in self._encodings(texts)]
        ids = np.full((len(rows), max(map(len, rows))), self.padding_id, dtype=np.int64)
        mask = np.zeros(ids.shape, dtype=np.bool_)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = True
        return ids, mask

    def truncated(self, texts: Sequence[str]) -> tuple[bool, ...]:
        """Which of `texts` have more than `max_tokens` tokens, so that :meth:`encode` cuts their end off."""
        return tuple(bool(encoding.overflowing) for encoding in self._encodings(texts))

    def _encodings(self, texts: Sequence[str]) -> list[Encoding]:
        if isinstance(texts, str):
            raise TextError("A list of texts was expected to make tokens from; found a single string.")
        if not texts:
            raise TextError("At least one text is needed to make tokens from; found an empty list.")
        # One by one: encode_batch starts a thread pool, which warns on stderr when the process forks later on.
        return [self._encode_one(text, index) for index, text in enumerate(texts)]

    def _encode_one(self, text: str, index: int) -> Encoding:
        try:
            return self._tokenizer.encode(text)
        except TypeError as error:  # also what tokenizers says of a lone surrogate
            found = "a string with lone surrogates" if isinstance(text, str) else type(text).__name__
            raise TextError(f"Text {index} (counted from 0) has to be Unicode text; found {found}.") from error


def load_tokenizer(path: str | os.PathLike[str], max_tokens: int, *, special_tokens: bool = True) -> Tokens:
    """Read a ``tokenizer.json`` (Hugging Face `tokenizers` format).

    Its vocabulary, normaliser and special tokens hold; its own truncation and padding do not: both belong to the model
    that the tokens are for, hence to the caller.

    Args:
        path: the file.
        max_tokens: the longest row wanted, special tokens included.
        special_tokens: see :func:`make_tokens`.

    Raises:
        BundleError: the file is missing or damaged, or describes no tokenizer that adds special tokens and can pad.
        UsageError: `max_tokens` leaves no room for a token of text.
    """
    path = Path(path)
    try:
        description = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BundleError(f"{path} cannot be read as a tokenizer.json: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BundleError(f"{path} is not a tokenizer.json: it is not UTF-8 text ({error.reason}).") from error
    return make_tokens(description, max_tokens, name=str(path), special_tokens=special_tokens)


def make_tokens(description: str, max_tokens: int, *, name: str, special_tokens: bool = True) -> Tokens:
    """Set up the tokenizer that the content of a ``tokenizer.json`` describes.

    Args:
        description: the content.
        max_tokens: the longest row wanted, special tokens included.
        name: what it is called in messages.
        special_tokens: whether special tokens around a text are expected. Without them an empty text has no tokens.

    Raises:
        BundleError, UsageError: as :func:`load_tokenizer`.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(description)
    except Exception as error:  # tokenizers raises bare Exception for whatever it cannot use
        raise BundleError(f"{name} is not a tokenizer.json that the tokenizers package can read: {error}.") from error

    tokenizer.no_padding()
    tokenizer.no_truncation()
    specials = len(tokenizer.encode("").ids)
    if specials == 0 and special_tokens:
        raise BundleError(f"{name} adds no special tokens to a text, and one at the beginning is expected.")
    if max_tokens <= specials:
        raise UsageError(f"max_tokens has to exceed the {specials} special tokens of {name}; found {max_tokens}.")
    candidates = (tokenizer.token_to_id(token) for token in _PADDING_TOKENS)
    padding_id = next((token_id for token_id in candidates if token_id is not None), None)
    if padding_id is None:
        raise BundleError(f"{name} has no padding token; one of {', '.join(_PADDING_TOKENS)} is expected.")
    tokenizer.enable_truncation(max_tokens)
    return Tokens(tokenizer, max_tokens=max_tokens, padding_id=padding_id)
