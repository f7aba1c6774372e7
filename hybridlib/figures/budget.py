"""The water budget in figures: years, biases, sub-basins, runoff and floods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hybridlib.analysis.budget import SHORT, Catchment, in_cells
from hybridlib.analysis.inventory import name_of
from hybridlib.figures import maps
from hybridlib.figures.geography import label_place
from hybridlib.figures.hydrographs import MONTHS
from hybridlib.figures.style import COLOURS, OBSERVED, WIDTH, line_of, panels
from hybridlib.learning.schemes import TRUTH
from hybridlib.study.basin import Basin
from hybridlib.study.schema import InputError
from hybridlib.study.splits import Period

BIAS = "model − observation (mm a⁻¹)"
NAMES = {"dS": "ΔS", "Q": "Q", "ET": "ET = P − Q − ΔS"}
ROOM = 20.0
"""Around evapotranspirations on an axis or in a scale of colours, mm a-1."""
SEEN = {"color": OBSERVED, "label": "observed"}


def annual_terms(
    budgets: Mapping[str, xr.Dataset], observed: xr.Dataset, catchment: str, period: Period
) -> Figure:
    """Draw ΔS, Q and ET of every year, observed and of every scheme, a panel a term.

    Args:
        budgets: of :func:`hybridlib.analysis.budget.annual_budget`, by title.
        observed: the same of the observations.
        catchment: its name.
        period: years drawn.
    """
    chosen = {"catchment": catchment, "year": slice(period.first, period.last)}
    seen = observed.sel(chosen)
    terms = [name for name in NAMES if seen[name].notnull().any()]
    fig, axes = panels(len(terms), 1, 1.7, xlabel="year")
    for ax, name in zip(axes, terms, strict=True):
        for title, budget in budgets.items():
            line = budget[name].sel(chosen)
            ax.plot(line.year, line, marker=".", ms=4, **line_of(title))
        ax.plot(seen.year, seen[name], "o", ms=5, zorder=4, **SEEN)
        ax.set(ylabel="mm a⁻¹", title=NAMES[name])
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return fig


def bias_bars(bias: pd.DataFrame, annual: xr.Dataset) -> Figure:
    """Draw mean biases of ΔS, Q and ET as bars and those of single years as dots (Figure 7).

    Args:
        bias: of :func:`hybridlib.analysis.budget.biases`.
        annual: of :func:`hybridlib.analysis.budget.annual_biases`, the same titles.
    """
    terms = [name for name in SHORT if bias[name].notna().any()]
    fig, ax = plt.subplots(figsize=(WIDTH, 3.6))
    style = {"color": COLOURS, "width": 0.8, "alpha": 0.85, "rot": 0, "legend": False}
    bias[terms].rename(columns=SHORT).T.plot.bar(ax=ax, **style)
    for bars, title in zip(ax.containers, bias.index, strict=True):
        for bar, name in zip(bars, terms, strict=True):
            years = annual[name].sel(title=title).values
            middle = np.full(len(years), bar.get_x() + bar.get_width() / 2)
            ax.plot(middle, years, "o", mfc="none", mec="0.25", mew=0.8, ms=3.5)
    ax.axhline(0, color="black", lw=0.8)
    ax.set_ylabel(BIAS)
    ax.grid(axis="x", visible=False)
    fig.legend(handles=ax.containers, loc="outside upper center", ncols=3)
    return fig


def sub_basin_maps(
    basin: Basin, catchments: Sequence[Catchment], evaporation: pd.DataFrame, columns: Sequence[str]
) -> Figure:
    """Draw the sub-basins with their gauges, and ET of each from several sources (Figure 8 a–d).

    Args:
        basin: the active cells.
        catchments: the sub-basins.
        evaporation: of :func:`hybridlib.analysis.budget.mean_evapotranspiration`.
        columns: of it, a map each.

    Raises:
        InputError: no sub-basin is known in any of them.
    """
    columns = [name for name in columns if name in evaporation]
    values = evaporation[columns]
    if not values.notna().any(axis=None):
        raise InputError(f"no sub-basin has a known ET in {', '.join(columns) or 'any column'}")
    fig, axes = maps.basin_axes(maps.extent_of(basin), len(columns) + 1, 2)
    colours = {
        "cmap": "YlGnBu",
        "vmin": values.min(axis=None) - ROOM,
        "vmax": values.max(axis=None),
    }
    for ax, letter, name in zip(axes, "abcdefgh", ["", *columns], strict=False):
        if name:
            field = basin.on_grid(in_cells(basin, catchments, evaporation[name].dropna()))
            mesh = maps.map_field(ax, field, bar="", **colours)
        maps.draw_outline(ax, basin)
        maps.draw_network(ax, basin, scale=0.3)
        for one in catchments:
            maps.draw_outline(ax, basin, one.inside, edgecolor="0.15")
        ax.set_title(f"({letter}) {name or 'sub-basins and their gauges'}")
    place = np.column_stack([basin.lon[basin.col], basin.lat[basin.row]])
    for one in catchments:
        axes[0].plot(*place[one.cell], "v", color="#d55e00", ms=4, zorder=5)
        inside = place[one.inside]
        # The cell nearest to the mean of all: the mean itself may lie outside.
        middle = inside[((inside - inside.mean(axis=0)) ** 2).sum(axis=1).argmin()]
        label_place(axes[0], middle, one.name.split()[0], weight="bold", ha="center", va="center")
    bar: dict = {"location": "bottom", "shrink": 0.6, "aspect": 40}
    fig.colorbar(mesh, ax=list(axes), label="evapotranspiration (mm a⁻¹)", **bar)
    return fig


def sub_basin_scatter(evaporation: pd.DataFrame, titles: Sequence[str]) -> Figure:
    """Draw ET from the water balance against modelled ET, a number a sub-basin (Figure 8 e).

    Args:
        evaporation: of :func:`hybridlib.analysis.budget.mean_evapotranspiration`.
        titles: schemes shown; of a twin the truth is drawn, too.
    """
    seen = evaporation.iloc[:, 0]
    titles = [title for title in [*titles, TRUTH] if title in evaporation]
    fig, ax = plt.subplots(figsize=(WIDTH, 5.4))
    for mark, title in zip("osD^v", titles, strict=False):
        style: dict = {"color": COLOURS[title], "label": title, "ms": 7, "mfc": "none", "mew": 1.6}
        ax.plot(evaporation[title], seen, "x" if title == TRUTH else mark, **style)
    for name, right in evaporation[titles].max(axis=1).items():
        style = {"textcoords": "offset points", "va": "center", "size": 9}
        ax.annotate(name.split()[0], (right, seen[name]), (6, 0), **style)
    values = evaporation[[seen.name, *titles]]
    ends = values.min(axis=None) - ROOM, values.max(axis=None) + ROOM
    ax.axline((ends[0], ends[0]), slope=1, color="0.4", lw=0.8)
    ax.set(xlim=ends, ylim=ends, aspect="equal")
    ax.set(xlabel="modelled or true ET (mm a⁻¹)", ylabel="P − Q − ΔS (mm a⁻¹)")
    ax.legend(loc="upper left")
    return fig


def runoff_season(season: pd.DataFrame, bias: pd.DataFrame, catchment: str) -> Figure:
    """Draw runoff of every month, observed and of all schemes, and its annual bias (Figure 9).

    Args:
        season: of :func:`hybridlib.analysis.floods.seasonal_runoff`, with a column "observed".
        bias: of :func:`hybridlib.analysis.budget.biases`.
        catchment: its name.
    """
    fig, (ax, side) = plt.subplots(1, 2, figsize=(WIDTH, 3.6), width_ratios=(3, 2))
    for title in bias.index:
        ax.plot(season.index, season[title], **line_of(title))
    ax.plot(season.index, season["observed"], "o-", ms=4, lw=1, **SEEN)
    ax.set(xlabel="month", ylabel="runoff (mm d⁻¹)", ylim=(0, None), title=catchment)
    ax.set_xticks(range(1, 13), MONTHS)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    side.barh(bias.index, bias.Q, color=[COLOURS[title] for title in bias.index], alpha=0.85)
    side.axvline(0, color="black", lw=0.8)
    side.invert_yaxis()
    side.set(xlabel=BIAS, title="mean of the years")
    side.grid(axis="y", visible=False)
    return fig


def flood_dots(peaks: pd.DataFrame, catchment: str) -> Figure:
    """Draw how late and how high floods come: a small dot a year, a large one their mean.

    Args:
        peaks: of :func:`hybridlib.analysis.floods.peak_errors`.
        catchment: its name.
    """
    by_scheme = peaks.groupby("scheme", sort=False)
    fig, ax = plt.subplots(figsize=(WIDTH, 4.0))
    style = {"x": "days late", "y": "height (%)", "hue": "scheme", "palette": COLOURS, "ax": ax}
    style |= {
        "style": "scheme",
        "markers": {title: "oX"[title == TRUTH] for title in by_scheme.groups},
    }
    sns.scatterplot(peaks, s=20, alpha=0.55, legend=False, **style)
    sns.scatterplot(by_scheme.mean(), s=100, zorder=4, **style)
    for line in (ax.axhline, ax.axvline):
        line(0, color="0.4", lw=0.8)
    ax.set(xlabel="days after the observed flood (negative: early)")
    ax.set(ylabel="above the observed height (%)", title=name_of(catchment))
    ax.legend().remove()
    fig.legend(*ax.get_legend_handles_labels(), loc="outside right center")
    return fig


def signed(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers with their sign and one digit, a dash where there is none; counts as they are.

    A column without any number is left out.
    """
    text = table.dropna(axis=1, how="all").map(
        lambda value: f"{value:+.1f}" if np.isfinite(value) else "–"
    )
    return text.assign(years=table.years) if "years" in table else text


def agreement_table(table: pd.DataFrame) -> pd.DataFrame:
    """Format :func:`hybridlib.analysis.water.agreement` for a page."""
    formats = {"bias": "{:+.1f}", "RMSE": "{:.1f}", "r": "{:.3f}", "RMSE to the truth": "{:.1f}"}
    columns = {name: table[name].map(formats[name].format) for name in table}
    return pd.DataFrame(columns).replace("nan", "–")
