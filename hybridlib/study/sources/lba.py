"""Flux towers of LBA-ECO CD-32: the daily files (``K34day_CfluxBF.txt``) as evapotranspiration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.study.pet import LATENT_HEAT
from hybridlib.study.schema import SECONDS_PER_DAY, InputError, Variable, check_values
from hybridlib.study.store import Study

SITES = {"K34": (-2.609, -60.209), "K67": (-2.857, -54.959)}
"""Latitude and longitude of the two flux towers of the LBA programme."""
COLUMNS = ("Year_LBAMIP", "DoY_LBAMIP")
HEADER_LINES = 3
MISSING = -9999.0
WATTS = {"wm-2", "w/m2", "wm^-2", "w/m^2", "wm**-2"}
"""Spellings of W m-2, without blanks and in small letters."""
LATENT = Variable("latent heat flux", "W m-2", "daily mean", -100.0, 600.0)
"""The range catches wrong units (mm d-1 passes it, but has no unit line in W m-2)."""


def read_lba(path: Path | str, column: str = "LE") -> xr.DataArray:
    """Read a tower's daily file (``K34day_CfluxBF.txt``) as evapotranspiration.

    Lines: names, two more lines of header of which one holds units, then a day each, separated by
    tabs. Latent heat becomes water with 2.45 MJ kg-1. The file's days are taken as they are: it
    does not name its time zone, and at night, when days change, there is hardly any flux.

    Args:
        path: the file.
        column: latent heat flux, W m-2, by its name in the file: "LE" or "Leraw".

    Returns:
        mm d-1, (time,), every day from the first to the last, NaN where the file has none.

    Raises:
        InputError: a missing column, another unit, a damaged line, an impossible date or value.
    """
    names, units, rows = _read_lines(path)
    for name in (*COLUMNS, column):
        if names.count(name) != 1:
            raise InputError(
                f"{path}: column {name} is there {names.count(name)} times; expected once in "
                f"line 1 (found {len(names)} columns: {', '.join(names[:6])[:80]} …)"
            )
    at = names.index(column)
    found = [line[at] for line in units if at < len(line)]
    if not any("".join(text.lower().split()) in WATTS for text in found):
        raise InputError(
            f"{path}: {column} has {' and '.join(map(repr, found)) or 'nothing'} in the lines "
            "below its name; expected its unit, W m-2"
        )
    year, day, flux = (_numbers(rows, names.index(name), name, path) for name in (*COLUMNS, column))
    days = _dates(year, day, path)
    missing = np.isnan(flux) | (flux == MISSING)

    def where(index):
        return f"in column {column} on {days[index[0]]:%Y-%m-%d}"

    check_values(np.where(missing, 0.0, flux), LATENT, str(path), where)
    water = np.where(missing, np.nan, flux * SECONDS_PER_DAY / LATENT_HEAT)
    attrs = {"units": "mm d-1", "long_name": "evapotranspiration at a tower"}
    series = xr.DataArray(water, {"time": days}, ("time",), "et", attrs)
    return series.reindex(time=pd.date_range(days[0], days[-1]))


def _read_lines(path: Path | str) -> tuple[list[str], list[list[str]], list[list[str]]]:
    """Names, further lines of header, and the days' lines, all of the same number of fields."""
    try:
        text = Path(path).read_text(encoding="latin-1")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    lines = [[field.strip() for field in line.split("\t")] for line in text.split("\n")]
    while lines and not any(lines[-1]):
        lines.pop()
    if len(lines) <= HEADER_LINES:
        raise InputError(
            f"{path}: {len(lines)} lines; expected {HEADER_LINES} lines of header and then days"
        )
    for number, line in enumerate(lines[HEADER_LINES:], HEADER_LINES + 1):
        if len(line) != len(lines[0]):
            raise InputError(
                f"{path}: line {number} has {len(line)} fields separated by tabs; "
                f"expected {len(lines[0])}, as in line 1"
            )
    return lines[0], lines[1:HEADER_LINES], lines[HEADER_LINES:]


