"""Where a basin lies, where its water goes and where it is observed."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.collections import PatchCollection
from matplotlib.colors import ListedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from hybridlib.analysis.inventory import (
    ADDED,
    CHANGES,
    DROPPED,
    UNCHANGED,
    changed_cells,
    missing_days,
    seasonal_amplitude,
)
from hybridlib.figures import maps
from hybridlib.figures.style import OBSERVED
from hybridlib.study.basin import Basin
from hybridlib.study.instruments import BOX_DEGREES
from hybridlib.study.sources.lba import SITES
from hybridlib.study.store import Study
from hybridlib.twin import geography
from hybridlib.twin.geography import Geography

LEAST_SHARE = 0.008
"""Rivers that drain less than this share of the basin are not drawn on overview maps."""
BELOW = {"orientation": "horizontal", "pad": 0.03, "shrink": 0.7, "aspect": 35}
"""Where a map's colour bar goes when a second map stands beside or below."""
RELIEF = "YlOrBr"
RIVER = "#0173b2"
CATCHMENT = "#cc0000"
GAPS = "YlOrBr"
COVERS = ("#029e73", "#ece133", "#ca9161", "#56b4e9")
"""Colours of the vegetation types, in the order of their flags."""


def basin_map(study: Study) -> Figure:
    """Draw relief, rivers, gauges and towers; below or beside them land cover and grid (Figure 2).

    Gauges are numbered as in :func:`station_table`; the red line bounds what the gauge with the
    largest drainage area sees.
    """
    extent = maps.extent_of(study.landsurface.lsm)
    wide = extent[1] - extent[0] > extent[3] - extent[2]
    fig, axes = maps.basin_axes(*((2, 1) if wide else (1, 2)), extent=extent)
    _relief(axes.flat[0], study)
    _land_cover(axes.flat[1], study)
    for ax, title in zip(axes.flat, ("(a) relief and rivers", "(b) land cover"), strict=True):
        ax.set_title(title)
    return fig


def _relief(ax, study: Study) -> None:
    """Draw heights, rivers, numbered gauges, towers and the largest gauge's catchment."""
    basin, gauges, inside = study.basin, study.discharge, study.landsurface.lsm > 0
    height = study.landsurface.srftopo.where(inside)
    mesh = maps.map_field(ax, height, cmap=RELIEF, colorbar=False)
    mesh.set_norm(PowerNorm(0.5, vmin=0))
    ax.figure.colorbar(mesh, ax=ax, **BELOW).set_label("height (m)")
    draw_network(ax, basin, LEAST_SHARE)
    largest = int(gauges.cell_area.values.argmax())
    catchment = inside.copy(data=basin.unpack(basin.catchment(study.gauge_cells[largest]), False))
    maps.draw_outline(ax, maps.mask_outline(inside), linewidth=0.8)
    maps.draw_outline(ax, maps.mask_outline(catchment), edgecolor=CATCHMENT, linewidth=1.6)
    ax.plot(gauges.cell_lon, gauges.cell_lat, "o", color=OBSERVED, markersize=4)
    for number, (lat, lon) in enumerate(zip(gauges.cell_lat, gauges.cell_lon, strict=True), 1):
        _label(ax, lat, lon, str(number), OBSERVED)
    west, east, south, north = maps.extent_of(inside, 0)
    for name, (lat, lon) in SITES.items():
        if west < lon < east and south < lat < north:
            ax.plot(lon, lat, "^", color="white", markeredgecolor="black", markersize=8)
            _label(ax, lat, lon, name, "black", weight="bold")
    name = str(gauges.station.values[largest])
    line = plt.Line2D([], [], color=CATCHMENT, linewidth=1.6, label=f"drains to {name.title()}")
    ax.legend(handles=[line], loc="lower left", fontsize=8, frameon=True)


