"""Every system learns one small batch by heart; those of two modalities only if they use both."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from m3ser import models  # noqa: E402

TEXT_DIM, AUDIO_DIM = 24, 16
TEXTS, VOICES = 4, 2
STEPS = 300


def eight_utterances():
    """Four sentences, each in two voices: of lengths of their own, padded, with holes in the masks.

    Returns:
        The batch, and for each modality which of its four or two each utterance has.
    """
    generator = torch.Generator().manual_seed(5)
    batch = {}
    which = {
        "text": torch.arange(TEXTS).repeat_interleave(VOICES),
        "audio": torch.arange(VOICES).repeat(TEXTS),
    }
    for modality, length, dim in (("text", 7, TEXT_DIM), ("audio", 10, AUDIO_DIM)):
        count = int(which[modality].max()) + 1
        states = torch.randn(count, length, dim, generator=generator)
        mask = torch.rand(count, length, generator=generator) < 0.7
        mask[:, 2] = True
        batch[modality] = states.masked_fill(~mask[..., None], 1e3)[which[modality]]
        batch[f"{modality}_mask"] = mask[which[modality]]
    return batch, which


def labels_for(modalities, which):
    """What takes all of `modalities` to know: by one of two alone no more than half are right."""
    if modalities == ("text",):
        return which["text"]
    if modalities == ("audio",):
        return which["audio"]
    return 2 * (which["text"] % 2) + which["audio"]


@pytest.mark.parametrize("name", models.names())
def test_one_batch_is_learnt_by_heart(name):
    torch.manual_seed(0)
    model = models.build(name, text_dim=TEXT_DIM, audio_dim=AUDIO_DIM, num_labels=4)
    batch, which = eight_utterances()
    labels = labels_for(model.modalities, which)
    assert len(labels) == 8
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(STEPS):
        model.train()
        optimiser.zero_grad()
        model(**batch, labels=labels).loss.backward()
        optimiser.step()
        if step % 10 == 9:
            with torch.no_grad():
                answers = model.eval()(**batch).logits.argmax(dim=1)
            if torch.equal(answers, labels):
                return
    pytest.fail(f"after {STEPS} steps {name} gives {answers.tolist()} for {labels.tolist()}")


def test_who_looks_at_one_modality_cannot_learn_what_takes_both():
    """The batch is what it is said to be: whatever one modality tells, half of the labels stay unknown."""
    _, which = eight_utterances()
    labels = labels_for(("text", "audio"), which)
    for one in which.values():
        best = sum(int(torch.bincount(labels[one == value]).max()) for value in one.unique())
        assert best == 4