def _numbers(rows: list[list[str]], at: int, name: str, path) -> np.ndarray:
    """One column as numbers."""
    values = np.empty(len(rows))
    for k, row in enumerate(rows):
        try:
            values[k] = float(row[at])
        except ValueError:
            raise InputError(
                f"{path}: {name} is {row[at]!r} in line {k + HEADER_LINES + 1}; expected a number"
            ) from None
    return values


def _dates(year: np.ndarray, day: np.ndarray, path) -> pd.DatetimeIndex:
    """Dates from years and days of the year, each later than the one before."""
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    good = (year == np.round(year)) & (day == np.round(day)) & (year >= 1900) & (year <= 2100)
    good &= (day >= 1) & (day <= 365 + leap)
    if not good.all():
        k = int(np.argmin(good))
        raise InputError(
            f"{path}: {COLUMNS[0]} {year[k]:g}, {COLUMNS[1]} {day[k]:g} in line "
            f"{k + HEADER_LINES + 1} is no day; expected whole numbers, 1 January being day 1"
        )
    days = pd.DatetimeIndex(pd.to_datetime(year.astype(int), format="%Y"))
    days = days + pd.to_timedelta(day - 1, unit="D")
    steps = np.diff(days.values) / np.timedelta64(1, "D")
    if (steps <= 0).any():
        k = int(np.argmax(steps <= 0))
        raise InputError(
            f"{path}: line {k + HEADER_LINES + 2} is {days[k + 1]:%Y-%m-%d} after "
            f"{days[k]:%Y-%m-%d}; expected a later day in every line (the daily file, not the "
            "hourly one)"
        )
    return days


def tower_cells(study: Study) -> dict[str, int]:
    """Cells of the known towers that stand in a basin, by name."""
    cells = {}
    for name, place in SITES.items():
        try:
            cells[name] = study.basin.cell_at(*place, f"tower {name}")
        except InputError:
            continue
    return cells


def read_towers(study: Study, folder: Path | str, column: str = "LE") -> xr.Dataset:
    """Read the LBA daily files of all towers that stand in a basin.

    Args:
        study: the prepared study.
        folder: with files named ``K34day_CfluxBF.txt``; a tower without a file is left out.
        column: of :func:`read_lba`.

    Returns:
        "et", mm d-1, (time, tower), on the study's days; the towers' "cell".

    Raises:
        InputError: no file of a tower in this basin, or what :func:`read_lba` refuses.
    """
    cells = tower_cells(study)
    files = {name: Path(folder) / f"{name}day_CfluxBF.txt" for name in cells}
    files = {name: file for name, file in files.items() if file.is_file()}
    if not files:
        raise InputError(
            f"{folder}: no file of a tower in this basin; expected K34day_CfluxBF.txt or the like "
            f"for {' or '.join(cells) or 'none: no known tower stands in it'}"
        )
    series = []
    for file in files.values():
        whole = read_lba(file, column)
        series.append(whole.reindex(time=study.days).values)
        if not np.isfinite(series[-1]).any():
            first, last = whole.time.values[[0, -1]].astype("datetime64[D]")
            raise InputError(
                f"{file}: no value of {column} on a day of the study; the file has {first} to "
                f"{last}, the study {study.days[0]:%F} to {study.days[-1]:%F}"
            )
    return tower_dataset(study, np.stack(series, axis=1), {name: cells[name] for name in files})


def tower_dataset(study: Study, et: np.ndarray, cells: Mapping[str, int]) -> xr.Dataset:
    """Series at towers, mm d-1, (time, tower), with the place of each tower's cell."""
    attrs = {"units": "mm d-1", "long_name": "daily evapotranspiration"}
    coords = {"time": study.days, "tower": list(cells)}
    fields = {"et": (("time", "tower"), et, attrs), "cell": ("tower", list(cells.values()))}
    return xr.Dataset(fields, coords, {"source": study.attrs.get("source", "unknown")})
