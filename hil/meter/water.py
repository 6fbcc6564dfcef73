"""Water as a heat meter's calculator knows it: density, enthalpy and the heat coefficient k.

EN 1434-1 (and OIML R 75-1) define the heat coefficient by the density where the volume is measured and by the specific
enthalpies of flow and return, taken from the industrial formulation for water and steam (IAPWS-IF97) at a pressure of
16 bar. Only region 1, liquid water, is needed.
"""

from __future__ import annotations

import functools
from typing import Final, Literal

PRESSURE: Final = 1.6
"""Pressure in MPa for which EN 1434-1 states the heat coefficient."""

MIN_TEMPERATURE: Final = 0.0
MAX_TEMPERATURE: Final = 200.0
"""Range in °C: above it, water at 16 bar boils (201.4 °C)."""

_GAS_CONSTANT: Final = 0.461526  # kJ/(kg K), IAPWS-IF97 equation 1
_PRESSURE_STAR: Final = 16.53  # MPa, section 5
_TEMPERATURE_STAR: Final = 1386.0  # K, section 5

# IAPWS-IF97 (R7-97), table 2: exponents I and J, coefficient n of the dimensionless Gibbs energy of region 1.
_REGION_1: Final[tuple[tuple[int, int, float], ...]] = (
    (0, -2, 0.14632971213167e0),
    (0, -1, -0.84548187169114e0),
    (0, 0, -0.37563603672040e1),
    (0, 1, 0.33855169168385e1),
    (0, 2, -0.95791963387872e0),
    (0, 3, 0.15772038513228e0),
    (0, 4, -0.16616417199501e-1),
    (0, 5, 0.81214629983568e-3),
    (1, -9, 0.28319080123804e-3),
    (1, -7, -0.60706301565874e-3),
    (1, -1, -0.18990068218419e-1),
    (1, 0, -0.32529748770505e-1),
    (1, 1, -0.21841717175414e-1),
    (1, 3, -0.52838357969930e-4),
    (2, -3, -0.47184321073267e-3),
    (2, 0, -0.30001780793026e-3),
    (2, 1, 0.47661393906987e-4),
    (2, 3, -0.44141845330846e-5),
    (2, 17, -0.72694996297594e-15),
    (3, -4, -0.31679644845054e-4),
    (3, 0, -0.28270797985312e-5),
    (3, 6, -0.85205128120103e-9),
    (4, -5, -0.22425281908000e-5),
    (4, -2, -0.65171222895601e-6),
    (4, 10, -0.14341729937924e-12),
    (5, -8, -0.40516996860117e-6),
    (8, -11, -0.12734301741641e-8),
    (8, -6, -0.17424871230634e-9),
    (21, -29, -0.68762131295531e-18),
    (23, -31, 0.14478307828521e-19),
    (29, -38, 0.26335781662795e-22),
    (30, -39, -0.11947622640071e-22),
    (31, -40, 0.18228094581404e-23),
    (32, -41, -0.93537087292458e-25),
)


@functools.lru_cache(maxsize=8192)
def density_and_enthalpy(temperature: float, pressure: float = PRESSURE) -> tuple[float, float]:
    """Return density in kg/m³ and specific enthalpy in kJ/kg of liquid water.

    ``temperature`` is in °C, ``pressure`` in MPa.
    """
    kelvin = temperature + 273.15
    pi = 7.1 - pressure / _PRESSURE_STAR
    tau = _TEMPERATURE_STAR / kelvin - 1.222
    gamma_pi = -sum(n * i * pi ** (i - 1) * tau**j for i, j, n in _REGION_1 if i)
    gamma_tau = sum(n * pi**i * j * tau ** (j - 1) for i, j, n in _REGION_1 if j)
    # Table 3: v = R T/p * pi * gamma_pi, h = R T * tau * gamma_tau; kJ/MPa is 1e-3 m³.
    volume = _GAS_CONSTANT * kelvin / _PRESSURE_STAR * gamma_pi * 1e-3
    enthalpy = _GAS_CONSTANT * _TEMPERATURE_STAR * gamma_tau
    return 1.0 / volume, enthalpy


def heat_coefficient(flow: float, ret: float, installed_in: Literal["flow", "return"] = "return") -> float:
    """Return the heat coefficient k in kWh/(m³ K) for flow and return temperature in °C.

    ``installed_in`` says in which pipe the volume is measured: its temperature decides the density.
    """
    if flow == ret:
        flow = ret + 0.01  # k is the limit there, the specific heat capacity times the density
    _, enthalpy_flow = density_and_enthalpy(flow)
    _, enthalpy_return = density_and_enthalpy(ret)
    density, _ = density_and_enthalpy(flow if installed_in == "flow" else ret)
    return density * (enthalpy_flow - enthalpy_return) / (flow - ret) / 3600.0
