"""Evapotranspiration at towers, and potential evapotranspiration by season and on maps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure

from hybridlib.analysis.evaporation import FORMULAS, LOW, MIDDLE
from hybridlib.analysis.inventory import covers_amazon
from hybridlib.figures import maps
from hybridlib.figures.hydrographs import MONTHS
from hybridlib.figures.schemes import TRUTH_COLOUR, colour_of
from hybridlib.figures.style import OBSERVED
from hybridlib.learning.schemes import TRUTH
from hybridlib.study.splits import Period
from hybridlib.study.store import Study
from hybridlib.twin.towers import CLOSURE

LINES = dict(
    zip(FORMULAS.values(), (("#0173b2", "-"), ("#949494", "-."), ("#ca9161", "-")), strict=True)
)
"""Colour and style of each formula; Penman-Monteith has that of HydroPyNN, whose PET it is."""
FAR = FORMULAS["hargreaves-samani"]
"""The formula whose map has a scale of its own."""
SMALLEST_P = 1e-99
DAYS = (1, MIDDLE[0], 180, MIDDLE[1], 365)


def _line_of(title: str) -> dict:
    """Colour and style of a formula, a scheme or the truth."""
    if title == TRUTH:
        return {"color": TRUTH_COLOUR, "linestyle": "--"}
    colour, style = LINES.get(title, (colour_of(title), "-"))
    return {"color": colour, "linestyle": style}


def _p_in_words(p: float) -> str:
    return f"< {SMALLEST_P:.0e}" if p < SMALLEST_P else f"{p:.1e}" if p < 1e-3 else f"{p:.3f}"


def tower_table(table: pd.DataFrame) -> pd.DataFrame:
    """Format :func:`hybridlib.analysis.towers.agreement_table` for a page."""
    formats = {"days": "{:.0f}", "effective days": "{:.0f}"}
    shown = {
        name: [
            "–" if np.isnan(value)
            else _p_in_words(value) if name.startswith("p")
            else formats.get(name, "{:.2f}").format(value)
            for value in table[name]
        ]
        for name in table
    }  # fmt: skip
    return pd.DataFrame(shown, table.index)


def tower_scatter(
    towers: xr.Dataset,
    simulated: xr.DataArray,
    table: pd.DataFrame,
    schemes: Sequence[str],
    period: Period,
) -> Figure:
    """Draw measured against simulated daily evapotranspiration (Figure 10).

    On a twin the dashed line shows what a faultless model would score under the towers' missing
    energy.

    Args:
        towers: of :func:`hybridlib.analysis.towers.find_towers`.
        simulated: of :func:`hybridlib.analysis.towers.at_towers`.
        table: of :func:`hybridlib.analysis.towers.agreement_table`.
        schemes: titles, one column each.
        period: years shown.
    """
    names = [str(name) for name in towers.tower.values]
    size = 7.5, 0.4 + 3.5 * len(names)
    fig, axes = plt.subplots(
        len(names), len(schemes), figsize=size, sharex=True, sharey=True, squeeze=False
    )
    inside = period.holds(towers.indexes["time"])
    most = float(np.nanmax([towers.et[inside].max(), simulated.sel(scheme=list(schemes)).max()]))
    for (row, column), ax in np.ndenumerate(axes):
        name, title = names[row], schemes[column]
        run = simulated.sel(tower=name, scheme=title)[inside]
        ax.plot(run, towers.et.sel(tower=name)[inside], "o", ms=2.5, alpha=0.2, mew=0,
                color=colour_of(title), rasterized=True)  # fmt: skip
        ax.axline((0, 0), slope=1, color="black", linewidth=1, label="1 : 1")
        if "et_true" in towers:
            label = f"a tower that sees {CLOSURE:.0%}"
            ax.axline(
                (0, 0),
                slope=CLOSURE,
                color=TRUTH_COLOUR,
                linestyle="--",
                linewidth=1.2,
                label=label,
            )
        box = {"fc": "white", "ec": "none", "alpha": 0.8}
        text = _scores(table.loc[(name, title)])
        ax.annotate(text, (0.03, 0.97), xycoords="axes fraction", va="top", size=8.5, bbox=box)
        ax.set(title=f"({'abcdefgh'[row]}) {name}, {title}", xlim=(0, most), ylim=(0, most))
    for ax in axes[:, 0]:
        ax.set_ylabel("measured ET (mm d⁻¹)")
    for ax in axes[-1]:
        ax.set_xlabel("simulated ET (mm d⁻¹)")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def _scores(row: pd.Series) -> str:
    return (
        f"r {row.r:.2f}, p {_p_in_words(row['p by these'])}\n"
        f"MAE {row.MAE:.2f}, RMSE {row.RMSE:.2f} mm d⁻¹"
    )


def tower_series(
    towers: xr.Dataset, simulated: xr.DataArray, schemes: Iterable[str], year: int
) -> Figure:
    """Draw one year of daily evapotranspiration at every tower, with its gaps."""
    names = [str(name) for name in towers.tower.values]
    size = 7.5, 0.6 + 2.2 * len(names)
    fig, axes = plt.subplots(len(names), 1, figsize=size, sharex=True, sharey=True, squeeze=False)
    inside = Period(year, year).holds(towers.indexes["time"])
    for ax, name in zip(axes[:, 0], names, strict=True):
        for title in schemes:
            run = simulated.sel(tower=name, scheme=title)[inside]
            ax.plot(run.time, run, label=title, linewidth=1, **_line_of(title))
        seen = towers.et.sel(tower=name)[inside]
        ax.plot(seen.time, seen, "o", color=OBSERVED, ms=2.5, label="tower")
        ax.set(title=name, ylabel="ET (mm d⁻¹)")
    ax.set(xlim=(seen.time[0], seen.time[-1]), ylim=(0, None))
    ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=5)
    return fig


def tower_season(
    towers: xr.Dataset, simulated: xr.DataArray, schemes: Iterable[str], period: Period
) -> Figure:
    """Draw the mean of each month at every tower, over the days on which the tower has a value."""
    names = [str(name) for name in towers.tower.values]
    fig, axes = plt.subplots(1, len(names), figsize=(7.5, 3.4), sharey=True, squeeze=False)
    inside = period.holds(towers.indexes["time"])
    for ax, name in zip(axes[0], names, strict=True):
        seen = towers.et.sel(tower=name)[inside]
        lines = {title: simulated.sel(tower=name, scheme=title)[inside] for title in schemes}
        for title, run in lines.items():
            month = run.where(seen.notnull()).groupby("time.month").mean()
            ax.plot(month.month, month, "o", ms=4, label=title, **_line_of(title))
        month = seen.groupby("time.month").mean()
        ax.plot(month.month, month, "o-", ms=4, color=OBSERVED, label="tower")
        ax.set(title=name, xlabel="month")
        ax.set_xticks(range(1, 13), MONTHS)
    axes[0, 0].set(ylabel="mean ET (mm d⁻¹)", ylim=(0, None))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return fig


def pet_season(season: pd.DataFrame) -> Figure:
    """Draw the basin's PET by day of the year, a line a field (Figure 11a)."""
    fig, ax = plt.subplots(figsize=(7.5, 3.8))
    ax.axvspan(*MIDDLE, color="0.93", zorder=0)
    for title in season:
        ax.plot(season.index, season[title], label=title, linewidth=1.4, **_line_of(title))
    ax.set(xlabel="day of year", ylabel="PET (mm d⁻¹)", xlim=(1, 365), xticks=DAYS)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return fig