def _label(ax, lat, lon, text: str, colour: str, **style) -> None:
    """Write beside a point, with a white rim so that it reads on any ground."""
    rim = [patheffects.withStroke(linewidth=2, foreground="white")]
    ax.annotate(
        text,
        (float(lon), float(lat)),
        xytext=(4, 3),
        textcoords="offset points",
        fontsize=8,
        color=colour,
        path_effects=rim,
        zorder=6,
        **style,
    )


def _land_cover(ax, study: Study) -> None:
    """Draw vegetation types where the study has them, else the mean vegetation fraction."""
    inside = study.landsurface.lsm > 0
    if "vegetation_type" not in study.landsurface:
        cover = study.attributes.fveg_avg.where(inside)
        mesh = maps.map_field(ax, cover, vmin=0, vmax=1, colorbar=False)
        ax.figure.colorbar(mesh, ax=ax, **BELOW).set_label(maps.label_of(cover))
        return
    kinds = study.landsurface.vegetation_type
    names = kinds.attrs["flag_meanings"].split()
    basin = study.basin
    size = abs(basin.lat[1] - basin.lat[0]), abs(basin.lon[1] - basin.lon[0])
    land = basin.row[basin.land], basin.col[basin.land]
    cells = _squares(basin.lat[land[0]], basin.lon[land[1]], *size)
    colours = [COVERS[int(kind) - 1] for kind in kinds.values[land]]
    style = {"facecolor": colours, "edgecolor": "white", "linewidth": 0.3}
    ax.add_collection(PatchCollection(cells, transform=maps.LONLAT, **style))
    handles = [
        Patch(facecolor=colour, label=name.replace("_", " "))
        for colour, name in zip(COVERS, names, strict=False)
    ]
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.06), fontsize=8, ncols=2)


def _squares(lat, lon, height: float, width: float) -> list[Rectangle]:
    """Rectangles around centres, heights and widths in degrees."""
    corners = zip(np.asarray(lon) - width / 2, np.asarray(lat) - height / 2, strict=True)
    return [Rectangle(corner, width, height) for corner in corners]


def draw_network(ax, basin: Basin, least_share: float = 0.0, scale: float = 1.0) -> None:
    """Draw the rivers that drain at least a share of what the largest one drains.

    Args:
        ax: GeoAxes from :func:`hybridlib.figures.maps.basin_axes`.
        basin: the network.
        least_share: 0 draws every cell's way to the next.
        scale: widens all lines, for details.
    """
    shown = ~basin.sink & (basin.upstream_area >= least_share * basin.upstream_area.max())
    place = np.column_stack([basin.lon[basin.col], basin.lat[basin.row]])
    end = place[basin.downstream]
    rivers = maps.map_network(ax, place[shown], end[shown], basin.upstream_area[shown], color=RIVER)
    rivers.set_linewidth(scale * np.asarray(rivers.get_linewidth()))


def network_figure(
    before: Geography, after: Geography, extent: tuple[float, float, float, float] | None = None
) -> Figure:
    """Draw the flow network before and after corrections, changed cells filled (Figure S2).

    Args:
        before: the first guess.
        after: the corrected network, on the same grid.
        extent: west, east, south, north of a detail, degrees; by default the whole grid.
    """
    changes = changed_cells(before, after)
    whole = maps.extent_of(changes)
    extent = extent or whole
    scale = 1.0 if extent == whole else 2.5
    fig, axes = maps.basin_axes(1, 2, extent=extent, figsize=(7.5, 3.9))
    colours = ListedColormap([colour for _, colour in CHANGES.values()])
    for ax, place, hidden, title in zip(
        axes.flat, (before, after), (ADDED, DROPPED), ("first guess", "corrected"), strict=True
    ):
        shown = changes.where((changes != UNCHANGED) & (changes != hidden))
        cells = maps.map_field(ax, shown, cmap=colours, vmin=0.5, vmax=3.5, colorbar=False)
        cells.set_alpha(0.75)
        draw_network(ax, geography.network(place), scale=scale)
        ax.plot(place.gauges.cell_lon, place.gauges.cell_lat, "o", color=OBSERVED, markersize=2.5)
        ax.set_title(title)
    handles = [Patch(facecolor=colour, label=name) for name, colour in CHANGES.values()]
    fig.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return fig


