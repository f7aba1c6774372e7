"""Do the figures of the water budget show the numbers they are given?"""

import cases
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb

from hybridlib.analysis import budget
from hybridlib.figures import budget as figures
from hybridlib.figures.style import SCHEME_COLOURS
from hybridlib.learning.schemes import TRUTH
from hybridlib.study.schema import InputError
from hybridlib.study.splits import Period

TITLES = list(SCHEME_COLOURS)
BOTH = Period(2013, 2014)


pytestmark = pytest.mark.usefixtures("book_style")


def told(**terms: float) -> xr.Dataset:
    """Two years of one catchment, the second ten higher."""
    years = xr.DataArray([0.0, 10.0], {"year": [2013, 2014]}, ("year",))
    fields = {name: terms.get(name, np.nan) + years for name in budget.TERMS}
    return xr.Dataset(fields).expand_dims(catchment=["LAND - END"])


def test_has_each_scheme_its_line_and_the_observation_its_dots():
    budgets = {title: told(Q=10.0 * k, ET=0, dS=0) for k, title in enumerate(TITLES)}
    figure = figures.annual_terms(budgets, told(Q=7.0, ET=1.0, dS=2.0), "LAND - END", BOTH)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["ΔS", "Q", "ET = P − Q − ΔS"]
    lines = {line.get_label(): line for line in figure.axes[1].lines}
    assert list(lines) == [*TITLES, "observed"]
    assert list(lines["Hybrid(Q,S)"].get_ydata()) == [30.0, 40.0]
    assert lines["Hybrid(Q,S)"].get_color() == SCHEME_COLOURS["Hybrid(Q,S)"]
    assert list(lines["observed"].get_ydata()) == [7.0, 17.0]
    later = figures.annual_terms(
        budgets, told(Q=7.0, ET=1.0, dS=2.0), "LAND - END", Period(2014, 2014)
    )
    assert {tuple(line.get_xdata()) for ax in later.axes for line in ax.lines} == {(2014,)}


def test_is_only_runoff_drawn_where_nothing_else_is_known():
    figure = figures.annual_terms({"HydroPyNN": told(Q=1.0)}, told(Q=2.0), "LAND - END", BOTH)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["Q"]
    bias = pd.DataFrame({"dS": np.nan, "Q": [5.0], "ET": np.nan}, ["HydroPyNN"])
    annual = xr.Dataset({name: (("title", "year"), [[4.0, 6.0]]) for name in ("dS", "Q", "ET")})
    (ax,) = figures.bias_bars(bias, annual.assign_coords(title=["HydroPyNN"])).axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["Q"]
    assert [bar.get_height() for bar in ax.patches] == [5.0]


def test_are_bars_the_mean_bias_and_dots_the_years():
    rows = [*TITLES, TRUTH]
    numbers = np.arange(18.0).reshape(6, 3)
    bias = pd.DataFrame(numbers, rows, ["dS", "Q", "ET"])
    spread = {
        name: (("title", "year"), bias[name].to_numpy()[:, None] + [[-1.0, 1.0]]) for name in bias
    }
    (ax,) = figures.bias_bars(bias, xr.Dataset(spread, {"title": rows})).axes
    assert [bar.get_height() for bar in ax.patches] == list(numbers.ravel())
    assert to_rgb(ax.patches[0].get_facecolor()) == to_rgb(SCHEME_COLOURS["HydroPyNN"])
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert list(dots[0].get_ydata()) == [-1.0, 1.0]
    middle = ax.patches[0].get_x() + ax.patches[0].get_width() / 2
    assert list(dots[0].get_xdata()) == [middle, middle]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return cases.tiny_study(tmp_path_factory.mktemp("maps"))


