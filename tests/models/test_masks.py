"""Padding and missing modalities: a row of a batch gives what its utterance gives alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from m3ser import models  # noqa: E402
from m3ser.errors import UsageError  # noqa: E402
from m3ser.models.masked import MaskedStates  # noqa: E402

TEXT_DIM, AUDIO_DIM, LABELS = 24, 16, 5
NAMES = models.names()
MODALITIES = {name: models.system(name).model_class().modalities for name in NAMES}
BIMODAL = tuple(name for name in NAMES if len(MODALITIES[name]) == 2)


def make(name, **options):
    torch.manual_seed(3)
    model = models.build(name, text_dim=TEXT_DIM, audio_dim=AUDIO_DIM, num_labels=LABELS, **options)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


@pytest.fixture(scope="module")
def built():
    return {name: make(name) for name in NAMES}


def padded(utterances, dim, length, garbage, left=False):
    """One tensor and its mask; what is not real is `garbage`."""
    states = torch.full((len(utterances), length, dim), garbage)
    mask = torch.zeros(len(utterances), length, dtype=torch.bool)
    for row, one in enumerate(utterances):
        where = slice(length - len(one), length) if left else slice(0, len(one))
        states[row, where] = one
        mask[row, where] = True
    return states, mask


# (tokens, steps) of each utterance; at least one of them is there.
lengths = st.tuples(st.integers(0, 9), st.integers(0, 7)).filter(lambda pair: sum(pair) > 0)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(
    batch=st.lists(lengths, min_size=1, max_size=6),
    seed=st.integers(0, 2**16),
    spare=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    garbage=st.sampled_from([0.0, -7.5, 1e4, -3e38, float("nan"), float("inf")]),
    left=st.booleans(),
)
def test_a_padded_batch_equals_its_utterances_alone(built, name, batch, seed, spare, garbage, left):
    model = built[name]
    if MODALITIES[name] == ("text",):
        batch = [(tokens or 1, steps) for tokens, steps in batch]
    if MODALITIES[name] == ("audio",):
        batch = [(tokens, steps or 1) for tokens, steps in batch]
    torch.manual_seed(seed)
    texts = [torch.randn(tokens, TEXT_DIM) for tokens, _ in batch]
    audios = [torch.randn(steps, AUDIO_DIM) for _, steps in batch]
    longest = [max(1, *(len(one) for one in some)) + more for some, more in zip((texts, audios), spare, strict=True)]
    together = (
        *padded(texts, TEXT_DIM, longest[0], garbage, left),
        *padded(audios, AUDIO_DIM, longest[1], garbage, left),
    )
    with torch.no_grad():
        logits = model(*together).logits
        alone = [
            # Alone, a missing modality is a sequence of length zero.
            model(text[None], None, audio[None], None).logits
            for text, audio in zip(texts, audios, strict=True)
        ]
    torch.testing.assert_close(logits, torch.cat(alone), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", BIMODAL)
@pytest.mark.parametrize("missing", ["text", "audio"])
def test_a_missing_modality_is_one_of_length_zero(built, name, missing, published):
    model = built[name]
    text, audio = torch.randn(2, 6, TEXT_DIM), torch.randn(2, 4, AUDIO_DIM)
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    with torch.no_grad():
        if missing == "text":
            ways = [
                model(None, None, audio, None),
                model(torch.randn(2, 0, TEXT_DIM), None, audio, None),
                model(torch.randn(2, 3, TEXT_DIM), nothing, audio, None),
            ]
            text = torch.zeros(2, 0, TEXT_DIM)
        else:
            ways = [
                model(text, None, None, None),
                model(text, None, torch.randn(2, 0, AUDIO_DIM), None),
                model(text, None, torch.randn(2, 3, AUDIO_DIM), nothing),
            ]
            audio = torch.zeros(2, 0, AUDIO_DIM)
        expected = ways[0].logits
        assert expected.isfinite().all()
        for way in ways[1:]:
            torch.testing.assert_close(way.logits, expected, rtol=1e-5, atol=1e-6)

        # The published graph, given nothing. Its min-max has no minimum of nothing; no text leaves torch's attention
        # nothing to attend to.
        if name == "server":
            reference = published(name, text_dim=TEXT_DIM, audio_dim=AUDIO_DIM, num_labels=LABELS)
            reference.load_state_dict(model.state_dict())
            words = reference.linear1(text[:, 0]) if text.shape[1] else torch.zeros(2, AUDIO_DIM)
            both = torch.cat((words, audio.sum(dim=1)), dim=1)
            torch.testing.assert_close(expected, reference.classifer(reference.linear2(both)))
        elif missing == "audio" and name in ("3m-ser", "3m-ser-ln"):
            reference = published(name, text_dim=TEXT_DIM, audio_dim=AUDIO_DIM, num_labels=LABELS)
            reference.load_state_dict(model.state_dict())
            torch.testing.assert_close(expected, reference(text, audio), rtol=1e-5, atol=1e-5)


def test_with_text_missing_3m_ser_reads_the_first_audio_step(built, published):
    model = built["3m-ser-ln"]
    reference = published("3m-ser-ln", text_dim=TEXT_DIM, audio_dim=AUDIO_DIM, num_labels=LABELS)
    reference.load_state_dict(model.state_dict())
    audio = torch.randn(1, 5, AUDIO_DIM)
    with torch.no_grad():
        states = reference.vggish_layer_norm(audio)
        fused = reference.fusion_layer_norm(
            reference.fusion_linear(reference.fusion_attention(states, states, states)[0])
        )
        hidden = torch.nn.functional.leaky_relu(reference.linear(fused[:, 0]))
        torch.testing.assert_close(
            model(None, None, audio, None).logits, reference.classifer(hidden), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("name", BIMODAL)
def test_both_modalities_reach_the_logits_and_get_a_gradient(name):
    model = make(name)
    text = torch.randn(2, 6, TEXT_DIM, requires_grad=True)
    audio = torch.randn(2, 4, AUDIO_DIM, requires_grad=True)
    logits = model(text, None, audio, None).logits
    logits.square().sum().backward()
    for states in (text, audio):
        # Every step of audio counts; of the text SERVER reads the first state alone.
        read = states.grad[:, :1] if name == "server" and states is text else states.grad
        assert (read.abs().amax(dim=-1) > 0).all()
    with torch.no_grad():
        changed = model(text, None, audio + torch.randn_like(audio), None).logits
        assert (changed - logits).abs().amax(dim=1).min() > 1e-4
        changed = model(text + torch.randn_like(text), None, audio, None).logits
        assert (changed - logits).abs().amax(dim=1).min() > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_padding_gets_no_gradient_and_breaks_none(name):
    model = make(name)
    text = torch.randn(3, 6, TEXT_DIM, requires_grad=True)
    audio = torch.randn(3, 4, AUDIO_DIM, requires_grad=True)
    text_mask, audio_mask = torch.rand(3, 6) < 0.5, torch.rand(3, 4) < 0.5
    text_mask[:, 0] = audio_mask[:, 0] = True
    if "audio" in MODALITIES[name]:
        text_mask[1] = False
    if "text" in MODALITIES[name]:
        audio_mask[2] = False
    model(text, text_mask, audio, audio_mask, labels=torch.tensor([0, 1, 2])).loss.backward()
    for states, mask in ((text, text_mask), (audio, audio_mask)):
        if states.grad is not None:
            assert states.grad.isfinite().all()
            assert (states.grad[~mask] == 0).all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_min_max_is_over_the_real_entries_of_each_utterance():
    states = torch.tensor([[[2.0, 4.0], [6.0, 3.0], [99.0, -99.0]], [[-1.0, 0.0], [1e6, 0.0], [0.0, -1e6]]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    scaled = MaskedStates(states, mask).zeroed().min_max_scaled()
    torch.testing.assert_close(scaled.states[0, :2], torch.tensor([[0.0, 0.5], [1.0, 0.25]]))
    torch.testing.assert_close(scaled.states[1, 0], torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize("value", [0.0, 255.0, -3.5])
def test_min_max_of_a_constant_block_is_zeros(built, value):
    audio = torch.full((1, 3, AUDIO_DIM), value, requires_grad=True)
    scaled = MaskedStates(audio, torch.ones(1, 3, dtype=torch.bool)).min_max_scaled()
    assert (scaled.states == 0).all()
    text = torch.randn(1, 4, TEXT_DIM)
    logits = built["3m-ser-minmax"](text, None, audio, None).logits
    assert logits.isfinite().all()
    logits.sum().backward()
    assert audio.grad.isfinite().all()


@pytest.mark.parametrize("name", BIMODAL)
def test_an_utterance_with_neither_modality_is_named(built, name):
    text, audio = torch.randn(4, 3, TEXT_DIM), torch.randn(4, 2, AUDIO_DIM)
    text_mask, audio_mask = torch.ones(4, 3, dtype=torch.bool), torch.ones(4, 2, dtype=torch.bool)
    text_mask[2] = audio_mask[2] = False
    with pytest.raises(UsageError, match=r"Row 2 .*text or audio"):
        built[name](text, text_mask, audio, audio_mask)
    text_mask[0] = audio_mask[0] = False
    with pytest.raises(UsageError, match=r"Rows 0, 2 .*text or audio"):
        built[name](text, text_mask, audio, audio_mask)


def test_one_modality_alone_needs_that_modality(built):
    text, audio = torch.randn(2, 3, TEXT_DIM), torch.randn(2, 2, AUDIO_DIM)
    with pytest.raises(UsageError, match="text-only looks at text"):
        built["text-only"](None, None, audio, None)
    with pytest.raises(UsageError, match="audio-only looks at audio"):
        built["audio-only"](text, None)
    with pytest.raises(UsageError, match="3m-ser looks at text and audio"):
        built["3m-ser"]()
    with pytest.raises(UsageError, match=r"Row 1 .*without any text; text-only needs"):
        built["text-only"](text, torch.tensor([[True] * 3, [False] * 3]), audio)
    # What is not looked at may be of any shape.
    assert built["text-only"](text, None, torch.randn(9, 9, 9)).logits.shape == (2, LABELS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": torch.zeros(2, 3, 99)}, r"text states have shape \(2, 3, 99\).*\(batch, length, 24\)"),
        ({"audio": torch.zeros(2, AUDIO_DIM)}, r"audio states have shape \(2, 16\)"),
        ({"text_mask": torch.ones(2, 3)}, r"text_mask is torch\.float32.*torch\.bool of shape \(2, 3\)"),
        ({"audio_mask": torch.ones(2, 5, dtype=torch.bool)}, r"audio_mask is torch\.bool of shape \(2, 5\).*\(2, 2\)"),
        ({"audio": torch.zeros(3, 2, AUDIO_DIM)}, r"2 rows of text but 3 rows of audio"),
    ],
)
def test_what_does_not_fit_is_one_sentence(built, change, message):
    batch = {"text": torch.zeros(2, 3, TEXT_DIM), "audio": torch.zeros(2, 2, AUDIO_DIM)} | change
    with pytest.raises(UsageError, match=message):
        built["3m-ser"](**batch)
