from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from m3ser.errors import MissingExtraError
from m3ser.inference.timeline import Segmenter, SileroVoice, voice

pytest.importorskip("faster_whisper", reason="hears with Silero (the asr extra)")


def heard(waveform: NDArray[np.float32], *sizes: int) -> NDArray[np.float32]:
    silero = SileroVoice()
    found, place = [], 0
    for size in sizes:
        found.append(silero.push(waveform[place : place + size]))
        place += size
    return np.concatenate([*found, silero.push(waveform[place:]), silero.finish()])


def test_it_hears_what_faster_whisper_hears(demo_clip: Path) -> None:
    from faster_whisper.vad import get_vad_model

    waveform = soundfile.read(demo_clip, dtype="float32")[0]
    peer = get_vad_model()(np.pad(waveform, (0, -len(waveform) % 512))).reshape(-1)
    ours = heard(waveform)
    assert len(ours) == len(peer)
    # The clip has no pause of a second, where ours would start afresh.
    assert peer.max() > 0.9
    np.testing.assert_allclose(ours, peer, atol=1e-6)


def test_chunks_make_no_difference(recording: Any) -> None:
    waveform = recording.waveform[: 16_000 * 12]
    whole = heard(waveform)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(heard(waveform, *rng.integers(0, 3000, 80)), whole)
    np.testing.assert_array_equal(heard(waveform, *[1] * 700, 511, 513), whole)


def test_a_quiet_voice_behind_a_loud_one_is_heard(demo_clips: Path) -> None:
    loud, quiet = (
        soundfile.read(demo_clips / name, dtype="float32")[0] for name in ("1013_ITH_ANG_XX.wav", "1066_IWW_SAD_XX.wav")
    )
    alone = heard(quiet) >= 0.35
    pause = np.zeros(2048 * 16, np.float32)
    loud = loud[: len(loud) // 2048 * 2048]
    behind = heard(np.concatenate([loud, pause, quiet]))[-len(alone) :] >= 0.35
    assert (alone & behind).sum() > 0.75 * alone.sum()


def found_in_a_row(clips: list[NDArray[np.float32]]) -> tuple[float, int]:
    """(share of the frames of speech heard in each clip alone that are heard in all of them with pauses between them,
    frames of speech heard in the pauses)."""
    rng = np.random.default_rng(5)
    parts, places, length = [], [], 0
    for clip in clips:
        pause = (1e-4 * rng.normal(size=2048 * rng.integers(9, 19))).astype(np.float32)  # 1.2 to 2.3 s
        whole = clip[: len(clip) // 2048 * 2048]
        places.append((length + len(pause), whole))
        length += len(pause) + len(whole)
        parts += [pause, whole]
    speech = heard(np.concatenate(parts)) >= 0.35
    pauses = np.ones(len(speech), bool)
    found = expected = 0
    for start, clip in places:
        frames = slice(start // 512, (start + len(clip)) // 512)
        alone = heard(clip) >= 0.35
        found += int((speech[frames] & alone).sum())
        expected += int(alone.sum())
        pauses[frames] = False
    return found / expected, int((speech & pauses).sum())


def test_starting_afresh_finds_more_speech(demo_clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = [soundfile.read(path, dtype="float32")[0] for path in sorted(demo_clips.glob("*.wav"))]
    share, false = found_in_a_row(clips)
    monkeypatch.setattr(voice, "_AFRESH", sys.maxsize)
    share_before, false_before = found_in_a_row(clips)
    print(f"the package's: {share:.1%} afresh, {share_before:.1%} not; {false} and {false_before} frames in pauses")
    assert share > 0.99
    assert share_before < 0.93
    assert false == 0


@pytest.mark.slow
@pytest.mark.parametrize("corpus", ["emodb", "ravdess"])
def test_starting_afresh_finds_more_speech_in_other_clips(
    shared_data: Path, corpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted((shared_data / "speech" / corpus).rglob("*.flac"))
    chosen = np.random.default_rng(0).permutation(len(paths))[:60]
    clips = [soundfile.read(paths[place], dtype="float32")[0] for place in chosen]
    share, false = found_in_a_row(clips)
    monkeypatch.setattr(voice, "_AFRESH", sys.maxsize)
    share_before, false_before = found_in_a_row(clips)
    print(f"{corpus}: {share:.1%} afresh, {share_before:.1%} not; {false} and {false_before} frames in pauses")
    assert share > share_before
    assert false <= false_before + 10  # of more than 3,000


def test_noise_is_no_speech() -> None:
    noise = np.random.default_rng(0).normal(scale=0.05, size=16_000 * 20).astype(np.float32)
    assert heard(noise).max() < 0.35


def test_without_silero_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"Finding speech in a recording needs the .asr. extra: pip install"):
        SileroVoice()


def test_neither_faster_whisper_nor_ctranslate2_is_imported() -> None:
    code = "import sys; from m3ser.inference.timeline import SileroVoice; SileroVoice(); print(sorted(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "onnxruntime" in found
    assert "'faster_whisper'" not in found
    assert "'ctranslate2'" not in found


def test_real_speech_is_cut_where_the_clips_are(recording: Any) -> None:
    segmenter = Segmenter()
    rng = np.random.default_rng(2)
    cuts, place = [], 0
    while place < len(recording.waveform):
        size = int(rng.integers(1, 30_000))
        cuts += segmenter.push(recording.waveform[place : place + size])
        place += size
    cuts += segmenter.finish()
    whole = Segmenter()
    again = whole.push(recording.waveform) + whole.finish()
    assert [(cut.start, cut.end) for cut in again] == [(cut.start, cut.end) for cut in cuts]
    holding = []
    for cut in cuts:
        middle = (cut.start + cut.end) / 2
        holding.append(next(i for i, (start, end) in enumerate(recording.places) if start <= middle <= end))
        start, end = recording.places[holding[-1]]
        assert cut.start >= start - 3200 - 512
        assert cut.end <= end + 3200 + 512
    # Every clip is one sentence: one utterance each.
    assert holding == list(range(len(recording.places)))
