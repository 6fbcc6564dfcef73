"""Certificates in a meter, through its security setup (IC 64): request, import, export, removal."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import ClassVar, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from certs.domain import TrustDomain, load_certificate
from certs.errors import CertsError
from certs.levels import Permission
from certs.meter_request import MeterRequest, read_meter_request
from certs.path import check_dates
from meterlink.commands.security_setup import (
    CLIENT_TITLE,
    OTHER,
    SUITE,
    certificate_in,
    entries,
    export,
    listed,
    meter_title,
)
from meterlink.commands.security_words import Wanted
from meterlink.commands.uncertain import CallUncertain, Course, FindOut, call_or_tell
from meterlink.cosem.association.config import SECURITY_SETUP
from meterlink.cosem.objects import security_setup as setup
from meterlink.cosem.objects.security_setup import CertificateEntity, CertificateInfo, CertificateType
from meterlink.errors import LinkError, MeterNotTrusted, ProtocolError, UsageError
from meterlink.session import Session
from meterlink.values import Obis

LOOK_FOR_IT: Final = "connect again: `meterlink cosem security show` tells what it has"
_HAS_TITLE: Final = frozenset({CertificateEntity.SERVER, CertificateEntity.CLIENT})
"""Whose certificate is named by a system title; all others are looked up in the meter's list."""


@dataclass(frozen=True, slots=True)
class Requested:
    """A request that the meter made. ``is_certified`` says that its key is the one of the meter's certificate, so that
    no new key pair was made; None where the association told no certificate."""

    request: MeterRequest
    is_certified: bool | None


@dataclass(frozen=True, slots=True)
class RequestCertificate:
    """Have the meter make a certificate signing request for its newest key for ``use``, and check it."""

    name: ClassVar[str] = "cosem security csr"
    permission: ClassVar[Permission] = Permission.COMMISSION

    use: CertificateType = CertificateType.DIGITAL_SIGNATURE
    instance: Obis = SECURITY_SETUP

    async def run(self, session: Session) -> Requested:
        """Return the request.

        Raises MeterRefused, and MeterNotTrusted with the code of the fault when the request is not one of this meter:
        ``csr-signature`` when its maker does not hold the key, ``csr-system-title``, ``csr-key-type``, ``csr-format``.
        """
        title = await meter_title(session, self.instance)
        suite = (await session.get(setup.attribute(self.instance, SUITE))).as_int()
        method, parameters = setup.generate_certificate_request(self.instance, self.use)
        answer = await session.call(method, parameters)
        try:
            request = read_meter_request(answer.as_bytes())
            request.check_title(title)
            if suite:  # suite 0 knows no curve
                request.check_suite(suite)
        except CertsError as error:
            raise MeterNotTrusted(
                f"the request that the meter made does not hold: {error.message}",
                code=error.code,
                hint="do not have it certified: this may not be the meter it says it is",
            ) from error
        return Requested(request, _is_certified(request, session.association.server_certificate))


@dataclass(frozen=True, slots=True)
class ImportCertificate:
    """Give the meter a certificate (DER) of ``entity``.

    The meter's own must be that of its system title and hold at ``now``: in ``domain``, where the meter belongs to one,
    else by its dates. Any other must be in date; what else it takes is for the meter to say.
    """

    name: ClassVar[str] = "cosem security import"
    permission: ClassVar[Permission] = Permission.COMMISSION

    certificate: x509.Certificate = field(repr=False)
    now: dt.datetime
    entity: CertificateEntity = CertificateEntity.SERVER
    domain: TrustDomain | None = field(default=None, repr=False)
    instance: Obis = SECURITY_SETUP
    course: Course = field(default_factory=Course, repr=False)

    async def run(self, session: Session) -> None:
        """Do it. Raises ProfileError before a certificate is sent that does not hold, MeterRefused, CallUncertain."""
        if self.entity is CertificateEntity.SERVER:
            title = await meter_title(session, self.instance)
            check_own(self.certificate, title, self.domain, self.now)
        der = self.certificate.public_bytes(Encoding.DER)
        call = setup.import_certificate(self.instance, der)
        refused = "is it for the key of the meter's last request, and does the meter keep certificates of this kind?"
        doing = "a certificate was imported"
        await call_or_tell(session, call, doing, LOOK_FOR_IT, refused=refused, course=self.course)

    def resumed(self, error: LinkError) -> FindOut[bool] | None:
        """Return a command that looks whether the meter lists the certificate."""
        if not isinstance(error, CallUncertain):
            return None
        serial, issuer = self.certificate.serial_number, self.certificate.issuer.public_bytes()

        async def look(session: Session) -> bool | None:
            known = await entries(session, self.instance)
            if any(info is not None and info.is_of(serial, issuer) for info in known):
                return True
            if None in known:
                raise ProtocolError("an entry that cannot be read may be the certificate")
            return None

        return FindOut(look, "the meter does not have the certificate", error)


