"""Word vectors: each token a row of a table, from GloVe's, word2vec's or fastText's text files, or a NumPy array.

Sources: Pennington et al., "GloVe" (EMNLP 2014); Mikolov et al., "word2vec" (2013). They have no context and no special
tokens: what the recurrent systems of their time read.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from m3ser.encoders.base import TokenEncoder, freeze
from m3ser.encoders.states import EncoderStates, check_mask, zero_padding
from m3ser.errors import CheckpointError

__all__ = ["PADDING", "UNKNOWN", "WordVectorEncoder"]

PADDING, UNKNOWN = "[PAD]", "[UNK]"
_CALLED_UNKNOWN = ("[UNK]", "<unk>", "<UNK>", "unk")  # what tables that have such a row call it


class WordVectorEncoder(TokenEncoder):
    """Tokens to their vectors, (batch, tokens, dim).

    Args:
        rows: how many tokens the table has; row 0 is for padding, row 1 for unknown words.
        dim: width of the vectors.

    Attributes:
        tokenizer: content of the tokenizer.json that gives the table's token numbers; None: built without one.
    """

    def __init__(self, rows: int, dim: int) -> None:
        super().__init__()
        self.vectors = nn.Embedding(rows, dim)
        self.dim = dim
        self.vocabulary = rows
        self.tokenizer: str | None = None

    @classmethod
    def from_file(
        cls,
        source: str | Path,
        *,
        vocabulary: str | Path | None = None,
        words: int | None = None,
        lowercase: bool = True,
        frozen: bool = True,
    ) -> WordVectorEncoder:
        """The vectors of a file.

        Text is cut at spaces and punctuation, each sign a token of its own. A word that the file does not have gets the
        file's own vector for unknown words, or else the mean of all.

        Args:
            source: a text file with a word and its numbers on each line, with or without word2vec's first line of
                sizes; or an array (words, dim) in NumPy's ``.npy``.
            vocabulary: for an array, a text file with the word of each of its rows; else None.
            words: use only the first so many, which are the most frequent ones in the published files; None: all.
            lowercase: whether text is lower-cased before its words are looked up.
            frozen: see :func:`~m3ser.encoders.freeze`.

        Raises:
            CheckpointError: a file is missing, damaged or of another form; the message names the line.
        """
        path = Path(source).expanduser()
        if path.suffix == ".npy":
            if vocabulary is None:
                raise CheckpointError(
                    f"{path} is an array of vectors; expected a vocabulary with the word of each row."
                )
            names, table = _read_array(path, Path(vocabulary).expanduser(), words)
        elif vocabulary is not None:
            raise CheckpointError(
                f"{path} is read as text, which names its own words; expected no vocabulary beside it."
            )
        else:
            names, table = _read_text(path, words)
        encoder = cls(2 + len(names), table.shape[1])
        known = {name: row for row, name in enumerate(names)}
        own = next((known[name] for name in _CALLED_UNKNOWN if name in known), None)
        unknown = table.mean(axis=0, dtype=np.float64) if own is None else table[own]
        with torch.no_grad():
            encoder.vectors.weight[0] = 0.0
            encoder.vectors.weight[1] = torch.from_numpy(np.asarray(unknown, np.float32))
            encoder.vectors.weight[2:] = torch.from_numpy(table)
        encoder.tokenizer = _tokenizer(names, lowercase=lowercase)
        return freeze(encoder) if frozen else encoder

    def encode(self, input_ids: Tensor, attention_mask: Tensor) -> EncoderStates:
        """Look up a padded batch of token numbers.

        Args:
            input_ids: (batch, tokens) int64.
            attention_mask: (batch, tokens) bool, True = real.

        Returns:
            States (batch, tokens, dim) with the same mask.

        Raises:
            UsageError: a mask of another shape or type.
        """
        check_mask(attention_mask, input_ids, name="attention mask")
        states = self.vectors(input_ids.masked_fill(~attention_mask, 0))
        return EncoderStates(zero_padding(states, attention_mask), attention_mask)


def _read_text(path: Path, words: int | None) -> tuple[list[str], NDArray[np.float32]]:
    """Words, and their vectors (words, dim)."""
    names: dict[str, None] = {}
    rows: list[NDArray[np.float32]] = []
    dim: int | None = None
    for number, line in enumerate(_lines(path), start=1):
        fields = line.rstrip().split(" ")
        if number == 1 and len(fields) == 2 and all(field.isdecimal() for field in fields):
            continue  # word2vec's sizes
        if words is not None and len(rows) == words:
            break
        dim = len(fields) - 1 if dim is None else dim
        # Some of GloVe's words have spaces in them: the numbers are the last `dim` fields.
        word, numbers = " ".join(fields[: len(fields) - dim]), fields[len(fields) - dim :]
        try:
            row = np.array(numbers, dtype=np.float32)
        except ValueError:
            raise CheckpointError(f"{path}, line {number}: expected a word and {dim} numbers.") from None
        if dim < 1 or len(row) != dim or not word or not np.isfinite(row).all():
            raise CheckpointError(f"{path}, line {number}: expected a word and {max(1, dim)} numbers.")
        if word not in names:
            names[word] = None
            rows.append(row)
    if not rows:
        raise CheckpointError(f"{path} has no word vectors.")
    return list(names), np.stack(rows)


def _read_array(path: Path, vocabulary: Path, words: int | None) -> tuple[list[str], NDArray[np.float32]]:
    try:
        table = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"{path} cannot be read as an array of NumPy: {error}.") from error
    names = [line.rstrip("\r\n") for line in _lines(vocabulary)]
    if table.ndim != 2 or table.dtype.kind != "f" or len(table) != len(names):
        raise CheckpointError(
            f"{path} holds an array of shape {table.shape} and type {table.dtype}; beside the {len(names)} words of "
            f"{vocabulary} it must be numbers of shape ({len(names)}, dim)."
        )
    if len(set(names)) < len(names) or not names:
        raise CheckpointError(f"{vocabulary} names a word twice, or none; expected a word for each row of {path}.")
    found: NDArray[np.float32] = np.array(table[:words], dtype=np.float32)
    return names[:words], found


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from file
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is not UTF-8 text ({error.reason}); expected a word on each line.") from error


def _tokenizer(names: Sequence[str], *, lowercase: bool) -> str:
    """The tokenizer.json of words cut at spaces and punctuation."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    numbers = dict(zip(itertools.chain((PADDING, UNKNOWN), names), itertools.count(), strict=False))
    numbers |= {PADDING: 0, UNKNOWN: 1}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), *([normalizers.Lowercase()] if lowercase else [])])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer.to_str()
