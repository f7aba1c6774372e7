"""Land surface of the Amazon twin: heights with an Andes front and HydroPy's fields.

Fields follow the vegetation table of the data page: plausible by type, not measured. Types blend
smoothly, and smooth noise places each cell within its type's ranges.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtr

from hybridlib.study.schema import LANDSURFACE
from hybridlib.twin.weather import box_field, correlated_noise, smooth_step, wet_season_peak


class Cover(NamedTuple):
    """A vegetation type: ranges of its fields and the share of them that the seasons use."""

    name: str
    lai: tuple[float, float]  # m2 m-2
    fveg: tuple[float, float]
    wcap: tuple[float, float]  # kg m-2
    available: tuple[float, float]  # wava / wcap
    season: float


COVERS = (
    Cover("evergreen_broadleaf_forest", (4.5, 6), (0.88, 0.96), (450, 800), (0.45, 0.6), 0.2),
    Cover("dry_forest_and_savanna", (1.5, 4), (0.5, 0.85), (250, 450), (0.5, 0.65), 0.8),
    Cover("shrubland_and_grassland", (0.5, 2), (0.25, 0.6), (80, 250), (0.5, 0.7), 0.5),
)
FLOODPLAIN = len(COVERS) + 1  # the fourth vegetation type; its soil and plants are as around
FLOODPLAIN_AREA = 1e5  # km2 drained
TRUNK_AREA = 8e5  # km2 drained
TRUNK_FALL = 1.5  # m per 0.5-degree cell: the Amazon falls 2 to 3 cm per km

# Latitude, longitude of the Andes' eastern foot and of the divide [degrees], height there [m].
ANDES = np.array(
    [
        (9.0, -71.5, -72.5, 2200),
        (5.0, -72.6, -73.9, 2700),
        (3.0, -74.3, -75.4, 2800),
        (1.0, -76.0, -77.3, 2900),
        (-1.0, -77.5, -79.0, 3200),
        (-3.0, -77.9, -79.5, 2800),
        (-5.0, -77.6, -80.0, 2400),
        (-7.0, -76.3, -79.3, 3200),
        (-9.0, -75.2, -77.9, 4000),
        (-11.0, -74.0, -76.8, 4400),
        (-12.5, -71.4, -75.8, 4500),
        (-13.5, -69.2, -75.0, 4600),
        (-14.5, -68.0, -74.0, 4600),
        (-15.5, -66.8, -71.5, 4600),
        (-16.5, -65.6, -69.0, 4500),
        (-17.5, -63.8, -68.0, 4200),
        (-19.0, -63.2, -66.8, 4000),
        (-21.0, -63.2, -65.4, 3900),
    ]
)[::-1]


def _andes(lat, lon):
    """Height [m] the Andes add on (lat, lon), and where that is this side of the divide."""
    foot, divide, crest = (
        np.interp(lat, ANDES[:, 0], column)[:, None] for column in ANDES[:, 1:].T
    )
    share = (foot - lon) / (foot - divide)
    return crest * (np.sqrt(np.clip(share, 0, 1)) - 0.25 * np.clip(share - 1, 0, 2)), share < 1


def height(lat, lon, climate: pd.DataFrame) -> np.ndarray:
    """Mean height of cells [m], (lat, lon): the table's boxes, with a front where the Andes rise.

    An Andes profile, steep at the foot, is shifted until its mean over each box, east of the
    divide, is near the box's height in `climate`. The plain at the foot keeps at least half the
    height of its box, or 250 m if that is less.
    """
    rows, columns = (
        np.arange(climate[name].min() - 1.25, climate[name].max() + 1.5, 0.5)
        for name in ("lat", "lon")
    )
    boxes = (((climate[name] - climate[name].min()) / 3).astype(int) for name in ("lat", "lon"))
    box = tuple(index.to_numpy() for index in boxes)
    profile, near = _andes(rows, columns)
    shift = climate.assign(shift=0.0)
    for _ in range(3):
        estimate = profile + box_field(shift, "shift", rows, columns)
        mean = _box_sum(estimate * near) / np.maximum(_box_sum(near), 1)
        shift["shift"] += np.where(_box_sum(near)[box] > 0, climate.elevation_m - mean[box], 0)
    floor = box_field(climate.assign(floor=climate.elevation_m.clip(2, 500) / 2), "floor", lat, lon)
    return np.maximum(_andes(lat, lon)[0] + box_field(shift, "shift", lat, lon), floor)


def _box_sum(field):
    """Sums over boxes of 6 x 6 cells."""
    rows, columns = field.shape
    return field.reshape(rows // 6, 6, columns // 6, 6).sum(axis=(1, 3))


def cover_shares(lat, lon, height, climate, noise) -> np.ndarray:
    """Share of each of COVERS in every cell, (cover, lat, lon), adding up to 1.

    Savanna south of 12 S and east of 62 W with a transition from 9 S, and where less than about
    1,000 mm of rain falls in a year; grassland on the Moxos plains, the Rio Branco savanna and
    above 3,000 m; else forest. noise (lat, lon), standard normal, makes the borders uneven.
    """
    south = -np.asarray(lat)[:, None] + 0.15 * noise
    east = np.asarray(lon)[None, :] + 0.15 * noise
    moxos = _between(south, 12, 16) * _between(east, -67, -63)
    branco = _between(-south, 2, 4.5) * _between(east, -61.5, -59.5)
    high = smooth_step(height + 150 * noise, 2400, 3600)
    grass = np.maximum.reduce([moxos, branco, high])
    planalto = smooth_step(south + 0.5 * noise, 9, 12.5) * smooth_step(east, -63, -61)
    dry = 1 - smooth_step(box_field(climate, "p_annual_mm", lat, lon) + 60 * noise, 700, 1300)
    savanna = np.maximum(planalto, dry) * (1 - grass)
    return np.stack([1 - grass - savanna, savanna, grass])


def _between(values, low, high, edge=0.75):
    """Smooth window: 1 between low and high, 0 outside, one half at both."""
    rise = smooth_step(values, low - edge, low + edge)
    return rise * (1 - smooth_step(values, high - edge, high + edge))


def _blend(shares, ranges, place):
    """Field from each cover's (low, high) range at `place` (0-1, per cover), weighted by shares."""
    low, high = np.transpose(ranges)[:, :, None, None]
    return np.sum(shares * (low + (high - low) * place), axis=-3)


