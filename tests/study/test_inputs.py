"""Is every input that cannot be used refused with a sentence, and nothing lost?"""

import cases
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridlib.cli import main
from hybridlib.hydropy.simulate import OUTPUT, simulate, study_model, study_weather
from hybridlib.study.basin import Basin
from hybridlib.study.instruments import total_water_anomaly
from hybridlib.study.metrics import nse
from hybridlib.study.prepare import place_gauges, prepare
from hybridlib.study.schema import InputError
from hybridlib.study.store import open_study


def _discharge(days=400):
    time = pd.date_range("2003-01-01", periods=days)
    flow = 50.0 + 10.0 * np.sin(np.arange(days) / 30.0)
    flow[10:15] = np.nan
    return xr.Dataset(
        {
            "discharge": (("time", "station"), flow[:, None], {"units": "m3 s-1"}),
            "area": ("station", [3.0e4], {"units": "km2"}),
            "station_lat": ("station", [-3.25]),
            "station_lon": ("station", [-58.75]),
        },
        {"time": time, "station": ["Mouth"]},
    )


@pytest.fixture
def files(tmp_path):
    """Paths of a good set of files, and a way to spoil one of them."""
    land = cases.landsurface()
    datasets = {"landsurface": land, "forcing": cases.forcing(land), "discharge": _discharge()}
    paths = {name: tmp_path / f"{name}.nc" for name in datasets}
    for name, dataset in datasets.items():
        dataset.to_netcdf(paths[name])

    def spoil(name, change):
        datasets[name] = change(datasets[name].copy(deep=True))
        datasets[name].to_netcdf(paths[name])

    return paths, spoil


def _without_units(name):
    def change(dataset):
        del dataset[name].attrs["units"]
        return dataset

    return change


def _set(name, value, *place):
    def change(dataset):
        dataset[name][place] = value
        return dataset

    return change


def _units(name, units):
    def change(dataset):
        dataset[name].attrs["units"] = units
        return dataset

    return change


