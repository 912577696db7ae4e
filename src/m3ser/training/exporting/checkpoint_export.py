"""From a finished training to a bundle: the graphs, the precision, the parity report, all of it written at once."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx
from rich.progress import Progress

from m3ser.audio import FRONT_ENDS
from m3ser.bundle import (
    AudioPart,
    Bundle,
    FusionPart,
    Manifest,
    Precision,
    Temperature,
    TextPart,
    require_replaceable,
    slug,
    write_bundle,
)
from m3ser.corpora import read_part
from m3ser.errors import CheckpointError, DataError, M3serError, UsageError
from m3ser.text.language_codes import language_code
from m3ser.training.exporting.card import card_of
from m3ser.training.exporting.centre import CentreFiles, centre_files
from m3ser.training.exporting.checkpoint import Checkpoint, load_checkpoint
from m3ser.training.exporting.fallback import TOLERANCE, encoders_in_int8
from m3ser.training.exporting.graphs import export_audio_encoder, export_fusion, export_text_encoder
from m3ser.training.exporting.inputs import Sample, random_inputs, window_seconds
from m3ser.training.exporting.parity import Parity, compare
from m3ser.training.exporting.runners import GraphModel, TorchModel
from m3ser.training.exporting.storage import store_as_fp16, store_as_int8
from m3ser.training.progress import waiting
from m3ser.training.recipe import ModalityRecipe

__all__ = ["About", "Exported", "export_checkpoint"]

_CALIBRATION = 256  # utterances, at most
_RANDOM = 32
_FILES = {"audio": "audio_encoder.onnx", "text": "text_encoder.onnx", "fusion": "fusion.onnx"}
_TOKENIZER, _PARITY, _CARD = "tokenizer.json", "parity.json", "README.md"


@dataclass(frozen=True)
class About:
    """What the bundle says of itself; None: what the training's recipe says, or else nothing.

    Attributes:
        name: of the model.
        version: its edition.
        description: what it is for, in a line.
        licence: SPDX expression for the weights.
        language: BCP 47 code of the words that it reads; several are set apart by commas, "mul" stands for all.

    Raises:
        UsageError: a version that is none, or a language that is none.
    """

    name: str | None = None
    version: str | None = None
    description: str | None = None
    licence: str | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        if self.version is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.version):
            raise UsageError(f"The version is {self.version!r}; expected letters, digits, '.', '_' and '-', as in 1.2.")
        for code in () if self.language is None else self.language.split(","):
            if code.strip() != "mul":
                language_code(code)


@dataclass(frozen=True)
class Exported:
    """A bundle, and what exporting changed."""

    bundle: Bundle
    parity: Parity


def export_checkpoint(
    folder: str | Path,
    out: str | Path,
    *,
    precision: Precision = "fp32",
    calibrate: str | Path | None = None,
    evaluate: str | Path | None = None,
    about: About = About(),
    full_range: bool = False,
    tolerance: float = TOLERANCE,
    overwrite: bool = False,
) -> Exported:
    """Export a finished training, compare it with what it was, and write the bundle.

    Args:
        folder: the run folder.
        out: where the bundle shall be.
        precision: see :class:`m3ser.bundle.Manifest`.
        calibrate: for int8, a manifest to measure the activations' ranges on; None: the training's training part.
        evaluate: a manifest with emotions to compare on; None: the training's validation part if its recordings are at
            hand, else noise.
        about: what the bundle says of itself.
        full_range: see :func:`~m3ser.training.exporting.quantisation.quantise`.
        tolerance: points of UA that int8 may cost on the calibration data; layers stay in float32 until it costs no
            more.
        overwrite: replace a bundle that is there.

    Raises:
        DataError: the folder holds no finished training, or there is nothing to calibrate on.
        CheckpointError: a part cannot be exported; says which, and why.
        BundleError: the bundle cannot be written there.
        RecipeError, DownloadError, AudioError: as loading the training, or reading a recording, raises them.
    """
    require_replaceable(Path(out).resolve(), overwrite=overwrite)
    checkpoint = load_checkpoint(folder)
    calibration = _calibration(checkpoint, calibrate) if precision == "int8" else None
    sample, source = _compared_on(checkpoint, evaluate)
    with waiting() as progress:
        graphs = _exported(checkpoint, progress)
        torch_model = TorchModel(checkpoint.encoders, checkpoint.fusion)
        fp32 = GraphModel(graphs, torch_model.dims)
        stored, kept, layers = _stored(
            graphs,
            fp32,
            precision,
            calibration,
            shown_alone=checkpoint.recipe.training.modalities,
            full_range=full_range,
            tolerance=tolerance,
            progress=progress,
        )
        changed = None
        if precision != "fp32":
            changed = GraphModel(stored, torch_model.dims, whole_numbers=precision == "int8")
        parity = compare(
            torch_model,
            fp32,
            changed,
            sample,
            source=source,
            precision=precision,
            advance=_task(progress, "Comparing with PyTorch", len(sample)),
        )
        centre = centre_files(
            changed or fp32,
            checkpoint.utterances("train"),
            checkpoint.encoders,
            waiting=lambda what, total: _task(progress, what, total),
        )
    parity = replace(
        parity,
        kept=tuple(f"{graph}: {layer}" for graph, layer in kept),
        layers=layers,
        notes=tuple(_notes(parity, sample, calibration, tolerance, layers)),
    )
    manifest = _manifest(checkpoint, precision, about, centre)
    files: dict[str, Path | bytes] = {_FILES[name]: graph.SerializeToString() for name, graph in stored.items()}
    if manifest.text is not None:
        tokenizer = checkpoint.tokenizer
        assert tokenizer is not None
        files[_TOKENIZER] = tokenizer.encode() if isinstance(tokenizer, str) else tokenizer
    files.update(centre.files)
    files[_PARITY] = (json.dumps(parity.to_dict(), indent=2) + "\n").encode()
    files[_CARD] = card_of(manifest, parity, checkpoint).encode()
    return Exported(write_bundle(out, manifest, files, overwrite=overwrite), parity)


def _exported(checkpoint: Checkpoint, progress: Progress) -> dict[str, onnx.ModelProto]:
    """The graphs in float32, by what they are; the text's first, as the fusion takes them."""
    audio, text, fusion = checkpoint.encoders.audio, checkpoint.encoders.text, checkpoint.fusion
    wanted: dict[str, Callable[[], onnx.ModelProto]] = {"fusion": lambda: export_fusion(fusion)}
    if text is not None:
        wanted["text"] = lambda: export_text_encoder(text)
    if audio is not None:
        shape = FRONT_ENDS[audio.front_end].feature_shape
        wanted["audio"] = lambda: export_audio_encoder(audio, shape)
    parts = {"fusion": fusion, "text": text, "audio": audio}
    advance = _task(progress, "Drawing graphs", len(wanted))
    found = {}
    for name, export in wanted.items():
        try:
            found[name] = export()
        except M3serError:
            raise
        except Exception as error:  # the exporter raises whatever it meets
            title = "fusion" if name == "fusion" else f"{name} encoder"
            reason = " ".join(str(error).split())[:300].rstrip(".")
            raise CheckpointError(
                f"The {title} of '{checkpoint.folder}' ({type(parts[name]).__name__}) cannot be exported: torch's "
                f"exporter says {type(error).__name__}: {reason}."
            ) from error
        advance()
    return found


