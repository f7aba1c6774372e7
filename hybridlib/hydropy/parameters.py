"""The nine trainable parameters and HydroPy's default lags.

Source: Wang et al. (2024), Table 1, for names, ranges and units; HydroPy 1.0 (Stacke & Hagemann
2021) and Hagemann & Dümenil (1997) for the lags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.study.basin import WHOLE, Basin
from hybridlib.study.landsurface import pack_landsurface
from hybridlib.study.schema import EARTH_RADIUS, SECONDS_PER_DAY, InputError, cell_areas

if TYPE_CHECKING:
    from hybridlib.hydropy.backend import tf

Field: TypeAlias = "np.ndarray | tf.Tensor"
"""An array of NumPy's or a tensor of TensorFlow's."""


@dataclass(frozen=True)
class Parameter:
    """A row of Table 1: default (None: a field derived from the land surface) and range."""

    name: str
    default: float | None
    low: float
    high: float
    units: str
    description: str

    @property
    def attrs(self) -> dict[str, str]:
        """CF attributes."""
        return {"units": self.units.replace("/", "1"), "long_name": self.description}


# HydroPy's constants in kg m-2 s-1; the paper rounds them to 0.024 and 2.40 mm d-1.
_SLOW = 2.77778e-7 * SECONDS_PER_DAY
_FAST = 2.77778e-5 * SECONDS_PER_DAY

TABLE_1 = (
    Parameter("d_min", _SLOW, 0.001, 0.1, "mm d-1", "slow drainage velocity"),
    Parameter("d_max", _FAST, 0.1, 10.0, "mm d-1", "fast drainage velocity"),
    Parameter("s_min", 0.05, 0.0, 0.2, "/", "soil moisture fraction where slow drainage starts"),
    Parameter("s_max", 0.90, 0.2, 1.0, "/", "soil moisture fraction where fast drainage starts"),
    Parameter("f_crit", 0.75, 0.55, 0.95, "/", "critical root-zone soil moisture fraction"),
    Parameter("f_evap", 0.05, 0.0, 0.25, "/", "least soil moisture fraction for soil evaporation"),
    Parameter("lag_sur", None, 1.0, 200.0, "d", "lag of overland flow"),
    Parameter("lag_gw", None, 30.0, 1500.0, "d", "lag of groundwater runoff"),
    Parameter("lag_river", None, 0.0, 5.0, "d", "lag of river outflow, per reservoir"),
)


class Parameters(NamedTuple):
    """The nine parameters, each (…, cell), in the units of ``TABLE_1``."""

    d_min: Field
    d_max: Field
    s_min: Field
    s_max: Field
    f_crit: Field
    f_evap: Field
    lag_sur: Field
    lag_gw: Field
    lag_river: Field


class Lags(NamedTuple):
    """Default lags (days) and the number of river reservoirs, each (cell,)."""

    lag_sur: np.ndarray
    lag_gw: np.ndarray
    lag_river: np.ndarray
    reservoirs: np.ndarray


ZONAL_LENGTHS = ("original", "fortran", "geometric", "auto")
"""What gives the length of a reach along a row, in turn the area of the row's second column (the
original's Python) or first one (its Fortran, its own default), the coordinates, or "original"
where every area is that of its coordinates and else the coordinates."""
COLUMN = {"original": 1, "fortran": 0}


def default_parameters(lags: Lags) -> Parameters:
    """HydroPy's own values in every cell, (cell,)."""
    fields = [
        getattr(lags, row.name) if row.default is None else np.full(lags.lag_sur.shape, row.default)
        for row in TABLE_1
    ]
    return Parameters(*fields)


def parameter_table(parameters: Parameters) -> pd.DataFrame:
    """Table 1 with the least, median and largest value of parameter fields, (cell,)."""
    rows = [
        {
            "parameter": row.name,
            "meaning": row.description,
            "unit": row.units,
            "range": f"{row.low:g} to {row.high:g}",
            "least": np.min(field),
            "median": np.median(field),
            "largest": np.max(field),
        }
        for row, field in zip(TABLE_1, parameters, strict=True)
    ]
    return pd.DataFrame(rows).set_index("parameter")


def orography(topo_std: np.ndarray) -> np.ndarray:
    """Share of subgrid relief in the soil's shape, 0 to 1, from topo_std (m)."""
    return np.maximum(0.0, (topo_std - 100.0) / (topo_std + 1000.0))


