"""Inputs that several tests share: the cut reference runs and a small basin made of numbers."""

from __future__ import annotations

import functools
import json
import os
import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridlib.cli import main
from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.model import HydroPyNN
from hybridlib.hydropy.parameters import Lags, Parameters, default_parameters
from hybridlib.learning.folder import CONFIG, WEIGHTS
from hybridlib.learning.run import Run
from hybridlib.study.attributes import static_attributes
from hybridlib.study.instruments import discharge_at, monthly_means
from hybridlib.study.prepare import place_gauges
from hybridlib.study.schema import DISCHARGE, FORCING, TWSA
from hybridlib.study.store import Study, open_study, write_group, write_study
from hybridlib.twin import nature

DATA = Path(__file__).parent / "data"
SCRATCH = tempfile.TemporaryDirectory()
"""Of this process, until it ends."""
SHARED = Path(os.environ.get("HYBRIDLIB_SHARED", Path(__file__).parents[2] / "shared"))


def reference(name: str) -> dict[str, xr.Dataset]:
    """Open the groups of a cut reference run."""
    groups = ("landsurface", "forcing", "derived", "output")
    return {group: xr.open_dataset(DATA / f"{name}.nc", group=group).load() for group in groups}


def shared(path: str) -> Path:
    """Find a file of the material that the project does not carry, or skip the test."""
    file = SHARED / path
    if not file.exists():
        pytest.skip(f"needs {path}, which the project does not carry (set HYBRIDLIB_SHARED)")
    return file


def landsurface(rows: int = 3, cols: int = 4) -> xr.Dataset:
    """A plain that drains east along its rows, then south along its last column."""
    row, col = np.indices((rows, cols))
    last = col == cols - 1
    fields = {
        "lsm": (np.ones((rows, cols)), "/"),
        "area": (np.full((rows, cols), 2.5e9), "m2"),
        "rout_lat": (np.where(last, np.minimum(row + 1, rows - 1), row), "/"),
        "rout_lon": (np.where(last, col, col + 1), "/"),
        "srftopo": (300.0 - 20.0 * row - 10.0 * col, "m"),
        "topo_std": (100.0 + 60.0 * col, "m"),
        "slope_avg": (np.full((rows, cols), 0.01), "m m-1"),
        "flake": (np.full((rows, cols), 0.02), "/"),
        "fwetl": (0.05 * col, "/"),
        "wcap": (300.0 + 20.0 * row, "kg m-2"),
        "wava": (180.0 + 10.0 * row, "kg m-2"),
        "wmin": (np.full((rows, cols), 30.0), "kg m-2"),
        "wmax": (420.0 + 10.0 * col, "kg m-2"),
        "beta": (np.full((rows, cols), 0.3), "/"),
        "perm": (np.zeros((rows, cols)), "/"),
    }
    season = np.cos(2 * np.pi * np.arange(12) / 12)[:, None, None] * np.ones((rows, cols))
    dataset = xr.Dataset(
        {
            name: (("lat", "lon"), np.asarray(v, float), {"units": u})
            for name, (v, u) in fields.items()
        }
        | {
            "fveg": (("month", "lat", "lon"), 0.7 + 0.1 * season, {"units": "/"}),
            "lai": (("month", "lat", "lon"), 3.0 + season, {"units": "m2 m-2"}),
        },
        {
            "lat": -2.25 - 0.5 * np.arange(rows),
            "lon": -60.25 + 0.5 * np.arange(cols),
            "month": np.arange(1, 13),
        },
    )
    return dataset


