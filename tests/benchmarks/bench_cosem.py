"""COSEM: a profile of 1000 rows of 6 values, and the two APDUs that open an association, beside the peers."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from meterlink.cosem import apdu, axdr
from meterlink.cosem import data as cosem
from meterlink.cosem.acse import Aare, Aarq
from meterlink.cosem.association import AssociationConfig, Ciphering, ClientAssociation, Mechanism, ServerAssociation
from meterlink.cosem.association.events import GetIndication, Send
from meterlink.cosem.dates import CosemDateTime
from meterlink.cosem.names import Attribute
from meterlink.security.counters import SendCounter
from meterlink.security.keys import KeySet
from meterlink.security.suites import Suite
from meterlink.values import Obis
from tests.benchmarks.ratio import OURS, peer, rate, show

ROWS = 1000
AARQ = bytes.fromhex(
    "6036A1090607608574050801018A0207808B0760857405080205AC0A80084B35366956616759BE10040E01000000065F1F0400007E1F04B0"
)
AARE = bytes.fromhex(
    "6142A109060760857405080101A203020100A305A10302010E88020780890760857405080205"
    "AA0A8008503677524A323146BE10040E0800065F1F040000501F01F40007"
)

Call = Callable[[], object]


def profile() -> bytes:
    """Hourly rows: clock, energy, volume, two temperatures, error flags."""
    return axdr.encode(
        cosem.array(
            cosem.structure(
                cosem.date_time_octets(
                    CosemDateTime(2026, 1 + row // 720, 1 + row // 24 % 28, None, row % 24, 0, 0, 0, -60, 0)
                ),
                cosem.u32(326_062 + row),
                cosem.u32(793_956 + 7 * row),
                cosem.i16(6_000 + row % 500),
                cosem.i16(3_000 - row % 500),
                cosem.u16(row % 3),
            )
            for row in range(ROWS)
        )
    )


def changing_profile() -> bytes:
    """The same size, but no two rows in a row of one shape: the clock is left out in every second one."""
    rows = axdr.decode(profile()).as_items()
    return axdr.encode(
        cosem.array(
            row if index % 2 == 0 else cosem.structure(cosem.null(), *row.as_items()[1:])
            for index, row in enumerate(rows)
        )
    )


def our_profile(data: bytes) -> Call:
    """Ours: all values with their types, made as well as found: long arrays make theirs when they are looked at."""
    return lambda: tuple(axdr.decode(data).as_items())


def gurux_profile(data: bytes) -> Call | None:
    """gurux-dlms: values without their types."""
    if peer("gurux_dlms") is None:
        return None
    common, buffer, info, settings = (
        importlib.import_module(f"gurux_dlms.{name}")
        for name in ("internal._GXCommon", "GXByteBuffer", "internal._GXDataInfo", "GXDLMSSettings")
    )
    given = settings.GXDLMSSettings(False, None)
    return lambda: common._GXCommon.getData(given, buffer.GXByteBuffer(data), info._GXDataInfo())


def dlms_cosem_profile(data: bytes, typed: bool) -> Call | None:
    """dlms-cosem: values alone, or values with their types."""
    utils, parser = peer("dlms_cosem.utils"), peer("dlms_cosem.dlms_data")
    if utils is None or parser is None:
        return None
    if typed:
        return lambda: parser.DlmsDataParser().parse(data)
    return lambda: utils.parse_as_dlms_data(data)


def pydlms_profile(data: bytes) -> Call | None:
    """pydlms-client: values with their types."""
    module = peer("pydlms.cosem.data")
    return None if module is None else lambda: module.decode_data(data)


def our_opening() -> object:
    """Read both, with what they carry, and write them again."""
    request, response = Aarq.from_bytes(AARQ), Aare.from_bytes(AARE)
    apdu.decode(request.user_information)
    apdu.decode(response.user_information)
    return request.to_bytes(), response.to_bytes()


def dlms_cosem_opening() -> Call | None:
    """dlms-cosem: the same."""
    acse = peer("dlms_cosem.protocol.acse")
    if acse is None:
        return None
    aarq, aare = acse.ApplicationAssociationRequest, acse.ApplicationAssociationResponse
    return lambda: (aarq.from_bytes(AARQ).to_bytes(), aare.from_bytes(AARE).to_bytes())


def pydlms_opening() -> Call | None:
    """pydlms-client: the same."""
    acse, xdlms = peer("pydlms.apdu.acse"), peer("pydlms.apdu.xdlms")
    if acse is None or xdlms is None:
        return None

    def call() -> object:
        request, response = acse.AARQ.from_bytes(AARQ), acse.AARE.from_bytes(AARE)
        xdlms.InitiateRequest.from_bytes(request.user_information)
        xdlms.InitiateResponse.from_bytes(response.user_information)
        return request.to_bytes(), response.to_bytes()

    return call


def exchange(ciphering: Ciphering | None) -> Call:
    """One GET from the call of the client to the value in its hands, the server's side included; without a link."""
    keys = KeySet(bytes(range(16)), bytes(range(16, 32))) if ciphering else None
    title = b"MLTclien", b"MLTmeter"
    common = {
        "mechanism": Mechanism.LOW,
        "secret": b"12345678",
        "suite": Suite.SUITE_0,
        "keys": keys,
        "send_counter": SendCounter(),
    }
    client = ClientAssociation(AssociationConfig(system_title=title[0], ciphering=ciphering, **common))  # type: ignore[arg-type]
    server = ServerAssociation(AssociationConfig(system_title=title[1], ciphering=ciphering, **common))  # type: ignore[arg-type]
    (opened, *_) = server.receive(client.open())
    assert isinstance(opened, Send)
    client.receive(opened.apdu)
    attribute, value = Attribute(3, Obis(6, 0, 1, 0, 0), 2), cosem.u32(326_062)

    def call() -> object:
        (asked,) = server.receive(client.get(attribute))
        assert isinstance(asked, GetIndication)
        return client.receive(server.respond_get([value]))

    return call


def main() -> None:
    """Print the rates."""
    data = profile()
    peers = {
        "gurux": gurux_profile(data),
        "dlms-cosem": dlms_cosem_profile(data, typed=False),
        "dlms-cosem typed": dlms_cosem_profile(data, typed=True),
        "pydlms": pydlms_profile(data),
    }
    show(
        f"Profile {ROWS} x 6, rows, with types",
        {OURS: ROWS * rate(our_profile(data))}
        | {name: None if call is None else ROWS * rate(call) for name, call in peers.items()},
    )
    changing = changing_profile()
    show(
        "The same, every second row without clock",
        {OURS: ROWS * rate(our_profile(changing))}
        | {
            name: None if call is None else ROWS * rate(call)
            for name, call in {
                "dlms-cosem": dlms_cosem_profile(changing, typed=False),
                "pydlms": pydlms_profile(changing),
            }.items()
        },
    )
    opening = {"dlms-cosem": dlms_cosem_opening(), "pydlms": pydlms_opening()}
    show(
        "AARQ and AARE, read and written",
        {OURS: rate(our_opening)} | {name: None if call is None else rate(call) for name, call in opening.items()},
    )
    show("One GET, both ends, plain", {OURS: rate(exchange(None))})
    show("One GET, both ends, glo", {OURS: rate(exchange(Ciphering.GLOBAL))})


if __name__ == "__main__":
    main()
