"""The model that comes with the package, on the clips that come with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from m3ser import inference
from m3ser.inference import Recogniser, Request
from m3ser.schema import IEMOCAP4


@pytest.fixture(scope="module")
def starter() -> Recogniser:
    return inference.load(transcriber=None)


@pytest.fixture(scope="module")
def requests(demo_clips: Path, demo_rows: list[dict[str, str]]) -> list[Request]:
    """Every clip three times: with its words, by the voice alone, and the words alone."""
    named = [(demo_clips / row["audio"], row["text"]) for row in demo_rows]
    return [
        *(Request(file, text=text) for file, text in named),
        *(Request(file, text=None) for file, _ in named),
        *(Request(None, text=text) for _, text in named),
    ]


def test_it_is_listed_and_small() -> None:
    (listed,) = [bundle for bundle in inference.list_bundles() if bundle.name == "starter"]
    manifest = listed.manifest
    assert manifest.full_name.startswith("starter@")
    assert manifest.labels == IEMOCAP4.classes
    assert manifest.licence
    assert manifest.data
    assert set(manifest.scores) >= {"both", "audio", "text"}
    assert sum(record.bytes for record in manifest.files.values()) <= 40_000_000


def test_every_request_is_answered_in_full(starter: Recogniser, requests: list[Request]) -> None:
    for request, prediction in zip(requests, starter.predict_batch(requests), strict=True):
        assert tuple(prediction.scores) == starter.labels
        assert all(0 <= score <= 1 for score in prediction.scores.values())
        assert sum(prediction.scores.values()) == pytest.approx(1)
        assert prediction.scores[prediction.label] == max(prediction.scores.values())
        assert prediction.model == starter.name
        assert prediction.text == request.text
        assert prediction.text_source == ("none" if request.text is None else "given")
        assert (prediction.file, prediction.duration is None) == (request.file, request.audio is None)


def test_a_batch_gives_what_each_gives_alone(starter: Recogniser, requests: list[Request]) -> None:
    for request, together in zip(requests, starter.predict_batch(requests), strict=True):
        alone = starter.predict(request.audio, text=request.text)
        np.testing.assert_allclose(list(together.scores.values()), list(alone.scores.values()), atol=1e-5)


def test_it_hears_emotion_in_voices_it_was_not_trained_on(
    starter: Recogniser, demo_clips: Path, demo_rows: list[dict[str, str]]
) -> None:
    """A low bar, far above chance (one in four): the model card has the scores that count."""
    predictions = starter.predict_batch([Request(demo_clips / row["audio"], text=None) for row in demo_rows])
    right = sum(p.label == row["emotion"] for p, row in zip(predictions, demo_rows, strict=True))
    assert right >= len(demo_rows) / 2


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I am so happy, this is wonderful, thank you!", "happy"),
        ("I hate you, get out of here, this makes me furious!", "angry"),
        ("I miss her so much, I cannot stop crying, it is so sad.", "sad"),
    ],
)
def test_it_reads_plain_words(starter: Recogniser, text: str, label: str) -> None:
    assert starter.predict(text=text).label == label


def test_neutral_words_leave_the_voice_in_charge(
    starter: Recogniser, demo_clips: Path, demo_rows: list[dict[str, str]]
) -> None:
    """The clips' sentences say nothing of emotion: adding them may not turn most answers around."""
    files = [demo_clips / row["audio"] for row in demo_rows]
    heard = starter.predict_batch([Request(file, text=None) for file in files])
    read = starter.predict_batch([Request(file, text=row["text"]) for file, row in zip(files, demo_rows, strict=True)])
    kept = sum(a.label == b.label for a, b in zip(heard, read, strict=True))
    assert kept >= len(files) / 2


def test_the_open_one_reads_alike_and_is_openly_licensed(demo_clips: Path, starter: Recogniser) -> None:
    (listed,) = [bundle for bundle in inference.list_bundles() if bundle.name == "starter-open"]
    assert listed.manifest.licence == "Apache-2.0"
    assert not any("NC" in told for told in listed.manifest.data)
    # Its encoders are the starter's own files.
    assert not (listed.folder / "text_encoder.onnx").exists()
    recogniser = inference.load("starter-open", transcriber=None)
    assert recogniser.predict(text="I hate you, this makes me furious!").label == "angry"
    heard = recogniser.predict(demo_clips / "1001_DFA_ANG_XX.wav", text=None)
    assert heard.model == "starter-open@4"
    assert heard.scores != starter.predict(demo_clips / "1001_DFA_ANG_XX.wav", text=None).scores


def test_a_long_recording_is_one_utterance(starter: Recogniser, demo_clips: Path) -> None:
    """Over the 30 s window: every clip of the package in a row, twice."""
    from m3ser.audio import load_waveform

    waveform = np.concatenate([load_waveform(file) for file in sorted(demo_clips.glob("*.wav")) * 2])
    assert len(waveform) > 30 * 16000
    prediction = starter.predict(waveform, text=None, sample_rate=16000)
    assert prediction.duration == len(waveform) / 16000
    assert sum(prediction.scores.values()) == pytest.approx(1)
