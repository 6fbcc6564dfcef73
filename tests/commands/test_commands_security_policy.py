"""A policy that is in force for good is told, whatever happens after the meter took it."""

import os
import signal
from functools import partial

import pytest
from commands_field import served
from commands_security import GMAC, Cut, Meanwhile, shared

from hil.meter.messages import Reply
from meterlink.security.control import SecurityPolicy
from meterlink.security.suites import Suite

pytestmark = pytest.mark.usefixtures("commissioning")

WEAK = SecurityPolicy.AUTHENTICATED_RESPONSE | SecurityPolicy.ENCRYPTED_RESPONSE
STRONG = SecurityPolicy(0x6C)
PLAIN_REFUSAL = bytes.fromhex("D80101")  # exception-response: service-not-allowed, operation-not-possible


@pytest.fixture
def weak(meter):
    """The meter, with a policy that can become stronger."""
    shared(meter).policies[Suite.SUITE_0] = WEAK
    return meter


def activate(meterlink, url: str, keys):
    return meterlink(
        "cosem", "security", "activate", f"{url}&{GMAC}", "authenticated", "encrypted", "--keys", keys, "--yes"
    )


class RefusesToSay:
    """A meter that refuses every request after the one that changes its policy, without protection."""

    def __init__(self, meter) -> None:
        self._meter = meter

    def wrapper_connection(self):
        return self._meter.server.wrapper_connection(wrap=self._wrap)

    def _wrap(self, association):
        meter, associating = self._meter, iter([True, True])

        class Refusing:
            def receive(self, apdu: bytes, now: float) -> Reply:
                changed = shared(meter).policy(Suite.SUITE_0) == STRONG
                if changed and not next(associating, False):
                    return Reply([PLAIN_REFUSAL])
                if not changed:
                    next(associating, False)
                return association.receive(apdu, now)

            def link_lost(self) -> None:
                association.link_lost()

        return Refusing()


def test_a_link_that_breaks_before_the_policy_is_read_back(meterlink, weak, old) -> None:
    cut = Cut(weak, delivered=False, at=5)
    with served(cut, "wrapper") as url:
        done = activate(meterlink, url, old)
    assert (done.status, cut.cuts) == (0, 1)
    assert done.out.strip() == "policy: authenticated encrypted (was authenticated-response encrypted-response)"


def test_a_link_that_is_gone_before_the_policy_is_read_back(meterlink, weak, old) -> None:
    with served(Cut(weak, delivered=False, at=5, for_ever=True), "wrapper") as url:
        done = activate(meterlink, url, old)
    assert (done.status, done.code) == (5, "write-uncertain")
    assert "from now on it asks for authenticated encrypted, which cannot be undone" in done.err
    assert shared(weak).policy(Suite.SUITE_0) == STRONG


def test_a_meter_that_refuses_to_say_which_policy_is_in_force(meterlink, weak, old) -> None:
    with served(RefusesToSay(weak), "wrapper") as url:
        done = activate(meterlink, url, old)
    assert (done.status, done.code) == (5, "write-uncertain")
    assert "from now on it asks for authenticated encrypted, which cannot be undone" in done.err
    assert shared(weak).policy(Suite.SUITE_0) == STRONG


@pytest.mark.parametrize("breaks", [False, True])
def test_a_meter_that_accepts_a_policy_and_does_not_keep_it(meterlink, weak, old, breaks: bool) -> None:
    class Forgets(Meanwhile):
        def _wrap(self, association):
            inner, messages = super()._wrap(association), iter(range(1, 1000))
            first = not self.opened
            self.opened = True

            class Breaking:
                def receive(self, apdu: bytes, now: float) -> Reply:
                    if next(messages) == 5 and first and breaks:
                        return Reply(close=True)
                    return inner.receive(apdu, now)

                def link_lost(self) -> None:
                    inner.link_lost()

            return Breaking()

        opened = False

    forget = partial(shared(weak).policies.__setitem__, Suite.SUITE_0, WEAK)
    with served(Forgets(weak, forget, at=4), "wrapper") as url:
        done = activate(meterlink, url, old)
    assert (done.status, done.code) == (6, "policy")


def test_ctrl_c_while_a_policy_is_activated(meterlink, weak, old) -> None:
    stop = partial(os.kill, os.getpid(), signal.SIGINT)
    with served(Meanwhile(weak, stop, at=4, silent=True), "wrapper") as url:
        done = activate(meterlink, url, old)
    assert (done.status, done.code) == (5, "write-uncertain")
    assert "cannot be undone" in done.err
