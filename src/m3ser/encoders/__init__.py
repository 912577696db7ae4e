"""Encoders: one modality to a sequence of states with a mask (PyTorch).

Audio encoders are called as ``encoder(features, mask)``, text encoders as ``encoder(input_ids, attention_mask)``; both
yield :class:`EncoderStates`. What stands in padding never reaches a state.
"""

from __future__ import annotations

from m3ser.encoders.acoustic import AcousticEncoder
from m3ser.encoders.adapters import add_lora, merged
from m3ser.encoders.base import AudioEncoder, Encoder, TokenEncoder, freeze, freeze_first
from m3ser.encoders.config import (
    EgemapsConfig,
    EncoderConfig,
    FirstFrozen,
    LoraOptions,
    MfccConfig,
    SpeechConfig,
    TextConfig,
    VGGishConfig,
    WhisperConfig,
    WordVectorConfig,
    build_encoder,
)
from m3ser.encoders.layers import LayerMix
from m3ser.encoders.speech import SpeechEncoder
from m3ser.encoders.states import EncoderStates, check_mask, lengths_to_mask, safe_key_padding, zero_padding
from m3ser.encoders.text import TextEncoder
from m3ser.encoders.vggish import Postprocessor, VGGish, VGGishEncoder
from m3ser.encoders.whisper import WhisperArchitecture, WhisperEncoder
from m3ser.encoders.word_vectors import WordVectorEncoder

__all__ = [
    "AcousticEncoder",
    "AudioEncoder",
    "EgemapsConfig",
    "Encoder",
    "EncoderConfig",
    "EncoderStates",
    "FirstFrozen",
    "LayerMix",
    "LoraOptions",
    "MfccConfig",
    "Postprocessor",
    "SpeechConfig",
    "SpeechEncoder",
    "TextConfig",
    "TextEncoder",
    "TokenEncoder",
    "VGGish",
    "VGGishConfig",
    "VGGishEncoder",
    "WhisperArchitecture",
    "WhisperConfig",
    "WhisperEncoder",
    "WordVectorConfig",
    "WordVectorEncoder",
    "add_lora",
    "build_encoder",
    "check_mask",
    "freeze",
    "freeze_first",
    "lengths_to_mask",
    "merged",
    "safe_key_padding",
    "zero_padding",
]
