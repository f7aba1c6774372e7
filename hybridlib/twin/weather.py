"""Stochastic daily weather for the Amazon twin: reproducible, with the basin's seasons and relief.

Expected rain follows the 3-degree climate table and known dry and wet years; daily rain, cloud,
temperature and wind scatter about it through correlated noise. Everything else is derived from
expected rain, cloud, height and the sun, so that a drought is sunny, dry and warm. Coefficients
without a source are ours, chosen to meet the regional figures of the data page. The weather is
invented: it has the climate of the Amazon, not its days.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.special import gamma, ndtr

from hybridlib.study import pet
from hybridlib.study.schema import FORCING, SECONDS_PER_DAY, InputError

LAPSE = 0.00478  # K m-1, of the climate table's boxes
MONTH = 365.25 / 12

STANDARD_NAMES = {
    "pr": "precipitation_flux",
    "tas": "air_temperature",
    "tasmin": "air_temperature",
    "tasmax": "air_temperature",
    "huss": "specific_humidity",
    "ps": "surface_air_pressure",
    "sfcwind": "wind_speed",
    "rsds": "surface_downwelling_shortwave_flux_in_air",
    "rlds": "surface_downwelling_longwave_flux_in_air",
}
CELL_METHODS = {"tasmin": "time: minimum", "tasmax": "time: maximum"}

# Middle of the wet season as a month number (1.0 = mid-January, 6.0 = mid-June).
PEAK_LAT = (-20.0, -12.0, -8.0, -5.0, -3.0, -1.5, 0.0, 1.5, 5.0)
PEAK_LON = (-74.0, -62.0, -52.0)
PEAK_MONTH = (
    (0.9, 0.9, 1.1, 1.6, 2.2, 3.0, 4.4, 6.0, 6.6),
    (0.9, 0.9, 1.1, 1.6, 2.2, 2.8, 4.3, 6.0, 6.6),
    (1.0, 1.0, 1.3, 1.8, 2.3, 2.7, 3.6, 5.2, 6.0),
)


class Event(NamedTuple):
    """A dry or wet spell: months it lasts, centre and reach [degrees], log of the rain factor."""

    start: str
    end: str
    lat: float
    lon: float
    reach: float
    strength: float


# Where and when the droughts and floods struck; strengths ours.
EVENTS = (
    Event("2005-02", "2005-09", -8, -70, 11, -0.28),
    Event("2009-01", "2009-06", 0, -58, 11, 0.21),
    Event("2010-01", "2010-04", 0, -58, 11, -0.16),
    Event("2010-05", "2010-11", -8, -64, 13, -0.28),
    Event("2012-01", "2012-05", -4, -72, 11, 0.22),
    Event("2013-12", "2014-05", -12, -66, 10, 0.22),
    Event("2015-05", "2016-05", -1, -57, 13, -0.30),
)


def box_field(climate: pd.DataFrame, column: str, lat, lon) -> np.ndarray:
    """Values of 3-degree boxes interpolated linearly to cells, shape (lat, lon).

    climate: columns lat, lon (box centres) and `column`. Boxes without a value take the nearest
    one's; beyond the outer centres the field is constant.
    """
    table = climate.pivot(index="lat", columns="lon", values=column)
    table = table.reindex(
        index=np.arange(table.index.min(), table.index.max() + 1, 3.0),
        columns=np.arange(table.columns.min(), table.columns.max() + 1, 3.0),
    )
    values = table.to_numpy()
    nearest = distance_transform_edt(np.isnan(values), return_distances=False, return_indices=True)
    return _interpolate(table.index, table.columns, values[tuple(nearest)], lat, lon)


def wet_season_peak(lat, lon) -> np.ndarray:
    """Middle of the wet season as a month number (1.0 = mid-January), shape (lat, lon)."""
    return _interpolate(PEAK_LAT, PEAK_LON, np.transpose(PEAK_MONTH), lat, lon)


def _interpolate(rows, columns, values, lat, lon):
    """Bilinear interpolation to (lat, lon), constant beyond the outer rows and columns."""
    rows, columns = np.asarray(rows, float), np.asarray(columns, float)
    points = np.meshgrid(
        np.clip(lat, rows[0], rows[-1]), np.clip(lon, columns[0], columns[-1]), indexing="ij"
    )
    return RegularGridInterpolator((rows, columns), values)(tuple(points))


def expected_rain(climate: pd.DataFrame, lat, lon, height) -> np.ndarray:
    """Long-term mean rain of each day of the year [mm d-1], shape (366, lat, lon).

    Harmonics about the wet season's middle give the table's annual, wettest-quarter and
    driest-quarter sums; slopes between 500 and 2,000 m get more than their surroundings, land
    above 3,000 m less. Where the curve would dip below 0 it is cut, and the harmonics are chosen
    again until both quarters fit.
    """
    annual, wettest, driest = (
        box_field(climate, f"p_{name}_mm", lat, lon)
        for name in ("annual", "wettest_quarter", "driest_quarter")
    )
    peak = (wet_season_peak(lat, lon) - 0.5) * MONTH
    angle = 2 * np.pi * (np.arange(366)[:, None, None] + 0.5 - peak) / 365.25
    wanted = asked = np.stack([wettest, driest]) / annual
    for _ in range(4):
        shape = _season(asked[0], asked[1], angle)
        asked = asked + wanted - _quarter_shares(shape)
    return annual / 365.25 * _relief_factor(height) * shape


def _season(wettest, driest, angle):
    """Curve of mean 1 over the year from the shares of the wettest and driest quarters.

    The small third harmonic flattens the dry season, which would dip below 0 sooner.
    """
    # At the peak and 30 degrees either side, cos x - 0.14 cos 3x sums to 0.86 + 3^0.5, cos 2x to 2.
    first = 6 * (wettest - driest) / (0.86 + np.sqrt(3))
    second = 3 * (wettest + driest) - 1.5
    wave = first * (np.cos(angle) - 0.14 * np.cos(3 * angle)) + second * np.cos(2 * angle)
    shape = np.maximum(1 + wave, 0.01)
    return shape / shape.mean(axis=0)


def _quarter_shares(shape):
    """Shares of a year's rain in its wettest and driest 92 days, (2, lat, lon)."""
    total = np.cumsum(np.concatenate([np.zeros_like(shape[:1]), shape, shape[:91]]), axis=0)
    quarters = total[92:] - total[:-92]
    return np.stack([quarters.max(axis=0), quarters.min(axis=0)]) / len(shape)


