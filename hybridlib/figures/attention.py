"""What a network learned: shares of attributes, parameters against the truth, members apart."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import cmocean
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from hybridlib.analysis.attention import (
    Types,
    group_share,
    importance,
    land_field,
    vegetation_types,
)
from hybridlib.analysis.identifiability import land_mean
from hybridlib.analysis.recovery import true_parameters
from hybridlib.figures import maps
from hybridlib.figures.geography import COVERS, LEAST_SHARE, draw_network
from hybridlib.figures.schemes import TRUTH_COLOUR, colour_of
from hybridlib.hydropy.parameters import Parameters
from hybridlib.learning.comparison import Trained
from hybridlib.study.store import Study

SHOWN = 6
"""How many of the most important attributes the paper shows."""
BAR = "#0173b2"
TAUGHT = "#029e73"
BELOW = {"orientation": "horizontal", "pad": 0.03, "shrink": 0.85, "aspect": 30}
BESIDE = {"pad": 0.03, "shrink": 0.85, "aspect": 18}


def parameterization(study: Study, explained: xr.Dataset) -> Figure:
    """Draw a parameter and what its network makes of the attributes, six panels (Figure 12).

    Args:
        study: the prepared study.
        explained: of :func:`hybridlib.analysis.attention.expected_gradients`.

    Returns:
        (a) the parameter, (b) the six most important attributes, (c) vegetation types, (d) the
        vegetation's share, (e) mean temperature, (f) its share. Without vegetation types (c) says
        so.
    """
    name, units = explained.attrs["parameter"], explained.value.units
    extent = maps.extent_of(study.landsurface.lsm)
    west, east, south, north = extent
    panel = min(2.5 * (north - south) / (east - west), 3.6)
    fig, axes = maps.basin_axes(3, 2, extent=extent, figsize=(7.5, 3 * (0.45 + panel)), land=False)
    temperature = study.basin.pack(study.attributes.temp_avg)[study.basin.land]
    plants, warmth = group_share(explained), explained.share.sel(attribute="temp_avg")
    panels = {
        (0, 0): ("(a) the parameter", explained.value, name, units, "viridis"),
        (1, 1): ("(d) share of the vegetation", plants, f"share in {name}", units, None),
        (2, 0): ("(e) mean temperature", temperature, "temperature", "°C", cmocean.cm.thermal),
        (2, 1): ("(f) share of temperature", warmth, f"share in {name}", units, None),
    }
    for place, (title, values, text, unit, cmap) in panels.items():
        field = land_field(study, np.asarray(values), text, unit)
        _panel(axes[place], study, field, title, cmap)
    _types_panel(axes[1, 0], study)
    axes[0, 1].remove()
    _bars(fig.add_subplot(3, 2, 2), explained)
    return fig


def _panel(ax, study: Study, field: xr.DataArray, title: str, cmap=None) -> None:
    """Draw a field with rivers and outline; without a colour map 0 lies in the middle."""
    ends = {"vmin": None, "vmax": None}
    if cmap is None:
        most = float(abs(field).max()) or 1.0
        ends, cmap = {"vmin": -most, "vmax": most}, "BrBG_r"
    mesh = maps.map_field(ax, field, cmap=cmap, colorbar=False, **ends)
    ax.figure.colorbar(mesh, ax=ax, **BESIDE).set_label(maps.label_of(field))
    _frame(ax, study)
    ax.set_title(title)


def _frame(ax, study: Study) -> None:
    """Rivers as thin lines, and the outline of the land."""
    draw_network(ax, study.basin, LEAST_SHARE, scale=0.3)
    maps.draw_outline(ax, maps.mask_outline(study.landsurface.lsm > 0), linewidth=0.8)


def _types_panel(ax, study: Study) -> None:
    """Draw vegetation types, or say that there are none."""
    ax.set_title("(c) vegetation types")
    types = vegetation_types(study)
    if types is None:
        ax.text(0.5, 0.5, "none in this study", transform=ax.transAxes, ha="center")
        return
    flags = list(types.names)
    place = np.searchsorted(flags, types.flag).astype(float)
    field = land_field(study, place, "vegetation type", "1")
    colours = ListedColormap([_cover(flag) for flag in flags])
    ends = {"vmin": -0.5, "vmax": len(flags) - 0.5}
    mesh = maps.map_field(ax, field, cmap=colours, colorbar=False, **ends)
    bar = ax.figure.colorbar(mesh, ax=ax, **BESIDE)
    names = [textwrap.fill(name, 12) for name in types.names.values()]
    bar.set_ticks(range(len(flags)), labels=names, fontsize=7)
    _frame(ax, study)


def _cover(flag: int) -> str:
    """Colour of a vegetation type."""
    return COVERS[(int(flag) - 1) % len(COVERS)]


def _type_handles(types: Types) -> list[Patch]:
    """A patch for every vegetation type that occurs."""
    return [
        Patch(facecolor=_cover(flag), label=name)
        for flag, name in types.names.items()
        if (types.flag == flag).any()
    ]


def _bars(ax, explained: xr.Dataset) -> None:
    """Draw the mean absolute shares of the most important attributes."""
    found = importance(explained)[:SHOWN]
    places = np.arange(found.size)
    ax.barh(places, found, color=BAR, alpha=0.8)
    ax.set_yticks(places, found.attribute.values)
    ax.set(ylim=(found.size - 0.4, -0.6), xlabel=_in_units("mean |share|", explained))
    ax.set_title("(b) most important attributes")
    ax.grid(axis="y", visible=False)


def _in_units(text: str, explained: xr.Dataset) -> str:
    units = explained.value.units
    return f"{text} ({'–' if units == '1' else units})"


def attention(table: pd.DataFrame, parameter: str, taught: pd.DataFrame | None = None) -> Figure:
    """Draw every attribute's part of all importance: learned, taught and true.

    Args:
        table: of :func:`hybridlib.analysis.attention.importance_table`, with or without members
            and truth.
        parameter: its name.
        taught: the same of networks that were told the truth.
    """
    fig, ax = plt.subplots(figsize=(7.5, 5.6))
    places = np.arange(len(table))
    whole = table.importance.sum() or 1.0
    error = {"xerr": 100 * table["sampling error"] / whole} if "sampling error" in table else {}
    style = {"error_kw": {"ecolor": "0.35", "elinewidth": 1, "capsize": 2}}
    bars = 100 * table.importance / whole
    ax.barh(places, bars, color=BAR, alpha=0.75, label="learned", **error, **style)
    for k, name in enumerate(column for column in table if column.startswith("member")):
        parts = 100 * table[name] / (table[name].sum() or 1.0)
        label = "its members, each alone" if k == 0 else None
        ax.plot(parts, places, "|", color="black", ms=9, mew=1.5, label=label)
    for name, shares, marker, colour in (
        ("the truth's own rule", table.get("truth"), "D", TRUTH_COLOUR),
        ("a network told the truth", None if taught is None else taught.importance, "o", TAUGHT),
    ):
        if shares is not None:
            shares = 100 * shares.reindex(table.index) / (shares.sum() or 1.0)
            ax.plot(shares, places, marker, color=colour, ms=6, label=name)
    ax.set_yticks(places, table.index)
    ax.set(ylim=(len(table) - 0.4, -0.6), xlim=(0, None))
    ax.set_xlabel(f"part of all importance for {parameter} (%)")
    ax.grid(axis="y", visible=False)
    fig.legend(loc="outside upper center", ncols=2)
    return fig


def convergence(explained: Mapping[str, xr.Dataset]) -> Figure:
    """Draw the error of completeness against the number of draws, a line for each title.

    A parameter that is the same in every cell has no such error, which is said instead.
    """
    fig, ax = plt.subplots(figsize=(7.5, 2.8))
    varies = {title: one for title, one in explained.items() if one.convergence.notnull().all()}
    for title, one in varies.items():
        draws, percent = one.draws.values.astype(float), 100 * one.convergence
        ax.plot(draws, percent, "o-", ms=4, color=colour_of(title), label=title)
    ax.set(xlabel="draws", ylabel="error of completeness (%)")
    if not varies:
        ax.text(0.5, 0.5, "the same in every cell", transform=ax.transAxes, ha="center")
        return fig
    law = float(percent[0]) * np.sqrt(draws[0] / draws)
    ax.plot(draws, law, ":", color="0.4", label="1 / √draws")
    ax.set(xscale="log", yscale="log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.legend()
    return fig


def learned_against_true(study: Study, schemes: Mapping[str, Trained], name: str) -> Figure:
    """Draw a learned parameter against a twin's truth, a dot a cell, a panel a scheme.

    Args:
        study: a twin; dots are coloured by its vegetation types, where it has them.
        schemes: by title; the mean over the members is shown.
        name: of the parameter.
    """
    true = np.asarray(getattr(true_parameters(study), name))[study.basin.land]
    types = vegetation_types(study)
    colours = BAR if types is None else [_cover(flag) for flag in types.flag]
    columns = min(3, len(schemes))
    rows = -(-len(schemes) // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(7.5, 0.8 + 2.4 * rows), sharex=True, sharey=True, squeeze=False
    )
    for ax, (title, trained) in zip(axes.flat, schemes.items(), strict=False):
        found = land_mean(trained, name)
        ax.scatter(true, found, s=5, c=colours, alpha=0.6, linewidth=0, rasterized=True)
        ax.axline((true.mean(), true.mean()), slope=1, color=TRUTH_COLOUR, lw=1, ls="--")
        ax.set_title(title)
    for ax in axes.flat[len(schemes) :]:
        ax.set_axis_off()
    for ax in axes[-1]:
        ax.set_xlabel(f"true {name}")
    for ax in axes[:, 0]:
        ax.set_ylabel(f"learned {name}")
    if types is not None:
        fig.legend(handles=_type_handles(types), loc="outside lower center", ncols=2)
    return fig


def spread_maps(study: Study, spreads: xr.Dataset) -> Figure:
    """Draw the spread of every parameter over the members on one scale, % of its range (S10).

    Args:
        study: the prepared study.
        spreads: of :func:`hybridlib.analysis.identifiability.spread`.
    """
    extent = maps.extent_of(study.landsurface.lsm)
    west, east, south, north = extent
    panel = min(2.0 * (north - south) / (east - west), 3.4)
    fig, axes = maps.basin_axes(3, 3, extent=extent, figsize=(7.5, 0.9 + 3 * (panel + 0.3)))
    percent = 100 * spreads.sd
    top = float(np.quantile(percent, 0.99)) or 1.0
    for ax, name in zip(axes.flat, spreads.parameter.values, strict=True):
        field = land_field(study, percent.sel(parameter=name).values, "spread", "%")
        mesh = maps.map_field(ax, field, vmin=0, vmax=top, colorbar=False)
        maps.draw_outline(ax, maps.mask_outline(study.landsurface.lsm > 0), linewidth=0.6)
        ax.set_title(str(name))
    bar = fig.colorbar(mesh, ax=axes, extend="max", **(BELOW | {"shrink": 0.6, "aspect": 40}))
    bar.set_label("standard deviation over the members (% of the range)")
    return fig


def spread_and_error(judged: pd.DataFrame) -> Figure:
    """Draw for every parameter how far members lie apart and, on a twin, from the truth.

    Args:
        judged: of :func:`hybridlib.analysis.identifiability.identify`.
    """
    titles = list(dict.fromkeys(judged.index.get_level_values("scheme")))
    fig, ax = plt.subplots(figsize=(7.5, 0.8 + 0.5 * len(Parameters._fields)))
    step = 0.7 / len(titles)
    for k, title in enumerate(titles):
        some = judged.loc[title].reindex(Parameters._fields)
        some = some[some.spread > 0]  # members that coincide have no place on a log axis
        places = [Parameters._fields.index(name) for name in some.index]
        places = np.array(places) + step * (k - (len(titles) - 1) / 2)
        ax.plot(some.spread, places, "|", color=colour_of(title), ms=10, mew=2)
        if "error" in some:
            ax.hlines(places, some.spread, some.error, color=colour_of(title), lw=1.2, alpha=0.6)
            ax.plot(some.error, places, "o", color=colour_of(title), ms=5)
    ax.set(xscale="log", xlabel="% of the parameter's range", ylim=(8.6, -0.6))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_yticks(range(len(Parameters._fields)), Parameters._fields)
    marks = [Line2D([], [], color="0.3", ls="", marker="|", ms=10, mew=2, label="members apart")]
    if "error" in judged:
        marks.append(Line2D([], [], color="0.3", ls="", marker="o", ms=5, label="from the truth"))
    lines = [Line2D([], [], color=colour_of(title), lw=2, label=title) for title in titles]
    fig.legend(handles=[*marks, *lines], loc="outside upper center", ncols=3)
    return fig


def pet_spread_map(study: Study, spreads: xr.Dataset) -> Figure:
    """Draw the spread of mean PET over the members and, on a twin, the error of their mean (S10).

    Args:
        study: the prepared study.
        spreads: of :func:`hybridlib.analysis.identifiability.pet_spread`.
    """
    shown = {"sd": ("(a) members apart", "viridis"), "error": ("(b) mean less the truth", None)}
    shown = {name: how for name, how in shown.items() if name in spreads}
    extent = maps.extent_of(study.landsurface.lsm)
    west, east, south, north = extent
    panel = min(2.1 * (north - south) / (east - west), 3.6)
    fig, axes = maps.basin_axes(1, len(shown), extent=extent, figsize=(7.5, 0.6 + panel))
    for ax, (name, (title, cmap)) in zip(np.ravel(axes), shown.items(), strict=True):
        field = land_field(study, spreads[name].values, "mean PET", "mm d⁻¹")
        _panel(ax, study, field, title, cmap)
    return fig
