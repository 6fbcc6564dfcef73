"""Coverage-guided fuzzing of the COSEM application layer with atheris: anything but our own error is a crash.

The first octet says what the rest is given to: A-XDR, APDUs, ACSE, a client or a server in one of its states. Run it
with ``python -m tests.fuzz.fuzz_cosem [seconds]`` where atheris is installed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports():
    from meterlink.cosem import acse, apdu, axdr
    from meterlink.cosem.association import AssociationConfig, ClientAssociation, Mechanism, Send, ServerAssociation
    from meterlink.cosem.names import Attribute
    from meterlink.errors import RemoteError
    from meterlink.values import Obis

CONFIG = AssociationConfig(
    mechanism=Mechanism.LOW, secret=b"12345678", system_title=b"MLTfuzzr", max_transfer=4096, random=bytes
)
SERVER = AssociationConfig(mechanism=Mechanism.LOW, secret=b"12345678", system_title=b"MLTmeter", max_transfer=4096)
PROVING = AssociationConfig(mechanism=Mechanism.SHA256, secret=b"12345678", system_title=b"MLTmeter", max_transfer=4096)
VALUE = Attribute(1, Obis(0, 0, 96, 1, 0), 2)


def _associated() -> tuple[ClientAssociation, ServerAssociation]:
    client, server = ClientAssociation(CONFIG), ServerAssociation(SERVER)
    for event in server.receive(client.open()):
        if isinstance(event, Send):
            client.receive(event.apdu)
    return client, server


def _busy_client(data: bytes) -> None:
    client, _ = _associated()
    client.get(VALUE)
    client.receive(data)


def _pending_client(data: bytes) -> None:
    client = ClientAssociation(CONFIG)
    client.open()
    client.receive(data)


def _associated_server(data: bytes) -> None:
    _associated()[1].receive(data)


TARGETS: tuple[Callable[[bytes], object], ...] = (
    axdr.decode,
    apdu.decode,
    acse.Aarq.from_bytes,
    acse.Aare.from_bytes,
    acse.Rlrq.from_bytes,
    _pending_client,
    _busy_client,
    _associated_server,
    lambda data: ServerAssociation(SERVER).receive(data),
    lambda data: ServerAssociation(PROVING).receive(data),
)


def one(data: bytes) -> None:
    """Give one input to the target that its first octet names."""
    if not data:
        return
    try:
        TARGETS[data[0] % len(TARGETS)](data[1:])
    except RemoteError:
        return


def main() -> None:
    """Fuzz for the seconds given on the command line, one minute without."""
    seconds = sys.argv[1] if len(sys.argv) > 1 else "60"
    seeds = {
        0: bytes.fromhex("0102 0202 0600000001 1205DC 0202 0600000002 1205DD"),
        5: ServerAssociation(SERVER).receive(ClientAssociation(CONFIG).open())[0].apdu,  # type: ignore[union-attr]
        6: bytes.fromhex("C401C1001105"),
        7: bytes.fromhex("C101C1 0001 0000600100FF 02 00 1105"),
        8: ClientAssociation(CONFIG).open(),
    }
    with tempfile.TemporaryDirectory() as found:
        for number, seed in seeds.items():
            Path(found, str(number)).write_bytes(bytes((number,)) + seed)
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-max_len=2048", "-timeout=10", found], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
