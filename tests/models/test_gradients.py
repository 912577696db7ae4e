"""Both modalities reach the output, and every weight can learn: the faults of two published programs would show.

An utterance's logits depend on all that its model looks at and on no other utterance of the batch; no parameter is left
without a gradient. The two faulty graphs stand here once more, as plainly as they can be written, to show that these
checks find what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from m3ser import models  # noqa: E402

TEXT_DIM, AUDIO_DIM, LABELS, ROWS = 24, 16, 4, 3


def faults(graph: nn.Module, run: Callable[[Tensor, Tensor], Tensor], modalities: Iterable[str]) -> list[str]:
    """What is wrong with `graph`, over batches with one row, and with more; `run` gives the logits."""
    found: list[str] = []
    graph.zero_grad()
    for rows in (1, ROWS, ROWS):
        batch = {"text": torch.randn(rows, 6, TEXT_DIM), "audio": torch.randn(rows, 20, AUDIO_DIM)}
        for states in batch.values():
            states.requires_grad_()
        logits = run(**batch)
        # Each row by its own, so that no other can stand in for it.
        for row in range(rows):
            gradients = torch.autograd.grad(
                logits[row].square().sum(), list(batch.values()), retain_graph=True, allow_unused=True
            )
            for (modality, states), gradient in zip(batch.items(), gradients, strict=True):
                reached = torch.zeros(rows, dtype=torch.bool)
                if gradient is not None:
                    assert gradient.isfinite().all()
                    reached = (gradient.reshape(rows, -1) != 0).any(dim=1)
                if bool(reached[row]) is not (modality in modalities):
                    found.append(f"{modality} {'reaches' if reached[row] else 'does not reach'} the output")
                if reached[torch.arange(rows) != row].any():
                    found.append(f"{modality} of one utterance reaches another")
                # What has a gradient must count, too.
                changed = {**batch, modality: states + torch.randn_like(states)}
                if (modality in modalities) is torch.equal(run(**changed)[row], logits[row]):
                    found.append(f"the output does not follow the {modality}")
        logits.square().sum().backward()
    found += [
        f"{name} learns nothing"
        for name, parameter in graph.named_parameters()
        if parameter.grad is None or not (parameter.grad != 0).any()
    ]
    return sorted(set(found))


@pytest.mark.parametrize("name", models.names())
def test_all_that_is_looked_at_counts_and_all_weights_learn(name: str) -> None:
    torch.manual_seed(1)
    model = models.build(name, text_dim=TEXT_DIM, audio_dim=AUDIO_DIM, num_labels=LABELS).eval()
    assert faults(model, lambda text, audio: model(text, None, audio, None).logits, model.modalities) == []


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("memocmt", {"pooling": pooling}) for pooling in ("cls", "mean", "max", "min")),
        *(("4m-ser", {"pooling": pooling}) for pooling in ("cls", "mean", "max")),
        *((name, {"functionals_dim": 3}) for name in ("are", "mdre", "mdrea")),
        ("adcrnn", {"dilations": [1, 8]}),
    ],
)
def test_with_other_options_too(name: str, options: dict[str, object]) -> None:
    torch.manual_seed(2)
    model = models.build(name, text_dim=TEXT_DIM, audio_dim=AUDIO_DIM, num_labels=LABELS, **options).eval()
    assert faults(model, lambda text, audio: model(text, None, audio, None).logits, model.modalities) == []


class Early3MSer(nn.Module):
    """The first published 3M-SER: its attentions, not told that the batch comes first, run over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.text_attention = nn.MultiheadAttention(TEXT_DIM, 8)
        self.text_linear = nn.Linear(TEXT_DIM, AUDIO_DIM)
        self.fusion_attention = nn.MultiheadAttention(AUDIO_DIM, 8)
        self.fusion_linear = nn.Linear(AUDIO_DIM, AUDIO_DIM)
        self.linear = nn.Linear(AUDIO_DIM, 64)
        self.classifer = nn.Linear(64, LABELS)

    def forward(self, text: Tensor, audio: Tensor) -> Tensor:
        words = self.text_linear(self.text_attention(text, text, text)[0])
        both = torch.cat((words, audio), dim=1)
        fused = self.fusion_linear(self.fusion_attention(both, both, both)[0])[:, 0]
        return self.classifer(F.leaky_relu(self.linear(fused)))


class PublishedMemoCmt(nn.Module):
    """The published MemoCMT where it aggregates by `cls`: position 0 belongs to the text branch alone."""

    def __init__(self) -> None:
        super().__init__()
        self.audio_projection = nn.Linear(AUDIO_DIM, TEXT_DIM)  # so that this test's widths fit
        for part in ("text", "audio", "fusion"):
            self.add_module(f"{part}_attention", nn.MultiheadAttention(TEXT_DIM, 8, batch_first=True))
            self.add_module(f"{part}_linear", nn.Linear(TEXT_DIM, TEXT_DIM))
            self.add_module(f"{part}_layer_norm", nn.LayerNorm(TEXT_DIM))
        self.linear = nn.Linear(TEXT_DIM, 128)
        self.classifer = nn.Linear(128, LABELS)

    def forward(self, text: Tensor, audio: Tensor) -> Tensor:
        voice = self.audio_projection(audio)
        read = self.text_layer_norm(self.text_linear(self.text_attention(voice, text, text)[0]))
        heard = self.audio_layer_norm(self.audio_linear(self.audio_attention(text, voice, voice)[0]))
        return self.classifer(F.leaky_relu(self.linear(torch.cat((read, heard), dim=1)[:, 0])))


def test_the_earliest_3m_ser_is_found_out() -> None:
    torch.manual_seed(3)
    graph = Early3MSer().eval()
    found = faults(graph, graph, ("text", "audio"))
    assert "audio does not reach the output" in found
    assert "the output does not follow the audio" in found
    assert "text of one utterance reaches another" in found


def test_memocmts_aggregation_by_the_first_position_is_found_out() -> None:
    torch.manual_seed(4)
    graph = PublishedMemoCmt().eval()
    found = faults(graph, graph, ("text", "audio"))
    unused = [name for name, _ in graph.named_parameters() if name.startswith(("audio_a", "audio_l", "fusion_"))]
    assert found == sorted(f"{name} learns nothing" for name in unused)
    assert "audio_attention.in_proj_weight" in unused
