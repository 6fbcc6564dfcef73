"""From a URL to a transport.

``ble:NAME-or-ADDRESS``, ``serial:PORT``, ``optical:PORT``, ``tcp://host:port``, ``rfc2217://host:port``,
``replay:FILE``, and whatever an installed package registers under the entry point group ``meterlink.transports``: a
callable of the form of :data:`Opener` under the name of its scheme.

A key after the ``?`` is known when the opener of the scheme asks for it, or when it belongs to the layers above
(:data:`SESSION_KEYS`). Any other one is refused together with the list of known ones.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import quote, unquote

from meterlink.errors import UsageError
from meterlink.transport.base import Transport
from meterlink.transport.radio import BleRadio

GROUP: Final = "meterlink.transports"
"""Entry point group under which other packages add transports."""

SESSION_KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "framing": "hdlc or wrapper, where the transport's default does not fit",
        "profile": "the meter family, where it is not to be found out",
        "client": "client SAP, where the certificate's level does not choose it",
        "server": "server SAP (upper HDLC address)",
        "physical": "physical device address (lower HDLC address)",
        "address-size": "octets of the meter's HDLC address, 1, 2 or 4, where the shortest form is not heard",
        "security": "certificate, none, lls, hls-md5, hls-sha1, hls-gmac, hls-sha256 or hls-ecdsa",
        "ciphering": "none, glo, ded, general-glo, general-ded or general-ciphering, with keys that were shared before",
        "policy": "authenticated, encrypted or authenticated-encrypted: protection of messages under shared keys",
        "key": "identified, known, wrapped, agreed-c1e1s or agreed-c0e2s, for general-ciphering",
        "signing": "none, requests, responses or both, with general-signing",
        "header-authenticated": "yes or no: what general-ciphering authenticates",
        "signed-length": "yes or no: what general-signing signs",
        "meter-counter": "least counter of the meter to accept, forgetting a higher one that is kept, or restarts",
        "title": "the meter's system title, 16 hex digits: another meter is left at once",
        "suite": "security suite 0, 1 or 2, where the keys do not tell",
        "sign-on": "E, for HDLC after a sign-on in mode E of IEC 62056-21",
        "address": "device address of IEC 62056-21, or M-Bus primary or secondary address",
        "patience": "seconds that an M-Bus meter may answer later than the standard has it",
    }
)
"""Keys that no transport reads: the session does."""

SECRET_KEYS: Final = frozenset({"passkey", "password"})

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?")
_HOST_PORT: Final = re.compile(r"(?:\[(?P<six>[0-9A-Za-z:.%_-]+)\]|(?P<host>[^\[\]:/]*))(?::(?P<port>\d{1,5}))?/?\Z")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class TransportUrl:
    """A URL taken apart. ``target`` is what stands between the scheme and the ``?``, percent-decoded."""

    scheme: str
    target: str
    options: Mapping[str, str]
    has_authority: bool = False
    """True for ``scheme://...``: the target is a host and a port."""

    def host_port(self, default_port: int | None = None, *, lowest: int = 1) -> tuple[str, int]:
        """Return host and port of a ``scheme://host:port`` URL; ``lowest`` 0 is for who listens on a free port.

        Raises UsageError ``url-invalid``.
        """
        match = _HOST_PORT.match(self.target) if self.has_authority else None
        host = match and (match["six"] or match["host"])
        if match is None or not host:
            raise _invalid(self, f"{self.scheme} wants a host and a port", f"write {self.scheme}://HOST:PORT")
        port = int(match["port"]) if match["port"] else default_port
        if port is None or not lowest <= port < 65536:
            raise _invalid(self, f"the port is missing or not {lowest}..65535", f"write {self.scheme}://HOST:PORT")
        return host, port

    def __str__(self) -> str:
        """The URL as it may be shown, and given again: secrets are left out, and what would be read as something else
        is percent-encoded."""
        shown = "&".join(
            f"{_encoded(key, '&=')}={'...' if key in SECRET_KEYS else _encoded(value, '&')}"
            for key, value in self.options.items()
        )
        target = _encoded(self.target, "?")
        if self.has_authority:
            user, at, place = target.rpartition("@")
            target = f"//{'...' if user else ''}{at}{place}"
        elif target.startswith("//"):
            target = f"%2F{target[1:]}"
        return f"{self.scheme}:{target}{'?' if shown else ''}{shown}"


def _encoded(text: str, special: str) -> str:
    """Percent-encode ``special`` characters, and those that nobody can see; a letter stays one, whatever its script."""
    wanted = f"%{special}"
    return "".join(
        quote(one, safe="", errors="surrogatepass") if one in wanted or not one.isprintable() else one for one in text
    )


