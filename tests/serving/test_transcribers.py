from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from m3ser.errors import UsageError
from m3ser.serving.transcribers import TranscriberPool, transcriber_for
from m3ser.text.asr import Transcript


class OneAtATime:
    """A transcriber that waits until so many others are at work."""

    name = "one"
    languages = ("en",)

    def __init__(self, together: threading.Barrier) -> None:
        self._together = together
        self._busy = threading.Lock()

    def transcribe(self, waveform: Any, *, language: str | None = None) -> Transcript:
        assert self._busy.acquire(blocking=False)
        self._together.wait(10)
        self._busy.release()
        return Transcript(str(waveform[0]), (), (), language, self.name)


def test_each_call_has_a_transcriber_of_its_own() -> None:
    together = threading.Barrier(2)
    pool: Any = TranscriberPool(lambda: OneAtATime(together), 2)  # type: ignore[arg-type,return-value]
    assert (pool.name, pool.languages) == ("one", ("en",))
    with ThreadPoolExecutor(6) as threads:
        texts = list(threads.map(lambda i: pool.transcribe(np.array([i]), language="en").text, range(6)))
    assert texts == [str(i) for i in range(6)]


def test_nothing_transcribes_where_nothing_is_to() -> None:
    assert transcriber_for(None, 2) is None
    with pytest.raises(UsageError):
        transcriber_for("nobody", 2)


def test_moonshine_is_there_for_every_thread() -> None:
    pytest.importorskip("moonshine_voice", reason="needs the asr extra")
    found = transcriber_for("moonshine", 3)
    assert isinstance(found, TranscriberPool)
    assert (found.name, found._free.qsize()) == ("moonshine", 3)
