"""Figures of runs: hydrographs, scores at the gauges, stores through the years."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.analysis.inventory import name_of
from hybridlib.figures.maps import basin_axes, draw_outline, extent_of, map_points, mask_outline
from hybridlib.figures.style import OBSERVED, SCHEME_COLOURS
from hybridlib.study.basin import Basin, gridded
from hybridlib.study.metrics import nse

MONTHS = list("JFMAMJJASOND")
SIMULATED = SCHEME_COLOURS["HydroPyNN"]
LAYERS = {
    "rootmoist": ("soil", "#8c6d31"),
    "groundwstor": ("groundwater", "#56b4e9"),
    "lakestor": ("surface water", "#0173b2"),
    "river": ("rivers", "#08306b"),
}
"""Store, its name in the legend and its colour, from bottom to top."""


def hydrograph(pair: xr.Dataset, station: str, ax=None, title: str = "HydroPyNN"):
    """Observed and simulated discharge of one gauge, with its NSE.

    Args:
        pair: discharge_observed and discharge_simulated, m3 s-1, (time, station).
        station: its name.
        ax: axes to draw on; a new wide figure with a legend by default.
        title: of the scheme, for colour and legend.
    """
    alone = ax is None
    if alone:
        _, ax = plt.subplots(figsize=(9, 3.4))
    one = pair.sel(station=station)
    observed, simulated = one.discharge_observed, one.discharge_simulated
    scale, unit = (1e3, "1000 m³ s⁻¹") if float(simulated.max()) > 5e3 else (1.0, "m³ s⁻¹")
    ax.plot(one.time, observed / scale, color=OBSERVED, lw=0.9, label="observed")
    label = "HydroPyNN, untrained" if title == "HydroPyNN" else title
    ax.plot(one.time, simulated / scale, color=SCHEME_COLOURS[title], lw=0.9, label=label)
    ax.set(ylabel=unit, xlim=(one.time[0], one.time[-1]), ylim=(0, None))
    ax.set_title(f"{name_of(station)}, NSE {float(nse(simulated, observed)):.2f}")
    if alone:
        ax.set_ylabel(f"discharge ({unit})")
        handles, labels = ax.get_legend_handles_labels()
        ax.figure.legend(handles, labels, loc="outside upper right", ncols=2)
    return ax.figure


def hydrograph_grid(pair: xr.Dataset, columns: int = 3, title: str = "HydroPyNN"):
    """Hydrographs of all gauges as small panels, in the order of the dataset."""
    stations = pair.station.values
    rows = -(-len(stations) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(11, 0.6 + 1.8 * rows), dpi=85, sharex=True, squeeze=False
    )
    for ax, station in zip(axes.flat, stations, strict=False):
        hydrograph(pair, station, ax, title)
        ax.title.set_fontsize("medium")
        ax.xaxis.set_major_locator(plt.matplotlib.dates.YearLocator(4))
    for ax in axes.flat[len(stations) :]:
        ax.set_axis_off()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def seasonal_hydrograph(pair: xr.Dataset, station: str):
    """Mean discharge of each month at one gauge, over days on which both sides have a value."""
    one = pair.sel(station=station)
    both = one.where(one.discharge_observed.notnull())
    mean = both.groupby("time.month").mean() / 1e3
    figure, ax = plt.subplots(figsize=(7, 3.2))
    style = {"marker": "o", "ms": 4}
    ax.plot(mean.month, mean.discharge_observed, color=OBSERVED, label="observed", **style)
    simulated = mean.discharge_simulated
    ax.plot(mean.month, simulated, color=SIMULATED, label="HydroPyNN, untrained", **style)
    ax.set_xticks(range(1, 13), MONTHS)
    ax.set(ylim=(0, None), xlabel="month", ylabel="discharge (1000 m³ s⁻¹)")
    ax.set_title(name_of(station))
    ax.legend(loc="lower left")
    return figure


def score_map(gauges: xr.Dataset, scores: pd.DataFrame, basin: Basin):
    """NSE at the gauges on a map; values below 0 share the lowest colour.

    Args:
        gauges: cell_lat and cell_lon, (station,).
        scores: a column NSE, by station.
        basin: for the outline.
    """
    land = gridded(basin, basin.land, False)
    figure, ax = basin_axes(extent=extent_of(land), figsize=(7.5, 5))
    draw_outline(ax, mask_outline(land))
    place = gauges.sel(station=list(scores.index))
    spot = place.cell_lat.values, place.cell_lon.values, scores["NSE"].values
    map_points(ax, *spot, label="NSE of discharge (–)", vmin=0.0, vmax=1.0)
    return figure


def storage_layers(series: dict[str, np.ndarray], time: pd.DatetimeIndex, basin: Basin):
    """Basin-mean water in soil, ground, surface and rivers through time, stacked, mm.

    Args:
        series: rootmoist, groundwstor, lakestor (mm) and riverstor (m3), (time, cell).
        time: the days.
        basin: gives areas.
    """
    total = basin.area.sum()
    depth = {n: series[n] @ basin.area / total for n in LAYERS if n != "river"}
    depth["river"] = series["riverstor"].sum(axis=(1, 2), dtype=float) / total * 1e3
    figure, ax = plt.subplots(figsize=(9, 3.4))
    labels, colours = zip(*LAYERS.values(), strict=True)
    ax.stackplot(time, *(depth[name] for name in LAYERS), colors=colours, labels=labels)
    ax.set(ylabel="mean water in the basin (mm)", xlim=(time[0], time[-1]), ylim=(0, None))
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure
