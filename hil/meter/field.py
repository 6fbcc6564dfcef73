"""A meter as they are in the field, from a key file: what its clients bring, seen from the meter's side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from hil.meter.clients import FIELD_CLIENTS, ClientRow, Proof
from hil.meter.credentials import FieldKeys, suite_of
from hil.trust import MeterIdentity
from meterlink.commands.secrets import MeterSecrets
from meterlink.counter_file import counter_name
from meterlink.errors import UsageError
from meterlink.security.counters import CounterStore, SendCounter
from meterlink.security.suites import Suite

_HASHED: Final = frozenset({Proof.MD5, Proof.SHA1, Proof.SHA256})


def shared_with(secrets: MeterSecrets, identity: MeterIdentity, counters: CounterStore) -> FieldKeys:
    """Return what a meter with ``identity`` shares with the client whose key file holds ``secrets``.

    What the meter sends is counted in ``counters`` under its system title: its clients refuse a meter that begins
    again, and a counter must not come twice whichever key is in force. Raises UsageError ``key-file`` for keys that are
    not those of this meter.
    """
    signing = None if secrets.signing_key is None else secrets.signing_key.public_key()
    for name, key in (("signing_key", signing), ("meter_key", secrets.meter_key)):
        _check(name, key, identity)
    send = SendCounter(1, store=counters, name=f"{counter_name(b'', identity.system_title)}-meter")
    title = secrets.system_title
    return FieldKeys(
        password=secrets.password or b"",
        secret=secrets.secret or b"",
        keys={} if secrets.keys is None else {suite: secrets.keys for suite in Suite if secrets.keys.fits(suite)},
        client_keys={} if signing is None or title is None else {title: signing},
        send_counters=dict.fromkeys(Suite, send),
    )


def clients_of(shared: FieldKeys, identity: MeterIdentity) -> Mapping[int, ClientRow]:
    """Return the rows of :data:`~hil.meter.clients.FIELD_CLIENTS` for which everything is shared."""
    return {sap: row for sap, row in FIELD_CLIENTS.items() if _is_served(row, shared, identity)}


def _is_served(row: ClientRow, shared: FieldKeys, identity: MeterIdentity) -> bool:
    has_keys = suite_of(row, identity) in shared.keys
    if row.proof is Proof.PASSWORD:
        return bool(shared.password)
    if row.proof in _HASHED:
        return bool(shared.secret)
    if row.proof is Proof.ECDSA and not shared.client_keys:
        return False
    return has_keys or not (row.ciphered or row.proof is Proof.GMAC)


def _check(name: str, key: EllipticCurvePublicKey | None, identity: MeterIdentity) -> None:
    own = identity.private_key.public_key()
    if key is None:
        return
    if key.curve.name != own.curve.name:
        raise UsageError(
            f"{name} is on {key.curve.name}, and the key of this meter on {own.curve.name}",
            code="key-file",
            hint="give --domain, --certificate and --key of a meter of that suite",
        )
    if name == "meter_key" and key != own:
        raise UsageError(
            "meter_key is the key of another meter",
            code="key-file",
            hint="leave meter_key out, or give --domain, --certificate and --key of that meter",
        )
