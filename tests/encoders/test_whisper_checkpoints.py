"""Whisper's encoder from published weights, beside the programs that those were made for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from m3ser.encoders import WhisperEncoder  # noqa: E402
from m3ser.errors import CheckpointError, UsageError  # noqa: E402

FRAMES = 80


@pytest.fixture
def random_model():
    """A small Whisper with random weights."""
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        num_mel_bins=80,
        d_model=16,
        encoder_layers=3,
        encoder_attention_heads=2,
        encoder_ffn_dim=24,
        max_source_positions=FRAMES // 2,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=16,
        max_target_positions=8,
        vocab_size=60,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
    )
    model = transformers.WhisperForConditionalGeneration(config).eval().requires_grad_(False)
    for parameter in model.parameters():  # transformers starts with biases of zero
        parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(1, FRAMES, 80, generator=torch.Generator().manual_seed(1))


def encode(encoder: WhisperEncoder, features: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return encoder(features, torch.ones(features.shape[:2], dtype=torch.bool)).states


@pytest.mark.parametrize("shards", ["5GB", "10KB"], ids=["one file", "several"])
@pytest.mark.parametrize("part", ["whole", "model", "encoder"])
def test_transformers_layout(random_model, features, tmp_path, shards, part):
    module = {"whole": random_model, "model": random_model.model, "encoder": random_model.model.encoder}[part]
    module.save_pretrained(tmp_path, max_shard_size=shards)
    assert (tmp_path / "model.safetensors").exists() == (shards == "5GB")
    expected = random_model.model.encoder(features.transpose(1, 2)).last_hidden_state
    if part == "encoder":  # a layout that nobody publishes: its names have no prefix
        with pytest.raises(CheckpointError, match="missing: conv1"):
            WhisperEncoder.from_pretrained(str(tmp_path))
        return
    encoder = WhisperEncoder.from_pretrained(str(tmp_path))
    torch.testing.assert_close(encode(encoder, features), expected, rtol=1e-5, atol=1e-5)


def test_lower_layers_are_all_that_is_kept(random_model, features, tmp_path):
    random_model.save_pretrained(tmp_path)
    encoder = WhisperEncoder.from_pretrained(str(tmp_path), layer=[0, 1])
    assert len(encoder.layers) == 1
    expected = random_model.model.encoder(features.transpose(1, 2), output_hidden_states=True).hidden_states
    torch.testing.assert_close(encode(encoder, features), torch.cat(expected[:2], dim=-1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("quantization", ["float32", "float16", "bfloat16", "int16", "int8", "int8_float16"])
def test_ctranslate2_layout(random_model, features, tmp_path, quantization):
    """CTranslate2 converts and runs the model; ours, read from the converted file, must give the same."""
    ctranslate2 = pytest.importorskip("ctranslate2")
    from ctranslate2.converters.transformers import WhisperLoader

    spec = WhisperLoader().get_model_spec(random_model)
    spec.register_vocabulary([f"token{number}" for number in range(60)])
    for name, value in {"suppress_ids": [], "suppress_ids_begin": [], "alignment_heads": [[0, 0]]}.items():
        setattr(spec.config, name, value)
    spec.validate()
    spec.optimize(quantization=quantization)
    spec.save(str(tmp_path))
    theirs = ctranslate2.models.Whisper(str(tmp_path), compute_type="float32")
    batch = ctranslate2.StorageView.from_array(np.ascontiguousarray(features.transpose(1, 2).numpy()))
    expected = np.array(theirs.encode(batch))
    found = encode(WhisperEncoder.from_pretrained(str(tmp_path)), features).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.fixture(scope="module")
def speech(demo_clip) -> torch.Tensor:
    """Real speech as Whisper takes it: log-mel (1, 3000, 80), padded to 30 s."""
    soundfile = pytest.importorskip("soundfile")
    waveform, rate = soundfile.read(demo_clip, dtype="float32")
    extractor = transformers.WhisperFeatureExtractor()
    return extractor(waveform, sampling_rate=rate, return_tensors="pt").input_features.transpose(1, 2)


def test_real_weights_give_what_ctranslate2_gives(whisper_tiny, speech):
    ctranslate2 = pytest.importorskip("ctranslate2")
    theirs = ctranslate2.models.Whisper(str(whisper_tiny), compute_type="float32")
    batch = ctranslate2.StorageView.from_array(np.ascontiguousarray(speech.transpose(1, 2).numpy()))
    expected = np.array(theirs.encode(batch))
    encoder = WhisperEncoder.from_pretrained(str(whisper_tiny))
    found = encode(encoder, speech)
    assert found.shape == (1, 1500, 384)
    assert (encoder.dim, encoder.front_end, encoder.max_frames) == (384, "whisper80", 3000)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-3)


def test_real_weights_give_what_transformers_gives(whisper_tiny, speech):
    from transformers.models.whisper.modeling_whisper import WhisperEncoder as TheirEncoder

    encoder = WhisperEncoder.from_pretrained(str(whisper_tiny))
    config = transformers.WhisperConfig(
        d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536, num_mel_bins=80
    )
    theirs = TheirEncoder(config).eval()
    theirs.load_state_dict(encoder.state_dict())
    with torch.no_grad():
        expected = theirs(speech.transpose(1, 2)).last_hidden_state
    torch.testing.assert_close(encode(encoder, speech), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_real_speech_in_a_padded_batch_equals_it_alone(whisper_tiny, speech, dtype, tolerance):
    encoder = WhisperEncoder.from_pretrained(str(whisper_tiny)).to(dtype)
    lengths = [229, 100, 64]
    batch = speech[:, :229].repeat(3, 1, 1).to(dtype)
    mask = torch.arange(229) < torch.tensor(lengths)[:, None]
    batch[~mask] = torch.nan
    with torch.no_grad():
        states, _ = encoder(batch, mask)
    for row, length in enumerate(lengths):
        alone = encode(encoder, speech[:, :length].to(dtype))[0]
        # Rounding depends on the shapes of the matrices, and single precision leaves a few parts in a million after
        # four blocks. That the masks themselves are exact shows in double precision.
        difference = (states[row, : alone.shape[0]] - alone).norm() / alone.norm()
        assert difference <= tolerance


def test_frozen_by_default(random_model, tmp_path):
    random_model.save_pretrained(tmp_path)
    frozen = WhisperEncoder.from_pretrained(str(tmp_path))
    assert frozen.frozen
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    trainable = WhisperEncoder.from_pretrained(str(tmp_path), frozen=False)
    fixed = [name for name, parameter in trainable.named_parameters() if not parameter.requires_grad]
    assert fixed == ["embed_positions.weight"]


Spoil = Callable[[Path], object]


def change_config(**changes: object) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return spoil


def truncate(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(1000)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (change_config(model_type="bert"), "a model of type 'bert', not Whisper"),
        (change_config(activation_function="relu"), "another activation"),
        (change_config(d_model="wide"), "not a whole number"),
        (change_config(encoder_layers=4), r"do not fit WhisperEncoder: missing: layers\.3"),
        (change_config(encoder_layers=2), r"do not fit WhisperEncoder: unexpected: layers\.2"),
        (change_config(d_model=18), "of another shape: conv1"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read as JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "holds a list; expected an object"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "whisper"}'), "lacks 'num_mel_bins'"),
        (lambda folder: (folder / "config.json").unlink(), "has neither a config.json .* nor CTranslate2's model.bin"),
        (lambda folder: (folder / "model.safetensors").unlink(), "lacks its weights, model.safetensors"),
        (truncate, "is damaged or is not a safetensors file"),
    ],
)
def test_a_folder_that_is_not_whisper_is_named(random_model, tmp_path, spoil, words):
    random_model.save_pretrained(tmp_path)
    spoil(tmp_path)
    with pytest.raises(CheckpointError, match=words):
        WhisperEncoder.from_pretrained(str(tmp_path))


def test_an_index_that_makes_no_sense_is_an_error(random_model, tmp_path):
    random_model.save_pretrained(tmp_path, max_shard_size="10KB")
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": []}')
    with pytest.raises(CheckpointError, match="has no weight_map"):
        WhisperEncoder.from_pretrained(str(tmp_path))


def test_a_shard_outside_of_the_folder_is_refused(random_model, tmp_path):
    random_model.save_pretrained(tmp_path / "outside")
    (tmp_path / "model").mkdir()
    (tmp_path / "outside" / "config.json").rename(tmp_path / "model" / "config.json")
    weight_map = {"model.encoder.conv1.weight": "../outside/model.safetensors"}
    (tmp_path / "model" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(CheckpointError, match="outside of its folder"):
        WhisperEncoder.from_pretrained(str(tmp_path / "model"))


def test_another_ctranslate2_model_is_named(tmp_path):
    (tmp_path / "model.bin").write_bytes(
        b"\x06\0\0\0" + b"\x10\0TransformerSpec\0" + b"\x07\0\0\0" + b"\0\0\0\0" + b"\0\0\0\0"
    )
    with pytest.raises(CheckpointError, match="holds a TransformerSpec, not a Whisper model"):
        WhisperEncoder.from_pretrained(str(tmp_path))


def test_an_option_that_does_not_fit_the_model_is_an_error(whisper_tiny):
    with pytest.raises(UsageError, match="from 0 to 4, not"):
        WhisperEncoder.from_pretrained(str(whisper_tiny), layer=5)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="is not a folder with a model"):
        WhisperEncoder.from_pretrained(str(tmp_path / "nothing"))


@pytest.mark.parametrize("name", ["openai/whisper-nowhere", "no such: name"])
def test_a_name_that_cannot_be_had_is_one_sentence(name, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=f"The model '{name}' is not a folder, and cannot be had") as caught:
        WhisperEncoder.from_pretrained(name)
    assert "\n" not in str(caught.value)
