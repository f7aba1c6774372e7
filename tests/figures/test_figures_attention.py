"""Do the figures of what was learned show the numbers they are given?"""

from __future__ import annotations

from dataclasses import replace

import cases
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.collections import QuadMesh

from hybridlib.analysis.recovery import true_parameters
from hybridlib.figures import attention
from hybridlib.hydropy.parameters import Parameters
from hybridlib.learning.comparison import Trained
from hybridlib.learning.evaluation import open_untrained
from hybridlib.learning.schemes import find_scheme
from hybridlib.study.attributes import ATTRIBUTES
from hybridlib.study.store import Study

pytestmark = pytest.mark.usefixtures("closed_figures")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return cases.ruled_study(tmp_path_factory.mktemp("ruled"))[0]


def _explained(study: Study) -> xr.Dataset:
    """Shares that grow with the attribute's place, in cells numbered from west to east."""
    cells = int(study.basin.land.sum())
    share = np.outer(np.arange(cells) - 4.0, np.arange(1, 22)) / 1000
    units = {"units": "1"}
    return xr.Dataset(
        {
            "share": (("cell", "attribute"), share, units),
            "value": ("cell", np.linspace(0.6, 0.9, cells), units),
            "convergence": ("draws", [0.4, 0.2]),
        },
        {"attribute": list(ATTRIBUTES), "draws": [25, 100]},
        {"parameter": "f_crit"},
    )


def _titled(figure, start: str):
    (ax,) = [ax for ax in figure.axes if ax.get_title().startswith(start)]
    return ax


def _drawn(ax) -> np.ndarray:
    """Values of the cells of a map that are not masked."""
    (mesh,) = [each for each in ax.collections if isinstance(each, QuadMesh)]
    return np.ma.compressed(mesh.get_array())


def test_has_figure_12_its_six_panels_and_the_six_largest_bars(study):
    explained = _explained(study)
    figure = attention.parameterization(study, explained)
    bars = _titled(figure, "(b)")
    assert [label.get_text() for label in bars.get_yticklabels()] == list(ATTRIBUTES)[:14:-1]
    assert bars.patches[0].get_width() == pytest.approx(float(abs(explained.share[:, -1]).mean()))
    warmth = explained.share.sel(attribute="temp_avg").values
    np.testing.assert_allclose(np.sort(_drawn(_titled(figure, "(f)"))), np.sort(warmth))
    labels = [text.get_text() for ax in figure.axes for text in ax.get_yticklabels()]
    assert {"shrubland", "evergreen\nforest"} <= set(labels)


def test_is_cover_drawn_where_a_study_has_no_vegetation_types(tmp_path):
    bare = cases.tiny_study(tmp_path)
    figure = attention.parameterization(bare, _explained(bare))
    drawn = _drawn(_titled(figure, "(c)"))
    np.testing.assert_allclose(np.sort(drawn), np.sort(bare.basin.pack(bare.attributes.fveg_avg)))


def test_are_parts_of_all_importance_drawn_for_learned_taught_and_true():
    names = pd.Index(["a", "b", "c"], name="attribute")
    table = pd.DataFrame({"importance": [6.0, 3.0, 1.0], "truth": [0.0, 0.0, 5.0]}, names)
    table["member 0"], table["member 1"] = [2.0, 1.0, 1.0], [1.0, 2.0, 1.0]
    told = pd.DataFrame({"importance": [1.0, 3.0]}, index=["b", "c"])
    (ax,) = attention.attention(table, "f_crit", told).axes
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([60.0, 30.0, 10.0])
    lines = {line.get_label(): line.get_xdata() for line in ax.lines}
    assert list(lines["the truth's own rule"]) == [0.0, 0.0, 100.0]
    np.testing.assert_array_equal(lines["a network told the truth"], [np.nan, 25.0, 75.0])
    assert list(lines["its members, each alone"]) == [50.0, 25.0, 25.0]