def discharge_figure(study: Study) -> Figure:
    """Draw the record of the largest gauge, and how much of each gauge's months is missing."""
    flow = study.discharge.discharge.load()
    largest = int(study.discharge.cell_area.values.argmax())
    share = missing_days(flow)
    heights = 2.2, 0.5 + 0.19 * len(share.station)
    fig, (top, bottom) = plt.subplots(
        2, 1, figsize=(7.5, 0.8 + sum(heights)), sharex=True, height_ratios=heights
    )
    top.plot(flow.time, flow[:, largest] / 1000, color=OBSERVED, linewidth=0.8)
    top.set(title=f"(a) {str(flow.station.values[largest]).title()}", ylim=(0, None))
    top.set_ylabel("discharge\n(10³ m³ s⁻¹)")
    names = [f"{at}  {str(name).title()}" for at, name in enumerate(share.station.values, 1)]
    rows = np.arange(1, len(names) + 1)
    gaps = share.where(share > 0)
    mesh = bottom.pcolormesh(share.time, rows, gaps, cmap=GAPS, vmin=0, vmax=100, rasterized=True)
    bottom.set_yticks(rows, names, fontsize=8)
    bottom.set(title="(b) gaps", xlabel="year", ylim=(len(rows) + 0.6, 0.4))
    bottom.set_xlim(flow.time.values[0], flow.time.values[-1])
    fig.colorbar(mesh, ax=bottom, pad=0.02).set_label("missing days (%)")
    return fig


def storage_map(study: Study) -> Figure:
    """Draw the boxes of the storage record, coloured by their seasonal amplitude.

    A black frame marks the box that :func:`storage_figure` shows.
    """
    boxes, inside = study.twsa, study.landsurface.lsm > 0
    amplitude = seasonal_amplitude(boxes.twsa.load())
    fig, ax = maps.basin_axes(extent=maps.extent_of(inside, 2.0), figsize=(7.5, 5.4))
    squares = _squares(boxes.box_lat, boxes.box_lon, BOX_DEGREES, BOX_DEGREES)
    drawn = PatchCollection(squares, cmap="viridis", edgecolor="white", transform=maps.LONLAT)
    drawn.set_array(amplitude.values)
    ax.add_collection(drawn)
    maps.draw_outline(ax, maps.mask_outline(inside))
    west, south = squares[int(amplitude.values.argmax())].get_xy()
    ax.add_patch(Rectangle((west, south), BOX_DEGREES, BOX_DEGREES, fill=False, linewidth=2.2))
    fig.colorbar(drawn, ax=ax, shrink=0.85, pad=0.02).set_label(maps.label_of(amplitude))
    return fig


def storage_figure(study: Study) -> Figure:
    """Draw the storage anomaly of the box with the largest amplitude; missing months are shaded."""
    boxes = study.twsa
    largest = int(seasonal_amplitude(boxes.twsa.load()).values.argmax())
    series = boxes.twsa[:, largest].to_series()
    fig, ax = plt.subplots(figsize=(7.5, 3))
    ax.plot(series.index, series, color=OBSERVED, marker=".", markersize=3)
    for month in series.index[series.isna()]:
        ax.axvspan(month, month + pd.offsets.MonthBegin(), color="#de8f05", alpha=0.45, lw=0)
    ax.axhline(0, color="black", linewidth=0.8)
    lat, lon = float(boxes.box_lat[largest]), float(boxes.box_lon[largest])
    ax.set(xlabel="year", ylabel="storage anomaly (mm)", title=f"box at lat {lat:g}, lon {lon:g}")
    ax.set_xlim(series.index[0], series.index[-1])
    return fig
