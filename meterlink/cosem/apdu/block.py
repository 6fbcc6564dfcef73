"""A block of a SET or an ACTION (Green Book, 9.5, DataBlock-SA)."""

from __future__ import annotations

from dataclasses import dataclass, field

from meterlink.cosem.leaves import write_octets
from meterlink.cosem.octets import Reader


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a long parameter or result. Blocks are numbered from 1."""

    last: bool
    number: int
    content: bytes = field(repr=False)

    def write(self, out: bytearray) -> None:
        """Append the block."""
        out.append(self.last)
        out += self.number.to_bytes(4, "big")
        write_octets(out, self.content)


def read_block(reader: Reader) -> Block:
    """Read a block. Raises ProtocolError."""
    return Block(reader.boolean(), reader.u32(), reader.octet_string())
