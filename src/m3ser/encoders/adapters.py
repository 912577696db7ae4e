"""LoRA: small trained matrices beside frozen linear layers, through `peft`.

Source: Hu et al., "LoRA: Low-rank adaptation of large language models" (ICLR 2022).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeVar

from torch import nn

from m3ser.encoders.base import Encoder
from m3ser.errors import UsageError, needing

__all__ = ["add_lora", "merged"]

EncoderT = TypeVar("EncoderT", bound=Encoder)

# Queries and values, as the paper adapts them, by the names that the families have for them.
_QUERIES_AND_VALUES = (
    *("query", "value", "query_proj", "value_proj", "q_proj", "v_proj", "q_lin", "v_lin", "linear_q", "linear_v"),
    *("q", "v"),
)
_FUSED = ("Wqkv", "in_proj")  # queries, keys and values in one
# WavLM hands its attention's weights to a function of PyTorch's, past whatever stands beside them.
_BYPASSED = {"wavlm": ("q_proj", "k_proj", "v_proj", "out_proj")}
_INSTEAD = ("intermediate_dense", "output_dense")


def add_lora(
    encoder: Encoder, *, rank: int, alpha: int, dropout: float = 0.0, targets: Sequence[str] | None = None
) -> None:
    """Freeze `encoder` and put matrices that learn beside linear layers of its blocks.

    It counts as an encoder that learns (:attr:`Encoder.frozen` is false); a mix of layers goes on learning, too.

    Args:
        encoder: one with blocks.
        rank: of the matrices.
        alpha: their product is multiplied by alpha / rank.
        dropout: on what goes into them.
        targets: last names of the linear layers; None: those for queries and values. In WavLM, where those cannot be
            adapted, both linear layers of the feed-forward part.

    Raises:
        UsageError: no such linear layers, or layers whose adaptation would have no effect.
        MissingExtraError: peft is not installed.
    """
    with needing("train", "LoRA"):
        import peft

    linear = _linear_layers(encoder)
    present = sorted({name.rpartition(".")[2] for name in linear})
    family = getattr(getattr(getattr(encoder, "model", None), "config", None), "model_type", None)
    bypassed = _BYPASSED.get(str(family), ())
    if targets is None:
        likely = _INSTEAD if bypassed else _QUERIES_AND_VALUES
        targets = [name for name in likely if name in present] or [name for name in _FUSED if name in present]
    possible = [name for name in present if name not in bypassed]
    if not targets or any(name not in possible for name in targets):
        raise UsageError(f"lora.targets names {', '.join(targets) or 'nothing'}; of {', '.join(possible)} it can be.")
    chosen = [name for name in linear if name.rpartition(".")[2] in targets]
    config = peft.LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=chosen)
    peft.inject_adapter_in_model(config, encoder)  # all else is frozen by it
    if encoder.mix is not None:
        encoder.mix.requires_grad_(True)
    encoder.frozen = False
    encoder.lora = {"rank": rank, "alpha": alpha, "dropout": dropout, "targets": list(targets)}


def merged(encoder: EncoderT) -> EncoderT:
    """The encoder with what LoRA's matrices have learnt added to the layers beside which they stand.

    It computes the same but for rounding. `encoder` stays as it is; without LoRA it is what is given back.
    """
    if encoder.lora is None:
        return encoder
    encoder = copy.deepcopy(encoder)
    adapted: list[tuple[nn.Module, str, Any]] = [
        (parent, name, part)
        for parent in encoder.modules()
        for name, part in parent.named_children()
        if hasattr(part, "get_base_layer")
    ]
    for parent, name, part in adapted:
        part.merge()
        setattr(parent, name, part.get_base_layer())
    encoder.lora = None
    return encoder


def _linear_layers(encoder: Encoder) -> list[str]:
    """The names in `encoder` of the linear layers of its blocks."""
    blocks = {id(block) for block in encoder.blocks()}
    return [
        f"{place}.{name}"
        for place, block in encoder.named_modules()
        if id(block) in blocks
        for name, part in block.named_modules()
        if isinstance(part, nn.Linear)
    ]
