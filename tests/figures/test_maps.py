"""Are maps drawn from the project's own files, and do they show the right places?"""

import socket

import cartopy.feature as cfeature
import cases
import matplotlib.pyplot as plt
import numpy as np
import pytest
import seaborn
import shapely
import xarray as xr
from cartopy.io import shapereader

from hybridlib.figures import maps
from hybridlib.figures.style import SCHEME_COLOURS, STYLE
from hybridlib.study.basin import Basin


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a map asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


pytestmark = pytest.mark.usefixtures("closed_figures")


def layer(category, name):
    path = shapereader.natural_earth("110m", category, name)
    return list(shapereader.Reader(path).records())


def test_is_a_map_drawn_without_a_network(no_network, tmp_path):
    lat, lon = np.arange(8.75, -21, -0.5), np.arange(-80.75, -45, 0.5)
    rain = xr.DataArray(
        np.ones((60, 72)),
        coords={"lat": lat, "lon": lon},
        dims=("lat", "lon"),
        attrs={"long_name": "Precipitation", "units": "mm"},
    )
    with plt.style.context(STYLE):
        fig, (ax,) = maps.basin_axes((-82, -44, -22, 10))
        ax.add_feature(cfeature.LAKES.with_scale("110m"))
        ax.add_feature(cfeature.RIVERS.with_scale("110m"))
        maps.map_field(ax, rain)
        basin = Basin.from_landsurface(cases.landsurface())
        maps.draw_outline(ax, basin)
        maps.draw_network(ax, basin)
        fig.savefig(tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 20_000
    assert "Precipitation (mm)" in [other.get_ylabel() for other in fig.axes]


def test_do_panels_come_as_an_array():
    fig, axes = maps.basin_axes((-82, -44, -22, 10), 5, 3)
    assert axes.shape == (5,) and len(fig.axes) == 5


@pytest.mark.parametrize(
    ("iso", "lon", "lat"),
    [("BRA", -60, -3), ("PER", -76, -9), ("FJI", 178, -17.8), ("RUS", -172, 65.5), ("ATA", 0, -85)],
)
def test_is_a_place_in_its_country_also_across_the_antimeridian(iso, lon, lat):
    shapes = {
        each.attributes["ISO_A3"]: each.geometry for each in layer("cultural", "admin_0_countries")
    }
    assert shapes[iso].contains(shapely.Point(lon, lat))
    assert [name for name, shape in shapes.items() if shape.contains(shapely.Point(lon, lat))] == [
        iso
    ]


def test_is_land_where_land_is_and_of_the_right_size():
    land = shapely.union_all([each.geometry for each in layer("physical", "land")])
    assert land.is_valid
    for lon, lat, dry in [
        (-60, -3, True),
        (20, 0, True),
        (-30, 0, False),
        (0, -89, True),
        (51, 42, False),
    ]:
        assert land.contains(shapely.Point(lon, lat)) == dry
    # Equal-area cylinder: x = lon, y = sin(lat); land covers 29 % of the Earth.
    flat = shapely.transform(
        land, lambda xy: np.column_stack([xy[:, 0], np.sin(np.radians(xy[:, 1]))])
    )
    assert flat.area / (360 * 2) == pytest.approx(0.29, abs=0.01)


def test_does_no_line_cross_the_whole_map():
    for category, name in [("physical", "coastline"), ("cultural", "admin_0_boundary_lines_land")]:
        for each in layer(category, name):
            for line in shapely.get_parts(each.geometry):
                steps = np.abs(np.diff(shapely.get_coordinates(line)[:, 0]))
                assert steps.max(initial=0) < 20, name


def test_does_a_masks_outline_follow_the_cells():
    basin = Basin.from_landsurface(cases.landsurface(2, 2))
    whole = maps.outline_of(basin)
    assert whole.area == pytest.approx(4 * 0.25) and whole.bounds == (-60.5, -3.0, -59.5, -2.0)
    three = maps.outline_of(basin, np.array([True, True, False, True]))
    assert three.area == pytest.approx(3 * 0.25) and three.bounds == whole.bounds


def test_has_a_label_the_quantity_and_its_unit():
    field = xr.DataArray(0.0, name="swe")
    assert maps.label_of(field) == "swe"
    assert maps.label_of(field.assign_attrs(long_name="Snow", units="mm")) == "Snow (mm)"
    assert (
        maps.label_of(field.assign_attrs(long_name="Lake fraction", units="1")) == "Lake fraction"
    )


def test_are_the_schemes_colours_the_style_sheets_and_colour_blind_safe():
    with plt.style.context(STYLE):
        cycle = [
            "#" + each.lstrip("#") for each in plt.rcParams["axes.prop_cycle"].by_key()["color"]
        ]
    assert cycle[: len(SCHEME_COLOURS)] == list(SCHEME_COLOURS.values())
    assert cycle == [each.lower() for each in seaborn.color_palette("colorblind").as_hex()]
