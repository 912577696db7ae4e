"""Train the fusion part of a model as a recipe says, from corpora to a checkpoint, with transformers' Trainer."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers import EvalPrediction, PrinterCallback, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from m3ser import models
from m3ser.corpora import PairedCorpus, write_manifest
from m3ser.encoders import AudioEncoder, TextEncoder, build_encoder
from m3ser.encoders.hub import find_file
from m3ser.errors import RecipeError
from m3ser.evaluation import unweighted_accuracy
from m3ser.models import FusionModel
from m3ser.schema import EmotionScheme, Utterance
from m3ser.text import Tokens, load_tokenizer
from m3ser.training.data import prepare_pairs
from m3ser.training.pairs import BalancedSampler, Collator, Pair, PairDataset, TrainingCollator, balanced_weights
from m3ser.training.progress import TrainingProgress
from m3ser.training.recipe import Recipe, resolve_source
from m3ser.training.standardise import Standardisation
from m3ser.training.states import StateTable, batch_encoder, encode_audio, encode_texts

__all__ = ["Conditions", "Encoders", "Trained", "conditions", "load_encoders", "train"]

Floats = NDArray[np.float32]
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoders:
    """The frozen encoders of a recipe, and the tokenizer that belongs to the one for text."""

    audio: AudioEncoder
    text: TextEncoder
    tokens: Tokens
    tokenizer_file: Path


@dataclass(frozen=True)
class Conditions:
    """One part of a paired corpus under the conditions that a model is judged by.

    Attributes:
        audio: each recording once, without words; the target is the voice's emotion.
        text: each sentence once, without a voice; the target is the sentence's emotion.
        both: every pair; the target is the voice's emotion.
        relations: of each pair in `both`, what its words are to its voice.
        speakers: of each recording in `audio`, and of each pair in `both`.
    """

    audio: tuple[Pair, ...]
    text: tuple[Pair, ...]
    both: tuple[Pair, ...]
    relations: tuple[str, ...]
    audio_speakers: tuple[str, ...]
    both_speakers: tuple[str, ...]


@dataclass(frozen=True)
class Trained:
    """What training leaves behind.

    Attributes:
        recipe: what it was trained by.
        corpus: the paired corpus.
        encoders: the frozen encoders.
        fusion: the trained part, for states as the encoders give them.
        voices, sentences: the encoders' states of everything in the corpus.
        folder: where the checkpoint is.
    """

    recipe: Recipe
    corpus: PairedCorpus
    encoders: Encoders
    fusion: FusionModel
    voices: StateTable
    sentences: StateTable
    folder: Path


def train(recipe: Recipe, out: str | Path, *, cache: str | Path, resume: bool = False) -> Trained:
    """Train as `recipe` says.

    The folder `out` then holds the resolved recipe (``recipe.json``), the paired corpus (``paired.csv``), the Trainer's
    checkpoints and log, and the model of the best epoch by UA on the validation speakers (``model/``).

    Args:
        recipe: see :class:`~m3ser.training.recipe.Recipe`.
        out: folder for the results.
        cache: folder for the encoders' states; a second training finds them there.
        resume: go on from the last checkpoint in `out`, if there is one.

    Raises:
        DataError, AudioError: the corpora are not what they should be.
        RecipeError: parts of the recipe do not fit each other.
    """
    out, cache = Path(out), Path(cache)
    out.mkdir(parents=True, exist_ok=True)
    transformers.set_seed(recipe.seed)
    corpus = prepare_pairs(recipe.data, seed=recipe.seed)
    write_manifest(out / "paired.csv", corpus.utterances, comment=corpus.comment)
    (out / "recipe.json").write_text(recipe.model_dump_json(indent=2) + "\n", encoding="utf-8")
    encoders = load_encoders(recipe)
    scheme = recipe.data.emotion_scheme
    # Before the encoders run: what cannot be built should not take minutes to say so.
    fusion = models.build(
        recipe.model.system,
        text_dim=encoders.text.dim,
        audio_dim=encoders.audio.dim,
        num_labels=len(scheme.classes),
        labels=scheme.classes,
        **recipe.model.options,
    )
    if not hasattr(fusion, "audio_linear"):
        raise RecipeError(
            f"model.options.fusion_dim must differ from the audio encoder's width of {encoders.audio.dim}: the scale "
            "of the states is folded into the linear layer between the two."
        )

    voices, sentences = _states(recipe, corpus, encoders, cache)

    parts = {part: [u for u in corpus.utterances if u.split == part] for part in ("train", "validation")}
    loaded = voices.loaded(list(voices.keys))
    scale = Standardisation.of(loaded[file] for file in sorted({str(u.audio) for u in parts["train"]}))
    scaled = {key: scale(states) for key, states in loaded.items()}
    words = sentences.loaded(sorted({u.text or "" for u in corpus.utterances}))

    trainer = _trainer(recipe, fusion, parts, scaled, words, out)
    checkpoints = out / "checkpoints"
    trainer.train(resume_from_checkpoint=get_last_checkpoint(checkpoints) if resume and checkpoints.is_dir() else None)
    # With load_best_model_at_end the best epoch's weights are now in the model that the Trainer was given.
    scale.fold_into(fusion)
    fusion.train(False)
    models.save(fusion, out / "model")
    (out / "log.json").write_text(json.dumps(trainer.state.log_history, indent=1) + "\n", encoding="utf-8")
    return Trained(recipe, corpus, encoders, fusion, voices, sentences, out)


def load_encoders(recipe: Recipe) -> Encoders:
    """Build the recipe's encoders, frozen, from wherever their weights are."""
    audio = build_encoder({**recipe.audio_encoder.to_dict(), **_source(recipe.audio_encoder.source)})
    text = build_encoder({**recipe.text_encoder.to_dict(), **_source(recipe.text_encoder.source)})
    assert isinstance(audio, AudioEncoder)
    assert isinstance(text, TextEncoder)
    tokenizer = _tokenizer_file(resolve_source(recipe.text_encoder.source))
    return Encoders(audio, text, load_tokenizer(tokenizer, max_tokens=recipe.training.max_tokens), tokenizer)


