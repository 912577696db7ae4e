"""4M-SER: 3M-SER's graph with its parts open to choice.

Tier: faithful (the code was read).

Source: the published code of 4M-SER (2024), by the authors of 3M-SER, class `_4M_SER`.

The graph is that of :mod:`m3ser.models.three_m_ser`, with

- the audio states as they are, layer-normalised (the default) or min-max scaled;
- of the fused sequence the first position (`cls`, the default), the mean or the maximum of all positions;
- any number of hidden layers, each Linear -> LeakyReLU(0.01); by default one of 64.

Text encoder, audio encoder and loss are the recipe's; the losses that were published with it are in
:mod:`m3ser.models.losses`. They work on the fused vector, which is as wide as the fusion: 128 behind VGGish. 2,552,644
parameters with the defaults at the paper's sizes.

Wrong in the published code, and not repeated: the pooling `max` passes on values and positions as a pair, which the
next layer cannot read; nothing masks padding, which counts in the mean and may be the maximum. And what
:mod:`m3ser.models.three_m_ser` lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from m3ser.models.config import check_choice, positive_integers
from m3ser.models.three_m_ser import FamilyConfig, Normaliser, Pooling, Shape, ThreeMSer

__all__ = ["FourMSer", "FourMSerConfig"]


class FourMSerConfig(FamilyConfig):
    """Configuration of 4M-SER.

    Args:
        normaliser: "layer", "min-max" or "none": what happens to the audio states.
        pooling: "cls", "mean" or "max": what of the fused sequence the head reads.
        hidden_dims: widths of the hidden layers of the head; none: the last layer reads the fused vector.
        num_heads: see :class:`FamilyConfig`.
        dropout: see there.
        fusion_dim: see there.
        kwargs: see :class:`FusionConfig`.

    Raises:
        UsageError: see :class:`FamilyConfig`; or a choice that there is not.
    """

    model_type = "m3ser-4m-ser"
    systems = ("4m-ser",)

    def __init__(
        self,
        *,
        normaliser: Normaliser = "layer",
        pooling: Pooling = "cls",
        hidden_dims: Sequence[int] = (64,),
        num_heads: int = 8,
        dropout: float = 0.5,
        fusion_dim: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_heads=num_heads, dropout=dropout, fusion_dim=fusion_dim, **kwargs)
        check_choice("normaliser", normaliser, get_args(Normaliser))
        check_choice("pooling", pooling, get_args(Pooling))
        self.normaliser, self.pooling = normaliser, pooling
        self.hidden_dims = positive_integers("hidden_dims", hidden_dims)

    def shape(self) -> Shape:
        """See :meth:`FamilyConfig.shape`."""
        return Shape(self.normaliser, self.pooling, tuple(self.hidden_dims))


class FourMSer(ThreeMSer):
    """4M-SER (see the module's docstring)."""

    config_class = FourMSerConfig
    config: FourMSerConfig
