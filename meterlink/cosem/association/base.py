"""What both sides of an association have: its state, its protection, and what is known of the peer."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from meterlink.cosem.association.channel import Channel
from meterlink.cosem.association.config import AssociationConfig
from meterlink.cosem.association.events import Associated
from meterlink.cosem.association.proof import Proof
from meterlink.cosem.association.states import Machine, Signal, State
from meterlink.cosem.conformance import Conformance
from meterlink.cosem.general import GeneralTransfer
from meterlink.errors import LocalProtocolError
from meterlink.framing.link import Role
from meterlink.security.hls import Exchange as HlsExchange

NO_BOUND: Final = 0xFFFF
"""Octets of an APDU for a peer that names no bound: the largest that a length field tells."""


class Association:
    """One side of one association, without I/O. Keys and challenges are forgotten with the association."""

    def __init__(self, config: AssociationConfig, role: Role) -> None:
        self._config = config
        self._role = role
        self._machine = Machine()
        self._channel = Channel(config, role)
        self._reset()

    def _reset(self) -> None:
        self._channel.settle()
        self._channel = Channel(self._config, self._role)
        self._general = GeneralTransfer(self._config.max_transfer)
        self._hls: HlsExchange | None = None
        self._proof: Proof | None = None
        self._peer_key: EllipticCurvePublicKey | None = None
        self._speak(Conformance(0))
        self._max_send = 0
        self._peer_title: bytes | None = None
        self._peer_certificate: bytes | None = None

    @property
    def state(self) -> State:
        """Where the association stands."""
        return self._machine.state

    @property
    def is_associated(self) -> bool:
        """True while the association is in force."""
        return self.state in (State.ASSOCIATED, State.BUSY)

    @property
    def is_protected(self) -> bool:
        """True when APDUs are protected."""
        return self._channel.is_protected

    @property
    def conformance(self) -> Conformance:
        """The services that both sides speak; empty before the association."""
        return self._conformance

    @property
    def max_send(self) -> int:
        """The largest APDU that the peer receives, in octets; 0 before the association."""
        return self._max_send

    def link_lost(self) -> None:
        """The link is gone: forget the association and its keys. Safe in every state."""
        self._machine.step(Signal.LINK_LOST)
        self._reset()

    def _associated(self) -> Associated:
        return Associated(self._config.mechanism, self._peer_title, self._peer_certificate, self._conformance)

    def _outgoing(self, apdu: bytes, *, follows: bool = False) -> bytes:
        """Return ``apdu`` as it goes out: protected, and the first block of it where it is too long for the peer, or
        where it answers what came in blocks and has to follow in them (Green Book, 9.4.6.13.1)."""
        sealed = self._channel.seal(apdu)
        fits = len(sealed) <= self._max_send and not follows
        if fits or not self._general_blocks:
            return sealed
        return self._general.start(sealed, self._max_send).to_bytes()

    def _speak(self, conformance: Conformance) -> None:
        """Both sides speak these services."""
        self._conformance = conformance
        self._unspoken = ~int(conformance)
        self._general_blocks = self._speaks(Conformance.GENERAL_BLOCK_TRANSFER)

    def _speaks(self, services: int) -> bool:
        """Return whether both sides speak all of ``services``."""
        return not int(services) & self._unspoken  # as numbers: flags take ten times as long

    def _step(self, signal: Signal) -> None:
        if not self._machine.allows(signal):
            raise LocalProtocolError(f"{signal.value} is not possible while the association is {self.state.value}")
        self._machine.step(signal)
