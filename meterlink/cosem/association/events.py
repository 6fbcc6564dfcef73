"""What an association tells those who drive it."""

from __future__ import annotations

from dataclasses import dataclass, field

from meterlink.cosem.apdu import DataNotification, EventNotification
from meterlink.cosem.conformance import Conformance
from meterlink.cosem.data import Data
from meterlink.cosem.names import Attribute, Method
from meterlink.errors import MeterRefused
from meterlink.security.hls import Mechanism
from meterlink.security.session import SecureSession
from meterlink.security.suites import Suite


@dataclass(frozen=True, slots=True)
class Send:
    """Give ``apdu`` to the link now: the next step of the exchange, or an answer that nobody need be asked for."""

    apdu: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Associated:
    """The association is in force; where the mechanism asks for it, both sides have proved who they are."""

    mechanism: Mechanism
    peer_title: bytes | None
    peer_certificate: bytes | None = field(repr=False)
    conformance: Conformance


@dataclass(frozen=True, slots=True)
class KeysAgreed:
    """New keys are in force on both sides. From here on every APDU is authenticated and encrypted.

    ``session`` holds the keys and the counters under them, for whoever keeps keys longer than the association.
    """

    suite: Suite
    session: SecureSession = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Response:
    """What the meter answered, one result for each attribute or method, in the order of the request.

    A written attribute, and a method that returns nothing, give null-data.
    """

    results: tuple[Data | MeterRefused, ...]

    def outcomes(self) -> tuple[Data | MeterRefused, ...]:
        """Return the results; one that the meter refused is its refusal, not raised."""
        return self.results

    def values(self) -> tuple[Data, ...]:
        """Return the values. Raises MeterRefused for the first that the meter refused."""
        values = []
        for result in self.results:
            if isinstance(result, MeterRefused):
                raise result
            values.append(result)
        return tuple(values)

    def value(self) -> Data:
        """Return the value of a request for one. Raises MeterRefused when the meter refused it."""
        result = self.results[0]
        if isinstance(result, MeterRefused):
            raise result
        return result


@dataclass(frozen=True, slots=True)
class Notification:
    """The meter sent something unasked. ``protected`` says whether it came under the keys of the association."""

    apdu: DataNotification | EventNotification
    protected: bool


@dataclass(frozen=True, slots=True)
class Released:
    """The association is released; the link may be used for another or dropped."""


@dataclass(frozen=True, slots=True)
class GetIndication:
    """The client asks for attributes; :meth:`ServerAssociation.respond_get` is due."""

    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class SetIndication:
    """The client writes attributes; :meth:`ServerAssociation.respond_set` is due."""

    items: tuple[tuple[Attribute, Data], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ActionIndication:
    """The client calls methods; :meth:`ServerAssociation.respond_action` is due."""

    items: tuple[tuple[Method, Data | None], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """Something of the client was refused: for the meter's event log. ``code`` is stable, ``message`` tells more and
    holds no secret."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The association is broken off: send what is to be sent, then drop the link."""

    code: str


ClientEvent = Send | Associated | KeysAgreed | Response | Notification | Released
ServerEvent = (
    Send
    | Associated
    | KeysAgreed
    | GetIndication
    | SetIndication
    | ActionIndication
    | Notification
    | Released
    | Refused
    | Closed
)
