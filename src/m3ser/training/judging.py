"""What a trained model says of a part of a corpus, under each condition that it can be asked under."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from m3ser.batching import length_batches
from m3ser.evaluation import PredictionTable, concatenate, fit_temperature, softmax
from m3ser.schema import EmotionScheme, Utterance
from m3ser.training.encoding import Material
from m3ser.training.examples import CONDITIONS, Collator, Example, example_of, under

__all__ = ["Asked", "Logits", "ask", "conditions_for", "examples_under", "fit_temperatures", "logits_of", "predictions"]

Logits = Callable[[Sequence[Example]], NDArray[np.float32]]
"""Examples to logits (examples, classes)."""

_STEP_BUDGET = 20_000  # padded steps in a batch
_EXTRA = ("corpus", "relation", "gender", "language")


@dataclass(frozen=True)
class Asked:
    """The examples that a part comes to under one condition.

    Attributes:
        condition: "audio", "text" or "both".
        examples: what the model is given.
        names, speakers: of each example's utterance. In a paired corpus words have no speaker: a sentence stands for
            itself in the bootstrap.
        utterances: where each example comes from.
    """

    condition: str
    examples: tuple[Example, ...]
    names: tuple[str, ...]
    speakers: tuple[str, ...]
    utterances: tuple[Utterance, ...]


def conditions_for(modalities: Sequence[str]) -> tuple[str, ...]:
    """The conditions that a system can be asked under, by what it looks at; the last one is its own."""
    return CONDITIONS if len(modalities) > 1 else (modalities[0],)


def examples_under(condition: str, utterances: Sequence[Utterance], scheme: EmotionScheme) -> list[Example]:
    """The examples alone, for judging while training."""
    return list(ask(condition, utterances, [str(i) for i in range(len(utterances))], scheme).examples)


def ask(
    condition: str,
    utterances: Sequence[Utterance],
    names: Sequence[str],
    scheme: EmotionScheme,
) -> Asked:
    """Lay out utterances under a condition.

    In a paired corpus each recording is heard once without words, and each sentence read once without a voice.

    Args:
        condition: one of :data:`~m3ser.training.examples.CONDITIONS`.
        utterances: all of the scheme's classes.
        names: what each is called.
        scheme: the classes.
    """
    rows = []
    seen: set[object] = set()
    for utterance, name in zip(utterances, names, strict=True):
        example = example_of(utterance, scheme)
        shown = under(condition, example)
        if shown is None:
            continue
        paired = "relation" in utterance.extra
        if paired and condition != "both":
            half = shown.audio if condition == "audio" else shown.text
            if half in seen:
                continue
            seen.add(half)
            name = (
                name.partition("+")[0] if condition == "audio" else f"sentence {utterance.extra.get('text_id', half)}"
            )
        speaker = name if paired and condition == "text" else utterance.speaker or ""
        rows.append((shown, name, speaker, utterance))
    examples, kept, speakers, sources = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Asked(condition, examples, kept, speakers, sources)


def logits_of(model: nn.Module, material: Material, *, device: torch.device | str = "cpu") -> Logits:
    """A trained model as a function from examples to logits; in evaluation mode from here on."""
    model.to(device).train(False)
    collate = Collator(material.audio, material.text, nothing=material.nothing)

    def logits(examples: Sequence[Example]) -> NDArray[np.float32]:
        found: NDArray[np.float32] | None = None
        with torch.inference_mode():
            for batch in length_batches([material.length(one) for one in examples], budget=_STEP_BUDGET):
                inputs = collate([examples[i] for i in batch])
                inputs.pop("labels")
                output = model(**{name: value.to(device) for name, value in inputs.items()}).logits
                if found is None:
                    found = np.empty((len(examples), output.shape[1]), np.float32)
                found[batch] = output.float().cpu().numpy()
        assert found is not None, "no examples to judge"
        return found

    return logits


def fit_temperatures(asked: Sequence[Asked], logits: Logits) -> dict[str, float]:
    """Condition -> the temperature that suits these (validation) examples best."""
    return {
        one.condition: round(fit_temperature(logits(one.examples), [e.label for e in one.examples]), 4)
        for one in asked
        if one.examples
    }


def predictions(
    asked: Sequence[Asked],
    logits: Logits,
    *,
    labels: Sequence[str],
    temperatures: Mapping[str, float],
    fold: str,
    seed: int,
) -> PredictionTable:
    """What the model says under each condition, calibrated; a condition without a temperature is taken as it is."""
    return concatenate(_tables(asked, logits, labels, temperatures, fold, seed))


def _tables(
    asked: Sequence[Asked],
    logits: Logits,
    labels: Sequence[str],
    temperatures: Mapping[str, float],
    fold: str,
    seed: int,
) -> Iterator[PredictionTable]:
    for one in asked:
        if not one.examples:
            continue
        rows = len(one.examples)
        temperature = temperatures.get(one.condition, 1.0)
        yield PredictionTable(
            labels=tuple(labels),
            utterances=one.names,
            speakers=one.speakers,
            folds=(fold,) * rows,
            seeds=np.full(rows, seed),
            conditions=(one.condition,) * rows,
            truth=np.array([example.label for example in one.examples]),
            probabilities=softmax(logits(one.examples), temperature=temperature),
            extra={
                name: tuple(u.extra.get(name, "") for u in one.utterances)
                for name in _EXTRA
                if any(name in u.extra for u in one.utterances)
            },
        )
