from __future__ import annotations

from m3ser.inference.timeline.alignment import Alignment
from m3ser.text.timed import Spoken


def dealt(spoken: list[Spoken], spans: list[tuple[float, float]]) -> list[str | None]:
    alignment = Alignment(spoken)
    found = []
    for i, (start, end) in enumerate(spans):
        after = spans[i - 1][1] if i else None
        before = spans[i + 1][0] if i + 1 < len(spans) else None
        found.append(alignment.text(start, end, after=after, before=before, channel=None))
    return found


def test_a_word_goes_to_the_utterance_that_holds_its_middle() -> None:
    words = [Spoken(0.9, 1.3, "one"), Spoken(1.4, 2.2, "two"), Spoken(1.9, 3.3, "three")]
    assert dealt(words, [(1.0, 2.0), (2.0, 3.0)]) == ["one two", "three"]


def test_a_word_between_goes_to_the_nearer_one_within_a_second() -> None:
    words = [Spoken(2.3, 2.3, "left"), Spoken(3.8, 3.8, "right"), Spoken(7.0, 7.0, "nobody"), Spoken(9.1, 9.1, "near")]
    assert dealt(words, [(1.0, 2.0), (4.0, 5.0), (10.0, 11.0)]) == ["left", "right", "near"]


def test_words_where_nobody_speaks_are_counted() -> None:
    alignment = Alignment([Spoken(0, 1, "a b"), Spoken(50, 51, "c")])
    assert alignment.text(0, 1, after=None, before=None, channel=None) == "a b"
    assert (alignment.words, alignment.left_out) == (3, 1)


def test_a_phrase_across_a_pause_is_divided_by_its_letters() -> None:
    # Ten letters in ten seconds: the first word ends at 3 s.
    assert dealt([Spoken(0, 10, "abc defghij")], [(0.0, 3.0), (3.5, 10.0)]) == ["abc", "defghij"]


def test_channels_have_their_own_words_and_share_those_of_none() -> None:
    alignment = Alignment([Spoken(1, 2, "mine", 1), Spoken(1, 2, "yours", 2), Spoken(1.2, 2, "whose")])
    assert alignment.text(0.5, 2.5, after=None, before=None, channel=2) == "yours whose"
    assert alignment.text(0.6, 2.5, after=None, before=None, channel=1) == "mine"


def test_an_utterance_without_words_has_no_text() -> None:
    assert dealt([Spoken(1, 2, "hello")], [(0.0, 3.0), (20.0, 21.0)]) == ["hello", None]