class Options:
    """The keys of one URL, read by the opener of its scheme. What was asked for is what is known."""

    def __init__(self, url: TransportUrl) -> None:
        self._url = url
        self._known: dict[str, None] = {}

    def _read(self, key: str, default: _T, convert: Callable[[str], _T], expected: str) -> _T:
        self._known[key] = None
        text = self._url.options.get(key)
        if text is None:
            return default
        try:
            return convert(text)
        except ValueError:
            raise _invalid(self._url, f"{key}={text} is not {expected}", f"give {key}={expected}") from None

    def text(self, key: str, default: str = "") -> str:
        """Return any text."""
        return self._read(key, default, str, "text")

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """Return a whole number ``low..high``."""
        return self._read(key, default, lambda text: _within(int(text), low, high), f"a number {low}..{high}")

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """Return a number ``low..high``."""
        return self._read(key, default, lambda text: _within(float(text), low, high), f"a number {low:g}..{high:g}")

    def choice(self, key: str, default: str, allowed: tuple[str, ...]) -> str:
        """Return one of ``allowed``, in any case of letters."""
        table = {word.casefold(): word for word in allowed}
        return self._read(key, default, lambda text: _lookup(table, text), f"one of {', '.join(allowed)}")

    def flag(self, key: str, default: bool) -> bool:
        """Return a truth value: yes, no, on, off, true, false, 1 or 0."""
        return self._read(key, default, lambda text: _lookup(_TRUTH, text), "yes or no")

    def maybe_flag(self, key: str) -> bool | None:
        """Return a truth value, or None where the key is not given."""
        return self._read(key, None, lambda text: _lookup(_TRUTH, text), "yes or no")

    def finish(self) -> None:
        """Refuse keys that nobody asked for. Raises UsageError ``url-invalid``."""
        for key in self._url.options:
            if key not in self._known and key not in SESSION_KEYS:
                known = ", ".join(sorted({*self._known, *SESSION_KEYS}))
                raise _invalid(self._url, f"{self._url.scheme} knows no key {key!r}", f"known keys are {known}")


@dataclass(frozen=True, slots=True)
class Context:
    """What an opener may need beside the URL.

    ``ble`` chooses the Bluetooth radio (None: that of the system). ``ask_passkey`` asks the user for the six digits
    that the named meter shows; it returns None to give up.
    """

    ble: BleRadio | None = None
    ask_passkey: Callable[[str], Awaitable[int | None]] | None = field(default=None, repr=False)


Opener = Callable[[TransportUrl, Options, Context], Transport]
"""Makes the transport of one scheme, not opened yet. Must read every key it knows from the options."""

_BUILT_IN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ble": "meterlink.transport.ble:open_ble",
        "optical": "meterlink.transport.optical:open_optical",
        "replay": "meterlink.transport.replay:open_replay",
        "rfc2217": "meterlink.transport.rfc2217:open_rfc2217",
        "serial": "meterlink.transport.serial:open_serial",
        "tcp": "meterlink.transport.tcp:open_tcp",
    }
)


def parse_url(text: str) -> TransportUrl:
    """Take a URL apart. Raises UsageError ``url-invalid``; the scheme need not be known."""
    match = _SCHEME.match(text)
    if match is None:
        raise UsageError(
            f"{text!r} is not a URL of a meter", code="url-invalid", hint=f"it starts with one of {_schemes_text()}"
        )
    head, _, tail = text[match.end() :].partition("?")
    options: dict[str, str] = {}
    for item in filter(None, tail.split("&")):
        key, equals, value = item.partition("=")
        if not equals or not key or key in options:
            what = f"the key {key!r} stands twice" if key in options else f"{item!r} is not KEY=VALUE"
            raise UsageError(f"{what} in the URL", code="url-invalid", hint="write URL?KEY=VALUE&KEY=VALUE")
        options[unquote(key)] = unquote(value)
    return TransportUrl(match[1].lower(), unquote(head), MappingProxyType(options), match[2] is not None)


def open_transport(url: str | TransportUrl, context: Context | None = None) -> Transport:
    """Return the transport that ``url`` means; nothing is opened yet. Raises UsageError ``url-invalid``."""
    parsed = parse_url(url) if isinstance(url, str) else url
    options = Options(parsed)
    transport = _opener(parsed.scheme)(parsed, options, context or Context())
    options.finish()
    return transport


def schemes() -> tuple[str, ...]:
    """Return the schemes that can be opened, sorted."""
    return tuple(sorted({*_BUILT_IN, *(entry.name for entry in entry_points(group=GROUP))}))


def _opener(scheme: str) -> Opener:
    # The modules behind the schemes bring pyserial and bleak; a scheme loads only its own.
    if path := _BUILT_IN.get(scheme):
        module, _, name = path.partition(":")
        opener: Opener = getattr(importlib.import_module(module), name)
        return opener
    for entry in entry_points(group=GROUP, name=scheme):
        loaded: Any = entry.load()
        return loaded  # type: ignore[no-any-return]  # the group's contract: an entry point is an Opener
    raise UsageError(
        f"there is no transport {scheme!r}", code="url-invalid", hint=f"the URL starts with one of {_schemes_text()}"
    )


def _schemes_text() -> str:
    return ", ".join(f"{scheme}:" for scheme in schemes())


def _invalid(url: TransportUrl, what: str, hint: str) -> UsageError:
    return UsageError(f"{what} (in {url})", code="url-invalid", hint=hint)


_N = TypeVar("_N", int, float)


def _within(value: _N, low: _N, high: _N) -> _N:
    if not low <= value <= high:
        raise ValueError(value)
    return value


_TRUTH: Final = {
    "yes": True,
    "on": True,
    "true": True,
    "1": True,
    "no": False,
    "off": False,
    "false": False,
    "0": False,
}


def _lookup(table: Mapping[str, _T], text: str) -> _T:
    try:
        return table[text.casefold()]
    except KeyError:
        raise ValueError(text) from None
