"""What a network learned: shares of attributes, parameters against the truth, members apart."""

from __future__ import annotations

from collections.abc import Mapping

import cmocean
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib.figure import Figure

from hybridlib.analysis.attention import group_share, importance, vegetation_types
from hybridlib.analysis.identifiability import land_mean
from hybridlib.analysis.recovery import true_parameters
from hybridlib.figures import maps
from hybridlib.figures.geography import COVERS, draw_cover
from hybridlib.figures.style import COLOURS, WIDTH, panels, plain_numbers
from hybridlib.hydropy.parameters import Parameters
from hybridlib.learning.run import Run
from hybridlib.learning.schemes import TRUTH
from hybridlib.study.store import Study

SHOWN = 6
"""How many of the most important attributes the paper shows."""
TAUGHT = "#029e73"
AROUND_0: dict = {"center": 0.0, "cmap": "BrBG_r"}


def parameterization(study: Study, explained: xr.Dataset) -> Figure:
    """Draw a parameter and what its network makes of the attributes, six panels (Figure 12).

    Args:
        study: the prepared study.
        explained: of :func:`hybridlib.analysis.attention.expected_gradients`.

    Returns:
        (a) the parameter, (b) the six most important attributes, (c) land cover, (d) the
        vegetation's share, (e) mean temperature, (f) its share.
    """
    name, units = explained.attrs["parameter"], explained.value.units
    share = f"share in {name}"
    warmth = explained.share.sel(attribute="temp_avg")
    temperature = study.basin.pack(study.attributes.temp_avg)[study.basin.land]
    thermal = {"cmap": cmocean.cm.thermal}
    fig, axes = maps.basin_axes(maps.extent_of(study.basin), 6, 2, land=False)
    for place, title, values, text, unit, scale in (
        (0, "(a) the parameter", explained.value, name, units, {}),
        (3, "(d) share of the vegetation", group_share(explained), share, units, AROUND_0),
        (4, "(e) mean temperature", temperature, "temperature", "°C", thermal),
        (5, "(f) share of temperature", warmth, share, units, AROUND_0),
    ):
        field = study.basin.on_grid(values, long_name=text, units=unit)
        maps.map_field(axes[place], field, **scale)
        axes[place].set_title(title)
    draw_cover(axes[2], study)
    axes[2].set_title("(c) land cover")
    for ax in axes:
        maps.draw_network(ax, study.basin, scale=0.3)
        maps.draw_outline(ax, study.basin)
    axes[1].remove()
    bars = fig.add_subplot(3, 2, 2)
    found = importance(explained)[:SHOWN]
    bars.barh(found.attribute, found, alpha=0.8)
    bars.invert_yaxis()
    bars.set_xlabel(f"mean |share| ({'–' if units == '1' else units})")
    bars.set_title("(b) most important attributes")
    bars.grid(axis="y", visible=False)
    return fig


def attention(table: pd.DataFrame, parameter: str) -> Figure:
    """Draw every attribute's part of all importance: learned, taught and true.

    Args:
        table: of :func:`hybridlib.analysis.attention.importance_table`, on a twin with the
            importance in its "truth" and of networks "told the truth".
        parameter: its name.
    """
    parts = 100 * table / table.sum()
    error = 100 * table.get("sampling error", 0 * table.importance) / table.importance.sum()
    members = parts.filter(like="member")
    fig, ax = plt.subplots(figsize=(WIDTH, 5.6))
    style: dict = {"error_kw": {"ecolor": "0.35", "elinewidth": 1, "capsize": 2}, "alpha": 0.75}
    ax.barh(parts.index, parts.importance, xerr=error, label="learned", **style)
    for name in members:
        label = "its members, each alone" if name == members.columns[0] else None
        ax.plot(members[name], parts.index, "|", color="black", ms=9, mew=1.5, label=label)
    for name, mark, colour, label in (
        (TRUTH, "D", COLOURS[TRUTH], "the truth's own rule"),
        ("told the truth", "o", TAUGHT, "a network told the truth"),
    ):
        if name in parts:
            ax.plot(parts[name], parts.index, mark, color=colour, label=label)
    ax.invert_yaxis()
    ax.set(xlim=(0, None), xlabel=f"part of all importance for {parameter} (%)")
    ax.grid(axis="y", visible=False)
    fig.legend(loc="outside upper center", ncols=2)
    return fig


def convergence(explained: Mapping[str, xr.Dataset]) -> Figure:
    """Draw the error of completeness against the number of draws, a line for each title.

    A parameter that is the same in every cell has no such error, which is said instead.
    """
    fig, ax = plt.subplots(figsize=(WIDTH, 2.8))
    ax.set(xlabel="draws", ylabel="error of completeness (%)")
    varies = {title: one for title, one in explained.items() if one.convergence.notnull().all()}
    if not varies:
        ax.text(0.5, 0.5, "the same in every cell", transform=ax.transAxes, ha="center")
        return fig
    for title, one in varies.items():
        percent = 100 * one.convergence
        ax.plot(one.draws, percent, "o-", ms=4, color=COLOURS[title], label=title)
    law = percent[0] * np.sqrt(one.draws[0] / one.draws)
    ax.plot(one.draws, law, ":", color="0.4", label="1 / √draws")
    ax.set(xscale="log", yscale="log")
    plain_numbers(ax.xaxis)
    plain_numbers(ax.yaxis)
    ax.legend()
    return fig


