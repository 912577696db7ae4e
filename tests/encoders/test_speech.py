from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from m3ser.audio import FRONT_ENDS  # noqa: E402
from m3ser.encoders import SpeechEncoder, build_encoder, lengths_to_mask  # noqa: E402
from m3ser.errors import CheckpointError, UsageError  # noqa: E402

FAMILIES = ["wav2vec2", "wav2vec2-large", "hubert", "wavlm", "wavlm-large", "data2vec-audio", "wav2vec2-conformer"]


def whole(waveform: torch.Tensor) -> torch.Tensor:
    return torch.ones(waveform.shape[:2], dtype=torch.bool)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", FAMILIES)
def test_it_gives_what_transformers_gives(kind, speech_model, small_speech):
    waveform = noise(2, 4000)
    with torch.no_grad():
        theirs = speech_model(kind)(waveform, output_hidden_states=True)
        found = small_speech(kind)(waveform, whole(waveform))
        inner = small_speech(kind, layer=[0, 2])(waveform, whole(waveform))
    torch.testing.assert_close(found.states, theirs.last_hidden_state, rtol=1e-4, atol=1e-4)
    assert found.mask.all()
    expected = torch.cat([theirs.hidden_states[0], theirs.hidden_states[2]], dim=-1)
    torch.testing.assert_close(inner.states, expected, rtol=1e-4, atol=1e-4)


def test_transformers_own_mask_would_let_padding_in(speech_model, small_speech):
    """Why the first convolution's norm is computed here: a test that a plain call would fail."""
    waveform = noise(1, 4000)
    padded = torch.cat([waveform, torch.zeros(1, 8000)], dim=1)
    mask = lengths_to_mask(torch.tensor([4000]), steps=12_000)
    model, encoder = speech_model(), small_speech()
    with torch.no_grad():
        alone = model(waveform).last_hidden_state
        theirs = model(padded, attention_mask=mask.long()).last_hidden_state[:, : alone.shape[1]]
        ours = encoder(padded, mask).states[:, : alone.shape[1]]
    assert (theirs - alone).abs().max() > 1e-2
    torch.testing.assert_close(ours, alone, rtol=1e-4, atol=1e-4)


def test_what_is_shorter_than_a_state_has_none(small_speech):
    encoder = small_speech()
    for length, states in ((399, 0), (400, 1), (719, 1), (720, 2)):
        assert int(encoder(noise(1, length), torch.ones(1, length, dtype=torch.bool)).mask.sum()) == states


def test_blocks_above_the_highest_layer_are_left_out(small_speech):
    assert len(small_speech(layer=1).blocks()) == 1
    assert len(small_speech(layer=0).blocks()) == 1  # its input is what is yielded
    assert len(small_speech(layer=[0, 3]).blocks()) == 3


def test_in_training_nothing_is_masked_or_left_out(small_speech):
    settings = {"layerdrop": 0.99, "mask_time_prob": 0.9, "hidden_dropout": 0.0, "attention_dropout": 0.0}
    settings |= {"activation_dropout": 0.0, "feat_proj_dropout": 0.0}
    encoder, waveform = small_speech(settings=settings, combine="mix"), noise(2, 1000)
    with torch.no_grad():
        still = encoder(waveform, whole(waveform)).states
        torch.testing.assert_close(encoder.train()(waveform, whole(waveform)).states, still)


@pytest.mark.parametrize("kind", ["wav2vec2", "wavlm", "data2vec-audio"])
def test_every_weight_that_is_used_learns(kind, small_speech):
    encoder = small_speech(kind).train()
    waveform = noise(2, 3000)
    states = encoder(waveform, lengths_to_mask(torch.tensor([3000, 1500]))).states
    (states * noise(*states.shape)).sum().backward()
    assert [name for name, weight in encoder.named_parameters() if weight.grad is None] == []


@pytest.fixture
def saved(speech_model, tmp_path):
    def save(kind: str = "wav2vec2", **preprocessor: object):
        folder = tmp_path / kind
        speech_model(kind).save_pretrained(folder)
        if preprocessor:
            (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
        return folder

    return save


def test_a_folder_says_whether_waveforms_are_normalised(saved):
    assert SpeechEncoder.from_pretrained(str(saved())).front_end == "waveform-normalised"
    plain = SpeechEncoder.from_pretrained(str(saved(do_normalize=False)))
    assert plain.front_end == "waveform"
    assert plain.front_end in FRONT_ENDS
    assert SpeechEncoder.from_pretrained(str(saved(do_normalize=False)), normalise=True).normalise


def test_from_its_config_the_same_encoder_is_built(saved, speech_model):
    spec = {"kind": "speech", "source": str(saved()), "combine": "mix", "step_seconds": 0.1, "statistics": "mean+std"}
    encoder = build_encoder(spec)
    assert encoder.frozen
    assert (encoder.dim, encoder.encoded_dim) == (32, 128)
    other = build_encoder(json.loads(json.dumps(encoder.config.to_dict())))
    waveform = noise(2, 5000)
    assert torch.equal(encoder(waveform, whole(waveform)).states, other(waveform, whole(waveform)).states)


def test_other_models_are_refused_in_one_sentence(saved, small_text, tmp_path):
    folder = tmp_path / "bert"
    small_text().model.save_pretrained(folder)
    with pytest.raises(CheckpointError, match="is of type 'bert', not a speech model that m3ser knows how to run"):
        SpeechEncoder.from_pretrained(str(folder))
    (folder / "config.json").write_text('{"model_type": "whisper"}')
    with pytest.raises(CheckpointError, match=r"type 'whisper'.* Its kind is whisper"):
        SpeechEncoder.from_pretrained(str(folder))
    with pytest.raises(CheckpointError, match="trained on audio of 8000 Hz; m3ser reads 16000 Hz"):
        SpeechEncoder.from_pretrained(str(saved(sampling_rate=8000)))
    with pytest.raises(UsageError, match="A BertModel is no speech model"):
        SpeechEncoder.of(small_text().model)


def test_missing_weights_are_named(saved):
    from safetensors.torch import load_file, save_file

    path = saved() / "model.safetensors"
    kept = load_file(path)
    del kept["feature_projection.projection.weight"], kept["masked_spec_embed"]
    save_file(kept, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"for 1 of its parameters \(feature_projection.projection.weight\)"):
        SpeechEncoder.from_pretrained(str(path.parent))


def test_another_shape_of_input_is_refused(small_speech):
    with pytest.raises(UsageError, match=r"takes waveforms \(batch, samples\)"):
        small_speech()(torch.zeros(1, 500, 2), torch.ones(1, 500, dtype=torch.bool))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wav2vec2", "hubert-large", "wavlm"])
def test_it_runs_in_onnx_runtime(kind, small_speech, through_onnx):
    encoder = small_speech(kind, combine="mix", step_seconds=0.1, statistics="mean+std")
    run = through_onnx(encoder, noise(2, 8000))
    for lengths in ([900], [5000, 1000], [3000, 0, 8000]):
        mask = lengths_to_mask(torch.tensor(lengths))
        waveform = noise(*mask.shape)
        with torch.no_grad():
            expected = encoder(waveform, mask)
        found = run(waveform, mask)
        assert torch.equal(found.mask, expected.mask)
        torch.testing.assert_close(found.states, expected.states, rtol=1e-4, atol=1e-4)


def test_what_is_no_single_graph_is_not_exported(small_speech):
    pytest.importorskip("onnxscript")
    from m3ser.training.exporting import export_audio_encoder

    with pytest.raises(UsageError, match="no single ONNX graph"):
        export_audio_encoder(small_speech("data2vec-audio"), ())
