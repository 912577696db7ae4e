"""Profiles on the tiny model, whose arithmetic is known."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from m3ser import inference
from m3ser.bundle import AudioPart, Bundle
from m3ser.errors import AudioReadError, BundleError, DataError, M3serError, UsageError
from m3ser.inference import Recogniser, Request
from m3ser.inference.annotation import annotate
from m3ser.profile import Profile, read_profile

from .conftest import AUDIO_DIM, TEMPERATURE, WEIGHTS, Arithmetic, npy

CENTRE = np.random.default_rng(7).normal(size=AUDIO_DIM).astype(np.float32)
NEUTRAL = np.random.default_rng(8).normal(size=AUDIO_DIM).astype(np.float32)


@pytest.fixture(scope="module")
def folder(write_adaptable: Callable[..., Path]) -> Path:
    """A tiny bundle that takes profiles, with a head."""
    return write_adaptable(CENTRE)


@pytest.fixture(scope="module")
def plain(folder: Path) -> Recogniser:
    return inference.load(folder, transcriber=None)


@pytest.fixture(scope="module")
def telling(write_adaptable: Callable[..., Path]) -> Recogniser:
    """One that also takes account of how much of a profile is neutral."""
    return inference.load(write_adaptable(CENTRE, NEUTRAL), transcriber=None)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Noises, each louder than the one before."""
    rng = np.random.default_rng(3)
    place = tmp_path_factory.mktemp("anna")
    for number in range(12):
        noise = 0.02 * (number + 1) * rng.normal(size=6000 + 900 * number)
        soundfile.write(place / f"{number:02}.wav", noise, 16_000)
    return sorted(place.iterdir())


@pytest.fixture(scope="module")
def anna(plain: Recogniser, clips: list[Path]) -> Profile:
    return plain.learn(clips, name="anna")


def waveform(path: Path) -> NDArray[np.float32]:
    return soundfile.read(path, dtype="float32")[0]


def test_it_is_the_mean_over_utterances_of_their_mean_states(
    anna: Profile, clips: list[Path], arithmetic: Arithmetic
) -> None:
    means = [arithmetic.audio_states(waveform(clip)).mean(axis=0) for clip in clips]
    np.testing.assert_allclose(anna.mean, np.mean(means, axis=0), rtol=1e-4, atol=1e-5)
    assert (anna.name, anna.model, anna.utterances) == ("anna", "tiny@3", 12)
    assert anna.seconds == pytest.approx(sum(len(waveform(clip)) for clip in clips) / 16_000, abs=1e-3)


def test_what_is_heard_is_moved_from_the_profile_to_the_centre(
    folder: Path, anna: Profile, clips: list[Path], arithmetic: Arithmetic
) -> None:
    recogniser = inference.load(folder, transcriber=None, profile=anna)
    assert recogniser.name == "tiny@3+anna"
    shift = (CENTRE - anna.state()).astype(np.float64)
    for text, temperature in ((None, TEMPERATURE.audio), ("i am fine", TEMPERATURE.both)):
        found = recogniser.predict(clips[0], text=text)
        logits = (arithmetic.audio_states(waveform(clips[0])).mean(axis=0) + shift) @ WEIGHTS.from_audio + WEIGHTS.bias
        if text is not None:
            logits = logits + arithmetic.text_states(text).mean(axis=0) @ WEIGHTS.from_text
        shares = np.exp(logits / temperature)
        np.testing.assert_allclose(list(found.scores.values()), shares / shares.sum(), atol=1e-5)
        assert found.model == "tiny@3+anna"


@pytest.mark.parametrize(("share", "times"), [(0.25, 0.0), (0.7, 0.45), (1.0, 0.75), (0.0, -0.25)])
def test_neutral_recordings_are_made_up_for(
    telling: Recogniser, clips: list[Path], arithmetic: Arithmetic, share: float, times: float
) -> None:
    anna = telling.learn(clips, name="anna", neutral=share)
    assert anna.neutral == share
    assert anna.mean == telling.learn(clips, name="anna").mean
    shift = (CENTRE - anna.state() + times * NEUTRAL).astype(np.float64)
    logits = (arithmetic.audio_states(waveform(clips[0])).mean(axis=0) + shift) @ WEIGHTS.from_audio + WEIGHTS.bias
    shares = np.exp(logits / TEMPERATURE.audio)
    found = telling.predict(clips[0], text=None, profile=anna)
    np.testing.assert_allclose(list(found.scores.values()), shares / shares.sum(), atol=1e-5)


