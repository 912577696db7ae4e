"""Training 3M-SER beside the published procedure written as a plain loop, on the same made-up corpus.

    python benchmarks/training.py [--utterances N] [--runs N] [--only frozen|trainable|cache] [--quick]

Three comparisons; the two sides take turns in the same run, each in a process of its own that does nothing else:

``frozen``     an epoch with both encoders frozen, VGGish with its post-processing. m3ser finds their states in the
               cache; the loop runs the encoders again in every epoch, as published.
``trainable``  an epoch in which VGGish learns. m3ser finds BERT's states and VGGish's features in the cache.
``cache``      the frozen encoders over all recordings and sentences once: m3ser fills an empty cache (decoding, front
               end, hashing and writing included), the loop decodes and encodes one utterance after the other.

An epoch is counted twice: the pass over the training part alone (batches, forward, backward, step), and with what comes
after it: on both sides the judging of the validation part; with m3ser under three conditions (voice, words, both), and
its checkpoint of weights and optimiser as well. Not counted: imports, building and loading models, and a first round of
each side. Printed: median, fastest and slowest run, how many times faster m3ser is, and each process's peak memory
(with whatever it loads: both encoders, on either side).

The loop is in ``published_loop.py``: one utterance at a time, nothing kept from epoch to epoch. m3ser takes the batches
that a recipe asks for (by default 32 utterances of similar length): that is most of the gain where VGGish learns, and
it makes fewer steps of an epoch. Sizes, dropout, learning rate and weights of the encoders are the same. BERT-base and
VGGish are random: times do not depend on their weights, and scores mean nothing here. Recordings are noise of 1.94 to
15 s, about as long as IEMOCAP's (log-normal, median 3.5 s); sentences have 4 to 30 tokens.

Needs the extras ``train`` and ``dev``, 8 GB of memory, and 4 GB of disk for encoders and checkpoints.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import datasets  # noqa: F401  (imported on the way otherwise, while the clock runs)
import numpy as np
import soundfile
import torch
import transformers
from numpy.typing import NDArray
from published_loop import PublishedLoop
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import BertConfig, BertModel, TrainerCallback

from m3ser import models
from m3ser.audio import SAMPLE_RATE
from m3ser.encoders import VGGish
from m3ser.schema import Utterance, get_scheme
from m3ser.training import Recipe
from m3ser.training.encoding import Encoders, Material, load_encoders, prepare_material
from m3ser.training.examples import Example, example_of
from m3ser.training.judging import conditions_for, examples_under
from m3ser.training.learner import Learner
from m3ser.training.progress import quiet_libraries
from m3ser.training.provenance import peak_memory
from m3ser.training.trainer import Judging, make_trainer

COMPARISONS = {
    "frozen": "an epoch, both encoders frozen, states cached",
    "trainable": "an epoch, VGGish learns, BERT's states cached",
    "cache": "the frozen encoders once over everything",
}
PASS, WHOLE = "the pass over the training part", "the whole epoch: judging included, and m3ser's checkpoint"
SCHEME = get_scheme("iemocap4")
LEARNING_RATE = 1e-4
WORDS = 2000  # in the made-up language


@dataclass(frozen=True)
class Setting:
    """What every process is told."""

    folder: str
    comparison: str
    batch_size: int
    rounds: int


def main() -> None:
    """Run the comparisons and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=64, help="in the training part; a quarter more to judge by")
    parser.add_argument("--runs", type=int, default=3, help="counted rounds of each side")
    parser.add_argument("--batch-size", type=int, default=32, help="of m3ser")
    parser.add_argument("--only", choices=sorted(COMPARISONS), help="one comparison alone")
    parser.add_argument("--quick", action="store_true", help="8 utterances, one run: whether it works, not how fast")
    parser.add_argument("--side", choices=sorted(SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--setting", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.side:
        take_part(SIDES[wanted.side], Setting(**json.loads(wanted.setting)))
        return
    count, runs = (8, 1) if wanted.quick else (wanted.utterances, wanted.runs)
    with tempfile.TemporaryDirectory() as folder:
        utterances = make_corpus(Path(folder), count)
        make_encoders(Path(folder))
        seconds = sum(soundfile.info(str(one.audio)).duration for one in utterances)
        print(f"{count} utterances to train on, {len(utterances) - count} to judge by, {seconds / 60:.1f} min of sound")
        print(f"{runs} runs of each side in turn; {versions()}")
        for comparison in [wanted.only] if wanted.only else COMPARISONS:
            setting = Setting(folder, comparison, wanted.batch_size, 1 + runs)
            print(f"\n{COMPARISONS[comparison]}", flush=True)
            print_comparison(comparison, compare(setting))


# ---------------------------------------------------------------------------------------------- both sides in turn


class Side:
    """One side of a comparison, in a process of its own that waits for its turns."""

    def __init__(self, name: str, setting: Setting) -> None:
        self.name = name
        self.log = Path(setting.folder) / f"{name}-{setting.comparison}.log"
        command = [sys.executable, __file__, "--side", name, "--setting", json.dumps(asdict(setting))]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.answer()

    def turn(self) -> dict[str, float]:
        """Let it do its work once; the seconds that it took."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, float]:
        """The next thing that it has to say."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} broke off:\n{self.log.read_text()}")
        answer: dict[str, float] = json.loads(line)
        return answer


class Turns:
    """A side's end of it."""

    def wait(self) -> None:
        """Until it is this side's turn."""
        if not sys.stdin.readline():
            sys.exit("The other end is gone.")

    def tell(self, **values: float) -> None:
        """Answer."""
        sys.stdout.write(json.dumps(values) + "\n")
        sys.stdout.flush()


def compare(setting: Setting) -> dict[str, dict[str, list[float]]]:
    """Side -> what was measured -> its value in each counted round."""
    if setting.comparison != "cache":
        # In a process of its own, so that the memory that filling takes is not counted as training's.
        filling = Side(FILL, setting)
        filling.process.communicate()
    sides = [Side(name, setting) for name in (LOOP, OURS)]
    found: dict[str, dict[str, list[float]]] = {side.name: {} for side in sides}
    for number in range(setting.rounds):
        for side in sides:
            for what, value in side.turn().items():
                if number:
                    found[side.name].setdefault(what, []).append(value)
    for side in sides:
        found[side.name]["memory"] = [side.answer()["memory"]]
        side.process.wait()
    return found


def take_part(side: Callable[[Setting, Turns], None], setting: Setting) -> None:
    """In the process of a side: all of its turns, and what they took of memory."""
    transformers.set_seed(0)
    turns = Turns()
    with quiet_libraries():
        side(setting, turns)
    turns.tell(memory=peak_memory() or 0)


def print_comparison(comparison: str, found: dict[str, dict[str, list[float]]]) -> None:
    """Times and ratios of everything measured, and memory."""
    for what in [key for key in found[OURS] if key != "memory"]:
        if comparison != "cache":
            print(f" {what}")
        for name, values in found.items():
            times = values[what]
            print(
                f"  {name:14s} median {statistics.median(times):8.3f} s   fastest {min(times):8.3f}   "
                f"slowest {max(times):8.3f}"
            )
        loop, ours = found[LOOP][what], found[OURS][what]
        medians, fastest = statistics.median(loop) / statistics.median(ours), min(loop) / min(ours)
        print(f"  times faster: {medians:.1f} by the medians, {fastest:.1f} by the fastest runs")
    print("  peak memory: " + ", ".join(f"{name} {values['memory'][0] / 1e9:.2f} GB" for name, values in found.items()))


def versions() -> str:
    """The processor, and what computes."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores; torch {torch.__version__}, transformers {transformers.__version__}"


# ------------------------------------------------------------------------------------------- corpus and encoders


def make_corpus(folder: Path, count: int) -> list[Utterance]:
    """`count` utterances to train on and a quarter more to judge by, as wav files; read again by :func:`corpus`."""
    generator = np.random.default_rng(0)
    rows = []
    for part, size in (("train", count), ("validation", max(2, count // 4))):
        # Evenly spaced quantiles, in random order: even a few utterances have the lengths of many.
        quantiles = (np.arange(size) + 0.5) / size
        normal = statistics.NormalDist()
        seconds = [min(15.0, max(1.94, 3.5 * float(np.exp(0.6 * normal.inv_cdf(q))))) for q in quantiles]
        tokens = np.rint(4 + 26 * quantiles).astype(int)
        for number, (length, words) in enumerate(
            zip(generator.permutation(seconds), generator.permutation(tokens) - 2, strict=True)
        ):
            file = folder / f"{part}{number:05d}.wav"
            soundfile.write(file, noise(round(length * SAMPLE_RATE), generator), SAMPLE_RATE, subtype="PCM_16")
            text = " ".join(f"word{index}" for index in generator.integers(WORDS, size=words))
            rows.append(
                {
                    "audio": str(file),
                    "text": text,
                    "emotion": SCHEME.classes[number % len(SCHEME.classes)],
                    "split": part,
                }
            )
    (folder / "corpus.json").write_text(json.dumps(rows))
    return corpus(folder)


def corpus(folder: Path) -> list[Utterance]:
    """The utterances that :func:`make_corpus` wrote."""
    rows = json.loads((folder / "corpus.json").read_text())
    return [Utterance(Path(row["audio"]), row["emotion"], text=row["text"], split=row["split"]) for row in rows]


def noise(samples: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Noise that swells about as often as syllables do, (samples,) in [-1, 1]."""
    swelling = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(samples) / SAMPLE_RATE)
    return (0.1 * swelling * generator.standard_normal(samples)).clip(-1, 1).astype(np.float32)


