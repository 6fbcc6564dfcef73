"""The steps inside one ledger transaction, and how rows become records."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Any, Final, cast

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certs import profile
from certs.authority.home import key_id
from certs.authority.ledger import Transaction
from certs.authority.records import METER, IssuedCertificate, OrderedToken, TokenRecord
from certs.authority.revocation_list import Revoked
from certs.authority.schema import certificates_table, crls_table, orders_table, tokens_table
from certs.domain import TrustDomain
from certs.errors import AuthorityError, RequestError, TokenError
from certs.levels import Level
from certs.token import Token

NEW_TOKEN = "Order a new token for this person (authority order)."  # noqa: S105 - a hint

_tokens = sa.select(tokens_table, orders_table.c.mail).join(orders_table)


def key_digest(key: ec.EllipticCurvePublicKey) -> str:
    """Return SHA-256 over a public key, in hex."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def serial_text(certificate: x509.Certificate) -> str:
    """Return a certificate's serial in hex, as OpenSSL prints it but in lower case."""
    text = f"{certificate.serial_number:x}"
    return text.zfill(len(text) + len(text) % 2)


def record_order(tx: Transaction, order_id: str, ordered: Sequence[OrderedToken]) -> None:
    """Record an order and its tokens; the tokens' texts are secrets and stay out."""
    first = ordered[0]
    order = {
        "id": order_id,
        "organization": first.token.organization,
        "level": first.token.level.value,
        "count": len(ordered),
        "mail": first.mail,
        "ordered": tx.moment,
    }
    tx.insert(orders_table, order)
    tx.insert(
        tokens_table,
        [
            {
                "id": item.token.serial,
                "order_id": order_id,
                "level": item.token.level.value,
                "organization": item.token.organization,
                "system_title": item.token.system_title.hex(),
                "suite": item.token.suite,
                "issued": int(item.token.issued.timestamp()),
                "expires": int(item.token.expires.timestamp()),
            }
            for item in ordered
        ],
    )
    tx.log("order", **{name: value for name, value in order.items() if name != "ordered"})


def address_of_unspent(connection: sa.Connection, token: Token) -> str | None:
    """Return where the answer to a token goes, after checking that it was ordered and not spent.

    Raises :class:`TokenError` ``token-unknown`` or ``token-used``.
    """
    row = connection.execute(_tokens.where(tokens_table.c.id == token.serial)).first()
    if row is None:
        # The signature holds, so it was ordered once: by a ledger that was lost, or set back to a backup.
        raise TokenError("token-unknown", "the token is in no order of this ledger", NEW_TOKEN)
    if row.spent is not None:
        raise token_used()
    return cast("str | None", row.mail)


def token_used() -> TokenError:
    """The error for a token that was spent before."""
    hint = "If the answer was lost, write it again with: meterlink authority answer SERIAL. " + NEW_TOKEN
    return TokenError("token-used", "the token was used for a certificate already", hint)


def spend_token(tx: Transaction, token: Token) -> None:
    """Mark a token as spent. Raises :class:`TokenError` ``token-used``."""
    unspent = (tokens_table.c.id == token.serial) & tokens_table.c.spent.is_(None)
    if tx.change(sa.update(tokens_table).where(unspent).values(spent=tx.moment)) != 1:
        raise token_used()


AGAIN: Final = "Create the request again: every request makes a key of its own."
NEW_KEY_PAIR: Final = "Have the meter make a new key pair first (cosem security generate-key-pair), then a request."


def check_key_is_new(connection: sa.Connection, key: ec.EllipticCurvePublicKey, hint: str = AGAIN) -> None:
    """Raises :class:`RequestError` ``key-reuse`` with ``hint`` when ``key`` is in a certificate already."""
    query = sa.select(certificates_table.c.serial).where(certificates_table.c.key_digest == key_digest(key))
    if (serial := connection.scalar(query)) is not None:
        message = f"the key was certified before, in certificate {serial}"
        raise RequestError("key-reuse", message, hint)


