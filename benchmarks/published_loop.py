"""The published training of 3M-SER with LayerNorm as a plain loop: the peer that ``training.py`` times m3ser beside.

One utterance at a time, nothing kept from epoch to epoch: torchvggish's front end and network, transformers' BERT,
PyTorch's own attention, cross-entropy, Adam as PyTorch runs it when not told otherwise. Where the published code leaves
it open, this is the faster way: what does not learn runs without gradients, and nothing is written to disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torchvggish import torchvggish, vggish_input
from transformers import BertModel

from m3ser.encoders import Postprocessor
from m3ser.encoders.published import read_vggish_pca

__all__ = ["PublishedLoop", "Row"]

Row = tuple[str, str, int]  # file, sentence, class


class PublishedLoop:
    """The encoders, the fusion part and their training.

    Args:
        folder: with ``bert`` (its tokenizer included), ``vggish.pth`` and ``pca.pth``.
        vggish_learns: without post-processing, as in the code published since 2024; else frozen and quantised.
        learning_rate: of Adam.
    """

    def __init__(self, folder: Path, *, vggish_learns: bool, learning_rate: float) -> None:
        self.tokenizer = Tokenizer.from_file(str(folder / "bert" / "tokenizer.json"))
        self.bert = BertModel.from_pretrained(folder / "bert").eval().requires_grad_(False)
        self.vggish = torchvggish.VGG(torchvggish.make_layers(), postprocess=False)
        self.vggish.load_state_dict(torch.load(folder / "vggish.pth"))
        self.vggish.requires_grad_(vggish_learns)
        self.quantise: Postprocessor | None = None
        if not vggish_learns:
            self.quantise = Postprocessor()
            self.quantise.pca_eigen_vectors, self.quantise.pca_means = read_vggish_pca(folder / "pca.pth")
        self.fusion = PublishedFusion()
        learning = [*self.fusion.parameters(), *(self.vggish.parameters() if vggish_learns else ())]
        self.optimiser = torch.optim.Adam(learning, lr=learning_rate)
        self.loss = nn.CrossEntropyLoss()

    def train(self, rows: Iterable[Row]) -> None:
        """An epoch."""
        self.fusion.train()
        for file, sentence, label in rows:
            loss = self.loss(self.fusion(self.words(sentence), self.voice(file)), torch.tensor([label]))
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()

    def judge(self, rows: Iterable[Row]) -> int:
        """How many utterances are recognised."""
        self.fusion.eval()
        with torch.no_grad():
            return sum(
                int(self.fusion(self.words(sentence), self.voice(file)).argmax()) == label
                for file, sentence, label in rows
            )

    def encode(self, rows: Iterable[Row]) -> None:
        """The encoders alone, without gradients."""
        with torch.no_grad():
            for file, sentence, _ in rows:
                self.words(sentence)
                self.voice(file)

    def words(self, sentence: str) -> Tensor:
        """BERT's states, (1, tokens, 768)."""
        ids = torch.tensor([self.tokenizer.encode(sentence).ids])
        with torch.no_grad():
            states: Tensor = self.bert(input_ids=ids).last_hidden_state
        return states

    def voice(self, file: str) -> Tensor:
        """VGGish's states, (1, examples, 128)."""
        examples = torch.from_numpy(vggish_input.wavfile_to_examples(file, return_tensor=False)).float().unsqueeze(1)
        if self.quantise is None:
            states: Tensor = self.vggish(examples)
        else:
            with torch.no_grad():
                states = self.quantise(self.vggish(examples))
        return states.unsqueeze(0)


class PublishedFusion(nn.Module):
    """Attention over whole sequences, of which position 0 is read out; see ``m3ser/models/three_m_ser.py``."""

    def __init__(self) -> None:
        super().__init__()
        self.text_attention = nn.MultiheadAttention(768, 8, dropout=0.5, batch_first=True)
        self.text_linear = nn.Linear(768, 128)
        self.text_norm = nn.LayerNorm(128)
        self.audio_norm = nn.LayerNorm(128)
        self.fusion_attention = nn.MultiheadAttention(128, 8, dropout=0.5, batch_first=True)
        self.fusion_linear = nn.Linear(128, 128)
        self.fusion_norm = nn.LayerNorm(128)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(128, 64), nn.LeakyReLU(0.01), nn.Linear(64, 4))

    def forward(self, text: Tensor, audio: Tensor) -> Tensor:
        """(1, tokens, 768) and (1, examples, 128) to logits (1, 4)."""
        attended, _ = self.text_attention(text, text, text)
        both = torch.cat((self.text_norm(self.text_linear(attended)), self.audio_norm(audio)), dim=1)
        fused, _ = self.fusion_attention(both, both, both)
        logits: Tensor = self.head(self.fusion_norm(self.fusion_linear(fused))[:, 0])
        return logits