def test_has_each_map_the_numbers_of_its_column(study):
    found = [budget.find_catchment(study, gauge, name) for gauge, name in
             (("mouth", "1 All"), ("head", "2 Head"))]  # fmt: skip
    columns = ["P − Q − ΔS", "Hybrid(Q,S)", "Hybrid(Q,S)+"]
    numbers = np.array([[1000.0, 900.0, 950.0], [1100.0, 1200.0, 1150.0]])
    table = pd.DataFrame(numbers, [one.name for one in found], columns)
    figure = figures.sub_basin_maps(study.basin, found, table, columns)
    panels = [ax for ax in figure.axes if ax.get_title(loc="left").startswith("(")]
    titles = [ax.get_title(loc="left") for ax in panels]
    assert titles[1:] == [f"({k}) {name}" for k, name in zip("bcd", columns, strict=True)]
    texts = [text.get_text() for text in panels[0].texts]
    assert [text for text in texts if text] == ["1", "2"]
    for ax, name in zip(panels[1:], columns, strict=True):
        (mesh,) = [part for part in ax.collections if isinstance(part, QuadMesh)]
        drawn = np.ma.compressed(np.ma.masked_invalid(mesh.get_array()))
        assert set(drawn) == set(table[name]), "the head lies inside all, and is seen"


def test_is_a_map_left_out_where_a_scheme_is_missing(study):
    found = [budget.find_catchment(study, "mouth", "1 All")]
    table = pd.DataFrame({"P − Q − ΔS": [1000.0]}, ["1 All"])
    figure = figures.sub_basin_maps(study.basin, found, table, ["P − Q − ΔS", "Hybrid(Q,S)"])
    shown = [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]
    assert shown == ["(a) sub-basins and their gauges", "(b) P − Q − ΔS"]


def test_is_a_map_of_sub_basins_none_of_which_is_known_refused(study):
    found = [budget.find_catchment(study, "mouth", "1 All")]
    table = pd.DataFrame({"P − Q − ΔS": [np.nan]}, ["1 All"])
    with pytest.raises(InputError, match="no sub-basin has a known ET in P − Q − ΔS"):
        figures.sub_basin_maps(study.basin, found, table, ["P − Q − ΔS"])


def test_lies_each_sub_basin_where_model_and_balance_put_it():
    table = pd.DataFrame({"P − Q − ΔS": [1000.0, 1100.0], "Hybrid(Q,S)": [950.0, 1120.0],
                          TRUTH: [990.0, 1110.0]}, ["1 One", "2 Two"])  # fmt: skip
    (ax,) = figures.sub_basin_scatter(table, ["Hybrid(Q,S)"]).axes
    lines = {line.get_label(): line for line in ax.lines}
    assert list(lines["Hybrid(Q,S)"].get_xdata()) == [950.0, 1120.0]
    assert list(lines["Hybrid(Q,S)"].get_ydata()) == [1000.0, 1100.0]
    assert list(lines[TRUTH].get_xdata()) == [990.0, 1110.0]
    assert [text.get_text() for text in ax.texts] == ["1", "2"]


def test_is_runoff_drawn_by_month_and_its_bias_beside_it():
    season = pd.DataFrame({"HydroPyNN": np.arange(12.0), "observed": 5.0}, range(1, 13))
    bias = pd.DataFrame({"Q": [-20.0]}, ["HydroPyNN"])
    ax, side = figures.runoff_season(season, bias, "4 Madeira").axes
    assert ax.get_title(loc="left") == "4 Madeira"
    assert list(ax.lines[0].get_ydata()) == list(range(12))
    assert set(ax.lines[1].get_ydata()) == {5.0}
    assert [bar.get_width() for bar in side.patches] == [-20.0]


def test_are_floods_drawn_by_year_and_in_the_mean():
    index = pd.MultiIndex.from_product([["HydroPyNN"], [2013, 2014]], names=["scheme", "year"])
    peaks = pd.DataFrame({"days late": [-30, -10], "height (%)": [10.0, 14.0]}, index)
    (ax,) = figures.flood_dots(peaks, "LAND - END").axes
    years, mean = (dots.get_offsets().tolist() for dots in ax.collections[:2])
    assert years == [[-30, 10], [-10, 14]] and mean == [[-20, 12]]
    assert ax.get_title(loc="left") == "Land"


def test_do_tables_read_well():
    table = figures.signed(pd.DataFrame({"Q": [12.34, np.nan]}, ["a", "b"]))
    assert table.Q.tolist() == ["+12.3", "–"]
    near = pd.DataFrame({"bias": [-4.7], "RMSE": [22.4], "r": [np.nan]}, ["a"])
    assert figures.agreement_table(near).loc["a"].tolist() == ["-4.7", "22.4", "–"]