BAD = {
    "missing variable": (
        "forcing",
        lambda d: d.drop_vars("PET"),
        "variable evspsblpot .*PET.* is missing; found Precip",
    ),
    "missing land field": (
        "landsurface",
        lambda d: d.drop_vars("beta"),
        "variable beta is missing",
    ),
    "wrong unit": (
        "forcing",
        _units("Precip", "mm/day"),
        "Precip has units 'mm/day'; expected 'kg m-2 s-1'",
    ),
    "degrees Celsius": ("forcing", _units("TSurf", "degC"), "TSurf has units 'degC'; expected 'K'"),
    "missing unit": ("forcing", _without_units("TSurf"), "TSurf has no units; expected 'K'"),
    "Celsius called K": (
        "forcing",
        lambda d: d.assign(TSurf=(d.TSurf - 273.15).assign_attrs(units="K")),
        "tas is .* expected a value from 150 to 350 K",
    ),
    "NaN over land": (
        "forcing",
        _set("Precip", np.nan, 40, 1, 2),
        "pr is missing .NaN. at lat -2.75, lon -59.25 on 2003-02-10",
    ),
    "negative rain": (
        "forcing",
        _set("Precip", -1e-5, 7, 0, 0),
        "pr is -1e-05 kg m-2 s-1 at lat -2.25, lon -60.25 on 2003-01-08",
    ),
    "gap in time": (
        "forcing",
        lambda d: d.drop_isel(time=100),
        "days are missing between 2003-04-10 and 2003-04-12",
    ),
    "duplicate day": (
        "forcing",
        lambda d: d.isel(time=[0, 1, 1, 2, 3]),
        "2003-01-02 stands twice in time",
    ),
    "days out of order": (
        "forcing",
        lambda d: d.isel(time=[0, 2, 1, 3]),
        "time does not increase after 2003-01-03",
    ),
    "hours": (
        "forcing",
        lambda d: d.assign_coords(time=pd.date_range("2003", periods=400, freq="3h")),
        "steps of 0.125 days; expected daily",
    ),
    "months": (
        "forcing",
        lambda d: d.assign_coords(time=pd.date_range("2003", periods=400, freq="MS")),
        "steps of 31 days; expected daily",
    ),
    "other coordinates": (
        "forcing",
        lambda d: d.assign_coords(lon=d.lon + 0.25),
        "lon.0. is -60; .*landsurface.nc has -60.25",
    ),
    "other grid": (
        "forcing",
        lambda d: d.isel(lat=slice(0, 2)),
        "lat has 2 values; .*landsurface.nc has 3",
    ),
    "cycle": ("landsurface", _set("rout_lon", 0, 1, 1), "cycle"),
    "pit": ("landsurface", _set("lsm", 0, 1, 2), "neither land nor a sink"),
    "target off the grid": (
        "landsurface",
        _set("rout_lat", 9, 2, 0),
        "rout_lat is 9 in row 2, column 0; expected a whole number from 0 to 2",
    ),
    "wmin above wmax": (
        "landsurface",
        _set("wmin", 500.0, 1, 1),
        "wmin is 500 mm and wmax is 430 mm at lat -2.75, lon -59.75; expected wmin below wmax",
    ),
    "wava above wcap": ("landsurface", _set("wava", 400.0, 0, 0), "expected wava at most wcap"),
    "empty mask": ("landsurface", _set("lsm", 0), "lsm has no land"),
    "NaN in land": (
        "landsurface",
        _set("slope_avg", np.nan, 2, 2),
        "slope_avg is missing .NaN. at lat -3.25, lon -59.25",
    ),
    "eleven months": (
        "landsurface",
        lambda d: d.isel(month=slice(11)),
        "fveg has 11 months .*; expected 12",
    ),
    "months rolled": (
        "landsurface",
        lambda d: d.roll(month=3, roll_coords=True),
        "months .10, 11, 12, 1.*; expected 12, January",
    ),
    "percent": ("landsurface", _set("fveg", 70.0, 4, 1, 1), "fveg is 70 / at lat -2.75, .* 1.01"),
    "land in percent": ("landsurface", _set("lsm", 100.0, 1, 1), "lsm is 100 / at lat -2.75"),
    "infinite": ("landsurface", _set("wcap", np.inf, 1, 1), "wcap is inf kg m-2 at lat -2.75"),
    "area in km2": ("landsurface", _units("area", "km2"), "area has units 'km2'; expected 'm2'"),
    "no lsm": ("landsurface", lambda d: d.drop_vars("lsm"), "variable lsm is missing"),
    "extra dimension": (
        "landsurface",
        lambda d: d.assign(wcap=d.wcap.expand_dims(time=1)),
        "wcap has dimensions time, lat, lon; expected lat, lon",
    ),
    "no columns": (
        "forcing",
        lambda d: d.assign(PET=d.PET.isel(lon=0, drop=True)),
        "PET has dimensions time, lat; expected time, lat, lon",
    ),
    "two names": ("forcing", lambda d: d.assign(pr=d.Precip), "pr and Precip both stand for pr"),
    "other coordinate names": (
        "forcing",
        lambda d: d.rename(lat="latitude", lon="longitude"),
        "coordinate lat is missing",
    ),
    "counts from 0 to 360": (
        "forcing",
        lambda d: d.assign_coords(lon=d.lon + 360),
        "one file counts from 0 to 360",
    ),
    "irregular rows": (
        "landsurface",
        lambda d: d.assign_coords(lat=[-2.25, -2.75, -9.0]),
        "lat goes in steps of 0.5 to 6.25 degrees; expected a regular grid",
    ),
    "rows unsorted": (
        "landsurface",
        lambda d: d.isel(lat=[0, 2, 1]),
        "lat is not strictly monotonic",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_is_a_bad_file_refused_by_simulate(files, tmp_path, case):
    paths, spoil = files
    name, change, sentence = BAD[case]
    spoil(name, change)
    output = tmp_path / "out.nc"
    output.write_text("older result")
    with pytest.raises(InputError, match=sentence) as error:
        simulate(paths["landsurface"], paths["forcing"], output, variables=("dis",))
    assert str(paths[name]) in str(error.value)
    assert output.read_text() == "older result"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("case", BAD)
def test_is_a_bad_file_refused_by_prepare(files, tmp_path, case):
    paths, spoil = files
    name, change, sentence = BAD[case]
    spoil(name, change)
    with pytest.raises(InputError, match=sentence):
        prepare(*paths.values(), tmp_path / "study.zarr")
    assert not list(tmp_path.glob("study*"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.assign(station_lat=("station", [30.0])), "gauge Mouth: lat 30, .* outside"),
        (_set("discharge", -3.0, 5, 0), "discharge is -3 m3 s-1 at station Mouth on 2003-01-06"),
        (_units("discharge", "mm/d"), "discharge has units 'mm/d'; expected 'm3 s-1'"),
        (lambda d: d.drop_vars("station_lon"), "station_lon is missing"),
        (lambda d: d.drop_isel(time=3), "days are missing between 2003-01-03 and 2003-01-05"),
        (_units("area", "m2"), "area has units 'm2'; expected 'km2'"),
        (_set("area", -999.0, 0), "area is -999 km2 at station Mouth"),
        (_set("station_lat", np.nan, 0), "station_lat is missing .NaN. at station Mouth"),
        (_set("discharge", np.inf, 5, 0), "discharge is inf m3 s-1 at station Mouth"),
        (lambda d: d.isel(station=[0, 0]), "station Mouth stands twice"),
        (lambda d: d.isel(station=[]), "coordinate station is missing"),
        (lambda d: d.rename(station="id"), "discharge has dimensions time, id; expected time, st"),
        (
            lambda d: d.assign_coords(time=pd.date_range("1950-01-01", periods=400)),
            "discharge runs from 1950-01-01 .* the weather from 2003-01-01",
        ),
    ],
)
def test_are_bad_gauges_refused(files, tmp_path, change, sentence):
    paths, spoil = files
    spoil("discharge", change)
    with pytest.raises(InputError, match=sentence):
        prepare(*paths.values(), tmp_path / "study.zarr")


def test_does_a_gauge_move_to_the_neighbour_whose_area_fits(files, tmp_path):
    paths, spoil = files
    spoil("discharge", lambda d: d.assign(station_lat=("station", [-2.75])))
    study = prepare(*paths.values(), tmp_path / "study.zarr")
    gauge = study.discharge.isel(station=0)
    assert bool(gauge.snapped) and float(gauge.cell_lat) == -3.25
    assert float(gauge.cell_area) == pytest.approx(3.0e4)


def test_does_a_gauge_stay_where_no_area_fits(files, tmp_path):
    paths, spoil = files
    spoil("discharge", _set("area", 3.0e5, 0))
    study = prepare(*paths.values(), tmp_path / "study.zarr")
    assert not bool(study.discharge.snapped[0]) and float(study.discharge.cell_lat[0]) == -3.25


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


def test_is_a_prepared_study_what_went_in(files, tmp_path):
    paths, _ = files
    study = prepare(*paths.values(), tmp_path / "study.zarr")
    forcing = xr.open_dataset(paths["forcing"])
    np.testing.assert_allclose(study.forcing.pr, forcing.Precip, rtol=1e-7)
    assert study.forcing.pr.attrs["units"] == "kg m-2 s-1"
    assert study.attributes.sizes == {"lat": 3, "lon": 4} and len(study.attributes) == 21
    assert int(study.discharge.discharge.isnull().sum()) == 5
    assert study.attrs["source"] == "real"
    with pytest.raises(InputError, match="the study has no twsa; found attributes, discharge"):
        _ = study.twsa


def test_does_a_study_run_as_its_files_do(files, tmp_path):
    paths, _ = files
    study = prepare(*paths.values(), tmp_path / "study.zarr")
    model = study_model(study, "float64", zonal_length="original")
    _, series = model.run(study_weather(study, model))
    simulate(paths["landsurface"], paths["forcing"], tmp_path / "o.nc", variables=("dis",))
    written = model.basin.pack(xr.open_dataset(tmp_path / "o.nc").dis) * 86400.0
    # The study keeps its weather in float32.
    np.testing.assert_allclose(series["dis"], written, rtol=1e-4)


@pytest.mark.parametrize("content", ["", "text"])
def test_is_a_file_that_is_no_netcdf_refused(tmp_path, content):
    path = tmp_path / "L.nc"
    path.write_text(content)
    with pytest.raises(InputError, match="L.nc: not a NetCDF file"):
        simulate(path, path, tmp_path / "o.nc")


def test_is_an_absent_file_or_study_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        simulate(tmp_path / "L.nc", tmp_path / "F.nc", tmp_path / "o.nc")
    with pytest.raises(InputError, match="no prepared study here"):
        open_study(tmp_path / "study.zarr")


def test_are_the_file_s_units_and_names_hydropys(files, tmp_path):
    paths, _ = files
    simulate(paths["landsurface"], paths["forcing"], tmp_path / "o.nc")
    written = xr.open_dataset(tmp_path / "o.nc")
    assert set(written.data_vars) == set(OUTPUT)
    assert written.dis.attrs["units"] == "m3 s-1" and written.evap.attrs["units"] == "kg m-2 s-1"
    assert written.riverstor.dims == ("time", "res", "lat", "lon")
    assert written.indexes["time"].equals(pd.date_range("2003-01-01", periods=400))


def test_does_a_restart_file_give_the_numbers_of_one_long_run(files, tmp_path):
    paths, spoil = files
    whole = tmp_path / "whole.nc"
    simulate(paths["landsurface"], paths["forcing"], whole, variables=("dis", "tws"))
    forcing = xr.open_dataset(paths["forcing"]).load()
    forcing.close()
    last = None
    for k, part in enumerate((slice(0, 200), slice(200, None))):
        path = tmp_path / f"part{k}.nc"
        forcing.isel(time=part).to_netcdf(path)
        output, restart = tmp_path / f"out{k}.nc", tmp_path / f"restart{k}.nc"
        options = {"restart_in": last, "restart_out": restart}
        simulate(paths["landsurface"], path, output, variables=("dis", "tws"), **options)
        last = restart
    parts = xr.open_mfdataset([tmp_path / "out0.nc", tmp_path / "out1.nc"]).load()
    xr.testing.assert_identical(parts, xr.open_dataset(whole).load())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.drop_vars("swe"), "variable swe is missing"),
        (_set("rootmoist", np.nan, 1, 1), "rootmoist is missing .NaN. at lat -2.75, lon -59.75"),
        (lambda d: d.isel(lat=slice(2)), "lat has 2 values"),
        (lambda d: d.isel(res=slice(2)), "riverstor has 2 reservoirs; expected 5"),
        (_set("swe", -5.0, 0, 0), "swe is -5 kg m-2 at lat -2.25, lon -60.25"),
        (_set("rootmoist", 1e6, 0, 0), "rootmoist is 1e.06 kg m-2"),
        (_units("swe", "m"), "swe has units 'm'; expected 'kg m-2'"),
    ],
)
def test_is_a_bad_restart_refused(files, tmp_path, change, sentence):
    paths, _ = files
    restart, output = tmp_path / "restart.nc", tmp_path / "o.nc"
    arguments = (paths["landsurface"], paths["forcing"], output)
    simulate(*arguments, variables=("dis",), restart_out=restart)
    spoiled = change(xr.open_dataset(restart).load())
    spoiled.to_netcdf(tmp_path / "bad.nc")
    with pytest.raises(InputError, match=sentence):
        simulate(*arguments, restart_in=tmp_path / "bad.nc", any_date=True)


