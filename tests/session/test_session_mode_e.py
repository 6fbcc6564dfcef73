"""COSEM under an optical head: sign-on in mode E, then HDLC; and programming mode; over pseudo-terminals."""

import pytest
from session_support import Bench, utc_now

from certs.levels import Level
from hil.faces.mode_e import ModeEFace
from hil.pty import PtyLine
from meterlink.commands.command import perform
from meterlink.commands.connect import certificate_session, target_of
from meterlink.commands.read import Read
from meterlink.errors import LinkTimeout, MeterRefused, ProtocolError, UsageError
from meterlink.framing.iec62056_21 import ACK, ETX, NAK, SOH, STX, checked
from meterlink.meters.signed_on import Programming
from meterlink.session import Session
from meterlink.transport.base import SerialTransport
from meterlink.transport.url import Context, open_transport
from meterlink.values import MeterReport

PASSWORD = "(00000000)"


async def read_over(bench: Bench, url: str) -> MeterReport:
    target = target_of(url)
    who = bench.credential(Level.CONSUMER)

    def session() -> Session:
        return certificate_session(target, open_transport(target.url, Context()), who, utc_now)

    return await perform(Read(target.profile), who, session, utc_now())


@pytest.mark.parametrize("confirms", [True, False])
async def test_a_cosem_meter_under_a_head_is_read_after_a_sign_on(confirms: bool) -> None:
    bench = Bench()
    async with PtyLine(lambda: ModeEFace(bench.server.hdlc_line(), confirms=confirms)) as line:
        report = await read_over(bench, f"optical:{line.port}?sign-on=E")
    assert {"energy", "clock"} <= {reading.name for reading in report.readings}


class Silent:
    """A meter that does not answer, or says only ``words`` to the sign-on."""

    next_deadline = None

    def __init__(self, words: bytes = b"") -> None:
        self._words = words

    def receive(self, data: bytes, now: float) -> bytes:
        words, self._words = self._words, b""
        return words

    def handle_timer(self, now: float) -> bytes:
        return b""

    def closed(self, now: float) -> None:
        return


@pytest.mark.parametrize(
    ("words", "error", "code"),
    [
        (b"", LinkTimeout, "no-answer"),
        (b"/LUGCUH50\r\n", ProtocolError, "sign-on"),
        (b"/MLK5HEAT\r\n", ProtocolError, "sign-on"),
    ],
)
async def test_a_meter_that_does_not_offer_hdlc_is_told(words: bytes, error: type[Exception], code: str) -> None:
    async with PtyLine(lambda: Silent(words)) as line:
        with pytest.raises(error) as caught:
            await read_over(Bench(), f"optical:{line.port}?sign-on=E")
        assert caught.value.code == code  # type: ignore[attr-defined]
        # The port is free again.
        again = open_transport(f"optical:{line.port}", Context())
        async with again:
            pass


@pytest.mark.parametrize("url", ["optical:/dev/null?sign-on=C", "tcp://127.0.0.1:1?sign-on=E&framing=hdlc"])
async def test_sign_on_is_e_on_a_line(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        await read_over(Bench(), url)
    assert caught.value.code == "url-invalid"


class ProgrammableFace(Silent):
    """A mode C meter with one register: P1 opens it, R1 reads, W1 writes."""

    def __init__(self) -> None:
        super().__init__()
        self._heard = bytearray()
        self._open = False
        self.register = "17"

    def receive(self, data: bytes, now: float) -> bytes:
        self._heard += bytes(octet & 0x7F for octet in data)
        if self._heard.endswith(b"/?!\r\n"):
            return self._answer(b"/MLK5HEAT\r\n")
        if self._heard.endswith(bytes((ACK,)) + b"051\r\n"):
            return self._answer(bytes((SOH,)) + checked(b"P0\x02(1234)\x03"))
        if len(self._heard) > 1 and self._heard[-2] == ETX:
            return self._answer(self._command(bytes(self._heard)))
        return b""

    def _answer(self, answer: bytes) -> bytes:
        self._heard.clear()
        return answer

    def _command(self, message: bytes) -> bytes:
        body = message[message.index(SOH) + 1 : -1]
        if checked(body)[-1] != message[-1]:
            return bytes((NAK,))
        name, _, data = body[:-1].partition(bytes((STX,)))
        text = data.decode()
        if name == b"B0":
            return b""
        if name == b"P1":
            self._open = text == PASSWORD
            return bytes((ACK if self._open else NAK,))
        if name == b"R1":
            return bytes((STX,)) + checked(f"({self.register})".encode() + b"\x03")
        if name == b"W1" and self._open:
            self.register = text.partition("(")[2].rstrip(")")
            return bytes((ACK,))
        return bytes((STX,)) + checked(b"(ER23)\x03")


def serial(port: str) -> SerialTransport:
    transport = open_transport(f"optical:{port}", Context())
    assert isinstance(transport, SerialTransport)
    return transport


async def test_programming_mode_reads_and_writes_with_the_password() -> None:
    face = ProgrammableFace()
    async with PtyLine(lambda: face) as line:
        async with Programming(serial(line.port)) as meter:
            assert meter.operand == "1234"
            assert await meter.command("R1", "0.9.1()") == "(17)"
            with pytest.raises(MeterRefused) as caught:
                await meter.command("W1", "0.9.1(18)")
            assert caught.value.code == "programming-refused"
            with pytest.raises(MeterRefused):
                await meter.command("P1", "(11111111)")
            assert await meter.command("P1", PASSWORD) == ""
            assert await meter.command("W1", "0.9.1(18)") == ""
            assert await meter.command("R1", "0.9.1()") == "(18)"
            with pytest.raises(UsageError) as wrong:
                await meter.command("P1", "(secret\n)")
            assert "secret" not in wrong.value.message
    assert face.register == "18"
