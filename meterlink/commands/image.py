"""Image transfer (IC 18): new firmware into a meter, resumable, with progress (IEC 62056-6-2, 4.4.6).

A transfer that broke off goes on where it stood. Only when all blocks are there is the image verified, and only a
verified one is activated, when that was asked for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar, Final

from certs.levels import Permission
from meterlink.commands.read_all import Progress
from meterlink.cosem.objects.image_transfer import IMAGE_TRANSFER, Call, ImageUpload, TransferStatus
from meterlink.errors import MeterRefused, UsageError
from meterlink.session import Session
from meterlink.values import Obis

_MOST_IDENTIFICATION: Final = 64
_BUSY: Final = "temporary-failure"
_POLL: Final = 1.0
"""Seconds between two looks at a meter that is still verifying or activating."""

_PATIENCE: Final = 120.0
"""Seconds that a meter may take to verify or to activate."""

_RUNNING: Final = {
    TransferStatus.VERIFICATION_SUCCESSFUL: TransferStatus.VERIFICATION_INITIATED,
    TransferStatus.ACTIVATION_SUCCESSFUL: TransferStatus.ACTIVATION_INITIATED,
}
"""Status that is aimed at -> status of a meter that is on its way there."""


@dataclass(frozen=True, slots=True)
class Transferred:
    """What a transfer did: blocks in all, blocks that this session sent, and how the image stands now."""

    blocks: int
    sent: int
    status: TransferStatus


@dataclass(frozen=True, slots=True)
class TransferImage:
    """Transfer ``image`` to the object ``instance``, verify it, and with ``activate`` put it in force.

    ``identification`` names the image to the meter, 1..64 octets. ``progress`` counts blocks. Raises UsageError
    ``image`` for an empty image or a wrong identification.
    """

    name: ClassVar[str] = "cosem image"
    permission: ClassVar[Permission] = Permission.COMMISSION

    image: bytes
    identification: bytes
    activate: bool = False
    instance: Obis = IMAGE_TRANSFER
    progress: Progress = lambda done, total: None

    def __post_init__(self) -> None:
        if not self.image or not 0 < len(self.identification) <= _MOST_IDENTIFICATION:
            raise UsageError(
                f"an image is not empty, its identification has 1..{_MOST_IDENTIFICATION} octets", code="image"
            )

    async def run(self, session: Session) -> Transferred:
        """Return what was done. Raises MeterRefused: ``image-verification-failed``, ``image-activation-failed``, and
        what the meter itself refuses."""
        upload = ImageUpload(self.identification, self.image, self.instance)
        size, transferred, enabled, status = [await session.get(attribute) for attribute in upload.to_read]
        if not upload.begin(size, transferred, enabled, status):
            await session.call(*upload.initiate())
        sent, total = upload.left, upload.block_count
        for _, call in upload.blocks():
            self.progress(total - upload.left, total)
            await session.call(*call)
        self.progress(total, total)
        verified, activated = TransferStatus.VERIFICATION_SUCCESSFUL, TransferStatus.ACTIVATION_SUCCESSFUL
        now = await _settle(session, upload, upload.verify(), verified, "image-verification-failed")
        if self.activate:
            now = await _settle(session, upload, upload.activate(), activated, "image-activation-failed")
        return Transferred(total, sent, now)


async def _settle(
    session: Session, upload: ImageUpload, call: Call, wanted: TransferStatus, code: str
) -> TransferStatus:
    """Call and wait until the meter has done it. Raises MeterRefused ``code`` when it has not."""
    try:
        async with asyncio.timeout(_PATIENCE):
            status = await _call_and_wait(session, upload, call, wanted)
    except TimeoutError:
        raise MeterRefused(f"the meter did not finish within {_PATIENCE:.0f} s", code=code) from None
    except MeterRefused as refused:
        hint = "is this an image for this model? a new transfer starts from the beginning"
        raise MeterRefused(f"the image does not hold: {refused.message}", code=code, hint=hint) from refused
    if status is not wanted:
        words = status.name.lower().replace("_", " ")
        raise MeterRefused(f"the image does not hold: its status is {words}", code=code)
    return status


async def _call_and_wait(session: Session, upload: ImageUpload, call: Call, wanted: TransferStatus) -> TransferStatus:
    try:
        await session.call(*call)
    except MeterRefused as refused:
        if refused.code != _BUSY:
            raise
    while True:
        status = TransferStatus.from_data(await session.get(upload.status))
        if status is not _RUNNING[wanted]:
            return status
        await asyncio.sleep(_POLL)
