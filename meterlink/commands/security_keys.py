"""New keys in a meter, through its security setup (IC 64): transferred under the master key, agreed on, made by the
meter itself."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from certs.levels import Permission
from meterlink.commands.secrets import MeterSecrets
from meterlink.commands.security_words import KEY_KINDS, word_of
from meterlink.commands.uncertain import CallUncertain, Course, call_or_tell, never_left, reason
from meterlink.cosem.association.config import SECURITY_SETUP
from meterlink.cosem.objects import security_setup as setup
from meterlink.cosem.objects.security_setup import CertificateType
from meterlink.errors import AssociationRefused, MeterRefused, UsageError
from meterlink.security.keys import KeyId, KeySet
from meterlink.session import Session
from meterlink.values import Obis

FIRST_COUNTER: Final = 1024
"""First invocation counter under keys that were agreed on: above all that the association used that agreed."""

OF_SESSIONS: Final = frozenset({KeyId.UNICAST, KeyId.AUTHENTICATION})
"""Keys without which no session opens: whether they are in the meter, a session tells."""

KEEP_BOTH: Final = "keep both key files, and try a session with each"
"""What to do when a transfer is uncertain."""

TRY_OLD: Final = (
    "try a session with the old keys; if it does not open, transfer or agree on keys in another association that the "
    "meter has"
)
"""What to do when an agreement is uncertain."""

MAKE_ANOTHER: Final = "run the command again: what counts is the last key pair"
"""What to do when it is uncertain whether a key pair was made."""

_NEEDED: Final = "keys-needed"
_WITH_A_TAG: Final = frozenset({"authenticated", "authenticated-encrypted"})


@dataclass(frozen=True, slots=True)
class TransferKeys:
    """Transfer ``keys``, each wrapped under the meter's ``master`` key. They are in force from the next association on.

    They must be kept elsewhere: what is sent cannot be read back.
    """

    name: ClassVar[str] = "cosem security transfer-key"
    permission: ClassVar[Permission] = Permission.COMMISSION

    keys: Mapping[KeyId, bytes] = field(repr=False)
    master: bytes = field(repr=False)
    instance: Obis = SECURITY_SETUP
    course: Course = field(default_factory=Course, repr=False)

    async def run(self, session: Session) -> None:
        """Do it. Raises MeterRefused, and CallUncertain when the session breaks meanwhile."""
        call = setup.transfer_keys(self.instance, self.keys, self.master)
        words = " and ".join(map(word_of, self.keys))
        await call_or_tell(
            session,
            call,
            f"the {words} key was transferred",
            KEEP_BOTH,
            refused="is `master` in the key file the master key of this meter, and does this association take keys?",
            course=self.course,
        )


@dataclass(frozen=True, slots=True)
class ProveKeys:
    """Prove that the keys of the session are those of the meter, by reading a name that every client may read."""

    name: ClassVar[str] = "cosem security transfer-key"
    permission: ClassVar[Permission] = Permission.COMMISSION

    instance: Obis = SECURITY_SETUP

    async def run(self, session: Session) -> None:
        """Do it. Raises what the session raises when they are not; a refusal proves the keys as well."""
        try:
            await session.get(setup.attribute(self.instance, 1))
        except MeterRefused:
            return


def proves_keys(options: Mapping[str, str]) -> bool:
    """Tell whether a session that the URL's ``options`` ask for, with a key file, opens under the unicast and the
    authentication key of that file alone: in mechanism GMAC, or where its messages are authenticated with them.

    One with certificates agrees on keys of its own, and one without ciphering uses none.
    """
    security = options.get("security", "certificate").lower()
    if security in {"certificate", "hls-gmac"}:
        return security == "hls-gmac"
    ciphering = options.get("ciphering", "none" if security == "none" else "")
    policy = options.get("policy", "authenticated-encrypted").lower().split(",")
    return ciphering.lower() != "none" and not _WITH_A_TAG.isdisjoint(policy)


def keys_to_transfer(old: MeterSecrets, new: MeterSecrets, kinds: Collection[KeyId]) -> dict[KeyId, bytes]:
    """Return the keys of ``kinds`` in ``new``; without kinds, those that are not as in ``old``.

    ``new`` is to serve for the next session, so what is not transferred must be as it was. Raises UsageError
    ``keys-needed`` or ``new-keys``; no message holds a key.
    """
    if old.keys is None or old.keys.master is None:
        raise UsageError(
            "the master key wraps the new ones, and is not known", code=_NEEDED, hint="put `master` into --keys FILE"
        )
    if new.keys is None:
        raise _fault("it holds no keys", "the file is a whole key file, the one for the sessions afterwards")
    if len(new.keys.unicast) != len(old.keys.unicast):
        raise _fault("its keys have another length than the present ones", "keys of one suite have one length")
    changed = {key_id for key_id in KeyId if _differ(_key(old.keys, key_id), _key(new.keys, key_id))}
    chosen = set(kinds) or changed
    if not chosen:
        raise _fault("all keys in it are the present ones", "put a new key into it: openssl rand -hex 16")
    for key_id in sorted(chosen - changed):
        why = "has none" if _key(new.keys, key_id) is None else "has the present one"
        raise _fault(f"of the {word_of(key_id)} key it {why}", "put the new key into it: openssl rand -hex 16")
    for key_id in sorted(changed - chosen):
        raise _fault(
            f"its {word_of(key_id)} key is not the present one either, so it would not open a session afterwards",
            f"transfer that, too, with --kind {word_of(key_id)}, or give it as it is",
        )
    return {key_id: key for key_id in KeyId if key_id in chosen and (key := _key(new.keys, key_id)) is not None}


@dataclass(frozen=True, slots=True)
class AgreeKeys:
    """Agree with the meter on a new unicast and a new authentication key, C(2e,0s): forward secrecy, and no master key.

    ``keep`` is given the new keys at once. For an association that was made with signatures and shared keys.
    """

    name: ClassVar[str] = "cosem security agree-keys"
    permission: ClassVar[Permission] = Permission.COMMISSION

    keep: Callable[[KeySet], None]
    course: Course = field(default_factory=Course, repr=False)

    async def run(self, session: Session) -> None:
        """Do it. Raises AssociationRefused, CallUncertain when the session breaks meanwhile, and what ``keep`` does."""
        self.course.began = True
        try:
            agreed = await session.agree_keys()
        except AssociationRefused:
            self.course.began = False
            raise
        except Exception as error:
            if never_left(session, error):
                self.course.began = False
                raise
            raise CallUncertain(
                f"the session broke while keys were agreed on ({reason(error)}): "
                "the meter has the old keys, or new ones that nobody else knows",
                hint=TRY_OLD,
            ) from error
        self.keep(agreed.keys)
        self.course.done = True


@dataclass(frozen=True, slots=True)
class GenerateKeyPair:
    """Have the meter make a new key pair for ``use``; it takes effect with its certificate."""

    name: ClassVar[str] = "cosem security generate-key-pair"
    permission: ClassVar[Permission] = Permission.COMMISSION

    use: CertificateType = CertificateType.DIGITAL_SIGNATURE
    instance: Obis = SECURITY_SETUP
    course: Course = field(default_factory=Course, repr=False)

    async def run(self, session: Session) -> None:
        """Do it. Raises MeterRefused, and CallUncertain when the session breaks meanwhile."""
        call = setup.generate_key_pair(self.instance, self.use)
        refused = "this meter may have no keys for this use"
        await call_or_tell(session, call, "a key pair was made", MAKE_ANOTHER, refused=refused, course=self.course)


def kinds_of(words: Collection[str]) -> tuple[KeyId, ...]:
    """Return the keys that ``words`` of :data:`~.security_words.KEY_KINDS` name, each once."""
    return tuple(dict.fromkeys(KEY_KINDS[word] for word in words))


def _key(keys: KeySet, key_id: KeyId) -> bytes | None:
    return {
        KeyId.UNICAST: keys.unicast,
        KeyId.BROADCAST: keys.broadcast,
        KeyId.AUTHENTICATION: keys.authentication,
        KeyId.MASTER: keys.master,
    }[key_id]


def _differ(old: bytes | None, new: bytes | None) -> bool:
    """A file that does not tell a key says nothing of it."""
    return new is not None and (old is None or not hmac.compare_digest(old, new))


def _fault(message: str, hint: str) -> UsageError:
    return UsageError(f"the file with the new keys is not usable: {message}", code="new-keys", hint=hint)
