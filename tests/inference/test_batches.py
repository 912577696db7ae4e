"""Many utterances at once: the same numbers, in order, failures in their places, little held in memory."""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from m3ser.errors import (
    AudioReadError,
    BundleError,
    TextError,
    UsageError,
)
from m3ser.inference import Recogniser, Request
from m3ser.schema import Prediction

Sound = Callable[..., NDArray[np.float32]]
AssertScores = Callable[[Prediction, dict[str, float]], None]

BOTH, AUDIO, TEXT = 2.0, 0.5, 1.25  # the tiny bundle's temperatures


# A batch is of any lengths, with either part missing from any item.
utterances = st.lists(
    st.tuples(
        st.none() | st.floats(0.05, 4.0),
        st.none()
        | st.lists(st.sampled_from(["I", "am", "fine", "no", "jacket"]), min_size=1, max_size=20).map(" ".join),
    ).filter(any),
    max_size=20,
)


class TestBatches:
    @given(items=utterances)
    @settings(max_examples=25, deadline=None)
    def test_same_numbers_as_one_by_one(
        self,
        recogniser: Recogniser,
        arithmetic: Any,
        items: list[tuple[float | None, str | None]],
        sound: Sound,
        assert_scores: AssertScores,
    ) -> None:
        waveforms = [None if seconds is None else sound(seconds, i) for i, (seconds, _) in enumerate(items)]
        requests = [
            # Words drawn by lot are no English, and might be taken for another language.
            Request(waveform, text=text, sample_rate=None if waveform is None else 16000, language="en")
            for waveform, (_, text) in zip(waveforms, items, strict=True)
        ]
        batch = recogniser.predict_batch(requests)
        assert len(batch) == len(items)
        for prediction, request, waveform in zip(batch, requests, waveforms, strict=True):
            alone = recogniser.predict(waveform, text=request.text, sample_rate=request.sample_rate, language="en")
            assert_scores(prediction, dict(alone.scores))
            temperature = TEXT if waveform is None else AUDIO if request.text is None else BOTH
            assert_scores(prediction, arithmetic.scores(waveform, request.text, temperature=temperature))
            assert prediction.text_source == alone.text_source
            assert prediction.duration == alone.duration

    def test_windows_of_different_recordings_share_batches(
        self, recogniser: Recogniser, arithmetic: Any, sound: Sound, assert_scores: AssertScores
    ) -> None:
        waveforms = [sound(seconds, i) for i, seconds in enumerate([31, 2, 65, 0.3])]
        cuts: list[list[int]] = [[1550], [], [2166, 4333], []]
        batch = recogniser.predict_batch([Request(w, text=None, sample_rate=16000) for w in waveforms])
        for prediction, waveform, cut in zip(batch, waveforms, cuts, strict=True):
            assert_scores(prediction, arithmetic.scores(waveform, None, temperature=AUDIO, cuts=cut))

    def test_order_is_the_input_s(self, recogniser: Recogniser, demo_clips: Path) -> None:
        files = sorted(demo_clips.glob("*.wav"), key=lambda path: path.name[::-1])
        assert [p.file for p in recogniser.predict_batch(files)] == [str(path) for path in files]

    def test_empty(self, recogniser: Recogniser) -> None:
        assert recogniser.predict_batch([]) == []

    def test_failures_stay_in_their_places(self, recogniser: Recogniser, demo_clip: Path) -> None:
        items: list[Any] = [demo_clip, "nowhere.wav", b"not audio", demo_clip, None, Request(None, text="[noise]")]
        results = recogniser.predict_batch(items, on_error="return")
        kinds = [Prediction, AudioReadError, AudioReadError, Prediction, UsageError, TextError]
        assert [type(result) for result in results] == kinds
        assert "nowhere.wav" in str(results[1])

    def test_first_failure_is_raised(self, recogniser: Recogniser, demo_clip: Path) -> None:
        with pytest.raises(AudioReadError, match=r"nowhere\.wav"):
            recogniser.predict_batch([demo_clip, "nowhere.wav", "elsewhere.wav"])

    def test_results_before_a_failure_are_not_lost(self, recogniser: Recogniser, demo_clip: Path) -> None:
        results = recogniser.predict_each([demo_clip, demo_clip, "nowhere.wav"])
        assert [next(results).file, next(results).file] == [str(demo_clip)] * 2
        with pytest.raises(AudioReadError):
            next(results)

    @pytest.mark.parametrize("items", ["clip.wav", Path("clip.wav"), b"RIFF", Request("clip.wav"), np.zeros(9)])
    def test_single_item_in_place_of_several(self, recogniser: Recogniser, items: Any) -> None:
        with pytest.raises(UsageError, match="put it into a list"):
            recogniser.predict_batch(items)

    def test_unknown_way_to_fail(self, recogniser: Recogniser) -> None:
        with pytest.raises(UsageError, match="'ignore'"):
            recogniser.predict_each([], on_error="ignore")  # type: ignore[call-overload]

    def test_an_utterance_that_breaks_the_model_fails_alone(
        self, recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As when one recording is too long for the memory."""
        real = recogniser._model.predict

        def predict(utterances: Any) -> Any:
            if any(utterance.text == "care" for utterance in utterances):
                raise BundleError("The graph ran out of memory.")
            return real(utterances)

        monkeypatch.setattr(recogniser._model, "predict", predict)
        texts = ["fine", "no", "care", "you", "jacket"]
        results = recogniser.predict_batch([Request(None, text=text) for text in texts], on_error="return")
        failed = [text for text, result in zip(texts, results, strict=True) if isinstance(result, BundleError)]
        assert failed == ["care"]


class TestStreamingThrough:
    def test_items_are_taken_only_a_little_ahead(self, recogniser: Recogniser) -> None:
        taken = itertools.count()

        def endless() -> Iterator[Request]:
            for number in taken:
                yield Request(None, text=f"fine {number}")

        results = recogniser.predict_each(endless())
        texts = [next(results).text for _ in range(50)]
        assert texts == [f"fine {number}" for number in range(50)]
        assert next(taken) < 50 + 32
        before = threading.active_count()
        results.close()  # type: ignore[attr-defined]
        assert threading.active_count() < before

    def test_first_result_does_not_wait_for_the_others(self, recogniser: Recogniser) -> None:
        """The second recording cannot be read before the first result is out."""
        answered = threading.Event()

        class Late(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                assert answered.wait(timeout=30)
                return super().read(size)

        results = recogniser.predict_each([Request(None, text="fine"), Late(b"not audio")], on_error="return")
        assert isinstance(next(results), Prediction)
        answered.set()
        assert isinstance(next(results), AudioReadError)

    def test_failing_source_of_items_is_not_swallowed(self, recogniser: Recogniser) -> None:
        def items() -> Iterator[Request]:
            yield Request(None, text="fine")
            raise KeyError("the caller's own")

        with pytest.raises(KeyError, match="the caller's own"):
            recogniser.predict_batch(items(), on_error="return")


class TestChunks:
    def test_chunks_go_through_the_model_as_they_were_cut(
        self, recogniser: Recogniser, sound: Sound, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        together: list[int] = []
        answer = recogniser._model.predict
        monkeypatch.setattr(recogniser._model, "predict", lambda many: (together.append(len(many)), answer(many))[1])
        requests = [Request(sound(0.3 + i / 10, i), text=None, sample_rate=16000) for i in range(9)]
        requests[4] = Request(b"junk", text=None)
        found = list(recogniser.predict_chunks([requests[:2], requests[2:3], [], requests[3:]]))
        assert together == [2, 1, 5]
        assert [len(results) for results in found] == [2, 1, 6]
        flat = [result for results in found for result in results]
        assert isinstance(flat[4], AudioReadError)
        for result, request in zip(flat, requests, strict=True):
            if isinstance(result, Prediction):
                alone = recogniser.predict(request.audio, text=None, sample_rate=16000)
                np.testing.assert_allclose(list(result.scores.values()), list(alone.scores.values()), atol=1e-5)

    def test_the_next_chunk_is_asked_for_before_the_last_is_answered(
        self, recogniser: Recogniser, sound: Sound
    ) -> None:
        order: list[str] = []

        def chunks() -> Iterator[list[Request]]:
            for number in range(3):
                order.append(f"ask {number}")
                yield [Request(sound(0.3, number), text=None, sample_rate=16000)]
                if number == 1:
                    yield []

        for number, _ in enumerate(recogniser.predict_chunks(chunks())):
            order.append(f"have {number}")
        assert order == ["ask 0", "ask 1", "have 0", "have 1", "ask 2", "have 2"]
