"""Is the loss one minus the NSE of what was observed, and of nothing else?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridlib.hydropy.backend import tf
from hybridlib.learning.objective import Objective, build_target, months_of, storage_in_reference
from hybridlib.study.metrics import nse
from hybridlib.study.schema import InputError
from hybridlib.study.splits import Period

DAYS = pd.date_range("2002-01-01", "2004-12-31")
MONTHS = pd.date_range("2002-01-01", "2004-12-01", freq="MS")
TRAIN = Period(2002, 2003)


def _series(time, count, gaps):
    """Observations and a simulation of different size, the former with gaps."""
    rng = np.random.default_rng(len(time))
    size = np.geomspace(1.0, 1e5, count)
    observed = rng.gamma(2.0, size, (len(time), count))
    simulated = observed * rng.lognormal(0.0, 0.4, observed.shape)
    observed[rng.random(observed.shape) < gaps] = np.nan
    return observed, simulated.astype(np.float32)


def _gauges(values, names="abcdefg"):
    coords = {"time": DAYS, "station": list(names[: values.shape[1]])}
    return xr.DataArray(values, coords, ("time", "station"), name="discharge")


def _boxes(values, names="uvwxyz"):
    coords = {"month": MONTHS, "box": list(names[: values.shape[1]])}
    return xr.DataArray(values, coords, ("month", "box"), name="twsa")


def _inside(time):
    return TRAIN.holds(time)


def test_is_the_nse_that_of_the_reports_on_what_is_observed():
    observed, simulated = _series(DAYS, 4, gaps=0.3)
    found = build_target(_gauges(observed), TRAIN).nse(simulated)
    inside = _inside(DAYS)
    np.testing.assert_allclose(found, nse(simulated[inside], observed[inside]), atol=2e-6)


def test_do_days_without_observation_or_outside_the_years_not_count():
    observed, simulated = _series(DAYS, 3, gaps=0.3)
    target = build_target(_gauges(observed), TRAIN)
    other = np.where(np.isnan(observed) | ~_inside(DAYS)[:, None], 1e6, simulated)
    assert (other != simulated).any()
    np.testing.assert_array_equal(target.nse(other.astype(np.float32)), target.nse(simulated))


def test_is_a_gauge_with_a_single_gap_or_two_observations_kept():
    observed, simulated = _series(DAYS, 3, gaps=0.0)
    observed[100, 0] = np.nan
    observed[2:, 1] = np.nan
    target = build_target(_gauges(observed), TRAIN)
    assert target.used.tolist() == [0, 1, 2] and not target.skipped
    assert target.nse(simulated).numpy()[1] == pytest.approx(
        float(nse(simulated[:2, 1], observed[:2, 1])), rel=1e-5
    )


def test_is_a_brook_kept_beside_the_amazon():
    observed, simulated = _series(DAYS, 2, gaps=0.0)
    observed[:, 0] = 0.1 + 1e-3 * observed[:, 0]
    observed[:, 1] = 2e5 + observed[:, 1]
    target = build_target(_gauges(observed), TRAIN)
    assert target.used.tolist() == [0, 1]


@pytest.mark.parametrize("size", [1e-6, 1e6])
def test_is_what_varies_told_from_rounding_in_any_unit(size):
    swing = np.where(np.arange(len(DAYS)) % 2, 1.0, -1.0)[:, None]
    target = build_target(_gauges(size * (1.0 + swing * [1e-7, 1e-5])), TRAIN)
    assert target.used.tolist() == [1]


@pytest.mark.filterwarnings("error")
def test_are_gauges_that_cannot_be_scored_skipped_with_a_reason():
    observed, simulated = _series(DAYS, 5, gaps=0.1)
    observed[:, 0] = np.nan
    observed[_inside(DAYS), 1] = np.nan
    observed[_inside(DAYS), 2] = 3.3
    observed[:, 3] = 0.0
    target = build_target(_gauges(observed), TRAIN)
    none, flat = "no observation", "observations do not vary, NSE is undefined"
    assert target.skipped == {"a": none, "b": none, "c": flat, "d": flat}
    assert target.used.tolist() == [4]
    expected = nse(simulated[_inside(DAYS), 4], observed[_inside(DAYS), 4])
    assert float(target.mean_nse(simulated)) == pytest.approx(float(expected), abs=1e-6)


def test_are_observations_of_which_none_can_be_scored_refused():
    observed = np.full((len(DAYS), 2), np.nan)
    observed[:, 1] = 7.0
    message = "discharge: no station can be scored in 2002-2003 .no observation; observations do"
    with pytest.raises(InputError, match=message):
        build_target(_gauges(observed), TRAIN)


def _objective(discharge, twsa, weights=(0.5, 0.5)):
    used = np.isfinite(twsa) & _inside(MONTHS)[:, None]
    storage = None
    if weights[1]:
        boxes = xr.Dataset({"twsa": _boxes(twsa)})
        storage = build_target(storage_in_reference(boxes, used), TRAIN)
    return Objective(build_target(_gauges(discharge), TRAIN), storage, weights)


@pytest.fixture(scope="module")
def seen():
    """Discharge and storage as observed and as simulated."""
    discharge, twsa = _series(DAYS, 3, gaps=0.2), _series(MONTHS, 2, gaps=0.2)
    return discharge[0], twsa[0], discharge[1], twsa[1]


def test_is_the_loss_the_weighted_mean_of_both(seen):
    discharge, twsa, *simulated = seen
    found = _objective(discharge, twsa, (0.3, 0.7))(*simulated)
    days, months = _inside(DAYS), _inside(MONTHS)
    first = nse(simulated[0][days], discharge[days]).mean()
    mean = np.nanmean(twsa[months], axis=0)
    second = nse(simulated[1][months], (twsa - mean)[months]).mean()
    assert float(found["nse_discharge"]) == pytest.approx(first, abs=1e-5)
    assert float(found["nse_twsa"]) == pytest.approx(second, rel=1e-5)
    assert float(found["loss"]) == pytest.approx(1.0 - 0.3 * first - 0.7 * second, rel=1e-5)


def test_does_storage_not_count_where_its_weight_is_0(seen):
    discharge, twsa, *simulated = seen
    for other in (simulated[1], None):
        found = _objective(discharge, twsa, (1.0, 0.0))(simulated[0], other)
        assert found["loss"] == 1.0 - found["nse_discharge"]
        assert np.isnan(found["nse_twsa"])


def test_has_a_perfect_simulation_no_loss(seen):
    discharge, twsa, *simulated = seen
    objective = _objective(discharge, twsa)
    perfect = objective.discharge.observed, objective.twsa.observed
    assert {name: float(value) for name, value in objective(*perfect).items()} == {
        "loss": 0.0,
        "nse_discharge": 1.0,
        "nse_twsa": 1.0,
    }
    assert float(objective(*simulated)["loss"]) > 0.1


def test_has_the_observed_mean_an_nse_of_0(seen):
    mean = np.nanmean(seen[0][_inside(DAYS)], axis=0)
    target = build_target(_gauges(seen[0]), TRAIN)
    simulated = np.broadcast_to(mean, seen[0].shape).astype(np.float32)
    np.testing.assert_allclose(target.nse(simulated), 0.0, atol=1e-6)


def _loss_and_gradient(objective, simulated):
    inputs = [tf.constant(series) for series in simulated]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = objective(*inputs)["loss"]
    return [loss.numpy(), *(slope.numpy() for slope in tape.gradient(loss, inputs))]


def test_do_validation_observations_leave_every_bit_of_loss_and_gradient(seen):
    discharge, twsa, *simulated = seen
    rng = np.random.default_rng(1)
    late = []
    for values, time in ((discharge, DAYS), (twsa, MONTHS)):
        moved = values * rng.uniform(0.5, 20.0, values.shape)
        moved[rng.random(values.shape) < 0.3] = np.nan
        late.append(np.where(_inside(time)[:, None], values, moved))
    before = _loss_and_gradient(_objective(discharge, twsa), simulated)
    after = _loss_and_gradient(_objective(*late), simulated)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    assert before[1][_inside(DAYS)].any() and not before[1][~_inside(DAYS)].any()
    assert before[2][_inside(MONTHS)].any() and not before[2][~_inside(MONTHS)].any()


def test_is_each_member_scored_as_if_alone(seen):
    discharge, twsa, *simulated = seen
    objective = _objective(discharge, twsa)
    factors = (0.5, 1.0, 2.0)
    together = objective(*(np.stack([f * s for f in factors], axis=1) for s in simulated))
    for m, factor in enumerate(factors):
        alone = objective(*(np.float32(factor) * s for s in simulated))
        for name, values in together.items():
            assert values.shape == (3,)
            assert float(values[m]) == pytest.approx(float(alone[name]), rel=1e-6), name


def test_is_observed_storage_referred_to_the_months_used():
    values = np.arange(36.0)[:, None] * [1.0, 2.0]
    values[3, 0] = np.nan
    used = np.isfinite(values) & (np.arange(36) < 6)[:, None]
    found = storage_in_reference(xr.Dataset({"twsa": _boxes(values)}), used)
    np.testing.assert_allclose(found[:, 0], values[:, 0] - (0 + 1 + 2 + 4 + 5) / 5)
    np.testing.assert_allclose(found[:, 1], values[:, 1] - 5.0)


def test_which_months_lie_in_a_run():
    days = pd.date_range("2002-02-15", "2002-04-01")
    assert np.flatnonzero(months_of(days, MONTHS)).tolist() == [1, 2, 3]
