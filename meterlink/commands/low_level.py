"""GET, SET and ACTION on any object of a COSEM meter, by class, logical name and index.

What a write or a call does to a meter cannot be told from class and OBIS code, so both ask for the permission to
commission; reading asks for the permission to read. On a meter that enforces nothing itself they ask for the permission
to test as well (:data:`UNENFORCED`): a call may start a test there, and nobody else would refuse it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final

from certs.levels import Permission
from meterlink.commands.configure import told_when_uncertain
from meterlink.cosem.data import Data
from meterlink.cosem.names import Attribute, Method
from meterlink.cosem.objects.classes import INTERFACE_CLASSES
from meterlink.errors import LinkError, ProtocolError, UsageError
from meterlink.session import Session

UNENFORCED: Final = (Permission.TEST,)
"""What a write or a call asks for beside its own permission on a meter that does not enforce certificates."""


@dataclass(frozen=True, slots=True)
class GetAttribute:
    """Read one attribute."""

    name: ClassVar[str] = "cosem get"
    permission: ClassVar[Permission] = Permission.READ

    attribute: Attribute

    async def run(self, session: Session) -> Data:
        """Return the value. Raises MeterRefused."""
        return await session.get(self.attribute)


@dataclass(frozen=True, slots=True)
class SetAttribute:
    """Write one attribute."""

    name: ClassVar[str] = "cosem set"
    permission: ClassVar[Permission] = Permission.COMMISSION

    attribute: Attribute
    value: Data = field(repr=False)

    async def run(self, session: Session) -> None:
        """Write it. Raises MeterRefused, or LinkError ``write-uncertain`` when the link broke meanwhile."""
        with told_when_uncertain(str(self.attribute), "connect again and read it"):
            await session.set(self.attribute, self.value)


@dataclass(frozen=True, slots=True)
class CallMethod:
    """Call one method."""

    name: ClassVar[str] = "cosem call"
    permission: ClassVar[Permission] = Permission.COMMISSION

    method: Method
    argument: Data | None = field(default=None, repr=False)

    async def run(self, session: Session) -> Data:
        """Return what the method gives. Raises MeterRefused, or LinkError ``call-uncertain``."""
        try:
            return await session.call(self.method, self.argument)
        except (LinkError, ProtocolError) as error:
            raise LinkError(
                f"the session broke while {self.method} was called ({error.message}): it was done, or not",
                code="call-uncertain",
                hint="connect again and look at what it changes before calling it again",
            ) from error


def class_of(text: str) -> int:
    """Read an interface class: its number, or its name such as ``register`` or ``profile-generic``.

    Raises UsageError ``class-unknown``.
    """
    if text.isascii() and text.isdigit() and int(text) <= 0xFFFF:
        return int(text)
    for known in INTERFACE_CLASSES.values():
        if _plain(known.name) == _plain(text):
            return known.class_id
    names = ", ".join(_plain(known.name) for known in INTERFACE_CLASSES.values())
    raise UsageError(f"no interface class is called {text!r}", code="class-unknown", hint=f"a number, or {names}")


def index_of(class_id: int, text: str, *, of_methods: bool) -> int:
    """Read the index of an attribute or of a method: a number, or its name in the class. Raises UsageError
    ``index-unknown``."""
    low, high = -0x80, 0x7F
    if text.lstrip("-").isdigit() and text.isascii() and low <= int(text) <= high:
        return int(text)
    known = INTERFACE_CLASSES.get(class_id)
    names = () if known is None else known.methods if of_methods else known.attributes
    for index, name in enumerate(names, start=1):
        if _plain(name) == _plain(text):
            return index
    raise UsageError(
        f"class {class_id} has no {'method' if of_methods else 'attribute'} {text!r}",
        code="index-unknown",
        hint="a number" + (f", or {', '.join(map(_plain, names))}" if names else ""),
    )


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(" ", "-")
