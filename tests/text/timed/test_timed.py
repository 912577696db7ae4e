from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from m3ser.errors import TextError, UsageError
from m3ser.text.timed import Spoken, read_words, words_of


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """read(name, content) reads a file of that name."""

    def of(name: str, content: str | bytes, **options: Any) -> list[Spoken]:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_words(path, **options)

    return of


SRT = """\
1
00:00:01,000 --> 00:00:02,500
<i>I said</i>
{\\an8}no.

2
01:00:00,5 --> 01:00:01,000  X1:10
Never & <b>again</b>.
"""


@pytest.mark.parametrize("content", [SRT, SRT.replace("\n", "\r\n"), "\ufeff" + SRT, SRT.replace("2\n01", "01")])
def test_srt(read: Any, content: str) -> None:
    assert read("a.srt", content) == [Spoken(1.0, 2.5, "I said no."), Spoken(3600.5, 3601.0, "Never & again.")]


def test_srt_in_utf_16(read: Any) -> None:
    assert read("a.SRT", SRT.encode("utf-16"))[0].text == "I said no."


def test_vtt(read: Any) -> None:
    content = """WEBVTT - a title

NOTE
not a cue
00:00 --> no

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.500 align:start
<v Roger Bingham>I &lt;said&gt;
no.

00:00:03.000 --> 00:00:06.000
<c>one</c> <00:00:04.000><c>two</c><00:00:05.000> three
"""
    assert read("a.vtt", content) == [
        Spoken(1.0, 2.5, "I <said> no."),
        Spoken(3.0, 4.0, "one"),
        Spoken(4.0, 5.0, "two"),
        Spoken(5.0, 6.0, "three"),
    ]


LONG_GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 3.5
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "TextTier"
        name = "points"
        xmin = 0
        xmax = 3.5
        points: size = 1
        points [1]:
            number = 1.5
            mark = "x"
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 3.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 3.5
            text = "n"
    item [3]:
        class = "IntervalTier"
        name = "Words"
        xmin = 0
        xmax = 3.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 1
            text = ""
        intervals [2]:
            xmin = 1
            xmax = 2.5
            text = "say ""no""
again"
        intervals [3]:
            xmin = 2.5
            xmax = 3.5
            text = "please"
"""
SHORT_GRID = """File type = "ooTextFile"
Object class = "TextGrid"

