"""What every fusion model shares: checked inputs, missing modalities, the loss, the output."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from transformers.utils.generic import ModelOutput

from m3ser.errors import UsageError
from m3ser.models.attention import MultiHeadAttention
from m3ser.models.config import FusionConfig
from m3ser.models.masked import MaskedStates
from m3ser.models.pretrained import CheckedModel
from m3ser.models.published import check_weights, split_published

__all__ = ["Classified", "FusionModel", "FusionOutput"]


@dataclass
class FusionOutput(ModelOutput):  # type: ignore[no-untyped-call,misc,unused-ignore]
    """What a model answers.

    Attributes:
        loss: the mean cross-entropy, where labels were given.
        logits: (batch, num_labels).
        attentions: where they were asked for and the model has any, the attention weights of each attention in turn,
            (batch, heads, queries, keys).
        features: where it was asked for, the fused vector that the head reads, before its dropout, (batch, width).
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    attentions: tuple[Tensor, ...] | None = None
    features: Tensor | None = None


class Classified(NamedTuple):
    """What :meth:`FusionModel.classify` finds; see :class:`FusionOutput`, but that `features` are always given."""

    logits: Tensor
    attentions: tuple[Tensor, ...] | None = None
    features: Tensor | None = None


class FusionModel(CheckedModel):
    """States of two encoders in, logits out. A subclass says in :meth:`classify` how.

    Weights are drawn as torch draws those of each layer, which is what the published code leaves them at.
    """

    config_class: type[FusionConfig] = FusionConfig
    config: FusionConfig
    modalities: tuple[str, ...] = ("text", "audio")
    """What the graph looks at."""
    published_unused: tuple[str, ...] = ()
    """How the names of weights begin that the published code saves and never uses."""
    audio_mean: Tensor
    audio_deviation: Tensor
    main_input_name = "audio"

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        if config.audio_scaled:
            self.scale_audio(torch.zeros(config.audio_dim), torch.ones(config.audio_dim))

    def scale_audio(self, mean: Tensor, deviation: Tensor) -> None:
        """From now on, read audio states as (x - mean) / deviation, both (audio_dim,); they are saved with the weights.

        For states whose features differ in scale by orders of magnitude. No published system does this.
        """
        self.config.audio_scaled = True
        self.register_buffer("audio_mean", mean)
        self.register_buffer("audio_deviation", deviation)

    @abstractmethod
    def classify(self, text: MaskedStates, audio: MaskedStates, *, output_attentions: bool) -> Classified:
        """Logits, attention weights and the fused vector (see :class:`FusionOutput`) of checked states.

        Padding holds zeros, both lengths are at least 1, and each row has at least one real state of a modality that
        the graph looks at.
        """

    def forward(
        self,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
        audio: Tensor | None = None,
        audio_mask: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool = False,
        output_features: bool = False,
    ) -> FusionOutput:
        """Classify a batch of utterances.

        A row of a padded batch gives what that utterance gives alone, whatever stands in the padding. An utterance
        without text (or audio) has a mask row that is false throughout, over any length.

        Args:
            text: (batch, tokens, text_dim) float; None: no utterance of the batch has text.
            text_mask: (batch, tokens) bool, true = real; None: all are.
            audio: (batch, steps, audio_dim) float; None: no utterance of the batch has audio.
            audio_mask: (batch, steps) bool, true = real; None: all are.
            labels: (batch,) int, class indices; asks for the loss.
            output_attentions: return the attention weights, too.
            output_features: return the fused vector, too; what some losses work on (:mod:`m3ser.models.losses`).

        Raises:
            UsageError: shapes or types that do not fit, or an utterance with nothing that this model looks at. (Not
                while the model is being exported or compiled, where values are not known.)
        """
        given = {"text": (text, text_mask), "audio": (audio, audio_mask)}
        batch = self._masked(given)
        found = Classified(*self.classify(batch["text"], batch["audio"], output_attentions=output_attentions))
        return FusionOutput(
            loss=None if labels is None else F.cross_entropy(found.logits, labels),
            logits=found.logits,
            attentions=found.attentions,
            features=found.features if output_features else None,
        )

    def audio_entrance(self) -> nn.Linear | None:
        """The linear layer that all audio states go through before anything else; None: there is no such layer."""
        return None

    def load_published_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the weights of the published code, by the names that they have there.

        Encoder weights are left aside; a ``module.`` in front of every name, and the names of the same code in 2024,
        are understood. On an error nothing has been loaded.

        Raises:
            CheckpointError: a weight is missing, unknown or of another shape.
        """
        weights = self.published_in_use(split_published(state_dict).fusion)
        subject = f"The published state dict for {self.config.system}"
        check_weights(self, weights, subject, hint=self.published_hint(weights))
        self.load_state_dict(weights)

    def published_in_use(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`weights` without what the published code saves and never uses."""
        return {name: weight for name, weight in weights.items() if not name.startswith(self.published_unused)}

    def published_hint(self, weights: Mapping[str, Tensor]) -> str:  # noqa: ARG002
        """What to add to the error where `weights` do not fit: what they may be instead."""
        return ""

    def _masked(self, given: Mapping[str, tuple[Tensor | None, Tensor | None]]) -> dict[str, MaskedStates]:
        dims = {"text": self.config.text_dim, "audio": self.config.audio_dim}
        name = self.config.system
        found: dict[str, MaskedStates] = {}
        # What is known to the last value only when the graph runs must not be looked at while it is being drawn.
        eager = not torch.compiler.is_compiling()
        for modality in self.modalities:
            states, mask = given[modality]
            if states is None or (eager and states.ndim == 3 and states.shape[1] == 0):
                continue
            if mask is None:
                mask = states.new_ones(states.shape[:2], dtype=torch.bool)
            if eager:
                _check_shapes(name, modality, states, mask, dims[modality])
            if modality == "audio" and self.config.audio_scaled:
                states = (states - self.audio_mean) / self.audio_deviation
            found[modality] = MaskedStates(states, mask).zeroed()
        if not found:
            raise UsageError(f"{name} looks at {' and '.join(self.modalities)}; this batch has none of it.")
        if eager:
            _check_rows(name, self.modalities, found)
        some = next(iter(found.values())).states
        return {modality: found.get(modality, _missing(some, dim)) for modality, dim in dims.items()}

    def _init_weights(self, module: nn.Module) -> None:
        # transformers would draw from a normal distribution.
        if isinstance(module, (nn.Linear, nn.LayerNorm, MultiHeadAttention)):
            module.reset_parameters()


