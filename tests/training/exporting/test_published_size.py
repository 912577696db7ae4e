"""VGGish and BERT-base with random weights: exported, written, loaded without torch's help, the same in any batch."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("onnxscript")

import m3ser  # noqa: E402
from m3ser.inference import Request  # noqa: E402
from m3ser.training import load_recipe  # noqa: E402
from m3ser.training.corpus import prepare  # noqa: E402
from m3ser.training.exporting.checkpoint_export import Exported, export_checkpoint  # noqa: E402
from m3ser.training.run import Trained, train  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

RECIPE = """\
name: published-size
data: {{kind: corpus, corpora: {{iemocap: {corpus}}}, protocol: session}}
audio_encoder: {{kind: vggish, source: null}}
text_encoder: {{kind: text, source: {bert}}}
model: {{system: 3m-ser-ln}}
training: {{epochs: 1, batch_size: 8}}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_encoders: Path, iemocap_tree: Any) -> Trained:
    """One epoch of the fusion behind frozen random encoders, on a few seconds of made-up speech."""
    root = tmp_path_factory.mktemp("published")
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig()).save_pretrained(root / "bert")
    tokenizer = (tiny_encoders / "bert" / "tokenizer.json").read_text(encoding="utf-8")
    (root / "bert" / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    corpus = iemocap_tree(sessions=3, turns=4, labels=("ang", "hap", "sad", "neu"), seconds=(1.1, 2.4))
    path = root / "recipe.yaml"
    path.write_text(RECIPE.format(corpus=corpus.root, bert=root / "bert"), encoding="utf-8")
    recipe = load_recipe(path)
    return train(recipe, prepare(recipe.data), root / "run", cache=root / "cache")


@pytest.fixture(scope="module", params=["fp32", "int8"])
def exported(request: Any, trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_checkpoint(trained.folder, tmp_path_factory.mktemp("bundle") / "out", precision=request.param)


def requests_of(trained: Trained) -> list[Request]:
    utterances = trained.part("test")[0]
    both = [Request(u.audio, text=u.text, start=u.start, end=u.end) for u in utterances]
    return [*both, Request(both[0].audio, text=None), Request(None, text="Nothing but words.")]


def shares(recogniser: Any, requests: list[Request]) -> np.ndarray:
    found = recogniser.predict_batch(requests)
    return np.array([[one.scores[label] for label in recogniser.labels] for one in found])


def test_it_says_what_pytorch_says(exported: Exported) -> None:
    assert exported.parity.fp32.max_logit < 1e-4
    assert exported.parity.fp32.agreement == 1
    if exported.parity.precision == "int8":
        assert exported.parity.layers == 6 + 3 + 72  # VGGish's convolutions and linear layers, BERT's
        size = sum(record.bytes for record in exported.bundle.manifest.files.values())
        assert exported.parity.kept or size < 250e6  # of 735 MB


def test_alone_in_a_batch_and_from_several_threads(exported: Exported, trained: Trained) -> None:
    recogniser = m3ser.load(exported.bundle.folder, transcriber=None, threads=1)
    requests = requests_of(trained)
    # In int8 the last digit of what lies between the products may decide how a number is rounded.
    most = 1e-5 if exported.parity.precision == "fp32" else 2e-3
    alone = np.concatenate([shares(recogniser, [one]) for one in requests])
    np.testing.assert_allclose(shares(recogniser, requests), alone, atol=most)
    found: dict[int, np.ndarray] = {}
    threads = [threading.Thread(target=lambda i=i: found.update({i: shares(recogniser, requests)})) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    for other in found.values():
        np.testing.assert_allclose(other, alone, atol=most)
