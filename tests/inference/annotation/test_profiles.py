"""Tables in which everybody is judged by how they usually sound."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from m3ser import inference
from m3ser.errors import DataError, UsageError
from m3ser.inference import Recogniser
from m3ser.inference.annotation import Annotation, Progress, annotate
from m3ser.inference.groups import ENOUGH

from ..conftest import AUDIO_DIM

Recordings = Callable[..., Path]
Rows = Callable[[Path], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def model(write_adaptable: Callable[..., Path]) -> Path:
    return write_adaptable(np.random.default_rng(4).normal(size=AUDIO_DIM).astype(np.float32))


@pytest.fixture
def recogniser(model: Path) -> Recogniser:
    return inference.load(model, transcriber=None, threads=1)


@pytest.fixture
def tell(model: Path, tmp_path: Path) -> Callable[..., Annotation]:
    def call(sources: Any, out: str = "out.jsonl", **options: Any) -> Annotation:
        options = {"model": model, "text": None, "workers": 1, **options}
        return annotate(sources, tmp_path / out, **options)

    return call


def test_neutral_recordings_are_made_up_for(
    write_adaptable: Callable[..., Path], recordings: Recordings, tell: Callable[..., Annotation]
) -> None:
    rng = np.random.default_rng(4)
    model = write_adaptable(*rng.normal(size=(2, AUDIO_DIM)).astype(np.float32))
    folder = recordings(12)
    recogniser = inference.load(model, transcriber=None, threads=1)
    clips = sorted(folder.glob("*.wav"))
    own = recogniser.learn(clips, name=folder.name, neutral=0.7)
    found = tell(folder, adapt_by="folder", neutral=0.7, model=model)
    rows = [json.loads(line) for line in found.out.read_text().splitlines()]
    for row, clip in zip(rows, clips, strict=True):
        assert row["scores"] == pytest.approx(recogniser.predict(clip, text=None, profile=own).scores, abs=1e-5)
    with pytest.raises(UsageError, match=r"neutral 0\.7, now 0\.8"):
        tell(folder, adapt_by="folder", neutral=0.8, model=model)
    with pytest.raises(UsageError, match="give adapt_by along with it"):
        tell(folder, "other.jsonl", neutral=0.7)


def manifest(folder: Path, speakers: list[str], name: str = "calls.csv") -> Path:
    """Of the folder's recordings, in the order of their names."""
    path = folder.parent / name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "speaker"])
        clips = sorted(folder.glob("*.wav"))
        writer.writerows([[str(clip), who] for clip, who in zip(clips, speakers, strict=True)])
    return path


WHO = ["anna", "bert", "anna", "carla", "anna", "bert"] * 5  # 15 of anna, 10 of bert, 5 of carla


def scores(row: dict[str, Any]) -> list[float]:
    return list(row["scores"].values())


@pytest.mark.parametrize("workers", [1, 2])
def test_everybody_is_judged_by_their_own_profile(
    tell: Callable[..., Annotation], recordings: Recordings, rows: Rows, recogniser: Recogniser, workers: int
) -> None:
    folder = recordings(len(WHO))
    found = tell(manifest(folder, WHO), adapt_by="speaker", workers=workers)
    assert (found.done, found.groups, found.groups_without) == (30, 3, 1)
    clips = sorted(folder.glob("*.wav"))
    profiles = {
        name: recogniser.learn([clip for clip, who in zip(clips, WHO, strict=True) if who == name], name=name)
        for name in ("anna", "bert")
    }
    for row, clip, who in zip(rows(found.out), clips, WHO, strict=True):
        alone = recogniser.predict(clip, profile=profiles.get(who))
        assert row["model"] == alone.model == f"tiny@3{'' if who == 'carla' else f'+{who}'}"
        np.testing.assert_allclose(scores(row), list(alone.scores.values()), atol=1e-5)


