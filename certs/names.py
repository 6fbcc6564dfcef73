"""Names that people type: organizations, tags and domains, and the file names made of them.

A name may be written in any script. It may not hold anything that a reader does not see or that changes the order of
what is seen: control and format characters (bidi marks, zero-width joints), line breaks, private use.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from certs.errors import RequestError
from certs.levels import Level

MAX_ORGANIZATION: Final = 64
"""Characters of an organization: ub-organization-name of RFC 5280, appendix A.1."""

MAX_TAG: Final = 64
"""Characters of a tag. The attribute (2.5.4.13) could hold more; a screen and a file name cannot."""

_MAX_PART: Final = 64  # bytes of one part of a file name; three of them and an ending stay below 255
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def check_organization(text: str) -> str:
    """Return ``text`` in Unicode form NFC. Raises :class:`RequestError` ``organization-name``."""
    return _check(text, "organization", "organization-name", MAX_ORGANIZATION)


def check_tag(text: str) -> str:
    """Return ``text`` in Unicode form NFC. Raises :class:`RequestError` ``csr-tag``."""
    return _check(text, "tag", "csr-tag", MAX_TAG)


def is_plain(text: str, limit: int) -> bool:
    """Tell whether ``text`` is a name: seen as it is, NFC, no blank at an end, 1 to ``limit`` characters."""
    return (
        1 <= len(text) <= limit
        and text == text.strip()
        and unicodedata.is_normalized("NFC", text)
        and not any(unicodedata.category(character) in _UNSEEN for character in text)
    )


def _check(text: str, what: str, code: str, limit: int) -> str:
    if len(text) > limit * 4:  # before anything walks over megabytes
        raise RequestError(code, f"the {what} has more than {limit} characters", f"Shorten the {what}.")
    name = unicodedata.normalize("NFC", text.strip())
    if not name:
        raise RequestError(code, f"the {what} is empty", f"Give a {what} of 1 to {limit} characters.")
    if len(name) > limit:
        raise RequestError(code, f"the {what} has more than {limit} characters", f"Shorten the {what}.")
    if not is_plain(name, limit):
        raise RequestError(code, f"the {what} holds characters that cannot be seen", "Type it anew, on one line.")
    return name


def file_name(organization: str, level: Level | str, tag: str, extension: str) -> str:
    """Return ``{organization}_{Level}_{Tag}.{extension}``, safe on every file system.

    Anything but letters, digits, blanks and ``-`` becomes ``-``. No part holds a dot and none stands alone, so neither
    ``..`` nor a device name (``CON``) can come out. A file name is never read as data.
    """
    kind = level.value if isinstance(level, Level) else level
    return f"{safe_part(organization)}_{safe_part(kind)}_{safe_part(tag)}.{extension}"


def safe_part(text: str) -> str:
    """Return ``text`` as a part of a file name: see :func:`file_name`. At most 64 bytes, never empty."""
    kept = "".join(
        character if character in " -" or unicodedata.category(character)[0] in "LMN" else "-"
        for character in unicodedata.normalize("NFC", text[: MAX_TAG * 4])
    )
    part = re.sub(r" *-[ -]*", "-", re.sub(r" {2,}", " ", kept)).strip(" -")
    return part.encode()[:_MAX_PART].decode(errors="ignore").strip(" -") or "unnamed"
