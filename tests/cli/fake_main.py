"""The command line over a recogniser that knows its answer beforehand: what stands in for a model in these tests.

Run as a program it is ``m3ser`` itself with that recogniser behind it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from m3ser import inference
from m3ser.errors import AudioReadError, M3serError
from m3ser.schema import Prediction

SCORES = {"angry": 0.8123, "happy": 0.061, "sad": 0.02, "neutral": 0.1067}
TRANSCRIPT = "Don't forget a jacket."


class FakeRecogniser:
    """Answers `SCORES` for every recording but those with "bad" in their name, which are no audio.

    ``asked`` keeps the requests, ``heard`` what open files held, ``loaded_with`` the options of ``load``.
    """

    name = "starter@5"
    labels = tuple(SCORES)
    bundle = SimpleNamespace(
        manifest=SimpleNamespace(architecture="3m-ser-ln", licence="CC-BY-NC-SA-4.0", modalities=("audio", "text"))
    )

    def __init__(self, *, transcriber: Any = "a transcriber", seconds: float = 0.0) -> None:
        self.transcriber = transcriber
        self.seconds = seconds
        self.asked: list[Any] = []
        self.heard: list[bytes] = []
        self.loaded_with: dict[str, Any] = {}

    def load(self, model: str = "starter", **options: Any) -> FakeRecogniser:
        self.loaded_with = {"model": model, **options}
        return self

    def predict(self, audio: Any = None, *, text: Any = inference.TRANSCRIBE, **part: Any) -> Prediction:
        time.sleep(self.seconds)
        if hasattr(audio, "read"):
            self.heard.append(audio.read())
        if "mumbled" in str(audio):
            logging.getLogger("m3ser.inference").warning("%s: the voice alone is used.", audio)
        if "bad" in str(audio):
            raise AudioReadError(f"{audio} is not audio.")
        words, source = text, "given"
        if text is inference.TRANSCRIBE:
            words, source = (TRANSCRIPT, "transcribed") if self.transcriber else (None, "none")
        elif text is None:
            source = "none"
        return Prediction(
            label="angry",
            scores=SCORES,
            duration=None if audio is None else 2.2711,
            text=words,
            text_source=source,  # type: ignore[arg-type]
            model=self.name,
            file=os.fspath(audio) if isinstance(audio, (str, Path)) else None,
        )

    def predict_each(self, items: Any, *, on_error: str) -> Iterator[Prediction | M3serError]:
        assert on_error == "return"
        for item in items:
            self.asked.append(item)
            try:
                yield self.predict(item.audio, text=item.text)
            except M3serError as error:
                yield error


if __name__ == "__main__":
    from m3ser.cli.app import main

    inference.load = FakeRecogniser(seconds=float(os.environ.get("FAKE_SECONDS", "0"))).load  # type: ignore[assignment]
    main()
