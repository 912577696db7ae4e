"""The published graphs once more, as plainly as they can be written: one utterance, no masks, torch's own layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812


class Published3MSer(nn.Module):
    """`norm` is what happens to the audio states: None, "layer" or "min-max"."""

    def __init__(self, norm: str | None, text_dim: int, audio_dim: int, num_labels: int, heads: int) -> None:
        super().__init__()
        self.norm = norm
        if norm == "layer":
            self.vggish_layer_norm = nn.LayerNorm(audio_dim)
        self.text_attention = nn.MultiheadAttention(text_dim, heads, dropout=0.5, batch_first=True)
        self.text_linear = nn.Linear(text_dim, audio_dim)
        self.text_layer_norm = nn.LayerNorm(audio_dim)
        self.fusion_attention = nn.MultiheadAttention(audio_dim, heads, dropout=0.5, batch_first=True)
        self.fusion_linear = nn.Linear(audio_dim, audio_dim)
        self.fusion_layer_norm = nn.LayerNorm(audio_dim)
        self.dropout = nn.Dropout(0.5)
        self.linear = nn.Linear(audio_dim, 64)
        self.classifer = nn.Linear(64, num_labels)

    def forward(self, text: Tensor, audio: Tensor) -> Tensor:
        if self.norm == "layer":
            audio = self.vggish_layer_norm(audio)
        elif self.norm == "min-max":
            audio = (audio - audio.min()) / (audio.max() - audio.min())
        attended, self.text_weights = self.text_attention(text, text, text, average_attn_weights=False)
        words = self.text_layer_norm(self.text_linear(attended))
        both = torch.cat((words, audio), dim=1)
        fused, self.fusion_weights = self.fusion_attention(both, both, both, average_attn_weights=False)
        fused = self.fusion_layer_norm(self.fusion_linear(fused))
        return self.classifer(F.leaky_relu(self.linear(self.dropout(fused[:, 0]))))


class PublishedServer(nn.Module):
    def __init__(self, text_dim: int, audio_dim: int, num_labels: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(text_dim, audio_dim)
        self.dropout = nn.Dropout(0.5)
        self.linear2 = nn.Linear(2 * audio_dim, 64)
        self.classifer = nn.Linear(64, num_labels)

    def forward(self, text: Tensor, audio: Tensor) -> Tensor:
        both = torch.cat((self.linear1(text[:, 0]), audio.sum(dim=1)), dim=1)
        return self.classifer(self.linear2(self.dropout(both)))


class PublishedTextOnly(nn.Module):
    def __init__(self, text_dim: int, audio_dim: int, num_labels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(text_dim, 64)
        self.dropout = nn.Dropout(0.5)
        self.classifer = nn.Linear(64, num_labels)

    def forward(self, text: Tensor, audio: Tensor) -> Tensor:
        return self.classifer(self.dropout(self.linear(text[:, 0])))


class PublishedAudioOnly(nn.Module):
    def __init__(self, text_dim: int, audio_dim: int, num_labels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(audio_dim, 64)
        self.classifer = nn.Linear(64, num_labels)

    def forward(self, text: Tensor, audio: Tensor) -> Tensor:
        return self.classifer(self.linear(audio.sum(dim=1)))


@pytest.fixture
def published() -> Callable[..., nn.Module]:
    """name, text_dim, audio_dim, num_labels, heads -> the published graph with random weights, in evaluation mode."""
    norms: dict[str, str | None] = {"3m-ser": None, "3m-ser-ln": "layer", "3m-ser-minmax": "min-max"}
    others = {"server": PublishedServer, "text-only": PublishedTextOnly, "audio-only": PublishedAudioOnly}

    def make(name: str, *, text_dim: int = 768, audio_dim: int = 128, num_labels: int = 4, heads: int = 8) -> nn.Module:
        sizes: Any = (text_dim, audio_dim, num_labels)
        graph = Published3MSer(norms[name], *sizes, heads) if name in norms else others[name](*sizes)
        # LayerNorms are born as 1 and 0, attention biases as 0: any error in their use would not show.
        for parameter in graph.parameters():
            nn.init.normal_(parameter, std=0.1)
        return graph.eval()

    return make
