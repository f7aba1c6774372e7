"""Inputs that several tests share: the cut reference runs and a small basin made of numbers."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridlib.hydropy.model import HydroPyNN
from hybridlib.hydropy.parameters import Lags, Parameters, default_parameters
from hybridlib.study.attributes import static_attributes
from hybridlib.study.instruments import discharge_at, monthly_means
from hybridlib.study.prepare import place_gauges
from hybridlib.study.schema import DISCHARGE, FORCING, TWSA
from hybridlib.study.store import Study, open_study, write_group, write_study
from hybridlib.twin import nature

DATA = Path(__file__).parent / "data"
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
    groups = dict(_tiny_groups())
    if not twsa:
        del groups["twsa"]
    if not radiation:
        groups["forcing"] = groups["forcing"][["pr", "tas", "evspsblpot"]]
    return write_study(folder / "tiny.zarr", groups, {"title": "tiny", "source": "twin"})


def changed_study(study: Study, folder: Path, group: str, change) -> Study:
    """A copy of a study with another group."""
    copy = shutil.copytree(study.path, folder / "changed.zarr")
    write_group(copy, group, change(study.group(group).load()))
    return open_study(copy)


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


def add_truth(study: Study) -> Study:
    """Give a study a truth: PET half as high again as its own, of which 0.6 evaporates."""
    reference = study.forcing.evspsblpot.load()
    units = {"units": "kg m-2 s-1"}
    truth = {"evspsblpot": 1.5 * reference, "evap": 0.9 * reference}
    fields = {name: field.assign_attrs(units) for name, field in truth.items()}
    write_group(study.path, "truth", xr.Dataset(fields))
    return study


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
    lags = Lags(*(np.full(basin.size, value) for value in (20.0, 400.0, 0.2, 5)))
    default = default_parameters(lags)
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
