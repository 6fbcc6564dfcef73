"""ACSE: opening and releasing an association (ISO/IEC 8650-1 in BER, as the Green Book, 9.4, cuts it down).

Where implementations disagree: a server's certificate stands in A5 (responding AE qualifier) here, and is accepted in
A7 as well, where some servers put it; a client's stands in A7 (calling AE qualifier).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import ClassVar, Final

from meterlink.cosem.leaves import read_length, write_octets
from meterlink.errors import ProtocolError
from meterlink.security.hls import Mechanism

_INTEGER: Final = 0x02
_OCTET_STRING: Final = 0x04
_OID: Final = 0x06
_CHAR_STRING: Final = 0x80

_CONTEXT_NAME: Final = bytes.fromhex("608574050801")
_MECHANISM_NAME: Final = bytes.fromhex("608574050802")
"""2.16.756.5.8.1.x and 2.16.756.5.8.2.x, all but the last arc."""

_REQUIREMENTS: Final = b"\x07\x80"
"""Bit string of one bit: authentication is used."""


class Context(enum.IntEnum):
    """Application contexts: the last arc of the name."""

    LOGICAL_NAMES = 1
    SHORT_NAMES = 2
    LOGICAL_NAMES_CIPHERED = 3
    SHORT_NAMES_CIPHERED = 4

    @property
    def is_ciphered(self) -> bool:
        """True where protected APDUs may be used."""
        return self in (Context.LOGICAL_NAMES_CIPHERED, Context.SHORT_NAMES_CIPHERED)


class AssociationResult(enum.IntEnum):
    """Whether an association was accepted."""

    ACCEPTED = 0
    REJECTED_PERMANENT = 1
    REJECTED_TRANSIENT = 2


class Diagnostic(enum.IntEnum):
    """Why an association was rejected, said by the service user (0..14) or, from 100 on, by the service provider."""

    NULL = 0
    NO_REASON_GIVEN = 1
    APPLICATION_CONTEXT_NAME_NOT_SUPPORTED = 2
    CALLING_AP_TITLE_NOT_RECOGNIZED = 3
    CALLING_AP_INVOCATION_IDENTIFIER_NOT_RECOGNIZED = 4
    CALLING_AE_QUALIFIER_NOT_RECOGNIZED = 5
    CALLING_AE_INVOCATION_IDENTIFIER_NOT_RECOGNIZED = 6
    CALLED_AP_TITLE_NOT_RECOGNIZED = 7
    CALLED_AP_INVOCATION_IDENTIFIER_NOT_RECOGNIZED = 8
    CALLED_AE_QUALIFIER_NOT_RECOGNIZED = 9
    CALLED_AE_INVOCATION_IDENTIFIER_NOT_RECOGNIZED = 10
    AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED = 11
    AUTHENTICATION_MECHANISM_NAME_REQUIRED = 12
    AUTHENTICATION_FAILURE = 13
    AUTHENTICATION_REQUIRED = 14
    PROVIDER_NULL = 100
    PROVIDER_NO_REASON_GIVEN = 101
    NO_COMMON_ACSE_VERSION = 102

    @property
    def code(self) -> str:
        """The name in the standard."""
        return self.name.lower().replace("_", "-")


class ReleaseReason(enum.IntEnum):
    """Why an association is released, or not."""

    NORMAL = 0
    URGENT_OR_NOT_FINISHED = 1
    USER_DEFINED = 30


_PROVIDER: Final = 100
"""What is added to the numbers of the service provider."""

_CONTEXTS: Final = {_CONTEXT_NAME + bytes((context,)): context for context in Context}
_MECHANISMS: Final = {_MECHANISM_NAME + bytes((mechanism,)): mechanism for mechanism in Mechanism}
_RESULTS: Final = {int(result): result for result in AssociationResult}
_DIAGNOSTICS: Final = {int(diagnostic): diagnostic for diagnostic in Diagnostic}


@dataclass(frozen=True, slots=True)
class Aarq:
    """Association request. ``user_information`` is the InitiateRequest, plain or protected; ``secret`` the password or
    the challenge."""

    TAG: ClassVar[int] = 0x60
    context: Context
    user_information: bytes = field(repr=False)
    mechanism: Mechanism = Mechanism.NONE
    system_title: bytes | None = None
    certificate: bytes | None = field(default=None, repr=False)
    secret: bytes | None = field(default=None, repr=False)

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray()
        _put(out, 0xA1, _tlv(_OID, _CONTEXT_NAME + bytes((self.context,))))
        if self.system_title is not None:
            _put(out, 0xA6, _tlv(_OCTET_STRING, self.system_title))
        if self.certificate is not None:
            _put(out, 0xA7, _tlv(_OCTET_STRING, self.certificate))
        if self.mechanism is not Mechanism.NONE:
            _put(out, 0x8A, _REQUIREMENTS)
            _put(out, 0x8B, _MECHANISM_NAME + bytes((self.mechanism,)))
            _put(out, 0xAC, _tlv(_CHAR_STRING, self.secret or b""))
        _put(out, 0xBE, _tlv(_OCTET_STRING, self.user_information))
        return _tlv(self.TAG, bytes(out))

    @classmethod
    def from_bytes(cls, data: bytes) -> Aarq:
        """Read an AARQ. Raises ProtocolError."""
        fields = _fields(data, cls.TAG)
        secret = fields.get(0xAC)
        return cls(
            context=_context(fields),
            user_information=_user_information(fields),
            mechanism=_mechanism(fields, 0x8B),
            system_title=_optional(fields, 0xA6),
            certificate=_optional(fields, 0xA7),
            secret=None if secret is None else _inner(secret, _CHAR_STRING),
        )


@dataclass(frozen=True, slots=True)
class Aare:
    """Association response. ``user_information`` is the InitiateResponse or a ConfirmedServiceError, plain or
    protected, empty when there is none; ``challenge`` the server's challenge."""

    TAG: ClassVar[int] = 0x61
    context: Context
    result: AssociationResult
    diagnostic: Diagnostic
    user_information: bytes = field(default=b"", repr=False)
    mechanism: Mechanism = Mechanism.NONE
    system_title: bytes | None = None
    certificate: bytes | None = field(default=None, repr=False)
    challenge: bytes | None = field(default=None, repr=False)

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray()
        _put(out, 0xA1, _tlv(_OID, _CONTEXT_NAME + bytes((self.context,))))
        _put(out, 0xA2, _tlv(_INTEGER, bytes((self.result,))))
        by_provider, number = divmod(int(self.diagnostic), _PROVIDER)
        _put(out, 0xA3, _tlv(0xA2 if by_provider else 0xA1, _tlv(_INTEGER, bytes((number,)))))
        if self.system_title is not None:
            _put(out, 0xA4, _tlv(_OCTET_STRING, self.system_title))
        if self.certificate is not None:
            _put(out, 0xA5, _tlv(_OCTET_STRING, self.certificate))
        if self.mechanism is not Mechanism.NONE:
            _put(out, 0x88, _REQUIREMENTS)
            _put(out, 0x89, _MECHANISM_NAME + bytes((self.mechanism,)))
        if self.challenge is not None:
            _put(out, 0xAA, _tlv(_CHAR_STRING, self.challenge))
        if self.user_information:
            _put(out, 0xBE, _tlv(_OCTET_STRING, self.user_information))
        return _tlv(self.TAG, bytes(out))

    @classmethod
    def from_bytes(cls, data: bytes) -> Aare:
        """Read an AARE. Raises ProtocolError."""
        fields = _fields(data, cls.TAG)
        challenge = fields.get(0xAA)
        certificate = _certificate(fields, 0xA5)
        result = _RESULTS.get(_integer(_inner(_required(fields, 0xA2), _INTEGER)))
        if result is None:
            raise ProtocolError("an AARE has an unknown result")
        return cls(
            context=_context(fields),
            result=result,
            diagnostic=_diagnostic(_required(fields, 0xA3)),
            user_information=_user_information(fields) if 0xBE in fields else b"",
            mechanism=_mechanism(fields, 0x89),
            system_title=_optional(fields, 0xA4),
            certificate=_certificate(fields, 0xA7) if certificate is None else certificate,
            challenge=None if challenge is None else _inner(challenge, _CHAR_STRING),
        )


