"""Certificate signing requests that a meter made (PKCS#10, IC 64 generate_certificate_request).

Such a request proves one thing, that whoever made it holds the key, and says another, the meter's system title as the
common name. That it comes from that meter is for those to see who fetched it. What else stands in it does not count.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from certs import profile
from certs.errors import RequestError
from certs.loading import UNREADABLE
from certs.request import check_possession, fingerprint, load_request

__all__ = ["MeterRequest", "read_meter_request"]

_AGAIN = "Have the meter make the request again (cosem security csr)."


@dataclass(frozen=True, slots=True)
class MeterRequest:
    """A meter's request whose form and own signature hold. ``system_title`` (8 bytes) is what it says it is, ``suite``
    the security suite of the key's curve."""

    csr: x509.CertificateSigningRequest
    system_title: bytes
    public_key: ec.EllipticCurvePublicKey
    suite: int

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint, to be compared with what was shown when the meter made the request."""
        return fingerprint(self.public_key)

    @property
    def der(self) -> bytes:
        """The request as the meter made it."""
        return self.csr.public_bytes(serialization.Encoding.DER)

    def check_title(self, system_title: bytes) -> None:
        """Check that the request is that of ``system_title``. Raises :class:`RequestError` ``csr-system-title``."""
        if self.system_title != system_title:
            said, wanted = (profile.system_title_text(title) for title in (self.system_title, system_title))
            raise RequestError("csr-system-title", f"the request is that of {said}, not of {wanted}", _AGAIN)

    def check_suite(self, suite: int) -> None:
        """Check that the key is on the curve of ``suite``. Raises :class:`RequestError` ``csr-key-type``."""
        if self.suite != suite:
            raise RequestError("csr-key-type", f"the key is of suite {self.suite}, not of suite {suite}", _AGAIN)

    def check_asks_nothing_else(self) -> None:
        """Check that nothing is asked for beside the certificate: no extensions, no CA bit, no key usage.

        Raises :class:`RequestError` ``csr-extension``.
        """
        try:
            attributes = list(self.csr.attributes)
        except UNREADABLE as error:
            raise RequestError("csr-extension", "an attribute of the request cannot be read", _AGAIN) from error
        if attributes:
            raise RequestError(
                "csr-extension",
                "the request asks for extensions of its own; what a meter's certificate says is the profile's alone",
                _AGAIN,
            )


def read_meter_request(data: bytes) -> MeterRequest:
    """Read a meter's request, PEM (anywhere in a text) or DER, and check everything that it shows by itself.

    The system title may be written in small letters. Raises :class:`RequestError` ``csr-format``, ``csr-key-type``,
    ``csr-signature`` or ``csr-system-title``.
    """
    csr = load_request(data, _AGAIN)
    public_key, suite = check_possession(csr, _AGAIN)
    return MeterRequest(csr, _title(csr), public_key, suite.suite)


def _title(csr: x509.CertificateSigningRequest) -> bytes:
    try:
        names = csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except UNREADABLE as error:
        raise RequestError("csr-format", "the subject of the request cannot be read", _AGAIN) from error
    text = str(names[0].value).upper() if len(names) == 1 else ""
    try:
        return profile.parse_system_title(text)
    except ValueError as error:
        raise RequestError("csr-system-title", f"the common name is wrong: {error}", _AGAIN) from error