def check_title_is_no_persons(connection: sa.Connection, system_title: bytes) -> None:
    """Raises :class:`RequestError` ``csr-system-title`` when a person's certificate has this system title: a meter
    with it would take that person's place."""
    of_person = (certificates_table.c.system_title == system_title.hex()) & (certificates_table.c.level != METER)
    if (serial := connection.scalar(sa.select(certificates_table.c.serial).where(of_person))) is not None:
        message = f"the system title is that of a person, in certificate {serial}"
        raise RequestError("csr-system-title", message, "Read the system title off the meter; this is not its own.")


def certificates_of_meter(
    connection: sa.Connection, domain: TrustDomain, system_title: bytes
) -> tuple[IssuedCertificate, ...]:
    """Return the certificates of one meter, the oldest first."""
    own = (certificates_table.c.system_title == system_title.hex()) & (certificates_table.c.level == METER)
    query = sa.select(certificates_table).where(own)
    rows = connection.execute(query.order_by(certificates_table.c.issued, certificates_table.c.serial))
    return tuple(certificate_of(row, domain) for row in rows)


def check_not_renewed(connection: sa.Connection, serial: str) -> None:
    """Raises :class:`RequestError` ``renewal-used`` when a certificate has a successor already."""
    query = sa.select(certificates_table.c.serial).where(certificates_table.c.renewal_of == serial)
    if (successor := connection.scalar(query)) is not None:
        message = f"the certificate {serial} was renewed already, as {successor}"
        raise RequestError("renewal-used", message, NEW_TOKEN)


def record_certificate(
    tx: Transaction,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    level: Level | None,
    *,
    organization: str,
    system_title: bytes,
    tag: str,
    mail: str | None = None,
    token: Token | None = None,
    renewal_of: str | None = None,
) -> IssuedCertificate:
    """Record a certificate that was just signed."""
    public_key = certificate.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    level_name = level.value if level is not None else METER
    row = {
        "serial": serial_text(certificate),
        "issuer": key_id(issuer),
        "level": level_name,
        "organization": organization,
        "system_title": system_title.hex(),
        "tag": tag,
        "key_digest": key_digest(public_key),
        "token_id": token.serial if token is not None else None,
        "renewal_of": renewal_of,
        "mail": mail,
        "der": certificate.public_bytes(serialization.Encoding.DER),
        "not_before": int(certificate.not_valid_before_utc.timestamp()),
        "not_after": int(certificate.not_valid_after_utc.timestamp()),
        "issued": tx.moment,
    }
    tx.insert(certificates_table, row)
    shown = ("serial", "level", "organization", "system_title", "tag", "key_digest", "token_id", "renewal_of")
    tx.log("issue", **{name: row[name] for name in shown if row[name] is not None})
    return IssuedCertificate(
        certificate=certificate,
        chain=(issuer,),
        serial=serial_text(certificate),
        level=level,
        organization=organization,
        system_title=system_title,
        tag=tag,
        mail=mail,
        issued=_time(tx.moment),
        renewal_of=renewal_of,
    )


def revoke(tx: Transaction, serial: str, reason: x509.ReasonFlags) -> None:
    """Mark a certificate as revoked. Raises :class:`AuthorityError` ``revoked-already``."""
    valid = (certificates_table.c.serial == serial) & certificates_table.c.revoked.is_(None)
    if tx.change(sa.update(certificates_table).where(valid).values(revoked=tx.moment, reason=reason.value)) != 1:
        raise AuthorityError("revoked-already", f"the certificate {serial} is revoked already")
    tx.log("revoke", serial=serial, reason=reason.value)


def next_crl_number(tx: Transaction, issuer: x509.Certificate) -> int:
    """Count the revocation lists of a CA and return the number of the next one."""
    issuer_id = key_id(issuer)
    own = crls_table.c.issuer == issuer_id
    present = tx.connection.scalar(sa.select(crls_table.c.number).where(own)) or 0
    if tx.change(sa.update(crls_table).where(own).values(number=present + 1)) == 0:
        tx.insert(crls_table, {"issuer": issuer_id, "number": 1})
    return int(present) + 1


def revoked_by(connection: sa.Connection, issuer: x509.Certificate) -> list[Revoked]:
    """Return every revoked certificate of a CA, the expired ones included."""
    columns = (certificates_table.c.serial, certificates_table.c.revoked, certificates_table.c.reason)
    query = sa.select(*columns).where(
        certificates_table.c.issuer == key_id(issuer), certificates_table.c.revoked.is_not(None)
    )
    rows = connection.execute(query.order_by(certificates_table.c.serial))
    return [(row.serial, row.revoked, row.reason) for row in rows]


