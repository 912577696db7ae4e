from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from m3ser.encoders import WhisperArchitecture, WhisperEncoder, freeze, lengths_to_mask  # noqa: E402
from m3ser.encoders.base import freeze_first  # noqa: E402
from m3ser.errors import UsageError  # noqa: E402


def features(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def whole(sequence: torch.Tensor) -> torch.Tensor:
    return torch.ones(sequence.shape[:2], dtype=torch.bool)


@pytest.fixture(scope="module")
def peer(small_architecture, small_whisper):
    """transformers' encoder with the same weights."""
    transformers = pytest.importorskip("transformers")
    from transformers.models.whisper.modeling_whisper import WhisperEncoder as TheirEncoder

    config = transformers.WhisperConfig(
        num_mel_bins=small_architecture.mel_bins,
        d_model=small_architecture.dim,
        encoder_layers=small_architecture.layers,
        encoder_attention_heads=small_architecture.heads,
        encoder_ffn_dim=small_architecture.ffn_dim,
        max_source_positions=small_architecture.positions,
    )
    encoder = TheirEncoder(config).eval()
    encoder.load_state_dict(small_whisper().state_dict())  # strict: the names are the same
    return encoder


def test_it_gives_what_transformers_gives(small_whisper, peer):
    # transformers takes the full length only.
    batch = features(2, 80, 10)
    with torch.no_grad():
        found = small_whisper()(batch, whole(batch))
        expected = peer(batch.transpose(1, 2)).last_hidden_state
    assert found.states.shape == (2, 40, 16)
    torch.testing.assert_close(found.states, expected, rtol=1e-5, atol=1e-5)


def test_hidden_states_are_numbered_as_in_transformers(small_whisper, peer):
    batch = features(1, 80, 10)
    with torch.no_grad():
        theirs = peer(batch.transpose(1, 2), output_hidden_states=True).hidden_states
        for number, expected in enumerate(theirs):
            found = small_whisper(layer=number)(batch, whole(batch)).states
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        both = small_whisper(layer=[3, 1])(batch, whole(batch)).states
        mean = small_whisper(layer=[3, 1], combine="mean")(batch, whole(batch)).states
    torch.testing.assert_close(both, torch.cat([theirs[3], theirs[1]], dim=-1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(mean, (theirs[3] + theirs[1]) / 2, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "dim", "blocks", "has_norm"),
    [
        ({}, 16, 3, True),
        ({"layer": 3}, 16, 3, True),
        ({"layer": 2}, 16, 2, False),
        ({"layer": 0}, 16, 0, False),
        ({"layer": [0, 2]}, 32, 2, False),
        ({"layer": [0, 2], "combine": "mean"}, 16, 2, False),
        ({"layer": [1, 3], "step_seconds": 0.1, "statistics": "mean+std"}, 64, 3, True),
        ({"step_seconds": 0.1}, 16, 3, True),
        ({"statistics": "mean+std"}, 16, 3, True),
    ],
)
def test_width_and_what_is_kept(small_whisper, options, dim, blocks, has_norm):
    encoder = small_whisper(**options)
    assert encoder.dim == dim
    assert len(encoder.layers) == blocks
    assert (encoder.layer_norm is not None) == has_norm
    batch = features(1, 12, 10)
    assert encoder(batch, whole(batch)).states.shape[-1] == dim


@pytest.mark.parametrize("layer", [4, -1, [], [1, 1], [0, 7]])
def test_layers_that_do_not_exist_are_refused(small_whisper, layer):
    with pytest.raises(UsageError, match="layer must name different hidden states from 0 to 3"):
        small_whisper(layer=layer)


@pytest.mark.parametrize("step_seconds", [0.03, 0.0, -0.02, 0.001])
def test_a_step_is_a_multiple_of_a_state(small_whisper, step_seconds):
    with pytest.raises(UsageError, match=r"step_seconds must be a multiple of 0\.02 s"):
        small_whisper(step_seconds=step_seconds)


def test_heads_must_divide_the_width():
    with pytest.raises(UsageError, match="width of 10 cannot be divided among 4"):
        WhisperArchitecture(mel_bins=80, dim=10, layers=1, heads=4, ffn_dim=8)


@pytest.mark.parametrize(("frames", "states"), [(1, 1), (2, 1), (3, 2), (80, 40)])
def test_every_second_frame_has_a_state(small_whisper, frames, states):
    batch = features(1, frames, 10)
    found = small_whisper()(batch, whole(batch))
    assert found.states.shape == (1, states, 16)
    assert found.mask.all()


@pytest.mark.parametrize("frames", [0, 81])
def test_lengths_without_positions_are_refused(small_whisper, frames):
    encoder = small_whisper()
    assert encoder.max_frames == 80
    with pytest.raises(UsageError, match=rf"takes 1 to 80 frames \(0\.8 s\) at a time, not {frames}"):
        encoder(torch.zeros(1, frames, 10), torch.ones(1, frames, dtype=torch.bool))


def test_other_features_are_refused(small_whisper):
    with pytest.raises(UsageError, match=r"\(batch, frames, 10\), not \(1, 10, 80\)"):
        small_whisper()(torch.zeros(1, 10, 80), torch.ones(1, 10, dtype=torch.bool))


def test_the_front_end_is_named_after_the_mel_bins(small_architecture):
    sizes = {"dim": 8, "layers": 1, "heads": 2, "ffn_dim": 8}
    assert WhisperEncoder(WhisperArchitecture(mel_bins=80, **sizes)).front_end == "whisper80"
    assert WhisperEncoder(WhisperArchitecture(mel_bins=128, **sizes)).front_end == "whisper128"


@pytest.mark.parametrize(("layer", "first"), [(3, 0), (3, 2), ([1, 3], 1), (2, 2)])
def test_it_goes_on_from_what_its_frozen_part_gave(small_whisper, layer, first):
    encoder = small_whisper(layer=layer)
    freeze_first(encoder, first)
    batch, mask = features(3, 31, 10), lengths_to_mask(torch.tensor([31, 8, 0]), steps=31)
    with torch.no_grad():
        lower, lower_mask = encoder.prefix(batch.masked_fill(~mask[..., None], torch.nan), mask)
        assert lower.shape == (3, 16, encoder.prefix_dim) == (3, 16, 16)
        assert bool((lower[~lower_mask] == 0).all())
        whole_way, found = encoder(batch, mask), encoder.forward_from(lower, lower_mask)
    torch.testing.assert_close(found.states, whole_way.states)
    assert torch.equal(found.mask, whole_way.mask)


def test_what_cannot_be_parted(small_whisper):
    frozen, whole_one, below = small_whisper(), small_whisper(), small_whisper(layer=[1, 3])
    freeze(frozen)
    freeze_first(below, 2)  # yields a state from below the first block that learns
    assert [one.prefix_dim for one in (frozen, whole_one, below)] == [None, None, None]
    part = small_whisper()
    freeze_first(part, 1)
    with pytest.raises(UsageError, match="takes 1 to 40 states at a time, not 41"):
        part.encode_from(torch.zeros(1, 41, 16), torch.ones(1, 41, dtype=torch.bool))


def test_nothing_but_padding_is_zero_and_its_gradient_finite(small_whisper):
    encoder = small_whisper(step_seconds=0.04, statistics="mean+std").train()
    batch = features(2, 9, 10)
    batch[1] = torch.nan
    states, mask = encoder(batch, lengths_to_mask(torch.tensor([9, 0]), steps=9))
    states.square().sum().backward()
    assert torch.count_nonzero(states[1]) == 0
    assert not mask[1].any()
    gradients = [parameter.grad for parameter in encoder.parameters() if parameter.requires_grad]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert any(torch.count_nonzero(gradient) for gradient in gradients)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{}, {"layer": [0, 2], "step_seconds": 0.1, "statistics": "mean+std"}, {"layer": [1, 2], "combine": "mean"}],
)
def test_it_runs_in_onnx_runtime(small_whisper, through_onnx, options):
    encoder = small_whisper(**options)
    run = through_onnx(encoder, features(2, 30, 10))
    for lengths in ([1], [2], [31, 7], [5, 80, 1], [0, 12]):
        mask = lengths_to_mask(torch.tensor(lengths))
        batch = features(*mask.shape, 10, seed=1)
        with torch.no_grad():
            expected = encoder(batch, mask)
        found = run(batch, mask)
        assert torch.equal(found.mask, expected.mask)
        torch.testing.assert_close(found.states, expected.states, rtol=1e-4, atol=1e-4)
