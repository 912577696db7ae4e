"""Any folder that is sorted by emotion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from m3ser.corpora import read_labelled_folder
from m3ser.errors import DataError, UsageError

Tree = Callable[[Iterable[str]], Path]


def test_sub_folders_are_labels_at_any_depth(tree: Tree) -> None:
    root = tree(["Anger/a.wav", "ang/b.wav", "joy/deep/down/c.flac", "anna/sad/d.wav", "happy/angry/e.wav"])
    corpus = read_labelled_folder(root)
    assert {u.extra["id"]: (u.emotion, u.extra["label"]) for u in corpus.utterances} == {
        "Anger/a": ("angry", "Anger"),
        "ang/b": ("angry", "ang"),
        "anna/sad/d": ("sad", "sad"),
        "happy/angry/e": ("angry", "angry"),  # the nearest
        "joy/deep/down/c": ("happy", "joy"),
    }
    first = corpus.utterances[0]
    assert (first.text, first.speaker, first.language, first.split) == (None, None, None, None)
    assert first.extra["corpus"] == "copy"
    assert first.extra["duration"] == "0.050"
    assert corpus.findings == ()
    assert dict(corpus.info.counts) == {"Anger": 1, "ang": 1, "sad": 1, "angry": 1, "joy": 1}
    assert corpus.info.speakers is None


def test_a_map_by_hand_goes_first(tree: Tree) -> None:
    root = tree(["wut/a.wav", "joy/b.wav", "pics/c.wav", "d.wav"])
    corpus = read_labelled_folder(root, label_map={"Wut": "angry", "joy": "excited"})
    assert [u.emotion for u in corpus.utterances] == ["excited", "angry"]
    assert dict(corpus.left_out) == {
        "in folder '.', which names no emotion": 1,
        "in folder 'pics', which names no emotion": 1,
    }


def test_words_and_speakers(tree: Tree) -> None:
    root = tree(["angry/anna_01.wav", "sad/ben_01.wav", "sad/x.wav"])
    (root / "angry" / "anna_01.txt").write_bytes(b"I said\r\nno.\r\n")
    (root / "sad" / "ben_01.txt").write_bytes("Schön.".encode("latin-1"))
    corpus = read_labelled_folder(root, speaker_pattern=r"([a-z]+)_\d+", language="de")
    assert [(u.text, u.speaker, u.language) for u in corpus.utterances] == [
        ("I said no.", "copy/anna", "de"),
        ("Schön.", "copy/ben", "de"),
        (None, None, "de"),
    ]
    assert corpus.findings == ("The pattern finds no speaker in the path (1): sad/x.wav.",)
    assert corpus.info.speakers == 2


@pytest.mark.parametrize("pattern", ["anna|ben", "/(anna|ben)", "(?P<x>a)?.*/(?P<speaker>[a-z]+)_"])
def test_what_of_a_match_is_the_speaker(tree: Tree, pattern: str) -> None:
    root = tree(["angry/anna_01.wav", "sad/ben_01.wav"])
    speakers = [u.speaker for u in read_labelled_folder(root, speaker_pattern=pattern).utterances]
    assert speakers == ["copy/anna", "copy/ben"]


def test_faults_are_reported(tree: Tree) -> None:
    root = tree(["angry/a.wav", "angry/a.flac", "angry/b.wav", "sad/a.wav"])
    (root / "angry" / "b.wav").write_bytes(b"")
    (root / "angry" / "._a.wav").write_bytes(b"\0\5\x16\7")
    corpus = read_labelled_folder(root)
    assert [u.audio for u in corpus.utterances] == [root / "angry" / "a.wav", root / "sad" / "a.wav"]
    assert corpus.findings == (
        "There in more than one format, the least processed is used (1): angry/a.flac.",
        "Empty, left out (1): angry/b.wav.",
    )


def test_progress_is_told(tree: Tree) -> None:
    told: list[tuple[int, int]] = []
    read_labelled_folder(tree(["angry/a.wav", "sad/b.wav"]), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_folders_that_name_no_emotion_are_refused(tree: Tree, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"named after an emotion \(found cats, dogs\); expected angry, happy"):
        read_labelled_folder(tree(["cats/a.wav", "dogs/b.wav"]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="found no audio files"):
        read_labelled_folder(tmp_path / "empty")
    with pytest.raises(DataError, match="is not there"):
        read_labelled_folder(tmp_path / "gone")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="is a file"):
        read_labelled_folder(tmp_path / "file")


def test_a_bad_pattern_is_refused(tree: Tree) -> None:
    with pytest.raises(UsageError, match=r"Speaker pattern '\(' is not a regular expression"):
        read_labelled_folder(tree(["angry/a.wav"]), speaker_pattern="(")
