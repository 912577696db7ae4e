"""How large a system is and how much it computes: the paper's Table 2 anew, counted and not estimated.

The models are built on torch's meta device, which has shapes and no numbers: nothing is downloaded, and it takes
neither memory nor time. torch's own counter counts the floating-point operations of one forward pass of one utterance:
matrix products and convolutions, **one multiply-add as two FLOPs**. Normalisation, activations, softmax, additions and
the log-mel front end are left out; they are small beside these.

The fusion is counted as m3ser computes it: of 3M-SER's fusion attention only the one position that is read out asks,
where the published code computes all of them and drops the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel

from m3ser.encoders import Encoder, VGGish
from m3ser.encoders.vggish import EXAMPLE_BANDS, EXAMPLE_FRAMES, VGGISH_DIM
from m3ser.errors import UsageError
from m3ser.models.masked import MaskedStates
from m3ser.models.registry import build, system

__all__ = [
    "PRINTED",
    "Complexity",
    "Part",
    "Printed",
    "count_encoder",
    "count_fusion",
    "examples_in",
    "explain",
    "measure",
]

BERT_DIM = 768
_BERT_BASE: dict[str, Any] = {
    "vocab_size": 30_522,
    "hidden_size": BERT_DIM,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3_072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    # The same products as in any other implementation; here they are to be seen as such, whatever the device.
    "attn_implementation": "eager",
}
"""bert-base-uncased, said here so that a new default of transformers does not change the table."""

_RATE, _WINDOW, _HOP = 16_000, 400, 160
"""VGGish's frames: samples a second, samples in a frame, samples from one frame to the next."""


@dataclass(frozen=True)
class Part:
    """One part of a system.

    Attributes:
        name: "text encoder", "audio encoder" or "fusion".
        parameters: how many it has.
        flops: of one utterance's forward pass; a multiply-add counts as two.
    """

    name: str
    parameters: int
    flops: int


@dataclass(frozen=True)
class Printed:
    """What the paper's Table 2 prints.

    Attributes:
        parameters: in millions.
        gflops: in thousands of millions, of an utterance whose length the paper does not state.
    """

    parameters: float
    gflops: float


_3M_SER = Printed(203, 1.74)
PRINTED = {
    "text-only": Printed(109, 0.00683),
    "audio-only": Printed(72, 1.73),
    "server": Printed(181, 1.74),
    "3m-ser": _3M_SER,
    "3m-ser-ln": _3M_SER,
    "3m-ser-minmax": _3M_SER,
}
"""Table 2 of the 3M-SER paper (INISCOM 2023), which does not tell the variants of 3M-SER apart."""


