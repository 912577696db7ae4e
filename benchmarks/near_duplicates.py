"""Near-duplicate transcripts beside their peer, datasketch's MinHash LSH, on the same 50,000 texts.

    python benchmarks/near_duplicates.py [MELD GOEMOTIONS]

Two sets of texts: what people wrote and said (rows of MELD and GoEmotions, in the folders named, or those beside the
checkout; left out where there are none), and a made-up corpus that is like IEMOCAP's scripts, where 2,000 sentences are
said again and again with a word or two changed. Both sides get the texts as words, and find the texts of four words or
more that share at least 0.7 of them (Jaccard). m3ser finds all of them; MinHash LSH, with its default 128 permutations,
proposes pairs, whose similarity is then looked at, and misses some. Prints seconds, pairs and the ratio; one run, as it
takes long. Needs the ``dev`` extra.
"""

from __future__ import annotations

import csv
import platform
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import datasketch
from datasketch import MinHash, MinHashLSH

from m3ser.corpora.similarity import LEAST_WORDS, NEAR, group_near_duplicates, near_duplicates, words_of

TEXTS = 50_000
SENTENCES = 2_000
WORDS = 3_000
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "text"

Words = tuple[str, ...]


def main() -> None:
    """Runs both on both sets of texts and prints what they took."""
    folders = [Path(name) for name in sys.argv[1:3]] if len(sys.argv) > 2 else [DATA / "meld", DATA / "goemotions"]
    print(f"{platform.machine()}, Python {platform.python_version()}, datasketch {datasketch.__version__}")
    if all(folder.is_dir() for folder in folders):
        compare("MELD and GoEmotions", written(*folders))
    compare(f"{SENTENCES:,} sentences, varied", scripted())


def written(meld: Path, goemotions: Path) -> list[Words]:
    """Rows of the two corpora, all parts, drawn at random."""
    texts = []
    for path in sorted(meld.rglob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            texts += [row["Utterance"] for row in csv.DictReader(file)]
    for path in sorted(goemotions.rglob("*.tsv")):
        texts += [line.partition("\t")[0] for line in path.read_text(encoding="utf-8").splitlines()]
    return [words_of(text) for text in random.Random(0).sample(texts, min(TEXTS, len(texts)))]


def scripted() -> list[Words]:
    """Sentences of words as common as words are (Zipf), each said many times, with up to two words changed."""
    chance = random.Random(0)
    vocabulary = [f"word{i}" for i in range(WORDS)]
    weights = [1 / (i + 1) for i in range(WORDS)]
    sentences = [chance.choices(vocabulary, weights, k=chance.randint(4, 20)) for _ in range(SENTENCES)]
    texts = []
    for _ in range(TEXTS):
        words = list(chance.choice(sentences))
        for _ in range(chance.randint(0, 2)):
            words[chance.randrange(len(words))] = chance.choices(vocabulary, weights)[0]
        texts.append(tuple(words))
    return texts


def compare(title: str, texts: Sequence[Words]) -> None:
    """Both on the same texts, each distinct set of words once."""
    distinct = list({frozenset(words): words for words in texts if len(words) >= LEAST_WORDS}.values())
    print(f"{title}: {len(texts):,} texts, {len(distinct):,} to compare")
    ours, found = timed(lambda: {(a, b) for a, b, _ in near_duplicates(distinct, range(len(distinct)))})
    grouping, groups = timed(lambda: set(group_near_duplicates(texts)))
    peer, proposed = timed(lambda: minhash_pairs(distinct))
    print(f"  m3ser       {ours:7.2f} s   {len(found):,} pairs")
    print(f"  datasketch  {peer:7.2f} s   {len(proposed):,} pairs, {len(found - proposed):,} of m3ser's missed")
    print(f"  datasketch / m3ser: {peer / ours:.1f}")
    print(f"  grouping all texts, in m3ser: {grouping:.2f} s, {len(groups):,} groups")


def minhash_pairs(texts: Sequence[Words]) -> set[tuple[int, int]]:
    """Pairs of texts that MinHash LSH proposes and that are similar enough."""
    index = MinHashLSH(threshold=NEAR)
    sets = [frozenset(words) for words in texts]
    pairs = set()
    for i, sketch in enumerate(MinHash.generator([[word.encode() for word in words] for words in sets])):
        for j in index.query(sketch):
            shared = len(sets[i] & sets[j])
            if shared >= (NEAR - 1e-9) * (len(sets[i]) + len(sets[j]) - shared):
                pairs.add((j, i))
        index.insert(i, sketch, check_duplication=False)
    return pairs


def timed(work: Callable[[], set]) -> tuple[float, set]:  # type: ignore[type-arg]
    """Wall time of one run of `work`, and what it gives."""
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


if __name__ == "__main__":
    main()