def _check_shapes(system: str, modality: str, states: Tensor, mask: Tensor, dim: int) -> None:
    if states.ndim != 3 or states.shape[2] != dim:
        raise UsageError(
            f"{modality} states have shape {tuple(states.shape)}; this {system} expects (batch, length, {dim})."
        )
    if mask.dtype != torch.bool or mask.shape != states.shape[:2]:
        raise UsageError(
            f"{modality}_mask is {mask.dtype} of shape {tuple(mask.shape)}; "
            f"torch.bool of shape {tuple(states.shape[:2])} was expected."
        )


def _check_rows(system: str, modalities: Sequence[str], found: Mapping[str, MaskedStates]) -> None:
    counts = {modality: one.states.shape[0] for modality, one in found.items()}
    if len(set(counts.values())) > 1:
        raise UsageError(f"The batch has {' but '.join(f'{count} rows of {name}' for name, count in counts.items())}.")
    present = torch.stack([one.present for one in found.values()]).any(dim=0)
    if not bool(present.all()):
        empty = (~present).nonzero().flatten().tolist()
        rows = f"Row {empty[0]}" if len(empty) == 1 else f"Rows {', '.join(map(str, empty))}"
        raise UsageError(f"{rows} of the batch (from 0) without any {' or '.join(modalities)}; {system} needs some.")


def _missing(like: Tensor, dim: int) -> MaskedStates:
    """One masked step for each row of `like`: a modality that nobody in the batch has."""
    states = like.new_zeros(like.shape[0], 1, dim)
    return MaskedStates(states, torch.zeros_like(states[..., 0], dtype=torch.bool))
