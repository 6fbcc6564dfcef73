"""What an object of the meter is: attributes and methods, each with the right that a client needs for it.

An object knows nothing of associations or bytes. It is asked with a :class:`Context`, and answers with COSEM data or
with :class:`Refusal`. Rights are checked here, in one place, before anything of the object runs.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from certs.levels import Permission
from hil.meter.clients import ClientRow
from meterlink.cosem.data import Data, logical_name
from meterlink.cosem.names import AnySelection
from meterlink.cosem.results import DataAccessResult
from meterlink.errors import ProtocolError
from meterlink.values import Obis


class Everybody(enum.Enum):
    """The right that every client has, a public one too."""

    EVERYBODY = "everybody"


EVERYBODY: Final = Everybody.EVERYBODY

Right = Permission | Literal[Everybody.EVERYBODY] | None
"""What a client must be granted to use an attribute or a method; None: nobody may."""


class Refusal(Exception):
    """The meter does not do what was asked; ``result`` is what it answers."""

    def __init__(self, result: DataAccessResult) -> None:
        super().__init__(result.name)
        self.result = result


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks, and when: ``now`` is monotonic time, ``client`` the row of the client's SAP, ``title`` its system title
    (empty when it gave none)."""

    now: float
    client: ClientRow
    title: bytes = b""

    def may(self, right: Right) -> bool:
        """Return whether the client has this right."""
        if right is None:
            return False
        return right is EVERYBODY or right in self.client.permissions


Getter = Callable[[Context], Data]
Setter = Callable[[Context, Data], None]
Caller = Callable[[Context, Data | None], Data | None]
Selector = Callable[[Context, AnySelection], Data]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: how it is read, written and selected from, and the rights for reading and writing."""

    get: Getter
    read: Right = Permission.READ
    set: Setter | None = None
    write: Right = None
    select: Selector | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """One method: what it does and the right that it needs."""

    call: Caller
    right: Right


class CosemObject:
    """An object: class, version, logical name, attributes from 2 and methods from 1. Attribute 1 is the logical
    name."""

    def __init__(
        self,
        class_id: int,
        name: str | Obis,
        attributes: dict[int, Attribute],
        methods: dict[int, Method] | None = None,
        *,
        version: int = 0,
    ) -> None:
        self.class_id = class_id
        self.version = version
        self.name = Obis.parse(name) if isinstance(name, str) else name
        own_name = logical_name(self.name)
        self.attributes = {1: Attribute(lambda _: own_name, read=_easiest(attributes)), **attributes}
        self.methods = methods or {}

    def get(self, index: int, context: Context, selection: AnySelection | None = None) -> Data:
        """Read an attribute. Raises :class:`Refusal`."""
        attribute = self._attribute(index)
        if not context.may(attribute.read):
            raise Refusal(DataAccessResult.READ_WRITE_DENIED)
        if selection is None:
            return attribute.get(context)
        if attribute.select is None:
            raise Refusal(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
        with _types_checked():
            return attribute.select(context, selection)

    def set(self, index: int, value: Data, context: Context) -> None:
        """Write an attribute. Raises :class:`Refusal`."""
        attribute = self._attribute(index)
        if attribute.set is None or not context.may(attribute.write):
            raise Refusal(DataAccessResult.READ_WRITE_DENIED)
        with _types_checked():
            attribute.set(context, value)

    def call(self, index: int, argument: Data | None, context: Context) -> Data | None:
        """Call a method. Raises :class:`Refusal`."""
        method = self.methods.get(index)
        if method is None:
            raise Refusal(DataAccessResult.OBJECT_UNDEFINED)
        if not context.may(method.right):
            raise Refusal(DataAccessResult.READ_WRITE_DENIED)
        with _types_checked():
            return method.call(context, argument)

    def visible_to(self, context: Context) -> bool:
        """Return whether the client may use anything of it."""
        rights: Iterable[Right] = [a.read for a in self.attributes.values()]
        return any(context.may(right) for right in rights)

    def _attribute(self, index: int) -> Attribute:
        try:
            return self.attributes[index]
        except KeyError:
            raise Refusal(DataAccessResult.OBJECT_UNDEFINED) from None


def _easiest(attributes: dict[int, Attribute]) -> Right:
    """Return the right that most clients have of those that any attribute is read with: who may read something of an
    object may know its name."""
    rights = {attribute.read for attribute in attributes.values()} - {None}
    for right in (EVERYBODY, Permission.READ):
        if right in rights:
            return right
    return next(iter(rights), None)


@contextlib.contextmanager
def _types_checked() -> Iterator[None]:
    """Answer ``type-unmatched`` where a client's value is not of the type that the object reads."""
    try:
        yield
    except ProtocolError:
        raise Refusal(DataAccessResult.TYPE_UNMATCHED) from None


def constant(value: Data, read: Right = Permission.READ) -> Attribute:
    """Return an attribute that never changes."""
    return Attribute(lambda _: value, read=read)


def given(argument: Data | None) -> Data:
    """Return a method's argument. Raises :class:`Refusal` when there is none."""
    if argument is None:
        raise Refusal(DataAccessResult.TYPE_UNMATCHED)
    return argument
