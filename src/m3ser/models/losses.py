"""What a fusion model is trained by: any of these losses for any model.

All are means over the batch, computed in float32. Where a paper sums over the batch, the mean stands in its place, so
that a weight means the same whatever the batch size.

Those that work on the fused vector (:attr:`m3ser.models.FusionOutput.features`) are terms beside the cross-entropy, as
4M-SER has them: the classifier's logits stay the model's answer, and what such a term learns (centres, directions,
weights) is needed for training alone.

4M-SER's published code differs from the papers that it follows, and these follow the papers:

- its centre loss takes the norm of all differences of a batch together, not the mean of their squares;
- its contrastive-centre loss divides sums over the batch by each other, and by the batch size once more, and multiplies
  by 10; of one utterance, its batch, that is 10 times the paper's loss (set `weight` to 10 for it);
- its learnt weights are max(0, w) for each term: they can only fall, until nothing is trained any more;
- its ArcFace passes the gradient by the margin as if there were none, and adds the margin past an angle of pi as well,
  where the cosine rises again;
- its focal loss takes the factor (1 - p)^gamma as a constant.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

__all__ = [
    "AngularMargin",
    "Centres",
    "ContrastiveCentres",
    "CrossEntropy",
    "Focal",
    "Joint",
    "Loss",
    "SigmoidCrossEntropy",
    "Term",
]


class Loss(nn.Module):
    """Logits and labels, and for some fused vectors, to one number."""

    reads_features: ClassVar[bool] = False
    """Whether fused vectors must be given."""

    @property
    def learns(self) -> bool:
        """Whether it has parameters of its own, which the optimiser must be given."""
        return next(self.parameters(), None) is not None

    @abstractmethod
    def forward(self, logits: Tensor, labels: Tensor, features: Tensor | None = None) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (batch, num_labels) float.
            labels: (batch,) int, class indices.
            features: (batch, width) float, the fused vectors; not looked at unless :attr:`reads_features`.

        Returns:
            A float32 scalar.
        """


