from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from typing import Any

import pytest

from m3ser.errors import TextError
from m3ser.inference.requests import Request
from m3ser.schema import Prediction
from m3ser.serving.engine import Engine
from m3ser.serving.metrics import Metrics
from m3ser.serving.problems import ProblemError


class Parrot:
    """A model that says what it is told, while its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[list[str]] = []
        self.entered = threading.Event()

    def predict_chunks(self, chunks: Iterator[Any]) -> Iterator[Any]:
        for chunk in chunks:
            if not chunk:
                continue
            self.entered.set()
            self.gate.wait()
            texts = [request.text for request in chunk]
            self.batches.append(texts)
            if "bug" in texts:
                raise RuntimeError("a bug")
            yield [TextError("bad") if text == "bad" else answer(text) for text in texts]


def answer(text: str) -> Prediction:
    return Prediction("sad", {"sad": 1.0}, None, text, "given", "parrot@1")


@pytest.fixture
def parrot() -> Parrot:
    return Parrot()


@pytest.fixture
def make(parrot: Parrot) -> Iterator[Any]:
    made: list[Engine] = []

    def build(**changes: Any) -> Engine:
        options: dict[str, Any] = {"lanes": 1, "batch_size": 4, "batch_wait": 0.0, "max_wait": 30.0}
        engine = Engine(parrot, metrics=Metrics(), **(options | changes))
        made.append(engine)
        engine.start()
        return engine

    yield build
    parrot.gate.set()
    for engine in made:
        engine.stop()


def closed(engine: Engine, parrot: Parrot) -> Any:
    """The model is at work on something and stays there."""
    parrot.entered.clear()
    parrot.gate.clear()
    first = engine.submit(Request(None, text="first"))
    assert parrot.entered.wait(10)
    return first


def test_what_waits_together_goes_through_the_model_together(make: Any, parrot: Parrot) -> None:
    engine = make()
    first = closed(engine, parrot)
    futures = [engine.submit(Request(None, text=str(i))) for i in range(6)]
    parrot.gate.set()
    assert [future.result(10).text for future in (first, *futures)] == ["first", *"012345"]
    assert parrot.batches == [["first"], ["0", "1", "2", "3"], ["4", "5"]]


def test_the_first_waits_a_little_for_others(make: Any, parrot: Parrot) -> None:
    engine = make(batch_wait=1.0)
    wait([engine.submit(Request(None, text=str(i))) for i in range(4)], 10)
    assert parrot.batches == [["0", "1", "2", "3"]]  # and not a second later, for the batch was full


def test_answers_are_not_crossed(make: Any) -> None:
    engine = make(lanes=3, batch_wait=0.002)
    futures = {str(i): engine.submit(Request(None, text=str(i))) for i in range(200)}
    assert all(future.result(10).text == text for text, future in futures.items())


def test_a_failure_is_its_own(make: Any) -> None:
    engine = make(batch_wait=0.5)
    good, bad, also = (engine.submit(Request(None, text=text)) for text in ("good", "bad", "also"))
    assert good.result(10).text == "good"
    assert also.result(10).text == "also"
    with pytest.raises(TextError):
        bad.result(10)


def test_a_bug_takes_nobody_with_it(make: Any) -> None:
    engine = make(batch_wait=0.5)
    good, bug, also = (engine.submit(Request(None, text=text)) for text in ("good", "bug", "also"))
    assert (good.result(10).text, also.result(10).text) == ("good", "also")
    with pytest.raises(RuntimeError):
        bug.result(10)
    assert engine.submit(Request(None, text="later")).result(10).text == "later"


def test_what_is_cancelled_never_reaches_the_model(make: Any, parrot: Parrot) -> None:
    engine = make()
    closed(engine, parrot)
    gone, stays = engine.submit(Request(None, text="gone")), engine.submit(Request(None, text="stays"))
    assert gone.cancel()
    parrot.gate.set()
    assert stays.result(10).text == "stays"
    assert parrot.batches == [["first"], ["stays"]]


def test_whoever_has_waited_too_long_is_told_when_to_come_again(make: Any, parrot: Parrot) -> None:
    engine = make(max_wait=0.2)
    first = closed(engine, parrot)
    late = engine.submit(Request(None, text="late"))
    time.sleep(0.3)
    parrot.gate.set()
    assert first.result(10).text == "first"
    with pytest.raises(ProblemError) as found:
        late.result(10)
    assert found.value.problem.status == 503
    assert int(found.value.problem.headers["Retry-After"]) >= 1


def test_stopping_answers_what_is_in_the_model_and_cancels_what_waits(make: Any, parrot: Parrot) -> None:
    engine = make()
    first = closed(engine, parrot)
    waiting = engine.submit(Request(None, text="waiting"))
    threading.Timer(0.1, parrot.gate.set).start()
    engine.stop()
    assert first.result(10).text == "first"
    assert waiting.cancelled()
    with pytest.raises(ProblemError):
        engine.submit(Request(None, text="after")).result(10)


def test_what_can_be_foreseen_to_come_too_late_is_not_begun(make: Any, parrot: Parrot) -> None:
    engine = make(max_wait=5.0)
    engine._seconds_each = 2.0
    first = closed(engine, parrot)
    futures = [engine.submit(Request(None, text=str(i))) for i in range(4)]
    parrot.gate.set()
    wait([first, *futures], 10)
    assert [future.exception() is None for future in futures] == [True, True, False, False]
    assert engine.seconds_for(3) > 4
