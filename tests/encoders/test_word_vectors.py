from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from m3ser.encoders import WordVectorEncoder, build_encoder, lengths_to_mask  # noqa: E402
from m3ser.errors import CheckpointError, UsageError  # noqa: E402
from m3ser.text import make_tokens  # noqa: E402

GLOVE = "the 0.1 0.2 0.3\ncat 1 2 3\n. . . 4 5 6\n! -1 -2 -3\n"


@pytest.fixture
def written(tmp_path: Path):
    def write(content: str, name: str = "vectors.txt") -> Path:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return write


def vectors_of(encoder: WordVectorEncoder, text: str) -> torch.Tensor:
    assert encoder.tokenizer is not None
    ids, mask = make_tokens(encoder.tokenizer, 20, name="t", special_tokens=False).encode([text])
    return encoder(torch.from_numpy(ids), torch.from_numpy(mask)).states[0].detach()


def test_words_get_the_numbers_of_their_line(written):
    encoder = WordVectorEncoder.from_file(written(GLOVE))
    mean = torch.tensor([[4.1 / 4, 5.2 / 4, 6.3 / 4]])
    expected = torch.cat([torch.tensor([[0.1, 0.2, 0.3], [1.0, 2, 3], [-1.0, -2, -3]]), mean])
    torch.testing.assert_close(vectors_of(encoder, "The CAT! dog"), expected)
    assert (encoder.dim, encoder.vocabulary, encoder.frozen) == (3, 6, True)
    assert vectors_of(encoder, "").shape == (0, 3)


def test_word2vecs_first_line_a_limit_and_a_vector_for_unknown_words(written):
    encoder = WordVectorEncoder.from_file(written("4 2\n<unk> 7 8\nthe 1 2\ncat 3 4\nThe 5 6\n"), words=2)
    assert encoder.vocabulary == 4
    assert vectors_of(encoder, "the cat").tolist() == [[1.0, 2.0], [7.0, 8.0]]
    cased = WordVectorEncoder.from_file(written("the 1 2\nThe 5 6\n"), lowercase=False)
    assert vectors_of(cased, "The the").tolist() == [[5.0, 6.0], [1.0, 2.0]]


def test_an_array_with_its_vocabulary(written, tmp_path):
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.save(tmp_path / "vectors.npy", table)
    spec = {"kind": "word-vectors", "source": str(tmp_path / "vectors.npy"), "frozen": False}
    encoder = build_encoder(spec | {"vocabulary": str(written("a\nb\nc\n", "words.txt"))})
    assert vectors_of(encoder, "c a").tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert not encoder.frozen
    assert build_encoder(json.loads(json.dumps(encoder.config.to_dict()))).vocabulary == 5
    with pytest.raises(CheckpointError, match="expected a vocabulary with the word of each row"):
        build_encoder(spec)
    with pytest.raises(CheckpointError, match=r"beside the 2 words of .* numbers of shape \(2, dim\)"):
        build_encoder(spec | {"vocabulary": str(written("a\nb\n", "words.txt"))})
    with pytest.raises(CheckpointError, match="names a word twice"):
        build_encoder(spec | {"vocabulary": str(written("a\nb\na\n", "words.txt"))})


def test_padding_is_zero_whatever_stands_in_it_and_trained_vectors_learn(written):
    encoder = WordVectorEncoder.from_file(written(GLOVE), frozen=False)
    mask = lengths_to_mask(torch.tensor([3, 1, 0]))
    ids = torch.tensor([[2, 3, 4], [5, 10**9, -7], [99, 99, 99]])
    states, found = encoder(ids, mask)
    assert torch.equal(found, mask)
    assert not states[~mask].any()
    states.sum().backward()
    assert encoder.vectors.weight.grad.any(dim=1).tolist() == [False, False, True, True, True, True]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has no word vectors"),
        ("3 2\n", "has no word vectors"),
        ("the 1 2\ncat 3\n", "line 2: expected a word and 2 numbers"),
        ("the 1 2\ncat 3 x\n", "line 2: expected a word and 2 numbers"),
        ("the 1 nan\n", "line 1: expected a word and 2 numbers"),
        ("the\n", "line 1: expected a word and 1 numbers"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(written, content, words):
    with pytest.raises(CheckpointError, match=words):
        WordVectorEncoder.from_file(written(content))


def test_what_cannot_be_is_one_sentence(written, tmp_path):
    with pytest.raises(CheckpointError, match=r"nothing\.txt cannot be read"):
        WordVectorEncoder.from_file(tmp_path / "nothing.txt")
    with pytest.raises(CheckpointError, match="expected no vocabulary beside it"):
        WordVectorEncoder.from_file(written(GLOVE), vocabulary="words.txt")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 1 2\n")
    with pytest.raises(CheckpointError, match="is not UTF-8 text"):
        WordVectorEncoder.from_file(tmp_path / "latin.txt")
    (tmp_path / "bad.npy").write_bytes(b"none")
    with pytest.raises(CheckpointError, match="cannot be read as an array"):
        WordVectorEncoder.from_file(tmp_path / "bad.npy", vocabulary=written("a\n", "words.txt"))
    with pytest.raises(UsageError, match="word vectors have no blocks"):
        build_encoder({"kind": "word-vectors", "source": "x", "frozen": {"first": 1}})
