"""Inputs that several tests share: the cut reference runs and a small basin made of numbers."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

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
