from __future__ import annotations

import errno
import json
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from m3ser.corpora import COLUMNS, SPLITS, manifest_faults, read_manifest, stream_manifest, stream_rows, write_manifest
from m3ser.errors import DataError, UsageError
from m3ser.schema import EMOTIONS, Utterance

FORMS = ("csv", "jsonl", "ndjson")

# Whatever UTF-8 can hold, line ends and quotes included; NUL is not text, and CSV readers before Python 3.11 refuse it.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def utterances(draw: st.DrawFn) -> Utterance:
    name = draw(st.none() | st.sampled_from(["a.wav", "deep/er/b.flac", "#1.wav", "with space, comma.wav"]))
    start, length = draw(st.tuples(st.none() | st.floats(0, 1e3), st.none() | st.floats(0.01, 1e3)))
    return Utterance(
        audio=None if name is None else Path(name),
        emotion=draw(st.sampled_from(EMOTIONS)),
        text=draw(texts if name is None else st.none() | texts),
        speaker=draw(st.none() | texts),
        session=draw(st.none() | texts),
        script=draw(st.none() | texts),
        start=start,
        end=None if length is None else (start or 0.0) + length,
        language=draw(st.sampled_from([None, "en", "pt-BR"])),
        split=draw(st.sampled_from([None, *SPLITS])),
        valence=draw(st.none() | numbers),
        arousal=draw(st.none() | numbers),
        dominance=draw(st.none() | numbers),
        extra=draw(st.dictionaries(st.sampled_from(["gender", "age", "notes, free"]), texts, max_size=3)),
    )


@pytest.mark.parametrize("form", FORMS)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(utterances(), min_size=1, max_size=6), comment=st.sampled_from(["", "one line", "two\nlines: ü"]))
def test_what_is_written_is_what_is_read(tmp_path: Path, form: str, rows: list[Utterance], comment: str) -> None:
    here = [Utterance(**{**vars(u), "audio": u.audio and tmp_path / "data" / u.audio}) for u in rows]
    path = write_manifest(tmp_path / "lists" / f"all.{form}", here, comment=comment)
    manifest = read_manifest(path, check_audio=False)
    assert manifest.comment == comment
    resolved = [Utterance(**{**vars(u), "audio": u.audio and u.audio.resolve()}) for u in manifest.utterances]
    assert resolved == here
    assert list(stream_manifest(path, check_audio=False)) == list(manifest.utterances)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_csv_as_people_read_it(tmp_path: Path) -> None:
    row = Utterance(tmp_path / "clips" / "a.wav", "angry", text="I said no.", split="test", extra={"gender": "female"})
    path = write_manifest(tmp_path / "all.csv", [row], comment="paired (semi-synthetic): seed 1")
    assert path.read_bytes() == (
        b"# paired (semi-synthetic): seed 1\n"
        b"audio,emotion,text,split,gender\n"
        b"clips/a.wav,angry,I said no.,test,female\n"
    )


def test_json_lines_as_people_read_it(tmp_path: Path) -> None:
    row = Utterance(tmp_path / "a.wav", "happy", text="Zażółć", start=0.5, end=1.0)
    path = write_manifest(tmp_path / "all.jsonl", [row], comment="mine")
    first, second = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(first) == {"meta": {"comment": "mine"}}
    assert json.loads(second) == {"audio": "a.wav", "emotion": "happy", "text": "Zażółć", "start": 0.5, "end": 1.0}
    assert "Zażółć" in second


def test_a_manifest_moves_with_its_recordings(tmp_path: Path, write_wav) -> None:
    clip = write_wav(tmp_path / "before" / "data" / "a.wav")
    write_manifest(tmp_path / "before" / "lists" / "all.csv", [Utterance(clip, "sad")])
    (tmp_path / "before").rename(tmp_path / "after")
    (utterance,) = read_manifest(tmp_path / "after" / "lists" / "all.csv").utterances
    assert utterance.audio is not None
    assert utterance.audio.resolve() == tmp_path / "after" / "data" / "a.wav"


def test_a_manifest_in_a_linked_folder_finds_its_recordings(tmp_path: Path, write_wav) -> None:
    clip = write_wav(tmp_path / "data" / "a.wav")
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "lists").symlink_to(tmp_path / "far" / "away", target_is_directory=True)
    path = write_manifest(tmp_path / "lists" / "all.csv", [Utterance(clip, "sad")])
    assert len(read_manifest(path).utterances) == 1


