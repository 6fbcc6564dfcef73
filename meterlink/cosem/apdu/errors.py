"""ExceptionResponse and ConfirmedServiceError: a request that the server could not process at all (Green Book, 9.5)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final

from meterlink.cosem.octets import Reader
from meterlink.cosem.results import refusal
from meterlink.errors import MeterRefused, ProtocolError


class StateError(enum.IntEnum):
    """Whether the service exists in the state of the server. An unknown number reads as SERVICE_UNKNOWN."""

    SERVICE_NOT_ALLOWED = 1
    SERVICE_UNKNOWN = 2

    @classmethod
    def _missing_(cls, value: object) -> StateError:
        return cls.SERVICE_UNKNOWN


class ServiceError(enum.IntEnum):
    """Why the service was not processed. An unknown number reads as OTHER_REASON."""

    OPERATION_NOT_POSSIBLE = 1
    SERVICE_NOT_SUPPORTED = 2
    OTHER_REASON = 3
    PDU_TOO_LONG = 4
    DECIPHERING_ERROR = 5
    INVOCATION_COUNTER_ERROR = 6

    @classmethod
    def _missing_(cls, value: object) -> ServiceError:
        return cls.OTHER_REASON

    @property
    def code(self) -> str:
        """The name in the standard."""
        return self.name.lower().replace("_", "-")


KEYS_REFUSED: Final = frozenset({ServiceError.DECIPHERING_ERROR, ServiceError.INVOCATION_COUNTER_ERROR})
"""A server that says so has broken the association off: it could not open a message, or takes it for a replay."""


@dataclass(frozen=True, slots=True)
class ExceptionResponse:
    """The server could not process the request. ``invocation_counter`` is the counter that it expects, in an
    invocation counter error."""

    TAG: ClassVar[int] = 0xD8
    state: StateError
    service: ServiceError
    invocation_counter: int | None = None

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytes((self.TAG, self.state, self.service))
        return out if self.invocation_counter is None else out + self.invocation_counter.to_bytes(4, "big")

    def error(self, what: str) -> MeterRefused:
        """Return the error that says that the meter refused ``what``."""
        return refusal(self.service.code, what)


def read_exception(reader: Reader) -> ExceptionResponse:
    """Read an ExceptionResponse behind its tag. Raises ProtocolError."""
    state, service = StateError(reader.u8()), ServiceError(reader.u8())
    counter = None
    if service is ServiceError.INVOCATION_COUNTER_ERROR:
        rest = reader.rest()
        if len(rest) not in (0, 4):
            raise ProtocolError("the invocation counter in an exception does not have 4 octets")
        counter = int.from_bytes(rest, "big") if rest else None
    return ExceptionResponse(state, service, counter)


_REASONS: Final[Mapping[int, tuple[str, tuple[str, ...]]]] = MappingProxyType(
    {
        0: (
            "application-reference",
            (
                "other",
                "time-elapsed",
                "application-unreachable",
                "application-reference-invalid",
                "application-context-unsupported",
                "provider-communication-error",
                "deciphering-error",
            ),
        ),
        1: (
            "hardware-resource",
            (
                "other",
                "memory-unavailable",
                "processor-resource-unavailable",
                "mass-storage-unavailable",
                "other-resource-unavailable",
            ),
        ),
        2: (
            "vde-state-error",
            ("other", "no-dlms-context", "loading-data-set", "status-nochange", "status-inoperable"),
        ),
        3: ("service", ("other", "pdu-size", "service-unsupported")),
        4: (
            "definition",
            ("other", "object-undefined", "object-class-inconsistent", "object-attribute-inconsistent"),
        ),
        5: (
            "access",
            (
                "other",
                "scope-of-access-violated",
                "object-access-violated",
                "hardware-fault",
                "object-unavailable",
            ),
        ),
        6: (
            "initiate",
            (
                "other",
                "dlms-version-too-low",
                "incompatible-conformance",
                "pdu-size-too-short",
                "refused-by-the-vde-handler",
            ),
        ),
        7: (
            "load-data-set",
            (
                "other",
                "primitive-out-of-sequence",
                "not-loadable",
                "dataset-size-too-large",
                "not-awaited-segment",
                "interpretation-failure",
                "storage-failure",
                "data-set-not-ready",
            ),
        ),
        9: ("task", ("other", "no-remote-control", "ti-stopped", "ti-running", "ti-unusable")),
    }
)
"""The choices of ServiceError with their reasons; 8 (change-scope) and 10 (other) have none worth a name."""

INITIATE_ERROR: Final = 1
DLMS_VERSION_TOO_LOW: Final = (6, 1)
INCOMPATIBLE_CONFORMANCE: Final = (6, 2)
PDU_SIZE_TOO_SHORT: Final = (6, 3)


@dataclass(frozen=True, slots=True)
class ConfirmedServiceError:
    """An error of a service: which service (1 is initiate), which kind of error, and the reason."""

    TAG: ClassVar[int] = 0x0E
    service: int
    kind: int
    reason: int

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        return bytes((self.TAG, self.service, self.kind, self.reason))

    @property
    def code(self) -> str:
        """The reason's name in the standard; where that is only ``other``, the kind's name stands before it."""
        kind, reasons = _REASONS.get(self.kind, ("confirmed-service-error", ()))
        if 0 < self.reason < len(reasons):
            return reasons[self.reason]
        return f"{kind}-other"

    def error(self, what: str) -> MeterRefused:
        """Return the error that says that the meter refused ``what``."""
        return refusal(self.code, what)


def read_service_error(reader: Reader) -> ConfirmedServiceError:
    """Read a ConfirmedServiceError behind its tag. Raises ProtocolError."""
    return ConfirmedServiceError(reader.u8(), reader.u8(), reader.u8())
