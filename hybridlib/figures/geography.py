"""Where a basin lies, where its water goes and where it is observed."""

from __future__ import annotations

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.collections import PatchCollection
from matplotlib.colors import ListedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from hybridlib.analysis import inventory
from hybridlib.analysis.attention import vegetation_types
from hybridlib.figures import maps
from hybridlib.figures.style import OBSERVED, WIDTH
from hybridlib.study.instruments import BOX_DEGREES
from hybridlib.study.sources.lba import SITES
from hybridlib.study.store import Study
from hybridlib.twin import geography
from hybridlib.twin.geography import Geography

CATCHMENT = "#cc0000"
GROUND = "YlOrBr"
COVERS = ("#029e73", "#ece133", "#ca9161", "#56b4e9")
"""Colours of the vegetation types, in the order of their flags."""


def basin_map(study: Study) -> Figure:
    """Draw relief, rivers, gauges and towers; below or beside them land cover and grid (Figure 2).

    Gauges are numbered as in :func:`~hybridlib.analysis.inventory.station_table`; the red line
    bounds what the gauge with the largest drainage area sees.
    """
    west, east, south, north = extent = maps.extent_of(study.basin)
    fig, axes = maps.basin_axes(extent, 2, 1 if east - west > north - south else 2)
    _relief(axes[0], study)
    draw_cover(axes[1], study, bar="bottom")
    axes[0].set_title("(a) relief and rivers")
    axes[1].set_title("(b) land cover")
    return fig


def _relief(ax, study: Study) -> None:
    """Draw heights, rivers, numbered gauges, towers and the largest gauge's catchment."""
    basin, gauges, land = study.basin, study.discharge, study.landsurface
    height = land.srftopo.where(land.lsm > 0).assign_attrs(long_name="height", units="m")
    maps.map_field(ax, height, "bottom", cmap=GROUND, norm=PowerNorm(0.5, vmin=0))
    maps.draw_network(ax, basin, scale=1.0)
    maps.draw_outline(ax, basin)
    largest = int(gauges.cell_area.argmax("station"))
    catchment = basin.catchment(study.gauge_cells[largest])
    maps.draw_outline(ax, basin, catchment, edgecolor=CATCHMENT, linewidth=1.6)
    ax.plot(gauges.cell_lon, gauges.cell_lat, "o", color=OBSERVED, markersize=4)
    for number, place in enumerate(zip(gauges.cell_lon, gauges.cell_lat, strict=True), 1):
        label_place(ax, place, str(number), xytext=(4, 3))
    west, east, south, north = maps.extent_of(basin, 0)
    for name, (lat, lon) in SITES.items():
        if west < lon < east and south < lat < north:
            ax.plot(lon, lat, "^", color="white", markeredgecolor="black", markersize=8)
            label_place(ax, (lon, lat), name, weight="bold", xytext=(4, 3))
    name = str(gauges.station.values[largest])
    line = plt.Line2D([], [], color=CATCHMENT, linewidth=1.6, label=f"drains to {name.title()}")
    ax.legend(handles=[line], loc="lower left", fontsize=8, frameon=True)


def label_place(ax, place, text: str, **style) -> None:
    """Write at a longitude and latitude, with a white rim so that it reads on any ground."""
    rim = [withStroke(linewidth=2, foreground="white")]
    style = {
        "xytext": (0, 0),
        "textcoords": "offset points",
        "size": 8,
        "path_effects": rim,
        "zorder": 6,
    } | style
    ax.annotate(text, tuple(map(float, place)), **style)


def draw_cover(ax, study: Study, bar: str = "right") -> None:
    """Draw vegetation types where the study has them, else the mean vegetation fraction."""
    types = vegetation_types(study)
    if len(types.names) == 1:
        cover = study.attributes.fveg_avg.where(study.landsurface.lsm > 0)
        maps.map_field(ax, cover, bar, vmin=0, vmax=1)
        return
    count, field = len(types.names), study.basin.on_grid(types.flag)
    colours = ListedColormap(COVERS[:count])
    mesh = maps.map_field(ax, field, bar, cmap=colours, vmin=0.5, vmax=count + 0.5)
    names = [textwrap.fill(name, 12) for name in types.names.values()]
    mesh.colorbar.set_ticks(list(types.names), labels=names, fontsize=7)


