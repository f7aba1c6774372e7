"""Has the twin's weather the Amazon's climate, and does it obey physics?"""

import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr

from hybridlib.study import pet
from hybridlib.study.schema import FORCING, SECONDS_PER_DAY, InputError
from hybridlib.twin import geography, weather
from hybridlib.twin.landsurface import height

DATA = geography.FOLDER
CLIMATE = pd.read_csv(DATA / "climate_3deg.csv")
LAT, LON = np.arange(8.75, -21, -0.5), np.arange(-80.75, -45, 0.5)
OUTLINE = shapely.Polygon(pd.read_csv(DATA / "outline.csv"))
BASIN = shapely.contains_xy(OUTLINE, *np.meshgrid(LON, LAT))
TOWERS = {"K34": (-2.609, -60.209), "K67": (-2.857, -54.959)}


def generate(lat, lon, first, last, seed=1, basin=None):
    basin = np.ones((len(lat), len(lon)), bool) if basin is None else basin
    time = pd.date_range(first, last)
    return weather.generate(lat, lon, height(lat, lon, CLIMATE), time, seed, CLIMATE, basin)


@pytest.fixture(scope="module")
def three_years():
    return generate(LAT, LON, "2006-01-01", "2008-12-31", basin=BASIN)


@pytest.fixture(scope="module")
def purus():
    return generate(LAT[30:44], LON[20:36], "2001-01-01", "2006-12-31")


def monthly_share(expected):
    """Rain by month [mm] from the expected rain of each day of a leap year."""
    months = pd.date_range("2004-01-01", "2004-12-31").month
    return np.stack([expected[months == month].sum(axis=0) for month in range(1, 13)])


def test_do_expected_seasons_sum_to_the_boxes_of_the_table():
    flat = np.zeros((len(LAT), len(LON)))
    rain = monthly_share(weather.expected_rain(CLIMATE, LAT, LON, flat))
    quarters = rain + np.roll(rain, 1, axis=0) + np.roll(rain, -1, axis=0)
    names = ("p_annual_mm", "p_wettest_quarter_mm", "p_driest_quarter_mm")
    boxes = (weather.box_field(CLIMATE, name, LAT, LON)[BASIN] for name in names)
    annual, wettest, driest = boxes
    np.testing.assert_allclose(rain.sum(axis=0)[BASIN], annual, rtol=0.01)
    # Calendar months are up to half a month off the peak.
    np.testing.assert_allclose(quarters.max(axis=0)[BASIN], wettest, rtol=0.06)
    np.testing.assert_allclose(quarters.min(axis=0)[BASIN], driest, atol=30)


def test_does_a_box_keep_its_value_at_its_centre_and_missing_boxes_take_a_neighbours():
    row = CLIMATE.iloc[30]
    found = weather.box_field(CLIMATE, "p_annual_mm", [row.lat], [row.lon])
    assert found.item() == pytest.approx(row.p_annual_mm)
    assert np.isfinite(weather.box_field(CLIMATE, "p_annual_mm", LAT, LON)).all()


@pytest.mark.parametrize(
    ("lat", "lon", "first", "last"),
    [(3.25, -60.75, 5, 7.5), (-12, -58, 0.5, 2.5), (-3, -60, 1.5, 4), (0, -70, 3.5, 6)],
)
def test_is_the_wet_season_where_the_amazon_has_it(lat, lon, first, last):
    assert first < weather.wet_season_peak([lat], [lon]).item() < last


def test_does_rain_keep_its_expected_mean():
    noise = np.random.default_rng(0).standard_normal(400_000)
    for expected in (0.3, 3.0, 12.0):
        rain = weather.rain_amount(expected, noise)
        assert rain.mean() == pytest.approx(expected, rel=0.02)
        assert rain.min() == 0 and np.isfinite(rain).all()
        assert (rain > 0).mean() == pytest.approx(0.85 * (1 - np.exp(-expected / 4)), rel=0.02)


def test_has_correlated_noise_unit_variance_memory_and_reach():
    noise = weather.correlated_noise(np.random.default_rng(3), (4000, 12, 14), 2, 0.5)
    np.testing.assert_allclose(noise.std(axis=0), 1, atol=0.06)
    centre = noise[:, 6, 7]
    assert np.corrcoef(centre[1:], centre[:-1])[0, 1] == pytest.approx(0.5, abs=0.05)
    # A Gaussian kernel of width s gives exp(-d^2 / 4 s^2).
    assert np.corrcoef(centre, noise[:, 6, 9])[0, 1] == pytest.approx(np.exp(-4 / 16), abs=0.06)