def make_encoders(folder: Path) -> None:
    """BERT-base, its tokenizer, VGGish and its PCA, as files in the layouts that they are published in."""
    torch.manual_seed(0)
    with quiet_libraries():
        BertModel(BertConfig()).save_pretrained(folder / "bert")
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])}
    vocabulary |= {f"word{index}": len(vocabulary) + index for index in range(WORDS)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "bert" / "tokenizer.json"))
    torch.save(VGGish().state_dict(), folder / "vggish.pth")
    # Random axes of about unit variance for what a random VGGish gives.
    axes = np.linalg.qr(np.random.default_rng(0).standard_normal((128, 128)))[0].astype(np.float32)
    torch.save({"pca_eigen_vectors": 50 * axes, "pca_means": np.zeros((128, 1), np.float32)}, folder / "pca.pth")


# ------------------------------------------------------------------------------------------------------------ m3ser


def m3ser_side(setting: Setting, turns: Turns) -> None:
    """The code that ``m3ser train`` runs."""
    folder = Path(setting.folder)
    encoders, utterances, examples = load(setting)
    if setting.comparison != "cache":
        material = prepare_material(encoders, examples, cache=folder / "cache").in_memory(examples)
        m3ser_epochs(setting, turns, encoders, material, utterances)
        return
    turns.tell()
    for number in range(setting.rounds):
        turns.wait()
        began = time.perf_counter()
        prepare_material(encoders, examples, cache=folder / f"cache{number}")
        turns.tell(seconds=time.perf_counter() - began)


