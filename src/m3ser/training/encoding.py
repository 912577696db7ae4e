"""A recipe's encoders, and what they make of every utterance of a corpus."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from m3ser import models
from m3ser.audio import FRONT_ENDS
from m3ser.encoders import AudioEncoder, Encoder, TokenEncoder, WordVectorConfig, build_encoder
from m3ser.encoders.hub import find_file
from m3ser.errors import RecipeError
from m3ser.models.blueprint import describe
from m3ser.text import Tokens, load_tokenizer, make_tokens
from m3ser.training.earlier import origin, take_weights
from m3ser.training.examples import Example, Sequences
from m3ser.training.recipe import Recipe
from m3ser.training.states import (
    InMemory,
    Recording,
    StateTable,
    batch_encoder,
    encode_audio,
    encode_texts,
    encode_upper,
    features_of,
    token_ids,
    upper_encoder,
)

__all__ = ["Encoded", "Encoders", "Material", "load_encoders", "prepare_material", "states_now"]

_MOST_IN_MEMORY = 4_000_000_000  # bytes of one modality; more than that is read from the mapped cache each time


@dataclass(frozen=True)
class Encoders:
    """The encoders of what a recipe's system looks at, and the tokenizer that belongs to the one for text.

    Attributes:
        audio, text: None where the system does not look at that modality.
        tokens: the tokenizer; None: it reads no text.
        tokenizer_file: of the tokenizer; word vectors have none.
        taught: the audio encoder as an earlier training left it, before it was frozen as a whole: what its lower part
            makes of recordings is in the cache. None: it has no such part, or was not trained before.
    """

    audio: AudioEncoder | None
    text: TokenEncoder | None
    tokens: Tokens | None
    tokenizer_file: Path | None
    taught: AudioEncoder | None = None

    @property
    def all_frozen(self) -> bool:
        """Whether only the fusion part is trained."""
        return all(one.computed_once for one in (self.audio, self.text) if one is not None)


@dataclass(frozen=True)
class Material:
    """What the trained part reads of every utterance.

    Attributes:
        audio: recording -> states of a frozen encoder, or features for one that is trained, or what its frozen lower
            part makes of them (:attr:`~m3ser.encoders.Encoder.prefix_dim`); None: it reads none.
        text: text -> states, or token ids; None: it reads none.
        nothing: see :class:`~m3ser.training.examples.Collator`.
    """

    audio: Sequences | None
    text: Sequences | None
    nothing: Mapping[str, NDArray[Any]]

    def length(self, example: Example) -> int:
        """The steps of an example, audio's and text's together; at least 1."""
        audio = 0 if self.audio is None or example.audio is None else len(self.audio[example.audio])
        text = 0 if self.text is None or example.text is None else len(self.text[example.text])
        return max(1, audio + text)

    def with_audio(self, change: Callable[[Sequences], Sequences]) -> Material:
        """The same with another view of the audio, where there is any."""
        return self if self.audio is None else Material(change(self.audio), self.text, self.nothing)

    def in_memory(self, examples: Iterable[Example]) -> Material:
        """The same with what `examples` need in memory, as far as that stays within bounds: it is read every epoch."""
        examples = list(examples)
        audio = _loaded(self.audio, (one.audio for one in examples))
        return Material(audio, _loaded(self.text, (one.text for one in examples)), self.nothing)


@dataclass(frozen=True)
class Encoded:
    """Encoders and what they make of a corpus: where all are frozen, the same for every fold and seed."""

    encoders: Encoders
    material: Material


def load_encoders(recipe: Recipe, *, run: Path | None = None) -> Encoders:
    """Build the encoders that the recipe's system needs, from wherever their weights are.

    Args:
        recipe: see :class:`~m3ser.training.recipe.Recipe`.
        run: the run folder in which those are trained that other recipes train before. None: they have the weights that
            they begin with.

    Raises:
        RecipeError: the recipe lacks one, or its source is not there.
        CheckpointError, DownloadError: the source is not what it should be, or could not be fetched.
    """
    looked_at = models.system(recipe.model.system).model_class().modalities
    audio = text = tokens = tokenizer = taught = None
    if "audio" in looked_at:
        audio, taught = _built(recipe.audio_encoder, recipe, "audio", run)
        if not (taught is not None and audio.computed_once and _goes_on_from_below(audio, taught)):
            taught = None
    if "text" in looked_at:
        if recipe.data.kind == "corpus" and recipe.data.text == "none":
            raise RecipeError(f"'{recipe.model.system}' looks at text, and data.text is none.")
        text, _ = _built(recipe.text_encoder, recipe, "text", run)
        assert recipe.text_encoder is not None
        longest = recipe.training.max_tokens
        if isinstance(recipe.text_encoder, WordVectorConfig):
            assert text.tokenizer is not None
            tokens = make_tokens(text.tokenizer, longest, name=recipe.text_encoder.source, special_tokens=False)
        else:
            tokenizer = _tokenizer_file(
                origin(recipe.text_encoder.source, "text", run=run), recipe.text_encoder.revision
            )
            tokens = load_tokenizer(tokenizer, max_tokens=longest)
        _check_pair(text, tokens, recipe.text_encoder.source)
    return Encoders(audio, text, tokens, tokenizer, taught)


def prepare_material(
    encoders: Encoders, examples: Iterable[Example], *, cache: Path, device: torch.device | str = "cpu"
) -> Material:
    """Run the frozen encoders over everything in `examples`, or find it in the cache.

    Raises:
        AudioError: a recording cannot be used.
        DataError: the cache was written by another version, or cannot be written.
    """
    examples = list(examples)
    recordings = sorted({one.audio for one in examples if one.audio is not None}, key=str)
    texts = sorted({one.text for one in examples if one.text is not None})
    audio: Sequences | None = None
    text: Sequences | None = None
    nothing: dict[str, NDArray[Any]] = {"audio": np.zeros((0, 1), np.float32), "text": np.zeros((0, 1), np.float32)}
    if encoders.audio is not None:
        front_end = encoders.audio.front_end
        dim = encoders.audio.encoded_dim if encoders.audio.frozen else encoders.audio.prefix_dim
        if dim is not None:
            audio = _states(encoders, recordings, cache=cache, device=device)
            nothing["audio"] = np.zeros((0, dim), np.float32)
        else:
            audio = features_of(recordings, front_end=front_end, cache=cache)
            nothing["audio"] = np.zeros((0, *FRONT_ENDS[front_end].feature_shape), np.float32)
    if encoders.text is not None:
        assert encoders.tokens is not None
        if encoders.text.frozen:
            text = encode_texts(
                texts,
                batch_encoder(encoders.text, device),
                tokens=encoders.tokens,
                dim=encoders.text.encoded_dim,
                fingerprint=_fingerprint(encoders.text),
                cache=cache,
            )
            nothing["text"] = np.zeros((0, encoders.text.encoded_dim), np.float32)
        else:
            text = dict(zip(texts, token_ids(texts, encoders.tokens), strict=True)) if texts else {}
            nothing["text"] = np.zeros(0, np.int64)
    return Material(audio, text, nothing)


def states_now(
    encoder: AudioEncoder, read: Iterable[NDArray[Any]], *, device: torch.device | str = "cpu"
) -> Iterator[NDArray[np.float32]]:
    """The states that reach the fusion part before anything has been learnt.

    Args:
        encoder: one that learns, or whose layers' mix does.
        read: what is read of each recording: see :attr:`Material.audio`.
        device: where it runs.

    Returns:
        (steps, dim) of each recording.
    """
    encoder.to(device)
    training = encoder.training
    encoder.train(False)
    with torch.inference_mode():
        for one in read:
            inputs = torch.from_numpy(np.ascontiguousarray(one))[None].to(device)
            if encoder.frozen:
                assert encoder.mix is not None
                states = encoder.mix(inputs)
            else:
                whole = encoder if encoder.prefix_dim is None else encoder.forward_from
                states = whole(inputs, torch.ones(inputs.shape[:2], dtype=torch.bool, device=device)).states
            yield states[0].float().cpu().numpy()
    encoder.train(training)


def _goes_on_from_below(encoder: AudioEncoder, taught: AudioEncoder) -> bool:
    """Whether `taught` has a lower part of its own, and above it makes the states that `encoder` does."""
    if taught.prefix_dim is None:
        return False
    how = {"frozen", "frozen_first"}
    own, other = ({key: value for key, value in describe(one).items() if key not in how} for one in (encoder, taught))
    return own == other


def _states(
    encoders: Encoders, recordings: Sequence[Recording], *, cache: Path, device: torch.device | str
) -> StateTable:
    """What the audio encoder, or where it learns its frozen lower part, makes of recordings."""
    assert encoders.audio is not None
    if encoders.taught is not None:
        _encode_above(encoders.taught, encoders.audio, recordings, cache=cache, device=device)
    return _from_below(encoders.audio, recordings, cache=cache, device=device)


def _from_below(
    encoder: AudioEncoder, recordings: Sequence[Recording], *, cache: Path, device: torch.device | str
) -> StateTable:
    dim = encoder.encoded_dim if encoder.frozen else encoder.prefix_dim
    assert dim is not None
    return encode_audio(
        recordings,
        batch_encoder(encoder, device),
        front_end=encoder.front_end,
        max_frames=encoder.max_frames,
        dim=dim,
        fingerprint=_fingerprint(encoder),
        cache=cache,
        half_precision=encoder.half_precision,
    )


def _encode_above(
    taught: AudioEncoder,
    encoder: AudioEncoder,
    recordings: Sequence[Recording],
    *,
    cache: Path,
    device: torch.device | str,
) -> None:
    """Leave the states of `encoder` in the cache, beginning where `taught`, the same before it was frozen, learnt.

    What lies below is the same in every fold, so that each recording is heard once for all of them.
    """
    below = _from_below(taught, recordings, cache=cache, device=device)
    # Longer ones were cut into windows below, which cannot be told apart any more.
    longest = taught.max_prefix
    encode_upper(
        [one for one in recordings if longest is None or len(below[one]) <= longest],
        below,
        upper_encoder(taught.eval(), device),
        front_end=encoder.front_end,
        dim=encoder.encoded_dim,
        fingerprint=_fingerprint(encoder),
        cache=cache,
        half_precision=encoder.half_precision,
    )


def _loaded(table: Sequences | None, items: Iterable[Any]) -> Sequences | None:
    if table is None:
        return None
    held: dict[Any, NDArray[Any]] = {}
    size = 0
    for item in items:
        if item is not None and item not in held:
            held[item] = table.stored(item).copy() if isinstance(table, StateTable) else table[item]
            size += held[item].nbytes
            if size > _MOST_IN_MEMORY:
                return table
    return InMemory(held)


def _built(config: Any, recipe: Recipe, modality: Literal["audio", "text"], run: Path | None) -> tuple[Any, Any]:
    if config is None:
        raise RecipeError(f"'{recipe.model.system}' looks at {modality}; the recipe has no {modality}_encoder.")
    options = config.to_dict()
    source = options.get("source")
    if isinstance(source, str):
        options["source"] = origin(source, modality, run=run)
    encoder = build_encoder(options)
    assert isinstance(encoder, AudioEncoder if modality == "audio" else TokenEncoder)
    if not isinstance(source, str):
        return encoder, None
    return encoder, take_weights(encoder, source, modality, run=run, share=getattr(recipe.taught, modality))


def _tokenizer_file(source: str, revision: str | None) -> Path:
    found = find_file(source, "tokenizer.json", revision=revision)
    if found is None:
        raise RecipeError(
            f"The text encoder '{source}' has no tokenizer.json; transformers' AutoTokenizer writes one beside the "
            "model when it saves a fast tokenizer there."
        )
    return found


def _check_pair(encoder: TokenEncoder, tokens: Tokens, source: str) -> None:
    """Make sure that an encoder can read what its tokenizer gives.

    Raises:
        RecipeError: it cannot: more tokens, or other ones.
    """
    if encoder.max_tokens is not None and tokens.max_tokens > encoder.max_tokens:
        raise RecipeError(
            f"training.max_tokens is {tokens.max_tokens}; '{source}' takes at most {encoder.max_tokens} tokens."
        )
    if tokens.highest_id >= encoder.vocabulary:
        raise RecipeError(
            f"The tokenizer.json of '{source}' gives token ids up to {tokens.highest_id}; its model knows "
            f"{encoder.vocabulary} tokens."
        )


def _fingerprint(encoder: Encoder) -> str:
    """What the encoder computes before a mix, or its frozen lower part: its sizes and options, and its weights."""
    digest = hashlib.sha256(json.dumps(describe(encoder), sort_keys=True).encode())
    digest.update(b"" if encoder.frozen else b"prefix")
    for name, value in sorted(encoder.state_dict(keep_vars=True).items()):
        # What learns is another one after each training.
        if name.startswith("mix.") or value.requires_grad:
            continue
        digest.update(name.encode())
        digest.update(value.detach().contiguous().cpu().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
