"""What a meter sends under keys that were just agreed on is kept like all that comes under keys that stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from commands_field import METER_TITLE, FieldMeter, served
from commands_security import ECDSA

from hil.meter.messages import MessageHandler, Reply
from hil.wire import WireHandler
from meterlink.cosem.acse import Aare, Rlre
from meterlink.counter_file import FileCounterStore, counter_name, received_name
from meterlink.security.ciphered import unwrap
from meterlink.security.keys import KeySet

pytestmark = pytest.mark.usefixtures("commissioning")


class Altered:
    """A meter on TCP whose answers go through ``alter``."""

    def __init__(self, meter: FieldMeter, alter: Callable[[bytes], bytes]) -> None:
        self._meter = meter
        self._alter = alter

    def wrapper_connection(self) -> WireHandler:
        return self._meter.server.wrapper_connection(wrap=self._wrap)

    def _wrap(self, association: MessageHandler) -> MessageHandler:
        alter = self._alter

        class Altering:
            def receive(self, apdu: bytes, now: float) -> Reply:
                reply = association.receive(apdu, now)
                return Reply([alter(answer) for answer in reply.apdus], reply.close)

            def link_lost(self) -> None:
                association.link_lost()

        return Altering()


def keys_in(path: Path) -> KeySet:
    content = json.loads(path.read_text())
    return KeySet(bytes.fromhex(content["unicast"]), bytes.fromhex(content["authentication"]))


def test_40_what_came_under_agreed_keys_is_refused_in_the_next_session(
    meterlink, meter: FieldMeter, of_suite_1: Path, tmp_path: Path
) -> None:
    """The release of the agreeing association carries an InitiateResponse under the new keys."""
    said: list[bytes] = []
    out = tmp_path / "agreed.toml"

    def listen(apdu: bytes) -> bytes:
        said.append(apdu)
        return apdu

    with served(Altered(meter, listen), "wrapper") as url:
        agree = ("cosem", "security", "agree-keys", f"{url}&{ECDSA}", "--keys", of_suite_1, "--out", out, "--yes")
        assert meterlink(*agree).status == 0
    keys, recorded = keys_in(out), Rlre.from_bytes(said[-1]).user_information
    counter = unwrap(recorded, system_title=METER_TITLE, keys=keys).counter
    kept = FileCounterStore().received(received_name(keys.unicast)).least(counter_name(keys.unicast, METER_TITLE))
    assert kept == counter + 1

    def replay(apdu: bytes) -> bytes:
        if apdu[0] != Aare.TAG:
            return apdu
        aare = Aare.from_bytes(apdu)
        return Aare(
            aare.context,
            aare.result,
            aare.diagnostic,
            recorded,
            aare.mechanism,
            aare.system_title,
            aare.certificate,
            aare.challenge,
        ).to_bytes()

    read = ("--object", "energy", "--keys", out)
    with served(Altered(meter, replay), "wrapper") as url:
        done = meterlink("read", f"{url}&{ECDSA}", *read)
        assert (done.status, done.code) == (6, "replay")
    with served(meter.server, "wrapper") as url:
        assert meterlink("read", f"{url}&{ECDSA}", *read).status == 0


@pytest.mark.parametrize(("word", "kept"), [("1", True), ("restarts", False)])
def test_what_the_url_says_of_the_meters_counter_holds_for_the_present_keys(
    meterlink, meter: FieldMeter, of_suite_1: Path, tmp_path: Path, word: str, kept: bool
) -> None:
    out = tmp_path / "agreed.toml"
    with served(meter.server, "wrapper") as url:
        meant = f"{url}&{ECDSA}&meter-counter={word}"
        done = meterlink("cosem", "security", "agree-keys", meant, "--keys", of_suite_1, "--out", out, "--yes")
        assert done.status == 0
    key = keys_in(out).unicast
    least = FileCounterStore().received(received_name(key)).least(counter_name(key, METER_TITLE))
    assert (least > 0) is kept