def conditions(utterances: Iterable[Utterance], scheme: EmotionScheme) -> Conditions:
    """Lay out one part of a paired corpus for judging; see :class:`Conditions`."""
    both = [(u, _pair(u, scheme)) for u in utterances]
    voices = {pair.audio: (u, pair) for u, pair in both}
    texts = {pair.text: pair for _, pair in both}
    return Conditions(
        audio=tuple(Pair(pair.audio, None, pair.label) for _, pair in voices.values()),
        text=tuple(Pair(None, pair.text, pair.text_label) for pair in texts.values() if pair.text_label is not None),
        both=tuple(pair for _, pair in both),
        relations=tuple(u.extra["relation"] for u, _ in both),
        audio_speakers=tuple(u.speaker or "" for u, _ in voices.values()),
        both_speakers=tuple(u.speaker or "" for u, _ in both),
    )


def _pair(utterance: Utterance, scheme: EmotionScheme) -> Pair:
    label = scheme.index_of(utterance.emotion)
    assert label is not None
    return Pair(str(utterance.audio), utterance.text, label, scheme.index_of(utterance.extra["text_emotion"]))


def _source(source: str | None) -> dict[str, str]:
    return {} if source is None else {"source": resolve_source(source)}


def _tokenizer_file(source: str) -> Path:
    found = find_file(source, "tokenizer.json")
    if found is None:
        raise RecipeError(f"The text encoder '{source}' has no tokenizer.json.")
    return found


def _states(recipe: Recipe, corpus: PairedCorpus, encoders: Encoders, cache: Path) -> tuple[StateTable, StateTable]:
    voices = encode_audio(
        [u.audio for u in corpus.utterances if u.audio is not None],
        batch_encoder(encoders.audio),
        front_end=encoders.audio.front_end,
        dim=encoders.audio.dim,
        fingerprint=_fingerprint(encoders.audio, recipe.audio_encoder.to_dict()),
        cache=cache,
    )
    sentences = encode_texts(
        [u.text for u in corpus.utterances if u.text is not None],
        batch_encoder(encoders.text),
        tokens=encoders.tokens,
        dim=encoders.text.dim,
        fingerprint=_fingerprint(encoders.text, recipe.text_encoder.to_dict()),
        cache=cache,
    )
    return voices, sentences


def _fingerprint(encoder: torch.nn.Module, options: Mapping[str, Any]) -> str:
    """What the encoder computes: its options and its weights."""
    digest = hashlib.sha256(json.dumps(dict(options), sort_keys=True).encode())
    for name, value in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


class _Trainer(Trainer):  # type: ignore[misc,unused-ignore]
    """The Trainer with a sampler and a training collator of ours; it judges with the plain collator."""

    def __init__(self, *args: Any, sampler: BalancedSampler, judging: Collator, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sampler = sampler
        self._judging = judging

    def _get_train_sampler(self, *_: Any) -> BalancedSampler:
        return self._sampler

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        training, self.data_collator = self.data_collator, self._judging
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = training


def _trainer(
    recipe: Recipe,
    fusion: FusionModel,
    parts: Mapping[str, Sequence[Utterance]],
    voices: Mapping[str, Floats],
    words: Mapping[str, Floats],
    out: Path,
) -> _Trainer:
    setting = recipe.training
    scheme = recipe.data.emotion_scheme
    widths = {"audio_dim": fusion.config.audio_dim, "text_dim": fusion.config.text_dim}
    validation = conditions(parts["validation"], scheme)
    count = setting.pairs_per_epoch or len(parts["train"])
    arguments = TrainingArguments(
        output_dir=str(out / "checkpoints"),
        num_train_epochs=setting.epochs,
        per_device_train_batch_size=setting.batch_size,
        per_device_eval_batch_size=256,
        learning_rate=setting.learning_rate,
        weight_decay=setting.weight_decay,
        lr_scheduler_type="linear",
        seed=recipe.seed,
        data_seed=recipe.seed,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_both_ua",
        greater_is_better=True,
        logging_strategy="epoch",
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=False,
        disable_tqdm=True,
        report_to="none",
    )
    trainer = _Trainer(
        model=fusion,
        args=arguments,
        train_dataset=PairDataset([_pair(u, scheme) for u in parts["train"]]),
        eval_dataset={
            "audio": PairDataset(validation.audio),
            "text": PairDataset(validation.text),
            "both": PairDataset(validation.both),
        },
        data_collator=TrainingCollator(
            voices, words, **widths, modalities=setting.modalities, state_dropout=setting.state_dropout
        ),
        judging=Collator(voices, words, **widths),
        sampler=BalancedSampler(
            balanced_weights(parts["train"], scheme, power=setting.balance), count=count, seed=recipe.seed
        ),
        compute_metrics=_ua,
        callbacks=[TrainingProgress()],
    )
    # It prints every record on standard output.
    trainer.remove_callback(PrinterCallback)
    return trainer


def _ua(prediction: EvalPrediction) -> dict[str, float]:
    logits = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
    return {"ua": unweighted_accuracy(prediction.label_ids, logits.argmax(axis=1))}
