"""Security setup (IC 64, version 1): policy, suite, titles and certificates of one association's protection.

The meter lists its own certificate, those of the authorities that it trusts, and those of clients that were imported;
the last alone can be removed. Key agreement (method 3) is part of the association itself and never comes here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs.errors import ProfileError
from certs.levels import Permission
from hil.meter.device import HeatMeter
from hil.meter.keystore import KeyStore
from hil.meter.objects.base import Attribute, Context, CosemObject, Method, Refusal, given
from meterlink.cosem.data import Data, array, enum_, octet_string, structure
from meterlink.cosem.objects.security_setup import CertificateEntity, CertificateType, serials_of
from meterlink.cosem.results import DataAccessResult
from meterlink.errors import SecurityError
from meterlink.security.control import SecurityPolicy
from meterlink.security.keys import KeyId
from meterlink.security.suites import Suite

NAME: Final = "0-0:43.0.0"
PROTECT_EVERYTHING: Final = 0x04 | 0x08 | 0x20 | 0x40
"""Requests and responses authenticated and encrypted (Blue Book, 4.4.7, security_policy of version 1)."""

_BY_ENTITY: Final = 0


@dataclass(frozen=True, slots=True)
class SharedKeys:
    """What an association with shared keys can have done to them. ``policy`` tells the security policy under them.

    ``transfer`` takes wrapped keys, ``strengthen`` a policy; both raise SecurityError for what cannot be done.
    """

    policy: Callable[[], SecurityPolicy]
    transfer: Callable[[Mapping[KeyId, bytes]], None]
    strengthen: Callable[[SecurityPolicy], None]


class SecuritySetup(CosemObject):
    """The security setup of one association.

    ``client_title`` is the client's system title, ``suite`` the security suite in use. ``shared`` is about the shared
    keys, where the association has any.
    """

    def __init__(
        self, meter: HeatMeter, keys: KeyStore, client_title: bytes, suite: Suite, shared: SharedKeys | None
    ) -> None:
        self._meter = meter
        self._keys = keys
        self._shared = shared
        attributes = {
            2: Attribute(lambda _: enum_(self._policy)),
            3: Attribute(lambda _: enum_(suite)),
            4: Attribute(lambda _: octet_string(client_title)),
            5: Attribute(lambda _: octet_string(keys.identity.system_title)),
            6: Attribute(lambda _: array(map(_info, self._known()))),
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

    @property
    def _policy(self) -> int:
        return PROTECT_EVERYTHING if self._shared is None else int(self._shared.policy())

    def _activate(self, _: Context, argument: Data | None) -> None:
        wanted = given(argument).as_int()
        if self._shared is None or wanted & ~sum(SecurityPolicy):
            if wanted != self._policy:
                raise Refusal(DataAccessResult.OTHER_REASON)  # there is no stronger policy, and no way to a weaker one
            return
        try:
            self._shared.strengthen(SecurityPolicy(wanted))
        except SecurityError:
            raise Refusal(DataAccessResult.OTHER_REASON) from None

    def _transfer_keys(self, _: Context, argument: Data | None) -> None:
        if self._shared is None:
            raise Refusal(DataAccessResult.OTHER_REASON)  # keys of a certificate session are agreed on, never sent
        wrapped = {}
        for item in given(argument).as_items():
            key_id, key = item.as_structure(2)
            if key_id.as_int() not in KeyId._value2member_map_:
                raise Refusal(DataAccessResult.OTHER_REASON)
            wrapped[KeyId(key_id.as_int())] = key.as_bytes()
        try:
            self._shared.transfer(wrapped)
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
        return octet_string(self._find(given(argument)).certificate.public_bytes(Encoding.DER))

    def _remove(self, _: Context, argument: Data | None) -> None:
        found = self._find(given(argument))
        if found.entity is not CertificateEntity.CLIENT:
            # Without its own certificate nobody could reach the meter again, without the authorities nobody could
            # prove anything to it.
            raise Refusal(DataAccessResult.OTHER_REASON)
        self._keys.remove_client(found.title)

    def _known(self) -> Iterator[_Known]:
        """Yield every certificate, the meter's own first."""
        identity = self._keys.identity
        yield _Known(CertificateEntity.SERVER, identity.certificate, identity.system_title)
        for authority in self._keys.authorities:
            yield _Known(CertificateEntity.CERTIFICATION_AUTHORITY, authority, b"")
        for title, certificate in self._keys.clients.items():
            yield _Known(CertificateEntity.CLIENT, certificate, title)

    def _find(self, identification: Data) -> _Known:
        """Return the certificate that is meant, by entity or by serial number. Raises Refusal where there is none, or
        where an entity has several."""
        kind, wanted = identification.as_structure(2)
        if kind.as_int() == _BY_ENTITY:
            entity, purpose, title = wanted.as_structure(3)
            who = (entity.as_int(), purpose.as_int())
            found = [
                known
                for known in self._known()
                if who == (known.entity, CertificateType.DIGITAL_SIGNATURE) and title.as_bytes() in (b"", known.title)
            ]
        else:
            serial, issuer = wanted.as_structure(2)
            found = [known for known in self._known() if known.is_named(serial.as_bytes(), issuer.as_bytes())]
        if len(found) != 1:
            raise Refusal(DataAccessResult.OBJECT_UNAVAILABLE)
        return found[0]


@dataclass(frozen=True, slots=True)
class _Known:
    """A certificate that the meter keeps; ``title`` is empty for an authority."""

    entity: CertificateEntity
    certificate: x509.Certificate
    title: bytes

    def is_named(self, serial: bytes, issuer: bytes) -> bool:
        """Clients write a serial number bare, as we do, or as a DER INTEGER with its tag and length."""
        return self.certificate.serial_number in serials_of(serial) and issuer == self.certificate.issuer.public_bytes()


def _signature_key(argument: Data | None) -> None:
    if given(argument).as_int() != CertificateType.DIGITAL_SIGNATURE:
        raise Refusal(DataAccessResult.OTHER_REASON)  # this meter has no certificates of other kinds


def _info(known: _Known) -> Data:
    certificate = known.certificate
    serial = certificate.serial_number
    return structure(
        enum_(known.entity),
        enum_(CertificateType.DIGITAL_SIGNATURE),
        octet_string(serial.to_bytes((serial.bit_length() + 7) // 8, "big")),
        octet_string(certificate.issuer.public_bytes()),
        octet_string(certificate.subject.public_bytes()),
        octet_string(b""),
    )
