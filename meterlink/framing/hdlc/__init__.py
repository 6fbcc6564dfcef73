"""The HDLC data link of IEC 62056-46: frames, the link of both stations, and the server's side of a shared line."""

from .address import HdlcAddress
from .link import HdlcLink
from .parameters import HdlcParameters, HdlcTimers
from .port import HdlcServerPort

__all__ = ["HdlcAddress", "HdlcLink", "HdlcParameters", "HdlcServerPort", "HdlcTimers"]
