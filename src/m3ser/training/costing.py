"""What the systems of a table cost: parameters, operations and time of one utterance, all in one process.

Parameters and operations are counted (:mod:`m3ser.models.complexity`). Time is measured of the fusion part alone, on
one thread, its states at hand: the encoders are the same for all systems. Repeats go round all systems in turn, so that
whatever else the machine does in between hits none of them alone.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from m3ser import models
from m3ser.audio import FRONT_ENDS
from m3ser.encoders import Encoder
from m3ser.evaluation.report.costs import Costs, SystemCost, Timing
from m3ser.models.complexity import Part, count_encoder, count_fusion
from m3ser.training.encoding import Encoders, load_encoders
from m3ser.training.loss_recipe import LossRecipe
from m3ser.training.provenance import processor
from m3ser.training.recipe import Recipe

__all__ = ["REPEATS", "measure_costs"]

TOKENS, SECONDS, BATCH, REPEATS = 20, 3.0, 32, 9
_RATE = 16_000
_LEAST = 0.02  # seconds of one repeat: far more than the clock's grain


def measure_costs(
    recipes: Sequence[tuple[str, Recipe]], *, repeats: int = REPEATS, progress: Callable[[], None] | None = None
) -> Costs:
    """Count and time each system on made-up states of one utterance of 3 s and 20 tokens.

    Args:
        recipes: name -> its recipe; each name once.
        repeats: of each timing.
        progress: told after each system that was counted, and after each round of timings.

    Raises:
        RecipeError, CheckpointError, DownloadError: an encoder cannot be had.
    """
    known: dict[str, tuple[Part, Tensor]] = {}
    counted: list[dict[str, Any]] = []
    runs: list[tuple[Callable[[], object], Callable[[], object]]] = []
    told = progress or (lambda: None)
    with _single_thread():
        for name, recipe in recipes:
            facts, alone, batched = _prepared(name, recipe, known)
            counted.append(facts)
            runs.append((alone, batched))
            told()
        flat = [run for pair in runs for run in pair]
        calls = [_calls(run) for run in flat]
        times: list[list[float]] = [[] for _ in flat]
        for _ in range(repeats):
            for place, run in enumerate(flat):
                times[place].append(_seconds(run, calls[place]) / calls[place])
            told()
    systems = tuple(
        SystemCost(**facts, alone=_timing(times[2 * i]), batched=_timing(times[2 * i + 1], BATCH))
        for i, facts in enumerate(counted)
    )
    hardware = f"{processor()}, torch {torch.__version__}"
    return Costs(TOKENS, SECONDS, BATCH, repeats, hardware, systems)


def _prepared(
    name: str, recipe: Recipe, known: dict[str, tuple[Part, Tensor]]
) -> tuple[dict[str, Any], Callable[[], object], Callable[[], object]]:
    """What is counted of one system, and its fusion part at work on one utterance, and on many."""
    encoders = load_encoders(recipe)
    heard, read = _audio(encoders, recipe, known), _text(encoders, recipe, known)
    parts = [part for part, _ in (one for one in (heard, read) if one is not None)]
    states = {"audio": None if heard is None else heard[1], "text": None if read is None else read[1]}
    lengths = {modality: 0 if one is None else one.shape[1] for modality, one in states.items()}
    sizes: dict[str, Any] = {
        "text_dim": 768 if encoders.text is None else encoders.text.dim,
        "audio_dim": 128 if encoders.audio is None else encoders.audio.dim,
        "num_labels": len(recipe.data.emotion_scheme.classes),
    }
    options = recipe.model.options
    fusion = count_fusion(
        recipe.model.system,
        # A system's graph takes a state of what it does not look at, and lets it be.
        text_states=max(1, lengths["text"]),
        audio_states=max(1, lengths["audio"]),
        **sizes,
        **options,
    )
    model = models.build(recipe.model.system, **sizes, **options).train(False)
    described = models.system(recipe.model.system)
    facts = {
        "system": name,
        "tier": described.tier,
        "source": described.source,
        "text_states": lengths["text"],
        "audio_states": lengths["audio"],
        "loss": _loss(recipe.training.loss),
        "fusion_parameters": fusion.parameters,
        "encoder_parameters": sum(part.parameters for part in parts),
        "fusion_flops": fusion.flops,
        "encoder_flops": sum(part.flops for part in parts),
    }

    def run(count: int) -> Callable[[], object]:
        given = {key: None if one is None else one.repeat(count, 1, 1) for key, one in states.items()}
        return lambda: model(**given)

    return facts, run(1), run(BATCH)


def _audio(encoders: Encoders, recipe: Recipe, known: dict[str, tuple[Part, Tensor]]) -> tuple[Part, Tensor] | None:
    if encoders.audio is None or recipe.audio_encoder is None:
        return None
    noise = np.random.default_rng(0).normal(scale=0.1, size=round(SECONDS * _RATE)).astype(np.float32)
    features = torch.from_numpy(FRONT_ENDS[encoders.audio.front_end].features(noise))[None]
    return _encoded("audio encoder", encoders.audio, features, recipe.audio_encoder.model_dump_json(), known)


def _text(encoders: Encoders, recipe: Recipe, known: dict[str, tuple[Part, Tensor]]) -> tuple[Part, Tensor] | None:
    if encoders.text is None or recipe.text_encoder is None:
        return None
    ids = torch.arange(TOKENS)[None] % encoders.text.vocabulary
    return _encoded("text encoder", encoders.text, ids, recipe.text_encoder.model_dump_json(), known)


def _encoded(
    name: str, encoder: Encoder, inputs: Tensor, key: str, known: dict[str, tuple[Part, Tensor]]
) -> tuple[Part, Tensor]:
    """An encoder counted, and its states; once for all systems that have it."""
    if key not in known:
        part = count_encoder(name, encoder, inputs)
        with torch.no_grad():
            states, _ = encoder(inputs, torch.ones(inputs.shape[:2], dtype=torch.bool))
        known[key] = (part, states)
    return known[key]


def _loss(loss: LossRecipe) -> str:
    weight = getattr(loss, "weight", None)
    return loss.kind if weight is None else f"cross-entropy + {weight:g} x {loss.kind}"


def _calls(run: Callable[[], object]) -> int:
    """How many calls a repeat takes."""
    run()
    return max(1, round(_LEAST / max(_seconds(run, 2) / 2, 1e-6)))


def _seconds(run: Callable[[], object], calls: int) -> float:
    with torch.inference_mode():
        start = time.perf_counter()
        for _ in range(calls):
            run()
        return time.perf_counter() - start


def _timing(seconds: Sequence[float], utterances: int = 1) -> Timing:
    each = [one / utterances for one in seconds]
    return Timing(statistics.median(each), min(each), max(each))


class _single_thread(AbstractContextManager[None]):  # noqa: N801
    """One thread of torch's inside, as many as before outside."""

    def __enter__(self) -> None:
        self.before = torch.get_num_threads()
        torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self.before)
