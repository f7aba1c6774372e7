"""Do instruments see what is there?"""

import cases
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridlib.hydropy.backend import tf
from hybridlib.learning.instruments import build_instruments
from hybridlib.learning.objective import storage_in_reference
from hybridlib.study.basin import Basin
from hybridlib.study.instruments import (
    anomaly,
    box_weights,
    discharge_at,
    monthly_means,
    total_water_anomaly,
)
from hybridlib.study.schema import InputError

DAYS = pd.date_range("2004-01-01", "2004-12-31")
MONTHS = pd.date_range("2004-01-01", periods=12, freq="MS")
BASIN = Basin.from_landsurface(cases.landsurface())


def test_is_a_month_the_mean_of_its_days():
    daily = np.arange(len(DAYS), dtype=float)[:, None]
    monthly = monthly_means(daily, DAYS, MONTHS)
    assert monthly[0, 0] == 15.0 and monthly[1, 0] == 31 + 14.0


def test_is_a_month_without_days_refused():
    with pytest.raises(InputError, match="no day of the run lies in 2005-01"):
        monthly_means(np.zeros((366, 1)), DAYS, MONTHS.append(pd.DatetimeIndex(["2005-01-01"])))


def test_is_the_baseline_the_mean_over_observed_months_only():
    monthly = np.arange(12.0)[:, None]
    seen = np.ones((12, 1), bool)
    seen[6:] = False
    found = anomaly(monthly, MONTHS, seen, ("2004-01", "2004-12"))
    np.testing.assert_allclose(found[:, 0], np.arange(12.0) - 2.5)


def test_is_a_baseline_without_observations_refused():
    with pytest.raises(InputError, match="no month between 2010-01 and 2010-12"):
        anomaly(np.zeros((12, 1)), MONTHS, baseline=("2010-01", "2010-12"))


def test_is_a_box_the_area_weighted_mean_of_its_cells():
    land = cases.landsurface()
    land["area"][0, 0] = 5e9
    basin = Basin.from_landsurface(land)
    weights = box_weights(basin, np.array([-2.75]), np.array([-59.5]))
    assert weights.shape == (1, 12)
    assert weights.sum() == pytest.approx(1.0)
    assert weights[0, 0] == pytest.approx(2 * weights[0, 1])


def test_is_a_cell_on_an_edge_in_the_box_north_or_east_of_it_only():
    # Boxes of 3 degrees that meet at lat -2.75, where row 1 is, and at lon -59.75, column 1.
    lat, lon = np.array([-1.25, -1.25, -4.25, -4.25]), np.array([-61.25, -58.25, -61.25, -58.25])
    north, east = BASIN.row <= 1, BASIN.col >= 1
    expected = [north & ~east, north & east, ~north & ~east, ~north & east]
    np.testing.assert_array_equal(box_weights(BASIN, lat, lon) > 0, expected)


def test_is_a_box_without_cells_refused():
    with pytest.raises(InputError, match="the box at lat 40, lon 0 holds no land cell"):
        box_weights(BASIN, np.array([40.0]), np.array([0.0]))


def test_is_discharge_given_per_second():
    assert discharge_at(np.full((2, 3), 86400.0), np.array([1])).tolist() == [[1.0], [1.0]]


# The same instruments as differentiable operators.

RUN = pd.date_range("2003-11-01", "2005-12-31")
BASELINE = ("2004-01", "2004-12")
UNSEEN = [(4, 0), (5, 0), (5, 1), (20, 0)]
"""Months and boxes without an observation, three of them in the baseline."""


def _boxes():
    months = pd.date_range("2003-12-01", "2005-12-01", freq="MS")
    twsa = np.random.default_rng(1).normal(0.0, 90.0, (len(months), 2))
    for place in UNSEEN:
        twsa[place] = np.nan
    return xr.Dataset(
        {
            "twsa": (("month", "box"), twsa),
            "box_lat": ("box", [-3.0, -3.0]),
            "box_lon": ("box", [-61.0, -58.0]),
        },
        {"month": months, "box": ["west", "east"]},
        {"baseline_first": BASELINE[0], "baseline_last": BASELINE[1]},
    )


@pytest.fixture(scope="module")
def instruments():
    return build_instruments(BASIN, np.array([11, 3, 3]), RUN, _boxes())


