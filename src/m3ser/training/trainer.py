"""transformers' Trainer, told what a recipe says: order of examples, loss, schedule, judging, when to stop."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import EvalPrediction, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from m3ser.errors import CheckpointError, RecipeError
from m3ser.evaluation import unweighted_accuracy
from m3ser.models.losses import CrossEntropy, Loss
from m3ser.schema import EmotionScheme, Utterance
from m3ser.training.adversary import groups_of
from m3ser.training.augmentation import hear_copies
from m3ser.training.averaging import Average
from m3ser.training.distillation import Targets, distillation_loss
from m3ser.training.encoding import Material
from m3ser.training.examples import (
    BalancedSampler,
    Collator,
    Example,
    ExampleDataset,
    ShuffledSampler,
    TrainingCollator,
    balanced_weights,
    example_of,
)
from m3ser.training.learner import Learner
from m3ser.training.mixing import mix_up
from m3ser.training.processes import process_count
from m3ser.training.profiles import shifts_of
from m3ser.training.progress import TrainingProgress
from m3ser.training.recipe import TrainingRecipe

__all__ = ["Judging", "Patience", "make_trainer"]


@dataclass(frozen=True)
class Judging:
    """What a training is judged by after each epoch.

    Attributes:
        conditions: condition -> the examples under it.
        metric: which condition's UA chooses the best epoch ("both").
        part: the part of the corpus they are ("validation").
    """

    conditions: Mapping[str, Sequence[Example]]
    metric: str
    part: str


def make_trainer(
    model: nn.Module,
    setting: TrainingRecipe,
    material: Material,
    training: Sequence[Utterance],
    judging: Judging,
    scheme: EmotionScheme,
    *,
    loss: Loss | None = None,
    targets: Targets | None = None,
    seed: int,
    title: str,
    checkpoints: Path,
) -> Trainer:
    """A Trainer that trains `model` as `setting` says.

    Args:
        model: a fusion model, or one with encoders that learn (:class:`~m3ser.training.learner.Learner`).
        setting: the recipe's training part.
        material: what the model reads.
        training: the utterances to learn from.
        judging: what it is judged by.
        scheme: the classes.
        loss: what it is trained by; None: plain cross-entropy. Not looked at where a learner has its own inside.
        targets: what a teacher says of the training examples, where `setting` has one.
        seed: of order and dropout.
        title: of the progress bar.
        checkpoints: folder for checkpoints.

    Raises:
        RecipeError: the batch cannot be divided among the processes, the device does not have the precision, or a
            tracker is not installed.
    """
    count = process_count()
    if setting.batch_size % count:
        raise RecipeError(f"batch_size is {setting.batch_size}, which {count} processes cannot share evenly.")
    _check_trackers(setting.trackers)
    examples = [example_of(utterance, scheme) for utterance in training]
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=setting.epochs,
        per_device_train_batch_size=setting.batch_size // count,
        per_device_eval_batch_size=max(64, setting.batch_size) // count,
        gradient_accumulation_steps=setting.gradient_accumulation,
        # transformers' own choice only from torch 2.8 on; a step over VGGish's weights takes a fraction of the time.
        optim="adamw_torch_fused",
        learning_rate=setting.learning_rate,
        weight_decay=setting.weight_decay,
        lr_scheduler_type="linear" if setting.schedule == "linear" else "constant",
        max_grad_norm=setting.clip_norm or 0.0,
        seed=seed,
        data_seed=seed,
        eval_strategy="epoch",
        save_strategy="epoch",
        # The best one and the last.
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=f"eval_{judging.metric}_ua",
        greater_is_better=True,
        logging_strategy="epoch",
        # A loss that is not a number is an error here, not something to be averaged over.
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        report_to=list(setting.trackers) or "none",
        # Without it several processes on processors alone would each train a model of their own.
        use_cpu=not torch.cuda.is_available(),
        ddp_backend=None if count == 1 or torch.cuda.is_available() else "gloo",
        # A batch in which nobody speaks leaves the audio branch without a gradient.
        ddp_find_unused_parameters=count > 1,
        **_precision(setting.precision),
    )
    order: dict[str, Any] = {"seed": seed}
    if setting.bucket_by_length:
        lengths = np.array([material.length(example) for example in examples], np.int64)
        order |= {"lengths": lengths, "batch_size": setting.batch_size}
    if setting.balance is None:
        sampler: Any = ShuffledSampler(len(examples), **order)
    else:
        weights = balanced_weights(training, scheme, power=setting.balance)
        sampler = BalancedSampler(weights, count=setting.pairs_per_epoch or len(examples), **order)
    # Of what is encoded inside of the model, it drops features itself.
    encoded_inside = isinstance(model, Learner) and model.audio_encoder is not None
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=ExampleDataset(examples),
        eval_dataset={name: ExampleDataset(shown) for name, shown in judging.conditions.items()},
        data_collator=TrainingCollator(
            material.audio,
            material.text,
            nothing=material.nothing,
            modalities=setting.modalities,
            state_dropout=0.0 if encoded_inside else setting.state_dropout,
            hear=partial(hear_copies, setting=setting.augmentation),
            groups=None if setting.adversary is None else groups_of(training, setting.adversary.against)[0],
            shift=_shift(setting, material, training),
            targets=None if targets is None else targets.of,
        ),
        compute_metrics=_ua,
        callbacks=[TrainingProgress(title, metric=f"{judging.metric}_ua", judged_on=judging.part)],
    )
    average = None if setting.average is None else Average(model, setting.average)
    trainer.prepare(
        setting,
        average=average,
        sampler=sampler,
        judging=Collator(material.audio, material.text, nothing=material.nothing),
        loss=None if isinstance(model, Learner) and model.loss is not None else loss or CrossEntropy(),
    )
    if average is not None:
        trainer.add_callback(average)
    if setting.clip_value is not None:
        trainer.add_callback(_ValueClipping(trainer, model, setting.clip_value))
    if setting.patience is not None:
        trainer.add_callback(Patience(setting.patience))
    # It prints every record on standard output.
    trainer.remove_callback(PrinterCallback)
    return trainer


class Patience(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Stops a training whose metric has not become better for some epochs.

    It counts in the Trainer's own history, which every checkpoint holds, so that a resumed training stops where the
    uninterrupted one would have.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Look back after each evaluation."""
        if self.exhausted(state.log_history, args.metric_for_best_model):
            control.should_training_stop = True

    def exhausted(self, history: Sequence[Mapping[str, Any]], metric: str) -> bool:
        """Whether the best value of `metric` is that many epochs back."""
        values = [record[metric] for record in history if metric in record]
        return bool(values) and len(values) - 1 - int(np.argmax(values)) >= self.epochs


