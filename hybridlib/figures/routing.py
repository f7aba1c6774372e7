"""Figures of flow transfer and routing, with the small computations they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.colors import ListedColormap

from hybridlib.analysis.routing import COMPASS
from hybridlib.figures import maps
from hybridlib.hydropy.routing import (
    DIRECTIONS,
    direction_masks,
    transfer_by_masks,
)
from hybridlib.study.basin import Basin, gridded

ARROWS = dict(zip(COMPASS, "↑↗→↘↓↙←↖", strict=True)) | {"": "●"}
"""A glyph for each direction; a sink has none and is drawn as a dot."""


BEFORE, AFTER = "#a9cfe8", "#f7cf99"
"""Tints of water before and after the transfer."""


def draw_transfer(basin: Basin, outflow: np.ndarray) -> plt.Figure:
    """Draw the flow transfer step by step: masks, masked outflow, shift, sum.

    The same steps as the paper's Figure 4b, in a drawing of our own.

    Args:
        basin: a small one, every cell of its grid active.
        outflow: what leaves each cell, (lat, lon).
    """
    masks = direction_masks(basin)
    inflow = transfer_by_masks(outflow, masks).numpy()
    fig = plt.figure(figsize=(7.5, 7.2))
    above, below = fig.subfigures(2, 1, height_ratios=(1.9, 4.6))
    axes = above.subplots(1, 3)
    _draw_directions(axes[0], masks, "flow directions")
    _draw_cells(axes[1], outflow, BEFORE, "outflow", size=12)
    _draw_cells(axes[2], inflow, AFTER, "inflow = sum of the shifted", size=12)
    panels = below.subplots(4, 7, width_ratios=(1, 1, 1, 0.25, 1, 1, 1))
    for k, name in enumerate(COMPASS):
        left = panels[k % 4, 4 * (k // 4) :][:3]
        product = outflow * masks[k]
        shifted = np.roll(product, DIRECTIONS[k], axis=(0, 1))
        title = ("mask", "mask × outflow", "shifted") if k % 4 == 0 else ("", "", "")
        _draw_cells(left[0], masks[k], BEFORE, title[0])
        _draw_cells(left[1], product, BEFORE, title[1])
        _draw_cells(left[2], shifted, AFTER, title[2])
        label = f"{ARROWS[name]}\n{name}"
        left[0].set_ylabel(label, fontsize=11, rotation=0, ha="center", va="center", labelpad=14)
    for gap in panels[:, 3]:
        gap.set_axis_off()
    return fig


def _draw_cells(ax, values, tint, title, size=9):
    """Write a number in each cell; cells above zero are tinted."""
    _draw_grid(ax, np.asarray(values) > 0, tint, title)
    for (row, col), value in np.ndenumerate(values):
        colour = "black" if value else "0.65"
        ax.text(col, row, f"{value:g}", ha="center", va="center", fontsize=size, color=colour)


def _draw_directions(ax, masks, title):
    """Draw each cell's arrow, and a dot where water leaves the domain."""
    _draw_grid(ax, np.zeros(masks.shape[1:], bool), BEFORE, title)
    for row, col in np.ndindex(masks.shape[1:]):
        drains = masks[:, row, col].any()
        name = COMPASS[masks[:, row, col].argmax()] if drains else ""
        ax.text(col, row, ARROWS[name], ha="center", va="center", fontsize=16)


def _draw_grid(ax, tinted, tint, title):
    ax.imshow(tinted, cmap=ListedColormap(["white", tint]), vmin=0, vmax=1)
    rows, cols = tinted.shape
    ax.set(xticks=np.arange(-0.5, cols), yticks=np.arange(-0.5, rows))
    ax.set(xticklabels=[], yticklabels=[])
    ax.tick_params(length=0)
    ax.grid(True, color="0.5", linewidth=0.6)
    ax.set_axisbelow(False)
    ax.spines[:].set(visible=True, color="0.5")
    ax.set_title(title, fontsize=10, loc="center")


