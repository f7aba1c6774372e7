"""Are maps drawn from the project's own files, and do they show the right places?"""

import socket

import cases
import numpy as np
import pytest
import shapely
import xarray as xr
from cartopy.io import shapereader

from hybridlib.figures import maps
from hybridlib.study.basin import Basin


def layer(category, name):
    path = shapereader.natural_earth("110m", category, name)
    return list(shapereader.Reader(path).records())


def test_is_a_map_drawn_without_a_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a map asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    basin = Basin.from_landsurface(cases.landsurface())
    figure, axes = maps.basin_axes(maps.extent_of(basin), 5, 3)
    assert len(axes) == len(figure.axes) == 5
    maps.draw_network(axes[0], basin)
    figure.canvas.draw()


@pytest.mark.parametrize(
    ("iso", "lon", "lat"),
    [("BRA", -60, -3), ("PER", -76, -9), ("FJI", 178, -17.8), ("RUS", -172, 65.5), ("ATA", 0, -85)],
)
def test_is_a_place_in_its_country_also_across_the_antimeridian(iso, lon, lat):
    countries = layer("cultural", "admin_0_countries")
    here = [one for one in countries if one.geometry.contains(shapely.Point(lon, lat))]
    assert [one.attributes["ISO_A3"] for one in here] == [iso]


def test_is_land_where_land_is_and_of_the_right_size():
    land = shapely.union_all([each.geometry for each in layer("physical", "land")])
    assert land.is_valid
    dry, wet = [(-60, -3), (20, 0), (0, -89)], [(-30, 0), (51, 42)]
    assert [land.contains(shapely.Point(place)) for place in dry + wet] == [True] * 3 + [False] * 2
    # Equal-area cylinder: x = lon, y = sin(lat); land covers 29 % of the Earth.
    sine = shapely.transform(land, lambda x, y: (x, np.sin(np.radians(y))), interleaved=False)
    assert sine.area / (360 * 2) == pytest.approx(0.29, abs=0.01)


@pytest.mark.parametrize(
    ("category", "name"), [("physical", "coastline"), ("cultural", "admin_0_boundary_lines_land")]
)
def test_does_no_line_cross_the_whole_map(category, name):
    lines = [line for each in layer(category, name) for line in shapely.get_parts(each.geometry)]
    steps = [np.abs(np.diff(shapely.get_coordinates(line)[:, 0])).max(initial=0) for line in lines]
    assert 0 < max(steps) < 20


def test_does_an_outline_follow_the_cells():
    basin = Basin.from_landsurface(cases.landsurface(2, 2))
    whole = maps.outline_of(basin)
    assert whole.area == pytest.approx(4 * 0.25) and whole.bounds == (-60.5, -3.0, -59.5, -2.0)
    three = maps.outline_of(basin, np.array([True, True, False, True]))
    assert three.area == pytest.approx(3 * 0.25) and three.bounds == whole.bounds


def test_has_a_label_the_quantity_and_its_unit():
    field = xr.DataArray(0.0, name="swe")
    known = {"swe": {}, "Snow (mm)": {"long_name": "Snow", "units": "mm"}}
    known["Lake fraction"] = {"long_name": "Lake fraction", "units": "1"}
    assert [maps.label_of(field.assign_attrs(attrs)) for attrs in known.values()] == list(known)
