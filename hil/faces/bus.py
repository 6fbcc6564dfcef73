"""A wired M-Bus with meters on it: addresses, selection, readouts in several telegrams, settings, collisions."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Sequence
from typing import Final

from hil.faces.telegrams import header, readout
from hil.meter.device import HeatMeter
from meterlink.framing.mbus import requests
from meterlink.framing.mbus.frame import LongFrame, Rejected, ShortFrame, read_frame
from meterlink.mbus import read_records

_ACKNOWLEDGE: Final = b"\xe5"
_VERSION: Final = 4
_LINK_BITS: Final = 0x0F
_CLOCK, _PRIMARY, _NUMBER = b"\x04\x6d", b"\x01\x7a", b"\x0c\x79"


class BusMeter:
    """One meter on the bus. ``address`` is its primary address; the secondary one is its property number, or its serial
    number while none is set."""

    def __init__(self, meter: HeatMeter, address: int = 0) -> None:
        self.meter = meter
        self.address = address
        self.baud = 2400
        self.user_data: list[bytes] = []
        """What a master sent to set something."""
        self._selected = False
        self._toggle: bool | None = None
        self._frames: list[LongFrame] = []
        self._last = b""

    @property
    def number(self) -> str:
        """The eight digits that it is selected by."""
        own = self.meter.settings.property_number
        return own if own.strip("0") else self.meter.serial_number

    def answer(self, frame: ShortFrame | LongFrame, now: float) -> bytes:
        """Return what this meter says to a frame; empty when it is not meant or must not answer."""
        if isinstance(frame, LongFrame) and frame.ci == requests.CI_SELECT:
            return self._select(frame.data, now)
        if frame.address == requests.NETWORK:
            if not self._selected:
                return b""
        elif frame.address not in (self.address, requests.BROADCAST_ANSWERED, requests.BROADCAST):
            return b""
        said = self._obey(frame, now)
        return b"" if frame.address == requests.BROADCAST else said

    def _select(self, data: bytes, now: float) -> bytes:
        own = bytes.fromhex(self.number)[::-1] + header(self.meter, 0, _VERSION)[4:8]
        digits = zip(data[3::-1].hex(), own[3::-1].hex(), strict=True)
        matches = all(wanted in ("f", digit) for wanted, digit in digits)
        matches = matches and data[4:6] in (b"\xff\xff", own[4:6])
        matches = matches and all(wanted in (0xFF, is_) for wanted, is_ in zip(data[6:8], own[6:8], strict=True))
        self._selected = matches
        self._toggle = None
        return _ACKNOWLEDGE if matches else b""

    def _obey(self, frame: ShortFrame | LongFrame, now: float) -> bytes:
        kind = frame.control & _LINK_BITS
        if frame.control == requests.SND_NKE:
            if frame.address == requests.NETWORK:
                self._selected = False
            self._toggle, self._frames = None, []
            return _ACKNOWLEDGE
        if kind == requests.REQ_UD2 & _LINK_BITS:
            return self._data(bool(frame.control & requests.FCB), now)
        if kind == requests.REQ_UD1 & _LINK_BITS:
            return _ACKNOWLEDGE
        if isinstance(frame, LongFrame) and kind == requests.SND_UD & _LINK_BITS:
            return self._set(frame, now)
        return b""

    def _data(self, toggle: bool, now: float) -> bytes:
        """The same frame count bit asks for the same telegram again."""
        if toggle == self._toggle and self._last:
            return self._last
        if not self._frames:
            self._frames = readout(self.meter, now, version=_VERSION, address=self.address)
        self._toggle = toggle
        frame = self._frames.pop(0)
        number = bytes.fromhex(self.number)[::-1]
        self._last = LongFrame(frame.control, frame.address, frame.ci, number + frame.data[4:]).to_bytes()
        return self._last

    def _set(self, frame: LongFrame, now: float) -> bytes:
        speeds = {ci: baud for baud, ci in requests.BAUD_CI.items()}
        if frame.ci in speeds:
            self.baud = speeds[frame.ci]
        elif frame.ci == requests.CI_RESET:
            self._frames = []
        elif frame.ci == requests.CI_DATA:
            self.user_data.append(frame.data)
        for record in read_records(frame.data).records if frame.ci == requests.CI_DATA else ():
            raw = record.header.raw
            if raw == _CLOCK and isinstance(record.value, dt.datetime):
                self.meter.clock.set(now, record.value.replace(tzinfo=self.meter.clock.zone))
            elif raw == _PRIMARY:
                self.address = record.data[0]
            elif raw == _NUMBER:
                self.meter.settings.property_number = record.data[::-1].hex()
        return _ACKNOWLEDGE


class BusFace:
    """All meters on one line. When several answer at once their octets meet: a space on the line (0) wins.

    ``reaction`` is how many seconds after a request an answer begins.
    """

    def __init__(self, meters: Sequence[BusMeter], *, reaction: float = 0.0) -> None:
        self.meters = list(meters)
        self._heard = bytearray()
        self._reaction = reaction
        self._waiting: deque[tuple[float, bytes]] = deque()

    @property
    def next_deadline(self) -> float | None:
        """When the next answer goes out."""
        return self._waiting[0][0] if self._waiting else None

    def receive(self, data: bytes, now: float) -> bytes:
        """Take octets; answer every whole frame."""
        out = self._answers(data, now)
        if not self._reaction:
            return out
        if out:
            self._waiting.append((now + self._reaction, out))
        return b""

    def _answers(self, data: bytes, now: float) -> bytes:
        self._heard += data
        out = b""
        while self._heard:
            found = read_frame(bytes(self._heard))
            if isinstance(found, Rejected):
                if found.reason == "incomplete":
                    break
                del self._heard[0]
                continue
            frame, end = found
            del self._heard[:end]
            if isinstance(frame, (ShortFrame, LongFrame)):
                out += _together([said for meter in self.meters if (said := meter.answer(frame, now))])
        return out

    def handle_timer(self, now: float) -> bytes:
        """Return what is due."""
        out = b""
        while self._waiting and now >= self._waiting[0][0]:
            out += self._waiting.popleft()[1]
        return out

    def closed(self, now: float) -> None:
        """The line is gone."""
        self._heard.clear()
        self._waiting.clear()


def _together(answers: list[bytes]) -> bytes:
    length = max(map(len, answers), default=0)
    padded = [answer.ljust(length, b"\xff") for answer in answers]
    out = bytearray(b"\xff" * length)
    for answer in padded:
        out = bytearray(a & b for a, b in zip(out, answer, strict=True))
    return bytes(out)
