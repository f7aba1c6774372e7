"""Is a run one object that hands out labelled results?"""

import cases
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridlib.hydropy.parameters import TABLE_1
from hybridlib.learning.evaluation import write_metrics
from hybridlib.learning.run import Run
from hybridlib.learning.settings import Settings
from hybridlib.learning.training import train
from hybridlib.study import export
from hybridlib.study.schema import InputError


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return cases.tiny_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def folder(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    settings = Settings(scheme="hybrid_q", study=str(study.path), members=2, epochs=2)
    train(settings, folder)
    return folder


@pytest.fixture(scope="module")
def run(folder):
    return Run.open(folder)


@pytest.fixture(scope="module")
def found(run):
    return run.simulate(["dis", "evap", "tws", "riverstor"], "2003-2004")


def test_has_every_result_its_name_unit_and_place(run, found):
    assert found.evap.dims == ("member", "time", "cell") and found.sizes["member"] == 2
    assert found.riverstor.dims == ("member", "time", "reservoir", "cell")
    assert [str(day)[:10] for day in found.time.values[[0, -1]]] == ["2003-01-01", "2004-12-31"]
    units = {"dis": "m3 s-1", "evap": "mm d-1", "tws": "mm", "riverstor": "m3"}
    units |= {"discharge": "m3 s-1", "twsa": "mm", "area": "m2", "lat": "degrees_north"}
    assert {name: found[name].units for name in units} == units
    assert all(found[name].long_name for name in units)
    basin = run.study.basin
    np.testing.assert_array_equal(found.lat, basin.lat[basin.row])
    assert found.station.values.tolist() == ["mouth", "middle", "head"]
    drained = basin.upstream_area[run.study.gauge_cells] / 1e6
    assert found.cell_area.units == "km2" and found.box_lat.dims == ("box",)
    np.testing.assert_allclose(found.cell_area, drained)


def test_is_discharge_at_a_gauge_that_of_its_cell_and_what_is_scored(run, found):
    cells = found.dis.isel(cell=run.study.gauge_cells)
    np.testing.assert_allclose(found.discharge, cells, rtol=1e-6)
    pairs = run.observe()
    inside = pairs.sel(time=found.time)
    np.testing.assert_array_equal(found.discharge, inside.discharge_simulated)
    np.testing.assert_array_equal(found.twsa, pairs.twsa_simulated.sel(month=found.month))


def test_lie_cells_on_the_grid_where_they_belong(run, found):
    grid = run.simulate(["evap"], "2003-2004", member=1, grid=True).evap
    assert grid.dims == ("member", "time", "lat", "lon") and grid.units == "mm d-1"
    basin = run.study.basin
    np.testing.assert_array_equal(basin.pack(grid)[0], found.evap.sel(member=1))
    some = found.evap.isel(cell=[5, 2])
    laid = basin.on_grid(some.mean("time"))
    assert int(laid.isel(member=0).notnull().sum()) == 2
    assert laid[0, basin.row[5], basin.col[5]] == pytest.approx(some[0, :, 0].mean().item())
    assert basin.on_grid(found)["discharge"].dims == ("member", "time", "station")
    np.testing.assert_array_equal(basin.pack(basin.on_grid(found).area), basin.area)
    with pytest.raises(InputError, match="2 cells to lay on the grid; expected 12, the 12 with"):
        basin.on_grid(some.drop_vars("cell"))


def test_are_parameters_within_their_ranges_and_named(run):
    table = run.parameters()
    for row in TABLE_1:
        assert row.low <= table[row.name].min() and table[row.name].max() <= row.high
        assert table[row.name].long_name == row.description
    assert table.f_crit.dims == ("member", "cell")
    assert run.parameters(grid=True).f_crit.dims == ("member", "lat", "lon")


def test_are_kept_scores_read_and_others_computed(folder, run, tmp_path):
    scores = run.scores()
    kept = scores * 0.0
    kept.to_netcdf(folder / "metrics.nc")
    try:
        assert float(abs(Run.open(folder).scores().discharge).max()) == 0.0
        xr.testing.assert_equal(Run.open(folder).scores(anew=True), scores)
        elsewhere = Run.open(folder, study=run.study.path)
        assert float(abs(elsewhere.scores().discharge).max()) == 0.0, "it is the very study"
    finally:
        (folder / "metrics.nc").unlink()


def test_is_a_run_compared_with_another_gauge_by_gauge(run, study, tmp_path):
    other = Run.untrained(study)
    table = run.compare(other)
    assert table["run"].values.tolist() == ["Hybrid(Q)", "HydroPyNN", "difference"]
    ours = run.scores().discharge.sel(metric="NSE", period="validation").mean("member")
    np.testing.assert_allclose(table.discharge[0], ours)
    np.testing.assert_allclose(table.discharge[2], table.discharge[0] - table.discharge[1])
    elsewhere = cases.changed_study(study, tmp_path, "discharge", cases.put("discharge", 9e4, 7, 0))
    with pytest.raises(InputError, match="not a run of"):
        run.compare(Run.untrained(elsewhere))
    with pytest.raises(InputError, match="validated in 2003-2004; expected 2004-2004"):
        run.compare(Run.untrained(study, train="2002", validation="2003-2004"))
    with pytest.raises(InputError, match="metric 'R2' is unknown; expected one of: NSE, KGE, RMSE"):
        run.compare(other, "R2")


def test_does_the_plot_of_a_training_show_its_history(run):
    ax = run.plot_training()
    first = run.history[run.history.phase == "choose"]
    expected = first[["loss_0", "loss_1"]].mean(axis=1)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), expected)
    assert ax.get_title() == "Hybrid(Q)" and ax.get_xlabel() == "steps made"
    assert len(ax.lines) == 3 and len(ax.get_legend().texts) == 3
    with pytest.raises(InputError, match="HydroPyNN has no training to show"):
        Run.untrained(run.study).plot_training()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"variables": ["rain"]}, "variable 'rain' is unknown"),
        ({"period": "1990-1991"}, "period 1990-1991: no day; the study has"),
        ({"period": "2003-"}, "is not understood"),
        ({"period": 1990}, "period 1990-1990: no day"),
        ({"variables": "rain"}, "variable 'rain' is unknown"),
        ({"member": 2}, "member is 2; expected 0 to 1"),
    ],
)
def test_is_what_a_run_cannot_give_refused(run, asked, told):
    with pytest.raises(InputError, match=told):
        run.simulate(**asked)


