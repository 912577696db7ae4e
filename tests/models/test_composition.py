from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from m3ser import models  # noqa: E402
from m3ser.encoders import (  # noqa: E402
    Encoder,
    EncoderStates,
    TextEncoder,
    VGGish,
    VGGishEncoder,
    WhisperArchitecture,
    WhisperEncoder,
    freeze,
)
from m3ser.errors import CheckpointError, UsageError  # noqa: E402
from m3ser.models import SpeechEmotionModel  # noqa: E402

LABELS = ("angry", "happy", "sad", "neutral")
VOCABULARY, BINS = 50, 8


def text_encoder(*, pooled=False, frozen=True):
    config = transformers.BertConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    encoder = TextEncoder(transformers.BertModel(config), pooled=pooled)
    return freeze(encoder) if frozen else encoder.eval()


def audio_encoder(*, frozen=True, **options):
    sizes = WhisperArchitecture(mel_bins=BINS, dim=12, layers=2, heads=2, ffn_dim=24, positions=40)
    encoder = WhisperEncoder(sizes, **({"layer": (1, 2), "step_seconds": 0.04} | options))
    return freeze(encoder) if frozen else encoder.eval()


def whole(name="3m-ser-ln", *, frozen=True, pooled=False, **options):
    torch.manual_seed(0)
    fusion = models.build(name, text_dim=16, audio_dim=24, num_labels=4, labels=LABELS, **options)
    return SpeechEmotionModel.from_parts(
        fusion,
        text_encoder=text_encoder(pooled=pooled, frozen=frozen) if "text" in fusion.modalities else None,
        audio_encoder=audio_encoder(frozen=frozen) if "audio" in fusion.modalities else None,
    ).eval()


def batch_of(lengths, seed=0):
    """(tokens, frames) of each utterance -> input_ids, attention_mask, features, features_mask."""
    generator = torch.Generator().manual_seed(seed)
    tokens, frames = (max(1, *some) for some in zip(*lengths, strict=True))
    counts, frame_counts = torch.tensor(lengths).T
    ids = torch.randint(1, VOCABULARY, (len(lengths), tokens), generator=generator)
    features = torch.randn(len(lengths), frames, BINS, generator=generator)
    return ids, torch.arange(tokens) < counts[:, None], features, torch.arange(frames) < frame_counts[:, None]


def same_weights(one, other):
    theirs = other.state_dict()
    return theirs.keys() == one.state_dict().keys() and all(
        torch.equal(value, theirs[key]) for key, value in one.state_dict().items()
    )


@pytest.mark.parametrize(
    ("name", "count"), [("3m-ser", 184_175_812), ("3m-ser-ln", 184_176_068), ("3m-ser-minmax", 184_175_812)]
)
def test_the_published_whole_has_the_published_number_of_parameters(name, count):
    with torch.device("meta"):
        model = SpeechEmotionModel.from_parts(
            models.build(name, text_dim=768, audio_dim=128, num_labels=4),
            text_encoder=TextEncoder(transformers.BertModel(transformers.BertConfig())),
            audio_encoder=VGGishEncoder(VGGish()),
        )
    assert model.text_encoder.model.num_parameters() == 109_482_240
    assert sum(weight.numel() for weight in model.audio_encoder.parameters()) == 72_141_184
    assert model.num_parameters() == count


def test_the_parts_keep_their_weights():
    torch.manual_seed(0)
    parts = models.build("server", text_dim=16, audio_dim=24, num_labels=4), text_encoder(), audio_encoder()
    before = [{key: value.clone() for key, value in part.state_dict().items()} for part in parts]
    model = SpeechEmotionModel.from_parts(parts[0], text_encoder=parts[1], audio_encoder=parts[2])
    for part, weights in zip((model.fusion, model.text_encoder, model.audio_encoder), before, strict=True):
        assert all(torch.equal(value, weights[key]) for key, value in part.state_dict().items())


def test_it_is_encoders_and_then_fusion():
    model = whole()
    ids, ids_mask, features, features_mask = batch_of([(5, 21), (3, 9)])
    with torch.no_grad():
        text, audio = model.text_encoder(ids, ids_mask), model.audio_encoder(features, features_mask)
        expected = model.fusion(text.states, text.mask, audio.states, audio.mask, output_attentions=True)
        output = model(ids, ids_mask, features, features_mask, labels=torch.tensor([1, 3]), output_attentions=True)
    assert torch.equal(output.logits, expected.logits)
    assert all(map(torch.equal, output.attentions, expected.attentions))
    torch.testing.assert_close(output.loss, torch.nn.functional.cross_entropy(output.logits, torch.tensor([1, 3])))


