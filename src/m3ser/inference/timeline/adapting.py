"""A recording heard once before it is judged: how each of its channels usually sounds; see :mod:`m3ser.profile`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from m3ser.audio import SAMPLE_RATE
from m3ser.errors import AudioError
from m3ser.inference.requests import Request
from m3ser.inference.timeline.cutting import Cutting
from m3ser.inference.usual import Listener, UsualVoice
from m3ser.profile import FEW, Profile

__all__ = ["OWN", "own_profiles", "unadapted"]

OWN = "own"
"""What predictions call a recording's own profile."""


def own_profiles(
    listener: Listener, cutting: Cutting, *, channels: int, neutral: float | None
) -> Sequence[Profile | None]:
    """Learn how each channel usually sounds; None: it has too few utterances to tell.

    With few, a profile says more about them than about who speaks: of a single one it would leave nothing to hear.
    A recording that breaks off is heard up to there; whoever reads it again will meet the same.

    Args:
        listener: the recogniser.
        cutting: the recording, from its beginning.
        channels: how many there are.
        neutral: share of neutral utterances in each, about; None: emotions are about even.
    """
    usual = [UsualVoice(listener, neutral) for _ in range(channels)]
    with suppress(AudioError):
        for one in cutting:
            waveform = one.cut.waveform
            request = Request(waveform, text=None, sample_rate=SAMPLE_RATE)
            with suppress(AudioError):  # it is left out there as well, and told
                usual[one.channel].hear(request, len(waveform) / SAMPLE_RATE)
    return [voice.profile(OWN) if voice.utterances >= FEW else None for voice in usual]


def unadapted(profiles: Sequence[Profile | None], *, split: bool, instead: Profile | None) -> list[str]:
    """What is to be known of channels that are judged without a profile of their own: a sentence, or none.

    Args:
        profiles: one a channel.
        split: whether channels are kept apart.
        instead: what the recogniser judges all others by; None: as anybody's.
    """
    numbers = [str(number) for number, profile in enumerate(profiles, 1) if profile is None]
    if not numbers:
        return []
    if not split:
        where = "The recording has"
    else:
        where = f"Channel {numbers[0]} has" if len(numbers) == 1 else f"Channels {' and '.join(numbers)} have"
    how = "as anybody's" if instead is None else f"by the profile {instead.name}"
    return [f"{where} too few utterances to learn from (below {FEW}); judged {how}."]
