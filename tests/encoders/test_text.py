from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from m3ser.encoders import TextEncoder, lengths_to_mask  # noqa: E402
from m3ser.errors import CheckpointError, UsageError  # noqa: E402

SENTENCES = [
    "[CLS] don't forget a jacket. [SEP]",
    "[CLS] i would like a new alarm clock, please. [SEP]",
    "[CLS] no. [SEP]",
]


@pytest.fixture(scope="module")
def encoder(minilm) -> TextEncoder:
    return TextEncoder.from_pretrained(minilm)


@pytest.fixture(scope="module")
def tokens(minilm) -> list[torch.Tensor]:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(minilm / "tokenizer.json"))
    tokenizer.no_padding()
    return [torch.tensor(tokenizer.encode(text, add_special_tokens=False).ids) for text in SENTENCES]


def test_a_real_model_gives_what_transformers_gives(encoder, minilm, tokens):
    theirs = transformers.BertModel.from_pretrained(minilm).eval()
    for ids in tokens:
        with torch.no_grad():
            found = encoder(ids[None], torch.ones(1, len(ids), dtype=torch.bool))
            expected = theirs(input_ids=ids[None]).last_hidden_state
        torch.testing.assert_close(found.states, expected, rtol=1e-5, atol=1e-5)
    assert encoder.dim == 384
    assert encoder.max_tokens == 512


def test_a_padded_batch_of_a_real_model_equals_one_by_one(encoder, tokens):
    lengths = torch.tensor([len(ids) for ids in tokens])
    mask = lengths_to_mask(lengths)
    input_ids = torch.full(mask.shape, 10**9)  # far outside of the vocabulary
    for row, ids in enumerate(tokens):
        input_ids[row, : len(ids)] = ids
    with torch.no_grad():
        states, states_mask = encoder(input_ids, mask)
        for row, ids in enumerate(tokens):
            alone = encoder(ids[None], torch.ones(1, len(ids), dtype=torch.bool)).states[0]
            torch.testing.assert_close(states[row, : len(ids)], alone, rtol=1e-5, atol=1e-5)
    assert torch.equal(states_mask, mask)
    assert torch.count_nonzero(states[~mask]) == 0


