"""The water budget in figures: years, biases, sub-basins, runoff and floods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from hybridlib.analysis.budget import SHORT, Catchment, on_grid
from hybridlib.analysis.inventory import name_of
from hybridlib.figures import maps
from hybridlib.figures.hydrographs import MONTHS
from hybridlib.figures.schemes import TRUTH_COLOUR, colour_of
from hybridlib.figures.style import OBSERVED
from hybridlib.learning.schemes import TRUTH
from hybridlib.study.basin import Basin, gridded
from hybridlib.study.schema import InputError
from hybridlib.study.splits import Period

MILLIMETRES = "mm a⁻¹"
NAMES = {"dS": "ΔS", "Q": "Q", "ET": "ET = P − Q − ΔS"}


def _colour(title: str) -> str:
    return TRUTH_COLOUR if title == TRUTH else colour_of(title)


def _known(fields: Mapping[str, xr.DataArray]) -> list[str]:
    """Terms of the budget that are not missing everywhere."""
    return [name for name in NAMES if bool(fields[name].notnull().any())]


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
    years = slice(period.first, period.last)
    seen = observed.sel(catchment=catchment, year=years)
    terms = _known(seen)
    size = 7.5, 0.6 + 1.7 * len(terms)
    fig, axes = plt.subplots(len(terms), 1, figsize=size, sharex=True, squeeze=False)
    for ax, name in zip(axes[:, 0], terms, strict=True):
        for title, budget in budgets.items():
            line = budget[name].sel(catchment=catchment, year=years)
            style = "--" if title == TRUTH else "-"
            ax.plot(line.year, line, style, color=_colour(title), label=title, marker=".", ms=4)
        ax.plot(seen.year, seen[name], "o", color=OBSERVED, ms=5, label="observed", zorder=4)
        ax.set(ylabel=MILLIMETRES, title=NAMES[name])
    axes[-1, 0].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[-1, 0].set_xlabel("year")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return fig


def bias_bars(bias: pd.DataFrame, annual: xr.Dataset) -> Figure:
    """Draw mean biases of ΔS, Q and ET as bars and those of single years as dots (Figure 7).

    Args:
        bias: of :func:`hybridlib.analysis.budget.biases`.
        annual: of :func:`hybridlib.analysis.budget.annual_biases`, the same titles.
    """
    terms = [name for name in SHORT if bias[name].notna().any()]
    width = 0.8 / len(bias)
    fig, ax = plt.subplots(figsize=(7.5, 3.6))
    for k, title in enumerate(bias.index):
        places = np.arange(len(terms)) + (k - (len(bias) - 1) / 2) * width
        bars = ax.bar(places, bias.loc[title, terms], 0.92 * width, color=_colour(title),
                      alpha=0.85, label=title)  # fmt: skip
        for bar, name in zip(bars, terms, strict=True):
            dots = annual[name].sel(title=title).values
            middle = np.full(len(dots), bar.get_x() + bar.get_width() / 2)
            ax.plot(middle, dots, "o", mfc="none", mec="0.25", mew=0.8, ms=3.5)
    ax.axhline(0, color="black", lw=0.8)
    ax.set_xticks(range(len(terms)), [SHORT[name] for name in terms])
    ax.set_ylabel(f"model − observation ({MILLIMETRES})")
    ax.grid(axis="x", visible=False)
    fig.legend(loc="outside upper center", ncols=3)
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
    values = evaporation[columns].values
    if not np.isfinite(values).any():
        raise InputError(f"no sub-basin has a known ET in {', '.join(columns) or 'any column'}")
    land = gridded(basin, basin.land, False)
    extent = _as_wide_as_high(*maps.extent_of(land))
    west, east, south, north = extent
    rows = -(-(len(columns) + 1) // 2)
    size = 7.5, 0.6 + rows * (0.35 + 3.2 * (north - south) / (east - west))
    fig, axes = maps.basin_axes(rows, 2, extent=extent, figsize=size)
    colours = {"cmap": "YlGnBu", "vmin": np.nanmin(values) - 50, "vmax": np.nanmax(values) + 10}
    for ax, letter, name in zip(axes.flat, "abcdefgh", ["", *columns], strict=False):
        maps.draw_outline(ax, maps.mask_outline(land), linewidth=0.7)
        if name:
            field = on_grid(basin, catchments, evaporation[name].dropna())
            mesh = maps.map_field(ax, field, colorbar=False, **colours)
        maps.draw_rivers(ax, 150.0, linewidths=0.5, alpha=0.8)
        for one in catchments:
            _draw_catchment(ax, basin, one, named=not name)
        ax.set_title(f"({letter}) {name or 'sub-basins and their gauges'}")
    for ax in axes.flat[len(columns) + 1 :]:
        ax.set_visible(False)
    bar = fig.colorbar(mesh, ax=axes, orientation="horizontal", shrink=0.6, aspect=40, pad=0.02)
    bar.set_label(f"evapotranspiration ({MILLIMETRES})")
    return fig


def _as_wide_as_high(west, east, south, north) -> tuple[float, float, float, float]:
    """Widen a narrow extent, so that the degrees below it do not touch."""
    more = max(0.0, (north - south) - (east - west)) / 2
    return west - more, east + more, south, north


def _draw_catchment(ax, basin: Basin, one: Catchment, named: bool) -> None:
    """Draw the outline and, if wanted, the gauge and the first word of the name."""
    lat, lon = basin.lat[basin.row], basin.lon[basin.col]
    outline = maps.mask_outline(gridded(basin, one.inside, False))
    maps.draw_outline(ax, outline, linewidth=0.8, edgecolor="0.15")
    if named:
        spot = lon[one.cell], lat[one.cell]
        ax.plot(*spot, "v", color="#d55e00", ms=4, transform=maps.LONLAT, zorder=5)
        y, x = _middle(lat[one.inside], lon[one.inside])
        halo = [withStroke(linewidth=2, foreground="white")]
        style = {"ha": "center", "va": "center", "weight": "bold", "size": 9, "zorder": 6}
        ax.annotate(one.name.split()[0], (x, y), path_effects=halo, **style)


def _middle(lat: np.ndarray, lon: np.ndarray) -> tuple[float, float]:
    """The cell nearest to the mean of all: the mean itself may lie outside."""
    place = np.argmin((lat - lat.mean()) ** 2 + (lon - lon.mean()) ** 2)
    return float(lat[place]), float(lon[place])


def sub_basin_scatter(evaporation: pd.DataFrame, titles: Sequence[str]) -> Figure:
    """Draw ET from the water balance against modelled ET, a number a sub-basin (Figure 8 e).

    Args:
        evaporation: of :func:`hybridlib.analysis.budget.mean_evapotranspiration`.
        titles: schemes shown; of a twin the truth is drawn, too.
    """
    seen = evaporation.iloc[:, 0]
    titles = [title for title in [*titles, TRUTH] if title in evaporation]
    fig, ax = plt.subplots(figsize=(7.5, 5.4))
    marks = dict(zip(titles, ("o", "s", "D", "^", "v"), strict=False)) | {TRUTH: "x"}
    for title in titles:
        ax.plot(evaporation[title], seen, marks[title], color=_colour(title), label=title, ms=7,
                mfc="none", mew=1.6)  # fmt: skip
    for name in evaporation.index:
        right = evaporation.loc[name, titles].max()
        ax.annotate(name.split()[0], (right, seen[name]), (6, 0), textcoords="offset points",
                    va="center", size=9)  # fmt: skip
    values = evaporation[[seen.name, *titles]].values
    ends = np.nanmin(values) - 20, np.nanmax(values) + 25
    ax.plot(ends, ends, color="0.4", lw=0.8)
    ax.set(xlim=ends, ylim=ends, aspect="equal")
    ax.set(xlabel=f"modelled or true ET ({MILLIMETRES})", ylabel=f"P − Q − ΔS ({MILLIMETRES})")
    ax.legend(loc="upper left")
    return fig


def runoff_season(season: pd.DataFrame, bias: pd.DataFrame, catchment: str) -> Figure:
    """Draw runoff of every month, observed and of all schemes, and its annual bias (Figure 9).

    Args:
        season: of :func:`hybridlib.analysis.floods.seasonal_runoff`, with a column "observed".
        bias: of :func:`hybridlib.analysis.budget.biases`.
        catchment: its name.
    """
    fig, (ax, side) = plt.subplots(1, 2, figsize=(7.5, 3.6), width_ratios=(3, 2))
    for title in bias.index:
        style = "--" if title == TRUTH else "-"
        ax.plot(season.index, season[title], style, color=_colour(title), label=title)
    ax.plot(season.index, season["observed"], "o-", color=OBSERVED, ms=4, lw=1, label="observed")
    ax.set(xlabel="month", ylabel="runoff (mm d⁻¹)", ylim=(0, None), title=catchment)
    ax.set_xticks(range(1, 13), MONTHS)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    places = np.arange(len(bias), 0, -1)
    side.barh(places, bias.Q, color=[_colour(title) for title in bias.index], alpha=0.85)
    side.axvline(0, color="black", lw=0.8)
    side.set_yticks(places, list(bias.index))
    side.set(xlabel=f"model − observation ({MILLIMETRES})", title="mean of the years")
    side.grid(axis="y", visible=False)
    return fig


def flood_dots(peaks: pd.DataFrame, catchment: str) -> Figure:
    """Draw how late and how high floods come: a small dot a year, a large one their mean.

    Args:
        peaks: of :func:`hybridlib.analysis.floods.peak_errors`.
        catchment: its name.
    """
    fig, ax = plt.subplots(figsize=(7.5, 4.0))
    for title, one in peaks.groupby(level="scheme", sort=False):
        mark = "X" if title == TRUTH else "o"
        colour = _colour(title)
        ax.plot(one["days late"], one["height (%)"], mark, color=colour, ms=4, alpha=0.55)
        mean = one.mean()
        ax.plot(mean["days late"], mean["height (%)"], mark, color=colour, ms=10, mec="white",
                label=title, zorder=4)  # fmt: skip
    for line in (ax.axhline, ax.axvline):
        line(0, color="0.4", lw=0.8)
    ax.set(xlabel="days after the observed flood (negative: early)",
           ylabel="above the observed height (%)", title=name_of(catchment))  # fmt: skip
    fig.legend(loc="outside right center")
    return fig


def signed(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers with their sign and one digit, a dash where there is none; counts as they are."""
    text = table.map(lambda value: f"{value:+.1f}" if np.isfinite(value) else "–")
    return text.assign(years=table.years) if "years" in table else text


def agreement_table(table: pd.DataFrame) -> pd.DataFrame:
    """Format :func:`hybridlib.findings.budget.agreement` for a page."""
    formats = {"bias": "{:+.1f}", "RMSE": "{:.1f}", "r": "{:.3f}", "RMSE to the truth": "{:.1f}"}
    columns = {name: table[name].map(formats[name].format) for name in table}
    return pd.DataFrame(columns).replace("nan", "–")
