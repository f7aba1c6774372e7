"""Figures 1 and 3: how the networks and HydroPy hang together, and what is in each of them."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from hybridlib.attributes import ATTRIBUTES
from hybridlib.hydropy.parameters import TABLE_1
from hybridlib.networks import KERNELS, METEOROLOGY, PARAMETERIZATION_LAYERS, REPLACEMENT_FILTERS

PHYSICS, PARAMETERS, REPLACEMENT, DATA = "#0173b2", "#029e73", "#b34700", "#555555"
"""Colours of the physical, parameterization and replacement networks, and of data."""
TINTS = {
    PHYSICS: "#e3eff8",
    PARAMETERS: "#e0f3ec",
    REPLACEMENT: "#fbeadf",
    DATA: "#f3f3f3",
    "black": "white",
}
SMALL = 8.5


def framework() -> Figure:
    """Draw who feeds whom, and which way the gradient comes back (Figure 1)."""
    fig, ax = plt.subplots(figsize=(7.5, 4.1))
    ax.set(xlim=(0, 15), ylim=(0.2, 8.2))
    ax.set_axis_off()
    _box(ax, 0.1, 6.3, 3.0, 1.5, f"{len(ATTRIBUTES)} static\nattributes", DATA)
    _box(ax, 0.9, 2.6, 2.2, 1.5, "weather\nof every day", DATA)
    _box(ax, 4.1, 6.3, 3.2, 1.5, "parameterization\nNN", PARAMETERS, weight="bold")
    _box(ax, 4.1, 0.5, 3.2, 1.5, "replacement\nNN", REPLACEMENT, weight="bold")
    _box(ax, 4.1, 3.1, 6.3, 2.1, "", PHYSICS)
    _write(ax, 7.25, 4.85, "physical RNN: HydroPy", color=PHYSICS, weight="bold", ha="center")
    _box(ax, 4.4, 3.35, 2.3, 1.1, "land: within\na cell", PHYSICS, fill="white")
    _box(ax, 7.8, 3.35, 2.3, 1.1, "rivers: from\ncell to cell", PHYSICS, fill="white")
    _box(ax, 11.7, 3.1, 2.3, 1.5, "discharge\nstorage", PHYSICS, fill="white")
    _box(ax, 11.2, 0.5, 3.6, 1.5, "loss: misfit to gauges\nand gravimetry", "black")
    _feed(ax)
    _return(ax)
    return fig


def _feed(ax) -> None:
    """Draw the arrows of the forward pass."""
    _arrow(ax, (3.1, 7.05), (4.1, 7.05), DATA)
    _arrow(ax, (5.7, 6.3), (5.7, 5.2), PARAMETERS, f"{len(TABLE_1)} parameters of each cell")
    _arrow(ax, (3.1, 3.6), (4.1, 3.6), DATA)
    _write(ax, 2.6, 4.6, "rain, temperature", color=DATA, size=SMALL, ha="center")
    _arrow(ax, (2.6, 2.6), (4.1, 1.6), DATA, style="angle,angleA=-90,angleB=0,rad=8")
    _arrow(ax, (0.5, 6.3), (4.1, 0.9), DATA, style="angle,angleA=-90,angleB=0,rad=8")
    _arrow(ax, (5.7, 2.0), (5.7, 3.1), REPLACEMENT, "PET = Penman–Monteith + learned error")
    _arrow(ax, (6.7, 3.9), (7.8, 3.9), PHYSICS, "runoff")
    _arrow(ax, (10.4, 4.9), (10.4, 4.2), PHYSICS, bend=-2.0)
    _write(ax, 10.5, 5.5, "stores go on\nto the next day", color=PHYSICS, size=SMALL)
    _arrow(ax, (10.4, 3.5), (11.7, 3.5), PHYSICS)
    _arrow(ax, (12.85, 3.1), (12.85, 2.0), PHYSICS)


def _return(ax) -> None:
    """Draw the way of the gradient to both networks."""
    dashed = {"linestyle": (0, (4, 2))}
    _arrow(ax, (11.2, 1.25), (7.3, 1.25), "black", **dashed)
    style = "angle,angleA=90,angleB=0,rad=8"
    _arrow(ax, (14.5, 2.0), (7.3, 7.05), "black", style=style, **dashed)
    for x, y, text in ((9.25, 1.05, "gradient"), (10.9, 6.85, "gradient, back through every day")):
        _write(ax, x, y, text, size=SMALL, ha="center", va="top")


def structure() -> Figure:
    """Draw HydroPy's cell with its nine parameters, and the layers of both networks (Figure 3)."""
    fig, axes = plt.subplot_mosaic("aa;bc", figsize=(7.5, 6.6), height_ratios=(1.15, 1))
    for ax, title in zip(
        axes.values(),
        ("(a) a cell of the physical RNN", "(b) parameterization NN", "(c) replacement NN"),
        strict=True,
    ):
        ax.set_axis_off()
        ax.set_title(title)
    _cell(axes["a"])
    _dense_layers(axes["b"])
    _convolutions(axes["c"])
    return fig


