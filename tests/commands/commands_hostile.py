"""A meter that answers what a test wants: without security, over the TCP wrapper, from a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from meterlink.cosem import apdu
from meterlink.cosem.acse import Aare, Aarq, AssociationResult, Context, Diagnostic, Rlre
from meterlink.cosem.apdu import InitiateResponse, get
from meterlink.cosem.conformance import SUPPORTED, Conformance
from meterlink.cosem.names import Attribute
from meterlink.framing.wrapper import WrapperPdu, WrapperReader

_MOST = 60_000
"""Octets of a block: about as many as one APDU takes."""

Answer = Callable[[Attribute], bytes]
"""An attribute -> the A-XDR octets of its value, as the test wants them."""


@contextmanager
def hostile(answer: Answer, conformance: Conformance = SUPPORTED) -> Iterator[str]:
    """Serve ``answer``, long values in blocks; yield the URL. Lists of attributes are answered only when all are
    short."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, answer, conformance), daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}?security=none"
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _serve(listener: socket.socket, answer: Answer, conformance: Conformance) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, suppress(OSError):
            _talk(connection, answer, conformance)


def _talk(connection: socket.socket, answer: Answer, conformance: Conformance) -> None:
    reader, meter = WrapperReader(), _Meter(answer, conformance)
    while data := connection.recv(65536):
        for asked in reader.feed(data):
            reply = WrapperPdu(asked.destination, asked.source, meter.reply(asked.data))
            connection.sendall(reply.to_bytes())


class _Meter:
    def __init__(self, answer: Answer, conformance: Conformance) -> None:
        self._answer = answer
        self._conformance = conformance
        self._left = b""

    def reply(self, request: bytes) -> bytes:
        if request[0] == Aarq.TAG:
            initiate = InitiateResponse(self._conformance, 0xFFFF).to_bytes()
            return Aare(Context.LOGICAL_NAMES, AssociationResult.ACCEPTED, Diagnostic.NULL, initiate).to_bytes()
        asked = apdu.decode(request) if request[0] == get.GetRequestNormal.TAG else None
        match asked:
            case get.GetRequestNext():
                return self._block(asked.invoke, asked.block + 1)
            case get.GetRequestNormal():
                self._left = self._answer(asked.attribute)
                if len(self._left) <= _MOST:
                    return bytes((get.GetResponseNormal.TAG, 1, asked.invoke, 0)) + self._left
                return self._block(asked.invoke, 1)
            case get.GetRequestWithList():
                values = [b"\x00" + self._answer(attribute) for attribute in asked.attributes]
                return bytes((get.GetResponseWithList.TAG, 3, asked.invoke, len(values))) + b"".join(values)
        return Rlre().to_bytes()

    def _block(self, invoke: int, number: int) -> bytes:
        part, self._left = self._left[:_MOST], self._left[_MOST:]
        return get.GetResponseWithBlock(invoke, not self._left, number, part).to_bytes()
