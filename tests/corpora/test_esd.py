"""ESD: numbers that say everything, and tables in four encodings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from m3ser.corpora import esd

Tree = Callable[[Iterable[str]], Path]

FOLDERS = ("Neutral", "Angry", "Happy", "Sad", "Surprise")
EMOTIONS = ("neutral", "angry", "happy", "sad", "surprised")


def one_of_each(speaker: str) -> list[str]:
    """The first sentence of each emotion, as published."""
    return [f"{speaker}/{folder}/evaluation/{speaker}_{350 * i + 1:06}.wav" for i, folder in enumerate(FOLDERS)]


def test_what_a_number_says(tree: Tree) -> None:
    corpus = esd.read(tree(["0011/Angry/train/0011_000401.wav", "0003/Surprise/test/0003_001421.wav"]))
    surprised, angry = corpus.utterances
    assert (angry.emotion, angry.speaker, angry.script, angry.language) == ("angry", "esd/0011", "esd/en-051", "en")
    assert (angry.split, angry.extra["gender"], angry.extra["label"]) == ("train", "male", "Angry")
    assert (surprised.emotion, surprised.script, surprised.language) == ("surprised", "esd/zh-021", "zh")
    assert (surprised.split, surprised.extra["gender"]) == ("test", "female")


def test_a_sentence_is_the_same_in_all_emotions_and_for_all_speakers_of_its_language(tree: Tree) -> None:
    paths = [path for speaker in ("0001", "0010", "0011", "0020") for path in one_of_each(speaker)]
    corpus = esd.read(tree([f"Emotional Speech Dataset (ESD)/{path}" for path in paths]))
    assert Counter(u.script for u in corpus.utterances) == {"esd/zh-001": 10, "esd/en-001": 10}
    assert Counter(u.emotion for u in corpus.utterances) == dict.fromkeys(EMOTIONS, 4)


@pytest.mark.parametrize(("number", "part"), [(1, "validation"), (20, "validation"), (21, "test"), (50, "test")])
def test_without_folders_the_number_tells_the_part(tree: Tree, number: int, part: str) -> None:
    (utterance, last) = esd.read(tree([f"0011/Sad/0011_{1050 + number:06}.wav", "0011/Sad/0011_001101.wav"])).utterances
    assert (utterance.split, last.split) == (part, "train")


def test_where_folders_and_numbers_differ_the_folder_tells_the_part(tree: Tree) -> None:
    (utterance,) = esd.read(tree(["0011/Angry/train/0011_000351.wav"])).utterances
    assert utterance.split == "train"


MANDARIN = "0001_000001\t打远一看它们的确很是美丽\t中立\n0001_000351\t打远一看它们的确很是美丽\t生气\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_mandarin_tables(tree: Tree, encoding: str, line_end: str) -> None:
    root = tree(one_of_each("0001")[:2])
    (root / "0001" / "0001.txt").write_bytes(MANDARIN.replace("\n", line_end).encode(encoding))
    corpus = esd.read(root)
    assert [u.text for u in corpus.utterances] == ["打远一看它们的确很是美丽"] * 2
    assert not any("without their words" in finding for finding in corpus.findings)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
def test_english_tables(tree: Tree, encoding: str) -> None:
    root = tree(one_of_each("0016"))
    rows = [
        "0016_000001\tThe nine the eggs, I keep.\tNeutral",
        "0016_000351\tAt the café in 8 minutes.\tAngry",
        "0016_000701 Blanks in place of tabs. Happy",
        "0016_001051\tNo label here.",
        "",
        "a line of something else",
        "0016_001401\t\tSurprise",
    ]
    (root / "0016" / "0016.txt").write_bytes("\r\n".join(rows).encode(encoding))
    corpus = esd.read(root)
    assert [u.text for u in corpus.utterances] == [
        "The nine the eggs, I keep.",
        "At the café in 8 minutes.",
        "Blanks in place of tabs.",
        "No label here.",
        None,
    ]
    assert "Recordings without their words, which no table (0001.txt and so on) has: 1." in corpus.findings


def test_an_emotion_at_the_end_of_a_sentence_stays_in_it() -> None:
    assert esd._words("He was Happy\tNeutral") == "He was Happy"
    assert esd._words("Never Unhappy\tSad") == "Never Unhappy"
    assert esd._words("Unhappy") == "Unhappy"


def test_names_that_esd_does_not_have(tree: Tree) -> None:
    corpus = esd.read(tree(["0011/Angry/0011_000351.wav", "0021/Angry/0021_000351.wav", "0011/Sad/0011_001751.wav"]))
    assert len(corpus.utterances) == 1
    assert dict(corpus.left_out) == {"name with a speaker or number that ESD does not have": 2}


def test_a_complete_speaker(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    sound = write_wav(tmp_path / "sound.wav", seconds=0.01).read_bytes()
    (tmp_path / "sound.wav").unlink()
    for number in range(1, 1751):
        path = tmp_path / "0012" / FOLDERS[(number - 1) // 350] / f"0012_{number:06}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sound)
    corpus = esd.read(tmp_path)
    assert Counter(u.emotion for u in corpus.utterances) == dict.fromkeys(EMOTIONS, 350)
    assert Counter(u.split for u in corpus.utterances) == {"train": 1500, "test": 150, "validation": 100}
    assert corpus.findings == (
        "Nothing is there of 19 of the 20 speakers (0001, 0002, 0003 and 16 more): 33,250 recordings.",
        "Recordings without their words, which no table (0001.txt and so on) has: 1,750.",
    )
    (tmp_path / "0012" / "Sad" / "0012_001399.wav").unlink()
    (finding,) = [finding for finding in esd.read(tmp_path).findings if finding.startswith("Missing")]
    assert finding == "Missing recordings: 1 of speaker 0012's 1750 (such as 0012_001399)."
