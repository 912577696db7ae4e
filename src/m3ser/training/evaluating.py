"""A finished training as something that can be asked for probabilities: what :mod:`m3ser.evaluation` judges."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from m3ser.audio import FRONT_ENDS, SAMPLE_RATE, probe
from m3ser.corpora import read_manifest
from m3ser.errors import AudioError, AudioTooShortError, DataError, M3serError
from m3ser.evaluation import Question, softmax
from m3ser.schema import EmotionScheme, Utterance
from m3ser.training.encoding import Material, load_encoders, prepare_material
from m3ser.training.examples import Example
from m3ser.training.judging import logits_of
from m3ser.training.learner import Learner
from m3ser.training.recipe_file import load_recipe
from m3ser.training.run_folder import FACTS, MODEL, RECIPE, SCORES, SPLIT, open_model
from m3ser.training.states import Recording

__all__ = ["RunRespondent", "check_finished"]

_CHUNK = 1024
"""Questions whose recordings are looked at again together, where one of them cannot be used."""


class RunRespondent:
    """Answers questions with the model of a finished training: a :class:`m3ser.evaluation.Respondent`.

    Frozen encoders are loaded from where the recipe says, encoders that learnt from the run. The temperature is the
    one that training fitted on its validation part, for what a question gives: the voice, the words, or both.

    Args:
        folder: the run folder.
        cache: folder for the frozen encoders' states, which another evaluation or training finds there.

    Attributes:
        name: of the recipe, with seed and fold.
        labels: the classes, in the order of the probabilities.
        modalities: what the model looks at.
        scheme: the emotion scheme that it was trained for.
        fold: the fold that it was trained on ("fold1").
        seed: that it was trained with.

    Raises:
        DataError: the folder is that of a cross-validation, or of a training that is not finished.
        RecipeError, CheckpointError, DownloadError: the recipe, the model or an encoder is not what it should be.
    """

    def __init__(self, folder: str | Path, *, cache: str | Path) -> None:
        self._folder, self._cache = Path(folder), Path(cache)
        check_finished(self._folder)
        recipe = load_recipe(self._folder / RECIPE)
        facts, scores = read_record(self._folder / FACTS), read_record(self._folder / SCORES)
        self.scheme: EmotionScheme = recipe.data.emotion_scheme
        self.labels = self.scheme.classes
        self.seed = recipe.seed
        self.fold = f"fold{facts['fold']}"
        self.name = f"{recipe.name}, seed {self.seed}, {self.fold}"
        self._temperatures: Mapping[str, float] = scores["temperatures"]
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._encoders = load_encoders(recipe, run=self._folder)
        self._model = self._loaded()

    @property
    def data(self) -> tuple[str, ...]:
        """None: :meth:`trained_on` says more."""
        return ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the model's files, in the order of their names."""
        digest = hashlib.sha256()
        for path in sorted((self._folder / MODEL).iterdir()):
            digest.update(path.name.encode())
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    def reads(self, question: Question) -> bool:  # noqa: ARG002
        """A training is judged on whatever words it is given."""
        return True

    def trained_on(self, utterances: Iterable[Utterance]) -> int:
        """How many of these utterances' recordings this model was trained on, or its best epoch chosen by."""
        split = read_manifest(self._folder / SPLIT, check_audio=False).utterances
        seen = {_place(u) for u in split if u.split in ("train", "validation") and u.audio is not None}
        return sum(_place(u) in seen for u in utterances if u.audio is not None)

    def answer(self, questions: Iterable[Question]) -> Iterator[NDArray[np.float64] | M3serError]:
        """The probabilities (classes,) for each question, or why there are none; in their order."""
        waiting = iter(questions)
        while chunk := list(itertools.islice(waiting, _CHUNK)):
            yield from self._answers(chunk)

    def _loaded(self) -> nn.Module:
        """The model for what :func:`prepare_material` makes of utterances."""
        model, self._encoders = open_model(self._folder, self._encoders)
        self.modalities = tuple(model.modalities)
        return model if self._encoders.all_frozen else Learner(model, self._encoders)

    def _answers(self, questions: Sequence[Question]) -> list[NDArray[np.float64] | M3serError]:
        examples = [self._example(question) for question in questions]
        failed = self._unusable({one.audio for one in examples if one.audio is not None})
        usable = [one for one in examples if one.audio not in failed]
        material, more = self._material(usable)
        failed |= more
        usable = [one for one in usable if one.audio not in failed]
        found: dict[Example, NDArray[np.float64]] = {}
        if usable:
            logits = logits_of(self._model, material, device=self._device)(usable)
            for one, row in zip(usable, logits, strict=True):
                found[one] = softmax(row[None], temperature=self._temperatures.get(_given(one), 1.0))[0]
        return [failed[one.audio] if one.audio in failed else found[one] for one in examples]

    def _example(self, question: Question) -> Example:
        looks_at = self.modalities
        audio = None
        if question.audio is not None and "audio" in looks_at:
            audio = Recording(question.audio, question.start, question.end)
        return Example(audio, question.text if "text" in looks_at else None, label=0)

    def _unusable(self, recordings: Iterable[Recording]) -> dict[Recording | None, M3serError]:
        """Which of the recordings can be told from their headers to be of no use, and why."""
        if self._encoders.audio is None:
            return {}
        needed = FRONT_ENDS[self._encoders.audio.front_end].min_samples / SAMPLE_RATE
        failed: dict[Recording | None, M3serError] = {}
        lengths: dict[Path, float | M3serError | None] = {}
        for one in sorted(recordings, key=str):
            if one.path not in lengths:
                lengths[one.path] = _length(one.path)
            length = lengths[one.path]
            if isinstance(length, M3serError):
                failed[one] = length
                continue
            end = length if one.end is None else one.end if length is None else min(one.end, length)
            if end is not None and 0 <= end - (one.start or 0.0) < needed:
                failed[one] = AudioTooShortError(
                    f"'{one.path}' lasts {end - (one.start or 0.0):.2f} s; this model needs at least {needed:.3g} s."
                )
        return failed

    def _material(self, examples: Sequence[Example]) -> tuple[Material, dict[Recording | None, M3serError]]:
        """What the model reads of the examples, and which recordings turned out to be of no use."""
        failed: dict[Recording | None, M3serError] = {}
        while True:
            rest = [one for one in examples if one.audio not in failed]
            try:
                return prepare_material(self._encoders, rest, cache=self._cache, device=self._device), failed
            except (AudioError, DataError):
                # Which one it was is not said: each is read again by itself, and the others go on.
                found = _faults({one.audio for one in rest if one.audio is not None})
                if not found:
                    raise
                failed |= found


