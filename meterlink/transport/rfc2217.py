"""``rfc2217://host:port``: a serial port behind a gateway that lets its line be set over the network (RFC 2217)."""

from __future__ import annotations

import asyncio
from typing import Final

from meterlink.errors import LinkLost, LinkTimeout, LinkUnavailable, ProtocolError
from meterlink.transport.base import LineSettings, Parity, SerialTransport, Transport
from meterlink.transport.line import line_options
from meterlink.transport.tcp import TcpTransport
from meterlink.transport.telnet import (
    BINARY,
    COM_PORT,
    SUPPRESS_GO_AHEAD,
    Negotiation,
    Subnegotiation,
    TelnetReader,
    Verb,
    escape,
    negotiation,
    subnegotiation,
)
from meterlink.transport.url import Context, Options, TransportUrl

# Commands of RFC 2217, client to gateway; the gateway answers with 100 more.
SET_BAUDRATE: Final = 1
SET_DATASIZE: Final = 2
SET_PARITY: Final = 3
SET_STOPSIZE: Final = 4
SET_CONTROL: Final = 5
FLOWCONTROL_SUSPEND: Final = 8
FLOWCONTROL_RESUME: Final = 9
SET_LINESTATE_MASK: Final = 10
SET_MODEMSTATE_MASK: Final = 11
ANSWER: Final = 100

_PARITIES: Final[dict[Parity, int]] = {"N": 1, "O": 2, "E": 3}

# Values of SET-CONTROL.
NO_FLOW_CONTROL: Final = 1
DTR_ON, DTR_OFF, RTS_ON, RTS_OFF = 8, 9, 11, 12

ANSWER_TIMEOUT: Final = 5.0
"""Seconds the gateway gets for a setting; a slow one needs half a second for each."""

_UNCONFIRMED: Final = "the gateway did not confirm the line settings"

_WANTED: Final = (BINARY, SUPPRESS_GO_AHEAD)


