"""Transcripts: cleaned, made into tokens, or taken down from speech (:mod:`m3ser.text.asr`)."""

from __future__ import annotations

from m3ser.text.cleaning import CleanText, clean
from m3ser.text.tokens import Tokens, load_tokenizer, make_tokens

__all__ = ["CleanText", "Tokens", "clean", "load_tokenizer", "make_tokens"]
