"""Do the figures and tables on the schemes show what the data hold?"""

from dataclasses import asdict
from types import SimpleNamespace

import cases
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.collections import QuadMesh

from hybridlib.analysis import schemes
from hybridlib.figures import maps
from hybridlib.figures import schemes as figures
from hybridlib.figures.style import SCHEME_COLOURS
from hybridlib.learning.comparison import Trained
from hybridlib.learning.evaluation import open_untrained
from hybridlib.learning.settings import PRESETS
from hybridlib.study.splits import Period

TITLES = list(SCHEME_COLOURS)


pytestmark = pytest.mark.usefixtures("book_style")


def _scores(values: dict[str, list[float]]) -> dict[str, xr.Dataset]:
    """NSE in the validation years as told, 0.5 everywhere else."""
    scores = {}
    for title, nse in values.items():
        field = np.full((3, 2, 1, len(nse)), 0.5)
        field[0, 1, 0] = nse
        fields = {"discharge": (("metric", "period", "member", "station"), field)}
        coords = {"metric": ["NSE", "KGE", "RMSE"], "period": ["train", "validation"]}
        scores[title] = xr.Dataset(fields, coords)
    return scores


def _texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts if text.get_text()]


CONFIG = {"choose": True, "members": 1, "schedule": asdict(PRESETS["fast"])}


def _history(chosen: int, tried: int) -> pd.DataFrame:
    rows = [("choose", k, 1 / (k + 1), 0.5 + abs(k - chosen)) for k in range(tried + 1)]
    rows += [("fit", k, 1 / (k + 1), np.nan) for k in range(chosen)]
    return pd.DataFrame(rows, columns=["phase", "epoch", "loss_0", "held_out_0"])


def test_does_the_table_of_schemes_say_what_each_learns_from_what():
    table = schemes.scheme_table(["hydropynn", "hybrid_q", "hybrid_qs_plus"])
    assert list(table.index) == ["HydroPyNN", "Hybrid(Q)", "Hybrid(Q,S)+"]
    assert table["trained on"].tolist() == ["–", "Q", "Q and S"]
    assert table.weights.tolist() == ["–", "1, 0", "0.5, 0.5"]
    assert table.PET.str.contains("network").tolist() == [False, False, True]


def test_are_medians_written_and_schemes_in_the_same_order_and_colours():
    told = {title: [0.1 * k, 0.1 * k + 0.2, 0.1 * k + 0.3] for k, title in enumerate(TITLES)}
    (ax,) = figures.score_boxes(_scores(told)).axes
    assert _texts(ax) == ["0.20", "0.30", "0.40", "0.50", "0.60"]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    places = dict(zip(labels, ax.get_yticks(), strict=True))
    assert sorted(places, key=places.get) == TITLES and ax.yaxis_inverted()
    faces = [patch.get_facecolor()[:3] for patch in ax.patches]
    assert faces == [plt.matplotlib.colors.to_rgb(SCHEME_COLOURS[title]) for title in TITLES]


