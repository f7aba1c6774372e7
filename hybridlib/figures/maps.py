"""Maps of a basin, drawn without a network from the Natural Earth layers beside this module."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources

import cartopy
import cartopy.crs as ccrs
import cartopy.feature as cfeature
import numpy as np
import shapely
import xarray as xr
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hybridlib.figures.style import panels
from hybridlib.study.basin import Basin

cartopy.config["pre_existing_data_dir"] = str(resources.files("hybridlib.figures") / "naturalearth")

LONLAT = ccrs.PlateCarree()
LEAST_SHARE = 0.008
"""Rivers that drain less than this share of the basin are not drawn on overview maps."""
RIVER = "#0173b2"


def basin_axes(extent, count: int = 1, columns: int = 1, land=True) -> tuple[Figure, np.ndarray]:
    """Return a figure and its map axes, (count,), with coast, borders and degrees at the rim.

    Args:
        extent: west, east, south, north in degrees, such as of :func:`extent_of`.
        count: of the maps.
        columns: most maps side by side.
        land: whether land is tinted, for maps without a field over the whole box.
    """
    west, east, south, north = extent
    height = 0.8 + 7.2 / columns * (north - south) / (east - west)
    options = {"sharex": False, "layout": "compressed", "subplot_kw": {"projection": LONLAT}}
    fig, axes = panels(count, columns, height, **options)
    degrees = MaxNLocator(5, steps=[1, 2, 5, 10])
    for place, ax in enumerate(axes):
        ax.set_extent(extent, crs=LONLAT)
        if land:
            ax.add_feature(cfeature.LAND.with_scale("110m"), facecolor="0.95")
        ax.add_feature(cfeature.COASTLINE.with_scale("110m"), linewidth=0.6, edgecolor="0.3")
        ax.add_feature(cfeature.BORDERS.with_scale("110m"), linewidth=0.4, edgecolor="0.6")
        sides = {"left": place % columns == 0, "bottom": place + columns >= count}
        rim = [side for side, outer in sides.items() if outer]
        style = {"xlocs": degrees, "ylocs": degrees, "linewidth": 0.3, "color": "0.8"}
        style |= {"xlabel_style": {"size": 8}, "ylabel_style": {"size": 8}}
        ax.gridlines(draw_labels=rim, **style)
    return fig, axes


def extent_of(grid, margin: float = 1.0) -> tuple[float, float, float, float]:
    """Return west, east, south, north in degrees around what has lat and lon, plus a margin.

    No box is narrower than high, so that titles and colour bars have room.
    """
    lat, lon = np.asarray(grid.lat), np.asarray(grid.lon)
    more = margin + max(0.0, np.ptp(lat) - np.ptp(lon)) / 2
    return lon.min() - more, lon.max() + more, lat.min() - margin, lat.max() + margin


def map_field(ax, field: xr.DataArray, bar: str = "right", **style):
    """Draw one value per cell, with a colour bar that names quantity and unit.

    Args:
        ax: GeoAxes from :func:`basin_axes`.
        field: values (lat, lon), NaN where nothing is drawn.
        bar: side of the colour bar; empty where panels share one.
        **style: of ``xarray.plot.pcolormesh``, such as ``cmap`` or ``center=0``.

    Returns:
        The mesh, which a shared colour bar can be made from.
    """
    style = {"center": False, "rasterized": True, "add_labels": False} | style
    style["add_colorbar"] = bool(bar)
    if bar:
        style["cbar_kwargs"] = {"location": bar, "shrink": 0.85, "label": label_of(field)}
    return field.plot.pcolormesh(x="lon", y="lat", ax=ax, transform=LONLAT, **style)


def label_of(field: xr.DataArray) -> str:
    """Return a field's axis label: its long name, and its unit in brackets."""
    name = field.attrs.get("long_name", field.name or "")
    units = field.attrs.get("units")
    return f"{name} ({units})" if units and units != "1" else str(name)


def draw_network(ax, basin: Basin, least_share: float = LEAST_SHARE, scale: float = 0.5) -> None:
    """Draw the rivers that drain at least a share of what the largest one drains.

    Args:
        ax: GeoAxes from :func:`basin_axes`.
        basin: the network.
        least_share: 0 draws every cell's way to the next.
        scale: widens all lines; with 1 the largest river is 3 points wide.
    """
    share = basin.upstream_area / basin.upstream_area.max()
    shown = ~basin.sink & (share >= least_share)
    place = np.column_stack([basin.lon[basin.col], basin.lat[basin.row]])
    lines = np.stack([place, place[basin.downstream]], axis=1)[shown]
    widths = scale * (0.3 + 2.7 * np.sqrt(share[shown]))
    style = {"linewidths": widths, "colors": RIVER, "capstyle": "round"}
    ax.add_collection(LineCollection(lines, transform=LONLAT, **style))


def draw_outline(ax, basin: Basin, inside: np.ndarray | None = None, **style) -> None:
    """Draw the outline of some cells, True in (cell,), by default that of the land."""
    style = {"edgecolor": "black", "facecolor": "none", "linewidth": 0.8} | style
    ax.add_geometries([outline_of(basin, inside)], crs=LONLAT, **style)


def outline_of(basin: Basin, inside: np.ndarray | None = None) -> shapely.Geometry:
    """Return the outline of some cells, True in (cell,), along their edges in degrees."""
    inside = basin.land if inside is None else inside
    lat, lon = basin.lat[basin.row[inside]], basin.lon[basin.col[inside]]
    high, wide = (abs(axis[1] - axis[0]) / 2 for axis in (basin.lat, basin.lon))
    cells = shapely.box(lon - wide, lat - high, lon + wide, lat + high)
    return shapely.union_all(cells, grid_size=1e-6)


def field_maps(
    rows: Iterable[xr.Dataset], titles: Iterable[str], cmap: str = "viridis", centred: bool = False
) -> Figure:
    """Draw fields side by side, a row and a common colour bar for every dataset.

    Args:
        rows: of :func:`hybridlib.analysis.recovery.parameter_fields` or ``mean_pet_errors``; their
            variables are the columns.
        titles: of the columns.
        cmap: colour map.
        centred: whether 0 lies in the middle of the colours.
    """
    rows, titles = list(rows), list(titles)
    fig, axes = basin_axes(extent_of(rows[0]), len(rows) * len(titles), len(titles))
    for line, fields in zip(axes.reshape(len(rows), -1), rows, strict=True):
        values = fields.to_array()
        low, high = float(values.min()), float(values.max())
        if centred:
            low, high = -max(-low, high), max(-low, high)
        for ax, field in zip(line, fields.values(), strict=True):
            mesh = map_field(ax, field, bar="", cmap=cmap, vmin=low, vmax=high)
        fig.colorbar(mesh, ax=list(line), shrink=0.9, label=label_of(field))
    for ax, title in zip(axes, titles, strict=False):
        ax.set_title(title)
    return fig