@dataclass(frozen=True, slots=True)
class Rlrq:
    """Release request. ``user_information`` is a protected InitiateRequest in a ciphered association."""

    TAG: ClassVar[int] = 0x62
    reason: ReleaseReason = ReleaseReason.NORMAL
    user_information: bytes = field(default=b"", repr=False)

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        return _release_to_bytes(self.TAG, self.reason, self.user_information)

    @classmethod
    def from_bytes(cls, data: bytes) -> Rlrq:
        """Read an RLRQ. Raises ProtocolError."""
        return cls(*_read_release(data, cls.TAG))


@dataclass(frozen=True, slots=True)
class Rlre:
    """Release response. ``user_information`` is a protected InitiateResponse in a ciphered association."""

    TAG: ClassVar[int] = 0x63
    reason: ReleaseReason = ReleaseReason.NORMAL
    user_information: bytes = field(default=b"", repr=False)

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        return _release_to_bytes(self.TAG, self.reason, self.user_information)

    @classmethod
    def from_bytes(cls, data: bytes) -> Rlre:
        """Read an RLRE. Raises ProtocolError."""
        return cls(*_read_release(data, cls.TAG))


def _release_to_bytes(tag: int, reason: ReleaseReason, user_information: bytes) -> bytes:
    out = bytearray()
    _put(out, 0x80, bytes((reason,)))
    if user_information:
        _put(out, 0xBE, _tlv(_OCTET_STRING, user_information))
    return _tlv(tag, bytes(out))


