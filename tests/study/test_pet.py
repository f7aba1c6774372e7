"""Do the three formulas give FAO-56's, pyet's and physics' answers?"""

import numpy as np
import pandas as pd
import pyet
import pytest
import xarray as xr

from hybridlib.study import pet
from hybridlib.study.schema import InputError

DAY = 86400
MEGAJOULE = 1e6 / DAY  # MJ m-2 d-1 in W m-2


@pytest.fixture
def weather():
    """A year of plausible, uncorrelated days, as pandas Series in the schema's units."""
    rng = np.random.default_rng(1)
    time = pd.date_range("2004-01-01", "2004-12-31")
    tas = rng.uniform(275, 305, len(time))
    values = {
        "tas": tas,
        "tasmin": tas - rng.uniform(2, 8, len(time)),
        "tasmax": tas + rng.uniform(2, 8, len(time)),
        "ps": rng.uniform(60_000, 102_000, len(time)),
        "huss": rng.uniform(0.1, 0.95, len(time)) * 0.004,
        "sfcwind": rng.uniform(0, 6, len(time)),
        "rsds": rng.uniform(80, 350, len(time)),
        "rlds": rng.uniform(300, 430, len(time)),
    }
    return pd.DataFrame(values, index=time)


def test_does_penman_monteith_equal_pyet(weather):
    six = {name: weather[name] for name in pet.FORMULAS["penman-monteith"].variables}
    net = pet.net_radiation(weather.tas, weather.rsds, weather.rlds)
    expected = pyet.pm_fao56(
        weather.tas - 273.15,
        weather.sfcwind * 4.87 / np.log(67.8 * 10 - 5.42),
        rn=net / MEGAJOULE,
        pressure=weather.ps / 1000,
        ea=pet.vapour_pressure(weather.huss, weather.ps) / 1000,
    )
    found = pet.penman_monteith(**six) * DAY
    # pyet rounds 1 / 2.45 to 0.408 and gamma's divisor is the same, so 0.1 % remains.
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_does_priestley_taylor_equal_pyet(weather):
    net = pet.net_radiation(weather.tas, weather.rsds, weather.rlds)
    celsius = weather.tas - 273.15
    expected = pyet.priestley_taylor(celsius, rn=net / MEGAJOULE, pressure=weather.ps / 1000)
    # pyet lets the latent heat vary with temperature; FAO-56 and we hold 2.45 MJ kg-1.
    expected = expected * (2.501 - 0.002361 * celsius) / 2.45
    found = pet.priestley_taylor(weather.tas, weather.ps, weather.rsds, weather.rlds) * DAY
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("lat", [5.0, -3.0, -20.0])
def test_does_hargreaves_samani_equal_pyet(weather, lat):
    celsius = weather[["tas", "tasmax", "tasmin"]] - 273.15
    expected = pyet.hargreaves(celsius.tas, celsius.tasmax, celsius.tasmin, np.deg2rad(lat))
    expected = expected * (2.501 - 0.002361 * celsius.tas) / 2.45
    arguments = (weather[name].to_numpy() for name in ("tas", "tasmin", "tasmax"))
    found = pet.hargreaves_samani(*arguments, lat, weather.index) * DAY
    np.testing.assert_allclose(found, expected, rtol=5e-4)


def test_is_radiation_at_the_top_of_the_atmosphere_that_of_fao_example_8():
    found = pet.extraterrestrial_radiation(-20.0, pd.Timestamp("2015-09-03")) / MEGAJOULE
    assert found.item() == pytest.approx(32.2, abs=0.05)


def test_is_it_dark_in_the_polar_night():
    top = pet.extraterrestrial_radiation(np.array([80.0, -80.0]), pd.Timestamp("2015-12-21"))
    assert top[0, 0] == 0 and top[0, 1] > 500


