"""The systems by name. Listing them needs no torch; building one does."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from m3ser.errors import UsageError, needing

if TYPE_CHECKING:
    from m3ser.models.base import FusionModel

__all__ = ["SYSTEMS", "System", "Tier", "build", "names", "system"]

Tier = Literal["faithful", "near", "reconstruction"]
"""How much of a system is public: its code; its layer sizes; its idea alone."""


@dataclass(frozen=True)
class System:
    """A published system.

    Attributes:
        name: what recipes, configs and the command line call it.
        tier: how much of it is public.
        source: where it was published.
        description: the graph in one line.
        model: "module:class" of the :class:`m3ser.models.FusionModel`.
    """

    name: str
    tier: Tier
    source: str
    description: str
    model: str

    def model_class(self) -> type[FusionModel]:
        """The class that implements it.

        Raises:
            MissingExtraError: torch or transformers is not installed.
        """
        module, _, attribute = self.model.partition(":")
        with needing("train", f"Building '{self.name}'"):
            found: type[FusionModel] = getattr(importlib.import_module(module), attribute)
        return found


_3M_SER = "3M-SER, INISCOM 2023; published code of 2023 and 2024"
_SERVER = "SERVER; published notebooks"
_MEMOCMT = "Khan, Tran, Pham, El Saddik, Othmani 2025 (Scientific Reports); published code"
_MDRE = "Yoon, Byun, Jung 2018 (SLT); published code"
_FUSION = "self-attention over token states, then over tokens and audio states together"

SYSTEMS: Mapping[str, System] = MappingProxyType(
    {
        one.name: one
        for one in (
            System(
                name="3m-ser",
                tier="faithful",
                source=_3M_SER,
                description=f"{_FUSION}; audio states as they are",
                model="m3ser.models.three_m_ser:ThreeMSer",
            ),
            System(
                name="3m-ser-ln",
                tier="faithful",
                source=_3M_SER,
                description=f"{_FUSION}; layer-normalised audio states",
                model="m3ser.models.three_m_ser:ThreeMSer",
            ),
            System(
                name="3m-ser-minmax",
                tier="faithful",
                source=_3M_SER,
                description=f"{_FUSION}; audio states scaled to [0, 1] per utterance",
                model="m3ser.models.three_m_ser:ThreeMSer",
            ),
            System(
                name="server",
                tier="faithful",
                source=_SERVER,
                description="pooled text and summed audio states side by side, two linear layers",
                model="m3ser.models.server:Server",
            ),
            System(
                name="mdre",
                tier="faithful",
                source=_MDRE,
                description="the last states of a GRU over each modality, side by side",
                model="m3ser.models.mdre:Mdre",
            ),
            System(
                name="mdrea",
                tier="faithful",
                source=_MDRE,
                description="the last state of a GRU over audio attends to those of one over text",
                model="m3ser.models.mdre:Mdrea",
            ),
            System(
                name="can",
                tier="reconstruction",
                source="Lee, Yoon, Jung 2020 (Interspeech)",
                description="BiLSTMs over aligned segments, each modality's attention weights applied to both",
                model="m3ser.models.can:Can",
            ),
            System(
                name="mcsan",
                tier="near",
                source="Sun, Liu, Tao, Lian 2021 (ICASSP)",
                description="cross-attention and, beside it, self-attention over BiLSTM states",
                model="m3ser.models.mcsan:Mcsan",
            ),
            System(
                name="m-elmo",
                tier="reconstruction",
                source="Tseng, Narayanan, Georgiou 2021 (IEEE Signal Processing Letters)",
                description="a convolutional gate of each token's share of the voice on token states",
                model="m3ser.models.m_elmo:MElmo",
            ),
            System(
                name="memocmt",
                tier="faithful",
                source=_MEMOCMT,
                description="cross-attention from audio to text and from text to audio, aggregated over both",
                model="m3ser.models.memocmt:MemoCmt",
            ),
            System(
                name="4m-ser",
                tier="faithful",
                source="4M-SER; published code of 2024",
                description=f"{_FUSION}; normaliser, pooling and head of one's choice",
                model="m3ser.models.four_m_ser:FourMSer",
            ),
            System(
                name="tre",
                tier="faithful",
                source=_MDRE,
                description="the last state of a GRU over text",
                model="m3ser.models.mdre:Tre",
            ),
            System(
                name="are",
                tier="faithful",
                source=_MDRE,
                description="the last state of a GRU over audio",
                model="m3ser.models.mdre:Are",
            ),
            System(
                name="adcrnn",
                tier="reconstruction",
                source="Pham et al. 2023 (Expert Systems with Applications)",
                description="dilated convolutions, dilated LSTMs and attention over audio",
                model="m3ser.models.adcrnn:Adcrnn",
            ),
            System(
                name="text-only",
                tier="faithful",
                source=_SERVER,
                description="pooled text, two linear layers",
                model="m3ser.models.single:TextOnly",
            ),
            System(
                name="audio-only",
                tier="faithful",
                source=_SERVER,
                description="summed audio states, two linear layers",
                model="m3ser.models.single:AudioOnly",
            ),
        )
    }
)
"""Every system by its name, in the order in which they are listed."""


def names() -> tuple[str, ...]:
    """The names that :func:`build` knows."""
    return tuple(SYSTEMS)


def system(name: str) -> System:
    """The system called `name`.

    Raises:
        UsageError: there is none; the message lists those that there are.
    """
    try:
        return SYSTEMS[name]
    except KeyError:
        raise UsageError(f"There is no model '{name}'; there are {', '.join(SYSTEMS)}.") from None


def build(
    name: str,
    *,
    text_dim: int,
    audio_dim: int,
    num_labels: int,
    labels: Iterable[str] | None = None,
    **options: Any,
) -> FusionModel:
    """A published system's fusion part, with new random weights as the published code draws them.

    Args:
        name: one of :func:`names`.
        text_dim: features per text state (BERT-base: 768).
        audio_dim: features per audio state (VGGish: 128).
        num_labels: number of classes.
        labels: their names in the order of the logits; None: LABEL_0, LABEL_1, ...
        options: what the system's own configuration takes beside these, at its published value where left out:
            see the ``Config`` in the system's file, which says each with its meaning and its default.

    Raises:
        UsageError: an unknown name or option (the message lists the known ones), or sizes that cannot be.
        MissingExtraError: torch or transformers is not installed.
    """
    model_class = system(name).model_class()
    config_class = model_class.config_class
    known = config_class.option_names()
    if unknown := [option for option in options if option not in known]:
        raise UsageError(f"{name} has no option {', '.join(unknown)}; it has {', '.join(known)}.")

    from m3ser.models.config import label_maps

    config = config_class(
        system=name, text_dim=text_dim, audio_dim=audio_dim, **label_maps(num_labels, labels), **options
    )
    return model_class(config)
