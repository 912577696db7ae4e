"""The systems by name: the published ones, and those of one's own (docs/add-a-model.md).

Listing the published ones needs no torch; building one does.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from m3ser.errors import UsageError, needing
from m3ser.models.own import ENVIRONMENT, load_own_files

if TYPE_CHECKING:
    from m3ser.models.base import FusionModel

__all__ = ["SYSTEMS", "System", "Tier", "build", "names", "register", "system", "systems"]

Tier = Literal["faithful", "near", "reconstruction", "own"]
"""How much of a system is public: its code; its layer sizes; its idea alone. "own": it is none of m3ser's."""

_Model = TypeVar("_Model", bound="FusionModel")


@dataclass(frozen=True)
class System:
    """A system that can be built.

    Attributes:
        name: what recipes, configs and the command line call it.
        tier: how much of it is public.
        source: where it was published.
        description: the graph in one line.
        model: "module:class" of the :class:`m3ser.models.FusionModel`.
        parameters: text_dim, audio_dim, num_labels -> how many parameters it has with its options left alone, as
            counted on paper; None: the tests of m3ser have the count.
    """

    name: str
    tier: Tier
    source: str
    description: str
    model: str
    parameters: Callable[[int, int, int], int] | None = None

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
"""The published systems by their names, in the order in which they are listed."""

_own: dict[str, System] = {}


def register(
    name: str,
    *,
    description: str,
    parameters: Callable[[int, int, int], int],
    source: str = "own",
) -> Callable[[type[_Model]], type[_Model]]:
    """Makes a :class:`m3ser.models.FusionModel` known by a name, as a decorator of the class.

    The class's config gets what makes it this system's own; an options class of one's own needs no more than its
    options.

    Args:
        name: lower-case letters, digits and hyphens.
        description: the graph in one line.
        parameters: text_dim, audio_dim, num_labels -> how many parameters the system has, counted on paper from its
            layers. The tests compare it with the graph.
        source: where it was published.

    Raises:
        UsageError: the name is taken or impossible, or the class cannot be a system.
    """

    def known(model_class: type[_Model]) -> type[_Model]:
        from m3ser.models.base import FusionModel

        if not (isinstance(model_class, type) and issubclass(model_class, FusionModel)):
            raise UsageError(
                f"@register('{name}') stands over {model_class!r}; a subclass of FusionModel was expected."
            )
        if "." in model_class.__qualname__:
            raise UsageError(
                f"{model_class.__qualname__} is inside of something; @register needs a class of the module."
            )
        place = f"{model_class.__module__}:{model_class.__name__}"
        # Run again in a notebook, a cell registers its class anew.
        if name in SYSTEMS or (name in _own and _own[name].model != place):
            raise UsageError(f"There is a model '{name}' already; @register needs another name for {place}.")
        if taken := [one.name for one in _own.values() if one.model == place and one.name != name]:
            raise UsageError(f"{place} is registered as '{taken[0]}' already; a model has one name.")
        config = model_class.config_class
        model_class.config_class = type(
            config.__name__,
            (config,),
            {
                "__doc__": config.__doc__,
                "__module__": model_class.__module__,
                "__init__": config.__init__,  # transformers would write one by itself
                "model_type": f"m3ser-{name}",
                "systems": (name,),
            },
        )
        _own[name] = System(name, "own", source, description, place, parameters)
        return model_class

    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise UsageError(f"A model cannot be called '{name}'; lower-case letters, digits and hyphens were expected.")
    return known


def systems() -> Mapping[str, System]:
    """Every system by its name: the published ones, then one's own.

    Raises:
        UsageError: a file of one's own cannot be imported; see :mod:`m3ser.models.own`.
    """
    load_own_files()
    return MappingProxyType({**SYSTEMS, **_own})


def names() -> tuple[str, ...]:
    """The names that :func:`build` knows."""
    return tuple(systems())


def system(name: str) -> System:
    """The system called `name`.

    Raises:
        UsageError: there is none; the message lists those that there are.
    """
    known = systems()
    if name not in known:
        raise UsageError(
            f"There is no model '{name}'; there are {', '.join(known)}, and those of the files that "
            f"{ENVIRONMENT} names."
        )
    return known[name]


def build(
    name: str,
    *,
    text_dim: int,
    audio_dim: int,
    num_labels: int,
    labels: Iterable[str] | None = None,
    **options: Any,
) -> FusionModel:
    """A system's fusion part, with new random weights as the published code draws them.

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
