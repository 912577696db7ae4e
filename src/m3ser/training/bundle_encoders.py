"""The encoders of a trained model as the graphs that its bundle holds, in the precision that its recipe names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from m3ser.audio import FRONT_ENDS
from m3ser.bundle import Bundle
from m3ser.encoders import AudioEncoder, TokenEncoder
from m3ser.errors import RecipeError
from m3ser.files import write_whole
from m3ser.schema import Utterance
from m3ser.text import Tokens
from m3ser.training.exporting import export_audio_encoder, export_fusion, export_text_encoder, store_as_int8
from m3ser.training.exporting.fallback import encoders_in_int8
from m3ser.training.exporting.inputs import Inputs, Sample
from m3ser.training.exporting.runners import GraphModel, open_graph
from m3ser.training.progress import waiting
from m3ser.training.provenance import processor
from m3ser.training.recipe import BundleRecipe, ModalityRecipe
from m3ser.training.run import Trained
from m3ser.training.states import Recording, StateTable, encode_audio, encode_texts

__all__ = ["EncoderGraphs", "both_encoders", "encoder_graphs", "run_graph"]

_INT8 = "int8"
_INT8_EDITION = 1  # of how layers are chosen; another one chooses anew
_CALIBRATION = 256  # utterances, at most
_JUDGED = 512
_COMPARED = 16
_SAME = 0.3
"""Of the spread of the states: what int8 may change them by. Those of other encoders differ by more than all of it."""


@dataclass(frozen=True)
class EncoderGraphs:
    """Both encoders.

    Attributes:
        audio: features and mask -> states and mask.
        text: token ids and mask -> states.
        whole_numbers: their products are those of int8 numbers.
    """

    audio: onnx.ModelProto
    text: onnx.ModelProto
    whole_numbers: bool

    def states(
        self, trained: Trained, utterances: Iterable[Utterance], *, cache: Path
    ) -> tuple[StateTable, StateTable]:
        """What they make of the recordings, and of the sentences, of some utterances."""
        audio_encoder, text_encoder, tokens, _ = both_encoders(trained)
        audio, text = (run_graph(one, whole_numbers=self.whole_numbers) for one in (self.audio, self.text))
        judged = list(utterances)

        def encode_text(ids: NDArray[Any], mask: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
            return text(ids, mask)[0], mask

        def encode_voice(
            features: NDArray[Any], mask: NDArray[np.bool_]
        ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
            states, states_mask = audio(features, mask)
            return states, states_mask

        voices = encode_audio(
            sorted({Recording(u.audio, u.start, u.end) for u in judged if u.audio is not None}, key=str),
            encode_voice,
            front_end=audio_encoder.front_end,
            max_frames=audio_encoder.max_frames,
            dim=audio_encoder.dim,
            fingerprint=_digest(self.audio, self.whole_numbers),
            cache=cache,
            half_precision=audio_encoder.half_precision,
        )
        sentences = encode_texts(
            [u.text for u in judged if u.text is not None],
            encode_text,
            tokens=tokens,
            dim=text_encoder.dim,
            fingerprint=_digest(self.text, self.whole_numbers),
            cache=cache,
        )
        return voices, sentences


def both_encoders(trained: Trained) -> tuple[AudioEncoder, TokenEncoder, Tokens, Path]:
    """The parts of both encoders, and the tokenizer's file; a bundle that lacks one is not made.

    Raises:
        RecipeError: the model looks at one modality alone.
    """
    found = trained.encoders
    if found.audio is None or found.text is None or found.tokens is None or found.tokenizer_file is None:
        raise RecipeError(f"'{trained.recipe.model.system}' looks at one modality; a bundle holds encoders for two.")
    return found.audio, found.text, found.tokens, found.tokenizer_file


def encoder_graphs(trained: Trained, *, cache: Path) -> EncoderGraphs:
    """Export both encoders, or take those of the bundle that the recipe names.

    Args:
        trained: the training.
        cache: folder in which encoders in int8 are kept: which of their layers stay in float32 takes minutes to find
            out, and a second bundle of the same training, with other tables in its card, has the same.

    Raises:
        RecipeError: that bundle's are not the same encoders, or not in the recipe's precision; there is nothing to
            calibrate on; or the model looks at one modality alone.
        BundleError: there is no such bundle.
        DataError: the cache cannot be written.
    """
    about = trained.recipe.bundle
    assert isinstance(about, BundleRecipe)
    audio_encoder, text_encoder, *_ = both_encoders(trained)
    audio = export_audio_encoder(audio_encoder, FRONT_ENDS[audio_encoder.front_end].feature_shape)
    text = export_text_encoder(text_encoder)
    whole = about.precision == "int8"
    if about.encoders is not None:
        return _taken(trained, about, GraphModel({"audio": audio, "text": text}, _dims(trained)))
    if whole:
        return _in_whole_numbers(trained, audio, text, cache)
    if about.precision == "int8-weights":
        audio, text = store_as_int8(audio), store_as_int8(text)
    return EncoderGraphs(audio, text, whole)


def run_graph(model: onnx.ModelProto, *, whole_numbers: bool = False) -> Callable[..., Any]:
    """`model` as a function of its inputs in their order."""
    session = open_graph(model, whole_numbers=whole_numbers)
    names = [one.name for one in session.get_inputs()]
    return lambda *arrays: session.run(None, dict(zip(names, arrays, strict=True)))


def _in_whole_numbers(trained: Trained, audio: onnx.ModelProto, text: onnx.ModelProto, cache: Path) -> EncoderGraphs:
    graphs = {"audio": audio, "text": text, "fusion": export_fusion(trained.fusion)}
    validation, _ = trained.part("validation")
    calibration = list(_calibration(trained))
    judged = list(_sample(trained, validation, "the validation part", _JUDGED))
    alone = trained.recipe.training.modalities
    kept = cache / _INT8 / _digest_of_search(graphs, calibration, judged, alone)
    files = {name: kept / f"{name}.onnx" for name in ("audio", "text")}
    if all(file.is_file() for file in files.values()):
        return EncoderGraphs(**{name: onnx.load(file) for name, file in files.items()}, whole_numbers=True)
    with waiting() as progress:

        def task(what: str, total: int) -> Callable[[], object]:
            found = progress.add_task(what, total=total)
            return lambda: progress.advance(found)

        found = encoders_in_int8(
            graphs,
            GraphModel(graphs, _dims(trained)),
            calibration,
            judged=judged,
            shown_alone=alone,
            waiting=task,
        )
    for name, file in files.items():
        write_whole(file, found.graphs[name].SerializeToString())
    return EncoderGraphs(found.graphs["audio"], found.graphs["text"], whole_numbers=True)


def _digest_of_search(
    graphs: Mapping[str, onnx.ModelProto],
    calibration: Sequence[Inputs],
    judged: Sequence[Inputs],
    alone: ModalityRecipe,
) -> str:
    """What the layers that stay in float32 follow from; products of whole numbers differ between processors."""
    known = [_INT8_EDITION, onnxruntime.__version__, processor(), alone.model_dump(), len(calibration)]
    digest = hashlib.sha256(json.dumps(known).encode())
    for _, graph in sorted(graphs.items()):
        digest.update(graph.SerializeToString(deterministic=True))
    for inputs in (*calibration, *judged):
        digest.update(json.dumps([inputs.label, inputs.text_label, len(inputs.windows)]).encode())
        for array in (*inputs.windows, *(() if inputs.ids is None else (inputs.ids,))):
            digest.update(np.ascontiguousarray(array).data.cast("B"))
    return digest.hexdigest()[:32]


def _calibration(trained: Trained) -> Sample:
    """Of the training part, those of the corpora that the recipe calibrates on."""
    about = trained.recipe.bundle
    assert about is not None
    training, _ = trained.part("train")
    if about.calibrate:
        training = tuple(u for u in training if u.extra.get("corpus") in about.calibrate)
    source = "the training part" + (f" of {', '.join(about.calibrate)}" if about.calibrate else "")
    return _sample(trained, training, source, _CALIBRATION)


def _sample(trained: Trained, utterances: Sequence[Utterance], source: str, limit: int) -> Sample:
    return Sample(utterances, trained.encoders, trained.recipe.data.emotion_scheme, source=source, limit=limit)


def _taken(trained: Trained, about: BundleRecipe, own: GraphModel) -> EncoderGraphs:
    """The encoders of another bundle, when it is seen that they are these."""
    assert about.encoders is not None
    other = Bundle.open(about.encoders)
    manifest = other.manifest
    if manifest.precision != about.precision:
        raise RecipeError(
            f"Bundle '{about.encoders}' is in {manifest.precision}, and the recipe in {about.precision}; where "
            "a bundle takes another's encoders, their precision is the same."
        )
    *_, tokenizer_file = both_encoders(trained)
    whole = manifest.precision == "int8"
    told = {"audio": manifest.audio, "text": manifest.text}
    found = {name: onnx.load(other.path(part.graph)) for name, part in told.items() if part is not None}
    same = {name: part.dim for name, part in told.items() if part is not None} == dict(own.dims)
    if same and manifest.text is not None:
        same = other.path(manifest.text.tokenizer).read_bytes() == tokenizer_file.read_bytes()
    if same:
        validation, _ = trained.part("validation")
        compared = list(islice(_sample(trained, validation, "the validation part", _COMPARED), _COMPARED))
        same = _apart(own, GraphModel(found, own.dims, whole_numbers=whole), compared) <= _SAME
    if not same:
        raise RecipeError(f"The encoders of bundle '{about.encoders}' are not those of recipe '{trained.recipe.name}'.")
    return EncoderGraphs(found["audio"], found["text"], whole)


def _apart(one: GraphModel, other: GraphModel, sample: Sequence[Inputs]) -> float:
    """How far two models' states are apart, in their own spread, of the modality where they are furthest apart."""
    found = []
    for modality in one.dims:
        left, right = (np.concatenate([model.states(modality, i) for i in sample]) for model in (one, other))
        if len(left) != len(right):
            return float("inf")
        found.append(float(np.sqrt(np.square(left - right).mean() / left.var())))
    return max(found)


def _dims(trained: Trained) -> dict[str, int]:
    audio, text, *_ = both_encoders(trained)
    return {"text": text.dim, "audio": audio.dim}


def _digest(model: onnx.ModelProto, whole_numbers: bool) -> str:
    digest = hashlib.sha256(model.SerializeToString(deterministic=True))
    if whole_numbers:  # the same graph gives other states where its products are not widened
        digest.update(b"int8")
    return digest.hexdigest()
