"""CREMA-D's two kinds of labels: what actors meant, and what listeners heard."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from m3ser.corpora import crema_d, read_corpus
from m3ser.errors import DataError, UsageError

Tree = Callable[[Iterable[str]], Path]

TABULATED = (
    '"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"\n'
    '"100001",0,0,0,1,9,0,"1001_IEO_ANG_LO",10,0.9,"N"\n'
    '"100002",4,0,0,0,4,1,"1001_IEO_ANG_MD",9,0.444444444444444,"A:N"\n'
    '"100003",7,1,0,0,1,0,"1001_IEO_ANG_HI",9,0.777777777777778,"A"\n'
    '"100004",0,0,0,0,0,10,"1040_ITH_SAD_X",10,1,"S"\n'
    # What those heard who saw the face as well.
    '"200001",10,0,0,0,0,0,"1001_IEO_ANG_LO",10,1,"A"\n'
    '"300001",10,0,0,0,0,0,"1001_IEO_ANG_LO",10,1,"A"\n'
)
SUMMARY = (
    '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"\n'
    '"1","1001_IEO_ANG_LO","N","69.1","A","92.22","A","64.78"\n'
    '"2","1001_IEO_ANG_MD","A:N","50:51","A","57","A","57.38"\n'
    '"3","1001_IEO_ANG_HI","A","67.71","A","62.62","A","56.56"\n'
    '"4","1040_ITH_SAD_XX","S","67.71","S","62.62","S","56.56"\n'
)
CLIPS = [
    *("AudioWAV/1001_IEO_ANG_LO.wav", "AudioWAV/1001_IEO_ANG_MD.wav", "AudioWAV/1001_IEO_ANG_HI.wav"),
    *("AudioWAV/1040_ITH_SAD_X.wav", "AudioWAV/1001_DFA_NEU_XX.wav"),
]


@pytest.fixture
def copy(tree: Tree) -> Path:
    root = tree(CLIPS)
    (root / "processedResults").mkdir()
    (root / "processedResults" / "tabulatedVotes.csv").write_text(TABULATED)
    return root


def test_intended_labels_keep_what_was_heard(copy: Path) -> None:
    corpus = crema_d.read(copy)
    found = {u.extra["id"]: (u.emotion, *map(u.extra.get, crema_columns)) for u in corpus.utterances}
    assert found == {
        "1001_DFA_NEU_XX": ("neutral", "NEU", None, None, None, None),
        "1001_IEO_ANG_HI": ("angry", "ANG", "ANG", "ANG", "0.778", "9"),
        "1001_IEO_ANG_LO": ("angry", "ANG", "ANG", "NEU", "0.900", "10"),
        "1001_IEO_ANG_MD": ("angry", "ANG", "ANG", "ANG:NEU", "0.444", "9"),
        "1040_ITH_SAD_XX": ("sad", "SAD", "SAD", "SAD", "1.000", "10"),
    }
    assert dict(corpus.left_out) == {}
    assert crema_d.read(copy, labels="intended") == corpus


crema_columns = ("label", "intended", "perceived", "agreement", "votes")


def test_perceived_labels_keep_what_was_meant(copy: Path) -> None:
    corpus = crema_d.read(copy, labels="perceived")
    found = {u.extra["id"]: (u.emotion, *map(u.extra.get, crema_columns)) for u in corpus.utterances}
    assert found == {
        "1001_IEO_ANG_HI": ("angry", "ANG", "ANG", "ANG", "0.778", "9"),
        "1001_IEO_ANG_LO": ("neutral", "NEU", "ANG", "NEU", "0.900", "10"),
        "1040_ITH_SAD_XX": ("sad", "SAD", "SAD", "SAD", "1.000", "10"),
    }
    assert dict(corpus.left_out) == {"listeners' votes are tied": 1, "no listener's vote in the tables": 1}
    # What is left out for its votes is there all the same.
    assert corpus.findings == crema_d.read(copy).findings


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("place", [".", "processedResults", "CREMA-D-master/processedResults"])
def test_tables_are_found_where_copies_have_them(tree: Tree, place: str, line_end: str) -> None:
    root = tree(CLIPS)
    (root / place).mkdir(parents=True, exist_ok=True)
    (root / place / "tabulatedVotes.csv").write_bytes(TABULATED.replace("\n", line_end).encode("utf-8-sig"))
    assert len(crema_d.read(root, labels="perceived").utterances) == 3


@pytest.mark.parametrize("place", [".", "processedResults"])
def test_tables_above_the_folder_of_recordings_are_found(tree: Tree, place: str) -> None:
    root = tree(CLIPS)
    (root / place).mkdir(exist_ok=True)
    (root / place / "summaryTable.csv").write_text(SUMMARY)
    corpus = crema_d.read(root / "AudioWAV", labels="perceived")
    assert [u.emotion for u in corpus.utterances] == ["angry", "neutral", "sad"]
    # The summary says who won, not by how much.
    assert not any({"agreement", "votes"} & set(u.extra) for u in corpus.utterances)


def test_no_table_is_one_sentence(tree: Tree) -> None:
    root = tree(CLIPS)
    with pytest.raises(DataError, match=r"no table of votes .* looked for tabulatedVotes.csv and summaryTable.csv"):
        crema_d.read(root, labels="perceived")
    (root / "tabulatedVotes.csv").write_text("nothing,of,the,kind\n1,2,3,4\n")
    with pytest.raises(DataError, match="no table of votes"):
        crema_d.read(root, labels="perceived")
    assert len(crema_d.read(root).utterances) == len(CLIPS)


def test_other_labels_are_refused(copy: Path) -> None:
    with pytest.raises(UsageError, match="no 'felt' labels; expected intended or perceived"):
        crema_d.read(copy, labels="felt")


@pytest.fixture
def tables(shared_data: Path) -> Path:
    folder = shared_data / "corpus_formats" / "crema_d"
    if not (folder / "processedResults").is_dir():
        pytest.skip("needs CREMA-D's tables of votes")
    return folder


def test_the_real_tables_agree_with_each_other(tables: Path) -> None:
    votes = crema_d._votes(tables)
    with (tables / "processedResults" / "summaryTable.csv").open(encoding="utf-8", newline="") as file:
        summary = {row["FileName"]: row["VoiceVote"] for row in csv.DictReader(file)}
    letters = {label: letter for letter, label in crema_d._VOTES.items()}
    assert {name: ":".join(letters[w] for w in vote.winners) for name, vote in votes.items()} == summary
    assert len(votes) == crema_d.INFO.utterances
    assert sum(len(vote.winners) > 1 for vote in votes.values()) == 644
    assert sum(vote.winners == (name.split("_")[2],) for name, vote in votes.items()) == 3099
    assert Counter(name.split("_")[2] for name in votes) == crema_d.INFO.counts


def test_the_real_summary_alone(tables: Path, tmp_path: Path) -> None:
    (tmp_path / "summaryTable.csv").write_bytes((tables / "processedResults" / "summaryTable.csv").read_bytes())
    winners = {name: vote.winners for name, vote in crema_d._votes(tmp_path).items()}
    assert winners == {name: vote.winners for name, vote in crema_d._votes(tables).items()}


def test_real_clips_with_real_votes(tables: Path, demo_clips: Path, tmp_path: Path) -> None:
    (tmp_path / "processedResults").symlink_to(tables / "processedResults")
    (tmp_path / "tabulatedVotes.csv").write_bytes((tables / "processedResults" / "tabulatedVotes.csv").read_bytes())
    (tmp_path / "AudioWAV").symlink_to(demo_clips)
    corpus = read_corpus("crema-d", tmp_path / "AudioWAV", labels="perceived")
    heard = {u.extra["id"]: (u.emotion, u.extra["intended"], u.extra["votes"]) for u in corpus.utterances}
    assert heard["1001_DFA_ANG_XX"] == ("angry", "ANG", "9")
    assert len(heard) + sum(corpus.left_out.values()) == 13