class _ValueClipping(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Cuts each gradient off at `most` either way, after the Trainer has scaled them to its norm, if it does."""

    def __init__(self, trainer: Trainer, model: nn.Module, most: float) -> None:
        self.trainer = trainer
        self.model = model
        self.most = most

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Before the weights change."""
        if not args.max_grad_norm:  # else float16's loss scale has been taken out already
            self.trainer.accelerator.unscale_gradients()
        nn.utils.clip_grad_value_(self.model.parameters(), self.most)


class _Trainer(Trainer):  # type: ignore[misc,unused-ignore]
    """The Trainer with an order, a loss and a schedule of ours; it judges with the plain collator."""

    def prepare(
        self, setting: TrainingRecipe, *, average: Average | None, sampler: Any, judging: Collator, loss: Loss | None
    ) -> None:
        """Take over what the Trainer's own arguments cannot say; a loss of None is inside the model."""
        self._setting = setting
        self._average = average
        self._sampler = sampler
        self._judging = judging
        self._loss = loss

    def _get_train_sampler(self, *_: Any) -> Any:
        return self._sampler

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        training, self.data_collator = self.data_collator, self._judging
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = training

    def train(self, resume_from_checkpoint: Any = None, *args: Any, **options: Any) -> Any:
        if resume_from_checkpoint is not None and self._average is not None:
            self._average.load(Path(resume_from_checkpoint))
        return super().train(resume_from_checkpoint, *args, **options)

    def evaluate(self, *args: Any, **options: Any) -> Any:
        with nullcontext() if self._average is None else self._average.in_place():
            return super().evaluate(*args, **options)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        # A checkpoint's first file; its last one says that it is whole.
        super().save_model(output_dir, _internal_call)
        if self._average is not None and output_dir is not None and self.args.should_save:
            self._average.save(Path(output_dir))

    def _save_checkpoint(self, *args: Any, **options: Any) -> None:
        try:
            super()._save_checkpoint(*args, **options)
        except (OSError, SafetensorError, RuntimeError) as error:
            # torch's writer does not say why it could not write.
            unknown = isinstance(error, RuntimeError)
            reason = "is the disk full?" if unknown else f"{getattr(error, 'strerror', None) or error}."
            raise CheckpointError(
                f"A checkpoint in '{self.args.output_dir}' cannot be written: {reason} What was written before is "
                "kept, and --resume goes on from there."
            ) from error

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        # It would draw a loss's centres to the origin, and its weights to each other.
        return [name for name in super().get_decay_parameter_names(model) if not name.startswith("loss.")]

    def create_optimizer(self, model: Any = None) -> Any:
        rate = self._setting.encoder_learning_rate
        if rate is not None and self.optimizer is None:
            assert isinstance(self.model, Learner)
            slow = {id(one) for one in self.model.encoder_weights()}
            decaying = set(self.get_decay_parameter_names(self.model))
            groups: dict[tuple[bool, bool], list[Any]] = {}
            for name, weight in self.model.named_parameters():
                if weight.requires_grad:
                    groups.setdefault((id(weight) in slow, name in decaying), []).append(weight)
            trained: Any = self.model  # the library's hints want a model of its own
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, trained)
            self.optimizer = kind(
                [
                    {
                        "params": weights,
                        "lr": rate if is_slow else self.args.learning_rate,
                        "weight_decay": self.args.weight_decay if decays else 0.0,
                    }
                    for (is_slow, decays), weights in groups.items()
                ],
                **options,
            )
        return super().create_optimizer(model)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        if self._setting.schedule == "step" and self.lr_scheduler is None:
            per_epoch = max(1, math.ceil(num_training_steps / self._setting.epochs))
            every, factor = self._setting.step_epochs * per_epoch, self._setting.step_factor
            chosen: Any = optimizer or self.optimizer
            self.lr_scheduler = LambdaLR(chosen, lambda step: factor ** (step // every))
        return super().create_scheduler(num_training_steps, optimizer)

    def compute_loss(
        self,
        model: Any,
        inputs: Any,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,  # noqa: ARG002
    ) -> Any:
        taught = inputs.pop("teacher", None)
        if self._loss is None:
            outputs = model(**inputs)
            loss = outputs.loss
        else:
            labels = inputs.pop("labels")
            mixup = self._setting.mixup
            mixed = mix_up(inputs, mixup) if model.training and mixup is not None else None
            outputs = model(**(inputs if mixed is None else mixed.inputs))
            criterion = self._loss.train(model.training)
            loss = criterion(outputs.logits, labels)
            if mixed is not None:
                loss = mixed.share * loss + (1 - mixed.share) * criterion(outputs.logits, labels[mixed.others])
        if taught is not None:
            distillation = self._setting.distillation
            assert distillation is not None
            away = distillation_loss(outputs.logits, taught, temperature=distillation.temperature)
            loss = loss + distillation.weight * away
        if model.training and not bool(torch.isfinite(loss)):
            raise RecipeError(
                f"The loss is {loss.item()} at step {self.state.global_step + 1}: a learning rate below "
                f"{self._setting.learning_rate:g} may help; checkpoints of earlier epochs are kept."
            )
        return (loss, outputs) if return_outputs else loss


def _shift(setting: TrainingRecipe, material: Material, training: Sequence[Utterance]) -> Any:
    """What moves voices by their speakers' profiles; None where none are."""
    if not setting.profiles or material.audio is None:
        return None
    return partial(shifts_of(training, material.audio).of, share=setting.profiles)


def _ua(prediction: EvalPrediction) -> dict[str, float]:
    logits = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
    return {"ua": unweighted_accuracy(prediction.label_ids, logits.argmax(axis=1))}


def _precision(wanted: str) -> dict[str, Any]:
    gpu = torch.cuda.is_available()
    if wanted == "auto":
        fast = torch.cuda.is_bf16_supported() if gpu else _processor_multiplies_bf16()
        wanted = "bf16" if fast else "fp32"
    if wanted == "fp16" and not gpu:
        raise RecipeError("training.precision is fp16, which needs a GPU; fp32 and bf16 work on processors, too.")
    return {} if wanted == "fp32" else {wanted: True}


def _processor_multiplies_bf16() -> bool:
    """Whether it has matrix products of bfloat16; others emulate them, some of them many times as slowly as float32."""
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # not in early versions of torch 2
    return capabilities is not None and bool(capabilities().get("amx_bf16"))


def _check_trackers(trackers: Sequence[str]) -> None:
    for name in trackers:
        if importlib.util.find_spec(name) is None:
            raise RecipeError(f"training.trackers names {name}, which is not installed: pip install {name}.")