def test_are_members_of_other_settings_no_ensemble(folder, study, tmp_path):
    other = tmp_path / "other"
    settings = Settings(scheme="hybrid_q", study=str(study.path), epochs=1)
    train(settings, other)
    with pytest.raises(InputError, match="other: epochs is 1; expected 2 as"):
        Run.open(folder, other)
    with pytest.raises(InputError, match="a member with a seed of another; seeds are"):
        Run.open(folder, folder)
    with pytest.raises(InputError, match="no folder of a run is given"):
        Run.open()


def test_are_scores_hours_and_digests_of_an_ensemble_those_of_all_its_folders(study, tmp_path):
    folders = [tmp_path / f"member{seed}" for seed in (0, 1)]
    for seed, folder in enumerate(folders):
        settings = Settings(scheme="hybrid_q", study=str(study.path), epochs=1, seed=seed)
        train(settings, folder)
        write_metrics(folder / "metrics.nc", Run.open(folder).scores())
    both, each = Run.open(*folders), [Run.open(folder) for folder in folders]
    scores = both.scores()
    assert scores.member.values.tolist() == [0, 1]
    for member, one in enumerate(each):
        own = one.scores().discharge.isel(member=0)
        np.testing.assert_array_equal(scores.discharge.sel(member=member), own)
    xr.testing.assert_allclose(scores.discharge, both.scores(anew=True).discharge)
    assert both.history.seconds.sum() == pytest.approx(sum(r.history.seconds.sum() for r in each))
    own = [one.summary()["weights"].split()[-1] for one in each]
    assert both.summary()["weights"].split()[-2:] == own and own[0] != own[1]


