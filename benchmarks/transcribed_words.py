"""What it costs the starter to hear the words itself: UA with given words, with transcribed ones, and without any.

    python benchmarks/transcribed_words.py FOLDER [CORPUS ...] [--as LANGUAGE]

FOLDER holds the corpora as recipes/starter/first.yaml names them (speech/ravdess, ...). Only speakers are judged that
the starter was not trained on. By default ravdess, the one corpus of them that is in English, the language of the
starter's text side; its two sentences are spoken in every emotion, so that words can only mislead.
With ``--as en`` the sentences are read as if they were English, whatever they are.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from m3ser.corpora import get_reader, split_by_speaker, write_manifest
from m3ser.training.recipe import PairedRecipe
from m3ser.training.recipe_file import load_recipe


def main() -> None:
    """Write the unseen speakers' manifest, and have it judged by ``m3ser evaluate``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("corpora", nargs="*", default=["ravdess"])
    parser.add_argument("--as", dest="language", help="the language that the sentences are said to be in")
    asked = parser.parse_args()
    data = load_recipe("starter").data
    assert isinstance(data, PairedRecipe)
    scheme = data.emotion_scheme
    voices = [
        utterance
        for name, place in data.voices.items()
        for utterance in get_reader(name).read(asked.folder / place).utterances
        if scheme.class_of(utterance.emotion) is not None
    ]
    unseen = [
        replace(utterance, split=None, language=asked.language or utterance.language)
        for utterance in split_by_speaker(voices, shares=data.speaker_shares, seed=data.seed)
        if utterance.split == "test" and utterance.extra["corpus"] in asked.corpora
    ]
    with tempfile.TemporaryDirectory() as folder:
        manifest = write_manifest(Path(folder, "unseen.csv"), unseen)
        words = ["--text", "given", "--text", "transcribed"]
        subprocess.run([sys.executable, "-m", "m3ser", "evaluate", "starter", str(manifest), *words], check=True)


if __name__ == "__main__":
    main()
