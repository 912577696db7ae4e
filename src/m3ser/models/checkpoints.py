"""Models on disk: a folder with config.json and model.safetensors, written whole and read without surprises."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from m3ser.errors import CheckpointError
from m3ser.models.composition import SpeechEmotionModel
from m3ser.models.own import ENVIRONMENT
from m3ser.models.pretrained import CheckedModel, check_folder
from m3ser.models.registry import systems

__all__ = ["load", "save"]


def save(model: CheckedModel, folder: str | os.PathLike[str]) -> Path:
    """Write `model` into `folder` so that :func:`load` reads it back.

    Everything is written elsewhere first. A new folder appears complete or not at all; in one that exists each file is
    replaced in one step, the config last, and other files stay.

    Raises:
        CheckpointError: the folder cannot be written (a file of that name, no permission, a full disk).
    """
    target = Path(folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
            draft = Path(scratch) / "checkpoint"
            model.save_pretrained(draft)
            if not target.exists():
                draft.replace(target)
            else:
                # By name "config.json" sorts before the weights it describes: turned round.
                for file in sorted(draft.iterdir(), reverse=True):
                    file.replace(target / file.name)
    except OSError as error:
        raise CheckpointError(f"The model cannot be saved in {target}: {error.strerror or error}.") from error
    return target


def load(folder: str | os.PathLike[str]) -> CheckedModel:
    """The model that was saved in `folder`, in evaluation mode: a fusion model, or one with its encoders.

    Raises:
        CheckpointError: there is no m3ser checkpoint, or it is of another format version, of a system that this version
            of m3ser does not know, damaged, or pickled, or its weights do not fit.
    """
    path = Path(folder)
    if not path.is_dir():
        found = "is a file" if path.exists() else "does not exist"
        raise CheckpointError(f"{path} {found}; a checkpoint is a folder with config.json and model.safetensors.")
    config = check_folder(path)
    if config["model_type"] == SpeechEmotionModel.config_class.model_type:
        return SpeechEmotionModel.from_pretrained(path, local_files_only=True)
    name = str(config.get("system"))
    known = systems()
    if name not in known:
        raise CheckpointError(
            f"{path} holds the system '{name}'; this version of m3ser knows {', '.join(known)}, and those of the files "
            f"that {ENVIRONMENT} names."
        )
    return known[name].model_class().from_pretrained(path, local_files_only=True)