def test_is_a_restart_of_another_date_refused_unless_wanted(files, tmp_path):
    paths, _ = files
    restart, output = tmp_path / "restart.nc", tmp_path / "o.nc"
    arguments = (paths["landsurface"], paths["forcing"], output)
    simulate(*arguments, variables=("dis",), restart_out=restart)
    with pytest.raises(InputError, match="those after 2004-02-04; expected 2002-12-31"):
        simulate(*arguments, restart_in=restart)
    simulate(*arguments, variables=("dis",), restart_in=restart, any_date=True)
    assert output.exists()


@pytest.mark.parametrize("target", ["landsurface", "forcing"])
def test_are_inputs_never_replaced(files, tmp_path, target):
    paths, _ = files
    before = paths[target].read_bytes()
    inputs = paths["landsurface"], paths["forcing"]
    with pytest.raises(InputError, match="is an input or another output of this run"):
        simulate(*inputs, paths[target])
    with pytest.raises(InputError, match="is an input or another output of this run"):
        simulate(*inputs, tmp_path / "o.nc", restart_out=paths[target])
    assert paths[target].read_bytes() == before and not (tmp_path / "o.nc").exists()


def test_are_impossible_targets_refused_before_the_run(files, tmp_path):
    paths, _ = files
    inputs = paths["landsurface"], paths["forcing"]
    with pytest.raises(InputError, match="is a folder; expected a file"):
        simulate(*inputs, tmp_path)
    with pytest.raises(InputError, match="the folder .*nowhere does not exist"):
        simulate(*inputs, tmp_path / "o.nc", restart_out=tmp_path / "nowhere" / "r.nc")
    assert not (tmp_path / "o.nc").exists()


