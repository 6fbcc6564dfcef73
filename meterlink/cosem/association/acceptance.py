"""How a server judges an association request, before anything is accepted."""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from certs.errors import CertsError
from meterlink.cosem import apdu as xdlms
from meterlink.cosem.acse import Aare, Aarq, AssociationResult, Diagnostic
from meterlink.cosem.apdu import ConfirmedServiceError, InitiateRequest
from meterlink.cosem.apdu.errors import (
    DLMS_VERSION_TOO_LOW,
    INCOMPATIBLE_CONFORMANCE,
    INITIATE_ERROR,
    PDU_SIZE_TOO_SHORT,
)
from meterlink.cosem.apdu.initiate import DLMS_VERSION
from meterlink.cosem.association.config import AssociationConfig
from meterlink.cosem.association.proof import check_curve
from meterlink.errors import MeterlinkError, ProtocolError, SecurityError
from meterlink.security.hls import Exchange, Mechanism

_LEAST_PDU: Final = 64
"""Octets that a client must be able to receive: a protected response with a signature's worth of room to spare."""


class Rejected(Exception):
    """The association is refused. ``diagnostic`` and ``error`` go to the client and tell no more than the standard
    asks for; ``code`` and ``message`` go to the log."""

    def __init__(
        self, diagnostic: Diagnostic, code: str, message: str, error: ConfirmedServiceError | None = None
    ) -> None:
        super().__init__(message)
        self.diagnostic = diagnostic
        self.code = code
        self.message = message
        self.error = error

    def to_aare(self, config: AssociationConfig) -> Aare:
        """Return the AARE that says so."""
        information = b"" if self.error is None else self.error.to_bytes()
        return Aare(config.context, AssociationResult.REJECTED_PERMANENT, self.diagnostic, information)


def read_aarq(data: bytes) -> Aarq:
    """Read an AARQ. Raises Rejected."""
    try:
        return Aarq.from_bytes(data)
    except ProtocolError as error:
        known = {
            Diagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED.code: Diagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED,
            Diagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED.code: (
                Diagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED
            ),
        }
        diagnostic = known.get(error.code, Diagnostic.NO_REASON_GIVEN)
        raise Rejected(diagnostic, error.code, error.message) from None


def judge(aarq: Aarq, config: AssociationConfig) -> EllipticCurvePublicKey | None:
    """Return the client's public key where the mechanism has one. Raises Rejected.

    Context and mechanism must be exactly the configured ones: less is a downgrade, more is not spoken here.
    """
    if aarq.context is not config.context:
        raise Rejected(
            Diagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED, "downgrade", "another application context was asked for"
        )
    if aarq.mechanism is not config.mechanism:
        missing = aarq.mechanism is Mechanism.NONE
        raise Rejected(
            Diagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED
            if missing
            else Diagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED,
            "downgrade",
            "another authentication mechanism was asked for",
        )
    _judge_title(aarq, config)
    if config.mechanism is Mechanism.LOW:
        _judge_password(aarq, config)
    return _judge_key(aarq, config)


def _judge_title(aarq: Aarq, config: AssociationConfig) -> None:
    title = aarq.system_title
    needed = config.mechanism >= Mechanism.GMAC or config.ciphering is not None
    if needed and len(title or b"") != 8:
        raise Rejected(
            Diagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED, "system-title", "the client gives no system title of 8 octets"
        )
    if title is not None and title == config.system_title:
        raise Rejected(Diagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED, "reflected", "the client uses our own system title")


def _judge_password(aarq: Aarq, config: AssociationConfig) -> None:
    if not hmac.compare_digest(aarq.secret or b"", config.secret or b""):
        raise Rejected(Diagnostic.AUTHENTICATION_FAILURE, "authentication-failed", "the password is wrong")


def _judge_key(aarq: Aarq, config: AssociationConfig) -> EllipticCurvePublicKey | None:
    if config.mechanism is not Mechanism.ECDSA or config.verify_peer is None:
        return None
    if config.certificate is not None and aarq.certificate == config.certificate:
        raise Rejected(Diagnostic.AUTHENTICATION_FAILURE, "reflected", "the client uses our own certificate")
    try:
        key = config.verify_peer(aarq.system_title or b"", aarq.certificate or b"")
        check_curve(config, key)
    except (MeterlinkError, CertsError) as error:
        raise Rejected(Diagnostic.AUTHENTICATION_FAILURE, error.code, error.message) from None
    return key


def check_challenge(exchange: Exchange, mechanism: Mechanism) -> None:
    """Refuse a challenge that must not be offered. Raises Rejected."""
    try:
        exchange.check(mechanism)
    except SecurityError as error:
        raise Rejected(Diagnostic.AUTHENTICATION_FAILURE, error.code, error.message) from None


def negotiate(plain: bytes, config: AssociationConfig) -> InitiateRequest:
    """Return the InitiateRequest. Raises Rejected when it proposes nothing that can be granted."""
    try:
        message = xdlms.decode(plain)
    except ProtocolError as error:
        raise Rejected(Diagnostic.NO_REASON_GIVEN, error.code, error.message) from None
    if not isinstance(message, InitiateRequest):
        raise Rejected(Diagnostic.NO_REASON_GIVEN, "protocol", "the AARQ carries no InitiateRequest")
    for wrong, (kind, reason), what in (
        (message.version < DLMS_VERSION, DLMS_VERSION_TOO_LOW, "the version of DLMS is too low"),
        (not message.conformance & config.conformance, INCOMPATIBLE_CONFORMANCE, "no service is spoken by both"),
        (0 < message.max_pdu < _LEAST_PDU, PDU_SIZE_TOO_SHORT, "the client receives too short APDUs only"),
    ):
        if wrong:
            refusal = ConfirmedServiceError(INITIATE_ERROR, kind, reason)
            raise Rejected(Diagnostic.NO_REASON_GIVEN, refusal.code, what, refusal)
    return message
