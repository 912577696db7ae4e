"""The recipe's `training.loss`: which of :mod:`m3ser.models.losses`, told apart by `kind`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "ArcFaceRecipe",
    "CentreRecipe",
    "ContrastiveCentreRecipe",
    "CosFaceRecipe",
    "CrossEntropyRecipe",
    "FocalRecipe",
    "LossRecipe",
    "SigmoidRecipe",
]


class _Loss(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Joint(_Loss):
    """What every term beside the cross-entropy has.

    Attributes:
        weight: of the term.
        weighting: `fixed`: by `weight`; `learned`: both weights are learnt, see :class:`m3ser.models.losses.Joint`.
    """

    weight: float = Field(default=1.0, gt=0)
    weighting: Literal["fixed", "learned"] = "fixed"

    @model_validator(mode="after")
    def _check_weight(self) -> _Joint:
        if self.weighting == "learned" and self.weight != 1.0:
            raise ValueError("weight is for fixed weighting; leave it out where weighting is learned")
        return self


class CrossEntropyRecipe(_Loss):
    """Cross-entropy alone."""

    kind: Literal["cross-entropy"] = "cross-entropy"


class FocalRecipe(_Loss):
    """The focal loss; `gamma` is its power."""

    kind: Literal["focal"] = "focal"
    gamma: float = Field(default=0.5, ge=0)


class SigmoidRecipe(_Loss):
    """Binary cross-entropy of each class on its own, as MDRE has it."""

    kind: Literal["sigmoid"] = "sigmoid"


class CentreRecipe(_Joint):
    """Cross-entropy and the centre loss."""

    kind: Literal["centre"] = "centre"


class ContrastiveCentreRecipe(_Joint):
    """Cross-entropy and the contrastive-centre loss; `delta` is added to its denominator."""

    kind: Literal["contrastive-centre"] = "contrastive-centre"
    delta: float = Field(default=1.0, gt=0)


class ArcFaceRecipe(_Joint):
    """Cross-entropy and ArcFace's; `margin` is an angle in radians, at most a right one."""

    kind: Literal["arcface"] = "arcface"
    margin: float = Field(default=0.5, ge=0, le=1.57)
    scale: float = Field(default=64.0, gt=0)


class CosFaceRecipe(_Joint):
    """Cross-entropy and CosFace's; `margin` is taken off a cosine."""

    kind: Literal["cosface"] = "cosface"
    margin: float = Field(default=0.5, ge=0, lt=2)
    scale: float = Field(default=64.0, gt=0)


LossRecipe = Annotated[
    CrossEntropyRecipe
    | FocalRecipe
    | SigmoidRecipe
    | CentreRecipe
    | ContrastiveCentreRecipe
    | ArcFaceRecipe
    | CosFaceRecipe,
    Field(discriminator="kind"),
]
