"""general-ciphering and general-signing, as the URL asks for them and as the key file has the keys for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

from meterlink.commands.policy_word import AUTHENTICATED, policy_word
from meterlink.commands.secrets import MeterSecrets
from meterlink.commands.words import needed, word, yes_or_no
from meterlink.cosem.association import FULL_PROTECTION, GeneralProtection, KeyChoice, Mechanism, SecurityPolicy
from meterlink.cosem.association.general_protection import ONE_TIME_KEYS
from meterlink.errors import UsageError
from meterlink.security.keys import KeySet
from meterlink.security.suites import Suite

GENERAL_CIPHERING: Final = "general-ciphering"
"""The word of the URL's key ``ciphering``."""

KEY_CHOICES: Final[Mapping[str, KeyChoice]] = MappingProxyType(
    {
        "identified": KeyChoice.UNICAST,
        "known": KeyChoice.KNOWN,
        "wrapped": KeyChoice.WRAPPED,
        "agreed-c1e1s": KeyChoice.ONE_PASS,
        "agreed-c0e2s": KeyChoice.STATIC,
    }
)
"""Words of the URL's key ``key``, the first where it is not given."""

_SIGNING: Final[Mapping[str, SecurityPolicy]] = MappingProxyType(
    {
        "none": SecurityPolicy.NONE,
        "requests": SecurityPolicy.SIGNED_REQUEST,
        "responses": SecurityPolicy.SIGNED_RESPONSE,
        "both": SecurityPolicy.SIGNED_REQUEST | SecurityPolicy.SIGNED_RESPONSE,
    }
)

AGREED_KEYS: Final = frozenset({KeyChoice.ONE_PASS, KeyChoice.STATIC})
"""Choices that need the key agreement keys of both sides."""


@dataclass(frozen=True, slots=True)
class GeneralWords:
    """What the URL says: the key of general-ciphering (None: another ciphering), what is signed, what is authenticated
    and encrypted, and which reading of the standard the meter follows (see
    :class:`~meterlink.cosem.association.GeneralProtection`)."""

    choice: KeyChoice | None = None
    signed: SecurityPolicy = SecurityPolicy.NONE
    protected: SecurityPolicy = FULL_PROTECTION
    header_authenticated: bool = True
    signed_length: bool = False

    @property
    def policy(self) -> SecurityPolicy:
        """The security policy of the association."""
        return self.protected | self.signed

    @property
    def needs_transactions(self) -> bool:
        """Whether transaction identifiers must grow from one association to the next."""
        return bool(self.signed) or self.choice in ONE_TIME_KEYS

    @property
    def tells_answers_apart(self) -> bool:
        """Whether an answer of an older association cannot be taken for one of this: it belongs to a transaction that
        nobody can change."""
        return self.choice in ONE_TIME_KEYS and (self.header_authenticated or self.choice is KeyChoice.STATIC)

    def protection(self, secrets: MeterSecrets, keys: KeySet, suite: Suite) -> GeneralProtection | None:
        """Return what the association needs, None where the URL asks for neither. Raises UsageError (``keys-needed``,
        ``key-file``) for a key that is missing or not of the suite."""
        if self.choice is None and not self.signed:
            return None
        if self.choice is KeyChoice.WRAPPED and keys.master is None:
            raise needed("the master key", "put master into the key file")
        if self.choice in AGREED_KEYS:
            self._check_agreement(secrets, suite)
        return GeneralProtection(
            choice=self.choice,
            agreement_key=secrets.agreement_key,
            peer_agreement_key=secrets.meter_agreement_key,
            header_authenticated=self.header_authenticated,
            signed_length=self.signed_length,
        )

    def _check_agreement(self, secrets: MeterSecrets, suite: Suite) -> None:
        keys: tuple[tuple[str, EllipticCurvePrivateKey | EllipticCurvePublicKey | None], ...] = (
            ("agreement_key", secrets.agreement_key),
            ("meter_agreement_key", secrets.meter_agreement_key),
        )
        for name, key in keys:
            if key is None:
                raise needed(
                    "a key agreement key of each side", "put agreement_key and meter_agreement_key into the key file"
                )
            if suite is Suite.SUITE_0 or key.curve.name != suite.curve.name:
                raise UsageError(
                    f"{name} is on {key.curve.name}, which is not the curve of security suite {suite.value}",
                    code="key-file",
                    hint="the keys of one meter are all of one suite",
                )


def general_words(options: Mapping[str, str], mechanism: Mechanism) -> GeneralWords:
    """Read the URL's ``options``. Raises UsageError (``url-invalid``) for a word that is not known, or that has nothing
    to say beside the others."""
    general = options.get("ciphering", "").lower() == GENERAL_CIPHERING
    signed = word("signing", options.get("signing", "none"), _SIGNING)
    for key, has_sense, where in (
        ("key", general, f"ciphering={GENERAL_CIPHERING}"),
        ("header-authenticated", general, f"ciphering={GENERAL_CIPHERING}"),
        ("signed-length", bool(signed), "signing"),
    ):
        if key in options and not has_sense:
            raise UsageError(
                f"{key} says nothing without {where}", code="url-invalid", hint=f"add {where}, or leave {key} out"
            )
    choice = word("key", options.get("key", next(iter(KEY_CHOICES))), KEY_CHOICES) if general else None
    if (signed or choice is KeyChoice.ONE_PASS) and mechanism is not Mechanism.ECDSA:
        what = "signing" if signed else "key=agreed-c1e1s"
        raise UsageError(
            f"{what} needs keys to sign with, and security={options.get('security', 'none')} has none",
            code="url-invalid",
            hint="only security=hls-ecdsa knows the signing keys of both sides",
        )
    protected = policy_word(options)
    if choice in ONE_TIME_KEYS and AUTHENTICATED not in protected:
        raise UsageError(
            f"with key={options['key']} a message belongs to its transaction by being authenticated alone",
            code="url-invalid",
            hint="leave policy out, or say policy=authenticated",
        )
    return GeneralWords(
        choice,
        signed,
        protected,
        yes_or_no("header-authenticated", options.get("header-authenticated", "yes")),
        yes_or_no("signed-length", options.get("signed-length", "no")),
    )