class CrossEntropy(Loss):
    """Cross-entropy of the softmax.

    Args:
        class_weights: (num_labels,) weight of each class; the mean is weighted by them. None: all are alike.
        label_smoothing: share of the target that is spread over all classes, in training mode.
    """

    class_weights: Tensor | None

    def __init__(self, class_weights: Tensor | None = None, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        # Known from the training part, and not to be saved.
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, labels: Tensor, features: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """See :meth:`Loss.forward`."""
        # In float32 whatever the precision: sums over few classes of large logits lose their digits in bfloat16.
        return F.cross_entropy(
            logits.float(),
            labels,
            weight=_on(self.class_weights, labels),
            label_smoothing=self.label_smoothing if self.training else 0.0,
        )


class Focal(Loss):
    """(1 - p)^gamma times the cross-entropy: what is well told apart already counts for less (Lin et al. 2017).

    Args:
        gamma: 0 is the cross-entropy. 4M-SER has 0.5.
        class_weights: see :class:`CrossEntropy`.
    """

    class_weights: Tensor | None

    def __init__(self, gamma: float = 0.5, class_weights: Tensor | None = None) -> None:
        super().__init__()
        self.gamma = gamma
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, logits: Tensor, labels: Tensor, features: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """See :meth:`Loss.forward`."""
        log_p = logits.float().log_softmax(dim=1).gather(1, labels[:, None])[:, 0]
        # -expm1 of the logarithm keeps the digits of 1 - p where p is almost 1; there the power has an infinite slope
        # for gamma < 1, which the smallest normal number bounds.
        missing = (-torch.expm1(log_p)).clamp(min=torch.finfo(torch.float32).tiny)
        losses = -(missing**self.gamma) * log_p
        weights = _on(self.class_weights, labels)
        if weights is None:
            return losses.mean()
        own = weights[labels]
        return (losses * own).sum() / own.sum()


class SigmoidCrossEntropy(Loss):
    """Binary cross-entropy of each logit's sigmoid with the one-hot target, as MDRE has it (Yoon, Byun, Jung 2018)."""

    def forward(self, logits: Tensor, labels: Tensor, features: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """See :meth:`Loss.forward`; the mean is over utterances and classes."""
        logits = logits.float()
        targets = F.one_hot(labels, logits.shape[1]).to(logits.dtype)
        return F.binary_cross_entropy_with_logits(logits, targets)


class Term(nn.Module):
    """A loss of fused vectors and labels, beside the cross-entropy; see :class:`Joint`."""

    @abstractmethod
    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """(batch, width) float and (batch,) int to a float32 scalar."""


class _OfCentres(Term):
    def __init__(self, num_labels: int, width: int) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(num_labels, width))

    def squared_distances(self, features: Tensor) -> Tensor:
        """(batch, num_labels), of each fused vector from each centre."""
        return (features.float()[:, None, :] - self.centres).square().sum(dim=2)


class Centres(_OfCentres):
    """Half the squared distance of each fused vector from its class's centre (Wen et al. 2016).

    The centres follow the gradient like any parameter, where the paper moves them by a rule with a rate of its own.

    Args:
        num_labels: number of classes.
        width: of the fused vectors.
    """

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """See :meth:`Term.forward`."""
        own = self.squared_distances(features).gather(1, labels[:, None])
        return 0.5 * own.mean()


class ContrastiveCentres(_OfCentres):
    """Half the squared distance from the own centre over the sum of those from all others (Qi and Su 2017).

    Args:
        num_labels: number of classes.
        width: of the fused vectors.
        delta: is added to the denominator; 1, as in the paper.
    """

    def __init__(self, num_labels: int, width: int, *, delta: float = 1.0) -> None:
        super().__init__(num_labels, width)
        self.delta = delta

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """See :meth:`Term.forward`."""
        distances = self.squared_distances(features)
        is_own = F.one_hot(labels, distances.shape[1]).bool()
        own = distances.masked_fill(~is_own, 0.0).sum(dim=1)
        others = distances.masked_fill(is_own, 0.0).sum(dim=1)
        return 0.5 * (own / (others + self.delta)).mean()


class AngularMargin(Term):
    """Cross-entropy of the scaled cosines between the fused vector and a direction for each class, with a margin.

    The true class's cosine, cos t, has to win although it counts as cos(t + angle) - cosine: ArcFace has the first
    (Deng et al. 2019), CosFace the second (Wang et al. 2018). Past t = pi - angle, where cos(t + angle) would rise
    again, it goes on falling as cos t - angle sin(angle), as in ArcFace's own code.

    Args:
        num_labels: number of classes.
        width: of the fused vectors.
        angle: added to the true class's angle, in radians, from 0 to pi / 2.
        cosine: subtracted from its cosine.
        scale: what all cosines are multiplied by; 64 in both papers.
    """

    def __init__(
        self, num_labels: int, width: int, *, angle: float = 0.0, cosine: float = 0.0, scale: float = 64.0
    ) -> None:
        super().__init__()
        self.directions = nn.Parameter(0.01 * torch.randn(num_labels, width))
        self.angle = angle
        self.cosine = cosine
        self.scale = scale

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """See :meth:`Term.forward`."""
        cosines = F.linear(F.normalize(features.float()), F.normalize(self.directions))
        own = cosines.gather(1, labels[:, None])
        # At exactly 1 the sine has no gradient.
        limit = 1 - 1e-6
        bounded = own.clamp(-limit, limit)
        sine = (1 - bounded.square()).sqrt()
        turned = bounded * math.cos(self.angle) - sine * math.sin(self.angle)
        past = own - self.angle * math.sin(self.angle)
        demanded = torch.where(own > -math.cos(self.angle), turned, past) if self.angle else own
        with_margin = cosines.scatter(1, labels[:, None], demanded - self.cosine)
        return F.cross_entropy(self.scale * with_margin, labels)


class Joint(Loss):
    """The cross-entropy and a term of the fused vectors.

    Args:
        main: the cross-entropy.
        term: the other.
        weight: of the term. None: both are weighed as they are learnt, exp(-s) loss + s / 2 with one s for each
            (Kendall, Gal, Cipolla 2018), which begins as a weight of 1 for both.
    """

    reads_features = True

    def __init__(self, main: CrossEntropy, term: Term, *, weight: float | None = 1.0) -> None:
        super().__init__()
        self.main = main
        self.term = term
        self.weight = weight
        if weight is None:
            self.log_variances = nn.Parameter(torch.zeros(2))

    def forward(self, logits: Tensor, labels: Tensor, features: Tensor | None = None) -> Tensor:
        """See :meth:`Loss.forward`."""
        assert features is not None
        parts = torch.stack((self.main(logits, labels), self.term(features, labels)))
        if self.weight is not None:
            return parts[0] + self.weight * parts[1]
        return (torch.exp(-self.log_variances) * parts + self.log_variances / 2).sum()


def _on(weights: Tensor | None, like: Tensor) -> Tensor | None:
    return None if weights is None else weights.to(like.device)
