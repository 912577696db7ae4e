"""``m3ser annotate`` with the bundled model: as a command, killed, interrupted, and on a disk that fills up."""

from __future__ import annotations

import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("starter")

Run = Callable[..., Any]
COUNT = 48


@pytest.fixture
def many(tmp_path: Path, demo_clips: Path) -> Path:
    """A folder of links to clips."""
    folder = tmp_path / "calls"
    folder.mkdir()
    clips = sorted(demo_clips.glob("*.wav"))
    for number in range(COUNT):
        (folder / f"{number:03d}.wav").symlink_to(clips[number % len(clips)])
    return folder


def answers(out: Path) -> list[dict[str, Any]]:
    path = Path(f"{out}.journal") / "answers.jsonl"
    whole = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in whole[: whole.rfind(b"\n") + 1].splitlines()]


def begin(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "m3ser", "annotate", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def wait_for_answers(process: subprocess.Popen[str], out: Path) -> None:
    """Until a few recordings are answered."""
    started = time.monotonic()
    while not answers(out):
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() - started < 120, "it never began"
        time.sleep(0.02)


def complete(out: Path, folder: Path) -> None:
    """Every recording is in the table once, in order, and was answered once."""
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [str(path) for path in sorted(folder.iterdir())]
    keys = [answer["key"] for answer in answers(out)]
    assert len(keys) == len(set(keys)) == len(rows)
    # The clips come again and again, each in other company.
    clips = len({path.resolve() for path in folder.iterdir()})
    scores = np.array([[float(row[f"p_{name}"]) for name in ("angry", "happy", "sad", "neutral")] for row in rows])
    for number in range(clips):
        np.testing.assert_allclose(
            scores[number::clips], np.broadcast_to(scores[number], (len(scores[number::clips]), 4)), atol=1e-5
        )


def test_lines_are_those_of_predict(m3ser: Run, tmp_path: Path, demo_clips: Path) -> None:
    (tmp_path / "calls").mkdir()
    files = []
    for clip in sorted(demo_clips.glob("*.wav"))[:3]:
        (tmp_path / "calls" / clip.name).symlink_to(clip)
        files.append(str(tmp_path / "calls" / clip.name))
    (tmp_path / "calls" / "zero.wav").touch()
    out = tmp_path / "out.jsonl"
    result = m3ser("annotate", str(tmp_path / "calls"), "--out", str(out), "--no-text", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["done"], told["failed"], told["answered"]) == (3, 1, 4)
    sentence, summary = result.stderr.splitlines()
    assert "zero.wav" in sentence
    assert summary == f"m3ser: 1 could not be used; the reasons are in {tmp_path / 'out.failed.csv'}."
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    expected = [json.loads(line) for line in m3ser("predict", *files, "--no-text", "--json").stdout.splitlines()]
    assert [list(one) for one in found] == [list(one) for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.pop("scores") == pytest.approx(other.pop("scores"), abs=1e-5)
        assert one == other
    again = m3ser("annotate", str(tmp_path / "calls"), "--out", str(out), "--no-text")
    assert again.exit_code == 1
    assert again.stdout == f"3 rows in {out}.\n"
    assert again.stderr.startswith("m3ser: 1 could not be used, 1 of them before (--retry-failed tries these again);")


def test_given_words_of_a_manifest(m3ser: Run, tmp_path: Path, demo_clips: Path, demo_rows: list[Any]) -> None:
    out = tmp_path / "out.csv"
    result = m3ser("annotate", str(demo_clips / "manifest.csv"), "--out", str(out), "--text", "given")
    assert (result.exit_code, result.stderr) == (0, "")
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["emotion"]) for row in rows] == [(row["audio"], row["emotion"]) for row in demo_rows]
    assert {row["text_source"] for row in rows} == {"given"}
    assert result.stdout.startswith(f"{len(demo_rows)} rows in {out}; {len(demo_rows)} now, in 0:00:")


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(
    not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="needs Linux's list of children"
)
def test_a_killed_annotation_ends_its_workers_and_goes_on(m3ser: Run, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    process = begin(many, "--out", out, "--no-text", "--workers", "2")
    workers: list[int] = []
    try:
        wait_for_answers(process, out)
        workers = children(process.pid)
        assert len(workers) >= 2
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        killed = time.monotonic()
        while any(map(running, workers)) and time.monotonic() - killed < 30:
            time.sleep(0.05)
        assert not [pid for pid in workers if running(pid)]
    finally:
        process.kill()
        for pid in workers:
            if running(pid):
                os.kill(pid, signal.SIGKILL)
    kept = answers(out)
    assert 0 < len(kept) < COUNT
    assert not out.exists()
    with (tmp_path / "out.csv.journal" / "answers.jsonl").open("ab") as file:
        file.write(b'{"key": 1234, "result": {"fi')
    result = m3ser("annotate", str(many), "--out", str(out), "--no-text", "--workers", "1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"; {COUNT - len(kept)} now, " in result.stdout
    assert answers(out)[: len(kept)] == kept
    complete(out, many)


def test_ctrl_c_says_how_to_go_on(m3ser: Run, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    process = begin(many, "--out", out, "--no-text", "--workers", "2", start_new_session=True)
    try:
        wait_for_answers(process, out)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all processes get it
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    kept = len(answers(out))
    assert (process.returncode, stdout) == (130, "")
    expected = f"m3ser: interrupted; {kept} of {COUNT} are done and kept, and the same command goes on from there.\n"
    assert stderr == expected
    assert m3ser("annotate", str(many), "--out", str(out), "--no-text", "--workers", "1").exit_code == 0
    complete(out, many)


def test_a_full_disk_is_one_sentence_and_nothing_is_lost(m3ser: Run, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    limit = 10_000  # bytes of a file: enough for the list, and for the answers to some thirty recordings
    process = begin(
        *(many, "--out", out, "--no-text", "--workers", "1"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stdout) == (1, "")
    assert stderr.count("\n") == 1
    assert "answers.jsonl' cannot be written: File too large; what was done until now is kept" in stderr
    kept = answers(out)
    assert 8 <= len(kept) < COUNT
    assert m3ser("annotate", str(many), "--out", str(out), "--no-text", "--workers", "1").exit_code == 0
    assert answers(out)[: len(kept)] == kept
    complete(out, many)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--out", "x.xlsx"], "m3ser: 'x.xlsx' ends in '.xlsx'; expected .parquet, .csv or .jsonl.\n"),
        (["--out", "no/x.csv"], "m3ser: 'no/x.csv' cannot be written: there is no folder 'no'.\n"),
        (["--out", "x.csv", "--text", "no"], "m3ser: --text is 'no'; expected given or transcribed.\n"),
        (
            ["--out", "x.csv", "--text", "given", "--no-text"],
            "m3ser: --text says where the words come from and --no-text says to use none; give one of them.\n",
        ),
        (
            ["--out", "x.csv", "--no-text", "--transcriber", "moonshine"],
            "m3ser: --transcriber has nothing to do with --no-text; give one of them.\n",
        ),
    ],
)
def test_bad_use(
    m3ser: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = m3ser("annotate", ".", *options)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", sentence)
    assert list(tmp_path.iterdir()) == []


def test_everybody_by_a_profile_of_their_own(m3ser: Any, starter: Path, demo_clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.csv"
    result = m3ser("annotate", str(demo_clips), "--no-text", "--adapt-by", "folder", "--out", str(out), "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert (found["done"], found["groups"], found["groups_without"]) == (13, 1, 0)
    with out.open(encoding="utf-8", newline="") as file:
        assert {row["model"].partition("+")[2] for row in csv.DictReader(file)} == {demo_clips.name}
    few = tmp_path / "few"
    few.mkdir()
    shutil.copy(min(demo_clips.glob("*.wav")), few)
    result = m3ser("annotate", str(few), "--no-text", "--adapt-by", "folder", "--out", str(tmp_path / "few.csv"))
    assert result.exit_code == 0
    assert "1 of 1 have too few utterances to learn from (below 10)" in result.stderr.replace("\n", " ")
    result = m3ser("annotate", str(few), "--adapt-by", "folder", "--profile", "anna.json", "--out", str(out))
    assert result.exit_code == 2
    assert "--adapt-by makes a profile for each" in result.stderr.replace("\n", " ")
