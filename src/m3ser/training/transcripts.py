"""What the speech recogniser hears in every recording, kept beside the encoders' states."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from m3ser.errors import DataError, M3serError, MissingExtraError
from m3ser.text import clean
from m3ser.text.asr import default_transcriber
from m3ser.training.progress import waiting
from m3ser.training.states import Recording, file_digest

__all__ = ["transcripts_of"]

_LOG = logging.getLogger(__name__)


def transcripts_of(recordings: Iterable[Recording], *, cache: Path) -> dict[Recording, str | None]:
    """Recording -> what the default recogniser hears in it; None where that is nothing, or where it failed.

    Each transcript is written to the cache as soon as it is there, so that an interrupted run loses none.

    Args:
        recordings: the recordings.
        cache: folder of the cache.

    Raises:
        MissingExtraError: no recogniser is installed.
        DataError: the cache cannot be written.
    """
    transcriber = default_transcriber()
    if transcriber is None:
        raise MissingExtraError("Transcribing a corpus", "asr")
    file = cache / f"transcripts-{transcriber.name.replace(':', '-')}.jsonl"
    known = _read(file)
    keys = {one: f"{file_digest(one.path)} {one.start} {one.end}" for one in sorted(set(recordings), key=str)}
    missing = [one for one, key in keys.items() if key not in known]
    if missing:
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as lines, waiting() as progress:
                for one in progress.track(missing, description="Transcribing"):
                    try:
                        text = clean(transcriber.transcribe(one.waveform()).text).text or None
                    except M3serError as error:
                        _LOG.warning("%s was not transcribed: %s", one.path, error)
                        text = None
                    known[keys[one]] = text
                    lines.write(json.dumps({"recording": keys[one], "text": text}, ensure_ascii=False) + "\n")
                    lines.flush()
        except OSError as error:
            raise DataError(f"Transcripts '{file}' cannot be written: {error.strerror or error}.") from error
    return {one: known[key] for one, key in keys.items()}


def _read(file: Path) -> dict[str, str | None]:
    known: dict[str, str | None] = {}
    if file.is_file():
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except ValueError:  # the last line of a run that was killed while writing
                continue
            known[record["recording"]] = record["text"]
    return known
