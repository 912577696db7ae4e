"""A folder of recordings as they come, and the real model: the good are answered, each bad one is one sentence."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

Run = Callable[..., Any]

RATE = 16000


def speech(clip: Path) -> Any:
    return soundfile.read(clip, dtype="float32")[0]


def not_audio(path: Path, clip: Path) -> None:
    path.write_text("Dear diary, this is not a recording.\n" * 100)


def empty(path: Path, clip: Path) -> None:
    path.touch()


def only_a_header(path: Path, clip: Path) -> None:
    path.write_bytes(clip.read_bytes()[:44])


def truncated_wav(path: Path, clip: Path) -> None:
    path.write_bytes(clip.read_bytes()[:30000])


def truncated_flac(path: Path, clip: Path) -> None:
    soundfile.write(path, speech(clip), RATE, format="FLAC")
    path.write_bytes(path.read_bytes()[:2000])


def silent(path: Path, clip: Path) -> None:
    soundfile.write(path, np.zeros(2 * RATE, np.float32), RATE, format="WAV")


def shorter_than_a_frame(path: Path, clip: Path) -> None:
    soundfile.write(path, speech(clip)[:200], RATE, format="WAV")


def not_a_number(path: Path, clip: Path) -> None:
    wave = speech(clip)
    wave[5000:5100] = np.nan
    soundfile.write(path, wave, RATE, format="WAV", subtype="FLOAT")


def infinite(path: Path, clip: Path) -> None:
    wave = speech(clip)
    wave[5000] = np.inf
    soundfile.write(path, wave, RATE, format="WAV", subtype="FLOAT")


def hours_long(path: Path, clip: Path) -> None:
    minute = np.tile(speech(clip)[:8000], 60)
    with soundfile.SoundFile(path, "w", samplerate=8000, channels=1, format="WAV", subtype="ULAW") as file:
        for _ in range(120):
            file.write(minute)


def folder(path: Path, clip: Path) -> None:
    path.mkdir()


def forbidden(path: Path, clip: Path) -> None:
    shutil.copyfile(clip, path)
    path.chmod(0)


def missing(path: Path, clip: Path) -> None:
    pass


BAD = [
    *(not_audio, empty, only_a_header, truncated_wav, truncated_flac, silent, shorter_than_a_frame),
    *(not_a_number, infinite, hours_long, folder, missing),
]
if hasattr(os, "geteuid") and os.geteuid() != 0:  # root may read everything
    BAD.append(forbidden)


def eight_kilohertz(path: Path, clip: Path) -> None:
    soundfile.write(path, speech(clip)[::2], RATE // 2, format="WAV")


def ninety_six_kilohertz(path: Path, clip: Path) -> None:
    soundfile.write(path, np.repeat(speech(clip), 6), 6 * RATE, format="WAV", subtype="PCM_24")


def five_point_one(path: Path, clip: Path) -> None:
    soundfile.write(path, np.stack([speech(clip)] * 6, axis=1), RATE, format="WAV")


USABLE = [eight_kilohertz, ninety_six_kilohertz, five_point_one]


@pytest.fixture
def recordings(tmp_path: Path, demo_clip: Path) -> Path:
    """One file of each kind, named after its maker."""
    for make in (*BAD, *USABLE):
        make(tmp_path / f"{make.__name__}.wav", demo_clip)
    shutil.copyfile(demo_clip, tmp_path / "good.wav")
    return tmp_path


@pytest.mark.slow
def test_every_bad_file_is_one_sentence_and_the_others_are_answered(
    starter: Path, process: Run, recordings: Path
) -> None:
    bad = [f"{make.__name__}.wav" for make in BAD]
    usable = [f"{make.__name__}.wav" for make in USABLE]
    names = [*bad[::2], "good.wav", *usable, *bad[1::2]]
    result = process("predict", "--json", "--no-text", "--model", str(starter), "--", *names, cwd=recordings)

    sentences = result.stderr.decode("utf-8").splitlines()
    assert len(sentences) == len(bad), result.stderr.decode("utf-8")
    for name, sentence in zip([name for name in names if name in bad], sentences, strict=True):
        assert sentence.startswith(f"m3ser: {name}")
        assert sentence.endswith(".")
    assert result.returncode == 1

    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["file"] for record in records] == names
    for record in records:
        if record["file"] in bad:
            assert list(record) == ["file", "error"]
        else:
            assert record["label"] in record["scores"]
            assert record["duration"] == pytest.approx(2.27, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_a_bad_file_alone_is_one_sentence(
    starter: Path, m3ser: Run, tmp_path: Path, demo_clip: Path, make: Callable[[Path, Path], None]
) -> None:
    path = tmp_path / "recording.wav"
    make(path, demo_clip)
    result = m3ser("predict", "--no-text", "--model", str(starter), str(path))
    assert (result.exit_code, result.stdout) == (1, "")
    (sentence,) = result.stderr.splitlines()
    assert str(path) in sentence
