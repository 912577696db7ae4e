"""transformers.Trainer trains every model as it is."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from m3ser import models  # noqa: E402


def collate(rows):
    """Pad on the right; a row is (text, audio, label)."""
    batch = {"labels": torch.tensor([label for _, _, label in rows])}
    for name, column in (("text", 0), ("audio", 1)):
        states = [row[column] for row in rows]
        batch[name] = torch.nn.utils.rnn.pad_sequence(states, batch_first=True)
        lengths = torch.tensor([len(one) for one in states])
        batch[f"{name}_mask"] = torch.arange(batch[name].shape[1]) < lengths[:, None]
    return batch


@pytest.mark.slow
@pytest.mark.parametrize("name", models.names())
def test_the_trainer_learns_saves_and_loads(name, tmp_path):
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(3, 16, generator=generator)
    rows = []
    for index in range(48):
        label = index % 3
        noise = [torch.randn(1 + (index + shift) % 4, 16, generator=generator) for shift in (0, 1)]
        rows.append((noise[0] + 2 * directions[label], noise[1] + 2 * directions[label], label))

    transformers.set_seed(0)
    model = models.build(name, text_dim=16, audio_dim=16, num_labels=3, labels=("angry", "sad", "neutral"))
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path),
        per_device_train_batch_size=8,
        per_device_eval_batch_size=16,
        num_train_epochs=20,
        learning_rate=3e-3,
        save_strategy="epoch",
        save_total_limit=1,
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        dataloader_pin_memory=False,
    )
    trainer = transformers.Trainer(
        model=model, args=arguments, train_dataset=rows, eval_dataset=rows, data_collator=collate
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    after = trainer.evaluate()["eval_loss"]
    assert after < 0.5 * before
    answers = trainer.predict(rows)
    assert (answers.predictions.argmax(axis=1) == answers.label_ids).mean() > 0.9

    (checkpoint,) = tmp_path.glob("checkpoint-*")
    loaded = models.load(checkpoint)
    assert loaded.config.labels == ("angry", "sad", "neutral")
    batch = collate(rows[:5])
    with torch.no_grad():
        assert torch.equal(loaded(**batch).logits, model.eval()(**batch).logits)
