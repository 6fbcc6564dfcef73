"""What carries octets of the line shows none of them: a frame, an APDU or a command may stand in a log."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import meterlink.commands
import meterlink.cosem.apdu
import meterlink.framing.hdlc
from meterlink.commands.low_level import CallMethod, SetAttribute
from meterlink.cosem import data as cosem
from meterlink.cosem.acse import Aarq, Context
from meterlink.cosem.apdu import InitiateRequest
from meterlink.cosem.apdu.action import ActionRequestFirstBlock, ActionRequestNormal, ActionRequestWithList
from meterlink.cosem.apdu.block import Block
from meterlink.cosem.apdu.general_block import GeneralBlock
from meterlink.cosem.apdu.get import GetResponseWithBlock
from meterlink.cosem.apdu.set import SetRequestFirstBlock, SetRequestNormal, SetRequestWithList
from meterlink.cosem.association.events import ActionIndication, Send, SetIndication
from meterlink.cosem.conformance import SUPPORTED
from meterlink.cosem.names import Attribute, Method
from meterlink.framing.hdlc.address import HdlcAddress
from meterlink.framing.hdlc.control import FrameKind, control
from meterlink.framing.hdlc.frame import HdlcFrame
from meterlink.framing.link import LinkNoise, PduReceived
from meterlink.framing.wrapper import WrapperPdu
from meterlink.security.ciphered import Ciphering, Opened
from meterlink.security.control import SecurityControl
from meterlink.security.general_ciphering import KeyChoice, OpenedGeneral
from meterlink.security.general_header import GeneralHeader
from meterlink.security.hls import Mechanism
from meterlink.security.suites import Suite
from meterlink.tracing import Capture, TracedApdu
from meterlink.tracing.capture import Framing
from meterlink.tracing.frames import Located
from meterlink.transport.replay import Entry
from meterlink.values import Obis

PASSWORD = b"passWORD"
AARQ = Aarq(Context.LOGICAL_NAMES, InitiateRequest(SUPPORTED).to_bytes(), Mechanism.LOW, secret=PASSWORD).to_bytes()
VALUE = cosem.octet_string(PASSWORD)
SECRET = Attribute(15, Obis.parse("0-0:40.0.0"), 7)
CHANGE = Method(15, Obis.parse("0-0:40.0.0"), 2)
BLOCK = Block(True, 1, AARQ)
ENTRY = Entry(0.0, "sent", AARQ)
PDU = WrapperPdu(16, 1, AARQ)

SHOWN = [
    BLOCK,
    GeneralBlock(True, False, 1, 1, 0, AARQ),
    GetResponseWithBlock(1, True, 1, AARQ),
    SetRequestNormal(1, SECRET, VALUE),
    SetRequestWithList(1, (SECRET,), (VALUE,)),
    SetRequestFirstBlock(1, SECRET, BLOCK),
    ActionRequestNormal(1, CHANGE, VALUE),
    ActionRequestWithList(1, (CHANGE,), (VALUE,)),
    ActionRequestFirstBlock(1, CHANGE, BLOCK),
    SetIndication(((SECRET, VALUE),)),
    ActionIndication(((CHANGE, VALUE),)),
    SetAttribute(SECRET, VALUE),
    CallMethod(CHANGE, VALUE),
    Send(AARQ),
    Aarq.from_bytes(AARQ),
    PDU,
    PduReceived(AARQ, 16, 1),
    HdlcFrame(HdlcAddress(1), HdlcAddress(16), control(FrameKind.I, poll=True), AARQ),
    LinkNoise("fcs", AARQ),
    ENTRY,
    Capture((ENTRY,), Framing.WRAPPER, is_directed=True),
    Located(0.0, "sent", PDU),
    TracedApdu(0.0, "sent", AARQ),
    Opened(AARQ, SecurityControl(Suite.SUITE_0), bytes(8), 1, Ciphering.GLOBAL),
    OpenedGeneral(AARQ, GeneralHeader(b"", b"", b""), KeyChoice.KNOWN, SecurityControl(Suite.SUITE_0), 1),
]


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: type(shown).__name__)
def test_no_octets_of_an_apdu_are_shown(shown) -> None:
    for text in (repr(shown), str(shown)):
        assert PASSWORD.decode() not in text
        assert PASSWORD.hex() not in text.lower().replace(" ", "")


def data_classes(*packages) -> Iterator[type]:
    for package in packages:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(found.name)
            for thing in vars(module).values():
                if dataclasses.is_dataclass(thing) and thing.__module__ == found.name:
                    yield thing


def test_whatever_takes_octets_of_the_line_keeps_them_to_itself() -> None:
    """A frame or an APDU that is added later is held to the same."""
    shown = {
        f"{kind.__name__}.{field.name}"
        for kind in data_classes(meterlink.cosem.apdu, meterlink.framing.hdlc)
        for field in dataclasses.fields(kind)
        if field.repr and "bytes" in str(field.type)
    }
    assert shown == set()