def test_is_a_value_far_below_counted_instead_of_drawn():
    told = {"HydroPyNN": [-40.0, *np.linspace(0.5, 0.8, 9)], "Hybrid(Q)": [0.6, 0.7, 0.8]}
    ceiling = _scores({"truth": [0.97, 0.98, 0.99]})["truth"]
    (ax,) = figures.score_boxes(_scores(told), ceiling=ceiling).axes
    assert "◂ 1" in _texts(ax)
    assert ax.get_xlim()[0] > 0
    assert [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"] == [0.98]


def test_does_a_score_that_is_not_defined_leave_the_median_of_the_others():
    (ax,) = figures.score_boxes(_scores({"HydroPyNN": [0.2, np.nan, 0.4, 0.9]})).axes
    assert _texts(ax) == ["0.40"]


def test_is_the_chosen_step_marked_in_the_training_curves():
    runs = {
        "HydroPyNN": SimpleNamespace(config={}, history=pd.DataFrame()),
        "Hybrid(Q)": SimpleNamespace(config=CONFIG, history=_history(3, 6)),
    }
    figure = figures.training_curves(runs)
    assert [ax.get_title(loc="left") for ax in figure.axes if ax.lines] == ["Hybrid(Q)"]
    drawn = [line for line in figure.axes[0].lines if len(line.get_xdata())]
    lines = {line.get_linestyle(): list(line.get_xdata()) for line in drawn}
    assert lines["-."] == [3, 3], "the step that was chosen"
    assert lines["-"] == [0, 1, 2], "the refit"
    assert lines[":"] == list(range(7)), "years held out, while choosing"


def test_is_each_member_told_the_steps_that_it_chose():
    other = _history(2, 6).set_index(["phase", "epoch"]).rename(columns=lambda n: n[:-1] + "1")
    both = _history(3, 6).set_index(["phase", "epoch"]).join(other).reset_index()
    run = SimpleNamespace(config=CONFIG | {"members": 2}, history=both)
    (ax,) = figures.training_curves({"Hybrid(Q)": run}).axes
    chosen = [line for line in ax.lines if line.get_linestyle() == "-." and len(line.get_xdata())]
    drawn = [line.get_xdata()[0] for line in chosen]
    assert drawn == [2, 3] and "2–3" in _texts(ax)


def test_are_hyperparameters_read_from_the_run(tmp_path):
    problem, learners = open_untrained(cases.tiny_study(tmp_path, False, False), "hybrid_q")
    config = CONFIG | {"preset": "fast", "epochs": 7, "train": "2002-2003"}
    run = Trained(problem, learners, config, _history(3, 6))
    table = schemes.hyperparameters({"Hybrid(Q)": run})
    assert table.loc["learning rate"].tolist() == ["0.0005", f"{PRESETS['fast'].network:g}"]
    ours = table["Hybrid(Q)"]
    assert (ours["most steps"], ours["steps chosen, by member"]) == (7, "3")
    by_hand = sum(a * b + b for a, b in [(21, 256), (256, 64), (64, 16), (16, 9)])
    assert ours["trainable numbers"] == by_hand
    summary = schemes.parameter_summary({"HydroPyNN": run})
    assert summary.loc["f_crit"].tolist() == ["–", "0.55 to 0.95", "0.75"]


def test_do_the_hydrographs_show_the_period_and_its_score():
    days = pd.date_range("2003-01-01", "2004-12-31")
    seen = np.sin(np.arange(len(days)) / 58) + 2
    wrong_before = np.where(days.year == 2003, 9.0, seen)
    dims, coords = ("time", "station"), {"time": days, "station": ["GAUGE - A"]}
    pair = xr.Dataset({"discharge_observed": (dims, seen[:, None])}, coords)
    pair["discharge_simulated"] = pair.discharge_observed.copy(
        data=wrong_before[:, None]
    ).expand_dims("member")
    figure = figures.hydrographs({"Hybrid(Q)": pair}, "GAUGE - A", Period(2004, 2004))
    assert figure.axes[0].get_title(loc="left") == "Hybrid(Q), NSE 1.00"
    assert len(figure.axes[0].lines[0].get_xdata()) == 366
    assert figure.get_suptitle() == "Gauge"


def test_do_maps_of_a_row_share_one_scale_with_zero_in_the_middle():
    grid = {"lat": [-3.0, -4.0], "lon": [-60.0, -59.0, -58.0]}
    values = np.arange(6.0).reshape(2, 3)
    attrs = {"long_name": "correction", "units": "mm d⁻¹"}
    fields = xr.Dataset(
        {
            "truth": (("lat", "lon"), values, attrs),
            "learned": (("lat", "lon"), values - 1, attrs),
        },
        grid,
    )
    figure = maps.field_maps([fields], ["truth", "learned"], centred=True)
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    meshes = [mesh for ax in panels for mesh in ax.collections if isinstance(mesh, QuadMesh)]
    assert [mesh.get_clim() for mesh in meshes] == [(-5.0, 5.0)] * 2
    assert figure.axes[-1].get_ylabel() == "correction (mm d⁻¹)"


def test_does_the_moselle_table_average_seeds_and_the_figure_end_where_training_did():
    results = pd.DataFrame(
        {
            "scheme": ["hydropynn_q", "hydropynn_q", "hybrid_q"],
            "seed": [0, 1, 0],
            "steps": [2, 1, 1],
            "train": [0.90, 0.92, 0.95],
            "validation": [0.93, 0.95, 0.96],
        }
    )
    curves = pd.concat(
        results.drop(columns="steps").assign(step=step, validation=0.8 + 0.1 * step)
        for step in (0, 1)
    )
    table = schemes.moselle_table(results, curves)
    assert list(table.index) == ["HydroPyNN(Q)", "Hybrid(Q)"]
    first = table.loc["HydroPyNN(Q)"]
    assert first["unseen years"] == pytest.approx(0.94)
    assert first["unseen years, untrained"] == pytest.approx(0.8)
    assert (first["lowest seed"], first["highest seed"]) == (0.93, 0.95)
    figure = figures.moselle_curves(results, curves)
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert sorted(dots[0].get_xdata()) == [1, 2]


def test_are_numbers_readable_without_exponents_and_gaps_shown_as_such():
    table = schemes.readable(pd.DataFrame({"a": [0.012345, 137.1, np.nan]}))
    assert table.a.tolist() == ["0.0123", "137", "–"]
