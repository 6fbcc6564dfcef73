"""Security: one GET protected by one side and opened by the other, HLS with ECDSA, and key agreement."""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_bytes

from cryptography.hazmat.primitives.asymmetric import ec

from meterlink.security.control import SecurityControl
from meterlink.security.hls import CHALLENGE_LENGTH, EcdsaProof, Exchange
from meterlink.security.key_agreement import EphemeralAgreement
from meterlink.security.keys import KeyId, KeySet
from meterlink.security.session import SecureSession
from meterlink.security.suites import Suite
from tests.benchmarks.ratio import OURS, peer, rate, show

CLIENT, SERVER = b"MLTclien", b"MLTmeter"
KEY, AUTHENTICATION = bytes(range(16)), bytes(range(16, 32))
GET = bytes.fromhex("C001C100080000010000FF0200")


def ours(suite: Suite) -> Callable[[], object]:
    """Both ends of a session: protection, carriage, policy and counters."""
    keys, control = KeySet(KEY, AUTHENTICATION), SecurityControl(suite)
    client, server = SecureSession(keys, CLIENT, SERVER, control), SecureSession(keys, SERVER, CLIENT, control)
    return lambda: server.open(client.protect(GET))


def dlms_cosem(suite: Suite) -> Callable[[], object] | None:
    """dlms-cosem: encryption, the general-glo-ciphering APDU around it, and back; without its connection's logging."""
    security, apdus = peer("dlms_cosem.security"), peer("dlms_cosem.protocol.xdlms")
    if security is None or apdus is None:
        return None
    field = security.SecurityControlField(suite.value, authenticated=True, encrypted=True)

    def call() -> object:
        content = security.encrypt(field, CLIENT, 1, KEY, GET, AUTHENTICATION)
        sent = apdus.GeneralGlobalCipher(CLIENT, field, 1, content).to_bytes()
        got = apdus.GeneralGlobalCipher.from_bytes(sent)
        return security.decrypt(
            got.security_control, got.system_title, got.invocation_counter, KEY, got.ciphered_text, AUTHENTICATION
        )

    assert call() == GET
    return call


def pydlms(suite: Suite) -> Callable[[], object] | None:
    """pydlms-client: one context for each end."""
    context, ciphering = peer("pydlms.security.context"), peer("pydlms.security.ciphering")
    if context is None or ciphering is None:
        return None
    client = context.SecurityContext(KEY, AUTHENTICATION, CLIENT, SERVER, suite=suite.value)
    server = context.SecurityContext(KEY, AUTHENTICATION, SERVER, CLIENT, suite=suite.value)
    return lambda: ciphering.unwrap(server, ciphering.wrap(client, GET))


def gurux(suite: Suite) -> Callable[[], object] | None:
    """gurux-dlms: its encryption alone (its decryption asks for a whole client)."""
    core, parameter = peer("gurux_dlms.GXDLMSChippering"), peer("gurux_dlms.AesGcmParameter")
    enums = peer("gurux_dlms.enums")
    suites = peer("gurux_dlms.objects.enums.SecuritySuite")
    if core is None or parameter is None or enums is None or suites is None:
        return None
    given = parameter.AesGcmParameter(0xC8, CLIENT, KEY, AUTHENTICATION)
    given.security = enums.Security.AUTHENTICATION_ENCRYPTION
    given.securitySuite = suites.SecuritySuite(suite.value)
    given.invocationCounter = 1
    return lambda: core.GXDLMSChippering.encryptAesGcm(given, bytearray(GET))


def authentication(suite: Suite) -> Callable[[], object]:
    """HLS mechanism 7, all four steps of both parties."""
    client, server = ec.generate_private_key(suite.curve), ec.generate_private_key(suite.curve)
    ours_, theirs = (
        EcdsaProof(suite, client, server.public_key()),
        EcdsaProof(suite, server, client.public_key()),
    )
    exchange = Exchange(CLIENT, SERVER, token_bytes(CHALLENGE_LENGTH), token_bytes(CHALLENGE_LENGTH))

    def call() -> None:
        theirs.check(exchange.reversed, ours_.answer(exchange))
        ours_.check(exchange, theirs.answer(exchange.reversed))

    return call


def agreement(suite: Suite) -> Callable[[], object]:
    """Key agreement on two keys, both parties."""
    client, server = ec.generate_private_key(suite.curve), ec.generate_private_key(suite.curve)

    def call() -> None:
        ids = (KeyId.UNICAST, KeyId.AUTHENTICATION)
        ours_ = EphemeralAgreement(suite=suite, key_ids=ids, signing_key=client)
        theirs = EphemeralAgreement(suite=suite, key_ids=ids, signing_key=server)
        titles = {"party_u": CLIENT, "party_v": SERVER}
        ours_.agree(theirs.offers, peer_public_key=server.public_key(), **titles)
        theirs.agree(ours_.offers, peer_public_key=client.public_key(), **titles)

    return call


def main() -> None:
    """Print the rates and the ratios."""
    makers = {OURS: ours, "dlms-cosem": dlms_cosem, "pydlms-client": pydlms, "gurux-dlms": gurux}
    for suite in (Suite.SUITE_0, Suite.SUITE_1):
        calls = {name: make(suite) for name, make in makers.items()}
        rates = {name: None if call is None else rate(call) for name, call in calls.items()}
        show(f"protect and open a GET, suite {suite.value} (gurux-dlms: protect alone)", rates)
    for suite in (Suite.SUITE_1, Suite.SUITE_2):
        show(f"ECDSA authentication of both parties, suite {suite.value}", {OURS: rate(authentication(suite))})
        show(f"agreement on two keys, both parties, suite {suite.value}", {OURS: rate(agreement(suite))})


if __name__ == "__main__":
    main()