CSV_WITH_FAULTS = """\
# two lines
# of comment
audio,emotion,text,start,end,language,split,valence,rater
a.wav,angry,Hm.,,,en,train,1.5,x
gone.wav,joyful,Hm.,,,en,train,1.5,x
a.wav,sad,"two
lines",-1,,English,dev,high,x
a.wav,sad,Hm.,2.0,1.5,en,test,nan,x
,sad,,,,en,test,,x
a.wav,sad,Hm.

a.wav,sad,Hm.,,,en,test,,x
"""
FAULTS_IN_CSV = [
    "line 5: emotion is 'joyful'; expected one of angry, happy, sad, neutral, fearful, disgusted, surprised, calm, "
    "excited, frustrated, bored, other",
    "line 5: audio 'gone.wav' is not there",
    "line 6: valence is 'high'; expected a number",
    "line 6: start is -1 s; expected 0 or more",
    "line 6: split is 'dev'; expected one of train, validation, test",
    "line 6: language is 'English'; expected a BCP 47 code such as 'en'",
    "line 8: valence is 'nan'; expected a number",
    "line 8: end is 1.5 s; expected more than start, 2 s",
    "line 9: neither audio nor text; expected one of them at least",
    "line 10: 3 fields; expected 9, one for each column",
]


@pytest.mark.parametrize("prepare", [str, lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
def test_every_fault_of_a_csv_is_listed_with_its_line(tmp_path: Path, write_wav, prepare) -> None:
    write_wav(tmp_path / "a.wav")
    path = tmp_path / "all.csv"
    path.write_bytes(prepare(CSV_WITH_FAULTS).encode())
    with pytest.raises(DataError) as error:
        read_manifest(path)
    assert str(error.value).split("\n  ") == [f"Manifest '{path}' has 10 faults:", *FAULTS_IN_CSV]
    twice = "line 12: audio 'a.wav' was listed before; expected each utterance once"
    assert [str(fault) for fault in manifest_faults(path)] == [*FAULTS_IN_CSV, twice]


def test_every_fault_of_json_lines_is_listed_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    path.write_text(
        "\n".join(
            [
                '{"meta": {"comment": "mine"}}',
                '{"audio": "a.wav", "emotion": "angry", "text": null, "start": 0, "rater": 3, "tags": ["x"]}',
                "",
                '{"audio": "a.wav", "emotion": "angry"',
                '["a.wav", "angry"]',
                '{"audio": 1, "emotion": "angry"}',
                '{"audio": "a.wav", "emotion": "angry", "start": true, "end": NaN}',
                '{"audio": "a.wav", "emotion": "angry", "start": true, "end": "soon"}',
            ]
        )
    )
    problems = [str(fault) for fault in manifest_faults(path, check_audio=False)]
    assert problems == [
        "line 4: not JSON: Expecting ',' delimiter at column 38",
        "line 5: a JSON list; expected an object",
        "line 6: audio is 1; expected a string",
        "line 7: not JSON: NaN is not a number",
        "line 8: start is 'True'; expected a number",
        "line 8: end is 'soon'; expected a number",
    ]
    (good,) = islice(stream_manifest(path, check_audio=False), 1)
    assert dict(good.extra) == {"rater": "3", "tags": '["x"]'}
    assert good.start == 0.0
    assert good.text is None


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_bytes_that_are_not_utf8_are_named_with_their_line(tmp_path: Path, form: str) -> None:
    rows = {
        "csv": b"emotion,text\nsad,gut\nsad,sch\xf6n\n",
        "jsonl": b'{"emotion": "sad", "text": "gut"}\n\n{"emotion": "sad", "text": "sch\xf6n"}\n',
    }
    path = tmp_path / f"all.{form}"
    path.write_bytes(rows[form])
    with pytest.raises(DataError, match=r"1 fault:\n  line 3: text is not UTF-8"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "line 1: empty"),
        ("# only a comment\n", "line 1: empty"),
        ("path,label\na.wav,sad\n", "line 1: columns path, label; expected at least emotion, and audio or text"),
        ("# note\naudio,emotion,emotion\n", "line 2: columns 'emotion' are there more than once"),
    ],
)
def test_a_header_that_cannot_be_used(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "all.csv"
    path.write_text(content)
    with pytest.raises(DataError) as error:
        read_manifest(path)
    assert problem in str(error.value)


def test_a_row_that_is_not_csv_is_named_and_the_others_read(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    path.write_text(f"emotion,text\nsad,one\nsad,{'x' * 200_000}\nsad,three\n")
    assert [str(fault) for fault in manifest_faults(path)] == [
        "line 3: not CSV: field larger than field limit (131072)"
    ]
    with pytest.raises(DataError, match="1 fault"):
        read_manifest(path)


def test_the_same_stretch_twice_is_a_fault_but_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    rows: list[dict[str, object]] = [
        {"audio": "a.wav", "emotion": "sad", "start": 1, "end": 2.5},
        {"audio": "a.wav", "emotion": "sad", "start": 2.5},
        {"audio": "a.wav", "emotion": "happy", "start": "1.0", "end": 2.5},
        {"audio": "b.wav", "emotion": "sad", "text": "one", "relation": "agree"},
        {"audio": "b.wav", "emotion": "sad", "text": "two", "relation": "agree"},
        {"audio": "b.wav", "emotion": "sad", "text": "one", "relation": "agree"},
        {"emotion": "sad", "text": "no voice"},
        {"emotion": "sad", "text": "no voice"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert [(fault.kind, str(fault)) for fault in manifest_faults(path, check_audio=False)] == [
        ("repeated", "line 3: audio 'a.wav' from 1 s to 2.5 s was listed before; expected each utterance once"),
        ("repeated", "line 6: audio 'b.wav' was listed before; expected each utterance once"),
    ]
    assert len(read_manifest(path, check_audio=False).utterances) == 8


def test_an_error_lists_the_first_faults_of_each_kind(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    path.write_text("emotion,text\n" + "joyful,x\n" * 250 + "sad\n")
    with pytest.raises(DataError) as error:
        read_manifest(path)
    first, *lines = str(error.value).split("\n  ")
    assert first.endswith("has 251 faults:")
    assert [line.partition(":")[0] for line in lines[:100]] == [f"line {number}" for number in range(2, 102)]
    assert lines[100:] == ["line 252: 1 fields; expected 2, one for each column", "and 150 more (column emotion)"]


def test_progress_goes_by_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    path.write_text("emotion,text\n" + f"sad,{'x' * 300}\n" * 10_000)
    told: list[tuple[int, int]] = []
    assert list(manifest_faults(path, progress=lambda done, total: told.append((done, total)))) == []
    assert told == [(0, 3), (1, 3), (2, 3)]


def test_streaming_gives_what_is_right_before_it_raises_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    path.write_text("emotion,text\nhappy,one\njoyful,two\nsad,three\n")
    stream = stream_manifest(path)
    assert [next(stream).text, next(stream).text] == ["one", "three"]
    with pytest.raises(DataError, match="line 3: emotion is 'joyful'"):
        next(stream)


def test_rows_as_they_stand_need_no_emotion(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text("# a comment\nid,audio,start,emotion,split\n1,none.wav,0.5,joyous,mine\n2,,,,\n3,b.wav,-1,,\n")
    stream = stream_rows(path)
    assert next(stream) == {"id": "1", "audio": "none.wav", "start": "0.5", "emotion": "joyous", "split": "mine"}
    with pytest.raises(DataError, match=r"(?s)2 faults:.*line 4: neither audio nor text.*line 5: start is -1 s"):
        next(stream)
    path.write_text("id,emotion\n1,sad\n")
    with pytest.raises(DataError, match=r"line 1: columns id, emotion; expected at least audio or text"):
        list(stream_rows(path))
    with pytest.raises(UsageError, match=r"ends in '\.txt'"):
        list(stream_rows(tmp_path / "calls.txt"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_manifest(tmp_path / "gone.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_manifest(tmp_path / "folder.csv")
    with pytest.raises(UsageError, match=r"ends in '.xlsx'; expected .csv, .jsonl or .ndjson"):
        read_manifest(tmp_path / "all.xlsx")


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_manifest(tmp_path / "all.csv", [Utterance(None, "sad", text="before")])
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("m3ser.corpora.manifest._write_csv", full)
    with pytest.raises(DataError, match="cannot be written: No space left on device"):
        write_manifest(path, [Utterance(None, "sad", text="after")])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_impossible_place_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_manifest(tmp_path / "file" / "all.csv", [])


@pytest.mark.parametrize("name", [*COLUMNS[:3], "meta"])
def test_extra_columns_cannot_hide_others(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"cannot be called {name}"):
        write_manifest(tmp_path / "all.csv", [Utterance(None, "sad", text="x", extra={name: "y"})])
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_that_comes_with_the_package(demo_clips: Path) -> None:
    manifest = read_manifest(demo_clips / "manifest.csv")
    assert len(manifest.utterances) >= 10
    assert all(utterance.text for utterance in manifest.utterances)
