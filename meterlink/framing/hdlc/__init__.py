"""The HDLC data link of IEC 62056-46: frames, the link of both stations, and the server's side of a shared line."""

from meterlink.framing.hdlc.address import HdlcAddress
from meterlink.framing.hdlc.link import HdlcLink
from meterlink.framing.hdlc.parameters import HdlcParameters, HdlcTimers
from meterlink.framing.hdlc.port import HdlcServerPort

__all__ = ["HdlcAddress", "HdlcLink", "HdlcParameters", "HdlcServerPort", "HdlcTimers"]
