"""Naming one thing of several by the beginning of its id, as people do who type."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

from certs.errors import StoreError


class Named(Protocol):
    """Something with an id: 64 hexadecimal digits."""

    @property
    def id(self) -> str:
        """The id."""


_Named = TypeVar("_Named", bound=Named)
_T = TypeVar("_T")

_MIN_PREFIX: Final = 4


def pick(name: str, among: Iterable[_Named], what: str) -> _Named:
    """Return the one item whose id is or begins with ``name``. Raises as :func:`only`."""
    return only(name, [item for item in among if matches(item.id, name)], what)


def matches(full: str, name: str) -> bool:
    """Tell whether ``name`` is an id or the beginning of one, at least four digits of it."""
    return len(name) >= _MIN_PREFIX and full.startswith(name.lower())


def only(name: str, found: list[_T], what: str) -> _T:
    """Return the one item that a name fits. Raises :class:`StoreError` ``no-such-certificate`` or ``ambiguous-id``."""
    hint = f"'certs list' shows the ids; {_MIN_PREFIX} digits or more are enough if no other begins with them."
    if not found:
        raise StoreError("no-such-certificate", f"there is no {what} {name[:64]!r} here", hint)
    if len(found) > 1:
        raise StoreError("ambiguous-id", f"more than one {what} begins with {name[:64]!r}", hint)
    return found[0]
