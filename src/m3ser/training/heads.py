"""The further heads of a bundle: trained after the model itself, on what its encoders have become."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

from m3ser.encoders import freeze
from m3ser.errors import DataError
from m3ser.training.augmentation import copies_of
from m3ser.training.corpus import Prepared, prepare
from m3ser.training.encoding import Encoded, Encoders, prepare_material
from m3ser.training.examples import example_of
from m3ser.training.recipe import HeadRecipe, PairedRecipe
from m3ser.training.run import Trained, train

__all__ = ["train_heads"]

HEADS = "heads"


def train_heads(trained: Trained, *, cache: str | Path) -> tuple[Trained, ...]:
    """Train the heads that the recipe's bundle asks for; those that are finished are read.

    Each is the recipe's own system, trained in the same way on the same speakers' recordings and sentences of its own
    scheme. The encoders are those of `trained`, and nothing of them learns: what the model answers by itself stays as
    it is.

    Args:
        trained: see :func:`m3ser.training.run.train`; with data of kind paired. The heads' run folders are in
            ``heads/`` of its folder.
        cache: folder for the encoders' states.

    Raises:
        DataError: a speaker who is judged would have been trained on; and as :func:`~m3ser.training.run.train`.
    """
    about = trained.recipe.bundle
    if about is None or not about.heads:
        return ()
    encoders = _frozen(trained.encoders)
    return tuple(_train(head, trained, encoders, Path(cache)) for head in about.heads)


def _train(head: HeadRecipe, trained: Trained, encoders: Encoders, cache: Path) -> Trained:
    recipe = trained.recipe
    assert isinstance(recipe.data, PairedRecipe)
    own = recipe.model_copy(
        update={
            "name": f"{recipe.name}-{head.scheme}",
            "expected": "",
            "data": recipe.data.model_copy(update={"scheme": head.scheme}),
            # For encoders that learn, which here they do not.
            "training": recipe.training.model_copy(update={"encoder_learning_rate": None}),
            "bundle": None,
        }
    )
    prepared = prepare(own.data)
    _require_unheard(prepared, trained)
    utterances, _ = prepared.fold(1)
    examples = [example_of(one, own.data.emotion_scheme) for one in utterances]
    learnt = [example for example, one in zip(examples, utterances, strict=True) if one.split == "train"]
    examples += copies_of(learnt, own.training.augmentation)
    material = prepare_material(encoders, examples, cache=cache)
    folder = trained.folder / HEADS / head.scheme
    return train(own, prepared, folder, cache=cache, resume=True, shared=Encoded(encoders, material))


def _require_unheard(prepared: Prepared, trained: Trained) -> None:
    """Encoders that learnt from a speaker must not be judged by the same speaker under other classes."""
    heard = {one.speaker for one in trained.utterances if one.split == "train"}
    judged = {one.speaker for one in prepared.fold(1)[0] if one.split != "train"}
    if both := sorted(str(name) for name in heard & judged):
        raise DataError(f"Speakers that the model was trained on would judge its head: {', '.join(both)}.")


def _frozen(encoders: Encoders) -> Encoders:
    """The same encoders, if nothing of them learns; else frozen copies of what they have become."""
    if encoders.all_frozen:
        return encoders
    audio = None if encoders.audio is None else freeze(copy.deepcopy(encoders.audio))
    text = None if encoders.text is None else freeze(copy.deepcopy(encoders.text))
    return replace(encoders, audio=audio, text=text)