def forcing(land: xr.Dataset, days: int = 400, start: str = "2003-01-01") -> xr.Dataset:
    """Rain on two days of three, warm and cold spells, a steady demand."""
    rng = np.random.default_rng(5)
    shape = days, land.sizes["lat"], land.sizes["lon"]
    rain = rng.gamma(0.8, 8.0, shape) * (rng.random(shape) < 0.66)
    fields = {
        "Precip": (rain / 86400.0, "kg m-2 s-1"),
        "TSurf": (
            283.0 + 14.0 * np.sin(np.arange(days) / 20.0)[:, None, None] + rng.normal(0, 3, shape),
            "K",
        ),
        "PET": (np.abs(rng.normal(3.0, 1.0, shape)) / 86400.0, "kg m-2 s-1"),
    }
    return xr.Dataset(
        {n: (("time", "lat", "lon"), v, {"units": u}) for n, (v, u) in fields.items()},
        {"time": pd.date_range(start, periods=days), "lat": land.lat, "lon": land.lon},
    )


def discharge(days: int = 400) -> xr.Dataset:
    """A gauge at the mouth of the plain, five days missing."""
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


def storage(**attrs: str) -> xr.Dataset:
    """A year of storage anomalies on two boxes of the plain."""
    time = pd.date_range("2003-01-01", "2003-12-01", freq="MS")
    values = 100.0 + np.arange(12.0)[:, None] * np.ones((1, 2))
    return xr.Dataset(
        {
            "twsa": (("time", "box"), values, {"units": "mm"}),
            "box_lat": ("box", [-2.5, -3.0], {"units": "degrees_north"}),
            "box_lon": ("box", [-59.5, -59.5], {"units": "degrees_east"}),
        },
        {"time": time},
        attrs,
    )


def pack_weather(model, dataset: xr.Dataset):
    """A model's weather from a dataset with HydroPy's names."""
    fields = (model.basin.pack(dataset[name]) for name in ("Precip", "TSurf", "PET"))
    return model.weather(*fields, dataset.indexes["time"])


TINY_DAYS = pd.date_range("2001-01-01", "2004-12-31")
"""Days of the tiny study: 2002-2003 train, 2004 validates."""


def tiny_study(folder: Path, twsa: bool = True, radiation: bool = True) -> Study:
    """Prepare the small basin with observations of a basin that drains faster than HydroPy's own.

    Args:
        folder: where ``tiny.zarr`` is written.
        twsa: with storage anomalies of one box, 2002-2004 against 2002-2003.
        radiation: with all the variables that Penman-Monteith reads.
    """
    return open_study(shutil.copytree(_tiny_store(twsa, radiation), folder / "tiny.zarr"))


@functools.cache
def _tiny_store(twsa: bool, radiation: bool) -> Path:
    groups = dict(_tiny_groups())
    if not twsa:
        del groups["twsa"]
    if not radiation:
        groups["forcing"] = groups["forcing"][["pr", "tas", "evspsblpot"]]
    path = Path(SCRATCH.name, f"{twsa}{radiation}.zarr")
    return write_study(path, groups, {"title": "tiny", "source": "twin"}).path


def changed_study(study: Study, folder: Path, *changes) -> Study:
    """A copy of a study with other groups: name and change of each in turn."""
    copy = shutil.copytree(study.path, Path(tempfile.mkdtemp(dir=folder), "changed.zarr"))
    for group, change in zip(changes[::2], changes[1::2], strict=True):
        write_group(copy, group, change(study.group(group).load()))
    return open_study(copy)


def put(name: str, value, *place):
    """A change of a dataset: a variable's value at a place, or everywhere."""

    def change(dataset):
        dataset[name][place] = value
        return dataset

    return change


def units(name, units=None):
    """A change of a dataset: a variable's unit and nothing else in its attributes."""

    def change(dataset):
        dataset[name].attrs = {} if units is None else {"units": units}
        return dataset

    return change


def drop(*names):
    """A change of a dataset: without some variables."""
    return lambda dataset: dataset.drop_vars(names)


def pick(**places):
    """A change of a dataset: a part of it, by position."""
    return lambda dataset: dataset.isel(places)


def remade_study(study: Study, folder: Path, source: str, **groups: xr.Dataset) -> Study:
    """A study without storage and truth, real or a twin, with some groups exchanged."""
    names = ("forcing", "landsurface", "attributes", "discharge")
    kept = {name: study.group(name).load() for name in names}
    return write_study(folder / f"{source}.zarr", kept | groups, {"source": source})


