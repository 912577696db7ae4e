"""Bundles beside each other: how fast they answer, and what becomes of the last digit of a recording.

    python benchmarks/bundles.py BUNDLE [BUNDLE ...] [--runs N] [--trials N]

- one by one, in batches: the thirteen clips of the package with their words given, decoding included, one core; the
  bundles in turn, medians with the fastest and the slowest run.
- noise: each clip is multiplied by 1 + 2e-7 times white noise, which changes float32's last digit; told is by how much
  any score of it changes. Models in int8 round what that digit decides, as they do where another processor adds up in
  another order.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np

from m3ser import inference
from m3ser.audio import SAMPLE_RATE, load_waveform
from m3ser.bench.material import clips
from m3ser.bench.measure import take_turns, timed
from m3ser.bench.starter import answers

_NOISE = 2e-7


def main() -> None:
    """Print two rows of speed and one of noise for each bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", help="names or folders; ratios are to the first")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each")
    parser.add_argument("--trials", type=int, default=8, help="draws of noise for each clip")
    asked = parser.parse_args()
    for title, batched in (("one by one", False), ("in batches", True)):
        sides = [answers(4 if batched else 1, batched=batched, model=bundle) for bundle in asked.bundles]
        figures = take_turns([partial(timed, side.run) for side in sides], runs=asked.runs)
        for bundle, side, figure in zip(asked.bundles, sides, figures, strict=True):
            assert side.audio_seconds is not None
            print(
                f"{title}, {bundle}: {1e3 * figure.median:.0f} ms ({1e3 * figure.lowest:.0f} to "
                f"{1e3 * figure.highest:.0f}), {side.audio_seconds / figure.median:.0f} times real time, "
                f"{figures[0].median / figure.median:.2f} times as fast as the first"
            )
    for bundle in asked.bundles:
        changes = _changes(bundle, asked.trials)
        print(
            f"noise, {bundle}: a score changes by {np.median(changes):.1e} (median), {changes.max():.1e} (most) in "
            f"{len(changes)} trials"
        )


def _changes(bundle: str, trials: int) -> np.ndarray:
    """The largest change of a score in each trial."""
    recogniser = inference.load(bundle, transcriber=None, threads=1)
    rng = np.random.default_rng(0)
    found = []
    for clip in clips():
        waveform = load_waveform(clip.path)

        def scores(heard: np.ndarray, text: str = clip.text) -> np.ndarray:
            return np.array([*recogniser.predict(heard, text=text, sample_rate=SAMPLE_RATE).scores.values()])

        before = scores(waveform)
        for _ in range(trials):
            noise = rng.standard_normal(waveform.shape, dtype=np.float32)
            found.append(np.abs(scores(waveform * (1 + np.float32(_NOISE) * noise)) - before).max())
    return np.array(found)


if __name__ == "__main__":
    main()
