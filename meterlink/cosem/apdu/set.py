"""SET: write attributes (Green Book, 9.3.7 and 9.5, Set-Request and Set-Response)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from meterlink.cosem import axdr
from meterlink.cosem.apdu.block import Block, read_block
from meterlink.cosem.data import Data
from meterlink.cosem.leaves import write_length
from meterlink.cosem.names import Attribute, read_attribute, write_attribute
from meterlink.cosem.octets import Reader
from meterlink.cosem.results import DataAccessResult
from meterlink.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class SetRequestNormal:
    """Write one attribute."""

    TAG: ClassVar[int] = 0xC1
    invoke: int
    attribute: Attribute
    value: Data = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 1, self.invoke))
        write_attribute(out, self.attribute)
        axdr.encode_into(out, self.value)
        return bytes(out)


@dataclass(frozen=True, slots=True)
class SetRequestFirstBlock:
    """Write one attribute, the first block of its value."""

    TAG: ClassVar[int] = 0xC1
    invoke: int
    attribute: Attribute
    block: Block

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 2, self.invoke))
        write_attribute(out, self.attribute)
        self.block.write(out)
        return bytes(out)


@dataclass(frozen=True, slots=True)
class SetRequestBlock:
    """A further block of what is written."""

    TAG: ClassVar[int] = 0xC1
    invoke: int
    block: Block

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 3, self.invoke))
        self.block.write(out)
        return bytes(out)


@dataclass(frozen=True, slots=True)
class SetRequestWithList:
    """Write several attributes; one value for each."""

    TAG: ClassVar[int] = 0xC1
    invoke: int
    attributes: tuple[Attribute, ...]
    values: tuple[Data, ...] = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 4, self.invoke))
        _write_attributes(out, self.attributes)
        out += values_to_bytes(self.values)
        return bytes(out)


@dataclass(frozen=True, slots=True)
class SetRequestWithListFirstBlock:
    """Write several attributes, the first block of their values."""

    TAG: ClassVar[int] = 0xC1
    invoke: int
    attributes: tuple[Attribute, ...]
    block: Block

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 5, self.invoke))
        _write_attributes(out, self.attributes)
        self.block.write(out)
        return bytes(out)


SetRequest = (
    SetRequestNormal | SetRequestFirstBlock | SetRequestBlock | SetRequestWithList | SetRequestWithListFirstBlock
)


@dataclass(frozen=True, slots=True)
class SetResponseNormal:
    """Whether one attribute was written."""

    TAG: ClassVar[int] = 0xC5
    invoke: int
    result: DataAccessResult

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        return bytes((self.TAG, 1, self.invoke, self.result))


@dataclass(frozen=True, slots=True)
class SetResponseBlock:
    """A block arrived; the next may come."""

    TAG: ClassVar[int] = 0xC5
    invoke: int
    block: int

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        return bytes((self.TAG, 2, self.invoke)) + self.block.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class SetResponseLastBlock:
    """Whether an attribute was written whose value came in blocks."""

    TAG: ClassVar[int] = 0xC5
    invoke: int
    result: DataAccessResult
    block: int

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        return bytes((self.TAG, 3, self.invoke, self.result)) + self.block.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class SetResponseLastBlockWithList:
    """Whether several attributes were written whose values came in blocks."""

    TAG: ClassVar[int] = 0xC5
    invoke: int
    results: tuple[DataAccessResult, ...]
    block: int

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 4, self.invoke))
        _write_results(out, self.results)
        return bytes(out) + self.block.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class SetResponseWithList:
    """Whether several attributes were written, in the order of the request."""

    TAG: ClassVar[int] = 0xC5
    invoke: int
    results: tuple[DataAccessResult, ...]

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 5, self.invoke))
        _write_results(out, self.results)
        return bytes(out)


SetResponse = (
    SetResponseNormal | SetResponseBlock | SetResponseLastBlock | SetResponseLastBlockWithList | SetResponseWithList
)


def values_to_bytes(values: tuple[Data, ...]) -> bytes:
    """Return a list of values, as it stands in a request and, in blocks, in a long one."""
    out = bytearray()
    write_length(out, len(values))
    for value in values:
        axdr.encode_into(out, value)
    return bytes(out)


def read_values(reader: Reader) -> tuple[Data, ...]:
    """Read a list of values. Raises ProtocolError."""
    return tuple(reader.data() for _ in range(reader.count()))


def read_request(reader: Reader) -> SetRequest:
    """Read a Set-Request behind its tag. Raises ProtocolError."""
    choice, invoke = reader.u8(), reader.u8()
    if choice == 1:
        return SetRequestNormal(invoke, read_attribute(reader), reader.data())
    if choice == 2:
        return SetRequestFirstBlock(invoke, read_attribute(reader), read_block(reader))
    if choice == 3:
        return SetRequestBlock(invoke, read_block(reader))
    if choice == 4:
        attributes, values = _read_attributes(reader), read_values(reader)
        if len(attributes) != len(values):
            raise ProtocolError(f"{len(values)} values for {len(attributes)} attributes")
        return SetRequestWithList(invoke, attributes, values)
    if choice == 5:
        return SetRequestWithListFirstBlock(invoke, _read_attributes(reader), read_block(reader))
    raise ProtocolError(f"a set-request of kind {choice}")


def read_response(reader: Reader) -> SetResponse:
    """Read a Set-Response behind its tag. Raises ProtocolError."""
    choice, invoke = reader.u8(), reader.u8()
    if choice == 1:
        return SetResponseNormal(invoke, DataAccessResult(reader.u8()))
    if choice == 2:
        return SetResponseBlock(invoke, reader.u32())
    if choice == 3:
        return SetResponseLastBlock(invoke, DataAccessResult(reader.u8()), reader.u32())
    if choice == 4:
        return SetResponseLastBlockWithList(invoke, _read_results(reader), reader.u32())
    if choice == 5:
        return SetResponseWithList(invoke, _read_results(reader))
    raise ProtocolError(f"a set-response of kind {choice}")


def _write_attributes(out: bytearray, attributes: tuple[Attribute, ...]) -> None:
    write_length(out, len(attributes))
    for attribute in attributes:
        write_attribute(out, attribute)


def _read_attributes(reader: Reader) -> tuple[Attribute, ...]:
    return tuple(read_attribute(reader) for _ in range(reader.count()))


def _write_results(out: bytearray, results: tuple[DataAccessResult, ...]) -> None:
    write_length(out, len(results))
    out += bytes(results)


def _read_results(reader: Reader) -> tuple[DataAccessResult, ...]:
    return tuple(DataAccessResult(reader.u8()) for _ in range(reader.count()))