def check_finished(folder: Path) -> None:
    """Make sure that `folder` is that of one finished training.

    Raises:
        DataError: it is that of a cross-validation, or of a training that is not finished.
    """
    if (folder / MODEL).is_dir() and (folder / SCORES).is_file() and (folder / FACTS).is_file():
        return
    folds = sorted(path.parent for path in folder.glob(f"seed*/fold*/{SCORES}"))
    if folds:
        raise DataError(
            f"'{folder}' is a cross-validation of {len(folds)} trainings, not one model; name one of them, such as "
            f"'{folds[0]}'."
        )
    raise DataError(f"The training in '{folder}' is not finished; go on with it by m3ser train --resume.")


def read_record(path: Path) -> dict[str, Any]:
    """What a finished training noted in one of its JSON files.

    Raises:
        DataError: it cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"'{path}' cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise DataError(f"'{path}' holds a {type(content).__name__}; expected a JSON object.")
    return content


def _length(path: Path) -> float | M3serError | None:
    try:
        return probe(path).duration
    except M3serError as error:
        return error


def _faults(recordings: Iterable[Recording]) -> dict[Recording | None, M3serError]:
    found: dict[Recording | None, M3serError] = {}
    for one in sorted(recordings, key=str):
        error = _fault(one)
        if error is not None:
            found[one] = error
    return found


def _fault(recording: Recording) -> M3serError | None:
    try:
        recording.waveform()
    except M3serError as error:
        return error
    return None


def _given(example: Example) -> str:
    if example.audio is None:
        return "text"
    return "audio" if example.text is None else "both"


def _place(utterance: Utterance) -> tuple[Path, float | None, float | None]:
    assert utterance.audio is not None
    return utterance.audio.resolve(), utterance.start, utterance.end
