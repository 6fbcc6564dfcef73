"""The gate: may the active certificate do this?

The gate decides before a byte is sent and says which level would do. It is a kindness to the user; a meter that knows
certificates enforces the same by itself.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Protocol

from cryptography import x509

from certs.levels import Level, Permission, levels_granting
from meterlink.errors import NotPermitted


class ActiveCertificate(Protocol):
    """What the gate looks at; :class:`certs.entries.Credential` is one."""

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate, for its validity."""
        ...

    @property
    def level(self) -> Level | None:
        """The level, or None where it is unknown: then nothing is permitted."""
        ...

    @property
    def permissions(self) -> frozenset[Permission]:
        """What the level grants; empty when the certificate was not valid, or was revoked, when it was looked at."""
        ...


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate says of one command.

    ``reason`` is a sentence either way, ``hint`` says what to do about a refusal (empty when allowed), ``would_do``
    lists the levels that grant the permission, the lowest first.
    """

    allowed: bool
    command: str
    permission: Permission
    reason: str
    hint: str
    would_do: tuple[Level, ...]

    def enforce(self) -> None:
        """Raise :class:`~meterlink.errors.NotPermitted` unless the command is allowed."""
        if not self.allowed:
            raise NotPermitted(self.reason, hint=self.hint)


def decide(command: str, permission: Permission, certificate: ActiveCertificate, now: dt.datetime) -> Decision:
    """Decide whether ``certificate`` permits ``command``, which asks for ``permission``, at ``now``
    (timezone-aware)."""
    would_do = levels_granting(permission)
    refusal = _refusal(permission, certificate, now)
    if refusal is None:
        return Decision(True, command, permission, "the active certificate permits it", "", would_do)
    reason, hint = refusal
    return Decision(False, command, permission, f"`{command}` is not permitted: {reason}", hint, would_do)


def _refusal(permission: Permission, certificate: ActiveCertificate, now: dt.datetime) -> tuple[str, str] | None:
    """Return the reason and the hint of a refusal, or None."""
    level = certificate.level
    here = f"this device says it is {now:%Y-%m-%d %H:%M} UTC"
    not_before, not_after = certificate.certificate.not_valid_before_utc, certificate.certificate.not_valid_after_utc
    if level is None:
        return "the active certificate has no known level", _would_do(permission)
    if now > not_after:
        return (
            f"the active certificate expired on {not_after:%Y-%m-%d} ({here})",
            "renew it with `meterlink certs renew`, or set this device's clock if it is wrong",
        )
    if now < not_before:
        return (
            f"the active certificate is valid from {not_before:%Y-%m-%d} on ({here})",
            "set this device's clock if it is wrong",
        )
    if permission not in level.permissions:
        return f"the level {level.value} does not grant the permission to {permission.value}", _would_do(permission)
    if permission not in certificate.permissions:
        return "the active certificate is not valid any more", "see `meterlink certs list`"
    return None


def _would_do(permission: Permission) -> str:
    levels = " or ".join(level.value for level in levels_granting(permission))
    return f"a certificate of level {levels} would do: ask your issuer for a token, then `meterlink certs request`"
