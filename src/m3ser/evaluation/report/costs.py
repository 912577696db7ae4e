"""What systems cost, beside what they reach: sizes, operations and times, as they were measured elsewhere, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from m3ser.errors import DataError
from m3ser.evaluation.report.content import Chapter
from m3ser.evaluation.report.tables import Table
from m3ser.page import Cell

__all__ = ["Costs", "SystemCost", "Timing", "costs_chapters"]


@dataclass(frozen=True)
class Timing:
    """Seconds that one utterance takes, over some repeats.

    Attributes:
        median: of the repeats.
        low: the fastest of them.
        high: the slowest.
    """

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class SystemCost:
    """One system: where it comes from, and what one utterance costs it.

    Attributes:
        system: what its row is called.
        tier: how much of it is public.
        source: where it was published.
        text_states: that its fusion part reads of the utterance; 0: it reads no text.
        audio_states: the same for audio.
        loss: what it is trained by.
        fusion_parameters: of the fusion part.
        encoder_parameters: of the encoders of what it looks at.
        fusion_flops: of the fusion part; a multiply-add counts as two.
        encoder_flops: of these encoders.
        alone: of the fusion part, one utterance at a time.
        batched: of the fusion part, many at a time.
    """

    system: str
    tier: str
    source: str
    text_states: int
    audio_states: int
    loss: str
    fusion_parameters: int
    encoder_parameters: int
    fusion_flops: int
    encoder_flops: int
    alone: Timing
    batched: Timing


@dataclass(frozen=True)
class Costs:
    """All systems, measured in one process.

    Attributes:
        tokens: of the utterance, special tokens included.
        seconds: of the utterance.
        batch: utterances at a time where they are batched.
        repeats: of each timing.
        hardware: what it was measured on.
        systems: one for each row.
    """

    tokens: int
    seconds: float
    batch: int
    repeats: int
    hardware: str
    systems: tuple[SystemCost, ...]

    def of(self, systems: Sequence[str]) -> Costs:
        """Of these alone, in this order."""
        known = {one.system: one for one in self.systems}
        return replace(self, systems=tuple(known[name] for name in systems))

    def to_json(self) -> str:
        """All of it as JSON."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, subject: str) -> Costs:
        """Read what :meth:`to_json` wrote.

        Args:
            text: the JSON.
            subject: what it is, for an error.

        Raises:
            DataError: it is something else.
        """
        try:
            found = json.loads(text)
            return cls(**{**found, "systems": tuple(map(_system_cost, found["systems"]))})
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{subject} is damaged; delete it to have its contents measured again.") from error


def _system_cost(found: Mapping[str, Any]) -> SystemCost:
    timings = {name: Timing(**found[name]) for name in ("alone", "batched")}
    return SystemCost(**{**found, **timings})


def costs_chapters(costs: Costs) -> tuple[Chapter, ...]:
    """Two chapters: where the systems come from, and what they cost."""
    systems = Table(
        caption="The systems. Faithful: the published code was read; near: layer sizes are known from the paper; "
        "reconstruction: the idea alone is public, and all else is ours",
        columns=("system", "tier", "source", "loss"),
        rows=tuple((one.system, one.tier, one.source, one.loss) for one in costs.systems),
        prose=frozenset({1, 2, 3}),
    )
    sizes = Table(
        caption=f"Sizes and operations of one utterance of {costs.seconds:g} s and {costs.tokens} tokens; a "
        "multiply-add counts as two FLOPs; whole: with the frozen encoders of what a system looks at",
        columns=(
            "system",
            "audio states",
            "text states",
            "parameters, fusion",
            "parameters, whole",
            "MFLOPs, fusion",
            "MFLOPs, whole",
        ),
        rows=tuple(map(_sizes, costs.systems)),
    )
    times = Table(
        caption="Milliseconds of the fusion part for one such utterance, its states at hand: the median of "
        f"{costs.repeats} repeats, in brackets the fastest and the slowest; one thread of {costs.hardware}",
        columns=("system", "one at a time", f"{costs.batch} at a time"),
        rows=tuple((one.system, _milliseconds(one.alone), _milliseconds(one.batched)) for one in costs.systems),
    )
    return (Chapter("The systems", (systems,)), Chapter("What they cost", (sizes, times)))


def _sizes(one: SystemCost) -> tuple[Cell, ...]:
    return (
        one.system,
        one.audio_states,
        one.text_states,
        one.fusion_parameters,
        one.fusion_parameters + one.encoder_parameters,
        _mega(one.fusion_flops),
        _mega(one.fusion_flops + one.encoder_flops),
    )


def _mega(flops: int) -> str:
    return f"{flops / 1e6:,.3g}" if flops < 1e9 else f"{flops / 1e6:,.0f}"


def _milliseconds(one: Timing) -> str:
    return f"{1000 * one.median:.3f} ({1000 * one.low:.3f} to {1000 * one.high:.3f})"
