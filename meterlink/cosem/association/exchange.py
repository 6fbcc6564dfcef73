"""The client's side of a service, from the request to the results, over as many blocks as it takes.

One class per service: :meth:`first` is the request, :meth:`feed` takes a response and returns the next request, or None
when the results are there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from meterlink.cosem import axdr
from meterlink.cosem.apdu import Request, Response, action, get
from meterlink.cosem.apdu import set as set_
from meterlink.cosem.apdu.block import Block
from meterlink.cosem.blocks import Assembler, Splitter
from meterlink.cosem.data import NULL, Data
from meterlink.cosem.names import Attribute, Method
from meterlink.cosem.octets import Reader
from meterlink.cosem.results import ActionResponse, ActionResult, DataAccessResult
from meterlink.errors import MeterRefused, ProtocolError, UsageError

_BLOCK_LENGTH = 5
"""Octets of a length field at most: room that is kept free in front of a block."""


class Exchange(Protocol):
    """One service under way."""

    results: tuple[Data | MeterRefused, ...]
    count: int

    @property
    def what(self) -> str:
        """The request in words, for the message of a refusal."""
        ...

    def first(self) -> Request:
        """Return the request."""
        ...

    def feed(self, response: Response) -> Request | None:
        """Take a response; return the next request, or None when :attr:`results` are there. Raises ProtocolError."""
        ...


def unexpected(response: object) -> ProtocolError:
    """Return the error for a response that does not belong to the request."""
    return ProtocolError(f"a {type(response).__name__} came that nothing asked for", code="response-unexpected")


def _check_count(results: tuple[object, ...], count: int) -> None:
    if len(results) != count:
        raise ProtocolError(f"{len(results)} results came for a request of {count}", code="response-unexpected")


class GetExchange:
    """GET of one or more attributes; ``limit`` bounds the octets that come in blocks."""

    def __init__(self, invoke: int, attributes: tuple[Attribute, ...], limit: int) -> None:
        self._invoke = invoke
        self._attributes = attributes
        self._blocks = Assembler(limit)
        self.count = len(attributes)
        self.results: tuple[Data | MeterRefused, ...] = ()

    @property
    def what(self) -> str:
        """The request in words."""
        return f"GET of {', '.join(map(str, self._attributes))}"

    def first(self) -> Request:
        """Return the request."""
        if self.count == 1:
            return get.GetRequestNormal(self._invoke, self._attributes[0])
        return get.GetRequestWithList(self._invoke, self._attributes)

    def feed(self, response: Response) -> Request | None:
        """Take a response; see :class:`Exchange`."""
        if isinstance(response, get.GetResponseWithBlock):
            return self._block(response)
        if self._blocks.number:
            raise unexpected(response)
        single = self.count == 1
        if single and isinstance(response, get.GetResponseNormal):
            self.results = (self._outcome(response.result, self._attributes[0]),)
        elif not single and isinstance(response, get.GetResponseWithList):
            self._finish(response.results)
        elif isinstance(response, get.GetResponseNormal) and isinstance(response.result, DataAccessResult):
            self._finish((response.result,) * self.count)
        else:
            raise unexpected(response)
        return None

    def _block(self, response: get.GetResponseWithBlock) -> Request | None:
        if isinstance(response.content, DataAccessResult):
            self._finish((response.content,) * self.count)
            return None
        whole = self._blocks.add(response.last, response.block, response.content)
        if whole is None:
            return get.GetRequestNext(self._invoke, response.block)
        if self.count == 1:
            self._finish((axdr.decode(whole),))
        else:
            reader = Reader(whole)
            results = get.read_results(reader)
            reader.end()
            self._finish(results)
        return None

    def _finish(self, results: tuple[Data | DataAccessResult, ...]) -> None:
        _check_count(results, self.count)
        self.results = tuple(map(self._outcome, results, self._attributes))

    @staticmethod
    def _outcome(result: Data | DataAccessResult, attribute: Attribute) -> Data | MeterRefused:
        return result.error(f"GET of {attribute}") if isinstance(result, DataAccessResult) else result


def _room(header: Request, room: int) -> int:
    size = room - len(header.to_bytes()) - _BLOCK_LENGTH
    if size < 1:
        raise UsageError("the request does not fit the APDU size that the meter takes", code="pdu-too-long")
    return size


class SetExchange:
    """SET of one or more attributes. ``room`` is the longest APDU that may be sent, in octets; ``blocks`` whether a
    longer one may go in blocks."""

    def __init__(self, invoke: int, items: tuple[tuple[Attribute, Data], ...], room: int, blocks: bool) -> None:
        self._invoke = invoke
        self._attributes = tuple(attribute for attribute, _ in items)
        self._values = tuple(value for _, value in items)
        self._room = room
        self._may_split = blocks
        self._content: Splitter | None = None
        self.count = len(items)
        self.results: tuple[Data | MeterRefused, ...] = ()

    @property
    def what(self) -> str:
        """The request in words; no value stands in it."""
        return f"SET of {', '.join(map(str, self._attributes))}"

    def first(self) -> Request:
        """Return the request. Raises UsageError when it does not fit and must not go in blocks."""
        single = self.count == 1
        attribute, value = self._attributes[0], self._values[0]
        whole: Request
        if single:
            whole = set_.SetRequestNormal(self._invoke, attribute, value)
        else:
            whole = set_.SetRequestWithList(self._invoke, self._attributes, self._values)
        if len(whole.to_bytes()) <= self._room:
            return whole
        if not self._may_split:
            raise UsageError("the value is longer than the meter takes", code="pdu-too-long")

        def header(block: Block) -> Request:
            if single:
                return set_.SetRequestFirstBlock(self._invoke, attribute, block)
            return set_.SetRequestWithListFirstBlock(self._invoke, self._attributes, block)

        content = axdr.encode(value) if single else set_.values_to_bytes(self._values)
        self._content = Splitter(content)
        return _next_block(self._content, header, self._room)

    def feed(self, response: Response) -> Request | None:
        """Take a response; see :class:`Exchange`."""
        count = self.count
        match response:
            case set_.SetResponseBlock():
                return self._confirmed(response)
            case set_.SetResponseNormal() if count == 1 and self._content is None:
                self._finish((response.result,))
            case set_.SetResponseWithList() if count > 1 and self._content is None:
                self._finish(response.results)
            case set_.SetResponseLastBlockWithList() if count > 1 and self._is_last(response.block):
                self._finish(response.results)
            case set_.SetResponseLastBlock() if count == 1 and self._is_last(response.block):
                self._finish((response.result,))
            case set_.SetResponseNormal() | set_.SetResponseLastBlock() if response.result:
                # A refusal may end the transfer at any block, and one of a list may come without a list.
                self._finish((response.result,) * count)
            case _:
                raise unexpected(response)
        return None

    def _is_last(self, block: int) -> bool:
        content = self._content
        return content is not None and content.is_done and content.number == block

    def _confirmed(self, response: set_.SetResponseBlock) -> Request:
        content = self._content
        if content is None or content.is_done or response.block != content.number:
            raise unexpected(response)
        return _next_block(content, lambda block: set_.SetRequestBlock(self._invoke, block), self._room)

    def _finish(self, results: tuple[DataAccessResult, ...]) -> None:
        _check_count(results, self.count)
        self.results = tuple(
            result.error(f"SET of {attribute}") if result else NULL
            for attribute, result in zip(self._attributes, results, strict=True)
        )


class ActionExchange:
    """ACTION on one or more methods. ``room`` and ``blocks`` as in :class:`SetExchange`, ``limit`` as in
    :class:`GetExchange`."""

    def __init__(
        self, invoke: int, items: tuple[tuple[Method, Data | None], ...], room: int, blocks: bool, limit: int
    ) -> None:
        self._invoke = invoke
        self._methods = tuple(method for method, _ in items)
        self._parameters = tuple(parameters for _, parameters in items)
        self._room = room
        self._may_split = blocks
        self._content: Splitter | None = None
        self._blocks = Assembler(limit)
        self.count = len(items)
        self.results: tuple[Data | MeterRefused, ...] = ()

    @property
    def what(self) -> str:
        """The request in words; no parameter stands in it."""
        return f"ACTION on {', '.join(map(str, self._methods))}"

    def first(self) -> Request:
        """Return the request. Raises UsageError when it does not fit and must not go in blocks."""
        single = self.count == 1
        method, parameters = self._methods[0], self._parameters[0]
        values = tuple(NULL if value is None else value for value in self._parameters)
        whole: Request
        if single:
            whole = action.ActionRequestNormal(self._invoke, method, parameters)
        else:
            whole = action.ActionRequestWithList(self._invoke, self._methods, values)
        if len(whole.to_bytes()) <= self._room:
            return whole
        if not self._may_split:
            raise UsageError("the parameters are longer than the meter takes", code="pdu-too-long")

        def header(block: Block) -> Request:
            if single:
                return action.ActionRequestFirstBlock(self._invoke, method, block)
            return action.ActionRequestWithListFirstBlock(self._invoke, self._methods, block)

        content = axdr.encode(values[0]) if single else set_.values_to_bytes(values)
        self._content = Splitter(content)
        return _next_block(self._content, header, self._room)

    def feed(self, response: Response) -> Request | None:
        """Take a response; see :class:`Exchange`."""
        sent = self._content is None or self._content.is_done
        count = self.count
        match response:
            case action.ActionResponseNextBlock():
                return self._confirmed(response)
            case action.ActionResponseBlock() if sent:
                return self._block(response)
            case action.ActionResponseNormal() if count == 1 and sent and not self._blocks.number:
                self._finish((response.response,))
            case action.ActionResponseWithList() if sent and not self._blocks.number:
                self._finish(response.responses)
            case action.ActionResponseNormal() if response.response.result:
                self._finish((response.response,) * count)
            case _:
                raise unexpected(response)
        return None

    def _confirmed(self, response: action.ActionResponseNextBlock) -> Request:
        content = self._content
        if content is None or content.is_done or response.block != content.number:
            raise unexpected(response)
        return _next_block(content, lambda block: action.ActionRequestBlock(self._invoke, block), self._room)

    def _block(self, response: action.ActionResponseBlock) -> Request | None:
        block = response.block
        whole = self._blocks.add(block.last, block.number, block.content)
        if whole is None:
            return action.ActionRequestNextBlock(self._invoke, block.number)
        if self.count == 1:
            self._finish((_single_response(whole),))
        else:
            reader = Reader(whole)
            responses = action.read_responses(reader)
            reader.end()
            self._finish(responses)
        return None

    def _finish(self, responses: tuple[ActionResponse, ...]) -> None:
        _check_count(responses, self.count)
        self.results = tuple(
            _outcome(response, f"ACTION on {method}") for method, response in zip(self._methods, responses, strict=True)
        )


def _outcome(response: ActionResponse, what: str) -> Data | MeterRefused:
    if response.result:
        return response.result.error(what)
    if isinstance(response.data, DataAccessResult):
        # The method was carried out; only what it returns cannot be had.
        return NULL if not response.data else response.data.error(f"the result of {what}")
    return NULL if response.data is None else response.data


def _single_response(whole: bytes) -> ActionResponse:
    """Read what the blocks of a response to a single ACTION hold: what the method returns alone or, from some meters,
    the result in front of it. What could be either is a refusal: nothing so short needs blocks."""
    if whole[1:2] in (b"\x00", b"\x01"):
        reader = Reader(whole)
        try:
            response = action.read_response_item(reader)
            reader.end()
        except ProtocolError:
            pass
        else:
            return response
    return ActionResponse(ActionResult.SUCCESS, axdr.decode(whole))


def _next_block(content: Splitter, header: Callable[[Block], Request], room: int) -> Request:
    last, number, octets = content.take(_room(header(Block(False, 0, b"")), room))
    return header(Block(last, number, octets))
