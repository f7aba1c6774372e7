"""The weather of a study: means of days, months and regions, beside what is known of them."""

from __future__ import annotations

import calendar
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.analysis.inventory import covers_amazon, unbroken
from hybridlib.study import pet
from hybridlib.study.schema import SECONDS_PER_DAY
from hybridlib.study.store import Study
from hybridlib.twin import geography
from hybridlib.twin.weather import climate_summary


class Shown(NamedTuple):
    """How a variable is told: name, unit, factor and offset from the schema's unit."""

    label: str
    units: str
    factor: float = 1.0
    offset: float = 0.0


SHOWN = {
    "tas": Shown("air temperature", "°C", offset=-pet.KELVIN),
    "huss": Shown("specific humidity", "g kg⁻¹", 1000.0),
    "ps": Shown("surface pressure", "hPa", 0.01),
    "sfcwind": Shown("wind speed at 10 m", "m s⁻¹"),
    "rsds": Shown("shortwave down", "W m⁻²"),
    "rlds": Shown("longwave down", "W m⁻²"),
    "pr": Shown("precipitation", "mm d⁻¹", SECONDS_PER_DAY),
    "evspsblpot": Shown("potential evapotranspiration", "mm d⁻¹", SECONDS_PER_DAY),
}
"""The six meteorological variables, then the water they bring and could take."""
QUANTITIES = {
    "year": ("rain_mm", None),
    "wettest quarter": ("cells_wettest_quarter_mm", "wettest_middle_month"),
    "driest quarter": ("cells_driest_quarter_mm", "driest_middle_month"),
}
"""Where :func:`hybridlib.twin.weather.climate_summary` keeps the sum and its middle month."""


def summarise(study: Study) -> tuple[xr.Dataset, xr.Dataset]:
    """Read the weather once and keep its basin means and its mean maps, in the schema's units.

    Returns:
        The basin mean of every day, weighted by area, (time,); and the mean of every month of the
        year, (month, lat, lon), with the number of days behind it as coordinate ``days``.
    """
    basin, month_of = study.basin, study.days.month
    weights = basin.area / basin.area.sum()
    daily, monthly = {}, {}
    for name in SHOWN:
        if name not in study.forcing:
            continue
        field = study.forcing[name]
        values = field.values
        means = [values[month_of == month].mean(axis=0, dtype=float) for month in range(1, 13)]
        daily[name] = ("time", basin.pack(values) @ weights, field.attrs)
        monthly[name] = (("month", "lat", "lon"), np.stack(means), field.attrs)
    days = ("month", np.bincount(month_of, minlength=13)[1:])
    months = {"month": np.arange(1, 13), "days": days, "lat": basin.lat, "lon": basin.lon}
    return xr.Dataset(daily, {"time": study.days}), xr.Dataset(monthly, months)


def plain_units(fields: xr.Dataset) -> xr.Dataset:
    """Convert the schema's units to those of a weather report: °C, g kg⁻¹, hPa, mm d⁻¹."""
    return xr.Dataset(
        {
            name: (fields[name] * shown.factor + shown.offset).assign_attrs(
                units=shown.units, long_name=shown.label
            )
            for name, shown in SHOWN.items()
            if name in fields
        }
    )


def mean_maps(study: Study, monthly: xr.Dataset) -> xr.Dataset:
    """Mean weather of every basin cell over all days, plain units, (lat, lon)."""
    mean = monthly.weighted(monthly.days).mean("month")
    return plain_units(mean).where(study.landsurface.lsm > 0)


def meteorology_table(study: Study, daily: xr.Dataset, monthly: xr.Dataset) -> pd.DataFrame:
    """List every variable with its basin mean and the means of its lowest and highest cell."""
    fields = mean_maps(study, monthly)
    mean = plain_units(daily.mean("time"))
    rows = {
        name: {
            "meaning": field.long_name,
            "unit": unbroken(field.units),
            "basin mean": float(mean[name]),
            "lowest cell": float(field.min()),
            "highest cell": float(field.max()),
        }
        for name, field in fields.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").round(1)


def annual_rain(daily: xr.Dataset) -> pd.Series:
    """Rain of every full calendar year, basin mean, mm, by year."""
    rain = daily["pr"].to_series() * SECONDS_PER_DAY
    years = rain.groupby(rain.index.year)
    return years.sum()[years.size() >= 365].rename_axis("year").rename("rain (mm)")


def climate_check(study: Study, monthly: xr.Dataset) -> pd.DataFrame:
    """Compare the rain of the Amazon's regions with what is known of them.

    The expected numbers (``expected_climate.csv`` among the twin's tables) are means of the
    3-degree boxes' own quarters, so they are held against the mean of the cells' own quarters.

    Returns:
        Expected and found sums (mm), their difference (%) and the middle month of the region's
        quarter, by region and season; empty for a study on another grid.
    """
    columns = ["expected (mm)", "found (mm)", "difference (%)", "centred on"]
    if not covers_amazon(study):
        return pd.DataFrame(columns=columns)
    year = monthly.drop_vars("days").rename(month="time")
    year = year.assign_coords(time=pd.date_range("2001-01-01", periods=12, freq="MS"))
    inside = study.landsurface.lsm.values > 0
    found = climate_summary(year, inside, monthly.lat.values, monthly.lon.values)
    table = pd.read_csv(geography.FOLDER / "expected_climate.csv")
    rows = []
    for row in table.itertuples():
        amount, month = QUANTITIES[row.season]
        amount = found.loc[row.region, amount]
        middle = calendar.month_name[int(found.loc[row.region, month])] if month else ""
        more = 100 * (amount / row.expected_mm - 1)
        rows.append((row.expected_mm, round(amount), round(more, 1) + 0.0, middle))
    index = pd.MultiIndex.from_frame(table[["region", "season"]])
    return pd.DataFrame(rows, index, columns)
