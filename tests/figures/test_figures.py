"""Does every figure of the book show the numbers it is given, and can it be read?"""

import functools
import importlib
import inspect
import itertools
import pkgutil

import cases
import gallery
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import seaborn
from matplotlib.colors import to_hex
from matplotlib.text import Text
from matplotlib.ticker import ScalarFormatter, StrMethodFormatter

import hybridlib.figures
from hybridlib.analysis import inventory, weather
from hybridlib.analysis.evaporation import FORMULAS
from hybridlib.figures import attention, budget, evaporation, schemes, style, transfer
from hybridlib.learning.schemes import SCHEMES, TRUTH
from hybridlib.study.attributes import ATTRIBUTES
from hybridlib.study.schema import InputError

KELVIN = 273.15
NO_UNIT = {"", "day", "year", "month", "day of year", "draws", "steps made", "discharge",
           "steps of the refit", "cells downstream of the pulse", "vegetation type", "f_crit",
           "share in f_crit", "true f_crit", "learned f_crit", "% of the parameter's range",
           "°C", "hPa"}  # fmt: skip
"""Labels of what has no unit, of units alone, and of what has its unit at each panel."""


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    return gallery.arguments(cases.ruled_study(tmp_path_factory.mktemp("gallery"))[0])


@pytest.fixture(scope="module")
def drawn(given):
    """A figure by its name, drawn once."""

    @functools.cache
    def draw(name):
        room, *arguments = given[name]
        return getattr(importlib.import_module(f"hybridlib.figures.{room}"), name)(*arguments)

    with plt.style.context(style.STYLE), plt.rc_context({"figure.max_open_warning": 0}):
        yield draw
    plt.close("all")


def x(ax) -> list[np.ndarray]:
    return [line.get_xdata() for line in ax.lines if len(line.get_xdata())]


def y(ax) -> list[np.ndarray]:
    return [line.get_ydata() for line in ax.lines if len(line.get_ydata())]


def cells(ax) -> np.ndarray:
    """Values of what is coloured by them, where they are known."""
    (drawn,) = [part for part in ax.collections if part.get_array() is not None]
    return np.ma.compressed(np.ma.masked_invalid(drawn.get_array()))


def dots(ax) -> np.ndarray:
    return np.concatenate([part.get_offsets().data for part in ax.collections])


def bars(ax, side="height") -> list[float]:
    return [getattr(bar.get_bbox(), side) for bar in ax.patches]


def words(ax) -> list[str]:
    return [text.get_text() for text in ax.texts if text.get_text()]


def numbers(ax) -> list[float]:
    texts = ", ".join(text for text in words(ax) if "◂" not in text)
    return [float(text) for text in texts.split(", ")]


def changed(before, after) -> list[int]:
    """Cells with another target or dropped, then with another target or added."""
    kinds = inventory.changed_cells(before, after)
    turned, dropped, added = (int((kinds == kind).sum()) for kind in inventory.CHANGES)
    return [turned + dropped, turned + added]


def amplitude(study):
    return inventory.seasonal_amplitude(study.twsa.twsa)


def new_year(daily):
    return daily.tas[daily["time.dayofyear"] == 1].mean()


def gaps(study) -> np.ndarray:
    share = inventory.missing_days(study.discharge.discharge).values
    return share[share > 0]


