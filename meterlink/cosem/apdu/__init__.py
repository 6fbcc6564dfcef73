"""The xDLMS APDUs, one file per service (IEC 62056-5-3; Green Book, 9.5).

Every APDU is a frozen dataclass with ``to_bytes``; :func:`decode` reads any of them. Protected APDUs are opened by
:mod:`meterlink.security` before they come here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from meterlink.cosem.apdu import action, get
from meterlink.cosem.apdu import set as set_
from meterlink.cosem.apdu.errors import ConfirmedServiceError, ExceptionResponse, read_exception, read_service_error
from meterlink.cosem.apdu.general_block import GeneralBlock, read_general_block
from meterlink.cosem.apdu.initiate import (
    InitiateRequest,
    InitiateResponse,
    read_initiate_request,
    read_initiate_response,
)
from meterlink.cosem.apdu.notification import (
    DataNotification,
    EventNotification,
    read_data_notification,
    read_event_notification,
)
from meterlink.cosem.octets import Reader
from meterlink.errors import ProtocolError

Request = get.GetRequest | set_.SetRequest | action.ActionRequest
Response = get.GetResponse | set_.SetResponse | action.ActionResponseApdu
Notification = DataNotification | EventNotification
Refusal = ExceptionResponse | ConfirmedServiceError
Apdu = Request | Response | Notification | InitiateRequest | InitiateResponse | Refusal | GeneralBlock

_READERS: Final[Mapping[int, Callable[[Reader], Apdu]]] = MappingProxyType(
    {
        0x01: read_initiate_request,
        0x08: read_initiate_response,
        0x0E: read_service_error,
        0x0F: read_data_notification,
        0xC0: get.read_request,
        0xC1: set_.read_request,
        0xC2: read_event_notification,
        0xC3: action.read_request,
        0xC4: get.read_response,
        0xC5: set_.read_response,
        0xC7: action.read_response,
        0xD8: read_exception,
        0xE0: read_general_block,
    }
)


def decode(buffer: bytes) -> Apdu:
    """Read one plain xDLMS APDU that takes all of ``buffer``. Raises ProtocolError."""
    reader = Reader(buffer)
    tag = reader.u8()
    read = _READERS.get(tag)
    if read is None:
        raise ProtocolError(f"an APDU with the tag {tag:02X} is not spoken here", code="apdu-unknown")
    apdu = read(reader)
    reader.end()
    return apdu


__all__ = [
    "Apdu",
    "ConfirmedServiceError",
    "DataNotification",
    "EventNotification",
    "ExceptionResponse",
    "GeneralBlock",
    "InitiateRequest",
    "InitiateResponse",
    "Notification",
    "Refusal",
    "Request",
    "Response",
    "decode",
]
