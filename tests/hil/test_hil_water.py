"""Water properties against the verification values of the formulation itself."""

import pytest

from hil.meter import water

# IAPWS-IF97 (R7-97), table 5: T in K, p in MPa, specific volume in m³/kg, specific enthalpy in kJ/kg.
TABLE_5 = [
    (300.0, 3.0, 0.100215168e-2, 0.115331273e3),
    (300.0, 80.0, 0.971180894e-3, 0.184142828e3),
    (500.0, 3.0, 0.120241800e-2, 0.975542239e3),
]


@pytest.mark.parametrize(("kelvin", "pressure", "volume", "enthalpy"), TABLE_5)
def test_region_1_gives_the_published_verification_values(kelvin, pressure, volume, enthalpy):
    density, got = water.density_and_enthalpy(kelvin - 273.15, pressure)
    assert 1 / density == pytest.approx(volume, rel=1e-8)
    assert got == pytest.approx(enthalpy, rel=1e-8)


def test_heat_coefficient_is_density_times_mean_heat_capacity():
    # 4.18 kJ/(kg K) and 992.9 kg/m³ at 40 °C: about 1.152 kWh/(m³ K).
    assert water.heat_coefficient(60, 40) == pytest.approx(1.152, abs=0.002)


def test_the_colder_pipe_counts_more_energy_for_the_same_volume():
    assert water.heat_coefficient(90, 30, "return") > water.heat_coefficient(90, 30, "flow")


def test_no_difference_gives_the_limit_and_no_division_by_zero():
    assert water.heat_coefficient(50, 50) == pytest.approx(water.heat_coefficient(50.1, 49.9), rel=1e-3)