def test_is_reference_evapotranspiration_that_of_fao_example_18():
    # Uccle, 6 July: es = 1.997 kPa over Tmin and Tmax, 1.91 kPa at the mean of 16.9 degC.
    actual, pressure, net_longwave = 1409.0, 100_100.0, 3.71
    tas = 16.9 + 273.15
    blackbody = pet.STEFAN_BOLTZMANN * tas**4
    inputs = {
        "tas": tas,
        "ps": pressure,
        "huss": 0.622 * actual / (pressure - 0.378 * actual),
        "rsds": 22.07 * MEGAJOULE,
        "rlds": blackbody - net_longwave * MEGAJOULE / pet.EMISSIVITY,
    }
    found = pet.penman_monteith(sfcwind=10 / 3.6, **inputs) * DAY
    # 3.9 mm/d in the book; the mean temperature takes about 0.1 off it.
    assert 3.70 < found < 3.88
    assert pet.wind_factor() * 10 / 3.6 == pytest.approx(2.078, abs=0.002)


def test_are_the_constants_those_of_the_fao_tables():
    assert pet.saturation_vapour_pressure(273.15 + 25) == pytest.approx(3168, abs=1)  # table 2.3
    assert pet.vapour_pressure_slope(273.15 + 25) == pytest.approx(188.8, abs=0.5)  # table 2.4
    assert pet.psychrometric_constant(101_300.0) == pytest.approx(67.4, abs=0.1)  # table 2.2
    assert pytest.approx(5.67e-8, rel=1e-3) == pet.STEFAN_BOLTZMANN


def test_is_no_formula_ever_negative():
    cold = {"tas": 270.0, "ps": 9e4, "rsds": 0.0, "rlds": 150.0}
    assert pet.penman_monteith(huss=0.0025, sfcwind=0.0, **cold) == 0
    assert pet.priestley_taylor(**cold) == 0
    frozen = np.array([230.0])
    assert pet.hargreaves_samani(frozen, frozen - 5, frozen + 5, 0.0, ["2001-01-01"]) == 0
    assert pet.hargreaves_samani(frozen + 70, frozen, frozen - 5, 0.0, ["2001-01-01"]) == 0


def test_is_calm_saturated_air_evaporating_by_energy_alone():
    tas, ps, rsds, rlds = 300.0, 1e5, 200.0, 420.0
    vapour = pet.saturation_vapour_pressure(tas)
    huss = 0.622 * vapour / (ps - 0.378 * vapour)
    calm = pet.penman_monteith(tas, huss, ps, 0.0, rsds, rlds)
    assert calm * pet.ALPHA == pytest.approx(pet.priestley_taylor(tas, ps, rsds, rlds))
    assert pet.penman_monteith(tas, huss / 2, ps, 3.0, rsds, rlds) > calm


def test_does_float32_stay_float32_and_close(weather):
    single = weather.astype("float32")
    six = pet.FORMULAS["penman-monteith"].variables
    found = pet.penman_monteith(*(single[name].to_numpy() for name in six))
    expected = pet.penman_monteith(*(weather[name].to_numpy() for name in six))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-9)


@pytest.mark.parametrize("formula", pet.FORMULAS)
def test_does_a_formula_chosen_by_name_run_on_grids_and_on_cells(weather, formula):
    lat, lon = np.array([2.0, -8.0]), np.array([-60.0, -59.0, -58.0])
    grid = weather.to_xarray().rename(index="time").expand_dims(lat=lat, lon=lon, axis=(1, 2))
    before, cells = grid.copy(deep=True), grid.stack(cell=("lat", "lon")).reset_index("cell")
    by_grid = pet.potential_evaporation(grid, formula)
    by_cell = pet.potential_evaporation(cells, formula)
    assert by_grid.attrs["units"] == "kg m-2 s-1" and by_grid.dims == ("time", "lat", "lon")
    np.testing.assert_array_equal(by_grid.values.reshape(by_cell.shape), by_cell.values)
    xr.testing.assert_identical(grid, before)
    if formula == "hargreaves-samani":
        assert (by_grid.isel(lat=0) != by_grid.isel(lat=1)).any()


def test_does_a_missing_variable_or_formula_say_its_name(weather):
    forcing = weather.drop(columns="huss").to_xarray().rename(index="time")
    with pytest.raises(InputError, match="huss is missing"):
        pet.potential_evaporation(forcing)
    with pytest.raises(InputError, match="thornthwaite"):
        pet.potential_evaporation(forcing, "thornthwaite")
