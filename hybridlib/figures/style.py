"""One look for every figure: style sheet, panels, and the colours that keep their meaning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

STYLE = "hybridlib.figures.style"
"""Name of the style sheet for ``plt.style.use`` (the file ``hybridlib/figures/style.mplstyle``)."""
WIDTH = 7.5
"""Of a figure on a page, inches."""

SCHEME_COLOURS = {
    "HydroPyNN": "#0173b2",
    "HydroPyNN(Q,S)": "#de8f05",
    "Hybrid(Q)": "#029e73",
    "Hybrid(Q,S)": "#d55e00",
    "Hybrid(Q,S)+": "#cc78bc",
}
"""Colour of each scheme, from seaborn's "colorblind" palette, in the style sheet's own order."""
OBSERVED = "black"
"""Colour of everything observed."""
COLOURS = defaultdict(lambda: "#56b4e9", SCHEME_COLOURS) | {
    "HydroPyNN(Q)": SCHEME_COLOURS["HydroPyNN(Q,S)"],  # its sibling without gravimetry
    "truth": "#555555",
    "Penman–Monteith": SCHEME_COLOURS["HydroPyNN"],  # whose PET it is
    "Hargreaves–Samani": "#949494",
    "Priestley–Taylor": "#ca9161",
}
"""Colour of everything that is compared, by title, and one for what packages add."""
LOOKS = {"truth": "--", "Hargreaves–Samani": "-."}
"""Styles of lines that are not solid, by title."""


def line_of(title: str) -> dict[str, Any]:
    """Label, colour and style of the line of a scheme, a formula or the truth."""
    return {"label": title, "color": COLOURS[title], "linestyle": LOOKS.get(title, "-")}


def panels(
    count: int,
    columns: int = 1,
    height: float = 2.3,
    *,
    width=WIDTH,
    xlabel="",
    ylabel="",
    **options,
) -> tuple[Figure, np.ndarray]:
    """Return a figure and the axes of its panels, (count,), with common labels and x axis.

    Args:
        count: of the panels.
        columns: most panels side by side.
        height: of a row, inches.
        width: of the figure, inches.
        xlabel: below all panels.
        ylabel: left of all panels.
        **options: of ``plt.subplots``, such as ``sharey=True``.
    """
    rows = -(-count // columns)
    style: dict[str, Any] = {"sharex": True, "figsize": (width, 0.6 + height * rows)} | options
    fig, axes = plt.subplots(rows, columns, squeeze=False, **style)
    for ax in axes.flat[count:]:
        ax.remove()
    drawn = axes.flat[:count]
    for ax in drawn[-columns:]:
        ax.tick_params(labelbottom=True)
    fig.supxlabel(xlabel, size="medium")
    fig.supylabel(ylabel, size="medium")
    return fig, drawn


def name_looks(fig: Figure, looks: Mapping[str, str], columns: int) -> None:
    """Name line styles or markers above all panels, without the colour of any one scheme."""
    for text, look in looks.items():
        fig.axes[0].plot([], [], look, color="0.4", label=text)
    fig.legend(loc="outside upper center", ncols=columns)


def plain_numbers(axis, subs=(1, 2, 5)) -> None:
    """Write 1, 2, 5, 10, … on a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
