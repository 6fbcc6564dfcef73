"""Record what crosses a transport, and play it back.

A recording is a text file with one JSON object per line. The first line is the head::

    {"meterlink": "recording", "version": 1, "url": "serial:/dev/ttyUSB0", "started": "2026-01-31T12:00:00+00:00"}

Every other line has ``t``, seconds since the opening, and ``event``: ``sent`` or ``received`` with ``data`` in hex,
``line`` with the settings in ``text`` (``300 7E1``; on a serial line the first entry and one for each change),
``closed``, or ``lost`` with the reason in ``text``.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TextIO, get_args

from meterlink.errors import DataError, LinkError, LinkLost, LinkUnavailable
from meterlink.transport.base import LineSettings, SerialTransport, Transport
from meterlink.transport.buffer import DEFAULT_LIMIT
from meterlink.transport.line import parse_line
from meterlink.transport.stream import StreamTransport
from meterlink.transport.url import Context, Options, TransportUrl

_SHOWN: Final = 16
"""Octets of a request that differs that a message shows."""

Event = Literal["sent", "received", "line", "closed", "lost"]
_EVENTS: Final = frozenset(get_args(Event))
_HEAD: Final = {"meterlink": "recording", "version": 1}
_LONGEST_HEAD: Final = 65536
_LONGEST: Final = 32 << 20
"""Characters of the longest recording that is played."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event on the wire. ``t`` is seconds since the transport was opened."""

    t: float
    event: Event
    data: bytes = field(default=b"", repr=False)
    text: str = ""

    def to_json(self) -> str:
        """Return the entry as one line without its end."""
        out: dict[str, Any] = {"t": round(self.t, 6), "event": self.event}
        if self.data:
            out["data"] = self.data.hex()
        if self.text:
            out["text"] = self.text
        return json.dumps(out)

    @classmethod
    def from_json(cls, line: str) -> Entry:
        """Read one line. Raises ``ValueError``."""
        raw = json.loads(line)
        if not isinstance(raw, dict) or raw.get("event") not in _EVENTS:
            raise ValueError("not an event of a recording")
        t, data, text = raw.get("t"), raw.get("data", ""), raw.get("text", "")
        if not isinstance(t, int | float) or not isinstance(data, str) or not isinstance(text, str):
            raise ValueError("t, data or text is of the wrong type")
        return cls(float(t), raw["event"], bytes.fromhex(data), text)


Sink = Callable[[Entry], None]
"""Takes the entries as they happen; ``list.append`` is one."""


class Recorder(Transport):
    """Passes everything to another transport and tells ``sink`` what crossed.

    What is sent is told before it leaves, so that the record is never behind the wire. Use :func:`record`, which keeps
    a serial transport serial.
    """

    def __init__(self, transport: Transport, sink: Sink) -> None:
        self.url = transport.url
        self._transport = transport
        self._sink = sink
        self._started = 0.0

    @property
    def inner(self) -> Transport:
        """The transport under this one."""
        return self._transport

    def _tell(self, event: Event, data: bytes = b"", text: str = "") -> None:
        self._sink(Entry(asyncio.get_running_loop().time() - self._started, event, data, text))

    async def open(self) -> None:
        """Open the transport under this one; the time of the entries starts here."""
        await self._transport.open()
        self._started = asyncio.get_running_loop().time()

    async def receive(self, timeout: float | None = None) -> bytes:
        """Receive and tell it."""
        try:
            data = await self._transport.receive(timeout)
        except LinkLost as error:
            self._tell("lost", text=str(error))
            raise
        self._tell("received", data)
        return data

    async def send(self, data: bytes, timeout: float | None = None) -> None:
        """Tell it and send."""
        self._tell("sent", bytes(data))
        try:
            await self._transport.send(data, timeout)
        except LinkLost as error:
            self._tell("lost", text=str(error))
            raise

    async def close(self) -> None:
        """Close the transport under this one."""
        await self._transport.close()
        self._tell("closed")


class SerialRecorder(Recorder, SerialTransport):
    """A recorder over a serial transport: the line settings are recorded, too, from the opening on."""

    def __init__(self, transport: SerialTransport, sink: Sink) -> None:
        super().__init__(transport, sink)
        self._serial = transport

    @property
    def line(self) -> LineSettings:
        """The settings in force."""
        return self._serial.line

    async def open(self) -> None:
        """Open the transport under this one and tell the line it begins on."""
        await super().open()
        self._tell("line", text=str(self.line))

    async def set_line(self, settings: LineSettings) -> None:
        """Change the settings and tell them; what the line refuses is not told."""
        await self._serial.set_line(settings)
        self._tell("line", text=str(settings))


def record(transport: Transport, sink: Sink) -> Recorder:
    """Return ``transport`` with a recorder over it."""
    if isinstance(transport, SerialTransport):
        return SerialRecorder(transport, sink)
    return Recorder(transport, sink)


class FileSink:
    """Writes a recording, a whole line per entry, so that a broken-off one can be read to its last line."""

    def __init__(self, file: TextIO, url: str, started: dt.datetime) -> None:
        self._file = file
        self._write(json.dumps({**_HEAD, "url": url, "started": started.isoformat(timespec="milliseconds")}))

    def __call__(self, entry: Entry) -> None:
        """Write one entry."""
        self._write(entry.to_json())

    def _write(self, line: str) -> None:
        self._file.write(line + "\n")
        self._file.flush()


