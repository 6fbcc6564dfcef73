"""Errors of the meter floor.

One root; every error has a stable ``code``, a message and, where there is one, a hint that says what to do next.

::

    MeterlinkError
    ├── UsageError            what was asked cannot be meant: bad URL, unknown object, value out of range (exit 2)
    ├── NotPermitted          the active certificate does not allow the command (exit 3)
    ├── MeterNotTrusted       the meter's certificate or its proof of possession does not hold (exit 4)
    ├── LinkError             no bytes get through (exit 5)
    │   ├── LinkLost          the connection broke: port gone, radio link lost, peer closed
    │   ├── LinkTimeout       nothing came before the deadline
    │   └── LinkUnavailable   it could not be opened: no such port, busy, no permission, no adapter, not found
    ├── RemoteError           the meter answered, but refused or answered wrongly (exit 6)
    │   ├── MeterRefused      an error code of the protocol, by its name in the standard
    │   ├── AssociationRefused   the association was rejected or the authentication failed
    │   └── ProtocolError     the answer breaks the protocol: framing, encoding, state
    │       └── SecurityError    a protected message does not verify, is replayed, or is missing its protection
    ├── DataError             bytes given to a decoder (a file, a capture) are not what they should be (exit 2)
    └── LocalProtocolError    we broke the protocol ourselves: a fault of the program (exit 1)
"""

from __future__ import annotations

from typing import ClassVar


class MeterlinkError(Exception):
    """Root of all errors of ``meterlink``.

    ``code`` is a short stable identifier in kebab case, ``hint`` one sentence that says what to do next.
    """

    default_code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.default_code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class UsageError(MeterlinkError):
    """What was asked cannot be meant: a bad URL, an unknown name, a value out of range."""

    default_code = "usage"
    exit_code = 2


class DataError(MeterlinkError):
    """Bytes given to a decoder are not what they should be."""

    default_code = "data"
    exit_code = 2


class NotPermitted(MeterlinkError):
    """The active certificate does not allow the command. No byte was sent."""

    default_code = "not-permitted"
    exit_code = 3


class MeterNotTrusted(MeterlinkError):
    """The meter's certificate, or its proof that it holds the key, does not hold."""

    default_code = "meter-not-trusted"
    exit_code = 4


class LinkError(MeterlinkError):
    """No bytes get through."""

    default_code = "link"
    exit_code = 5


class LinkLost(LinkError):
    """The connection broke: the port is gone, the radio link is lost, the peer closed."""

    default_code = "link-lost"


class LinkTimeout(LinkError):
    """Nothing came before the deadline."""

    default_code = "link-timeout"


class LinkUnavailable(LinkError):
    """The connection could not be opened: no such port, busy, no permission, no adapter, meter not found."""

    default_code = "link-unavailable"


class RemoteError(MeterlinkError):
    """The meter answered, but refused or answered wrongly."""

    default_code = "meter"
    exit_code = 6


class MeterRefused(RemoteError):
    """The meter answered with an error of the protocol; the code is its name in the standard."""

    default_code = "meter-refused"


class AssociationRefused(RemoteError):
    """The meter rejected the association, or the authentication failed."""

    default_code = "association-refused"


class ProtocolError(RemoteError):
    """The answer breaks the protocol."""

    default_code = "protocol"


class SecurityError(ProtocolError):
    """A protected message does not verify, is replayed, or comes without the protection it must have."""

    default_code = "security"


class LocalProtocolError(MeterlinkError):
    """The program itself tried what the protocol forbids in this state."""

    default_code = "local-protocol"
