"""Security setup (IC 64, version 1): the parameters of its methods and what its attributes hold (IEC 62056-6-2, 4.4.7).

Every function returns a method with its parameters, as :meth:`ClientAssociation.action` takes it. Key agreement is part
of the association itself.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from meterlink.cosem import data as cosem
from meterlink.cosem.data import Data
from meterlink.cosem.names import Attribute, Method
from meterlink.cosem.objects.security_policy import policy_to_value
from meterlink.errors import ProtocolError, UsageError
from meterlink.security.control import SecurityPolicy
from meterlink.security.key_wrap import wrap_key
from meterlink.security.keys import KeyId
from meterlink.values import Obis

CLASS_ID: Final = 64

Call = tuple[Method, Data]

_BY_ENTITY: Final = 0
_BY_SERIAL: Final = 1
_INTEGER: Final = 0x02
"""Tag of an INTEGER in DER."""


class CertificateEntity(enum.IntEnum):
    """Whose certificate."""

    SERVER = 0
    CLIENT = 1
    CERTIFICATION_AUTHORITY = 2
    OTHER = 3


class CertificateType(enum.IntEnum):
    """What the certified key is for; also the kind of a key pair (without OTHER)."""

    DIGITAL_SIGNATURE = 0
    KEY_AGREEMENT = 1
    TLS = 2
    OTHER = 3


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """One entry of the attribute certificates. ``issuer`` and ``subject`` are names in DER, ``alternative`` the subject
    alternative name, empty where there is none. ``serial_octets`` is the serial number as the meter wrote it, empty
    where it wrote it as we do."""

    entity: CertificateEntity
    kind: CertificateType
    serial: int
    issuer: bytes
    subject: bytes
    alternative: bytes = b""
    serial_octets: bytes = field(default=b"", compare=False)

    @classmethod
    def from_data(cls, data: Data) -> CertificateInfo:
        """Read the structure of six. Raises ProtocolError."""
        entity, kind, serial, issuer, subject, alternative = data.as_structure(6)
        try:
            known = CertificateEntity(entity.as_int()), CertificateType(kind.as_int())
        except ValueError:
            raise ProtocolError("a certificate is of an unknown kind", code="unexpected-type") from None
        octets = serial.as_bytes()
        if not octets:
            raise ProtocolError("a certificate has no serial number", code="unexpected-type")
        names = (issuer.as_bytes(), subject.as_bytes(), alternative.as_bytes())
        return cls(*known, serial_from_octets(octets), *names, octets)

    @property
    def identification(self) -> Data:
        """What names this certificate to its meter: serial number and issuer, octet for octet as the meter wrote them,
        so that it does not matter how it writes serial numbers."""
        return _by_serial_octets(self.serial_octets or serial_to_octets(self.serial), self.issuer)

    def is_of(self, serial: int, issuer: bytes) -> bool:
        """Tell whether this is the certificate with ``serial`` of ``issuer``, a name in DER."""
        return self.issuer == issuer and serial in serials_of(self.serial_octets or serial_to_octets(self.serial))


def certificates(data: Data) -> tuple[CertificateInfo | None, ...]:
    """Return the entries of the attribute certificates, None for one that cannot be read: it hides no other. Raises
    ProtocolError for what is no list."""
    return tuple(_entry(item) for item in data.as_items())


def _entry(data: Data) -> CertificateInfo | None:
    try:
        return CertificateInfo.from_data(data)
    except ProtocolError:
        return None


def serial_from_octets(octets: bytes) -> int:
    """Return a serial number. Some meters send it bare, others as a DER INTEGER with tag and length."""
    return serials_of(octets)[0]


def serials_of(octets: bytes) -> tuple[int, ...]:
    """Return the serial numbers that ``octets`` can mean, the likelier first: one bare serial number in some 65,536
    looks like a DER INTEGER, and then both readings are possible."""
    bare = int.from_bytes(octets, "big")
    content = octets[2:]
    tagged = int.from_bytes(content, "big")
    is_integer = octets[:2] == bytes((_INTEGER, len(content) & 0x7F)) and tagged > 0
    if is_integer and content == serial_to_octets(tagged):
        return tagged, bare
    return (bare,)


def serial_to_octets(serial: int) -> bytes:
    """Return a serial number bare, as it is sent: the content of its DER INTEGER, without tag and length.

    Raises UsageError for one that is not positive.
    """
    if serial <= 0:
        raise UsageError("a certificate's serial number is positive")
    return serial.to_bytes(serial.bit_length() // 8 + 1, "big")


def attribute(security_setup: Obis, index: int) -> Attribute:
    """Return attribute ``index``: 2 policy, 3 suite, 4 client and 5 server system title, 6 certificates."""
    return Attribute(CLASS_ID, security_setup, index)


def activate_policy(security_setup: Obis, policy: SecurityPolicy, version: int = 1) -> Call:
    """Make the policy stronger; a meter refuses a weaker one. ``version`` is that of the object.

    Raises UsageError ``policy`` for a policy that version 0 cannot say.
    """
    return _call(security_setup, 1, cosem.enum_(policy_to_value(policy, version)))


def transfer_keys(security_setup: Obis, keys: Mapping[KeyId, bytes], master_key: bytes) -> Call:
    """Replace keys of the meter; each is sent wrapped under ``master_key`` (AES key wrap, RFC 3394).

    Raises UsageError when there is none, or one has a length that AES does not have.
    """
    if not keys:
        raise UsageError("no key is to be transferred")
    items = []
    for key_id, key in keys.items():
        if len(key) not in (16, 32) or len(master_key) not in (16, 32):
            raise UsageError("keys have 16 or 32 octets")
        items.append(cosem.structure(cosem.enum_(key_id), cosem.octet_string(wrap_key(master_key, key))))
    return _call(security_setup, 2, cosem.array(items))


def generate_key_pair(security_setup: Obis, kind: CertificateType = CertificateType.DIGITAL_SIGNATURE) -> Call:
    """Have the meter make a new key pair; it takes effect with its certificate."""
    return _call(security_setup, 4, cosem.enum_(kind))


def generate_certificate_request(
    security_setup: Obis, kind: CertificateType = CertificateType.DIGITAL_SIGNATURE
) -> Call:
    """Have the meter make a certificate signing request for the new key pair; it returns PKCS#10 in DER."""
    return _call(security_setup, 5, cosem.enum_(kind))


