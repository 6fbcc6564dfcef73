"""Error codes of a meter in words, with what to do."""

from __future__ import annotations

from meterlink.meters.profile import Profile

NO_ERROR = "no error"


def describe(text: str, profile: Profile) -> str:
    """Put the error field of a readout into words.

    ``text`` is what stands in the parentheses of ``F``: ``0`` or nothing is no error, else digits or codes. A code that
    the profile does not know is named as it is.
    """
    codes = _codes(text)
    if not codes:
        return NO_ERROR
    return "; ".join(_sentence(code, profile) for code in codes)


def _codes(text: str) -> list[str]:
    cleaned = text.strip().upper().replace("&", " ").replace(",", " ")
    if cleaned in {"", "0", "00", "F", "-"}:
        return []
    return [part if part.startswith("F") else f"F{part}" for part in cleaned.split()]


def _sentence(code: str, profile: Profile) -> str:
    flag = profile.flag(code)
    if flag is None:
        return f"{code}: not known of this meter family"
    return f"{code}: {flag.meaning}. {flag.action}"
