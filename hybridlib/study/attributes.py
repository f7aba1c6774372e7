"""The static attributes that the networks see of a cell: 21, and those that packages add.

The paper's own list (its Table S1) is not available; this one holds the six it names and a
plausible rest, all derived from the land surface and the forcing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import xarray as xr

from hybridlib.study.plugins import Extended
from hybridlib.study.schema import FREEZING, SECONDS_PER_DAY, InputError

Field = Callable[[xr.Dataset, xr.Dataset], xr.DataArray]


class Attribute(NamedTuple):
    """A static attribute.

    Attributes:
        units: of the field, "/" for none.
        meaning: its long name.
        field: from land surface, (lat, lon) or (month, lat, lon), and forcing, (time, lat, lon),
            in the schema's names and units, to one number a cell, (lat, lon).
    """

    units: str
    meaning: str
    field: Field


def _mean(name: str) -> Field:
    """A field of the land surface, over the months where it has them."""

    def field(land: xr.Dataset, weather: xr.Dataset) -> xr.DataArray:
        return land[name].mean("month") if "month" in land[name].dims else land[name]

    return field


def _largest(name: str) -> Field:
    return lambda land, weather: land[name].max("month")


def _range(name: str) -> Field:
    return lambda land, weather: land[name].max("month") - land[name].min("month")


def _daily(name: str) -> Field:
    """Mean of a flux, mm d-1."""
    return lambda land, weather: weather[name].mean("time", dtype=float) * SECONDS_PER_DAY


def _temperature(land: xr.Dataset, weather: xr.Dataset) -> xr.DataArray:
    return weather["tas"].mean("time", dtype=float) - FREEZING


def _aridity(land: xr.Dataset, weather: xr.Dataset) -> xr.DataArray:
    p, pet = (_daily(name)(land, weather) for name in ("pr", "evspsblpot"))
    return pet / p.clip(min=0.01)


def _seasonality(land: xr.Dataset, weather: xr.Dataset) -> xr.DataArray:
    monthly = weather["pr"].groupby("time.month").mean() * SECONDS_PER_DAY
    return monthly.std("month") / monthly.mean("month").clip(min=0.01)


ATTRIBUTES = Extended(
    "attributes",
    {
        "lai_avg": Attribute("m2 m-2", "mean leaf area index", _mean("lai")),
        "lai_max": Attribute("m2 m-2", "largest monthly leaf area index", _largest("lai")),
        "lai_diff": Attribute(
            "m2 m-2", "largest minus smallest monthly leaf area index", _range("lai")
        ),
        "fveg_avg": Attribute("/", "mean vegetation fraction", _mean("fveg")),
        "fveg_max": Attribute("/", "largest monthly vegetation fraction", _largest("fveg")),
        "fveg_diff": Attribute(
            "/", "largest minus smallest monthly vegetation fraction", _range("fveg")
        ),
        "wcap": Attribute("kg m-2", "root-zone water capacity", _mean("wcap")),
        "wava": Attribute("kg m-2", "plant-available water capacity", _mean("wava")),
        "wmin": Attribute("kg m-2", "smallest water capacity within the cell", _mean("wmin")),
        "wmax": Attribute("kg m-2", "largest water capacity within the cell", _mean("wmax")),
        "beta": Attribute("/", "shape of the capacity distribution", _mean("beta")),
        "height": Attribute("m", "mean height", _mean("srftopo")),
        "topo_std": Attribute(
            "m", "standard deviation of height within the cell", _mean("topo_std")
        ),
        "slope_avg": Attribute("m m-1", "mean slope within the cell", _mean("slope_avg")),
        "flake": Attribute("/", "lake fraction", _mean("flake")),
        "fwetl": Attribute("/", "wetland fraction", _mean("fwetl")),
        "p_avg": Attribute("mm d-1", "mean precipitation", _daily("pr")),
        "temp_avg": Attribute("degC", "mean air temperature", _temperature),
        "pet_avg": Attribute("mm d-1", "mean potential evapotranspiration", _daily("evspsblpot")),
        "aridity": Attribute(
            "/", "mean potential evapotranspiration over mean precipitation", _aridity
        ),
        "p_seasonality": Attribute(
            "/", "coefficient of variation of the mean monthly precipitation", _seasonality
        ),
    },
)
"""The attributes by name, the library's own first, in the order the networks take them."""


def static_attributes(landsurface: xr.Dataset, forcing: xr.Dataset) -> xr.Dataset:
    """Derive the attributes of every cell of the grid.

    Args:
        landsurface: HydroPy's variables, (lat, lon) or (month, lat, lon).
        forcing: pr, tas and evspsblpot, (time, lat, lon).

    Returns:
        One float32 field (lat, lon) for each of :data:`ATTRIBUTES`.

    Raises:
        InputError: fewer than 365 days of forcing; means and seasons need a year. Or an attribute
            that a package adds and that cannot be derived from these data.
    """
    if forcing.sizes["time"] < 365:
        raise InputError(
            f"the forcing has {forcing.sizes['time']} days; attributes of the climate need a year"
        )
    return xr.Dataset({name: _derived(name, landsurface, forcing) for name in ATTRIBUTES})


def _derived(name: str, landsurface: xr.Dataset, forcing: xr.Dataset) -> xr.DataArray:
    """An attribute as a study keeps it; what a package brings is checked."""
    units, meaning, field = ATTRIBUTES[name]
    try:
        found = field(landsurface, forcing).astype("float32").drop_vars("month", errors="ignore")
    except (AttributeError, KeyError, ValueError) as error:
        if name in ATTRIBUTES.own:
            raise
        raise InputError(
            f"attribute '{name}' cannot be derived from these data ({error})"
        ) from error
    if found.dims != ("lat", "lon"):
        dims = ", ".join(map(str, found.dims))
        raise InputError(f"attribute '{name}' has dimensions {dims}; expected lat, lon")
    return found.assign_attrs(units=units, long_name=meaning)
