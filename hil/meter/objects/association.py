"""Association LN and SAP assignment (IC 15, 17): what a client may learn of its own association.

Every association sees its own instance at 0-0:40.0.0. The object list holds only what the client may use, with the
access rights that hold for this very client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from certs.levels import Permission
from hil.meter.objects.base import Attribute as ObjectAttribute
from hil.meter.objects.base import Context, CosemObject, constant
from meterlink.cosem.data import (
    Data,
    array,
    bit_string,
    enum_,
    i8,
    logical_name,
    null,
    octet_string,
    structure,
    u8,
    u16,
)
from meterlink.values import Obis

CURRENT_ASSOCIATION: Final = "0-0:40.0.0"
SAP_ASSIGNMENT: Final = "0-0:41.0.0"
SERVER_SAP: Final = 1

_OID_APPLICATION_CONTEXT: Final = bytes.fromhex("60857405080100")
_OID_MECHANISM: Final = bytes.fromhex("60857405080200")
_DLMS_VERSION: Final = 6
_ASSOCIATED: Final = 2

# Access modes, Blue Book 4.4.4 (versions 0 to 2): none, read, write, both; and the same authenticated.
_PLAIN_MODES: Final = {(False, False): 0, (True, False): 1, (False, True): 2, (True, True): 3}
_AUTHENTICATED_MODES: Final = {(False, False): 0, (True, False): 4, (False, True): 5, (True, True): 6}

# Access rights of version 3 are bits: read, write, then authenticated and encrypted request and response.
_PROTECTED_BOTH_WAYS: Final = 0x04 | 0x08 | 0x20 | 0x40


@dataclass(frozen=True, slots=True)
class AssociationFacts:
    """What was agreed: the conformance block as 24 bits of text, the sizes of APDUs in octets, the application context
    id (1 plain, 3 ciphered) and the security setup that holds (None without protection)."""

    conformance: str
    max_receive: int
    max_send: int
    context_id: int
    security_setup: Obis | None


def association_object(
    context: Context, facts: AssociationFacts, objects: Callable[[], Iterable[CosemObject]]
) -> CosemObject:
    """Return the Association LN object of one association.

    It is of version 3 on certificate SAPs, whose access rights say what protection a message must have, and of version
    1, which every client reads, on the others.
    """
    client = context.client
    version = 3 if client.certificates else 1
    context_name = _OID_APPLICATION_CONTEXT[:-1] + bytes((facts.context_id,))
    mechanism = _OID_MECHANISM[:-1] + bytes((client.proof,))
    setup = b"" if facts.security_setup is None else facts.security_setup.to_bytes()
    attributes = {
        2: ObjectAttribute(lambda asking: _object_list(asking, objects(), version)),
        3: constant(structure(i8(client.sap), u16(SERVER_SAP))),
        4: constant(octet_string(context_name)),
        5: constant(_context_info(facts)),
        6: constant(octet_string(mechanism)),
        7: ObjectAttribute(lambda _: null(), read=None),
        8: constant(enum_(_ASSOCIATED)),
        9: constant(octet_string(setup)),
    }
    if version == 3:
        attributes |= {10: constant(array()), 11: constant(structure(u8(0), octet_string(b"")))}
    return CosemObject(15, CURRENT_ASSOCIATION, attributes, version=version)


def sap_assignment(device_name: bytes) -> CosemObject:
    """Return the SAP assignment object: one logical device."""
    entry = structure(u16(SERVER_SAP), octet_string(device_name))
    return CosemObject(17, SAP_ASSIGNMENT, {2: constant(array((entry,)), Permission.READ)})


def _context_info(facts: AssociationFacts) -> Data:
    return structure(
        bit_string(facts.conformance),
        u16(facts.max_receive),
        u16(facts.max_send),
        u8(_DLMS_VERSION),
        i8(0),
        octet_string(b""),
    )


def _object_list(context: Context, objects: Iterable[CosemObject], version: int) -> Data:
    return array(
        structure(u16(item.class_id), u8(item.version), logical_name(item.name), _rights(context, item, version))
        for item in objects
        if item.visible_to(context)
    )


def _rights(context: Context, item: CosemObject, version: int) -> Data:
    attributes = array(
        structure(i8(index), enum_(_mode(context, attribute, version)), _selectors(attribute))
        for index, attribute in sorted(item.attributes.items())
    )
    methods = array(
        structure(i8(index), enum_(_method_mode(context, context.may(method.right), version)))
        for index, method in sorted(item.methods.items())
    )
    return structure(attributes, methods)


def _mode(context: Context, attribute: ObjectAttribute, version: int) -> int:
    read = context.may(attribute.read)
    write = attribute.set is not None and context.may(attribute.write)
    if version == 3:
        return read | write << 1 | _PROTECTED_BOTH_WAYS if read or write else 0
    modes = _AUTHENTICATED_MODES if context.client.ciphered else _PLAIN_MODES
    return modes[read, write]


def _method_mode(context: Context, allowed: bool, version: int) -> int:
    if not allowed:
        return 0
    if version == 3:
        return 1 | _PROTECTED_BOTH_WAYS
    return 2 if context.client.ciphered else 1


def _selectors(attribute: ObjectAttribute) -> Data:
    return null() if attribute.select is None else array((i8(1), i8(2)))