@functools.cache
def _tiny_groups() -> dict[str, xr.Dataset]:
    land, weather = landsurface(), tiny_weather()
    model = HydroPyNN.from_landsurface(land, zonal_length="geometric")
    fields = (model.basin.pack(weather[name]) for name in ("pr", "tas", "evspsblpot"))
    own = model.default_parameters()
    truth = own._replace(lag_sur=0.5 * own.lag_sur, d_max=2.0 * own.d_max, f_crit=0.8 * own.f_crit)
    _, series = model.run(model.weather(*fields, TINY_DAYS), truth, variables=("dis", "tws"))
    return {
        "forcing": weather,
        "landsurface": land,
        "attributes": static_attributes(land, weather),
        "discharge": _tiny_gauges(series["dis"], model.basin),
        "twsa": _tiny_box(series["tws"]),
    }


def tiny_weather() -> xr.Dataset:
    """Four years of weather, with all the variables of the schema that the networks read."""
    raw = forcing(landsurface(), len(TINY_DAYS), f"{TINY_DAYS[0]:%F}")
    own = raw.rename(Precip="pr", TSurf="tas", PET="evspsblpot")
    rng = np.random.default_rng(8)
    usual = {"huss": 0.016, "ps": 1e5, "sfcwind": 2.0, "rsds": 200.0, "rlds": 400.0}
    for name, mean in usual.items():
        values = mean * rng.uniform(0.8, 1.1, own.pr.shape)
        own[name] = own.pr.dims, values, FORCING[name].attrs
    return own.astype("float32")


def _tiny_gauges(dis: np.ndarray, basin) -> xr.Dataset:
    """Three gauges: one with a gap in the training years, one that starts late, one complete."""
    gauges = xr.Dataset(
        {
            "station_lat": ("station", [-3.25, -2.75, -2.25]),
            "station_lon": ("station", [-58.75, -59.25, -59.75]),
            "area": ("station", [np.nan] * 3),
        },
        {"time": TINY_DAYS, "station": ["mouth", "middle", "head"]},
    )
    gauges = place_gauges(gauges, basin, "tiny")
    places = zip(gauges.cell_lat.values, gauges.cell_lon.values, strict=True)
    flow = discharge_at(dis, [basin.cell_at(*place) for place in places])
    flow *= np.random.default_rng(9).lognormal(0.0, 0.05, flow.shape)
    flow[500:560, 0] = flow[:600, 1] = np.nan
    gauges["discharge"] = ("time", "station"), flow, DISCHARGE["discharge"].attrs
    return gauges


def _tiny_box(tws: np.ndarray) -> xr.Dataset:
    """One box around the basin, with a month missing in the baseline and one after it."""
    months = pd.date_range("2002-01-01", "2004-12-01", freq="MS")
    seen = monthly_means(tws.mean(axis=1, keepdims=True), TINY_DAYS, months)
    seen[[7, 29]] = np.nan
    return xr.Dataset(
        {
            "twsa": (("month", "box"), seen - np.nanmean(seen[:24]), TWSA["twsa"].attrs),
            "box_lat": ("box", [-3.0]),
            "box_lon": ("box", [-60.0]),
        },
        {"month": months, "box": ["whole"]},
        {"baseline_first": "2002-01", "baseline_last": "2003-12"},
    )


class Ready(Run):
    """A run whose problem and members are there already."""

    scheme = property(lambda self: self.problem.scheme)
    study = property(lambda self: self.problem.study)

    def __init__(self, problem, learners):
        vars(self).update(config=None, folders=(), problem=problem, learners=list(learners))


class Known:
    """A member that has learned what it is told."""

    def __init__(self, parameters, default=None, pet=None):
        self.default = default
        self.parameters = lambda: parameters
        self.pet = lambda reference, window: tf.constant(pet)


