"""Is what a day knows of land and weather what HydroPy knows?"""

import datetime

import cases
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridlib.hydropy.land import (
    day_length,
    months_around,
    prepare_land,
    prepare_weather,
    snowfall_share,
)
from hybridlib.hydropy.model import HydroPyNN
from hybridlib.study.basin import Basin
from hybridlib.study.schema import InputError, cell_areas


@pytest.mark.parametrize(
    ("day", "month"),
    [("2003-01-16", 0), ("2003-02-14 12:00", 1), ("2004-02-15", 1), ("2003-04-15 12:00", 3)],
)
def test_does_a_mid_month_stamp_fall_where_hydropy_puts_it(day, month):
    day = pd.Timestamp(day)
    around = months_around(pd.DatetimeIndex([day.normalize()]))
    before, after, share = (values[0] for values in around)
    assert month in (before, after)
    nearness = share if after == month else 1 - share
    hours = (day - day.normalize()) / pd.Timedelta(days=1)
    assert nearness == pytest.approx(1 - hours / 30, abs=0.002)


@given(st.dates(datetime.date(1990, 1, 1), datetime.date(2030, 12, 31)))
def test_does_interpolation_stay_between_neighbouring_months(date):
    before, after, share = (v[0] for v in months_around(pd.DatetimeIndex([pd.Timestamp(date)])))
    assert (before + 1) % 12 == after and 0 <= share < 1
    assert pd.Timestamp(date).month - 1 in (before, after)


def test_is_the_year_closed_in_a_leap_year_too():
    first = months_around(pd.DatetimeIndex(["2004-01-01"]))
    assert first[0][0] == 11 and first[1][0] == 0
    # 16 December 2004, less 365 days, lies 15 days before; mid-January 15 days after.
    assert first[2][0] == pytest.approx(15 / 30)


def test_how_does_precipitation_split_into_rain_and_snow():
    shares = snowfall_share(np.array([272.05, 274.25, 276.45, 250.0, 300.0]))
    np.testing.assert_allclose(shares, [1.0, 0.5, 0.0, 1.0, 0.0], atol=1e-12)


def test_how_long_are_days():
    days = pd.DatetimeIndex(["2003-03-21", "2003-06-21", "2003-12-21"])
    hours = day_length(days, np.array([0.0, 50.0, 80.0, -80.0]))
    np.testing.assert_allclose(hours[:, 0], 12.0)
    assert hours[1, 1] == pytest.approx(16.1, abs=0.3)
    assert hours[1, 2] == 24.0 and hours[1, 3] == 0.0 and hours[2, 2] == 0.0


def test_does_a_day_at_the_freezing_point_thaw():
    tas = np.array([[273.15, np.nextafter(273.15, 0)]])
    time = pd.DatetimeIndex(["2003-07-01"])
    melt = prepare_weather(tas * 0, tas, tas * 0, time, np.array([-3.0, -3.0])).melt
    assert melt[0, 0] == 0.0 and melt[0, 1] < 0.0
    assert (melt.astype("float32") < 0).tolist() == [[False, True]]


def test_does_permafrost_shrink_the_soil():
    land = cases.landsurface()
    land["perm"][:] = 0.5
    basin = Basin.from_landsurface(land)
    fields = prepare_land(land, basin)
    wcap = basin.pack(land.wcap)
    expected = 50.0 * 0.5 + wcap * 0.5
    np.testing.assert_allclose(fields.wcap, expected)
    np.testing.assert_allclose(fields.wmin / basin.pack(land.wmin), expected / wcap)


def test_are_monthly_lakes_taken_as_they_are():
    land = cases.landsurface()
    months = land.fveg * 0 + 0.01 * land.month
    land["flake"] = months.assign_attrs(units="/")
    flake = prepare_land(land, Basin.from_landsurface(land)).flake
    assert flake.shape == (12, 12)
    np.testing.assert_allclose(flake[11, 0], 0.12)


def test_does_a_sea_cell_carry_harmless_values():
    land = cases.landsurface()
    land["lsm"][2, 3] = 0
    for name in ("wcap", "wmin", "wmax", "slope_avg", "fveg"):
        land[name][..., 2, 3] = np.nan
    for field in prepare_land(land, Basin.from_landsurface(land)):
        assert np.isfinite(field).all()


def test_is_a_row_without_area_in_its_second_column_refused():
    land = cases.landsurface()
    land["area"][0, 1] = np.nan
    land["lsm"][0, :2] = 0
    with pytest.raises(InputError, match="column 2 has no area in the row at lat -2.25"):
        HydroPyNN.from_landsurface(land, "float64")
    HydroPyNN.from_landsurface(land, "float64", zonal_length="geometric")


def _lag(land, zonal_length):
    return HydroPyNN.from_landsurface(land, "float64", zonal_length=zonal_length).lags.lag_river


def test_come_lengths_from_the_coordinates_where_a_cell_is_cut():
    land = cases.landsurface()
    whole = cell_areas(land.lat.values, land.lon.values)
    land["area"].values[:] = 1.005 * whole
    np.testing.assert_array_equal(_lag(land, "auto"), _lag(land, "original"))
    land["area"].values[1, 2] = 0.98 * whole[1, 2]
    np.testing.assert_array_equal(_lag(land, "auto"), _lag(land, "geometric"))


def test_takes_the_fortran_length_the_first_column_and_the_original_the_second():
    land = cases.landsurface()
    land["area"].values[:, 0] *= 0.5
    first, second = (_lag(land, name) for name in ("fortran", "original"))
    land["area"].values[:, 1] *= 0.5
    assert not np.array_equal(first, second)
    east = np.s_[4:6]  # cells whose own area stays and whose river flows along the row
    both = _lag(land, "original")
    np.testing.assert_allclose(both[east][1:], first[east][1:])