def pet_maps(study: Study, fields: xr.Dataset) -> Figure:
    """Draw mean annual PET by Penman-Monteith and what the others add to it (Figure 11b).

    All have one scale but Hargreaves-Samani, which is far off.

    Args:
        study: the prepared study.
        fields: of :func:`hybridlib.analysis.evaporation.annual_maps`; without Penman-Monteith each
            is drawn as it is.
    """
    first, *others = fields.data_vars
    extent = maps.extent_of(fields[first])
    west, east, south, north = extent
    slender = (north - south) / (east - west)
    columns = min(3 if slender < 1.5 else 5, len(fields))
    rows = -(-len(fields) // columns)
    size = 7.5, 1.0 + rows * (0.75 + min(6.4 / columns * slender, 4.0))
    fig, axes = maps.basin_axes(rows, columns, extent=extent, figsize=size, land=False)
    axes = np.ravel(axes)
    drawn = {first: fields[first]} | {
        title: fields[title] - fields[first] if first == LOW else fields[title] for title in others
    }
    ends = {title: float(abs(field).quantile(0.98)) for title, field in drawn.items()}
    shared = max([ends[title] for title in others if title != FAR] or [0.0])
    for ax, letter, (title, field) in zip(axes, "abcdef", drawn.items(), strict=False):
        scale, text = {"cmap": "viridis"}, "mean annual PET (mm)"
        if first == LOW != title:
            most = ends[title] if title == FAR else shared
            scale = {"cmap": "RdBu_r", "vmin": -most, "vmax": most}
            text = "more than (a) (mm)"
        _pet_panel(ax, study, field, f"({letter}) {title}", text, **scale)
    for ax in axes[len(fields) :]:
        ax.remove()
    return fig


def _pet_panel(ax, study: Study, field: xr.DataArray, title: str, text: str, **scale) -> None:
    """One map with a colour bar of its own, outline and rivers."""
    mesh = maps.map_field(ax, field, colorbar=False, **scale)
    maps.draw_outline(ax, maps.mask_outline(study.landsurface.lsm > 0), linewidth=0.6)
    if covers_amazon(study):
        maps.draw_rivers(ax, 300.0, linewidths=0.4, alpha=0.5)
    ax.set_title(title, size="medium")
    bar = ax.figure.colorbar(mesh, ax=ax, orientation="horizontal", shrink=0.85, pad=0.04)
    bar.set_label(text)
