"""Evapotranspiration at towers, and potential evapotranspiration by season and on maps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure

from hybridlib.analysis.evaporation import FORMULAS, LOW, MIDDLE
from hybridlib.figures import maps
from hybridlib.figures.hydrographs import MONTHS
from hybridlib.figures.style import COLOURS, OBSERVED, WIDTH, line_of, panels
from hybridlib.learning.schemes import TRUTH
from hybridlib.study.splits import Period
from hybridlib.study.store import Study
from hybridlib.twin.towers import CLOSURE

FAR = FORMULAS["hargreaves-samani"]
"""The formula whose map has a scale of its own."""
SMALLEST_P = 1e-99
DAYS = (1, MIDDLE[0], 180, MIDDLE[1], 365)
TOWER = {"color": OBSERVED, "label": "tower"}


def _p_in_words(p: float) -> str:
    return f"< {SMALLEST_P:.0e}" if p < SMALLEST_P else f"{p:.1e}" if p < 1e-3 else f"{p:.3f}"


def tower_table(table: pd.DataFrame) -> pd.DataFrame:
    """Format :func:`hybridlib.analysis.towers.agreement_table` for a page."""
    formats = dict.fromkeys(("days", "effective days"), "{:.0f}".format)
    formats |= {name: _p_in_words for name in table if name.startswith("p")}
    columns = {name: table[name].map(formats.get(name, "{:.2f}".format)) for name in table}
    return pd.DataFrame(columns).replace("nan", "–")


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
    pairs = list(product(towers.tower.values, schemes))
    labels = {"xlabel": "simulated ET (mm d⁻¹)", "ylabel": "measured ET (mm d⁻¹)"}
    fig, axes = panels(len(pairs), len(schemes), 3.3, sharey=True, **labels)
    inside = period.holds(towers.indexes["time"])
    for ax, letter, (name, title) in zip(axes, "abcdefgh", pairs, strict=False):
        run = simulated.sel(tower=name, scheme=title)[inside]
        seen = towers.et.sel(tower=name)[inside]
        style = {"ms": 2.5, "alpha": 0.2, "mew": 0, "rasterized": True}
        ax.plot(run, seen, "o", color=COLOURS[title], **style)
        ax.axline((0, 0), slope=1, color="black", lw=1, label="1 : 1")
        if "et_true" in towers:
            line = line_of(TRUTH) | {"label": f"a tower that sees {CLOSURE:.0%}"}
            ax.axline((0, 0), slope=CLOSURE, lw=1.2, **line)
        row = table.loc[(name, title)]
        text = (
            f"r {row.r:.2f}, p {_p_in_words(row['p by these'])}\n"
            f"MAE {row.MAE:.2f}, RMSE {row.RMSE:.2f} mm d⁻¹"
        )
        box = {"fc": "white", "ec": "none", "alpha": 0.8}
        ax.annotate(text, (0.03, 0.97), xycoords="axes fraction", va="top", size=8.5, bbox=box)
        ax.set_title(f"({letter}) {name}, {title}")
    most = max(ax.dataLim.max.max() for ax in axes)
    ax.set(xlim=(0, most), ylim=(0, most))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return fig


def tower_series(
    towers: xr.Dataset, simulated: xr.DataArray, schemes: Iterable[str], year: int
) -> Figure:
    """Draw one year of daily evapotranspiration at every tower, with its gaps."""
    fig, axes = panels(towers.tower.size, 1, 2.2, sharey=True, ylabel="ET (mm d⁻¹)")
    for ax, name in zip(axes, towers.tower.values, strict=True):
        for title in schemes:
            run = simulated.sel(tower=name, scheme=title, time=str(year))
            ax.plot(run.time, run, linewidth=1, **line_of(title))
        seen = towers.et.sel(tower=name, time=str(year))
        ax.plot(seen.time, seen, "o", ms=2.5, **TOWER)
        ax.set_title(name)
    ax.set(xlim=seen.time.values[[0, -1]], ylim=(0, None))
    ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=5)
    return fig


def tower_season(
    towers: xr.Dataset, simulated: xr.DataArray, schemes: Iterable[str], period: Period
) -> Figure:
    """Draw the mean of each month at every tower, over the days on which the tower has a value."""
    count, labels = towers.tower.size, {"xlabel": "month", "ylabel": "mean ET (mm d⁻¹)"}
    fig, axes = panels(count, count, 2.8, sharey=True, **labels)
    inside = period.holds(towers.indexes["time"])
    seen, run = towers.et.isel(time=inside), simulated.isel(time=inside)
    months = seen.groupby("time.month").mean()
    runs = run.where(seen.notnull()).groupby("time.month").mean()
    for ax, name in zip(axes, towers.tower.values, strict=True):
        for title in schemes:
            ax.plot(
                runs.month, runs.sel(tower=name, scheme=title), marker="o", ms=4, **line_of(title)
            )
        ax.plot(months.month, months.sel(tower=name), "o-", ms=4, **TOWER)
        ax.set_title(name)
    ax.set_ylim(0, None)
    ax.set_xticks(range(1, 13), MONTHS)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=5)
    return fig


def pet_season(season: pd.DataFrame) -> Figure:
    """Draw the basin's PET by day of the year, a line a field (Figure 11a)."""
    fig, ax = plt.subplots(figsize=(WIDTH, 3.8))
    ax.axvspan(*MIDDLE, color="0.93", zorder=0)
    for title in season:
        ax.plot(season.index, season[title], linewidth=1.4, **line_of(title))
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
    fig, axes = maps.basin_axes(maps.extent_of(study.basin), len(fields), 3, land=False)
    more = fields.drop_vars(LOW) - fields[LOW] if LOW in fields else xr.Dataset()
    near = [float(abs(field).quantile(0.98)) for title, field in more.items() if title != FAR]
    for ax, letter, (title, field) in zip(axes, "abcdef", fields.items(), strict=False):
        text, scale = "mean annual PET", {}
        if title in more:
            most = None if title == FAR else max(near)
            text, scale = "more than (a)", {"cmap": "RdBu_r", "center": 0.0, "vmax": most}
        shown = more.get(title, field).assign_attrs(long_name=text, units="mm")
        maps.map_field(ax, shown, "bottom", **scale)
        maps.draw_outline(ax, study.basin)
        ax.set_title(f"({letter}) {title}")
    return fig
