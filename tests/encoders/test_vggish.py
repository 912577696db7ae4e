from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from m3ser.encoders import Postprocessor, VGGish, VGGishEncoder, freeze, lengths_to_mask  # noqa: E402
from m3ser.errors import UsageError  # noqa: E402


@pytest.fixture(scope="module")
def peer(vggish):
    """torchvggish's network with the same weights; its own post-processor would go to the network when built."""
    torchvggish = pytest.importorskip("torchvggish.torchvggish")
    network = torchvggish.VGG(torchvggish.make_layers(), False).eval()
    network.load_state_dict(vggish.state_dict())
    return network


@pytest.fixture(scope="module")
def examples():
    """Five examples with the range of real log-mel: ln(0.01) at the least."""
    return torch.rand(5, 96, 64, generator=torch.Generator().manual_seed(1)) * 8 - 4.6


def test_it_has_torchvggishs_parameters(vggish, peer):
    ours = {name: value.shape for name, value in vggish.state_dict().items()}
    assert ours == {name: value.shape for name, value in peer.state_dict().items()}
    assert sum(parameter.numel() for parameter in vggish.parameters()) == 72_141_184


def test_it_takes_torchvggishs_state_dict(vggish, peer, examples):
    other = VGGish()
    other.load_state_dict(peer.state_dict())
    with torch.no_grad():
        assert torch.equal(other(examples[:1]), vggish(examples[:1]))


def test_it_gives_what_torchvggish_gives(vggish, peer, examples):
    with torch.no_grad():
        ours, theirs = vggish(examples), peer(examples.unsqueeze(1))
    assert ours.shape == (5, 128)
    assert theirs.abs().max() > 0
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.abs().max()))


def test_both_shapes_of_examples_are_the_same(vggish, examples):
    with torch.no_grad():
        assert torch.equal(vggish(examples), vggish(examples.unsqueeze(1)))


@pytest.mark.parametrize("shape", [(96, 64), (2, 64, 96), (2, 3, 96, 64), (1, 1, 1, 96, 64)])
def test_other_shapes_are_named(vggish, shape):
    with pytest.raises(UsageError, match=r"VGGish takes examples of shape \(n, 96, 64\), not"):
        vggish(torch.zeros(shape))


def test_post_processing_is_torchvggishs():
    torchvggish = pytest.importorskip("torchvggish.torchvggish")
    generator = torch.Generator().manual_seed(2)
    theirs = object.__new__(torchvggish.Postprocessor)  # its constructor downloads
    theirs._pca_matrix = torch.randn(128, 128, generator=generator) / 8
    theirs._pca_means = torch.rand(128, 1, generator=generator)
    ours = Postprocessor()
    ours.load_state_dict({"pca_eigen_vectors": theirs._pca_matrix, "pca_means": theirs._pca_means[:, 0]})
    embeddings = torch.rand(50, 128, generator=generator) * 2
    found, expected = ours(embeddings), theirs.postprocess(embeddings)
    assert found.shape == (50, 128)
    # Whole numbers: a product that falls between two of them may be rounded up here and down there.
    assert (found - expected).abs().max() <= 1
    assert (found == expected).float().mean() > 0.999
    assert torch.equal(found, found.round())
    assert found.min() == 0
    assert found.max() == 255
    assert len(found.unique()) > 100


def test_the_whole_network_with_post_processing_is_torchvggishs(vggish, peer, examples):
    torchvggish = pytest.importorskip("torchvggish.torchvggish")
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        typical = vggish(examples).mean(dim=0)
    scale = 1 / float(typical.std())
    processor = object.__new__(torchvggish.Postprocessor)
    processor._pca_matrix = torch.randn(128, 128, generator=generator) * scale
    processor._pca_means = typical[:, None]
    ours = VGGish(postprocess=True).eval()
    pca = {"pproc.pca_eigen_vectors": processor._pca_matrix, "pproc.pca_means": processor._pca_means[:, 0]}
    ours.load_state_dict(vggish.state_dict() | pca)
    peer.postprocess, peer.pproc = True, processor
    try:
        with torch.no_grad():
            found, expected = ours(examples), peer(examples.unsqueeze(1))
    finally:
        peer.postprocess = False
        del peer.pproc
    assert len(expected.unique()) > 50
    assert (found - expected).abs().max() <= 1
    assert (found == expected).float().mean() > 0.99


def test_post_processing_lets_no_gradient_through():
    embeddings = torch.rand(3, 128, requires_grad=True)
    Postprocessor()(embeddings).sum().backward()
    assert torch.count_nonzero(embeddings.grad) == 0


def test_gradients_reach_every_weight(examples):
    encoder = VGGishEncoder(VGGish())
    mask = torch.tensor([[True, True], [True, False]])
    encoder(examples[:4].unflatten(0, (2, 2)), mask).states.square().sum().backward()
    assert all(torch.count_nonzero(parameter.grad) > 0 for parameter in encoder.parameters())


def test_a_frozen_encoder_has_no_gradient(vggish, examples):
    network = VGGish()
    encoder = freeze(VGGishEncoder(network))
    states = encoder(examples[None], torch.ones(1, 5, dtype=torch.bool)).states
    assert not states.requires_grad


def test_an_encoder_yields_a_state_for_each_real_example(vggish, examples):
    encoder = VGGishEncoder(vggish)
    features = torch.stack([examples[:3], examples[2:]])
    features[1, 1:] = torch.nan
    mask = lengths_to_mask(torch.tensor([3, 1]))
    with torch.no_grad():
        states, states_mask = encoder(features, mask)
        expected = vggish(examples[:3])
    assert encoder.dim == states.shape[-1] == 128
    assert encoder.front_end == "vggish"
    assert torch.equal(states_mask, mask)
    torch.testing.assert_close(states[0], expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(states[1, 0], expected[2], rtol=1e-5, atol=1e-6)
    assert torch.count_nonzero(states[1, 1:]) == 0


def test_a_batch_without_real_examples_is_all_zeros(vggish):
    features = torch.full((2, 1, 96, 64), torch.nan)
    with torch.no_grad():
        states, _ = VGGishEncoder(vggish)(features, torch.zeros(2, 1, dtype=torch.bool))
    assert torch.count_nonzero(states) == 0


@pytest.mark.slow
def test_it_runs_in_onnx_runtime(vggish, examples, through_onnx):
    encoder = VGGishEncoder(vggish)
    run = through_onnx(encoder.eval(), examples[:4].unflatten(0, (2, 2)))
    for lengths in ([1], [3, 1], [1, 2, 5]):
        mask = lengths_to_mask(torch.tensor(lengths))
        features = torch.from_numpy(np.random.default_rng(0).normal(size=(*mask.shape, 96, 64)).astype(np.float32))
        with torch.no_grad():
            expected = encoder(features, mask)
        found = run(features, mask)
        assert torch.equal(found.mask, mask)
        torch.testing.assert_close(found.states, expected.states, rtol=1e-4, atol=1e-4)
