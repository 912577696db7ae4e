from __future__ import annotations

import numpy as np
import pytest

from m3ser.audio import waveform


def test_normalised_is_what_transformers_gives(speech):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)(speech, sampling_rate=16_000)
    np.testing.assert_allclose(waveform.normalised(speech), theirs["input_values"][0], atol=1e-5)


def test_silence_and_nothing_stay_what_they_are():
    assert not waveform.normalised(np.zeros(500, np.float32)).any()
    assert waveform.normalised(np.zeros(0, np.float32)).shape == (0,)


def test_as_it_is_is_the_same(speech):
    np.testing.assert_array_equal(waveform.as_it_is(speech), speech)
