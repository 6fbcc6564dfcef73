"""Words of a URL, refused with the list of those that are known."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from meterlink.errors import UsageError

_T = TypeVar("_T")

_YES_OR_NO: Final[Mapping[str, bool]] = MappingProxyType({"yes": True, "no": False})


def word(key: str, text: str, known: Mapping[str, _T]) -> _T:
    """Return what ``text``, the value of the URL's ``key``, means. Raises UsageError (``url-invalid``)."""
    try:
        return known[text.lower()]
    except KeyError:
        raise UsageError(
            f"{key}={text} is not known", code="url-invalid", hint=f"{key} is one of {', '.join(known)}"
        ) from None


def yes_or_no(key: str, text: str) -> bool:
    """Return a truth value. Raises UsageError (``url-invalid``)."""
    return word(key, text, _YES_OR_NO)


def number(key: str, text: str, low: int, high: int, *, other: str | None = None) -> int:
    """Return a whole number ``low..high``; ``other`` is a word that could stand there as well. Raises UsageError
    (``url-invalid``)."""
    if text.isascii() and text.isdigit() and len(text) <= len(str(high)) and low <= int(text) <= high:
        return int(text)
    beside = "" if other is None else f", nor {other}"
    raise UsageError(f"{key}={text} is no number {low}..{high}{beside}", code="url-invalid", hint=f"give {key}=N")


def needed(what: str, hint: str) -> UsageError:
    """Return the error for something that was not shared."""
    return UsageError(f"{what} is needed for this kind of association", code="keys-needed", hint=hint)
