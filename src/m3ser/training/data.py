"""From a recipe to a paired (semi-synthetic) corpus: read, split by speaker, pair with sentences, audit."""

from __future__ import annotations

from collections.abc import Iterable

from m3ser.corpora import PairedCorpus, audit, get_reader, pair, split_by_speaker
from m3ser.schema import Utterance
from m3ser.training.recipe import DataRecipe

__all__ = ["prepare_pairs"]


def prepare_pairs(data: DataRecipe, *, seed: int) -> PairedCorpus:
    """Read the corpora, keep speakers apart, and pair each recording with sentences.

    Raises:
        DataError: a corpus is not where the recipe says, or the audit finds a speaker, a recording or a sentence on
            both sides of a split.
    """
    scheme = data.emotion_scheme
    voices = [u for u in _read(data, data.voices) if scheme.class_of(u.emotion) is not None]
    voices = _without_copies(split_by_speaker(voices, shares=data.speaker_shares, seed=seed))
    sentences = _read(data, data.sentences)
    shares = {str(relation): share for relation, share in data.shares.items()}
    paired = pair(voices, sentences, scheme=scheme, shares=shares, per_clip=data.per_clip, seed=seed)
    audit(paired.utterances).require("speaker")
    return paired


def _read(data: DataRecipe, folders: dict[str, str]) -> list[Utterance]:
    return [u for name, folder in folders.items() for u in get_reader(name).read(data.root / folder).utterances]


def _without_copies(voices: Iterable[Utterance]) -> list[Utterance]:
    """`voices` without a recording that an earlier one repeats byte for byte (RAVDESS has such a pair)."""
    seen: set[bytes] = set()
    kept = []
    for voice in voices:
        assert voice.audio is not None
        content = voice.audio.read_bytes()
        if content not in seen:
            seen.add(content)
            kept.append(voice)
    return kept
