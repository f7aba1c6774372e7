"""The run matrix in figures: gauges held out, years held out, weights of the loss, repeats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib.figure import Figure

from hybridlib.analysis.inventory import name_of
from hybridlib.experiments.results import PARTS, part_of, select
from hybridlib.figures.schemes import SEEN, colour_of
from hybridlib.learning.schemes import SCHEMES
from hybridlib.study.schema import InputError

SERIES = SEEN | {"evap": "evapotranspiration"}
MEDIANS = {"discharge": "station", "twsa": "box"}
"""Series that have a median, and over what."""
LOWEST = -0.2
"""Where the axis of the parts ends; values below are counted at the rim."""
COLOURS = {"discharge": "#0173b2", "twsa": "#de8f05", "evap": "#029e73"}


def scores_by_gauge(
    results: xr.Dataset, schemes: Iterable[str], stations: Sequence[str], metric: str = "NSE"
) -> Figure:
    """Draw every gauge's score from the fold that held it out, all schemes in one row (Figure 6a).

    Args:
        results: of :func:`hybridlib.experiments.results.read`.
        schemes: names of schemes with spatial runs.
        stations: gauges from top to bottom.
        metric: "NSE" or "KGE".

    Raises:
        InputError: no scheme.
    """
    schemes = _some(schemes)
    fig, ax = plt.subplots(figsize=(7.5, 0.9 + 0.24 * len(stations)))
    places = np.arange(len(stations))
    floor = 0.0
    for scheme in schemes:
        title = SCHEMES[scheme].title
        scores = part_of(
            results, "discharge", "validation", metric, experiment="spatial", scheme=scheme
        )
        values = scores.mean("member").sel(station=list(stations)).values
        median = float(np.nanmedian(values))
        colour = colour_of(title)
        label = f"{title}, median {median:.2f}"
        shown = np.maximum(values, floor)
        ax.plot(shown, places, "o", color=colour, ms=6, alpha=0.85, label=label)
        below = values < floor
        ax.plot(shown[below], places[below], "<", color=colour, ms=8)
        ax.axvline(max(median, floor), color=colour, lw=1, ls="--")
    ax.set_yticks(places, [name_of(station) for station in stations])
    ax.set(ylim=(len(stations) - 0.4, -0.6), xlabel=f"{metric} of a gauge held out (–)")
    fig.legend(loc="outside upper center", ncols=3)
    return fig


def part_boxes(results: xr.Dataset, experiment: str, schemes: Iterable[str]) -> Figure:
    """Draw the NSE of discharge in every part of the data, a colour a scheme (Figure S6).

    Args:
        results: of :func:`hybridlib.experiments.results.read`.
        experiment: such as "spatiotemporal".
        schemes: names of schemes with runs in it.

    Raises:
        InputError: no scheme.
    """
    schemes = _some(schemes)
    parts = PARTS[str(select(results, experiment=experiment).split.values[0])]
    rows = []
    for scheme in schemes:
        for part in parts:
            scores = part_of(results, "discharge", part, experiment=experiment, scheme=scheme)
            for value in scores.mean("member").values:
                rows.append({"scheme": SCHEMES[scheme].title, "part": part, "NSE": value})
    table = pd.DataFrame(rows).dropna()
    fig, ax = plt.subplots(figsize=(7.5, 0.9 + 0.75 * len(parts)))
    titles = list(dict.fromkeys(table.scheme))
    sns.boxplot(table, x="NSE", y="part", hue="scheme", ax=ax, width=0.7,
                palette={title: colour_of(title) for title in titles}, fliersize=3)  # fmt: skip
    medians = table.groupby(["part", "scheme"]).NSE.median()
    for k, part in enumerate(parts):
        text = ", ".join(f"{medians[part, title]:.2f}" for title in titles)
        ax.annotate(text, (1.005, k), xycoords=("axes fraction", "data"), va="center", size=9)
    low = max(LOWEST, table.NSE.min() - 0.05)
    beyond = table.NSE.lt(low).groupby(table.part).sum()
    for k, part in enumerate(parts):
        if beyond[part]:
            ax.annotate(f"◂ {beyond[part]}", (0.01, k), xycoords=("axes fraction", "data"),
                        va="center", size=9)  # fmt: skip
    ax.set(xlabel="NSE of discharge (–); medians at the right", ylabel="", xlim=(low, 1.0))
    ax.get_legend().remove()
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return fig


def weight_sweep(results: xr.Dataset, scheme: str, experiments: Iterable[str]) -> Figure:
    """Draw median and quartiles of the NSEs against the weight of discharge (Figure S3).

    On a twin a third panel has the NSE of monthly evapotranspiration over the land, against the
    truth.

    Args:
        results: of :func:`hybridlib.experiments.results.read`.
        scheme: its name.
        experiments: whose runs make the sweep, validated in the same years.
    """
    titles = {n: t for n, t in SERIES.items() if n in results}
    values: dict[str, dict[float, np.ndarray]] = {name: {} for name in titles}
    for experiment in experiments:
        runs = select(results, experiment=experiment, scheme=scheme)
        for weight in np.unique(runs.weight.values):
            keys = {"experiment": experiment, "scheme": scheme, "weight": weight}
            for name in titles:
                scores = part_of(results, name, "validation", **keys).mean("member").values
                values[name][float(weight)] = np.nanquantile(scores, [0.25, 0.5, 0.75])
    fig, axes = plt.subplots(1, len(titles), figsize=(7.5, 3.0), sharex=True, squeeze=False)
    for ax, (name, by_weight) in zip(axes[0], values.items(), strict=True):
        weights = sorted(by_weight)
        low, median, high = np.array([by_weight[w] for w in weights]).T
        ax.fill_between(weights, low, high, color=COLOURS[name], alpha=0.2, label="quartiles")
        ax.plot(weights, median, "o-", color=COLOURS[name], label="median", ms=4)
        ax.set(title=titles[name])
    fig.supxlabel("weight of discharge in the loss (–)", size="medium")
    axes[0, 0].set_ylabel("NSE (–)")
    axes[0, 0].legend(loc="lower center")
    return fig


def member_spread(results: xr.Dataset, schemes: Iterable[str], metric: str = "NSE") -> Figure:
    """Draw each member's median score, a row a scheme (Figure S9).

    Args:
        results: of :func:`hybridlib.experiments.results.read`.
        schemes: names of schemes with temporal runs.
        metric: "NSE" or "KGE".

    Raises:
        InputError: no scheme.
    """
    schemes = _some(schemes)
    shown = [name for name in MEDIANS if name in results]
    size = 7.5, 0.9 + 0.4 * len(schemes)
    fig, axes = plt.subplots(1, len(shown), figsize=size, sharey=True, squeeze=False)
    for ax, name in zip(axes[0], shown, strict=True):
        for k, scheme in enumerate(schemes):
            keys = {"experiment": "temporal", "scheme": scheme}
            medians = part_of(results, name, "validation", metric, **keys).median(MEDIANS[name])
            colour = colour_of(SCHEMES[scheme].title)
            ax.plot(medians, np.full(medians.size, k), "|", color=colour, ms=16, mew=2.5)
        ax.set_yticks(range(len(schemes)), [SCHEMES[scheme].title for scheme in schemes])
        ax.set(ylim=(len(schemes) - 0.5, -0.5), xlabel=f"median {metric} (–)", title=SERIES[name])
    return fig


def _some(schemes: Iterable[str]) -> list[str]:
    schemes = list(schemes)
    if not schemes:
        raise InputError("no scheme with finished runs; `hybridlib experiments` performs them")
    return schemes