SHOWN = {
    "basin_map": (lambda at: cells(at[0]), lambda study: study.landsurface.srftopo.values.ravel()),
    "network_figure": (lambda at: [cells(ax).size for ax in at], changed),
    "discharge_figure": (lambda at: cells(at[1]), gaps),
    "storage_map": (lambda at: cells(at[0]), amplitude),
    "storage_figure": (lambda at: y(at[0])[0], lambda study: study.twsa.twsa[:, 0]),
    "climatology_figure": (lambda at: y(at[0])[0][0] + KELVIN, new_year),
    "weather_maps": (
        lambda at: cells(at[0]).mean() + KELVIN, lambda study, _: study.forcing.tas.values.mean()
    ),
    "annual_rain_figure": (
        lambda at: np.diff(bars(at[0])), lambda _, daily: np.diff(weather.annual_rain(daily))
    ),
    "hydrograph": (lambda at: y(at[0])[1][:2], 9),
    "hydrograph_grid": (lambda at: [y(ax)[1][0] for ax in at], 9),
    "seasonal_hydrograph": (lambda at: y(at[0])[1][0], (30 * 9 + 31 * 2.26217929) / 61),
    "score_map": (lambda at: cells(at[0]), [0.5, -2.0]),
    "storage_layers": (lambda at: [part.get_paths()[0].get_extents().y1
                                   for part in at[0].collections], [1, 2, 3, 4]),
    "draw_transfer": (lambda at: [sum(numbers(ax)) for ax in at[1:3]], [65, 58]),
    "draw_hydrographs": (lambda at: y(at[1])[2], 100 * gallery.pulse(8).dis[:, 4]),
    "draw_arrival": (lambda at: y(at[1])[0], 8 + 8 * gallery.PATH),
    "map_travel_time": (lambda at: cells(at[0]), range(12)),
    "training_curves": (lambda at: [[len(line), line[0]] for line in y(at[0])],
                        [[7, 1], [7, 3], [3, 1], [2, 0], [2, 0]]),
    "score_boxes": (lambda at: numbers(at[0]), [0.63, 0.3, 0.4, 0.5, 0.6]),
    "hydrographs": (lambda at: [[len(y(ax)[1]), np.ptp(y(ax)[1] - y(ax)[0])] for ax in at],
                    [[366, 0], [366, 0]]),
    "moselle_curves": (lambda at: sorted(x(at[0])[4]), [1, 2]),
    "field_maps": (lambda at: cells(at[1]), np.arange(6) - 1),
    # Folds 1 and 2 have levels 0.9 and 1.0; gauges add 0.00 to 0.06.
    "scores_by_gauge": (lambda at: x(at[0])[2], [1.06, 1.04, 0.92, 0.90]),
    # Gauges that train are in one fold each, gauges held out in the other: all have this median.
    "part_boxes": (lambda at: numbers(at[0]), 2 * [0.63, 0.93, 0.68, 0.98]),
    "weight_sweep": (lambda at: [y(ax)[0] for ax in at],
                     [[0.03, 0.88, 1.03], [0, 0.85, 1], [0.1, 0.35, 0.6]]),
    "member_spread": (lambda at: [x(ax)[0] for ax in at], [[0.83, 0.93], [0.8, 0.9]]),
    "annual_terms": (lambda at: y(at[1])[3::3], [[30, 40], [7, 17]]),
    "bias_bars": (lambda at: bars(at[0]), np.arange(12).reshape(2, 6).T.ravel()),
    "sub_basin_maps": (lambda at: np.unique([cells(at[1]), cells(at[2])]), [950, 1000, 1100, 1120]),
    "sub_basin_scatter": (lambda at: x(at[0])[:2], [[950, 1120], [990, 1110]]),
    "runoff_season": (lambda at: [y(at[0])[0][11], *bars(at[1], "width")], [11, 6, 11]),
    "flood_dots": (lambda at: dots(at[0])[:3], [[-30, 10], [-10, 14], [-20, 12]]),
    "tower_scatter": (lambda at: np.nanmax(x(at[1])[0] - y(at[1])[0]), 2),
    "tower_season": (lambda at: [line[6] for line in y(at[0])], [5, 6, 4]),
    "tower_series": (lambda at: [[len(line), np.nanmax(line)] for line in y(at[0])],
                     [[366, 10], [366, 11], [366, 4]]),
    "pet_season": (lambda at: [line[0] for line in y(at[0])], [0, 400, 2, 3, 4]),
    "pet_maps": (lambda at: [cells(ax).mean() for ax in at[:5]], [1000, 400, 2, 3, 4]),
    "parameterization": (
        lambda at: cells(at[4]), lambda _, told: told.share.sel(attribute="temp_avg")
    ),
    "attention": (lambda at: [bars(at[0], "width"), *x(at[0])[-4:]],
                  [[60, 30, 10], [50, 25, 25], [25, 50, 25], [0, 0, 100], [np.nan, 75, 25]]),
    "convergence": (lambda at: y(at[0]), [[40, 20], [40, 20]]),
    "learned_against_true": (
        lambda at: [np.ptp(dots(at[0])[:, 1]), np.ptp(np.diff(dots(at[1])))], 0
    ),
    "spread_maps": (lambda at: [cells(ax).mean() for ax in at[:5]], [1, 1, 1, 1, 3]),
    "spread_and_error": (lambda at: x(at[0])[:2], [[2] * 8, [10] * 8]),
    "pet_spread_map": (lambda at: [cells(ax).mean() for ax in at[:2]], [0.1, -1]),
}  # fmt: skip
"""How to read numbers off the panels of a figure; and they, or how its arguments give them."""


