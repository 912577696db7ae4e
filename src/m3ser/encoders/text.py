"""BERT-family text encoders through transformers."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from m3ser.encoders.base import Encoder, freeze
from m3ser.encoders.hub import looks_like_folder, one_line, without_load_report
from m3ser.encoders.states import EncoderStates, check_mask, zero_padding
from m3ser.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["TextEncoder"]

# What transformers, safetensors and torch raise over files that are missing, damaged or contradict each other.
_DAMAGED = (
    OSError,
    ValueError,
    TypeError,
    RuntimeError,
    AttributeError,
    LookupError,
    SafetensorError,
    pickle.UnpicklingError,
)


class TextEncoder(Encoder):
    """Tokens to contextual states, special tokens included, or to one pooled state.

    Args:
        model: an encoder of transformers, such as BertModel.
        pooled: yield the model's pooler output (for BERT: linear and tanh over [CLS]) as a sequence of one state.

    Attributes:
        dim: width of the states.
        max_tokens: longest input, special tokens included; None where the model sets no limit.

    Raises:
        UsageError: `pooled`, and the model has no pooler.
    """

    def __init__(self, model: PreTrainedModel, *, pooled: bool = False) -> None:
        super().__init__()
        if pooled and getattr(model, "pooler", None) is None:
            raise UsageError(f"{type(model).__name__} has no pooler, so pooled=True is not possible with it.")
        if not pooled and isinstance(pooler := getattr(model, "pooler", None), nn.Module):
            pooler.requires_grad_(False)  # no gradient reaches it; distributed training waits for all that are due
        self.model = model
        self.pooled = pooled
        self.dim = int(model.config.hidden_size)
        self.max_tokens = _max_tokens(model)
        self._padding_token = int(getattr(model.config, "pad_token_id", None) or 0)

    @classmethod
    def from_pretrained(
        cls, source: str | os.PathLike[str], *, pooled: bool = False, frozen: bool = True, revision: str | None = None
    ) -> TextEncoder:
        """A published text encoder.

        Args:
            source: a folder or a name on the Hugging Face Hub (``bert-base-uncased``).
            pooled: as for the class.
            frozen: see :func:`~m3ser.encoders.freeze`.
            revision: branch, tag or commit on the Hub.

        Raises:
            CheckpointError: no such model, offline and never fetched, damaged, not a text encoder, or some of its
                weights are not there (they would be random).
            UsageError: `pooled`, and the model has no pooler.
        """
        encoder = cls(_load(str(source), pooled=pooled, revision=revision), pooled=pooled)
        return freeze(encoder) if frozen else encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> EncoderStates:
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
        )
        if self.pooled:
            return EncoderStates(zero_padding(output.pooler_output.unsqueeze(1), any_real), any_real)
        return EncoderStates(zero_padding(output.last_hidden_state, attention_mask), attention_mask)


def _load(source: str, *, pooled: bool, revision: str | None) -> PreTrainedModel:
    """The model with all of its weights in float32; without a pooler that is not asked for and was never trained."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig, AutoModel

    folder = Path(source).expanduser()
    if looks_like_folder(source) and not folder.is_dir():
        raise CheckpointError(f"{source} is not a folder with a model.")
    place = str(folder) if folder.is_dir() else source
    options: dict[str, Any] = {"revision": revision or "main", "trust_remote_code": False}
    model: PreTrainedModel
    report: dict[str, Any]
    try:
        config = AutoConfig.from_pretrained(place, **options)
        if config.is_encoder_decoder or not hasattr(config, "hidden_size"):
            raise CheckpointError(
                f"'{source}' is of type '{config.model_type}', not a text encoder of the BERT family."
            )
        with without_load_report():
            model, report = AutoModel.from_pretrained(
                place,
                config=config,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **options,
            )
    except (*_DAMAGED, StrictDataclassError) as error:
        raise CheckpointError(f"The text encoder '{source}' cannot be loaded: {one_line(error)}") from error
    untrained = {*report["missing_keys"], *(entry[0] for entry in report["mismatched_keys"])}
    if not pooled and untrained and all(name.startswith("pooler.") for name in untrained):
        model.register_module("pooler", None)
    elif untrained:
        some = ", ".join(sorted(untrained)[:3])
        raise CheckpointError(
            f"The text encoder '{source}' has no weights, or none of the right shape, for {len(untrained)} of its "
            f"parameters ({some}{', ...' if len(untrained) > 3 else ''})."
        )
    return model


def _max_tokens(model: PreTrainedModel) -> int | None:
    """How many tokens the model has positions for."""
    positions = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    if not isinstance(positions, nn.Embedding):
        limit = getattr(model.config, "max_position_embeddings", None)
        return None if limit is None else int(limit)
    # RoBERTa counts its positions from the number after that of the padding token.
    first = 0 if positions.padding_idx is None else positions.padding_idx + 1
    return positions.num_embeddings - first
