"""How often texts are taken for foreign ones: English that should not be, and sentences of other languages that should.

    python benchmarks/languages.py FOLDER

FOLDER holds text/goemotions, text/meld and speech/{emodb,emovo,nemo}, each with its usual files.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterable
from pathlib import Path

from m3ser.text import clean
from m3ser.text.language import foreign_language


def main() -> None:
    """Print a line for each corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    english: dict[str, Callable[[], Iterable[str]]] = {
        "GoEmotions, test": lambda: _first_column(folder / "text/goemotions/test.tsv"),
        "MELD, test": lambda: _column(folder / "text/meld/test_sent_emo.csv", "Utterance"),
        "MELD, train": lambda: _column(folder / "text/meld/train_sent_emo.csv", "Utterance"),
    }
    for title, read in english.items():
        texts = [text for text in (clean(text).text for text in read()) if text]
        short = [text for text in texts if len(text.split()) <= 4]
        print(f"{title} (English): {_taken(texts)}; of four words or fewer: {_taken(short)}")
    for corpus in ("emodb", "emovo", "nemo"):
        sentences = set(_column(folder / "speech" / corpus / "manifest.csv", "text"))
        print(f"{corpus} (not English): {_taken(sentences)}")


def _taken(texts: Iterable[str]) -> str:
    found = [foreign_language(text) is not None for text in texts]
    return f"{sum(found):,} of {len(found):,} taken for foreign ({sum(found) / max(1, len(found)):.2%})"


def _first_column(path: Path) -> list[str]:
    return [line.partition("\t")[0] for line in path.read_text(encoding="utf-8").splitlines()]


def _column(path: Path, name: str) -> list[str]:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


if __name__ == "__main__":
    main()
