"""What the simulated meter bears: endless attempts, bad lines, endless data."""

import tracemalloc

import pytest
from hil_hands import (
    ENERGY,
    LEVELS,
    PROPERTY_NUMBER,
    SAP_OF,
    SERIAL,
    Hands,
    LinkedClient,
    log,
)

from certs.levels import Level
from hil.faults.impairments import Delay, Double, FlipBit, Lose, Noise, Swap, Truncate, by_chance
from hil.faults.line import FaultyLine
from hil.faults.splitters import HdlcFrames, Octets
from hil.meter.eventlog import EventCode
from meterlink.cosem.acse import Aare, AssociationResult
from meterlink.cosem.data import visible_string
from meterlink.cosem.names import Attribute
from meterlink.errors import LinkLost, MeterlinkError
from meterlink.values import Obis

SECURITY_LOG = Attribute(7, Obis.parse("0-0:99.98.1"), 2)
NEW = visible_string("99")


def test_row_43_ten_thousand_wrong_associations_slow_the_attacker_and_nobody_else(world):
    meter = world.meter()
    friend = Hands(meter, world.person(Level.SERVICE, bytes(8)), Level.SERVICE).connect()
    wrong = Hands(meter, world.person(Level.CONSUMER), Level.SERVICE)
    request = wrong.client.open()
    for number in range(10_000):
        wrong.now = number * 0.01
        (answer,) = wrong.raw(request)
        assert Aare.from_bytes(answer).result is not AssociationResult.ACCEPTED
        if number % 1_000 == 0:
            friend.now = wrong.now
            assert friend.get(SERIAL).value == "00004711"
    looked_at = log(meter, EventCode.ASSOCIATION_REFUSED)
    assert 3 < looked_at < 12  # three at once, then after 1, 2, 4, ... 60 seconds
    assert log(meter, EventCode.ATTEMPTS_SLOWED) == 10_000 - looked_at
    rows = friend.get(SECURITY_LOG).as_items()
    logged = {row.as_items()[1].value: row.as_items()[3].value for row in rows}
    assert logged[EventCode.ASSOCIATION_REFUSED] == looked_at
    assert logged[EventCode.ATTEMPTS_SLOWED] == 10_000 - looked_at
    assert len(rows) < 10
    newcomer = Hands(meter, world.person(Level.SERVICE, bytes(7) + b"\1"), Level.SERVICE, now=wrong.now)
    assert newcomer.connect().get(SERIAL).value == "00004711"


def test_row_43_the_attacker_is_let_in_again_when_it_proves_itself_after_the_wait(world):
    meter = world.meter()
    wrong = Hands(meter, world.person(Level.CONSUMER), Level.SERVICE)
    for _ in range(20):
        wrong.raw(wrong.client.open() if not wrong.sent else wrong.sent[0])
    right = Hands(meter, world.person(Level.SERVICE), Level.SERVICE)
    with pytest.raises(MeterlinkError):
        right.associate()
    right = Hands(meter, world.person(Level.SERVICE), Level.SERVICE, now=61.0)
    assert right.connect().get(SERIAL).value == "00004711"


def test_two_clients_on_one_line_do_not_disturb_each_other(world):
    meter = world.meter()
    line = meter.hdlc_line()
    clients = [
        LinkedClient(line, world.person(level, bytes((number,)) * 8), SAP_OF[level]).connect()
        for number, level in enumerate(LEVELS)
    ]
    for round_ in range(3):
        for client, level in zip(clients, LEVELS, strict=True):
            assert client.get(SERIAL).value == "00004711"
            if level is Level.INSTALLATION:
                client.set(PROPERTY_NUMBER, visible_string(str(round_)))
    clients[0].disconnect()
    assert all(client.get(SERIAL).value == "00004711" for client in clients[1:])
    assert meter.meter.settings.property_number == "00000002"


