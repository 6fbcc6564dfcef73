"""What COSEM values, APDUs and ACSE APDUs can be, for property tests."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

from meterlink.cosem import acse, apdu
from meterlink.cosem import data as cosem
from meterlink.cosem.apdu import action, get
from meterlink.cosem.apdu import set as set_
from meterlink.cosem.apdu.block import Block
from meterlink.cosem.apdu.errors import ServiceError, StateError
from meterlink.cosem.apdu.general_block import GeneralBlock
from meterlink.cosem.conformance import KNOWN, Conformance
from meterlink.cosem.data import INTEGER_BITS, CompactArray, Data, Tag, TypeDescription
from meterlink.cosem.dates import CosemDate, CosemDateTime, CosemTime
from meterlink.cosem.names import Attribute, CaptureObject, EntrySelection, Method, RangeSelection, Selection
from meterlink.cosem.results import ActionResponse, ActionResult, DataAccessResult
from meterlink.security.hls import Mechanism
from meterlink.values import Obis


def unsigned(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << bits) - 1)


def _integer(tag: int) -> st.SearchStrategy[Data]:
    bits, signed = INTEGER_BITS[tag]
    low = -(1 << bits - 1) if signed else 0
    return st.integers(low, low + (1 << bits) - 1).map(lambda value: Data(Tag(tag), value))


def _float32(value: float) -> float:
    return float(struct.unpack(">f", struct.pack(">f", value))[0])


open_octets = st.none() | st.integers(0, 254)
dates = st.builds(CosemDate, st.none() | st.integers(0, 65534), open_octets, open_octets, open_octets)
times = st.builds(CosemTime, open_octets, open_octets, open_octets, open_octets)
date_times = st.builds(
    CosemDateTime,
    st.none() | st.integers(0, 65534),
    *[open_octets] * 7,
    st.none() | st.integers(-32767, 32767),
    open_octets,
)

leaves = st.one_of(
    st.just(cosem.NULL),
    st.just(cosem.DONT_CARE),
    st.booleans().map(cosem.boolean),
    *[_integer(tag) for tag in INTEGER_BITS],
    st.floats(allow_nan=False, width=32).map(lambda value: cosem.f32(_float32(value))),
    st.floats(allow_nan=False).map(cosem.f64),
    st.binary(max_size=200).map(cosem.octet_string),
    st.text(st.characters(max_codepoint=255), max_size=20).map(cosem.visible_string),
    st.text(max_size=20).map(cosem.utf8_string),
    st.text("01", max_size=40).map(cosem.bit_string),
    date_times.map(cosem.date_time),
    dates.map(cosem.date),
    times.map(cosem.time),
)


@st.composite
def described(draw: st.DrawFn, depth: int = 2) -> TypeDescription:
    """The type of a compact array whose elements take at least one octet."""
    kinds = ["leaf"] if depth == 0 else ["leaf", "array", "structure"]
    kind = draw(st.sampled_from(kinds))
    if kind == "leaf":
        return TypeDescription(draw(st.sampled_from([*INTEGER_BITS, Tag.BOOLEAN, Tag.OCTET_STRING, Tag.UTF8_STRING])))
    if kind == "array":
        return TypeDescription(Tag.ARRAY, (draw(described(depth=depth - 1)),), draw(st.integers(1, 3)))
    return TypeDescription(Tag.STRUCTURE, tuple(draw(st.lists(described(depth=depth - 1), min_size=1, max_size=3))))


def of_type(kind: TypeDescription) -> st.SearchStrategy[Data]:
    if kind.tag is Tag.ARRAY:
        return st.tuples(*[of_type(kind.parts[0])] * kind.count).map(cosem.array)
    if kind.tag is Tag.STRUCTURE:
        return st.tuples(*map(of_type, kind.parts)).map(lambda items: cosem.structure(*items))
    if kind.tag is Tag.BOOLEAN:
        return st.booleans().map(cosem.boolean)
    if kind.tag is Tag.OCTET_STRING:
        return st.binary(max_size=5).map(cosem.octet_string)
    if kind.tag is Tag.UTF8_STRING:
        return st.text(max_size=5).map(cosem.utf8_string)
    return _integer(kind.tag).map(lambda data: Data(Tag(kind.tag), data.value))


@st.composite
def compact_arrays(draw: st.DrawFn) -> Data:
    kind = draw(described())
    kind = TypeDescription(Tag(kind.tag), kind.parts, kind.count)
    items = draw(st.lists(of_type(kind), max_size=4))
    return Data(Tag.COMPACT_ARRAY, CompactArray(kind, tuple(items)))


def _containers(children: st.SearchStrategy[Data]) -> st.SearchStrategy[Data]:
    many = st.lists(children, max_size=5)
    return many.map(cosem.array) | many.map(lambda items: cosem.structure(*items))


values = st.recursive(leaves | compact_arrays(), _containers, max_leaves=20)

obis = st.builds(Obis, *[unsigned(8)] * 6)
indexes = st.integers(-128, 127)
captures = st.builds(CaptureObject, unsigned(16), obis, indexes, unsigned(16))
profile_selections = st.builds(
    RangeSelection, leaves, leaves, captures, st.lists(captures, max_size=2).map(tuple)
) | st.builds(EntrySelection, unsigned(32), unsigned(32), unsigned(16), unsigned(16))
other_selections = st.builds(Selection, unsigned(8), leaves)
attributes = (
    st.builds(Attribute, unsigned(16), obis, indexes)
    | st.builds(Attribute, unsigned(16).filter(lambda number: number != 7), obis, indexes, other_selections)
    | st.builds(Attribute, st.just(7), obis, indexes, profile_selections)
)
methods = st.builds(Method, unsigned(16), obis, indexes)
results = st.sampled_from(DataAccessResult)
get_results = values | results
action_responses = st.builds(ActionResponse, st.sampled_from(ActionResult), st.none() | get_results)
blocks = st.builds(Block, st.booleans(), unsigned(32), st.binary(max_size=200))
invokes = unsigned(8)


def some(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


@st.composite
def paired(draw: st.DrawFn, kind: type, names: st.SearchStrategy[object]) -> object:
    items = draw(some(names))
    parts = draw(st.lists(values, min_size=len(items), max_size=len(items)))
    return kind(draw(invokes), items, tuple(parts))


requests = st.one_of(
    st.builds(get.GetRequestNormal, invokes, attributes),
    st.builds(get.GetRequestNext, invokes, unsigned(32)),
    st.builds(get.GetRequestWithList, invokes, some(attributes)),
    st.builds(set_.SetRequestNormal, invokes, attributes, values),
    st.builds(set_.SetRequestFirstBlock, invokes, attributes, blocks),
    st.builds(set_.SetRequestBlock, invokes, blocks),
    paired(set_.SetRequestWithList, attributes),
    st.builds(set_.SetRequestWithListFirstBlock, invokes, some(attributes), blocks),
    st.builds(action.ActionRequestNormal, invokes, methods, st.none() | values),
    st.builds(action.ActionRequestNextBlock, invokes, unsigned(32)),
    paired(action.ActionRequestWithList, methods),
    st.builds(action.ActionRequestFirstBlock, invokes, methods, blocks),
    st.builds(action.ActionRequestWithListFirstBlock, invokes, some(methods), blocks),
    st.builds(action.ActionRequestBlock, invokes, blocks),
)

responses = st.one_of(
    st.builds(get.GetResponseNormal, invokes, get_results),
    st.builds(get.GetResponseWithBlock, invokes, st.booleans(), unsigned(32), st.binary(max_size=200) | results),
    st.builds(get.GetResponseWithList, invokes, some(get_results)),
    st.builds(set_.SetResponseNormal, invokes, results),
    st.builds(set_.SetResponseBlock, invokes, unsigned(32)),
    st.builds(set_.SetResponseLastBlock, invokes, results, unsigned(32)),
    st.builds(set_.SetResponseLastBlockWithList, invokes, some(results), unsigned(32)),
    st.builds(set_.SetResponseWithList, invokes, some(results)),
    st.builds(action.ActionResponseNormal, invokes, action_responses),
    st.builds(action.ActionResponseBlock, invokes, blocks),
    st.builds(action.ActionResponseWithList, invokes, some(action_responses)),
    st.builds(action.ActionResponseNextBlock, invokes, unsigned(32)),
)

conformances = unsigned(24).map(lambda bits: Conformance(bits) & KNOWN)
initiate_requests = st.builds(
    apdu.InitiateRequest,
    conformances,
    unsigned(16),
    st.none() | st.binary(min_size=16, max_size=32),
    st.booleans(),
    st.none() | unsigned(8),
    unsigned(8),
)
initiate_responses = st.builds(
    apdu.InitiateResponse, conformances, unsigned(16), st.none() | unsigned(8), unsigned(8), unsigned(16)
)
exceptions = st.builds(
    apdu.ExceptionResponse,
    st.sampled_from(StateError),
    st.sampled_from([error for error in ServiceError if error is not ServiceError.INVOCATION_COUNTER_ERROR]),
) | st.builds(
    apdu.ExceptionResponse,
    st.sampled_from(StateError),
    st.just(ServiceError.INVOCATION_COUNTER_ERROR),
    st.none() | unsigned(32),
)
service_errors = st.builds(apdu.ConfirmedServiceError, unsigned(8), unsigned(8), unsigned(8))
data_notifications = st.builds(apdu.DataNotification, unsigned(32), st.none() | date_times, values)
event_notifications = st.builds(
    apdu.EventNotification, st.none() | date_times, st.builds(Attribute, unsigned(16), obis, indexes), values
)
general_blocks = st.builds(
    GeneralBlock,
    st.booleans(),
    st.booleans(),
    st.integers(0, 63),
    unsigned(16),
    unsigned(16),
    st.binary(max_size=200),
)

apdus = st.one_of(
    requests,
    responses,
    initiate_requests,
    initiate_responses,
    exceptions,
    service_errors,
    data_notifications,
    event_notifications,
    general_blocks,
)

contexts = st.sampled_from(acse.Context)
titles = st.none() | st.binary(min_size=8, max_size=8)
certificates = st.none() | st.binary(min_size=1, max_size=600)
information = st.binary(min_size=1, max_size=100)
secrets = st.binary(min_size=1, max_size=64)
aarqs = st.builds(
    acse.Aarq,
    contexts,
    information,
    st.sampled_from([mechanism for mechanism in Mechanism if mechanism]),
    titles,
    certificates,
    secrets,
) | st.builds(acse.Aarq, contexts, information, st.just(Mechanism.NONE), titles, certificates)
aares = st.builds(
    acse.Aare,
    contexts,
    st.sampled_from(acse.AssociationResult),
    st.sampled_from(acse.Diagnostic),
    st.binary(max_size=100),
    st.sampled_from(Mechanism),
    titles,
    certificates,
    st.none() | secrets,
)
rlrqs = st.builds(acse.Rlrq, st.sampled_from(acse.ReleaseReason), st.binary(max_size=60))
rlres = st.builds(acse.Rlre, st.sampled_from(acse.ReleaseReason), st.binary(max_size=60))

row_fields = st.one_of(
    st.just(cosem.null()),
    st.integers(0, 0xFFFFFFFF).map(cosem.u32),
    st.integers(-32768, 32767).map(cosem.i16),
    st.integers(0, 255).map(cosem.u8),
    st.booleans().map(cosem.boolean),
    st.integers(0, 255).map(cosem.enum_),
    st.binary(min_size=12, max_size=12).map(cosem.octet_string),
    st.binary(max_size=130).map(cosem.octet_string),
    st.text("01", max_size=9).map(cosem.bit_string),
    st.just(cosem.array([cosem.u8(1)])),
)
"""What stands in the rows of profiles, of types that may go many at a time and of types that may not."""
