"""A recipe: everything that decides how a model comes out, in one YAML file.

Every key is checked; an unknown one is an error that lists the known ones. ``recipes/`` holds one file per model.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from m3ser.corpora import RELATIONS
from m3ser.encoders import TextConfig, VGGishConfig, WhisperConfig
from m3ser.errors import MissingExtraError, RecipeError
from m3ser.schema import IEMOCAP4, EmotionScheme

__all__ = ["BundleRecipe", "DataRecipe", "ModalityRecipe", "ModelRecipe", "Recipe", "TrainingRecipe", "load_recipe"]

SCHEMES = {IEMOCAP4.name: IEMOCAP4}

Share = Annotated[float, Field(ge=0, le=1)]
_AudioEncoder = Annotated[WhisperConfig | VGGishConfig, Field(discriminator="kind")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataRecipe(_Part):
    """Which corpora, and how they become a paired (semi-synthetic) corpus.

    Attributes:
        root: folder that the corpora's folders are relative to; relative to where the command is run.
        voices: speech corpus -> its folder.
        sentences: text corpus -> its folder.
        scheme: the classes.
        speaker_shares: shares of each speech corpus's speakers in train, validation and test.
        shares: relation of words to voice -> share of the pairs.
        per_clip: sentences that each recording is paired with.
    """

    root: Path
    voices: dict[str, str] = Field(min_length=1)
    sentences: dict[str, str] = Field(min_length=1)
    scheme: Literal["iemocap4"] = "iemocap4"
    speaker_shares: tuple[Share, Share, Share] = (0.6, 0.2, 0.2)
    shares: dict[Literal["agree", "neutral", "conflict"], Share]
    per_clip: int = Field(default=1, ge=1)

    @property
    def emotion_scheme(self) -> EmotionScheme:
        """The scheme itself."""
        return SCHEMES[self.scheme]


class ModelRecipe(_Part):
    """The fusion part: a system's name, and options as :func:`m3ser.models.build` takes them."""

    system: str
    options: dict[str, Any] = Field(default_factory=dict)


class ModalityRecipe(_Part):
    """How often a training pair is shown without one of its halves, so that the model can do without either.

    Attributes:
        audio_alone: share of the pairs that are shown without their words.
        text_alone: share shown without their voice; the target is then the sentence's own emotion.
    """

    audio_alone: Share = 0.25
    text_alone: Share = 0.15


class TrainingRecipe(_Part):
    """How the fusion part is trained on the states of frozen encoders.

    Attributes:
        epochs: passes of `pairs_per_epoch` pairs.
        pairs_per_epoch: pairs drawn, with replacement, for one pass; None: as many as there are.
        batch_size: pairs in a step.
        learning_rate: of AdamW at the beginning; it falls linearly to zero.
        weight_decay: of AdamW.
        state_dropout: share of the audio states' features that are set to zero in a training pair (the same for all of
            its steps), so that few voices are not learnt by heart.
        balance: 0: every recording equally often; 1: every (corpus, emotion) equally often; between: its power.
        modalities: see :class:`ModalityRecipe`.
        max_tokens: longest sentence, special tokens included.
    """

    epochs: int = Field(default=10, ge=1)
    pairs_per_epoch: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=5e-4, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    state_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    balance: Share = 0.0
    modalities: ModalityRecipe = ModalityRecipe()
    max_tokens: int = Field(default=64, ge=2)


class BundleRecipe(_Part):
    """What the exported bundle says of itself.

    Attributes:
        version: edition of the model.
        description: what it is for, in a line.
        licence: SPDX expression for the weights.
        language: BCP 47 code of the words that it reads.
        precision: how the encoders' weights are stored; see :func:`m3ser.training.export.store_as_int8`.
    """

    version: str
    description: str
    licence: str
    language: str = "en"
    precision: Literal["fp32", "int8-weights"] = "fp32"


class Recipe(_Part):
    """A whole recipe; see the parts."""

    name: str
    seed: int = 0
    data: DataRecipe
    audio_encoder: _AudioEncoder
    text_encoder: TextConfig
    model: ModelRecipe
    training: TrainingRecipe = TrainingRecipe()
    bundle: BundleRecipe


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: the YAML file.
        overrides: ``key=value``, with dots into the parts (``training.epochs=2``); the value is read as YAML.

    Raises:
        RecipeError: the file cannot be read or is no YAML, a key is unknown (the message lists the known ones), or a
            value is impossible.
        MissingExtraError: PyYAML is not installed.
    """
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise MissingExtraError("Reading a recipe", "train") from error
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        changes = [(key, yaml.safe_load(value)) for key, value in map(_override, overrides)]
    except OSError as error:
        raise RecipeError(f"Recipe '{path}' cannot be read: {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"Recipe '{path}' is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise RecipeError(f"Recipe '{path}' holds a {type(content).__name__}; keys and values were expected.")
    for key, value in changes:
        *parents, last = key.split(".")
        part = content
        for parent in parents:
            part = part.setdefault(parent, {})
            if not isinstance(part, dict):
                raise RecipeError(f"--set {key}: '{parent}' is a value, not a part of the recipe.")
        part[last] = value
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"Recipe '{path}' is not possible: {'; '.join(_faults(error))}.") from error


def resolve_source(source: str) -> str:
    """`source` itself, or for ``package:NAME/FOLDER`` that folder of an installed Python package.

    Some packages on the package index carry weights; they are found without being imported.

    Raises:
        RecipeError: the package is not installed, or has no such folder.
    """
    if not source.startswith("package:"):
        return source
    package, _, folder = source.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package)
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    if not places:
        raise RecipeError(f"Weights '{source}': the Python package '{package}' is not installed.")
    found = Path(places[0]) / folder
    if not found.is_dir():
        raise RecipeError(f"Weights '{source}': the package '{package}' has no folder '{folder}'.")
    return str(found)


def _override(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {text}: expected KEY=VALUE, for example training.epochs=2.")
    return key.strip(), value


def _faults(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_url=False):
        place = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            yield f"unknown key '{place}' (known: {', '.join(_known(fault['loc'][:-1]))})"
        else:
            yield f"{place}: {fault['msg']}"


def _known(place: Sequence[str | int]) -> list[str]:
    """The keys that the part of the recipe at `place` takes."""
    model: Any = Recipe
    for step in place:
        if step in ("whisper", "vggish"):  # which kind of encoder pydantic tried
            model = WhisperConfig if step == "whisper" else VGGishConfig
            continue
        annotation = model.model_fields[str(step)].annotation
        model = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else model
    return sorted(model.model_fields) if model is not None else list(RELATIONS)
