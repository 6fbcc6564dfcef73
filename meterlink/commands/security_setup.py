"""The Security setup of a meter (IC 64): what it says, and its policy.

A policy becomes stronger alone. Which version of the class a meter has is told by the policy itself; where it asks for
nothing, by the object list.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from cryptography import x509

from certs.domain import load_certificate
from certs.errors import CertsError
from certs.levels import Permission
from meterlink.commands.object_list import object_list
from meterlink.commands.security_words import certificate_json, info_json
from meterlink.commands.uncertain import CallUncertain, Course, FindOut, call_or_tell, reason
from meterlink.cosem.association.config import SECURITY_SETUP
from meterlink.cosem.data import Data
from meterlink.cosem.objects import security_setup as setup
from meterlink.cosem.objects.security_policy import (
    policy_from_value,
    policy_words,
    version_of_value,
)
from meterlink.cosem.objects.security_setup import CertificateInfo
from meterlink.errors import LinkError, MeterRefused, ProtocolError, UsageError
from meterlink.security.control import SecurityPolicy
from meterlink.session import Session
from meterlink.values import Obis

POLICY, SUITE, CLIENT_TITLE, METER_TITLE, CERTIFICATES = 2, 3, 4, 5, 6
"""Attributes of the class; version 0 has no certificates."""

MOST_EXPORTS: Final = 64
"""Certificates that are exported to be shown; a meter may list what it likes."""

LOOK_AGAIN: Final = "connect again: `meterlink cosem security show` tells which policy is in force"
"""What to do when it is uncertain."""

FORMAT, OTHER, ENTRY = "certificate-format", "certificate-other", "entry-unreadable"
"""Codes for what is exported and is no certificate, or another than was asked for, and for what is listed and cannot be
read."""


@dataclass(frozen=True, slots=True)
class KnownCertificate:
    """A certificate that the meter lists. ``certificate`` is None where it is not exported, ``why`` says why; ``info``
    is None where not even the entry in the list can be read."""

    info: CertificateInfo | None
    certificate: x509.Certificate | None
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the certificate in the form of ``cosem security show --json``."""
        body = info_json(self.info)
        if self.certificate is not None:
            return body | certificate_json(self.certificate)
        return body | {"not_before": None, "not_after": None, "error": self.why}


@dataclass(frozen=True, slots=True)
class SecurityReport:
    """What a security setup says. Titles are None where the meter tells none, ``certificates`` in version 0."""

    version: int
    policy: SecurityPolicy
    suite: int
    client_title: bytes | None
    meter_title: bytes | None
    certificates: tuple[KnownCertificate, ...] | None

    def as_json(self) -> dict[str, Any]:
        """Return the report in the form of ``cosem security show --json``."""
        return {
            "version": self.version,
            "policy": list(policy_words(self.policy)),
            "suite": self.suite,
            "client_system_title": _title_text(self.client_title),
            "system_title": _title_text(self.meter_title),
            "certificates": None if self.certificates is None else [known.as_json() for known in self.certificates],
        }


@dataclass(frozen=True, slots=True)
class ShowSecurity:
    """Read a security setup, and every certificate that it lists."""

    name: ClassVar[str] = "cosem security show"
    permission: ClassVar[Permission] = Permission.READ

    instance: Obis = SECURITY_SETUP

    async def run(self, session: Session) -> SecurityReport:
        """Return the report. Raises MeterRefused where not even policy and suite may be read."""
        policy, version = await read_policy(session, self.instance)
        suite, client, meter = await session.get_many(
            [setup.attribute(self.instance, index) for index in (SUITE, CLIENT_TITLE, METER_TITLE)]
        )
        if isinstance(suite, MeterRefused):
            raise suite
        known = None
        if version > 0:
            infos = await entries(session, self.instance)
            known = tuple([await self._known(session, info) for info in infos[:MOST_EXPORTS]])
            known += tuple(KnownCertificate(info, None, "not-asked") for info in infos[MOST_EXPORTS:])
        return SecurityReport(version, policy, suite.as_int(), _title(client), _title(meter), known)

    async def _known(self, session: Session, info: CertificateInfo | None) -> KnownCertificate:
        if info is None:
            return KnownCertificate(None, None, ENTRY)
        try:
            return KnownCertificate(info, await export(session, self.instance, info))
        except MeterRefused as refused:
            return KnownCertificate(info, None, refused.code)
        except ProtocolError as error:
            if error.code not in (FORMAT, OTHER):
                raise
            return KnownCertificate(info, None, error.code)


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """The policy before and after."""

    before: SecurityPolicy
    after: SecurityPolicy


