"""From a URL and the active certificate to a session: which family, which link, which client SAP, and whom to trust."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from certs.entries import Credential
from certs.errors import CertsError
from meterlink.commands.secrets import MeterSecrets
from meterlink.commands.shared import MECHANISMS, PUBLIC_CLIENT, shared_config
from meterlink.commands.turns import InTurn, Told
from meterlink.commands.words import number, word
from meterlink.cosem.association import AssociationConfig, Ciphering, ClientAssociation, Mechanism
from meterlink.counter_file import turn_name
from meterlink.errors import MeterNotTrusted, UsageError
from meterlink.framing.hdlc import HdlcLink, HdlcParameters
from meterlink.framing.link import Link, Role
from meterlink.framing.wrapper import WrapperLink
from meterlink.meters.profile import Profile, profile
from meterlink.meters.signed_on import ModeE
from meterlink.security.counters import CounterStore
from meterlink.security.suites import SYSTEM_TITLE_LENGTH, Suite
from meterlink.session import Deadlines, Session
from meterlink.transport.base import SerialTransport, Transport
from meterlink.transport.replay import recorded_url
from meterlink.transport.url import SESSION_KEYS, TransportUrl, parse_url

DEFAULT_PROFILE: Final = "cosem-heat"

_DEFAULT_PROFILES: Final[Mapping[str, str]] = MappingProxyType({"optical": "generic-text"})
"""Scheme -> family where the URL names none. Under an optical head is a meter of the field, which says its name."""

_SHARED_KEYS: Final = frozenset(
    {"ciphering", "policy", "suite", "key", "signing", "header-authenticated", "signed-length", "meter-counter"}
)
"""Keys of the URL that say how messages are protected with what was shared before."""

_COSEM_KEYS: Final = (
    frozenset({"framing", "client", "server", "physical", "address-size", "security", "sign-on"}) | _SHARED_KEYS
)
"""Keys of the URL that a COSEM meter alone has."""

_FRAMING: Final[Mapping[str, str]] = MappingProxyType({"tcp": "wrapper"})
"""Scheme -> framing where it is not HDLC (IEC 62056-47 is made for TCP)."""

_HDLC_PROPOSAL: Final = HdlcParameters(
    max_information_transmit=1024, max_information_receive=1024, window_transmit=1, window_receive=7
)
"""What is proposed in the SNRM; a meter takes what it can. Long frames and a wide window keep a slow line busy."""

_BY_CERTIFICATE: Final = "certificate"
"""The word of the URL's key ``security`` for a session with certificates, the default."""

_CLIENT_SAPS: Final = (1, 0x3FFF)

_ADDRESS_SIZES: Final[Mapping[str, int]] = MappingProxyType({"1": 1, "2": 2, "4": 4})
"""Octets of a meter's HDLC address (IEC 62056-46, 6.4.2)."""

Clock = Callable[[], dt.datetime]


@dataclass(frozen=True, slots=True)
class Target:
    """A meter as the user named it: where it is, and what family it belongs to."""

    url: TransportUrl
    profile: Profile

    @property
    def security(self) -> str:
        """How client and meter prove who they are: ``certificate``, or a word of
        :data:`~meterlink.commands.shared.MECHANISMS`."""
        return self.url.options.get("security", _BY_CERTIFICATE).lower()

    @property
    def enforces_certificates(self) -> bool:
        """Whether the meter itself decides by the certificate what may be done."""
        return self.speaks_cosem and self.security == _BY_CERTIFICATE

    @property
    def speaks_cosem(self) -> bool:
        """Whether there are sessions and objects; a meter that sends a readout has neither."""
        return self.profile.protocol == "cosem"


def target_of(url: str) -> Target:
    """Read a meter's URL. Raises UsageError for what no URL can be; nothing is opened. Of a recording the way that it
    was made holds, unless the URL says otherwise."""
    parsed = parse_url(url)
    if parsed.scheme == "replay":
        parsed = replace(parsed, options=MappingProxyType({**_recorded_options(parsed.target), **parsed.options}))
    target = Target(parsed, profile(parsed.options.get("profile", _default_profile(parsed))))
    if target.security not in (_BY_CERTIFICATE, *MECHANISMS):
        words = ", ".join((_BY_CERTIFICATE, *MECHANISMS))
        raise UsageError(
            f"security={target.security} is not known", code="url-invalid", hint=f"security is one of {words}"
        )
    return target


