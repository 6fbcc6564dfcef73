"""Who may talk to the meter, how they prove it, and what they may then do.

Every client SAP has one row; anything else is refused. On the certificate SAPs the level in the client's certificate
must be the row's level. The rows for pre-shared keys and passwords exist on meters of the field only, and in the model
that stands for them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from certs.levels import GRANTS, Level, Permission
from meterlink.security.general_ciphering import KeyChoice

PUBLIC_SAP: Final = 16


class Proof(enum.IntEnum):
    """How a client proves who it is; the values are the authentication mechanism ids of IEC 62056-5-3, table 90."""

    NONE = 0
    PASSWORD = 1
    MD5 = 3
    SHA1 = 4
    GMAC = 5
    SHA256 = 6
    ECDSA = 7


@dataclass(frozen=True, slots=True)
class GeneralForm:
    """general-ciphering (``choice`` None: not), general-signing of requests and responses, and what the meter takes the
    standard to mean."""

    choice: KeyChoice | None
    signed: bool = False
    header_authenticated: bool = True
    signed_length: bool = False


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One client SAP: the proof it must give, the level its certificate must have (certificates only), and what it may
    do afterwards."""

    sap: int
    proof: Proof
    permissions: frozenset[Permission]
    level: Level | None = None
    ciphered: bool = False
    """Whether every message after the association must be authenticated and encrypted."""
    certificates: bool = False
    general: GeneralForm | None = None
    """How services are carried where they are not in the glo- or ded- form."""


_PUBLIC = ClientRow(PUBLIC_SAP, Proof.NONE, frozenset())

_CERTIFICATE_ROWS = tuple(
    ClientRow(sap, Proof.ECDSA, GRANTS[level], level, ciphered=True, certificates=True)
    for sap, level in enumerate(
        (Level.CONSUMER, Level.INSTALLATION, Level.COMMISSIONING, Level.SERVICE, Level.TEST), start=32
    )
)

_FIELD_RIGHTS = GRANTS[Level.COMMISSIONING]

_FIELD_ROWS = (
    ClientRow(17, Proof.NONE, frozenset({Permission.READ})),
    ClientRow(18, Proof.PASSWORD, _FIELD_RIGHTS),
    ClientRow(19, Proof.GMAC, _FIELD_RIGHTS, ciphered=True),
    ClientRow(20, Proof.ECDSA, _FIELD_RIGHTS),
    ClientRow(21, Proof.ECDSA, _FIELD_RIGHTS, ciphered=True),
    ClientRow(22, Proof.MD5, _FIELD_RIGHTS),
    ClientRow(23, Proof.SHA1, _FIELD_RIGHTS),
    ClientRow(24, Proof.SHA256, _FIELD_RIGHTS),
)


def _general_row(
    sap: int, choice: KeyChoice | None, proof: Proof = Proof.ECDSA, *, signed: bool = False, other: bool = False
) -> ClientRow:
    form = GeneralForm(choice, signed, header_authenticated=not other, signed_length=other)
    return ClientRow(sap, proof, _FIELD_RIGHTS, ciphered=True, general=form)


_GENERAL_ROWS = (
    _general_row(48, KeyChoice.KNOWN),
    _general_row(49, KeyChoice.UNICAST),
    _general_row(50, KeyChoice.WRAPPED),
    _general_row(51, KeyChoice.ONE_PASS),
    _general_row(52, KeyChoice.STATIC),
    _general_row(53, None, signed=True),
    _general_row(54, KeyChoice.ONE_PASS, signed=True),
    _general_row(55, KeyChoice.UNICAST, other=True),
    _general_row(56, None, signed=True, other=True),
    _general_row(57, KeyChoice.UNICAST, Proof.GMAC),
    _general_row(58, KeyChoice.WRAPPED, Proof.PASSWORD),
)

CERTIFICATE_CLIENTS: Final[Mapping[int, ClientRow]] = MappingProxyType(
    {row.sap: row for row in (_PUBLIC, *_CERTIFICATE_ROWS)}
)
"""A meter that knows certificates: 16 reads the clock and the meter's name, 32 to 36 are one SAP for each level."""

FIELD_CLIENTS: Final[Mapping[int, ClientRow]] = MappingProxyType({row.sap: row for row in (_PUBLIC, *_FIELD_ROWS)})
"""A meter as others are in the field: one SAP for each way to prove oneself, with keys that were shared before."""

GENERAL_CLIENTS: Final[Mapping[int, ClientRow]] = MappingProxyType({row.sap: row for row in _GENERAL_ROWS})
"""Clients of such a meter that speak general-ciphering and general-signing, one SAP for each way."""
