from __future__ import annotations

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from m3ser import models  # noqa: E402
from m3ser.errors import UsageError  # noqa: E402
from m3ser.models import FusionModel  # noqa: E402

SIZES = {"text_dim": 32, "audio_dim": 16, "num_labels": 3}

FAITHFUL = ("3m-ser", "3m-ser-ln", "3m-ser-minmax", "server", "text-only", "audio-only", "memocmt", "4m-ser")
FAITHFUL += ("mdre", "mdrea", "are", "tre")
TIERS = dict.fromkeys(FAITHFUL, "faithful") | {
    "mcsan": "near",
    "can": "reconstruction",
    "m-elmo": "reconstruction",
    "adcrnn": "reconstruction",
}


def test_every_name_is_listed_with_its_tier_and_source():
    assert sorted(models.SYSTEMS) == sorted(TIERS)
    for name, system in models.SYSTEMS.items():
        assert system.name == name
        assert system.tier == TIERS[name]
        docstring = sys.modules[system.model_class().__module__].__doc__
        assert f"Tier: {system.tier}" in docstring
        assert system.source
        assert "\n" not in system.description
        assert issubclass(system.model_class(), FusionModel)
    assert len({models.system(name).description for name in models.names()}) == len(models.names())


@pytest.mark.parametrize("name", models.names())
def test_build(name):
    model = models.build(name, **SIZES)
    assert isinstance(model, FusionModel)
    assert model.config.system == name
    assert model.config.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    logits = model(torch.randn(5, 4, 32), None, torch.randn(5, 2, 16), None).logits
    assert logits.shape == (5, 3)


def test_labels_are_in_the_config():
    config = models.build("server", **SIZES, labels=("angry", "happy", "sad")).config
    assert config.labels == ("angry", "happy", "sad")
    assert config.id2label == {0: "angry", 1: "happy", 2: "sad"}
    assert config.label2id == {"angry": 0, "happy": 1, "sad": 2}


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"no model '3mser'; there are 3m-ser, 3m-ser-ln, .*, audio-only"):
        models.build("3mser", **SIZES)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("3m-ser", ("num_heads", "dropout", "hidden_dim", "fusion_dim")),
        ("server", ("dropout", "hidden_dim", "fusion_dim")),
        ("text-only", ("dropout", "hidden_dim")),
        ("are", ("hidden_dim", "dropout", "functionals_dim", "max_steps")),
        ("tre", ("hidden_dim", "dropout", "max_tokens")),
        ("can", ("segments", "hidden_dim", "dropout")),
        ("mcsan", ("fusion_dim", "num_heads", "inner_dim", "dropout", "max_steps")),
        ("adcrnn", ("fusion_dim", "dilations", "hidden_dim", "dropout")),
        ("audio-only", ("hidden_dim", "pooling")),
    ],
)
def test_an_unknown_option_lists_the_known_ones(name, options):
    with pytest.raises(UsageError, match=rf"{name} has no option heads; it has {', '.join(options)}\."):
        models.build(name, **SIZES, heads=8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text_dim": 30}, "text_dim is 30, which 8 attention heads do not divide"),
        ({"audio_dim": 20}, "fusion_dim is 20, which 8 attention heads do not divide"),
        ({"fusion_dim": 10, "num_heads": 4}, "fusion_dim is 10, which 4 attention heads do not divide"),
        ({"num_heads": 0}, "num_heads is 0; a positive integer"),
        ({"text_dim": -1}, "text_dim is -1; a positive integer"),
        ({"audio_dim": 16.0}, r"audio_dim is 16\.0; a positive integer"),
        ({"hidden_dim": True}, "hidden_dim is True; a positive integer"),
        ({"dropout": 1.0}, r"dropout is 1\.0; a number from 0"),
        ({"dropout": "0.5"}, r"dropout is '0\.5'; a number"),
        ({"num_labels": 1}, "num_labels is 1; a classifier needs at least two"),
        ({"num_labels": 0}, "num_labels is 0; a positive integer"),
        ({"labels": ["angry", "sad"]}, "num_labels is 3, but 2 labels are given: angry, sad"),
        ({"labels": ["angry", "sad", "sad"]}, "labels angry, sad, sad are not all different"),
    ],
)
def test_impossible_sizes(change, message):
    with pytest.raises(UsageError, match=message):
        models.build("3m-ser-ln", **(SIZES | change))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("are", {"functionals_dim": 16}, "functionals_dim is 16, which leaves none of the 16 features"),
        ("mdre", {"functionals_dim": -1}, "functionals_dim is -1; an integer of at least 0"),
        ("mdrea", {"functionals_dim": True}, "functionals_dim is True; an integer of at least 0"),
        ("mdre", {"hidden_dim": 1}, "hidden_dim is 1; mdre halves it"),
        ("mdre", {"text_dropout": 1}, "text_dropout is 1; a number from 0"),
        ("tre", {"max_tokens": 0}, "max_tokens is 0; a positive integer"),
        ("can", {"segments": 0}, "segments is 0; a positive integer"),
        ("mcsan", {"fusion_dim": 12}, "fusion_dim is 12, which 8 attention heads do not divide"),
        ("adcrnn", {"dilations": []}, "dilations is empty; at least one layer"),
        ("adcrnn", {"dilations": (1, 0)}, "dilations is 0; a positive integer"),
    ],
)
def test_impossible_options_of_one_system(name, options, message):
    with pytest.raises(UsageError, match=message):
        models.build(name, **SIZES, **options)


