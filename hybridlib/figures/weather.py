"""The weather of a study: what falls, shines and blows over the basin, when and where."""

from __future__ import annotations

import cmocean
import matplotlib.pyplot as plt
import seaborn as sns
import xarray as xr
from matplotlib.figure import Figure

from hybridlib.analysis.inventory import covers_amazon
from hybridlib.analysis.weather import SHOWN, annual_rain, mean_maps, plain_units
from hybridlib.figures import maps
from hybridlib.figures.style import WIDTH, panels
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
    """Draw the basin mean of every day of the year, and the spread of the years (Figure S7).

    The spread goes from the tenth to the ninetieth percentile.
    """
    table = plain_units(daily).to_dataframe()
    table = table[table.index.dayofyear <= 365]
    days = table.index.dayofyear
    fig, axes = panels(table.shape[1], 2, 1.85, xlabel="day of year")
    for ax, name in zip(axes, table, strict=True):
        sns.lineplot(x=days, y=table[name].values, errorbar=("pi", 80), ax=ax)
        ax.set(title=SHOWN[name].label, xlabel="", ylabel=SHOWN[name].units)
    ax.set(xlim=(1, 365), xticks=[1, 90, 180, 270, 365])
    return fig


def weather_maps(study: Study, monthly: xr.Dataset) -> Figure:
    """Draw the mean of every variable on a map, each on its own scale (Figure S8)."""
    fields = mean_maps(study, monthly)
    fig, axes = maps.basin_axes(maps.extent_of(study.basin), len(fields), 3, land=False)
    for ax, (name, field) in zip(axes, fields.items(), strict=True):
        mesh = maps.map_field(ax, field, "bottom", cmap=COLOUR_MAPS[str(name)])
        mesh.colorbar.set_label(field.units)
        ax.set_title(field.long_name, fontsize=9)
    return fig


def annual_rain_figure(study: Study, daily: xr.Dataset) -> Figure:
    """Draw each year's departure from the mean rain; on the Amazon, mark years that made news."""
    rain = annual_rain(daily)
    known = KNOWN_YEARS if covers_amazon(study) else {}
    kind = {year: name for name, years in known.items() for year in years}
    fig, ax = plt.subplots(figsize=(WIDTH, 3.2))
    for name, some in (rain - rain.mean()).groupby(lambda year: kind.get(year, "other")):
        ax.bar(some.index, some, color=COLOURS[name], label=f"{name} years")
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set(title=f"mean of the years: {rain.mean():,.0f} mm", xticks=rain.index[::2])
    ax.set(xlabel="year", ylabel="rain minus the mean (mm)")
    if known:
        ax.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 1))
    return fig
