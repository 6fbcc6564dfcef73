"""Stored values, maxima and faults as tables, read over a pseudo-terminal."""

import time

import pytest
from field_lines import FAST, heat_meter, on_a_line

from hil.faces.t230 import T230Face
from hil.faces.t330 import T330Face
from hil.meter.physics import Fault


@pytest.mark.parametrize(("family", "face"), [("t230", T230Face), ("t330", T330Face)])
def test_months_maxima_and_faults_stand_in_tables(family, face, meterlink) -> None:
    meter = heat_meter()
    meter.metrology.set_fault(Fault.AIR | Fault.RETURN_SENSOR_OPEN, time.monotonic())
    with on_a_line(lambda line: face(meter, line_baud=line.speed, speed=FAST)) as line:
        done = meterlink("read", f"optical:{line.port}?profile={family}")
    assert (done.status, done.err) == (0, "")
    months, _, rest = done.out.partition("\nstored values")[2].partition("\nmaxima")
    maxima, _, faults = rest.partition("\nfaults")
    assert "2026-11-01 00:00:00" in months
    assert {"power", "flow", "flow temperature", "return temperature"} <= {
        row[:18].strip() for row in maxima.splitlines()
    }
    assert [row.split("  ")[0] for row in faults.splitlines()[2:4]] == ["f0 begin of last", "f2 begin of last"]
    assert faults.count("2026-11-23") == 2
