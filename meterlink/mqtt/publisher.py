"""The connection to the broker. Needs the extra ``mqtt`` (aiomqtt)."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterator, Sequence
from typing import Final

import aiomqtt

from meterlink.errors import LinkError, LinkUnavailable, UsageError
from meterlink.mqtt.broker import PASSWORD_VARIABLE, Broker
from meterlink.mqtt.messages import (
    OFFLINE,
    ONLINE,
    Message,
    Topics,
    discovery_messages,
    meter_id,
    state_messages,
)
from meterlink.values import MeterReport

_PATIENCE: Final = 10.0
"""Seconds for each answer of the broker."""
_KEEPALIVE: Final = 20
"""Seconds; the broker tells our last will after one and a half of them. A TLS handshake may take as long."""
_AT_LEAST_ONCE: Final = 1
_REFUSED: Final = frozenset({4, 5, 134, 135})
"""Answers to a connection that mean: not with this name and password (MQTT 3.1.1, 3.2.2.3; MQTT 5, 3.2.2.2)."""


class Publisher:
    """Publishes reports of one meter; an outlet of :func:`meterlink.commands.watch.read_to`.

    ``source`` is the meter's URL, for a meter that does not say who it is. While ``watched``, the connection stays and
    the broker says ``offline`` for us if it breaks (last will); else the values stand for themselves.
    Raises UsageError ``mqtt-url`` for a CA file that cannot be used.
    """

    def __init__(self, broker: Broker, password: str | None, source: str, *, watched: bool) -> None:
        self._broker = broker
        self._password = password
        self._source = source
        self._watched = watched
        self._tls = _tls(broker)
        self._client: aiomqtt.Client | None = None
        self._topics: Topics | None = None
        self._announced: frozenset[Message] = frozenset()
        self.published = 0
        """Messages that the broker has acknowledged."""

    async def open(self) -> None:
        """See whether the broker lets us in, before a meter is asked. Raises LinkUnavailable."""
        if self._tls is not None:
            await _check_certificate(self._broker, self._tls)
        with _translated(self._broker):
            async with self._new_client(None):
                pass

    async def take(self, report: MeterReport) -> None:
        """Publish a report, with one new connection if the last one broke. Raises LinkError."""
        topics = Topics(self._broker.prefix, meter_id(report, self._source), self._watched)
        if topics != self._topics:
            await self.close()
            self._topics = topics
        with contextlib.suppress(LinkError):
            if self._client is not None:
                await self._publish(report, topics)
                return
        await self._connect(topics)
        await self._publish(report, topics)

    async def missed(self, error: Exception) -> None:
        """Say that the meter is not to be had. A broker that is gone says so itself."""
        if self._client is not None and self._topics is not None and self._watched:
            with contextlib.suppress(LinkError):
                await self._send([Message(self._topics.status, OFFLINE)])

    async def close(self) -> None:
        """Say goodbye to the broker; a watched meter is offline from now on."""
        client, self._client = self._client, None
        if client is None:
            return
        with contextlib.suppress(aiomqtt.MqttError):
            if self._watched and self._topics is not None:
                await client.publish(self._topics.status, OFFLINE, qos=_AT_LEAST_ONCE, retain=True)
        with contextlib.suppress(aiomqtt.MqttError):
            await client.__aexit__(None, None, None)

    async def _connect(self, topics: Topics) -> None:
        await self.close()
        will = aiomqtt.Will(topics.status, OFFLINE, qos=_AT_LEAST_ONCE, retain=True) if self._watched else None
        client = self._new_client(will)
        with _translated(self._broker):
            await client.__aenter__()
        self._client = client
        self._announced = frozenset()

    async def _publish(self, report: MeterReport, topics: Topics) -> None:
        discovery = self._broker.discovery
        announced = frozenset(discovery_messages(report, topics, discovery) if discovery else ())
        await self._send(sorted(announced - self._announced, key=lambda message: message.topic))
        self._announced |= announced
        await self._send(state_messages(report, topics))
        if self._watched:
            await self._send([Message(topics.status, ONLINE)])

    async def _send(self, messages: Sequence[Message]) -> None:
        assert self._client is not None
        with _translated(self._broker):
            for message in messages:
                await self._client.publish(message.topic, message.payload, qos=_AT_LEAST_ONCE, retain=True)
                self.published += 1

    def _new_client(self, will: aiomqtt.Will | None) -> aiomqtt.Client:
        broker = self._broker
        return aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.user,
            password=None if broker.user is None else self._password,
            will=will,
            timeout=_PATIENCE,
            keepalive=_KEEPALIVE,
            tls_context=self._tls,
        )


@contextlib.contextmanager
def _translated(broker: Broker) -> Iterator[None]:
    """Turn the library's errors into ours."""
    try:
        yield
    except aiomqtt.MqttError as error:
        raise _link_error(broker, error) from error


def _link_error(broker: Broker, error: aiomqtt.MqttError) -> LinkError:
    code = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
    number = code if isinstance(code, int) or code is None else code.value
    if number in _REFUSED:
        who = f"the user {broker.user!r}" if broker.user else "a client without a user"
        hint = f"name the user in the URL and set {PASSWORD_VARIABLE}"
        return LinkUnavailable(f"{broker} does not let {who} in", code="mqtt-refused", hint=hint)
    return _unreachable(broker, str(error))


def _unreachable(broker: Broker, why: str) -> LinkUnavailable:
    return LinkUnavailable(
        f"the MQTT broker {broker} cannot be reached: {why}",
        code="mqtt-unavailable",
        hint="check its name and port, and whether it wants TLS (mqtts://)",
    )


async def _check_certificate(broker: Broker, context: ssl.SSLContext) -> None:
    """Make sure that the broker's certificate holds. The library does, too, but does not say so in a way that a
    program could tell from other failures."""
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(broker.host, broker.port, ssl=context)
    except ssl.SSLCertVerificationError as error:
        hint = "name the file with its CA certificate: mqtts://...?ca=FILE"
        why = error.verify_message
        raise LinkUnavailable(f"the certificate of {broker} does not hold: {why}", code="mqtt-tls", hint=hint) from None
    except OSError as error:  # TimeoutError and ssl.SSLError are, too
        raise _unreachable(broker, error.strerror or "no TLS there") from None
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _tls(broker: Broker) -> ssl.SSLContext | None:
    if not broker.tls:
        return None
    try:
        return ssl.create_default_context(cafile=broker.ca or None)
    except OSError as error:  # ssl.SSLError is one, too
        raise UsageError(
            f"{broker.ca} holds no CA certificates that can be used: {error.strerror or 'not PEM'}",
            code="mqtt-url",
            hint="ca=FILE names a file with certificates in PEM",
        ) from None