def learned_against_true(study: Study, schemes: Mapping[str, Run], name: str) -> Figure:
    """Draw a learned parameter against a twin's truth, a dot a cell, a panel a scheme.

    Args:
        study: a twin; dots are coloured by its vegetation types, where it has them.
        schemes: by title; the mean over the members is shown.
        name: of the parameter.
    """
    true = np.asarray(getattr(true_parameters(study), name))[study.basin.land]
    types = vegetation_types(study)
    kinds = [types.names[flag] for flag in types.flag]
    colours = dict(zip(types.names.values(), COVERS, strict=False))
    labels: dict = {"xlabel": f"true {name}", "ylabel": f"learned {name}"}
    fig, axes = panels(len(schemes), 3, sharey=True, **labels)
    style = {"s": 5, "alpha": 0.6, "linewidth": 0, "rasterized": True}
    for ax, (title, trained) in zip(axes, schemes.items(), strict=True):
        found = land_mean(trained, name)
        sns.scatterplot(x=true, y=found, hue=kinds, palette=colours, ax=ax, **style)
        ax.axline((true.mean(), true.mean()), slope=1, color=COLOURS[TRUTH], lw=1, ls="--")
        ax.set_title(title)
        ax.get_legend().remove()
    handles = ax.get_legend_handles_labels()
    fig.legend(*handles, loc="outside upper center", ncols=2, markerscale=3)
    return fig


def spread_maps(study: Study, spreads: xr.Dataset) -> Figure:
    """Draw the spread of every parameter over the members on one scale, % of its range (S10).

    Args:
        study: the prepared study.
        spreads: of :func:`hybridlib.analysis.identifiability.spread`.
    """
    fig, axes = maps.basin_axes(maps.extent_of(study.basin), spreads.parameter.size, 3)
    percent = 100 * spreads.sd
    top = float(percent.quantile(0.99))
    for ax, name in zip(axes, spreads.parameter.values, strict=True):
        field = study.basin.on_grid(percent.sel(parameter=name))
        mesh = maps.map_field(ax, field, bar="", vmin=0, vmax=top)
        maps.draw_outline(ax, study.basin)
        ax.set_title(name)
    bar: dict = {"location": "bottom", "extend": "max", "shrink": 0.6, "aspect": 40}
    label = "standard deviation over the members (% of the range)"
    fig.colorbar(mesh, ax=list(axes), label=label, **bar)
    return fig


def spread_and_error(judged: pd.DataFrame) -> Figure:
    """Draw for every parameter how far members lie apart and, on a twin, from the truth.

    Args:
        judged: of :func:`hybridlib.analysis.identifiability.identify`.
    """
    names, titles = list(Parameters._fields), list(judged.index.unique("scheme"))
    fig, ax = plt.subplots(figsize=(WIDTH, 0.8 + 0.5 * len(names)))
    for k, title in enumerate(titles):
        some, colour = judged.loc[title], COLOURS[title]
        some = some[some.spread > 0]  # members that coincide have no place on a log axis
        places = np.array([names.index(name) for name in some.index])
        places = places + 0.7 * ((k + 0.5) / len(titles) - 0.5)
        ax.plot(some.spread, places, "|", ms=10, mew=2, color=colour)
        if "error" in some:
            ax.hlines(places, some.spread, some.error, lw=1.2, alpha=0.6, color=colour)
            ax.plot(some.error, places, "o", ms=5, color=colour)
    ax.set(xscale="log", xlabel="% of the parameter's range", ylim=(len(names) - 0.4, -0.6))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_yticks(range(len(names)), names)
    marks = {"members apart": "|"} | ({"from the truth": "o"} if "error" in judged else {})
    for text, mark in marks.items():
        ax.plot([], [], mark, color="0.3", label=text)
    for title in titles:
        ax.plot([], [], lw=2, color=COLOURS[title], label=title)
    fig.legend(loc="outside upper center", ncols=3)
    return fig


def pet_spread_map(study: Study, spreads: xr.Dataset) -> Figure:
    """Draw the spread of mean PET over the members and, on a twin, the error of their mean (S10).

    Args:
        study: the prepared study.
        spreads: of :func:`hybridlib.analysis.identifiability.pet_spread`.
    """
    shown = {"sd": ("(a) members apart", {}), "error": ("(b) mean less the truth", AROUND_0)}
    shown = {name: how for name, how in shown.items() if name in spreads}
    fig, axes = maps.basin_axes(maps.extent_of(study.basin), len(shown), 2, land=False)
    for ax, (name, (title, scale)) in zip(axes, shown.items(), strict=True):
        field = study.basin.on_grid(spreads[name], long_name="mean PET", units="mm d⁻¹")
        maps.map_field(ax, field, **scale)
        maps.draw_network(ax, study.basin, scale=0.3)
        maps.draw_outline(ax, study.basin)
        ax.set_title(title)
    return fig
