"""A recipe: everything that decides how a model comes out. :mod:`m3ser.training.recipe_file` reads one from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from m3ser.bundle import Slug
from m3ser.encoders import (
    EgemapsConfig,
    MfccConfig,
    SpeechConfig,
    TextConfig,
    VGGishConfig,
    WhisperConfig,
    WordVectorConfig,
)
from m3ser.training.data_recipe import CorpusRecipe, DataRecipe, PairedRecipe, RecipePart, Share, require_scheme
from m3ser.training.loss_recipe import CrossEntropyRecipe, LossRecipe

__all__ = [
    "BEFORE",
    "RUN",
    "AdversaryRecipe",
    "AugmentationRecipe",
    "BundleRecipe",
    "CorpusRecipe",
    "DataRecipe",
    "HeadRecipe",
    "ModalityRecipe",
    "ModelRecipe",
    "PairedRecipe",
    "Recipe",
    "TaughtRecipe",
    "TrainingRecipe",
]


def _text_kind(found: Any) -> Any:
    """The kind of a text encoder, which may be left out for the usual one."""
    return found.get("kind", "text") if isinstance(found, dict) else getattr(found, "kind", None)


RUN, BEFORE = "run:", "recipe:"
"""What an encoder's source begins with that an earlier run, or another recipe before, has trained; see
:mod:`m3ser.training.earlier`."""

_AudioEncoder = Annotated[
    WhisperConfig | VGGishConfig | SpeechConfig | MfccConfig | EgemapsConfig, Field(discriminator="kind")
]
_TextEncoder = Annotated[
    Annotated[TextConfig, Tag("text")] | Annotated[WordVectorConfig, Tag("word-vectors")], Discriminator(_text_kind)
]


class ModelRecipe(RecipePart):
    """The fusion part: a system's name, and options as :func:`m3ser.models.build` takes them.

    Attributes:
        system: the system's name.
        options: its options.
        scale_audio: standardise the audio states by the training part's mean and deviation (of an encoder that learns:
            as they are in the beginning). For encoders whose states differ in scale by orders of magnitude; the
            published systems take VGGish's states as they are.
    """

    system: str
    options: dict[str, Any] = Field(default_factory=dict)
    scale_audio: bool = False


class ModalityRecipe(RecipePart):
    """How often a training utterance is shown without one of its halves, so that the model can do without either.

    Attributes:
        audio_alone: share that is shown without its words.
        text_alone: share shown without its voice; in a paired corpus the target is then the sentence's own emotion.
    """

    audio_alone: Share = 0.0
    text_alone: Share = 0.0


class AdversaryRecipe(RecipePart):
    """What the fused vector shall not tell; see :mod:`m3ser.training.adversary`.

    Attributes:
        against: what is not to be recognised, the "speaker" or the "corpus".
        weight: of its loss beside the model's own.
    """

    against: Literal["speaker", "corpus"]
    weight: float = Field(default=0.1, gt=0)


class AugmentationRecipe(RecipePart):
    """Changed copies of the training recordings; see :mod:`m3ser.training.augmentation`.

    Attributes:
        copies: of each recording, beside the recording itself.
        share: how often an utterance is heard as one of them.
        changes: what is done to a copy -> how probable it is.
    """

    copies: int = Field(default=2, ge=1)
    share: Share = 0.5
    changes: dict[Literal["pace", "room", "noise", "band", "level"], Annotated[float, Field(gt=0, le=1)]] = Field(
        default={"pace": 0.3, "room": 0.3, "noise": 0.5, "band": 0.2, "level": 0.5}, min_length=1
    )


class DistillationRecipe(RecipePart):
    """A model that is trained before, and what it thinks of the training part; :mod:`m3ser.training.distillation`.

    Attributes:
        teacher: the recipe that it is trained by, on the training part of each fold.
        weight: of how far the model is from it, beside the model's own loss.
        temperature: that the logits of both are divided by.
    """

    teacher: str
    weight: float = Field(default=1.0, gt=0)
    temperature: float = Field(default=2.0, gt=0)


class TrainingRecipe(RecipePart):
    """How the parts that are not frozen are trained.

    Attributes:
        epochs: passes over the training part.
        pairs_per_epoch: utterances drawn, with replacement, for one pass; needs `balance`. None: as many as there are.
        batch_size: utterances in a step, over all processes.
        gradient_accumulation: steps whose gradients are added up before the weights change.
        learning_rate: of AdamW at the beginning.
        encoder_learning_rate: of the encoders that learn, but for a mix of their layers; None: the same.
        weight_decay: of AdamW; 0 makes it Adam.
        schedule: the learning rate stays (constant), falls to zero (linear), or by a factor every so often (step).
        step_epochs, step_factor: how often, and by which factor, under `step`.
        clip_norm: gradients are scaled to at most this norm; None: never.
        clip_value: each gradient, after that, is cut off at this size either way; None: never.
        loss: see :mod:`m3ser.training.loss_recipe`.
        label_smoothing: share of the target that is spread over all classes.
        class_weights: weigh the loss of a class by how rare it is in the training part.
        balance: None: every utterance once an epoch, in random order. A number: drawn with replacement, 0: every
            utterance equally often; 1: every (corpus, emotion) equally often; between: its power.
        bucket_by_length: make batches of utterances of similar length, which wastes little on padding.
        state_dropout: share of the audio states' features that are set to zero in an utterance (the same for all of its
            steps), so that few voices are not learnt by heart.
        modalities: see :class:`ModalityRecipe`.
        augmentation: see :class:`AugmentationRecipe`; None: recordings are heard as they are.
        profiles: share of the voices that are heard with the profile of their speaker (:mod:`m3ser.training.profiles`);
            for a frozen audio encoder.
        max_tokens: longest text, special tokens included.
        adversary: see :class:`AdversaryRecipe`; None: there is none.
        mixup: each utterance of a step is mixed with another one, in a proportion from a beta distribution of this
            concentration (:mod:`m3ser.training.mixing`); for frozen encoders. None: none is.
        average: the model of an epoch has weights averaged over all steps before, each step's fading by this factor at
            every later one (0.99: over about a hundred steps); None: those of its last step.
        seeds: trainings from the same first weights, each with an order and a dropout of its own; the model has the
            average of their weights (Wortsman et al. 2022, "Model soups").
        distillation: see :class:`DistillationRecipe`; None: there is no teacher.
        patience: stop after this many epochs without a better score on the validation part; None: never.
        precision: of the arithmetic; `auto` is bfloat16 where the GPU has it, or the processor multiplies matrices of
            it (AMX), else float32.
        trackers: "tensorboard", "mlflow", "wandb": where else the curves go.
    """

    epochs: int = Field(default=10, ge=1)
    pairs_per_epoch: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=32, ge=1)
    gradient_accumulation: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=5e-4, gt=0)
    encoder_learning_rate: float | None = Field(default=None, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    schedule: Literal["constant", "linear", "step"] = "linear"
    step_epochs: int = Field(default=30, ge=1)
    step_factor: float = Field(default=0.1, gt=0, le=1)
    clip_norm: float | None = Field(default=1.0, gt=0)
    clip_value: float | None = Field(default=None, gt=0)
    loss: LossRecipe = CrossEntropyRecipe()
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weights: bool = False
    balance: Share | None = None
    bucket_by_length: bool = False
    state_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    modalities: ModalityRecipe = ModalityRecipe()
    augmentation: AugmentationRecipe | None = None
    profiles: Share = 0.0
    max_tokens: int = Field(default=128, ge=2)
    adversary: AdversaryRecipe | None = None
    mixup: float | None = Field(default=None, gt=0)
    average: Annotated[float, Field(gt=0, lt=1)] | None = None
    seeds: int = Field(default=1, ge=1)
    distillation: DistillationRecipe | None = None
    patience: int | None = Field(default=None, ge=1)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "fp32"
    trackers: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] = ()

    @model_validator(mode="after")
    def _check(self) -> TrainingRecipe:
        if self.pairs_per_epoch is not None and self.balance is None:
            raise ValueError("pairs_per_epoch draws with replacement, and needs balance")
        if self.class_weights and self.loss.kind == "sigmoid":
            raise ValueError("class_weights weigh the classes of a softmax; loss sigmoid has none")
        if self.mixup is not None and self.adversary is not None:
            raise ValueError("mixup and adversary exclude each other: a mixed utterance has no one speaker")
        if self.mixup is not None and self.distillation is not None:
            raise ValueError("mixup and distillation exclude each other: no teacher has heard a mixed utterance")
        if self.mixup is not None and self.loss.kind not in ("cross-entropy", "focal", "sigmoid"):
            raise ValueError(f"mixup is for losses without weights of their own; loss is {self.loss.kind}")
        if self.label_smoothing and self.loss.kind in ("sigmoid", "focal"):
            raise ValueError(f"label_smoothing is for losses with a cross-entropy; loss is {self.loss.kind}")
        return self


class TaughtRecipe(RecipePart):
    """How far encoders that an earlier training left go from the weights that they began with to those that it left.

    1: all the way. Between 0 and 1, weights are averaged, which keeps what the published encoder knew of other
    recordings (WiSE-FT: Wortsman et al. 2022, Robust fine-tuning of zero-shot models, CVPR).

    Attributes:
        audio, text: of each encoder whose source is a ``run:`` or a ``recipe:``.
    """

    audio: Share = 1.0
    text: Share = 1.0


class HeadRecipe(RecipePart):
    """Another answer of the bundle, from the same encoders: a fusion part that is trained after the model itself.

    Attributes:
        scheme: its classes, by the name of an emotion scheme.
    """

    scheme: str

    @model_validator(mode="after")
    def _check_scheme(self) -> HeadRecipe:
        require_scheme(self.scheme)
        return self


class BundleRecipe(RecipePart):
    """What the exported bundle says of itself.

    Attributes:
        version: edition of the model.
        description: what it is for, in a line.
        licence: SPDX expression for the weights.
        language: BCP 47 code of the words that it reads.
        precision: how the encoders' weights are stored, and in int8 their products, too; see
            :class:`m3ser.bundle.Manifest`. Those of the fusion are in float16, but for fp32.
        calibrate: for int8, the voices' corpora of whose training part the ranges of the activations are measured;
            none: all.
        encoders: a bundle's folder, whose encoders are taken in place of this training's own; they have to be the same,
            in the same precision. So two models can share their largest files.
        heads: further answers, each with the classes of another scheme than the recipe's.
    """

    version: Slug
    description: str
    licence: str
    language: str = "en"
    precision: Literal["fp32", "int8-weights", "int8"] = "fp32"
    calibrate: tuple[str, ...] = ()
    encoders: Path | None = None
    heads: tuple[HeadRecipe, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> BundleRecipe:
        if self.calibrate and (self.precision != "int8" or self.encoders is not None):
            raise ValueError("calibrate is for int8, and for encoders of its own")
        return self


class Recipe(RecipePart):
    """A whole recipe; see the parts.

    Attributes:
        name: of the model.
        expected: the score that it should come to, or why that is not known.
        seed: of the training: first weights, order, dropout.
        data: where the utterances come from, and how they are divided.
        audio_encoder, text_encoder: frozen or trained; None where the system does not look at that modality.
        taught: see :class:`TaughtRecipe`.
        model, training: see there.
        bundle: what becomes of the trained model; None: it stays a checkpoint.
    """

    name: str
    expected: str = ""
    seed: int = 0
    data: DataRecipe
    audio_encoder: _AudioEncoder | None = None
    text_encoder: _TextEncoder | None = None
    taught: TaughtRecipe = TaughtRecipe()
    model: ModelRecipe
    training: TrainingRecipe = TrainingRecipe()
    bundle: BundleRecipe | None = None

    @property
    def trained_before(self) -> dict[Literal["audio", "text"], str]:
        """Modality -> the recipe by which its encoder is trained before, on the same fold: ``source: recipe:NAME``."""
        encoders: dict[Literal["audio", "text"], Any] = {"audio": self.audio_encoder, "text": self.text_encoder}
        sources = {modality: str(getattr(one, "source", "")) for modality, one in encoders.items()}
        named = {modality: source for modality, source in sources.items() if source.startswith(BEFORE)}
        return {modality: source.removeprefix(BEFORE) for modality, source in named.items()}

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if self.bundle is not None and self.data.kind != "paired":
            raise ValueError("a bundle is made from a paired corpus; leave out bundle, or set data.kind to paired")
        encoders = [one for one in (self.audio_encoder, self.text_encoder) if one is not None]
        if self.training.mixup is not None and any(one.learns or one.mixes for one in encoders):
            raise ValueError("training.mixup mixes states of encoders that are frozen as a whole; one of them learns")
        audio = self.audio_encoder
        if self.training.profiles and (audio is None or audio.learns or audio.mixes):
            raise ValueError("training.profiles move the states of an audio encoder that is frozen as a whole")
        for modality, share in self.taught:
            source = str(getattr(getattr(self, f"{modality}_encoder"), "source", ""))
            if share < 1 and not source.startswith((BEFORE, RUN)):
                raise ValueError(f"taught.{modality} is for an encoder of an earlier training ({RUN} or {BEFORE})")
        if self.training.encoder_learning_rate is not None and not any(one.learns for one in encoders):
            raise ValueError("training.encoder_learning_rate is for encoders that learn; all are frozen")
        if self.bundle is not None and self.bundle.heads:
            if any(one.mixes for one in encoders):
                raise ValueError("bundle.heads share the encoders' states; a mix of layers learns with one model alone")
            schemes = [self.data.scheme, *(head.scheme for head in self.bundle.heads)]
            if len(set(schemes)) < len(schemes):
                raise ValueError(f"the schemes of the data and of bundle.heads are {schemes}; each can be there once")
        if self.bundle is not None and isinstance(self.text_encoder, WordVectorConfig):
            raise ValueError("a bundle's tokenizer adds special tokens to a text, which word vectors do not have")
        return self
