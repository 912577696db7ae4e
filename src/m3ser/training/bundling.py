"""From a trained model to the bundle that users load: export, calibrate, judge what was exported, write it whole."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from m3ser.batching import length_batches
from m3ser.bundle import (
    AudioPart,
    Bundle,
    FusionPart,
    HeadPart,
    Manifest,
    Temperature,
    TextPart,
    slug,
    write_bundle,
)
from m3ser.corpora import get_reader
from m3ser.training.bundle_encoders import EncoderGraphs, both_encoders, encoder_graphs, run_graph
from m3ser.training.card import Answer, model_card
from m3ser.training.earlier import taught_by
from m3ser.training.encoding import Material
from m3ser.training.examples import Collator, Example
from m3ser.training.exporting import export_fusion
from m3ser.training.exporting.centre import CentreFiles, centre_files
from m3ser.training.exporting.inputs import window_seconds
from m3ser.training.exporting.runners import GraphModel
from m3ser.training.exporting.storage import store_as_fp16
from m3ser.training.judging import Logits, logits_of
from m3ser.training.learner import Learner
from m3ser.training.progress import waiting
from m3ser.training.recipe import BundleRecipe, PairedRecipe
from m3ser.training.run import Trained
from m3ser.training.scoring import Scores, conditions, fit_bundle_temperatures, score

__all__ = ["Judged", "bundle_trained"]

_AUDIO, _TEXT, _FUSION, _TOKENIZER, _CARD = (
    "audio_encoder.onnx",
    "text_encoder.onnx",
    "fusion.onnx",
    "tokenizer.json",
    "README.md",
)
_PAIR_BUDGET = 20_000  # padded tokens in a batch


@dataclass(frozen=True)
class Judged:
    """A bundle and its scores on the speakers and sentences that nothing was chosen by.

    Attributes:
        bundle: as written.
        answers: of the model itself, and of each of its heads.
    """

    bundle: Bundle
    answers: tuple[Answer, ...]

    @property
    def scores(self) -> Scores:
        """Of the model itself."""
        return self.answers[0].scores


def bundle_trained(
    trained: Trained,
    folder: str | Path,
    *,
    heads: Sequence[Trained] = (),
    cache: str | Path,
    command: str,
    standing: str = "",
    overwrite: bool = False,
) -> Judged:
    """Export `trained`, fit its temperatures on the validation part, judge it on the test part, and write the bundle.

    Args:
        trained: see :func:`m3ser.training.run.train`.
        folder: where the bundle shall be.
        heads: further answers, of the same encoders; see :func:`m3ser.training.heads.train_heads`.
        cache: folder for the states of the exported encoders.
        command: the command that makes the model again, for its card.
        standing: further tables for the card; see :func:`m3ser.training.card.model_card`.
        overwrite: replace a bundle that is there.

    Raises:
        BundleError: the folder is taken, or cannot be written.
        RecipeError: the encoders are not what the recipe says; see
            :func:`m3ser.training.bundle_encoders.encoder_graphs`.
    """
    recipe = trained.recipe
    data, about = recipe.data, recipe.bundle
    assert isinstance(data, PairedRecipe)
    assert isinstance(about, BundleRecipe)
    audio_encoder, text_encoder, _, tokenizer_file = both_encoders(trained)
    encoders = encoder_graphs(trained, cache=Path(cache))
    exported = {_FUSION: trained, **{f"fusion-{head.recipe.data.scheme}.onnx": head for head in heads}}
    fusions = {name: _fusion(one, about) for name, one in exported.items()}
    answers = [_judged(one, encoders, fusions[name], cache=Path(cache)) for name, one in exported.items()]
    own, *others = (
        HeadPart(
            scheme=answer.scheme.name,
            labels=answer.scheme.classes,
            temperature=answer.temperature,
            fusion=FusionPart(graph=name),
            scores=_told(answer.scores),
        )
        for name, answer in zip(exported, answers, strict=True)
    )
    centre = _centre(trained, encoders)
    infos = [get_reader(name).INFO for name in (*data.voices, *data.sentences)]
    manifest = Manifest(
        name=slug(recipe.name),
        version=about.version,
        description=about.description,
        architecture=recipe.model.system,
        scheme=own.scheme,
        labels=own.labels,
        temperature=own.temperature,
        audio=AudioPart(
            graph=_AUDIO,
            front_end=audio_encoder.front_end,
            dim=audio_encoder.dim,
            max_seconds=window_seconds(trained.encoders),
            centre=centre.centre,
            neutral=centre.neutral,
        ),
        text=TextPart(
            graph=_TEXT,
            tokenizer=_TOKENIZER,
            max_tokens=recipe.training.max_tokens,
            dim=text_encoder.dim,
            language=about.language,
        ),
        fusion=own.fusion,
        heads=tuple(others),
        precision=about.precision,
        licence=about.licence,
        data=tuple(f"{info.title} ({info.licence})" for info in infos),
        scores=own.scores,
        created_by={name: importlib.metadata.version(name) for name in ("m3ser", "torch", "transformers", "onnx")},
    )
    card = model_card(
        manifest,
        answers,
        comment=trained.comment,
        infos=infos,
        command=command,
        taught=taught_by(recipe),
        standing=standing,
    )
    files: dict[str, Path | bytes] = {
        **{name: graph.SerializeToString() for name, graph in fusions.items()},
        _AUDIO: encoders.audio.SerializeToString(),
        _TEXT: encoders.text.SerializeToString(),
        _TOKENIZER: tokenizer_file,
        _CARD: card.encode(),
        **centre.files,
    }
    return Judged(write_bundle(folder, manifest, files, overwrite=overwrite), tuple(answers))


def _fusion(trained: Trained, about: BundleRecipe) -> onnx.ModelProto:
    """In half the space where the encoders' weights are rounded far more; its products stay those of float32."""
    graph = export_fusion(trained.fusion)
    return graph if about.precision == "fp32" else store_as_fp16(graph)


