"""The URL's ``policy``: what protects each message under keys that were shared before.

The words are those of a meter's security policy (Security setup, IC 64). What is asked for is sent, and less is not
taken: a meter that protects more than that is understood, one that protects less is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from meterlink.commands.words import word
from meterlink.cosem.association import FULL_PROTECTION, SecurityPolicy
from meterlink.cosem.objects.security_policy import POLICY_WORDS, policy_from_words
from meterlink.errors import UsageError

AUTHENTICATED: Final = policy_from_words(["authenticated"])
"""Requests and answers that only who has the keys can make."""

_ENCRYPTED: Final = policy_from_words(["encrypted"])
_FULL: Final = "authenticated-encrypted"
_WORDS: Final[Mapping[str, SecurityPolicy]] = MappingProxyType(
    {_FULL: FULL_PROTECTION}
    | {text: policy_from_words([text]) for text in POLICY_WORDS if policy_from_words([text]) in FULL_PROTECTION}
)
_DIRECTIONS: Final[Mapping[str, SecurityPolicy]] = MappingProxyType(
    {
        "requests": SecurityPolicy.AUTHENTICATED_REQUEST | SecurityPolicy.ENCRYPTED_REQUEST,
        "answers": SecurityPolicy.AUTHENTICATED_RESPONSE | SecurityPolicy.ENCRYPTED_RESPONSE,
    }
)


def policy_word(options: Mapping[str, str]) -> SecurityPolicy:
    """Read the URL's ``policy``, full protection where it says nothing. Raises UsageError (``url-invalid``)."""
    asked = options.get("policy", _FULL)
    policy = SecurityPolicy.NONE
    for text in asked.split(","):
        policy |= word("policy", text, _WORDS)
    for direction, flags in _DIRECTIONS.items():
        if not policy & flags:
            raise UsageError(
                f"policy={asked} leaves {direction} without any protection",
                code="url-invalid",
                hint="ciphering=none is what does without",
            )
    return policy


def unprotected(policy: SecurityPolicy) -> tuple[str, ...]:
    """Return what is not protected under ``policy``, in sentences for the user."""
    open_ = _directions(FULL_PROTECTION & _ENCRYPTED & ~policy)
    changeable = _directions(FULL_PROTECTION & AUTHENTICATED & ~policy)
    told = []
    if open_:
        told.append(f"{open_} were authenticated and not encrypted: whoever listened knows what they say")
    if changeable:
        told.append(f"{changeable} were encrypted and not authenticated: somebody between may have changed them")
    return tuple(told)


def _directions(missing: SecurityPolicy) -> str:
    return " and ".join(direction for direction, flags in _DIRECTIONS.items() if missing & flags)
