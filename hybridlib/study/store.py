"""A prepared study: one Zarr store that holds everything a run reads.

Groups: ``forcing``, ``landsurface``, ``attributes``, ``discharge``, and ``twsa`` where there is
gravimetry. Readers of foreign formats and the twin write it; nothing else reads raw files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.study import digests, schema
from hybridlib.study.attributes import ATTRIBUTES
from hybridlib.study.basin import Basin
from hybridlib.study.files import alone, from_project, piece, remove, written_whole
from hybridlib.study.options import read_json
from hybridlib.study.schema import InputError
from hybridlib.study.stamps import check_daily

DAYS_A_CHUNK = 366
MOST_LINES = 14
"""Gauges that a summary lists, so that it fits a screen."""
DIGESTS = "digests.json"
"""Table in a study of the digest of every file of a group, by group; ROOT for its own."""
ROOT, ROOT_FILES = ".", (".zattrs", ".zgroup")


@dataclass(frozen=True)
class Study:
    """An open study; its datasets are lazy.

    Attributes:
        path: the Zarr store.
    """

    path: Path

    def group(self, name: str) -> xr.Dataset:
        """Open one group, and see that all its files are as they were written.

        A process opens it once, and again only where a file was touched since.

        Raises:
            InputError: the study has no such group, or it is damaged.
        """
        kept = read_digests(self.path)
        if name not in kept:
            raise InputError(f"{self.path}: the study has no {name}; {self._contents()}")
        path = self.path.resolve()
        state = digests.written(path / name)
        return _opened(path, name, tuple(kept[name].items()), state).copy()

    def has(self, name: str) -> bool:
        """Whether the study holds a group."""
        return name in read_digests(self.path)

    def _contents(self) -> str:
        groups = sorted(name for name in read_digests(self.path) if name != ROOT)
        return f"found {', '.join(groups) or 'nothing'}"

    @cached_property
    def attrs(self) -> dict:
        """Name, source ("real" or "twin") and how the study was made."""
        kept, files = read_digests(self.path), [self.path / name for name in ROOT_FILES]
        found = {file.name: digests.of_file(file) for file in files if file.is_file()}
        _refuse_damage(self.path, digests.differing(kept.get(ROOT, {}), found))
        return kept_attrs(self.path)

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

    def land_attributes(self) -> xr.Dataset:
        """The attributes as networks may read them, (lat, lon).

        Raises:
            InputError: one is missing in a cell with land.
        """
        kept, basin = self.attributes.load(), self.basin
        for name, field in kept.items():
            missing = ~np.isfinite(basin.pack(field)) & basin.land
            if missing.any():
                cell = basin.describe(int(missing.argmax()))
                raise InputError(f"{self.path}: attribute {name} is missing (NaN) {cell}")
        return kept

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
        """Names of the gauges, their published places, and the cells they are read from."""
        gauges = self.discharge.load()
        named = {"long_name": "gauge", "cf_role": "timeseries_id"}
        places = ("station_lat", "station_lon", "cell_lat", "cell_lon", "cell_area")
        found: dict = {name: gauges[name].variable for name in places}
        return {"station": ("station", gauges.station.values, named), **found}

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
def _opened(path: Path, name: str, kept: tuple[tuple[str, str], ...], state: tuple) -> xr.Dataset:
    """A group with files of these digests; its values are read anew by whoever asks for them."""
    wrong = digests.differing(dict(kept), digests.of_files(path / name))
    _refuse_damage(path, wrong and f"{name}/{wrong}")
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
        InputError: there is none at ``path``, or one without digests or with damaged ones.
    """
    study = Study(from_project(path))
    if not stands(study.path):
        raise InputError(
            f"{path}: no prepared study here; "
            "expected a Zarr store made by `hybridlib prepare` or `hybridlib twin`"
        )
    return study