def test_does_the_order_of_dimensions_not_matter(files, tmp_path):
    paths, spoil = files
    names = ("landsurface", "forcing")
    simulate(*(paths[n] for n in names), tmp_path / "a.nc", variables=("dis",))
    spoil("landsurface", lambda d: d.transpose("lon", "month", "lat"))
    spoil("forcing", lambda d: d.transpose("lon", "lat", "time"))
    simulate(*(paths[n] for n in names), tmp_path / "b.nc", variables=("dis",))
    a, b = (xr.open_dataset(tmp_path / f"{n}.nc").load() for n in "ab")
    xr.testing.assert_identical(a, b)


def test_do_missing_values_over_the_sea_stay_there(files, tmp_path):
    paths, spoil = files

    def drown(dataset):
        dataset["lsm"][2, 3] = 0
        for name in set(dataset.data_vars) - {"lsm", "rout_lat", "rout_lon"}:
            dataset[name][..., 2, 3] = np.nan
        return dataset

    spoil("landsurface", drown)
    spoil("forcing", lambda d: d.where((d.lat > -3.25) | (d.lon < -58.75)).map(_keep(d)))
    simulate(paths["landsurface"], paths["forcing"], tmp_path / "o.nc")
    written = xr.open_dataset(tmp_path / "o.nc")
    assert written.dis.notnull().all()
    assert int(written.evap.isnull().isel(time=0).sum()) == 1
    assert float(written.freshwater[-1].max()) > 0


