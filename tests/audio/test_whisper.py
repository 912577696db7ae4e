"""Whisper's front end against the one in transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from m3ser.audio import FRONT_ENDS, load_waveform, whisper_log_mel
from m3ser.audio.whisper import whisper_mel_filters

# Single precision, in the quietest that counts, 80 dB below the loudest: transformers' own two ways, NumPy in double
# precision and torch in single, differ by up to 2e-5 on the bundled clips.
TOLERANCE = 5e-5


@pytest.fixture(scope="module")
def reference():
    """transformers' NumPy path on one utterance as it is; its public call uses torch where that is installed."""
    transformers = pytest.importorskip("transformers", reason="needs transformers, of the 'train' extra")
    extractor = transformers.WhisperFeatureExtractor(feature_size=80)
    return lambda waveform: extractor._np_extract_fbank_features(waveform[None], "cpu")[0].T


def test_the_filters_are_slaneys() -> None:
    audio_utils = pytest.importorskip("transformers.audio_utils", reason="needs transformers, of the 'train' extra")
    theirs = audio_utils.mel_filter_bank(
        num_frequency_bins=201,
        num_mel_filters=80,
        min_frequency=0.0,
        max_frequency=8000.0,
        sampling_rate=16_000,
        norm="slaney",
        mel_scale="slaney",
    )
    np.testing.assert_allclose(whisper_mel_filters(), theirs, rtol=0, atol=1e-12)


def test_equals_transformers_on_real_clips(demo_clips: Path, reference) -> None:
    paths = sorted(demo_clips.glob("*.wav"))
    assert len(paths) >= 10
    for path in paths:
        clip = load_waveform(path)
        features = whisper_log_mel(clip)
        assert features.dtype == np.float32
        assert features.shape == (len(clip) // 160, 80)
        np.testing.assert_allclose(features, reference(clip), rtol=0, atol=TOLERANCE)
        assert np.abs(features - reference(clip)).mean() < 5e-7


@pytest.mark.parametrize("samples", [201, 399, 400, 401, 559, 560, 16_000])
def test_equals_transformers_on_the_shortest(speech, reference, samples: int) -> None:
    clip = speech[8_000 : 8_000 + samples]
    np.testing.assert_allclose(whisper_log_mel(clip), reference(clip), rtol=0, atol=TOLERANCE)


def test_the_latest_models_read_128_bands(speech) -> None:
    transformers = pytest.importorskip("transformers", reason="needs transformers, of the 'train' extra")
    theirs = transformers.WhisperFeatureExtractor(feature_size=128)._np_extract_fbank_features(speech[None], "cpu")[0].T
    found = FRONT_ENDS["whisper128"].features(speech)
    assert found.shape == (len(speech) // 160, 128)
    np.testing.assert_allclose(found, theirs, rtol=0, atol=TOLERANCE)


def test_equals_transformers_on_other_corpora(shared_data: Path, reference) -> None:
    for pattern in ("emodb/wav/*.flac", "emovo/f1/*.opus", "ravdess/Actor_01/*.flac"):
        for path in sorted((shared_data / "speech").glob(pattern))[:5]:
            clip = load_waveform(path)
            np.testing.assert_allclose(whisper_log_mel(clip), reference(clip), rtol=0, atol=TOLERANCE)


def test_less_than_a_hop_gives_no_frame() -> None:
    assert whisper_log_mel(np.zeros(159, np.float32)).shape == (0, 80)
    assert whisper_log_mel(np.zeros(160, np.float32)).shape == (1, 80)


def test_the_range_is_eight_powers_of_ten(speech) -> None:
    features = whisper_log_mel(speech)
    assert features.max() - features.min() <= 2.0 + 1e-6
    # Silence lies at the floor of 1e-10.
    np.testing.assert_allclose(whisper_log_mel(np.zeros(1600, np.float32)), -1.5, atol=1e-6)
