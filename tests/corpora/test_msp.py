"""The readers of MSP-IMPROV and MSP-Podcast on small copies in their published layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from m3ser.corpora import READERS
from m3ser.errors import DataError
from m3ser.schema import IEMOCAP4, Utterance

Tree = Callable[[Iterable[str]], Path]
IMPROV = READERS["msp-improv"]
PODCAST = READERS["msp-podcast"]

EVALUATION = """\
UTD-IMPROV-S03H-F05-R-FM02.avi; N; A:3.100000; V:3.000000; D:2.900000 ; N:4.500000;
rater-p1; Neutral; Neutral,Calm; A:3.000000; V:3.000000; D:3.000000; N:5.000000;
rater-p2; Happy; Happy; A:3.000000; V:3.000000; D:3.000000; N:5.000000;
rater-p3; Neutral; Neutral; A:3.000000; V:3.000000; D:3.000000; N:5.000000;
rater-p3; Neutral; Neutral; A:3.000000; V:3.000000; D:3.000000; N:5.000000;

UTD-IMPROV-S03A-M05-S-MF01.avi; A; A:4.000000; V:1.500000; D:NaN ; N:NaN;

UTD-IMPROV-S20N-M06-P-FM11.avi; X; A:3.000000; V:3.000000; D:3.000000 ; N:3.000000;

UTD-IMPROV-S01S-F01-T-FM01.avi; O; A:2.000000; V:2.000000; D:2.000000 ; N:3.000000;

UTD-IMPROV-S01S-F01-T-FM01.avi; S; A:2.000000; V:2.000000; D:2.000000 ; N:3.000000;

UTD-IMPROV-S02N-F02-R-FM01.avi; Q; A:2.000000; V:2.000000; D:2.000000 ; N:3.000000;