def network_figure(
    before: Geography, after: Geography, extent: tuple[float, float, float, float] | None = None
) -> Figure:
    """Draw the flow network before and after corrections, changed cells filled (Figure S2).

    Args:
        before: the first guess.
        after: the corrected network, on the same grid.
        extent: west, east, south, north of a detail, degrees; by default the whole grid.
    """
    changes = inventory.changed_cells(before, after)
    fig, axes = maps.basin_axes(extent or maps.extent_of(changes), 2, 2)
    colours = ListedColormap([colour for _, colour in inventory.CHANGES.values()])
    panels = ("first guess", before, inventory.ADDED), ("corrected", after, inventory.DROPPED)
    for ax, (title, place, hidden) in zip(axes, panels, strict=True):
        shown = changes.where((changes != inventory.UNCHANGED) & (changes != hidden))
        maps.map_field(ax, shown, bar="", cmap=colours, vmin=0.5, vmax=3.5, alpha=0.75)
        maps.draw_network(ax, geography.network(place), 0.0, 2.5 if extent else 1.0)
        ax.plot(place.gauges.cell_lon, place.gauges.cell_lat, "o", color=OBSERVED, markersize=2.5)
        ax.set_title(title)
    handles = [Patch(facecolor=colour, label=name) for name, colour in inventory.CHANGES.values()]
    fig.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return fig


def discharge_figure(study: Study) -> Figure:
    """Draw the record of the largest gauge, and how much of each gauge's months is missing."""
    flow = study.discharge.discharge.load()
    largest = int(study.discharge.cell_area.argmax("station"))
    share = inventory.missing_days(flow)
    heights = 2.2, 0.5 + 0.19 * len(share.station)
    size = WIDTH, 0.8 + sum(heights)
    fig, (top, bottom) = plt.subplots(2, figsize=size, sharex=True, height_ratios=heights)
    top.plot(flow.time, flow[:, largest] / 1000, color=OBSERVED, linewidth=0.8)
    top.set(title=f"(a) {str(flow.station.values[largest]).title()}", ylim=(0, None))
    top.set_ylabel("discharge\n(10³ m³ s⁻¹)")
    names = [f"{at}  {str(name).title()}" for at, name in enumerate(share.station.values, 1)]
    rows = np.arange(len(names))
    style = {"cmap": GROUND, "vmin": 0, "vmax": 100, "rasterized": True}
    bar = {"pad": 0.02, "label": maps.label_of(share)}
    gaps = share.where(share > 0).assign_coords(station=rows)
    gaps.plot(ax=bottom, yincrease=False, cbar_kwargs=bar, **style)
    bottom.set_yticks(rows, names, fontsize=8)
    bottom.set(title="(b) gaps", xlabel="year", ylabel="", xlim=flow.time.values[[0, -1]])
    return fig


def storage_map(study: Study) -> Figure:
    """Draw the boxes of the storage record, coloured by their seasonal amplitude.

    A black frame marks the box that :func:`storage_figure` shows.
    """
    amplitude = inventory.seasonal_amplitude(study.twsa.twsa.load())
    fig, (ax,) = maps.basin_axes(maps.extent_of(study.basin, 2.0))
    corners = study.twsa[["box_lon", "box_lat"]].to_array().values.T - BOX_DEGREES / 2
    squares = [Rectangle(corner, BOX_DEGREES, BOX_DEGREES) for corner in corners]
    drawn = PatchCollection(squares, cmap="viridis", edgecolor="white", transform=maps.LONLAT)
    drawn.set_array(amplitude.values)
    ax.add_collection(drawn)
    maps.draw_outline(ax, study.basin)
    frame = corners[int(amplitude.argmax("box"))], BOX_DEGREES, BOX_DEGREES
    ax.add_patch(Rectangle(*frame, fill=False, linewidth=2.2))
    fig.colorbar(drawn, ax=ax, shrink=0.85, label=maps.label_of(amplitude))
    return fig


def storage_figure(study: Study) -> Figure:
    """Draw the storage anomaly of the box with the largest amplitude; missing months are shaded."""
    boxes = study.twsa
    one = boxes.isel(box=int(inventory.seasonal_amplitude(boxes.twsa.load()).argmax("box")))
    series = one.twsa.to_series()
    fig, ax = plt.subplots(figsize=(WIDTH, 3))
    ax.plot(series.index, series, color=OBSERVED, marker=".", markersize=3)
    for month in series.index[series.isna()]:
        ax.axvspan(month, month + pd.offsets.MonthBegin(), color="#de8f05", alpha=0.45, lw=0)
    ax.axhline(0, color="black", linewidth=0.8)
    place = f"box at lat {float(one.box_lat):g}, lon {float(one.box_lon):g}"
    ax.set(xlabel="year", ylabel="storage anomaly (mm)", title=place)
    ax.set_xlim(series.index[[0, -1]])
    return fig
