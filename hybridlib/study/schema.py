"""The one schema of every input: names, units and the checks at the door.

Files enter with dims ``time, lat, lon`` and units on every variable; what leaves this module has
the schema's names, its units and float64-safe coordinates. Nothing is guessed: a wrong or missing
unit is refused, never converted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr


class InputError(ValueError):
    """An input that cannot be used: a sentence says where, what was found and what expected."""


@dataclass(frozen=True)
class Variable:
    """A variable of the schema: name, units, valid range, other names and dimensions."""

    name: str
    units: str
    long_name: str
    low: float = -np.inf
    high: float = np.inf
    aliases: tuple[str, ...] = ()
    dims: tuple[str, ...] = ()

    @property
    def attrs(self) -> dict[str, str]:
        """CF attributes of the variable."""
        return {"units": self.units, "long_name": self.long_name}


def _table(dims: str, *variables: Variable) -> dict[str, Variable]:
    """Variables by name; those that say nothing else have the dimensions ``dims``."""
    return {v.name: v if v.dims else replace(v, dims=tuple(dims.split())) for v in variables}


FLUX = "kg m-2 s-1"
SECONDS_PER_DAY = 86400.0
FREEZING = 273.15
"""Freezing point (K)."""
EARTH_RADIUS = 6_371_000.0
"""Radius of the sphere all lengths and areas are computed on (m); HydroPy's value."""

MONTHLY = ("month", "lat", "lon")
# The ranges catch wrong units (degC for K, mm/d for kg m-2 s-1), not unusual weather.
FORCING = _table(
    "time lat lon",
    Variable("pr", FLUX, "precipitation", 0.0, 0.05, ("Precip", "precip")),
    Variable("tas", "K", "air temperature", 150.0, 350.0, ("TSurf", "tsurf")),
    Variable(
        "evspsblpot", FLUX, "potential evapotranspiration", 0.0, 0.002, ("PET", "potevap", "pet")
    ),
    Variable("tasmin", "K", "daily minimum air temperature", 150.0, 350.0),
    Variable("tasmax", "K", "daily maximum air temperature", 150.0, 350.0),
    Variable("huss", "1", "specific humidity", 0.0, 0.1),
    Variable("ps", "Pa", "surface pressure", 2e4, 1.2e5),
    Variable("sfcwind", "m s-1", "wind speed at 10 m", 0.0, 150.0),
    Variable("rsds", "W m-2", "downward shortwave radiation", 0.0, 1000.0),
    Variable("rlds", "W m-2", "downward longwave radiation", 0.0, 1000.0),
)
LANDSURFACE = _table(
    "lat lon",
    Variable("lsm", "/", "land fraction; in a prepared study 1 or 0", 0.0, 1.0),
    Variable("area", "m2", "cell area; in a prepared study its land inside the basin", 0.0),
    Variable("rout_lat", "/", "row of the downstream cell, counted from 0"),
    Variable("rout_lon", "/", "column of the downstream cell, counted from 0"),
    Variable("srftopo", "m", "mean height", -500.0, 9000.0),
    Variable("topo_std", "m", "standard deviation of height within the cell", 0.0, 9000.0),
    Variable("slope_avg", "m m-1", "mean slope within the cell", 0.0, 10.0),
    Variable("fveg", "/", "vegetation fraction, by month", -0.01, 1.01, (), MONTHLY),
    Variable("lai", "m2 m-2", "leaf area index, by month", -0.01, 50.0, (), MONTHLY),
    Variable("flake", "/", "lake fraction", 0.0, 1.0),
    Variable("fwetl", "/", "wetland fraction", 0.0, 1.0),
    Variable("wcap", "kg m-2", "root-zone water capacity", 0.0),
    Variable("wava", "kg m-2", "plant-available water capacity", 0.0),
    Variable("wmin", "kg m-2", "smallest water capacity within the cell", 0.0),
    Variable("wmax", "kg m-2", "largest water capacity within the cell", 0.0),
    Variable("beta", "/", "shape of the capacity distribution", 0.0),
    Variable("perm", "/", "permafrost fraction", 0.0, 1.0),
)
MAYBE = _table(
    "lat lon",
    Variable("glacier", "/", "glacier fraction, no land", 0.0, 1.0),
    Variable("cell_area", "m2", "area of the whole cell, land or not", 0.0),
)
"""Optional in a land surface."""
MAY_BE_MONTHLY = ("flake", "fwetl")
DISCHARGE = _table(
    "station",
    Variable("discharge", "m3 s-1", "daily mean discharge", 0.0, dims=("time", "station")),
    Variable("station_lat", "degrees_north", "latitude, published", -90.0, 90.0),
    Variable("station_lon", "degrees_east", "longitude, published", -180.0, 360.0),
    Variable("area", "km2", "drainage area, published", 0.0),
)
TWSA = _table(
    "box",
    Variable("twsa", "mm", "total water storage anomaly", dims=("month", "box")),
    Variable("box_lat", "degrees_north", "latitude of the box's centre", -90.0, 90.0),
    Variable("box_lon", "degrees_east", "longitude of the box's centre", -180.0, 360.0),
)

