"""What in a trace tells which meter it was, or opens it: titles, certificates, serial numbers, passwords, keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from meterlink.cosem import apdu as xdlms
from meterlink.cosem import axdr
from meterlink.cosem.acse import Aare, Aarq, Rlre, Rlrq
from meterlink.cosem.apdu import InitiateRequest
from meterlink.cosem.apdu.action import (
    ActionRequestNormal,
    ActionRequestWithList,
    ActionResponseNormal,
    ActionResponseWithList,
)
from meterlink.cosem.apdu.block import Block
from meterlink.cosem.apdu.general_block import GeneralBlock
from meterlink.cosem.apdu.get import (
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithBlock,
    GetResponseWithList,
)
from meterlink.cosem.apdu.set import SetRequestNormal, SetRequestWithList
from meterlink.cosem.data import INTEGER_BITS, CompactArray, Data, Tag
from meterlink.cosem.names import Attribute, Method
from meterlink.cosem.results import ActionResponse
from meterlink.errors import ProtocolError
from meterlink.security.ciphered import GENERAL_CIPHERING, GENERAL_SIGNING, Ciphering, is_ciphered
from meterlink.security.general_ciphering import KeyChoice, KeyInfo
from meterlink.security.general_header import GeneralHeader
from meterlink.security.hls import Mechanism
from meterlink.security.octets import read_octet_string
from meterlink.tracing.apdus import TracedApdu

_DATA, _ASSOCIATION, _SAP_ASSIGNMENT, _SECURITY_SETUP = 1, 15, 17, 64
_SECRET = 7
_TITLES_AND_CERTIFICATES: Final = frozenset({4, 5, 6})
_ID_NUMBERS, _DEVICE_NAME, _GENERAL_PURPOSE, _DEVICE_IDS = 0, 42, 96, 1
"""Value groups C of the codes that name a device (IEC 62056-6-1: 0.0 ID numbers, 42.0.0 logical device name, 96.1
device IDs), and D of the last."""

_HARMLESS: Final = frozenset({7, 8, 9, 18})
"""Classes whose written values and parameters name nobody and open nothing: profiles, clocks, script tables, images."""

_MASK: Final = b"X"
_CHAR_STRING: Final = 0x80
"""Tag of the password in the AARQ."""

_LEAST: Final = 4
"""Shorter values are not looked for in the rest of the trace: they would be found everywhere."""


@dataclass(slots=True)
class Findings:
    """``titles`` are system titles; ``values`` is everything else that must go, with what stands there instead;
    ``tails`` are, for the APDU of this number in either direction, how many octets at its end must go whatever they
    are."""

    titles: dict[bytes, None] = field(default_factory=dict)
    values: dict[bytes, bytes] = field(default_factory=dict)
    tails: dict[tuple[str, int], int] = field(default_factory=dict)


def find_sensitive(apdus: Iterable[TracedApdu]) -> Findings:
    """Return what must not be shared of a trace."""
    finder = _Finder()
    counts = {"sent": 0, "received": 0}
    for apdu in apdus:
        finder.look(apdu, counts[apdu.direction])
        counts[apdu.direction] += 1
    return finder.findings


class _Finder:
    def __init__(self) -> None:
        self.findings = Findings()
        self._asked: tuple[Attribute, ...] = ()
        self._called: tuple[Method, ...] = ()

    def look(self, apdu: TracedApdu, number: int) -> None:
        data = apdu.data
        try:
            if data[:1] and data[0] in (Aarq.TAG, Aare.TAG):
                self._acse(Aarq.from_bytes(data) if data[0] == Aarq.TAG else Aare.from_bytes(data))
            elif data[:1] and data[0] in (GENERAL_CIPHERING, GENERAL_SIGNING):
                header, behind = GeneralHeader.read(data, 1)
                self._title(header.originator)
                self._title(header.recipient)
                if data[0] == GENERAL_CIPHERING:
                    info, _ = KeyInfo.read(data, behind)
                    self._value(info.data if info.choice is KeyChoice.WRAPPED else b"")
            elif is_ciphered(data):
                self._ciphered(data)
            elif data[:1] and data[0] in (Rlrq.TAG, Rlre.TAG):
                pass  # releases name nobody
            else:
                self._plain(xdlms.decode(data), (apdu.direction, number))
        except ProtocolError:
            self.findings.tails[apdu.direction, number] = len(data)  # who can tell what is in it

    def _acse(self, message: Aarq | Aare) -> None:
        self._title(message.system_title or b"")
        self._value(message.certificate or b"")
        if isinstance(message, Aarq) and message.mechanism is Mechanism.LOW:
            password = message.secret or b""
            self._value(password, bytes((_CHAR_STRING, len(password))))
        if message.user_information and not is_ciphered(message.user_information):
            initiate = xdlms.decode(message.user_information)
            if isinstance(initiate, InitiateRequest):
                self._value(initiate.dedicated_key or b"")

    def _ciphered(self, data: bytes) -> None:
        if any(data[0] == ciphering.general_tag for ciphering in Ciphering):
            self._title(read_octet_string(data, 1)[0])

    def _plain(self, message: xdlms.Apdu, where: tuple[str, int]) -> None:
        match message:
            case GetRequestNormal(attribute=attribute):
                self._asked = (attribute,)
            case GetRequestWithList(attributes=attributes):
                self._asked = attributes
            case GetResponseNormal(result=Data() as value):
                self._answers([value])
            case GetResponseWithList(results=results):
                self._answers([value if isinstance(value, Data) else None for value in results])
            case GetResponseWithBlock(content=bytes() as content) if any(map(_is_sensitive, self._asked)):
                self.findings.tails[where] = len(content)
            case SetRequestNormal(attribute=attribute, value=value):
                self._written([attribute], [value])
            case SetRequestWithList(attributes=attributes, values=values):
                self._written(attributes, values)
            case ActionRequestNormal(method=method, parameters=parameters):
                self._called = (method,)
                self._written([method], [] if parameters is None else [parameters])
            case ActionRequestWithList(methods=methods, parameters=values):
                self._called = methods
                self._written(methods, values)
            case ActionResponseNormal(response=response):
                self._returned([response])
            case ActionResponseWithList(responses=responses):
                self._returned(responses)
            case GeneralBlock(content=content):
                self.findings.tails[where] = len(content)
            case _:
                block = getattr(message, "block", None)
                if isinstance(block, Block):
                    self.findings.tails[where] = len(block.content)

    def _answers(self, values: list[Data | None]) -> None:
        for attribute, value in zip(self._asked, values, strict=False):
            if value is not None:
                self._values_of(attribute, value)

    def _values_of(self, attribute: Attribute, value: Data) -> None:
        if _is_sensitive(attribute):
            self._leaves(value)

    def _written(self, names: Sequence[Attribute | Method], values: Sequence[Data]) -> None:
        """Whatever is written or passed to a method may be a name, a number or a key, unless it is known to be none."""
        for name, value in zip(names, values, strict=False):
            if name.class_id not in _HARMLESS:
                self._leaves(value)

    def _returned(self, responses: Sequence[ActionResponse]) -> None:
        for method, response in zip(self._called, responses, strict=False):
            if method.class_id not in _HARMLESS and isinstance(response.data, Data):
                self._leaves(response.data)

    def _leaves(self, value: Data) -> None:
        for octets, front in _octets_of(value):
            self._value(octets, front)

    def _title(self, octets: bytes) -> None:
        if len(octets) >= _LEAST:
            self.findings.titles[octets] = None

    def _value(self, octets: bytes, front: bytes = b"") -> None:
        """Take a value; one that is too short to be looked for alone is looked for behind its type and length."""
        front = b"" if len(octets) >= _LEAST else front
        if octets and (front or len(octets) >= _LEAST):
            self.findings.values[front + octets] = front + _MASK * len(octets)


def _is_sensitive(attribute: Attribute) -> bool:
    name = attribute.instance
    if attribute.class_id == _SECURITY_SETUP:
        return attribute.index in _TITLES_AND_CERTIFICATES
    if attribute.class_id == _ASSOCIATION:
        return attribute.index == _SECRET
    if attribute.class_id != _DATA:
        return attribute.class_id == _SAP_ASSIGNMENT
    is_device_id = name.c == _GENERAL_PURPOSE and name.d == _DEVICE_IDS
    return is_device_id or name.c == _DEVICE_NAME or (name.c, name.d) == (_ID_NUMBERS, _ID_NUMBERS)


def _octets_of(value: Data) -> Iterator[tuple[bytes, bytes]]:
    """Yield every text, octet-string and number in ``value``, and the type and length that stand before it."""
    if isinstance(value.value, CompactArray | tuple):
        for item in value.as_items():
            yield from _octets_of(item)
    elif isinstance(value.value, bytes):
        yield value.value, axdr.encode(value)[: -len(value.value) or None]
    elif isinstance(value.value, str) and value.tag is not Tag.BIT_STRING:
        for code in ("utf-8", "latin-1"):
            octets = value.value.encode(code, "replace")
            yield octets, bytes((value.tag, len(octets) & 0x7F))
    elif value.tag in INTEGER_BITS:
        encoded = axdr.encode(value)
        if len(encoded) > _LEAST:  # shorter ones are settings, not numbers of a device
            yield encoded[1:], encoded[:1]
