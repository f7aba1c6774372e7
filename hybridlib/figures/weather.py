"""The weather of a study: what falls, shines and blows over the basin, when and where."""

from __future__ import annotations

import cmocean
import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.figure import Figure

from hybridlib.analysis.inventory import covers_amazon
from hybridlib.analysis.weather import SHOWN, annual_rain, mean_maps, plain_units
from hybridlib.figures import maps
from hybridlib.study.store import Study

COLOUR_MAPS = {
    "tas": cmocean.cm.thermal,
    "huss": cmocean.cm.dense,
    "ps": cmocean.cm.haline,
    "sfcwind": cmocean.cm.speed,
    "rsds": cmocean.cm.solar,
    "rlds": cmocean.cm.solar,
    "pr": cmocean.cm.rain,
    "evspsblpot": "viridis",
}
"""Of each variable's map."""
KNOWN_YEARS = {"drought": (2005, 2010, 2015, 2016), "flood": (2009, 2012, 2014)}
"""Years of the Amazon's great droughts and floods within 2001-2016 (the data page)."""
COLOURS = {"drought": "#d55e00", "flood": "#0173b2", "other": "0.7"}


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
        mesh = maps.map_field(ax, field, cmap=COLOUR_MAPS[name], colorbar=False)
        bar = fig.colorbar(mesh, ax=ax, orientation="horizontal", pad=0.04, shrink=0.9)
        bar.set_label(field.units)
        ax.set_title(field.long_name, fontsize=9)
    for ax in axes.flat[len(fields) :]:
        ax.remove()
    return fig


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