def test_pooled_is_one_state(minilm, tokens):
    theirs = transformers.BertModel.from_pretrained(minilm).eval()
    encoder = TextEncoder.from_pretrained(minilm, pooled=True)
    ids = tokens[0][None]
    with torch.no_grad():
        found = encoder(ids, torch.ones_like(ids, dtype=torch.bool))
        expected = theirs(input_ids=ids).pooler_output
    assert found.states.shape == (1, 1, 384)
    assert found.mask.tolist() == [[True]]
    torch.testing.assert_close(found.states[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_frozen_by_default_and_trainable_on_request(encoder, minilm, small_text):
    assert encoder.frozen
    assert not encoder.train().model.training
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    trainable = small_text().train()
    states = trainable(torch.randint(0, 50, (2, 5)), torch.ones(2, 5, dtype=torch.bool)).states
    states.square().sum().backward()
    assert trainable.model.training
    without = {name for name, parameter in trainable.named_parameters() if parameter.grad is None}
    # Nothing that should learn is left without a gradient; the pooler is not used here.
    assert without == {"model.pooler.dense.weight", "model.pooler.dense.bias"}
    assert not any(parameter.requires_grad for parameter in trainable.model.pooler.parameters())


def test_a_model_without_pooler_cannot_pool(small_text):
    with pytest.raises(UsageError, match="DistilBertModel has no pooler"):
        small_text("distilbert", dim=16, n_heads=2, n_layers=1, hidden_dim=16, pooled=True)


def test_too_many_tokens_are_refused(small_text):
    for kind, limit in (("bert", 32), ("roberta", 30)):  # RoBERTa spends two positions on its padding
        encoder = small_text(kind)
        assert encoder.max_tokens == limit
        mask = torch.ones(1, limit, dtype=torch.bool)
        assert encoder(torch.full((1, limit), 5), mask).states.shape[1] == limit
        with pytest.raises(UsageError, match=f"takes at most {limit} tokens, not {limit + 1}"):
            encoder(torch.full((1, limit + 1), 5), torch.ones(1, limit + 1, dtype=torch.bool))


def test_a_mask_of_integers_is_refused(small_text):
    with pytest.raises(UsageError, match="attention mask is of type"):
        small_text()(torch.ones(1, 3, dtype=torch.int64), torch.ones(1, 3, dtype=torch.int64))


@pytest.fixture
def saved(small_text, tmp_path) -> Path:
    small_text().model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_folder_is_loaded(saved, small_text):
    found = TextEncoder.from_pretrained(saved).model.state_dict()
    expected = small_text().model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_weights_that_are_missing_are_named_not_drawn(saved, capfd):
    edit_config(saved, num_hidden_layers=3)
    with pytest.raises(CheckpointError, match=r"for 16 of its parameters \(encoder\.layer\.2\."):
        TextEncoder.from_pretrained(saved)
    assert "LOAD REPORT" not in capfd.readouterr().err


def test_weights_of_another_shape_are_named(saved):
    edit_config(saved, vocab_size=60)
    with pytest.raises(CheckpointError, match=r"for 1 of its parameters \(embeddings\.word_embeddings\.weight\)"):
        TextEncoder.from_pretrained(saved)


def test_a_pooler_that_was_never_trained_is_not_used(small_text, tmp_path):
    model = small_text().model
    model.pooler = None
    model.save_pretrained(tmp_path)
    assert TextEncoder.from_pretrained(tmp_path).model.pooler is None
    with pytest.raises(CheckpointError, match=r"for 2 of its parameters \(pooler\.dense\.bias"):
        TextEncoder.from_pretrained(tmp_path, pooled=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hidden_size": "wide"}, "hidden_size"),
        ({"model_type": "nonsense"}, "nonsense"),
        ({"num_attention_heads": 5}, "attention heads"),
    ],
)
def test_a_config_that_makes_no_sense_is_an_error(saved, changes, words):
    edit_config(saved, **changes)
    with pytest.raises(CheckpointError, match=words):
        TextEncoder.from_pretrained(saved)


def test_a_model_that_is_no_encoder_is_refused(saved):
    (saved / "config.json").write_text(json.dumps({"model_type": "t5"}))
    with pytest.raises(CheckpointError, match="of type 't5', not a text encoder"):
        TextEncoder.from_pretrained(saved)


@pytest.mark.parametrize("size", [0, 4, 1000])
def test_truncated_weights_are_an_error(saved, size):
    with (saved / "model.safetensors").open("r+b") as file:
        file.truncate(size)
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        TextEncoder.from_pretrained(saved)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_an_error(saved, name):
    (saved / name).unlink()
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        TextEncoder.from_pretrained(saved)


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_that_runs_code_is_refused(saved, tmp_path):
    sprung = tmp_path / "sprung"
    (saved / "model.safetensors").unlink()
    torch.save({"embeddings.word_embeddings.weight": Trap(sprung)}, saved / "pytorch_model.bin")
    with pytest.raises(CheckpointError):
        TextEncoder.from_pretrained(saved)
    assert not sprung.exists()
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists()  # the trap was a real one


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="is not a folder with a model"):
        TextEncoder.from_pretrained(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["bert-base-uncased-nowhere", "nobody/nothing", "no such: name"])
def test_a_name_that_cannot_be_had_is_one_sentence(name, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=f"The text encoder '{name}' cannot be loaded") as caught:
        TextEncoder.from_pretrained(name)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("pooled", [False, True])
def test_a_real_model_runs_in_onnx_runtime(minilm, through_onnx, pooled):
    encoder = TextEncoder.from_pretrained(minilm, pooled=pooled)
    run = through_onnx(encoder, torch.randint(1000, 2000, (2, 9)), names=("input_ids", "attention_mask"))
    for lengths in ([1], [20, 3], [7, 0, 12]):
        mask = lengths_to_mask(torch.tensor(lengths))
        input_ids = torch.randint(1000, 20000, mask.shape)
        with torch.no_grad():
            expected = encoder(input_ids, mask)
        found = run(input_ids, mask)
        assert torch.equal(found.mask, expected.mask)
        torch.testing.assert_close(found.states, expected.states, rtol=1e-4, atol=1e-4)
