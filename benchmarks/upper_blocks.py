"""What a step of training costs where the upper blocks of Whisper learn: all of it each time, or what learns alone.

    python benchmarks/upper_blocks.py [--runs N]

An encoder of Whisper-tiny's size (random: times do not depend on weights) yields its second and third hidden states,
as the starter's does, over 32 utterances of 3 s: forward and backward, without an optimiser. Where blocks below are
frozen, the lower part never changes; m3ser computes it once and goes on from there, the other side begins with the
log-mel each time. In turns; medians with the fastest and the slowest run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch

from m3ser.encoders import EncoderStates, WhisperArchitecture, WhisperEncoder
from m3ser.encoders.base import freeze_first

TINY = WhisperArchitecture(mel_bins=80, dim=384, layers=4, heads=6, ffn_dim=1536, positions=1500)


def main() -> None:
    """Time both sides, for one and for two frozen blocks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    features = torch.randn(32, 300, TINY.mel_bins)
    mask = torch.ones(features.shape[:2], dtype=torch.bool)
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, n = {runs}")
    for first in (1, 2):
        encoder = WhisperEncoder(TINY, layer=[2, 3], step_seconds=0.96, statistics="mean+std")
        freeze_first(encoder, first)
        encoder.train()
        with torch.no_grad():
            lower, lower_mask = encoder.prefix(features, mask)
        times = in_turns([partial(encoder, features, mask), partial(encoder.forward_from, lower, lower_mask)], runs)
        told = [f"{1e3 * statistics.median(t):.0f} ms ({1e3 * min(t):.0f} to {1e3 * max(t):.0f})" for t in times]
        ratio = statistics.median(times[0]) / statistics.median(times[1])
        print(f"first {first} frozen: all each time {told[0]}, what learns alone {told[1]}; {ratio:.2f} times as fast")


def in_turns(sides: Sequence[Callable[[], EncoderStates]], runs: int) -> list[list[float]]:
    """Seconds of each side's runs, forward and backward; a first round is not counted."""
    times: list[list[float]] = [[] for _ in sides]
    for run in range(runs + 1):
        for side, taken in zip(sides, times, strict=True):
            begun = time.perf_counter()
            side().states.square().mean().backward()
            if run:
                taken.append(time.perf_counter() - begun)
    return times


if __name__ == "__main__":
    main()
