"""The graphs in ONNX Runtime, with every length left open."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnxscript")
ort = pytest.importorskip("onnxruntime")

from m3ser import models  # noqa: E402

TEXT_DIM, AUDIO_DIM = 24, 16
INPUTS = ("text", "text_mask", "audio", "audio_mask")


def batch_of(rows, tokens, steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    text_mask = torch.rand(rows, tokens, generator=generator) < 0.7
    audio_mask = torch.rand(rows, steps, generator=generator) < 0.7
    text_mask[:, -1] = audio_mask[:, -1] = True
    text = torch.randn(rows, tokens, TEXT_DIM, generator=generator)
    audio = torch.randn(rows, steps, AUDIO_DIM, generator=generator)
    # Whatever is in the padding, it must not come through.
    return (
        text.masked_fill(~text_mask[..., None], 1e6),
        text_mask,
        audio.masked_fill(~audio_mask[..., None], -1e6),
        audio_mask,
    )


def export(model, path):
    dim = torch.export.Dim
    batch, tokens, steps = dim("batch"), dim("tokens"), dim("steps")
    shapes = dict(zip(INPUTS, ({0: batch, 1: tokens},) * 2 + ({0: batch, 1: steps},) * 2, strict=True))
    # Torch warns of its own ways of exporting, above all of recurrences; nothing here can prevent it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            batch_of(2, 5, 3),
            path,
            dynamo=True,
            input_names=INPUTS,
            output_names=["logits"],
            dynamic_shapes=shapes,
            verbose=False,
        )
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"), [*((name, {}) for name in models.names()), ("3m-ser-ln", {"fusion_dim": 32})]
)
def test_onnx_gives_the_same_logits(name, options, tmp_path):
    torch.manual_seed(0)
    model = models.build(name, text_dim=TEXT_DIM, audio_dim=AUDIO_DIM, num_labels=4, **options).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    session = export(model, tmp_path / "fusion.onnx")
    assert [one.name for one in session.get_inputs()] == list(INPUTS)
    assert [one.name for one in session.get_outputs()] == ["logits"]

    batches = [batch_of(*size, seed=seed) for seed, size in enumerate([(1, 1, 1), (1, 9, 1), (1, 1, 6), (7, 17, 11)])]
    missing_text, missing_audio = batch_of(4, 6, 5), batch_of(4, 6, 5)
    missing_text[1][1:3] = False
    missing_audio[3][:2] = False
    if "audio" in model.modalities:
        batches += [
            missing_text,
            (torch.zeros(1, 1, TEXT_DIM), torch.zeros(1, 1, dtype=torch.bool), *batch_of(1, 1, 4)[2:]),
        ]
    if "text" in model.modalities:
        batches += [
            missing_audio,
            (*batch_of(1, 4, 1)[:2], torch.zeros(1, 1, AUDIO_DIM), torch.zeros(1, 1, dtype=torch.bool)),
        ]
    for batch in batches:
        (logits,) = session.run(None, {key: value.numpy() for key, value in zip(INPUTS, batch, strict=True)})
        with torch.no_grad():
            expected = model(*batch).logits
        torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=1e-4, atol=1e-4)
