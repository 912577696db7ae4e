"""The profiles that a service offers: whose voices it knows, by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from m3ser.errors import DataError, UsageError
from m3ser.profile import Profile, read_profile

__all__ = ["Profiles", "read_profiles"]

_NAMED = 10  # that a refusal lists
_SHOWN = 40  # characters of a client's name that are said back


def read_profiles(folder: Path) -> tuple[Profile, ...]:
    """All profiles in a folder, by the names of their files: ``*.json``, and nothing else of it.

    Raises:
        DataError: it is no folder, holds no profile, a file that is none, or two of one name.
    """
    if not folder.is_dir():
        raise DataError(f"'{folder}' is not a folder; expected one of profiles, as m3ser adapt writes them.")
    found: dict[str, Path] = {}
    profiles = []
    for path in sorted(folder.glob("*.json")):
        profile = read_profile(path)
        if profile.name in found:
            raise DataError(
                f"'{found[profile.name]}' and '{path}' are both called '{profile.name}'; expected one profile of a "
                "name (m3ser adapt --name)."
            )
        found[profile.name] = path
        profiles.append(profile)
    if not profiles:
        raise DataError(f"'{folder}' holds no profile; expected files NAME.json, as m3ser adapt writes them.")
    return tuple(profiles)


class Profiles:
    """Profiles by their names. Nothing is opened for a name: all of them are here.

    Args:
        profiles: of different names.
    """

    def __init__(self, profiles: Iterable[Profile] = ()) -> None:
        self._by_name = {profile.name: profile for profile in profiles}

    @property
    def names(self) -> tuple[str, ...]:
        """What they are called, in the order in which they were given."""
        return tuple(self._by_name)

    def find(self, name: str | None) -> Profile | None:
        """The one that a client asks for; None where it asks for none.

        Raises:
            UsageError: there is none of that name.
        """
        if name is None:
            return None
        if name not in self._by_name:
            raise UsageError(f"The profile {name[:_SHOWN]!r} is not known; {self._known()}.")
        return self._by_name[name]

    def _known(self) -> str:
        if not self._by_name:
            return "this service has none"
        further = len(self.names) - _NAMED
        return f"known are {', '.join(self.names[:_NAMED])}{f' and {further} more' if further > 0 else ''}"
