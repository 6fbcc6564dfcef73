"""The sign-on of IEC 62056-21: who is there, at which speed, and what for; then the readout or programming mode.

Modes by the baud rate character of the identification (6.3.14): a digit is mode C (acknowledge, then change speed), A
to F is mode B (change speed at once), anything else mode A (stay at 300 Bd); with ``\\2`` in front of the text, mode E
(acknowledge, then HDLC). Mode D meters speak unasked at 2400 Bd: use :meth:`SignOn.listen`.

Without I/O: bytes and the time go in, events come out. A change of speed is an event, because the driver must wait for
the last byte to leave the line.
"""

from meterlink.framing.iec62056_21.messages import (
    ACK,
    ETX,
    NAK,
    SIGN_ON_BAUD,
    SOH,
    STX,
    Answered,
    ChangeSpeed,
    Event,
    Failed,
    HdlcReady,
    Identified,
    Mode,
    ProgrammingReady,
    ReadoutReceived,
    Unnamed,
    Want,
    checked,
    request_message,
)
from meterlink.framing.iec62056_21.sign_on import SignOn, State

__all__ = [
    "ACK",
    "ETX",
    "NAK",
    "SIGN_ON_BAUD",
    "SOH",
    "STX",
    "Answered",
    "ChangeSpeed",
    "Event",
    "Failed",
    "HdlcReady",
    "Identified",
    "Mode",
    "ProgrammingReady",
    "ReadoutReceived",
    "SignOn",
    "State",
    "Unnamed",
    "Want",
    "checked",
    "request_message",
]