def _relief_factor(height):
    """Rain on slopes and on high land relative to its surroundings, about 1 on average."""
    factor = (
        1 + 0.4 * np.exp(-(((height - 1100) / 800) ** 2)) - 0.3 * smooth_step(height, 2200, 4000)
    )
    return factor / gaussian_filter(factor, 3, mode="nearest")


def smooth_step(values, low, high):
    """Smooth step from 0 at `low` to 1 at `high`."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return share**2 * (3 - 2 * share)


def event_factor(months: pd.PeriodIndex, lat, lon) -> np.ndarray:
    """Log of the rain factor of known dry and wet spells, shape (month, lat, lon).

    The mean factor of 2001-2016 is 1 in each calendar month, so the climate table stays the mean.
    """
    record = np.exp(_event_sum(pd.period_range("2001-01", "2016-12", freq="M"), lat, lon))
    usual = np.log(record.reshape(16, 12, len(lat), len(lon)).mean(axis=0))
    return _event_sum(months, lat, lon) - usual[months.month - 1]


def _event_sum(months, lat, lon):
    """Sum of all events' log factors, each a Gaussian in space that starts and ends softly."""
    total = np.zeros((len(months), len(lat), len(lon)))
    numbers = np.asarray(months.year) * 12 + np.asarray(months.month)
    for event in EVENTS:
        first, last = (pd.Period(text, "M") for text in (event.start, event.end))
        first, last = (period.year * 12 + period.month for period in (first, last))
        inside = np.clip(np.minimum(numbers - first + 1, last - numbers + 1) / 2, 0, 1)
        far = (np.asarray(lat)[:, None] - event.lat) ** 2 + (np.asarray(lon) - event.lon) ** 2
        total += event.strength * inside[:, None, None] * np.exp(-far / (2 * event.reach**2))
    return total