def default_lags(
    landsurface: xr.Dataset,
    basin: Basin,
    zonal_length: str = "original",
    cascade: bool = True,
    latitude_step: float | None = None,
    source: str = "land surface",
) -> Lags:
    """Derive lags from slope, relief, lakes and the length of each river reach.

    Args:
        landsurface: as :func:`hybridlib.study.schema.select_landsurface` returns it.
        basin: the active cells.
        zonal_length: of :data:`ZONAL_LENGTHS`; "geometric" is right also where cells are cut at
            the rim.
        cascade: False puts each river's whole lag into one reservoir.
        latitude_step: spacing of the rows in degrees; by default the mean of the grid's own.
        source: the file's name, for messages.

    Raises:
        InputError: an unknown ``zonal_length``, a grid too small to have a spacing, no area in
            the second column for "original", or fields of which no lag follows.
    """
    fields = {n: _yearly_mean(v) for n, v in pack_landsurface(landsurface, basin, source).items()}
    area, height, slope = (fields[name] for name in ("area", "srftopo", "slope_avg"))
    topo_std, lake, wetland = (fields[name] for name in ("topo_std", "flake", "fwetl"))
    size = 2.0 * np.sqrt(area / np.pi)
    if latitude_step is None:
        latitude_step = _mean_step(basin.lat, source)
    length = _reach_length(landsurface, basin, zonal_length, latitude_step, size, source)
    drop = np.maximum(0.1, np.maximum(0.0, height) - np.maximum(0.0, height)[basin.downstream])
    drop = np.where(basin.sink, 0.0, drop)
    river_speed = np.maximum(0.1, 2.0 * (drop / length) ** 0.1)
    flat = slope == 0
    overland_length = np.where(flat, length, size)
    overland_speed = np.where(flat, river_speed, np.maximum(0.1, 2.0 * slope**0.1))

    surface = (50.5566 * overland_length / 171_000.0 * 1.0885 / overland_speed, 1.1107)
    river = (0.41120 * length / 228_000.0 * 1.0039 / river_speed, 5.47872)
    surface = _retard(*surface, size, lake, wetland, share=0.1)
    river = _retard(*river, length, lake, wetland, share=1.0)
    groundwater = 300.0 / (1.01 - np.maximum(0.01, orography(topo_std))) * size / 50_000.0
    reservoirs = river[1].astype(int) if cascade else np.ones(basin.size, int)
    lags = Lags(
        surface[0] * surface[1] / surface[1].astype(int),
        groundwater,
        river[0] * river[1] / reservoirs,
        reservoirs,
    )
    for name, values in lags._asdict().items():
        if not np.isfinite(values).all():
            cell = int(np.argmin(np.isfinite(values)))
            raise InputError(f"{source}: no {name} follows from the fields {basin.describe(cell)}")
    return lags


def _yearly_mean(field: np.ndarray) -> np.ndarray:
    return field.mean(axis=0) if field.ndim == 2 else field


def _mean_step(coordinate: np.ndarray, source: str) -> float:
    """Spacing of a coordinate in degrees."""
    if len(coordinate) < 2:
        raise InputError(
            f"{source}: the grid needs at least two rows and two columns to give its spacing; "
            "give the spacing by a further row and column (lsm 0)"
        )
    return abs(coordinate[-1] - coordinate[0]) / (len(coordinate) - 1)


def _reach_length(landsurface, basin, zonal_length, latitude_step, size, source) -> np.ndarray:
    """Distance to the downstream cell (m); a sink's own size."""
    if zonal_length not in ZONAL_LENGTHS:
        raise InputError(
            f"zonal length '{zonal_length}' is unknown; expected {' or '.join(ZONAL_LENGTHS)}"
        )
    if zonal_length == "auto":
        zonal_length = "geometric" if largest_cut(landsurface, basin) > WHOLE else "original"
    longitude_step = _mean_step(basin.lon, source)
    meridional = np.pi * EARTH_RADIUS / 180.0 * latitude_step
    if zonal_length in COLUMN:
        column = COLUMN[zonal_length]
        zonal = np.asarray(landsurface["area"], float)[:, column] / meridional
        empty = ~(zonal[basin.row] > 0)
        if empty.any():
            row = basin.row[np.argmax(empty)]
            raise InputError(
                f"{source}: column {column + 1} has no area in the row at lat {basin.lat[row]:g}; "
                "the original takes the row's length from it (choose zonal length geometric)"
            )
    else:
        degree = np.pi * EARTH_RADIUS / 180.0 * np.cos(np.deg2rad(basin.lat))
        zonal = degree * longitude_step
    target = basin.downstream
    columns = basin.col - basin.col[target]
    if len(basin.lon) * longitude_step > 359.9:
        columns = (columns + len(basin.lon) // 2) % len(basin.lon) - len(basin.lon) // 2
    east = 0.5 * (zonal[basin.row] + zonal[basin.row[target]]) * columns
    north = meridional * (basin.row - basin.row[target])
    return np.where(basin.sink, size, np.hypot(east, north))


def largest_cut(landsurface: xr.Dataset, basin: Basin) -> float:
    """Largest share by which the area of a cell with land differs from that of its coordinates."""
    area = basin.pack(np.asarray(landsurface["area"], float))[basin.land]
    return float(abs(area / basin.pack(cell_areas(basin.lat, basin.lon))[basin.land] - 1.0).max())


def _retard(lag, number, length, lake, wetland, share: float):
    """Slow the flow through lakes (0.01 m s-1) and wetlands (0.06 m s-1), days and number."""
    number = np.full(lag.shape, number)
    for fraction, speed in ((lake, 0.01), (wetland, 0.06)):
        slowest = share * speed
        weight = 0.5 * (np.tanh(4.0 * np.pi * (fraction - 0.5)) + 1.0)
        current = length / (lag * number * SECONDS_PER_DAY)
        slow = (fraction > 0.001) & (current > slowest)
        number = np.where(slow, (number - 1.0) * (1.0 - weight) + 1.0, number)
        mixed = current * (1.0 - (1.0 - slowest / current) * weight)
        lag = np.where(slow, length / (number * mixed * SECONDS_PER_DAY), lag)
    return lag, number
