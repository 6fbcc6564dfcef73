"""APDUs in words: a name, and every field by its name. Secrets that cross the wire in the clear are not shown."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Final

from cryptography.x509.oid import NameOID

from certs.loading import UNREADABLE, load_der
from meterlink import notation
from meterlink.cosem import apdu as xdlms
from meterlink.cosem.acse import Aare, Aarq, Rlre, Rlrq
from meterlink.cosem.apdu.block import Block
from meterlink.cosem.apdu.notification import EventNotification
from meterlink.cosem.data import Data
from meterlink.cosem.dates import CosemDateTime
from meterlink.cosem.names import Attribute, EntrySelection, Method, RangeSelection, Selection
from meterlink.cosem.objects.classes import INTERFACE_CLASSES
from meterlink.cosem.results import ActionResponse
from meterlink.tracing.dialogue import Names, Value, Values

Field = tuple[str, str]

_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_HIDDEN: Final = frozenset({"dedicated_key"})
_NESTED: Final = frozenset({"user_information"})
_LONGEST: Final = 400
_SECRET_METHODS: Final = frozenset({(64, 2), (15, 2), (72, 7), (72, 8)})
"""Class and index of methods whose parameters are key material: key_transfer and change_HLS_secret; of an M-Bus client
set_encryption_key and transfer_key."""

_SECRET_ATTRIBUTES: Final = frozenset({(15, 7), (19, 7), (19, 8), (19, 9), (44, 5), (45, 3)})
"""Class and index of attributes that open something: the secret of an Association, the passwords of an IEC local port,
the name and password of a PPP setup, the PIN of a GPRS modem."""

_SECRETS: Final = re.compile(
    b"|".join(
        (
            rb"\x60\x85\x74\x05\x08\x02",
            *(
                re.escape(class_id.to_bytes(2, "big")) + b".{6}" + re.escape(bytes((index,)))
                for class_id, index in sorted(_SECRET_ATTRIBUTES | _SECRET_METHODS)
            ),
        )
    ),
    re.DOTALL,
)
"""Octets in front of a password or a key: the name of an authentication mechanism, or of what is listed above."""

_VALUES: Final = frozenset({"result", "results", "value", "values", "parameters", "response", "responses"})
"""Fields that hold a value for each attribute or method that is spoken of."""

_BLOCKS: Final = frozenset({"content"})
"""Fields that hold a part of something, which is shown when all parts are there."""

_NOT_SHOWN: Final = "not shown"
Acse = Aarq | Aare | Rlrq | Rlre


def name_of(message: xdlms.Apdu | Acse) -> str:
    """Return the name of an APDU: ``get-request-normal``."""
    return _WORDS.sub("-", type(message).__name__).lower()


def fields_of(message: xdlms.Apdu | Acse, names: Names = ()) -> Iterator[Field]:
    """Yield the fields of an APDU by name, as text; what is empty is left out. ``names`` are what its values are those
    of, as far as that is known."""
    if isinstance(message, EventNotification):
        names = (message.attribute,)
    for item in fields(message):
        value = getattr(message, item.name)
        if value is None or value == b"" or item.name in _NESTED:
            continue
        yield _label(message, item.name), _shown_field(message, item.name, value, names)


def is_secret(name: Attribute | Method) -> bool:
    """Return whether the value of an attribute, or the parameters of a method, are a password or a key."""
    known = _SECRET_ATTRIBUTES if isinstance(name, Attribute) else _SECRET_METHODS
    return (name.class_id, name.index) in known


def values_text(names: Names, values: Values) -> str:
    """Return values as text, without those that are secret."""
    if len(names) != len(values):
        return _NOT_SHOWN if any(map(is_secret, names)) else _shown(values)
    return "; ".join(
        _NOT_SHOWN if is_secret(name) and _has_data(value) else _shown(value)
        for name, value in zip(names, values, strict=True)
    )


def _has_data(value: Value) -> bool:
    return isinstance(value, Data) or (isinstance(value, ActionResponse) and value.data is not None)


def octets_text(octets: bytes, *, hide: bool = False) -> str:
    """Return octets that nobody can read in hex, unless ``hide`` is set or a password or key may be among them."""
    hide = hide or _SECRETS.search(octets) is not None
    return f"{len(octets)}, {_NOT_SHOWN}: a password or a key may be among them" if hide else octets.hex(" ")


def _label(message: xdlms.Apdu | Acse, name: str) -> str:
    # One field of the AARQ carries the password, or in high level security the client's challenge.
    if isinstance(message, Aarq) and name == "secret" and message.mechanism.is_high:
        return "challenge"
    return name.replace("_", " ")


def attribute_text(attribute: Attribute) -> str:
    """Return ``Register 6-0:1.0.0*255 value``, with the selection where there is one."""
    known = INTERFACE_CLASSES.get(attribute.class_id)
    text = f"{_class_name(attribute.class_id)} {attribute.instance} "
    text += known.attribute(attribute.index) if known else f"attribute {attribute.index}"
    return text if attribute.selection is None else f"{text} ({_selection(attribute.selection.as_selection())})"


def _selection(selection: Selection) -> str:
    kinds = {1: RangeSelection, 2: EntrySelection}
    kind = kinds.get(selection.selector)
    name = "range" if kind is RangeSelection else "entries" if kind else f"selector {selection.selector}"
    return f"{name} {notation.write(selection.parameters)}"


def _method_text(method: Method) -> str:
    known = INTERFACE_CLASSES.get(method.class_id)
    name = known.method(method.index) if known else f"method {method.index}"
    return f"{_class_name(method.class_id)} {method.instance} {name}"


def _class_name(class_id: int) -> str:
    known = INTERFACE_CLASSES.get(class_id)
    return known.name if known else f"class {class_id}"


def _shown_field(message: Any, name: str, value: Any, names: Names) -> str:
    if name in _HIDDEN or (isinstance(message, Aarq) and name == "secret" and not message.mechanism.is_high):
        return _NOT_SHOWN
    if name == "certificate":
        return _certificate(value)
    if name in _BLOCKS and isinstance(value, bytes):
        return f"{len(value)} octets"
    if name in _VALUES:
        return _cut(values_text(names, value if isinstance(value, tuple) and not isinstance(value, Data) else (value,)))
    return _cut(_shown(value))


def _shown(value: Any) -> str:
    match value:
        case Data():
            return notation.write(value)
        case Attribute():
            return attribute_text(value)
        case Method():
            return _method_text(value)
        case ActionResponse(result=result, data=data):
            return _shown(result) if data is None else f"{_shown(result)}, {_shown(data)}"
        case Block(last=last, number=number, content=content):
            return f"block {number}{', the last,' if last else ''} of {len(content)} octets"
        case enum.IntFlag():
            return " ".join(_kebab(flag.name or "") for flag in value)
        case enum.Enum():
            return _kebab(value.name)
        case bytes():
            return value.hex(" ")
        case CosemDateTime():
            return str(value)
        case tuple():
            return "; ".join(map(_shown, value))
        case _:
            return str(value)


def _kebab(name: str) -> str:
    return name.lower().replace("_", "-")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def _certificate(der: bytes) -> str:
    try:
        subject = load_der(der).subject
    except UNREADABLE:
        return f"{len(der)} octets that are no certificate"
    names = [str(name.value) for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    name = names[0] if names else "nobody"
    return f"{len(der)} octets, issued to {name if name.isprintable() else ascii(name)}"