@pytest.mark.parametrize("name", SHOWN)
def test_does_a_figure_show_the_numbers_it_is_given(drawn, given, name):
    read, expected = SHOWN[name]
    expected = expected(*given[name][1:]) if callable(expected) else expected
    np.testing.assert_allclose(read(drawn(name).axes), expected, rtol=1e-5, atol=1e-7)


def test_is_every_figure_of_the_library_asked():
    public = set()
    for room in pkgutil.iter_modules(hybridlib.figures.__path__, "hybridlib.figures."):
        for name, draw in inspect.getmembers(
            importlib.import_module(room.name), inspect.isfunction
        ):
            public |= {name} if draw.__annotations__.get("return") == "Figure" else set()
    assert set(SHOWN) == public


@pytest.mark.parametrize("name", SHOWN)
def test_has_every_axis_with_numbers_a_label_and_its_unit(drawn, name):
    figure = drawn(name)
    shared = {"x": figure.get_supxlabel(), "y": figure.get_supylabel()}
    for ax in (ax for ax in figure.axes if ax.axison and not hasattr(ax, "projection")):
        for side, axis in {"x": ax.xaxis, "y": ax.yaxis}.items():
            labels = {axis.get_label_text(), shared[side]}
            counts = type(axis.get_major_formatter()) in (ScalarFormatter, StrMethodFormatter)
            if counts and any(label.get_visible() for label in axis.get_ticklabels()):
                assert labels != {""}, (ax.get_title("left"), side)
                assert all("(" in one or "⁻" in one or one in NO_UNIT for one in labels), labels


