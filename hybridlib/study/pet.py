"""Potential evapotranspiration by three formulas: Penman-Monteith, Priestley-Taylor, Hargreaves.

Inputs are daily means in the units of the schema (K, kg/kg, Pa, m s-1, W m-2), of any shape that
starts with time. Results are kg m-2 s-1 (1 mm d-1 = 1.157e-5) and never below 0.
FAO-56 is Allen et al. (1998), FAO Irrigation and Drainage Paper 56.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.study.plugins import Extended
from hybridlib.study.schema import SECONDS_PER_DAY, InputError

KELVIN = 273.15
LATENT_HEAT = 2.45e6  # J kg-1, FAO-56 chapter 1
STEFAN_BOLTZMANN = 4.903e-3 / SECONDS_PER_DAY  # W m-2 K-4, FAO-56 eq. 39
SOLAR_CONSTANT = 0.0820e6 / 60  # W m-2, FAO-56 eq. 21
ALBEDO = 0.23  # reference grass, FAO-56 eq. 38
EMISSIVITY = 0.98  # of a vegetated surface; it absorbs and emits longwave alike
ALPHA = 1.26  # Priestley and Taylor (1972)


def saturation_vapour_pressure(tas):
    """Saturation vapour pressure over water [Pa] at `tas` [K]; FAO-56 eq. 11."""
    celsius = tas - KELVIN
    return 610.8 * np.exp(17.27 * celsius / (celsius + 237.3))


def vapour_pressure(huss, ps):
    """Actual vapour pressure [Pa] from specific humidity [kg/kg] and pressure [Pa]."""
    return huss * ps / (0.622 + 0.378 * huss)


def vapour_pressure_slope(tas):
    """Slope of the saturation curve [Pa K-1] at `tas` [K]; FAO-56 eq. 13."""
    return 4098.0 * saturation_vapour_pressure(tas) / (tas - KELVIN + 237.3) ** 2


def psychrometric_constant(ps):
    """Psychrometric constant [Pa K-1] at pressure `ps` [Pa]; FAO-56 eq. 8."""
    return 0.665e-3 * ps


def wind_factor(height=10.0):
    """Ratio of the wind at 2 m to the wind at `height` [m]; FAO-56 eq. 47, 0.748 at 10 m."""
    return 4.87 / math.log(67.8 * height - 5.42)


def net_radiation(tas, rsds, rlds, albedo=ALBEDO, emissivity=EMISSIVITY):
    """Net radiation [W m-2] of a surface at air temperature; FAO-56 eqs. 38 and 40.

    The longwave part is emissivity * (rlds - sigma T^4): WFDEI gives the downward flux, so the
    cloud and humidity factors of FAO-56 eq. 39 are not needed.
    """
    return (1 - albedo) * rsds + emissivity * (rlds - STEFAN_BOLTZMANN * tas**4)


def penman_monteith(
    tas, huss, ps, sfcwind, rsds, rlds, *, albedo=ALBEDO, emissivity=EMISSIVITY, wind_height=10.0
):
    """FAO-56 reference evapotranspiration [kg m-2 s-1], eq. 6 with no ground heat flux.

    Saturation is taken at the mean temperature and not as the mean over minimum and maximum
    (FAO-56 eq. 12), because WFDEI's daily files hold the mean alone; this lowers the result by a
    few per cent. Arrays broadcast; float32 stays float32.

    Args:
        tas: daily mean 2 m air temperature [K], 220-320.
        huss: specific humidity [kg/kg], 0-0.03.
        ps: surface pressure [Pa], 40,000-105,000.
        sfcwind: wind at `wind_height` [m s-1], 0-30.
        rsds: downward shortwave radiation [W m-2], 0-500.
        rlds: downward longwave radiation [W m-2], 100-500.
        albedo: reflected share of `rsds`, 0-1.
        emissivity: of the surface, 0-1.
        wind_height: where the wind was measured [m], above 0.1.
    """
    slope = vapour_pressure_slope(tas)
    gamma = psychrometric_constant(ps)
    deficit = saturation_vapour_pressure(tas) - vapour_pressure(huss, ps)
    wind = wind_factor(wind_height) * sfcwind
    energy = slope * net_radiation(tas, rsds, rlds, albedo, emissivity) / LATENT_HEAT
    # 900 is for kPa and mm d-1.
    aerodynamic = gamma * (0.9 / SECONDS_PER_DAY) / (tas - 0.15) * wind * deficit
    return np.maximum((energy + aerodynamic) / (slope + gamma * (1 + 0.34 * wind)), 0)


def priestley_taylor(tas, ps, rsds, rlds, *, alpha=ALPHA, albedo=ALBEDO, emissivity=EMISSIVITY):
    """Priestley-Taylor evapotranspiration [kg m-2 s-1], from energy alone.

    alpha * slope / (slope + gamma) * net radiation / latent heat, Priestley and Taylor (1972),
    Mon. Weather Rev. 100, eq. 5, with no ground heat flux. Inputs as in `penman_monteith`.
    """
    slope = vapour_pressure_slope(tas)
    share = slope / (slope + psychrometric_constant(ps))
    available = net_radiation(tas, rsds, rlds, albedo, emissivity)
    return np.maximum(alpha * share * available / LATENT_HEAT, 0)


def extraterrestrial_radiation(lat, time):
    """Daily radiation at the top of the atmosphere [W m-2], shape ``(time, *lat.shape)``.

    FAO-56 eqs. 21-25; 0 in the polar night.

    Args:
        lat: degrees north, any shape.
        time: dates.
    """
    phi = np.deg2rad(np.asarray(lat, dtype=float))
    day = pd.DatetimeIndex(np.atleast_1d(time)).dayofyear.to_numpy()
    angle = (2 * np.pi / 365 * day).reshape(-1, *[1] * phi.ndim)
    distance = 1 + 0.033 * np.cos(angle)
    declination = 0.409 * np.sin(angle - 1.39)
    sunset = np.arccos(np.clip(-np.tan(phi) * np.tan(declination), -1, 1))
    sines, cosines = np.sin(phi) * np.sin(declination), np.cos(phi) * np.cos(declination)
    return SOLAR_CONSTANT / np.pi * distance * (sunset * sines + cosines * np.sin(sunset))


def hargreaves_samani(tas, tasmin, tasmax, lat, time):
    """Hargreaves-Samani evapotranspiration [kg m-2 s-1], from temperature and latitude alone.

    FAO-56 eq. 52 with the mean temperature as given; tasmax below tasmin counts as no range.

    Args:
        tas: daily mean temperature [K], (time, ...).
        tasmin: daily minimum [K], same shape.
        tasmax: daily maximum [K], same shape.
        lat: degrees north, broadcastable to the shape after time: lat[:, None] on a grid.
        time: dates.
    """
    lat = np.array(lat, ndmin=np.ndim(tas) - 1)
    top = extraterrestrial_radiation(lat, time).astype(tas.dtype)
    spread = np.sqrt(np.maximum(tasmax - tasmin, 0))
    return np.maximum(0.0023 * (tas - KELVIN + 17.8) * spread * top / LATENT_HEAT, 0)


class Formula(NamedTuple):
    """A formula of potential evapotranspiration.

    Attributes:
        function: of NumPy arrays, (time, …), schema units; gives kg m-2 s-1, never below 0.
        variables: names in the schema, in the order the function takes them.
        needs_sun: whether the function takes latitudes and dates, too, after the variables.
    """

    function: Callable
    variables: tuple[str, ...]
    needs_sun: bool = False


FORMULAS = Extended(
    "pet",
    {
        "penman-monteith": Formula(
            penman_monteith, ("tas", "huss", "ps", "sfcwind", "rsds", "rlds")
        ),
        "priestley-taylor": Formula(priestley_taylor, ("tas", "ps", "rsds", "rlds")),
        "hargreaves-samani": Formula(
            hargreaves_samani, ("tas", "tasmin", "tasmax"), needs_sun=True
        ),
    },
)
"""The formulas by name, as `hybridlib prepare --pet` takes it."""


def _spatial_latitude(forcing, dims):
    """Latitudes shaped to broadcast over the spatial `dims` of the forcing."""
    lat = forcing["lat"]
    return lat.values.reshape([forcing.sizes[dim] if dim in lat.dims else 1 for dim in dims])


def potential_evaporation(forcing: xr.Dataset, formula: str = "penman-monteith") -> xr.DataArray:
    """Potential evapotranspiration `evspsblpot` [kg m-2 s-1] of a forcing dataset by name.

    Args:
        forcing: schema variables with dims (time, lat, lon) or (time, cell), and `lat`.
        formula: a key of FORMULAS.

    Raises:
        InputError: an unknown formula or a variable it needs and the forcing lacks.
    """
    if formula not in FORMULAS:
        raise InputError(f"PET formula '{formula}' is unknown; expected {' or '.join(FORMULAS)}")
    function, variables, needs_sun = FORMULAS[formula]
    missing = [name for name in variables if name not in forcing]
    if missing:
        raise InputError(
            f"forcing: {', '.join(missing)} is missing and {formula} needs it; "
            f"found {', '.join(map(str, forcing.data_vars)) or 'none'}"
        )
    fields = [forcing[name].transpose("time", ...) for name in variables]
    arguments = [field.values for field in fields]
    if needs_sun:
        arguments += [_spatial_latitude(forcing, fields[0].dims[1:]), forcing["time"].values]
    attrs = {
        "units": "kg m-2 s-1",
        "long_name": f"potential evapotranspiration ({formula})",
        "standard_name": "water_potential_evaporation_flux",
    }
    return fields[0].copy(data=function(*arguments)).rename("evspsblpot").assign_attrs(attrs)
