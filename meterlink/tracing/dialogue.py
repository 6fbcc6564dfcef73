"""Which answer belongs to which question, and what the blocks of one transfer make together.

An answer is paired only with the one question that it can belong to: the last of this client, with its invoke id, not
answered yet, and in numbered frames acknowledged by the answer itself. So one that is missing in the trace never lends
its name to another's value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Generic, Literal, TypeVar

from meterlink.cosem import apdu as xdlms
from meterlink.cosem import axdr
from meterlink.cosem.apdu import action, get
from meterlink.cosem.apdu import set as set_
from meterlink.cosem.apdu.block import Block
from meterlink.cosem.apdu.errors import ConfirmedServiceError, ExceptionResponse
from meterlink.cosem.apdu.general_block import GeneralBlock
from meterlink.cosem.data import Data
from meterlink.cosem.names import Attribute, Method
from meterlink.cosem.octets import Reader
from meterlink.cosem.results import ActionResponse, DataAccessResult
from meterlink.errors import ProtocolError
from meterlink.framing.hdlc.address import HdlcAddress
from meterlink.tracing.apdus import TracedApdu

MOST_OCTETS: Final = 4 << 20
"""Longest transfer that is joined."""

_INVOKE: Final = 0x0F
_SEQUENCE: Final = 8

Names = tuple[Attribute | Method, ...]
Value = Data | DataAccessResult | ActionResponse
Values = tuple[Value, ...]
Service = Literal["get", "set", "action", "action-response", "general"]
Token = TypeVar("Token")

_Block = tuple[bool, int, bytes]
"""Whether it is the last, its number, its content."""

_Way = tuple[HdlcAddress | int, HdlcAddress | int]


@dataclass(frozen=True, slots=True)
class Whole(Generic[Token]):
    """What all blocks of a transfer hold: the value or values of ``names`` (empty where nobody knows of what), or an
    APDU in the service ``general``. ``pieces`` are what the caller gave for each block, ``apdu`` stands for all."""

    service: Service
    names: Names
    is_list: bool
    content: bytes = field(repr=False)
    pieces: tuple[Token, ...]
    apdu: TracedApdu


@dataclass(slots=True)
class _Question:
    apdu: TracedApdu
    invoke: int
    names: Names
    is_list: bool
    is_answered: bool = False


@dataclass(slots=True)
class _Transfer(Generic[Token]):
    service: Service
    names: Names
    is_list: bool
    first: TracedApdu
    blocks: dict[int, tuple[bytes, Token]] = field(default_factory=dict)
    last: int = 0
    size: int = 0

    def fits(self, number: int, content: bytes) -> bool:
        """Return whether a block may belong to this: it is new, or the same as it was."""
        return number not in self.blocks or self.blocks[number][0] == content

    def add(self, block: _Block, token: Token) -> bool:
        """Take a block; return whether all are there."""
        is_last, number, content = block
        if number in self.blocks:
            return False
        self.size += len(content)
        self.blocks[number] = (content, token)
        if is_last:
            self.last = number
        return 0 < self.last == len(self.blocks) and self.size <= MOST_OCTETS

    def whole(self, apdu: TracedApdu) -> Whole[Token]:
        parts = [self.blocks[number] for number in sorted(self.blocks)]
        return Whole(
            self.service,
            self.names,
            self.is_list,
            b"".join(content for content, _ in parts),
            tuple(token for _, token in parts),
            replace(apdu, receive=self.first.receive),
        )


class Dialogue(Generic[Token]):
    """Follows what clients and meters say to each other."""

    def __init__(self) -> None:
        self._questions: dict[int, _Question] = {}
        self._transfers: dict[_Way, _Transfer[Token]] = {}
        self._general: dict[_Way, _Transfer[Token]] = {}

    def forget(self) -> None:
        """Begin anew: another connection follows."""
        self._questions.clear()
        self._transfers.clear()
        self._general.clear()

    def associate(self, apdu: TracedApdu) -> None:
        """Take note of an association request or response: what was said before is over."""
        self.unclear(apdu)
        for way in _both_ways(apdu):
            self._transfers.pop(way, None)
            self._general.pop(way, None)

    def unclear(self, apdu: TracedApdu) -> None:
        """Take note of an APDU that cannot be read: a question, or the answer to one."""
        for end in (apdu.source, apdu.destination):
            self._questions.pop(_station(end), None)

    def take(self, apdu: TracedApdu, message: xdlms.Apdu, token: Token) -> tuple[Names, Whole[Token] | None]:
        """Take a plain APDU; return the names that its values belong to, empty where that cannot be told, and what it
        completes. ``token`` stands for it there."""
        if isinstance(message, GeneralBlock):
            return (), self._general_block(apdu, message, token)
        if not isinstance(message, xdlms.Notification):
            for way in _both_ways(apdu):
                self._general.pop(way, None)  # whatever was in blocks is not any more
        match message:
            case get.GetRequestNormal() | set_.SetRequestNormal() | set_.SetRequestFirstBlock():
                return self._ask(apdu, message.invoke, (message.attribute,), False, message, token)
            case get.GetRequestWithList() | set_.SetRequestWithList() | set_.SetRequestWithListFirstBlock():
                return self._ask(apdu, message.invoke, message.attributes, True, message, token)
            case action.ActionRequestNormal() | action.ActionRequestFirstBlock():
                return self._ask(apdu, message.invoke, (message.method,), False, message, token)
            case action.ActionRequestWithList() | action.ActionRequestWithListFirstBlock():
                return self._ask(apdu, message.invoke, message.methods, True, message, token)
            case (
                get.GetRequestNext()
                | action.ActionRequestNextBlock()
                | set_.SetRequestBlock()
                | action.ActionRequestBlock()
            ):
                return self._ask_on(apdu, message, token)
            case ExceptionResponse() | ConfirmedServiceError():
                self.unclear(apdu)
        if isinstance(message, xdlms.Response):
            return self._answer(apdu, message, token)
        return (), None

    def _ask(
        self, apdu: TracedApdu, invoke: int, names: Names, is_list: bool, message: xdlms.Apdu, token: Token
    ) -> tuple[Names, Whole[Token] | None]:
        self._questions[_station(apdu.source)] = _Question(apdu, invoke, names, is_list)
        return names, self._block(apdu, message, names, is_list, token)

    def _ask_on(
        self,
        apdu: TracedApdu,
        message: get.GetRequestNext | action.ActionRequestNextBlock | set_.SetRequestBlock | action.ActionRequestBlock,
        token: Token,
    ) -> tuple[Names, Whole[Token] | None]:
        before = self._questions.get(_station(apdu.source))
        if before is None or (before.invoke ^ message.invoke) & _INVOKE:
            self._questions.pop(_station(apdu.source), None)
            return (), self._block(apdu, message, (), False, token)
        self._questions[_station(apdu.source)] = replace(before, apdu=apdu, is_answered=False)
        return before.names, self._block(apdu, message, before.names, before.is_list, token)

    def _answer(self, apdu: TracedApdu, message: xdlms.Response, token: Token) -> tuple[Names, Whole[Token] | None]:
        question = self._questions.get(_station(apdu.destination))
        if question is None or not _is_answer(apdu, message.invoke, question):
            return (), self._block(apdu, message, (), False, token)
        question.is_answered = True
        return question.names, self._block(apdu, message, question.names, question.is_list, token)

    def _block(
        self, apdu: TracedApdu, message: xdlms.Apdu, names: Names, is_list: bool, token: Token
    ) -> Whole[Token] | None:
        """Take what is a block of a service; everything else ends the transfer that it would have belonged to."""
        way = (apdu.source, apdu.destination)
        found = block_of(message)
        if found is None:
            self._transfers.pop(way, None)
            return None
        service, block = found
        _, number, content = block
        transfer = self._transfers.get(way)
        if number == 1 and (transfer is None or not transfer.fits(number, content)):
            transfer = self._transfers[way] = _Transfer(service, names, is_list, apdu)
        if (
            transfer is None
            or transfer.service != service
            or number > len(transfer.blocks) + 1
            or not transfer.fits(number, content)
        ):
            self._transfers.pop(way, None)
            return None
        if transfer.names != names:
            transfer.names = ()
        if not transfer.add(block, token):
            return None
        del self._transfers[way]
        return transfer.whole(apdu)

    def _general_block(self, apdu: TracedApdu, block: GeneralBlock, token: Token) -> Whole[Token] | None:
        if not block.content:
            return None  # an acknowledgement
        way = (apdu.source, apdu.destination)
        transfer = self._general.get(way)
        if transfer is None or not transfer.fits(block.number, block.content):
            transfer = self._general[way] = _Transfer("general", (), False, apdu)
        if not transfer.add((block.last, block.number, block.content), token):
            return None
        del self._general[way]
        return transfer.whole(apdu)


def block_of(message: xdlms.Apdu) -> tuple[Service, _Block] | None:
    """Return the service that ``message`` has a block of, and the block: whether it is the last, its number, its
    content; None for what is none."""
    match message:
        case get.GetResponseWithBlock(last=last, block=number, content=bytes() as content):
            return "get", (last, number, content)
        case set_.SetRequestFirstBlock(block=block) | set_.SetRequestWithListFirstBlock(block=block):
            return "set", _parts(block)
        case set_.SetRequestBlock(block=block):
            return "set", _parts(block)
        case action.ActionRequestFirstBlock(block=block) | action.ActionRequestWithListFirstBlock(block=block):
            return "action", _parts(block)
        case action.ActionRequestBlock(block=block):
            return "action", _parts(block)
        case action.ActionResponseBlock(block=block):
            return "action-response", _parts(block)
    return None


def _parts(block: Block) -> _Block:
    return block.last, block.number, block.content


def _both_ways(apdu: TracedApdu) -> tuple[_Way, _Way]:
    return (apdu.source, apdu.destination), (apdu.destination, apdu.source)


def _station(address: HdlcAddress | int) -> int:
    """Return what stays the same however an address is written."""
    return address.upper if isinstance(address, HdlcAddress) else address


def _is_answer(apdu: TracedApdu, invoke: int, question: _Question) -> bool:
    asked = question.apdu
    if question.is_answered or asked.direction == apdu.direction or (invoke ^ question.invoke) & _INVOKE:
        return False
    if isinstance(apdu.source, HdlcAddress) and isinstance(asked.destination, HdlcAddress):
        is_asked = apdu.source.answers_for(asked.destination)
    else:
        is_asked = apdu.source == asked.destination
    acknowledged = None if asked.send is None else (asked.send + 1) % _SEQUENCE
    return is_asked and acknowledged == apdu.receive


def read_whole(whole: Whole[Token]) -> tuple[Values, Callable[[Values], bytes]]:
    """Return the values in a whole transfer, and what writes such values as they stood there. Raises ProtocolError."""
    problem = ProtocolError("the blocks are of no known service")
    for read, write in _forms(whole):
        try:
            reader = Reader(whole.content)
            values = read(reader)
            reader.end()
        except ProtocolError as error:
            problem = error
        else:
            return values, write
    raise problem


_Form = tuple[Callable[[Reader], Values], Callable[[Values], bytes]]


def _one(reader: Reader) -> Values:
    return (reader.data(),)


def _one_to_bytes(values: Values) -> bytes:
    (value,) = values
    return axdr.encode(value) if isinstance(value, Data) else b""


def _response(reader: Reader) -> Values:
    return (action.read_response_item(reader),)


def _response_to_bytes(values: Values) -> bytes:
    out = bytearray()
    for value in values:
        if isinstance(value, ActionResponse):
            action.write_response(out, value)
    return bytes(out)


def _results_to_bytes(values: Values) -> bytes:
    return get.results_to_bytes(tuple(value for value in values if not isinstance(value, ActionResponse)))


def _values_to_bytes(values: Values) -> bytes:
    return set_.values_to_bytes(tuple(value for value in values if isinstance(value, Data)))


def _responses_to_bytes(values: Values) -> bytes:
    return action.responses_to_bytes(tuple(value for value in values if isinstance(value, ActionResponse)))


_ONE: Final[_Form] = (_one, _one_to_bytes)
_LISTS: Final[dict[Service, _Form]] = {
    "get": (get.read_results, _results_to_bytes),
    "set": (set_.read_values, _values_to_bytes),
    "action": (set_.read_values, _values_to_bytes),
    "action-response": (action.read_responses, _responses_to_bytes),
}


def _forms(whole: Whole[Token]) -> tuple[_Form, ...]:
    """Return the forms that the content may have; where the question is not known, it may be one value or a list."""
    if whole.service == "general":
        return ()
    single: tuple[_Form, ...] = (_ONE,)
    if whole.service == "action-response":
        # What the method returns, and in front of it from some meters the result.
        single = ((_response, _response_to_bytes), _ONE)
    if whole.names:
        return (_LISTS[whole.service],) if whole.is_list else single
    return (*single, _LISTS[whole.service])