UTD-IMPROV-S02N-F02-R-FM02.avi; N; A:2.000000; V:2.000000; D:2.000000 ; N:3.000000;
"""
IMPROV_WAVS = [
    "Audio/session5/S03H/R/MSP-IMPROV-S03H-F05-R-FM02.wav",
    "Audio/session5/S03A/S/UTD-IMPROV-S03A-M05-S-MF01.wav",
    "Audio/session6/S20N/P/MSP-IMPROV-S20N-M06-P-FM11.wav",
    "Audio/session1/S01S/T/MSP-IMPROV-S01S-F01-T-FM01.wav",
    "Audio/session1/S01S/T/MSP-IMPROV-S01S-F01-T-FM09.wav",
]


def improv(tree: Tree, *, table: str = "Evalution.txt", line_end: str = "\n") -> Path:
    root = tree(IMPROV_WAVS)
    (root / table).write_bytes(EVALUATION.replace("\n", line_end).encode())
    texts = root / "All_human_transcriptions"
    texts.mkdir()
    (texts / "MSP-IMPROV-S03H-F05-R-FM02.txt").write_bytes(b"I'm quite sure,\r\nd\xe9j\xe0 vu. \r\n")
    return root


@pytest.mark.parametrize(("table", "line_end"), [("Evalution.txt", "\n"), ("Evaluation.txt", "\r\n")])
def test_improv_turns(tree: Tree, table: str, line_end: str) -> None:
    root = improv(tree, table=table, line_end=line_end)
    corpus = IMPROV.read(root)
    read, improvised, target = corpus.utterances
    assert read == Utterance(
        audio=root / IMPROV_WAVS[0],
        emotion="neutral",
        text="I'm quite sure, d\u00e9j\u00e0 vu.",
        speaker="msp-improv/F05",
        session="msp-improv/05",
        script="msp-improv/S03",
        language="en",
        valence=3.0,
        arousal=3.1,
        dominance=2.9,
        extra={
            "corpus": "msp-improv",
            "id": "MSP-IMPROV-S03H-F05-R-FM02",
            "label": "N",
            "gender": "female",
            "kind": "read target",
            "intended": "happy",
            "naturalness": "4.5",
            "agreement": "0.667",
            "duration": "0.050",
        },
    )
    assert (improvised.emotion, improvised.speaker, improvised.script) == ("angry", "msp-improv/M05", "msp-improv/S03")
    assert improvised.audio == root / IMPROV_WAVS[1]  # called as its video is
    assert improvised.extra["id"] == "MSP-IMPROV-S03A-M05-S-MF01"
    assert (improvised.valence, improvised.arousal, improvised.dominance) == (1.5, 4.0, None)
    assert "naturalness" not in improvised.extra
    assert "agreement" not in improvised.extra
    assert improvised.extra["kind"] == "improvised"
    assert (target.emotion, target.extra["kind"], target.text) == ("other", "improvised target", None)
    assert dict(corpus.left_out) == {"no label that the annotators agree on (X)": 1}
    assert corpus.findings == (
        "Annotated, but the recording is not there, left out (1): MSP-IMPROV-S02N-F02-R-FM02.",
        "Recordings without annotation, left out (1): MSP-IMPROV-S01S-F01-T-FM09.",
        f"Lines of {table} with a label that MSP-IMPROV does not have, ignored (1): 15.",
        "Annotated more than once, the first is used (1): MSP-IMPROV-S01S-F01-T-FM01.",
        f"{table} has 5 of 8,438 turns.",
        "Annotated, but not transcribed (3): MSP-IMPROV-S03A-M05-S-MF01, MSP-IMPROV-S01S-F01-T-FM01, "
        "MSP-IMPROV-S02N-F02-R-FM02.",
    )


def test_improv_without_its_table_is_refused(tree: Tree) -> None:
    with pytest.raises(DataError, match=r"looked for Evalution\.txt or Evaluation\.txt, found neither"):
        IMPROV.read(tree(IMPROV_WAVS))


def test_improv_counts_agree_with_each_other() -> None:
    assert sum(IMPROV.INFO.counts.values()) == IMPROV.INFO.utterances
    assert sum(IMPROV.INFO.class_counts(IEMOCAP4).values()) == 7798


CONSENSUS = """\
FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
MSP-PODCAST_0001_0008.wav,N,2.2,4.0,2.6,30,Male,Test1
MSP-PODCAST_0001_0009.wav,H,3.777778,3.555556,3.777778,39,Female,Test2
MSP-PODCAST_0023_0047_01.wav,U,,nan,5.0,Unknown,Unknown,Train
MSP-PODCAST_0024_0001.wav,C,3.0,3.75,3.166667,40,Male,Train
MSP-PODCAST_0024_0002.wav,X,3.0,3.75,3.166667,40,Male,Train
MSP-PODCAST_0025_0001.wav,D,2.4,4.2,2.8,41,Male,Development
MSP-PODCAST_0025_0001.wav,A,2.4,4.2,2.8,41,Male,Development
MSP-PODCAST_0025_0002.wav,A,2.4,4.2,2.8,41,Male,Development
MSP-PODCAST_0025_0003.wav,,2.4,4.2,2.8,41,Male,Development
"""
PODCAST_WAVS = [
    "Audios/MSP-PODCAST_0001_0008.wav",
    "Audios/MSP-PODCAST_0001_0009.wav",
    "Audios/MSP-PODCAST_0023_0047_01.wav",
    "Audios/MSP-PODCAST_0024_0001.wav",
    "Audios/MSP-PODCAST_0024_0002.wav",
    "Audios/MSP-PODCAST_0025_0001.wav",
    "Audios/MSP-PODCAST_0025_0007.wav",
    "Audios/MSP-PODCAST_test3_0001.wav",
]


def podcast(tree: Tree, table: str = CONSENSUS) -> Path:
    root = tree(PODCAST_WAVS)
    (root / "Labels").mkdir()
    (root / "Labels" / "labels_consensus.csv").write_text(table)
    (root / "Transcripts").mkdir()
    for name in ("MSP-PODCAST_0001_0008", "MSP-PODCAST_0001_0009", "MSP-PODCAST_0023_0047_01"):
        (root / "Transcripts" / f"{name}.txt").write_text(f"Words of {name[-4:]}.\n")
    return root


def test_podcast_turns(tree: Tree) -> None:
    root = podcast(tree)
    corpus = PODCAST.read(root)
    first, second, unknown, disgusted = corpus.utterances
    assert first == Utterance(
        audio=root / PODCAST_WAVS[0],
        emotion="neutral",
        text="Words of 0008.",
        speaker="msp-podcast/30",
        session="msp-podcast/0001",
        language="en",
        split="test",
        valence=4.0,
        arousal=2.2,
        dominance=2.6,
        extra={
            "corpus": "msp-podcast",
            "id": "MSP-PODCAST_0001_0008",
            "label": "N",
            "gender": "male",
            "split_set": "Test1",
            "duration": "0.050",
        },
    )
    assert (second.split, second.extra["split_set"], second.extra["gender"]) == ("test", "Test2", "female")
    assert (unknown.emotion, unknown.split, unknown.session) == ("surprised", "train", "msp-podcast/0023")
    assert (unknown.speaker, unknown.extra.get("gender"), unknown.arousal, unknown.valence) == (None, None, None, None)
    assert (disgusted.emotion, disgusted.split, disgusted.text) == ("disgusted", "validation", None)
    assert dict(corpus.left_out) == {
        "label 'C'": 1,
        "no label that the annotators agree on (X)": 1,
        "in test set 3, whose labels are not published": 1,
    }
    assert corpus.findings == (
        "Annotated, but the recording is not there, left out (1): MSP-PODCAST_0025_0002.",
        "Recordings without annotation, left out (1): MSP-PODCAST_0025_0007.",
        "Lines of labels_consensus.csv without a name or label of MSP-Podcast, ignored (1): 10.",
        "Annotated more than once, the first is used (1): MSP-PODCAST_0025_0001.",
        "Annotated, but not transcribed (3): MSP-PODCAST_0024_0001, MSP-PODCAST_0025_0001, MSP-PODCAST_0025_0002.",
    )


def test_podcast_without_its_table_or_a_column_is_refused(tree: Tree) -> None:
    root = podcast(tree, CONSENSUS.replace("EmoClass", "Class"))
    with pytest.raises(DataError, match=r"labels_consensus\.csv' has no column EmoClass"):
        PODCAST.read(root)
    (root / "Labels" / "labels_consensus.csv").unlink()
    with pytest.raises(DataError, match=r"looked for labels_consensus\.csv, found none"):
        PODCAST.read(root)


def test_podcast_without_transcripts_has_audio_alone(tree: Tree) -> None:
    root = tree(PODCAST_WAVS[:1])
    (root / "labels_concensus.csv").write_text("\n".join(CONSENSUS.splitlines()[:2]))
    corpus = PODCAST.read(root)
    assert [utterance.text for utterance in corpus.utterances] == [None]
    assert corpus.findings == ()
