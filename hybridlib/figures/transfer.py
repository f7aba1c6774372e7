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
from hybridlib.figures.schemes import SEEN, draw_boxes, mean_of_members
from hybridlib.figures.style import COLOURS, WIDTH, panels
from hybridlib.learning.schemes import SCHEMES
from hybridlib.study.schema import InputError

SERIES = SEEN | {"evap": "evapotranspiration"}
MEDIANS = {"discharge": "station", "twsa": "box"}
"""Series that have a median, and over what."""


def scores_by_gauge(
    results: xr.Dataset, schemes: Iterable[str], stations: Sequence[str], metric: str = "NSE"
) -> Figure:
    """Draw every gauge's score from the fold that held it out, all schemes in one row (Figure 6a).

    Scores below 0 are drawn at 0, as triangles.

    Args:
        results: of :func:`hybridlib.experiments.results.read`.
        schemes: names of schemes with spatial runs.
        stations: gauges from top to bottom.
        metric: "NSE" or "KGE".

    Raises:
        InputError: no scheme.
    """
    fig, ax = plt.subplots(figsize=(WIDTH, 0.9 + 0.24 * len(stations)))
    places = np.arange(len(stations))
    for scheme in _some(schemes):
        keys = {"experiment": "spatial", "scheme": scheme}
        scores = part_of(results, "discharge", "validation", metric, **keys).mean("member")
        values, median = scores.sel(station=list(stations)).values, float(scores.median())
        title = SCHEMES[scheme].title
        style: dict = {"color": COLOURS[title], "alpha": 0.85}
        for mark, some in (("o", values >= 0), ("<", values < 0)):
            label = f"{title}, median {median:.2f}" if mark == "o" else None
            ax.plot(values[some].clip(0), places[some], mark, label=label, **style)
        ax.axvline(max(median, 0.0), lw=1, ls="--", **style)
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
    scores = {
        (part, SCHEMES[scheme].title): mean_of_members(
            part_of(results, "discharge", part, experiment=experiment, scheme=scheme)
        )
        for part in parts
        for scheme in schemes
    }
    table = pd.concat(scores, names=["part", "scheme"]).rename("NSE").reset_index()
    fig, ax = plt.subplots(figsize=(WIDTH, 0.9 + 0.75 * len(parts)))
    draw_boxes(ax, table, "NSE", "part")
    ax.set_xlabel("NSE of discharge (–); medians at the right")
    ax.legend().remove()
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
    runs, names = select(results, scheme=scheme), [name for name in SERIES if name in results]
    labels = {"xlabel": "weight of discharge in the loss (–)", "ylabel": "NSE (–)"}
    fig, axes = panels(len(names), len(names), 2.4, **labels)
    scores = {
        (name, weight): mean_of_members(
            part_of(runs, name, "validation", experiment=experiment, weight=weight)
        )
        for name in names
        for experiment in experiments
        for weight in select(runs, experiment=experiment).weight.values
    }
    table = pd.concat(scores, names=["series", "weight"]).rename("NSE").reset_index()
    style = {"estimator": "median", "errorbar": ("pi", 50), "marker": "o", "legend": False}
    for k, (ax, name) in enumerate(zip(axes, names, strict=True)):
        one = table[table.series == name]
        sns.lineplot(one, x="weight", y="NSE", ax=ax, color=f"C{k}", **style)
        ax.set(title=SERIES[name], xlabel="", ylabel="")
    axes[0].legend(axes[0].lines, ["median and quartiles"], loc="lower center")
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
    titles = {scheme: SCHEMES[scheme].title for scheme in _some(schemes)}
    names = [name for name in MEDIANS if name in results]
    height, label = 0.3 + 0.4 * len(titles), f"median {metric} (–)"
    fig, axes = panels(len(names), len(names), height, sharex=False, sharey=True, xlabel=label)
    for ax, name in zip(axes, names, strict=True):
        for scheme, title in titles.items():
            keys = {"experiment": "temporal", "scheme": scheme}
            medians = part_of(results, name, "validation", metric, **keys).median(MEDIANS[name])
            rows = [title] * medians.size
            ax.plot(medians, rows, "|", color=COLOURS[title], ms=16, mew=2.5)
        ax.set(title=SERIES[name], ylim=(len(titles) - 0.5, -0.5))
    return fig


def _some(schemes: Iterable[str]) -> list[str]:
    schemes = list(schemes)
    if not schemes:
        raise InputError("no scheme with finished runs; `hybridlib experiments` performs them")
    return schemes
