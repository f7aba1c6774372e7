"""Figures of flow transfer and routing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from hybridlib.analysis.routing import COMPASS
from hybridlib.figures import maps
from hybridlib.figures.geography import label_place
from hybridlib.figures.style import WIDTH, panels
from hybridlib.hydropy.routing import DIRECTIONS, direction_masks, transfer_by_masks
from hybridlib.study.basin import Basin

ARROWS = np.array([*"↑↗→↘↓↙←↖", "●"])
"""A glyph for each direction of the compass; a sink has none and is drawn as a dot."""
BEFORE, AFTER = "#a9cfe8", "#f7cf99"
"""Tints of water before and after the transfer."""


def draw_transfer(basin: Basin, outflow: np.ndarray) -> Figure:
    """Draw the flow transfer step by step: masks, masked outflow, shift, sum.

    The same steps as the paper's Figure 4b, in a drawing of our own.

    Args:
        basin: a small one, every cell of its grid active.
        outflow: what leaves each cell, (lat, lon).
    """
    masks = direction_masks(basin)
    inflow = transfer_by_masks(outflow, masks).numpy()
    directions = np.where(masks.any(axis=0), masks.argmax(axis=0), len(COMPASS))
    fig = plt.figure(figsize=(WIDTH, 7.2))
    (above,), (below,) = fig.subfigures(2, 1, squeeze=False, height_ratios=(1.9, 4.6))
    axes = above.subplots(1, 3)
    _draw_cells(axes[0], np.zeros_like(outflow), BEFORE, "flow directions", ARROWS[directions], 16)
    _draw_cells(axes[1], outflow, BEFORE, "outflow", size=12)
    _draw_cells(axes[2], inflow, AFTER, "inflow = sum of the shifted", size=12)
    columns = below.subplots(4, 7, width_ratios=(1, 1, 1, 0.25, 1, 1, 1))
    for gap in columns[:, 3]:
        gap.set_axis_off()
    for k, name in enumerate(COMPASS):
        row = columns[k % 4, 4 * (k // 4) :]
        product = outflow * masks[k]
        titles = ("mask", "mask × outflow", "shifted") if k % 4 == 0 else ("", "", "")
        _draw_cells(row[0], masks[k], BEFORE, titles[0])
        _draw_cells(row[1], product, BEFORE, titles[1])
        _draw_cells(row[2], np.roll(product, DIRECTIONS[k], axis=(0, 1)), AFTER, titles[2])
        row[0].set_ylabel(f"{ARROWS[k]}\n{name}", fontsize=11, rotation=0, va="center", labelpad=14)
    return fig


def _draw_cells(ax, values, tint: str, title: str, texts=None, size: int = 9) -> None:
    """Write a number, or a text instead, in each cell; cells above zero are tinted."""
    style = {"edgecolor": "0.5", "linewidth": 0.6, "clip_on": False, "vmin": 0, "vmax": 1}
    ax.pcolormesh(np.asarray(values) > 0, cmap=ListedColormap(["white", tint]), **style)
    texts = np.vectorize("{:g}".format)(values) if texts is None else texts
    for (row, column), text in np.ndenumerate(texts):
        style = {"ha": "center", "va": "center", "size": size}
        ax.text(column + 0.5, row + 0.5, text, color="0.65" if text == "0" else "black", **style)
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.invert_yaxis()
    ax.spines[:].set_visible(False)
    ax.set_title(title, fontsize=10, loc="center")


def draw_hydrographs(
    pulses: Mapping[str, xr.Dataset], path: np.ndarray, distance: np.ndarray, steps: Sequence[int]
) -> Figure:
    """Draw the pulse as it passes cells of the path, one panel for each way of routing.

    Args:
        pulses: from :func:`hybridlib.analysis.routing.follow_pulse`, by the panel's title.
        path: cells in the order of the flow.
        distance: km from the first cell of the path, (path,).
        steps: places on the path to draw.
    """
    fig, axes = panels(len(pulses), 1, 2.4, sharey=True, xlabel="day")
    colours = plt.get_cmap("viridis")(np.linspace(0.0, 0.85, len(steps)))
    shares = {title: 100.0 * pulse.dis[:, path[list(steps)]] for title, pulse in pulses.items()}
    for ax, (title, share) in zip(axes, shares.items(), strict=True):
        for k, (step, colour) in enumerate(zip(steps, colours, strict=True)):
            label = f"{step} cells, {distance[step]:,.0f} km"
            ax.plot(share.day, share[:, k], color=colour, label=label)
            peak = int(share[:, k].argmax("day"))
            ax.plot(share.day[peak], share[peak, k], "o", color=colour, markersize=4)
        ax.set(title=title, ylabel="leaves the cell\n(% of the pulse per day)")
    passing = [int((share.cumsum("day") < 99.8).sum("day").max()) for share in shares.values()]
    ax.set(xlim=(0, 1.05 * max(passing)), ylim=(0, None))
    axes[0].legend(title="downstream of the pulse")
    return fig


def draw_arrival(timings: Mapping[str, pd.DataFrame], substeps: Mapping[str, int]) -> Figure:
    """Draw when first water and the pulse's centre pass, against the number of cells.

    Args:
        timings: from :func:`hybridlib.analysis.routing.pulse_timing`, by name.
        substeps: sub-steps a day, by the same names: no water is faster than that many cells.
    """
    labels = {"xlabel": "cells downstream of the pulse", "ylabel": "time since the pulse (days)"}
    fig, axes = panels(len(timings), len(timings), 3.0, sharey=True, **labels)
    for ax, (name, timing) in zip(axes, timings.items(), strict=True):
        cells, mean, spread = timing.index, timing["mean"], timing.spread
        ax.fill_between(cells, mean - spread, mean + spread, alpha=0.25, linewidth=0)
        ax.plot(cells, mean, label="centre of the pulse (± 1 s.d.)")
        ax.plot(cells, timing["first"], ".", color="#d55e00", label="first water")
        limit = f"limit: {substeps[name]} cell{'s' * (substeps[name] > 1)} a day"
        ax.plot(cells, cells / substeps[name], color="black", linestyle="--", label=limit)
        ax.set_title(name)
        ax.legend(loc="upper left", fontsize=9)
    ax.set_ylim(0, 1.35 * ax.dataLim.ymax)
    return fig


def map_travel_time(
    basin: Basin, days: np.ndarray, path: np.ndarray, steps: Sequence[int]
) -> Figure:
    """Map the mean time to the outlet, with a path and places on it.

    Args:
        basin: the network.
        days: from :func:`hybridlib.analysis.routing.travel_time`, (cell,).
        path: cells in the order of the flow.
        steps: places on the path to mark with their number of cells.
    """
    field = basin.on_grid(days, long_name="mean travel time to the outlet", units="days")
    fig, (ax,) = maps.basin_axes(maps.extent_of(basin))
    maps.map_field(ax, field)
    places = np.column_stack([basin.lon[basin.col[path]], basin.lat[basin.row[path]]])
    marked = [0, *steps]
    ax.plot(*places.T, color="white", linewidth=2.6)
    ax.plot(*places.T, "o-", color="black", linewidth=1.2, mfc="white", markevery=marked)
    for step in marked:
        label_place(ax, places[step], str(step), xytext=(5, 5), size=10)
    return fig