@pytest.fixture
def command(capsys):
    return lambda *arguments: cases.run_command(capsys, *arguments)


def test_does_the_command_write_what_python_returns(run, folder, found, tmp_path, command):
    files = {"--output": tmp_path / "o.nc", "--gauges": tmp_path / "q.csv"}
    maps = tmp_path / "maps"
    asked = ["--variables", "dis,evap,tws,riverstor", "--period", "2003-2004"]
    options = [word for pair in files.items() for word in pair]
    code, _, told = command("simulate", "--run", folder, *asked, *options, "--maps", maps)
    assert code == 0 and "o.nc" in told
    expected = run.study.basin.on_grid(found)
    with xr.open_dataset(files["--output"]) as written:
        xr.testing.assert_allclose(written.load(), expected, rtol=1e-6)
        assert written.evap.units == "mm d-1"
    table = pd.read_csv(files["--gauges"], parse_dates=["time"]).set_index(["member", "time"])
    assert table.columns.tolist() == ["mouth", "middle", "head"]
    np.testing.assert_allclose(table.loc[1, "head"], found.discharge[1, :, 2], rtol=1e-5)
    assert {path.name for path in maps.iterdir()} >= {"evap_2003-2004.tif", "dis_2003-2004.tif"}
    zarr = tmp_path / "o.zarr"
    assert command("simulate", "--run", folder, *asked, "--output", zarr)[0] == 0
    xr.testing.assert_allclose(xr.open_zarr(zarr).load(), expected, rtol=1e-6)
    code, _, told = command("simulate", "--run", folder, *asked, "--output", zarr)
    assert code == 2 and "something stands here" in told


def test_lies_a_map_where_the_basin_does(run, found, tmp_path):
    import rioxarray

    (path,) = export.write_maps(tmp_path, run.study.basin.on_grid(found[["evap"]]))
    raster = rioxarray.open_rasterio(path)
    assert raster.rio.crs.to_epsg() == 4326
    cell, basin = 5, run.study.basin
    place = {"y": basin.lat[basin.row[cell]], "x": basin.lon[basin.col[cell]]}
    expected = float(found.evap[:, :, cell].mean())
    assert float(raster.sel(place, method="nearest")[0]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--run={run}"], "nothing to write; give --output, --gauges or --maps"),
        (["--run={run}", "--output=o.csv"], "o.csv: suffix '.csv'; expected .nc or .zarr"),
        (
            ["--run={run}", "--forcing=f.nc", "--output=o.nc"],
            "give either --run, or options of",
        ),
        (["--output=o.nc"], "give --landsurface, --forcing (or --run for a trained model)"),
        (["--gauges=q.csv"], "--gauges and --maps belong to --run"),
        (["--run={run}", "--variables=evap", "--gauges=q.csv"], "no discharge to write"),
        (["--run={run}", "--dtype=float32", "--gauges=q.csv"], "not both"),
    ],
)
def test_is_a_command_refused_that_does_not_fit(arguments, told, folder, command, tmp_path):
    words = [one.format(run=folder) for one in arguments]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        code, printed, message = command("simulate", *words)
    assert code == 2 and not printed and told in message and not list(tmp_path.iterdir())


def test_does_info_tell_a_study_and_a_run_on_a_screen(folder, study, command):
    code, printed, _ = command("info", study.path)
    assert code == 0 and "tiny (twin)" in printed and "12 cells of 0.5 x 0.5 degrees" in printed
    assert "mouth" in printed and len(printed.splitlines()) <= 24
    code, printed, _ = command("info", folder)
    assert code == 0 and "Hybrid(Q) (hybrid_q)" in printed and "members" in printed
    assert len(printed.splitlines()) <= 24
