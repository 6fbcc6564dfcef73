"""General block transfer: any APDU in blocks (Green Book, 9.3.13 and 9.5, General-Block-Transfer)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final

from meterlink.cosem.leaves import write_octets
from meterlink.cosem.octets import Reader

_LAST: Final = 0x80
_STREAMING: Final = 0x40
MAX_WINDOW: Final = 0x3F


@dataclass(frozen=True, slots=True)
class GeneralBlock:
    """One block. ``window`` is how many blocks the sender takes at once, 0..63; ``streaming`` says that more follow
    without an answer; ``acknowledged`` is the number of the last block received in order."""

    TAG: ClassVar[int] = 0xE0
    last: bool
    streaming: bool
    window: int
    number: int
    acknowledged: int
    content: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the APDU."""
        out = bytearray((self.TAG, _LAST * self.last | _STREAMING * self.streaming | self.window))
        out += self.number.to_bytes(2, "big") + self.acknowledged.to_bytes(2, "big")
        write_octets(out, self.content)
        return bytes(out)


def read_general_block(reader: Reader) -> GeneralBlock:
    """Read a General-Block-Transfer behind its tag. Raises ProtocolError."""
    control = reader.u8()
    return GeneralBlock(
        bool(control & _LAST),
        bool(control & _STREAMING),
        control & MAX_WINDOW,
        reader.u16(),
        reader.u16(),
        reader.octet_string(),
    )
