"""From the name of a model to what recognises with it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from m3ser.bundle import Bundle
from m3ser.errors import UsageError
from m3ser.inference.catalogue import find_bundle
from m3ser.inference.graphs import SessionSettings
from m3ser.inference.recogniser import Recogniser
from m3ser.profile import Profile, read_profile
from m3ser.text.asr import Transcriber

__all__ = ["MAX_SECONDS", "load", "open_bundle"]

MAX_SECONDS = 600.0
"""The longest recording that is taken for one utterance, unless the caller says otherwise."""


def load(
    name_or_folder: str | os.PathLike[str] = "starter",
    *,
    transcriber: Transcriber | str | None = "auto",
    threads: int | None = None,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    max_seconds: float = MAX_SECONDS,
    profile: Profile | str | os.PathLike[str] | None = None,
) -> Recogniser:
    """Open a bundle and check every file of it; its graphs are loaded when they are first needed.

    Args:
        name_or_folder: a bundle that comes with m3ser ("starter"), a bundle's folder, or a Hugging Face Hub id
            ("owner/name", "owner/name@revision").
        transcriber: what turns speech into text where none is given. "auto": the first one that is installed, the voice
            alone where none is; "moonshine" or "faster-whisper:size"; an object of your own; None: the voice alone.
        threads: processor threads for the model; None: one per physical core.
        providers: ONNX Runtime execution providers by their own names, the preferred one first.
        max_seconds: the longest recording to accept.
        profile: how the speaker, or the source, of the recordings usually sounds (:meth:`Recogniser.learn`), or its
            file; None: anybody.

    Raises:
        UsageError: an unknown name, provider or transcriber, an impossible number, or a profile of another model.
        MissingExtraError: the transcriber asked for is not installed.
        BundleError: the bundle is missing, damaged, of a newer format, or cannot be fetched.
        DataError: the profile's file cannot be read.
    """
    if not max_seconds > 0:
        raise UsageError(f"max_seconds is {max_seconds}; it must be above 0.")
    settings = SessionSettings(threads=threads, providers=tuple(providers))
    bundle = open_bundle(name_or_folder, profile)
    return Recogniser(bundle, settings=settings, transcriber=transcriber, max_seconds=max_seconds)


def open_bundle(name_or_folder: str | os.PathLike[str], profile: Profile | str | os.PathLike[str] | None) -> Bundle:
    """The bundle that :func:`load` recognises with; arguments and errors are its own."""
    bundle = find_bundle(name_or_folder)
    if profile is None:
        return bundle
    return bundle.with_profile(profile if isinstance(profile, Profile) else read_profile(profile))
