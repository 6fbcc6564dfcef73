"""Decode a capture offline: a text readout or M-Bus telegrams, whatever state they are in."""

from __future__ import annotations

import re
from typing import Final

from meterlink.errors import DataError
from meterlink.framing.mbus.frame import LongFrame, Rejected, ShortFrame, split_frames
from meterlink.mbus import FormatStore, Telegram, decode_telegram
from meterlink.mbus.telegram import CI_COMPACT
from meterlink.meters import mbus, text
from meterlink.meters.profile import Profile, profile
from meterlink.readout import DataSet, TextTelegram, read_datasets, read_telegrams
from meterlink.values import MeterReport

MAX_CAPTURE: Final = 1 << 20
"""Longest capture that is decoded, in bytes. The longest readout known has five thousand."""

_DATA_SET = re.compile(rb"[0-9A-Za-z.*:-]\([^()]{0,200}\)")
_CODE = re.compile(r"(?:\d{1,3}-\d{1,3}:)?(?:[CFLP]|[CFLP]?\d{1,3})(?:\.[0-9A-Z]{1,3}){0,3}(?:[*&]\d{1,3})?\Z|FF?\Z")
"""Codes of values: OBIS in full or reduced form, or the older ones with a letter (IEC 62056-61, VDEW)."""
_HEX = re.compile(rb"[0-9A-Fa-f\s,;:]+\Z")
_HEX_PREFIX = re.compile(rb"\b0[xX](?=[0-9A-Fa-f])")


def decode_capture(data: bytes, *, hint: str | Profile | None = None, key: bytes | None = None) -> MeterReport:
    """Decode what a meter said: bytes as they came over the line, or their hex text, with echo, wake-up and noise.

    ``hint`` is a meter family or its name, or None to find out; ``key`` opens encrypted telegrams (16 octets).

    Raises DataError: ``empty``, ``not-recognised``, ``data-too-large``, ``application-error`` when the meter reports an
    error instead of data, ``mbus-checksum`` when no telegram is whole, and what :func:`decode_telegram` raises when no
    telegram can be decoded; UsageError for an unknown family.
    """
    if len(data) > MAX_CAPTURE:
        raise DataError(
            f"a capture may have {MAX_CAPTURE} bytes, and this has more",
            code="data-too-large",
            hint="give the part with one readout or one trace",
        )
    if not data.strip(b"\x00\r\n \t"):
        raise DataError("the capture is empty", code="empty", hint="was the meter answering while it was recorded?")
    family = profile(hint) if isinstance(hint, str) else hint
    data = _from_hex(data)
    if family is None or family.protocol == "mbus":
        found = _decode_mbus(data, family, key)
        if found is not None:
            return found
    if _DATA_SET.search(bytes(byte & 0x7F for byte in data)):
        telegrams = [telegram for telegram in read_telegrams(data) if _is_readout(telegram)]
        if telegrams:
            return text.report(telegrams, family if family is not None and family.protocol == "text" else None)
    raise DataError(
        "this is neither a text readout nor an M-Bus telegram",
        code="not-recognised",
        hint="give the bytes as they came from the meter, binary or in hex",
    )


def _is_readout(telegram: TextTelegram) -> bool:
    """Tell a readout from other text with parentheses: most of it must be data sets with codes for addresses."""
    items = read_datasets(telegram.body)
    sets = sum(isinstance(item, DataSet) and bool(_CODE.match(item.address)) for item in items)
    return bool(sets) and sets * 2 > len(items)


def _from_hex(data: bytes) -> bytes:
    """Return the bytes that hex text stands for; other data as they are."""
    digits = _HEX_PREFIX.sub(b"", data)
    if not _HEX.match(digits):
        return data
    plain = re.sub(rb"[^0-9A-Fa-f]", b"", digits)
    return bytes.fromhex(plain[: len(plain) // 2 * 2].decode("ascii"))


def _decode_mbus(data: bytes, family: Profile | None, key: bytes | None) -> MeterReport | None:
    """Decode M-Bus telegrams; None when there is nothing that looks like one."""
    items = list(split_frames(data))
    frames = [item for item in items if isinstance(item, LongFrame) and not item.control & 0x40]
    rejected = [item for item in items if isinstance(item, Rejected)]
    damaged = [item for item in rejected if item.reason != "noise"]
    if not frames:
        if damaged and any(len(item.data) > 6 for item in damaged) and not _DATA_SET.search(data):
            reason = "its check sum is wrong" if damaged[0].reason == "checksum" else "it is cut off"
            raise DataError(f"the M-Bus telegram is not whole: {reason}", code="mbus-checksum")
        if items and all(isinstance(item, ShortFrame) for item in items):
            raise DataError("this capture has requests of a master and no answer", code="not-recognised")
        return None
    decoded, problems = _decode_frames(frames, key)
    notes = [str(problem) for problem in problems]
    for item in damaged:
        what = "is cut off" if item.reason == "incomplete" else f"has a wrong {item.reason}"
        notes.append(f"a telegram {what} and was left out: {item.data[:12].hex(' ')} ...")
    if not decoded:
        raise problems[0]
    return mbus.report(_readout(decoded, family), family, notes)


def _readout(decoded: list[tuple[LongFrame, Telegram]], family: Profile | None) -> list[Telegram]:
    """Leave out what a meter says on the way to its readout: whoever recorded the whole session has that, too."""
    found = [mbus.choose_profile(telegram) for _, telegram in decoded] if family is None else [family]
    answers = tuple(answer for each in found if each.line is not None for answer in each.line.step_answers)
    told = [(bytes((frame.ci,)) + frame.data, telegram) for frame, telegram in decoded]
    return [telegram for octets, telegram in told if not octets.startswith(answers)] or [told[0][1]]


def _decode_frames(
    frames: list[LongFrame], key: bytes | None
) -> tuple[list[tuple[LongFrame, Telegram]], list[DataError]]:
    # Formats are learnt only where something can use them: it costs a check sum for each telegram.
    formats = FormatStore() if any(frame.ci in CI_COMPACT for frame in frames) else None
    decoded: list[tuple[LongFrame, Telegram]] = []
    problems: list[DataError] = []
    for frame in frames:
        try:
            telegram = decode_telegram(frame, key=key, formats=formats)
        except DataError as error:
            problems.append(error)
            continue
        if telegram.error:
            problem = f"the meter answers: {telegram.error}"
            problems.append(DataError(problem, code="application-error", hint="it came instead of data: read again"))
        else:
            decoded.append((frame, telegram))
    return decoded, problems
