"""A captured readout: identification, data block, block check (IEC 62056-21, 6.3).

A capture is rarely clean. The head's echo of the request stands before the answer, a terminal program has dropped STX,
ETX and carriage returns, the port was opened with eight data bits and the parity bits are still in, the first line is
missing. All of that is told apart here, so that whoever reads the data sets sees plain text.
"""

from __future__ import annotations

import enum
import re
from collections import Counter
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import Final

SOH: Final = 0x01
STX: Final = 0x02
ETX: Final = 0x03

UNREADABLE: Final = "\ufffd"
"""Stands for a character whose parity is wrong."""

MAX_CAPTURE: Final = 1 << 20
"""Longest capture that is looked at, in bytes; a readout of a heat meter has about a thousand."""

_IDENTIFICATION = re.compile(
    rb"/([A-Za-z]{3})([0-9A-Za-z])((?:\\[\x21-\x7e])*)([^\r\n/!()\x00-\x1f]{0,32})(?=[\r\n]|\Z)"
)
_REQUEST = re.compile(rb"/[?#][^\r\n!]{0,32}!(?:\r\n|\n|\r)?")
_PARITY_TOLERANCE: Final = 0.9
_EVEN: Final = bytes(byte.bit_count() % 2 for byte in range(256))


class BlockCheck(enum.Enum):
    """What the block check character says of the data block."""

    VALID = "valid"
    WRONG = "wrong"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Identification:
    """The identification message (6.3.2): three letters of the manufacturer, the baud rate character, the meter's own
    identification. ``modes`` are the characters of the sequences ``\\W``."""

    manufacturer: str
    baud: str
    text: str
    modes: str = ""

    def __str__(self) -> str:
        return f"/{self.manufacturer}{self.baud}{''.join(chr(92) + mode for mode in self.modes)}{self.text}"

    @classmethod
    def parse(cls, line: bytes) -> Identification | None:
        """Return the identification in ``line`` (from the slash on, seven bits a character), None if it is none."""
        match = _IDENTIFICATION.match(line)
        return None if match is None else _identification(match)


@dataclass(frozen=True, slots=True)
class TextTelegram:
    """One readout. ``body`` is the data block as text, without STX, end mark and block check.

    ``complete`` is False when the end mark ``!`` is missing; ``notes`` are sentences for the user about what the
    capture lacks.
    """

    identification: Identification | None
    body: str
    block_check: BlockCheck
    complete: bool
    notes: tuple[str, ...] = ()


def block_check(block: bytes) -> int:
    """Return the block check character of ``block``: exclusive or of every byte after STX (or SOH) up to and including
    ETX, seven bits (6.3, ISO 1155)."""
    return reduce(xor, block, 0) & 0x7F


def read_telegrams(data: bytes) -> list[TextTelegram]:
    """Take a capture apart into its readouts.

    A capture without an identification line is one readout that lacks it. Returns an empty list when there is neither
    an identification nor anything in parentheses. Never raises.
    """
    plain, unreadable, notes = _remove_parity(data[:MAX_CAPTURE])
    if len(data) > MAX_CAPTURE:
        notes.append(f"only the first {MAX_CAPTURE} bytes of {len(data)} were read")
    blanked = _REQUEST.sub(lambda match: b"\x00" * len(match.group()), plain)
    pieces = _pieces(blanked)
    telegrams = []
    for index, (match, start, after) in enumerate(pieces):
        end = pieces[index + 1][1] if index + 1 < len(pieces) else len(blanked)
        # A readout whose first line was lost can stand before the first identification.
        if index == 0 and start and b"(" in blanked[:start]:
            telegrams.append(_read_one(None, blanked[:start], {i for i in unreadable if i < start}, notes))
        bad = {i - after for i in unreadable if after <= i < end}
        telegrams.append(_read_one(match, blanked[after:end], bad, notes))
    return [telegram for telegram in telegrams if telegram.identification or "(" in telegram.body]