@dataclass(frozen=True)
class Complexity:
    """The size of one system, and what one utterance costs it.

    Attributes:
        system: its name.
        tokens: of the utterance, special tokens included.
        seconds: of the utterance.
        examples: VGGish examples of 0.96 s that this is, without the remainder.
        parts: the encoders that are counted, and the fusion.
        printed: what the paper prints of it; None where it prints nothing, or of other sizes.
    """

    system: str
    tokens: int
    seconds: float
    examples: int
    parts: tuple[Part, ...]
    printed: Printed | None

    @property
    def parameters(self) -> int:
        """Of all parts together."""
        return sum(part.parameters for part in self.parts)

    @property
    def flops(self) -> int:
        """Of all parts together."""
        return sum(part.flops for part in self.parts)

    def part(self, name: str) -> Part | None:
        """The part called `name`; None where the system has none, or it is not counted."""
        return next((part for part in self.parts if part.name == name), None)

    def trainable(self, *, audio: bool) -> int:
        """How many parameters are trained; BERT is frozen in all published systems.

        Args:
            audio: VGGish is trained as well (the published code since 2024); else it is frozen, as it has to be behind
                its quantising post-processing (the paper).
        """
        names = ("fusion", "audio encoder") if audio else ("fusion",)
        return sum(part.parameters for part in self.parts if part.name in names)

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-ready values."""
        return {
            "system": self.system,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "examples": self.examples,
            "parameters": self.parameters,
            "trainable": {"audio_frozen": self.trainable(audio=False), "audio_trained": self.trainable(audio=True)},
            "flops": self.flops,
            "parts": {part.name: {"parameters": part.parameters, "flops": part.flops} for part in self.parts},
            "printed": None
            if self.printed is None
            else {"parameters": self.printed.parameters * 1e6, "flops": self.printed.gflops * 1e9},
        }


def measure(
    name: str,
    *,
    tokens: int = 20,
    seconds: float = 3.0,
    text_dim: int = BERT_DIM,
    audio_dim: int = VGGISH_DIM,
    num_labels: int = 4,
) -> Complexity:
    """Count a system's parameters, and the floating-point operations of one utterance.

    Args:
        name: one of :func:`m3ser.models.names`.
        tokens: of the utterance, [CLS] and [SEP] included.
        seconds: of the utterance.
        text_dim: features per text state. The text encoder is BERT-base; at another width than its 768 the encoder is
            another, and is not counted.
        audio_dim: features per audio state, one for each 0.96 s. The audio encoder is VGGish; at another width than its
            128 it is not counted.
        num_labels: number of classes.

    Raises:
        UsageError: an unknown system, sizes that cannot be, no token or more than BERT takes, or a recording shorter
            than one VGGish example.
        MissingExtraError: torch or transformers is not installed.
    """
    modalities = system(name).model_class().modalities
    read, heard = "text" in modalities and text_dim == BERT_DIM, "audio" in modalities and audio_dim == VGGISH_DIM
    limit = _BERT_BASE["max_position_embeddings"] if read else None
    if tokens < 1 or (limit is not None and tokens > limit):
        raise UsageError(f"The text has {tokens} tokens; expected 1{' or more' if limit is None else f' to {limit}'}.")
    examples = examples_in(seconds)
    parts = []
    with torch.device("meta"):
        if read:
            bert = BertModel(BertConfig(**_BERT_BASE))
            words = torch.zeros(1, tokens, dtype=torch.long)
            # No mask: to see that it hides nothing, transformers would look at values, and here there are none.
            parts.append(_part("text encoder", bert, lambda: bert(input_ids=words)))
        if heard:
            vggish = VGGish()
            mel = torch.zeros(examples, EXAMPLE_FRAMES, EXAMPLE_BANDS)
            parts.append(_part("audio encoder", vggish, lambda: vggish(mel)))
    sizes = {"text_dim": text_dim, "audio_dim": audio_dim, "num_labels": num_labels}
    parts.append(count_fusion(name, text_states=tokens, audio_states=examples, **sizes))
    published = len(parts) == len(modalities) + 1 and num_labels == 4
    return Complexity(name, tokens, seconds, examples, tuple(parts), PRINTED.get(name) if published else None)


def count_fusion(
    name: str,
    *,
    text_states: int,
    audio_states: int,
    text_dim: int,
    audio_dim: int,
    num_labels: int = 4,
    **options: Any,
) -> Part:
    """Count the fusion part of a system for one utterance of so many states; `options` as :func:`build` takes them.

    Raises:
        UsageError: see :func:`build`.
        MissingExtraError: torch or transformers is not installed.
    """
    with torch.device("meta"):
        fusion = build(name, text_dim=text_dim, audio_dim=audio_dim, num_labels=num_labels, **options)
        text, audio = _states(text_states, text_dim), _states(audio_states, audio_dim)
        # Not through forward(), which looks at the masks' values.
        return _part("fusion", fusion, lambda: fusion.classify(text, audio, output_attentions=False))


def count_encoder(name: str, encoder: Encoder, inputs: torch.Tensor) -> Part:
    """Count an encoder, which really runs.

    Args:
        name: "text encoder" or "audio encoder".
        encoder: the encoder.
        inputs: (1, frames, ...) features, or (1, tokens) token ids, all of them real.
    """
    mask = torch.ones(inputs.shape[:2], dtype=torch.bool)
    # Attention as plain products: the counter does not see into all of the kernels that fuse them.
    with sdpa_kernel(SDPBackend.MATH):
        return _part(name, encoder, lambda: encoder(inputs, mask))


def examples_in(seconds: float) -> int:
    """How many VGGish examples of 0.96 s a recording comes to; the remainder is dropped.

    Raises:
        UsageError: not even one.
    """
    samples = round(seconds * _RATE) if 0 <= seconds < 1e9 else 0
    frames = 1 + (samples - _WINDOW) // _HOP if samples >= _WINDOW else 0
    if frames < EXAMPLE_FRAMES:
        shortest = ((EXAMPLE_FRAMES - 1) * _HOP + _WINDOW) / _RATE
        raise UsageError(f"{seconds:g} s hold no VGGish example; expected at least {shortest:g} s.")
    return frames // EXAMPLE_FRAMES


def explain(measured: Sequence[Complexity]) -> tuple[str, ...]:
    """What was counted, and where the paper's Table 2 differs and why: a sentence or two on each matter that arises."""
    if not measured:
        return ()
    one = measured[0]
    notes = [
        f"Of one utterance: {one.tokens} token{'s' * (one.tokens != 1)}, [CLS] and [SEP] included, and "
        f"{one.seconds:g} s of speech, which VGGish hears as {one.examples} example{'s' * (one.examples != 1)} of "
        "0.96 s. A multiply-add counts as two FLOPs; matrix products and convolutions are counted."
    ]
    compared = [each for each in measured if each.printed is not None]
    if len(compared) < len(measured):
        notes.append(
            f"An encoder is counted where it is BERT-base ({BERT_DIM} features) or VGGish ({VGGISH_DIM}); the paper's "
            "numbers stand beside its own systems alone."
        )
    sizes: dict[int, Complexity] = {}
    for each in compared:
        if each.printed == _3M_SER:
            sizes.setdefault(each.parameters, each)
    if sizes:
        notes.append(_on_3m_ser(list(sizes.values())))
    text, audio = (
        next((part for each in compared if (part := each.part(name))), None)
        for name in ("text encoder", "audio encoder")
    )
    if text is not None:
        (single, _) = measure("text-only", tokens=1).parts
        notes.append(
            f"BERT-base needs {_giga(text.flops)} GFLOPs for these tokens and {_giga(single.flops)} for a single one; "
            "the printed 0.00683 is not possible."
        )
    if audio is not None:
        notes.append(
            f"VGGish needs {_giga(audio.flops // one.examples)} GFLOPs for each example; the printed 1.73 is one of "
            "0.96 s, not an utterance."
        )
    if any(each.printed is not None and len(each.parts) == 3 for each in compared):
        notes.append("The printed 1.74 of SERVER and 3M-SER is the sum of these two, 0.00683 and 1.73.")
    return tuple(notes)


def _on_3m_ser(variants: Sequence[Complexity]) -> str:
    text, audio, fusion = (part.parameters for part in variants[0].parts)
    totals = " and ".join(f"{each.parameters:,} ({each.system})" for each in variants)
    more = _3M_SER.parameters - variants[0].parameters / 1e6
    return (
        f"3M-SER is BERT ({text:,} parameters), VGGish ({audio:,}) and a fusion of {fusion:,}: {totals}. The printed "
        f"{_3M_SER.parameters:g} M is {more:.1f} M more than the published code has; nothing in it accounts for them."
    )


def _part(name: str, module: torch.nn.Module, run: Callable[[], object]) -> Part:
    module.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return Part(name, sum(one.numel() for one in module.parameters()), int(counter.get_total_flops()))


def _states(length: int, dim: int) -> MaskedStates:
    return MaskedStates(torch.zeros(1, length, dim), torch.ones(1, length, dtype=torch.bool))


def _giga(flops: int) -> str:
    return f"{flops / 1e9:.3g}"
