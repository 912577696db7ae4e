"""``m3ser adapt`` and ``--profile``, with the bundled model."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from m3ser.cli.app import app
from m3ser.profile import read_profile

pytestmark = pytest.mark.usefixtures("starter")


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory, demo_clips: Path) -> Path:
    out = tmp_path_factory.mktemp("profiles") / "Calls of May.json"
    result = run("adapt", demo_clips, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"Profile {out}: 13 utterances, 29 s. Use it by --profile {out}.\n"
    assert result.stderr == ""
    return out


def test_predictions_are_of_the_profile(profile: Path, demo_clips: Path) -> None:
    clips = sorted(demo_clips.glob("*.wav"))[:2]
    result = run("predict", *clips, "--no-text", "--json", "--profile", profile)
    own = [json.loads(line) for line in result.stdout.splitlines()]
    usual = [json.loads(line) for line in run("predict", *clips, "--no-text", "--json").stdout.splitlines()]
    for one, other in zip(own, usual, strict=True):
        assert one["model"] == f"{other['model']}+Calls-of-May"
        assert one["scores"] != other["scores"]
    assert read_profile(profile).model == usual[0]["model"]


def test_calm_recordings(demo_clips: Path, tmp_path: Path) -> None:
    clips = sorted(demo_clips.glob("*.wav"))
    told = run("adapt", *clips, "--out", tmp_path / "calm.json", "--neutral", "1")
    assert (told.exit_code, "29 s, said to be 100% neutral. Use it by --profile" in told.stdout) == (0, True)
    assert run("adapt", *clips, "--out", tmp_path / "even.json").exit_code == 0
    calm, even = (read_profile(tmp_path / name) for name in ("calm.json", "even.json"))
    assert (calm.neutral, even.neutral, calm.mean) == (1.0, None, even.mean)
    scores = [
        json.loads(run("predict", clips[0], "--no-text", "--json", "--profile", tmp_path / name).stdout)["scores"]
        for name in ("calm.json", "even.json")
    ]
    # Where all of them are said to be neutral, what sounds like them is.
    assert scores[0]["neutral"] > scores[1]["neutral"] + 0.01


def test_a_share_that_is_none_or_for_nothing(demo_clips: Path, tmp_path: Path) -> None:
    result = run("adapt", demo_clips, "--out", tmp_path / "x.json", "--neutral", "70")
    assert (result.exit_code, "less than or equal to 1" in result.stderr) == (2, True)
    assert not (tmp_path / "x.json").exists()
    clip = min(demo_clips.glob("*.wav"))
    for words in (["timeline", clip], ["annotate", clip, "--out", tmp_path / "x.csv"]):
        result = run(*words, "--no-text", "--neutral", "0.7")
        assert (result.exit_code, "along with it." in result.stderr) == (2, True)


def test_tables_and_seven_emotions(profile: Path, demo_clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.csv"
    result = run("annotate", demo_clips, "--no-text", "--out", out, "--profile", profile, "--model", "starter:basic7")
    assert result.exit_code == 0, result.output
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 13
    assert {row["model"].partition("+")[2] for row in rows} == {"Calls-of-May"}
    assert "p_fearful" in rows[0]


def test_the_openly_licensed_model_shares_its_encoder(profile: Path, demo_clips: Path) -> None:
    clip = min(demo_clips.glob("*.wav"))
    result = run("predict", clip, "--no-text", "--json", "--profile", profile, "--model", "starter-open")
    assert json.loads(result.stdout)["model"].endswith("+Calls-of-May")


def test_few_recordings_and_some_that_cannot_be_used(demo_clips: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    out = tmp_path / "anna.json"
    result = run("adapt", min(demo_clips.glob("*.wav")), tmp_path, "--out", out, "--name", "a", "--json")
    assert result.exit_code == 1
    assert "broken.wav" in result.stderr
    assert "note: a profile of 1 utterances" in result.stderr
    found = json.loads(result.stdout)
    assert (found["name"], found["utterances"], found["failed"]) == ("a", 1, 1)
    assert read_profile(out).name == "a"

    result = run("adapt", demo_clips, "--out", out)
    assert result.exit_code == 2
    assert "anna.json' is already there; name another file, or give --overwrite." in result.stderr.replace("\n", " ")
    assert read_profile(out).utterances == 1
    assert run("adapt", demo_clips, "--out", out, "--overwrite", "--limit", "4").exit_code == 0
    assert read_profile(out).utterances == 4


def test_what_makes_no_sense(profile: Path, demo_clips: Path, tmp_path: Path) -> None:
    result = run("adapt", demo_clips, "--out", tmp_path / "no" / "x.json")
    assert (result.exit_code, "there is no folder" in result.stderr) == (2, True)
    result = run("adapt", demo_clips, "--out", tmp_path, "--overwrite")
    assert (result.exit_code, "is a folder; expected the name of a file." in result.stderr) == (2, True)
    result = run("predict", min(demo_clips.glob("*.wav")), "--profile", min(demo_clips.glob("*.wav")))
    assert (result.exit_code, "is not a profile as m3ser adapt writes it" in result.stderr) == (1, True)
    result = run("adapt", tmp_path, "--out", tmp_path / "x.json")
    assert (result.exit_code, "holds no recordings" in result.stderr) == (1, True)
    assert not (tmp_path / "x.json").exists()
    assert profile.is_file()


def test_timelines_and_live_speech(profile: Path, demo_clips: Path) -> None:
    pytest.importorskip("faster_whisper", reason="hears with Silero (the asr extra)")
    clip = min(demo_clips.glob("*.wav"))
    result = run("timeline", clip, "--no-text", "--json", "--profile", profile)
    timeline = json.loads(result.stdout)
    assert timeline["model"].endswith("+Calls-of-May")
    live = run("listen", "--file", clip, "--at-once", "--no-text", "--json", "--profile", profile)
    final = [one for one in map(json.loads, live.stdout.splitlines()) if one["final"]]
    usual = run("listen", "--file", clip, "--at-once", "--no-text", "--json")
    others = [one for one in map(json.loads, usual.stdout.splitlines()) if one["final"]]
    assert [one["scores"] for one in final] == [pytest.approx(one["scores"], abs=0.03) for one in timeline["segments"]]
    assert [one["scores"] for one in final] != [one["scores"] for one in others]


def test_a_service_for_one_source(profile: Path) -> None:
    pytest.importorskip("fastapi")
    from m3ser.serving.app import load_recogniser
    from m3ser.serving.settings import ServiceSettings

    recogniser = load_recogniser(ServiceSettings(transcriber=None, profile=read_profile(profile)))
    assert recogniser.name.endswith("+Calls-of-May")


def test_evaluations(profile: Path, demo_clips: Path, tmp_path: Path) -> None:
    pytest.importorskip("jiwer")
    pytest.importorskip("sklearn")
    manifest = demo_clips / "manifest.csv"
    result = run("evaluate", "starter", manifest, "--condition", "audio", "--json", "--profile", profile)
    assert json.loads(result.stdout)["model"].endswith("+Calls-of-May")
    (tmp_path / "recipe.yaml").touch()
    result = run("evaluate", tmp_path, manifest, "--profile", profile)
    assert result.exit_code == 2
    assert "is a training; m3ser export makes a bundle of it." in result.stderr.replace("\n", " ")