def _keep(dataset):
    return lambda field: field.assign_attrs(dataset[field.name].attrs)


def test_does_a_glacier_take_land_through_both_doors(files, tmp_path):
    paths, spoil = files
    spoil("landsurface", lambda d: d.assign(glacier=(0.5 * d.lsm).assign_attrs(units="/")))
    study = prepare(*paths.values(), tmp_path / "study.zarr")
    np.testing.assert_allclose(study.basin.area, 0.5 * 2.5e9)


def test_does_a_day_at_the_freezing_point_stay_there_in_a_study(files, tmp_path):
    paths, spoil = files
    spoil("forcing", lambda d: d.assign(TSurf=d.TSurf * 0 + 273.15).map(_keep(d)))
    study = prepare(*paths.values(), tmp_path / "study.zarr")
    model = study_model(study)
    assert not (study_weather(study, model).melt.numpy() < 0).any()


def test_is_nothing_but_a_study_replaced(files, tmp_path):
    paths, _ = files
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    for place in (folder, folder / "thesis.txt"):
        with pytest.raises(InputError, match="something that is no study stands here"):
            prepare(*paths.values(), place)
    assert (folder / "thesis.txt").read_text() == "years of work"
    study = prepare(*paths.values(), tmp_path / "study.zarr")
    assert prepare(*paths.values(), study.path).basin.size == 12


def _storage(months=("2003-01", "2003-12"), **attrs):
    time = pd.date_range(*(f"{m}-01" for m in months), freq="MS")
    values = 100.0 + np.arange(len(time), dtype=float)[:, None] * np.ones((1, 2))
    return xr.Dataset(
        {
            "twsa": (("time", "box"), values, {"units": "mm"}),
            "box_lat": ("box", [-2.5, -3.0], {"units": "degrees_north"}),
            "box_lon": ("box", [-59.5, -59.5], {"units": "degrees_east"}),
        },
        {"time": time},
        attrs,
    )