def _cell(ax) -> None:
    """Draw the stores of a cell, what flows between them and where each parameter acts."""
    ax.set(xlim=(0, 15), ylim=(0, 8.2))
    stores = {
        "snow": (0.3, 5.2, 2.1, 1.1),
        "skin and canopy": (3.6, 5.2, 2.6, 1.1),
        "root-zone soil": (3.6, 2.6, 2.6, 1.3),
        "surface water": (8.4, 4.1, 2.5, 1.1),
        "groundwater": (8.4, 0.6, 2.5, 1.1),
        "river": (12.3, 2.4, 2.4, 1.1),
    }
    for name, place in stores.items():
        _box(ax, *place, name, PHYSICS)
    _write(ax, 1.35, 7.55, "rain, snow", color=DATA, ha="center")
    _arrow(ax, (1.35, 7.2), (1.35, 6.3), DATA)
    _arrow(ax, (2.4, 5.75), (3.6, 5.75), PHYSICS)
    _arrow(ax, (4.9, 5.2), (4.9, 3.9), PHYSICS, "throughfall")
    _arrow(ax, (6.2, 3.6), (8.4, 4.5), PHYSICS, "surface runoff", above=0.35)
    _arrow(ax, (6.2, 2.9), (8.4, 1.2), PHYSICS)
    _write(ax, 5.2, 1.75, "drainage", size=SMALL, color=PHYSICS)
    _names(ax, 5.2, 1.2, "d_min d_max", "s_min s_max")
    _arrow(ax, (10.9, 4.5), (12.6, 3.5), PHYSICS)
    _names(ax, 11.9, 4.4, "lag_sur")
    _arrow(ax, (10.9, 1.2), (12.6, 2.4), PHYSICS)
    _names(ax, 11.9, 1.2, "lag_gw")
    _arrow(ax, (13.5, 2.4), (13.5, 1.1), PHYSICS)
    _write(ax, 13.5, 0.75, "next cell", color=DATA, ha="center")
    _names(ax, 13.65, 1.75, "lag_river")
    _evaporation(ax)


def _evaporation(ax) -> None:
    """Draw what leaves a cell upwards, driven by PET."""
    for x, top in ((5.5, 6.3), (9.6, 5.2)):
        _arrow(ax, (x, top), (x, 7.2), REPLACEMENT)
    _arrow(ax, (3.6, 3.5), (2.2, 4.1), REPLACEMENT)
    _write(ax, 0.1, 4.35, "transpiration", size=SMALL, color=REPLACEMENT)
    _names(ax, 0.1, 3.8, "f_crit")
    _arrow(ax, (3.6, 2.9), (2.6, 2.5), REPLACEMENT)
    _write(ax, 0.1, 2.4, "soil evaporation", size=SMALL, color=REPLACEMENT)
    _names(ax, 0.1, 1.85, "f_evap")
    _write(ax, 7.6, 7.55, "evaporation, driven by PET", color=REPLACEMENT, ha="center")


def _names(ax, x: float, y: float, *lines: str) -> None:
    """Write names of parameters beside the arrow on which they act."""
    style = {"color": PARAMETERS, "size": SMALL, "family": "monospace", "weight": "bold"}
    for k, line in enumerate(lines):
        _write(ax, x, y - 0.55 * k, line, **style)


