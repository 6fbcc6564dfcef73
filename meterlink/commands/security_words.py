"""Words for what stands in a security setup: whose certificate, what its key is for, and how one is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from cryptography import x509

from certs import profile
from certs.loading import UNREADABLE, load_name
from meterlink.cosem.objects.security_setup import CertificateEntity, CertificateInfo, CertificateType
from meterlink.errors import MeterRefused, UsageError
from meterlink.security.keys import KeyId

ENTITIES: Final[Mapping[str, CertificateEntity]] = MappingProxyType(
    {
        "server": CertificateEntity.SERVER,
        "client": CertificateEntity.CLIENT,
        "ca": CertificateEntity.CERTIFICATION_AUTHORITY,
        "other": CertificateEntity.OTHER,
    }
)
"""Whose certificate; ``server`` is the meter."""

USES: Final[Mapping[str, CertificateType]] = MappingProxyType(
    {kind.name.lower().replace("_", "-"): kind for kind in CertificateType}
)
"""What a certified key is for."""

KEY_USES: Final = tuple(word for word, kind in USES.items() if kind is not CertificateType.OTHER)
"""What a key pair can be made for."""

KEY_KINDS: Final[Mapping[str, KeyId]] = MappingProxyType({key_id.name.lower(): key_id for key_id in KeyId})
"""Keys that are transferred."""

_UNKNOWN: Final = "certificate-unknown"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which certificate is meant: by whose it is and what for, or by its ``serial``. ``title`` is the system title in
    it, ``issuer`` a part of the issuer's name; both narrow down."""

    entity: CertificateEntity = CertificateEntity.SERVER
    use: CertificateType = CertificateType.DIGITAL_SIGNATURE
    title: bytes = b""
    serial: int | None = None
    issuer: str = ""

    def __str__(self) -> str:
        if self.serial is not None:
            return f"the certificate with the serial number {self.serial:x}"
        title = f" of {self.title.hex().upper()}" if self.title else ""
        return f"the {word_of(self.use)} certificate of the {word_of(self.entity)}{title}"

    def pick(self, known: Sequence[CertificateInfo]) -> CertificateInfo:
        """Return the one that is meant. Raises MeterRefused ``certificate-unknown`` for none, UsageError
        ``several-certificates`` for more than one."""
        found = [info for info in known if self._means(info)]
        if not found:
            raise MeterRefused(
                f"the meter lists no such certificate: {self}",
                code=_UNKNOWN,
                hint="`meterlink cosem security show` shows what it has",
            )
        if len(found) > 1:
            raise UsageError(
                f"the meter lists {len(found)} such certificates: {self}",
                code="several-certificates",
                hint="name it by --serial, with --issuer where that is not enough",
            )
        return found[0]

    def _means(self, info: CertificateInfo) -> bool:
        if self.serial is not None:
            named = info.is_of(self.serial, info.issuer)
        else:
            named = (info.entity, info.kind) == (self.entity, self.use)
        of_title = not self.title or self.title.hex().upper() in name_text(info.subject).upper()
        return named and of_title and self.issuer.casefold() in name_text(info.issuer).casefold()


def word_of(value: CertificateEntity | CertificateType | KeyId) -> str:
    """Return the word for an entity, a use or a key."""
    for words in (ENTITIES, USES, KEY_KINDS):
        for word, known in words.items():
            if known is value:
                return word
    raise ValueError(f"{value!r} has no word")


def name_text(der: bytes) -> str:
    """Return a distinguished name (DER) in words, without characters that cannot be seen."""
    try:
        return profile.describe_name(load_name(der))
    except UNREADABLE:
        return "not readable"


def info_json(info: CertificateInfo | None) -> dict[str, Any]:
    """Return what a meter lists of a certificate, None for all of it where that cannot be read."""
    if info is None:
        return dict.fromkeys(("entity", "use", "serial", "issuer", "subject"))
    return {
        "entity": word_of(info.entity),
        "use": word_of(info.kind),
        "serial": f"{info.serial:x}",
        "issuer": name_text(info.issuer),
        "subject": name_text(info.subject),
    }


def certificate_json(certificate: x509.Certificate) -> dict[str, Any]:
    """Return what a certificate says."""
    return {
        "serial": f"{certificate.serial_number:x}",
        "issuer": profile.describe_name(certificate.issuer),
        "subject": profile.describe_name(certificate.subject),
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
    }
