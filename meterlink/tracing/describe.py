"""APDUs in words: a name, and every field by its name. Secrets that cross the wire in the clear are not shown."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from meterlink import notation
from meterlink.cosem import apdu as xdlms
from meterlink.cosem.acse import Aare, Aarq, Rlre, Rlrq
from meterlink.cosem.apdu.block import Block
from meterlink.cosem.data import Data
from meterlink.cosem.dates import CosemDateTime
from meterlink.cosem.names import Attribute, EntrySelection, Method, RangeSelection, Selection
from meterlink.cosem.objects.classes import INTERFACE_CLASSES
from meterlink.cosem.results import ActionResponse
from meterlink.security.hls import Mechanism

Field = tuple[str, str]

_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_HIDDEN: Final = frozenset({"dedicated_key"})
_NESTED: Final = frozenset({"user_information"})
_LONGEST: Final = 400
_SECRET_PARAMETERS: Final = frozenset({(64, 2), (15, 2)})
"""Class and index of methods whose parameters are key material: key_transfer, change_HLS_secret."""

_SECRET_VALUES: Final = frozenset({(15, 7)})
"""Class and index of attributes that are secrets: those of the Association."""

Acse = Aarq | Aare | Rlrq | Rlre


def name_of(message: xdlms.Apdu | Acse) -> str:
    """Return the name of an APDU: ``get-request-normal``."""
    return _WORDS.sub("-", type(message).__name__).lower()


def fields_of(message: xdlms.Apdu | Acse) -> Iterator[Field]:
    """Yield the fields of an APDU by name, as text; what is empty is left out."""
    for item in fields(message):
        value = getattr(message, item.name)
        if value is None or value == b"" or item.name in _NESTED:
            continue
        yield _label(message, item.name), _shown_field(message, item.name, value)


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


def _shown_field(message: Any, name: str, value: Any) -> str:
    if name in _HIDDEN or _is_secret(message, name):
        return "not shown"
    if name == "certificate":
        return _certificate(value)
    return _cut(_shown(value))


def _is_secret(message: Any, name: str) -> bool:
    if isinstance(message, Aarq):
        return name == "secret" and message.mechanism is Mechanism.LOW
    if name == "parameters":
        return any((method.class_id, method.index) in _SECRET_PARAMETERS for method in _all_of(message, "method"))
    if name in ("value", "values"):
        return any((item.class_id, item.index) in _SECRET_VALUES for item in _all_of(message, "attribute"))
    return False


def _all_of(message: Any, name: str) -> tuple[Any, ...]:
    """Return what a request names, one thing or a list of them."""
    one = getattr(message, name, None)
    return (one,) if one is not None else tuple(getattr(message, f"{name}s", ()))


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
        subject = x509.load_der_x509_certificate(der).subject
        names = [str(name.value) for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except ValueError:
        return f"{len(der)} octets that are no certificate"
    return f"{len(der)} octets, issued to {names[0] if names else 'nobody'}"