def find_certificate(connection: sa.Connection, domain: TrustDomain, serial: str) -> IssuedCertificate:
    """Return a certificate by its serial (hex, any case, colons allowed) or the beginning of one.

    Raises :class:`AuthorityError` ``no-such-certificate`` or ``several-certificates``.
    """
    wanted = serial.replace(":", "").strip().lower()
    if not wanted or not set(wanted) <= set("0123456789abcdef"):
        raise AuthorityError("no-such-certificate", "a serial is a hexadecimal number", "See authority list.")
    query = sa.select(certificates_table).where(certificates_table.c.serial.startswith(wanted))
    rows = connection.execute(query.limit(2)).all()
    if not rows:
        raise AuthorityError("no-such-certificate", f"no certificate has the serial {wanted}", "See authority list.")
    if len(rows) > 1 and rows[0].serial != wanted:
        message = f"several certificates have a serial that begins with {wanted}"
        raise AuthorityError("several-certificates", message, "Give more digits.")
    return certificate_of(rows[0], domain)


def certificates(connection: sa.Connection, domain: TrustDomain) -> tuple[IssuedCertificate, ...]:
    """Return every certificate, the oldest first."""
    query = sa.select(certificates_table).order_by(certificates_table.c.issued, certificates_table.c.serial)
    return tuple(certificate_of(row, domain) for row in connection.execute(query))


def tokens(connection: sa.Connection) -> tuple[TokenRecord, ...]:
    """Return every token, the oldest first."""
    query = _tokens.order_by(tokens_table.c.issued, tokens_table.c.id)
    return tuple(
        TokenRecord(
            id=row.id,
            order_id=row.order_id,
            level=Level(row.level),
            organization=row.organization,
            system_title=bytes.fromhex(row.system_title),
            mail=row.mail,
            issued=_time(row.issued),
            expires=_time(row.expires),
            spent=_time(row.spent) if row.spent is not None else None,
        )
        for row in connection.execute(query)
    )


def tokens_of_order(connection: sa.Connection, order_id: str) -> tuple[tuple[Token, str | None], ...]:
    """Return the unspent tokens of an order and where they go. Raises :class:`AuthorityError` ``no-such-order``."""
    rows = connection.execute(_tokens.where(tokens_table.c.order_id == order_id).order_by(tokens_table.c.id)).all()
    if not rows:
        raise AuthorityError("no-such-order", f"no order has the id {order_id}", "See authority list.")
    return tuple((_token(row), row.mail) for row in rows if row.spent is None)


def certificate_of(row: sa.Row[Any], domain: TrustDomain) -> IssuedCertificate:
    """Return the record of a row. Its CA is looked up in the domain."""
    return IssuedCertificate(
        certificate=x509.load_der_x509_certificate(row.der),
        chain=tuple(ca for ca in domain.authorities if key_id(ca) == row.issuer)[:1],
        serial=row.serial,
        level=Level(row.level) if row.level != METER else None,
        organization=row.organization,
        system_title=bytes.fromhex(row.system_title),
        tag=row.tag,
        mail=row.mail,
        issued=_time(row.issued),
        answered=_time(row.answered) if row.answered is not None else None,
        revoked=_time(row.revoked) if row.revoked is not None else None,
        reason=row.reason,
        renewal_of=row.renewal_of,
    )


def _token(row: sa.Row[Any]) -> Token:
    return Token(
        id=bytes.fromhex(row.id),
        level=Level(row.level),
        organization=row.organization,
        system_title=bytes.fromhex(row.system_title),
        suite=row.suite,
        issued=_time(row.issued),
        expires=_time(row.expires),
    )


def _time(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def check_system_title_text(text: str) -> bytes:
    """Return the 8 bytes of a system title that a person typed. Raises :class:`AuthorityError` ``system-title``."""
    try:
        return profile.parse_system_title(text.strip().upper())
    except ValueError as error:
        raise AuthorityError(
            "system-title", str(error), "Read it off the meter, for example 4D4C4B0000000001."
        ) from None
