"""Rows: the bundled model from files to answers on one core, beside a speech classifier of transformers."""

from __future__ import annotations

import os
from typing import Any

from m3ser.bench.rows import Ready, Row, Side

__all__ = ["ROWS", "answers", "transcribed", "wav2vec2_pipeline"]

_BATCHED_COPIES = 4  # of the thirteen clips, so that the recogniser's largest chunks are filled
_CORES = 1


def answers(
    copies: int = 1, *, batched: bool = False, count: int | None = None, model: str | os.PathLike[str] = "starter"
) -> Ready:
    """``predict`` of each clip with its words, or ``predict_batch`` of all; files are read and decoded in each run.

    Args:
        copies: how often the clips are gone through in one run; the figure is the seconds for one time.
        batched: all at once.
        count: of the clips; None: all of them.
        model: another bundle than the package's own.
    """
    import time

    from m3ser import inference
    from m3ser.bench.material import clips

    chosen = clips()[:count]
    recogniser = inference.load(model, transcriber=None, threads=_CORES)
    requests = [inference.Request(clip.path, text=clip.text) for clip in chosen] * copies

    def run() -> float:
        began = time.perf_counter()
        if batched:
            recogniser.predict_batch(requests)
        else:
            for request in requests:
                recogniser.predict(request.audio, text=request.text)
        return (time.perf_counter() - began) / copies

    return Ready(run, audio_seconds=sum(_seconds(clip.path) for clip in chosen))


def transcribed(count: int | None = None) -> Ready:
    """``predict`` of each clip, its words transcribed by Moonshine."""
    from m3ser import inference
    from m3ser.bench.material import clips

    chosen = clips()[:count]
    recogniser = inference.load(transcriber="moonshine", threads=_CORES)

    def run() -> None:
        for clip in chosen:
            recogniser.predict(clip.path)

    return Ready(run, audio_seconds=sum(_seconds(clip.path) for clip in chosen))


def wav2vec2_pipeline(*, batch_size: int = 1, count: int | None = None, layers: int = 12, hidden: int = 768) -> Ready:
    """The audio-classification pipeline of transformers with a random wav2vec2 of base size (95 million parameters).

    It is given the decoded waveforms of the same clips.

    Args:
        batch_size: the pipeline's.
        count: of the clips; None: all of them.
        layers: of its encoder.
        hidden: features of its states, a multiple of 12.
    """
    import torch
    from transformers import (
        AudioClassificationPipeline,
        Wav2Vec2Config,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForSequenceClassification,
    )

    from m3ser.audio import SAMPLE_RATE, load_waveform
    from m3ser.bench.material import clips

    torch.manual_seed(0)
    torch.set_num_threads(_CORES)
    config = Wav2Vec2Config(
        num_hidden_layers=layers, hidden_size=hidden, intermediate_size=4 * hidden, num_attention_heads=12
    )
    config.num_labels = 4
    pipeline: Any = AudioClassificationPipeline(
        model=Wav2Vec2ForSequenceClassification(config).eval(),
        feature_extractor=Wav2Vec2FeatureExtractor(),
        device=-1,
    )
    waveforms = [load_waveform(clip.path) for clip in clips()[:count]]

    def run() -> None:
        if batch_size > 1:
            pipeline(list(waveforms), batch_size=batch_size)
            return
        for waveform in waveforms:
            pipeline(waveform)

    return Ready(run, audio_seconds=sum(map(len, waveforms)) / SAMPLE_RATE)


def _seconds(path: Any) -> float:
    from m3ser.audio import probe

    duration = probe(path).duration
    assert duration is not None  # the package's own WAV files say how long they are
    return duration


_MIXED = "its products are partly of whole numbers and partly of float32"
_PEER = "transformers, random wav2vec2-base"
_INSTALL = 'pip install "m3ser[train]"'

ROWS = (
    Row(
        name="starter-clips",
        what="starter model, 13 clips (29 s) one by one with given text, decoding included, one core",
        ours=Side("m3ser", f"{__name__}:answers"),
        peer=Side(_PEER, f"{__name__}:wav2vec2_pipeline", install=_INSTALL),
        cores=_CORES,
        aim_real_time=100,
        no_limit=_MIXED,
    ),
    Row(
        name="starter-batch",
        what="the same in batches (the peer's: of 8)",
        ours=Side("m3ser", f"{__name__}:answers", {"copies": _BATCHED_COPIES, "batched": True}),
        peer=Side(_PEER, f"{__name__}:wav2vec2_pipeline", {"batch_size": 8}, install=_INSTALL),
        cores=_CORES,
        aim_real_time=100,
        no_limit=_MIXED,
    ),
    Row(
        name="starter-transcribed",
        what="starter model, 13 clips one by one, transcribed by Moonshine, one core",
        ours=Side("m3ser", f"{__name__}:transcribed", install='pip install "m3ser[asr]"'),
        peer=None,
        cores=_CORES,
        aim_real_time=10,
        no_limit="how many tokens are decoded depends on what is said",
        no_peer="no other that transcribes and judges without a download",
    ),
)
"""The starter model, alone, in batches, and with its own transcripts."""
