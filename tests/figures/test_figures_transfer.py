"""Do the figures of the run matrix show the scores they are given?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from hybridlib.analysis import transfer
from hybridlib.experiments import results
from hybridlib.figures import transfer as figures
from hybridlib.study.schema import InputError

STATIONS = ["NORTH - BRIDGE", "EAST", "SOUTH", "WEST"]
BOXES = ["box_01", "box_02"]


pytestmark = pytest.mark.usefixtures("closed_figures")


def _run(experiment, scheme, split, fold=0, member=0, weight=0.5, held_out=(), level=0.8):
    """Scores that say where they come from: level, plus 0.02 for each gauge's place.

    They are 0.05 lower in the training years, and KGE is 0.4 below NSE.
    """
    step = np.add.outer([0.0, -0.4], [-0.05, 0.0])[None, ..., None]
    gauges = level + 0.02 * np.arange(len(STATIONS)) + step
    return xr.Dataset(
        {
            "discharge": (("run", "metric", "period", "station"), gauges),
            "twsa": (("run", "metric", "period", "box"), level + step + np.zeros(len(BOXES))),
        },
        {
            "metric": ["NSE", "KGE"],
            "period": ["train", "validation"],
            "station": STATIONS,
            "box": BOXES,
            "held_out": (("run", "station"), [[name in held_out for name in STATIONS]]),
            **{
                name: ("run", [value])
                for name, value in {
                    "experiment": experiment, "name": f"{scheme}-fold{fold}", "scheme": scheme,
                    "split": split, "fold": fold, "member": member, "weight": weight,
                    "replacement": "conv3d",
                }.items()
            },
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def scores():
    runs = []
    for scheme, level in (("hydropynn", 0.5), ("hybrid_qs", 0.8)):
        for split in ("spatial", "spatiotemporal"):
            runs += [
                _run(split, scheme, split, fold, held_out=STATIONS[2 * fold - 2 : 2 * fold],
                     level=level + 0.1 * fold)
                for fold in (1, 2)
            ]  # fmt: skip
    runs += [
        _run("temporal", "hybrid_qs", "temporal", member=m, level=0.8 + m / 10) for m in (0, 1)
    ]
    runs += [_run("weights", "hybrid_qs", "temporal", weight=w, level=w) for w in (0.0, 1.0)]
    return xr.concat(runs, "run")


def test_has_each_gauge_the_score_of_its_own_fold(scores):
    stations = STATIONS[::-1]
    figure = figures.scores_by_gauge(scores, ["hydropynn", "hybrid_qs"], stations)
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "West",
        "South",
        "East",
        "North",
    ]
    dots = {line.get_label(): line.get_xdata() for line in ax.lines if "median" in line.get_label()}
    # Folds 1 and 2 have levels 0.9 and 1.0; gauges add 0.00 to 0.06.
    np.testing.assert_allclose(dots["Hybrid(Q,S), median 0.98"], [1.06, 1.04, 0.92, 0.90])
    (ax,) = figures.scores_by_gauge(scores, ["hybrid_qs"], stations, "KGE").axes
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [0.66, 0.64, 0.52, 0.50])


def test_are_all_four_parts_drawn_and_their_medians_written(scores):
    figure = figures.part_boxes(scores, "spatiotemporal", ["hydropynn", "hybrid_qs"])
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == list(
        results.PARTS["spatiotemporal"]
    )
    texts = [text.get_text() for text in ax.texts if text.get_text()]
    # Gauges that train are in one fold each, gauges held out in the other: both have this median.
    assert texts == ["0.63, 0.93", "0.68, 0.98", "0.63, 0.93", "0.68, 0.98"]


def test_does_the_sweep_join_its_own_runs_and_the_one_in_the_middle(scores):
    figure = figures.weight_sweep(scores, "hybrid_qs", ["weights", "temporal"])
    for ax in figure.axes:
        line = ax.lines[0]
        assert list(line.get_xdata()) == [0.0, 0.5, 1.0]
    np.testing.assert_allclose(line.get_ydata(), [0.0, 0.85, 1.0])


def test_has_a_twin_a_third_panel_of_evapotranspiration(scores):
    evap = 0.5 * scores.weight.values[:, None, None] + np.array([[0.3, 0.1], [0, 0]])
    both = scores.assign(evap=(("run", "metric", "period"), evap))
    ax = figures.weight_sweep(both, "hybrid_qs", ["weights", "temporal"]).axes[2]
    assert ax.get_title() == "evapotranspiration"
    line = ax.lines[0]
    # The validation years, the second period: 0.1 and half the weight.
    np.testing.assert_allclose(line.get_ydata(), [0.1, 0.35, 0.6])


def test_has_every_member_its_mark(scores):
    figure = figures.member_spread(scores, ["hybrid_qs"])
    np.testing.assert_allclose(figure.axes[1].lines[0].get_xdata(), [0.8, 0.9])


def test_are_figures_drawn_without_gravimetry(scores):
    alone = scores.drop_vars(["twsa", "box"])
    (ax,) = figures.member_spread(alone, ["hybrid_qs"]).axes
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [0.83, 0.93])
    assert len(figures.weight_sweep(alone, "hybrid_qs", ["weights"]).axes) == 1
    assert list(transfer.readable_tests(results.compare(alone, []))) == list(results.TESTED)


def test_do_tests_read_well(scores):
    pair = [("spatial", "validation", "hybrid_qs", "hydropynn")]
    table = transfer.readable_tests(results.compare(scores, pair))
    assert table.loc[0, ["scheme", "against"]].tolist() == ["Hybrid(Q,S)", "HydroPyNN"]
    assert table.loc[0, "mean difference"] == "+0.300"
    with pytest.raises(
        InputError, match="no finished run with experiment spatial, scheme hybrid_q;"
    ):
        results.compare(scores, [("spatial", "validation", "hybrid_q", "hydropynn")])


def test_do_tables_name_every_part_and_gauge():
    table = transfer.parts_table()
    assert table.loc[("spatial", "validation")].tolist() == ["gauges held out", "all"]
    assert len(table) == sum(map(len, results.PARTS.values()))
    told = pd.DataFrame(
        {
            "experiment": "spatial",
            "fold": [2, 1],
            "station": ["EAST", "NORTH - BRIDGE"],
            "trained above": [1, 0],
            "trained below": [0, 2],
            "area measured": [0.854, 0.0],
        }
    )
    groups = transfer.groups_table(told)
    assert groups.index.tolist() == [(1, "North"), (2, "East")]
    assert groups["area measured"].tolist() == ["0%", "85%"]


def test_is_a_value_beyond_the_axis_counted(scores):
    low = scores.copy(deep=True)
    low.discharge[{"station": 0}] = -3.0
    (ax,) = figures.part_boxes(low, "spatial", ["hybrid_qs"]).axes
    assert [text.get_text() for text in ax.texts if "◂" in text.get_text()] == ["◂ 1"] * 2
    assert ax.get_xlim()[0] > -3.0


def test_is_a_figure_of_no_scheme_refused(scores):
    with pytest.raises(InputError, match="no scheme with finished runs"):
        figures.scores_by_gauge(scores, [], STATIONS)


def test_are_the_numbers_of_the_findings_those_of_the_parts(scores):
    pair = ["hydropynn", "hybrid_qs"]
    finished = {"spatial": pair, "spatiotemporal": pair, "temporal": ["hybrid_qs"]}
    numbers = transfer.measures(scores, finished)
    # Folds 1 and 2 have levels 0.6 and 0.7 (or 0.9 and 1.0); gauges add 0.00 to 0.06.
    assert numbers["trained on, Hybrid(Q,S)"] == pytest.approx(0.93)
    assert numbers["held out, HydroPyNN"] == pytest.approx(0.68)
    assert numbers["held out in both, Hybrid(Q,S)"] == pytest.approx(0.98)
    assert "held out, Hybrid(Q,S)+" not in numbers
    # Members have medians 0.83 and 0.93.
    share = numbers["spread of members over distance of NSE from 1, Hybrid(Q,S)"]
    assert share == pytest.approx(np.std([0.83, 0.93], ddof=1) / (1 - 0.88))
    assert numbers["members"] == 2.0
    plus = scores.isel(run=scores.scheme.values == "hybrid_qs")
    noise = 0.1 + 0.03 * np.random.default_rng(1).random(plus.discharge.shape)
    plus = plus.assign(discharge=plus.discharge + noise)
    plus = plus.assign_coords(scheme=("run", ["hybrid_qs_plus"] * plus.sizes["run"]))
    three = xr.concat([scores, plus], "run")
    tested = transfer.measures(three, finished | {"spatial": [*pair, "hybrid_qs_plus"]})
    sides = [
        results.part_of(three, "discharge", "validation", experiment="spatial", scheme=name)[0]
        for name in ("hybrid_qs_plus", "hydropynn")
    ]
    assert tested["mean difference to HydroPyNN"] == pytest.approx(
        float((sides[0] - sides[1]).mean())
    )
    assert tested["p to HydroPyNN"] == pytest.approx(stats.ttest_rel(*sides).pvalue)
    none = dict.fromkeys(finished, [])
    assert transfer.measures(scores, none | {"spatial": pair[:1]}) == {
        "held out, HydroPyNN": numbers["held out, HydroPyNN"]
    }
