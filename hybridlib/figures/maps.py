"""Maps of a basin, drawn without a network from the Natural Earth layers in ``data/``."""

from __future__ import annotations

from collections.abc import Iterable

import cartopy
import cartopy.crs as ccrs
import cartopy.feature as cfeature
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import shapely
import xarray as xr
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from hybridlib.study.files import ROOT

DATA = ROOT / "data"
cartopy.config["pre_existing_data_dir"] = str(DATA / "naturalearth")

LONLAT = ccrs.PlateCarree()
AMAZON = (-82.0, -44.0, -22.0, 10.0)
"""Map extent of the Amazon in degrees: west, east, south, north."""


def basin_axes(nrows=1, ncols=1, *, extent=AMAZON, figsize=None, land=True):
    """Return a figure and its map axes, with coast, borders and degrees on the outer edges.

    Args:
        nrows: Rows of panels.
        ncols: Columns of panels.
        extent: West, east, south, north in degrees.
        figsize: Width and height in inches; by default 7.5 wide and as high as the extent asks.
        land: Whether land is tinted, for maps without a field over the whole box.

    Returns:
        The figure, and one GeoAxes or, for several panels, an array (nrows, ncols) of them.
    """
    west, east, south, north = extent
    figsize = figsize or (7.5, 0.4 + 5.8 * nrows / ncols * (north - south) / (east - west))
    fig, axes = plt.subplots(
        nrows, ncols, figsize=figsize, squeeze=False, subplot_kw={"projection": LONLAT}
    )
    for (row, column), ax in np.ndenumerate(axes):
        ax.set_extent(extent, crs=LONLAT)
        if land:
            ax.add_feature(cfeature.LAND.with_scale("110m"), facecolor="0.95")
        ax.add_feature(cfeature.COASTLINE.with_scale("110m"), linewidth=0.6, edgecolor="0.3")
        ax.add_feature(cfeature.BORDERS.with_scale("110m"), linewidth=0.4, edgecolor="0.6")
        sides = {"left": column == 0, "bottom": row == nrows - 1}
        ax.gridlines(
            draw_labels=[side for side, outer in sides.items() if outer],
            linewidth=0.3,
            color="0.8",
            xlabel_style={"size": 8},
            ylabel_style={"size": 8},
        )
    return fig, axes[0, 0] if axes.size == 1 else axes


def extent_of(field: xr.DataArray, margin: float = 1.0) -> tuple[float, float, float, float]:
    """Return west, east, south, north in degrees around a field (lat, lon), plus a margin."""
    lat, lon = field["lat"].values, field["lon"].values
    return (lon.min() - margin, lon.max() + margin, lat.min() - margin, lat.max() + margin)


def map_field(
    ax,
    field: xr.DataArray,
    *,
    cmap=None,
    label: str | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    colorbar: bool = True,
):
    """Draw one value per cell, with a colour bar that names quantity and unit.

    Args:
        ax: GeoAxes from `basin_axes`.
        field: Values (lat, lon), NaN where nothing is drawn.
        cmap: Colour map, such as ``cmocean.cm.rain``; by default the style sheet's.
        label: Colour bar label; by default the field's ``long_name`` and ``units``.
        vmin: Lower end of the colours; by default the smallest value.
        vmax: Upper end of the colours; by default the largest value.
        colorbar: Whether to draw the bar; off where panels share one.

    Returns:
        The mesh, which a shared colour bar can be made from.
    """
    field = field.transpose("lat", "lon")
    mesh = ax.pcolormesh(
        field["lon"],
        field["lat"],
        field,
        shading="nearest",
        cmap=cmap,
        vmin=vmin,
        vmax=vmax,
        transform=LONLAT,
        rasterized=True,
    )
    if colorbar:
        bar = ax.figure.colorbar(mesh, ax=ax, shrink=0.85, pad=0.02)
        bar.set_label(label or label_of(field))
    return mesh


def map_points(ax, lat, lon, values, *, label: str, cmap=None, vmin=None, vmax=None, size=36):
    """Draw one coloured dot per station, with a colour bar that names quantity and unit."""
    dots = ax.scatter(
        lon,
        lat,
        c=values,
        s=size,
        cmap=cmap,
        vmin=vmin,
        vmax=vmax,
        edgecolor="black",
        linewidth=0.5,
        transform=LONLAT,
        zorder=5,
    )
    ax.figure.colorbar(dots, ax=ax, shrink=0.85, pad=0.02).set_label(label)
    return dots


