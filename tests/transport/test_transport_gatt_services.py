"""The table of byte pipes, and how one is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlink.errors import UsageError
from meterlink.transport.gatt_services import (
    BY_NAME,
    BY_UUID,
    SERVICES,
    choose_pipe,
    custom_service,
    known_services,
    normalize_uuid,
)


@dataclass(frozen=True)
class Characteristic:
    uuid: str
    properties: tuple[str, ...]


def test_names_and_services_are_unique_and_well_formed() -> None:
    assert len(BY_NAME) == len(BY_UUID) == len(SERVICES)
    for service in SERVICES:
        for uuid in (service.service, service.write, service.notify):
            assert str(UUID(uuid)) == uuid


def test_the_known_ones_among_many_in_the_order_of_choice() -> None:
    heard = ["0000180a-0000-1000-8000-00805f9b34fb", BY_NAME["hm10"].service.upper(), BY_NAME["nus"].service]
    assert known_services(heard) == (BY_NAME["nus"], BY_NAME["hm10"])


NUS = BY_NAME["nus"]


@pytest.mark.parametrize(
    ("characteristics", "write", "notify"),
    [
        ([(NUS.write, "write"), (NUS.notify, "notify")], NUS.write, NUS.notify),
        ([(NUS.notify, "notify"), (NUS.write, "write-without-response")], NUS.write, NUS.notify),
        ([(NUS.write, "notify"), (NUS.notify, "write")], NUS.notify, NUS.write),
        ([("x", "write"), ("y", "indicate"), ("z", "read")], "x", "y"),
    ],
)
def test_the_properties_decide(characteristics: list[tuple[str, str]], write: str, notify: str) -> None:
    pipe = choose_pipe(NUS, [Characteristic(uuid, (bit,)) for uuid, bit in characteristics])
    assert pipe is not None
    assert (pipe[0].uuid, pipe[1].uuid) == (write, notify)


@pytest.mark.parametrize(
    "characteristics",
    [
        [],
        [(NUS.write, "write")],
        [(NUS.write, "read"), (NUS.notify, "notify")],
        [("x", "write"), ("y", "write"), ("z", "notify")],
    ],
)
def test_where_no_choice_can_be_made(characteristics: list[tuple[str, str]]) -> None:
    assert choose_pipe(NUS, [Characteristic(uuid, (bit,)) for uuid, bit in characteristics]) is None


@pytest.mark.parametrize("text", ["ffe0", "0xFFE0", "0000ffe0", "0000FFE0-0000-1000-8000-00805F9B34FB"])
def test_spellings_of_a_uuid(text: str) -> None:
    assert normalize_uuid(text) == BY_NAME["hm10"].service


@given(st.text(max_size=40))
def test_any_text_is_a_uuid_or_our_error(text: str) -> None:
    try:
        known = custom_service(text, "", "").service
    except UsageError as error:
        known = error.code
    assert known == "url-invalid" or str(UUID(known)) == known
