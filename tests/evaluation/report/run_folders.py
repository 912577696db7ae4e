"""Run folders as training writes them, made by hand: what a model says is drawn at random, right at a given rate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from m3ser.evaluation import PredictionTable, concatenate, read_predictions, write_predictions

LABELS = ("angry", "happy", "sad", "neutral")
RECIPE = """\
name: {name}
expected: {expected}
seed: 0
data: {{kind: {kind}, scheme: iemocap4, seed: 0, protocol: {protocol}, corpora: {{made-up: corpus}}}}
model: {{system: 3m-ser-ln, options: {{}}}}
"""
SPEAKERS = tuple(f"made-up/s{number}" for number in range(6))
EACH = 8
"""Utterances of a speaker."""


def utterances() -> list[tuple[str, str, int]]:
    """Name, speaker and true class of every utterance."""
    return [
        (f"made-up/{speaker[-2:]}-{number}", speaker, number % len(LABELS))
        for speaker in SPEAKERS
        for number in range(EACH)
    ]


def tested(fold: int, folds: int) -> list[tuple[str, str, int]]:
    """Those whose speakers are tested in `fold`, from 1."""
    mine = SPEAKERS[fold - 1 :: folds]
    return [one for one in utterances() if one[1] in mine]


def table(fold: int, folds: int, *, seed: int, rate: float, conditions: Sequence[str]) -> PredictionTable:
    parts = []
    for place, condition in enumerate(conditions):
        rows = tested(fold, folds)
        generator = np.random.default_rng([fold, seed, place, int(100 * rate)])
        truth = np.array([row[2] for row in rows])
        right = generator.random(len(rows)) < rate
        guesses = np.where(right, truth, (truth + generator.integers(1, 4, len(rows))) % 4)
        parts.append(
            PredictionTable(
                labels=LABELS,
                utterances=tuple(row[0] for row in rows),
                speakers=tuple(row[1] for row in rows),
                folds=(f"fold{fold}",) * len(rows),
                seeds=np.full(len(rows), seed),
                conditions=(condition,) * len(rows),
                truth=truth,
                probabilities=np.full((len(rows), 4), 0.1) + 0.6 * np.eye(4)[guesses],
                extra={"gender": tuple("female" if int(row[1][-1]) % 2 else "male" for row in rows)},
            )
        )
    return concatenate(parts)


def write_run(
    folder: Path,
    *,
    name: str = "made-up",
    fold: int = 1,
    folds: int = 2,
    seed: int = 0,
    rate: float = 0.7,
    conditions: Sequence[str] = ("audio", "text", "both"),
    protocol: str = "speaker",
    kind: str = "corpus",
    expected: str = "''",
    validation: bool = True,
    comment: str = "",
    audit: Sequence[str] = (
        "script in test and train: one (9 utterances)",
        "script in test and train: two (4 utterances)",
    ),
    command: str = "m3ser crossval made-up.yaml --out runs/made-up",
) -> Path:
    """One training; what it was tested on is the `fold`-th share of the speakers."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(
        RECIPE.format(name=name, protocol=protocol, kind=kind, expected=expected), encoding="utf-8"
    )
    facts: dict[str, Any] = {
        "m3ser": "0.1.0",
        "git": "0123abc+",
        "packages": {"torch": "2.13.0", "numpy": "2.4.6"},
        "python": "3.11.7",
        "system": "Linux x86_64",
        "device": "cpu",
        "threads": 2,
        "processes": 1,
        "command": command,
        "finished": f"2026-01-0{fold}T00:00:00+00:00",
        "recipe": name,
        "seed": seed,
        "fold": fold,
        "fold_name": f"speakers {fold}",
        "protocol": protocol,
        "corpus_fingerprint": "f" * 64,
        "licences": {"made-up": "CC0-1.0"},
        "seconds": 61.5,
        "peak_memory": 3 * 2**29,
    }
    write_json(folder / "run.json", facts)
    mine = {row[0] for row in tested(fold, folds)}
    others = [row for row in utterances() if row[0] not in mine]
    held = others[0][1] if validation else ""
    lines = [f"# {comment or f'protocol {protocol}'}", "audio,emotion,text,speaker,split,corpus"]
    for utterance, speaker, label in utterances():
        part = "test" if utterance in mine else "validation" if speaker == held else "train"
        # An excited utterance is a happy one in this scheme.
        emotion = "excited" if LABELS[label] == "happy" and speaker == SPEAKERS[0] else LABELS[label]
        lines.append(f'{utterance}.wav,{emotion},"Well, yes.",{speaker},{part},made-up')
    (folder / "split.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(folder / "audit.json", list(audit))
    own = "both" if "both" in conditions else conditions[0]
    history: list[dict[str, Any]] = []
    for epoch, score in ((1.0, 0.4), (2.0, 0.6 + 0.01 * seed), (3.0, 0.5)):
        history.append({"loss": 1.5 - 0.2 * epoch, "learning_rate": 0.001, "epoch": epoch, "step": int(epoch)})
        for condition in conditions:
            value = score if condition == own else score - 0.1
            history.append({f"eval_{condition}_loss": 2 - value, f"eval_{condition}_ua": value, "epoch": epoch})
    history.append({"train_runtime": 1.0, "epoch": 3.0})
    write_json(folder / "log.json", history)
    found = table(fold, folds, seed=seed, rate=rate, conditions=conditions)
    write_predictions(folder / "predictions.csv", found, comment=comment)
    temperatures = dict.fromkeys(conditions, 1.25) if validation else {}
    write_json(folder / "scores.json", {"conditions": {}, "temperatures": temperatures, "notes": ["a note"]})
    return folder


def write_crossval(folder: Path, *, seeds: Sequence[int] = (0, 1), folds: int = 2, **options: Any) -> Path:
    """A whole cross-validation; `options` are those of :func:`write_run`."""
    parts = [
        write_run(folder / f"seed{seed}" / f"fold{fold}", seed=seed, fold=fold, folds=folds, **options)
        for seed in seeds
        for fold in range(1, folds + 1)
    ]
    (folder / "recipe.yaml").write_bytes((parts[0] / "recipe.yaml").read_bytes())
    together = concatenate(read_predictions(one / "predictions.csv") for one in parts)
    write_predictions(folder / "predictions.csv", together)
    write_json(folder / "scores.json", {"notes": ["a note"], "seeds": list(seeds), "folds": folds, "conditions": {}})
    return folder


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
