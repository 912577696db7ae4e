"""The benchmark of training: both of its sides do the same work, and it prints what it measured."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("torchvggish")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    if not BENCHMARKS.is_dir():
        pytest.skip("needs a checkout, with the benchmarks beside the tests")
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module("training")
    for name in ("training", "published_loop"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("learns", [False, True])
def test_both_sides_train_the_same_on_the_same(benchmark: ModuleType, tmp_path: Path, learns: bool) -> None:
    utterances = benchmark.make_corpus(tmp_path, 2)
    benchmark.make_encoders(tmp_path)
    setting = benchmark.Setting(str(tmp_path), "trainable" if learns else "frozen", batch_size=2, rounds=1)
    loop = benchmark.PublishedLoop(tmp_path, vggish_learns=learns, learning_rate=benchmark.LEARNING_RATE)
    encoders, _, examples = benchmark.load(setting)
    material = benchmark.prepare_material(encoders, examples, cache=tmp_path / "cache")
    for utterance, example in zip(utterances, examples, strict=True):
        with torch.no_grad():
            words, voice = loop.words(utterance.text)[0], loop.voice(str(utterance.audio))[0]
            ours = torch.from_numpy(material.audio[example.audio])
            if learns:
                ours = encoders.audio(ours[None], torch.ones(1, len(ours), dtype=torch.bool)).states[0]
        np.testing.assert_allclose(material.text[example.text], words, atol=2e-3)  # kept as float16
        # An embedding that lies halfway between two of the 256 levels may be rounded either way.
        np.testing.assert_allclose(ours, voice, atol=1e-5 if learns else 1)
        assert voice.std() > 0
    fusion = benchmark.models.build("3m-ser-ln", text_dim=768, audio_dim=128, num_labels=4)
    assert sum(p.numel() for p in loop.fusion.parameters()) == fusion.num_parameters()
    before = {name: value.clone() for name, value in loop.vggish.state_dict().items()}
    loop.train([(str(utterances[0].audio), utterances[0].text, 1)])
    moved = any(not torch.equal(value, before[name]) for name, value in loop.vggish.state_dict().items())
    assert moved == learns


@pytest.mark.parametrize(("comparison", "counted"), [("frozen", 2), ("trainable", 2), ("cache", 1)])
def test_it_prints_times_ratios_and_memory(comparison: str, counted: int) -> None:
    command = [sys.executable, str(BENCHMARKS / "training.py"), "--quick", "--only", comparison]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    loop = [float(found) for found in re.findall(r"published loop median +([\d.]+) s", printed)]
    ours = [float(found) for found in re.findall(r"m3ser +median +([\d.]+) s", printed)]
    ratios = [float(found) for found in re.findall(r"times faster: ([\d.]+) by the medians", printed)]
    assert len(loop) == len(ours) == len(ratios) == counted
    np.testing.assert_allclose(ratios, np.array(loop) / np.array(ours), rtol=0.1, atol=0.1)
    memory = re.search(r"peak memory: published loop ([\d.]+) GB, m3ser ([\d.]+) GB", printed)
    assert memory is not None
    # BERT and VGGish alone are 0.73 GB.
    assert all(0.7 < float(found) < 20 for found in memory.groups())
