"""Kaldi's log-mel spectra against what transformers' own feature extractors give."""

from __future__ import annotations

import numpy as np
import pytest

from m3ser.audio import kaldi


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return (np.random.default_rng(0).standard_normal(16_283) * 0.1).astype(np.float32)


@pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")
def test_ast_reads_what_its_feature_extractor_gives(noise, monkeypatch):
    module = pytest.importorskip(
        "transformers.models.audio_spectrogram_transformer.feature_extraction_audio_spectrogram_transformer"
    )
    monkeypatch.setattr(module, "is_speech_available", lambda: False)  # by NumPy, whether torchaudio is there or not
    theirs = module.ASTFeatureExtractor()(noise, sampling_rate=16_000, return_tensors="np")["input_values"][0]
    found = kaldi.ast_log_mel(noise)
    assert found.shape == (100, 128)
    np.testing.assert_allclose(found, theirs[:100], atol=1e-5)
    np.testing.assert_allclose(theirs[100:], kaldi.AST_PADDING, atol=1e-6)


@pytest.mark.parametrize("samples", [16_283, 16_123, 720])
def test_wav2vec2_bert_reads_what_its_feature_extractor_gives(noise, samples):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.SeamlessM4TFeatureExtractor()(noise[:samples], sampling_rate=16_000, return_tensors="np")
    found = kaldi.wav2vec2_bert_features(noise[:samples])
    assert len(found) == theirs["attention_mask"].sum()
    np.testing.assert_allclose(found, theirs["input_features"][0][: len(found)], atol=1e-4)


def test_blocks_of_frames_change_nothing(noise, monkeypatch):
    whole = kaldi.filter_bank(noise, bands=80)
    monkeypatch.setattr(kaldi, "_BLOCK_FRAMES", 7)
    # A product of fewer rows may be added up in another order: on some processors the last digit of a double differs.
    np.testing.assert_allclose(kaldi.filter_bank(noise, bands=80), whole, rtol=1e-12)


def test_silence_is_finite_and_too_little_gives_nothing():
    assert np.isfinite(kaldi.ast_log_mel(np.zeros(800, np.float32))).all()
    assert np.isfinite(kaldi.wav2vec2_bert_features(np.zeros(800, np.float32))).all()
    assert kaldi.ast_log_mel(np.zeros(399, np.float32)).shape == (0, 128)
    assert kaldi.wav2vec2_bert_features(np.zeros(559, np.float32)).shape == (0, 160)
