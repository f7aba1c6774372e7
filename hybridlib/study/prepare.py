"""From files in the schema to a prepared study; everything is checked on the way."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.study import pet, report, schema
from hybridlib.study.attributes import static_attributes
from hybridlib.study.basin import Basin
from hybridlib.study.files import alone
from hybridlib.study.instruments import BASELINE, anomaly, box_weights
from hybridlib.study.landsurface import land_alone, pack_landsurface
from hybridlib.study.reading import (
    carry_overflow,
    load,
    read,
    set_crossing_right,
    set_noise_right,
    values_of,
)
from hybridlib.study.report import Report
from hybridlib.study.schema import InputError
from hybridlib.study.stamps import check_daily, months_of
from hybridlib.study.store import Study, refuse_to_replace, write_study

LARGEST_AREA_ERROR = 0.15
"""A gauge whose own cell drains a wrong area by more than this moves to a neighbour that fits."""


def prepare(
    landsurface: Path,
    forcing: Path,
    discharge: Path,
    output: Path,
    twsa: Path | None = None,
    formula: str = "given",
    found: Report | None = None,
) -> Study:
    """Import files in the schema as a prepared study.

    Args:
        landsurface: NetCDF with HydroPy's land-surface variables.
        forcing: NetCDF with daily pr, tas and either evspsblpot or what ``formula`` needs.
        discharge: NetCDF with discharge(time, station), area (km2), station_lat, station_lon.
        output: the Zarr store to write.
        twsa: NetCDF with twsa(time, box) in mm, box_lat, box_lon.
        formula: "given" takes evspsblpot from the file; otherwise a name in
            ``hybridlib.study.pet.FORMULAS``.
        found: is told what was found; by default what is odd becomes a warning.

    Example:
        >>> import hybridlib as hl
        >>> twin = hl.open_study("data/cache/smoke.zarr")
        >>> for name in ("landsurface", "forcing", "discharge"):
        ...     twin.group(name).drop_encoding().to_netcdf(f"{name}.nc")
        >>> files = "landsurface.nc", "forcing.nc", "discharge.nc"
        >>> study = hl.prepare(*files, "own.zarr")
        >>> study.basin.size == twin.basin.size
        True

    Raises:
        InputError: any input that cannot be used, before anything is written.
    """
    with alone(output):
        return _prepared(landsurface, forcing, discharge, output, twsa, formula, found)


def _prepared(landsurface, forcing, discharge, output, twsa, formula, found) -> Study:
    refuse_to_replace(Path(output))
    told = Report() if found is None else found
    land, basin = _read_landsurface(landsurface, told)
    weather = _read_forcing(forcing, basin, land, str(landsurface), formula, told)
    gauges = _read_discharge(discharge, basin, weather.indexes["time"], told)
    rain = report.annual(basin.pack(weather["pr"]))
    report.judge_gauges(told, gauges, rain, basin, str(discharge))
    groups = {
        "forcing": weather,
        "landsurface": land,
        "attributes": static_attributes(land, weather),
        "discharge": gauges,
    }
    if twsa is not None:
        groups["twsa"] = _read_twsa(twsa, basin, told)
    if found is None:
        for odd in told.odd:
            warnings.warn(odd, stacklevel=2)
    attrs = {
        "title": land.attrs.get("title", Path(landsurface).stem),
        "source": "real",
        "pet": formula,
        "history": f"hybridlib prepare from {Path(landsurface).name}, {Path(forcing).name}",
    }
    return write_study(output, groups, attrs)


def _read_landsurface(path: Path, told: Report) -> tuple[xr.Dataset, Basin]:
    """Read the land surface and its network, checked over land."""
    raw = load(read(path), path, told)
    land = schema.select_landsurface(raw, str(path)).assign_attrs(raw.attrs)
    land = land_alone(land, str(path))
    if min(land.sizes["lat"], land.sizes["lon"]) < 2:
        raise InputError(
            f"{path}: the grid has {land.sizes['lat']} rows and {land.sizes['lon']} columns, too "
            "few to tell the cells' size; give the spacing by a further row and column (lsm 0)"
        )
    basin = Basin.from_landsurface(land, str(path))
    report.judge_land(told, pack_landsurface(land, basin, str(path)), land, basin, str(path))
    return land, basin


def _read_forcing(
    path: Path, basin: Basin, grid: xr.Dataset, grid_name: str, formula: str, told: Report
) -> xr.Dataset:
    """Read every forcing variable the file has, with PET, on the basin's grid."""
    raw = read(path)
    schema.check_same_grid(grid, raw, (grid_name, str(path)))
    days = check_daily(raw, str(path), told)
    needed = {"pr", "tas"} | ({"evspsblpot"} if formula == "given" else set())
    present = {
        name
        for name, variable in schema.FORCING.items()
        if {name, *variable.aliases} & set(raw.data_vars)
    }
    names = [name for name in schema.FORCING if name in needed | present]
    weather = load(schema.select(raw, schema.FORCING, names, str(path)), path, told)
    weather = weather.assign_coords(time=days, lat=grid.lat, lon=grid.lon)
    for name in names:
        weather[name] = _set_right(weather[name], path, told)
        check_forcing(basin.pack(weather[name]), name, basin, days, str(path))
        _check_outside(weather[name], str(path))
    weather = set_crossing_right(weather, path, told)
    if formula != "given":
        weather["evspsblpot"] = pet.potential_evaporation(weather, formula)
    rain, demand = (report.annual(basin.pack(weather[n])) for n in ("pr", "evspsblpot"))
    report.judge_climate(told, rain, demand, len(days), basin, str(path))
    # A day at 273.15 K must stay on its side of the threshold: float32 would move it.
    return xr.Dataset(
        {
            name: _fill_outside(field).astype("float64" if name == "tas" else "float32")
            for name, field in weather.data_vars.items()
        }
    )