@pytest.mark.parametrize("name", ["3m-ser", "3m-ser-ln", "3m-ser-minmax", "server"])
def test_another_fusion_width_puts_a_linear_layer_before_the_audio(name):
    as_published = models.build(name, **SIZES)
    assert not hasattr(as_published, "audio_linear")
    assert not hasattr(models.build(name, **SIZES, fusion_dim=16), "audio_linear")
    wider = models.build(name, **SIZES, fusion_dim=24).eval()
    assert wider.audio_linear.weight.shape == (24, 16)
    text, audio = torch.randn(2, 4, 32), torch.randn(2, 3, 16, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    logits = wider(text, None, audio, mask).logits
    torch.testing.assert_close(logits[1:], wider(text[1:], None, audio[1:, :1], None).logits)
    logits.sum().backward()
    assert wider.audio_linear.weight.grad.abs().sum() > 0


def test_the_loss_is_the_cross_entropy():
    model = models.build("3m-ser-ln", **SIZES).eval()
    text, audio, labels = torch.randn(4, 5, 32), torch.randn(4, 2, 16), torch.tensor([0, 2, 1, 1])
    output = model(text, None, audio, None, labels=labels)
    expected = -output.logits.log_softmax(dim=1)[torch.arange(4), labels].mean()
    torch.testing.assert_close(output.loss, expected)
    assert model(text, None, audio, None).loss is None


@pytest.mark.parametrize("name", models.names())
def test_evaluation_mode_is_deterministic(name):
    model = models.build(name, **SIZES).eval()
    batch = (torch.randn(3, 5, 32), None, torch.randn(3, 2, 16), None)
    assert torch.equal(model(*batch).logits, model(*batch).logits)
    model.train()
    same = torch.equal(model(*batch).logits, model(*batch).logits)
    if name in models.SYSTEMS:
        assert same is (name == "audio-only")  # the one without dropout


@pytest.mark.slow
def test_listing_the_systems_needs_no_torch():
    code = (
        "import sys; from m3ser import models; models.names(); models.SYSTEMS['server'].description;"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.slow
def test_without_torch_building_says_what_to_install():
    code = (
        "import sys; sys.modules['torch'] = None; from m3ser import errors, models\n"
        "for use in (lambda: models.build('server', text_dim=8, audio_dim=8, num_labels=2), lambda: models.load):\n"
        "    try: use()\n"
        "    except errors.MissingExtraError as error: print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.count('pip install "m3ser[train]"') == 2, result.stdout + result.stderr


def test_public_names_are_there():
    for name in models.__all__:
        assert getattr(models, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = models.nothing