def import_certificate(security_setup: Obis, certificate: bytes) -> Call:
    """Give the meter a certificate, X.509 in DER."""
    return _call(security_setup, 6, cosem.octet_string(certificate))


def export_certificate(security_setup: Obis, identification: Data) -> Call:
    """Ask for a certificate; the meter returns X.509 in DER. See :func:`by_entity` and :func:`by_serial`."""
    return _call(security_setup, 7, identification)


def remove_certificate(security_setup: Obis, identification: Data) -> Call:
    """Have the meter forget a certificate."""
    return _call(security_setup, 8, identification)


def by_entity(entity: CertificateEntity, kind: CertificateType, system_title: bytes = b"") -> Data:
    """Name a certificate by whose it is and what it is for."""
    return cosem.structure(
        cosem.enum_(_BY_ENTITY),
        cosem.structure(cosem.enum_(entity), cosem.enum_(kind), cosem.octet_string(system_title)),
    )


def by_serial(serial: int, issuer: bytes) -> Data:
    """Name a certificate by its serial number and its issuer, a name in DER."""
    return _by_serial_octets(serial_to_octets(serial), issuer)


def _by_serial_octets(serial: bytes, issuer: bytes) -> Data:
    return cosem.structure(
        cosem.enum_(_BY_SERIAL), cosem.structure(cosem.octet_string(serial), cosem.octet_string(issuer))
    )


def _call(security_setup: Obis, index: int, parameters: Data) -> Call:
    return Method(CLASS_ID, security_setup, index), parameters
