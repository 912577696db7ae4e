"""Whisper's encoder as others publish it: transformers' safetensors layout, and CTranslate2's ``model.bin``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from m3ser.encoders.ctranslate2_format import CTranslate2Model, read_ctranslate2
from m3ser.encoders.hub import find_file
from m3ser.encoders.whisper import WhisperArchitecture
from m3ser.errors import CheckpointError

__all__ = ["read_whisper"]

# Whisper's names in transformers' checkpoints, with and without the decoder beside it.
_PREFIXES = ("model.encoder.", "encoder.")
# CTranslate2's modules inside a block, and transformers'. Its first attention matrix holds queries, keys and values.
_BLOCK_MODULES = {
    "self_attention/linear_1": "self_attn.out_proj",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}
_BLOCK_NORMS = {"self_attention/layer_norm": "self_attn_layer_norm", "ffn/layer_norm": "final_layer_norm"}


def read_whisper(source: str, *, revision: str | None = None) -> tuple[WhisperArchitecture, dict[str, Tensor]]:
    """Sizes and float32 weights of the encoder of the Whisper model `source`, a folder or a name on the Hub.

    Raises:
        CheckpointError: nothing there, not a Whisper model, or damaged.
    """
    config_path = find_file(source, "config.json", revision=revision)
    config = {} if config_path is None else _read_json(config_path)
    if "model_type" in config:
        return _architecture(config, config_path), _read_safetensors(source, revision)
    binary = find_file(source, "model.bin", revision=revision)
    if binary is None:
        raise CheckpointError(
            f"The model '{source}' has neither a config.json with a model_type nor CTranslate2's model.bin."
        )
    return _from_ctranslate2(read_ctranslate2(binary))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} holds a {type(found).__name__}; expected an object.")
    return found


def _architecture(config: Mapping[str, Any], path: Path | None) -> WhisperArchitecture:
    """The sizes as transformers' WhisperConfig names them."""
    if config["model_type"] != "whisper":
        raise CheckpointError(f"{path} describes a model of type '{config['model_type']}', not Whisper.")
    if config.get("activation_function", "gelu") != "gelu" or config.get("scale_embedding", False):
        raise CheckpointError(
            f"{path} describes a Whisper with another activation or scaled embeddings, not supported."
        )
    try:
        return WhisperArchitecture(
            mel_bins=int(config["num_mel_bins"]),
            dim=int(config["d_model"]),
            layers=int(config["encoder_layers"]),
            heads=int(config["encoder_attention_heads"]),
            ffn_dim=int(config["encoder_ffn_dim"]),
            positions=int(config["max_source_positions"]),
        )
    except KeyError as error:
        raise CheckpointError(f"{path} lacks {error}.") from error
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path} gives a size that is not a whole number: {error}.") from error


def _read_safetensors(source: str, revision: str | None) -> dict[str, Tensor]:
    """The encoder's tensors, from one file or, for the largest models, several."""
    names = ["model.safetensors"]
    if find_file(source, names[0], revision=revision) is None:
        index_path = find_file(source, "model.safetensors.index.json", revision=revision)
        if index_path is None:
            raise CheckpointError(f"The model '{source}' lacks its weights, model.safetensors.")
        names = _shards(index_path)
    state_dict: dict[str, Tensor] = {}
    for file_name in names:
        path = find_file(source, file_name, revision=revision)
        if path is None:
            raise CheckpointError(f"The model '{source}' lacks its weights, {file_name}.")
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - not a dictionary
                    own_name = _own_name(name)
                    if own_name is not None:
                        state_dict[own_name] = file.get_tensor(name).float()
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path} is damaged or is not a safetensors file: {error}.") from error
    return state_dict


def _shards(index_path: Path) -> list[str]:
    """The names of the files that hold the encoder's tensors."""
    weight_map = _read_json(index_path).get("weight_map")
    if not isinstance(weight_map, dict):
        raise CheckpointError(f"{index_path} has no weight_map.")
    names = sorted({str(file) for name, file in weight_map.items() if _own_name(name) is not None})
    if any(Path(name).name != name for name in names):
        raise CheckpointError(f"{index_path} names weights outside of its folder.")
    return names


def _own_name(name: str) -> str | None:
    """The name of a checkpoint's tensor in the encoder; None where it belongs elsewhere."""
    return next((name.removeprefix(prefix) for prefix in _PREFIXES if name.startswith(prefix)), None)


def _from_ctranslate2(model: CTranslate2Model) -> tuple[WhisperArchitecture, dict[str, Tensor]]:
    """The encoder's tensors under transformers' names."""
    if model.spec != "WhisperSpec":
        raise CheckpointError(f"{model.path} holds a {model.spec}, not a Whisper model.")

    def tensor(name: str) -> Tensor:
        return torch.from_numpy(model.weights(f"encoder/{name}"))

    state_dict = {
        f"{module}.{kind}": tensor(f"{module}/{kind}") for module in ("conv1", "conv2") for kind in ("weight", "bias")
    }
    state_dict["embed_positions.weight"] = tensor("position_encodings/encodings")
    layers = 0
    while f"encoder/layer_{layers}/self_attention/linear_0/weight" in model.variables:
        theirs, ours = f"layer_{layers}", f"layers.{layers}"
        query, key, value = tensor(f"{theirs}/self_attention/linear_0/weight").chunk(3)
        query_bias, _, value_bias = tensor(f"{theirs}/self_attention/linear_0/bias").chunk(3)
        state_dict |= {
            f"{ours}.self_attn.q_proj.weight": query,
            f"{ours}.self_attn.q_proj.bias": query_bias,
            f"{ours}.self_attn.k_proj.weight": key,
            f"{ours}.self_attn.v_proj.weight": value,
            f"{ours}.self_attn.v_proj.bias": value_bias,
        }
        for module, own in _BLOCK_MODULES.items():
            state_dict |= {f"{ours}.{own}.{kind}": tensor(f"{theirs}/{module}/{kind}") for kind in ("weight", "bias")}
        for module, own in _BLOCK_NORMS.items():
            state_dict[f"{ours}.{own}.weight"] = tensor(f"{theirs}/{module}/gamma")
            state_dict[f"{ours}.{own}.bias"] = tensor(f"{theirs}/{module}/beta")
        layers += 1
    state_dict["layer_norm.weight"] = tensor("layer_norm/gamma")
    state_dict["layer_norm.bias"] = tensor("layer_norm/beta")
    if not layers:
        raise CheckpointError(f"{model.path} has no encoder blocks.")
    dim, mel_bins, _ = state_dict["conv1.weight"].shape
    architecture = WhisperArchitecture(
        mel_bins=mel_bins,
        dim=dim,
        layers=layers,
        heads=model.scalar("encoder/num_heads"),
        ffn_dim=state_dict["layers.0.fc1.weight"].shape[0],
        positions=state_dict["embed_positions.weight"].shape[0],
    )
    return architecture, state_dict
