"""The one schema of every input: names, units and the checks at the door.

Files enter with dims ``time, lat, lon`` and units on every variable; what leaves this module has
the schema's names, its units and float64-safe coordinates. Nothing is guessed: a wrong or missing
unit is refused, never converted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from hybridlib.study.units import remedy, same_unit


class InputError(ValueError):
    """An input that cannot be used: a sentence says where, what was found and what expected."""


@dataclass(frozen=True)
class Variable:
    """A variable of the schema: name, units, valid range, other names and dimensions."""

    name: str
    units: str
    long_name: str
    low: float
    high: float
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
# The ranges catch wrong units (degC for K, mm/d for kg m-2 s-1), not unusual weather or soils:
# 2,592 mm/d of rain, 43 mm/d of demand, 10 m of water in a soil, three times the Amazon's flow.
FORCING = _table(
    "time lat lon",
    Variable("pr", FLUX, "precipitation", 0.0, 0.03, ("Precip", "precip")),
    Variable("tas", "K", "air temperature", 150.0, 350.0, ("TSurf", "tsurf")),
    Variable(
        "evspsblpot", FLUX, "potential evapotranspiration", 0.0, 0.0005, ("PET", "potevap", "pet")
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
    Variable("area", "m2", "cell area; in a prepared study its land inside the basin", 0.0, 2e12),
    Variable("rout_lat", "/", "row of the downstream cell, counted from 0", 0.0, 1e5),
    Variable("rout_lon", "/", "column of the downstream cell, counted from 0", 0.0, 1e5),
    Variable("srftopo", "m", "mean height", -500.0, 9000.0),
    Variable("topo_std", "m", "standard deviation of height within the cell", 0.0, 3000.0),
    Variable("slope_avg", "m m-1", "mean slope within the cell", 0.0, 3.0),
    Variable("fveg", "/", "vegetation fraction, by month", -0.01, 1.01, (), MONTHLY),
    Variable("lai", "m2 m-2", "leaf area index, by month", -0.01, 20.0, (), MONTHLY),
    Variable("flake", "/", "lake fraction", 0.0, 1.0),
    Variable("fwetl", "/", "wetland fraction", 0.0, 1.0),
    Variable("wcap", "kg m-2", "root-zone water capacity", 0.0, 5000.0),
    Variable("wava", "kg m-2", "plant-available water capacity", 0.0, 5000.0),
    Variable("wmin", "kg m-2", "smallest water capacity within the cell", 0.0, 5000.0),
    Variable("wmax", "kg m-2", "largest water capacity within the cell", 0.0, 1e4),
    Variable("beta", "/", "shape of the capacity distribution", 0.0, 50.0),
    Variable("perm", "/", "permafrost fraction", 0.0, 1.0),
)
MAYBE = _table(
    "lat lon",
    Variable("glacier", "/", "glacier fraction, no land", 0.0, 1.0),
    Variable("cell_area", "m2", "area of the whole cell, land or not", 0.0, 2e12),
)
"""Optional in a land surface."""
MAY_BE_MONTHLY = ("flake", "fwetl")
DISCHARGE = _table(
    "station",
    Variable("discharge", "m3 s-1", "daily mean discharge", 0.0, 1e6, dims=("time", "station")),
    Variable("station_lat", "degrees_north", "latitude, published", -90.0, 90.0),
    Variable("station_lon", "degrees_east", "longitude, published", -180.0, 360.0),
    Variable("area", "km2", "drainage area, published", 0.0, 1e7),
)
TWSA = _table(
    "box",
    Variable("twsa", "mm", "total water storage anomaly", -5000.0, 5000.0, dims=("month", "box")),
    Variable("box_lat", "degrees_north", "latitude of the box's centre", -90.0, 90.0),
    Variable("box_lon", "degrees_east", "longitude of the box's centre", -180.0, 360.0),
)

_KINDS = {"b": "true and false", "M": "dates", "m": "lengths of time", "c": "complex numbers"}


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
        if not same_unit(str(units), variable.units):
            raise InputError(
                f"{source}: {known[0]} has units '{units}'; expected '{variable.units}'"
                f"{remedy(str(units), variable.units)}"
            )
        if field.dtype.kind not in "iuf":
            kind = _KINDS.get(field.dtype.kind, "text")
            raise InputError(f"{source}: {known[0]} holds {kind}; expected numbers")
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
            f"expected {', '.join(dims)}{hint_of_names(field.to_dataset())}"
        )
    field = field.transpose(*dims)
    if "month" in dims and variable.dims != ("month", "box"):
        field = _with_months(field, source)
    return field.reset_coords(drop=True)


def _with_months(field: xr.DataArray, source: str) -> xr.DataArray:
    """Number the months of a year, also those that are told by dates; refuse any other twelve."""
    months = list(range(1, field.sizes["month"] + 1))
    if "month" in field.coords:
        told = field["month"].dt.month if field["month"].dtype.kind == "M" else field["month"]
        months = told.values.tolist()
    if months != list(range(1, 13)):
        raise InputError(
            f"{source}: {field.name} has {len(months)} months "
            f"({', '.join(str(m) for m in months)}); expected 12, January (1) to December (12)"
        )
    return field.assign_coords(month=range(1, 13))


def check_grid(dataset: xr.Dataset, source: str) -> xr.Dataset:
    """Refuse a grid without regular, finite, strictly monotonic ``lat`` and ``lon``.

    Returns:
        The dataset; longitudes that pass 180 or 360 degrees go on instead of starting again.

    Raises:
        InputError: a coordinate is missing, in radians, has gaps, repeats or changes direction.
    """
    for name in ("lat", "lon"):
        if name not in dataset.coords or dataset[name].ndim != 1:
            raise InputError(
                f"{source}: coordinate {name} is missing; expected one value per row or column"
                f"{hint_of_names(dataset)}"
            )
        units = str(dataset[name].attrs.get("units", "degrees"))
        if not same_unit(units, "degrees"):
            raise InputError(f"{source}: coordinate {name} has units '{units}'; expected degrees")
    dataset = dataset.assign_coords(lon=_unwrapped(dataset["lon"]))
    for name in ("lat", "lon"):
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
    return dataset


def _unwrapped(lon: xr.DataArray) -> xr.DataArray:
    """Longitudes that go on where they jump by a whole turn, as over the antimeridian."""
    values = np.asarray(lon, float)
    if not (abs(np.diff(values)) > 180.0).any():
        return lon
    return lon.copy(data=np.unwrap(values, period=360.0))


RENAMED = {"latitude": "lat", "longitude": "lon", "valid_time": "time", "y": "lat", "x": "lon"}
"""What other files call the schema's coordinates."""