def stands(path: Path) -> bool:
    """Whether a study stands there, whole or damaged.

    One that was set aside by a process that was killed before the new one had its name comes back.
    """
    path = path.resolve()
    if not path.exists() and _aside(path).exists():
        with alone(path):
            _settle(path)
    return (path / DIGESTS).is_file() or "source" in kept_attrs(path)


def kept_attrs(path: Path) -> dict:
    """A study's name, source and how it was made, unchecked; nothing where they cannot be read."""
    try:
        found = read_json(path / ".zattrs")
    except InputError:
        return {}
    return found if isinstance(found, dict) else {}


def read_digests(path: Path) -> dict[str, dict[str, str]]:
    """The digests of a study's files, by group.

    Raises:
        InputError: there are none, or they are damaged.
    """
    if not (path / DIGESTS).is_file():
        raise InputError(
            f"{path}: this study has no {DIGESTS}: an older version made it, or it was damaged; "
            + _remedy(path)
        )
    found = read_json(path / DIGESTS)
    groups = found.get("groups") if isinstance(found, dict) else None
    whole = isinstance(groups, dict) and found.get("digest") == digests.of_values(groups)
    _refuse_damage(path, "" if whole else f"{DIGESTS} is not as it was written")
    return groups or {}


def _refuse_damage(path: Path, wrong: str) -> None:
    if wrong:
        raise InputError(f"{path}: the study is damaged: {wrong}; {_remedy(path)}")


def _remedy(path: Path) -> str:
    """How a study that cannot be used is made anew."""
    about = kept_attrs(path)
    how = "prepare ..."
    if about.get("source") == "twin" and {"size", "seed"} <= about.keys():
        how = f"twin --size {about['size']} --seed {about['seed']}"
    return f"make it anew with `hybridlib {how} --output {path} --force`"


def write_study(path: Path | str, groups: dict[str, xr.Dataset], attrs: dict[str, str]) -> Study:
    """Write a study; it appears under its name only when it is complete.

    A process that is killed leaves the old study or the new one; see :func:`stands`.

    Args:
        path: the Zarr store to write; an older study there is replaced, nothing else is.
        groups: datasets by group name.
        attrs: name, source and how it was made.

    Raises:
        InputError: something that is no study stands at ``path``, or another process writes there.
    """
    target = Path(path).resolve()
    with alone(target):
        _settle(target)
        refuse_to_replace(target)
        part = piece(target)
        try:
            xr.Dataset(attrs=attrs).to_zarr(part, mode="w", consolidated=False, zarr_format=2)
            _write_digests(part, {ROOT: {n: digests.of_file(part / n) for n in ROOT_FILES}})
            for name, dataset in groups.items():
                write_group(part, name, dataset)
            if target.exists():
                target.rename(_aside(target))
            part.rename(target)
        finally:
            remove(part)
            _settle(target)
    return Study(Path(path))


def _aside(path: Path) -> Path:
    """Where an old study lies while the new one takes its name."""
    return path.with_name(f".{path.name}.replaced")


def _settle(path: Path) -> None:
    """Leave one study of two, the old one only where the new one has not got its name."""
    if not path.exists() and _aside(path).exists():
        _aside(path).rename(path)
    remove(_aside(path))


def refuse_to_replace(path: Path) -> None:
    """Refuse a place where something stands that this library did not write.

    Raises:
        InputError: a file, or a folder that is neither empty nor a study.
    """
    if stands(path) or not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    raise InputError(f"{path}: something that is no study stands here; it is left as it is")


def write_group(path: Path, name: str, dataset: xr.Dataset) -> None:
    """Write one group, chunked along time, and the digests of its files."""
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
    _write_digests(path, read_digests(path) | {name: digests.of_files(path / name)})


def _write_digests(path: Path, groups: Mapping[str, Mapping[str, str]]) -> None:
    with written_whole(path / DIGESTS) as part:
        table = {"digest": digests.of_values(groups), "groups": groups}
        part.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")
