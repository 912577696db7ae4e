"""What exporting changed: logits, labels and UA, of PyTorch's model beside the graphs'."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3ser.evaluation import unweighted_accuracy
from m3ser.training.exporting.inputs import Inputs
from m3ser.training.exporting.runners import Model

__all__ = ["Difference", "Outcome", "Parity", "compare", "outcomes"]


@dataclass(frozen=True)
class Difference:
    """Of a graph from the model as PyTorch runs it.

    Attributes:
        max_logit: the largest difference of any logit of any utterance.
        agreement: the share of utterances with the same label, in [0, 1].
        ua_change: in points (hundredths) of UA; None: the utterances are not labelled.
    """

    max_logit: float
    agreement: float
    ua_change: float | None

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON-ready values."""
        ua = None if self.ua_change is None else round(self.ua_change, 4)
        return {"max_logit_difference": self.max_logit, "agreement": round(self.agreement, 6), "ua_change": ua}


@dataclass(frozen=True)
class Parity:
    """The report.

    Attributes:
        source: what it was measured on.
        utterances: how many.
        labelled: whether their emotions are known.
        ua: UA of the model as PyTorch runs it, in [0, 1]; None: they are not.
        fp32: the graphs as exported.
        precision: the precision that was asked for.
        stored: the graphs as stored; None: they are the same.
        kept: of int8, the layers that stayed in float32.
        layers: of int8, how many could have been int8.
        notes: what is to be known of the numbers.
    """

    source: str
    utterances: int
    labelled: bool
    ua: float | None
    fp32: Difference
    precision: str
    stored: Difference | None = None
    kept: tuple[str, ...] = ()
    layers: int = 0
    notes: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready values."""
        return {
            "measured_on": self.source,
            "utterances": self.utterances,
            "ua_before": None if self.ua is None else round(self.ua, 6),
            "fp32": self.fp32.to_dict(),
            "precision": self.precision,
            "stored": (self.stored or self.fp32).to_dict(),
            "int8_layers": self.layers - len(self.kept),
            "kept_in_fp32": list(self.kept),
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """The report as a table of Markdown, and a line for each note."""
        rows = [("fp32", self.fp32)] + ([] if self.stored is None else [(self.precision, self.stored)])
        cells = [
            f"| {name} | {one.max_logit:.2e} | {100 * one.agreement:.2f}% | "
            + ("not labelled" if one.ua_change is None else f"{one.ua_change:+.2f} points")
            + " |"
            for name, one in rows
        ]
        before = "" if self.ua is None else f"; UA before: {100 * self.ua:.2f}%"
        lines = [
            f"Beside the model as PyTorch runs it, on {self.utterances} utterances of {self.source}{before}:",
            "",
            "| graphs | largest difference of a logit | same label | change of UA |",
            "|---|---:|---:|---:|",
            *cells,
        ]
        if self.layers:
            kept = f"{len(self.kept)} of them stay in float32 ({', '.join(self.kept)})" if self.kept else "all are int8"
            lines += ["", f"Of {self.layers} layers of the encoders that can be int8, {kept}."]
        return [*lines, *(line for note in self.notes for line in ("", note))]


@dataclass(frozen=True)
class Outcome:
    """What a model says of utterances: logits (utterances, classes), and their labels, -1 where not known."""

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def ua(self) -> float | None:
        """UA over those that are labelled; None: none is."""
        known = self.labels >= 0
        if not known.any():
            return None
        return unweighted_accuracy(self.labels[known], self.logits[known].argmax(axis=1))

    def difference(self, other: Outcome) -> Difference:
        """How `other` differs from this."""
        ua, changed = self.ua, other.ua
        return Difference(
            max_logit=float(np.abs(self.logits - other.logits).max()),
            agreement=float((self.logits.argmax(axis=1) == other.logits.argmax(axis=1)).mean()),
            ua_change=None if ua is None or changed is None else 100 * (changed - ua),
        )


def outcomes(
    models: Sequence[Model], sample: Iterable[Inputs], *, advance: Callable[[], object] = lambda: None
) -> list[Outcome]:
    """What each model says of the same utterances, which are read once."""
    found: list[list[NDArray[np.float32]]] = [[] for _ in models]
    labels: list[int] = []
    for inputs in sample:
        for model, logits in zip(models, found, strict=True):
            logits.append(model.logits(inputs))
        labels.append(-1 if inputs.label is None else inputs.label)
        advance()
    return [Outcome(np.stack(logits), np.array(labels)) for logits in found]


def compare(
    torch_model: Model,
    fp32: Model,
    stored: Model | None,
    sample: Iterable[Inputs],
    *,
    source: str,
    precision: str,
    advance: Callable[[], object] = lambda: None,
) -> Parity:
    """The report on a sample.

    Args:
        torch_model: the model as it was trained.
        fp32: its graphs as exported.
        stored: its graphs as stored; None: the same.
        sample: the utterances.
        source: what they are called.
        precision: what they are stored in.
        advance: called after each utterance.
    """
    before, exported, *rest = outcomes(
        [torch_model, fp32, *([] if stored is None else [stored])], sample, advance=advance
    )
    return Parity(
        source=source,
        utterances=len(before.labels),
        labelled=before.ua is not None,
        ua=before.ua,
        fp32=before.difference(exported),
        precision=precision,
        stored=before.difference(rest[0]) if rest else None,
    )
