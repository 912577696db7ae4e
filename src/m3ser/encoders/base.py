"""What all encoders have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from torch import Tensor, nn

from m3ser.encoders.states import EncoderStates

if TYPE_CHECKING:
    from typing_extensions import Self

    from m3ser.encoders.config import EncoderConfig

__all__ = ["AudioEncoder", "Encoder", "freeze"]

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class Encoder(nn.Module):
    """A module that turns one modality into a sequence of states.

    Attributes:
        dim: width of the states.
        frozen: set by :func:`freeze`; a frozen encoder stays in evaluation mode whatever its parent does.
        config: what :func:`~m3ser.encoders.build_encoder` built it from; None where it was built by hand.
    """

    dim: int
    frozen: bool = False
    config: EncoderConfig | None = None

    def train(self, mode: bool = True) -> Self:
        """Switch training mode, but for a frozen encoder: its states must not depend on dropout."""
        return super().train(mode and not self.frozen)


class AudioEncoder(Encoder):
    """An encoder of audio features, called as ``encoder(features, mask)``.

    Attributes:
        front_end: name of the features in :data:`m3ser.audio.FRONT_ENDS`.
        max_frames: how many frames of them one call can take; None: any number.
    """

    front_end: str
    max_frames: int | None = None

    def forward(self, features: Tensor, mask: Tensor) -> EncoderStates:
        """Encode a padded batch.

        Args:
            features: (batch, frames, ...) float.
            mask: (batch, frames) bool, True = real.
        """
        raise NotImplementedError


def freeze(module: ModuleT) -> ModuleT:
    """Stop `module` from learning: no gradients, evaluation mode, and for encoders evaluation mode for good.

    Returns:
        The same module.
    """
    for part in module.modules():
        if isinstance(part, Encoder):
            part.frozen = True
    return module.requires_grad_(False).eval()
