"""Answers to the scores that a standing evaluation keeps, as JSON-ready values; shares lie in [0, 1]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from m3ser.corpora.drawing import uniform
from m3ser.evaluation import PredictionTable, compare, concatenate
from m3ser.evaluation.conflict import conflict_flips

__all__ = [
    "by_corpus",
    "cost_of_words",
    "degradation_losses",
    "half_missing",
    "paired_scores",
    "scores",
    "with_profile",
]

Record = dict[str, Any]

_FLIPS = {"flips": False, "flips, clearly emotional": True}


def scores(table: PredictionTable) -> Record:
    """What is kept of one condition. 95% intervals resample "units": speakers, or of words alone sentences."""
    found = table.evaluate()
    spans = {name: [one.low, one.high] for name, one in found.intervals.items()}
    return {
        "n": found.utterances,
        "units": found.speakers,
        "ua": found.unweighted_accuracy,
        "ua_interval": spans.get("unweighted_accuracy"),
        "wa": found.weighted_accuracy,
        "macro_f1": found.macro_f1,
        "macro_f1_interval": spans.get("macro_f1"),
        "ece": found.expected_calibration_error,
        "recall": dict(zip(found.labels, (float(one) for one in found.recall), strict=True)),
    }


def by_corpus(table: PredictionTable) -> Record:
    """Corpus -> scores on its recordings; "all": on all of them together."""
    corpora = np.array(table.extra["corpus"])
    own = {str(name): scores(table.where(mask=corpora == name)) for name in np.unique(corpora)}
    return {**own, "all": scores(table)}


def with_profile(plain: PredictionTable, adapted: PredictionTable) -> Record:
    """By corpus with a profile, and what it changes in UA: the mean over corpora, and on all recordings together."""
    found = by_corpus(adapted)
    before = by_corpus(plain)
    own = [name for name in found if name != "all"]
    return {
        **found,
        "mean": sum(found[name]["ua"] for name in own) / len(own),
        "mean without": sum(before[name]["ua"] for name in own) / len(own),
        "change": _change(plain, adapted),
    }


def paired_scores(voice: PredictionTable, pairs: PredictionTable) -> Record:
    """Both, altogether and by what the words are to the voice, and how often conflicting words turn an answer."""
    relations = np.array(pairs.extra["relation"])
    table = concatenate([voice, pairs])
    flips = {name: conflict_flips(table, clearly_emotional=clear) for name, clear in _FLIPS.items()}
    return {
        "both": scores(pairs),
        **{f"both, {name}": scores(pairs.where(mask=relations == name)) for name in sorted(set(relations.tolist()))},
        **{name: None if found is None else found.to_dict() for name, found in flips.items()},
    }


def half_missing(voice: PredictionTable, words: PredictionTable, pairs: PredictionTable) -> Record:
    """Agreeing pairs of which half lack one modality: both where both are there, against the other modality alone.

    Args:
        voice: of each recording alone.
        words: of each sentence alone.
        pairs: of voice and words.
    """
    agreeing = pairs.where(mask=np.array(pairs.extra["relation"]) == "agree")
    lacking = np.array([uniform("half missing", name) < 0.5 for name in agreeing.utterances])
    found: Record = {}
    # A pair is called after its halves.
    halves = [name.split("+") for name in agreeing.utterances]
    recordings, sentences = [one for one, _ in halves], [f"sentence {one}" for _, one in halves]
    for lost, there, alone, names in (("words", "voice", voice, recordings), ("voice", "words", words, sentences)):
        rows = {key: row for row, key in enumerate(zip(alone.utterances, alone.folds, strict=True))}
        keys = zip(names, agreeing.folds, strict=True)
        single = alone.probabilities[[rows[key] for key in keys]]
        mixed = np.where(lacking[:, None], single, agreeing.probabilities)
        found[f"half without {lost}"] = scores(replace(agreeing, probabilities=mixed))
        found[f"half without {lost}, {there} alone"] = scores(replace(agreeing, probabilities=single))
    return found


def cost_of_words(voice: PredictionTable, given: PredictionTable) -> Record:
    """What words that tell nothing cost: the voice alone, the same recordings with them, and the difference in UA."""
    heard = voice.where(mask=np.isin(voice.utterances, given.utterances))
    # A comparison is of one condition; these differ in nothing else.
    before = replace(heard, conditions=given.conditions[:1] * len(heard))
    return {"voice alone": scores(heard), "with the words": scores(given), "change": _change(before, given)}


def degradation_losses(answers: Mapping[str, PredictionTable]) -> Record:
    """Degradation -> scores, and what UA loses against the same recordings as they are ("clean")."""
    clean = scores(answers["clean"])
    found: Record = {"clean": clean}
    for name, table in answers.items():
        if name != "clean":
            own = scores(table)
            found[name] = {**own, "loss": clean["ua"] - own["ua"]}
    return found


def _change(before: PredictionTable, after: PredictionTable) -> Record:
    change = compare(before, after).differences["unweighted_accuracy"]
    return {"ua": change.value, "interval": [change.interval.low, change.interval.high], "p": change.p_value}
