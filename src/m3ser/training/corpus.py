"""From a recipe's data to utterances in folds: read, divide by the protocol (or pair), audit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from m3ser.corpora import (
    PROTOCOLS,
    Audit,
    CorpusInfo,
    Fold,
    Split,
    audit,
    disjoint_sentences,
    get_reader,
    identities,
    make_split,
    pair,
    plain_sentences,
    read_folds,
    read_manifest,
    split_by_speaker,
    with_clean_text,
)
from m3ser.errors import DataError, RecipeError
from m3ser.schema import Utterance
from m3ser.training.recipe import CorpusRecipe, PairedRecipe
from m3ser.training.states import file_digest

__all__ = ["Prepared", "prepare", "read_corpora", "without_copies"]


@dataclass(frozen=True)
class Prepared:
    """A recipe's data, ready to be trained on.

    Attributes:
        split: the utterances, and their folds.
        names: what each utterance is called, the same on every machine.
        comment: what is to be known of any number from it.
        infos: the corpora; empty where it comes from a manifest.
    """

    split: Split
    names: tuple[str, ...]
    comment: str
    infos: tuple[CorpusInfo, ...]

    def fold(self, number: int) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
        """The utterances of fold `number` (from 1), with ``split`` set, and their names.

        Raises:
            RecipeError: there is no such fold.
        """
        folds = self.split.folds
        if not 1 <= number <= len(folds):
            raise RecipeError(f"Fold {number} is not one of the {len(folds)} folds of '{self.split.protocol}'.")
        used = [name for name, part in zip(self.names, folds[number - 1].parts, strict=True) if part is not None]
        return self.split.fold(number - 1), tuple(used)

    def only(self, number: int, *, once: bool = False) -> Prepared:
        """Fold `number` (from 1) as all that there is.

        Args:
            number: of the fold.
            once: each recording once, however many sentences it is paired with.

        Raises:
            RecipeError: there is no such fold.
        """
        utterances, names = self.fold(number)
        kept = list(range(len(utterances)))
        if once:
            first = {(one.audio, one.start, one.end): i for i, one in reversed(list(enumerate(utterances)))}
            kept = sorted(first.values())
        fold = Fold(self.split.folds[number - 1].name, tuple(utterances[i].split for i in kept))
        split = replace(self.split, utterances=tuple(utterances[i] for i in kept), folds=(fold,))
        return replace(self, split=split, names=tuple(names[i] for i in kept))

    def audited(self, number: int) -> Audit:
        """The leakage audit of fold `number` (from 1).

        Raises:
            DataError: the fold breaks the rules of its protocol; lists how.
        """
        found = audit(self.fold(number)[0])
        if self.split.protocol in PROTOCOLS:  # a split that came with its corpus has rules of its own
            found.require(self.split.protocol)
        return found

    def fingerprint(self) -> str:
        """What all utterances say of themselves, and what their recordings hold, as one digest (SHA-256)."""
        digest = hashlib.sha256()
        for name, utterance in sorted(zip(self.names, self.split.utterances, strict=True), key=lambda one: one[0]):
            audio = None if utterance.audio is None else file_digest(utterance.audio)
            known = (utterance.start, utterance.end, utterance.emotion, utterance.text, utterance.speaker)
            digest.update(json.dumps([name, audio, *known]).encode())
        return digest.hexdigest()


def prepare(data: CorpusRecipe | PairedRecipe) -> Prepared:
    """Read what the recipe names and divide it into folds.

    Raises:
        DataError: a corpus is not where the recipe says or does not allow the protocol, a class is missing from a part,
            or there is no text where the recipe reads some.
    """
    return _prepare_pairs(data) if isinstance(data, PairedRecipe) else _prepare_corpus(data)


def _prepare_corpus(data: CorpusRecipe) -> Prepared:
    comment = ""
    if data.manifest is not None:
        manifest = read_manifest(data.root / data.manifest)
        utterances: Iterable[Utterance] = manifest.utterances
        comment = manifest.comment
    else:
        utterances = read_corpora(data.root, data.corpora)
    if data.max_seconds is not None:
        utterances = [u for u in utterances if (_seconds(u) or 0.0) <= data.max_seconds]
    if data.protocol != "paper":
        # As in prediction. "[LAUGHTER]" is no word, and tells the emotion; the published procedure reads it.
        utterances = [u for u in map(with_clean_text, utterances) if u is not None]
    scheme = data.emotion_scheme
    utterances = tuple(u for u in utterances if scheme.class_of(u.emotion) is not None and u.audio is not None)
    if not utterances:
        raise DataError(f"None of the recordings is of one of the classes {', '.join(scheme.classes)}.")
    if data.protocol == "official" and data.manifest is not None:
        split = read_folds(utterances, scheme=scheme)
    else:
        split = make_split(utterances, data.protocol, seed=data.seed, scheme=scheme, folds=data.folds)
    infos = tuple(get_reader(name).INFO for name in data.corpora)
    prepared = Prepared(split, identities(split.utterances), comment, infos)
    _check_classes(prepared, scheme.classes)
    return prepared


def _prepare_pairs(data: PairedRecipe) -> Prepared:
    scheme = data.emotion_scheme
    voices = without_copies(u for u in read_corpora(data.root, data.voices) if scheme.class_of(u.emotion) is not None)
    sentences = read_corpora(data.root, data.sentences)
    if data.shares.get("plain"):
        sentences += plain_sentences()
    sentences, _ = disjoint_sentences(s for s in sentences if scheme.class_of(s.emotion) is not None)
    shares = {str(relation): share for relation, share in data.shares.items()}
    folds: list[tuple[str, int, tuple[str | None, ...]]] = []
    pairs: list[Utterance] = []
    comment = ""
    for name, divided in _held_out(data, voices).items():
        paired = pair(divided, sentences, scheme=scheme, shares=shares, per_clip=data.per_clip, seed=data.seed)
        comment = paired.comment
        folds.append((name, len(pairs), tuple(utterance.split for utterance in paired.utterances)))
        pairs += paired.utterances
    split = Split(
        data.protocol,
        data.seed,
        tuple(pairs),
        # Each fold has pairs of its own: a recording that is tested in one is paired with test sentences there.
        tuple(
            Fold(name, (*(None,) * before, *parts, *(None,) * (len(pairs) - before - len(parts))))
            for name, before, parts in folds
        ),
        {},
        (comment,),
        scheme,
    )
    # The same recording occurs with several sentences.
    names = tuple(
        f"{name}+{u.extra.get('text_id', i)}"
        for i, (name, u) in enumerate(zip(_voice_names(pairs), pairs, strict=True))
    )
    infos = tuple(get_reader(name).INFO for name in (*data.voices, *data.sentences))
    return Prepared(split, names, comment, infos)


def _held_out(data: PairedRecipe, voices: Sequence[Utterance]) -> dict[str, tuple[Utterance, ...]]:
    """Name of each fold -> the voices with their parts in it."""
    if data.held_out == "shares":
        return {"speakers held out": split_by_speaker(voices, shares=data.speaker_shares, seed=data.seed)}
    folds = data.folds if data.held_out == "speaker" else None
    split = make_split(voices, data.held_out, seed=data.seed, scheme=data.emotion_scheme, folds=folds)
    return {fold.name: split.fold(number) for number, fold in enumerate(split.folds)}


def _voice_names(utterances: Iterable[Utterance]) -> list[str]:
    return [f"{u.extra.get('corpus', '')}/{u.extra.get('id', '')}".strip("/") for u in utterances]


def read_corpora(root: Path, folders: Mapping[str, str]) -> list[Utterance]:
    """All utterances of some corpora: name -> folder, relative to `root`.

    Raises:
        UsageError, DataError: see :func:`m3ser.corpora.read_corpus`.
    """
    return [u for name, folder in folders.items() for u in get_reader(name).read(root / folder).utterances]


def _check_classes(prepared: Prepared, classes: tuple[str, ...]) -> None:
    """Every class has to be learnt from, and every fold judged on something."""
    for number, fold in enumerate(prepared.split.folds, 1):
        summary = prepared.split.summary(number - 1)
        for part in ("train", "test"):
            if part not in summary:
                raise DataError(f"Fold {number} ({fold.name}) has no {part} part.")
        lacking = [name for name in classes if not summary["train"].classes[name]]
        if lacking:
            raise DataError(f"Fold {number} ({fold.name}) has nothing of class {', '.join(lacking)} to train on.")


def without_copies(voices: Iterable[Utterance]) -> list[Utterance]:
    """`voices` without a recording that an earlier one repeats byte for byte (RAVDESS has such a pair)."""
    seen: set[str] = set()
    kept = []
    for voice in voices:
        assert voice.audio is not None
        content = file_digest(voice.audio)
        if content not in seen:
            seen.add(content)
            kept.append(voice)
    return kept


def _seconds(utterance: Utterance) -> float | None:
    if utterance.end is not None:
        return utterance.end - (utterance.start or 0.0)
    duration = utterance.extra.get("duration")
    if duration is not None:
        return float(duration)
    from m3ser.audio import probe

    return None if utterance.audio is None else probe(utterance.audio).duration
