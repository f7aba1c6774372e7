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
    lines = _read_lines(path)
    names = lines.iloc[0]
    for name in (*COLUMNS, column):
        if (count := sum(names == name)) != 1:
            raise InputError(
                f"{path}: column {name} is there {count} times; expected once in line 1 "
                f"(found {names.count()} columns: {', '.join(names.dropna()[:6])[:80]} …)"
            )
    lines = lines.set_axis(names, axis=1)
    found, rows = lines[column].loc[2:HEADER_LINES].dropna(), lines.loc[HEADER_LINES + 1 :]
    if not WATTS & {"".join(text.lower().split()) for text in found}:
        raise InputError(
            f"{path}: {column} has {' and '.join(map(repr, found)) or 'nothing'} in the lines "
            "below its name; expected its unit, W m-2"
        )
    year, day, flux = (_numbers(rows[name], path) for name in (*COLUMNS, column))
    days = _dates(year, day, path)
    flux = flux.mask(flux == MISSING)

    def where(index):
        return f"in column {column} on {days.iloc[index[0]]:%F}"

    check_values(flux.fillna(0.0).to_numpy(), LATENT, str(path), where)
    water = flux.set_axis(days).asfreq("D") * SECONDS_PER_DAY / LATENT_HEAT
    attrs = {"units": "mm d-1", "long_name": "evapotranspiration at a tower"}
    return xr.DataArray(water.to_numpy(), {"time": water.index}, ("time",), "et", attrs)


def _read_lines(path: Path | str) -> pd.DataFrame:
    """All lines but blank ones, by their number; the days' lines as long as that of the names."""
    try:
        text = Path(path).read_text(encoding="latin-1")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    lines = pd.DataFrame([map(str.strip, line.split("\t")) for line in text.split("\n")])
    lines.index += 1
    lines = lines[lines.fillna("").astype(bool).any(axis=1)]
    if len(lines) <= HEADER_LINES:
        raise InputError(f"{path}: {len(lines)} lines; expected {HEADER_LINES} of header, and days")
    fields = lines.count(axis=1)
    width = f"{fields.iloc[0]} between tabs, as in line 1"
    _refuse(fields[HEADER_LINES:] != fields.iloc[0], path, "number of fields", fields, width)
    return lines


def _numbers(words: pd.Series, path) -> pd.Series:
    """One column as numbers."""
    numbers = pd.to_numeric(words, errors="coerce")
    _refuse(numbers.isna() & (words.str.lower() != "nan"), path, words.name, words, "a number")
    return numbers


def _dates(year: pd.Series, day: pd.Series, path) -> pd.Series:
    """Dates from years and days of the year, each later than the one before."""
    words = year.map("{:g}".format) + day.map(" {:g}".format)
    days = pd.to_datetime(words, format="%Y %j", errors="coerce")
    expected = "a day of a year in whole numbers, 1 January being day 1"
    _refuse(days.dt.year != year, path, " ".join(COLUMNS), words, expected)
    expected = "a later day in every line (the daily file, not the hourly one)"
    _refuse(days.diff() <= pd.Timedelta(0), path, "date", days.dt.strftime("%F"), expected)
    return days


def _refuse(bad: pd.Series, path, what, found: pd.Series, expected: str) -> None:
    """Refuse a file at the first of its bad lines."""
    if bad.any():
        line = bad.idxmax()
        raise InputError(f"{path}: {what} is '{found[line]}' in line {line}; expected {expected}")


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
