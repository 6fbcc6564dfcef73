"""Profiles: what is known of a meter family, as data.

A profile is a TOML file. Every family has ``name``, ``title`` and ``protocol``; the rest depends on the protocol:

``text``
    ``identify``: beginnings of the identification (manufacturer letters, baud character, text) that belong to this
    family (the longest one wins); ``signature``: codes by which a readout without identification is known (the most
    codes win); ``units``: the meter's spelling of
    a unit and ours; ``[[values]]``: one table a code, see :class:`ValueRule`.
``mbus``
    ``[[devices]]``: manufacturer, versions and media of the header; ``[names]``: names for records that the standard
    leaves to the meter, by their header.
``cosem``
    ``saps``: client SAP by level name; ``[[objects]]``: one table an object, see :class:`CosemObject`.

``bluetooth`` holds the beginnings of the names under which meters of the family advertise on Bluetooth LE.
``[line]`` says how the meter is woken and spoken to, ``[[flags]]`` what its error codes mean and what to do.
What has no effect is refused, so that a slip of the pen does not silently do nothing.
"""

from __future__ import annotations

import functools
from importlib import resources

from meterlink.errors import DataError, UsageError
from meterlink.meters.profile_file import check_together, parse_line_settings, read_profile
from meterlink.meters.profile_parts import (
    CosemObject,
    Device,
    Dialogue,
    ErrorFlag,
    Kind,
    LinePlan,
    Profile,
    Protocol,
    ValueRule,
)


@functools.cache
def profiles() -> tuple[Profile, ...]:
    """Return every profile that ships with the package, in the order of their files. Raises DataError ``profile``."""
    folder = resources.files(__package__).joinpath("profiles")
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".toml")), key=lambda item: item.name)
    found: list[tuple[str, Profile]] = []
    for item in files:
        try:
            text = item.read_text("utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{item.name} is not UTF-8", code="profile", hint="save it as UTF-8") from None
        found.append((item.name, read_profile(text, item.name)))
    check_together(found)
    return tuple(profile for _, profile in found)


def profile(name: str) -> Profile:
    """Return the profile called ``name``. Raises UsageError ``unknown-profile`` that lists the known ones."""
    for candidate in profiles():
        if candidate.name == name.lower():
            return candidate
    known = ", ".join(candidate.name for candidate in profiles())
    raise UsageError(f"no meter family is called {name!r}", code="unknown-profile", hint=f"known are {known}")


def profile_of_bluetooth_name(name: str) -> Profile | None:
    """Return the family whose meters advertise under names like ``name``, None when no profile claims it."""
    return next((known for known in profiles() if known.bluetooth and name.startswith(known.bluetooth)), None)


__all__ = [
    "CosemObject",
    "Device",
    "Dialogue",
    "ErrorFlag",
    "Kind",
    "LinePlan",
    "Profile",
    "Protocol",
    "ValueRule",
    "parse_line_settings",
    "profile",
    "profile_of_bluetooth_name",
    "profiles",
    "read_profile",
]
