"""Readouts of M-Bus meters become readings."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from meterlink.errors import DataError
from meterlink.framing.mbus.frame import LongFrame, ShortFrame
from meterlink.meters.decode import decode_capture
from meterlink.meters.notes import ENFORCES_NOTHING
from meterlink.values import MeterReport, Obis, Reading

HEAT = Path(__file__).parent.parent / "data" / "heat"


def pick(report: MeterReport, name: str, storage: int = 0, tariff: int = 0) -> Reading:
    (reading,) = (r for r in report.readings if (r.name, r.storage, r.tariff) == (name, storage, tariff))
    return reading


@pytest.fixture(scope="module")
def t330() -> MeterReport:
    return decode_capture((HEAT / "t330" / "readout.bin").read_bytes())


@pytest.fixture(scope="module")
def t230() -> MeterReport:
    return decode_capture((HEAT / "t230" / "readout-with-echo.hex").read_bytes())


def test_the_t330_capture(t330: MeterReport) -> None:
    assert t330.meter["family"] == "t330"
    assert t330.meter["serial_number"] == "73034023"
    assert t330.meter["manufacturer"] == "Landis+Gyr"
    assert (pick(t330, "energy").value, pick(t330, "energy").unit) == (Decimal(238), "kWh")
    assert pick(t330, "energy").obis == Obis.parse("6-0:1.0.0")
    assert pick(t330, "volume").value == Decimal("21.18")
    assert pick(t330, "flow").value == Decimal("-0.002")
    assert pick(t330, "flow_temperature").value == Decimal("24.2")
    assert pick(t330, "clock").value == dt.datetime(2025, 9, 24, 15, 43)
    assert pick(t330, "yearly_set_day", storage=510).value == "01-01 00:00"
    assert pick(t330, "monthly_set_day", storage=511).value == "01 00:00"
    assert t330.notes == (ENFORCES_NOTHING,)


def test_maxima_carry_their_moment(t330: MeterReport) -> None:
    power = pick(t330, "max_power", tariff=1)
    assert (power.value, power.unit, power.time) == (Decimal("6.6"), "kW", dt.datetime(2025, 8, 14, 18, 0))
    assert pick(t330, "max_power_date", tariff=1).value == power.time
    assert pick(t330, "max_flow_temperature", tariff=1).time == dt.datetime(2025, 9, 24, 7, 49)


def test_stored_values_carry_the_date_of_their_set(t330: MeterReport) -> None:
    energy = pick(t330, "energy", storage=2)
    assert (energy.value, energy.time) == (Decimal(137), dt.datetime(2025, 9, 1))
    assert pick(t330, "energy", storage=3).time == dt.datetime(2025, 8, 1)
    middle = pick(t330, "energy_unit2", storage=2)
    assert (middle.value, middle.time) == (Decimal(192), dt.datetime(2025, 9, 15))


def test_fault_times_have_the_letters_the_meter_uses(t330: MeterReport) -> None:
    assert pick(t330, "error_ft_begin_of_last").value == dt.datetime(2025, 9, 24, 7, 30)
    assert pick(t330, "error_ff2_begin_of_last").value == dt.datetime(2025, 7, 29, 10, 37)


def test_nothing_of_the_t330_capture_is_marked_or_lost(t330: MeterReport) -> None:
    assert not [reading for reading in t330.readings if reading.note]
    # All 28 telegrams end in manufacturer data; five of these blocks differ.
    assert sum(reading.name == "manufacturer_data" for reading in t330.readings) == 5


def test_the_t230_capture_with_its_echo_and_a_cut_telegram(t230: MeterReport) -> None:
    assert t230.meter["family"] == "t230"
    assert pick(t230, "energy").value == Decimal(143)
    assert pick(t230, "max_power", tariff=1).time == dt.datetime(2026, 9, 12, 22, 0)
    assert pick(t230, "energy", storage=2).time == dt.datetime(2026, 8, 31, 23, 59)
    assert any("cut off" in note for note in t230.notes)
    assert any("further telegrams" in note for note in t230.notes)


def test_hex_and_binary_give_the_same(t330: MeterReport) -> None:
    data = (HEAT / "t330" / "readout.bin").read_bytes()
    assert decode_capture(data.hex(" ").encode()) == t330
    assert decode_capture(b", ".join(b"0x%02x" % octet for octet in data)) == t330


def test_telegrams_of_several_meters_are_told_apart() -> None:
    def telegram(number: str) -> bytes:
        header = bytes.fromhex(f"{number} A732 0A 04 01 00 0000")
        return LongFrame(8, 0, 0x72, header + bytes.fromhex("0C 06 43 01 00 00")).to_bytes()

    report = decode_capture(telegram("01000000") + telegram("02000000"))
    assert [reading.source for reading in report.readings] == ["00000001: 0C 06", "00000002: 0C 06"]
    assert any("2 meters" in note for note in report.notes)


def test_a_telegram_with_a_wrong_check_sum_is_refused() -> None:
    data = bytearray((HEAT / "t330" / "readout.bin").read_bytes()[:232])
    data[40] ^= 0x10
    with pytest.raises(DataError) as raised:
        decode_capture(bytes(data))
    assert raised.value.code == "mbus-checksum"


def test_requests_without_an_answer_are_named() -> None:
    with pytest.raises(DataError) as raised:
        decode_capture(bytes(240) + ShortFrame(0x7B, 0xFE).to_bytes())
    assert "no answer" in raised.value.message


def test_an_invalid_value_is_marked_and_raw() -> None:
    report = decode_capture(LongFrame(8, 0, 0x78, bytes.fromhex("0C 06 EE EE EE EE")).to_bytes())
    (energy,) = report.readings
    assert (energy.value, energy.raw) == (None, "ee ee ee ee")
    assert "EEEEEEEE" in energy.note


def test_a_data_type_that_is_not_read_is_named_with_its_octets() -> None:
    octets = bytes.fromhex("0C 06 01 00 00 00 0D 6D E6 01 02 03 04 05 06")
    energy, clock = decode_capture(LongFrame(8, 0, 0x78, octets).to_bytes()).readings
    assert (energy.name, energy.value, energy.time) == ("energy", Decimal(1), None)
    assert (clock.name, clock.value, clock.raw) == ("clock", None, "e6 01 02 03 04 05 06")
    assert clock.note == "data type M, kept as octets: E6 01 02 03 04 05 06"


T550 = bytes.fromhex(
    "68 F8 F8 68 08 00 72 78 56 34 12 A7 32 04 04 27 00 00 00 09 74 04 09 70 04 0C 0E 08 23 03 00 0C 14 07 95 19"
    "00 0B 2D 05 00 00 0B 3B 08 08 00 0A 5B 52 00 0A 5F 51 00 0A 62 06 00 4C 14 06 18 18 00 4C 0E 49 06 03 00 0C"
    "78 78 56 34 12 89 10 71 60 9B 10 2D 02 01 00 DB 10 2D 02 01 00 9B 10 3B 60 09 00 9A 10 5B 78 00 9A 10 5F 74"
    "00 0C 22 72 67 01 00 3C 22 00 00 00 00 7C 22 00 00 00 00 42 6C 01 01 8C 20 06 00 00 00 00 8C 30 06 00 00 00"
    "00 8C 80 10 06 00 00 00 00 CC 20 06 00 00 00 00 CC 30 06 00 00 00 00 CC 80 10 06 00 00 00 00 9A 11 5B 64 00"
    "9A 11 5F 63 00 9B 11 3B 52 08 00 9B 11 2D 02 01 00 BC 01 22 00 00 00 00 8C 01 0E 49 06 03 00 8C 21 06 00 00"
    "00 00 8C 31 06 00 00 00 00 8C 81 10 06 00 00 00 00 8C 01 14 06 18 18 00 04 6D 31 0A CA 21 0F 21 04 00 10 A0"
    "F5 16"
)
"""A wired T550, as its owner published it (wmbusmeters, issue 445); another number, and so another check sum."""


def test_a_wired_t550_is_known_by_its_header() -> None:
    report = decode_capture(T550)
    assert (report.meter["family"], report.meter["serial_number"]) == ("t550-mbus", "12345678")
    assert report.meter["model"].startswith("ULTRAHEAT T550")
    assert (pick(report, "energy").value, pick(report, "energy").unit) == (Decimal(32308), "MJ")
    assert pick(report, "volume").value == Decimal("1995.07")
    assert pick(report, "flow").value == Decimal("0.808")
    assert pick(report, "clock").value == dt.datetime(2022, 1, 10, 10, 49)
    assert pick(report, "max_flow", storage=2, tariff=1).value == Decimal("0.852")
    assert not [reading for reading in report.readings if reading.note]


STEPS = b"T330 7.21 Nb+\r\n\xe5" + LongFrame(8, 0, 0x78, b"\x0f\x00").to_bytes()
"""What a T330 says on the way to its readout: a version, an acknowledgement, a status."""


@pytest.mark.parametrize("hint", [None, "t330"])
def test_a_whole_session_gives_what_its_readout_gives(hint: str | None, t330: MeterReport) -> None:
    data = (HEAT / "t330" / "readout.bin").read_bytes()
    assert decode_capture(STEPS + data, hint=hint) == t330


def test_the_same_octets_of_another_meter_are_its_own() -> None:
    data = (HEAT / "t230" / "readout-with-echo.hex").read_bytes()
    report = decode_capture(STEPS + bytes.fromhex(data.decode()))
    assert b"\x00" in [reading.value for reading in report.readings if reading.name == "manufacturer_data"]
    assert report.meter["family"] == "t230"
    (alone,) = decode_capture(STEPS, hint="t330").readings
    assert alone.value == b"\x00"


def test_a_compact_profile_becomes_a_series() -> None:
    octets = "0C1313100000 026C1F15 0D93130A7AFE5802320314024401"
    report = decode_capture(LongFrame(8, 0, 0x78, bytes.fromhex(octets)).to_bytes())
    series = [(r.storage, str(r.value), r.time) for r in report.readings if r.name == "volume"]
    assert series == [
        (0, "1.013", None),
        (1, "0.755", dt.date(2008, 4, 30)),
        (2, "0.423", dt.date(2008, 3, 31)),
        (3, "0.209", dt.date(2008, 2, 29)),
        (4, "0.065", dt.date(2008, 1, 31)),
    ]


def test_an_encrypted_telegram_says_what_it_needs() -> None:
    header = bytes.fromhex("78563412 9315 33 03 2A 00 2025")
    cipher = bytes.fromhex("5923C95AAA26D1B2E7493B013EC4A6F6D3529B520EDFF0EA6DEFC99D6D69EBF3")
    capture = LongFrame(8, 0, 0x72, header + cipher).to_bytes()
    closed = decode_capture(capture)
    assert any("its key is needed" in note for note in closed.notes)
    opened = decode_capture(capture, key=bytes.fromhex("0102030405060708090A0B0C0D0E0F11"))
    assert opened.readings[0].value == Decimal("28504.27")
