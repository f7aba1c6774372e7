"""Is the twin's land surface one that HydroPy can run and the Amazon could have?"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import shapely

from hybridlib.study.schema import LANDSURFACE
from hybridlib.twin import geography, landsurface

DATA = geography.FOLDER
CLIMATE = pd.read_csv(DATA / "climate_3deg.csv")
LAT, LON = np.arange(8.75, -21, -0.5), np.arange(-80.75, -45, 0.5)
OUTLINE = shapely.Polygon(pd.read_csv(DATA / "outline.csv"))
BASIN = shapely.contains_xy(OUTLINE, *np.meshgrid(LON, LAT))
RIVER_ROW = 23  # 2.75 S


@pytest.fixture(scope="module")
def surface():
    """Land surface with one river along 2.75 S that flows east and gathers water as it goes."""
    rows, columns = np.indices(BASIN.shape)
    upstream = np.full(BASIN.shape, np.nan)
    upstream[BASIN] = 3e3
    upstream[RIVER_ROW, 8:60] = np.linspace(5e4, 5.9e6, 52)
    targets = columns.copy()
    targets[RIVER_ROW, 8:59] += 1
    fields = {"mask": BASIN, "area": np.full(BASIN.shape, 3e9), "rout_lat": rows}
    place = SimpleNamespace(lat=LAT, lon=LON, rout_lon=targets, **fields)
    return landsurface.land_surface(place, upstream, CLIMATE, 1)


def at(field, lat, lon):
    return field.sel(lat=lat, lon=lon, method="nearest")


def test_are_the_boxes_heights_met():
    found = landsurface.height(LAT, LON, CLIMATE)
    means = []
    for box in CLIMATE[CLIMATE.cells == 36].itertuples():
        rows, columns = abs(LAT - box.lat) < 1.5, abs(LON - box.lon) < 1.5
        means.append((found[np.ix_(rows, columns)].mean(), box.elevation_m))
    means = np.array(means)
    assert np.abs(means[:, 0] - means[:, 1]).max() < 100
    assert np.corrcoef(means.T)[0, 1] > 0.98
    assert found.min() > 0 and found.max() < 6000


@pytest.mark.parametrize(("lat", "foot", "crest"), [(-9.25, -74, -77.25), (-13.25, -68, -72.75)])
def test_do_the_andes_rise_in_a_front(lat, foot, crest):
    found = landsurface.height([lat], [foot, crest], CLIMATE)[0]
    assert found[0] < 700 and found[1] > 2800


def test_is_the_height_of_a_cell_the_same_in_a_window():
    whole = landsurface.height(LAT, LON, CLIMATE)
    window = landsurface.height(LAT[40:50], LON[20:30], CLIMATE)
    np.testing.assert_allclose(window, whole[40:50, 20:30])


def test_has_every_field_hydropys_dims_units_and_values(surface):
    assert set(surface) == {*LANDSURFACE, "vegetation_type"}
    for name, field in surface.items():
        expected = ("month", "lat", "lon") if name in ("lai", "fveg") else ("lat", "lon")
        assert field.dims == expected and field.notnull().all()
        assert {"units", "long_name"} <= set(field.attrs)
        if name in LANDSURFACE:
            assert LANDSURFACE[name].low <= field.min() and field.max() <= LANDSURFACE[name].high
    assert list(surface.month) == list(range(1, 13))
    assert surface.rout_lat.dtype.kind == "i" and surface.rout_lon.dtype.kind == "i"
    np.testing.assert_array_equal(surface.lsm, BASIN)


def test_are_soil_capacities_in_order(surface):
    assert (surface.wmin >= 0).all() and (surface.wmin <= 0.2 * surface.wcap).all()
    assert (surface.wcap * 1.05 <= surface.wmax).all()
    assert (surface.wmax <= 1.5 * surface.wcap).all()
    share = surface.wava / surface.wcap
    assert share.min() >= 0.45 and share.max() <= 0.7
    assert surface.beta.min() >= 0.1 and surface.beta.max() <= 0.5
    assert surface.wcap.min() >= 80 and surface.wcap.max() <= 800


def test_are_fractions_and_relief_in_their_ranges(surface):
    for name in ("fveg", "flake", "fwetl"):
        assert surface[name].min() >= 0 and surface[name].max() <= 1
    assert surface.topo_std.min() >= 5 and surface.topo_std.max() <= 900
    assert surface.slope_avg.min() >= 0.0005 and surface.slope_avg.max() <= 0.1
    assert (surface.perm == 0).all()
    high = BASIN & (landsurface.height(LAT, LON, CLIMATE) > 3000)
    assert surface.topo_std.values[high].min() > 300
    assert surface.slope_avg.values[high].min() > 0.02


@pytest.mark.parametrize(
    ("lat", "lon", "kind", "low", "high"),
    [
        (-6, -66, 1, 4.5, 6),
        (-14, -56, 2, 1.5, 4),
        (-14, -65, 3, 0.5, 2),
        (3.25, -60.5, 3, 0.5, 2),
        (-13.75, -72.75, 3, 0.5, 2),
    ],
)
def test_is_each_vegetation_type_where_it_grows(surface, lat, lon, kind, low, high):
    assert at(surface.vegetation_type, lat, lon) == kind
    lai = at(surface.lai, lat, lon)
    assert low <= lai.min() and lai.max() <= high + 0.3


def test_are_seasons_strong_in_savanna_and_weak_in_forest(surface):
    swing = surface.lai.max("month") - surface.lai.min("month")
    assert at(swing, -14, -56) > 1 > 0.5 > at(swing, -6, -66)
    # Savanna is green after the southern rains and bare at the end of the dry season.
    assert at(surface.lai, -14, -56).idxmax() in (2, 3) and at(surface.lai, -14, -56)[8] < 2.5


def test_do_types_blend_without_jumps(surface):
    heights = landsurface.height(LAT, LON, CLIMATE)
    share = landsurface.cover_shares(LAT, LON, heights, CLIMATE, np.zeros(BASIN.shape))
    np.testing.assert_allclose(share.sum(axis=0), 1)
    assert share.min() >= -1e-12
    # In the Andes the height itself jumps by 1,500 m from cell to cell.
    plain = heights < 1000
    step = np.abs(np.diff(surface.lai.mean("month").values, axis=1))
    assert step[plain[:, 1:] & plain[:, :-1]].max() < 2.5


def test_do_large_rivers_have_wetlands_and_fall_to_the_sea(surface):
    river = surface.isel(lat=RIVER_ROW, lon=slice(12, 60))
    assert river.fwetl.min() > 0.05 and river.fwetl.max() <= 0.3
    assert river.flake.min() > 0.01 and river.flake.max() <= 0.05
    assert (river.vegetation_type == landsurface.FLOODPLAIN).all()
    away = surface.isel(lat=RIVER_ROW + 3)
    assert away.fwetl.max() <= 0.02 and away.flake.max() < 0.005
    trunk = surface.srftopo.isel(lat=RIVER_ROW, lon=slice(16, 60)).values
    assert (np.diff(trunk) < -1).all() and trunk[-1] < 5