def correlated_noise(rng: np.random.Generator, shape, reach: float, memory: float) -> np.ndarray:
    """Standard normal float32 noise of `shape` (time, lat, lon), correlated in space and time.

    Every value has variance 1, rims included.

    Args:
        rng: where chance comes from.
        shape: (time, lat, lon).
        reach: width of the smoothing kernel [cells]; correlation falls to 1/e at twice that.
        memory: lag-one autocorrelation, 0-1.
    """
    rows, columns = (_kernel(size, reach) for size in shape[1:])
    noise = rows @ rng.standard_normal(shape, dtype=np.float32) @ columns.T
    fresh = np.float32(np.sqrt(1 - memory**2))
    for today in range(1, len(noise)):
        noise[today] *= fresh
        noise[today] += np.float32(memory) * noise[today - 1]
    return noise


def _kernel(size, reach):
    """Gaussian smoothing as a (size, size) matrix whose rows have unit length."""
    offset = np.subtract.outer(np.arange(size), np.arange(size))
    kernel = np.exp(-0.5 * (offset / reach) ** 2)
    return (kernel / np.linalg.norm(kernel, axis=1, keepdims=True)).astype(np.float32)


def monthly_anomaly(time: pd.DatetimeIndex, lat, lon, rng) -> np.ndarray:
    """Log of the rain factor of every month: known spells and chance, (month + 2, lat, lon).

    One month is added before the first and after the last, to interpolate days between.
    """
    first, last = time[0].to_period("M") - 1, time[-1].to_period("M") + 1
    months = pd.period_range(first, last, freq="M")
    chance = correlated_noise(rng, (len(months), len(lat), len(lon)), reach=10, memory=0.6)
    return (event_factor(months, lat, lon) + 0.08 * chance - 0.0032).astype(np.float32)


def _daily(monthly, time, start):
    """Monthly fields interpolated linearly to the days `time`; the first is of month `start`."""
    position = (time.year * 12 + time.month - 1) - (start.year * 12 + start.month - 1)
    position = position.to_numpy() + (time.day.to_numpy() - 0.5) / time.days_in_month - 0.5
    before = np.floor(position).astype(int)
    share = np.asarray(position - before, dtype=np.float32)[:, None, None]
    return monthly[before] * (1 - share) + monthly[before + 1] * share


def rain_amount(expected, noise) -> np.ndarray:
    """Daily rain [mm d-1] with the `expected` mean, from standard normal `noise`.

    The wettest share p of the noise is rain: p = 0.85 (1 - exp(-expected / 4 mm)). Amounts on
    wet days are Weibull with shape 0.9; the probability of more rain gives the amount.
    """
    wet = 0.85 * -np.expm1(-expected / 4)
    surplus = np.maximum(-np.log(ndtr(-noise) / wet), 0)
    return expected / wet * surplus ** (1 / 0.9) / np.float32(gamma(1 + 1 / 0.9))


def clearness(expected, cloud, height) -> np.ndarray:
    """Share of the sun's radiation that reaches the ground, 0.12-0.74.

    Falls with expected rain [mm d-1], with `cloud` (standard normal), and in the cloud forest.
    """
    mean = 0.405 + 0.21 * np.exp(-expected / 4)
    forest = 0.16 * np.exp(-(((height - 1800) / 900) ** 2)) * expected / (expected + 2)
    return np.clip(mean - forest - 0.1 * cloud, 0.12, 0.74)


def longwave_down(tas, vapour, clear) -> np.ndarray:
    """Downward longwave [W m-2] of a sky with vapour pressure [Pa] and clearness.

    Brutsaert (1975), Water Resour. Res. 11, eq. 11, for the clear sky; cloud closes up to 0.6 of
    what misses to a black body.
    """
    emissivity = np.minimum(1.24 * (vapour / 100 / tas) ** (1 / 7), 1)
    cover = np.clip((0.75 - clear) / 0.55, 0, 1)
    emissivity += 0.6 * cover * (1 - emissivity)
    return emissivity * pet.STEFAN_BOLTZMANN * tas**4


def mean_temperature(climate: pd.DataFrame, lat, lon, height) -> np.ndarray:
    """Long-term mean temperature [K]: the lapse rate with height, shifted to the box's mean."""
    residual = climate.assign(shift=climate.t_mean_c - 26.7 + LAPSE * climate.elevation_m)
    return 26.7 + pet.KELVIN - LAPSE * height + box_field(residual, "shift", lat, lon)