def _recorded_options(file: str) -> dict[str, str]:
    """Return the keys with which the session in a recording was held."""
    try:
        url = parse_url(recorded_url(Path(file)))
    except UsageError:
        return {}
    options = {key: value for key, value in url.options.items() if key in SESSION_KEYS}
    options.setdefault("profile", _default_profile(url))
    if options["profile"] == DEFAULT_PROFILE:
        options.setdefault("framing", _FRAMING.get(url.scheme, "hdlc"))
    return options


def _default_profile(url: TransportUrl) -> str:
    if _COSEM_KEYS & url.options.keys():
        return DEFAULT_PROFILE
    return _DEFAULT_PROFILES.get(url.scheme, DEFAULT_PROFILE)


def meter_session(
    target: Target,
    transport: Transport,
    credential: Credential,
    clock: Clock,
    secrets: MeterSecrets,
    counters: CounterStore,
    waits: Told | None = None,
) -> Session:
    """Return a session over ``transport``, not opened yet, with the security that the URL asks for.

    ``secrets`` and ``counters`` are for meters that know no certificates. With keys that stay, sessions of one client
    with one meter are opened one after the other, as far as they share ``counters``; ``waits`` is told when this one
    waits for its turn. Raises UsageError when the URL, the family and what was shared do not fit together,
    KeyStoreError when the private key stays locked.
    """
    if target.enforces_certificates:
        _check_certificate_url(target)
        return certificate_session(target, transport, credential, clock)
    sap = _shared_sap(target)
    link = _link(target, sap)
    judge = _meter_check(credential, clock)
    config = shared_config(target.url.options, credential, secrets, counters, judge)
    way = _signed_on(target, transport)
    if config.keys is not None:
        turn = turn_name(config.keys.unicast, config.system_title or b"", f"{_place(target)} {sap}")
        way = InTurn(way, partial(counters.take_turn, turn), waits)
    return Session(
        way,
        link,
        ClientAssociation(config),
        release=_needs_release(link),
        expected_title=_expected_title(target),
    )


def _place(target: Target) -> str:
    """Return where the meter is, as the URL names it: without what is only about how one talks to it."""
    url, options = target.url, target.url.options
    where = url.target.rstrip("/").casefold() if url.has_authority else url.target
    return " ".join((url.scheme, where, *(options.get(key, "").lstrip("0") for key in ("server", "physical"))))


def _check_certificate_url(target: Target) -> None:
    """Refuse what is asked of a session that agrees on its keys itself."""
    for key in _SHARED_KEYS & target.url.options.keys():
        raise UsageError(
            f"{key} is for keys that were shared before; a session with certificates agrees on its own",
            code="url-invalid",
            hint=f"name the security in the URL, such as security=hls-ecdsa, or leave {key} out",
        )


def certificate_session(
    target: Target,
    transport: Transport,
    credential: Credential,
    clock: Clock,
    *,
    deadlines: Deadlines | None = None,
) -> Session:
    """Return a session over ``transport``, not opened yet, that authenticates with ``credential`` and agrees on keys.

    Raises UsageError when the URL or the profile does not fit, KeyStoreError when the private key stays locked.
    """
    link = _link(target, client_sap(target, credential))
    return Session(
        _signed_on(target, transport),
        link,
        ClientAssociation(association_config(credential, clock)),
        agree_keys=True,
        release=_needs_release(link),
        expected_title=_expected_title(target),
        deadlines=deadlines,
    )


def _signed_on(target: Target, transport: Transport) -> Transport:
    """Return ``transport`` as it is, or behind the sign-on that the URL asks for."""
    wanted = target.url.options.get("sign-on")
    if wanted is None:
        return transport
    if wanted.upper() != "E" or not isinstance(transport, SerialTransport):
        raise UsageError(
            "sign-on is E, on a line whose speed can be set",
            code="url-invalid",
            hint="write optical:PORT?sign-on=E",
        )
    return ModeE(transport, address=target.url.options.get("address", ""))


