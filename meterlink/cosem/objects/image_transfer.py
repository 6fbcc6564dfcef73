"""Image transfer (IC 18): firmware in blocks, resumable, without I/O (IEC 62056-6-2, 4.4.6).

An :class:`ImageUpload` says what to read and what to call next; whoever drives it does so and gives back what came. A
transfer that broke off goes on where the meter says that it stands: only the blocks that it lacks are sent.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Final

from meterlink.cosem import data as cosem
from meterlink.cosem.data import Data
from meterlink.cosem.names import Attribute, Method
from meterlink.errors import MeterRefused, ProtocolError, UsageError
from meterlink.values import Obis

CLASS_ID: Final = 18
IMAGE_TRANSFER: Final = Obis(0, 0, 44, 0, 0)

_BLOCK_SIZE: Final = 2
_BLOCKS: Final = 3
_ENABLED: Final = 5
_STATUS: Final = 6

_INITIATE: Final = 1
_TRANSFER: Final = 2
_VERIFY: Final = 3
_ACTIVATE: Final = 4

_MOST_BLOCKS: Final = 1 << 18
"""Blocks of one image at most. The meter chooses their size, and each costs a request: more would take hours on any
line. Meters take blocks of 32 octets and more."""

Call = tuple[Method, Data]


class TransferStatus(enum.IntEnum):
    """Attribute image_transfer_status."""

    NOT_INITIATED = 0
    INITIATED = 1
    VERIFICATION_INITIATED = 2
    VERIFICATION_SUCCESSFUL = 3
    VERIFICATION_FAILED = 4
    ACTIVATION_INITIATED = 5
    ACTIVATION_SUCCESSFUL = 6
    ACTIVATION_FAILED = 7

    @classmethod
    def from_data(cls, data: Data) -> TransferStatus:
        """Read the attribute. Raises ProtocolError (``unexpected-type``)."""
        try:
            return cls(data.as_int())
        except ValueError:
            raise ProtocolError("the image transfer is in an unknown state", code="unexpected-type") from None


class ImageUpload:
    """The transfer of one image.

    Read :attr:`to_read`, give the values to :meth:`begin`, call :meth:`initiate` unless it says that the transfer goes
    on, then every one of :meth:`blocks`, then :meth:`verify` and :meth:`activate`. A meter answers the last two with
    ``temporary-failure`` while it is at work: call again, or watch :attr:`status`. An empty image raises UsageError.
    """

    def __init__(self, identification: bytes, image: bytes, instance: Obis = IMAGE_TRANSFER) -> None:
        if not image:
            raise UsageError("the image is empty")
        self._identification = identification
        self._image = image
        self._instance = instance
        self._block_size = 0
        self._have = ""
        """A bit for each block, ``1`` where the meter has it; empty while it has none."""
        self._next = 0
        self._left = 0

    @property
    def to_read(self) -> tuple[Attribute, ...]:
        """What :meth:`begin` needs: block size, blocks transferred, enabled, status."""
        return tuple(self._attribute(index) for index in (_BLOCK_SIZE, _BLOCKS, _ENABLED, _STATUS))

    @property
    def status(self) -> Attribute:
        """The attribute image_transfer_status; see :class:`TransferStatus`."""
        return self._attribute(_STATUS)

    @property
    def block_count(self) -> int:
        """Blocks of the whole image; 0 before :meth:`begin`."""
        return -(-len(self._image) // self._block_size) if self._block_size else 0

    @property
    def left(self) -> int:
        """How many blocks are still to be sent."""
        return self._left

    def begin(self, block_size: Data, transferred: Data, enabled: Data, status: Data) -> bool:
        """Take the values of :attr:`to_read`. Return True when a transfer of the same number of blocks is under way and
        goes on, False when :meth:`initiate` is due.

        Whether the blocks that the meter has are of this image, the verification tells. Raises MeterRefused
        (``image-transfer-disabled``), and ProtocolError, for blocks that are too small with the code
        ``image-block-size``.
        """
        if not enabled.as_bool():
            raise MeterRefused(
                "the meter does not take images at the moment", code="image-transfer-disabled", hint="Enable it first."
            )
        self._block_size = block_size.as_int()
        least = -(-len(self._image) // _MOST_BLOCKS)
        if self._block_size < least:
            size, self._block_size = self._block_size, 0
            raise ProtocolError(
                f"the meter takes blocks of {size} octets: for this image they must have {least} at least",
                code="image-block-size",
                hint="is the file an image for this meter?",
            )
        self._begin_anew()
        bits = transferred.value
        under_way = TransferStatus.from_data(status) is TransferStatus.INITIATED
        if not under_way or not isinstance(bits, str) or len(bits) != self.block_count:
            return False
        self._have, self._left = bits, bits.count("0")
        return True

    def initiate(self) -> Call:
        """Return the call that begins anew: the meter drops what it has."""
        self._begin_anew()
        size = cosem.u32(len(self._image))
        return self._call(_INITIATE, cosem.structure(cosem.octet_string(self._identification), size))

    def blocks(self) -> Iterator[tuple[int, Call]]:
        """Yield the blocks that are missing: the number and the call. A block counts as sent when the next is asked
        for."""
        while self._left:
            number = self._have.index("0", self._next) if self._have else self._next
            start = number * self._block_size
            content = cosem.octet_string(self._image[start : start + self._block_size])
            yield number, self._call(_TRANSFER, cosem.structure(cosem.u32(number), content))
            self._left -= 1
            self._next = number + 1

    def verify(self) -> Call:
        """Return the call that has the meter check the image."""
        return self._call(_VERIFY, cosem.i8(0))

    def activate(self) -> Call:
        """Return the call that puts the image in force."""
        return self._call(_ACTIVATE, cosem.i8(0))

    def _begin_anew(self) -> None:
        self._have, self._next, self._left = "", 0, self.block_count

    def _attribute(self, index: int) -> Attribute:
        return Attribute(CLASS_ID, self._instance, index)

    def _call(self, index: int, parameters: Data) -> Call:
        return Method(CLASS_ID, self._instance, index), parameters
