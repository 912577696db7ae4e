"""The registry of front ends keeps what it promises to encoders and bundles."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from m3ser.audio import FRONT_ENDS, SAMPLE_RATE, log_mel_examples, whisper_log_mel


def test_the_names_that_bundles_use() -> None:
    assert set(FRONT_ENDS) == {
        "ast",
        "egemaps",
        "mfcc39",
        "mfcc39+egemaps",
        "mfcc40",
        "mfcc40+egemaps",
        "vggish",
        "wav2vec2-bert",
        "waveform",
        "waveform-normalised",
        "whisper128",
        "whisper80",
    }
    with pytest.raises(TypeError):
        FRONT_ENDS["mine"] = FRONT_ENDS["vggish"]


@pytest.mark.parametrize("name", sorted(FRONT_ENDS))
def test_what_a_front_end_says_of_itself_is_so(name: str, speech) -> None:
    front_end = FRONT_ENDS[name]
    if front_end.extra == "acoustic":
        pytest.importorskip("opensmile")
    assert front_end.name == name
    features = front_end.features(speech)
    assert features.dtype == np.float32
    assert features.flags.c_contiguous
    assert features.shape[1:] == front_end.feature_shape
    # Functionals need more samples than the frames that they stand behind.
    first = FRONT_ENDS[name.partition("+")[0]].min_samples
    assert len(features) == 1 + (len(speech) - first) // front_end.hop
    at_least = front_end.features(speech[: front_end.min_samples])
    assert len(at_least) == 1 + (front_end.min_samples - first) // front_end.hop
    assert len(front_end.features(speech[: front_end.min_samples - 1])) == 0
    assert front_end.frames_per_second == pytest.approx(SAMPLE_RATE / front_end.hop)
    assert front_end.batch_frames <= front_end.batch_seconds * SAMPLE_RATE / front_end.hop < front_end.batch_frames + 1


def test_they_are_the_documented_functions(speech) -> None:
    np.testing.assert_array_equal(FRONT_ENDS["vggish"].features(speech), log_mel_examples(speech, SAMPLE_RATE))
    np.testing.assert_array_equal(FRONT_ENDS["whisper80"].features(speech), whisper_log_mel(speech))


def test_features_leave_the_waveform_alone(speech) -> None:
    pytest.importorskip("opensmile")
    waveform = speech.copy()
    for front_end in FRONT_ENDS.values():
        front_end.features(waveform)
    np.testing.assert_array_equal(waveform, speech)


def test_features_need_no_heavy_package(demo_clip) -> None:
    """From a file to features without torch, SciPy or PyAV ever being imported, and openSMILE's where it is needed."""
    code = (
        "import sys\n"
        "from m3ser.audio import FRONT_ENDS, load_waveform\n"
        f"waveform = load_waveform({str(demo_clip)!r})\n"
        "for front_end in FRONT_ENDS.values(): front_end.extra or front_end.features(waveform)\n"
        "heavy = ('torch', 'transformers', 'scipy', 'sklearn', 'av', 'numba', 'opensmile', 'pandas')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