def test_of_many_recordings_some_are_heard_evenly_over_all(
    tell: Callable[..., Annotation], recogniser: Recogniser, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "louder"
    folder.mkdir()
    for number in range(2 * ENOUGH + 10):
        soundfile.write(folder / f"{number:03d}.wav", 1e-4 * 1.1**number * rng.normal(size=4800), 16_000)
    found = tell(folder, adapt_by="folder")
    kept = json.loads(Path(f"{found.out}.journal/profiles.jsonl").read_text(encoding="utf-8"))
    assert kept["group"] == str(folder)
    assert (kept["profile"]["name"], kept["profile"]["utterances"]) == ("louder", ENOUGH)
    clips = sorted(folder.glob("*.wav"))
    every, first, last = (
        np.abs(np.subtract(recogniser.learn(some).mean, kept["profile"]["mean"])).mean()
        for some in (clips, clips[:ENOUGH], clips[-ENOUGH:])
    )
    assert 10 * every < min(first, last)


def test_profiles_are_learnt_once(tell: Callable[..., Annotation], recordings: Recordings, rows: Rows) -> None:
    folder = recordings(24)
    told: list[Progress] = []
    first = tell(manifest(folder, ["anna"] * 12 + ["bert"] * 12), adapt_by="speaker", progress=told.append)
    listening = [(one.finished, one.total) for one in told if one.stage == "listening"]
    assert listening == [(0, 2), (1, 2), (2, 2)]
    before = rows(first.out)
    kept = Path(f"{first.out}.journal/profiles.jsonl").read_bytes()

    more = recordings(30)  # the same 24, and six more
    told.clear()
    speakers = ["anna"] * 12 + ["bert"] * 12 + ["anna"] * 6
    again = tell(manifest(more, speakers), adapt_by="speaker", progress=told.append)
    assert (again.answered, again.groups) == (6, 2)
    assert rows(again.out)[:24] == before
    assert Path(f"{again.out}.journal/profiles.jsonl").read_bytes() == kept
    assert [(one.finished, one.total) for one in told if one.stage == "listening"] == [(0, 0)]

    anew = tell(manifest(more, speakers), adapt_by="speaker", overwrite=True)
    assert anew.answered == 30
    assert Path(f"{anew.out}.journal/profiles.jsonl").read_bytes() != kept


def test_what_an_interrupted_call_has_learnt_is_kept(
    tell: Callable[..., Annotation], recordings: Recordings, tmp_path: Path
) -> None:
    source = manifest(recordings(24), ["anna"] * 12 + ["bert"] * 12)

    def interrupted(progress: Progress) -> None:
        if progress.stage == "listening" and progress.finished == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tell(source, adapt_by="speaker", progress=interrupted)
    told: list[Progress] = []
    tell(source, adapt_by="speaker", progress=told.append)
    assert [(one.finished, one.total) for one in told if one.stage == "listening"] == [(0, 1), (1, 1)]
    # Those of other settings are not taken over.
    with pytest.raises(KeyboardInterrupt):
        tell(source, "other.jsonl", adapt_by="speaker", progress=interrupted)
    found = tell(source, "other.jsonl", adapt_by="folder")
    lines = Path(f"{found.out}.journal/profiles.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["group"] for line in lines] == [str(tmp_path / "calls")]


def test_recordings_that_cannot_be_used_are_told_and_not_learnt_from(
    tell: Callable[..., Annotation], recordings: Recordings, recogniser: Recogniser, rows: Rows
) -> None:
    folder = recordings(13)
    clips = sorted(folder.glob("*.wav"))
    clips[3].write_bytes(b"RIFF")
    found = tell(folder, adapt_by="folder")
    assert (found.done, found.failed, found.groups_without) == (12, 1, 0)
    own = recogniser.learn([*clips[:3], *clips[4:]], name="calls")
    np.testing.assert_allclose(
        scores(rows(found.out)[0]), list(recogniser.predict(clips[0], profile=own).scores.values()), atol=1e-5
    )


def test_what_cannot_be_adapted(
    tell: Callable[..., Annotation], recordings: Recordings, tiny_folder: Path, recogniser: Recogniser, tmp_path: Path
) -> None:
    folder = recordings(12)
    with pytest.raises(UsageError, match=r"has a column 'speaker'; expected a manifest with it, or 'folder'"):
        tell(folder, adapt_by="speaker")
    with pytest.raises(UsageError, match=r"^Model 'tiny@3' takes no profiles"):
        tell(folder, "other.jsonl", adapt_by="folder", model=tiny_folder)
    anna = recogniser.learn(sorted(folder.glob("*.wav")), name="anna")
    with pytest.raises(UsageError, match="give profile or adapt_by, not both"):
        tell(folder, "third.jsonl", adapt_by="folder", profile=anna)
    found = tell(folder, "fourth.jsonl", adapt_by="folder")
    with pytest.raises(UsageError, match=r"adapt_by folder, now None"):
        tell(folder, "fourth.jsonl")
    Path(f"{found.out}.journal/profiles.jsonl").write_text('{"group": 1}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"holds something else than profiles; begin anew with --overwrite"):
        tell(folder, "fourth.jsonl", adapt_by="folder")


def test_rows_without_a_speaker_are_judged_as_anybody(
    tell: Callable[..., Annotation], recordings: Recordings, rows: Rows
) -> None:
    found = tell(manifest(recordings(14), ["anna"] * 12 + ["", ""]), adapt_by="speaker")
    assert [row["model"] for row in rows(found.out)] == ["tiny@3+anna"] * 12 + ["tiny@3"] * 2
    assert found.groups == 1