def _stored(
    graphs: Mapping[str, onnx.ModelProto],
    fp32: GraphModel,
    precision: Precision,
    calibration: Sample | None,
    *,
    shown_alone: ModalityRecipe,
    full_range: bool,
    tolerance: float,
    progress: Progress,
) -> tuple[dict[str, onnx.ModelProto], tuple[tuple[str, str], ...], int]:
    """The graphs as they are stored; of int8 the layers that stay in float32, and how many layers there are."""
    if calibration is None:
        store = {"fp16": store_as_fp16, "int8-weights": store_as_int8}.get(precision)
        stored = {name: _copy(graph) for name, graph in graphs.items()}
        try:
            for name in fp32.dims if store is not None else ():
                assert store is not None
                store(stored[name])
        except ValueError as error:
            raise CheckpointError(f"The {name} encoder cannot be stored as {precision}: {error}.") from error
        return stored, (), 0
    found = encoders_in_int8(
        graphs,
        fp32,
        list(calibration),
        shown_alone=shown_alone,
        full_range=full_range,
        tolerance=tolerance,
        waiting=lambda what, total: _task(progress, what, total),
    )
    return {"fusion": _copy(graphs["fusion"]), **found.graphs}, found.kept, found.layers


def _calibration(checkpoint: Checkpoint, manifest: str | Path | None) -> Sample:
    """What the ranges are measured on.

    Raises:
        DataError: there is nothing.
    """
    if manifest is not None:
        return _sample(checkpoint, read_part(manifest).utterances, f"'{Path(manifest).name}'", limit=_CALIBRATION)
    training = checkpoint.utterances("train")
    if not training:
        raise DataError(
            f"int8 is calibrated on utterances, and the recordings that '{checkpoint.folder}' was trained on are not "
            "at hand: name a manifest by --calibrate."
        )
    return _sample(checkpoint, training, "the training part", limit=_CALIBRATION)