def _dense_layers(ax) -> None:
    """Draw the dense layers as bars, longer where there are more neurons."""
    sizes = (len(ATTRIBUTES), *PARAMETERIZATION_LAYERS, len(TABLE_1))
    ax.set(xlim=(-0.6, 5.4), ylim=(-4.6, 3.4))
    words = ("attributes", *["ReLU"] * len(PARAMETERIZATION_LAYERS), "logits")
    half = [0.32 * np.log2(size) for size in sizes]
    for k, (size, tall, word) in enumerate(zip(sizes, half, words, strict=True)):
        colour = DATA if k == 0 else PARAMETERS
        ax.add_patch(Rectangle((k - 0.13, -tall), 0.26, 2 * tall, fc=TINTS[colour], ec=colour))
        _write(ax, k, tall + 0.2, str(size), ha="center", va="bottom", weight="bold")
        _write(ax, k, -2.95, word, ha="center", size=SMALL, color=colour)
        if k:
            for way in (-1, 1):
                ends = way * half[k - 1], way * tall
                ax.plot((k - 0.87, k - 0.13), ends, color="0.75", linewidth=0.8, zorder=0)
    text = "logits + those of the default →\nlogistic → each parameter in its range"
    _write(ax, 2.3, -3.9, text, ha="center", size=SMALL)


def _convolutions(ax) -> None:
    """Draw the convolutions as stacks of maps, deeper where there are more filters."""
    depths = (len(METEOROLOGY) + len(ATTRIBUTES), *REPLACEMENT_FILTERS)
    ax.set(xlim=(-0.7, 5.3), ylim=(-4.6, 3.4))
    last = len(REPLACEMENT_FILTERS)
    words = ("weather,\nattributes", *["ReLU"] * (last - 1), "linear")
    for k, (depth, word) in enumerate(zip(depths, words, strict=True)):
        colour = DATA if k == 0 else REPLACEMENT
        for sheet in range(round(np.log2(depth)), -1, -1):
            corner = k - 0.42 + 0.07 * sheet, -1.1 + 0.28 * sheet
            ax.add_patch(Rectangle(corner, 0.5, 1.8, fc=TINTS[colour], ec=colour, linewidth=0.8))
        top = 0.8 + 0.28 * round(np.log2(depth))
        _write(ax, k, top + 0.15, str(depth), ha="center", va="bottom", weight="bold")
        _write(ax, k - 0.15, -1.35, word, ha="center", va="top", size=SMALL, color=colour)
    width = KERNELS["conv3d"]
    reach = last * (width - 1) + 1
    text = (
        f"{width} days × {width} × {width} cells a layer;\n{last} layers see "
        f"{reach} days × {reach} × {reach} cells\nPET = max(0, Penman–Monteith + output)"
    )
    _write(ax, 2.2, -3.65, text, ha="center", size=SMALL)


def _box(ax, x, y, width, height, text, colour, fill=None, **style) -> None:
    """Draw a box with rounded corners and a text in its middle."""
    face = fill or TINTS[colour]
    corner = "round,pad=0,rounding_size=0.15"
    ax.add_patch(FancyBboxPatch((x, y), width, height, corner, fc=face, ec=colour, lw=1.3))
    style = {"size": 9, **style}
    _write(ax, x + width / 2, y + height / 2, text, ha="center", color=colour, **style)


def _write(ax, x, y, text, **style) -> None:
    ax.text(x, y, text, **{"va": "center", "size": 9, **style})


def _arrow(ax, start, end, colour, text="", above=0.0, bend=0.0, style=None, linestyle="-"):
    """Draw an arrow; its text stands right of a vertical one, else above its middle."""
    way = style or f"arc3,rad={bend}"
    look = {"arrowstyle": "-|>", "color": colour, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    look |= {"connectionstyle": way, "linestyle": linestyle}
    ax.annotate("", end, start, arrowprops=look)
    if text:
        middle = np.mean([start, end], axis=0)
        upright = start[0] == end[0]
        place = {"ha": "left"} if upright else {"ha": "center", "va": "bottom"}
        x, y = middle + ((0.15, 0) if upright else (0, above))
        _write(ax, x, y, text, color=colour, size=SMALL, **place)
