"""Security setup (IC 64, version 1): policy, suite, titles and certificates of one association's protection.

Key agreement (method 3) is part of the association itself and never comes here.
"""

from __future__ import annotations

from typing import Final

from certs.errors import ProfileError
from certs.levels import Permission
from hil.meter.device import HeatMeter
from hil.meter.keystore import KeyStore
from hil.meter.objects.base import Attribute, Context, CosemObject, Method, Refusal, given
from hil.trust import MeterIdentity
from meterlink.cosem.data import Data, array, enum_, octet_string, structure
from meterlink.cosem.results import DataAccessResult

NAME: Final = "0-0:43.0.0"
PROTECT_EVERYTHING: Final = 0x04 | 0x08 | 0x20 | 0x40
"""Requests and responses authenticated and encrypted (Blue Book, 4.4.7, security_policy of version 1)."""

_ENTITY_SERVER: Final = 0
_TYPE_SIGNATURE: Final = 0
_BY_ENTITY: Final = 0
_BY_SERIAL: Final = 1


class SecuritySetup(CosemObject):
    """The security setup of one association; ``client_title`` is the client's system title."""

    def __init__(self, meter: HeatMeter, keys: KeyStore, client_title: bytes) -> None:
        self._meter = meter
        self._keys = keys
        attributes = {
            2: Attribute(lambda _: enum_(PROTECT_EVERYTHING)),
            3: Attribute(lambda _: enum_(keys.identity.suite)),
            4: Attribute(lambda _: octet_string(client_title)),
            5: Attribute(lambda _: octet_string(keys.identity.system_title)),
            6: Attribute(lambda _: array((_certificate_info(keys.identity),))),
        }
        methods = {
            4: Method(self._generate_key_pair, Permission.COMMISSION),
            5: Method(self._generate_request, Permission.COMMISSION),
            6: Method(self._import, Permission.COMMISSION),
            7: Method(self._export, Permission.READ),
        }
        super().__init__(64, NAME, attributes, methods, version=1)

    def _generate_key_pair(self, _: Context, argument: Data | None) -> None:
        _signature_key(argument)
        self._keys.generate_key_pair()

    def _generate_request(self, _: Context, argument: Data | None) -> Data:
        _signature_key(argument)
        return octet_string(self._keys.request())

    def _import(self, context: Context, argument: Data | None) -> None:
        try:
            self._keys.import_certificate(given(argument).as_bytes(), self._meter.security_time(context.now))
        except ProfileError:
            raise Refusal(DataAccessResult.OTHER_REASON) from None

    def _export(self, _: Context, argument: Data | None) -> Data:
        identity = self._keys.identity
        kind, wanted = given(argument).as_structure(2)
        if kind.as_int() == _BY_ENTITY:
            entity, purpose, title = wanted.as_structure(3)
            found = (entity.as_int(), purpose.as_int()) == (_ENTITY_SERVER, _TYPE_SIGNATURE)
            found = found and title.as_bytes() in (b"", identity.system_title)
        elif kind.as_int() == _BY_SERIAL:
            serial, issuer = wanted.as_structure(2)
            found = _serial_of(serial.as_bytes()) == identity.certificate.serial_number
            found = found and issuer.as_bytes() == identity.certificate.issuer.public_bytes()
        else:
            found = False
        if not found:
            raise Refusal(DataAccessResult.OBJECT_UNAVAILABLE)
        return octet_string(identity.certificate_der)


def _signature_key(argument: Data | None) -> None:
    if given(argument).as_int() != _TYPE_SIGNATURE:
        raise Refusal(DataAccessResult.OTHER_REASON)  # this meter has no certificates of other kinds


def _certificate_info(identity: MeterIdentity) -> Data:
    certificate = identity.certificate
    serial = certificate.serial_number
    return structure(
        enum_(_ENTITY_SERVER),
        enum_(_TYPE_SIGNATURE),
        octet_string(serial.to_bytes((serial.bit_length() + 7) // 8, "big")),
        octet_string(certificate.issuer.public_bytes()),
        octet_string(certificate.subject.public_bytes()),
        octet_string(b""),
    )


def _serial_of(octets: bytes) -> int:
    """Read a serial number; some clients send it bare, as we do, others as a DER INTEGER with its tag and length."""
    if len(octets) > 2 and octets[0] == 0x02 and octets[1] == len(octets) - 2:
        octets = octets[2:]
    return int.from_bytes(octets, "big")
