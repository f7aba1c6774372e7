"""One look for every figure: the style sheet's name and the colours that keep their meaning."""

from __future__ import annotations

STYLE = "hybridlib.figures.style"
"""Name of the style sheet for ``plt.style.use`` (the file ``hybridlib/style.mplstyle``)."""

OBSERVED = "black"
"""Colour of everything observed."""

SCHEME_COLOURS = {
    "HydroPyNN": "#0173b2",
    "HydroPyNN(Q,S)": "#de8f05",
    "Hybrid(Q)": "#029e73",
    "Hybrid(Q,S)": "#d55e00",
    "Hybrid(Q,S)+": "#cc78bc",
}
"""Colour of each scheme: seaborn's "colorblind" palette, in the style sheet's own order."""