def fill_cache(setting: Setting, turns: Turns) -> None:
    """What a training finds in the cache."""
    encoders, _, examples = load(setting)
    prepare_material(encoders, examples, cache=Path(setting.folder) / "cache")
    turns.tell()


def load(setting: Setting) -> tuple[Encoders, list[Utterance], list[Example]]:
    """The encoders of the recipe, and the corpus."""
    utterances = corpus(Path(setting.folder))
    return load_encoders(make_recipe(setting)), utterances, [example_of(one, SCHEME) for one in utterances]


def m3ser_epochs(
    setting: Setting, turns: Turns, encoders: Encoders, material: Material, utterances: Sequence[Utterance]
) -> None:
    """One epoch of the Trainer for each turn."""

    class TakeTurns(TrainerCallback):  # type: ignore[misc,unused-ignore]
        """Holds the Trainer at the beginning of each epoch, and times it up to its checkpoint."""

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            turns.tell()

        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            turns.wait()
            self.began = time.perf_counter()

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            self.passed = time.perf_counter()

        def on_save(self, *_: Any, **__: Any) -> None:
            turns.tell(**{PASS: self.passed - self.began, WHOLE: time.perf_counter() - self.began})

    recipe = make_recipe(setting)
    labels = SCHEME.classes
    fusion = models.build(recipe.model.system, text_dim=768, audio_dim=128, num_labels=len(labels), labels=labels)
    judged = [utterance for utterance in utterances if utterance.split == "validation"]
    conditions = conditions_for(fusion.modalities)
    trainer = make_trainer(
        fusion if encoders.all_frozen else Learner(fusion, encoders),
        recipe.training,
        material,
        [utterance for utterance in utterances if utterance.split == "train"],
        Judging({name: examples_under(name, judged, SCHEME) for name in conditions}, conditions[-1], "validation"),
        SCHEME,
        seed=0,
        title=setting.comparison,
        checkpoints=Path(setting.folder) / f"checkpoints-{setting.comparison}",
    )
    trainer.add_callback(TakeTurns())
    trainer.train()