def _pieces(data: bytes) -> list[tuple[re.Match[bytes] | None, int, int]]:
    """Return where readouts begin: identification or None, its place, the place after it.

    A meter that sends blank lines for its identification is told by a second block that begins after the first ended.
    """
    named = [(match, match.start(), match.end()) for match in _IDENTIFICATION.finditer(data)]
    pieces: list[tuple[re.Match[bytes] | None, int, int]] = list(named)
    for start, end in zip(
        [0, *(after for _, _, after in named)], [*(at for _, at, _ in named), len(data)], strict=True
    ):
        at = start
        while (etx := data.find(ETX, at, end)) >= 0 and data.find(STX, etx + 2, end) >= 0:
            at = etx + 2
            pieces.append((None, at, at))
    return sorted(pieces, key=lambda piece: piece[1]) or [(None, 0, 0)]


def _read_one(match: re.Match[bytes] | None, block: bytes, bad: set[int], notes: list[str]) -> TextTelegram:
    found = list(notes)
    identification = None if match is None else _identification(match)
    if identification is None:
        found.append("the identification line is missing")
    elif not identification.text:
        found.append("the meter's identification is empty")
    begin = block.find(STX) + 1
    end = _end_mark(block, begin)
    complete = end >= 0
    if not complete:
        found.append("the end mark is missing: the readout is cut off")
        end = len(block)
    check = _check(block, begin, end) if complete else BlockCheck.ABSENT
    if check is BlockCheck.WRONG:
        found.append("the block check is wrong: at least one character of this readout was changed on the way")
    body = "".join(UNREADABLE if index in bad else chr(block[index]) for index in range(begin, end) if block[index])
    return TextTelegram(identification, body, check, complete, tuple(found))


def _identification(match: re.Match[bytes]) -> Identification:
    manufacturer, baud, modes, text = (part.decode("ascii", "replace") for part in match.groups())
    return Identification(manufacturer, baud, text.strip(), modes.replace("\\", ""))


def _end_mark(block: bytes, begin: int) -> int:
    """Return the index of the first ``!`` outside of parentheses at the start of a line, -1 if there is none."""
    position = block.find(b"!", begin)
    while position >= 0:
        if block[begin:position].rstrip(b" ").endswith((b"\r", b"\n", b")")) or position == begin:
            return position
        position = block.find(b"!", position + 1)
    return -1


def _check(block: bytes, begin: int, end: int) -> BlockCheck:
    """Verify the block check character after the end mark.

    A terminal program that stored the readout as text has dropped STX, ETX and carriage returns; what is left of the
    block check then stands on a line of its own. ``begin`` is 0 without STX.
    """
    tail = block[end:]
    etx = tail.find(ETX)
    if etx >= 0:
        if etx + 1 >= len(tail):
            return BlockCheck.ABSENT
        sent = block[begin : end + etx + 1]
        expected = block_check(sent if begin else sent.lstrip(b"\r\n"))
        return BlockCheck.VALID if tail[etx + 1] == expected else BlockCheck.WRONG
    left = re.match(rb"!\r?\n([\x20-\x7e])[ \r\n]*\Z", tail)
    if left is None:
        return BlockCheck.ABSENT
    text = block[begin:end].lstrip(b"\r\n") + b"!\n"
    as_sent = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + bytes((ETX,))
    return BlockCheck.VALID if left.group(1)[0] == block_check(as_sent) else BlockCheck.WRONG


def _remove_parity(data: bytes) -> tuple[bytes, set[int], list[str]]:
    """Return the data with seven bits a character, the places whose parity is wrong, and notes."""
    if not any(byte & 0x80 for byte in data):
        return data, set(), []
    plain = bytes(byte & 0x7F for byte in data)
    for name, wanted in (("even", 0), ("odd", 1)):
        wrong = {index for index, byte in enumerate(data) if _EVEN[byte] != wanted}
        if len(wrong) <= (1 - _PARITY_TOLERANCE) * len(data):
            note = f"the parity bits ({name}) were still in the data and have been removed"
            if wrong:
                note += f"; {len(wrong)} character(s) had a wrong one and count as unreadable"
            return plain, wrong, [note]
    # No parity at all: characters above 0x7F are damage, or somebody's editor.
    high = {index for index, byte in enumerate(data) if byte & 0x80}
    most = Counter(data[index] for index in high).most_common(1)[0][0]
    return (
        plain,
        high,
        [f"{len(high)} character(s) are not seven-bit text (such as 0x{most:02X}) and count as unreadable"],
    )
