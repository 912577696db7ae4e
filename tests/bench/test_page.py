"""What the page says of what was measured."""

from __future__ import annotations

from typing import Any

import pytest

from m3ser.bench import Figure, Machine, Measured, Outcome, Row, Side, markdown
from m3ser.bench.page import COLUMNS, cells, notes, quantity, spread

OURS, PEER = Side("m3ser", "m:f"), Side("other", "m:g", install="pip install other")
MACHINE = Machine("Some Processor", 2, 8 * 2**30, "Linux x86_64", "3.11.7", {"numpy": "2.4.6", "torch": None})


def measured(
    ours: tuple[float, ...] = (0.010, 0.011, 0.02),
    peer: tuple[float, ...] | None = (0.1, 0.11, 0.12),
    *,
    audio_seconds: float | None = None,
    flops: float | None = None,
    throughput: float | None = None,
    **row: Any,
) -> Measured:
    return Measured(
        Row(**{"name": "one", "what": "a thing", "ours": OURS, "peer": None if peer is None else PEER, **row}),
        Outcome("m3ser", Figure(ours)),
        None if peer is None else Outcome("other", Figure(peer)),
        audio_seconds=audio_seconds,
        flops=flops,
        throughput=None if throughput is None else Figure((throughput,)),
    )


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0141, "seconds", "14.1 ms"),
        (2.3e-6, "seconds", "2.30 µs"),
        (4e-9, "seconds", "0.00 µs"),
        (0.99949, "seconds", "999 ms"),
        (0.9996, "seconds", "1.00 s"),
        (99.96, "seconds", "100 s"),
        (754.2, "seconds", "754 s"),
        (533.4e6, "bytes", "533 MB"),
        (1.5e9, "bytes", "1.50 GB"),
        (12.0, "bytes", "12.0 B"),
    ],
)
def test_three_digits(value: float, unit: str, shown: str) -> None:
    assert quantity(value, unit) == shown


def test_the_spread_is_in_the_medians_unit() -> None:
    assert spread(Figure((0.9, 0.95, 1.2)), "seconds") == "950 (900 to 1200) ms"


def test_a_row_of_speed() -> None:
    one = measured(aim=8, audio_seconds=2.2, aim_real_time=100, flops=1e9, throughput=200e9)
    assert cells(one) == (
        "one: a thing",
        "11.0 (10.0 to 20.0) ms; 200 times real time (aim: 100)",
        "other: 110 (100 to 120) ms",
        "10.0 times faster (aim: 8)",
        "5.00 ms",
        "45%",
    )
    assert (one.ratio, one.reached) == (pytest.approx(10), True)
    assert one.share_of_limit == pytest.approx(0.005 / 0.011)


def test_a_row_of_shares() -> None:
    one = measured((300e6,), (200e6,), unit="bytes", ratio="share", aim=1.25)
    assert cells(one)[1:4] == (
        "300 (300 to 300) MB",
        "other: 200 (200 to 200) MB",
        "1.50 of the peer's (aim: at most 1.25)",
    )
    assert one.reached is False
    assert measured((249.0,), (200.0,), ratio="share", aim=1.25).reached is True


def test_a_row_of_rates_is_better_the_more_there_is() -> None:
    one = measured((190.0, 200.0, 210.0), (100.0,), unit="files/s")
    assert cells(one)[1:4] == (
        "200 (190 to 210) files/s",
        "other: 100 (100 to 100) files/s",
        "2.00 times faster",
    )
    two = measured((95.0,), (100.0,), unit="files/s", ratio="share", aim=0.9)
    assert (cells(two)[3], two.reached) == ("0.95 of the peer's (aim: at least 0.9)", True)
    assert measured((80.0,), (100.0,), unit="files/s", ratio="share", aim=0.9).reached is False


def test_what_a_figure_may_be_stands_behind_it() -> None:
    assert cells(measured((0.2,), aim_figure=0.3))[1] == "200 (200 to 200) ms (aim: at most 300 ms)"
    one = measured((0.25,), None, unit="cores", aim_figure=0.5, no_peer="none")
    assert cells(one)[1] == "0.25 (0.25 to 0.25) cores (aim: at most 0.50 cores)"
    assert one.to_dict()["aim_figure"] == 0.5


def test_a_row_without_a_peer_or_limit_says_why_below() -> None:
    one = measured(peer=None, no_peer="nobody does this", no_limit="not arithmetic")
    assert cells(one)[2:] == ("none", "", "", "")
    two = measured(name="two", no_limit="not arithmetic")
    assert notes([one, two]) == ["No limit for one, two: not arithmetic.", "No peer for one: nobody does this."]
    assert one.reached is None


def test_a_peer_that_is_not_there_says_what_to_install() -> None:
    one = Measured(
        Row("one", "a thing", OURS, PEER, aim=2),
        Outcome("m3ser", Figure((1.0,))),
        Outcome("other", problem="not installed: pip install other", missing=True),
    )
    assert cells(one)[1:4] == ("1.00 (1.00 to 1.00) s", "other: not installed: pip install other", "")
    assert one.to_dict()["peer"] == {"title": "other", "problem": "not installed: pip install other"}
    assert one.to_dict()["ratio"] is None


def test_json_has_every_run() -> None:
    record = measured(audio_seconds=2.2, flops=1e9, throughput=200e9).to_dict()
    assert record["ours"]["runs"] == [0.010, 0.011, 0.02]
    assert record["peer"]["median"] == 0.11
    assert record["limit"] == pytest.approx(0.005)
    assert record["flops_per_second"] == 200e9


def test_the_page_in_markdown() -> None:
    page = markdown(MACHINE, 5, [measured(what="a | b", flops=1e9, throughput=200e9)], "m3ser bench --out page.md")
    lines = page.splitlines()
    assert lines[0] == "# Performance"
    assert "Written by `m3ser bench --out page.md`." in lines
    assert "Some Processor, 2 cores, 8 GiB of memory; Linux x86_64; Python 3.11.7." in lines
    assert "numpy 2.4.6." in lines  # what is not installed is left out
    table = [line for line in lines if line.startswith("|")]
    assert table[0] == "| " + " | ".join(COLUMNS) + " |"
    assert "a \\| b" in table[2]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    assert "200 GFLOP/s on all cores" in page


def test_the_limit_of_whole_numbers_is_told_apart() -> None:
    floating = measured(name="one", flops=1e9, throughput=200e9)
    whole = measured(name="two", arithmetic="int8", cores=1, flops=1e9, throughput=300e9)
    first, second = notes([floating, whole])
    assert first.startswith("The limit is what")
    assert first.endswith("in float32, measured in turn with both: 200 GFLOP/s on all cores.")
    assert second.startswith("The limit of two is what")
    assert second.endswith("ONNX Runtime's matrix products in int8, measured in turn with both: 300 Gop/s on one core.")
