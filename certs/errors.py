"""Errors of the certificate floor.

One root; every error has a stable ``code``, which is part of the interface, a message and, where there is one, a hint
that says what to do next.

::

    CertsError
    ├── ProfileError     a certificate does not follow the profile or does not chain to the domain
    ├── TokenError       a CSR token is unreadable, expired, used or not ours
    ├── RequestError     a certificate signing request must not be issued
    ├── PayloadError     the text in a QR code is not one of ours, is damaged or is too large
    ├── ImageError       a picture could not be read, or shows no code of ours
    ├── StoreError       the certificate store is damaged, busy or not writable
    ├── KeyStoreError    a private key is missing, locked or needs a passphrase
    ├── MailError        (certs.mail) an address is unsafe, no server is set up, or the mail cannot be sent
    └── AuthorityError   the issuing side cannot do what was asked
"""

from __future__ import annotations


class CertsError(Exception):
    """Root of all errors of ``certs``.

    ``code`` is a short stable identifier in kebab case, ``hint`` one sentence that says what to do next.
    """

    exit_code = 4
    """Exit status of the command line for this error (DESIGN: 4 is "certificate")."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ProfileError(CertsError):
    """A certificate breaks the profile, is out of its validity, is revoked, or does not chain to the domain."""


class TokenError(CertsError):
    """A CSR token is unreadable, expired, already used, or signed by somebody else."""


class RequestError(CertsError):
    """A certificate signing request must not be issued as it stands."""


class PayloadError(CertsError):
    """The text of a QR code is not one of ours, is damaged, or inflates past its bound."""


class ImageError(CertsError):
    """A picture could not be read, is too large, or shows no code of ours."""


class StoreError(CertsError):
    """The certificate store is damaged, busy or cannot be written."""


class KeyStoreError(CertsError):
    """A private key is missing, or stays locked without its passphrase."""


class AuthorityError(CertsError):
    """The issuing side refuses or cannot do what was asked."""
