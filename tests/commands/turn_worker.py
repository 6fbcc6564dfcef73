"""Holds a session with shared keys open: prints "open", then for each line on standard input reads a value and prints
it; ends with its input. Takes the URL and the key file."""

import asyncio
import sys
from pathlib import Path

from certs.clock import now
from certs.store import Store
from meterlink.commands.connect import meter_session, target_of
from meterlink.commands.secrets import meter_secrets
from meterlink.cosem.names import Attribute
from meterlink.counter_file import FileCounterStore
from meterlink.transport.url import open_transport
from meterlink.values import Obis

SERIAL = Attribute(1, Obis.parse("0-0:96.1.0"), 2)


async def main() -> None:
    target = target_of(sys.argv[1])
    transport, secrets = open_transport(target.url), meter_secrets(Path(sys.argv[2]), {})
    async with meter_session(target, transport, Store.open().active(), now, secrets, FileCounterStore()) as session:
        print("open", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print((await session.get(SERIAL)).value, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