class Rfc2217Transport(TcpTransport, SerialTransport):
    """A serial port behind a gateway. ``dtr`` and ``rts`` None leave the modem lines to the gateway."""

    _prompt = False  # behind octets of the line may stand what the gateway says of itself, to be heard before they are

    def __init__(
        self,
        host: str,
        port: int,
        settings: LineSettings | None = None,
        *,
        dtr: bool | None = None,
        rts: bool | None = None,
        connect_timeout: float = 10.0,
        url: str | None = None,
    ) -> None:
        super().__init__(host, port, connect_timeout, url or f"rfc2217://{host}:{port}")
        self._settings = settings or LineSettings()
        self._dtr, self._rts = dtr, rts
        self._reader = TelnetReader()
        self._agreed = asyncio.Event()
        self._refused = False
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._may_send = asyncio.Event()
        self._idle_at = 0.0

    @property
    def line(self) -> LineSettings:
        """The settings in force."""
        return self._settings

    async def set_line(self, settings: LineSettings) -> None:
        """Change the settings once the last byte has left the line, by the clock.

        Raises LinkUnavailable ``line-settings`` when the gateway says that it cannot do them.
        """
        await self._bounded(self._wait_until_idle, None, "the line did not fall idle")
        await self._bounded(
            lambda: self._set(settings), ANSWER_TIMEOUT, "the gateway did not confirm the line settings"
        )
        self._settings = settings

    async def _wait_until_idle(self) -> None:
        await asyncio.sleep(max(0.0, self._idle_at - asyncio.get_running_loop().time()))

    async def set_control_lines(self, dtr: bool | None = None, rts: bool | None = None) -> None:
        """Set DTR and RTS (None: leave it)."""
        values = [] if dtr is None else [DTR_ON if dtr else DTR_OFF]
        values += [] if rts is None else [RTS_ON if rts else RTS_OFF]
        await self._bounded(lambda: self._control(values), ANSWER_TIMEOUT, "the gateway did not confirm a modem line")

    async def _control(self, values: list[int]) -> None:
        for value in values:
            await self._command(SET_CONTROL, bytes([value]))

    async def _open(self) -> None:
        self._reader = TelnetReader()
        self._agreed.clear()
        self._refused = False
        self._may_send.set()
        await super()._open()
        offers = [negotiation(verb, option) for option in _WANTED for verb in (Verb.WILL, Verb.DO)]
        self._put(b"".join(offers) + negotiation(Verb.WILL, COM_PORT))
        try:
            async with asyncio.timeout(self._connect_timeout):
                await self._agreed.wait()
        except TimeoutError:
            raise LinkTimeout(
                f"{self.url} did not answer as an RFC 2217 gateway", hint="a plain gateway is reached with tcp://"
            ) from None
        if self._refused:
            raise LinkUnavailable(
                f"{self.url} does not let its line be set", hint="a plain gateway is reached with tcp://"
            )
        # What the modem lines do is of no use here, and each change of theirs would be told.
        self._put(subnegotiation(COM_PORT, bytes((SET_MODEMSTATE_MASK, 0))))
        self._put(subnegotiation(COM_PORT, bytes((SET_LINESTATE_MASK, 0))))
        await self._bounded(lambda: self._set(self._settings), ANSWER_TIMEOUT, _UNCONFIRMED)
        await self.set_control_lines(self._dtr, self._rts)

    async def _set(self, settings: LineSettings) -> None:
        wanted = {
            SET_BAUDRATE: settings.baud.to_bytes(4, "big"),
            SET_DATASIZE: bytes([settings.data_bits]),
            SET_PARITY: bytes([_PARITIES[settings.parity]]),
            SET_STOPSIZE: bytes([settings.stop_bits]),
        }
        answers = await asyncio.gather(*(self._command(number, value) for number, value in wanted.items()))
        if answers != list(wanted.values()):
            raise LinkUnavailable(
                f"{self.url} cannot do {settings}",
                code="line-settings",
                hint="for 7E1 over an 8N1 bridge use optical:rfc2217://... with parity-emulation=yes",
            )

    async def _command(self, number: int, value: bytes) -> bytes:
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[number + ANSWER] = future
        self._put(subnegotiation(COM_PORT, bytes([number]) + value))
        try:
            return await future
        finally:
            self._answers.pop(number + ANSWER, None)

    def _arrived(self, data: bytes) -> None:
        try:
            events = self._reader.receive(data)
        except ProtocolError as error:
            self._lost(LinkLost(error.message, code=error.code))
            return
        for event in events:
            if isinstance(event, bytes):
                self._buffer.feed(event)
            elif isinstance(event, Subnegotiation):
                self._told(event)
            else:
                self._negotiate(event)

    def _negotiate(self, event: Negotiation) -> None:
        if event.option == COM_PORT and event.verb in (Verb.DO, Verb.DONT):
            self._refused = event.verb is Verb.DONT
            self._agreed.set()
        elif event.option not in (*_WANTED, COM_PORT):
            # An offer that is not wanted is refused once; a refusal is not answered (RFC 854).
            if event.verb is Verb.WILL:
                self._put(negotiation(Verb.DONT, event.option))
            elif event.verb is Verb.DO:
                self._put(negotiation(Verb.WONT, event.option))

    def _told(self, event: Subnegotiation) -> None:
        if event.option != COM_PORT or not event.data:
            return
        number, value = event.data[0], event.data[1:]
        if number == FLOWCONTROL_SUSPEND + ANSWER:
            self._may_send.clear()
        elif number == FLOWCONTROL_RESUME + ANSWER:
            self._may_send.set()
        elif (future := self._answers.get(number)) is not None and not future.done():
            future.set_result(value)

    def _send_at_once(self, data: bytes) -> bool:
        return False  # the gateway may hold us, and how long its line is busy must be known

    async def _send(self, data: bytes) -> None:
        await self._may_send.wait()
        now = asyncio.get_running_loop().time()
        self._idle_at = max(self._idle_at, now) + len(data) * self._settings.byte_time
        await super()._send(escape(data))


def open_rfc2217(url: TransportUrl, options: Options, context: Context) -> Transport:
    """Open ``rfc2217://host:port``; the keys of ``serial:`` and ``connect-timeout``."""
    host, port = url.host_port()
    return Rfc2217Transport(
        host,
        port,
        line_options(options, LineSettings()),
        dtr=options.maybe_flag("dtr"),
        rts=options.maybe_flag("rts"),
        connect_timeout=options.number("connect-timeout", 10.0, 0.1, 600.0),
        url=str(url),
    )