@pytest.mark.parametrize("name", SHOWN)
def test_lies_no_title_label_or_number_on_another(drawn, name):
    figure = drawn(name)
    figure.draw_without_rendering()
    texts = [*figure.texts, *figure.legends]
    for ax in (ax for ax in figure.axes if ax.axison):
        texts += [part for part in ax.get_children() if isinstance(part, Text)][-3:]
        for axis in () if hasattr(ax, "projection") else (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            texts += [axis.label, *(tick.label1 for tick in ticks)]
    seen = [text for text in texts if text.get_visible() and getattr(text, "get_text", str)() != ""]
    places = [(text, text.get_window_extent().padded(-1)) for text in seen]
    for (one, here), (other, there) in itertools.combinations(places, 2):
        assert not here.overlaps(there), f"{one} lies on {other}"


def test_are_schemes_in_their_order_and_colours_and_far_values_counted(drawn):
    ax = drawn("score_boxes").axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == gallery.TITLES
    assert ax.yaxis_inverted() and ax.get_xlim()[0] > -40 and "◂ 1" in words(ax)
    faces = [to_hex(patch.get_facecolor()) for patch in ax.patches]
    assert faces == list(style.SCHEME_COLOURS.values())
    assert [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"] == [0.98]


def test_has_everything_compared_a_colour_and_are_they_told_apart():
    titles = [scheme.title for scheme in SCHEMES.values()]
    assert set(style.COLOURS) == {TRUTH, *FORMULAS.values(), *titles}
    looks = [tuple(style.line_of(title).values())[1:] for title in gallery.PETS]
    assert len(set(looks)) == len(looks)
    with plt.style.context(style.STYLE):
        cycle = ["#" + one.lstrip("#") for one in plt.rcParams["axes.prop_cycle"].by_key()["color"]]
    assert cycle[: len(gallery.TITLES)] == list(style.SCHEME_COLOURS.values())
    assert cycle == seaborn.color_palette("colorblind").as_hex()


def test_have_figures_the_titles_and_marks_of_what_they_show(drawn):
    flow, months = drawn("hydrographs"), drawn("storage_figure").axes[0]
    assert flow.axes[0].get_title("left") == "Hybrid(Q,S), NSE 1.00"
    assert flow.get_suptitle() == "Gauge"
    assert len(months.patches) == 2, "months that are missing"
    assert words(drawn("basin_map").axes[0]) == ["1", "2", "3", "K34"]
    assert words(drawn("sub_basin_maps").axes[0]) == ["1", "2"]
    assert "2–3" in words(drawn("training_curves").axes[0])
    assert "r 0.90, p < 1e-99\nMAE 1.50" in words(drawn("tower_scatter").axes[0])[0]
    assert drawn("annual_rain_figure").axes[0].get_legend() is None, "not the Amazon"
    bars = drawn("parameterization").axes[-1]
    assert [label.get_text() for label in bars.get_yticklabels()] == list(ATTRIBUTES)[:14:-1]


@pytest.mark.parametrize(
    ("name", "panels", "ends"),
    [("field_maps", range(4), (-5, 5)), ("pet_maps", (2, 3, 4), (-4, 4)),
     ("spread_maps", range(9), (0, 3)), ("sub_basin_maps", (1, 2), (930, 1120))],
)  # fmt: skip
def test_have_maps_of_one_quantity_one_scale(drawn, name, panels, ends):
    axes = drawn(name).axes
    meshes = [part for k in panels for part in axes[k].collections if part.get_array() is not None]
    np.testing.assert_allclose([mesh.get_clim() for mesh in meshes], [ends] * len(panels))


def test_is_left_out_what_a_study_or_a_scheme_does_not_have(given, tmp_path):
    (_, study), (_, seen, *others) = given["basin_map"], given["tower_scatter"]
    real = evaporation.tower_scatter(seen.drop_vars("et_true"), *others)
    assert [len(ax.lines) for ax in real.axes] == [2, 2]
    alone = attention.spread_and_error(gallery.judged(spread=2.0)).axes[0]
    assert len(y(alone)) == 2 and not alone.collections
    assert not y(attention.spread_and_error(gallery.judged(spread=0.0, error=1.0)).axes[0])
    apart = attention.pet_spread_map(study, given["pet_spread_map"][2][["sd"]])
    assert len(apart.axes) == 2, "a map and its colour bar"
    learned = evaporation.pet_maps(study, given["pet_maps"][2][["Hybrid(Q,S)+"]])
    assert set(cells(learned.axes[0])) == {1003.0}
    (ax,) = transfer.member_spread(gallery.results().drop_vars("twsa"), ["hybrid_qs"]).axes
    np.testing.assert_allclose(x(ax)[0], [0.83, 0.93])
    bare = cases.tiny_study(tmp_path)
    cover = cells(attention.parameterization(bare, gallery.explained(bare.basin)).axes[1])
    np.testing.assert_allclose(cover, bare.attributes.fveg_avg.values.ravel())
    flat = gallery.explained(study.basin).assign(convergence=("draws", [np.nan, np.nan]))
    (ax,) = attention.convergence({"Hybrid(Q,S)": flat}).axes
    assert words(ax) == ["the same in every cell"] and not ax.lines


def test_are_only_the_years_asked_for_and_the_terms_known_drawn(given):
    later = budget.annual_terms(*given["annual_terms"][1:-1], gallery.YEAR)
    assert [ax.get_title("left") + ax.get_title() for ax in later.axes] == ["ΔS", "Q"]
    assert {tuple(line.get_xdata()) for ax in later.axes for line in ax.lines} == {(2004,)}


def test_are_scores_below_the_axis_marked():
    low = gallery.results()
    low.discharge[{"station": 0}] = -3.0
    ax = transfer.scores_by_gauge(low, ["hybrid_qs"], gallery.STATIONS, "KGE").axes[0]
    np.testing.assert_allclose(x(ax)[0], [0.52, 0.64, 0.66])
    assert (list(x(ax)[1]), list(y(ax)[1])) == ([0.0], [0])
    ax = transfer.part_boxes(low, "spatial", ["hybrid_qs"]).axes[0]
    assert words(ax).count("◂ 1") == 2 and ax.get_xlim()[0] >= schemes.LOWEST


def test_is_a_figure_of_nothing_refused(given):
    with pytest.raises(InputError, match="no scheme with finished runs"):
        transfer.scores_by_gauge(gallery.results(), [], gallery.STATIONS)
    _, basin, inside, known, _ = given["sub_basin_maps"]
    with pytest.raises(InputError, match="no sub-basin has a known ET in P − Q − ΔS"):
        budget.sub_basin_maps(basin, inside, known * np.nan, [gallery.BALANCE])


def test_do_tables_read_well():
    table = budget.signed(pd.DataFrame({"Q": [12.34, np.nan], "years": [2, 3]}))
    assert table.Q.tolist() == ["+12.3", "–"] and table.years.tolist() == [2, 3]
    near = pd.DataFrame({"bias": [-4.7], "RMSE": [22.4], "r": [np.nan]}, ["a"])
    assert budget.agreement_table(near).loc["a"].tolist() == ["-4.7", "22.4", "–"]
    told = {"days": [900, np.nan], "r": [0.8765, np.nan], "p by these": [0.0, 2e-5], "p": 0.5}
    shown = evaporation.tower_table(pd.DataFrame(told, ["A", "B"]))
    assert shown.loc["A"].tolist() == ["900", "0.88", "< 1e-99", "0.500"]
    assert shown.loc["B"].tolist() == ["–", "–", "2.0e-05", "0.500"]
