"""What a meter counted under keys that were shared before: kept from one session to the next, or as the URL says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from meterlink.commands.words import number
from meterlink.cosem.association import PeerHistory, ReceiveCounters
from meterlink.counter_file import counter_name, push_name, received_name
from meterlink.security.counters import MAX_COUNTER, CounterStore, KeptCounter, ReceiveCounter, Received
from meterlink.security.keys import KeyRole, KeySet
from meterlink.security.session import receive_counters

RESTARTS: Final = "restarts"
"""The word of the URL's key ``meter-counter`` for a meter that begins again in every association."""

_HINT: Final = (
    "these may be recorded answers; only if the meter's own counter began again, as after a repair, add "
    f"meter-counter=N to the URL once (N: the least to accept), and meter-counter={RESTARTS} for one that always does"
)


@dataclass(frozen=True, slots=True)
class MeterCounter:
    """Where a meter's counters begin: behind what is kept, or at ``begins``; ``kept`` False keeps nothing."""

    begins: int | None = None
    kept: bool = True

    def history(self, store: CounterStore, keys: KeySet) -> PeerHistory:
        """Return what came from meters under ``keys`` so far."""
        return _Kept(store, keys, self.begins) if self.kept else _Nothing()


class _Nothing:
    """Nothing of earlier sessions is known. A :class:`~meterlink.cosem.association.PeerHistory`."""

    def messages(self, peer_title: bytes) -> ReceiveCounters:
        return receive_counters()

    def transactions(self, peer_title: bytes) -> ReceiveCounter:
        return ReceiveCounter()


class _Kept:
    """What the store had when this was made. A :class:`~meterlink.cosem.association.PeerHistory`.

    Messages are counted under the unicast key: a dedicated one does not outlive a session, and nothing under the
    broadcast key is taken. A meter's transactions, its notifications, all stand under the authentication key.
    """

    def __init__(self, store: CounterStore, keys: KeySet, begins: int | None) -> None:
        self._store = store
        self._keys = keys
        self._begins = begins
        self._messages = store.received(received_name(keys.unicast))
        self._transactions = store.received(push_name(keys.authentication))

    def messages(self, peer_title: bytes) -> ReceiveCounters:
        key = self._keys.unicast
        unicast = self._counter(received_name(key), counter_name(key, peer_title), self._messages, self._begins)
        return (unicast, *receive_counters()[KeyRole.UNICAST + 1 :])

    def transactions(self, peer_title: bytes) -> ReceiveCounter:
        key = self._keys.authentication
        begins = None if self._begins is None else 0
        return self._counter(push_name(key), counter_name(key, peer_title), self._transactions, begins)

    def _counter(self, key: str, sender: str, received: Received, begins: int | None) -> ReceiveCounter:
        # Once in a run: over a new link of the same run the counter goes on.
        anew = begins is not None and not self._store.renewed(key, sender)
        least = begins if begins is not None and anew else received.least(sender)
        return KeptCounter(self._store, key, sender, least, anew=anew, hint=_HINT)


def meter_counter(options: Mapping[str, str]) -> MeterCounter:
    """Read the URL's ``meter-counter``. Raises UsageError (``url-invalid``)."""
    asked = options.get("meter-counter")
    if asked is None:
        return MeterCounter()
    if asked.lower() == RESTARTS:
        return MeterCounter(kept=False)
    return MeterCounter(begins=number("meter-counter", asked, 0, MAX_COUNTER, other=RESTARTS))