FAULTS = {
    "lost frames": (HdlcFrames, lambda seed: [Lose(by_chance(0.15, seed))]),
    "doubled frames": (HdlcFrames, lambda seed: [Double(by_chance(0.3, seed))]),
    "reordered frames": (HdlcFrames, lambda seed: [Swap(by_chance(0.1, seed))]),
    "truncated frames": (HdlcFrames, lambda seed: [Truncate(by_chance(0.15, seed), keep=-3)]),
    "flipped bits": (Octets, lambda seed: [FlipBit(by_chance(0.002, seed), position=seed)]),
    "lost octets": (Octets, lambda seed: [Lose(by_chance(0.002, seed))]),
    "noise between frames": (HdlcFrames, lambda seed: [Noise(by_chance(0.3, seed), seed=seed)]),
    "late frames": (HdlcFrames, lambda seed: [Delay(by_chance(0.2, seed), seconds=4.0)]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_row_44_on_a_bad_line_a_write_is_done_or_said_to_have_failed(world, fault):
    """The value is the old one or the new one, and ``ok`` is said of the new one alone."""
    split, make = FAULTS[fault]
    done = 0
    for seed in range(12):
        meter = world.meter()
        line = FaultyLine(meter.hdlc_line(), split=split, to_meter=make(seed), from_meter=make(seed + 1000))
        try:
            client = LinkedClient(line, world.person(Level.SERVICE), SAP_OF[Level.SERVICE]).connect()
            assert client.get(SERIAL).value == "00004711"
            client.set(PROPERTY_NUMBER, NEW)
        except MeterlinkError:
            assert meter.meter.settings.property_number in {"00000000", "00000099"}
        else:
            done += 1
            assert meter.meter.settings.property_number == "00000099"
    assert done > 0, "a line this bad proves nothing"


def test_row_44_the_link_lost_at_every_single_step_leaves_the_old_value_or_the_new_one(world):
    """The line goes dead after every number of octets of the write, in either direction."""
    meter = world.meter()
    config = world.person(Level.SERVICE)
    probe = LinkedClient(meter.hdlc_line(), config, SAP_OF[Level.SERVICE]).connect()
    before = probe.octets
    probe.set(PROPERTY_NUMBER, NEW)
    length = probe.octets - before
    said = {"ok": 0, "failed, old": 0, "failed, new": 0}
    for way in ("to_meter", "from_meter"):
        for octets in range(length + 40):
            meter = world.meter()
            cut = Cut()
            line = FaultyLine(meter.hdlc_line(), split=Octets, **{way: [Lose(cut)]})
            client = LinkedClient(line, config, SAP_OF[Level.SERVICE]).connect()
            cut.after = octets
            try:
                client.set(PROPERTY_NUMBER, NEW)
            except LinkLost:
                new = meter.meter.settings.property_number == "00000099"
                said["failed, new" if new else "failed, old"] += 1
                assert meter.meter.settings.property_number in {"00000000", "00000099"}
            else:
                said["ok"] += 1
                assert meter.meter.settings.property_number == "00000099"
            again = LinkedClient(meter.hdlc_line(), config, SAP_OF[Level.SERVICE], start=client.now).connect()
            assert again.get(PROPERTY_NUMBER).value == meter.meter.settings.property_number
    assert all(said.values())


class Cut:
    """Lets a number of octets through, once it is set, and then none."""

    def __init__(self):
        self.after = None

    def __call__(self, _number):
        if self.after is None:
            return False
        self.after -= 1
        return self.after < 0


HUGE = {
    "noise": lambda: b"\x55\xaa\x00\xff" * 16384,
    "flags": lambda: b"\x7e" * 65536,
    "a frame that never ends": lambda: b"\x7e\xa7\xff" + b"\x03" * 65536,
    "a wrapper message of the greatest length": lambda: bytes.fromhex("000100220001ffff") + b"\x60" * 65535,
    "an AARQ that says 2^32 octets": lambda: bytes.fromhex("0001002200010006") + b"\x60\x84\xff\xff\xff\xff",
    "an array that says 2^32 elements": lambda: bytes.fromhex("0001002200010008") + b"\xc1\x01\xc1\x01\x84\xff\xff\xff",
}


@pytest.mark.parametrize("kind", HUGE)
@pytest.mark.parametrize("way", ["hdlc", "wrapper"])
def test_row_45_endless_data_costs_the_meter_bounded_memory(world, kind, way):
    meter = world.meter()
    line = meter.hdlc_line() if way == "hdlc" else meter.wrapper_connection()
    chunk = HUGE[kind]()
    line.receive(chunk, 0.0)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    answered = 0
    for number in range(24):  # 1.5 MB
        answered += len(line.receive(chunk, number * 0.001))
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < 700_000
    assert answered < 24 * 1024
    friend = Hands(meter, world.person(Level.CONSUMER), Level.CONSUMER, now=1.0).connect()
    assert friend.get(ENERGY).value > 0


def test_row_45_a_value_without_end_in_blocks_is_cut_off(world):
    meter = world.meter()
    hands = Hands(meter, world.person(Level.SERVICE), Level.SERVICE).connect()
    channel, block = hands.client._channel, bytes(60_000)
    request = bytes.fromhex("c102c1000100006001 01ff020000".replace(" ", ""))  # SET of 0-0:96.1.1, first block
    results = []
    for number in range(1, 13):
        body = number.to_bytes(4, "big") + b"\x82" + len(block).to_bytes(2, "big") + block
        (answer,) = hands.raw(channel.seal(request + body))
        results.append(channel.open(answer)[:2].hex())
        request = bytes.fromhex("c103c100")  # and the next block, never the last
    assert results[:8] == ["c502"] * 8  # acknowledged, up to half a megabyte
    assert results[8] == "c503"  # long set aborted
    assert "c502" not in results[8:]
    assert hands.get(SERIAL).value == "00004711"