def make_recipe(setting: Setting) -> Recipe:
    """The published training, in batches."""
    folder = Path(setting.folder)
    vggish: dict[str, Any] = {"kind": "vggish", "source": str(folder / "vggish.pth"), "pca": str(folder / "pca.pth")}
    learning = setting.comparison == "trainable"
    return Recipe.model_validate(
        {
            "name": "benchmark",
            "data": {"kind": "corpus", "manifest": folder / "corpus.json", "protocol": "paper"},
            "audio_encoder": vggish | {"postprocess": not learning, "frozen": not learning},
            "text_encoder": {"kind": "text", "source": str(folder / "bert")},
            "model": {"system": "3m-ser-ln"},
            "training": {
                "epochs": setting.rounds,
                "batch_size": setting.batch_size,
                "learning_rate": LEARNING_RATE,
                "weight_decay": 0.0,
                "schedule": "constant",
                "clip_norm": None,
                "bucket_by_length": True,
            },
        }
    )


# ----------------------------------------------------------------------------------------------- the published loop


def loop_side(setting: Setting, turns: Turns) -> None:
    """The published procedure."""
    utterances = corpus(Path(setting.folder))
    learns = setting.comparison == "trainable"
    loop = PublishedLoop(Path(setting.folder), vggish_learns=learns, learning_rate=LEARNING_RATE)
    rows = [(str(one.audio), one.text or "", SCHEME.index_of(one.emotion) or 0) for one in utterances]
    training = [row for row, one in zip(rows, utterances, strict=True) if one.split == "train"]
    judged = [row for row, one in zip(rows, utterances, strict=True) if one.split == "validation"]
    turns.tell()
    for number in range(setting.rounds):
        turns.wait()
        # The first round is not counted: a few utterances are enough for memory and threads to be there.
        most = len(rows) if number else 4
        began = time.perf_counter()
        if setting.comparison == "cache":
            loop.encode(rows[:most])
            turns.tell(seconds=time.perf_counter() - began)
            continue
        loop.train(training[:most])
        passed = time.perf_counter()
        loop.judge(judged[:most])
        turns.tell(**{PASS: passed - began, WHOLE: time.perf_counter() - began})


LOOP, OURS, FILL = "published loop", "m3ser", "m3ser, filling the cache"
SIDES: dict[str, Callable[[Setting, Turns], None]] = {LOOP: loop_side, OURS: m3ser_side, FILL: fill_cache}

if __name__ == "__main__":
    main()