@pytest.mark.parametrize("name", models.names())
def test_a_padded_batch_equals_its_utterances_alone(name):
    model = whole(name)
    lengths = [
        (5, 21),
        (1, 40),
        (9, 3),
        *([(0, 12)] if "audio" in model.fusion.modalities else []),
        *([(4, 0)] if "text" in model.fusion.modalities else []),
    ]
    ids, ids_mask, features, features_mask = batch_of(lengths)
    garbled = features.masked_fill(~features_mask[..., None], 1e4)
    with torch.no_grad():
        logits = model(ids, ids_mask, garbled, features_mask).logits
        for row, (tokens, frames) in enumerate(lengths):
            alone = model(
                ids[row : row + 1, :tokens] if tokens else None,
                None,
                features[row : row + 1, :frames] if frames else None,
                None,
            ).logits
            torch.testing.assert_close(logits[row : row + 1], alone, rtol=1e-5, atol=1e-5)


def test_an_utterance_without_anything_is_named():
    ids, ids_mask, features, features_mask = batch_of([(5, 21), (0, 0)])
    with pytest.raises(UsageError, match="Row 1 "):
        whole()(ids, ids_mask, features, features_mask)


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("name", models.names())
def test_saved_and_loaded_it_is_the_same(name, frozen, tmp_path):
    model = whole(name, frozen=frozen, pooled=name in ("server", "text-only"))
    loaded = models.load(models.save(model, tmp_path / "model"))
    assert isinstance(loaded, SpeechEmotionModel)
    assert type(loaded.fusion) is type(model.fusion)
    assert not any(part.training for part in loaded.modules())
    assert same_weights(model, loaded)
    assert loaded.config.labels == loaded.fusion.config.labels == LABELS
    for modality in ("text_encoder", "audio_encoder"):
        encoder = getattr(loaded, modality)
        assert encoder is None or encoder.frozen is frozen
    assert [weight.requires_grad for weight in loaded.parameters()] == [
        weight.requires_grad for weight in model.parameters()
    ]
    batch = batch_of([(5, 21), (3, 9)])
    with torch.no_grad():
        assert torch.equal(model(*batch).logits, loaded(*batch).logits)


def test_what_was_saved_names_no_place(tmp_path):
    """The encoders' sources may be gone when it is loaded; it must not know them."""
    source = tmp_path / "source"
    text_encoder().model.save_pretrained(source)
    fusion = models.build("text-only", text_dim=16, audio_dim=1, num_labels=4)
    model = SpeechEmotionModel.from_parts(fusion, text_encoder={"kind": "text", "source": str(source)})
    models.save(model, tmp_path / "model")
    assert str(tmp_path) not in (tmp_path / "model" / "config.json").read_text()
    source.rename(tmp_path / "gone")
    assert same_weights(model, models.load(tmp_path / "model"))


def test_a_bert_without_pooler_keeps_none(tmp_path):
    encoder = text_encoder()
    encoder.model.pooler = None
    fusion = models.build("text-only", text_dim=16, audio_dim=1, num_labels=4)
    model = SpeechEmotionModel.from_parts(fusion, text_encoder=encoder)
    assert models.load(models.save(model, tmp_path / "model")).text_encoder.model.pooler is None


def test_frozen_encoders_stay_as_they_are_while_the_rest_is_trained():
    model = whole(frozen=True).train()
    assert model.fusion.training
    for encoder in (model.text_encoder, model.audio_encoder):
        assert not any(part.training for part in encoder.modules())
    batch = batch_of([(5, 21), (3, 9)])
    text_states = model.text_encoder(*batch[:2]).states
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    model(*batch, labels=torch.tensor([0, 1])).loss.backward()
    assert all(weight.grad is None for weight in [*model.text_encoder.parameters(), *model.audio_encoder.parameters()])
    optimiser.step()
    changed = {
        key.partition(".")[0] for key, value in model.state_dict().items() if not torch.equal(value, before[key])
    }
    assert changed == {"fusion"}
    assert torch.equal(model.text_encoder(*batch[:2]).states, text_states)


def test_encoders_that_are_not_frozen_learn():
    model = whole(frozen=False).train()
    model(*batch_of([(5, 21), (3, 9)]), labels=torch.tensor([0, 1])).loss.backward()
    assert model.text_encoder.model.embeddings.word_embeddings.weight.grad.abs().sum() > 0
    assert model.audio_encoder.conv1.weight.grad.abs().sum() > 0
    model.train()
    assert model.text_encoder.training
    model.eval()
    assert not any(part.training for part in model.modules())


@pytest.mark.parametrize("kind", ["text", "audio"])
def test_encoders_and_fusion_must_belong_together(kind):
    encoders = {"text_encoder": text_encoder(), "audio_encoder": audio_encoder()}
    alone = models.build(f"{kind}-only", text_dim=16, audio_dim=24, num_labels=4)
    other = "audio" if kind == "text" else "text"
    with pytest.raises(UsageError, match=f"{kind}-only does not look at {other}, and takes no encoder for it"):
        SpeechEmotionModel.from_parts(alone, **encoders)
    both = models.build("server", text_dim=16, audio_dim=24, num_labels=4)
    with pytest.raises(UsageError, match=f"server needs a {kind} encoder"):
        SpeechEmotionModel.from_parts(both, **(encoders | {f"{kind}_encoder": None}))
    wide = models.build("server", **({"text_dim": 16, "audio_dim": 24, "num_labels": 4} | {f"{kind}_dim": 40}))
    with pytest.raises(UsageError, match=f"The {kind} encoder yields states of width .*; the fusion model expects 40"):
        SpeechEmotionModel.from_parts(wide, **encoders)


