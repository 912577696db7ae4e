"""What a fusion model is built from, as it is written into ``config.json``.

Each system has its own subclass of :class:`FusionConfig` in its own file; the keyword arguments that such a subclass
adds are the options that :func:`m3ser.models.build` accepts for it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from transformers import PretrainedConfig

from m3ser.errors import CheckpointError, UsageError

__all__ = ["CHECKPOINT_FORMAT", "CheckedConfig", "FusionConfig"]

CHECKPOINT_FORMAT = 1
"""Written into every config. It changes when a graph changes in a way that makes older weights mean something else."""


class CheckedConfig(PretrainedConfig):  # type: ignore[no-untyped-call,misc,unused-ignore]
    """A config that says which checkpoint format it belongs to.

    Args:
        m3ser_format: the checkpoint format, :data:`CHECKPOINT_FORMAT`.
        kwargs: what transformers keeps in every config, above all ``id2label`` and ``label2id``.

    Raises:
        CheckpointError: it is of another format.
    """

    model_type = "m3ser"

    if TYPE_CHECKING:  # transformers leaves it untyped

        def __init_subclass__(cls, **kwargs: Any) -> None: ...

    def __init__(self, *, m3ser_format: int = CHECKPOINT_FORMAT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_format(m3ser_format, f"This {type(self).__name__}")
        self.m3ser_format = m3ser_format

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names in the order of the logits."""
        # Out of JSON they come in the order of their numbers' spelling: 0, 1, 10, 2.
        return tuple(str(name) for _, name in sorted((self.id2label or {}).items()))


class FusionConfig(CheckedConfig):
    """Sizes and labels that every fusion model has.

    Args:
        system: the published system's name ("3m-ser-ln"), one of :func:`m3ser.models.names`.
        text_dim: features per text state.
        audio_dim: features per audio state.
        audio_scaled: whether the weights hold a scale for audio states (:meth:`m3ser.models.FusionModel.scale_audio`).
        kwargs: see :class:`CheckedConfig`.

    Raises:
        UsageError: a size is not a positive integer, there are fewer than two labels, or the name is not this class's.
        CheckpointError: the config is of another checkpoint format.
    """

    model_type = "m3ser-fusion"
    systems: ClassVar[tuple[str, ...]] = ()
    """The systems that this class configures."""

    def __init__(
        self,
        *,
        system: str | None = None,
        text_dim: int = 768,
        audio_dim: int = 128,
        audio_scaled: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.audio_scaled = bool(audio_scaled)
        self.system = next(iter(self.systems), "") if system is None else system
        if system is not None and system not in self.systems:
            raise UsageError(f"{type(self).__name__} configures {', '.join(self.systems)}, not '{system}'.")
        self.text_dim = positive_integer("text_dim", text_dim)
        self.audio_dim = positive_integer("audio_dim", audio_dim)
        if len(self.labels) < 2:
            raise UsageError(f"num_labels is {len(self.labels)}; a classifier needs at least two labels.")

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """The options of this system alone: what its ``__init__`` takes beside the arguments above."""
        common = inspect.signature(FusionConfig.__init__).parameters
        return tuple(name for name in inspect.signature(cls.__init__).parameters if name not in common)


def check_format(found: object, subject: str) -> None:
    """Raise CheckpointError unless `found` is the checkpoint format that this version of m3ser reads."""
    if found != CHECKPOINT_FORMAT:
        raise CheckpointError(
            f"{subject} is of checkpoint format {found!r}; this version of m3ser reads format {CHECKPOINT_FORMAT}."
        )


def positive_integer(name: str, value: object) -> int:
    """`value` if it is an integer of at least 1, else a UsageError that names it."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{name} is {value!r}; a positive integer was expected.")
    return value


def positive_integers(name: str, value: object) -> list[int]:
    """`value` as a list if it is a sequence, perhaps empty, of integers of at least 1, else a UsageError."""
    if not isinstance(value, (list, tuple)):
        raise UsageError(f"{name} is {value!r}; a list of positive integers was expected.")
    return [positive_integer(name, one) for one in value]


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Raise UsageError, which lists them, unless `value` is one of `choices`."""
    known = tuple(choices)
    if value not in known:
        raise UsageError(f"{name} is {value!r}; one of {', '.join(known)} was expected.")


def check_heads(num_heads: int, **widths: int) -> None:
    """Raise UsageError unless `num_heads` attention heads divide each of `widths`, by name, evenly."""
    for name, width in widths.items():
        if width % num_heads:
            raise UsageError(f"{name} is {width}, which {num_heads} attention heads do not divide evenly.")


def dropout_rate(value: object, name: str = "dropout") -> float:
    """`value` if it is a probability below 1, else a UsageError that calls it `name`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise UsageError(f"{name} is {value!r}; a number from 0 up to, but not including, 1 was expected.")
    return float(value)


def label_maps(num_labels: int, labels: Iterable[str] | None) -> dict[str, Any]:
    """The keyword arguments that put `labels` (or, where there are none, ``LABEL_0`` and so on) into a config."""
    positive_integer("num_labels", num_labels)
    names = [f"LABEL_{i}" for i in range(num_labels)] if labels is None else list(labels)
    if len(names) != num_labels:
        raise UsageError(f"num_labels is {num_labels}, but {len(names)} labels are given: {', '.join(names)}.")
    if len(set(names)) != len(names):
        raise UsageError(f"The labels {', '.join(names)} are not all different.")
    return {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
