"""Where to publish: ``mqtt://[USER@]HOST[:PORT][/PREFIX]``, or ``mqtts://`` with TLS."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from meterlink.errors import UsageError

PASSWORD_VARIABLE: Final = "METERLINK_MQTT_PASSWORD"  # noqa: S105  the name of a variable
"""Environment variable with the user's password at the broker."""

DEFAULT_PREFIX: Final = "meterlink"
DEFAULT_DISCOVERY: Final = "homeassistant"
"""Home Assistant's own default."""

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_TOPIC: Final = re.compile(r"[^\x00-\x1f+#/\s]+(?:/[^\x00-\x1f+#/\s]+)*\Z")
_KEYS: Final = ("ca", "discovery")


@dataclass(frozen=True, slots=True)
class Broker:
    """An MQTT broker and the topics to use there.

    ``prefix`` stands before every topic of ours, ``discovery`` is Home Assistant's discovery prefix (empty: publish
    none), ``ca`` names a file with the CA certificates to trust (empty: those of the system).
    """

    host: str
    port: int
    tls: bool = False
    user: str | None = None
    prefix: str = DEFAULT_PREFIX
    discovery: str = DEFAULT_DISCOVERY
    ca: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' if self.tls else ''}://{host}:{self.port}/{self.prefix}"


def parse_broker(text: str) -> Broker:
    """Read a broker's URL. The keys ``ca=FILE`` and ``discovery=PREFIX`` may follow a ``?``.

    Raises UsageError ``mqtt-url``; its message never holds a password.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _invalid("this is not a URL of an MQTT broker") from None
    if parts.password is not None:
        raise UsageError(
            "the password does not belong in the URL, where others can see it",
            code="mqtt-url",
            hint=f"set the environment variable {PASSWORD_VARIABLE} to it",
        )
    if parts.scheme not in _PORTS or not parts.hostname or parts.fragment:
        raise _invalid(f"{text!r} is not a URL of an MQTT broker")
    options = _options(parts.query)
    discovery = options.get("discovery", DEFAULT_DISCOVERY)
    return Broker(
        host=parts.hostname,
        port=_PORTS[parts.scheme] if port is None else port,
        tls=parts.scheme == "mqtts",
        user=unquote(parts.username) if parts.username else None,
        prefix=_topic(unquote(parts.path).strip("/") or DEFAULT_PREFIX),
        discovery=_topic(discovery) if discovery else "",
        ca=options.get("ca", ""),
    )


def _options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for item in filter(None, query.split("&")):
        key, equals, value = item.partition("=")
        if not equals or key not in _KEYS or key in options:
            raise _invalid(f"{key!r} is not known, or stands twice; known keys are {', '.join(_KEYS)}")
        options[key] = unquote(value)
    return options


def _topic(text: str) -> str:
    if not _TOPIC.match(text):
        raise _invalid(f"{text!r} cannot begin a topic: no spaces, no + and #, nothing empty between slashes")
    return text


def _invalid(message: str) -> UsageError:
    return UsageError(message, code="mqtt-url", hint="write mqtt://[USER@]HOST[:PORT][/PREFIX], mqtts:// for TLS")