def test_an_encoder_of_somebody_elses_cannot_be_saved():
    class Mine(Encoder):
        dim = 16

        def forward(self, input_ids, attention_mask):
            return EncoderStates(input_ids[..., None].float().expand(-1, -1, 16), attention_mask)

    with pytest.raises(UsageError, match="A Mine cannot be saved"):
        SpeechEmotionModel.from_parts(
            models.build("text-only", text_dim=16, audio_dim=1, num_labels=4), text_encoder=Mine()
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"kind": "wav2vec"},
            "encoder of kind 'wav2vec'; known kinds are acoustic, speech, text, vggish, whisper, word-vectors",
        ),
        ({"colour": "red"}, "encoder of kind 'whisper' cannot be built: .*colour"),
        ({"layer": [7]}, "layer must name"),
    ],
)
def test_a_checkpoint_with_an_impossible_encoder(change, message, tmp_path):
    folder = models.save(whole(), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["audio"] |= change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        models.load(folder)


def test_a_checkpoint_without_a_fusion_model(tmp_path):
    folder = models.save(whole(), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    del config["fusion"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="makes no sense"):
        models.load(folder)


def published_names(model, text="bert.", audio="vggish.", prefix=""):
    """The weights of `model` under the names that a published checkpoint has for them."""
    found = {f"{text}{key}": value for key, value in model.text_encoder.model.state_dict().items()}
    found |= {f"{audio}{key}": value for key, value in model.audio_encoder.vggish.state_dict().items()}
    found |= dict(model.fusion.state_dict())
    return {f"{prefix}{key}": value for key, value in found.items()}


@pytest.fixture(scope="module")
def with_vggish():
    """Two models of the same graph and other weights, VGGish's post-processing in the second."""
    pair = []
    for seed, postprocess in ((1, False), (2, False), (3, True)):
        torch.manual_seed(seed)
        pair.append(
            SpeechEmotionModel.from_parts(
                models.build("3m-ser-ln", text_dim=16, audio_dim=128, num_labels=4),
                text_encoder=text_encoder(),
                audio_encoder=freeze(VGGishEncoder(VGGish(postprocess=postprocess))),
            ).eval()
        )
    return pair


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    [
        {},
        {"prefix": "module."},
        {"text": "text_encoder.", "audio": "audio_encoder.vggish."},
        {"text": "text_encoder.", "audio": "audio_encoder."},
    ],
)
def test_a_whole_published_checkpoint(with_vggish, names):
    source, target, _ = with_vggish
    weights = published_names(source, **names)
    # transformers once saved this buffer.
    weights[f"{names.get('prefix', '')}{names.get('text', 'bert.')}embeddings.position_ids"] = torch.arange(512)[None]
    with torch.no_grad():
        for weight in target.parameters():
            weight.zero_()
    target.load_published_state_dict(weights)
    assert same_weights(source, target)
    ids, ids_mask, *_ = batch_of([(5, 1)])
    examples = torch.randn(1, 2, 96, 64)
    with torch.no_grad():
        logits = [model(ids, ids_mask, examples, None).logits for model in (source, target)]
    assert torch.equal(*logits)


@pytest.mark.slow
def test_the_pca_may_be_in_the_published_checkpoint_or_not(with_vggish):
    source, _, target = with_vggish
    means = target.audio_encoder.vggish.pproc.pca_means
    with torch.no_grad():
        means.fill_(0.5)
    target.load_published_state_dict(published_names(source))
    assert (means == 0.5).all()
    weights = published_names(source)
    weights["vggish.pproc.pca_means"] = torch.full((128, 1), 0.25)
    weights["vggish.pproc.pca_eigen_vectors"] = 2 * torch.eye(128)
    target.load_published_state_dict(weights)
    assert (means == 0.25).all()
    with pytest.raises(CheckpointError, match=r"audio encoder of the published .* unexpected pproc"):
        source.load_published_state_dict(weights)


@pytest.mark.slow
def test_a_published_checkpoint_that_does_not_fit_changes_nothing(with_vggish):
    source, target, _ = with_vggish
    weights = {key: torch.full_like(value, 9) for key, value in published_names(source).items()}
    before = {key: value.clone() for key, value in target.state_dict().items()}
    for key, message in (
        ("classifer.weight", r"for 3m-ser-ln does not fit the graph: missing classifer\.weight"),
        ("bert.pooler.dense.bias", r"The text encoder of the published .*: missing pooler\.dense\.bias"),
        ("vggish.features.0.bias", r"The audio encoder of the published .*: missing features\.0\.bias"),
    ):
        with pytest.raises(CheckpointError, match=message):
            target.load_published_state_dict({name: value for name, value in weights.items() if name != key})
    assert all(torch.equal(value, before[key]) for key, value in target.state_dict().items())
