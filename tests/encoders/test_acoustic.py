from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from m3ser.encoders import AcousticEncoder, build_encoder, lengths_to_mask  # noqa: E402
from m3ser.errors import UsageError  # noqa: E402


@pytest.mark.parametrize(
    ("spec", "front_end", "dim"),
    [
        ({"kind": "mfcc"}, "mfcc39", 39),
        ({"kind": "mfcc", "coefficients": 40, "functionals": "egemaps"}, "mfcc40+egemaps", 128),
        ({"kind": "egemaps"}, "egemaps", 88),
    ],
)
def test_kinds(spec, front_end, dim):
    encoder = build_encoder(spec)
    assert isinstance(encoder, AcousticEncoder)
    assert (encoder.front_end, encoder.dim, encoder.frozen, encoder.computed_once) == (front_end, dim, True, True)
    assert not list(encoder.parameters())
    assert build_encoder(encoder.config.to_dict()).config == encoder.config


def test_coefficients_are_normalised_over_the_utterance_and_functionals_are_not():
    encoder = build_encoder({"kind": "mfcc", "normalise": True, "functionals": "egemaps", "keep_frames": 50})
    features = torch.randn(2, 60, 127) * 5 + 3
    mask = lengths_to_mask(torch.tensor([60, 20]))
    states, states_mask = encoder(features, mask)
    assert states.shape == (2, 50, 127)
    assert torch.equal(states_mask, mask[:, :50])
    for row, length in enumerate((50, 20)):
        moving = states[row, :length, :39]
        torch.testing.assert_close(moving.mean(0), torch.zeros(39), atol=1e-5, rtol=0)
        torch.testing.assert_close(moving.std(0, correction=0), torch.ones(39), atol=1e-4, rtol=0)
        assert torch.equal(states[row, :length, 39:], features[row, :length, 39:])


def test_a_coefficient_that_does_not_move_becomes_zero():
    encoder = AcousticEncoder("mfcc39", normalise=True)
    states = encoder(torch.full((1, 4, 39), 7.0), torch.ones(1, 4, dtype=torch.bool)).states
    assert not states.any()


def test_other_front_ends_are_refused():
    with pytest.raises(UsageError, match="no acoustic features 'vggish'; there are mfcc39, mfcc40, egemaps"):
        AcousticEncoder("vggish")
    with pytest.raises(UsageError, match="keep_frames is 0"):
        AcousticEncoder("mfcc39", keep=0)


@pytest.mark.slow
def test_it_runs_in_onnx_runtime(through_onnx):
    encoder = AcousticEncoder("mfcc39+egemaps", normalise=True, keep=50)
    run = through_onnx(encoder, torch.randn(2, 70, 127))
    mask = lengths_to_mask(torch.tensor([77, 30, 1, 0]))
    features = torch.randn(4, 77, 127)
    expected, found = encoder(features, mask), run(features, mask)
    assert torch.equal(found.mask, expected.mask)
    torch.testing.assert_close(found.states, expected.states, rtol=1e-4, atol=1e-4)