def test_are_dry_and_wet_years_where_and_when_they_struck():
    months = pd.period_range("2001-01", "2016-12", freq="M")
    factor = weather.event_factor(months, LAT, LON)
    np.testing.assert_allclose(np.exp(factor).reshape(16, 12, -1).mean(axis=0), 1, atol=1e-9)
    field = xr.DataArray(factor, {"time": months.to_timestamp(), "lat": LAT, "lon": LON})
    assert field.sel(time="2005-07").sel(lat=-9, lon=-69, method="nearest") < -0.15
    assert field.sel(time="2010-08").sel(lat=-9, lon=-64, method="nearest") < -0.15
    assert field.sel(time="2015-12").sel(lat=-1, lon=-58, method="nearest") < -0.15
    assert field.sel(time="2009-04").sel(lat=-1, lon=-58, method="nearest") > 0.1
    assert field.sel(time="2012-03").sel(lat=-4, lon=-73, method="nearest") > 0.1
    assert field.sel(time="2014-02").sel(lat=-13, lon=-66, method="nearest") > 0.1
    assert abs(field.sel(time="2007")).max() < 0.1


def test_is_the_weather_physically_consistent(three_years):
    day = three_years
    assert all(np.isfinite(day[name]).all() and day[name].dtype == np.float32 for name in day)
    assert (day.tasmin < day.tas).all() and (day.tas < day.tasmax).all()
    vapour = pet.vapour_pressure(day.huss, day.ps)
    assert (vapour < pet.saturation_vapour_pressure(day.tas)).all()
    assert day.pr.min() == 0 and min(day[name].min() for name in day if name != "pr") > 0
    top = pet.extraterrestrial_radiation(LAT[:, None], day.time.values)
    assert (day.rsds.values < 0.75 * top * 1.001).all()
    assert (day.rlds < pet.STEFAN_BOLTZMANN * day.tas**4).all()


def test_does_cloud_link_rain_and_sun(three_years):
    place = three_years.sel(lat=-3, lon=-60, method="nearest")
    assert np.corrcoef(place.pr, place.rsds)[0, 1] < -0.3
    assert np.corrcoef(place.tasmax - place.tasmin, place.rsds)[0, 1] > 0.8


def test_is_daily_rain_intermittent_skewed_and_correlated(three_years):
    rain = three_years.pr.values * SECONDS_PER_DAY
    forest = rain[:, BASIN & (weather.box_field(CLIMATE, "p_annual_mm", LAT, LON) > 2000)]
    assert 0.4 < (forest > 1).mean() < 0.75
    wet = forest[forest > 1]
    assert wet.mean() > 1.3 * np.median(wet)
    here = rain[:, 24, 40]
    by_distance = [np.corrcoef(here, rain[:, 24, 40 + step])[0, 1] for step in (2, 6, 20)]
    assert by_distance[0] > 0.6 > by_distance[1] > 0.1
    assert by_distance[2] < 0.2
    assert np.corrcoef(here[1:], here[:-1])[0, 1] > 0.1


def test_does_pressure_fall_with_height_as_in_the_standard_atmosphere(three_years):
    heights = height(LAT, LON, CLIMATE)
    standard = 101_325 * (1 - 0.0065 * heights / 288.15) ** 5.255
    # Tropical air is warmer than the standard's, so pressure falls more slowly.
    ratio = three_years.ps.mean("time") / standard
    assert ratio.min() > 0.99 and ratio.max() < 1.04


def test_does_a_small_window_run_with_its_own_years(purus):
    assert dict(purus.sizes) == {"time": 2191, "lat": 14, "lon": 16}
    annual = purus.pr.groupby("time.year").mean() * SECONDS_PER_DAY * 365.25
    table = weather.box_field(CLIMATE, "p_annual_mm", purus.lat, purus.lon).mean()
    assert float(annual.mean()) == pytest.approx(table, rel=0.15)
    assert float(annual.sel(year=2005).mean()) < float(annual.mean())