def draw_hydrographs(
    pulses: Mapping[str, xr.Dataset], path: np.ndarray, distance: np.ndarray, steps: Sequence[int]
) -> plt.Figure:
    """Draw the pulse as it passes cells of the path, one panel for each way of routing.

    Args:
        pulses: from :func:`follow_pulse`, by the panel's title.
        path: cells in the order of the flow.
        distance: km from the first cell of the path, (path,).
        steps: places on the path to draw.
    """
    fig, axes = plt.subplots(
        len(pulses), 1, figsize=(7.5, 2.6 * len(pulses)), sharex=True, sharey=True
    )
    colours = plt.get_cmap("viridis")(np.linspace(0.0, 0.85, len(steps)))
    for ax, (title, pulse) in zip(np.atleast_1d(axes), pulses.items(), strict=True):
        for step, colour in zip(steps, colours, strict=True):
            share = 100.0 * pulse["dis"][:, path[step]]
            label = f"{step} cells, {distance[step]:,.0f} km"
            ax.plot(pulse["day"], share, color=colour, label=label)
            peak = int(share.values.argmax())
            ax.plot(pulse["day"][peak], share[peak], "o", color=colour, markersize=4)
        ax.set(title=title, ylabel="leaves the cell\n(% of the pulse per day)", ylim=(0, None))
    ax.set(xlabel="day", xlim=(0, _last_day(pulses.values(), path[list(steps)])))
    np.atleast_1d(axes)[0].legend(title="downstream of the pulse")
    return fig


def _last_day(pulses, cells) -> float:
    """Day by which nearly all of every pulse has passed the cells, with some room."""
    passed = [pulse["dis"].values[:, cells].cumsum(axis=0).min(axis=1) for pulse in pulses]
    return 1.05 * max(int(np.searchsorted(share, 0.998)) + 1 for share in passed)


def draw_arrival(timings: Mapping[str, pd.DataFrame], substeps: Mapping[str, int]) -> plt.Figure:
    """Draw when first water and the pulse's centre pass, against the number of cells.

    Args:
        timings: from :func:`pulse_timing`, by name.
        substeps: sub-steps a day, by the same names: no water is faster than that many cells.
    """
    fig, axes = plt.subplots(1, len(timings), figsize=(7.5, 3.6), sharey=True, squeeze=False)
    for ax, (name, timing) in zip(axes[0], timings.items(), strict=True):
        cells = timing.index.to_numpy()
        low, high = timing["mean"] - timing["spread"], timing["mean"] + timing["spread"]
        ax.fill_between(cells, low, high, color="#0173b2", alpha=0.25, linewidth=0)
        ax.plot(cells, timing["mean"], color="#0173b2", label="centre of the pulse (± 1 s.d.)")
        ax.plot(cells, timing["first"], ".", color="#d55e00", label="first water")
        limit = f"limit: {substeps[name]} cell{'s' * (substeps[name] > 1)} a day"
        ax.plot(cells, cells / substeps[name], color="black", linestyle="--", label=limit)
        ax.set(title=name, xlabel="cells downstream of the pulse")
        ax.legend(loc="upper left", fontsize=9)
    latest = max((timing["mean"] + timing["spread"]).max() for timing in timings.values())
    axes[0, 0].set(ylabel="time since the pulse (days)", ylim=(0, 1.35 * latest))
    return fig


def map_travel_time(
    basin: Basin, days: np.ndarray, path: np.ndarray, steps: Sequence[int]
) -> plt.Figure:
    """Map the mean time to the outlet, with a path and places on it.

    Args:
        basin: the network.
        days: from :func:`travel_time`, (cell,).
        path: cells in the order of the flow.
        steps: places on the path to mark with their number of cells.
    """
    field = gridded(basin, days, long_name="mean travel time to the outlet", units="days")
    fig, ax = maps.basin_axes(extent=maps.extent_of(field), figsize=(7.5, 5.4))
    maps.map_field(ax, field)
    lon, lat = basin.lon[basin.col[path]], basin.lat[basin.row[path]]
    ax.plot(lon, lat, color="white", linewidth=2.6, transform=maps.LONLAT)
    ax.plot(lon, lat, color="black", linewidth=1.2, transform=maps.LONLAT)
    for step in (0, *steps):
        ax.plot(lon[step], lat[step], "o", color="white", mec="black", transform=maps.LONLAT)
        ax.annotate(
            f"{step}",
            (lon[step], lat[step]),
            xytext=(5, 5),
            textcoords="offset points",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.8, "lw": 0},
        )
    return fig