def _compared_on(checkpoint: Checkpoint, manifest: str | Path | None) -> tuple[Any, str]:
    if manifest is not None:
        source = f"'{Path(manifest).name}'"
        return _sample(checkpoint, read_part(manifest).utterances, source), source
    validation = checkpoint.utterances("validation")
    if validation:
        source = "the training's validation part"
        return _sample(checkpoint, validation, source), source
    return random_inputs(checkpoint.encoders, count=_RANDOM), "noise"


def _sample(checkpoint: Checkpoint, utterances: Any, source: str, *, limit: int | None = None) -> Sample:
    scheme = checkpoint.recipe.data.emotion_scheme
    return Sample(utterances, checkpoint.encoders, scheme, source=source, limit=limit)


def _notes(parity: Parity, sample: Any, calibration: Sample | None, tolerance: float, layers: int) -> Iterator[str]:
    if not isinstance(sample, Sample):
        yield (
            "No utterances were at hand, so noise was used: it shows that the graphs agree, and nothing of UA. Name "
            "labelled utterances by --evaluate."
        )
    elif sample.failed:
        yield f"{len(sample.failed)} recordings could not be used: {next(iter(sample.failed.values()))}"
    if calibration is not None and not layers:
        yield "No layer of the encoders can be int8: their products are those of float32."
    elif calibration is not None:
        used = len(calibration) - len(calibration.failed)
        yield f"int8 was calibrated on {used} utterances of {calibration.source}."
        change = parity.stored.ua_change if parity.stored is not None else None
        if change is not None and abs(change) > tolerance:
            yield (
                f"On {parity.source} int8 changes UA by {change:+.2f} points, more than the {tolerance:g} that it was "
                "held to on the calibration data: calibrate on more utterances, or on others."
            )


def _manifest(checkpoint: Checkpoint, precision: Precision, about: About, centre: CentreFiles) -> Manifest:
    recipe, encoders = checkpoint.recipe, checkpoint.encoders
    known = recipe.bundle
    scheme = recipe.data.emotion_scheme
    audio = text = None
    if encoders.audio is not None:
        audio = AudioPart(
            graph=_FILES["audio"],
            front_end=encoders.audio.front_end,
            dim=encoders.audio.dim,
            max_seconds=window_seconds(encoders),
            centre=centre.centre,
            neutral=centre.neutral,
        )
    if encoders.text is not None and encoders.tokens is not None:
        text = TextPart(
            graph=_FILES["text"],
            tokenizer=_TOKENIZER,
            max_tokens=recipe.training.max_tokens,
            dim=encoders.text.dim,
            language=about.language or (known.language if known else "en"),
            special_tokens=encoders.tokenizer_file is not None,
        )
    temperatures = {key: float(value) for key, value in checkpoint.scores["temperatures"].items()}
    return Manifest(
        name=slug(about.name or recipe.name),
        version=about.version or (known.version if known else "1"),
        description=about.description or (known.description if known else ""),
        architecture=recipe.model.system,
        scheme=scheme.name,
        labels=scheme.classes,
        temperature=Temperature(**temperatures),
        audio=audio,
        text=text,
        fusion=FusionPart(graph=_FILES["fusion"]),
        precision=precision,
        licence=about.licence or (known.licence if known else "NOASSERTION"),
        data=tuple(f"{corpus} ({licence})" for corpus, licence in checkpoint.facts.get("licences", {}).items()),
        scores={
            condition: {"ua": round(one["unweighted_accuracy"], 4), "wa": round(one["weighted_accuracy"], 4)}
            for condition, one in checkpoint.scores["conditions"].items()
        },
        created_by={one: importlib.metadata.version(one) for one in ("m3ser", "torch", "transformers", "onnx")},
    )


def _task(progress: Progress, what: str, total: int) -> Callable[[], object]:
    task = progress.add_task(what, total=total)
    return lambda: progress.advance(task)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
