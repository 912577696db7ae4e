"""Encoders: one modality to a sequence of states with a mask (PyTorch).

Audio encoders are called as ``encoder(features, mask)``, text encoders as ``encoder(input_ids, attention_mask)``; both
yield :class:`EncoderStates`. What stands in padding never reaches a state.
"""

from __future__ import annotations

from m3ser.encoders.base import AudioEncoder, Encoder, freeze
from m3ser.encoders.config import EncoderConfig, TextConfig, VGGishConfig, WhisperConfig, build_encoder
from m3ser.encoders.states import EncoderStates, check_mask, lengths_to_mask, safe_key_padding, zero_padding
from m3ser.encoders.text import TextEncoder
from m3ser.encoders.vggish import Postprocessor, VGGish, VGGishEncoder
from m3ser.encoders.whisper import WhisperArchitecture, WhisperEncoder

__all__ = [
    "AudioEncoder",
    "Encoder",
    "EncoderConfig",
    "EncoderStates",
    "Postprocessor",
    "TextConfig",
    "TextEncoder",
    "VGGish",
    "VGGishConfig",
    "VGGishEncoder",
    "WhisperArchitecture",
    "WhisperConfig",
    "WhisperEncoder",
    "build_encoder",
    "check_mask",
    "freeze",
    "lengths_to_mask",
    "safe_key_padding",
    "zero_padding",
]
