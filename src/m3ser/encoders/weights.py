"""Reading weights without running code, and putting them where they belong."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from m3ser.errors import CheckpointError

__all__ = ["load_weights", "read_state_dict", "read_torch_file"]

SafeGlobal = Callable[..., Any] | tuple[Callable[..., Any], str]

# What torch.load raises, besides UnpicklingError, for files that are damaged in one way or another.
_DAMAGED = (RuntimeError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, struct.error)


def read_torch_file(path: str | os.PathLike[str], *, safe_globals: Sequence[SafeGlobal] = ()) -> object:
    """Read a file that ``torch.save`` wrote, by the restricted unpickler: tensors and plain containers only.

    Args:
        path: the file.
        safe_globals: what else it may name, as :func:`torch.serialization.safe_globals` takes them.

    Raises:
        CheckpointError: it is missing or damaged, or holds objects whose unpickling could run code.
    """
    path = Path(path)
    try:
        with torch.serialization.safe_globals(list(safe_globals)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is refused: it is not a PyTorch file of tensors, or holds objects that could run code when loaded."
        ) from error
    except _DAMAGED as error:
        raise CheckpointError(f"{path} is damaged or is not a PyTorch file of tensors.") from error


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read named tensors from a safetensors file (by its suffix) or a file that ``torch.save`` wrote.

    Raises:
        CheckpointError: it is missing or damaged, could run code, or holds anything but named tensors.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
        except SafetensorError as error:
            raise CheckpointError(f"{path} is damaged or is not a safetensors file: {error}.") from error
    found = read_torch_file(path)
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(f"{path} holds {type(found).__name__}; expected a dictionary of named tensors.")
    return dict(found)


def load_weights(module: nn.Module, state_dict: Mapping[str, Tensor], *, source: object) -> None:
    """Load `state_dict` into `module`; every name and shape must fit.

    Raises:
        CheckpointError: what is missing, unexpected or of another shape; `source` says where it came from.
    """
    own = module.state_dict()
    faults = {
        "missing": [name for name in own if name not in state_dict],
        "unexpected": [name for name in state_dict if name not in own],
        "of another shape": [n for n, value in state_dict.items() if n in own and value.shape != own[n].shape],
    }
    if any(faults.values()):
        found = "; ".join(f"{fault}: {_some(names)}" for fault, names in faults.items() if names)
        raise CheckpointError(f"The weights of {source} do not fit {type(module).__name__}: {found}.")
    module.load_state_dict(state_dict)


def _some(names: Sequence[str], most: int = 4) -> str:
    """The first few of `names`, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
