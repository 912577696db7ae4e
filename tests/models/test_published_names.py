"""What published checkpoints call things, and what is refused."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from m3ser import models  # noqa: E402
from m3ser.errors import CheckpointError  # noqa: E402

PUBLISHED = ("3m-ser", "3m-ser-ln", "3m-ser-minmax", "server", "text-only", "audio-only")
"""The systems that published weights go by the names of."""

SIZES = {"text_dim": 16, "audio_dim": 8, "num_labels": 4}


@pytest.fixture
def weights(published):
    torch.manual_seed(0)
    return lambda name: dict(published(name, **SIZES).state_dict())


def load(name, state_dict, **options):
    model = models.build(name, **SIZES, **options)
    model.load_published_state_dict(state_dict)
    return model


def same(model, weights):
    return all(torch.equal(model.state_dict()[name], weight) for name, weight in weights.items())


@pytest.mark.parametrize("name", PUBLISHED)
def test_encoder_weights_are_left_aside(name, weights):
    own = weights(name)
    encoders = {
        "bert.embeddings.word_embeddings.weight": torch.zeros(3, 4),
        "text_encoder.pooler.dense.bias": torch.zeros(4),
        "vggish.features.0.weight": torch.zeros(2),
        "audio_encoder.vggish.features.0.weight": torch.zeros(2),
    }
    assert same(load(name, encoders | own), own)


@pytest.mark.parametrize("name", PUBLISHED)
def test_data_parallels_prefix(name, weights):
    own = weights(name)
    assert same(load(name, {f"module.{key}": value for key, value in own.items()}), own)


def test_the_names_of_2024(weights):
    own = weights("3m-ser-ln")
    renamed = {"vggish_layer_norm": "audio_encoder_layer_norm", "linear": "linear_0"}
    of_2024 = {".".join([renamed.get(part, part) for part in key.split(".")]): value for key, value in own.items()}
    assert {"audio_encoder_layer_norm.weight", "linear_0.bias"} <= of_2024.keys()
    assert same(load("3m-ser-ln", of_2024), own)


@pytest.mark.parametrize("name", PUBLISHED)
def test_missing_unexpected_and_misshapen_weights_are_named(name, weights):
    own = weights(name)
    model = models.build(name, **SIZES)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    own.pop("classifer.bias")
    own["extra.weight"] = torch.zeros(1)
    own["classifer.weight"] = torch.zeros(6, 64)
    with pytest.raises(CheckpointError) as failure:
        model.load_published_state_dict(own)
    message = str(failure.value)
    assert f"for {name} does not fit" in message
    assert "missing classifer.bias" in message
    assert "unexpected extra.weight" in message
    assert "classifer.weight is (6, 64), not (4, 64)" in message
    assert same(model, before), "part of a state dict that does not fit was loaded"


@pytest.mark.parametrize("name", ["3m-ser", "3m-ser-minmax"])
def test_a_layer_norm_on_audio_belongs_to_3m_ser_ln(name, weights):
    with pytest.raises(CheckpointError, match=r"unexpected vggish_layer_norm\.bias, .* belongs to 3m-ser-ln"):
        load(name, weights("3m-ser-ln"))
    with pytest.raises(CheckpointError, match=r"missing vggish_layer_norm\.bias, vggish_layer_norm\.weight"):
        load("3m-ser-ln", weights(name))


@pytest.mark.parametrize("name", ["3m-ser", "3m-ser-ln", "3m-ser-minmax"])
def test_the_earliest_3m_ser_is_refused_by_name(name, weights):
    earliest = {key: value for key, value in weights("3m-ser").items() if "layer_norm" not in key}
    with pytest.raises(CheckpointError, match=r"earliest published 3M-SER, .* attention over the batch axis"):
        load(name, earliest)


def test_another_head_than_published_is_refused(weights):
    own = weights("3m-ser") | {"linear_1.weight": torch.zeros(64, 64), "linear_1.bias": torch.zeros(64)}
    with pytest.raises(CheckpointError, match=r"unexpected linear_1\.bias, linear_1\.weight"):
        load("3m-ser", own)


def test_a_fusion_width_that_was_never_published(weights):
    with pytest.raises(CheckpointError, match=r"missing audio_linear\.bias"):
        load("3m-ser", weights("3m-ser"), fusion_dim=16)


def test_what_is_no_state_dict(weights):
    with pytest.raises(CheckpointError, match="'state_dict' in the published state dict is a dict; a tensor"):
        load("server", {"state_dict": weights("server")})


def test_weights_of_another_type_are_converted(weights):
    own = weights("server")
    model = load("server", {key: value.half() for key, value in own.items()})
    assert model.dtype == torch.float32