def test_are_storage_anomalies_referred_to_their_baseline(files, tmp_path):
    paths, _ = files
    _storage(baseline_first="2003-01", baseline_last="2003-12").to_netcdf(tmp_path / "S.nc")
    study = prepare(*paths.values(), tmp_path / "study.zarr", tmp_path / "S.nc")
    np.testing.assert_allclose(study.twsa.twsa.mean("month"), 0.0, atol=1e-12)
    _storage().to_netcdf(tmp_path / "T.nc")
    with pytest.raises(InputError, match="no month between 2004-01 and 2009-12 is observed"):
        prepare(*paths.values(), tmp_path / "study.zarr", tmp_path / "T.nc")


def test_does_a_run_have_the_anomaly_an_instrument_would_see(files, tmp_path):
    paths, _ = files
    _storage(baseline_first="2003-01", baseline_last="2003-12").to_netcdf(tmp_path / "S.nc")
    study = prepare(*paths.values(), tmp_path / "study.zarr", tmp_path / "S.nc")
    tws = np.asarray(study.days.month, float)[:, None] * np.ones((1, study.basin.size))
    found = total_water_anomaly(tws, study.days, study.basin, study.twsa)
    np.testing.assert_allclose(found[:, 0], np.arange(1.0, 13.0) - 6.5)


def _command_line(monkeypatch, capsys, *arguments):
    """Run the command and return its exit code and what it told on the error stream."""
    monkeypatch.setattr("sys.argv", ["hybridlib", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code, " ".join(capsys.readouterr().err.split())


def test_does_the_command_replace_a_study_only_when_told_to(files, tmp_path, monkeypatch, capsys):
    inputs = [f"--{name}={path}" for name, path in files[0].items()]
    command = ["prepare", *inputs, f"--output={tmp_path / 'study.zarr'}"]
    for more, code, told in (([], 0, ""), ([], 2, "a study stands here;"), (["--force"], 0, "")):
        ended = _command_line(monkeypatch, capsys, *command, *more)
        assert ended[0] == code and told in ended[1]


def test_does_the_command_line_say_it_in_one_sentence(files, tmp_path, monkeypatch, capsys):
    paths, spoil = files
    spoil("forcing", _units("Precip", "mm/day"))
    inputs = [f"--{n}={paths[n]}" for n in ("landsurface", "forcing")]
    code, told = _command_line(
        monkeypatch, capsys, "simulate", *inputs, f"--output={tmp_path / 'o.nc'}"
    )
    assert code == 2 and "Traceback" not in told
    assert "forcing.nc: Precip has units 'mm/day'; expected 'kg m-2 s-1'" in told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--dtype", "float16"], "dtype is 'float16'; expected float32 or float64"),
        (["--variables", "dis,snow"], "variable 'snow' is unknown"),
        (["--variables", ""], "no variable is asked for"),
        (["--zonal-length", "long"], "zonal length 'long' is unknown"),
    ],
)
def test_are_wrong_options_refused(files, tmp_path, monkeypatch, capsys, arguments, sentence):
    paths, _ = files
    inputs = [f"--{n}={paths[n]}" for n in ("landsurface", "forcing")]
    output = f"--output={tmp_path / 'o.nc'}"
    code, told = _command_line(monkeypatch, capsys, "simulate", *inputs, output, *arguments)
    assert code == 2 and sentence in told


def test_does_a_run_through_the_command_line_end_well(files, tmp_path, monkeypatch, capsys):
    paths, _ = files
    inputs = [f"--{n}={paths[n]}" for n in ("landsurface", "forcing")]
    output = tmp_path / "o.nc"
    arguments = ("simulate", *inputs, f"--output={output}", "--variables=dis,tws,dis")
    code, told = _command_line(monkeypatch, capsys, *arguments)
    assert code == 0 and "o.nc: 2 variables" in told
    assert set(xr.open_dataset(output).data_vars) == {"dis", "tws"}


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
