"""Is every input that cannot be used refused with a sentence, and nothing lost?"""

import shutil

import cases
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from cases import drop, pick, put, units

from hybridlib.hydropy.simulate import OUTPUT, simulate, study_model, study_weather
from hybridlib.study.basin import Basin
from hybridlib.study.instruments import total_water_anomaly
from hybridlib.study.metrics import nse
from hybridlib.study.prepare import place_gauges, prepare
from hybridlib.study.schema import InputError, cell_areas
from hybridlib.study.store import open_study


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The folder of a good set of files."""
    folder = tmp_path_factory.mktemp("good")
    land = cases.landsurface()
    datasets = {"landsurface": land, "forcing": cases.forcing(land), "discharge": cases.discharge()}
    for name, dataset in datasets.items():
        dataset.to_netcdf(folder / f"{name}.nc")
    return folder


@pytest.fixture
def paths(good, tmp_path):
    """Paths of the good set of files, in a place of their own."""
    shutil.copytree(good, tmp_path, dirs_exist_ok=True)
    return {name: tmp_path / f"{name}.nc" for name in ("landsurface", "forcing", "discharge")}


@pytest.fixture
def inputs(paths):
    """What a run reads."""
    return paths["landsurface"], paths["forcing"]


@pytest.fixture
def spoil(paths):
    """Spoil one of the files."""

    def spoil(name, change):
        with xr.open_dataset(paths[name]) as dataset:
            changed = change(dataset.load().drop_encoding())
        changed.to_netcdf(paths[name])

    return spoil


@pytest.fixture
def prepared(paths, tmp_path):
    """Prepare a study of the files as they are by then."""
    return lambda *more: prepare(*paths.values(), tmp_path / "study.zarr", *more)


def _times(start, freq="D"):
    """Other dates, 400 of them."""
    return lambda d: d.assign_coords(time=pd.date_range(start, periods=400, freq=freq))


BAD = {
    "forcing": [
        (drop("PET"), "variable evspsblpot .*PET.* is missing; found Precip"),
        (units("Precip", "mm/day"), "Precip has units 'mm/day'; expected 'kg m-2 s-1'"),
        (units("TSurf", "degC"), "TSurf has units 'degC'; expected 'K'"),
        (units("TSurf"), "TSurf has no units; expected 'K'"),
        (put("TSurf", 26.85, 0, 0, 0), "tas is 26.8.* expected a value from 150 to 350 K"),
        (put("Precip", np.nan, 40, 1, 2), "pr is missing .* lat -2.75, lon -59.25 on 2003-02-10"),
        (put("Precip", -1e-5, 7, 0, 0), "pr is -1e-05 kg m-2 s-1 at .* lon -60.25 on 2003-01-08"),
        (lambda d: d.drop_isel(time=100), "days are missing between 2003-04-10 and 2003-04-12"),
        (pick(time=[0, 1, 1, 2, 3]), "2003-01-02 stands twice in time"),
        (pick(time=[0, 2, 1, 3]), "time does not increase after 2003-01-03"),
        (_times("2003", "3h"), "steps of 0.125 days; expected daily"),
        (_times("2003", "MS"), "steps of 31 days; expected daily"),
        (lambda d: d.assign_coords(lon=d.lon + 0.25), "lon.0. is -60; .*landsurface.nc has -60.25"),
        (pick(lat=slice(0, 2)), "lat has 2 values; .*landsurface.nc has 3"),
        (lambda d: d.assign(PET=d.PET.isel(lon=0, drop=True)), "PET has dimensions time, lat;"),
        (lambda d: d.assign(pr=d.Precip), "pr and Precip both stand for pr"),
        (lambda d: d.rename(lat="latitude", lon="longitude"), "coordinate lat is missing"),
    ],
    "landsurface": [
        (drop("beta"), "variable beta is missing"),
        (drop("lsm"), "variable lsm is missing"),
        (put("rout_lon", 0, 1, 1), "cycle"),
        (put("wmin", 500.0, 1, 1), "wmin is 500 mm and wmax is 430 mm at lat -2.75, .* below wmax"),
        (put("wava", 400.0, 0, 0), "expected wava at most wcap"),
        (put("slope_avg", np.nan, 2, 2), "slope_avg is missing .NaN. at lat -3.25, lon -59.25"),
        (pick(month=slice(11)), "fveg has 11 months .*; expected 12"),
        (lambda d: d.roll(month=3, roll_coords=True), "months .10, 11, 12, 1, .* expected 12, Ja"),
        (put("fveg", 70.0, 4, 1, 1), "fveg is 70 / at lat -2.75, .* 1.01"),
        (put("lsm", 100.0, 1, 1), "lsm is 100 / at lat -2.75"),
        (put("wcap", np.inf, 1, 1), "wcap is inf kg m-2 at lat -2.75"),
        (units("area", "km2"), "area has units 'km2'; expected 'm2'"),
        (lambda d: d.assign(wcap=d.wcap.expand_dims(time=1)), "time, lat, lon; expected lat, lon"),
        (lambda d: d.assign_coords(lat=[-2.25, -2.75, -9.0]), "lat goes in steps of 0.5 to 6.25"),
        (pick(lat=[0, 2, 1]), "lat is not strictly monotonic"),
    ],
}


@pytest.mark.parametrize(
    ("name", "change", "sentence"), [(name, *case) for name in BAD for case in BAD[name]]
)
def test_is_a_bad_file_refused_by_a_run_and_a_study_and_nothing_written(
    paths, inputs, spoil, prepared, tmp_path, name, change, sentence
):
    spoil(name, change)
    output = tmp_path / "out.nc"
    output.write_text("older result")
    with pytest.raises(InputError, match=sentence) as error:
        simulate(*inputs, output, variables=("dis",))
    assert str(paths[name]) in str(error.value)
    with pytest.raises(InputError, match=sentence):
        prepared()
    assert output.read_text() == "older result"
    assert not [*tmp_path.glob("*.part"), *tmp_path.glob("study*")]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.assign(station_lat=("station", [30.0])), "gauge Mouth: lat 30, .* outside"),
        (put("discharge", -3.0, 5, 0), "discharge is -3 m3 s-1 at station Mouth on 2003-01-06"),
        (units("discharge", "mm/d"), "discharge has units 'mm/d'; expected 'm3 s-1'"),
        (drop("station_lon"), "station_lon is missing"),
        (lambda d: d.drop_isel(time=3), "days are missing between 2003-01-03 and 2003-01-05"),
        (units("area", "m2"), "area has units 'm2'; expected 'km2'"),
        (put("area", -3.0, 0), "area is -3 km2 at station Mouth"),
        (put("station_lat", np.nan, 0), "station_lat is missing .NaN. at station Mouth"),
        (put("discharge", np.inf, 5, 0), "discharge is inf m3 s-1 at station Mouth"),
        (pick(station=[0, 0]), "station Mouth stands twice"),
        (pick(station=[]), "coordinate station is missing"),
        (lambda d: d.rename(station="id"), "discharge has dimensions time, id; expected time, st"),
        (_times("1950"), "discharge runs from 1950-01-01 .* the weather from 2003-01-01"),
    ],
)
def test_are_bad_gauges_refused(spoil, prepared, change, sentence):
    spoil("discharge", change)
    with pytest.raises(InputError, match=sentence):
        prepared()


@pytest.mark.parametrize(
    ("published", "lat"),
    [(78e3, -5.25), (85e3, -5.75), (60e3, -4.75), (100e3, -5.25), (np.nan, -5.25)],
)
def test_does_a_gauge_move_only_from_an_area_that_does_not_fit_to_one_that_does(published, lat):
    """Its own cell drains 70,000 km2, the one below 80,000, the one above 60,000; 15 % fit."""
    places = {"station_lat": [-5.25], "station_lon": [-58.75], "area": [published]}
    gauges = xr.Dataset({k: ("station", v) for k, v in places.items()}, {"station": ["Mouth"]})
    placed = place_gauges(gauges, Basin.from_landsurface(cases.landsurface(8, 4)), "file")
    assert placed.cell_lat.item() == lat and placed.snapped.item() == (lat != -5.25)
    area = {-4.75: 6e4, -5.25: 7e4, -5.75: 8e4}[lat]
    assert placed.cell_area.item() == pytest.approx(area)


def test_is_a_prepared_study_what_went_in(paths, prepared):
    study = prepared()
    forcing = xr.open_dataset(paths["forcing"])
    np.testing.assert_allclose(study.forcing.pr, forcing.Precip, rtol=1e-7)
    assert study.forcing.pr.attrs["units"] == "kg m-2 s-1"
    assert study.attributes.sizes == {"lat": 3, "lon": 4} and len(study.attributes) == 21
    assert int(study.discharge.discharge.isnull().sum()) == 5
    assert float(study.discharge.cell_area[0]) == pytest.approx(3.0e4)
    assert study.attrs["source"] == "real"
    with pytest.raises(InputError, match="the study has no twsa; found attributes, discharge"):
        _ = study.twsa


def test_does_a_study_run_as_its_files_do(inputs, prepared, tmp_path):
    study = prepared()
    model = study_model(study, "float64")
    _, series = model.run(study_weather(study, model))
    simulate(*inputs, tmp_path / "o.nc", variables=("dis",))
    written = model.basin.pack(xr.open_dataset(tmp_path / "o.nc").dis) * 86400.0
    # The study keeps its weather in float32.
    np.testing.assert_allclose(series["dis"], written, rtol=1e-4)


def _partly_land(dataset):
    """A third of the cells land in part, some of it ice; areas are those of whole cells."""
    whole = cell_areas(dataset.lat.values, dataset.lon.values)
    dataset["area"].values[:], dataset["lsm"].values[:, 1] = whole, 0.6
    ice = np.where(dataset.lsm < 1, 0.25, 0.0)
    return dataset.assign(glacier=(("lat", "lon"), ice, {"units": "/"}))


def test_is_area_in_a_study_its_land_and_the_hydrograph_that_of_the_files(
    inputs, prepared, spoil, tmp_path
):
    spoil("landsurface", _partly_land)
    study = prepared()
    whole = cell_areas(study.basin.lat, study.basin.lon)
    share = np.where(np.arange(4) == 1, 0.45, 1.0)
    np.testing.assert_allclose(study.landsurface.area, whole * share)
    np.testing.assert_allclose(study.landsurface.cell_area, whole)
    assert set(np.unique(study.landsurface.lsm)) == {1.0} and "glacier" not in study.landsurface
    simulate(*inputs, tmp_path / "o.nc", variables=("dis",), zonal_length="geometric")
    model = study_model(study, "float64")
    written = model.basin.pack(xr.open_dataset(tmp_path / "o.nc").dis) * 86400.0
    _, series = model.run(study_weather(study, model))
    np.testing.assert_allclose(series["dis"], written, rtol=1e-4)


def test_is_a_land_surface_refused_whose_land_and_area_are_both_partial(prepared, spoil):
    def change(dataset):
        return _partly_land(dataset).assign(area=0.6 * dataset.area)

    spoil("landsurface", change)
    with pytest.raises(InputError, match="partial in 3 cells and area is partial in 12, such as"):
        prepared()


def test_are_lengths_those_of_the_study_where_a_cell_is_cut(inputs, prepared, spoil, tmp_path):
    spoil("landsurface", cases.put("area", 1e9, 1, 2))
    study, said = prepared(), []
    simulate(*inputs, tmp_path / "o.nc", variables=("dis",), note=said.append)
    assert said[0].startswith("lengths of reaches from the coordinates: a cell's area is off")
    model = study_model(study, "float64")
    written = model.basin.pack(xr.open_dataset(tmp_path / "o.nc").dis) * 86400.0
    _, series = model.run(study_weather(study, model))
    np.testing.assert_allclose(series["dis"], written, rtol=1e-4)


@pytest.mark.parametrize(
    ("content", "told"),
    [("", "L.nc: not a NetCDF file"), ("text", "L.nc: not a NetCDF file"), (None, "no such file")],
)
def test_is_a_file_that_is_no_netcdf_or_not_there_refused(tmp_path, content, told):
    path = tmp_path / "L.nc"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=told):
        simulate(path, path, tmp_path / "o.nc")
    with pytest.raises(InputError, match="no prepared study here"):
        open_study(tmp_path / "study.zarr")


def test_are_the_file_s_units_and_names_hydropys(inputs, tmp_path):
    simulate(*inputs, tmp_path / "o.nc")
    written = xr.open_dataset(tmp_path / "o.nc")
    assert set(written.data_vars) == set(OUTPUT)
    assert written.dis.attrs["units"] == "m3 s-1" and written.evap.attrs["units"] == "kg m-2 s-1"
    assert written.riverstor.dims == ("time", "res", "lat", "lon")
    assert written.indexes["time"].equals(pd.date_range("2003-01-01", periods=400))


def test_does_a_restart_file_give_the_numbers_of_one_long_run(inputs, tmp_path):
    whole = tmp_path / "whole.nc"
    simulate(*inputs, whole)
    forcing = xr.open_dataset(inputs[1]).load()
    last = None
    for k, part in enumerate((slice(0, 200), slice(200, None))):
        path = tmp_path / f"part{k}.nc"
        forcing.isel(time=part).to_netcdf(path)
        output, restart = tmp_path / f"out{k}.nc", tmp_path / f"restart{k}.nc"
        options = {"restart_in": last, "restart_out": restart}
        simulate(inputs[0], path, output, **options)
        last = restart
    parts = xr.open_mfdataset([tmp_path / "out0.nc", tmp_path / "out1.nc"]).load()
    xr.testing.assert_identical(parts, xr.open_dataset(whole).load())


@pytest.fixture(scope="module")
def restart(good, tmp_path_factory):
    """The stores after a run."""
    folder = tmp_path_factory.mktemp("restart")
    files = (*(good / f"{name}.nc" for name in ("landsurface", "forcing")), folder / "o.nc")
    simulate(*files, variables=("dis",), restart_out=folder / "restart.nc")
    return folder / "restart.nc"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (drop("swe"), "variable swe is missing"),
        (put("rootmoist", np.nan, 1, 1), "rootmoist is missing .NaN. at lat -2.75, lon -59.75"),
        (pick(lat=slice(2)), "lat has 2 values"),
        (pick(res=slice(2)), "riverstor has 2 reservoirs; expected 5"),
        (put("swe", -5.0, 0, 0), "swe is -5 kg m-2 at lat -2.25, lon -60.25"),
        (put("rootmoist", 1e6, 0, 0), "rootmoist is 1e.06 kg m-2"),
        (units("swe", "m"), "swe has units 'm'; expected 'kg m-2'"),
    ],
)
def test_is_a_bad_restart_refused(inputs, restart, tmp_path, change, sentence):
    change(xr.open_dataset(restart).load()).to_netcdf(tmp_path / "bad.nc")
    with pytest.raises(InputError, match=sentence):
        simulate(*inputs, tmp_path / "o.nc", restart_in=tmp_path / "bad.nc", any_date=True)


def test_is_a_restart_of_another_date_refused_unless_wanted(inputs, restart, tmp_path):
    output = tmp_path / "o.nc"
    with pytest.raises(InputError, match="those after 2004-02-04; expected 2002-12-31"):
        simulate(*inputs, output, restart_in=restart)
    simulate(*inputs, output, variables=("dis",), restart_in=restart, any_date=True)
    assert output.exists()


@pytest.mark.parametrize(
    ("output", "restart_out", "sentence"),
    [
        ("landsurface.nc", None, "is an input or another output of this run"),
        ("forcing.nc", None, "is an input or another output of this run"),
        ("o.nc", "landsurface.nc", "is an input or another output of this run"),
        ("o.nc", "forcing.nc", "is an input or another output of this run"),
        (".", None, "is a folder; expected a file"),
        ("o.nc", "nowhere/r.nc", "the folder .*nowhere does not exist"),
    ],
)
def test_are_inputs_and_impossible_targets_refused_before_the_run(
    inputs, tmp_path, output, restart_out, sentence
):
    before = cases.contents(tmp_path)
    with pytest.raises(InputError, match=sentence):
        simulate(*inputs, tmp_path / output, restart_out=restart_out and tmp_path / restart_out)
    assert cases.contents(tmp_path) == before


def test_does_the_order_of_dimensions_not_matter(inputs, spoil, tmp_path):
    simulate(*inputs, tmp_path / "a.nc", variables=("dis",))
    spoil("landsurface", lambda d: d.transpose("lon", "month", "lat"))
    spoil("forcing", lambda d: d.transpose("lon", "lat", "time"))
    simulate(*inputs, tmp_path / "b.nc", variables=("dis",))
    a, b = (xr.open_dataset(tmp_path / f"{n}.nc").load() for n in "ab")
    xr.testing.assert_identical(a, b)


def test_do_missing_values_over_the_sea_stay_there(inputs, spoil, tmp_path):
    def drown(dataset):
        for name in set(dataset.data_vars) - {"lsm", "rout_lat", "rout_lon"}:
            dataset[name][..., 2, 3] = np.nan
        return dataset

    spoil("landsurface", lambda d: drown(put("lsm", 0, 2, 3)(d)))
    spoil("forcing", drown)
    simulate(*inputs, tmp_path / "o.nc")
    written = xr.open_dataset(tmp_path / "o.nc")
    assert written.dis.notnull().all()
    assert int(written.evap.isnull().isel(time=0).sum()) == 1
    assert float(written.freshwater[-1].max()) > 0


def test_does_a_day_at_the_freezing_point_stay_there_in_a_study(spoil, prepared):
    spoil("forcing", put("TSurf", 273.15))
    study = prepared()
    assert not (study_weather(study, study_model(study)).melt.numpy() < 0).any()


def test_is_nothing_but_a_study_replaced(paths, prepared, tmp_path):
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    for place in (folder, folder / "thesis.txt"):
        with pytest.raises(InputError, match="something that is no study stands here"):
            prepare(*paths.values(), place)
    assert (folder / "thesis.txt").read_text() == "years of work"
    prepared()
    assert prepared().basin.size == 12


def test_are_observed_and_simulated_storage_referred_to_one_baseline(prepared, tmp_path):
    cases.storage().to_netcdf(tmp_path / "T.nc")
    with pytest.raises(InputError, match="no month between 2004-01 and 2009-12 is observed"):
        prepared(tmp_path / "T.nc")
    cases.storage(baseline_first="2003-01", baseline_last="2003-12").to_netcdf(tmp_path / "S.nc")
    study = prepared(tmp_path / "S.nc")
    np.testing.assert_allclose(study.twsa.twsa.mean("month"), 0.0, atol=1e-12)
    tws = np.asarray(study.days.month, float)[:, None] * np.ones((1, study.basin.size))
    found = total_water_anomaly(tws, study.days, study.basin, study.twsa)
    np.testing.assert_allclose(found[:, 0], np.arange(1.0, 13.0) - 6.5)


def test_does_the_command_replace_a_study_only_when_told_to(paths, tmp_path, capsys):
    given = [f"--{name}={path}" for name, path in paths.items()]
    command = ["prepare", *given, f"--output={tmp_path / 'study.zarr'}"]
    for more, code, told in (([], 0, ""), ([], 2, "a study stands here;"), (["--force"], 0, "")):
        ended = cases.run_command(capsys, *command, *more)
        assert ended[0] == code and told in ended[2]


@pytest.fixture
def command(inputs, tmp_path, capsys):
    """Run `hybridlib simulate` on the files; return its exit code and what it told."""
    given = [f"--{path.stem}={path}" for path in inputs]
    output = f"--output={tmp_path / 'o.nc'}"
    return lambda *more: cases.run_command(capsys, "simulate", *given, output, *more)[::2]


def test_does_the_command_line_say_it_in_one_sentence(spoil, command):
    spoil("forcing", units("Precip", "mm/day"))
    code, told = command()
    assert code == 2
    assert "forcing.nc: Precip has units 'mm/day'; expected 'kg m-2 s-1'" in told


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--dtype=float16", "dtype is 'float16'; expected float32 or float64"),
        ("--variables=dis,snow", "variable 'snow' is unknown"),
        ("--variables=", "no variable is asked for"),
        ("--zonal-length=long", "zonal length 'long' is unknown"),
    ],
)
def test_are_wrong_options_refused(command, option, sentence):
    code, told = command(option)
    assert code == 2 and sentence in told


def test_does_a_run_through_the_command_line_end_well(command, tmp_path):
    code, told = command("--variables=dis,tws,dis")
    assert code == 0 and "o.nc: 2 variables" in told
    assert set(xr.open_dataset(tmp_path / "o.nc").data_vars) == {"dis", "tws"}


def test_does_the_real_moselle_come_through_the_same_door(tmp_path):
    folder = cases.shared("real/moselle/landsurface.nc").parent
    names = ("landsurface", "forcing", "discharge")
    study = prepare(*(folder / f"{name}.nc" for name in names), tmp_path / "moselle.zarr")
    model = study_model(study, zonal_length="original", latitude_step=0.2157)
    _, series = model.run(study_weather(study, model))
    seen = study.discharge.discharge
    simulated = series["dis"][:, study.gauge_cells] / 86400.0
    simulated = xr.DataArray(simulated, {"time": study.days}, ("time", "station"))
    late = slice("1992", "1993")
    score = nse(simulated.sel(time=late), seen.sel(time=late))
    assert score[0] == pytest.approx(0.86, abs=0.005)