@dataclass(frozen=True, slots=True)
class ActivatePolicy:
    """Put ``policy`` in force. It must have everything that the present one has."""

    name: ClassVar[str] = "cosem security activate"
    permission: ClassVar[Permission] = Permission.COMMISSION

    policy: SecurityPolicy
    instance: Obis = SECURITY_SETUP
    course: Course = field(default_factory=Course, repr=False)

    async def run(self, session: Session) -> PolicyChange:
        """Return what changed; nothing is sent where the policy is in force already.

        Raises UsageError ``policy-weaker`` before a weaker one is sent, MeterRefused, :class:`PolicyUncertain`.
        """
        before, version = await read_policy(session, self.instance)
        if before & ~self.policy:
            raise UsageError(
                f"the meter asks for {_words(before)}; {_words(self.policy)} is weaker, and a policy can only become "
                "stronger",
                code="policy-weaker",
                hint=f"add {_words(before & ~self.policy)}",
            )
        if before == self.policy:
            return PolicyChange(before, before)
        call = setup.activate_policy(self.instance, self.policy, version)
        refused = "this meter may not know all of this protection"
        try:
            await call_or_tell(session, call, "a policy was activated", LOOK_AGAIN, refused=refused, course=self.course)
        except CallUncertain as uncertain:
            raise PolicyUncertain(uncertain.message, before) from uncertain.__cause__
        try:
            after, _ = await read_policy(session, self.instance)
        except Exception as error:
            # What cannot be undone is told, whatever was wrong with reading it.
            raise PolicyUncertain(
                f"the meter said that from now on it asks for {_words(self.policy)}, which cannot be undone; "
                f"that could not be read back ({reason(error)})",
                before,
                accepted=True,
            ) from error
        if after != self.policy:
            raise _not_in_force()
        return PolicyChange(before, after)

    def resumed(self, error: LinkError) -> FindOut[PolicyChange] | None:
        """Return a command that looks which policy is in force."""
        if not isinstance(error, PolicyUncertain):
            return None
        before = error.before

        async def look(session: Session) -> PolicyChange | None:
            after, _ = await read_policy(session, self.instance)
            return PolicyChange(before, after) if after == self.policy else None

        return FindOut(look, _not_in_force() if error.accepted else "the policy is the old one", error)


class PolicyUncertain(CallUncertain):
    """The session broke while a policy was activated; with ``accepted`` after the meter had said that it was.
    ``before`` is the policy of before."""

    def __init__(self, message: str, before: SecurityPolicy, *, accepted: bool = False) -> None:
        super().__init__(message, hint=LOOK_AGAIN)
        self.before = before
        self.accepted = accepted


def _not_in_force() -> MeterRefused:
    return MeterRefused(
        "the meter accepted the policy, and still asks for another",
        code="policy",
        hint="`meterlink cosem security show` tells which",
    )


async def read_policy(session: Session, instance: Obis) -> tuple[SecurityPolicy, int]:
    """Return the policy in force and the version of the object. Raises MeterRefused, ProtocolError ``policy``."""
    value = (await session.get(setup.attribute(instance, POLICY))).as_int()
    version = version_of_value(value)
    return policy_from_value(value), await _listed_version(session, instance) if version is None else version


async def listed(session: Session, instance: Obis) -> tuple[CertificateInfo, ...]:
    """Return the certificates that the meter lists, as far as their entries can be read. Raises MeterRefused."""
    return tuple(info for info in await entries(session, instance) if info is not None)


async def entries(session: Session, instance: Obis) -> tuple[CertificateInfo | None, ...]:
    """Return the meter's list of certificates, None for an entry that cannot be read. Raises MeterRefused."""
    return setup.certificates(await session.get(setup.attribute(instance, CERTIFICATES)))


async def export(session: Session, instance: Obis, info: CertificateInfo) -> x509.Certificate:
    """Return a listed certificate. Raises MeterRefused, and ProtocolError ``certificate-other`` where the meter gives
    something else."""
    certificate = certificate_in(await session.call(*setup.export_certificate(instance, info.identification)))
    if not info.is_of(certificate.serial_number, certificate.issuer.public_bytes()):
        raise ProtocolError("the meter exports another certificate than it was asked for", code=OTHER)
    return certificate


def certificate_in(answer: Data) -> x509.Certificate:
    """Return the certificate in a method's answer. Raises ProtocolError ``certificate-format``."""
    try:
        return load_certificate(answer.as_bytes())
    except (CertsError, ProtocolError):
        raise ProtocolError("what the meter exports is no certificate", code=FORMAT) from None


async def meter_title(session: Session, instance: Obis) -> bytes:
    """Return the meter's system title: the one of the association, where it told one. Raises MeterRefused."""
    told = session.association.server_title
    return told or (await session.get(setup.attribute(instance, METER_TITLE))).as_bytes()


async def _listed_version(session: Session, instance: Obis) -> int:
    for item in await object_list(session):
        if (item.class_id, item.obis) == (setup.CLASS_ID, instance):
            return item.version
    raise MeterRefused(
        f"the meter lists no security setup {instance} for this client",
        code="object-undefined",
        hint="`meterlink read URL --all` shows what there is; name it with --instance",
    )


def _title(value: Data | MeterRefused) -> bytes | None:
    return None if isinstance(value, MeterRefused) else value.as_bytes() or None


def _title_text(title: bytes | None) -> str | None:
    return None if title is None else title.hex().upper()


def _words(policy: SecurityPolicy) -> str:
    return " ".join(policy_words(policy)) or "nothing"
