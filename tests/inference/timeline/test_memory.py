from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

MEASURE = """
import resource, sys
from m3ser import inference
timeline = inference.load(sys.argv[1], transcriber=None, threads=1).timeline(sys.argv[2], text=None)
print(sum(1 for _ in timeline), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_forty_minutes_take_no_more_memory_than_two(tiny_folder: Path, recording: object, tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="asks the system for a process's peak of memory")
    pytest.importorskip("faster_whisper", reason="hears with Silero (the asr extra)")
    found = []
    for repetitions in (2, 40):
        path = tmp_path / f"{repetitions}.flac"
        with soundfile.SoundFile(path, "w", 44_100, 2, "PCM_16") as file:
            for _ in range(repetitions):
                waveform = np.interp(np.arange(0, 60, 1 / 44_100) * 16_000, *_minute(recording))
                file.write(np.stack([waveform, waveform], axis=1))
        command = [sys.executable, "-c", MEASURE, str(tiny_folder), str(path)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found.append(tuple(map(int, output.split())))
    (few, small), (many, large) = found
    assert many > 15 * few
    assert large < 1.2 * small


def _minute(recording: object) -> tuple[np.ndarray, np.ndarray]:
    waveform = np.resize(recording.waveform, 60 * 16_000)  # type: ignore[attr-defined]
    return np.arange(len(waveform)), waveform
