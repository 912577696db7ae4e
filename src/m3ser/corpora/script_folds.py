"""Protocol ``session+script``: neither the speakers nor the words that are tested have been trained on.

The rule. Sessions are held out where every utterance names one and there are three or more, else speakers, as in
protocol ``session`` or ``speaker``. Then, in this order:

1. *Whole.* Test is all of the held-out session. Nobody is trained or selected on who shares with it a speaker, a
   script, or words: a transcript of four words or more whose set of words has a Jaccard similarity of 0.7 or more.
   This is used where every fold keeps at least a quarter of the utterances that are not tested, and all classes. So it
   is where most utterances are said once: conversations.
2. *Crossed.* Where (nearly) every speaker says every script, that would leave nothing. Scripts are then dealt into five
   groups (or as many as there are scripts), alike in classes, and each fold tests one held-out session in one group of
   scripts. Training is on the other sessions in the other groups, selection on another session in yet another group.
   With two scripts, there is no third group: selection is then on other speakers, but on the words of training, and a
   note says so. Utterances whose words nobody else says belong with any script, so they are dealt over the groups to be
   tested, and trained and selected on everywhere else. What is left of shared words is dropped as under 1.

Either way each utterance is tested exactly once, and nothing is dropped that shares nothing: no similarity is followed
from one transcript to the next (that would chain half a corpus together). Transcripts stand in for scripts where no
script is named: those that are alike, here over any number of steps, are one script.

IEMOCAP is *crossed*: all sessions act the same scenes, and the improvised ones, though their words differ, have the
same story and with it the same emotions. Its five sessions and five groups of scenes make 25 folds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass

from m3ser.corpora.balance import deal, spread
from m3ser.corpora.pool import Draft
from m3ser.corpora.selection import Division, Request, divide, draft, tracked, windows
from m3ser.corpora.similarity import LEAST_WORDS, group_near_duplicates, words_of
from m3ser.corpora.unit_groups import GROUPS, LEAST_UNITS, Unit, held_out, named_units
from m3ser.errors import DataError

__all__ = ["LEAST_KEPT", "draft_session_script"]

LEAST_KEPT = 0.25
"""Share of the utterances not tested that must be left for whole sessions to be tested."""

_PROTOCOL = "session+script"


@dataclass(frozen=True)
class _Plan:
    """What both ways need.

    Attributes:
        request: what is to be divided.
        unit: what is held out.
        units: name -> positions.
        alive: positions that can be placed.
    """

    request: Request
    unit: Unit
    units: Mapping[str, list[int]]
    alive: frozenset[int]

    def choices(self, members: tuple[str, ...], first: int) -> list[list[str]]:
        """Choices of units to select on, while `members` are tested."""
        others = {name: positions for name, positions in self.units.items() if name not in members}
        return windows(
            self.request.pool, others, self.request.validation, self.request.seed, _PROTOCOL, "validation", first=first
        )

    def of(self, members: Iterable[str]) -> set[int]:
        """All positions of these units."""
        return {position for member in members for position in self.units[member]}


def draft_session_script(request: Request) -> Draft:
    """Speakers and words both unseen, by the rule above."""
    utterances = request.pool.utterances
    known = {i for i, u in enumerate(utterances) if u.script is not None or words_of(u.text or "")}
    if not known:
        raise DataError("needs scripts or transcripts, and no utterance has either")
    plan = _plan(request, known)
    left_out = {}
    if len(plan.alive) < len(known):
        left_out[f"names no {plan.unit}"] = len(known) - len(plan.alive)
    if len(known) < len(utterances):
        left_out["has neither script nor transcript"] = len(utterances) - len(known)
    whole: list[Division] | DataError = _attempt(_whole, plan)
    if not isinstance(whole, DataError) and min(division.kept for division in whole) >= LEAST_KEPT:
        return _described(plan, whole, "all scripts of a held-out", left_out)
    crossed = _attempt(_crossed, plan)
    if not isinstance(crossed, DataError):
        return _described(plan, crossed, "one group of scripts of a held-out", left_out)
    if not isinstance(whole, DataError):
        return _described(plan, whole, "all scripts of a held-out", left_out)
    raise crossed


def _plan(request: Request, known: set[int]) -> _Plan:
    sessions = request.pool.sessions
    unit: Unit = "session" if None not in sessions and len(set(sessions)) >= LEAST_UNITS else "speaker"
    units = named_units(request.pool, unit)
    units = {name: kept for name, own in units.items() if (kept := [i for i in own if i in known])}
    return _Plan(request, unit, units, frozenset(i for own in units.values() for i in own))


def _attempt(way: Callable[[_Plan], list[Division]], plan: _Plan) -> list[Division] | DataError:
    try:
        return way(plan)
    except DataError as error:
        return error


def _described(plan: _Plan, divisions: list[Division], tested: str, left_out: Mapping[str, int]) -> Draft:
    return draft(plan.request, divisions, f"tested at a time: {tested} {plan.unit}", left_out=left_out)


def _whole(plan: _Plan) -> list[Division]:
    request = plan.request
    return [
        divide(
            request,
            _PROTOCOL,
            name,
            test=plan.of(members),
            alive=plan.alive,
            choices=(plan.of(chosen) for chosen in plan.choices(members, number)),
        )
        for number, (name, members) in enumerate(
            tracked(request, held_out(request, plan.unit, plan.units, request.folds).items())
        )
    ]


def _crossed(plan: _Plan) -> list[Division]:
    request = plan.request
    group_of, free, groups = _script_groups(plan)
    everyone = held_out(request, plan.unit, plan.units, request.folds or min(GROUPS, len(plan.units)))
    divisions = []
    for number, (name, members) in enumerate(tracked(request, everyone.items())):
        for group in range(groups):
            test = {position for position in plan.of(members) if group_of[position] == group}
            if not test:
                continue  # nobody who is held out says any of these
            # In every fold of a session another group: all are selected on in turn. Of two groups, the one left.
            other = (group + 1) % groups
            divisions.append(
                divide(
                    request,
                    _PROTOCOL,
                    f"{name}, scripts {group + 1} of {groups}",
                    test=test,
                    alive=plan.alive,
                    choices=(
                        {i for i in plan.of(chosen) if i in free or group_of[i] == other}
                        for chosen in plan.choices(members, number)
                    ),
                )
            )
    return divisions


def _script_groups(plan: _Plan) -> tuple[dict[int, int], set[int], int]:
    """Position -> group of scripts, positions that belong with any, and the number of groups."""
    pool = plan.request.pool
    scripts = _scripts(plan)
    unit_of = {position: name for name, positions in plan.units.items() for position in positions}
    sayers: defaultdict[str, set[str]] = defaultdict(set)
    counts: defaultdict[str, dict[Hashable, int]] = defaultdict(dict)
    for position, script in sorted(scripts.items()):
        sayers[script].add(unit_of[position])
        label = pool.classes[position]
        counts[script][label] = counts[script].get(label, 0) + 1
    shared = {script: counts[script] for script in sorted(sayers) if len(sayers[script]) > 1}
    if len(shared) < 2:
        raise DataError(
            f"needs two scripts or more that several {plan.unit}s say, to hold some out; found {len(shared)}"
        )
    groups = min(GROUPS, len(shared))
    group_of_script = deal(shared, groups, plan.request.seed, _PROTOCOL, "scripts")
    group_of = {i: group_of_script[script] for i, script in scripts.items() if script in shared}
    free = set(plan.alive) - set(group_of)
    strata = [(unit_of.get(i, ""), label) for i, label in enumerate(pool.classes)]
    group_of |= spread(sorted(free), pool.names, strata, groups, plan.request.seed, _PROTOCOL, "free")
    return group_of, free, groups


def _scripts(plan: _Plan) -> dict[int, str]:
    """Position -> its script, or what its transcript has in common with others where none is named."""
    utterances = plan.request.pool.utterances
    scripts = {}
    unnamed = []
    for position in sorted(plan.alive):
        script = utterances[position].script
        if script is not None:
            scripts[position] = f"script {script}"
        else:
            unnamed.append(position)
    said = [words_of(utterances[position].text or "") for position in unnamed]
    for position, words, label in zip(unnamed, said, group_near_duplicates(said), strict=True):
        if len(words) >= LEAST_WORDS:
            scripts[position] = f"words {plan.request.pool.names[unnamed[label]]}"
    return scripts
