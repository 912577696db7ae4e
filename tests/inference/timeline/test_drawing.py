from __future__ import annotations

import io
import re
from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pytest

from m3ser.inference.timeline import Timeline
from m3ser.inference.timeline.drawing import timeline_page, timeline_png
from m3ser.inference.timeline.drawing.layout import _LOOKS, Strip, clock, look_of, strips, ticks_of
from m3ser.schema import EMOTIONS, Segment

Make = Callable[..., Timeline]
SCORES = {"angry": 0.7, "happy": 0.2, "sad": 0.06, "neutral": 0.04}
SEGMENTS = [
    Segment(0.5, 2.25, "angry", SCORES, 'No! "<script>alert(1)</script>"'),
    Segment(4.0, 6.0, "angry", SCORES, None),
]


class Reader(HTMLParser):
    """What a browser would load, run, and show when something is pointed at."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.titles: list[str] = []
        self.handlers: list[str] = []
        self._in_title = False
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self._in_title = tag == "title"

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.titles.append(data)


def test_the_page_is_all_there_is(timeline_of: Make) -> None:
    content = timeline_page(timeline_of(SEGMENTS), title="call <1>", notes=["It broke off."])
    page = Reader(content)
    assert "script" not in page.tags
    assert page.addresses == page.handlers == []
    assert re.findall(r"url\(([^)]*)\)", content)
    assert all(one.startswith("#") for one in re.findall(r"url\(([^)]*)\)", content))
    assert "It broke off." in content


def test_words_show_where_an_utterance_is_pointed_at(timeline_of: Make) -> None:
    titles = Reader(timeline_page(timeline_of(SEGMENTS), title="call")).titles
    assert titles[1] == "0:00.5 to 0:02.2: angry 70% (happy 20%, sad 6%, neutral 4%)\n" + str(SEGMENTS[0].text)
    assert titles[2] == "0:04.0 to 0:06.0: angry 70% (happy 20%, sad 6%, neutral 4%)"


def test_an_empty_timeline_can_be_drawn(timeline_of: Make) -> None:
    assert "No speech was found." in timeline_page(timeline_of([]), title="call")
    pytest.importorskip("matplotlib", reason="draws with matplotlib (the train extra)")
    assert timeline_png(timeline_of([]), title="call")[:4] == b"\x89PNG"


def test_bars_stand_in_their_lanes_as_high_as_they_are_probable(timeline_of: Make) -> None:
    content = timeline_page(timeline_of(SEGMENTS[:1], seconds=10), title="call")
    best = re.search(r'<rect class="best wide" x="([\d.]+)%" width="([\d.]+)%" y="[\d.]+" height="([\d.]+)"', content)
    assert best is not None
    assert [float(one) for one in best.groups()] == [5.0, 17.5, pytest.approx(0.7 * 19, abs=0.06)]
    rest = [float(one) for one in re.findall(r'<rect class="rest"[^>]*height="([\d.]+)"', content)]
    assert rest == pytest.approx([0.2 * 19, 0.06 * 19, 0.04 * 19], abs=0.06)


def test_emotions_are_told_apart_without_colour() -> None:
    assert set(_LOOKS) == set(EMOTIONS)
    assert len({look.hatch for look in _LOOKS.values()}) == len(_LOOKS)
    assert len({look.colour for look in _LOOKS.values()}) == len(_LOOKS)
    assert look_of("unheard of") == look_of("other")


def test_the_png_has_a_bar_where_the_utterance_is(timeline_of: Make) -> None:
    pytest.importorskip("matplotlib", reason="draws with matplotlib (the train extra)")
    from matplotlib import image

    with_speech, without = (
        image.imread(io.BytesIO(timeline_png(timeline_of(segments), title="a $call$ \u4f60")))
        for segments in (SEGMENTS[1:], [])
    )
    assert with_speech.shape == without.shape
    # Below the head, where the facts differ, too.
    changed = (abs(with_speech - without).max(axis=2) > 0.3)[with_speech.shape[0] // 3 :].sum(axis=0)
    columns = np.flatnonzero(changed > 10)
    width = with_speech.shape[1]
    left, right = 0.95 / 11 * width, (1 - 0.25 / 11) * width
    assert columns.min() == pytest.approx(left + 0.4 * (right - left), abs=4)
    assert columns.max() == pytest.approx(left + 0.6 * (right - left), abs=4)


def test_nothing_lies_upon_the_bars(timeline_of: Make) -> None:
    content = timeline_page(timeline_of(SEGMENTS), title="call")
    assert content.rindex('class="grid"') < content.index('class="u"')
    assert content.rindex('class="lane"') < content.index('class="u"')


def test_narrow_bars_have_no_outline_that_would_hide_them(timeline_of: Make) -> None:
    segments = [Segment(1.0, 4.0, "angry", SCORES, None), Segment(500.0, 502.0, "angry", SCORES, None)]
    content = timeline_page(timeline_of(segments, seconds=3600), title="call")
    assert re.findall(r'class="(best[^"]*)"', content) == ["best wide", "best"]


def test_a_soft_voice_is_to_be_seen_beside_a_loud_one(timeline_of: Make) -> None:
    timeline = timeline_of([], seconds=2, channels=2)
    for envelope, loudness in zip(timeline.envelopes, (1.0, 0.01), strict=True):
        envelope._high[:] = loudness
        envelope._low[:] = -loudness
    loud, soft = strips(timeline)[0].channels
    assert (loud.high.max(), loud.low.min()) == (1, -1)
    assert (soft.high.max(), soft.low.min()) == (pytest.approx(0.1), pytest.approx(-0.1))


def test_words_of_any_script_stay_as_they_are(timeline_of: Make) -> None:
    # A space that does not break, a joiner and a non-joiner; and what is no text at all.
    text = "Ça\u202fva\xa0? \u0645\u06cc\u200c\u062e\u0648\u0627 \u0915\u094d\u200d\u0937 \u4f60\u3000\u597d"
    segments = [Segment(1.0, 2.0, "angry", SCORES, text), Segment(3.0, 4.0, "angry", SCORES, "a\x00b\ud800c")]
    content = timeline_page(timeline_of(segments), title="call")
    assert f'dir="auto">{text}</span>' in content
    assert f"sad 6%, neutral 4%)\n{text}</title>" in content
    assert 'dir="auto">a\ufffdb\ufffdc</span>' in content


def test_a_table_without_words_has_no_column_for_them(timeline_of: Make) -> None:
    heads = [
        re.findall(r'<th scope="col"[^>]*>(\w+)', timeline_page(timeline_of(segments), title="call"))
        for segments in (SEGMENTS, SEGMENTS[1:])
    ]
    assert heads == [["from", "to", "emotion", "probability", "words"], ["from", "to", "emotion", "probability"]]


def test_a_title_is_drawn_in_a_font_that_has_it() -> None:
    pytest.importorskip("matplotlib", reason="draws with matplotlib (the train extra)")
    from matplotlib import rcParams
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    from m3ser.inference.timeline.drawing.image import _families, _plain

    own = rcParams["font.family"]
    assert _families("Grüße.wav") == own
    # Matplotlib's own font lacks this letter; another one that comes with it has it.
    letter = "\N{MATHEMATICAL SCRIPT CAPITAL A}"
    (other,) = _families(f"{letter}.wav")[len(own) :]
    assert FT2Font(findfont(other)).get_char_index(ord(letter))
    assert _families("\ue0ff" * 3)  # private: nobody has it
    assert _plain("a\xa0b $5$\x07\n\ud800.wav") == "a b \\$5\\$\ufffd \ufffd.wav"


@pytest.mark.parametrize(
    ("seconds", "channels", "count"), [(0.5, 1, 1), (60, 1, 1), (61, 1, 2), (300, 1, 5), (1200, 1, 6), (1200, 2, 3)]
)
def test_strips_cover_the_recording(timeline_of: Make, seconds: float, channels: int, count: int) -> None:
    found = strips(timeline_of([], seconds=seconds, channels=channels))
    assert len(found) == count
    assert found[0].start == 0
    assert found[-1].end == pytest.approx(seconds)
    for strip in found:
        assert len(strip.channels) == channels
        for channel in strip.channels:
            assert 1 <= len(channel.times) <= 900
            assert strip.start - 0.1 * seconds <= channel.times[0] < strip.end


def test_clocks_and_ticks() -> None:
    assert [clock(s) for s in (0, 59.6, 61, 3600, 36_061)] == ["0:00", "1:00", "1:01", "1:00:00", "10:01:01"]
    assert [clock(s, tenths=True) for s in (0.04, 59.96, 3661.25)] == ["0:00.0", "1:00.0", "1:01:01.2"]
    for seconds in (1, 10, 60, 3600, 1e6):
        assert 1 <= len(ticks_of(Strip(0.0, seconds, []), 8)) <= 9
    assert ticks_of(Strip(50.0, 100.0, []), 8) == [50, 60, 70, 80, 90, 100]


def test_many_emotions_take_fewer_strips(timeline_of: Make) -> None:
    timeline = timeline_of([], seconds=3600)
    timeline._recogniser.labels = EMOTIONS  # type: ignore[misc]
    assert len(EMOTIONS) == 12
    assert len(strips(timeline)) == 2