def _plants(shares, lat, lon, leaf, cover):
    """Monthly lai and fveg (month, lat, lon); greenest one month after the rain's peak."""
    month = np.arange(1, 13)[:, None, None]
    green = 0.5 + 0.5 * np.cos(np.pi / 6 * (month - wet_season_peak(lat, lon) - 1))
    season = np.array([kind.season for kind in COVERS])[:, None, None]
    lai, fveg = (place * (1 - season) + green[:, None] * season for place in (leaf, cover))
    return {
        "lai": _blend(shares, [kind.lai for kind in COVERS], lai),
        "fveg": _blend(shares, [kind.fveg for kind in COVERS], fveg),
    }


def _soil(shares, depth, texture, spread, shape):
    """Capacities [kg m-2] and the shape parameter, from four places within their ranges (0-1)."""
    wcap = _blend(shares, [kind.wcap for kind in COVERS], depth)
    return {
        "wcap": wcap,
        "wava": wcap * _blend(shares, [kind.available for kind in COVERS], texture),
        "wmin": wcap * 0.2 * (1 - spread),
        "wmax": wcap * (1.05 + 0.45 * spread),
        "beta": 0.1 + 0.4 * shape,
    }


def _relief(height, place):
    """Subgrid relief: plains 5-40 m and 0.0005-0.005, Andes 300-900 m and 0.02-0.1."""
    mountain = np.clip((height - 150) / 2350, 0, 1) ** 0.7
    plain_std, andes_std = 5 * 8**place, 300 * 3**place
    plain_slope, andes_slope = 0.0005 * 10**place, 0.02 * 5**place
    return {
        "topo_std": plain_std ** (1 - mountain) * andes_std**mountain,
        "slope_avg": plain_slope ** (1 - mountain) * andes_slope**mountain,
    }