def _read_release(data: bytes, tag: int) -> tuple[ReleaseReason, bytes]:
    fields = _fields(data, tag)
    number = _integer(fields.get(0x80, b"\x00"))
    known = number in ReleaseReason._value2member_map_
    reason = ReleaseReason(number) if known else ReleaseReason.USER_DEFINED
    return reason, _user_information(fields) if 0xBE in fields else b""


def _put(out: bytearray, tag: int, content: bytes) -> None:
    out.append(tag)
    write_octets(out, content)


def _tlv(tag: int, content: bytes) -> bytes:
    out = bytearray()
    _put(out, tag, content)
    return bytes(out)


def _fields(data: bytes, tag: int) -> dict[int, bytes]:
    """Return the fields of the APDU by their tags; each may stand once."""
    content = _inner(data, tag)
    fields: dict[int, bytes] = {}
    position, end = 0, len(content)
    try:
        while position < end:
            number = content[position]
            length, start = read_length(content, position + 1)
            position = start + length
            if number in fields:
                raise ProtocolError(f"the field {number:02X} of an ACSE APDU stands twice")
            fields[number] = content[start:position]
    except IndexError:
        position = end + 1
    if position > end:
        raise ProtocolError("an ACSE APDU ends early")
    return fields


def _inner(content: bytes, tag: int) -> bytes:
    """Return the content of the one element that ``content`` holds. Raises ProtocolError for anything else."""
    try:
        if content[0] == tag:
            length, start = read_length(content, 1)
            if start + length == len(content):
                return content[start:]
    except IndexError:
        pass
    raise ProtocolError(f"an ACSE APDU or field is not one element with the tag {tag:02X}")


def _required(fields: dict[int, bytes], tag: int) -> bytes:
    try:
        return fields[tag]
    except KeyError:
        raise ProtocolError(f"the field {tag:02X} of an ACSE APDU is missing") from None


def _optional(fields: dict[int, bytes], tag: int) -> bytes | None:
    return None if tag not in fields else _inner(fields[tag], _OCTET_STRING)


def _certificate(fields: dict[int, bytes], tag: int) -> bytes | None:
    """Return the octet string in ``tag``; in A7 of an AARE an integer, the AE invocation id, may stand as well."""
    content = fields.get(tag)
    return _inner(content, _OCTET_STRING) if content and content[0] == _OCTET_STRING else None


def _user_information(fields: dict[int, bytes]) -> bytes:
    return _inner(_required(fields, 0xBE), _OCTET_STRING)


def _integer(content: bytes) -> int:
    if not 1 <= len(content) <= 4:
        raise ProtocolError("a number in an ACSE APDU has a wrong length")
    return int.from_bytes(content, "big", signed=True)


def _context(fields: dict[int, bytes]) -> Context:
    context = _CONTEXTS.get(_inner(_required(fields, 0xA1), _OID))
    if context is None:
        raise ProtocolError(
            "the application context is not one of COSEM", code=Diagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED.code
        )
    return context


def _mechanism(fields: dict[int, bytes], tag: int) -> Mechanism:
    name = fields.get(tag)
    if name is None:
        return Mechanism.NONE
    mechanism = _MECHANISMS.get(name)
    if mechanism is None:
        raise ProtocolError(
            "the authentication mechanism is not one of COSEM",
            code=Diagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED.code,
        )
    return mechanism


def _diagnostic(content: bytes) -> Diagnostic:
    by_provider = content[:1] == b"\xa2"
    number = _integer(_inner(_inner(content, 0xA2 if by_provider else 0xA1), _INTEGER))
    unknown = Diagnostic.PROVIDER_NO_REASON_GIVEN if by_provider else Diagnostic.NO_REASON_GIVEN
    if not 0 <= number < _PROVIDER:
        return unknown
    return _DIAGNOSTICS.get(number + _PROVIDER * by_provider, unknown)
