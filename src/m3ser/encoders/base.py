"""What all encoders have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel
from torch import Tensor, nn

from m3ser.encoders.layers import LayerMix
from m3ser.encoders.states import EncoderStates
from m3ser.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AudioEncoder", "Encoder", "TokenEncoder", "freeze", "freeze_first"]

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class Encoder(nn.Module):
    """A module that turns one modality into a sequence of states.

    A subclass implements :meth:`encode`. What that gives never changes for a frozen encoder, so that it can be computed
    once; a mix of layers that is still to be learnt comes after it.

    Attributes:
        dim: width of the states.
        frozen: set by :func:`freeze`; a frozen encoder stays in evaluation mode whatever its parent does.
        config: what :func:`~m3ser.encoders.build_encoder` built it from; None where it was built by hand.
        lora: what :func:`~m3ser.encoders.add_lora` was asked for; None: nothing.
        frozen_first: what :func:`freeze_first` was asked for; None: nothing.
        mix: learns even where the rest is frozen; None: :meth:`encode` gives the states themselves.
        half_precision: whether states lose nothing that matters when they are kept as float16.
    """

    dim: int
    frozen: bool = False
    config: BaseModel | None = None
    lora: dict[str, Any] | None = None
    frozen_first: int | None = None
    mix: LayerMix | None
    half_precision: bool = True

    def __init__(self) -> None:
        super().__init__()
        self.mix = None
        self._still: tuple[nn.Module, ...] = ()

    @property
    def encoded_dim(self) -> int:
        """Width of what :meth:`encode` gives."""
        return self.dim if self.mix is None else self.dim * self.mix.layers

    @property
    def prefix_dim(self) -> int | None:
        """Width of what its frozen lower part gives, where that can be computed once and the rest go on from it.

        None: nothing of it is frozen, all of it is, or it cannot be parted.
        """
        return None

    @property
    def max_prefix(self) -> int | None:
        """How many steps of it one call of :meth:`encode_from` can take; None: any number."""
        return None

    def prefix(self, inputs: Tensor, mask: Tensor) -> EncoderStates:  # noqa: ARG002
        """What the frozen lower part makes of a padded batch: (batch, steps, `prefix_dim`); see :meth:`encode`.

        Raises:
            UsageError: it has no such part.
        """
        raise UsageError(f"A {type(self).__name__} has no lower part that could be computed once.")

    def encode_from(self, prefix: Tensor, mask: Tensor) -> EncoderStates:  # noqa: ARG002
        """What :meth:`encode` gives, from what :meth:`prefix` gave; errors as there."""
        raise UsageError(f"A {type(self).__name__} has no lower part that could be computed once.")

    @property
    def computed_once(self) -> bool:
        """Whether nothing of it learns, so that its states are the same for good."""
        return self.frozen and self.mix is None

    def forward(self, inputs: Tensor, mask: Tensor) -> EncoderStates:
        """The states of a padded batch: (batch, steps, `dim`); arguments and errors as :meth:`encode`."""
        return self._mixed(self.encode(inputs, mask))

    def forward_from(self, prefix: Tensor, mask: Tensor) -> EncoderStates:
        """What calling it gives, from what :meth:`prefix` gave."""
        return self._mixed(self.encode_from(prefix, mask))

    def _mixed(self, found: EncoderStates) -> EncoderStates:
        return found if self.mix is None else EncoderStates(self.mix(found.states), found.mask)

    @abstractmethod
    def encode(self, inputs: Tensor, mask: Tensor) -> EncoderStates:
        """The states before a mix: (batch, steps, `encoded_dim`)."""
        raise NotImplementedError

    def blocks(self) -> Sequence[nn.Module]:
        """The blocks of the network, lowest first.

        Raises:
            UsageError: it is not made of blocks.
        """
        raise UsageError(f"A {type(self).__name__} has no blocks: it is frozen or trained as a whole.")

    def stem(self) -> Sequence[nn.Module]:
        """What lies below the first block."""
        return ()

    def train(self, mode: bool = True) -> Self:
        """Switch training mode, but for what is frozen: its states must not depend on dropout."""
        super().train(mode and not self.frozen)
        for part in self._still:
            part.eval()
        return self


class AudioEncoder(Encoder):
    """An encoder of audio features, called as ``encoder(features, mask)``.

    Attributes:
        front_end: name of the features in :data:`m3ser.audio.FRONT_ENDS`.
        max_frames: how many frames of them one call can take; None: any number.
        example_frames: a length that is ordinary for it, to trace a graph with.
        exportable: whether it is one graph for all lengths.
    """

    front_end: str
    max_frames: int | None = None
    example_frames: int = 100
    exportable: bool = True


class TokenEncoder(Encoder):
    """An encoder of token numbers, called as ``encoder(input_ids, attention_mask)``.

    Attributes:
        max_tokens: longest input, special tokens included; None: any length.
        vocabulary: how many token numbers it knows.
    """

    max_tokens: int | None = None
    vocabulary: int


def freeze(module: ModuleT) -> ModuleT:
    """Stop `module` from learning: no gradients, evaluation mode, and for encoders evaluation mode for good.

    An encoder's mix of layers goes on learning: it is the part that is trained on top of what is frozen.

    Returns:
        The same module.
    """
    module.requires_grad_(False)
    for part in module.modules():
        if isinstance(part, Encoder):
            part.frozen = True
            if part.mix is not None:
                part.mix.requires_grad_(True)
    return module.eval()


def freeze_first(encoder: Encoder, first: int) -> None:
    """Freeze what lies below the blocks of `encoder`, and its `first` blocks; the rest learns.

    Raises:
        UsageError: it has no blocks, or fewer than that.
    """
    blocks = encoder.blocks()
    if not 0 <= first <= len(blocks):
        raise UsageError(f"frozen.first is {first}; this encoder has {len(blocks)} blocks.")
    parts = (*encoder.stem(), *blocks[:first])
    for part in parts:
        part.requires_grad_(False).eval()
    encoder._still = parts
    encoder.frozen_first = first