def read_recording(lines: Iterable[str]) -> tuple[str, tuple[Entry, ...]]:
    """Read a recording; return its URL and its entries. Raises DataError ``recording``."""
    numbered = enumerate((line for line in lines if line.strip()), start=1)
    number, head = next(numbered, (1, "{}"))
    try:
        fields = json.loads(head)
        if not isinstance(fields, dict) or any(fields.get(key) != value for key, value in _HEAD.items()):
            raise ValueError("the head of a recording is missing")
        entries = []
        for number, line in numbered:  # noqa: B007  # told in the message below
            entries.append(Entry.from_json(line))
    except ValueError as error:
        raise DataError(
            f"line {number} of the recording is damaged: {error}",
            code="recording",
            hint="a recording is written with --trace; other captures are read with 'meterlink decode'",
        ) from None
    return str(fields.get("url", "")), tuple(entries)


def recorded_url(path: Path) -> str:
    """Return the URL that a recording was made from; empty where that cannot be told."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            url, _ = read_recording([file.readline(_LONGEST_HEAD)])
    except (OSError, DataError):
        return ""
    return url


class ReplayTransport(StreamTransport):
    """Plays the meter's part of a recording.

    What is sent must be what was sent then, byte for byte, in any chunking; the answer recorded after it follows.
    With ``speed`` 0 answers come at once, with 1 they take the time they took. Where the recording ends without a
    loss, the meter is silent. Raises LinkError ``replay-differs`` when something else is sent.
    """

    def __init__(self, entries: Iterable[Entry], url: str = "replay:", speed: float = 0.0) -> None:
        script = [entry for entry in entries if entry.event in ("sent", "received", "lost")]
        super().__init__(url, max(DEFAULT_LIMIT, sum(len(entry.data) for entry in script)))
        self._script = script
        self._speed = speed
        self._position = 0
        self._expected = b""
        self._timer: asyncio.TimerHandle | None = None

    async def _open(self) -> None:
        self._position, self._expected = 0, b""
        self._play(0.0)

    async def _send(self, data: bytes) -> None:
        rest = data
        while rest:
            expected = self._expected
            part = min(len(expected), len(rest))
            if part == 0 or rest[:part] != expected[:part]:
                raise _differs(rest, expected)
            rest, self._expected = rest[part:], expected[part:]
            if not self._expected:
                self._position += 1
                self._play(self._script[self._position - 1].t)
        await asyncio.sleep(0)

    def _play(self, time: float) -> None:
        """Deliver what comes at ``time`` of the recording, up to the next entry that is ours to send."""
        self._timer = None
        while self._position < len(self._script):
            entry = self._script[self._position]
            if entry.event == "sent":
                self._expected = entry.data
                return
            wait = (entry.t - time) * self._speed
            if wait > 0.0:
                self._timer = asyncio.get_running_loop().call_later(wait, self._play, entry.t)
                return
            self._position += 1
            if entry.event == "received":
                self._buffer.feed(entry.data)
            else:
                # The end of the stream only: the request before it did get out, so its send must not fail.
                self._buffer.end(LinkLost(f"the link was lost here when this was recorded ({entry.text})"))

    async def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _differs(sent: bytes, expected: bytes) -> LinkError:
    """Say what was sent and what should have been, from the first difference on."""
    same = next((at for at, (a, b) in enumerate(zip(sent, expected, strict=False)) if a != b), 0)
    shown = [part[same : same + _SHOWN].hex(" ") or "nothing" for part in (sent, expected)]
    return LinkError(
        f"sent {shown[0]} where the recording has {shown[1]}" + (f" (after {same} octets alike)" if same else ""),
        code="replay-differs",
        hint="a recording answers only the very requests it was made with",
    )


class SerialReplayTransport(ReplayTransport, SerialTransport):
    """Plays a recording of a serial line. ``lines`` are the settings it had, the first one at the beginning; others it
    refuses, as the line may have done then."""

    def __init__(
        self, entries: Iterable[Entry], lines: Sequence[LineSettings], url: str = "replay:", speed: float = 0.0
    ) -> None:
        super().__init__(entries, url, speed)
        self._lines = tuple(lines)
        self._line = self._lines[0]

    @property
    def line(self) -> LineSettings:
        """The settings in force."""
        return self._line

    async def set_line(self, settings: LineSettings) -> None:
        """Note the settings. Raises LinkUnavailable ``line-settings`` for ones that were not recorded."""
        if settings not in self._lines:
            raise LinkUnavailable(f"the recording never had its line at {settings}", code="line-settings")
        self._line = settings

    async def _open(self) -> None:
        self._line = self._lines[0]
        await super()._open()


def replay(entries: Iterable[Entry], url: str = "replay:", speed: float = 0.0) -> ReplayTransport:
    """Return what plays a recording: a serial transport where a line was recorded. Raises DataError ``recording``."""
    script = tuple(entries)
    try:
        lines = [parse_line(entry.text) for entry in script if entry.event == "line"]
    except ValueError as error:
        raise DataError(f"the recording has damaged line settings: {error}", code="recording") from None
    return SerialReplayTransport(script, lines, url, speed) if lines else ReplayTransport(script, url, speed)


def open_replay(url: TransportUrl, options: Options, context: Context) -> Transport:
    """Open ``replay:FILE``; key ``speed``: 0 at once (default), 1 as it was."""
    speed = options.number("speed", 0.0, 0.0, 1000.0)
    try:
        with Path(url.target).open(encoding="utf-8", errors="replace") as file:
            text = file.read(_LONGEST + 1)
    except OSError as error:
        raise LinkUnavailable(
            f"the recording {url.target} cannot be read: {error.strerror}", hint="give the path of a recording"
        ) from None
    if len(text) > _LONGEST:
        raise DataError(
            f"{url.target} is longer than {_LONGEST >> 20} MiB", code="recording", hint="give the path of a recording"
        )
    _, entries = read_recording(io.StringIO(text))
    return replay(entries, str(url), speed)
