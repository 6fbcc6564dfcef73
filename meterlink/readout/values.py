"""Numbers and dates as text meters write them.

Every function returns None for text that does not say what is asked, so that one bad digit costs one value.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Final

_NUMBER = re.compile(r"[+-]?\d{1,30}(?:[.,]\d{1,15})?\Z", re.ASCII)
_TIME = r"(?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?"
_JOIN = r"(?:[&T ,;]\s*)"

# Shapes met in the field and in IEC 62056-21 annex A; the first that fits wins.
_DATES: Final = (
    r"(?P<year>\d{4})[-./](?P<month>\d{2})[-./](?P<day>\d{2})",
    r"(?P<day>\d{2})\.(?P<month>\d{2})\.(?P<year>\d{4}|\d{2})",
    r"(?P<year>\d{2})[-/](?P<month>\d{2})[-/](?P<day>\d{2})",
)
_MOMENTS: Final = (
    *(re.compile(rf"{date}(?:{_JOIN}{_TIME})?\Z", re.ASCII) for date in _DATES),
    re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})\Z", re.ASCII),
    # YYMMDDhhmm[ss], with the season digit before it (annex A: 0 normal, 1 summer, 2 UTC) or without.
    re.compile(
        r"(?:[012](?=\d{10}(?:\d{2})?\Z))?(?P<year>\d{2})(?P<month>\d{2})(?P<day>\d{2})(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?\Z",
        re.ASCII,
    ),
    re.compile(r"(?P<year>\d{2})(?P<month>\d{2})(?P<day>\d{2})\Z", re.ASCII),
)
_SET_DAY = re.compile(rf"(?:(?P<month>\d{{2}})-)?(?P<day>\d{{2}}){_JOIN}{_TIME}\Z", re.ASCII)


def read_number(text: str) -> Decimal | None:
    """Read a decimal number with an optional sign; a comma counts as the decimal point. Keeps every digit."""
    text = text.strip()
    if not _NUMBER.match(text):
        return None
    return Decimal(text.replace(",", "."))


def read_moment(text: str) -> dt.datetime | dt.date | None:
    """Read a date, or a date with a time of day (without zone: the meter's own clock).

    Two-digit years are 2000..2099. Returns None for other text and for days that do not exist, such as the all-zero
    date that means "never".
    """
    for shape in _MOMENTS:
        match = shape.match(text.strip())
        if match is not None:
            return _build({name: int(part) for name, part in match.groupdict().items() if part is not None})
    return None


def read_date(text: str) -> dt.date | None:
    """Read a date; a time of day after it is dropped. Returns None as :func:`read_moment` does."""
    moment = read_moment(text)
    return moment.date() if isinstance(moment, dt.datetime) else moment


def read_set_day(text: str) -> str | None:
    """Read a recurring day: ``01-01&00:00`` is every year on 1 January, ``01&00:00`` the first of every month.

    Returns ``MM-DD hh:mm`` or ``DD hh:mm``, None for other text.
    """
    match = _SET_DAY.match(text.strip())
    if match is None:
        return None
    part = match.groupdict()
    # 2000 had a 29 February and January has 31 days: both are the widest choice.
    if _build({"year": 2000, "month": int(part["month"] or 1), "day": int(part["day"])}) is None:
        return None
    if int(part["hour"]) > 23 or int(part["minute"]) > 59:
        return None
    day = f"{part['month']}-{part['day']}" if part["month"] else part["day"]
    return f"{day} {part['hour']}:{part['minute']}"


def _build(part: dict[str, int]) -> dt.datetime | dt.date | None:
    year = part["year"] + 2000 if part["year"] < 100 else part["year"]
    try:
        if "hour" not in part:
            return dt.date(year, part["month"], part["day"])
        return dt.datetime(year, part["month"], part["day"], part["hour"], part["minute"], part.get("second", 0))
    except ValueError:
        return None