def _temperature(mean, lat, time, anomaly, cloud, noise):
    """Daily mean temperature [K] and its spells: warmest in October, winter and fronts south."""
    south = np.clip((-4 - np.asarray(lat)) / 12, 0, 1)[:, None]
    day = time.dayofyear.to_numpy()[:, None, None]
    summer = np.cos(2 * np.pi * (day - 15) / 365.25)
    season = 0.7 * np.cos(2 * np.pi * (day - 290) / 365.25) + south * summer
    weather = (0.5 + 0.9 * south * (1 - summer)) * noise
    return mean + season - 1.5 * anomaly - 0.4 * cloud + weather, weather


def _day_fields(time, expected, anomaly, noise, top, mean, height, lat, lon):
    """All variables of the days `time`, as a dict of (time, lat, lon) arrays."""
    cloud = 0.6 * noise["rain"] + 0.8 * noise["cloud"]
    clear = clearness(expected, cloud, height)
    tas, spell = _temperature(mean, lat, time, anomaly, cloud, noise["warmth"])
    spread = np.maximum(2.5 + 12.5 * clear + 0.0012 * height, 2)
    column = tas + LAPSE / 2 * height
    # Cold spells come with high pressure.
    ps = (101_250 - 60 * spell) * np.exp(-9.80665 * height / (287.05 * column))
    humidity = 0.874 - 0.22 * np.exp(-expected / 3) - 0.00002 * height + 0.035 * cloud
    humidity = np.clip(humidity, 0.3, 0.985)
    vapour = humidity * pet.saturation_vapour_pressure(tas)
    breeze = 1.12 + 0.35 * np.exp(-expected / 3) + 0.3 * np.clip((lon + 60) / 10, 0, 1)
    breeze = (breeze + 0.0001 * height) * np.exp(0.25 * noise["wind"] - 0.03)
    return {
        "pr": rain_amount(expected, noise["rain"]) / SECONDS_PER_DAY,
        "tas": tas,
        "tasmin": tas - 0.45 * spread,
        "tasmax": tas + 0.55 * spread,
        "huss": 0.622 * vapour / (ps - 0.378 * vapour),
        "ps": ps,
        "sfcwind": breeze / pet.wind_factor(10.0),
        "rsds": clear * top[time.dayofyear - 1],
        "rlds": longwave_down(tas, vapour, clear),
    }


def generate(lat, lon, height, time: pd.DatetimeIndex, seed, climate, basin) -> xr.Dataset:
    """Daily weather of every cell, float32, dims (time, lat, lon), in the schema's units.

    `pr` holds rain and snow; HydroPy splits them by temperature. The same seed gives the same
    bytes on one machine.

    Args:
        lat: latitudes of a regular 0.5-degree grid, the Amazon box or a window of it.
        lon: its longitudes.
        height: [m], (lat, lon).
        time: consecutive days.
        seed: an integer or a SeedSequence.
        climate: climate_3deg.csv.
        basin: (lat, lon) weights, the cells whose mean rain over the whole time is held to what
            climate and known spells expect.

    Raises:
        InputError: the basin is empty.
    """
    if not np.any(basin):
        raise InputError("twin weather: the basin has no cell; expected at least one")
    shape = (len(time), len(lat), len(lon))
    rng = np.random.default_rng(seed)
    noise = {
        "rain": correlated_noise(rng, shape, reach=3, memory=0.35) * np.float32(0.75**0.5),
        "cloud": correlated_noise(rng, shape, reach=2, memory=0.4),
        "warmth": correlated_noise(rng, shape, reach=8, memory=0.75),
        "wind": correlated_noise(rng, shape, reach=4, memory=0.5),
    }
    noise["rain"] += correlated_noise(rng, shape, reach=1.2, memory=0.1) * np.float32(0.5)
    anomaly = monthly_anomaly(time, lat, lon, rng)
    year = pd.date_range("2004-01-01", "2004-12-31")
    top = pet.extraterrestrial_radiation(np.asarray(lat)[:, None], year).astype(np.float32)
    climatology = expected_rain(climate, lat, lon, height).astype(np.float32)
    mean = mean_temperature(climate, lat, lon, height).astype(np.float32)
    static = (top, mean, *(np.asarray(values, np.float32) for values in (height, lat, lon)))
    fields = {name: np.empty(shape, np.float32) for name in STANDARD_NAMES}
    start, target = time[0].to_period("M") - 1, 0.0
    for first in range(0, len(time), 128):
        days = slice(first, first + 128)
        chunk = {name: values[days] for name, values in noise.items()}
        shift = _daily(anomaly, time[days], start)
        expected = climatology[time[days].dayofyear - 1] * np.exp(shift)
        target += np.sum(expected * basin)
        values = _day_fields(time[days], expected, shift, chunk, *static)
        for name in fields:
            fields[name][days] = values[name]
    found = SECONDS_PER_DAY * np.sum(fields["pr"] * basin, dtype=float)
    fields["pr"] *= np.float32(target / found)
    return _dataset(fields, time, lat, lon)


