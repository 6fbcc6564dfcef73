"""GET: read attributes (Green Book, 9.3.6 and 9.5, Get-Request and Get-Response)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from meterlink.cosem import axdr
from meterlink.cosem.data import Data
from meterlink.cosem.leaves import write_length, write_octets
from meterlink.cosem.names import Attribute, read_attribute, write_attribute
from meterlink.cosem.octets import Reader
from meterlink.cosem.results import DataAccessResult
from meterlink.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class GetRequestNormal:
    """Read one attribute. ``invoke`` is the invoke-id-and-priority octet of every request and its response."""

    TAG: ClassVar[int] = 0xC0
    invoke: int
    attribute: Attribute

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 1, self.invoke))
        write_attribute(out, self.attribute)
        return bytes(out)


@dataclass(frozen=True, slots=True)
class GetRequestNext:
    """Ask for the block after ``block``."""

    TAG: ClassVar[int] = 0xC0
    invoke: int
    block: int

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        return bytes((self.TAG, 2, self.invoke)) + self.block.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class GetRequestWithList:
    """Read several attributes."""

    TAG: ClassVar[int] = 0xC0
    invoke: int
    attributes: tuple[Attribute, ...]

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 3, self.invoke))
        write_length(out, len(self.attributes))
        for attribute in self.attributes:
            write_attribute(out, attribute)
        return bytes(out)


GetRequest = GetRequestNormal | GetRequestNext | GetRequestWithList


@dataclass(frozen=True, slots=True)
class GetResponseNormal:
    """The value of one attribute, or why there is none."""

    TAG: ClassVar[int] = 0xC4
    invoke: int
    result: Data | DataAccessResult

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 1, self.invoke))
        write_result(out, self.result)
        return bytes(out)


@dataclass(frozen=True, slots=True)
class GetResponseWithBlock:
    """One block of a value, or why the transfer ends. Blocks are numbered from 1."""

    TAG: ClassVar[int] = 0xC4
    invoke: int
    last: bool
    block: int
    content: bytes | DataAccessResult = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 2, self.invoke, self.last))
        out += self.block.to_bytes(4, "big")
        if isinstance(self.content, DataAccessResult):
            out += bytes((1, self.content))
        else:
            out.append(0)
            write_octets(out, self.content)
        return bytes(out)


@dataclass(frozen=True, slots=True)
class GetResponseWithList:
    """The values of several attributes, in the order of the request."""

    TAG: ClassVar[int] = 0xC4
    invoke: int
    results: tuple[Data | DataAccessResult, ...]

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 3, self.invoke))
        out += results_to_bytes(self.results)
        return bytes(out)


GetResponse = GetResponseNormal | GetResponseWithBlock | GetResponseWithList


def write_result(out: bytearray, result: Data | DataAccessResult) -> None:
    """Append a Get-Data-Result."""
    if isinstance(result, DataAccessResult):
        out += bytes((1, result))
    else:
        out.append(0)
        axdr.encode_into(out, result)


def read_result(reader: Reader) -> Data | DataAccessResult:
    """Read a Get-Data-Result. Raises ProtocolError."""
    choice = reader.u8()
    if choice == 0:
        return reader.data()
    if choice == 1:
        return DataAccessResult(reader.u8())
    raise ProtocolError(f"a result of kind {choice}")


def results_to_bytes(results: tuple[Data | DataAccessResult, ...]) -> bytes:
    """Return a list of Get-Data-Results, as it stands in a response and, in blocks, in a long one."""
    out = bytearray()
    write_length(out, len(results))
    for result in results:
        write_result(out, result)
    return bytes(out)


def read_results(reader: Reader) -> tuple[Data | DataAccessResult, ...]:
    """Read a list of Get-Data-Results. Raises ProtocolError."""
    return tuple(read_result(reader) for _ in range(reader.count()))


def read_request(reader: Reader) -> GetRequest:
    """Read a Get-Request behind its tag. Raises ProtocolError."""
    choice, invoke = reader.u8(), reader.u8()
    if choice == 1:
        return GetRequestNormal(invoke, read_attribute(reader))
    if choice == 2:
        return GetRequestNext(invoke, reader.u32())
    if choice == 3:
        return GetRequestWithList(invoke, tuple(read_attribute(reader) for _ in range(reader.count())))
    raise ProtocolError(f"a get-request of kind {choice}")


def read_response(reader: Reader) -> GetResponse:
    """Read a Get-Response behind its tag. Raises ProtocolError."""
    choice, invoke = reader.u8(), reader.u8()
    if choice == 1:
        return GetResponseNormal(invoke, read_result(reader))
    if choice == 2:
        last, block, kind = reader.boolean(), reader.u32(), reader.u8()
        if kind > 1:
            raise ProtocolError(f"a block of kind {kind}")
        content = DataAccessResult(reader.u8()) if kind else reader.octet_string()
        return GetResponseWithBlock(invoke, last, block, content)
    if choice == 3:
        return GetResponseWithList(invoke, read_results(reader))
    raise ProtocolError(f"a get-response of kind {choice}")
