"""Inference: a bundle, and what it says of recordings and words. ONNX Runtime; no torch."""

from m3ser.inference.catalogue import ListedBundle, list_bundles
from m3ser.inference.graphs import SessionSettings
from m3ser.inference.loading import load
from m3ser.inference.recogniser import Recogniser
from m3ser.inference.requests import TRANSCRIBE, Request
from m3ser.inference.respondent import BundleRespondent
from m3ser.inference.stream import Stream
from m3ser.inference.timeline import CutSettings, Segmenter, Timeline

__all__ = [
    "TRANSCRIBE",
    "BundleRespondent",
    "CutSettings",
    "ListedBundle",
    "Recogniser",
    "Request",
    "Segmenter",
    "SessionSettings",
    "Stream",
    "Timeline",
    "list_bundles",
    "load",
]
