"""The attribute security_policy of Security setup (IC 64) in both versions, as numbers and in words.

Version 0 has four policies for requests and responses alike; version 1 has a bit for each protection and direction
(IEC 62056-6-2, 4.4.7). The words are ``authenticated``, ``encrypted`` and ``signed`` for both directions, and the same
with ``-request`` or ``-response`` for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from meterlink.errors import ProtocolError, UsageError
from meterlink.security.control import SecurityPolicy

_AUTHENTICATED: Final = SecurityPolicy.AUTHENTICATED_REQUEST | SecurityPolicy.AUTHENTICATED_RESPONSE
_ENCRYPTED: Final = SecurityPolicy.ENCRYPTED_REQUEST | SecurityPolicy.ENCRYPTED_RESPONSE
_SIGNED: Final = SecurityPolicy.SIGNED_REQUEST | SecurityPolicy.SIGNED_RESPONSE

_BOTH_WAYS: Final[Mapping[str, SecurityPolicy]] = MappingProxyType(
    {"authenticated": _AUTHENTICATED, "encrypted": _ENCRYPTED, "signed": _SIGNED}
)
_ONE_WAY: Final[Mapping[str, SecurityPolicy]] = MappingProxyType(
    {(flag.name or "").lower().replace("_", "-"): flag for flag in SecurityPolicy}
)

POLICY_WORDS: Final = (*_BOTH_WAYS, *_ONE_WAY)
"""Every word of a policy."""

_VERSION_0: Final = (SecurityPolicy.NONE, _AUTHENTICATED, _ENCRYPTED, _AUTHENTICATED | _ENCRYPTED)
"""The policies of version 0, by their number."""


def version_of_value(value: int) -> int | None:
    """Return which version of the class writes ``value``; None for 0, which asks for nothing in both.

    Raises ProtocolError ``policy`` for a number that neither has.
    """
    if value == 0:
        return None
    if value < len(_VERSION_0):
        return 0
    if value & ~sum(SecurityPolicy):
        raise ProtocolError(f"the meter's security policy {value} is not known", code="policy")
    return 1


def policy_from_value(value: int) -> SecurityPolicy:
    """Return the policy that an attribute of either version holds: their numbers do not overlap.

    Raises ProtocolError ``policy``.
    """
    return _VERSION_0[value] if not version_of_value(value) else SecurityPolicy(value)


def policy_to_value(policy: SecurityPolicy, version: int) -> int:
    """Return the number of ``policy`` in ``version`` of the class.

    Raises UsageError ``policy`` for one that version 0 cannot say.
    """
    if version > 0:
        return int(policy)
    if policy not in _VERSION_0:
        raise UsageError(
            f"a security setup of version 0 has no policy {' '.join(policy_words(policy))}",
            code="policy",
            hint="it knows authenticated, encrypted, and both; for requests and responses alike",
        )
    return _VERSION_0.index(policy)


def policy_words(policy: SecurityPolicy) -> tuple[str, ...]:
    """Return a policy in words; none for one that asks for nothing."""
    words = []
    for word, flags in _BOTH_WAYS.items():
        if flags in policy:
            words.append(word)
        else:
            words += [name for name, flag in _ONE_WAY.items() if flag in flags and flag in policy]
    return tuple(words)


def policy_from_words(words: Iterable[str]) -> SecurityPolicy:
    """Return the policy that ``words`` say together. Raises UsageError ``policy``."""
    policy = SecurityPolicy.NONE
    for word in words:
        flags = _BOTH_WAYS.get(word.lower()) or _ONE_WAY.get(word.lower())
        if flags is None:
            raise UsageError(
                f"{word!r} is no word of a security policy", code="policy", hint=f"one of {', '.join(POLICY_WORDS)}"
            )
        policy |= flags
    return policy