def test_has_every_variable_units_and_a_name(purus):
    assert set(purus) == set(FORCING) - {"evspsblpot"}
    for name, field in purus.items():
        assert field.attrs["units"] == FORCING[name].units
        assert FORCING[name].low <= field.min() and field.max() <= FORCING[name].high
        assert {"long_name", "standard_name", "cell_methods"} <= set(field.attrs)


def test_is_a_basin_without_cells_refused():
    nothing = np.zeros((4, 4), bool)
    with pytest.raises(InputError, match="no cell"):
        generate(LAT[:4], LON[:4], "2001-01-01", "2001-01-05", basin=nothing)


def test_does_the_summary_know_a_made_up_climate():
    time = pd.date_range("2001-01-01", "2002-12-31")
    rain = np.where(time.month == 3, 10.0, 2.0) / SECONDS_PER_DAY
    flat = {"pr": 0.0, "tas": 300.0, "huss": 0.015, "ps": 1e5, "sfcwind": 2.0}
    flat |= {"rsds": 200.0, "rlds": 410.0}
    data = {name: (("time", "lat", "lon"), np.full((730, 1, 1), v)) for name, v in flat.items()}
    made = xr.Dataset(data, {"time": time, "lat": [2.0], "lon": [-70.0]})
    made["pr"] = made.pr + xr.DataArray(rain, dims="time")
    table = weather.climate_summary(made, np.ones((1, 1)), [2.0], [-70.0])
    assert list(table.index) == ["basin", "north of the equator", "north-west"]
    assert table.wettest_quarter_mm["basin"] == pytest.approx(14 * 365.25 / 12)
    assert table.wettest_middle_month["basin"] in (2, 3, 4)
    assert table.tas_degc_high["basin"] == pytest.approx(26.85)


@pytest.mark.slow
def test_has_the_full_record_the_seasons_of_the_amazon():
    day = generate(LAT, LON, "2001-01-01", "2016-12-31", basin=BASIN)
    table = weather.climate_summary(day, BASIN, LAT, LON)
    assert table.rain_mm["basin"] == pytest.approx(2156, rel=0.03)
    quarters = {
        "north of the equator": (959, 331),
        "south of 10 S": (760, 91),
        "north-west": (927, 527),
    }
    for region, (wettest, driest) in quarters.items():
        assert table.wettest_quarter_mm[region] == pytest.approx(wettest, rel=0.15)
        assert table.driest_quarter_mm[region] == pytest.approx(driest, rel=0.15)
    assert table.wettest_middle_month["north of the equator"] == 6
    assert table.wettest_middle_month["south of 10 S"] in (1, 2)
    whole = table.loc["basin"]
    assert whole.rsds_w_m2_low > 110 and whole.rsds_w_m2_high < 270
    assert whole.vpd_hpa_low > 1.5 and whole.vpd_hpa_high < 11.5
    assert whole.wind_2m_m_s_low > 0.9 and whole.wind_2m_m_s_high < 2.1

    weights = weather.regions(BASIN, LAT, LON)["basin"]
    rain = day.pr.groupby("time.year").mean().weighted(xr.DataArray(weights, dims=("lat", "lon")))
    anomaly = rain.mean(("lat", "lon")).to_series()
    anomaly = anomaly / anomaly.mean() - 1
    assert 0.04 < anomaly.std() < 0.08
    assert (anomaly[[2005, 2010, 2015, 2016]] < 0).all()
    assert (anomaly[[2009, 2012, 2014]] > 0).all()

    plain = BASIN & (height(LAT, LON, CLIMATE) < 300)
    months = day[["tas", "rlds"]].groupby("time.month").mean()
    tas, rlds = months.tas.values[:, plain] - pet.KELVIN, months.rlds.values[:, plain]
    assert ((tas > 24) & (tas < 28)).mean() > 0.95
    assert ((rlds > 400) & (rlds < 430)).mean() > 0.85

    for lat, lon in TOWERS.values():
        tower = day.sel(lat=lat, lon=lon, method="nearest")
        means = {
            name: float(pet.potential_evaporation(tower, name).mean()) * SECONDS_PER_DAY
            for name in pet.FORMULAS
        }
        assert means["penman-monteith"] == pytest.approx(3.3, abs=0.2)
        assert 3.5 < means["priestley-taylor"] < 4.0
        assert 3.5 < means["hargreaves-samani"] < 5.0
        assert int(tower.rsds.groupby("time.month").mean().idxmax()) in (9, 10)
