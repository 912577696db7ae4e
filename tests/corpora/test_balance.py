from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from m3ser.corpora.balance import deal, rotation, spread


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.sampled_from(["f", "m", ""]), max_size=30), st.integers())
def test_a_rotation_has_everybody_once(groups: dict[str, str], seed: int) -> None:
    assert sorted(rotation(groups, seed)) == sorted(groups)
    assert rotation(dict(reversed(groups.items())), seed) == rotation(groups, seed)


def test_any_stretch_of_a_rotation_has_its_share_of_each_group() -> None:
    groups = {str(i): "f" if i % 3 else "m" for i in range(30)}
    for seed in range(10):
        order = rotation(groups, seed)
        for start in range(0, 30, 6):
            assert 1 <= Counter(groups[name] for name in order[start : start + 6])["m"] <= 3


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=3), st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)), min_size=5
    ),
    st.integers(1, 5),
)
def test_dealing_leaves_no_bin_empty_and_no_unit_out(units: dict[str, dict[str, int]], bins: int) -> None:
    dealt = deal(units, bins, 0)
    assert set(dealt) == set(units)
    assert set(dealt.values()) == set(range(bins))


def test_dealing_makes_bins_alike_in_what_is_rare_too() -> None:
    units = {str(i): {"common": 10 + i % 3, "rare": int(i % 4 == 0)} for i in range(20)}
    bins = [Counter() for _ in range(5)]
    for name, b in deal(units, 5, 1).items():
        bins[b].update(units[name])
    assert {b["rare"] for b in bins} == {1}
    assert max(b["common"] for b in bins) - min(b["common"] for b in bins) <= 3


def test_spreading_is_even_in_every_stratum() -> None:
    names = [str(i) for i in range(101)]
    strata = [("a" if i % 4 else "b", "f" if i % 3 else "m") for i in range(101)]
    bin_of = spread(range(101), names, strata, 4, 0)
    assert sorted(bin_of) == list(range(101))
    for depth in range(3):
        counts = Counter((strata[i][:depth], b) for i, b in bin_of.items())
        for stratum in {s[:depth] for s in strata}:
            inside = [counts[stratum, b] for b in range(4)]
            assert max(inside) - min(inside) <= (1 if depth == 2 else 3)


def test_barred_bins_are_kept_clear() -> None:
    bin_of = spread(range(40), [str(i) for i in range(40)], [("a",)] * 40, 4, 0, barred={i: [0] for i in range(20)})
    assert all(bin_of[i] != 0 for i in range(20))
    assert max(Counter(bin_of.values()).values()) <= 11