def _set_right(field: xr.DataArray, path: Path, told: Report) -> xr.DataArray:
    """Set right what packing and condensation do to a flux around zero, and tell it."""
    values = field.values
    if field.name == "pr":
        values, count = carry_overflow(field)
        if count:
            told.odd.append(
                f"{path}: pr is negative in {count} places of a packed file whose top is reached: "
                f"read as rain that ran over it, up to {values.max():.3g} kg m-2 s-1; still more "
                "rain would look like less and cannot be told: better pack the file anew"
            )
    values, count = set_noise_right(str(field.name), values)
    if count:
        told.note(f"{path}: {field.name} is a little below 0 in {count} places: set to 0")
    return field.copy(data=values)


def check_forcing(
    values: np.ndarray, name: str, basin: Basin, days: pd.DatetimeIndex, source: str
) -> None:
    """Refuse weather that is missing over land or out of range.

    Args:
        values: one variable, (time, cell).
        name: its name in the schema.
        basin: the active cells.
        days: the days, (time,).
        source: the file's name.

    Raises:
        InputError: with the first cell and day.
    """

    def where(index):
        return (
            f"{basin.describe(np.flatnonzero(basin.land)[index[1]])} on {days[index[0]]:%Y-%m-%d}"
        )

    schema.check_values(values[:, basin.land], schema.FORCING[name], source, where)


def _check_outside(field: xr.DataArray, source: str) -> None:
    """Outside the basin a value may be missing, but not wrong."""
    variable = schema.FORCING[str(field.name)]
    usual = variable.low if np.isfinite(variable.low) else 0.0
    lat, lon, days = field.lat.values, field.lon.values, field.indexes["time"]

    def where(index):
        day, row, col = index
        return f"at lat {lat[row]:g}, lon {lon[col]:g} (outside the basin) on {days[day]:%Y-%m-%d}"

    schema.check_values(np.where(np.isnan(field), usual, field), variable, source, where)


def _fill_outside(field: xr.DataArray) -> xr.DataArray:
    """Fill missing cells outside the basin with the day's mean over the others."""
    return field.fillna(field.mean(("lat", "lon"), dtype=float)).astype(field.dtype)


def _read_discharge(
    path: Path, basin: Basin, weather_days: pd.DatetimeIndex, told: Report
) -> xr.Dataset:
    """Read gauges and find the cell of each."""
    raw = read(path)
    names = [n for n in schema.DISCHARGE if n != "area" or "area" in raw.variables]
    gauges = load(schema.select(raw, schema.DISCHARGE, names, str(path)), path, told)
    if "station" not in raw.coords or gauges.sizes["station"] == 0:
        raise InputError(f"{path}: coordinate station is missing; expected a name for every gauge")
    if "area" not in gauges:
        gauges["area"] = xr.full_like(gauges.station_lat, np.nan)
    gauges["area"].attrs.update(schema.DISCHARGE["area"].attrs)
    days = check_daily(raw, str(path), told)
    with values_of(path):
        names = [_text(name) for name in raw.station.values]
    gauges = gauges.assign_coords(station=names, time=days)
    _check_gauges(gauges, path)
    if not days.isin(weather_days).any():
        raise InputError(
            f"{path}: discharge runs from {days[0]:%F} to {days[-1]:%F}, the weather from "
            f"{weather_days[0]:%F} to {weather_days[-1]:%F}; expected some days in common"
        )
    return place_gauges(gauges, basin, str(path))