@dataclass(frozen=True, slots=True)
class ExportCertificate:
    """Have the meter give a certificate that it keeps."""

    name: ClassVar[str] = "cosem security export"
    permission: ClassVar[Permission] = Permission.READ

    wanted: Wanted
    instance: Obis = SECURITY_SETUP

    async def run(self, session: Session) -> x509.Certificate:
        """Return it. Raises MeterRefused, and ProtocolError ``certificate-other`` for another than was asked for."""
        wanted = self.wanted
        if wanted.serial is not None or wanted.issuer or wanted.entity not in _HAS_TITLE:
            return await export(session, self.instance, wanted.pick(await listed(session, self.instance)))
        title = wanted.title or await self._title(session)
        named = setup.by_entity(wanted.entity, wanted.use, title)
        found = certificate_in(await session.call(*setup.export_certificate(self.instance, named)))
        if title and title not in titles_in(found):
            raise ProtocolError(
                f"the meter exports a certificate that is not that of {title.hex().upper()}", code=OTHER
            )
        return found

    async def _title(self, session: Session) -> bytes:
        if self.wanted.entity is CertificateEntity.SERVER:
            return await meter_title(session, self.instance)
        return (await session.get(setup.attribute(self.instance, CLIENT_TITLE))).as_bytes()


@dataclass(frozen=True, slots=True)
class RemoveCertificate:
    """Have the meter forget a certificate: the one in its list that is meant, and no other."""

    name: ClassVar[str] = "cosem security remove"
    permission: ClassVar[Permission] = Permission.COMMISSION

    wanted: Wanted
    instance: Obis = SECURITY_SETUP
    course: Course = field(default_factory=Course, repr=False)

    async def run(self, session: Session) -> CertificateInfo:
        """Return what was removed. Raises MeterRefused, UsageError ``several-certificates``, :class:`RemovalUncertain`
        when the session breaks meanwhile."""
        info = self.wanted.pick(await listed(session, self.instance))
        call = setup.remove_certificate(self.instance, info.identification)
        refused = "a meter does not give away what it needs itself: its own certificate, its authorities"
        try:
            doing = "a certificate was removed"
            await call_or_tell(session, call, doing, LOOK_FOR_IT, refused=refused, course=self.course)
        except CallUncertain as uncertain:
            raise RemovalUncertain(uncertain, info) from uncertain.__cause__
        return info

    def resumed(self, error: LinkError) -> FindOut[CertificateInfo] | None:
        """Return a command that looks whether the meter still lists the certificate."""
        if not isinstance(error, RemovalUncertain):
            return None
        info = error.info

        async def look(session: Session) -> CertificateInfo | None:
            return None if info in await listed(session, self.instance) else info

        return FindOut(look, "the meter still has the certificate", error)


class RemovalUncertain(CallUncertain):
    """The session broke while ``info`` was removed."""

    def __init__(self, told: CallUncertain, info: CertificateInfo) -> None:
        super().__init__(told.message, hint=told.hint)
        self.info = info


def check_own(certificate: x509.Certificate, title: bytes, domain: TrustDomain | None, now: dt.datetime) -> None:
    """Check that a certificate is that of the meter ``title`` and holds at ``now``.

    Raises :class:`~certs.errors.ProfileError`: with ``domain`` as its ``check_meter`` does, else ``expired`` or
    ``not-yet-valid``; UsageError ``system-title`` for another meter's.
    """
    titles = titles_in(certificate)
    if title not in titles:
        said = ", ".join(found.hex().upper() for found in titles) or "none"
        raise UsageError(
            f"the certificate is for another meter: its system title is {said}, the meter's {title.hex().upper()}",
            code="system-title",
            hint="nothing was sent: give the certificate that was issued for this meter",
        )
    if domain is not None:
        domain.check_meter(certificate, now, title)
    else:
        check_dates(certificate, now)


def titles_in(certificate: x509.Certificate) -> tuple[bytes, ...]:
    """Return the system titles that a certificate's common names say."""
    titles = []
    for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        try:
            titles.append(bytes.fromhex(str(attribute.value)))
        except ValueError:
            continue
    return tuple(titles)


def _is_certified(request: MeterRequest, certificate: bytes | None) -> bool | None:
    if not certificate:
        return None
    try:
        return load_certificate(certificate).public_key() == request.public_key
    except (CertsError, ValueError):
        return None
