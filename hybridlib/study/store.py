"""A prepared study: one Zarr store that holds everything a run reads.

Groups: ``forcing``, ``landsurface``, ``attributes``, ``discharge``, and ``twsa`` where there is
gravimetry. Readers of foreign formats and the twin write it; nothing else reads raw files.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.study import schema
from hybridlib.study.attributes import ATTRIBUTES
from hybridlib.study.basin import AXES, Basin
from hybridlib.study.files import from_project
from hybridlib.study.schema import InputError
from hybridlib.study.stamps import check_daily

DAYS_A_CHUNK = 366
MOST_LINES = 14
"""Gauges that a summary lists, so that it fits a screen."""


@dataclass(frozen=True)
class Study:
    """An open study; its datasets are lazy.

    Attributes:
        path: the Zarr store.
    """

    path: Path

    def group(self, name: str) -> xr.Dataset:
        """Open one group; a process opens it once, and again only where it was written anew.

        Raises:
            InputError: the study has no such group.
        """
        if not self.has(name):
            raise InputError(f"{self.path}: the study has no {name}; {self._contents()}")
        written = (self.path / name / ".zgroup").stat().st_mtime_ns
        return _opened(self.path.resolve(), name, written).copy()

    def has(self, name: str) -> bool:
        """Whether the study holds a group."""
        return (self.path / name / ".zgroup").exists()

    def _contents(self) -> str:
        groups = sorted(p.parent.name for p in self.path.glob("*/.zgroup"))
        return f"found {', '.join(groups) or 'nothing'}"

    @cached_property
    def attrs(self) -> dict:
        """Name, source ("real" or "twin") and how the study was made."""
        return dict(xr.open_zarr(self.path, chunks=None, consolidated=False).attrs)

    @property
    def title(self) -> str:
        """What it is called."""
        return self.attrs.get("title", self.path.name)

    @property
    def forcing(self) -> xr.Dataset:
        """Daily weather, (time, lat, lon)."""
        return self.group("forcing")

    @property
    def landsurface(self) -> xr.Dataset:
        """HydroPy's land surface, (lat, lon) and (month, lat, lon)."""
        return self.group("landsurface")

    @property
    def attributes(self) -> xr.Dataset:
        """The static attributes, (lat, lon), in the order the networks take them.

        The library's own come first, then those that packages added when the study was made.
        """
        kept = self.group("attributes")
        return kept[[*ATTRIBUTES.own, *sorted(set(map(str, kept.data_vars)) - set(ATTRIBUTES.own))]]

    @property
    def discharge(self) -> xr.Dataset:
        """Observed discharge, (time, station), m3 s-1, and where the gauges lie."""
        return self.group("discharge")

    @property
    def twsa(self) -> xr.Dataset:
        """Observed storage anomalies, (month, box), mm, and where the boxes lie."""
        return self.group("twsa")

    def true_daily(self, name: str, days: pd.DatetimeIndex) -> np.ndarray:
        """A daily flux of a twin's truth, mm d-1, (time, cell).

        Args:
            name: "evap" or "evspsblpot".
            days: which.

        Raises:
            InputError: a study without a truth.
        """
        field = self.group("truth")[name].sel(time=days)
        return self.basin.pack(field) * np.float32(schema.SECONDS_PER_DAY)

    @cached_property
    def basin(self) -> Basin:
        """Active cells and network."""
        return Basin.from_landsurface(self.landsurface, str(self.path))

    @cached_property
    def days(self) -> pd.DatetimeIndex:
        """The days of the forcing."""
        return check_daily(self.forcing, str(self.path))

    def gauge(self, name: str = "") -> str:
        """Name of a gauge; empty for the one that drains most.

        Raises:
            InputError: no such gauge.
        """
        stations = [str(station) for station in self.discharge.station.values]
        name = name or stations[int(self.discharge.cell_area.argmax("station"))]
        if name not in stations:
            raise InputError(
                f"{self.path}: discharge has no gauge '{name}'; expected one of: "
                f"{', '.join(stations)}"
            )
        return name

    @property
    def gauges(self) -> dict:
        """Coordinates of the gauges: name, place and the area that drains to them."""
        gauges, area = self.discharge.load(), {"units": "m2", "long_name": "area that drains there"}
        return {
            "station": gauges.station,
            "station_lat": ("station", gauges.cell_lat.values, AXES["lat"]),
            "station_lon": ("station", gauges.cell_lon.values, AXES["lon"]),
            "station_area": ("station", gauges.cell_area.values, area),
        }

    def summary(self) -> dict[str, str]:
        """What the study holds, a line a name."""
        basin, days, gauges = self.basin, self.days, self.discharge.load()
        share = gauges.discharge.notnull().mean("time")
        area = basin.area.sum() / 1e9
        steps = " x ".join(f"{abs(np.diff(axis)[0]):g}" for axis in (basin.lat, basin.lon))
        about = {
            "study": f"{self.title} ({self.attrs.get('source', 'unknown')}), {self.path}",
            "basin": f"{basin.size} cells of {steps} degrees, {area:,.0f} thousand km2",
            "days": f"{days[0]:%F} to {days[-1]:%F}, {len(days)}",
            "weather": ", ".join(map(str, self.forcing)),
            "groups": self._contents().removeprefix("found "),
        }
        if self.has("twsa"):
            boxes = self.twsa.load()
            first, last = boxes.indexes["month"][[0, -1]]
            about["gravimetry"] = f"{boxes.sizes['box']} boxes, {first:%Y-%m} to {last:%Y-%m}"
        about["gauges"] = f"{gauges.sizes['station']}; the largest, thousand km2, days observed:"
        for k in (-gauges.cell_area.values).argsort()[:MOST_LINES]:
            name, drained = str(gauges.station.values[k]), float(gauges.cell_area[k]) / 1e3
            about[f"  {name}"] = f"{drained:,.0f}, {float(share[k]):.0%}"
        return about

    @cached_property
    def gauge_cells(self) -> np.ndarray:
        """Index of each gauge's cell, (station,)."""
        gauges = self.discharge
        return np.array(
            [
                self.basin.cell_at(float(lat), float(lon), f"gauge {name}")
                for name, lat, lon in zip(
                    gauges.station.values, gauges.cell_lat, gauges.cell_lon, strict=True
                )
            ]
        )


