"""Text encoders through transformers: BERT, RoBERTa, XLM-R, DeBERTa, ModernBERT, MiniLM, ELECTRA, MPNet and others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from m3ser.encoders.base import TokenEncoder, freeze
from m3ser.encoders.layers import Combine, StateSelection
from m3ser.encoders.states import EncoderStates, check_mask, zero_padding
from m3ser.encoders.transformers_models import blocks_of, load_model, parts_below, read_config
from m3ser.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["TextEncoder"]


class TextEncoder(TokenEncoder):
    """Tokens to contextual states, special tokens included, or to one pooled state.

    Hidden states are numbered as transformers numbers them: 0 is the embeddings, i the output of block i, the last one
    the model's output.

    Args:
        model: an encoder of transformers, such as BertModel.
        pooled: yield the model's pooler output (for BERT: linear and tanh over [CLS]) as a sequence of one state.
        layer: which hidden state to yield, or several; by default the last.
        combine: what becomes of several: ``concat`` along the width, their ``mean``, or a learnt ``mix``, by default of
            all of them.

    Attributes:
        dim: width of the states.
        max_tokens: longest input, special tokens included; None where the model sets no limit.
        vocabulary: how many token numbers the model knows.

    Raises:
        UsageError: `pooled`, and the model has no pooler or a layer is asked for; or a layer that does not exist.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        pooled: bool = False,
        layer: int | Sequence[int] | None = None,
        combine: Combine = "concat",
    ) -> None:
        super().__init__()
        if pooled and getattr(model, "pooler", None) is None:
            raise UsageError(f"{type(model).__name__} has no pooler, so pooled=True is not possible with it.")
        last = int(model.config.num_hidden_layers)
        self.selection = StateSelection(last=last, layer=layer, combine=combine)
        self.inner = self.selection.picked != (last,)  # whether states below the last one are asked for
        if pooled and self.inner:
            raise UsageError("pooled yields one state, made from the last layer; layer and combine have no part in it.")
        if not pooled and isinstance(pooler := getattr(model, "pooler", None), nn.Module):
            pooler.requires_grad_(False)  # no gradient reaches it; distributed training waits for all that are due
        self.model = model
        self.pooled = pooled
        self.mix = self.selection.mix()
        self.dim = self.selection.width(int(model.config.hidden_size))
        self.max_tokens = _max_tokens(model)
        self.vocabulary = int(model.config.vocab_size)
        self._padding_token = int(getattr(model.config, "pad_token_id", None) or 0)

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        *,
        pooled: bool = False,
        layer: int | Sequence[int] | None = None,
        combine: Combine = "concat",
        frozen: bool = True,
        revision: str | None = None,
    ) -> TextEncoder:
        """A published text encoder.

        Args:
            source: a folder or a name on the Hugging Face Hub (``bert-base-uncased``).
            pooled: as for the class; so are the next two.
            layer: the hidden states to yield.
            combine: for several layers.
            frozen: see :func:`~m3ser.encoders.freeze`.
            revision: branch, tag or commit on the Hub.

        Raises:
            CheckpointError: no such model, offline and never fetched, damaged, not a text encoder, or some of its
                weights are not there (they would be random).
            UsageError: an option that does not fit the model.
        """
        source = str(source)
        config = read_config(source, revision=revision, what="text encoder")
        if config.is_encoder_decoder or not hasattr(config, "hidden_size") or not hasattr(config, "vocab_size"):
            raise CheckpointError(f"'{source}' is of type '{config.model_type}', not a text encoder.")
        if hasattr(config, "conv_kernel"):  # speech models name a vocabulary, too: the letters that they may write
            raise CheckpointError(f"'{source}' is of type '{config.model_type}', a speech model, not a text encoder.")
        unused = () if pooled else ("pooler.",)
        model = load_model(source, config, revision=revision, what="text encoder", unused=unused)
        encoder = cls(model, pooled=pooled, layer=layer, combine=combine)
        return freeze(encoder) if frozen else encoder

    def encode(self, input_ids: Tensor, attention_mask: Tensor) -> EncoderStates:
        """Encode a padded batch of token numbers.

        Args:
            input_ids: (batch, tokens) int64, padded on the right.
            attention_mask: (batch, tokens) bool, True = real.

        Returns:
            States (batch, tokens, dim) with the same mask; pooled: (batch, 1, dim), real where there is any token.

        Raises:
            UsageError: more than `max_tokens` tokens, or a mask of another shape or type.
        """
        check_mask(attention_mask, input_ids, name="attention mask")
        tokens = input_ids.shape[1]
        if not torch.compiler.is_compiling() and self.max_tokens is not None and tokens > self.max_tokens:
            raise UsageError(f"This text encoder takes at most {self.max_tokens} tokens, not {tokens}.")
        any_real = attention_mask.any(dim=1, keepdim=True)
        # A row without tokens is left open to attention, which cannot look at nothing; its states are dropped below.
        output = self.model(
            input_ids=input_ids.masked_fill(~attention_mask, self._padding_token),
            attention_mask=(attention_mask | ~any_real).long(),
            output_hidden_states=self.inner,
        )
        if self.pooled:
            return EncoderStates(zero_padding(output.pooler_output.unsqueeze(1), any_real), any_real)
        hidden_states = dict(enumerate(output.hidden_states)) if self.inner else {}
        hidden_states[self.selection.last] = output.last_hidden_state
        return self.selection(hidden_states, attention_mask)

    def blocks(self) -> Sequence[nn.Module]:
        """The transformer blocks."""
        return tuple(blocks_of(self.model))

    def stem(self) -> Sequence[nn.Module]:
        """The embeddings."""
        return parts_below(self.model)


def _max_tokens(model: PreTrainedModel) -> int | None:
    """How many tokens the model has positions for."""
    positions = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    if not isinstance(positions, nn.Embedding):
        limit = getattr(model.config, "max_position_embeddings", None)
        return None if limit is None else int(limit)
    # RoBERTa counts its positions from the number after that of the padding token.
    first = 0 if positions.padding_idx is None else positions.padding_idx + 1
    return positions.num_embeddings - first