def map_network(ax, start, end, upstream_area, *, color="#0173b2"):
    """Draw a flow network: one line from each cell to the next, wider where more land drains.

    Args:
        ax: GeoAxes from `basin_axes`.
        start: Longitude and latitude of each cell (cell, 2).
        end: Longitude and latitude of its downstream cell (cell, 2).
        upstream_area: Drainage area (cell) in any unit; the largest is drawn 3 points wide.
        color: Colour of the lines.
    """
    widths = 0.3 + 2.7 * np.sqrt(np.asarray(upstream_area) / np.max(upstream_area))
    lines = np.stack([np.asarray(start), np.asarray(end)], axis=1)
    return ax.add_collection(
        LineCollection(lines, linewidths=widths, colors=color, transform=LONLAT, capstyle="round")
    )


def draw_outline(ax, outline: shapely.Geometry | None = None, **style):
    """Draw a basin's outline, by default the Amazon's."""
    outline = amazon_outline() if outline is None else outline
    style = {"edgecolor": "black", "facecolor": "none", "linewidth": 1.0, **style}
    return ax.add_geometries([outline], crs=LONLAT, **style)


def draw_rivers(ax, least_area: float = 100.0, **style):
    """Draw the Amazon's river courses that drain more than `least_area` (1000 km²)."""
    rivers = pd.read_csv(DATA / "amazon" / "rivers.csv")
    courses = [
        river for _, river in rivers.groupby("river") if river["area_1000km2"].max() > least_area
    ]
    widths = [0.4 + 1.6 * (river["area_1000km2"].max() / 5950) ** 0.5 for river in courses]
    style = {"colors": "#3b7ea1", "linewidths": widths, **style}
    lines = [river[["lon", "lat"]].to_numpy() for river in courses]
    return ax.add_collection(LineCollection(lines, transform=LONLAT, **style))


def amazon_outline() -> shapely.Polygon:
    """Return the outline of the Amazon basin (longitude, latitude)."""
    return shapely.Polygon(pd.read_csv(DATA / "amazon" / "outline.csv")[["lon", "lat"]].to_numpy())


def mask_outline(mask: xr.DataArray) -> shapely.Geometry:
    """Return the outline of the true cells of a mask (lat, lon), along the cells' edges.

    Edges lie halfway between coordinates, so that neighbours share them exactly.
    """
    mask = mask.transpose("lat", "lon")
    south_north, west_east = (_edges(mask[name].values) for name in ("lat", "lon"))
    rows, columns = np.nonzero(mask.values)
    west, south = west_east[columns], south_north[rows]
    east, north = west_east[columns + 1], south_north[rows + 1]
    return shapely.union_all(shapely.box(west, south, east, north))


def _edges(centres: np.ndarray) -> np.ndarray:
    """Edges of cells from their centres, one more than there are cells."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def label_of(field: xr.DataArray) -> str:
    """Return a field's axis label: its long name, and its unit in brackets."""
    name = field.attrs.get("long_name", field.name or "")
    units = field.attrs.get("units")
    return f"{name} ({units})" if units and units != "1" else str(name)


def field_maps(rows: Iterable[xr.Dataset], titles: Iterable[str], cmap: str = "viridis",
               centred: bool = False) -> Figure:  # fmt: skip
    """Draw fields side by side, a row and a common colour bar for every dataset.

    Args:
        rows: of :func:`hybridlib.analysis.recovery.parameter_fields` or ``mean_pet_errors``; their
            variables are the columns.
        titles: of the columns.
        cmap: colour map.
        centred: whether 0 lies in the middle of the colours.
    """
    rows, titles = list(rows), list(titles)
    extent = extent_of(next(iter(rows[0].data_vars.values())))
    west, east, south, north = extent
    panel = 6.2 / len(titles) * (north - south) / (east - west)
    size = 7.5, 0.3 + len(rows) * (0.3 + min(panel, 4.5))
    fig, axes = basin_axes(len(rows), len(titles), extent=extent, figsize=size)
    for line, fields in zip(np.reshape(axes, (len(rows), -1)), rows, strict=True):
        values = np.concatenate([field.values.ravel() for field in fields.data_vars.values()])
        low, high = np.nanmin(values), np.nanmax(values)
        if centred:
            low, high = -max(-low, high), max(-low, high)
        for ax, field in zip(line, fields.data_vars.values(), strict=True):
            mesh = map_field(ax, field, cmap=cmap, vmin=low, vmax=high, colorbar=False)
        fig.colorbar(mesh, ax=list(line), shrink=0.9, pad=0.02).set_label(label_of(field))
    for ax, title in zip(np.ravel(axes), titles, strict=False):
        ax.set_title(title)
    return fig