@lru_cache(maxsize=64)
def _opened(path: Path, name: str, written: int) -> xr.Dataset:
    """A group as it was written at a time; its values are read anew by whoever asks for them."""
    return xr.open_dataset(
        path, group=name, engine="zarr", chunks=None, cache=False, consolidated=False
    )


def open_study(path: Path | str) -> Study:
    """Open a prepared study, sought as :func:`~hybridlib.study.files.from_project` does.

    Example:
        >>> import hybridlib as hl
        >>> study = hl.open_study("data/cache/smoke.zarr")
        >>> study.title, dict(study.discharge.discharge.sizes)
        ('Amazon twin, smoke size', {'time': 2191, 'station': 3})

    Raises:
        InputError: there is none at ``path``.
    """
    study = Study(from_project(path))
    if not study.has("forcing"):
        raise InputError(
            f"{path}: no prepared study here; "
            "expected a Zarr store made by `hybridlib prepare` or `hybridlib twin`"
        )
    return study


def write_study(path: Path | str, groups: dict[str, xr.Dataset], attrs: dict[str, str]) -> Study:
    """Write a study; it appears under its name only when it is complete.

    Args:
        path: the Zarr store to write; an older study there is replaced, nothing else is.
        groups: datasets by group name.
        attrs: name, source and how it was made.

    Raises:
        InputError: something that is no study stands at ``path``.
    """
    path = Path(path)
    refuse_to_replace(path)
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        xr.Dataset(attrs=attrs).to_zarr(part, mode="w", consolidated=False, zarr_format=2)
        for name, dataset in groups.items():
            write_group(part, name, dataset)
        shutil.rmtree(path, ignore_errors=True)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Study(path)


def refuse_to_replace(path: Path) -> None:
    """Refuse a place where something stands that this library did not write.

    Raises:
        InputError: a file, or a folder that is neither empty nor a study.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not Study(path).has("forcing") or "source" not in Study(path).attrs:
        raise InputError(f"{path}: something that is no study stands here; it is left as it is")


def write_group(path: Path, name: str, dataset: xr.Dataset) -> None:
    """Write one group, chunked along time."""
    chunks = {
        variable: {
            "chunks": tuple(
                min(n, DAYS_A_CHUNK) if d == "time" else n for d, n in field.sizes.items()
            )
        }
        for variable, field in dataset.data_vars.items()
        if "time" in field.dims and field.ndim > 1
    }
    dataset.drop_encoding().to_zarr(
        path, group=name, mode="w", consolidated=False, zarr_format=2, encoding=chunks
    )
