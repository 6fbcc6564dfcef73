"""``optical:PORT``: an optical head on a serial port, or behind a gateway."""

from __future__ import annotations

from meterlink.errors import UsageError
from meterlink.transport.base import LineSettings, SerialTransport, Transport
from meterlink.transport.echo import EchoMode
from meterlink.transport.head import START, Emulation, OpticalTransport
from meterlink.transport.line import line_options
from meterlink.transport.rfc2217 import Rfc2217Transport
from meterlink.transport.serial import SerialPortTransport
from meterlink.transport.url import Context, Options, TransportUrl, parse_url


def open_optical(url: TransportUrl, options: Options, context: Context) -> Transport:
    """Open ``optical:PORT`` or ``optical:rfc2217://host:port``.

    Keys: those of ``serial:``, and ``echo`` (auto, yes, no), ``parity-emulation`` (auto, yes, no), ``power-delay``
    (seconds).
    """
    settings = line_options(options, START)
    dtr, rts = options.maybe_flag("dtr"), options.maybe_flag("rts")
    emulations: dict[str, Emulation] = {"auto": "auto", "yes": "yes", "no": "no"}
    echo = EchoMode(options.choice("echo", "auto", tuple(mode.value for mode in EchoMode)))
    emulation = emulations[options.choice("parity-emulation", "auto", tuple(emulations))]
    delay = options.number("power-delay", 0.0, 0.0, 10.0)
    serial = _line_below(url, LineSettings(settings.baud), dtr, rts)
    return OpticalTransport(serial, settings, echo=echo, emulation=emulation, power_delay=delay, url=str(url))


def _line_below(url: TransportUrl, line: LineSettings, dtr: bool | None, rts: bool | None) -> SerialTransport:
    if not url.target:
        raise UsageError("optical: wants a port", code="url-invalid", hint="write optical:/dev/ttyUSB0 or optical:COM3")
    if "://" not in url.target:
        return SerialPortTransport(url.target, line, dtr=dtr, rts=rts)
    gateway = parse_url(url.target)
    if gateway.scheme != "rfc2217":
        raise UsageError(
            f"a head cannot be on {gateway.scheme}:",
            code="url-invalid",
            hint="write optical:PORT or optical:rfc2217://HOST:PORT",
        )
    host, port = gateway.host_port()
    return Rfc2217Transport(host, port, line, dtr=dtr, rts=rts)
