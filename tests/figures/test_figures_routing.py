"""Does the page on flow transfer show what the library does?"""

import cases
import numpy as np
import pytest

from hybridlib.analysis import routing
from hybridlib.hydropy.model import HydroPyNN
from hybridlib.hydropy.routing import direction_masks, transfer_by_masks
from hybridlib.study.schema import InputError


@pytest.fixture(scope="module", params=[True, False], ids=["cascade", "single"])
def model(request):
    return HydroPyNN.from_landsurface(cases.landsurface(4, 6), "float64", cascade=request.param)


@pytest.fixture(scope="module")
def path(model):
    return routing.path_to_outlet(model.basin)


def test_does_the_example_use_each_direction_and_each_cell_once():
    masks = direction_masks(routing.example_basin())
    assert masks.shape == (8, 4, 4) and masks.any(axis=(1, 2)).all()
    assert masks.sum() == 15 and not masks[:, 2, 3].any()


def test_does_the_example_move_the_water_that_was_worked_out_by_hand():
    masks = direction_masks(routing.example_basin())
    inflow = transfer_by_masks(routing.EXAMPLE_OUTFLOW, masks).numpy()
    by_hand = [[0, 0, 4, 0], [0, 17, 0, 0], [6, 0, 14, 14], [0, 3, 0, 0]]
    np.testing.assert_array_equal(inflow, by_hand)
    assert inflow.sum() == routing.EXAMPLE_OUTFLOW.sum() - routing.EXAMPLE_OUTFLOW[2, 3]


def test_are_two_cells_that_drain_into_each_other_refused():
    drawing = [list(row) for row in routing.EXAMPLE]
    drawing[1][1], drawing[1][2] = "E", "W"
    with pytest.raises(InputError, match="cycle"):
        routing.example_basin(drawing)


def test_is_a_pulse_conserved_and_never_faster_than_a_cell_a_sub_step(model, path):
    pulse = routing.follow_pulse(model, path[0], 40)
    total = pulse.freshwater.cumsum("day") + pulse.stored
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)
    first = routing.pulse_timing(pulse, path)["first"].to_numpy()
    cells = np.arange(len(path))
    expected = cells // model.substeps + 1.0
    expected[-1] = np.ceil(cells[-1] / model.substeps)
    np.testing.assert_array_equal(first, expected)


def test_is_the_travel_time_the_centre_of_the_pulse_at_the_outlet(model, path):
    residence = model.lags.reservoirs * model.lags.lag_river + 1.0 / model.substeps
    timing = routing.pulse_timing(routing.follow_pulse(model, path[0], 300), path)
    days = routing.travel_time(model.basin, residence)
    assert timing["mean"].iloc[-1] == pytest.approx(days[path[0]], rel=1e-9)


def test_is_a_pulse_that_has_not_passed_given_no_centre(model, path):
    with pytest.raises(InputError, match="days is 0; expected at least 1, to follow a pulse"):
        routing.follow_pulse(model, path[0], 0)
    mean = routing.pulse_timing(routing.follow_pulse(model, path[0], 1), path)["mean"]
    assert mean.iloc[0] == 0.0 and np.isnan(mean.iloc[-1])


def test_is_no_time_lost_in_the_sink_nor_in_the_cell_of_the_start():
    basin = routing.example_basin()
    days = basin.unpack(routing.travel_time(basin, np.full(16, 2.0)))
    assert days[2, 3] == days[2, 2] == days[3, 3] == 0.0
    assert (days[1, 1], days[2, 0], days[3, 2]) == (2.0, 4.0, 8.0)


def test_is_a_degree_along_the_equator_111_km_long():
    basin = routing.example_basin([["E", "E", ""], ["E", "E", "N"]])
    basin.lat[:] = 0.0
    found = routing.path_length(basin, np.array([0, 1, 2]))
    np.testing.assert_allclose(found, [0, 55.6, 111.2], atol=0.1)
