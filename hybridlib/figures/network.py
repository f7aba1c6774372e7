"""Figure 4a: the recurrent network unfolded over three days."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

BLUE, ORANGE, GREY = "#0173b2", "#de8f05", "#555555"


def unfolded_network():
    """Draw three days of the network: weather in, fluxes out, stores and river on to tomorrow."""
    figure, ax = plt.subplots(figsize=(9, 4.0))
    ax.set(xlim=(0, 13.1), ylim=(0, 6.2))
    ax.set_axis_off()
    for k, day in enumerate(("day t − 1", "day t", "day t + 1")):
        _one_day(ax, 1.3 + 3.9 * k, day)
    for k in range(4):
        x = 0.15 + 3.9 * k
        for height, colour, word in ((3.7, BLUE, "stores"), (2.3, ORANGE, "inflow")):
            ax.annotate("", (x + 1.05, height), (x, height), arrowprops=_arrow(colour))
            ax.text(x + 0.5, height + 0.12, word, color=colour, ha="center", size="small")
    return figure


def _one_day(ax, x: float, title: str) -> None:
    """One step of the recurrence, 2.6 wide, with its input below and its output above."""
    ax.add_patch(FancyBboxPatch((x, 1.5), 2.6, 3.1, "round,pad=0.05", fc="#f2f6fa", ec=GREY))
    middle = {"x": x + 1.3, "ha": "center", "va": "center"}
    ax.text(y=4.3, s=title, weight="bold", **middle)
    ax.text(y=3.5, s="land: snow, canopy,\nsoil, lakes,\ngroundwater", size="small", **middle)
    ax.text(y=2.2, s="rivers: four times\ncascade and\nflow transfer", size="small", **middle)
    ax.annotate("", (x + 1.3, 1.45), (x + 1.3, 0.7), arrowprops=_arrow(GREY))
    ax.text(y=0.4, s="rain, temperature, PET", color=GREY, size="small", **middle)
    ax.annotate("", (x + 1.3, 5.35), (x + 1.3, 4.65), arrowprops=_arrow(GREY))
    ax.text(y=5.7, s="discharge,\nevaporation, storage", color=GREY, size="small", **middle)


def _arrow(colour: str) -> dict:
    return {"arrowstyle": "-|>", "color": colour, "lw": 1.6}
