"""From a trained model to the bundle that users load: export, calibrate, judge what was exported, write it whole."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from m3ser.audio import FRONT_ENDS
from m3ser.batching import length_batches
from m3ser.bundle import AudioPart, Bundle, FusionPart, Manifest, Temperature, TextPart, write_bundle
from m3ser.corpora import get_reader
from m3ser.training.card import model_card
from m3ser.training.export import export_audio_encoder, export_fusion, export_text_encoder, store_as_int8
from m3ser.training.pairs import Collator, Pair
from m3ser.training.run import Trained, conditions
from m3ser.training.scoring import Logits, Scores, fit_temperatures, score
from m3ser.training.states import StateTable, encode_audio, encode_texts

__all__ = ["Judged", "bundle_trained"]

_AUDIO, _TEXT, _FUSION, _TOKENIZER, _CARD = (
    "audio_encoder.onnx",
    "text_encoder.onnx",
    "fusion.onnx",
    "tokenizer.json",
    "README.md",
)
_WINDOW_SECONDS = 30.0
_PAIR_BUDGET = 20_000  # padded tokens in a batch


@dataclass(frozen=True)
class Judged:
    """A bundle and its scores on the speakers and sentences that nothing was chosen by.

    Attributes:
        bundle: as written.
        scores: of the exported graphs on the test part.
        before_export: of the model as trained, on the same; what is different, the stored precision has cost.
    """

    bundle: Bundle
    scores: Scores
    before_export: Scores


def bundle_trained(
    trained: Trained, folder: str | Path, *, cache: str | Path, command: str, overwrite: bool = False
) -> Judged:
    """Export `trained`, fit its temperatures on the validation part, judge it on the test part, and write the bundle.

    Args:
        trained: see :func:`m3ser.training.run.train`.
        folder: where the bundle shall be.
        cache: folder for the states of the exported encoders.
        command: the command that makes the model again, for its card.
        overwrite: replace a bundle that is there.

    Raises:
        BundleError: the folder is taken, or cannot be written.
    """
    recipe = trained.recipe
    graphs = _graphs(trained, int8=recipe.bundle.precision == "int8-weights")
    scheme = recipe.data.emotion_scheme
    parts = {
        part: conditions((u for u in trained.corpus.utterances if u.split == part), scheme)
        for part in ("validation", "test")
    }
    exported = _exported_logits(trained, graphs, Path(cache))
    temperature = _readable(fit_temperatures(parts["validation"], exported))
    scores = score(parts["test"], exported, temperature=temperature, labels=scheme.classes)
    before = score(
        parts["test"],
        _logits(_run(graphs[_FUSION]), trained.voices, trained.sentences, trained),
        temperature=temperature,
        labels=scheme.classes,
    )
    infos = [get_reader(name).INFO for name in (*recipe.data.voices, *recipe.data.sentences)]
    manifest = Manifest(
        name=recipe.name,
        version=recipe.bundle.version,
        description=recipe.bundle.description,
        architecture=recipe.model.system,
        scheme=scheme.name,
        labels=scheme.classes,
        temperature=temperature,
        audio=AudioPart(
            graph=_AUDIO,
            front_end=trained.encoders.audio.front_end,
            dim=trained.encoders.audio.dim,
            max_seconds=_WINDOW_SECONDS,
        ),
        text=TextPart(
            graph=_TEXT,
            tokenizer=_TOKENIZER,
            max_tokens=recipe.training.max_tokens,
            dim=trained.encoders.text.dim,
            language=recipe.bundle.language,
        ),
        fusion=FusionPart(graph=_FUSION),
        precision=recipe.bundle.precision,
        licence=recipe.bundle.licence,
        data=tuple(f"{info.title} ({info.licence})" for info in infos),
        scores={
            name: {"ua": round(one.unweighted_accuracy, 4), "wa": round(one.weighted_accuracy, 4)}
            for name, one in (("audio", scores.audio), ("text", scores.text), ("both", scores.both))
        },
        created_by={name: importlib.metadata.version(name) for name in ("m3ser", "torch", "transformers", "onnx")},
    )
    card = model_card(manifest, scores, before, comment=trained.corpus.comment, infos=infos, command=command)
    files: dict[str, Path | bytes] = {
        **{name: graph.SerializeToString() for name, graph in graphs.items()},
        _TOKENIZER: trained.encoders.tokenizer_file,
        _CARD: card.encode(),
    }
    return Judged(write_bundle(folder, manifest, files, overwrite=overwrite), scores, before)


def _graphs(trained: Trained, *, int8: bool) -> dict[str, onnx.ModelProto]:
    encoders = trained.encoders
    audio = export_audio_encoder(encoders.audio, FRONT_ENDS[encoders.audio.front_end].feature_shape)
    text = export_text_encoder(encoders.text)
    if int8:
        audio, text = store_as_int8(audio), store_as_int8(text)
    return {_AUDIO: audio, _TEXT: text, _FUSION: export_fusion(trained.fusion)}


def _exported_logits(trained: Trained, graphs: Mapping[str, onnx.ModelProto], cache: Path) -> Logits:
    """The whole exported model on the recordings and sentences of validation and test."""
    judged = [u for u in trained.corpus.utterances if u.split in ("validation", "test")]
    audio, text = _run(graphs[_AUDIO]), _run(graphs[_TEXT])

    def encode_text(ids: NDArray[Any], mask: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        return text(ids, mask)[0], mask

    def encode_voice(features: NDArray[Any], mask: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        states, states_mask = audio(features, mask)
        return states, states_mask

    voices = encode_audio(
        [u.audio for u in judged if u.audio is not None],
        encode_voice,
        front_end=trained.encoders.audio.front_end,
        dim=trained.encoders.audio.dim,
        fingerprint=_digest(graphs[_AUDIO]),
        cache=cache,
    )
    sentences = encode_texts(
        [u.text for u in judged if u.text is not None],
        encode_text,
        tokens=trained.encoders.tokens,
        dim=trained.encoders.text.dim,
        fingerprint=_digest(graphs[_TEXT]),
        cache=cache,
    )
    return _logits(_run(graphs[_FUSION]), voices, sentences, trained)


def _logits(fusion: Any, voices: StateTable, sentences: StateTable, trained: Trained) -> Logits:
    def logits(pairs: Sequence[Pair]) -> NDArray[np.float32]:
        heard = voices.loaded(sorted({p.audio for p in pairs if p.audio is not None}))
        read = sentences.loaded(sorted({p.text for p in pairs if p.text is not None}))
        collate = Collator(heard, read, audio_dim=trained.encoders.audio.dim, text_dim=trained.encoders.text.dim)
        lengths = [1 if p.text is None else len(read[p.text]) for p in pairs]
        found = np.empty((len(pairs), len(trained.fusion.config.labels)), np.float32)
        for batch in length_batches(lengths, budget=_PAIR_BUDGET):
            inputs = collate([pairs[i] for i in batch])
            arrays = (inputs[name].numpy() for name in ("text", "text_mask", "audio", "audio_mask"))
            found[batch] = fusion(*arrays)[0]
        return found

    return logits


def _run(model: onnx.ModelProto) -> Any:
    """`model` as a function of its inputs in their order."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # As in inference: int8 weights are widened once, while loading.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    return lambda *arrays: session.run(None, dict(zip(names, arrays, strict=True)))


def _digest(model: onnx.ModelProto) -> str:
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


def _readable(temperature: Temperature) -> Temperature:
    return Temperature(**{name: round(value, 4) for name, value in temperature.model_dump().items()})
