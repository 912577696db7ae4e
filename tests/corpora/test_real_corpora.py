"""The readers on real copies: every count, and every recording against the tables that came with them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from m3ser.corpora import READERS, Corpus
from m3ser.corpora import crema_d as crema_d_reader
from m3ser.schema import IEMOCAP4

# utterances; angry, happy, sad, neutral
COUNTS = {
    "emodb": (535, (127, 71, 62, 79)),
    "ravdess": (1440, (192, 192, 192, 96)),
    "emovo": (588, (84, 84, 84, 84)),
    "nemo": (4481, (749, 749, 769, 809)),
    "crema-d": (22, (4, 3, 3, 3)),
    "goemotions": (27_476, (3376, 3895, 2094, 16_021)),
    "meld": (13_708, (1607, 2308, 1002, 6436)),
}
COMPLETE_SPEECH = ("emodb", "ravdess", "emovo", "nemo")


@pytest.mark.parametrize("name", COUNTS)
def test_counts(real: Callable[[str], Corpus], name: str) -> None:
    corpus = real(name)
    utterances, classes = COUNTS[name]
    assert len(corpus.utterances) == utterances
    assert tuple(corpus.class_counts(IEMOCAP4).values()) == classes


@pytest.mark.parametrize("name", [*COMPLETE_SPEECH, "goemotions", "meld"])
def test_a_complete_copy_is_found_complete(real: Callable[[str], Corpus], name: str) -> None:
    corpus = real(name)
    assert corpus.findings == ()
    assert len(corpus.utterances) + sum(corpus.left_out.values()) == corpus.info.utterances
    if corpus.info.speakers is not None:
        assert len({utterance.speaker for utterance in corpus.utterances}) == corpus.info.speakers


@pytest.mark.parametrize("name", COMPLETE_SPEECH)
def test_a_complete_copy_has_the_published_counts(real: Callable[[str], Corpus], name: str) -> None:
    corpus = real(name)
    assert Counter(utterance.extra["label"] for utterance in corpus.utterances) == corpus.info.counts
    assert corpus.info.class_counts(IEMOCAP4) == corpus.class_counts(IEMOCAP4)


def test_goemotions_has_the_published_counts(real: Callable[[str], Corpus]) -> None:
    folder = real("goemotions").folder
    numbers = Counter(
        number
        for part in ("train.tsv", "dev.tsv", "test.tsv")
        for row in (folder / part).read_text(encoding="utf-8").splitlines()
        for number in row.split("\t")[1].split(",")
    )
    labels = (folder / "labels.txt").read_text(encoding="utf-8").split()
    assert {label: numbers[str(i)] for i, label in enumerate(labels)} == READERS["goemotions"].INFO.counts


@pytest.mark.parametrize("name", COMPLETE_SPEECH)
def test_every_recording_agrees_with_the_table_beside_it(real: Callable[[str], Corpus], name: str) -> None:
    corpus = real(name)
    with (corpus.folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        table = {corpus.folder / row["file"]: row for row in csv.DictReader(file)}
    assert {utterance.audio for utterance in corpus.utterances} == set(table)
    for utterance in corpus.utterances:
        assert utterance.audio is not None
        row = table[utterance.audio]
        assert utterance.text == row["text"]
        assert utterance.speaker == f"{name}/{row['speaker']}"
        assert utterance.script == f"{name}/{row['sentence_id']}"
        assert utterance.extra["label"] == row["emotion"]
        assert utterance.extra["gender"] == {"F": "female", "M": "male"}[row["gender"]]
        assert utterance.extra.get("intensity", "") == row["intensity"]
        assert float(utterance.extra["duration"]) == pytest.approx(float(row["dur"]), abs=0.02)


def test_crema_d_clips_that_come_with_the_package(demo_clips: Path, demo_rows: list[dict[str, str]]) -> None:
    corpus = READERS["crema-d"].read(demo_clips)
    expected = {row["audio"]: (row["emotion"], row["text"], row["speaker"]) for row in demo_rows}
    found = {
        u.audio.name: (u.emotion, u.text, (u.speaker or "").removeprefix("crema-d/"))
        for u in corpus.utterances
        if u.audio
    }
    assert found == expected
    assert len(corpus.findings) == 2  # whole speakers, and recordings of those who are there


def test_crema_d_knows_the_names_of_all_recordings(shared_data: Path) -> None:
    table = shared_data / "corpus_formats" / "crema_d" / "SentenceFilenames.csv"
    if not table.is_file():
        pytest.skip("needs CREMA-D's table of file names")
    with table.open(encoding="utf-8", newline="") as file:
        published = {row["Filename"] for row in csv.DictReader(file)}
    known = set().union(*(crema_d_reader._published(actor) for actor in crema_d_reader._ACTORS))
    assert published == known | {crema_d_reader._SILENT}
    assert len(published) == READERS["crema-d"].INFO.utterances


def test_crema_d_actors_come_from_its_table(shared_data: Path, tmp_path: Path, demo_clips: Path) -> None:
    table = shared_data / "corpus_formats" / "crema_d" / "VideoDemographics.csv"
    if not table.is_file():
        pytest.skip("needs CREMA-D's table of actors")
    (tmp_path / "VideoDemographics.csv").write_bytes(table.read_bytes())
    (tmp_path / "AudioWAV").mkdir()
    (tmp_path / "AudioWAV" / "1001_DFA_ANG_XX.wav").write_bytes((demo_clips / "1001_DFA_ANG_XX.wav").read_bytes())
    for folder in (tmp_path, tmp_path / "AudioWAV"):
        (utterance,) = READERS["crema-d"].read(folder).utterances
        assert (utterance.extra["gender"], utterance.extra["age"]) == ("male", "51")


def test_official_parts_of_the_text_corpora(real: Callable[[str], Corpus]) -> None:
    assert Counter(u.split for u in real("meld").utterances) == {"train": 9989, "validation": 1109, "test": 2610}
    parts = Counter((u.split, IEMOCAP4.class_of(u.emotion)) for u in real("goemotions").utterances)
    assert [parts["test", label] for label in IEMOCAP4.classes] == [351, 350, 211, 1606]
    assert [parts["validation", label] for label in IEMOCAP4.classes] == [319, 390, 194, 1592]


def test_every_utterance_has_what_a_reader_promises(real: Callable[[str], Corpus]) -> None:
    for name in COUNTS:
        corpus = real(name)
        ids = [utterance.extra["id"] for utterance in corpus.utterances]
        assert len(set(ids)) == len(ids)
        for utterance in corpus.utterances:
            assert utterance.extra["corpus"] == name
            assert utterance.text
            assert utterance.language in corpus.info.languages
            if name != "goemotions":
                assert corpus.info.labels[utterance.extra["label"]] == utterance.emotion
