"""The verb `hil`: simulated meters for other programs to talk to."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any, Final

import click

from certs import files
from certs.cli.output import emit, json_option, note
from certs.domain import TrustDomain
from hil.meter.clients import CERTIFICATE_CLIENTS, PUBLIC_SAP, ClientRow
from hil.meter.field import clients_of, shared_with
from hil.meter.server import MeterServer
from hil.pty import PtyLine
from hil.tcp import TcpServer
from hil.trust import MeterIdentity, load_identity, shipped_identity
from meterlink.commands.secrets import meter_secrets
from meterlink.commands.shared import MECHANISMS
from meterlink.counter_file import FileCounterStore
from meterlink.errors import LinkUnavailable, UsageError
from meterlink.transport.url import TransportUrl, parse_url

_MAX_PEM: Final = 64 * 1024
_DEFAULT_LISTEN: Final = "tcp://127.0.0.1:4059"
_FILE: Final = click.Path(dir_okay=False, path_type=Path)

Listener = tuple[AbstractAsyncContextManager[Any], Callable[[], str]]
"""Something that listens while it is entered, and where it is reached then."""


@click.group()
def hil() -> None:
    """Hardware in the loop: simulated meters."""


@hil.command()
@click.option(
    "--listen",
    "urls",
    metavar="URL",
    multiple=True,
    help="Where to listen, may be repeated: tcp://HOST:PORT (wrapper), tcp://HOST:PORT?framing=hdlc, or pty: for a "
    f"pseudo-terminal. Default: {_DEFAULT_LISTEN}. Port 0 takes a free one.",
)
@click.option("--model", type=click.Choice(["heat"]), default="heat", show_default=True, help="What is simulated.")
@click.option("--domain", type=_FILE, help="Trust domain file of the meter; needs --certificate and --key.")
@click.option(
    "--certificate", type=_FILE, help="The meter's certificate, as `meterlink authority issue-meter` writes it."
)
@click.option("--key", type=_FILE, help="The meter's private key, written beside it.")
@click.option(
    "--keys",
    type=_FILE,
    help="Key file of a client, see docs/cosem.md: the meter shares what stands in it, as meters in the field do, with "
    "one client SAP for each way to prove oneself.",
)
@json_option
def meter(
    urls: tuple[str, ...],
    model: str,
    domain: Path | None,
    certificate: Path | None,
    key: Path | None,
    keys: Path | None,
) -> None:
    """Run a simulated heat meter until Ctrl-C.

    Without --domain it is a meter of the default domain: any fresh install of this program can read it. With --keys it
    serves clients without certificates as well; those are told with their SAPs.
    """
    identity = _identity(domain, certificate, key)
    shared = None if keys is None else shared_with(meter_secrets(keys, {}), identity, FileCounterStore())
    rows = {} if shared is None else clients_of(shared, identity)
    server = MeterServer(
        time.monotonic(),
        dt.datetime.now(dt.UTC),
        identity=identity,
        clients={**CERTIFICATE_CLIENTS, **rows},
        field_keys=shared,
    )
    listeners = [_listener(server, parse_url(url)) for url in urls or (_DEFAULT_LISTEN,)]
    with contextlib.suppress(KeyboardInterrupt):  # the way this command ends
        asyncio.run(_serve(model, listeners, [_client(row) for sap, row in rows.items() if sap != PUBLIC_SAP]))
    note("stopped")


def _client(row: ClientRow) -> dict[str, Any]:
    """Return what a URL says to be this client."""
    security = next(text for text, mechanism in MECHANISMS.items() if mechanism.value == row.proof)
    # With keys in its file a client protects messages unless it is told not to.
    return {"security": security, "client": row.sap, "ciphering": "glo" if row.ciphered else "none"}


def _identity(domain: Path | None, certificate: Path | None, key: Path | None) -> MeterIdentity:
    if domain is None and certificate is None and key is None:
        return shipped_identity()
    if domain is None or certificate is None or key is None:
        raise UsageError(
            "--domain, --certificate and --key go together",
            hint="`meterlink authority issue-meter` makes the certificate and the key of a meter",
        )
    pem = b"".join(files.read(path, _MAX_PEM) for path in (certificate, key))
    return load_identity(pem, TrustDomain.load(domain))


def _listener(server: MeterServer, url: TransportUrl) -> Listener:
    framing = url.options.get("framing")
    if url.scheme == "pty" and not url.options:
        line = PtyLine(server.hdlc_line)
        return line, lambda: f"serial:{line.port}"
    if url.scheme == "tcp" and framing in {None, "wrapper", "hdlc"} and set(url.options) <= {"framing"}:
        host, port = url.host_port(4059, lowest=0)
        hdlc = framing == "hdlc"
        tcp = TcpServer(server.hdlc_line if hdlc else server.wrapper_connection, host, port)
        return tcp, lambda: tcp.url + ("?framing=hdlc" if hdlc else "")
    raise UsageError(
        f"a meter cannot listen on {url}",
        code="url-invalid",
        hint="listen on tcp://HOST:PORT, tcp://HOST:PORT?framing=hdlc or pty:",
    )


async def _serve(model: str, listeners: list[Listener], clients: list[dict[str, Any]]) -> None:
    async with AsyncExitStack() as stack:
        for listener, where in listeners:
            try:
                await stack.enter_async_context(listener)
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise LinkUnavailable(f"cannot listen: {reason}", hint="is another program using that port?") from error
            out: dict[str, Any] = {"model": model, "url": where()}
            emit(out | {"clients": clients} if clients else out, f"{model} meter at {where()}")
        for client in clients:
            note("with the key file: ?" + "&".join(f"{key}={value}" for key, value in client.items()))
        await asyncio.Event().wait()