def _text(name) -> str:
    """A station's name as text: from bytes of UTF-8 or else Latin-1, from a whole number."""
    if isinstance(name, bytes):
        try:
            name = name.decode("utf-8")
        except UnicodeDecodeError:
            name = name.decode("latin-1")
    whole = isinstance(name, float | np.floating) and float(name).is_integer()
    return str(int(name) if whole else name).strip("\0 ")


def _check_gauges(gauges: xr.Dataset, path: Path) -> None:
    """Missing days and areas are expected; other values must make sense, names be different."""
    days, names = gauges.indexes["time"], gauges.indexes["station"]
    if names.has_duplicates:
        raise InputError(f"{path}: station {names[names.duplicated()][0]} stands twice")

    def where(index):
        day = f" on {days[index[0]]:%Y-%m-%d}" if len(index) == 2 else ""
        return f"at station {names[index[-1]]}{day}"

    for name, variable in schema.DISCHARGE.items():
        values = gauges[name].values.astype(float)
        if name in ("discharge", "area"):
            values = np.where(np.isnan(values), 1.0, values)
        least = np.nextafter(0.0, 1.0) if name == "area" else variable.low
        schema.check_values(values, replace(variable, low=least), str(path), where)


def place_gauges(gauges: xr.Dataset, basin: Basin, source: str) -> xr.Dataset:
    """Give every gauge a cell: its own, or a neighbour if only there the drainage area fits.

    An area fits within :data:`LARGEST_AREA_ERROR`. Where no neighbour's does either, or the
    published area is unknown, the gauge stays.

    Args:
        gauges: station_lat, station_lon (degrees) and area (km2, NaN where unknown), (station,).
        basin: the network.
        source: the file's name, for messages.

    Returns:
        The dataset with cell_lat, cell_lon, cell_area (km2) and snapped, (station,).

    Raises:
        InputError: a gauge outside the basin.
    """
    cells, snapped = [], []
    for name, lat, lon, area in zip(
        gauges.station.values,
        gauges.station_lat.values,
        gauges.station_lon.values,
        gauges.area.values * 1e6,
        strict=True,
    ):
        own = basin.cell_at(float(lat), float(lon), f"{source}: gauge {name}")
        near = (abs(basin.row - basin.row[own]) <= 1) & (abs(basin.col - basin.col[own]) <= 1)
        error = np.where(near & basin.land, np.abs(basin.upstream_area / area - 1.0), np.inf)
        moves = error[own] > LARGEST_AREA_ERROR >= error.min()
        cells.append(int(error.argmin()) if moves else own)
        snapped.append(moves)
    place = {
        "cell_lat": (basin.lat[basin.row[cells]], "degrees_north", "latitude of the gauge's cell"),
        "cell_lon": (basin.lon[basin.col[cells]], "degrees_east", "longitude of the gauge's cell"),
        "cell_area": (basin.upstream_area[cells] / 1e6, "km2", "drainage area in the network"),
        "snapped": (np.array(snapped), "/", "moved to a neighbouring cell"),
    }
    return gauges.assign(
        {
            name: ("station", values, {"units": units, "long_name": meaning})
            for name, (values, units, meaning) in place.items()
        }
    )


def _read_twsa(path: Path, basin: Basin, told: Report) -> xr.Dataset:
    """Read monthly storage anomalies on boxes and refer them to the baseline's observed months."""
    raw = read(path)
    raw = raw.rename(time="month") if "time" in raw.dims else raw
    boxes = load(schema.select(raw, schema.TWSA, schema.TWSA, str(path)), path, told)
    months = months_of(raw, str(path), told)
    names = boxes.box.values if "box" in boxes.coords else np.arange(boxes.sizes["box"]) + 1

    def where(index):
        month = f" in {months[index[0]]:%Y-%m}" if len(index) == 2 else ""
        return f"in box {names[index[-1]]}{month}"

    for name, variable in schema.TWSA.items():
        values = boxes[name].values
        values = np.where(np.isnan(values), 0.0, values) if name == "twsa" else values
        schema.check_values(values, variable, str(path), where)
    order = np.argsort(months)
    boxes, months = boxes.isel(month=order), months[order]
    baseline = tuple(
        str(raw.attrs.get(f"baseline_{end}", default))
        for end, default in zip(("first", "last"), BASELINE, strict=True)
    )
    values = boxes.twsa.values
    try:
        box_weights(basin, boxes.box_lat.values, boxes.box_lon.values)
        values = anomaly(values, months, np.isfinite(values), baseline)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    boxes["twsa"] = boxes.twsa.copy(data=values)
    report.judge_storage(told, values, str(path))
    if "box" not in raw.coords:
        boxes = boxes.assign_coords(box=[f"box_{k + 1:02d}" for k in range(boxes.sizes["box"])])
    attrs = {"baseline_first": baseline[0], "baseline_last": baseline[1]}
    return boxes.assign_coords(month=months).assign_attrs(attrs)