def _run(*members):
    """A variable of a run, (time, …, cell)."""
    shape = len(RUN), *members, BASIN.size
    return np.random.default_rng(2).gamma(4.0, 300.0, shape).astype(np.float32)


def test_do_gauges_see_what_reports_see(instruments):
    dis = _run() * 1e6
    found = instruments.discharge(dis)
    np.testing.assert_allclose(found, discharge_at(dis, np.array([11, 3, 3])), rtol=1e-6)


def test_does_gravimetry_see_what_reports_see(instruments):
    tws = _run()
    expected = total_water_anomaly(tws.astype(float), RUN, BASIN, _boxes())
    assert np.abs(expected).max() > 50.0
    np.testing.assert_allclose(instruments.anomaly(tws), expected, atol=1e-3)


def test_do_instruments_see_every_member_as_if_alone(instruments):
    tws = _run(3)
    discharge, anomalies = instruments.discharge(tws), instruments.anomaly(tws)
    for m in range(3):
        np.testing.assert_array_equal(discharge[:, m], instruments.discharge(tws[:, m]))
        np.testing.assert_allclose(anomalies[:, m], instruments.anomaly(tws[:, m]), atol=1e-3)


def test_is_the_mean_that_of_exactly_the_observed_months_of_the_baseline(instruments):
    boxes = _boxes()
    months = boxes.indexes["month"]
    used = ((months.year == 2004)[:, None]) & np.isfinite(boxes.twsa.values)
    assert used.sum(axis=0).tolist() == [10, 11]
    simulated = instruments.anomaly(_run()).numpy()
    observed = storage_in_reference(boxes, instruments.baseline.numpy() > 0).values
    for anomalies in (simulated, observed):
        np.testing.assert_allclose(np.mean(anomalies, axis=0, where=used), 0.0, atol=1e-3)


@pytest.mark.parametrize(("month", "enters"), [("2004-04", False), ("2004-02", True)])
def test_does_water_of_a_month_move_the_others_only_if_gravimetry_saw_it(
    instruments, month, enters
):
    before = _run()
    after = before.copy()
    after[RUN.to_period("M") == month] += 1000.0
    change = (instruments.anomaly(after) - instruments.anomaly(before)).numpy()[:, 0]
    own = _boxes().indexes["month"] == pd.Timestamp(month)
    shift = 1000.0 / 10 if enters else 0.0
    np.testing.assert_allclose(change[own], 1000.0 - shift, atol=1e-2)
    np.testing.assert_allclose(change[~own], -shift, atol=1e-2)


@pytest.mark.parametrize("name", ["discharge", "anomaly"])
def test_is_the_gradient_the_operators_transpose(instruments, name):
    see = getattr(instruments, name)
    run = tf.constant(_run(2))
    with tf.GradientTape() as tape:
        tape.watch(run)
        seen = see(run)
        rng = np.random.default_rng(3)
        slopes = rng.normal(size=seen.shape).astype(np.float32)
        total = tf.reduce_sum(seen * slopes)
    gradient = tape.gradient(total, run).numpy().astype(float)
    for _ in range(2):
        other = rng.normal(size=run.shape)
        forth = np.sum(see(other.astype(np.float32)).numpy() * slopes.astype(float))
        assert np.sum(gradient * other) == pytest.approx(forth, rel=1e-4)


def test_does_a_month_that_the_run_covers_in_part_count_its_days():
    boxes = _boxes().isel(month=slice(0, 3))
    days = pd.date_range("2003-12-01", "2004-02-10")
    tws = np.ones((len(days), BASIN.size), np.float32)
    tws[-10:] = 4.0
    found = build_instruments(BASIN, np.array([0]), days, boxes).anomaly(tws).numpy()
    np.testing.assert_allclose(found[:, 1], [-1.5, -1.5, 1.5], atol=1e-6)


def test_is_a_run_that_ends_before_the_baseline_refused():
    boxes = _boxes().isel(month=slice(0, 1))
    with pytest.raises(InputError, match="no month between 2004-01 and 2004-12 is observed"):
        build_instruments(BASIN, np.array([0]), RUN[:61], boxes)


def test_are_gauges_enough():
    alone = build_instruments(BASIN, np.array([1]), RUN)
    assert alone.discharge(_run()).shape == (len(RUN), 1) and alone.boxes is None
