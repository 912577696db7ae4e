from __future__ import annotations

from pathlib import Path

import pytest

from m3ser.corpora import read_part
from m3ser.errors import DataError, UsageError

MANIFEST = """\
# made up
audio,emotion,text,split,corpus,id
sub/a.wav,angry,[LAUGHTER] No.,train,,
sub/b.wav,sad,[sighs],test,,
c.wav,happy,Yes.,test,crema-d,1001
,sad,(sighs),test,,
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "m.csv"
    path.write_text(MANIFEST)
    return path


def test_words_are_cleaned_and_names_do_not_depend_on_the_part(manifest: Path) -> None:
    whole, test = read_part(manifest), read_part(manifest, "test")
    # A row of which cleaning leaves nothing is none.
    assert [utterance.text for utterance in whole.utterances] == ["No.", None, "Yes."]
    assert whole.names == ("a.wav", "b.wav", "crema-d/1001")
    assert test.names == whole.names[1:]
    assert test.utterances == whole.utterances[1:]
    assert (test.comment, test.parts, test.paired) == ("made up", ("train", "test"), False)


def test_pairs_are_called_by_both_halves(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    rows = ["a.wav,sad,Oh.,emodb,03a,agree,t1", "a.wav,sad,Ah.,emodb,03a,agree,t2"]
    path.write_text("\n".join(["audio,emotion,text,corpus,id,relation,text_id", *rows]) + "\n")
    part = read_part(path)
    assert part.names == ("emodb/03a+t1", "emodb/03a+t2")
    assert part.paired


def test_what_cannot_be_judged(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"m\.csv' has no part 'validation'; it has train, test\."):
        read_part(manifest, "validation")
    plain = tmp_path / "plain.csv"
    plain.write_text("audio,emotion\na.wav,sad\n")
    with pytest.raises(UsageError, match="has no part 'test'; its rows are in no part"):
        read_part(plain, "test")
    plain.write_text("audio,text\na.wav,Oh.\n")
    with pytest.raises(DataError, match="columns audio, text; expected at least emotion"):
        read_part(plain)