def test_what_is_said_of_neutral_recordings_is_kept(telling: Recogniser, clips: list[Path], tmp_path: Path) -> None:
    anna = telling.learn(clips, name="anna", neutral=0.7)
    anna.write(tmp_path / "anna.json")
    assert read_profile(tmp_path / "anna.json") == anna
    nothing = telling.learn(clips, name="anna")
    nothing.write(tmp_path / "nothing.json")
    assert "neutral" not in json.loads((tmp_path / "nothing.json").read_text())  # older versions read it, too
    assert len({nothing.digest(), anna.digest(), telling.learn(clips, name="anna", neutral=0.8).digest()}) == 3


def test_shares_that_a_model_does_not_take(plain: Recogniser, telling: Recogniser, clips: list[Path]) -> None:
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match=r"expected a share of neutral recordings from 0 to 1\.$"):
            telling.learn(clips, neutral=share)
    with pytest.raises(UsageError, match=r"^Model 'tiny@3' cannot take account of how many recordings are neutral"):
        plain.learn(clips, neutral=0.7)
    anna = telling.learn(clips, name="anna", neutral=0.7)
    with pytest.raises(UsageError, match=r"^Model 'tiny@3' cannot take account of how many recordings are neutral"):
        plain.predict(clips[0], text=None, profile=anna)


def test_a_file_of_neutral_recordings_that_holds_something_else(
    write_adaptable: Callable[..., Path], clips: list[Path]
) -> None:
    recogniser = inference.load(write_adaptable(CENTRE, NEUTRAL[:-1]), transcriber=None)
    anna = recogniser.learn(clips, name="anna", neutral=1.0)
    with pytest.raises(BundleError, match=r"^File 'audio_neutral\.npy' of bundle .* expected \("):
        recogniser.predict(clips[0], text=None, profile=anna)


def test_words_alone_are_as_they_were(folder: Path, plain: Recogniser, anna: Profile) -> None:
    adapted = inference.load(folder, transcriber=None, profile=anna)
    assert adapted.predict(text="i do not care").scores == plain.predict(text="i do not care").scores


def test_a_batch_is_what_each_is_alone(folder: Path, anna: Profile, clips: list[Path]) -> None:
    recogniser = inference.load(folder, transcriber=None, profile=anna)
    for clip, found in zip(clips, recogniser.predict_batch(clips), strict=True):
        assert found.scores == pytest.approx(recogniser.predict(clip).scores, abs=1e-5)


def test_a_profile_made_with_a_profile_is_the_same(folder: Path, anna: Profile, clips: list[Path]) -> None:
    """It holds what the encoder says, and not what has been moved."""
    again = inference.load(folder, transcriber=None, profile=anna).learn(clips, name="anna")
    assert again == anna


def test_heads_and_files(folder: Path, anna: Profile, clips: list[Path], tmp_path: Path) -> None:
    anna.write(tmp_path / "anna.json")
    own = inference.load(folder, transcriber=None, profile=tmp_path / "anna.json")
    head = inference.load(f"{folder}:basic7", transcriber=None, profile=str(tmp_path / "anna.json"))
    assert head.name == "tiny@3:basic7+anna"
    assert list(head.predict(clips[1]).scores.values()) == list(own.predict(clips[1]).scores.values())


