"""Which cells belong, and is a network that cannot be routed refused?"""

import cases
import numpy as np
import pytest

from hybridlib.study.basin import Basin
from hybridlib.study.schema import InputError


@pytest.fixture
def land():
    return cases.landsurface()


def test_does_packing_undo_unpacking(land):
    basin = Basin.from_landsurface(land)
    values = np.random.default_rng(0).random((2, basin.size))
    np.testing.assert_array_equal(basin.pack(basin.unpack(values)), values)


def test_does_the_sink_drain_everything(land):
    basin = Basin.from_landsurface(land)
    assert basin.upstream_area[basin.sink][0] == pytest.approx(float(land.area.sum()))
    assert basin.catchment(int(np.flatnonzero(basin.sink)[0])).all()


def test_does_a_catchment_hold_what_drains_through_its_outlet(land):
    basin = Basin.from_landsurface(land)
    assert np.flatnonzero(basin.catchment(2)).tolist() == [0, 1, 2]


def test_does_a_sea_cell_that_receives_a_river_belong(land):
    land["lsm"][2, 3] = 0
    basin = Basin.from_landsurface(land)
    assert basin.size == 12
    assert basin.area[basin.sink] == 0


def test_is_an_unreached_sea_cell_left_out(land):
    land["lsm"][0, 0] = 0
    assert Basin.from_landsurface(land).size == 11


def test_is_land_area_without_glacier(land):
    land["glacier"] = 0.25 * land["lsm"]
    basin = Basin.from_landsurface(land)
    np.testing.assert_allclose(basin.area, 0.75 * 2.5e9)


def test_is_a_point_found_in_its_cell(land):
    basin = Basin.from_landsurface(land)
    assert basin.cell_at(-2.6, -59.3) == 6


def test_is_a_gauge_outside_the_basin_refused(land):
    with pytest.raises(InputError, match=r"gauge 7: lat 20, lon -59.3 lies outside the basin"):
        Basin.from_landsurface(land).cell_at(20.0, -59.3, "gauge 7")


def test_is_an_empty_mask_refused(land):
    land["lsm"][:] = 0
    with pytest.raises(InputError, match="lsm has no land"):
        Basin.from_landsurface(land, "L.nc")


def test_is_a_cycle_refused_and_named(land):
    land["rout_lon"][1, 1] = 0
    with pytest.raises(InputError, match=r"L.nc: .* cycle .* lat -2.75, lon -60.25"):
        Basin.from_landsurface(land, "L.nc")


def test_is_a_network_without_any_sink_refused(land):
    land["rout_lat"][2, 3] = 1
    with pytest.raises(InputError, match="cycle"):
        Basin.from_landsurface(land)


def test_is_a_pit_outside_the_sinks_refused(land):
    land["lsm"][1, 2] = 0
    with pytest.raises(InputError, match="neither land nor a sink"):
        Basin.from_landsurface(land)


@pytest.mark.parametrize("target", [-1, 4, 1.5, np.nan])
def test_is_a_target_off_the_grid_refused(land, target):
    land["rout_lon"][1, 1] = target
    with pytest.raises(InputError, match="rout_lon is .* row 1, column 1; .* from 0 to 3"):
        Basin.from_landsurface(land)


def test_is_land_without_area_refused(land):
    land["area"][0, 0] = 0
    with pytest.raises(InputError, match="area is not above 0"):
        Basin.from_landsurface(land)


def test_is_a_basin_of_one_cell_a_basin():
    land = cases.landsurface(2, 2)
    land["lsm"][:] = [[0, 0], [0, 1]]
    basin = Basin.from_landsurface(land)
    assert basin.size == 1
    assert basin.catchment(0).all() and basin.upstream_area[0] == 2.5e9
