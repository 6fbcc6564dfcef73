"""Associations: one state table for client and server, without I/O.

:class:`ClientAssociation` and :class:`ServerAssociation` take APDUs and give events; what they bring is an
:class:`AssociationConfig`, the same for both.
"""

from meterlink.cosem.association.client import ClientAssociation
from meterlink.cosem.association.config import (
    FULL_PROTECTION,
    AssociationConfig,
    PeerCheck,
    PeerHistory,
    ReceiveCounters,
)
from meterlink.cosem.association.events import (
    ActionIndication,
    Associated,
    ClientEvent,
    Closed,
    GetIndication,
    KeysAgreed,
    Notification,
    Refused,
    Released,
    Response,
    Send,
    ServerEvent,
    SetIndication,
)
from meterlink.cosem.association.general_protection import FIRST_PUSH, GeneralProtection
from meterlink.cosem.association.server import ServerAssociation
from meterlink.cosem.association.states import TRANSITIONS, Signal, State
from meterlink.security.ciphered import Ciphering
from meterlink.security.control import SecurityPolicy
from meterlink.security.general_ciphering import KeyChoice
from meterlink.security.hls import Mechanism

__all__ = [
    "FIRST_PUSH",
    "FULL_PROTECTION",
    "TRANSITIONS",
    "ActionIndication",
    "Associated",
    "AssociationConfig",
    "Ciphering",
    "ClientAssociation",
    "ClientEvent",
    "Closed",
    "GeneralProtection",
    "GetIndication",
    "KeyChoice",
    "KeysAgreed",
    "Mechanism",
    "Notification",
    "PeerCheck",
    "PeerHistory",
    "ReceiveCounters",
    "Refused",
    "Released",
    "Response",
    "SecurityPolicy",
    "Send",
    "ServerAssociation",
    "ServerEvent",
    "SetIndication",
    "Signal",
    "State",
]