def _dataset(fields, time, lat, lon):
    """The fields as a CF dataset."""
    weather = xr.Dataset(
        {name: (("time", "lat", "lon"), values) for name, values in fields.items()},
        {"time": time, "lat": np.asarray(lat), "lon": np.asarray(lon)},
        {
            "Conventions": "CF-1.10",
            "title": "Stochastic daily weather of the Amazon twin",
            "source": "hybridlib.twin.weather (invented weather, real climate)",
        },
    )
    for name, standard_name in STANDARD_NAMES.items():
        weather[name].attrs = FORCING[name].attrs | {
            "standard_name": standard_name,
            "cell_methods": CELL_METHODS.get(name, "time: mean"),
        }
    weather["lat"].attrs = {"units": "degrees_north", "standard_name": "latitude"}
    weather["lon"].attrs = {"units": "degrees_east", "standard_name": "longitude"}
    return weather


def regions(basin, lat, lon) -> dict[str, np.ndarray]:
    """Area weights (lat, lon) of the basin and of its three rain regions."""
    lat, lon = np.asarray(lat)[:, None], np.asarray(lon)[None, :]
    weights = np.asarray(basin, float) * np.cos(np.deg2rad(lat))
    return {
        "basin": weights,
        "north of the equator": weights * (lat > 0),
        "south of 10 S": weights * (lat < -10),
        "north-west": weights * (lon < -66) * (lat > -4),
    }


def climate_summary(weather: xr.Dataset, basin, lat, lon) -> pd.DataFrame:
    """Regional climate of the weather, one row a region of `regions` that has cells.

    Columns: rain of the year, of the wettest and driest three consecutive months of the regional
    mean [mm] and their middle months, the same as the mean of each cell's own quarters, and the
    lowest and highest monthly mean of any cell for tas [degC], rsds, rlds [W m-2], vapour
    pressure deficit [hPa] (of monthly means) and wind at 2 m [m s-1].
    """
    months = weather.groupby("time.month").mean()
    rain = months["pr"].values * SECONDS_PER_DAY * MONTH
    quarters = rain + np.roll(rain, 1, axis=0) + np.roll(rain, -1, axis=0)
    vapour = pet.vapour_pressure(months["huss"], months["ps"])
    ranges = {
        "tas_degc": months["tas"] - pet.KELVIN,
        "rsds_w_m2": months["rsds"],
        "rlds_w_m2": months["rlds"],
        "vpd_hpa": (pet.saturation_vapour_pressure(months["tas"]) - vapour) / 100,
        "wind_2m_m_s": months["sfcwind"] * pet.wind_factor(10.0),
    }
    rows = {}
    for region, weights in regions(basin, lat, lon).items():
        if not weights.any():
            continue
        mean = np.average(quarters.reshape(12, -1), axis=1, weights=weights.ravel())
        rows[region] = {
            "rain_mm": mean.sum() / 3,
            "wettest_quarter_mm": mean.max(),
            "wettest_middle_month": int(mean.argmax()) + 1,
            "driest_quarter_mm": mean.min(),
            "driest_middle_month": int(mean.argmin()) + 1,
            "cells_wettest_quarter_mm": np.average(quarters.max(axis=0), weights=weights),
            "cells_driest_quarter_mm": np.average(quarters.min(axis=0), weights=weights),
        }
        for name, values in ranges.items():
            inside = values.values[:, weights > 0]
            rows[region] |= {f"{name}_low": inside.min(), f"{name}_high": inside.max()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("region")
