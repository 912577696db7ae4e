"""Seeded choices that leave every part alike, and come out the same on every machine."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence

from m3ser.corpora.drawing import shuffled, uniform

__all__ = ["deal", "rotation", "spread"]


def rotation(groups: Mapping[str, str], *key: object) -> list[str]:
    """Names in a seeded order, any stretch of which has of each group about its share.

    Args:
        groups: name -> group (a gender, say).
        key: another key, another order.
    """
    members: defaultdict[str, list[str]] = defaultdict(list)
    for name in shuffled(groups, *key, name=str):
        members[groups[name]].append(name)
    places = []
    for group, names in members.items():
        # Evenly over the whole length, from a random start, so that no group is always first.
        start = uniform(*key, "start", group)
        places += [((i + start) / len(names), group, name) for i, name in enumerate(names)]
    return [name for _, _, name in sorted(places)]


def deal(units: Mapping[str, Mapping[Hashable, int]], bins: int, *key: object) -> dict[str, int]:
    """Deal units that must stay whole into bins that are alike in all that is counted; no bin stays empty.

    Greedily, the largest unit first: each goes where it least adds to the squared distance from an even division, every
    feature counting in shares of its total, so that a rare class weighs as much as a common one.

    Args:
        units: name -> feature -> how many it has.
        bins: how many; at most as many as there are units.
        key: another key, another outcome among equals.

    Returns:
        Name -> bin, from 0.
    """
    assert 0 < bins <= len(units)
    total: Counter[Hashable] = Counter()
    for counts in units.values():
        total.update(counts)
    dealt: list[Counter[Hashable]] = [Counter() for _ in range(bins)]
    members = [0] * bins
    bin_of: dict[str, int] = {}
    order = sorted(shuffled(units, *key, name=str), key=lambda name: -sum(units[name].values()))
    for left, name in zip(range(len(order), 0, -1), order, strict=True):
        open_bins = [b for b in range(bins) if not members[b] or left > members.count(0)]

        def cost(b: int, counts: Mapping[Hashable, int] = units[name]) -> tuple[float, int, float]:
            # (have + n - target)^2 - (have - target)^2, but for a constant
            added = sum(n * (2 * dealt[b][feature] + n) / total[feature] ** 2 for feature, n in counts.items() if n)
            return (round(added, 12), members[b], uniform(*key, "bin", b))

        chosen = min(open_bins, key=cost)
        bin_of[name] = chosen
        members[chosen] += 1
        dealt[chosen].update(units[name])
    return bin_of


def spread(
    items: Iterable[int],
    names: Sequence[str],
    strata: Sequence[tuple[str, ...]],
    bins: int,
    *key: object,
    barred: Mapping[int, Collection[int]] | None = None,
) -> dict[int, int]:
    """Deal single items into bins so that each stratum, and each coarser one, is divided evenly.

    Args:
        items: positions in `names` and `strata`.
        names: of each, by which it is drawn.
        strata: of each, from coarse to fine: ("angry", "female").
        bins: how many.
        key: another key, another outcome.
        barred: item -> bins that it may not go into; never all.

    Returns:
        Item -> bin, from 0.
    """
    counts: list[Counter[tuple[str, ...]]] = [Counter() for _ in range(bins)]
    turn = [uniform(*key, "bin", b) for b in range(bins)]
    bin_of: dict[int, int] = {}
    drawn = shuffled(items, *key, name=lambda item: names[item])
    # Those with less choice first; whoever may go anywhere evens out what they leave.
    for item in sorted(drawn, key=lambda item: (-len((barred or {}).get(item, ())), strata[item])):
        levels = [strata[item][:depth] for depth in range(len(strata[item]), -1, -1)]
        closed = (barred or {}).get(item, ())
        chosen = min(
            (b for b in range(bins) if b not in closed),
            key=lambda b: (*(counts[b][level] for level in levels), turn[b]),
        )
        bin_of[item] = chosen
        counts[chosen].update(levels)
    return bin_of