def test_recordings_that_cannot_be_used_are_told(plain: Recogniser, clips: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    told: list[M3serError] = []
    heard: list[int] = []
    mixed = [clips[0], broken, clips[1]]
    found = plain.learn(mixed, name="anna", on_failure=told.append, progress=heard.append)
    assert found == plain.learn(clips[:2], name="anna")
    assert len(told) == 1
    assert "broken.wav" in str(told[0])
    assert heard == [1, 2, 3]
    with pytest.raises(M3serError, match=r"broken\.wav"):
        plain.learn(mixed)


def test_a_silent_recording_is_named_and_not_counted(plain: Recogniser, clips: list[Path], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    told: list[M3serError] = []
    found = plain.learn([tmp_path / "silent.wav", clips[0]], on_failure=told.append)
    assert found == plain.learn(clips[:1])
    assert ["silent.wav" in str(one) for one in told] == [True]


def test_nothing_to_learn_from(plain: Recogniser, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^Nothing to learn from: there are no recordings\.$"):
        plain.learn([])
    (tmp_path / "broken.wav").write_bytes(b"")
    with pytest.raises(DataError, match=r"^Nothing to learn from: none of the recordings holds speech"):
        plain.learn([tmp_path / "broken.wav"], on_failure=lambda _: None)
    with pytest.raises(UsageError, match=r"cannot be called 'a/b'; expected letters"):
        plain.learn([], name="a/b")


def test_a_part_of_a_recording(plain: Recogniser, clips: list[Path]) -> None:
    whole = waveform(clips[-1])
    found = plain.learn([Request(clips[-1], text=None, start=0.25, end=0.75)])
    cut = plain.learn([Request(whole[4000:12000], text=None, sample_rate=16_000)])
    assert found == cut
    assert found.seconds == 0.5


def test_a_long_recording_is_cut_into_utterances(plain: Recogniser, demo_clips: Path) -> None:
    pytest.importorskip("faster_whisper", reason="hears with Silero (the asr extra)")
    speech = [soundfile.read(clip, dtype="float32") for clip in sorted(demo_clips.glob("*.wav"))]
    rate = speech[0][1]
    pause = np.zeros(rate, np.float32)
    long = np.concatenate([part for clip, _ in speech for part in (clip, pause)])
    assert len(long) / rate > 30
    timeline = list(plain.timeline(long, sample_rate=rate, text=None))
    found = plain.learn([Request(long, text=None, sample_rate=rate)])
    assert found.utterances == len(timeline) > 5
    assert found.seconds == pytest.approx(sum(one.end - one.start for one in timeline), abs=0.01)


def test_a_profile_for_one_utterance(folder: Path, plain: Recogniser, anna: Profile, clips: list[Path]) -> None:
    """In place of the recogniser's own, in one batch with others."""
    own = inference.load(folder, transcriber=None, profile=anna)
    bert = anna.model_copy(update={"name": "bert", "mean": tuple(value + 1 for value in anna.mean)})
    berts = inference.load(folder, transcriber=None, profile=bert)
    found = plain.predict(clips[0], profile=anna)
    assert (found.scores, found.model) == (own.predict(clips[0]).scores, "tiny@3+anna")
    for recogniser, usual in ((plain, plain), (own, own)):
        asked = [clips[0], Request(clips[0], profile=bert), Request(clips[1], profile=anna), Request(clips[1])]
        wanted = [usual.predict(clips[0]), berts.predict(clips[0]), own.predict(clips[1]), usual.predict(clips[1])]
        for one, other in zip(recogniser.predict_batch(asked), wanted, strict=True):
            assert one.model == other.model
            assert one.scores == pytest.approx(other.scores, abs=1e-5)


def test_a_profile_that_does_not_fit_costs_one_utterance(
    tiny_folder: Path, plain: Recogniser, anna: Profile, clips: list[Path]
) -> None:
    other = anna.model_copy(update={"encoder": "00" * 32})
    first, second = plain.predict_batch([Request(clips[0], profile=other), clips[1]], on_error="return")
    assert "whose audio encoder is not that of tiny@3" in str(first)
    assert second == plain.predict(clips[1])
    with pytest.raises(UsageError, match=r"^Model 'tiny@3' takes no profiles"):
        inference.load(tiny_folder, transcriber=None).predict(clips[0], profile=anna)


def test_models_that_take_none(tiny_folder: Path, anna: Profile, clips: list[Path]) -> None:
    old = inference.load(tiny_folder, transcriber=None)
    with pytest.raises(UsageError, match=r"^Model 'tiny@3' takes no profiles"):
        old.learn(clips)
    with pytest.raises(UsageError, match=r"^Model 'tiny@3' takes no profiles"):
        inference.load(tiny_folder, profile=anna)


@pytest.mark.parametrize("change", [{"encoder": "00" * 32}, {"mean": (0.0,)}])
def test_a_profile_of_another_encoder(folder: Path, anna: Profile, change: dict[str, Any]) -> None:
    other = anna.model_copy(update={**change, "model": "other@1"})
    with pytest.raises(UsageError, match=r"'anna' was learnt with other@1, whose audio encoder is not that of tiny@3"):
        inference.load(folder, profile=other)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no array", "is not an array"),
        (npy(np.zeros(3, np.float32)), r"is an array \(3,\) of float32; expected \(6,\)"),
        (npy(np.zeros(AUDIO_DIM)), r"of float64; expected \(6,\) of finite float32"),
        (npy(np.full(AUDIO_DIM, np.nan, np.float32)), "expected .* of finite float32"),
    ],
)
def test_a_centre_that_is_none(write_tiny: Callable[..., Path], anna: Profile, content: bytes, said: str) -> None:
    part = AudioPart(graph="audio_encoder.onnx", front_end="whisper80", dim=AUDIO_DIM, centre="audio_centre.npy")
    broken = write_tiny(files={"audio_centre.npy": content}, audio=part)
    inference.load(broken)  # nobody needs it without a profile
    with pytest.raises(BundleError, match=said):
        inference.load(broken, profile=anna)


def test_a_centre_with_code_in_it_is_not_run(write_tiny: Callable[..., Path], anna: Profile) -> None:
    file = io.BytesIO()
    np.save(file, np.array([{}], object), allow_pickle=True)
    part = AudioPart(graph="audio_encoder.onnx", front_end="whisper80", dim=AUDIO_DIM, centre="audio_centre.npy")
    broken = write_tiny(files={"audio_centre.npy": file.getvalue()}, audio=part)
    with pytest.raises(BundleError, match="is not an array"):
        inference.load(broken, profile=anna)


@pytest.mark.parametrize("workers", [1, 2])
def test_tables_are_of_a_profile(folder: Path, anna: Profile, clips: list[Path], tmp_path: Path, workers: int) -> None:
    out = tmp_path / "table.jsonl"
    found = annotate([clips[0].parent], out, model=folder, text=None, workers=workers, profile=anna)
    assert found.done == len(clips)
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    recogniser = inference.load(folder, transcriber=None, profile=anna)
    for row, clip in zip(rows, clips, strict=True):
        assert row["model"] == "tiny@3+anna"
        assert row["scores"] == pytest.approx(recogniser.predict(clip).scores, abs=1e-5)


def test_a_table_is_not_gone_on_with_by_another_profile(
    folder: Path, anna: Profile, clips: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "table.csv"
    annotate(clips, out, model=folder, text=None, workers=1, profile=anna)
    other = anna.model_copy(update={"mean": tuple(value + 1 for value in anna.mean)})
    with pytest.raises(UsageError, match="another profile, under the model's name"):
        annotate(clips, out, model=folder, text=None, workers=1, profile=other)
    with pytest.raises(UsageError, match="model"):
        annotate(clips, out, model=folder, text=None, workers=1)


def test_digests_tell_profiles_apart(folder: Path, anna: Profile) -> None:
    bundle = Bundle.open(folder)
    other = anna.model_copy(update={"mean": tuple(value + 1 for value in anna.mean)})
    assert len({bundle.digest(), bundle.with_profile(anna).digest(), bundle.with_profile(other).digest()}) == 3


def test_what_is_not_there(folder: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.json' cannot be read"):
        inference.load(folder, profile="gone.json")
    with pytest.raises(AudioReadError):
        inference.load(folder).learn(["gone.wav"])