def hint_of_names(dataset: xr.Dataset) -> str:
    """The one line that renames a dataset's coordinates, empty where they have other names."""
    names = {old: new for old, new in RENAMED.items() if old in dataset.dims}
    if not names:
        return ""
    pairs = ", ".join(f"{old}='{new}'" for old, new in names.items())
    return f"; found {', '.join(names)}: rename them, in Python dataset.rename({pairs})"


def turned(lon: np.ndarray | float, near: float):
    """Longitudes, degrees, moved by whole turns to within 180 degrees of one."""
    return lon + 360.0 * np.round((near - lon) / 360.0)


def check_same_grid(one: xr.Dataset, other: xr.Dataset, sources: tuple[str, str]) -> None:
    """Refuse two files whose cells are not the same; longitudes may differ by a whole turn.

    Raises:
        InputError: the coordinates differ in number or by more than 1e-4 degrees.
    """
    one, other = check_grid(one, sources[0]), check_grid(other, sources[1])
    for name in ("lat", "lon"):
        a, b = np.asarray(one[name], float), np.asarray(other[name], float)
        if a.shape != b.shape:
            raise InputError(
                f"{sources[1]}: {name} has {b.size} values; {sources[0]} has {a.size}; "
                "both files must lie on one grid"
            )
        b = b + 360.0 * np.round((a[0] - b[0]) / 360.0) if name == "lon" else b
        if not np.allclose(a, b, rtol=0.0, atol=1e-4):
            worst = int(np.abs(a - b).argmax())
            hint = " (the same rows in the other order)" if np.allclose(a, b[::-1]) else ""
            raise InputError(
                f"{sources[1]}: {name}[{worst}] is {b[worst]:g}; {sources[0]} has {a[worst]:g}"
                f"{hint}; both files must lie on one grid"
            )


def select_landsurface(raw: xr.Dataset, source: str) -> xr.Dataset:
    """Take a land surface out of a dataset: HydroPy's variables, checked where one look is enough.

    Returns:
        The variables of ``LANDSURFACE`` and those of ``MAYBE`` that are given.

    Raises:
        InputError: the grid, a variable, its unit or its dimensions cannot be used; an area that
            the coordinates do not give.
    """
    raw = check_grid(raw, source)
    names = [*LANDSURFACE, *(name for name in MAYBE if name in raw)]
    land = select(raw, {**LANDSURFACE, **MAYBE}, names, source)
    lat, lon = raw["lat"].values, raw["lon"].values

    def where(index):
        return f"at lat {lat[index[0]]:g}, lon {lon[index[1]]:g}"

    check_values(np.nan_to_num(land["lsm"].values.astype(float)), LANDSURFACE["lsm"], source, where)
    for name in {"area", *MAYBE} & set(names):
        # Cells without land may lack both; an area of 1 m2 and no glacier do no harm.
        values = np.where(land["lsm"] > 0, land[name], float("area" in name))
        check_values(values, LANDSURFACE.get(name) or MAYBE[name], source, where)
    land = land.assign_coords(lat=raw["lat"], lon=raw["lon"])
    _check_area(land, source, where)
    return land


