"""The model of a bundle at work: prepared utterances in, calibrated scores out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from m3ser.batching import length_batches, pad
from m3ser.bundle import Bundle
from m3ser.errors import BundleError
from m3ser.inference.graphs import Graph, Graphs, SessionSettings
from m3ser.inference.preparation import Prepared
from m3ser.inference.windows import StreamedWindows
from m3ser.profile import Profile
from m3ser.schema import Prediction
from m3ser.text import Tokens, load_tokenizer

__all__ = ["Model"]

States = NDArray[np.float32]

# The most that one run of a graph may hold, padding included; of sound the front end says it. Beyond this, batches get
# no faster on a processor (they leave its caches) and cost memory: attention keeps a matrix of length x length for
# every head.
_TOKENS = 2048
_STATES = 4096
_PROFILES = 1024  # that are held ready


class Model:
    """Runs a bundle's graphs on any number of utterances at once. Several threads may use it at once.

    Args:
        bundle: the opened bundle.
        settings: how ONNX Runtime is to run it.
        batch_frames: frames of features that one run of the audio encoder holds, unless one window has more.

    Raises:
        BundleError: the tokenizer, or the centre that profiles are held against, cannot be read.
    """

    def __init__(self, bundle: Bundle, *, settings: SessionSettings, batch_frames: int) -> None:
        manifest = bundle.manifest
        self._manifest = manifest
        self._graphs = Graphs(bundle, settings)
        text = manifest.text
        self._tokenizer: Tokens | None = None
        if text is not None:
            path = bundle.path(text.tokenizer)
            self._tokenizer = load_tokenizer(path, text.max_tokens, special_tokens=text.special_tokens)
        self._audio_budget = batch_frames
        self._bundle = bundle
        self._heard_by = lru_cache(_PROFILES)(self._adapted)
        self._heard_by(None)  # what is wrong with the bundle's own is said at once

    def predict(self, utterances: Sequence[Prepared]) -> list[Prediction]:
        """One prediction per utterance; each is what it would be alone, within the rounding of float32.

        Raises:
            BundleError: a graph cannot be loaded, fails, or yields scores that are not numbers.
        """
        if not utterances:
            return []
        logits = self._logits(self._text_states(utterances), self._audio_states(utterances))
        if not np.isfinite(logits).all():
            raise BundleError(f"Model '{self._manifest.full_name}' gave scores that are NaN or infinite; it is broken.")
        return [self._prediction(*pair) for pair in zip(utterances, logits, strict=True)]

    def voice(self, utterance: Prepared) -> NDArray[np.float64]:
        """The mean audio state (dim,) of an utterance, as the encoder gives it.

        Raises:
            BundleError: as :meth:`predict`.
        """
        (states,) = self._heard([utterance])
        mean: NDArray[np.float64] = states.mean(axis=0, dtype=np.float64)
        return mean

    def _audio_states(self, utterances: Sequence[Prepared]) -> list[States]:
        """As :meth:`_heard`, each moved to where its profile says."""
        heard = self._heard(utterances)
        shifts = (self._heard_by(utterance.profile)[0] for utterance in utterances) if heard else ()
        return [states if shift is None else states + shift for states, shift in zip(heard, shifts, strict=True)]

    def _adapted(self, profile: Profile | None) -> tuple[NDArray[np.float32] | None, str]:
        """What is added to the audio states of a profile's recordings, and what predictions of them name as the model.

        None: as the bundle has it.
        """
        bundle = self._bundle if profile is None else self._bundle.with_profile(profile)
        return bundle.shift(), bundle.manifest.full_name

    def _heard(self, utterances: Sequence[Prepared]) -> list[States]:
        """Audio states (steps, dim) of each utterance, (0, dim) where it has no sound; none if it is not looked at."""
        graph, part = self._graphs.audio, self._manifest.audio
        if graph is None or part is None:
            return []
        held = [u.windows if isinstance(u.windows, tuple) else () for u in utterances]
        in_order = iter(self._encoded(graph, [window for windows in held for window in windows]))
        result = []
        for utterance, windows in zip(utterances, held, strict=True):
            states = list(itertools.islice(in_order, len(windows)))
            if isinstance(utterance.windows, StreamedWindows):
                states = [self._encoded(graph, [window])[0] for window in utterance.windows]
            result.append(np.concatenate([np.zeros((0, part.dim), np.float32), *states]))
        return result

    def _encoded(self, graph: Graph, stretches: Sequence[NDArray[np.float32]]) -> list[States]:
        """Audio states (steps, dim) of each window."""
        encoded: dict[int, States] = {}
        for batch in length_batches([len(window) for window in stretches], budget=self._audio_budget):
            states, mask = graph.run(*pad([stretches[i] for i in batch]))
            encoded.update((i, states[row, mask[row]]) for row, i in enumerate(batch))
        return [encoded[i] for i in range(len(stretches))]

    def _text_states(self, utterances: Sequence[Prepared]) -> list[States]:
        """Text states (tokens, dim) of each utterance, (0, dim) where it has no words; none if it is not looked at."""
        graph, part = self._graphs.text, self._manifest.text
        if graph is None or part is None or self._tokenizer is None:
            return []
        result = [np.zeros((0, part.dim), np.float32) for _ in utterances]
        spoken = [(i, utterance.text) for i, utterance in enumerate(utterances) if utterance.text is not None]
        if not spoken:
            return result
        ids, mask = self._tokenizer.encode([text for _, text in spoken])
        lengths = [int(length) for length in mask.sum(axis=1)]
        for batch in length_batches(lengths, budget=_TOKENS):
            longest = lengths[batch[0]]
            (states,) = graph.run(ids[batch, :longest], mask[batch, :longest])
            for row, j in enumerate(batch):
                result[spoken[j][0]] = states[row, : lengths[j]]
        return result

    def _logits(self, text: Sequence[States], audio: Sequence[States]) -> NDArray[np.float32]:
        """Logits (utterances, labels). A modality of length 0 is missing; one that is not looked at has no list."""
        looked_at = [states for states in (text, audio) if states]
        lengths = [sum(map(len, states)) for states in zip(*looked_at, strict=True)]
        logits = np.zeros((len(lengths), len(self._manifest.labels)), np.float32)
        for batch in length_batches(lengths, budget=_STATES):
            padded = [array for states in looked_at for array in pad([states[i] for i in batch])]
            (logits[batch],) = self._graphs.fusion.run(*padded)
        return logits

    def _prediction(self, utterance: Prepared, logits: NDArray[np.float32]) -> Prediction:
        temperature = self._manifest.temperature
        if not utterance.windows:
            divisor = temperature.text
        elif utterance.text is None:
            divisor = temperature.audio
        else:
            divisor = temperature.both
        scaled = logits.astype(np.float64) / divisor
        shares = np.exp(scaled - scaled.max())
        shares /= shares.sum()
        labels = self._manifest.labels
        return Prediction(
            label=labels[int(shares.argmax())],
            scores=dict(zip(labels, shares.tolist(), strict=True)),
            duration=utterance.duration,
            text=utterance.text if utterance.unread is None else utterance.unread,
            text_source=utterance.text_source,
            model=self._heard_by(utterance.profile)[1],
            file=utterance.file,
            removed=utterance.removed,
            language=utterance.language,
            note=utterance.note,
        )