def association_config(credential: Credential, clock: Clock) -> AssociationConfig:
    """Return the configuration of a client that proves ``credential`` and trusts meters of its domain alone."""
    return AssociationConfig(
        mechanism=Mechanism.ECDSA,
        ciphering=Ciphering.GLOBAL,
        suite=Suite(credential.suite),
        system_title=credential.system_title,
        certificate=credential.certificate_der,
        signer=credential.private_key,
        verify_peer=_meter_check(credential, clock),
    )


def client_sap(target: Target, credential: Credential) -> int:
    """Return the client SAP: the URL's, else the one that the family gives to the certificate's level."""
    asked = _asked_sap(target)
    if asked is not None:
        return asked
    level = credential.level.value
    if level not in target.profile.saps:
        raise UsageError(
            f"the family {target.profile.name} has no client SAP for the level {level}",
            code="url-invalid",
            hint="name one in the URL: ?client=N",
        )
    return target.profile.saps[level]


def _shared_sap(target: Target) -> int:
    asked = _asked_sap(target)
    if asked is not None:
        return asked
    if MECHANISMS[target.security] is Mechanism.NONE:
        return PUBLIC_CLIENT
    raise UsageError(
        f"with security={target.security} the client SAP must be told",
        code="url-invalid",
        hint="name it in the URL: ?client=N, often 1 for management; the keys or the password belong to it",
    )


def _asked_sap(target: Target) -> int | None:
    asked = target.url.options.get("client")
    return None if asked is None else number("client", asked, *_CLIENT_SAPS)


def _link(target: Target, sap: int) -> Link:
    options = target.url.options
    framing = options.get("framing", _FRAMING.get(target.url.scheme, "hdlc"))
    server = number("server", options.get("server", "1"), 1, 0x3FFF)
    if framing == "wrapper":
        if "address-size" in options:
            raise UsageError(
                "address-size is for HDLC, and this is the TCP wrapper",
                code="url-invalid",
                hint="leave it out, or add framing=hdlc",
            )
        return WrapperLink(Role.CLIENT, client_sap=sap, server_sap=server)
    if framing != "hdlc":
        raise UsageError(f"framing={framing} is not known", code="url-invalid", hint="framing is hdlc or wrapper")
    physical = options.get("physical")
    lower = None if physical is None else number("physical", physical, 0, 0x3FFF)
    asked = options.get("address-size")
    size = None if asked is None else word("address-size", asked, _ADDRESS_SIZES)
    if size in {2, 4} and lower is None:
        raise UsageError(
            f"an HDLC address of {size} octets names the physical device, too",
            code="url-invalid",
            hint="add physical=N, as the meter's documentation says it",
        )
    try:
        return HdlcLink(
            Role.CLIENT,
            client_address=sap,
            server_upper=server,
            server_lower=lower,
            address_size=size,
            parameters=_HDLC_PROPOSAL,
        )
    except ValueError as error:
        raise UsageError(
            f"HDLC has no such address: {error}",
            code="url-invalid",
            hint="client is at most 127; physical=N goes with address-size 2 or 4, a number above 127 with 4",
        ) from None


def _expected_title(target: Target) -> bytes | None:
    """Return the meter's system title where the URL names one."""
    text = target.url.options.get("title")
    if text is None:
        return None
    try:
        title = bytes.fromhex(text)
    except ValueError:
        title = b""
    if len(title) != SYSTEM_TITLE_LENGTH:
        raise UsageError(
            f"title={text} is no system title",
            code="url-invalid",
            hint="give title=H, the 16 hex digits of the meter",
        )
    return title


def _needs_release(link: Link) -> bool:
    """Return whether the association must be released by a message: in HDLC the DISC frame does it."""
    return not isinstance(link, HdlcLink)


def _meter_check(credential: Credential, clock: Clock) -> Callable[[bytes, bytes], EllipticCurvePublicKey]:
    def check(title: bytes, certificate: bytes) -> EllipticCurvePublicKey:
        try:
            checked = credential.domain.check_meter(certificate, clock(), title)
        except CertsError as error:
            raise MeterNotTrusted(
                f"the meter's certificate does not hold: {error.message} ({error.code})",
                hint=error.hint or "do not go on: this may not be the meter it says it is",
            ) from error
        key = checked.certificate.public_key()
        if not isinstance(key, EllipticCurvePublicKey):
            raise MeterNotTrusted("the meter's certificate holds no elliptic-curve key")
        return key

    return check