_UNIT_SPELLINGS = {
    "kg/m2/s": FLUX,
    "kg m^-2 s^-1": FLUX,
    "kg m**-2 s**-1": FLUX,
    "kg/m^2/s": FLUX,
    "m**3 s**-1": "m3 s-1",
    "m3/s": "m3 s-1",
    "m/s": "m s-1",
    "m**2": "m2",
    "m/m": "m m-1",
    "m2/m2": "m2 m-2",
    "kg/m2": "kg m-2",
    "kg kg-1": "1",
    "kg/kg": "1",
    "-": "/",
    "1": "/",
}


def read(path: Path | str) -> xr.Dataset:
    """Open a NetCDF file lazily, or say in a sentence why it cannot be read.

    Raises:
        InputError: the file is missing or is not NetCDF.
    """
    try:
        return xr.open_dataset(path)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not a NetCDF file that can be read ({reason})") from None


def _same_unit(found: str, expected: str) -> bool:
    plain = " ".join(found.split())
    return plain == expected or _UNIT_SPELLINGS.get(plain) == expected


def select(dataset: xr.Dataset, table: dict[str, Variable], names, source: str) -> xr.Dataset:
    """Take variables under the schema's names, with their units checked.

    Args:
        dataset: what was read.
        table: the part of the schema it should fill.
        names: the variables needed, by schema name.
        source: the file's name, for messages.

    Raises:
        InputError: a variable is missing, or its unit is missing or another one.
    """
    found = {}
    for name in names:
        variable = table[name]
        known = [n for n in (name, *variable.aliases) if n in dataset.variables]
        if len(known) > 1:
            raise InputError(
                f"{source}: {' and '.join(known)} both stand for {name}; expected one of them"
            )
        if not known:
            other = f" (or {', '.join(variable.aliases)})" if variable.aliases else ""
            raise InputError(
                f"{source}: variable {name}{other} is missing; "
                f"found {', '.join(map(str, dataset.data_vars)) or 'none'}"
            )
        field = dataset[known[0]]
        units = field.attrs.get("units")
        if units is None and variable.units.startswith("degrees"):
            units = variable.units
        if units is None:
            raise InputError(f"{source}: {known[0]} has no units; expected '{variable.units}'")
        if not _same_unit(str(units), variable.units):
            raise InputError(
                f"{source}: {known[0]} has units '{units}'; expected '{variable.units}'"
            )
        found[name] = _ordered(field, variable, source).assign_attrs(variable.attrs)
    return xr.Dataset(found)


def _ordered(field: xr.DataArray, variable: Variable, source: str) -> xr.DataArray:
    """Bring a field's dimensions into the schema's order; refuse any other set of them."""
    dims = variable.dims
    if variable.name in MAY_BE_MONTHLY and "month" in field.dims:
        dims = MONTHLY
    if set(field.dims) != set(dims):
        raise InputError(
            f"{source}: {field.name} has dimensions {', '.join(map(str, field.dims)) or 'none'}; "
            f"expected {', '.join(dims)}"
        )
    field = field.transpose(*dims)
    if "month" in dims and variable.dims != ("month", "box"):
        _check_months(field, source)
    return field.reset_coords(drop=True)


def _check_months(field: xr.DataArray, source: str) -> None:
    months = list(field["month"].values) if "month" in field.coords else range(1, 13)
    if field.sizes["month"] != 12 or list(months) != list(range(1, 13)):
        raise InputError(
            f"{source}: {field.name} has {field.sizes['month']} months "
            f"({', '.join(str(m) for m in months)}); expected 12, January (1) to December (12)"
        )


def check_grid(dataset: xr.Dataset, source: str) -> None:
    """Refuse a grid without regular, finite, strictly monotonic ``lat`` and ``lon``.

    Raises:
        InputError: a coordinate is missing, has gaps, repeats or changes direction.
    """
    for name in ("lat", "lon"):
        if name not in dataset.coords or dataset[name].ndim != 1:
            raise InputError(
                f"{source}: coordinate {name} is missing; expected one value per row or column"
            )
        values = np.asarray(dataset[name], float)
        steps = np.diff(values)
        if not np.isfinite(values).all() or not ((steps > 0).all() or (steps < 0).all()):
            raise InputError(f"{source}: coordinate {name} is not strictly monotonic")
        if len(steps) and not np.allclose(steps, steps.mean(), rtol=0.02):
            raise InputError(
                f"{source}: coordinate {name} goes in steps of {np.abs(steps).min():g} to "
                f"{np.abs(steps).max():g} degrees; expected a regular grid"
            )
    if abs(np.asarray(dataset["lat"], float)).max() > 90:
        raise InputError(f"{source}: coordinate lat leaves -90 to 90 degrees")