def _centre(trained: Trained, encoders: EncoderGraphs) -> CentreFiles:
    """As the exported encoder hears the training part."""
    audio_encoder, *_ = both_encoders(trained)
    model = GraphModel({"audio": encoders.audio}, {"audio": audio_encoder.dim}, whole_numbers=encoders.whole_numbers)
    training, _ = trained.part("train")
    with waiting() as progress:

        def task(what: str, total: int) -> Callable[[], object]:
            found = progress.add_task(what, total=total)
            return lambda: progress.advance(found)

        return centre_files(model, training, trained.encoders, waiting=task)


def _judged(trained: Trained, encoders: EncoderGraphs, fusion: onnx.ModelProto, *, cache: Path) -> Answer:
    """Temperatures from the validation part, and scores on the test part, of what was exported."""
    scheme = trained.recipe.data.emotion_scheme
    parts = {part: conditions(*trained.part(part), scheme) for part in ("validation", "test")}
    exported = _exported_logits(trained, encoders, fusion, cache)
    temperature = _readable(fit_bundle_temperatures(parts["validation"], exported))
    if trained.encoders.all_frozen:
        as_trained = _logits(run_graph(fusion), trained.material, len(scheme.classes))
    else:
        as_trained = logits_of(Learner(trained.fusion, trained.encoders), trained.material)
    after, before = (
        score(parts["test"], logits, temperature=temperature, labels=scheme.classes)
        for logits in (exported, as_trained)
    )
    return Answer(scheme, temperature, after, before)


def _told(scores: Scores) -> dict[str, dict[str, float]]:
    """Scores as a bundle tells them."""
    return {
        name: {"ua": round(one.unweighted_accuracy, 4), "wa": round(one.weighted_accuracy, 4)}
        for name, one in (("audio", scores.audio), ("text", scores.text), ("both", scores.both))
    }


def _exported_logits(trained: Trained, encoders: EncoderGraphs, fusion: onnx.ModelProto, cache: Path) -> Logits:
    """The whole exported model on the recordings and sentences of validation and test."""
    judged = [u for u in trained.utterances if u.split in ("validation", "test")]
    audio_encoder, text_encoder, *_ = both_encoders(trained)
    # Of states, also where training read features or token ids.
    nothing = {
        "audio": np.zeros((0, audio_encoder.dim), np.float32),
        "text": np.zeros((0, text_encoder.dim), np.float32),
    }
    voices, sentences = encoders.states(trained, judged, cache=cache)
    material = Material(voices, sentences, nothing)
    return _logits(run_graph(fusion), material, len(trained.fusion.config.labels))


def _logits(fusion: Any, material: Material, classes: int) -> Logits:
    def logits(examples: Sequence[Example]) -> NDArray[np.float32]:
        collate = Collator(material.audio, material.text, nothing=material.nothing)
        lengths = [material.length(one) for one in examples]
        found = np.empty((len(examples), classes), np.float32)
        for batch in length_batches(lengths, budget=_PAIR_BUDGET):
            inputs = collate([examples[i] for i in batch])
            arrays = (inputs[name].numpy() for name in ("text", "text_mask", "audio", "audio_mask"))
            found[batch] = fusion(*arrays)[0]
        return found

    return logits


def _readable(temperature: Temperature) -> Temperature:
    return Temperature(**{name: round(value, 4) for name, value in temperature.model_dump().items()})
