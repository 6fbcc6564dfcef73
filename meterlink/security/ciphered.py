"""The APDUs that carry a protected APDU: glo-, ded-, general-glo- and general-ded-ciphering.

A service-specific one has a tag of its own for every service that it can carry, so the tag tells what is inside; it
must agree with what comes out. A general one carries any service and names the sender's system title.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from meterlink.errors import LocalProtocolError, SecurityError
from meterlink.security.control import SecurityControl
from meterlink.security.keys import KeyRole, KeySet
from meterlink.security.octets import octet_string, read_octet_string
from meterlink.security.protection import seal, unseal
from meterlink.security.suites import SYSTEM_TITLE_LENGTH

GENERAL_GLO_CIPHERING: Final = 0xDB
GENERAL_DED_CIPHERING: Final = 0xDC
GENERAL_CIPHERING: Final = 0xDD
GENERAL_SIGNING: Final = 0xDF


class Ciphering(enum.Enum):
    """How a protected APDU is carried."""

    GLOBAL = ("glo", None, None)
    DEDICATED = ("ded", None, KeyRole.DEDICATED)
    GENERAL_GLOBAL = ("general-glo", GENERAL_GLO_CIPHERING, None)
    GENERAL_DEDICATED = ("general-ded", GENERAL_DED_CIPHERING, KeyRole.DEDICATED)

    def __init__(self, label: str, general_tag: int | None, role: KeyRole | None) -> None:
        self.label = label
        """Name in the standard, in front of ``-ciphering``."""
        self.general_tag = general_tag
        """The tag where it is one for all services, else None."""
        self.role = role
        """The key that encrypts; None for the global one that the security control byte names."""


# plain tag: (glo- tag, ded- tag), IEC 62056-5-3, table of xDLMS APDU tags
_SERVICES: Final[Mapping[int, tuple[int, int]]] = MappingProxyType(
    {
        0x01: (0x21, 0x41),  # initiate-request
        0x08: (0x28, 0x48),  # initiate-response
        0x0E: (0x2E, 0x4E),  # confirmed-service-error
        0xC0: (0xC8, 0xD0),  # get-request
        0xC1: (0xC9, 0xD1),  # set-request
        0xC2: (0xCA, 0xD2),  # event-notification-request
        0xC3: (0xCB, 0xD3),  # action-request
        0xC4: (0xCC, 0xD4),  # get-response
        0xC5: (0xCD, 0xD5),  # set-response
        0xC7: (0xCF, 0xD7),  # action-response
    }
)

_SPECIFIC: Final = MappingProxyType(
    {tag: (Ciphering.GLOBAL, plain) for plain, (tag, _) in _SERVICES.items()}
    | {tag: (Ciphering.DEDICATED, plain) for plain, (_, tag) in _SERVICES.items()}
)

_GENERAL: Final = MappingProxyType(
    {ciphering.general_tag: ciphering for ciphering in Ciphering if ciphering.general_tag is not None}
)


class Opened(NamedTuple):
    """A protected APDU that verified: the APDU inside, and what protected it."""

    apdu: bytes
    control: SecurityControl
    system_title: bytes
    counter: int
    ciphering: Ciphering

    def __repr__(self) -> str:
        # What is inside may be a dedicated key or a password.
        return f"Opened({len(self.apdu)} octets, {self.control}, counter={self.counter}, {self.ciphering.name})"


def is_ciphered(apdu: bytes) -> bool:
    """Return whether ``apdu`` is one that :func:`unwrap` opens."""
    return bool(apdu) and (apdu[0] in _SPECIFIC or apdu[0] in _GENERAL)


def can_be_specific(apdu: bytes) -> bool:
    """Return whether the service of the plain ``apdu`` has a glo- and a ded- tag of its own. (DataNotification, for
    one, has none and travels in a general one.)"""
    return bool(apdu) and apdu[0] in _SERVICES


def wrap(
    apdu: bytes, *, ciphering: Ciphering, control: SecurityControl, system_title: bytes, counter: int, keys: KeySet
) -> bytes:
    """Return ``apdu`` protected and carried as ``ciphering`` says; see :func:`~.protection.seal` for the rest.

    Raises :class:`~meterlink.errors.LocalProtocolError` when the service has no tag for it or the keys do not fit.
    """
    tag = ciphering.general_tag
    if tag is None:
        try:
            front = bytes((_SERVICES[apdu[0]][ciphering.role is not None],))
        except (IndexError, KeyError):
            raise LocalProtocolError(f"this service has no {ciphering.label} form of its own") from None
    else:
        front = bytes((tag,)) + octet_string(system_title)
    protected = seal(apdu, control=control, system_title=system_title, counter=counter, keys=keys, role=ciphering.role)
    return front + octet_string(protected)


def unwrap(data: bytes, *, system_title: bytes, keys: KeySet) -> Opened:
    """Open a glo-, ded-, general-glo- or general-ded- APDU.

    ``system_title`` is the peer's; a general APDU that names another is refused, and where it is empty the one that
    the APDU names is taken. Whether the protection is enough and the counter new is the caller's to judge
    (:class:`~.session.SecureSession` does). Raises :class:`~meterlink.errors.SecurityError`: ``unprotected`` for a
    plain APDU, ``system-title``, ``service-mismatch`` when the service inside is not the one the tag says, and what
    :func:`~.protection.unseal` raises.
    """
    if not data:
        raise SecurityError("an empty message is not protected", code="unprotected")
    tag = data[0]
    expected: int | None = None
    at = 1
    if tag in _SPECIFIC:
        ciphering, expected = _SPECIFIC[tag]
    elif tag in _GENERAL:
        ciphering = _GENERAL[tag]
        named, at = read_octet_string(data, at)
        system_title = _agreed_title(named, system_title)
    else:
        raise SecurityError(f"a message with tag {tag:#04x} is not protected", code="unprotected")
    content, end = read_octet_string(data, at)
    if end != len(data):
        raise SecurityError("octets follow a protected message", code="malformed")
    apdu, control, counter = unseal(content, system_title=system_title, keys=keys, role=ciphering.role)
    if expected is not None and (not apdu or apdu[0] != expected):
        raise SecurityError("the service inside a protected message is not the one outside", code="service-mismatch")
    return Opened(apdu, control, system_title, counter, ciphering)


def _agreed_title(named: bytes, known: bytes) -> bytes:
    if named and len(named) != SYSTEM_TITLE_LENGTH:
        raise SecurityError(f"a system title has 8 octets, not {len(named)}", code="system-title")
    if named and known and named != known:
        raise SecurityError("a protected message names another system title than the peer's", code="system-title")
    return named or known
