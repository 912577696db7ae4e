from __future__ import annotations

import doctest
import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from m3ser.errors import TextError
from m3ser.text import CleanText, clean, cleaning


@pytest.mark.parametrize(
    ("text", "words", "removed"),
    [
        ("I said no.", "I said no.", ()),
        ("[LAUGHTER] Stop it. [BREATHING]", "Stop it.", ("[LAUGHTER]", "[BREATHING]")),
        ("(laughs) No. (Clears throat) Yes.", "No. Yes.", ("(laughs)", "(Clears throat)")),
        ("*sighs heavily* okay **gasps**", "okay", ("*sighs heavily*", "**gasps**")),
        ("<noise> yes {cough}", "yes", ("<noise>", "{cough}")),
        ("<laugh>really</laugh>", "really", ("<laugh>", "</laugh>")),
        ("++GARBAGE++ THE(2) DOOR <sil>", "THE DOOR", ("++GARBAGE++", "(2)", "<sil>")),
        ("[laughter-okay] then", "okay then", ("[laughter-]",)),
        ("{F um} fine", "um fine", ("{F }",)),
        ("((I think)) so (( ))", "I think so", ("(( ))", "(( ))")),
        ("♪ la la ♫♪ bye", "la la bye", ("♪", "♫♪")),
        ("well (0.5) so (.) yes (?)", "well so yes", ("(0.5)", "(.)", "(?)")),
        (">> who is it >>> me", "who is it me", (">>", ">>>")),
        ("Speaker 1: hi SPEAKER_02: ho", "hi ho", ("Speaker 1:", "SPEAKER_02:")),
        ("[a [b] c] d", "d", ("[a [b] c]",)),
        ("word[NOISE]word", "word word", ("[NOISE]",)),
        (
            "(music playing in the background) (door slams) hm",
            "hm",
            ("(music playing in the background)", "(door slams)"),
        ),
        ("(inaudible 00:12:03) right (cross-talk)", "right", ("(inaudible 00:12:03)", "(cross-talk)")),
    ],
)
def test_events_go_and_are_listed_in_order(text: str, words: str, removed: tuple[str, ...]) -> None:
    assert clean(text) == CleanText(words, removed)


@pytest.mark.parametrize(
    "text",
    [
        "I *really* mean it.",
        "**Really**, I do.",
        "(well, mostly) yes",
        "I (quietly) left.",
        "(speaking of which) yes",
        "JOHN: hello.",
        "At 12:30 then.",
        "I <3 you",
        "a < b and c > d",
        "5 * 3 * 2 is 30",
        "C++ and C++",
        "He said [ and then stopped",
        "it's ] odd (isn't it",
        "[" + "so many words that it is speech " * 4 + "]",
        "¿Qué? Ça va, naïve façade, 你好",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, spelled with a zero-width non-joiner
    ],
)
def test_speech_stays_as_it_is(text: str) -> None:
    assert clean(text) == CleanText(text)


@pytest.mark.parametrize(
    "text", ["", "   \n\t", "[LAUGHTER]", "(sighs) *cries*", "♪♪", "...", "[LAUGHTER]. (( ))", "\u200b\ufeff"]
)
def test_nothing_said_is_an_empty_text(text: str) -> None:
    assert clean(text).text == ""


def test_what_is_left_without_a_letter_is_listed_too() -> None:
    assert clean("[LAUGHTER]!").removed == ("[LAUGHTER]", "!")


def test_characters_that_cannot_be_seen_go() -> None:
    assert clean("\ufeffI\u200b am\x00 \x1b here\u202e\ud800.\r\n\tStill\u00a0here") == CleanText(
        "I am here. Still here"
    )


def test_text_is_composed() -> None:
    assert clean("cafe\u0301").text == "caf\u00e9"
    assert clean("cafe\u200d\u0301").text == "caf\u00e9"  # a stray joiner stood between the letter and its accent


@pytest.mark.parametrize("value", [None, 3, b"yes", ["yes"]])
def test_only_strings(value: object) -> None:
    with pytest.raises(TextError, match=f"has to be a string; found {type(value).__name__}"):
        clean(value)  # type: ignore[arg-type]


SINGLES = "()[]{}<>*+:♪ax1.-F \n\u200c\u200d\u00e9\u0301\u212a\ud800"
WORDS = ["xxx", "laughs", "sighs", "door", "(2)", "0.5", "/b", "Speaker", "SPEAKER_0", "laughter-ok"]
PIECES = [*SINGLES, "((", "))", ">>", "**", "++", *WORDS]
MARKS = st.lists(st.sampled_from(PIECES), max_size=24).map("".join)


@given(st.one_of(MARKS, st.text(max_size=60)))
@example("(((laughs)))")
@example("( [ ) ] )")
@example("<3 x>>>")
@example("Speaker ((1: x))")
@example("(Speaker 1: laughs)")
@example("(( (( laughs ) y ))")
@settings(max_examples=400)
def test_cleaning_again_changes_nothing(text: str) -> None:
    once = clean(text)
    assert clean(once.text) == CleanText(once.text)
    assert unicodedata.is_normalized("NFC", once.text)
    assert once.text == " ".join(once.text.split())


@given(st.text(alphabet="abc de", max_size=40), st.text(alphabet="fgh ij", max_size=40))
def test_words_around_an_event_all_stay(before: str, after: str) -> None:
    assert clean(f"{before}[LAUGHTER]{after}").text.split() == f"{before} {after}".split()


@pytest.mark.parametrize(
    "unit",
    ["(", "[", "(a", "a)", "*a", "++A", ":", "Speaker 1:", "(laughs ", "((x))", "<a", ">", "\u200d", "[ ", "(*"],
)
def test_time_is_linear_in_hostile_text(unit: str) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        started = time.perf_counter()
        clean(text + "".join({"(": ")", "[": "]", "<": ">"}.get(c, c) for c in reversed(text)))
        return time.perf_counter() - started

    small, large = seconds(10_000), seconds(80_000)
    assert large < 40 * small + 0.5  # eight times for linear, 64 for quadratic


def test_the_example_in_the_docstring() -> None:
    assert doctest.testmod(cleaning) == (0, 1)