def run_command(capsys, *arguments) -> tuple[int, str, str]:
    """Run `hybridlib`; return its exit code, what it printed, and its error or else all it told."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setattr("sys.argv", ["hybridlib", *map(str, arguments)])
        main()
    printed, told = capsys.readouterr()
    assert "Traceback" not in told
    return end.value.code, printed, " ".join(told.split()).rpartition("Error: ")[2]


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder with what they hold."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def stored_weights(run: Path) -> dict[str, np.ndarray]:
    """All arrays of a run's weights, by name."""
    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[...]

    with h5py.File(run / WEIGHTS) as file:
        file.visititems(keep)
    return found


def change_config(run: Path, **changes) -> None:
    """Change settings in the configuration that a run has kept."""
    path = run / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


TOWER_NAMES = ["Year_LBAMIP", "DoY_LBAMIP", "Hour_LBAMIP", "NEE", "LE", "Leraw", "H"]
TOWER_UNITS = ["-", "-", "-", "umol m-2 s-1", "W m-2", "W m-2", "W m-2"]
TOWER_DAYS = [(2003, 365, 80), (2004, 1, -9999), (2004, 2, 120), (2004, 60, 100), (2004, 61, -5)]


def tower_rows(days=TOWER_DAYS) -> list[list[str]]:
    """Lines of a tower's daily file from years, days of the year and latent heat."""
    return [[f"{y:.6e}", f"{d:.6e}", "0", "-1", f"{le:.6e}", "-9999", "30"] for y, d, le in days]


def tower_file(folder: Path, rows=None, names=TOWER_NAMES, units=TOWER_UNITS, end="\r\n") -> Path:
    """Write a daily file of the tower K34."""
    lines = [names, units, ["x"] * len(names), *(tower_rows() if rows is None else rows)]
    path = folder / "K34day_CfluxBF.txt"
    path.write_bytes("".join("\t".join(line) + end for line in lines).encode())
    return path


def add_truth(study: Study) -> Study:
    """Give a study a truth: PET half as high again as its own, of which 0.6 evaporates."""
    reference = study.forcing.evspsblpot.load()
    units = {"units": "kg m-2 s-1"}
    truth = {"evspsblpot": 1.5 * reference, "evap": 0.9 * reference}
    fields = {name: field.assign_attrs(units) for name, field in truth.items()}
    write_group(study.path, "truth", xr.Dataset(fields))
    return study


def default_of(cells: int) -> Parameters:
    """HydroPy's own parameters of cells that are all alike."""
    lags = Lags(*(np.full(cells, value) for value in (20.0, 400.0, 0.2, 5)))
    return default_parameters(lags)


def ruled_study(folder: Path) -> tuple[Study, Parameters]:
    """The tiny study with attributes that vary, vegetation types, and a truth by the twin's rule.

    Returns:
        The study and the parameters that the rule began at.
    """
    study, dims = tiny_study(folder), ("lat", "lon")
    rng, basin = np.random.default_rng(4), study.basin
    changed = study.attributes.load()
    for field in changed.data_vars.values():
        field[:] = (1.0 + abs(field)) * rng.uniform(0.5, 1.5, field.shape)
    changed["fveg_avg"] = dims, rng.uniform(0.3, 0.95, basin.shape)
    changed["temp_avg"] = dims, rng.uniform(5.0, 27.0, basin.shape)
    write_group(study.path, "attributes", changed)
    default = default_of(basin.size)
    fields = nature.true_parameters(study.attributes, basin, default)._asdict()
    grids = {name: (dims, basin.unpack(np.asarray(field))) for name, field in fields.items()}
    grids["evspsblpot"] = 1.5 * study.forcing.evspsblpot.load()
    write_group(study.path, "truth", xr.Dataset(grids, {"lat": basin.lat, "lon": basin.lon}))
    land = study.landsurface.load()
    kinds = np.where(study.attributes.fveg_avg > 0.6, 1, 3)
    names = "evergreen_forest dry_forest_and_savanna shrubland"
    flags = {"flag_values": [1, 2, 3], "flag_meanings": names}
    land["vegetation_type"] = dims, kinds, flags
    write_group(study.path, "landsurface", land)
    return study, default
