"""`meterlink cosem security transfer-key`, `agree-keys` and `generate-key-pair`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import click

from certs.cli.output import confirm, json_option
from meterlink.cli.acting import SessionOptions, act, session_options
from meterlink.cli.cosem_security_options import finish, instance_option, told_when_stopped
from meterlink.commands.connect import Target, target_of
from meterlink.commands.key_file import KeyFileCopy
from meterlink.commands.secrets import meter_secrets
from meterlink.commands.security_keys import (
    KEEP_BOTH,
    MAKE_ANOTHER,
    OF_SESSIONS,
    TRY_OLD,
    AgreeKeys,
    GenerateKeyPair,
    ProveKeys,
    TransferKeys,
    keys_to_transfer,
    kinds_of,
    proves_keys,
)
from meterlink.commands.security_words import KEY_KINDS, KEY_USES, USES, word_of
from meterlink.commands.uncertain import CallUncertain
from meterlink.errors import LinkError, MeterlinkError, UsageError
from meterlink.values import Obis

_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.command("transfer-key")
@click.argument("url")
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(tuple(KEY_KINDS)),
    multiple=True,
    help="Which key, may be repeated. Default: every key that is new in the file.",
)
@click.option("--new-keys", type=_FILE, required=True, help="Key file for the sessions afterwards, with the new keys.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@instance_option
@session_options
@json_option
def transfer_key(
    url: str,
    kinds: tuple[str, ...],
    new_keys: Path,
    yes: bool,
    instance: Obis,
    keys: Path | None,
    trace: Path | None,
) -> None:
    """Put new shared keys into the meter, wrapped under its master key (AES key wrap).

    The new keys are read from a key file that others cannot read, never from the command line; the master key stands
    in --keys. From the next session on the meter is reached with the new file.
    """
    target = target_of(url)
    old = meter_secrets(keys)
    chosen = keys_to_transfer(old, meter_secrets(new_keys), kinds_of(kinds))
    assert old.keys is not None
    assert old.keys.master is not None
    words = [word_of(key_id) for key_id in chosen]
    question = f"Replace the {' and '.join(words)} key of the meter at {target.url}? Keep {new_keys} safe."
    with told_when_stopped("the meter has the old keys or the new ones", KEEP_BOTH) as course:
        try:
            command = TransferKeys(chosen, old.keys.master, instance, course)
            act(target, command, SessionOptions(keys, trace), ask=partial(confirm, question, yes=yes))
        except CallUncertain as error:
            # Only a session under these keys tells which the meter has.
            if not proves_keys(target.url.options) or not OF_SESSIONS & chosen.keys():
                raise
            _find_out(target, error, keys, new_keys, instance)
    finish(
        target,
        {"transferred": words, "keys": str(new_keys)},
        f"{' and '.join(words)} key transferred; from the next session on: --keys {new_keys}",
    )


@click.command("agree-keys")
@click.argument("url")
@click.option("--out", type=_FILE, required=True, help="Key file to write: the present one, with the new keys.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@session_options
@json_option
def agree_keys(url: str, out: Path, yes: bool, keys: Path | None, trace: Path | None) -> None:
    """Agree with the meter on a new unicast and a new authentication key (ECDH), in place of the shared ones.

    Needs security=hls-ecdsa and --keys. A session with certificates agrees on fresh keys by itself, every time.
    """
    target = target_of(url)
    ciphered = target.url.options.get("ciphering", "").lower() != "none"
    if target.security != "hls-ecdsa" or not ciphered or keys is None or meter_secrets(keys).keys is None:
        raise UsageError(
            "keys are agreed on after signatures, in place of keys that were shared before",
            code="association",
            hint="give ?security=hls-ecdsa in the URL, and --keys FILE with keys; a session with certificates does it "
            "by itself",
        )
    question = (
        f"Replace the unicast and the authentication key of the meter at {target.url}? "
        "If the link breaks meanwhile, the meter may have keys that nobody else knows."
    )
    maybe = f"the meter may have new keys: those in {out} if that is there, else nobody knows them"
    with KeyFileCopy(keys, out) as copy, told_when_stopped(maybe, TRY_OLD) as course:
        command = AgreeKeys(copy.write, course)
        act(target, command, SessionOptions(keys, trace), ask=partial(confirm, question, yes=yes))
    finish(
        target,
        {"agreed": sorted(word_of(key_id) for key_id in OF_SESSIONS), "keys": str(out)},
        f"authentication and unicast key agreed on; from the next session on: --keys {out}",
    )


@click.command("generate-key-pair")
@click.argument("url")
@click.option("--use", type=click.Choice(KEY_USES), default=KEY_USES[0], show_default=True, help="What it is for.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@instance_option
@session_options
@json_option
def generate_key_pair(url: str, use: str, yes: bool, instance: Obis, keys: Path | None, trace: Path | None) -> None:
    """Have the meter make a new key pair; it takes effect with its certificate."""
    target = target_of(url)
    question = (
        f"Have the meter at {target.url} make a new key pair for {use}? "
        "A request that it made before can then not be answered any more."
    )
    with told_when_stopped("the meter may have a new key pair", MAKE_ANOTHER) as course:
        command = GenerateKeyPair(USES[use], instance, course)
        act(target, command, SessionOptions(keys, trace), ask=partial(confirm, question, yes=yes))
    finish(target, {"generated": use}, f"new key pair for {use}; now: meterlink cosem security csr")


def _find_out(target: Target, uncertain: LinkError, old: Path | None, new: Path, instance: Obis) -> None:
    """Try a session with the new keys, then one with the old: that is not sending them again.

    Raises ``uncertain`` as it is where neither opens, LinkError ``write-lost`` where the old keys still do.
    """
    if _opens(target, SessionOptions(new), instance):
        return
    if not _opens(target, SessionOptions(old), instance):
        raise uncertain
    raise LinkError(
        "the link broke before the keys arrived; tried over a new one, the meter still has the old ones",
        code="write-lost",
        hint="run the command again",
    ) from uncertain


def _opens(target: Target, options: SessionOptions, instance: Obis) -> bool:
    try:
        act(target, ProveKeys(instance), options)
    except MeterlinkError:
        return False
    return True