0
3.5
<exists>
1
"IntervalTier"
"ORT"
0
3.5
2
0
1
""
1
3.5 ! a comment "with a string"
"please"
"""


def test_textgrids(read: Any) -> None:
    assert read("a.TextGrid", LONG_GRID) == [Spoken(1, 2.5, 'say "no" again'), Spoken(2.5, 3.5, "please")]
    assert read("a.TextGrid", SHORT_GRID) == [Spoken(1, 3.5, "please")]


def test_textgrids_as_praatio_writes_them(tmp_path: Path) -> None:
    textgrid = pytest.importorskip("praatio.textgrid", reason="writes TextGrids with praatio (the dev extra)")
    for form in ("long_textgrid", "short_textgrid"):
        grid = textgrid.Textgrid()
        grid.addTier(textgrid.IntervalTier("words", [(0.25, 0.75, 'the "one"'), (1.0, 1.5, "two")], 0, 2))
        path = tmp_path / f"{form}.TextGrid"
        grid.save(str(path), form, includeBlankSpaces=True)
        assert read_words(path) == [Spoken(0.25, 0.75, 'the "one"'), Spoken(1.0, 1.5, "two")]


def test_ctm(read: Any) -> None:
    content = ";; a comment\n\ncall A 1.0 0.5 there\ncall B 0.5 0.25 hello 0.98\ncall A * * <ALT_BEGIN>\n"
    content += "call A 2.0 0.5 first\ncall A * * <ALT>\ncall A 2.0 0.5 second\ncall A * * <ALT_END>\ncall A 3 1 end\n"
    assert read("a.ctm", content) == [
        Spoken(0.5, 0.75, "hello", 2),
        Spoken(1.0, 1.5, "there", 1),
        Spoken(2.0, 2.5, "first", 1),
        Spoken(3.0, 4.0, "end", 1),
    ]


def test_a_ctm_of_one_channel_says_nothing_of_channels(read: Any) -> None:
    assert read("a.ctm", "call 1 0.5 0.25 hello\n") == [Spoken(0.5, 0.75, "hello")]


def test_a_ctm_of_several_recordings(read: Any) -> None:
    content = "one 1 0 1 hello\ntwo 1 0 1 bye\n"
    assert read("a.ctm", content, recording="two") == [Spoken(0, 1, "bye")]
    with pytest.raises(TextError, match=r"2 recordings \(one, two\), none of them called 'three'"):
        read("a.ctm", content, recording="three")


def test_whisper(read: Any) -> None:
    words = [{"word": " I", "start": 1.0, "end": 1.1}, {"word": " said", "start": 1.2, "end": 1.5, "probability": 0.9}]
    segments = [
        {"id": 0, "start": 1.0, "end": 2.0, "text": " I said", "words": words},
        {"id": 1, "start": 3, "end": 4, "text": " no."},
        # WhisperX could not place a number.
        {"start": 5, "end": 6, "text": "for 5", "words": [{"word": "for", "start": 5, "end": 5.4}, {"word": "5"}]},
    ]
    expected = [Spoken(1, 1.1, "I"), Spoken(1.2, 1.5, "said"), Spoken(3, 4, "no."), Spoken(5, 6, "for 5")]
    assert read("a.json", json.dumps({"text": "...", "segments": segments, "language": "en"})) == expected
    assert read("a.json", json.dumps(segments)) == expected


def test_whisper_cpp(read: Any) -> None:
    entry = {"timestamps": {"from": "00:00:01,000"}, "offsets": {"from": 1000, "to": 2500}, "text": " no."}
    assert read("a.json", json.dumps({"transcription": [entry]})) == [Spoken(1, 2.5, "no.")]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.srt", "1\n00:00:01,000 -> 00:00:02,000\nhi\n", "line 1 ('1') belongs to no cue"),
        ("a.srt", "\n1\n00:00:xx,000 --> 00:00:02,000\nhi\n", "line 3 ('00:00:xx,000 --> 00:00:02,000') is no"),
        ("a.srt", "1\n00:00:03,000 --> 00:00:02,000\nhi\n", "line 2 ends before it starts"),
        ("a.srt", "", "hold no words"),
        ("a.srt", b"1\n00:00:01,000 --> 00:00:02,000\n\xff\xfa\n", "line 3 is no UTF"),
        ("a.vtt", "1\n00:01.000 --> 00:02.000\nhi\n", "line 1 is not 'WEBVTT'"),
        ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\na<00:09.000>b\n", "the cue in line 3 has times inside"),
        ("a.TextGrid", LONG_GRID[:700], "it breaks off at line"),
        ("a.TextGrid", LONG_GRID.replace("xmax = 2.5", 'xmax = "2.5"'), "has '2.5'; expected a time"),
        (
            "a.TextGrid",
            LONG_GRID.replace("xmax = 2.5", "xmax = 0.5"),
            "line 41: 'say \"no\" again' is said",
        ),
        ("a.TextGrid", "hello", "it breaks off at line 1; expected the file's type"),
        ("a.TextGrid", '"no" "TextGrid"', "line 1 does not begin a TextGrid"),
        ("a.ctm", "call 1 0.5 hello\n", "line 1 has 4 fields"),
        ("a.ctm", "\ncall 1 zero 1 hello\n", "line 2 has the times 'zero' and '1'"),
        ("a.ctm", "call 1 1 -2 hello\n", "line 1: 'hello' is said from 1 to -1 s"),
        ("a.json", '{\n"segments": [}', "line 2 is no JSON"),
        ("a.json", '{"words": []}', "without 'segments'"),
        ("a.json", '{"segments": [{"start": 0, "end": 1, "text": "a"}, {"start": "0"}]}', "segment 2 has the time '0'"),
        ("a.json", '{"segments": [[]]}', "segment 1 is no object"),
    ],
)
def test_what_is_malformed_is_one_sentence(read: Any, name: str, content: str | bytes, told: str) -> None:
    with pytest.raises(TextError) as caught:
        read(name, content)
    message = str(caught.value)
    assert told in message
    assert message.startswith("Words '")
    assert name in message
    assert "\n" not in message


def test_other_endings_and_missing_files(read: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"end in '.doc'; expected one of .srt, .vtt, .textgrid, .ctm, .json"):
        read("a.doc", "hello")
    with pytest.raises(TextError, match="cannot be read"):
        read_words(tmp_path / "none.srt")


def test_words_share_the_time_of_a_phrase_by_their_letters() -> None:
    assert list(words_of(Spoken(1, 3, " to be  or ", 2))) == [
        Spoken(1, 1 + 2 * 2 / 6, "to", 2),
        Spoken(1 + 2 * 2 / 6, 1 + 2 * 4 / 6, "be", 2),
        Spoken(1 + 2 * 4 / 6, 3, "or", 2),
    ]
    assert list(words_of(Spoken(1, 3, "  "))) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '{"segments": [{"start": 0, "end": 1' + 400 * "0" + ', "text": "hello"}]}'),
        ("a.json", 100_000 * "["),
        ("a.srt", "1\n" + 400 * "9" + ":00:00,000 --> 00:00:01,000\nhello\n"),
        ("a.ctm", "call \N{SUPERSCRIPT TWO} 0.1 1e999 hello\n"),
        ("a.TextGrid", 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0 1 <exists> 1e999\n'),
    ],
)
def test_numbers_beyond_all_bounds_are_one_sentence(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(TextError, match=r"^Words '.*': .*\.$"):
        read_words(tmp_path / name)


def test_a_channel_that_is_no_number_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "a.ctm").write_text("a \N{SUPERSCRIPT TWO} 0 1 hello\na 1 1 1 you\n", encoding="utf-8")
    assert [one.channel for one in read_words(tmp_path / "a.ctm")] == [None, 1]
