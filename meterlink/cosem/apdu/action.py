"""ACTION: call methods (Green Book, 9.3.8 and 9.5, Action-Request and Action-Response)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from meterlink.cosem import axdr
from meterlink.cosem.apdu.block import Block, read_block
from meterlink.cosem.apdu.get import read_result, write_result
from meterlink.cosem.apdu.set import values_to_bytes
from meterlink.cosem.data import Data
from meterlink.cosem.leaves import write_length
from meterlink.cosem.names import Method, read_method, write_descriptor
from meterlink.cosem.octets import Reader
from meterlink.cosem.results import ActionResponse, ActionResult
from meterlink.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class ActionRequestNormal:
    """Call one method; ``parameters`` None sends none."""

    TAG: ClassVar[int] = 0xC3
    invoke: int
    method: Method
    parameters: Data | None = field(default=None, repr=False)

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 1, self.invoke))
        write_descriptor(out, self.method)
        if self.parameters is None:
            out.append(0)
        else:
            out.append(1)
            axdr.encode_into(out, self.parameters)
        return bytes(out)


@dataclass(frozen=True, slots=True)
class ActionRequestNextBlock:
    """Ask for the block of the result after ``block``."""

    TAG: ClassVar[int] = 0xC3
    invoke: int
    block: int

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        return bytes((self.TAG, 2, self.invoke)) + self.block.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class ActionRequestWithList:
    """Call several methods; one value for each, null-data for a method without parameters."""

    TAG: ClassVar[int] = 0xC3
    invoke: int
    methods: tuple[Method, ...]
    parameters: tuple[Data, ...] = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 3, self.invoke))
        _write_methods(out, self.methods)
        out += values_to_bytes(self.parameters)
        return bytes(out)


@dataclass(frozen=True, slots=True)
class ActionRequestFirstBlock:
    """Call one method, the first block of its parameters."""

    TAG: ClassVar[int] = 0xC3
    invoke: int
    method: Method
    block: Block

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 4, self.invoke))
        write_descriptor(out, self.method)
        self.block.write(out)
        return bytes(out)


@dataclass(frozen=True, slots=True)
class ActionRequestWithListFirstBlock:
    """Call several methods, the first block of their parameters."""

    TAG: ClassVar[int] = 0xC3
    invoke: int
    methods: tuple[Method, ...]
    block: Block

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 5, self.invoke))
        _write_methods(out, self.methods)
        self.block.write(out)
        return bytes(out)


@dataclass(frozen=True, slots=True)
class ActionRequestBlock:
    """A further block of the parameters."""

    TAG: ClassVar[int] = 0xC3
    invoke: int
    block: Block

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 6, self.invoke))
        self.block.write(out)
        return bytes(out)


ActionRequest = (
    ActionRequestNormal
    | ActionRequestNextBlock
    | ActionRequestWithList
    | ActionRequestFirstBlock
    | ActionRequestWithListFirstBlock
    | ActionRequestBlock
)


@dataclass(frozen=True, slots=True)
class ActionResponseNormal:
    """What one method gave."""

    TAG: ClassVar[int] = 0xC7
    invoke: int
    response: ActionResponse

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 1, self.invoke))
        write_response(out, self.response)
        return bytes(out)


@dataclass(frozen=True, slots=True)
class ActionResponseBlock:
    """A block of the list of what the methods gave."""

    TAG: ClassVar[int] = 0xC7
    invoke: int
    block: Block

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, 2, self.invoke))
        self.block.write(out)
        return bytes(out)


@dataclass(frozen=True, slots=True)
class ActionResponseWithList:
    """What several methods gave, in the order of the request."""

    TAG: ClassVar[int] = 0xC7
    invoke: int
    responses: tuple[ActionResponse, ...]

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        return bytes((self.TAG, 3, self.invoke)) + responses_to_bytes(self.responses)


@dataclass(frozen=True, slots=True)
class ActionResponseNextBlock:
    """A block of the parameters arrived; the next may come."""

    TAG: ClassVar[int] = 0xC7
    invoke: int
    block: int

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        return bytes((self.TAG, 4, self.invoke)) + self.block.to_bytes(4, "big")


ActionResponseApdu = ActionResponseNormal | ActionResponseBlock | ActionResponseWithList | ActionResponseNextBlock


def write_response(out: bytearray, response: ActionResponse) -> None:
    """Append an Action-Response-With-Optional-Data."""
    out.append(response.result)
    if response.data is None:
        out.append(0)
    else:
        out.append(1)
        write_result(out, response.data)


def read_response_item(reader: Reader) -> ActionResponse:
    """Read an Action-Response-With-Optional-Data. Raises ProtocolError."""
    result = ActionResult(reader.u8())
    return ActionResponse(result, read_result(reader) if reader.boolean() else None)


def responses_to_bytes(responses: tuple[ActionResponse, ...]) -> bytes:
    """Return a list of results, as it stands in a response and, in blocks, in a long one."""
    out = bytearray()
    write_length(out, len(responses))
    for response in responses:
        write_response(out, response)
    return bytes(out)


def read_responses(reader: Reader) -> tuple[ActionResponse, ...]:
    """Read a list of results. Raises ProtocolError."""
    return tuple(read_response_item(reader) for _ in range(reader.count()))


def read_request(reader: Reader) -> ActionRequest:
    """Read an Action-Request behind its tag. Raises ProtocolError."""
    choice, invoke = reader.u8(), reader.u8()
    if choice == 1:
        return ActionRequestNormal(invoke, read_method(reader), reader.data() if reader.boolean() else None)
    if choice == 2:
        return ActionRequestNextBlock(invoke, reader.u32())
    if choice == 3:
        methods, parameters = _read_methods(reader), tuple(reader.data() for _ in range(reader.count()))
        if len(methods) != len(parameters):
            raise ProtocolError(f"{len(parameters)} parameters for {len(methods)} methods")
        return ActionRequestWithList(invoke, methods, parameters)
    if choice == 4:
        return ActionRequestFirstBlock(invoke, read_method(reader), read_block(reader))
    if choice == 5:
        return ActionRequestWithListFirstBlock(invoke, _read_methods(reader), read_block(reader))
    if choice == 6:
        return ActionRequestBlock(invoke, read_block(reader))
    raise ProtocolError(f"an action-request of kind {choice}")


def read_response(reader: Reader) -> ActionResponseApdu:
    """Read an Action-Response behind its tag. Raises ProtocolError."""
    choice, invoke = reader.u8(), reader.u8()
    if choice == 1:
        return ActionResponseNormal(invoke, read_response_item(reader))
    if choice == 2:
        return ActionResponseBlock(invoke, read_block(reader))
    if choice == 3:
        return ActionResponseWithList(invoke, read_responses(reader))
    if choice == 4:
        return ActionResponseNextBlock(invoke, reader.u32())
    raise ProtocolError(f"an action-response of kind {choice}")


def _write_methods(out: bytearray, methods: tuple[Method, ...]) -> None:
    write_length(out, len(methods))
    for method in methods:
        write_descriptor(out, method)


def _read_methods(reader: Reader) -> tuple[Method, ...]:
    return tuple(read_method(reader) for _ in range(reader.count()))
