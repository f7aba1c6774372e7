"""Is HydroPyNN HydroPy? Every flux and store against runs of the original."""

import cases
import numpy as np
import pytest
import xarray as xr

from hybridlib.metrics import nse
from hybridlib.rnn import VARIABLES, HydroPyNN
from hybridlib.simulate import OUTPUT, per_second

SECONDS = 86400.0
DISCHARGE = ("dis", "rivdis", "freshwater", "riverstor", "infl_subtime")


def _run(groups, dtype, **options):
    model = HydroPyNN.from_landsurface(groups["landsurface"], dtype, **options)
    weather = cases.pack_weather(model, groups["forcing"])
    return model, model.run(weather, variables=VARIABLES)[1]


def _difference(name, ours, groups, model):
    """Largest difference in mm, or for river water relative to max(|value|, 1 m3 s-1)."""
    output = groups["output"]
    days = np.isin(groups["forcing"].time.values, output.time.values)
    theirs = model.basin.pack(output[name])
    if name == "dis":
        # At a sink with land the original counts the sink's own runoff twice.
        theirs = np.where(model.basin.sink, model.basin.pack(output["freshwater"]), theirs)
    theirs = theirs / per_second(name)
    ours = ours[name][days].astype(float)
    if name == "riverstor":
        assert not theirs[:, ours.shape[1] :].any()
        theirs = theirs[:, : ours.shape[1]]
    scale = np.maximum(np.abs(theirs), SECONDS) if name in DISCHARGE else 1.0
    return np.max(np.abs(ours - theirs) / scale)


@pytest.fixture(scope="module", params=["tropical", "cold"])
def case(request):
    groups = cases.reference(request.param)
    runs = {dtype: _run(groups, dtype) for dtype in ("float64", "float32")}
    return groups, runs


@pytest.mark.parametrize("name", VARIABLES)
def test_is_every_flux_and_store_the_originals_in_float64(case, name):
    groups, runs = case
    model, series = runs["float64"]
    assert _difference(name, series, groups, model) <= 1e-9


@pytest.mark.parametrize("name", VARIABLES)
def test_does_float32_stay_within_its_bounds(case, name):
    groups, runs = case
    model, series = runs["float32"]
    bound = 2e-4 if name in DISCHARGE else 2e-3
    assert _difference(name, series, groups, model) <= bound


def test_do_lags_and_reservoirs_follow_from_the_land_surface(case):
    groups, runs = case
    model = runs["float64"][0]
    names = {"lag_sur": "lag_land", "lag_gw": "lag_base", "lag_river": "lag_river"}
    for ours, theirs in names.items():
        expected = model.basin.pack(groups["derived"][theirs])
        np.testing.assert_allclose(getattr(model.lags, ours), expected, rtol=1e-12)
    reservoirs = model.basin.pack(groups["derived"]["ncasc_river"]).astype(int)
    np.testing.assert_array_equal(model.lags.reservoirs, reservoirs)


def test_does_water_close_in_every_cell_on_every_day(case):
    _, runs = case
    model, series = runs["float64"]
    land, river = model.water_balance(series, model.empty_state())
    assert np.abs(land).max() <= 1e-9
    assert np.abs(river).max() <= 1e-9


def test_do_the_reference_cases_exercise_what_they_should(case):
    groups, runs = case
    _, series = runs["float64"]
    cold = groups["landsurface"]["perm"].max() > 0
    assert (series["swe"].max() > 100) == bool(cold)
    assert len(np.unique(runs["float64"][0].lags.reservoirs)) >= 4


def test_is_every_output_described():
    assert set(OUTPUT) == set(VARIABLES)


@pytest.mark.parametrize("name", ["tropical", "cold", "moselle"])
def test_are_the_full_reference_runs_met_too(name):
    path = cases.shared(f"reference/{name}.nc")
    groups = {g: xr.open_dataset(path, group=g) for g in ("landsurface", "forcing", "output")}
    # The Moselle's reference run took the spacing of its rows as 0.2157 degrees.
    options = {"latitude_step": 0.2157} if name == "moselle" else {}
    model, series = _run(groups, "float64", **options)
    for variable in groups["output"].data_vars:
        assert _difference(variable, series, groups, model) <= 1e-9, variable


def test_is_the_originals_score_on_the_moselle_met():
    groups = {
        group: xr.open_dataset(cases.shared("reference/moselle.nc"), group=group)
        for group in ("landsurface", "forcing")
    }
    observed = xr.open_dataset(cases.shared("real/moselle/discharge.nc")).discharge[:, 0]
    model, series = _run(groups, "float64", latitude_step=0.2157)
    simulated = xr.DataArray(
        series["dis"][:, model.basin.sink][:, 0] / SECONDS,
        coords={"time": groups["forcing"].time},
        dims="time",
    )
    scores = {}
    for period in (("1990", "1991"), ("1992", "1993")):
        seen = observed.sel(time=slice(*period))
        scores[period[0]] = float(nse(simulated.sel(time=seen.time), seen))
    assert scores["1990"] == pytest.approx(0.78, abs=0.005)
    assert scores["1992"] == pytest.approx(0.86, abs=0.005)
