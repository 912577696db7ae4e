"""`PreTrainedModel` that loads exactly what was saved, or says in one sentence why it cannot."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel

from m3ser.encoders.hub import without_load_report
from m3ser.errors import CheckpointError, UsageError
from m3ser.models.config import CheckedConfig, check_format

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CheckedModel"]

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")

# What transformers and torch raise over a config with values of the wrong type, or over files they cannot read.
_DAMAGED = (OSError, ValueError, TypeError, RuntimeError, AttributeError, LookupError)


class CheckedModel(PreTrainedModel):  # type: ignore[no-untyped-call,misc,unused-ignore]
    """Base of every m3ser model.

    `save_pretrained` writes config.json and safetensors. `from_pretrained` is transformers' own, but where that only
    warns (weights missing, left over or of another shape: new random ones are used), this one raises.
    """

    config_class: type[CheckedConfig] = CheckedConfig
    config: CheckedConfig
    base_model_prefix = ""

    if TYPE_CHECKING:  # transformers leaves them untyped

        def __init_subclass__(cls, **kwargs: Any) -> None: ...

        def post_init(self) -> None: ...  # noqa: D102

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str] | None, *model_args: Any, **kwargs: Any
    ) -> Self:
        """Load a model that `save_pretrained` wrote, in evaluation mode.

        Args:
            pretrained_model_name_or_path: a folder, or a name on the Hugging Face Hub.
            model_args: as transformers has them.
            kwargs: as transformers has them (`dtype`, `device_map`, `revision`, ...); `use_safetensors` is always on.

        Raises:
            CheckpointError: not a checkpoint of this class, of another format version, damaged, pickled, or with
                weights that do not fit the graph one to one.
        """
        source = os.fspath(pretrained_model_name_or_path or "")
        folder = Path(source, kwargs.get("subfolder", ""))
        if folder.is_dir():
            check_folder(folder, cls.config_class.model_type)
        kwargs |= {"use_safetensors": True, "ignore_mismatched_sizes": True, "output_loading_info": True}
        loaded: Any
        try:
            with without_load_report():
                loaded = super().from_pretrained(source, *model_args, **kwargs)
        except SafetensorError as error:
            raise CheckpointError(f"The weights of {source} are damaged: {_first_line(error)}.") from error
        except UsageError as error:
            raise CheckpointError(f"The {CONFIG_FILE} of {source} makes no sense: {error}") from error
        except _DAMAGED as error:
            raise CheckpointError(f"{source} cannot be loaded: {_first_line(error)}.") from error
        model, report = loaded
        check_fit(
            f"The checkpoint {source}",
            missing=report["missing_keys"],
            unexpected=report["unexpected_keys"],
            mismatched=dict(_mismatch(model, entry) for entry in report["mismatched_keys"]),
        )
        # transformers 5 puts new parameters in the place of those that were built, and all of the new ones learn.
        with torch.device("meta"):
            as_built = cls(model.config)
        for parameter, pattern in zip(model.parameters(), as_built.parameters(), strict=True):
            parameter.requires_grad_(pattern.requires_grad)
        return cast("Self", model)


def check_folder(folder: Path, model_type: str | None = None) -> Mapping[str, Any]:
    """The config of the checkpoint in `folder`, after everything that can be checked before its weights are read.

    Args:
        folder: what should hold config.json and model.safetensors.
        model_type: what the config should say; None: anything that begins with "m3ser".

    Raises:
        CheckpointError: it is not an m3ser checkpoint, of another type or format version, or without safe weights.
    """
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{folder} is not an m3ser checkpoint: it holds no {CONFIG_FILE}.") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder / CONFIG_FILE} cannot be read: {_first_line(error)}.") from error
    found = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(config, dict) or not str(found).startswith("m3ser"):
        raise CheckpointError(f"{folder} is not an m3ser checkpoint: its {CONFIG_FILE} has model_type {found!r}.")
    if model_type is not None and found != model_type:
        raise CheckpointError(f"{folder} holds a model of type {found!r}; {model_type!r} was expected.")
    check_format(config.get("m3ser_format"), str(folder))
    if not any(folder.glob("model*.safetensors")):
        pickles = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLES)
        refused = f", only {', '.join(pickles)}, and m3ser opens no pickles: they can run code" if pickles else ""
        raise CheckpointError(f"{folder} holds no {WEIGHTS_FILE}{refused}.")
    return config


def check_fit(
    subject: str,
    *,
    missing: Iterable[str] = (),
    unexpected: Iterable[str] = (),
    mismatched: Mapping[str, tuple[object, object]] | None = None,
    hint: str = "",
) -> None:
    """Raise CheckpointError unless weights and graph fit one to one.

    Args:
        subject: whose weights they are, as the subject of a sentence.
        missing: weights that the graph has and the file has not.
        unexpected: weights that the file has and the graph has not.
        mismatched: name -> (shape in the file, shape in the graph).
        hint: what to add to the sentence.
    """
    faults = []
    if names := _listed(missing):
        faults.append(f"missing {names}")
    if names := _listed(unexpected):
        faults.append(f"unexpected {names}")
    if mismatched:
        faults += [f"{name} is {found}, not {wanted}" for name, (found, wanted) in sorted(mismatched.items())]
    if faults:
        raise CheckpointError(f"{subject} does not fit the graph: {'; '.join(faults)}{hint}.")


def _mismatch(model: CheckedModel, entry: Any) -> tuple[str, tuple[object, object]]:
    """An entry of the loading report as :func:`check_fit` takes it: transformers 4 gives no more than the name."""
    if isinstance(entry, str):
        return entry, ("of another shape", tuple(model.get_parameter(entry).shape))
    name, found, wanted = entry
    return name, (tuple(found), tuple(wanted))


def _listed(names: Iterable[str], most: int = 8) -> str:
    found = sorted(names)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__
