"""How a client judges the answer to its association request, before anything of it is believed."""

from __future__ import annotations

from typing import Final

from meterlink.cosem import apdu as xdlms
from meterlink.cosem.acse import Aare, Diagnostic
from meterlink.cosem.apdu import ConfirmedServiceError
from meterlink.cosem.association.config import AssociationConfig
from meterlink.errors import AssociationRefused, SecurityError
from meterlink.security.hls import Mechanism

_HINTS: Final = {
    "authentication-failure": "The password, the key or the certificate is not one that the meter accepts.",
    "application-context-name-not-supported": "The meter does not speak this kind of association on this client SAP.",
    "authentication-mechanism-name-not-recognised": "The meter wants another authentication mechanism.",
    "authentication-mechanism-name-required": "The meter wants the client to authenticate.",
    "deciphering-error": "The meter has other keys, or sees another system title: look at the key file.",
    "invocation-counter-error": (
        "The meter has seen a higher invocation counter or transaction under these keys: "
        "set counter or transaction in the key file."
    ),
}


def association_refused(code: str) -> AssociationRefused:
    """Return the error for an association that the meter refused for the reason ``code``, a name of the standard."""
    message = f"the meter refused the association: {code.replace('-', ' ')}"
    return AssociationRefused(message, code=code, hint=_HINTS.get(code))


def association_ended(code: str) -> AssociationRefused:
    """Return the error for an association in force that the meter left for the reason ``code``."""
    message = f"the meter broke the association off: {code.replace('-', ' ')}"
    return AssociationRefused(message, code=code, hint=_HINTS.get(code))


def rejected(aare: Aare) -> AssociationRefused:
    """Return the error for an AARE that rejects the association, with the most telling reason that it gives."""
    code = aare.diagnostic.code
    if aare.user_information[:1] == bytes((ConfirmedServiceError.TAG,)):
        error = xdlms.decode(aare.user_information)
        if isinstance(error, ConfirmedServiceError) and aare.diagnostic in (
            Diagnostic.NULL,
            Diagnostic.NO_REASON_GIVEN,
        ):
            code = error.code
    return association_refused(code)


def check_offer(aare: Aare, config: AssociationConfig) -> None:
    """Refuse an acceptance that is less than what was asked for, or that is our own request come back.

    Raises SecurityError: ``downgrade``, ``reflected``, ``system-title``.
    """
    if aare.context is not config.context:
        raise SecurityError("the meter answers in another application context than asked for", code="downgrade")
    silent = aare.mechanism is Mechanism.NONE and not config.mechanism.is_high
    if aare.mechanism is not config.mechanism and not silent:
        raise SecurityError("the meter answers with another mechanism than asked for", code="downgrade")
    if config.mechanism.is_high is not (aare.diagnostic is Diagnostic.AUTHENTICATION_REQUIRED):
        raise SecurityError("the meter leaves out the authentication that was asked for", code="downgrade")
    if config.system_title is not None and aare.system_title == config.system_title:
        raise SecurityError("the meter uses our own system title", code="reflected")
    if config.certificate is not None and aare.certificate == config.certificate:
        raise SecurityError("the meter uses our own certificate", code="reflected")
    needs_title = config.mechanism >= Mechanism.GMAC or config.ciphering is not None
    if needs_title and len(aare.system_title or b"") != 8:
        raise SecurityError("the meter gives no system title of 8 octets", code="system-title")
