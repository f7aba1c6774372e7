"""Which cells belong, and is a network that cannot be routed refused?"""

import cases
import numpy as np
import pytest

from hybridlib.study.basin import Basin
from hybridlib.study.schema import EARTH_RADIUS, InputError, cell_areas


@pytest.fixture
def land():
    return cases.landsurface()


@pytest.fixture
def basin(land):
    return Basin.from_landsurface(land)


def test_does_packing_undo_unpacking(basin):
    values = np.random.default_rng(0).random((2, basin.size))
    np.testing.assert_array_equal(basin.pack(basin.unpack(values)), values)


def test_does_a_cell_gather_what_drains_through_it_and_the_sink_everything(land, basin):
    assert basin.upstream_area[basin.sink][0] == pytest.approx(float(land.area.sum()))
    assert basin.catchment(int(np.flatnonzero(basin.sink)[0])).all()
    assert np.flatnonzero(basin.catchment(2)).tolist() == [0, 1, 2]


def test_does_a_sea_cell_that_receives_a_river_belong_and_an_unreached_one_not(land):
    land["lsm"][2, 3] = 0
    basin = Basin.from_landsurface(land)
    assert basin.size == 12 and basin.area[basin.sink] == 0
    land["lsm"][0, 0] = 0
    assert Basin.from_landsurface(land).size == 11


def test_is_a_point_found_in_its_cell_and_one_outside_refused(basin):
    assert basin.cell_at(-2.6, -59.3) == 6
    with pytest.raises(InputError, match=r"gauge 7: lat 20, lon -59.3 lies outside the basin"):
        basin.cell_at(20.0, -59.3, "gauge 7")


OFF = "rout_lon is .* row 1, column 1; .* from 0 to 3"


@pytest.mark.parametrize(
    ("name", "place", "value", "told"),
    [
        ("lsm", ..., 0, "lsm has no land"),
        ("rout_lon", (1, 1), 0, "cycle .* lat -2.75, lon -60.25"),
        ("rout_lat", (2, 3), 1, "cycle"),  # no sink is left
        *(("rout_lon", (1, 1), target, OFF) for target in (-1, 4, 1.5, np.nan)),
        ("area", (0, 0), 0, "area is not above 0"),
    ],
)
def test_is_a_land_surface_without_a_network_of_land_refused(land, name, place, value, told):
    land[name][place] = value
    with pytest.raises(InputError, match=f"L.nc: .*{told}"):
        Basin.from_landsurface(land, "L.nc")


def test_does_a_river_pass_a_cell_without_land_that_names_a_target_and_no_other(land):
    land["lsm"][1, 2] = 0
    basin = Basin.from_landsurface(land)
    (cell,) = np.flatnonzero(~basin.land)
    assert (basin.row[cell], basin.col[cell]) == (1, 2) and basin.downstream[cell] == cell + 1
    assert basin.upstream_area[basin.sink][0] == pytest.approx(11 * 2.5e9)
    land["rout_lat"][1, 2] = np.nan
    with pytest.raises(InputError, match="L.nc: a river reaches .* lat -2.75, lon -59.25, which"):
        Basin.from_landsurface(land, "L.nc")


def test_is_ice_no_land_in_a_cell_that_is_land_in_part(land):
    land["lsm"][1, 1], land["glacier"] = 0.5, 0.4 * (land.lsm > 0)
    basin = Basin.from_landsurface(land)
    assert basin.area[5] == pytest.approx(0.5 * 0.6 * 2.5e9)


def test_are_cells_as_large_as_their_coordinates_say():
    globe = np.arange(-89.5, 90.0), np.arange(-179.5, 180.0)
    areas = cell_areas(*globe)
    assert areas.sum() == pytest.approx(4 * np.pi * EARTH_RADIUS**2, rel=1e-12)
    assert areas[90, 0] == pytest.approx((np.pi * EARTH_RADIUS / 180) ** 2, rel=1e-4)


def test_is_a_basin_of_one_cell_a_basin():
    land = cases.landsurface(2, 2)
    land["lsm"][:] = [[0, 0], [0, 1]]
    basin = Basin.from_landsurface(land)
    assert basin.size == 1
    assert basin.catchment(0).all() and basin.upstream_area[0] == 2.5e9
