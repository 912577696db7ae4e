"""CAN beside the same, one utterance at a time and with torch's own bidirectional LSTM."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch import nn  # noqa: E402

from m3ser import models  # noqa: E402

TEXT_DIM, AUDIO_DIM = 6, 5


def make(**options):
    torch.manual_seed(0)
    return models.build("can", text_dim=TEXT_DIM, audio_dim=AUDIO_DIM, num_labels=3, hidden_dim=4, **options).eval()


def bidirectional(recurrence, states):
    onward = recurrence.onward.layer(states[None])[0][0]
    back = recurrence.back.layer(states.flip(0)[None])[0][0].flip(0)
    return torch.cat((onward, back), dim=-1)


def weights_of(attention, states):
    return nn.functional.softmax(attention.score(torch.tanh(attention.inner(states)))[:, 0], dim=0)


def test_four_vectors_each_modality_by_both_weights():
    model = make(segments=4)
    # As many states as segments, and twice as many: the segments are the states, and the means of two.
    text, audio = torch.randn(4, TEXT_DIM), torch.randn(8, AUDIO_DIM)
    with torch.no_grad():
        output = model(text[None], None, audio[None], None, output_attentions=True, output_features=True)
        read = bidirectional(model.text_recurrence, text)
        heard = bidirectional(model.audio_recurrence, audio.reshape(4, 2, AUDIO_DIM).mean(dim=1))
        by_text, by_audio = weights_of(model.text_attention, read), weights_of(model.audio_attention, heard)
        expected = torch.cat((by_text @ read, by_text @ heard, by_audio @ read, by_audio @ heard))
        torch.testing.assert_close(output.features[0], expected)
        torch.testing.assert_close(output.logits[0], model.classifier(expected))
    for found, weights in zip(output.attentions, (by_text, by_audio), strict=True):
        torch.testing.assert_close(found[0, 0, 0], weights)


def test_a_state_that_lies_in_several_segments_counts_in_each():
    model = make(segments=4)
    audio = torch.randn(1, 2, AUDIO_DIM)
    text = torch.randn(1, 3, TEXT_DIM)
    with torch.no_grad():
        stretched = audio.repeat_interleave(2, dim=1)
        torch.testing.assert_close(model(text, None, audio).logits, model(text, None, stretched).logits)


@pytest.mark.parametrize(("missing", "left"), [("text", 3), ("audio", 0)])
def test_without_a_modality_only_the_others_own_vector_is_left(missing, left):
    model = make()
    batch = {"text": torch.randn(2, 5, TEXT_DIM), "audio": torch.randn(2, 9, AUDIO_DIM), missing: None}
    with torch.no_grad():
        vectors = model(**batch, output_features=True).features.unflatten(1, (4, 8))
    for place in range(4):
        assert bool((vectors[:, place] != 0).all()) is (place == left)
        assert bool((vectors[:, place] == 0).all()) is (place != left)
