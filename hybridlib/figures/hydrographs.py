"""Figures of runs: hydrographs, scores at the gauges, stores through the years."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.dates import MONTHLY, AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from hybridlib.analysis.inventory import name_of
from hybridlib.figures import maps
from hybridlib.figures.style import COLOURS, OBSERVED, panels
from hybridlib.study.basin import Basin
from hybridlib.study.metrics import nse

MONTHS = list("JFMAMJJASOND")
UNTRAINED = "HydroPyNN, untrained"
LARGE = 5e3
"""Discharge above which a thousand is the unit, m3 s-1."""
LAYERS = {
    "rootmoist": ("soil", "#8c6d31"),
    "groundwstor": ("groundwater", "#56b4e9"),
    "lakestor": ("surface water", "#0173b2"),
    "river": ("rivers", "#08306b"),
}
"""Store, its name in the legend and its colour, from bottom to top."""


def draw_pair(ax, pair: xr.Dataset, name: str, scheme: str) -> None:
    """Draw observed and simulated discharge, (time,), under a name and their NSE.

    Args:
        ax: axes to draw on.
        pair: discharge_observed and discharge_simulated of one gauge, m3 s-1, (time,).
        name: what the panel is called.
        scheme: its title, for colour and legend.
    """
    observed, simulated = pair.discharge_observed, pair.discharge_simulated
    large = float(simulated.max()) > LARGE
    scale, unit = (1e3, "1000 m³ s⁻¹") if large else (1.0, "m³ s⁻¹")
    label = UNTRAINED if scheme == "HydroPyNN" else scheme
    ax.plot(pair.time, observed / scale, color=OBSERVED, lw=0.9, label="observed")
    ax.plot(pair.time, simulated / scale, color=COLOURS[scheme], lw=0.9, label=label)
    ax.set(ylabel=unit, xlim=(pair.time[0], pair.time[-1]))
    ax.set_title(f"{name}, NSE {float(nse(simulated, observed)):.2f}")
    locator = AutoDateLocator(maxticks=7)
    locator.intervald[MONTHLY] = [1, 2, 3, 4, 6, 12]  # half years would be too many in four years
    ax.xaxis.set(major_locator=locator, major_formatter=ConciseDateFormatter(locator))


def hydrograph(pair: xr.Dataset, station: str) -> Figure:
    """Draw observed and simulated discharge of one gauge, with its NSE.

    Args:
        pair: discharge_observed and discharge_simulated, m3 s-1, (time, station).
        station: its name.
    """
    return hydrograph_grid(pair.sel(station=[station]), 1)


def hydrograph_grid(pair: xr.Dataset, columns: int = 3, title: str = "HydroPyNN") -> Figure:
    """Hydrographs of all gauges as small panels, in the order of the dataset.

    Args:
        pair: discharge_observed and discharge_simulated, m3 s-1, (time, station).
        columns: panels side by side.
        title: of the scheme, for colour and legend.
    """
    height = 1.5 if columns > 1 else 2.8
    fig, axes = panels(pair.station.size, columns, height, width=9, ylabel="discharge")
    for ax, station in zip(axes, pair.station.values, strict=True):
        draw_pair(ax, pair.sel(station=station), name_of(station), title)
        ax.set_ylim(0, None)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return fig


def seasonal_hydrograph(pair: xr.Dataset, station: str) -> Figure:
    """Mean discharge of each month at one gauge, over days on which both sides have a value."""
    one = pair.sel(station=station)
    mean = one.where(one.discharge_observed.notnull()).groupby("time.month").mean() / 1e3
    fig, ax = plt.subplots(figsize=(7, 3.2))
    ax.plot(mean.month, mean.discharge_observed, "o-", ms=4, color=OBSERVED, label="observed")
    ax.plot(mean.month, mean.discharge_simulated, "o-", ms=4, label=UNTRAINED)
    ax.set(ylim=(0, None), xlabel="month", ylabel="discharge (1000 m³ s⁻¹)", title=name_of(station))
    ax.set_xticks(range(1, 13), MONTHS)
    ax.legend(loc="lower left")
    return fig


def score_map(gauges: xr.Dataset, scores: pd.DataFrame, basin: Basin) -> Figure:
    """NSE at the gauges on a map; values below 0 share the lowest colour.

    Args:
        gauges: cell_lat and cell_lon, (station,).
        scores: a column NSE, by station.
        basin: for the outline.
    """
    fig, (ax,) = maps.basin_axes(maps.extent_of(basin))
    maps.draw_outline(ax, basin)
    place = gauges.sel(station=list(scores.index))
    style = {"s": 36, "edgecolor": "black", "linewidth": 0.5, "zorder": 5, "vmin": 0, "vmax": 1}
    dots = ax.scatter(place.cell_lon, place.cell_lat, c=scores.NSE, transform=maps.LONLAT, **style)
    fig.colorbar(dots, ax=ax, shrink=0.85, label="NSE of discharge (–)")
    return fig


def storage_layers(
    series: Mapping[str, np.ndarray], time: pd.DatetimeIndex, basin: Basin
) -> Figure:
    """Basin-mean water in soil, ground, surface and rivers through time, stacked, mm.

    Args:
        series: rootmoist, groundwstor, lakestor (mm) and riverstor (m3), (time, cell).
        time: the days.
        basin: gives areas.
    """
    total = basin.area.sum()
    depth = {name: series[name] @ basin.area / total for name in LAYERS if name != "river"}
    depth["river"] = series["riverstor"].sum(axis=(1, 2), dtype=float) / total * 1e3
    fig, ax = plt.subplots(figsize=(9, 3.4))
    labels, colours = zip(*LAYERS.values(), strict=True)
    ax.stackplot(time, *(depth[name] for name in LAYERS), colors=colours, labels=labels)
    ax.set(ylabel="mean water in the basin (mm)", xlim=(time[0], time[-1]), ylim=(0, None))
    fig.legend(loc="outside upper center", ncols=4)
    return fig
