"""The schemes compared: what they are, how they learned, how well they do, what they found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib.cbook import boxplot_stats
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hybridlib.analysis.inventory import name_of
from hybridlib.analysis.schemes import steps_chosen
from hybridlib.figures.hydrographs import draw_pair
from hybridlib.figures.style import COLOURS, name_looks, panels, plain_numbers
from hybridlib.learning.run import CURVES, Run
from hybridlib.learning.schemes import SCHEMES, TRUTH
from hybridlib.study.splits import Period

SEEN = {"discharge": "discharge at gauges", "twsa": "water storage on boxes"}
UNITS = {"discharge": "m³ s⁻¹", "twsa": "mm"}
LOWEST = -1.0
"""Where an axis of scores ends at the latest; values below are counted at the rim."""
CHOSEN = "number of steps chosen, by member"


def training_curves(schemes: Mapping[str, Run]) -> Figure:
    """Draw every scheme's loss before each step, in both phases, with the number chosen.

    Lines are means over the members.
    """
    runs = {title: trained for title, trained in schemes.items() if trained.scheme.trained}
    fig, axes = panels(len(runs), 2, sharey=True, xlabel="steps made", ylabel="loss (–)")
    for ax, (title, trained) in zip(axes, runs.items(), strict=True):
        trained.plot_training(ax, color=COLOURS[title])
        chosen = sorted(set(steps_chosen(trained)))
        for step in chosen:
            ax.axvline(step, color="0.5", linestyle="-.", linewidth=1)
        text = "–".join(map(str, dict.fromkeys([chosen[0], chosen[-1]])))
        ax.annotate(text, (chosen[-1], 1), (3, -3), xycoords=("data", "axes fraction"),
                    textcoords="offset points", va="top", size=9, color="0.35")  # fmt: skip
        ax.set(title=title, yscale="log")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        plain_numbers(ax.yaxis)
    looks = {text: look for text, (_, _, look) in CURVES.items()}
    name_looks(fig, looks | {CHOSEN: "-."}, 2)
    return fig


def score_boxes(
    scores: Mapping[str, xr.Dataset],
    metrics: Iterable[str] = ("NSE",),
    ceiling: xr.Dataset | None = None,
) -> Figure:
    """Draw the scores of all gauges and boxes in the validation years (Figures 5 and S4).

    Args:
        scores: of :func:`hybridlib.learning.evaluation.score`, by title; mean over the members is
            shown.
        metrics: one row of panels each.
        ceiling: scores of the truth itself, drawn as a line at the median.
    """
    metrics = list(metrics)
    names = [name for name in SEEN if all(name in scored for scored in scores.values())]
    count, height = len(metrics) * len(names), 0.7 + 0.3 * len(scores)
    fig, axes = panels(count, len(names), height, sharex=False, sharey=True)
    for ax, letter, (metric, name) in zip(axes, "abcdef", product(metrics, names), strict=False):
        chosen = {"metric": metric, "period": "validation"}
        values = {title: mean_of_members(one[name].sel(chosen)) for title, one in scores.items()}
        draw_boxes(ax, pd.concat(values, names=["scheme"]).rename(metric).reset_index(), metric)
        if ceiling is not None:
            middle = mean_of_members(ceiling[name].sel(chosen)).median()
            ax.axvline(middle, color=COLOURS[TRUTH], linestyle="--", linewidth=1)
        unit = UNITS[name] if metric == "RMSE" else "–"
        ax.set(title=f"({letter}) {SEEN[name]}", xlabel=f"{metric} ({unit}); medians at the right")
    if ceiling is not None:
        line = plt.Line2D([], [], color=COLOURS[TRUTH], ls="--", label="median of the truth itself")
        fig.legend(handles=[line], loc="outside lower right")
    return fig


def mean_of_members(scores: xr.DataArray) -> pd.Series:
    """Scores that are defined, mean over the members."""
    return pd.Series(np.ravel(scores.mean("member"))).dropna()


def draw_boxes(ax, table: pd.DataFrame, metric: str, y: str = "scheme") -> None:
    """Draw lying boxes of scores, a colour a scheme, with their medians at the right.

    A box holds the middle half, its line is the median, whiskers reach to the last value within
    1.5 times the box, dots are the rest. Values far below the whiskers are counted at the rim.

    Args:
        ax: axes to draw on.
        table: a row a score, with columns "scheme", y and the metric.
        metric: its column; "RMSE" has a logarithmic axis.
        y: column with a row of boxes for each of its values.
    """
    style = {"palette": COLOURS, "saturation": 1.0, "width": 0.7, "fliersize": 3}
    sns.boxplot(table, x=metric, y=y, hue="scheme", ax=ax, legend=y != "scheme", **style)
    boxes = table.groupby([table[y], table.scheme])[metric]
    least = min(boxplot_stats(one)[0]["whislo"] for _, one in boxes)
    if metric == "RMSE":
        ax.set_xscale("log")
        plain_numbers(ax.xaxis, (1, 3))
    else:
        ax.set_xlim(max(LOWEST, least - 0.15 * (1 - least)), 1.0)
    for place, (_, one) in enumerate(table.groupby(y, sort=False)):
        medians = one.groupby("scheme", sort=False)[metric].median()
        at = {"xycoords": ("axes fraction", "data"), "va": "center", "size": 9}
        ax.annotate(", ".join(map(_short, medians)), (1.02, place), **at)
        if beyond := int((one[metric] < ax.get_xlim()[0]).sum()):
            box = {"fc": "white", "ec": "none", "pad": 1}
            ax.annotate(f"◂ {beyond}", (0.01, place), bbox=box, **at)
    ax.set_ylabel("")


def _short(score: float) -> str:
    return f"{score:.2f}" if abs(score) < 10 else f"{score:,.0f}"


def hydrographs(
    pairs: Mapping[str, xr.Dataset], station: str, period: Period | None = None
) -> Figure:
    """Draw observed and simulated discharge of one gauge, a panel for every scheme.

    Args:
        pairs: of :func:`hybridlib.learning.evaluation.simulate_members`, by title; the mean over
            the members is shown.
        station: the gauge's name.
        period: years shown, over which the NSE in the titles is taken; all by default.
    """
    fig, axes = panels(len(pairs), 1, 1.3, sharey=True, ylabel="discharge")
    for ax, (title, pair) in zip(axes, pairs.items(), strict=True):
        one = pair.sel(station=station).mean("member")
        one = one.isel(time=period.chosen(one.indexes["time"])) if period else one
        draw_pair(ax, one, title, title)
    ax.set_ylim(0, None)
    fig.legend(handles=axes[0].lines[:1], loc="outside upper right")
    fig.suptitle(name_of(station), x=0.02, ha="left", size="medium")
    return fig


def moselle_curves(results: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Draw the NSE of both periods after every step of the refit, all seeds, on the real Moselle.

    Args:
        results: scheme, seed, steps (chosen), train, validation; one row a seed.
        curves: scheme, seed, step, train, validation.
    """
    names = list(results.scheme.unique())
    labels = {"xlabel": "steps of the refit", "ylabel": "NSE of discharge (–)"}
    fig, axes = panels(len(names), len(names), 2.7, sharey=True, **labels)
    looks = {"train": "--", "validation": "-"}
    for ax, name in zip(axes, names, strict=True):
        title, ends = SCHEMES[name].title, results[results.scheme == name]
        by_seed = curves[curves.scheme == name].pivot(index="step", columns="seed")
        for period, look in looks.items():
            ax.plot(by_seed.index, by_seed[period], look, color=COLOURS[title], lw=1)
        ax.plot(ends.steps, ends.validation, "o", color="black", ms=4)
        ax.set_title(title)
    texts = "training years 1990–1991", "1992–1993, unseen", "steps chosen"
    name_looks(fig, dict(zip(texts, (*looks.values(), "o"), strict=True)), 3)
    return fig
