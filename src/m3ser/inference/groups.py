"""A profile for each speaker, or whatever else recordings are grouped by, learnt from the recordings themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import PurePath

from m3ser.bundle import slug
from m3ser.errors import AudioError
from m3ser.inference.learning import utterances_of
from m3ser.inference.requests import Request
from m3ser.inference.usual import Listener, UsualVoice
from m3ser.profile import FEW, Profile

__all__ = ["ENOUGH", "learn_groups"]

ENOUGH = 30
"""Recordings of a group that are heard, evenly over all of them; more hardly help (docs/profiles.md)."""


def learn_groups(
    listener: Listener,
    recordings: Callable[[], Iterable[tuple[str, Request]]],
    *,
    neutral: float | None = None,
    known: Mapping[str, Profile | None] | None = None,
    learnt: Callable[[str, Profile | None], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Profile | None]:
    """Learn how each group of recordings usually sounds. Memory holds :data:`ENOUGH` recordings of each group.

    A recording that cannot be used is passed over: whoever asks about it will be told.

    Args:
        listener: the recogniser.
        recordings: gives all of them, each with its group ("" is none), the same in every call; it is called twice.
        neutral: share of neutral recordings in each group, about; None: emotions are about even.
        known: what need not be learnt again.
        learnt: told each group's profile as soon as it is known; None: it has too few utterances to tell.
        progress: told how many groups are done with, and of how many.

    Returns:
        Group -> profile, or None where it has fewer than :data:`~m3ser.profile.FEW` utterances. Predictions call it by
        the last part of the group's name.

    Raises:
        UsageError: the model takes no profiles, or none with such a share.
    """
    listener.bundle.require_adaptable(neutral)
    found: dict[str, Profile | None] = dict(known or {})
    sizes = Counter(group for group, _ in recordings() if group and group not in found)
    heard: dict[str, list[Request]] = {group: [] for group in sizes}
    seen: Counter[str] = Counter()
    for group, request in recordings():
        if group in heard:
            # Evenly: the number of those that are heard grows by one wherever this crosses a whole number.
            place, size = seen[group], sizes[group]
            if size <= ENOUGH or (place + 1) * ENOUGH // size > place * ENOUGH // size:
                heard[group].append(request)
            seen[group] += 1
    for done, (group, requests) in enumerate(heard.items()):
        if progress is not None:
            progress(done, len(heard))
        found[group] = _profile(UsualVoice(listener, neutral), group, requests)
        if learnt is not None:
            learnt(group, found[group])
    if progress is not None:
        progress(len(heard), len(heard))
    return found


def _profile(usual: UsualVoice, group: str, requests: Iterable[Request]) -> Profile | None:
    for request in requests:
        with suppress(AudioError):
            for utterance, seconds in utterances_of(request):
                usual.hear(utterance, seconds)
    return usual.profile(slug(PurePath(group).name)) if usual.utterances >= FEW else None
