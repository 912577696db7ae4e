"""The client against a real service: what it answers is what the library answers here."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from m3ser import errors
from m3ser.client import AsyncClient, Client
from m3ser.client.calls import Patience
from m3ser.errors import MissingExtraError, ServiceError, UsageError
from m3ser.profile import Profile
from m3ser.schema import Prediction

httpx = pytest.importorskip("httpx", reason="needs the 'client' extra")


@pytest.fixture(scope="module")
def client(server: Any, api_key: str) -> Iterator[Client]:
    with Client(server.url, api_key=api_key) as client:
        yield client


def same(found: Prediction, expected: Prediction) -> None:
    """Equal, but for the last digits of the scores."""
    one, other = found.to_dict(), expected.to_dict()
    np.testing.assert_allclose(list(one.pop("scores").values()), list(other.pop("scores").values()), atol=1e-5)
    for segment, wanted in zip(one.pop("segments"), other.pop("segments"), strict=True):
        np.testing.assert_allclose(list(segment.pop("scores").values()), list(wanted.pop("scores").values()), atol=1e-5)
        assert segment == wanted
    assert one == other


def test_a_file_with_its_words(client: Client, recogniser: Any, demo_clip: Path) -> None:
    text = "Don't forget a jacket."
    found = client.predict(demo_clip, text=text)
    same(found, recogniser.predict(demo_clip, text=text))
    assert found.file == str(demo_clip)


def test_bytes_and_arrays_have_no_name(client: Client, recogniser: Any, demo_clip: Path) -> None:
    expected = recogniser.predict(demo_clip.read_bytes(), text=None)
    same(client.predict(demo_clip.read_bytes(), transcribe=False), expected)
    samples, rate = soundfile.read(demo_clip, dtype="int16")
    same(client.predict(samples, sample_rate=rate), expected)
    same(client.predict(np.stack([samples, samples], axis=1) / 32_768, sample_rate=rate), expected)


def test_words_alone(client: Client, recogniser: Any) -> None:
    same(client.predict(text="I hate this.", language="en"), recogniser.predict(text="I hate this.", language="en"))


def test_a_timeline(client: Client, recogniser: Any, recording: Any, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    soundfile.write(path, recording, 16_000)
    found = client.timeline(path, transcribe=False)
    assert [(s.start, s.end, s.label) for s in found.segments] == [
        (round(s.start, 3), round(s.end, 3), s.label) for s in recogniser.timeline(path, text=None)
    ]
    nobody = client.timeline(np.full(16_000, 1e-3), sample_rate=16_000)
    assert (nobody.segments, nobody.label) == ((), "")


def test_a_batch_in_order_and_with_what_failed(
    client: Client, recogniser: Any, demo_clips: Path, demo_rows: list[dict[str, str]], tmp_path: Path
) -> None:
    paths = [demo_clips / row["audio"] for row in demo_rows[:9]]  # more than one request takes
    texts = [row["text"] for row in demo_rows[:9]]
    for found, path, text in zip(client.predict_batch(paths, texts=texts), paths, texts, strict=True):
        same(found, recogniser.predict(path, text=text))
    missing, broken = tmp_path / "missing.wav", tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    good, not_there, damaged = client.predict_batch([paths[0], missing, broken], on_error="return")
    assert good.label == "angry"
    assert isinstance(not_there, errors.AudioReadError)
    assert isinstance(damaged, errors.AudioReadError)
    with pytest.raises(errors.AudioReadError, match=r"broken\.wav"):
        client.predict_batch([paths[0], broken])
    assert client.predict_batch([]) == []


def test_by_a_profile(
    client: Client, recogniser: Any, anna: Profile, demo_clip: Path, recording: Any, tmp_path: Path
) -> None:
    wanted = recogniser.predict(demo_clip, text=None, profile=anna)
    same(client.predict(demo_clip, transcribe=False, profile="anna"), wanted)
    for found in client.predict_batch([demo_clip] * 9, transcribe=False, profile="anna"):  # of each request
        same(found, wanted)
    path = tmp_path / "call.wav"
    soundfile.write(path, recording, 16_000)
    timeline = recogniser.timeline(path, text=None, profile=anna)
    scores = [segment.scores for segment in timeline]
    found = client.timeline(path, transcribe=False, profile="anna")
    assert found.model == timeline.model == f"{recogniser.name}+anna"
    assert [segment.scores for segment in found.segments] == [pytest.approx(one, abs=1e-5) for one in scores]
    adapted = client.timeline(path, transcribe=False, adapt=True)
    assert adapted.note == "The recording has too few utterances to learn from (below 10); judged as anybody's."
    assert client.timeline(path, transcribe=False, adapt=True, neutral=0.7) == adapted


def test_the_channels_of_a_call(client: Client, recogniser: Any, recording: Any, tmp_path: Path) -> None:
    both = np.stack([recording, np.roll(recording, 8_000)], axis=1)
    path = tmp_path / "call.wav"
    soundfile.write(path, both, 16_000)
    wanted = [(one.channel, one.start, one.label) for one in recogniser.timeline(path, text=None, channels="split")]
    assert {channel for channel, *_ in wanted} == {1, 2}
    for audio, rate in ((path, None), (both, 16_000)):
        found = client.timeline(audio, transcribe=False, sample_rate=rate, channels="split").segments
        assert [(one.channel, one.start, one.label) for one in found] == wanted


def test_a_profile_that_makes_no_sense(client: Client, demo_clip: Path) -> None:
    with pytest.raises(UsageError, match="The profile 'bert' is not known; known are anna"):
        client.predict(demo_clip, profile="bert")
    with pytest.raises(UsageError, match="adapt makes a profile of the recording, and profile names one"):
        client.timeline(demo_clip, profile="anna", adapt=True)
    with pytest.raises(UsageError, match="neutral is about what adapt learns from"):
        client.timeline(demo_clip, neutral=0.7)
    with pytest.raises(UsageError, match=r"neutral is '7\.0'; expected a share from 0 to 1"):
        client.timeline(demo_clip, adapt=True, neutral=7.0)
    with pytest.raises(UsageError, match="A profile is about a voice, and there is no recording"):
        client.predict(text="I hate this.", profile="anna")


def test_what_the_service_answers_with(client: Client, recogniser: Any) -> None:
    (model,) = client.models()
    assert (model.name, model.labels, model.transcriber) == (recogniser.name, recogniser.labels, None)
    assert model.profiles == ("anna",)
    assert "licence" in model.details
    assert "profiles" not in model.details


def test_problems_are_errors_of_the_library(client: Client, server: Any) -> None:
    with pytest.raises(errors.AudioReadError, match="is not audio"):
        client.predict(b"Dear diary, today I said no.\n" * 50)
    with pytest.raises(errors.AudioContentError, match="silent"):
        client.predict(np.zeros(16_000), sample_rate=16_000)
    with pytest.raises(UsageError, match="klingonisch"):
        client.predict(text="Qapla", language="klingonisch")
    with Client(server.url) as stranger, pytest.raises(ServiceError, match="asks for an API key") as caught:
        stranger.models()
    assert (caught.value.status, caught.value.cause) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "Nothing to recognise"),
        ({"audio": b"1", "sample_rate": 16_000}, "sample_rate is for arrays"),
        ({"audio": np.zeros(9)}, "sample_rate is None; an array is sent with"),
        ({"audio": np.zeros((2, 2, 2)), "sample_rate": 16_000}, "not a waveform"),
    ],
)
def test_what_makes_no_sense_is_never_sent(arguments: dict[str, Any], sentence: str) -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(UsageError, match=sentence):
        client.predict(**arguments)


def test_a_batch_that_makes_no_sense() -> None:
    with Client("http://127.0.0.1:9") as client:
        for arguments, sentence in (
            ({"items": "clip.wav"}, "a single one"),
            ({"items": [b"1"], "texts": []}, "There are 1 recordings and 0 texts"),
            ({"items": [b"1"], "on_error": "ignore"}, "on_error is 'ignore'"),
        ):
            with pytest.raises(UsageError, match=sentence):
                client.predict_batch(**arguments)


def test_nobody_is_there() -> None:
    with pytest.raises(UsageError, match="begins with http"):
        Client("127.0.0.1:8080")
    with Client("http://127.0.0.1:9/") as client:
        with pytest.raises(ServiceError, match=r"The service at http://127\.0\.0\.1:9 does not answer") as caught:
            client.predict(text="Hello.")
        assert caught.value.status is None
        with pytest.raises(ServiceError, match="does not answer"), client.stream():
            pass


def test_somebody_else_is_there() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text="<html>"))
    with Client(transport=transport) as client, pytest.raises(ServiceError, match="is not JSON; is that address"):
        client.models()


BUSY = {"type": "urn:m3ser:problem:overloaded", "status": 503, "detail": "The service is busy; try again in 2 s."}


def busy_for(answers: int) -> Any:
    """A service that is busy so many times and then answers."""
    left = [httpx.Response(503, json=BUSY, headers={"Retry-After": "2"})] * answers
    return httpx.MockTransport(lambda request: left.pop() if left else httpx.Response(200, json={"models": []}))


def test_a_busy_service_is_asked_again_when_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    with Client(transport=busy_for(3)) as client:
        assert client.models() == ()
    assert waits == [2.0, 2.0, 2.0]
    with Client(transport=busy_for(1), patience=1.5) as client, pytest.raises(ServiceError, match="is busy") as caught:
        client.models()
    assert (caught.value.status, caught.value.cause) == (503, "overloaded")


def test_without_a_time_the_waits_grow() -> None:
    patience = Patience(60)
    assert [patience.wait(503, header) for header in (None, "soon", None)] == [0.5, 1.0, 2.0]
    assert patience.wait(503, "3600") is None
    assert patience.wait(500, "1") is None


def test_with_await(server: Any, api_key: str, recogniser: Any, anna: Profile, demo_clip: Path) -> None:
    async def ask() -> None:
        async with AsyncClient(server.url, api_key=api_key) as client:
            one, batch, (model,) = await asyncio.gather(
                client.predict(demo_clip, transcribe=False),
                client.predict_batch([demo_clip, b"no"], on_error="return"),
                client.models(),
            )
            same(one, recogniser.predict(demo_clip, text=None))
            same(batch[0], recogniser.predict(demo_clip, text=None))
            assert isinstance(batch[1], errors.AudioReadError)
            assert model.name == recogniser.name
            assert (await client.timeline(demo_clip)).segments
            wanted = recogniser.predict(demo_clip, text=None, profile=anna)
            same(await client.predict(demo_clip, transcribe=False, profile="anna"), wanted)
            same((await client.predict_batch([demo_clip], transcribe=False, profile="anna"))[0], wanted)
            assert (await client.timeline(demo_clip, profile="anna")).model == wanted.model
            assert "too few utterances" in str((await client.timeline(demo_clip, adapt=True)).note)
        async with AsyncClient(transport=busy_for(1), patience=1.0) as client:
            with pytest.raises(ServiceError, match="is busy"):
                await client.models()
        async with AsyncClient("http://127.0.0.1:9") as client:
            with pytest.raises(ServiceError, match="does not answer"):
                await client.models()

    asyncio.run(ask())


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    for kind in (Client, AsyncClient):
        with pytest.raises(MissingExtraError, match=r"m3ser\.client needs the 'client' extra"):
            kind()
