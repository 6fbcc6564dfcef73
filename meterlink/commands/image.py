"""Image transfer (IC 18): new firmware into a meter, block by block, resumable (IEC 62056-6-2, 4.4.6).

A transfer that broke off goes on where it stood: the meter tells which blocks it has, and for which image. Only when
all blocks are there is the image verified, and only a verified one is activated, when that was asked for.
"""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass
from typing import ClassVar, Final

from certs.levels import Permission
from meterlink.commands.read_all import Progress
from meterlink.cosem.data import i8, octet_string, structure, u32
from meterlink.cosem.names import Attribute, Method
from meterlink.errors import MeterRefused, UsageError
from meterlink.session import Session
from meterlink.values import Obis

IMAGE_TRANSFER: Final = 18
DEFAULT_OBJECT: Final = Obis(0, 0, 44, 0, 0)

_BLOCK_SIZE, _BLOCK_STATUS, _ENABLED, _STATUS = 2, 3, 5, 6
_INITIATE, _BLOCK, _VERIFY, _ACTIVATE = 1, 2, 3, 4
_NOW: Final = i8(0)
_MOST_IDENTIFICATION: Final = 64
_BUSY: Final = "temporary-failure"
_POLL: Final = 1.0
"""Seconds between two looks at a meter that is still verifying or activating."""

_PATIENCE: Final = 120.0
"""Seconds that a meter may take to verify or to activate."""


class ImageStatus(enum.IntEnum):
    """Attribute image_transfer_status."""

    NOT_INITIATED = 0
    INITIATED = 1
    VERIFICATION_INITIATED = 2
    VERIFICATION_SUCCESSFUL = 3
    VERIFICATION_FAILED = 4
    ACTIVATION_INITIATED = 5
    ACTIVATION_SUCCESSFUL = 6
    ACTIVATION_FAILED = 7


_RUNNING: Final = {
    ImageStatus.VERIFICATION_SUCCESSFUL: ImageStatus.VERIFICATION_INITIATED,
    ImageStatus.ACTIVATION_SUCCESSFUL: ImageStatus.ACTIVATION_INITIATED,
}


@dataclass(frozen=True, slots=True)
class Transferred:
    """What a transfer did: blocks in all, blocks that this session sent, and how the image stands now."""

    blocks: int
    sent: int
    status: ImageStatus


@dataclass(frozen=True, slots=True)
class TransferImage:
    """Transfer ``image`` to the object ``instance``, verify it, and with ``activate`` put it in force.

    ``identification`` names the image to the meter; a transfer goes on only under the same one. ``progress`` counts
    blocks.
    """

    name: ClassVar[str] = "cosem image"
    permission: ClassVar[Permission] = Permission.COMMISSION

    image: bytes
    identification: bytes
    activate: bool = False
    instance: Obis = DEFAULT_OBJECT
    progress: Progress = lambda done, total: None

    def __post_init__(self) -> None:
        if not self.image or not 0 < len(self.identification) <= _MOST_IDENTIFICATION:
            raise UsageError(
                f"an image is not empty, its identification has 1..{_MOST_IDENTIFICATION} octets", code="image"
            )

    async def run(self, session: Session) -> Transferred:
        """Return what was done. Raises MeterRefused: ``image-verification-failed``, ``image-activation-failed``, and
        what the meter itself refuses."""
        size = (await session.get(self._attribute(_BLOCK_SIZE))).as_int()
        if size <= 0 or not (await session.get(self._attribute(_ENABLED))).as_bool():
            raise MeterRefused("the meter takes no image now", code="image-transfer-disabled")
        total = -(-len(self.image) // size)
        missing = await self._missing(session, total)
        for done, number in enumerate(missing, start=total - len(missing)):
            self.progress(done, total)
            block = self.image[number * size : (number + 1) * size]
            await session.call(self._method(_BLOCK), structure(u32(number), octet_string(block)))
        self.progress(total, total)
        await self._settle(session, _VERIFY, ImageStatus.VERIFICATION_SUCCESSFUL, "image-verification-failed")
        if self.activate:
            await self._settle(session, _ACTIVATE, ImageStatus.ACTIVATION_SUCCESSFUL, "image-activation-failed")
        return Transferred(total, len(missing), await self._status(session))

    async def _missing(self, session: Session, total: int) -> list[int]:
        """Return the blocks that the meter does not have; begin a new transfer unless this one can go on."""
        if await self._status(session) is ImageStatus.INITIATED:
            bits = (await session.get(self._attribute(_BLOCK_STATUS))).value
            # The meter does not tell which image the blocks are of; the number of blocks is all there is to compare
            # before the verification, which finds the rest.
            if isinstance(bits, str) and len(bits) == total and "1" in bits:
                return [number for number, bit in enumerate(bits) if bit == "0"]
        size = u32(len(self.image))
        await session.call(self._method(_INITIATE), structure(octet_string(self.identification), size))
        return list(range(total))

    async def _settle(self, session: Session, method: int, wanted: ImageStatus, code: str) -> None:
        """Call ``method`` and wait until the meter has done it."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._call_and_wait(session, method, wanted)
        except TimeoutError:
            raise MeterRefused(f"the meter did not finish within {_PATIENCE:.0f} s", code=code) from None
        except MeterRefused as refused:
            raise MeterRefused(
                f"the image does not hold: {refused.message}",
                code=code,
                hint="is this an image for this model? a new transfer starts from the beginning",
            ) from refused

    async def _call_and_wait(self, session: Session, method: int, wanted: ImageStatus) -> None:
        try:
            await session.call(self._method(method), _NOW)
        except MeterRefused as refused:
            if refused.code != _BUSY:
                raise
        running = _RUNNING[wanted]
        while (status := await self._status(session)) is running:  # noqa: ASYNC110  a meter tells nobody, it is asked
            await asyncio.sleep(_POLL)
        if status is not wanted:
            raise MeterRefused(f"its status is {status.name.lower().replace('_', ' ')}", code=_BUSY)

    async def _status(self, session: Session) -> ImageStatus:
        number = (await session.get(self._attribute(_STATUS))).as_int()
        try:
            return ImageStatus(number)
        except ValueError:
            raise MeterRefused(f"the status {number} of an image is not known", code="image-status") from None

    def _attribute(self, index: int) -> Attribute:
        return Attribute(IMAGE_TRANSFER, self.instance, index)

    def _method(self, index: int) -> Method:
        return Method(IMAGE_TRANSFER, self.instance, index)