def land_fraction(landsurface: xr.Dataset) -> np.ndarray:
    """Share of every cell that is land and no ice, (lat, lon)."""
    fraction = np.nan_to_num(np.asarray(landsurface["lsm"], float))
    if "glacier" in landsurface:
        fraction *= 1.0 - np.nan_to_num(np.asarray(landsurface["glacier"], float))
    return fraction


def cell_areas(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Area of whole cells by their coordinates, on a sphere, m2, (lat, lon)."""
    step = abs(np.diff(lat)).mean() if len(lat) > 1 else abs(np.diff(lon)).mean()
    width = abs(np.diff(lon)).mean() if len(lon) > 1 else step
    edges = np.deg2rad(np.clip([lat - step / 2, lat + step / 2], -90.0, 90.0))
    band = EARTH_RADIUS**2 * np.deg2rad(width) * np.diff(np.sin(edges), axis=0)[0]
    return np.repeat(band[:, None], len(lon), axis=1)


def share_of_cell(land: xr.Dataset) -> np.ndarray:
    """Area over what the coordinates give for the whole cell, (lat, lon); NaN without land.

    Args:
        land: ``lsm`` and ``area`` on ``lat``, ``lon``, at least two rows and columns.
    """
    whole = cell_areas(land["lat"].values, land["lon"].values)
    return np.where(land["lsm"] > 0, land["area"] / whole, np.nan)


MOST_OF_A_CELL = 1.05
"""A cell's area may exceed what its coordinates give by this; spheres and projections differ."""
LEAST_OF_A_CELL = 1e-6
"""The least land of a cell that has any."""
MANY = 10
"""Cells from which on some of a basin are whole, whatever its rim cuts."""


def _check_area(land: xr.Dataset, source: str, where) -> None:
    """Refuse areas that the coordinates do not give: one too large, or all of them too small."""
    if min(land.sizes["lat"], land.sizes["lon"]) < 2 or not (land["lsm"] > 0).any():
        return
    share = share_of_cell(land)
    cells, most = int(np.isfinite(share).sum()), float(np.nanmax(share))
    # A real rim cuts every cell of a small basin, but never all of many.
    least = 0.02 if cells < MANY else 0.51
    if least <= most <= MOST_OF_A_CELL:
        return _refuse_slivers(land, share, source, where)
    worst = np.unravel_index(np.nanargmax(share), share.shape)
    hint = next((words for ratio, words in _RATIOS.items() if 0.7 < most / ratio < 1.1), "")
    raise InputError(
        f"{source}: area is {float(land['area'][worst]):.4g} m2 {where(worst)}, {most:.3g} of what "
        f"its coordinates give{' and the largest of all' if most < 1 else ''}{hint}; expected "
        f"m2 and at most {MOST_OF_A_CELL:g}; cells above: {int((share > MOST_OF_A_CELL).sum())}"
    )


def _refuse_slivers(land: xr.Dataset, share: np.ndarray, source: str, where) -> None:
    """Refuse cells with next to no land: a millimetre on them is no water a river carries."""
    sliver = share * land["lsm"].values < LEAST_OF_A_CELL
    if sliver.any():
        first = tuple(np.argwhere(sliver)[0])
        raise InputError(
            f"{source}: lsm {float(land['lsm'][first]):g} and area {float(land['area'][first]):g} "
            f"m2 {where(first)} leave next to no land; expected {LEAST_OF_A_CELL:g} of a cell or "
            f"lsm 0; cells like this: {int(sliver.sum())}"
        )


_RATIOS = {
    1e-6: " (km2?)",
    1e-4: " (hectares?)",
    np.rad2deg(1): " (is lat or lon in radians?)",
    np.rad2deg(1) ** 2: " (are lat and lon in radians?)",
}
"""Where a wrong area comes from, by its ratio to the right one."""


FILLS = (9.969209968386869e36, 1e20, -9999.0, -99999.0, -999.0)
"""Values that mean "missing" in files that do not say so, NetCDF's own default and customs."""


def is_fill(values) -> np.ndarray:
    """Where values are one of :data:`FILLS`, in single precision, too."""
    values = np.asarray(values)
    found = (values < -998.0) | (values > 1e19)
    if found.any():
        near = [np.isclose(values[found], fill, rtol=1e-6, atol=0.0) for fill in FILLS]
        found[found] = np.any(near, axis=0)
    return found


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
    fill = ", NaN or a fill value" if np.isnan(value) or is_fill(np.array([value])).any() else ""
    raise InputError(
        f"{source}: {variable.name} {found} {where(first)}; expected a value "
        f"{_range_in_words(variable)}; values like this: {int(bad.sum())}{fill}"
    )


def _range_in_words(variable: Variable) -> str:
    return f"from {variable.low:g} to {variable.high:g} {variable.units}"
