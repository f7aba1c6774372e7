"""The schemes compared: what they are, how they learned, how well they do, what they found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from hybridlib.analysis.inventory import name_of
from hybridlib.analysis.schemes import _steps
from hybridlib.figures.style import OBSERVED, SCHEME_COLOURS
from hybridlib.learning.comparison import Trained
from hybridlib.learning.schemes import SCHEMES
from hybridlib.study.metrics import nse
from hybridlib.study.splits import Period

SEEN = {"discharge": "discharge at gauges", "twsa": "water storage on boxes"}
UNITS = {"discharge": "m³ s⁻¹", "twsa": "mm"}
TRUTH_COLOUR = "#555555"


def colour_of(title: str) -> str:
    """Colour of a scheme; HydroPyNN(Q), of basins without gravimetry, has that of its sibling."""
    return SCHEME_COLOURS.get(title, SCHEME_COLOURS["HydroPyNN(Q,S)"])


def training_curves(schemes: Mapping[str, Trained]) -> Figure:
    """Draw every scheme's loss before each step, in both phases, with the number chosen."""
    runs = {title: trained for title, trained in schemes.items() if trained.config}
    rows = -(-len(runs) // 2)
    fig, axes = plt.subplots(
        rows, 2, figsize=(7.5, 0.7 + 2.3 * rows), sharex=True, sharey=True, squeeze=False
    )
    for ax, (title, trained) in zip(axes.flat, runs.items(), strict=False):
        _one_training(ax, trained, colour_of(title))
        ax.set_title(title)
    for ax in axes.flat[len(runs) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel("loss (–)")
    for ax in axes[-1]:
        ax.set_xlabel("steps made")
    _grey_legend(fig, axes[0, 0], 2)
    return fig


def _grey_legend(fig: Figure, ax, columns: int) -> None:
    """Name line styles below all panels, without the colour of any one scheme."""
    handles, labels = ax.get_legend_handles_labels()
    handles = [plt.matplotlib.lines.Line2D([], []) for _ in handles]
    for handle, drawn in zip(handles, ax.get_legend_handles_labels()[0], strict=True):
        handle.update_from(drawn)
        handle.set_color("black" if drawn.get_color() == "black" else "0.5")
    fig.legend(handles, labels, loc="outside lower center", ncols=columns)


def _one_training(ax, trained: Trained, colour: str) -> None:
    """Draw one scheme: the mean over its members, and the steps that each chose."""
    history, chosen = trained.history, sorted(set(_steps(trained)))
    lines = {
        ("choose", "loss"): ("choosing: first years of the training period", "--", colour),
        ("choose", "held_out"): ("choosing: its last years, held out", ":", "black"),
        ("fit", "loss"): ("refit: all of the training period", "-", colour),
    }
    for (phase, name), (text, style, shade) in lines.items():
        part = history[history.phase == phase]
        loss = part[[column for column in part if column.startswith(f"{name}_")]].mean(axis=1)
        ax.plot(part.epoch, loss, style, color=shade, label=text)
    for step in chosen:
        label = "number of steps chosen, by member" if step == chosen[0] else None
        ax.axvline(step, color="0.5", linestyle="-.", linewidth=1, label=label)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    text = "–".join(map(str, dict.fromkeys([chosen[0], chosen[-1]])))
    ax.annotate(text, (chosen[-1], 1), (3, -3), xycoords=("data", "axes fraction"),
                textcoords="offset points", va="top", size=9, color="0.35")  # fmt: skip


def score_boxes(
    scores: Mapping[str, xr.Dataset],
    metrics: Iterable[str] = ("NSE",),
    ceiling: xr.Dataset | None = None,
) -> Figure:
    """Draw the scores of all gauges and boxes in the validation years (Figures 5 and S4).

    The box holds the middle half, its line and number are the median, whiskers reach to the last
    value within 1.5 times the box, dots are the rest. Dots far below the others are counted at
    the rim instead.

    Args:
        scores: of :func:`hybridlib.learning.evaluation.score`, by title; mean over the members is
            shown.
        metrics: one row of panels each.
        ceiling: scores of the truth itself, drawn as a line at the median.
    """
    metrics = list(metrics)
    names = [name for name in SEEN if all(name in scored for scored in scores.values())]
    size = 7.5, 0.5 + (0.7 + 0.36 * len(scores)) * len(metrics)
    fig, axes = plt.subplots(len(metrics), len(names), figsize=size, sharey=True, squeeze=False)
    for (row, column), ax in np.ndenumerate(axes):
        metric, name = metrics[row], names[column]
        values = {title: _validation(scored, name, metric) for title, scored in scores.items()}
        _boxes(ax, values, metric)
        if ceiling is not None:
            line = float(np.median(_validation(ceiling, name, metric)))
            ax.axvline(line, color=TRUTH_COLOUR, linestyle="--", linewidth=1)
        unit = UNITS[name] if metric == "RMSE" else "–"
        ax.set_xlabel(f"{metric} ({unit})")
        if row == 0:
            ax.set_title(f"({'ab'[column]}) {SEEN[name]}")
    if ceiling is not None:
        handle = plt.Line2D(
            [], [], color=TRUTH_COLOUR, linestyle="--", label="median of the truth itself"
        )
        fig.legend(handles=[handle], loc="outside lower right")
    return fig


def _validation(scored: xr.Dataset, name: str, metric: str) -> np.ndarray:
    """Scores in the validation years that are defined, mean over the members."""
    values = scored[name].sel(metric=metric, period="validation").mean("member").values
    return values[np.isfinite(values)]


def _boxes(ax, values: Mapping[str, np.ndarray], metric: str) -> None:
    """Draw one lying box a scheme, the first on top, and write the medians."""
    places = np.arange(len(values), 0, -1)
    drawn = ax.boxplot(
        list(values.values()),
        positions=places,
        orientation="horizontal",
        widths=0.6,
        patch_artist=True,
        medianprops={"color": "black", "linewidth": 1.6},
        flierprops={"marker": "o", "markersize": 3},
    )
    for box, title in zip(drawn["boxes"], values, strict=True):
        box.set(facecolor=colour_of(title), alpha=0.75)
    ax.set_yticks(places, list(values))
    ax.set_ylim(0.4, len(places) + 0.75)
    ax.grid(axis="y", visible=False)
    whiskers = np.concatenate([line.get_xdata() for line in drawn["whiskers"]])
    if metric == "RMSE":
        everything = np.concatenate(list(values.values()))
        wide = everything.max() > 30 * everything.min() > 0
        ax.set_xscale("log" if wide else "linear")
        ax.set_xlim(left=None if wide else 0)
    else:
        span = whiskers.max() - whiskers.min()
        ax.set_xlim(whiskers.min() - 0.35 * span, max(1.0, whiskers.max()) + 0.02 * span)
    for place, scored in zip(places, values.values(), strict=True):
        _label_box(ax, place, scored)


def _label_box(ax, place: int, scored: np.ndarray) -> None:
    """Write the median above its line, and at the rim how many values lie beyond it."""
    median = float(np.median(scored))
    text = f"{median:.2f}" if abs(median) < 10 else f"{median:,.0f}"
    ax.annotate(text, (median, place + 0.3), (0, 1), textcoords="offset points", ha="center",
                va="bottom", size=8.5)  # fmt: skip
    beyond = int((scored < ax.get_xlim()[0]).sum())
    if beyond:
        style = {"va": "center", "size": 8.5, "bbox": {"fc": "white", "ec": "none", "pad": 1}}
        ax.annotate(f"◂ {beyond}", (0.01, place), xycoords=("axes fraction", "data"), **style)


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
    fig, axes = plt.subplots(
        len(pairs), 1, figsize=(7.5, 0.5 + 1.25 * len(pairs)), sharex=True, sharey=True
    )
    largest = max(float(pair.discharge_observed.max()) for pair in pairs.values())
    scale, unit = (1e3, "1000 m³ s⁻¹") if largest > 5e3 else (1.0, "m³ s⁻¹")
    for ax, (title, pair) in zip(np.atleast_1d(axes), pairs.items(), strict=True):
        one = pair.sel(station=station)
        one = one.isel(time=period.chosen(one.indexes["time"])) if period else one
        observed, simulated = one.discharge_observed, one.discharge_simulated.mean("member")
        ax.plot(one.time, observed / scale, color=OBSERVED, linewidth=1, label="observed")
        ax.plot(one.time, simulated / scale, color=colour_of(title), linewidth=1.3)
        ax.set_title(f"{title}, NSE {float(nse(simulated, observed)):.2f}")
    ax.set(xlim=(one.time[0], one.time[-1]), ylim=(0, None))
    ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))
    fig.supylabel(f"discharge ({unit})", size="medium")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper right")
    fig.suptitle(name_of(station), x=0.02, ha="left", size="medium")
    return fig


def moselle_curves(results: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Draw the NSE of both periods after every step of the refit, all seeds, on the real Moselle.

    Args:
        results: scheme, seed, steps (chosen), train, validation; one row a seed.
        curves: scheme, seed, step, train, validation.
    """
    names = list(dict.fromkeys(results.scheme))
    fig, axes = plt.subplots(1, len(names), figsize=(7.5, 3.3), sharey=True, squeeze=False)
    styles = {"train": ("training years 1990–1991", "--"), "validation": ("1992–1993, unseen", "-")}
    for ax, name in zip(axes[0], names, strict=True):
        title = SCHEMES[name].title
        for seed, curve in curves[curves.scheme == name].groupby("seed"):
            for period, (text, style) in styles.items():
                label = text if seed == curves.seed.min() else None
                ax.plot(curve.step, curve[period], style, color=colour_of(title), lw=1, label=label)
        ends = results[results.scheme == name]
        ax.plot(ends.steps, ends.validation, "o", color="black", ms=4, label="steps chosen")
        ax.set(title=title, xlabel="steps of the refit")
    axes[0, 0].set_ylabel("NSE of discharge (–)")
    _grey_legend(fig, axes[0, 0], 3)
    return fig
