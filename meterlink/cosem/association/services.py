"""The server's side of the services: requests into indications, results into responses, over as many blocks as it
takes.

One object per association. A new request ends whatever transfer was under way. Every method that takes a request
returns either what the server must do or the response to send at once (a block is confirmed, a wrong one refused).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from meterlink.cosem import axdr
from meterlink.cosem.apdu import Request, Response, action, get
from meterlink.cosem.apdu import set as set_
from meterlink.cosem.apdu.block import Block
from meterlink.cosem.association.events import ActionIndication, GetIndication, SetIndication
from meterlink.cosem.blocks import Assembler, Splitter
from meterlink.cosem.data import Data
from meterlink.cosem.names import Attribute, Method
from meterlink.cosem.octets import Reader
from meterlink.cosem.results import ActionResponse, ActionResult, DataAccessResult
from meterlink.errors import LocalProtocolError, ProtocolError

Indication = GetIndication | SetIndication | ActionIndication

_BLOCK_HEADER: Final = 3 + 1 + 4 + 1 + 5
"""Octets of a response with a block before its content, at most."""

_LEAST_BLOCK: Final = 16
"""Octets of a block at least, however small the APDUs are that the client takes."""


class ServerServices:
    """What is under way: one incoming and one outgoing transfer at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._invoke = 0
        self._is_list = False
        self._count = 0
        self._attributes: tuple[Attribute, ...] = ()
        self._methods: tuple[Method, ...] = ()
        self._incoming: Assembler | None = None
        self._outgoing: Splitter | None = None
        self._action_blocks = False

    def request(self, request: Request, room: int) -> Indication | Response:
        """Take a request; ``room`` is the longest response in octets. Raises ProtocolError for what cannot be read."""
        match request:
            case get.GetRequestNext():
                return self._next_get(request, room)
            case action.ActionRequestNextBlock():
                return self._next_action(request, room)
            case set_.SetRequestBlock() | action.ActionRequestBlock():
                return self._further(request)
        self._forget()
        self._invoke = request.invoke
        match request:
            case get.GetRequestNormal():
                return self._get((request.attribute,), False)
            case get.GetRequestWithList():
                return self._get(request.attributes, True)
            case set_.SetRequestNormal():
                return self._set((request.attribute,), (request.value,), False)
            case set_.SetRequestWithList():
                return self._set(request.attributes, request.values, True)
            case action.ActionRequestNormal():
                return self._action((request.method,), (request.parameters,), False)
            case action.ActionRequestWithList():
                return self._action(request.methods, request.parameters, True)
            case set_.SetRequestFirstBlock():
                return self._first_set((request.attribute,), request.block, False)
            case set_.SetRequestWithListFirstBlock():
                return self._first_set(request.attributes, request.block, True)
            case action.ActionRequestFirstBlock():
                return self._first_action((request.method,), request.block, False)
            case action.ActionRequestWithListFirstBlock():
                return self._first_action(request.methods, request.block, True)

    # responses

    def get_response(self, results: Sequence[Data | DataAccessResult], room: int, blocks: bool) -> bytes:
        """Return the response to the GET that was indicated; ``blocks`` says whether it may go in blocks."""
        self._check(results)
        whole: Response
        if self._is_list:
            whole = get.GetResponseWithList(self._invoke, tuple(results))
        else:
            whole = get.GetResponseNormal(self._invoke, results[0])
        response = whole.to_bytes()
        if len(response) <= room:
            return response
        single = None if self._is_list else results[0]
        if not blocks or isinstance(single, DataAccessResult):
            return get.GetResponseNormal(self._invoke, DataAccessResult.OTHER_REASON).to_bytes()
        content = get.results_to_bytes(tuple(results)) if single is None else axdr.encode(single)
        self._outgoing, self._action_blocks = Splitter(content), False
        return self._get_block(room).to_bytes()

    def set_response(self, results: Sequence[DataAccessResult]) -> bytes:
        """Return the response to the SET that was indicated."""
        self._check(results)
        return self._set_response(results).to_bytes()

    def _set_response(self, results: Sequence[DataAccessResult]) -> Response:
        transfer, self._incoming = self._incoming, None
        if transfer is None:
            if self._is_list:
                return set_.SetResponseWithList(self._invoke, tuple(results))
            return set_.SetResponseNormal(self._invoke, results[0])
        if self._is_list:
            return set_.SetResponseLastBlockWithList(self._invoke, tuple(results), transfer.number)
        return set_.SetResponseLastBlock(self._invoke, results[0], transfer.number)

    def action_response(self, responses: Sequence[ActionResponse], room: int, blocks: bool) -> bytes:
        """Return the response to the ACTION that was indicated."""
        self._check(responses)
        self._incoming = None
        whole: Response
        if self._is_list:
            whole = action.ActionResponseWithList(self._invoke, tuple(responses))
        else:
            whole = action.ActionResponseNormal(self._invoke, responses[0])
        response = whole.to_bytes()
        if len(response) <= room:
            return response
        if not blocks:
            return self._refuse_action(ActionResult.OTHER_REASON).to_bytes()
        # The blocks of a single method hold what it returns, alone: it was carried out, or there were no blocks.
        is_list = self._is_list
        content = action.responses_to_bytes(tuple(responses)) if is_list else axdr.encode(_returned(responses[0]))
        self._outgoing, self._action_blocks = Splitter(content), True
        return self._action_block(room).to_bytes()

    def _check(self, results: Sequence[object]) -> None:
        if len(results) != self._count:
            raise LocalProtocolError(f"{len(results)} results for a request of {self._count}")

    # indications

    def _get(self, attributes: tuple[Attribute, ...], is_list: bool) -> GetIndication:
        self._is_list, self._count = is_list, len(attributes)
        return GetIndication(attributes)

    def _set(self, attributes: tuple[Attribute, ...], values: tuple[Data, ...], is_list: bool) -> SetIndication:
        self._is_list, self._count = is_list, len(attributes)
        if len(values) != len(attributes):
            raise ProtocolError(f"{len(values)} values for {len(attributes)} attributes")
        return SetIndication(tuple(zip(attributes, values, strict=True)))

    def _action(
        self, methods: tuple[Method, ...], parameters: Sequence[Data | None], is_list: bool
    ) -> ActionIndication:
        self._is_list, self._count = is_list, len(methods)
        if len(parameters) != len(methods):
            raise ProtocolError(f"{len(parameters)} parameters for {len(methods)} methods")
        return ActionIndication(tuple(zip(methods, parameters, strict=True)))

    # incoming blocks

    def _first_set(self, attributes: tuple[Attribute, ...], block: Block, is_list: bool) -> Indication | Response:
        self._attributes, self._methods, self._is_list = attributes, (), is_list
        self._incoming = Assembler(self._limit)
        return self._add(block)

    def _first_action(self, methods: tuple[Method, ...], block: Block, is_list: bool) -> Indication | Response:
        self._attributes, self._methods, self._is_list = (), methods, is_list
        self._incoming = Assembler(self._limit)
        return self._add(block)

    def _further(self, request: set_.SetRequestBlock | action.ActionRequestBlock) -> Indication | Response:
        is_set = isinstance(request, set_.SetRequestBlock)
        self._invoke = request.invoke
        if self._incoming is None or is_set is not bool(self._attributes):
            self._forget()
            if is_set:
                return set_.SetResponseNormal(self._invoke, DataAccessResult.NO_LONG_SET_IN_PROGRESS)
            return self._refuse_action(ActionResult.NO_LONG_ACTION_IN_PROGRESS)
        return self._add(request.block)

    def _add(self, block: Block) -> Indication | Response:
        transfer = self._incoming or Assembler(self._limit)
        is_set = bool(self._attributes)
        try:
            whole = transfer.add(block.last, block.number, block.content)
        except ProtocolError as error:
            self._forget()
            if not is_set:
                return self._refuse_action(ActionResult.LONG_ACTION_ABORTED)
            wrong_number = error.code == "data-block-number-invalid"
            result = DataAccessResult.DATA_BLOCK_NUMBER_INVALID if wrong_number else DataAccessResult.LONG_SET_ABORTED
            return set_.SetResponseLastBlock(self._invoke, result, block.number)
        if whole is None:
            if is_set:
                return set_.SetResponseBlock(self._invoke, block.number)
            return action.ActionResponseNextBlock(self._invoke, block.number)
        values = self._values(whole)
        if is_set:
            return self._set(self._attributes, values, self._is_list)
        return self._action(self._methods, values, self._is_list)

    def _values(self, whole: bytes) -> tuple[Data, ...]:
        if not self._is_list:
            return (axdr.decode(whole),)
        reader = Reader(whole)
        values = set_.read_values(reader)
        reader.end()
        return values

    # outgoing blocks

    def _next_get(self, request: get.GetRequestNext, room: int) -> Response:
        outgoing, self._invoke = self._outgoing, request.invoke
        if outgoing is None or self._action_blocks:
            return self._refuse_get(DataAccessResult.NO_LONG_GET_IN_PROGRESS, request.block)
        if request.block != outgoing.number:
            self._forget()
            return self._refuse_get(DataAccessResult.DATA_BLOCK_NUMBER_INVALID, request.block)
        return self._get_block(room)

    def _get_block(self, room: int) -> Response:
        last, number, content = self._take(room)
        return get.GetResponseWithBlock(self._invoke, last, number, content)

    def _refuse_get(self, result: DataAccessResult, block: int) -> Response:
        return get.GetResponseWithBlock(self._invoke, True, block, result)

    def _next_action(self, request: action.ActionRequestNextBlock, room: int) -> Response:
        outgoing, self._invoke = self._outgoing, request.invoke
        if outgoing is None or not self._action_blocks:
            return self._refuse_action(ActionResult.NO_LONG_ACTION_IN_PROGRESS)
        if request.block != outgoing.number:
            self._forget()
            return self._refuse_action(ActionResult.LONG_ACTION_ABORTED)
        return self._action_block(room)

    def _action_block(self, room: int) -> Response:
        return action.ActionResponseBlock(self._invoke, Block(*self._take(room)))

    def _refuse_action(self, result: ActionResult) -> Response:
        return action.ActionResponseNormal(self._invoke, ActionResponse(result))

    def _take(self, room: int) -> tuple[bool, int, bytes]:
        outgoing = self._outgoing
        if outgoing is None:
            raise LocalProtocolError("no transfer is under way")
        block = outgoing.take(max(room - _BLOCK_HEADER, _LEAST_BLOCK))
        if outgoing.is_done:
            self._outgoing = None
        return block

    def _forget(self) -> None:
        self._incoming = self._outgoing = None
        self._attributes, self._methods = (), ()
        self._count = 0


def _returned(response: ActionResponse) -> Data:
    """Return what a method returns; what is so long that it needs blocks is a value."""
    if not isinstance(response.data, Data):
        raise LocalProtocolError("a response without a value does not fit the APDU size of the client")
    return response.data
