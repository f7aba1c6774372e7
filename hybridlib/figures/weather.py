"""The weather of a study: what falls, shines and blows over the basin, when and where."""

from __future__ import annotations

import calendar
from typing import NamedTuple

import cmocean
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from hybridlib import maps, pet
from hybridlib.figures.geography import covers_amazon, unbroken
from hybridlib.schema import SECONDS_PER_DAY
from hybridlib.study import Study
from hybridlib.twin.weather import climate_summary


class Shown(NamedTuple):
    """How a variable is shown: name, unit, factor and offset from the schema's unit, colours."""

    label: str
    units: str
    cmap: object
    factor: float = 1.0
    offset: float = 0.0


SHOWN = {
    "tas": Shown("air temperature", "°C", cmocean.cm.thermal, offset=-pet.KELVIN),
    "huss": Shown("specific humidity", "g kg⁻¹", cmocean.cm.dense, 1000.0),
    "ps": Shown("surface pressure", "hPa", cmocean.cm.haline, 0.01),
    "sfcwind": Shown("wind speed at 10 m", "m s⁻¹", cmocean.cm.speed),
    "rsds": Shown("shortwave down", "W m⁻²", cmocean.cm.solar),
    "rlds": Shown("longwave down", "W m⁻²", cmocean.cm.solar),
    "pr": Shown("precipitation", "mm d⁻¹", cmocean.cm.rain, SECONDS_PER_DAY),
    "evspsblpot": Shown("potential evapotranspiration", "mm d⁻¹", "viridis", SECONDS_PER_DAY),
}
"""The six meteorological variables, then the water they bring and could take."""

KNOWN_YEARS = {"drought": (2005, 2010, 2015, 2016), "flood": (2009, 2012, 2014)}
"""Years of the Amazon's great droughts and floods within 2001-2016 (the data page)."""
COLOURS = {"drought": "#d55e00", "flood": "#0173b2", "other": "0.7"}
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


def climatology_figure(daily: xr.Dataset) -> Figure:
    """Draw the basin mean of every day of the year, and the spread of the years (Figure S7)."""
    table = plain_units(daily).to_dataframe()
    by_day = table[table.index.dayofyear <= 365].groupby(lambda day: day.dayofyear)
    mean, low, high = by_day.mean(), by_day.quantile(0.1), by_day.quantile(0.9)
    fig, axes = plt.subplots(
        -(-len(mean.columns) // 2), 2, figsize=(7.5, 8), sharex=True, squeeze=False
    )
    for ax, name in zip(axes.flat, mean, strict=False):
        ax.fill_between(mean.index, low[name], high[name], color="0.8", linewidth=0)
        ax.plot(mean.index, mean[name])
        ax.set(title=SHOWN[name].label, ylabel=SHOWN[name].units)
    for ax in axes[-1]:
        ax.set(xlabel="day of year", xlim=(1, 365), xticks=[1, 90, 180, 270, 365])
    return fig


def weather_maps(study: Study, monthly: xr.Dataset) -> Figure:
    """Draw the mean of every variable on a map, each on its own scale (Figure S8)."""
    fields = mean_maps(study, monthly)
    extent = maps.extent_of(study.landsurface.lsm)
    west, east, south, north = extent
    slender = (north - south) / (east - west)
    columns = 3 if slender < 1.5 else 4
    rows = -(-len(fields) // columns)
    figsize = (7.5, rows * (1.1 + 6.6 / columns * slender))
    fig, axes = maps.basin_axes(rows, columns, extent=extent, figsize=figsize, land=False)
    for ax, (name, field) in zip(axes.flat, fields.items(), strict=False):
        mesh = maps.map_field(ax, field, cmap=SHOWN[name].cmap, colorbar=False)
        bar = fig.colorbar(mesh, ax=ax, orientation="horizontal", pad=0.04, shrink=0.9)
        bar.set_label(field.units)
        ax.set_title(field.long_name, fontsize=9)
    for ax in axes.flat[len(fields) :]:
        ax.remove()
    return fig


def annual_rain(daily: xr.Dataset) -> pd.Series:
    """Rain of every full calendar year, basin mean, mm, by year."""
    rain = daily["pr"].to_series() * SECONDS_PER_DAY
    years = rain.groupby(rain.index.year)
    return years.sum()[years.size() >= 365].rename_axis("year").rename("rain (mm)")


def annual_rain_figure(study: Study, daily: xr.Dataset) -> Figure:
    """Draw each year's departure from the mean rain; on the Amazon, mark years that made news."""
    rain = annual_rain(daily)
    known = KNOWN_YEARS if covers_amazon(study) else {}
    kind = {year: name for name, years in known.items() for year in years}
    fig, ax = plt.subplots(figsize=(7.5, 3.2))
    for name, colour in COLOURS.items():
        some = rain[[kind.get(year, "other") == name for year in rain.index]]
        if len(some):
            ax.bar(some.index, some - rain.mean(), color=colour, label=f"{name} years")
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set(title=f"mean of the years: {rain.mean():,.0f} mm", xticks=rain.index[::2])
    ax.set(xlabel="year", ylabel="rain minus the mean (mm)")
    if known:
        ax.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 1))
    return fig


def climate_check(study: Study, monthly: xr.Dataset) -> pd.DataFrame:
    """Compare the rain of the Amazon's regions with what is known of them.

    The expected numbers (``data/amazon/expected_climate.csv``) are means of the 3-degree boxes'
    own quarters, so they are held against the mean of the cells' own quarters.

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
    table = pd.read_csv(maps.DATA / "amazon" / "expected_climate.csv")
    rows = []
    for row in table.itertuples():
        amount, month = QUANTITIES[row.season]
        amount = found.loc[row.region, amount]
        middle = calendar.month_name[int(found.loc[row.region, month])] if month else ""
        more = 100 * (amount / row.expected_mm - 1)
        rows.append((row.expected_mm, round(amount), round(more, 1) + 0.0, middle))
    index = pd.MultiIndex.from_frame(table[["region", "season"]])
    return pd.DataFrame(rows, index, columns)
