"""Stored values, maxima and faults as tables."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

from meterlink.meters.decode import decode_capture
from meterlink.meters.tables import Table, tables

HEAT = Path(__file__).parent.parent / "data" / "heat"


def of(name: str) -> dict[str, Table]:
    return {table.title: table for table in tables(decode_capture((HEAT / name).read_bytes()))}


def test_monthly_values_of_a_t330() -> None:
    stored = of("t330/readout.bin")["stored values"]
    assert stored.columns[:3] == ("date", "energy [kWh]", "volume [m³]")
    by_date = {row[0]: row[1:3] for row in stored.rows}
    assert by_date[dt.datetime(2025, 9, 1)] == (Decimal(137), Decimal("11.94"))
    assert by_date[dt.datetime(2025, 9, 15)] == (Decimal(192), Decimal("17.06"))
    dates = [row[0] for row in stored.rows]
    assert dates == sorted(dates, reverse=True)  # type: ignore[type-var]


def test_faults_of_a_t330_have_their_moments_the_last_one_first() -> None:
    faults = of("t330/readout.bin")["faults"]
    assert faults.rows == (
        ("ft begin of last", dt.datetime(2025, 9, 24, 7, 30)),
        ("ff2 begin of last", dt.datetime(2025, 7, 29, 10, 37)),
    )


def test_maxima_of_a_t550() -> None:
    found = of("iec-text/LGUHT550_dummy_utf8.txt")
    assert found["maxima"].rows[0] == ("power", Decimal("28.0"), "kW", dt.date(2018, 9, 7))
    assert found["faults"].rows == (("missing time: 1 h", None),)


def test_error_flags_stand_in_the_fault_table() -> None:
    (faults,) = (t for t in tables(decode_capture(b"/LUGCUH50\r\nF(1&5)6.8(1*MWh)\r\n!\r\n")) if t.title == "faults")
    assert [str(row[0])[:3] for row in faults.rows] == ["F1:", "F5:"]


def test_a_report_without_history_has_no_tables() -> None:
    assert tables(decode_capture(b"/LUGCUH50\r\n6.8(1*MWh)\r\n!\r\n")) == ()
