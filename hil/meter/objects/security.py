"""Security setup (IC 64, version 1): policy, suite, titles and certificates of one association's protection.

Key agreement (method 3) is part of the association itself and never comes here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from certs.errors import ProfileError
from certs.levels import Permission
from hil.meter.device import HeatMeter
from hil.meter.keystore import KeyStore
from hil.meter.objects.base import Attribute, Context, CosemObject, Method, Refusal, given
from hil.trust import MeterIdentity
from meterlink.cosem.data import Data, array, enum_, octet_string, structure
from meterlink.cosem.results import DataAccessResult
from meterlink.errors import SecurityError
from meterlink.security.keys import KeyId
from meterlink.security.suites import Suite

NAME: Final = "0-0:43.0.0"
PROTECT_EVERYTHING: Final = 0x04 | 0x08 | 0x20 | 0x40
"""Requests and responses authenticated and encrypted (Blue Book, 4.4.7, security_policy of version 1)."""

_ENTITY_SERVER: Final = 0
_TYPE_SIGNATURE: Final = 0
_BY_ENTITY: Final = 0
_BY_SERIAL: Final = 1


KeyTransfer = Callable[[Mapping[KeyId, bytes]], None]
"""Takes wrapped keys; raises SecurityError when they are not what they should be."""


class SecuritySetup(CosemObject):
    """The security setup of one association.

    ``client_title`` is the client's system title, ``suite`` the security suite in use. ``transfer`` takes new shared
    keys, where the association has any.
    """

    def __init__(
        self, meter: HeatMeter, keys: KeyStore, client_title: bytes, suite: Suite, transfer: KeyTransfer | None
    ) -> None:
        self._meter = meter
        self._keys = keys
        self._transfer = transfer
        attributes = {
            2: Attribute(lambda _: enum_(PROTECT_EVERYTHING)),
            3: Attribute(lambda _: enum_(suite)),
            4: Attribute(lambda _: octet_string(client_title)),
            5: Attribute(lambda _: octet_string(keys.identity.system_title)),
            6: Attribute(lambda _: array((_certificate_info(keys.identity),))),
        }
        methods = {
            1: Method(self._activate, Permission.COMMISSION),
            2: Method(self._transfer_keys, Permission.COMMISSION),
            4: Method(self._generate_key_pair, Permission.COMMISSION),
            5: Method(self._generate_request, Permission.COMMISSION),
            6: Method(self._import, Permission.COMMISSION),
            7: Method(self._export, Permission.READ),
            8: Method(self._remove, Permission.COMMISSION),
        }
        super().__init__(64, NAME, attributes, methods, version=1)

    def _activate(self, _: Context, argument: Data | None) -> None:
        if given(argument).as_int() != PROTECT_EVERYTHING:
            raise Refusal(DataAccessResult.OTHER_REASON)  # a policy can be made stronger, and there is no stronger one

    def _transfer_keys(self, _: Context, argument: Data | None) -> None:
        if self._transfer is None:
            raise Refusal(DataAccessResult.OTHER_REASON)  # keys of a certificate session are agreed on, never sent
        wrapped = {}
        for item in given(argument).as_items():
            key_id, key = item.as_structure(2)
            if key_id.as_int() not in KeyId._value2member_map_:
                raise Refusal(DataAccessResult.OTHER_REASON)
            wrapped[KeyId(key_id.as_int())] = key.as_bytes()
        try:
            self._transfer(wrapped)
        except SecurityError:
            raise Refusal(DataAccessResult.OTHER_REASON) from None

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
        if not self._is_ours(given(argument)):
            raise Refusal(DataAccessResult.OBJECT_UNAVAILABLE)
        return octet_string(self._keys.identity.certificate_der)

    def _remove(self, _: Context, argument: Data | None) -> None:
        if not self._is_ours(given(argument)):
            raise Refusal(DataAccessResult.OBJECT_UNAVAILABLE)
        raise Refusal(DataAccessResult.OTHER_REASON)  # without its own certificate nobody could reach the meter again

    def _is_ours(self, identification: Data) -> bool:
        """Return whether the meter's own certificate is meant, by entity or by serial number."""
        identity = self._keys.identity
        kind, wanted = identification.as_structure(2)
        if kind.as_int() == _BY_ENTITY:
            entity, purpose, title = wanted.as_structure(3)
            signs = (entity.as_int(), purpose.as_int()) == (_ENTITY_SERVER, _TYPE_SIGNATURE)
            return signs and title.as_bytes() in (b"", identity.system_title)
        if kind.as_int() == _BY_SERIAL:
            serial, issuer = wanted.as_structure(2)
            same = _serial_of(serial.as_bytes()) == identity.certificate.serial_number
            return same and issuer.as_bytes() == identity.certificate.issuer.public_bytes()
        return False


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
