"""Faults on whole messages (APDUs), above the links: what a link that works perfectly still cannot know."""

from __future__ import annotations

from collections.abc import Sequence

from hil.faults.impairments import Impairment
from hil.meter.messages import MessageHandler, Reply


class FaultyMessages:
    """Stands between a client's link and its association with the meter.

    Give it to a meter's line with ``wrap``. Delays of impairments are not kept: a late message is a fault of the line.
    """

    def __init__(
        self,
        association: MessageHandler,
        *,
        to_meter: Sequence[Impairment] = (),
        from_meter: Sequence[Impairment] = (),
    ) -> None:
        self._association = association
        self._to_meter = tuple(to_meter)
        self._from_meter = tuple(from_meter)

    def receive(self, apdu: bytes, now: float) -> Reply:
        """Take what arrives of the client's message; return what arrives of the answers."""
        reply = Reply()
        for message in _through(self._to_meter, apdu):
            answer = self._association.receive(message, now)
            reply.close = reply.close or answer.close
            for item in answer.apdus:
                reply.apdus += _through(self._from_meter, item)
        return reply

    def link_lost(self) -> None:
        """The link is down."""
        self._association.link_lost()


def _through(impairments: Sequence[Impairment], message: bytes) -> list[bytes]:
    arriving = [message]
    for impairment in impairments:
        arriving = [part for whole in arriving for _, part in impairment(whole)]
    return arriving
