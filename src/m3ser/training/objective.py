"""From a recipe's `training.loss` to the loss itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from m3ser.errors import RecipeError
from m3ser.models import FusionModel
from m3ser.models.losses import (
    AngularMargin,
    Centres,
    ContrastiveCentres,
    CrossEntropy,
    Focal,
    Joint,
    Loss,
    SigmoidCrossEntropy,
    Term,
)
from m3ser.training.adversary import Adversary
from m3ser.training.loss_recipe import (
    ArcFaceRecipe,
    CentreRecipe,
    ContrastiveCentreRecipe,
    CosFaceRecipe,
    FocalRecipe,
    SigmoidRecipe,
)
from m3ser.training.recipe import TrainingRecipe

__all__ = ["class_weights", "features_width", "make_adversary", "make_loss"]


def make_loss(setting: TrainingRecipe, fusion: FusionModel, labels: Sequence[int]) -> Loss:
    """The loss that `setting` asks for, with new weights where it has any.

    Args:
        setting: the recipe's training part.
        fusion: the model that is to be trained by it.
        labels: class index of every training utterance, for the weights of classes.

    Raises:
        RecipeError: the loss works on a fused vector, and the model has none.
    """
    wanted = setting.loss
    num_labels = len(fusion.config.labels)
    weights = class_weights(labels, num_labels) if setting.class_weights else None
    if isinstance(wanted, SigmoidRecipe):
        return SigmoidCrossEntropy()
    if isinstance(wanted, FocalRecipe):
        return Focal(wanted.gamma, weights)
    main = CrossEntropy(weights, label_smoothing=setting.label_smoothing)
    if not isinstance(wanted, (CentreRecipe, ContrastiveCentreRecipe, ArcFaceRecipe, CosFaceRecipe)):
        return main
    width = features_width(fusion)
    if width is None:
        raise RecipeError(
            f"training.loss is {wanted.kind}, which works on a fused vector; '{fusion.config.system}' has none."
        )
    term: Term
    if isinstance(wanted, CentreRecipe):
        term = Centres(num_labels, width)
    elif isinstance(wanted, ContrastiveCentreRecipe):
        term = ContrastiveCentres(num_labels, width, delta=wanted.delta)
    elif isinstance(wanted, ArcFaceRecipe):
        term = AngularMargin(num_labels, width, angle=wanted.margin, scale=wanted.scale)
    else:
        term = AngularMargin(num_labels, width, cosine=wanted.margin, scale=wanted.scale)
    return Joint(main, term, weight=wanted.weight if wanted.weighting == "fixed" else None)


def make_adversary(setting: TrainingRecipe, fusion: FusionModel, groups: int) -> Adversary | None:
    """The adversary that `setting` asks for, with new weights; None: none.

    Args:
        setting: the recipe's training part.
        fusion: the model that it judges.
        groups: how many speakers, or corpora, it has to tell apart.

    Raises:
        RecipeError: the model has no fused vector.
    """
    if setting.adversary is None:
        return None
    width = features_width(fusion)
    if width is None:
        raise RecipeError(f"training.adversary works on a fused vector; '{fusion.config.system}' has none.")
    return Adversary(width, groups, weight=setting.adversary.weight)


def features_width(fusion: FusionModel) -> int | None:
    """How wide the fused vector of `fusion` is; None: it has none."""
    config, training = fusion.config, fusion.training
    some = next(fusion.parameters())
    with torch.no_grad():
        # In evaluation mode, so that no random number is drawn.
        found = fusion.train(False)(
            some.new_zeros(1, 1, config.text_dim), None, some.new_zeros(1, 1, config.audio_dim), output_features=True
        ).features
    fusion.train(training)
    return None if found is None else int(found.shape[1])


def class_weights(labels: Sequence[int], num_labels: int) -> Tensor:
    """(num_labels,) inversely proportional to how often each class occurs; 1 on average over the labels."""
    counts = np.bincount(labels, minlength=num_labels)
    return torch.from_numpy(len(labels) / (num_labels * np.maximum(counts, 1))).float()
