"""Requests that name a profile, and timelines that make one of their recording."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from m3ser import inference
from m3ser.errors import DataError, UsageError
from m3ser.inference import Recogniser
from m3ser.profile import Profile
from m3ser.serving import ServiceSettings
from m3ser.serving.app import create_app
from m3ser.serving.profiles import Profiles, read_profiles

from .conftest import is_problem

Ask = Callable[..., httpx.Response]
AUDIO = {"content-type": "audio/wav"}


@pytest.fixture(scope="module")
def anna(recogniser: Recogniser, demo_clips: Path) -> Profile:
    return recogniser.learn(sorted(demo_clips.glob("*.wav"))[:4], name="anna")


@pytest.fixture(scope="module")
def bert(recogniser: Recogniser, demo_clips: Path) -> Profile:
    return recogniser.learn(sorted(demo_clips.glob("*.wav"))[-4:], name="bert")


@pytest.fixture(scope="module")
def adapted(settings: ServiceSettings, recogniser: Recogniser, anna: Profile, bert: Profile) -> Iterator[Any]:
    """A service with both of them."""
    made = create_app(replace(settings, profiles=(bert, anna), max_duration=120.0, max_bytes=8_000_000), recogniser)
    made.state.service.start()
    yield made
    made.state.service.stop()


@pytest.fixture(scope="module")
def call(demo_clips: Path) -> bytes:
    """All clips with pauses, as a FLAC file: enough to learn from."""
    return flac(spoken(demo_clips))


@pytest.fixture(scope="module")
def two_channels(demo_clips: Path) -> bytes:
    """The same, and the clips backwards in a second channel."""
    return flac(np.stack([spoken(demo_clips), spoken(demo_clips)[::-1]], axis=1))


def spoken(clips: Path) -> NDArray[np.float32]:
    parts = [np.zeros(24_000, np.float32)]
    for clip in sorted(clips.glob("*.wav")):
        parts += [soundfile.read(clip, dtype="float32")[0], parts[0]]
    return np.concatenate(parts)


def flac(samples: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, "PCM_16", format="FLAC")
    return file.getvalue()


def same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert found == {**wanted, "scores": pytest.approx(wanted["scores"], abs=1e-5)}


def test_a_form_names_one(ask: Ask, adapted: Any, recogniser: Recogniser, anna: Profile, demo_clip: Path) -> None:
    text = "Don't forget a jacket."
    content = {"file": ("a.wav", demo_clip.read_bytes())}
    found = ask("POST", "/v1/emotions", of=adapted, files=content, data={"text": text, "profile": "anna"}).json()
    wanted = recogniser.predict(demo_clip, text=text, profile=anna)
    assert found["model"] == f"{recogniser.name}+anna"
    same(found, replace(wanted, file="a.wav").to_dict())
    assert found["scores"] != pytest.approx(recogniser.predict(demo_clip, text=text).to_dict()["scores"], abs=1e-3)
    usual = ask("POST", "/v1/emotions", of=adapted, files=content, data={"text": text}).json()
    same(usual, replace(recogniser.predict(demo_clip, text=text), file="a.wav").to_dict())


def test_the_query_names_one(ask: Ask, adapted: Any, recogniser: Recogniser, bert: Profile, demo_clip: Path) -> None:
    parameters = {"profile": "bert", "transcribe": "false"}
    content = demo_clip.read_bytes()
    found = ask("POST", "/v1/emotions", of=adapted, content=content, params=parameters, headers=AUDIO).json()
    same(found, replace(recogniser.predict(demo_clip, text=None, profile=bert), file=None).to_dict())


def test_a_batch_has_one_for_all(
    ask: Ask, adapted: Any, recogniser: Recogniser, anna: Profile, demo_clips: Path
) -> None:
    clips = sorted(demo_clips.glob("*.wav"))[:3]
    files = [("file", (clip.name, clip.read_bytes())) for clip in clips]
    data = {"profile": "anna", "transcribe": "false"}
    results = ask("POST", "/v1/emotions:batch", of=adapted, files=files, data=data).json()["results"]
    for clip, found in zip(clips, results, strict=True):
        same(found, replace(recogniser.predict(clip, text=None, profile=anna), file=clip.name).to_dict())


def test_a_timeline_is_judged_by_one(
    ask: Ask, adapted: Any, recogniser: Recogniser, anna: Profile, call: bytes
) -> None:
    pytest.importorskip("faster_whisper", reason="speech is found with the asr extra")
    data = {"timeline": "true", "profile": "anna", "transcribe": "false"}
    found = ask("POST", "/v1/emotions", of=adapted, files={"file": ("a.flac", call)}, data=data).json()
    timeline = recogniser.timeline(call, text=None, profile=anna)
    assert len(list(timeline)) == len(found["segments"]) > 10
    assert found == {**timeline.to_dict(), "file": "a.flac"}
    assert found["model"] == f"{recogniser.name}+anna"


def test_a_timeline_makes_one_of_its_recording(ask: Ask, adapted: Any, recogniser: Recogniser, call: bytes) -> None:
    pytest.importorskip("faster_whisper", reason="speech is found with the asr extra")
    data = {"timeline": "true", "adapt": "true", "transcribe": "false"}
    found = ask("POST", "/v1/emotions", of=adapted, files={"file": ("a.flac", call)}, data=data).json()
    timeline = recogniser.timeline(call, text=None, adapt=True)
    assert len(list(timeline)) == len(found["segments"])
    assert found == {**timeline.to_dict(), "file": "a.flac"}
    assert found["model"] == f"{recogniser.name}+own"


def test_each_channel_of_a_call_makes_one(ask: Ask, adapted: Any, recogniser: Recogniser, two_channels: bytes) -> None:
    pytest.importorskip("faster_whisper", reason="speech is found with the asr extra")
    data = {"timeline": "true", "adapt": "true", "channels": "split", "transcribe": "false"}
    found = ask("POST", "/v1/emotions", of=adapted, files={"file": ("a.flac", two_channels)}, data=data).json()
    timeline = recogniser.timeline(two_channels, text=None, adapt=True, channels="split")
    assert {segment.channel for segment in timeline} == {1, 2} == {one["channel"] for one in found["segments"]}
    assert found == {**timeline.to_dict(), "file": "a.flac"}
    assert found["model"] == f"{recogniser.name}+own"


def test_neutral_speech_is_made_up_for(ask: Ask, adapted: Any, recogniser: Recogniser, call: bytes) -> None:
    pytest.importorskip("faster_whisper", reason="speech is found with the asr extra")
    data = {"timeline": "true", "adapt": "true", "neutral": "0.7", "transcribe": "false"}
    found = ask("POST", "/v1/emotions", of=adapted, files={"file": ("a.flac", call)}, data=data).json()
    timeline = recogniser.timeline(call, text=None, adapt=True, neutral=0.7)
    assert len(list(timeline)) == len(found["segments"])
    assert found == {**timeline.to_dict(), "file": "a.flac"}
    usual = recogniser.timeline(call, text=None, adapt=True)
    assert [one.scores for one in usual] != [one.scores for one in timeline.segments]


def test_more_channels_than_a_call_has_are_not_kept_apart(ask: Ask, adapted: Any) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).normal(scale=0.1, size=(16_000, 3)), 16_000, format="FLAC")
    files = {"file": ("meeting.flac", file.getvalue())}
    data = {"timeline": "true", "channels": "split", "transcribe": "false"}
    response = ask("POST", "/v1/emotions", of=adapted, files=files, data=data)
    detail = is_problem(response, 400, "bad-request")
    assert detail == "meeting.flac has 3 channels; expected at most 2 to be kept apart."


def test_nobody_waits_for_a_recording_that_is_learnt_from(
    ask: Ask, recogniser: Recogniser, settings: ServiceSettings, call: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faster_whisper", reason="speech is found with the asr extra")
    heard: list[float] = []
    voice_state = recogniser.voice_state

    def slowly(utterance: Any) -> Any:
        heard.append(time.monotonic())
        time.sleep(0.3)
        return voice_state(utterance)

    monkeypatch.setattr(recogniser, "voice_state", slowly)
    app = create_app(replace(settings, request_seconds=1.0, max_duration=120.0, max_bytes=8_000_000), recogniser)
    app.state.service.start()
    try:
        data = {"timeline": "true", "adapt": "true", "transcribe": "false"}
        response = ask("POST", "/v1/emotions", of=app, files={"file": call}, data=data)
        is_problem(response, 504, "timeout")
        app.state.service._timelines.submit(lambda: None).result(5)  # the next one's turn
    finally:
        app.state.service.stop()
    assert 1 <= len(heard) < 10


@pytest.mark.parametrize("name", ["carl", "", "Anna", "../anna", "/etc/passwd", "anna.json", "x" * 500])
@pytest.mark.parametrize("path", ["/v1/emotions", "/v1/emotions:batch"])
def test_a_name_that_is_not_known(ask: Ask, adapted: Any, demo_clip: Path, path: str, name: str) -> None:
    content = {"file": ("a.wav", demo_clip.read_bytes())}
    response = ask("POST", path, of=adapted, files=content, data={"profile": name})
    assert (response.status_code, response.json()["type"]) == (400, "urn:m3ser:problem:bad-request")
    assert response.json()["detail"] == f"The profile {name[:40]!r} is not known; known are bert, anna."


def test_a_service_without_any(ask: Ask, demo_clip: Path) -> None:
    content = {"file": ("a.wav", demo_clip.read_bytes())}
    response = ask("POST", "/v1/emotions", files=content, data={"profile": "anna"})
    detail = is_problem(response, 400, "bad-request")
    assert detail == "The profile 'anna' is not known; this service has none."
    assert ask("GET", "/v1/models").json()["models"][0]["profiles"] == []


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"adapt": "true"}, "adapt is for timelines, and none is asked for; give timeline=true along with it."),
        ({"adapt": "true", "timeline": "false"}, "adapt is for timelines, and none is asked for"),
        (
            {"adapt": "true", "timeline": "true", "profile": "anna"},
            "adapt makes a profile of the recording, and profile names one; give one of them.",
        ),
        ({"channels": "split"}, "channels=split is for timelines, and none is asked for; give timeline=true"),
        ({"channels": "left", "timeline": "true"}, "channels is 'left'; expected mix or split."),
        ({"adapt": "perhaps", "timeline": "true"}, "adapt is 'perhaps'; expected true or false."),
        (
            {"neutral": "0.7", "timeline": "true"},
            "neutral is about what adapt learns from; give adapt=true along with it.",
        ),
        ({"neutral": "half", "adapt": "true", "timeline": "true"}, "neutral is 'half'; expected a share from 0 to 1."),
        ({"neutral": "1.5", "adapt": "true", "timeline": "true"}, "neutral is '1.5'; expected a share from 0 to 1."),
        ({"neutral": "nan", "adapt": "true", "timeline": "true"}, "neutral is 'nan'; expected a share from 0 to 1."),
        ({"profile": ["anna", "bert"]}, "The field 'profile' is there twice; expected it once."),
    ],
)
def test_fields_that_contradict_each_other(ask: Ask, adapted: Any, data: dict[str, Any], sentence: str) -> None:
    response = ask("POST", "/v1/emotions", of=adapted, files={"file": b"never decoded"}, data=data)
    assert is_problem(response, 400, "bad-request").startswith(sentence)


def test_adapt_may_be_false(ask: Ask, adapted: Any, demo_clip: Path) -> None:
    data = {"adapt": "false", "profile": "anna", "transcribe": "false"}
    assert ask("POST", "/v1/emotions", of=adapted, files={"file": demo_clip.read_bytes()}, data=data).status_code == 200


def test_words_alone_have_none(ask: Ask, adapted: Any) -> None:
    response = ask("POST", "/v1/emotions", of=adapted, json={"text": "I am so happy.", "profile": "anna"})
    assert "'profile' is not known; known are text, language" in is_problem(response, 400, "bad-json")
    form = {"text": (None, "I am so happy."), "profile": (None, "anna")}
    detail = is_problem(ask("POST", "/v1/emotions", of=adapted, files=form), 400, "bad-request")
    assert detail == "A profile is about a voice, and there is no recording; expected a part named file."


def test_they_are_listed_and_described(ask: Ask, adapted: Any) -> None:
    (model,) = ask("GET", "/v1/models", of=adapted).json()["models"]
    assert model["profiles"] == ["bert", "anna"]
    paths = ask("GET", "/openapi.json", of=adapted).json()["paths"]
    one, batch = paths["/v1/emotions"]["post"], paths["/v1/emotions:batch"]["post"]
    assert {"profile", "adapt", "neutral", "channels"} <= {parameter["name"] for parameter in one["parameters"]}
    fields = [
        set(body["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]) for body in (one, batch)
    ]
    assert fields[0] - fields[1] == {"timeline", "adapt", "neutral", "channels"}
    assert "profile" in fields[0] & fields[1]


def test_a_named_one_takes_the_place_of_everybodys(
    ask: Ask, settings: ServiceSettings, recogniser: Recogniser, anna: Profile, bert: Profile, demo_clip: Path
) -> None:
    berts = inference.load("starter", transcriber=None, threads=1, profile=bert)
    app = create_app(replace(settings, profiles=(anna,)), berts)
    app.state.service.start()
    try:
        for data, profile in (({}, bert), ({"profile": "anna"}, anna)):
            fields = {**data, "transcribe": "false"}
            found = ask("POST", "/v1/emotions", of=app, files={"file": ("a", demo_clip.read_bytes())}, data=fields)
            wanted = recogniser.predict(demo_clip, text=None, profile=profile)
            assert found.json()["model"] == f"{recogniser.name}+{profile.name}"
            same(found.json(), replace(wanted, file="a").to_dict())
    finally:
        app.state.service.stop()


def test_one_of_another_model_is_refused_at_the_start(
    settings: ServiceSettings, recogniser: Recogniser, anna: Profile
) -> None:
    other = anna.model_copy(update={"encoder": "00" * 32, "name": "other"})
    with pytest.raises(UsageError, match=rf"^Profile 'other' was learnt with .* not that of {recogniser.name}"):
        create_app(replace(settings, profiles=(anna, other)), recogniser)


def test_they_are_read_from_a_folder(anna: Profile, bert: Profile, tmp_path: Path) -> None:
    bert.write(tmp_path / "0.json")
    anna.write(tmp_path / "anna.json")
    (tmp_path / "notes.txt").write_text("Anna called.")
    assert read_profiles(tmp_path) == (bert, anna)


def test_folders_of_profiles_that_are_none(anna: Profile, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone' is not a folder; expected one of profiles, as m3ser adapt writes them"):
        read_profiles(tmp_path / "gone")
    with pytest.raises(DataError, match=r"holds no profile; expected files NAME\.json"):
        read_profiles(tmp_path)
    anna.write(tmp_path / "a.json")
    with pytest.raises(DataError, match=r"a\.json' is not a folder"):
        read_profiles(tmp_path / "a.json")
    anna.write(tmp_path / "b.json")
    with pytest.raises(DataError, match=r"a\.json' and '.*b\.json' are both called 'anna'; expected one profile of a"):
        read_profiles(tmp_path)
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(DataError, match=r"b\.json' is not a profile as m3ser adapt writes it"):
        read_profiles(tmp_path)


def test_a_refusal_lists_the_first_ones(anna: Profile) -> None:
    many = Profiles(anna.model_copy(update={"name": f"p{number}"}) for number in range(12))
    with pytest.raises(UsageError, match=r"^The profile 'q' is not known; known are p0, .*, p9 and 2 more\.$") as found:
        many.find("q")
    assert not re.search("p1[01]", str(found.value))
