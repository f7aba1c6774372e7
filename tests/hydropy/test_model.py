"""Is a run of many members the runs of each, and does every program close its water?"""

import cases
import numpy as np
import pytest

from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.model import VARIABLES, HydroPyNN, run_days
from hybridlib.hydropy.parameters import Parameters
from hybridlib.study.schema import InputError


@pytest.fixture(scope="module")
def land():
    return cases.landsurface()


@pytest.fixture(scope="module")
def model(land):
    return HydroPyNN.from_landsurface(land, "float64")


@pytest.fixture(scope="module")
def weather(model, land):
    return cases.pack_weather(model, cases.forcing(land))


def test_is_a_run_of_members_the_runs_of_each(model, weather):
    default = model.default_parameters()
    members = Parameters(*(tf.stack([f, f * 0.9, f * 0.8]) for f in default))
    _, together = model.run(weather, members, variables=VARIABLES)
    for k in range(3):
        one = Parameters(*(field[k] for field in members))
        _, alone = model.run(weather, one, variables=VARIABLES)
        for name, series in alone.items():
            np.testing.assert_allclose(together[name][:, k], series, rtol=1e-12, atol=1e-9)


def test_is_the_program_compiled_once_for_all_years(model, weather):
    model.run(weather.part(slice(0, 30)), variables=VARIABLES)
    count = run_days.experimental_get_tracing_count()
    state, _ = model.run(weather, variables=VARIABLES[::-1])
    model.run(weather, state=state, variables=VARIABLES)
    assert run_days.experimental_get_tracing_count() == count


def test_do_stores_settle_in_spin_up_and_is_one_that_does_not_settle_refused(model, weather):
    year = weather.part(slice(0, 365))
    state, changes = model.spin_up(year, threshold=0.1)
    assert changes[-1] <= 0.1 < changes[0]
    again, _ = model.run(year, state=state, variables=())
    assert np.abs(model.stored_water(again) - model.stored_water(state)).max() <= 0.1
    with pytest.raises(InputError, match="after 2 cycles; expected at most 1e-09 mm"):
        model.spin_up(year, threshold=1e-9, most=2)


def test_does_water_close_with_one_reservoir_a_day_too(land, weather):
    single = HydroPyNN.from_landsurface(land, "float64", cascade=False)
    assert single.substeps == 1 and (single.lags.reservoirs == 1).all()
    _, series = single.run(weather, variables=VARIABLES)
    for residual in single.water_balance(series, single.empty_state()):
        assert np.abs(residual).max() <= 1e-9


def test_does_one_reservoir_hold_a_river_as_long_as_the_cascade(land):
    whole = HydroPyNN.from_landsurface(land).lags
    single = HydroPyNN.from_landsurface(land, cascade=False).lags
    np.testing.assert_allclose(single.lag_river, whole.lag_river * whole.reservoirs)