def test_is_the_convergence_drawn_in_percent_beside_the_law_of_chance(study):
    (ax,) = attention.convergence({"Hybrid(Q,S)": _explained(study)}).axes
    found, law = (line.get_ydata() for line in ax.lines)
    np.testing.assert_allclose(found, [40.0, 20.0])
    np.testing.assert_allclose(law, [40.0, 20.0])


def test_is_a_parameter_that_does_not_vary_said_to_be_the_same(study):
    flat = _explained(study).assign(convergence=("draws", [np.nan, np.nan]))
    (ax,) = attention.convergence({"Hybrid(Q,S)": flat}).axes
    assert [text.get_text() for text in ax.texts] == ["the same in every cell"] and not ax.lines


class Known:
    """A member that has learned what it is told."""

    def __init__(self, parameters):
        self._parameters = parameters

    def parameters(self):
        return self._parameters


def test_has_every_scheme_its_cells_against_the_truth(study):
    problem, learners = open_untrained(study, "hydropynn")
    untrained = Trained(problem, learners, {}, None)
    true = true_parameters(study)
    sage = replace(
        untrained, problem=replace(problem, scheme=find_scheme("hybrid_q")), learners=[Known(true)]
    )
    schemes = {"HydroPyNN": untrained, "Hybrid(Q)": sage}
    figure = attention.learned_against_true(study, schemes, "f_crit")
    own, found = (ax.collections[0].get_offsets().data for ax in figure.axes)
    np.testing.assert_allclose(found[:, 0], found[:, 1])
    np.testing.assert_allclose(own[:, 1], 0.75)
    np.testing.assert_allclose(own[:, 0], true.f_crit)


def _judged(**columns) -> pd.DataFrame:
    index = pd.MultiIndex.from_product(
        [["Hybrid(Q)", "Hybrid(Q,S)"], Parameters._fields], names=["scheme", "parameter"]
    )
    return pd.DataFrame({name: np.tile(values, 2) for name, values in columns.items()}, index)


def test_are_spread_and_error_of_a_parameter_on_its_own_line():
    spread = np.where(np.arange(9) == 2, 0.0, 2.0)
    figure = attention.spread_and_error(_judged(spread=spread, error=np.full(9, 10.0)))
    (ax,) = figure.axes
    bars, dots = ax.lines[:2]
    # s_min, the third, has no spread and is not drawn.
    assert len(bars.get_xdata()) == len(dots.get_xdata()) == 8
    assert set(bars.get_xdata()) == {2.0} and set(dots.get_xdata()) == {10.0}
    assert sorted(np.round(dots.get_ydata()).astype(int)) == [0, 1, 3, 4, 5, 6, 7, 8]
    same = attention.spread_and_error(_judged(spread=np.zeros(9), error=np.ones(9)))
    assert not any(len(line.get_xdata()) for line in same.axes[0].lines)
    alone = attention.spread_and_error(_judged(spread=spread))
    assert not alone.axes[0].collections
    assert sum(len(line.get_xdata()) > 0 for line in alone.axes[0].lines) == 2


def test_are_spreads_drawn_in_percent_where_their_cells_are(study):
    cells = int(study.basin.land.sum())
    sd = np.full((9, cells), 0.01)
    sd[4] = 0.03
    spreads = xr.Dataset(
        {"sd": (("parameter", "cell"), sd)}, {"parameter": list(Parameters._fields)}
    )
    figure = attention.spread_maps(study, spreads)
    np.testing.assert_allclose(_drawn(_titled(figure, "f_crit")), 3.0)


@pytest.mark.parametrize("twin", [True, False])
def test_is_the_error_of_pet_drawn_where_it_is_known(study, twin):
    cells = int(study.basin.land.sum())
    fields = {"sd": ("cell", np.full(cells, 0.1)), "error": ("cell", np.full(cells, -0.3))}
    spreads = xr.Dataset(fields if twin else {"sd": fields["sd"]})
    figure = attention.pet_spread_map(study, spreads)
    titles = [ax.get_title() for ax in figure.axes]
    assert ("(b) mean less the truth" in titles) is twin
    np.testing.assert_allclose(_drawn(_titled(figure, "(a)")), 0.1)