def check_same_grid(one: xr.Dataset, other: xr.Dataset, sources: tuple[str, str]) -> None:
    """Refuse two files whose cells are not the same.

    Raises:
        InputError: the coordinates differ in number or by more than 1e-4 degrees.
    """
    check_grid(other, sources[1])
    for name in ("lat", "lon"):
        a, b = np.asarray(one[name], float), np.asarray(other[name], float)
        if a.shape != b.shape:
            raise InputError(
                f"{sources[1]}: {name} has {b.size} values; {sources[0]} has {a.size}; "
                "both files must lie on one grid"
            )
        if not np.allclose(a, b, rtol=0.0, atol=1e-4):
            worst = int(np.abs(a - b).argmax())
            hint = " (the same rows in the other order)" if np.allclose(a, b[::-1]) else ""
            hint = " (one file counts from 0 to 360)" if np.allclose(abs(a - b), 360) else hint
            raise InputError(
                f"{sources[1]}: {name}[{worst}] is {b[worst]:g}; {sources[0]} has {a[worst]:g}"
                f"{hint}; both files must lie on one grid"
            )


def check_daily(dataset: xr.Dataset, source: str) -> pd.DatetimeIndex:
    """Return the days of a dataset at 00:00, without gaps, repeats or another step.

    Raises:
        InputError: no time, another calendar, unsorted, duplicate or missing days, another step.
    """
    if "time" not in dataset.coords:
        raise InputError(f"{source}: coordinate time is missing; expected daily dates")
    index = dataset.indexes.get("time")
    if not isinstance(index, pd.DatetimeIndex):
        raise InputError(
            f"{source}: time is not in the standard calendar; expected dates with every 29 February"
        )
    if len(index) == 0:
        raise InputError(f"{source}: time is empty; expected daily dates")
    days = index.normalize()
    if index.has_duplicates:
        raise InputError(f"{source}: {index[index.duplicated()][0]:%Y-%m-%d} stands twice in time")
    steps = np.diff(index.values) / np.timedelta64(1, "D")
    if len(steps) and (steps < 0).any():
        raise InputError(f"{source}: time does not increase after {index[:-1][steps < 0][0]:%F}")
    if len(steps) and np.median(steps) != 1:
        raise InputError(
            f"{source}: time goes in steps of {np.median(steps):g} days; expected daily values"
        )
    if (steps != 1).any():
        before = index[:-1][steps != 1][0]
        after = index[1:][steps != 1][0]
        raise InputError(f"{source}: days are missing between {before:%F} and {after:%F}")
    return days


def read_landsurface(path: Path | str) -> xr.Dataset:
    """Read a land surface: HydroPy's variables in order, checked where one look is enough.

    Returns:
        The variables of ``LANDSURFACE`` and those of ``MAYBE`` that are given.

    Raises:
        InputError: the file, its grid, a variable, its unit or its dimensions cannot be used.
    """
    raw = read(path)
    return select_landsurface(raw, str(path)).assign_attrs(raw.attrs).load()


def select_landsurface(raw: xr.Dataset, source: str) -> xr.Dataset:
    """Take a land surface out of a dataset, as :func:`read_landsurface` does."""
    check_grid(raw, source)
    names = [*LANDSURFACE, *(name for name in MAYBE if name in raw)]
    land = select(raw, {**LANDSURFACE, **MAYBE}, names, source)
    lat, lon = raw["lat"].values, raw["lon"].values

    def where(index):
        return f"at lat {lat[index[0]]:g}, lon {lon[index[1]]:g}"

    for name in {"lsm", "glacier"} & set(names):
        variable = LANDSURFACE.get(name) or MAYBE[name]
        check_values(np.nan_to_num(land[name].values.astype(float)), variable, source, where)
    area = np.where(land["lsm"] > 0, land["area"], 1.0)
    check_values(area, LANDSURFACE["area"], source, where)
    return land.assign_coords(lat=raw["lat"], lon=raw["lon"])


def check_values(
    values: np.ndarray,
    variable: Variable,
    source: str,
    where,
) -> None:
    """Refuse NaN and values outside the variable's range.

    Args:
        values: any shape.
        variable: gives name, units and range.
        source: the file's name.
        where: turns an index tuple of ``values`` into words ("at lat …, lon … on …").

    Raises:
        InputError: with the first offender's place, value and the range expected.
    """
    bad = ~((values >= variable.low) & (values <= variable.high) & np.isfinite(values))
    if not bad.any():
        return
    first = tuple(np.argwhere(bad)[0])
    value = values[first]
    found = "is missing (NaN)" if np.isnan(value) else f"is {value:g} {variable.units}"
    raise InputError(
        f"{source}: {variable.name} {found} {where(first)}; expected a value "
        f"{_range_in_words(variable)}; values like this: {int(bad.sum())}"
    )


def _range_in_words(variable: Variable) -> str:
    if np.isinf(variable.low) and np.isinf(variable.high):
        return "that is a number"
    if np.isinf(variable.high):
        return f"of at least {variable.low:g} {variable.units}"
    return f"from {variable.low:g} to {variable.high:g} {variable.units}"
