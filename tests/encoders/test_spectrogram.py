from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from m3ser.audio import FRONT_ENDS  # noqa: E402
from m3ser.encoders import SpeechEncoder, build_encoder, lengths_to_mask  # noqa: E402
from m3ser.errors import UsageError  # noqa: E402


def whole(features: torch.Tensor) -> torch.Tensor:
    return torch.ones(features.shape[:2], dtype=torch.bool)


def test_wav2vec2_bert_gives_what_transformers_gives(speech_model, small_speech):
    features = torch.randn(2, 30, 160)
    with torch.no_grad():
        theirs = speech_model("wav2vec2-bert")(features, attention_mask=whole(features), output_hidden_states=True)
        found = small_speech("wav2vec2-bert")(features, whole(features))
        inner = small_speech("wav2vec2-bert", layer=[0, 2])(features, whole(features))
    torch.testing.assert_close(found.states, theirs.last_hidden_state, rtol=1e-4, atol=1e-4)
    expected = torch.cat([theirs.hidden_states[0], theirs.hidden_states[2]], dim=-1)
    torch.testing.assert_close(inner.states, expected, rtol=1e-4, atol=1e-4)


def test_ast_averages_over_frequencies_and_drops_what_is_no_speech(speech_model, small_speech):
    features = torch.randn(1, 128, 128)
    encoder = small_speech("audio-spectrogram-transformer")
    with torch.no_grad():
        theirs = speech_model("audio-spectrogram-transformer")(features).last_hidden_state
        found = encoder(features, whole(features))
        short = encoder(features[:, :31], whole(features[:, :31]))
    # (128 - 16) // 10 + 1 patches either way; bands outside, times inside.
    expected = torch.stack([theirs[:, 2 + time :: 12].mean(dim=1) for time in range(12)], dim=1)
    torch.testing.assert_close(found.states, expected, rtol=1e-4, atol=1e-4)
    assert short.states.shape == (1, 4, 16)
    assert short.mask.all()


@pytest.mark.parametrize(
    ("kind", "front_end", "step"),
    [("wav2vec2-bert", "wav2vec2-bert", 0.02), ("audio-spectrogram-transformer", "ast", 0.1)],
)
def test_from_a_folder(kind, front_end, step, speech_model, tmp_path):
    speech_model(kind).save_pretrained(tmp_path / "model")
    spec = {"kind": "speech", "source": str(tmp_path / "model"), "combine": "mix", "step_seconds": 2 * step}
    encoder = build_encoder(spec)
    assert isinstance(encoder, SpeechEncoder)
    assert encoder.front_end == front_end
    assert encoder.selection.window == 2
    features = torch.from_numpy(FRONT_ENDS[front_end].features(torch.randn(8000).numpy()))[None]
    assert encoder(features, whole(features)).states.shape[2] == 16
    with pytest.raises(UsageError, match="normalise is for models that read waveforms"):
        build_encoder(spec | {"normalise": True})


@pytest.mark.parametrize("kind", ["wav2vec2-bert", "audio-spectrogram-transformer"])
def test_every_weight_that_is_used_learns(kind, small_speech):
    encoder = small_speech(kind).train()
    features = torch.randn(2, 60, 160 if kind == "wav2vec2-bert" else 128)
    states = encoder(features, lengths_to_mask(torch.tensor([60, 30]))).states
    (states * torch.randn(states.shape)).sum().backward()
    assert [name for name, weight in encoder.named_parameters() if weight.grad is None] == []


def test_other_shapes_are_refused(small_speech):
    with pytest.raises(UsageError, match=r"features of shape \(batch, frames, 160\)"):
        small_speech("wav2vec2-bert")(torch.zeros(1, 5, 80), torch.ones(1, 5, dtype=torch.bool))
    with pytest.raises(UsageError, match="at most 128 frames at a time, not 129"):
        small_speech("audio-spectrogram-transformer")(torch.zeros(1, 129, 128), torch.ones(1, 129, dtype=torch.bool))
    with pytest.raises(UsageError, match="reads 64 bands; m3ser makes 128"):
        small_speech("audio-spectrogram-transformer", settings={"num_mel_bins": 64})


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wav2vec2-bert", "audio-spectrogram-transformer"])
def test_it_runs_in_onnx_runtime(kind, small_speech, through_onnx):
    encoder = small_speech(kind, combine="mix")
    bands = 160 if kind == "wav2vec2-bert" else 128
    run = through_onnx(encoder, torch.randn(2, 60, bands))
    for lengths in ([20], [100, 31], [70, 0, 5]):
        mask = lengths_to_mask(torch.tensor(lengths))
        features = torch.randn(*mask.shape, bands)
        with torch.no_grad():
            expected = encoder(features, mask)
        found = run(features, mask)
        assert torch.equal(found.mask, expected.mask)
        torch.testing.assert_close(found.states, expected.states, rtol=1e-4, atol=1e-4)
