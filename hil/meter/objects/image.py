"""Image transfer (IC 18): new firmware in blocks, in any order, resumable (Blue Book, 4.4.6).

The simulated meter takes an image of its own format: ``MLKF``, a version of up to eight characters padded with zeros,
anything, and SHA-256 over all of that. It checks the digest, and on activation shows the new version.
"""

from __future__ import annotations

import enum
import hashlib
from typing import Final

from certs.levels import Permission
from hil.meter.device import HeatMeter
from hil.meter.eventlog import EventCode
from hil.meter.objects.base import Attribute, Context, CosemObject, Method, Refusal, constant, given
from meterlink.cosem.data import Data, array, bit_string, boolean, enum_, octet_string, structure, u32
from meterlink.cosem.results import DataAccessResult

NAME: Final = "0-0:44.0.0"
BLOCK_SIZE: Final = 256
MAX_IMAGE: Final = 1 << 20

_MAGIC: Final = b"MLKF"
_VERSION_LENGTH: Final = 8
_DIGEST_LENGTH: Final = 32


class TransferStatus(enum.IntEnum):
    """Attribute 6, image_transfer_status."""

    NOT_INITIATED = 0
    INITIATED = 1
    VERIFICATION_INITIATED = 2
    VERIFICATION_SUCCESSFUL = 3
    VERIFICATION_FAILED = 4
    ACTIVATION_INITIATED = 5
    ACTIVATION_SUCCESSFUL = 6
    ACTIVATION_FAILED = 7


def build_image(version: str, content: bytes) -> bytes:
    """Return an image that the simulated meter accepts. ``version`` has at most eight ASCII characters."""
    body = _MAGIC + version.encode("ascii").ljust(_VERSION_LENGTH, b"\0") + content
    return body + hashlib.sha256(body).digest()


class ImageTransfer(CosemObject):
    """The image transfer object. It belongs to the meter, not to an association: a transfer that broke off goes on in
    the next session."""

    def __init__(self, meter: HeatMeter) -> None:
        self._meter = meter
        self._status = TransferStatus.NOT_INITIATED
        self._identification = b""
        self._size = 0
        self._blocks: dict[int, bytes] = {}
        right = Permission.COMMISSION
        attributes = {
            2: constant(u32(BLOCK_SIZE)),
            3: Attribute(lambda _: bit_string("".join("01"[n in self._blocks] for n in range(self._count)))),
            4: Attribute(lambda _: u32(next((n for n in range(self._count) if n not in self._blocks), self._count))),
            5: constant(boolean(True)),
            6: Attribute(lambda _: enum_(self._status)),
            7: Attribute(self._to_activate),
        }
        methods = {
            1: Method(self._initiate, right),
            2: Method(self._take_block, right),
            3: Method(self._verify, right),
            4: Method(self._activate, right),
        }
        super().__init__(18, NAME, attributes, methods)

    @property
    def _count(self) -> int:
        return -(-self._size // BLOCK_SIZE)

    def _initiate(self, _: Context, argument: Data | None) -> None:
        identification, size = given(argument).as_structure(2)
        if not 0 < size.as_int() <= MAX_IMAGE:
            raise Refusal(DataAccessResult.OTHER_REASON)
        self._identification, self._size = identification.as_bytes(), size.as_int()
        self._blocks = {}
        self._status = TransferStatus.INITIATED

    def _take_block(self, _: Context, argument: Data | None) -> None:
        number, block = given(argument).as_structure(2)
        if self._status is not TransferStatus.INITIATED or not 0 <= number.as_int() < self._count:
            raise Refusal(DataAccessResult.OTHER_REASON)
        rest = self._size - number.as_int() * BLOCK_SIZE
        if len(block.as_bytes()) != min(BLOCK_SIZE, rest):
            raise Refusal(DataAccessResult.OTHER_REASON)
        self._blocks[number.as_int()] = block.as_bytes()

    def _verify(self, _: Context, __: Data | None) -> None:
        if len(self._blocks) != self._count or not self._count:
            raise Refusal(DataAccessResult.OTHER_REASON)
        image = self._image()
        body, digest = image[:-_DIGEST_LENGTH], image[-_DIGEST_LENGTH:]
        good = body.startswith(_MAGIC) and hashlib.sha256(body).digest() == digest
        self._status = TransferStatus.VERIFICATION_SUCCESSFUL if good else TransferStatus.VERIFICATION_FAILED
        if not good:
            raise Refusal(DataAccessResult.OTHER_REASON)

    def _activate(self, context: Context, _: Data | None) -> None:
        if self._status is not TransferStatus.VERIFICATION_SUCCESSFUL:
            raise Refusal(DataAccessResult.OTHER_REASON)
        version = self._image()[len(_MAGIC) : len(_MAGIC) + _VERSION_LENGTH]
        self._meter.firmware = version.rstrip(b"\0").decode("ascii", "replace")
        self._status = TransferStatus.ACTIVATION_SUCCESSFUL
        self._meter.events.add(self._meter.clock.read(context.now), EventCode.FIRMWARE_ACTIVATED, context.client.sap)

    def _to_activate(self, _: Context) -> Data:
        if self._status is not TransferStatus.VERIFICATION_SUCCESSFUL:
            return array()
        digest = self._image()[-_DIGEST_LENGTH:]
        return array((structure(u32(self._size), octet_string(self._identification), octet_string(digest)),))

    def _image(self) -> bytes:
        return b"".join(self._blocks[number] for number in range(self._count))
