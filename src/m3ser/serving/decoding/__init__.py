"""Recordings from strangers -> waveforms, in processes that can be killed.

Decoders are C code that has never met these bytes before: they may crash, hang, or take all memory. Where that happens
it costs one process that holds nothing else, and one request.
"""

from __future__ import annotations

from m3ser.serving.decoding.pool import DecoderPool

__all__ = ["DecoderPool"]
