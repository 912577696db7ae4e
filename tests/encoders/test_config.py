from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")

from m3ser.encoders import (  # noqa: E402
    Encoder,
    TextConfig,
    TextEncoder,
    VGGishConfig,
    VGGishEncoder,
    WhisperConfig,
    WhisperEncoder,
    build_encoder,
)
from m3ser.errors import CheckpointError, UsageError  # noqa: E402


def rebuilt(encoder: Encoder) -> Encoder:
    """The same encoder from its config, having been a line of JSON."""
    assert encoder.config is not None
    return build_encoder(json.loads(json.dumps(encoder.config.to_dict())))


def same_weights(one: Encoder, other: Encoder) -> bool:
    weights, others = one.state_dict(), other.state_dict()
    return weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in weights)


def test_whisper(whisper_tiny):
    spec = {
        "kind": "whisper",
        "source": str(whisper_tiny),
        "layer": [1, 2],
        "step_seconds": 0.32,
        "statistics": "mean+std",
    }
    encoder = build_encoder(spec)
    assert isinstance(encoder, WhisperEncoder)
    assert encoder.frozen
    assert (encoder.dim, encoder.selection.picked, encoder.selection.window) == (1536, (1, 2), 16)
    other = rebuilt(encoder)
    assert other.config == encoder.config
    assert other.dim == encoder.dim
    assert same_weights(encoder, other)


def test_text(minilm):
    encoder = build_encoder(TextConfig(source=str(minilm), pooled=True, frozen=False))
    assert isinstance(encoder, TextEncoder)
    assert encoder.pooled
    assert not encoder.frozen
    other = rebuilt(encoder)
    assert other.config == encoder.config
    assert same_weights(encoder, other)


@pytest.mark.slow
def test_vggish(vggish, tmp_path):
    torch.save(vggish.state_dict(), tmp_path / "vggish.pth")
    arrays = {"pca_eigen_vectors": torch.eye(128), "pca_means": torch.zeros(128)}
    torch.save(arrays, tmp_path / "pca.pth")
    config = VGGishConfig(source=str(tmp_path / "vggish.pth"), pca=str(tmp_path / "pca.pth"), postprocess=True)
    encoder = build_encoder(config)
    assert isinstance(encoder, VGGishEncoder)
    assert encoder.vggish.pproc is not None
    assert same_weights(encoder, rebuilt(encoder))
    (tmp_path / "vggish.pth").unlink()  # 288 MB


def test_vggish_with_random_weights_can_be_trained():
    encoder = build_encoder({"kind": "vggish", "source": None, "frozen": False})
    assert isinstance(encoder, VGGishEncoder)
    assert all(parameter.requires_grad for parameter in encoder.parameters())


def test_the_papers_encoders_are_the_defaults():
    assert VGGishConfig().to_dict() == {
        "frozen": True,
        "kind": "vggish",
        "source": "published",
        "pca": "published",
        "postprocess": False,
    }
    assert TextConfig().source == "bert-base-uncased"


def test_an_encoder_built_by_hand_has_no_config(small_whisper):
    assert small_whisper().config is None


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"kind": "hubert"},
            "no encoder of kind 'hubert'; known kinds are egemaps, mfcc, speech, text, vggish, whisper, word-vectors",
        ),
        ({}, "no encoder of kind None"),
        ({"kind": ["text"]}, r"no encoder of kind \['text'\]"),
        (
            {"kind": "text", "poled": True},
            "'text' has no option 'poled'; it has frozen, lora, layer, combine, kind, source, revision, pooled",
        ),
        ({"kind": "text", "pooled": "yes"}, "'text' are not possible: pooled: Input should be a valid boolean"),
        ({"kind": "whisper"}, "'whisper' are not possible: source: Field required"),
        ({"kind": "whisper", "source": "x", "statistics": "max"}, "statistics: Input should be 'mean' or 'mean\\+std'"),
        ({"kind": "vggish", "postprocess": True, "frozen": False}, "cannot be trained through its post-processing"),
        ({"kind": "vggish", "postprocess": True, "source": None}, "random weights has no post-processing"),
        ({"kind": "vggish", "frozen": {"first": 2}}, "VGGish has no blocks"),
        ({"kind": "text", "frozen": {"first": -1}}, "frozen.*greater than or equal to 0"),
        ({"kind": "text", "frozen": False, "lora": {}}, "lora leaves the encoder's own weights as they are"),
        ({"kind": "text", "lora": {"rank": 0}}, "lora.rank: Input should be greater than or equal to 1"),
        ({"kind": "mfcc", "frozen": False}, "acoustic features have no weights that could learn"),
        ({"kind": "egemaps", "frozen": {"first": 0}}, "acoustic features have no weights that could learn"),
        ({"kind": "mfcc", "coefficients": 13}, "coefficients: Input should be 39 or 40"),
    ],
)
def test_what_is_not_possible_is_one_sentence(spec, words):
    with pytest.raises(UsageError, match=words) as caught:
        build_encoder(spec)
    assert "\n" not in str(caught.value)


def test_an_option_that_does_not_fit_the_model_is_an_error(whisper_tiny):
    with pytest.raises(UsageError, match="layer must name"):
        build_encoder(WhisperConfig(source=str(whisper_tiny), layer=9))


def test_a_source_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="is not a folder with a model"):
        build_encoder({"kind": "text", "source": str(tmp_path / "nothing")})
