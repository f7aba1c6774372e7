"""What a day needs to know of the land: static fields, cover of the day, weather of the day."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.hydropy.parameters import Field, orography
from hybridlib.study.basin import Basin
from hybridlib.study.landsurface import pack_landsurface
from hybridlib.study.schema import FREEZING, SECONDS_PER_DAY


class Land(NamedTuple):
    """Static fields of the cells, HydroPy's names; stores in mm, (cell,) or (month, cell)."""

    wcap: Field
    wilt: Field
    wmin: Field
    wmax: Field
    bmod: Field
    flake: Field
    fveg: Field
    lai: Field
    area: Field


class Weather(NamedTuple):
    """A day's weather, (time, cell), mm d-1, and the months around it, (time,).

    ``melt`` is the degree-day rate times T - 273.15 with its sign: negative on frost days. It is
    computed in float64, so that a day at 273.15 K stays on its side of the threshold.
    """

    rainf: Field
    snowf: Field
    melt: Field
    pet: Field
    month: Field
    next_month: Field
    share_next: Field

    def part(self, days: slice) -> Weather:
        """Cut days out, by position."""
        return Weather(*(field[days] for field in self))

    def day(self, day) -> Weather:
        """One day, by position."""
        return Weather(*(field[day] for field in self))


def prepare_land(landsurface: xr.Dataset, basin: Basin, source: str = "land surface") -> Land:
    """Scale the soils for permafrost and lay the monthly fields side by side.

    Args:
        landsurface: as :func:`hybridlib.study.schema.select_landsurface` returns it.
        basin: the active cells.
        source: the file's name, for messages.

    Returns:
        float64 fields.

    Raises:
        InputError: of :func:`~hybridlib.study.landsurface.pack_landsurface`.
    """
    fields = pack_landsurface(landsurface, basin, source)
    wcap = fields["wcap"]
    frozen = np.minimum(wcap, 50.0) * fields["perm"] + wcap * (1.0 - fields["perm"])
    scale = np.divide(frozen, wcap, out=np.ones_like(wcap), where=wcap > 0)
    boro = orography(fields["topo_std"])
    return Land(
        wcap=wcap * scale,
        wilt=(wcap - fields["wava"]) * scale,
        wmin=fields["wmin"] * scale,
        wmax=fields["wmax"] * scale,
        bmod=np.where(boro >= 0.01, fields["beta"] + boro, fields["beta"]),
        flake=_by_month(np.maximum(fields["flake"], fields["fwetl"])),
        fveg=_by_month(fields["fveg"]),
        lai=_by_month(fields["lai"]),
        area=basin.area.astype(float),
    )


def _by_month(field: np.ndarray) -> np.ndarray:
    return field if field.ndim == 2 else np.repeat(field[None], 12, axis=0)


def months_around(time: pd.DatetimeIndex) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place each day between the mid-month stamps of its own year.

    A stamp is the mean of a month's days at 00:00. December shifted by -365 days and January by
    +365 days close the year, in leap years too, as in HydroPy.

    Returns:
        month before (0-11), month after (0-11) and the share of the latter (0-1), each (time,).
    """
    before, after, share = (np.empty(len(time), t) for t in (np.int32, np.int32, float))
    for year in np.unique(time.year):
        starts = pd.date_range(f"{year}-01-01", periods=13, freq="MS")
        first = (starts - starts[0]).days.to_numpy(float)
        stamp = (first[:-1] + first[1:] - 1.0) / 2.0
        stamp = np.concatenate([[stamp[-1] - 365.0], stamp, [stamp[0] + 365.0]])
        days = time.year == year
        day = time.dayofyear[days].to_numpy(float) - 1.0
        left = np.searchsorted(stamp, day, side="right") - 1
        before[days], after[days] = (left - 1) % 12, left % 12
        share[days] = (day - stamp[left]) / (stamp[left + 1] - stamp[left])
    return before, after, share


def snowfall_share(tas: np.ndarray) -> np.ndarray:
    """Share of precipitation that falls as snow: 1 below 272.05 K, 0 above 276.45 K.

    Args:
        tas: air temperature, K.
    """
    return np.clip((276.45 - tas) / 4.4, 0.0, 1.0)


def day_length(time: pd.DatetimeIndex, lat: np.ndarray) -> np.ndarray:
    """Hours of daylight, 0 to 24, (time, cell), from the day of the year and lat (degrees)."""
    year_days = np.where(time.is_leap_year, 366.0, 365.0)
    angle = 2.0 * np.pi * (283.0 + time.dayofyear.to_numpy()) / year_days
    declination = np.deg2rad(23.45) * np.sin(angle)
    cosine = -np.tan(np.deg2rad(lat)) * np.tan(declination)[:, None]
    return 2.0 * np.rad2deg(np.arccos(np.clip(cosine, -1.0, 1.0))) / 15.0


def prepare_weather(
    pr: np.ndarray, tas: np.ndarray, pet: np.ndarray, time: pd.DatetimeIndex, lat: np.ndarray
) -> Weather:
    """Turn forcing into a day's weather, in float64.

    Args:
        pr: precipitation, kg m-2 s-1, (time, cell).
        tas: air temperature, K, (time, cell).
        pet: potential evapotranspiration, kg m-2 s-1, (time, cell).
        time: days, (time,).
        lat: latitude of the cells, degrees, (cell,).
    """
    tas = np.asarray(tas, float)
    precip = np.asarray(pr, float) * SECONDS_PER_DAY
    snowf = precip * snowfall_share(tas)
    rate = 8.3 / 24.0 * day_length(time, lat) + 0.7
    return Weather(
        precip - snowf,
        snowf,
        rate * (tas - FREEZING),
        np.asarray(pet, float) * SECONDS_PER_DAY,
        *months_around(time),
    )
