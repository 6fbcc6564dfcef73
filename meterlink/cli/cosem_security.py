"""`meterlink cosem security`: policy, keys and certificates in a meter (Security setup, IC 64)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import click
from rich.console import Group, RenderableType
from rich.text import Text

from certs import clock
from certs.cli.output import confirm, json_option
from meterlink.cli.acting import SessionOptions, act, session_options
from meterlink.cli.cosem_security_certificates import csr, export, import_, remove
from meterlink.cli.cosem_security_keys import agree_keys, generate_key_pair, transfer_key
from meterlink.cli.cosem_security_options import finish, instance_option, told_when_stopped
from meterlink.commands.connect import target_of
from meterlink.commands.security_setup import (
    LOOK_AGAIN,
    ActivatePolicy,
    KnownCertificate,
    SecurityReport,
    ShowSecurity,
)
from meterlink.commands.security_words import word_of
from meterlink.cosem.objects.security_policy import POLICY_WORDS, policy_from_words, policy_words
from meterlink.security.control import SecurityPolicy
from meterlink.values import Obis

_IRREVOCABLE: Final = "The meter will refuse every message with less, from whomever, and this cannot be undone."


@click.group()
def security() -> None:
    """Policy, keys and certificates in a meter.

    show and export ask for the permission to read, everything else for the permission to commission.
    """


@security.command()
@click.argument("url")
@instance_option
@session_options
@json_option
def show(url: str, instance: Obis, keys: Path | None, trace: Path | None) -> None:
    """Show the policy, the suite, the system titles and the certificates that the meter has."""
    target = target_of(url)
    report = act(target, ShowSecurity(instance), SessionOptions(keys, trace))
    finish(target, report.as_json(), lambda: _shown(report))


@security.command()
@click.argument("url")
@click.argument("words", metavar="POLICY...", nargs=-1, required=True, type=click.Choice(POLICY_WORDS))
@click.option("--yes", is_flag=True, help="Do not ask.")
@instance_option
@session_options
@json_option
def activate(
    url: str, words: tuple[str, ...], yes: bool, instance: Obis, keys: Path | None, trace: Path | None
) -> None:
    """Make the policy stronger: what requests and responses must be from the next association on.

    POLICY is authenticated, encrypted, signed, or one of them with -request or -response for one direction; give all
    that is to hold. A weaker policy than the present one is refused before it is sent.
    """
    target = target_of(url)
    policy = policy_from_words(words)
    question = f"Let the meter at {target.url} ask for {_policy_text(policy)}? {_IRREVOCABLE}"
    command = partial(ActivatePolicy, policy, instance)
    with told_when_stopped("the meter may ask for the new policy, which cannot be undone", LOOK_AGAIN) as course:
        change = act(target, command(course), SessionOptions(keys, trace), ask=partial(confirm, question, yes=yes))
    changed = change.before != change.after
    was = f" (was {_policy_text(change.before)})" if changed else ""
    finish(
        target,
        {"before": list(policy_words(change.before)), "after": list(policy_words(change.after))},
        f"policy: {_policy_text(change.after)}{was}",
    )


for verb in (transfer_key, agree_keys, generate_key_pair, csr, import_, export, remove):
    security.add_command(verb)


def _policy_text(policy: SecurityPolicy) -> str:
    return " ".join(policy_words(policy)) or "nothing"


def _shown(report: SecurityReport) -> RenderableType:
    facts = [
        ("policy", _policy_text(report.policy)),
        ("suite", str(report.suite)),
        ("system title", _title(report.meter_title)),
        ("client", _title(report.client_title)),
    ]
    lines = [Text(f"{name + ':':<14}{value}") for name, value in facts]
    if report.certificates is None:
        return Group(*lines, Text("This is version 0 of the class: it keeps no certificates.", style="dim"))
    return Group(*lines, *(Text(line) for known in report.certificates for line in _lines(known)))


def _lines(known: KnownCertificate) -> tuple[str, ...]:
    if known.info is None:
        return (f"\nan entry that cannot be read ({known.why})",)
    body = known.as_json()
    head = f"\n{word_of(known.info.entity):<8}{body['subject']}"
    use = f"        for {word_of(known.info.kind)}, issued by {body['issuer']}"
    return head, use, f"        serial {body['serial']}", f"        {_validity(known)}"


def _validity(known: KnownCertificate) -> str:
    if known.certificate is None:
        return f"not exported ({known.why})"
    begin, end = known.certificate.not_valid_before_utc, known.certificate.not_valid_after_utc
    expired = ", expired" if clock.now() > end else ""
    return f"valid from {begin:%Y-%m-%d} until {end:%Y-%m-%d}{expired}"


def _title(title: bytes | None) -> str:
    return "not told" if title is None else title.hex().upper()
