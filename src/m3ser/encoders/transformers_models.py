"""Models of transformers: loaded whole or not at all, and where their blocks are."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from m3ser.encoders.hub import find_file, looks_like_folder, one_line, without_load_report
from m3ser.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["blocks_of", "load_model", "parts_below", "read_config", "read_preprocessor", "recorded_blocks"]

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
# Where the families keep their blocks, and the parts below them.
_BLOCKS = ("encoder.layer", "encoder.layers", "transformer.layer", "layers")
_BELOW = ("embeddings", "feature_extractor", "feature_projection", "encoder.pos_conv_embed")


def read_config(source: str, *, revision: str | None, what: str) -> PretrainedConfig:
    """The config of the model `source`, a folder or a name on the Hub; `what` says what it is meant to be.

    Raises:
        CheckpointError: no such model, offline and never fetched, or damaged.
    """
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    if looks_like_folder(source) and not Path(source).expanduser().is_dir():
        raise CheckpointError(f"{source} is not a folder with a model.")
    try:
        found: PretrainedConfig = AutoConfig.from_pretrained(_place(source), **_options(revision))
    except (*_DAMAGED, StrictDataclassError) as error:
        raise CheckpointError(f"The {what} '{source}' cannot be loaded: {one_line(error)}") from error
    return found


def load_model(
    source: str, config: PretrainedConfig, *, revision: str | None, what: str, unused: Sequence[str] = ()
) -> PreTrainedModel:
    """The model with all of its weights in float32.

    Args:
        source: a folder or a name on the Hub.
        config: what :func:`read_config` gave.
        revision: branch, tag or commit on the Hub.
        what: what the model is meant to be ("text encoder"), for messages.
        unused: beginnings of the names of parameters that are not used, and may lack their weights.

    Raises:
        CheckpointError: damaged, or some of its weights are not there (they would be random).
    """
    from transformers import AutoModel

    model: PreTrainedModel
    report: dict[str, Any]
    try:
        with without_load_report():
            model, report = AutoModel.from_pretrained(
                _place(source),
                config=config,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **_options(revision),
            )
    except _DAMAGED as error:
        raise CheckpointError(f"The {what} '{source}' cannot be loaded: {one_line(error)}") from error
    untrained = {*report["missing_keys"], *(entry[0] for entry in report["mismatched_keys"])}
    needed = sorted(name for name in untrained if not name.startswith(tuple(unused)))
    if needed:
        some = ", ".join(needed[:3])
        raise CheckpointError(
            f"The {what} '{source}' has no weights, or none of the right shape, for {len(needed)} of its "
            f"parameters ({some}{', ...' if len(needed) > 3 else ''})."
        )
    for name in {name.partition(".")[0] for name in untrained}:
        if isinstance(getattr(model, name), nn.Module):
            model.register_module(name, None)
    return model


def read_preprocessor(source: str, *, revision: str | None) -> dict[str, Any]:
    """What the model's preprocessor_config.json says; nothing where it has none.

    Raises:
        CheckpointError: it is not JSON, or the model cannot be had.
    """
    path = find_file(source, "preprocessor_config.json", revision=revision)
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}.") from error
    return found if isinstance(found, dict) else {}


def blocks_of(model: nn.Module) -> nn.ModuleList:
    """The transformer blocks of a model, lowest first.

    Raises:
        UsageError: it has none of its own (ALBERT's share their weights).
    """
    for name in _BLOCKS:
        found = _part(model, name)
        if isinstance(found, nn.ModuleList) and len(found):
            return found
    raise UsageError(f"The blocks of a {type(model).__name__} cannot be told apart.")


def parts_below(model: nn.Module) -> list[nn.Module]:
    """The parts below the first block: embeddings, or the convolutions and what stands between."""
    parts = [_part(model, name) for name in _BELOW]
    if _part(model, "encoder.pos_conv_embed") is not None and not getattr(model.config, "do_stable_layer_norm", False):
        parts.append(_part(model, "encoder.layer_norm"))  # elsewhere it is the last thing of all
    return [part for part in parts if part is not None]


@contextmanager
def recorded_blocks(model: nn.Module) -> Iterator[dict[int, Tensor]]:
    """Collects, while the model runs, hidden states by their numbers: 0 enters the first block, i leaves block i.

    Versions of transformers differ in what they call hidden states, and whether the last one is normalised.
    """
    found: dict[int, Tensor] = {}

    def entering(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        found[0] = args[0] if args else kwargs["hidden_states"]

    def leaving(number: int) -> Any:
        def note(_: nn.Module, __: Any, output: Any) -> None:
            found[number] = output[0] if isinstance(output, tuple) else output

        return note

    blocks = blocks_of(model)
    handles = [blocks[0].register_forward_pre_hook(entering, with_kwargs=True)]
    handles += [block.register_forward_hook(leaving(number)) for number, block in enumerate(blocks, start=1)]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _part(model: nn.Module, name: str) -> nn.Module | None:
    part: Any = model
    for step in name.split("."):
        part = getattr(part, step, None)
    return part if isinstance(part, nn.Module) else None


def _place(source: str) -> str:
    folder = Path(source).expanduser()
    return str(folder) if folder.is_dir() else source


def _options(revision: str | None) -> dict[str, Any]:
    return {"revision": revision or "main", "trust_remote_code": False}