def _open_water(upstream_area, lakes, wetlands):
    """Lakes and wetlands: wide along rivers draining more than FLOODPLAIN_AREA [km2].

    Args:
        upstream_area: drained area [km2].
        lakes: place within the range of lake fractions, 0-1.
        wetlands: likewise for wetlands.
    """
    size = np.log(np.maximum(upstream_area, FLOODPLAIN_AREA) / FLOODPLAIN_AREA) / np.log(60)
    size, river = np.clip(size, 0, 1), upstream_area > FLOODPLAIN_AREA
    return {
        "flake": np.where(river, 0.01 + 0.02 * (size + lakes), 0.004 * lakes),
        "fwetl": np.where(river, 0.05 + 0.125 * (size + wetlands), 0.02 * wetlands),
    }


def _river_height(height, rout_lat, rout_lon, upstream_area):
    """Heights [m] with the trunk rivers at a steady fall to the mouth instead of their banks'."""
    steps, lowered = np.zeros(height.shape), height.copy()
    trunk = np.argwhere(upstream_area > TRUNK_AREA)
    for row, column in sorted(map(tuple, trunk), key=lambda cell: -upstream_area[cell]):
        target = rout_lat[row, column], rout_lon[row, column]
        steps[row, column] = steps[target] + 1
        lowered[row, column] = TRUNK_FALL * steps[row, column]
    return lowered


def land_surface(geography, upstream_area_km2, climate: pd.DataFrame, seed) -> xr.Dataset:
    """HydroPy's land surface of the Amazon box or a window of it, valid in every cell.

    The same seed gives the same fields. `vegetation_type` is for maps; HydroPy does not read it.

    Args:
        geography: has lat, lon [degrees] and, on (lat, lon), mask (True inside the basin), area
            [m2], rout_lat and rout_lon (0-based row and column of the downstream cell).
        upstream_area_km2: drained area (lat, lon), NaN or 0 outside the basin.
        climate: climate_3deg.csv.
        seed: an integer or a SeedSequence.
    """
    lat, lon = geography.lat, geography.lon
    shape = (14, len(lat), len(lon))
    noise = correlated_noise(np.random.default_rng(seed), shape, reach=3, memory=0)
    border, place = noise[0].astype(float), 0.02 + 0.96 * ndtr(noise[1:].astype(float))
    upstream, high = np.nan_to_num(upstream_area_km2), height(lat, lon, climate)
    rout = np.asarray(geography.rout_lat, "int32"), np.asarray(geography.rout_lon, "int32")
    shares = cover_shares(lat, lon, high, climate, border)
    dominant = np.argmax(shares, axis=0) + 1
    fields = {
        "lsm": np.asarray(geography.mask, float),
        "area": np.asarray(geography.area, float),
        "rout_lat": rout[0],
        "rout_lon": rout[1],
        "srftopo": _river_height(high, *rout, upstream),
        **_relief(high, place[0]),
        **_plants(shares, lat, lon, place[1:4], place[4:7]),
        **_open_water(upstream, place[7], place[12]),
        **_soil(shares, *place[8:12]),
        "perm": np.zeros(shape[1:]),
        "vegetation_type": np.where(upstream > FLOODPLAIN_AREA, FLOODPLAIN, dominant).astype("i1"),
    }
    return _dataset(fields, lat, lon)


def _dataset(fields, lat, lon):
    """The fields as a dataset with HydroPy's names and units."""
    dims = ("month", "lat", "lon")
    surface = xr.Dataset(
        {name: (dims[-values.ndim :], values) for name, values in fields.items()},
        {"month": np.arange(1, 13), "lat": np.asarray(lat), "lon": np.asarray(lon)},
        {
            "Conventions": "CF-1.10",
            "title": "Land surface of the Amazon twin",
            "source": "hybridlib.twin.landsurface (plausible by vegetation type, not measured)",
        },
    )
    for name, variable in LANDSURFACE.items():
        surface[name].attrs = variable.attrs
    kinds = [kind.name for kind in COVERS] + ["floodplain"]
    surface["vegetation_type"].attrs = {
        "units": "/",
        "long_name": "vegetation type",
        "flag_values": list(range(1, FLOODPLAIN + 1)),
        "flag_meanings": " ".join(kinds),
    }
    surface["month"].attrs = {"units": "/", "long_name": "month of the year"}
    surface["lat"].attrs = {"units": "degrees_north", "standard_name": "latitude"}
    surface["lon"].attrs = {"units": "degrees_east", "standard_name": "longitude"}
    return surface
