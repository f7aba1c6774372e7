"""A file on its way in: what it is, and which of its values are missing or noise around zero."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from hybridlib.study.report import Report
from hybridlib.study.schema import InputError, is_fill

_HEADS = (
    (b"\x1f\x8b", "packed by gzip; unpack it (gunzip)"),
    (b"PK\x03\x04", "a zip archive; unpack it (unzip)"),
    (b"BZh", "packed by bzip2; unpack it (bunzip2)"),
    (b"GRIB", "GRIB; convert it to NetCDF (cdo -f nc copy)"),
    (b"version https://git-lfs", "a pointer to a file that Git LFS keeps; get it (git lfs pull)"),
    (b"<", "a web page or XML; the download went wrong"),
)
NOISE = {"pr": (-1e-8, 1.0), "evspsblpot": (-6e-6, 0.01)}
"""Fluxes a little below zero by packing or condensation, with the lowest and the largest share."""
MOST_CROSSING = 0.01
"""By how much, K, tasmin may be above tasmax in packed files."""


def read(path: Path | str) -> xr.Dataset:
    """Open a NetCDF file lazily, or say in a sentence what it is instead.

    Raises:
        InputError: the file is missing, is not NetCDF, or has times that give no dates.
    """
    if what := _instead(Path(path)):
        raise InputError(f"{path}: not a NetCDF file, but {what}")
    try:
        return xr.open_dataset(path)
    except Exception as error:  # every library below raises its own kinds
        raise InputError(f"{path}: {_why(path, error)}") from error


def _instead(path: Path) -> str:
    """What a file is that is no NetCDF, empty where it may be one."""
    try:
        if path.is_dir():
            return "" if any((path / n).exists() for n in (".zgroup", "zarr.json")) else "a folder"
        if path.exists() and not path.is_file():
            return "a device or a pipe"
        with open(path, "rb") as file:
            head = file.read(2048)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not head:
        return "empty"
    for start, what in _HEADS:
        if head.lstrip().startswith(start):
            return what
    if b"GRDC" in head:
        return "GRDC's text; its series belong into discharge(time, station)"
    if head.startswith((b"CDF", b"\x89HDF")):
        return ""
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" or byte > 159 for byte in head)
    return "text, such as CSV" if b"\0" not in head and printable > 0.9 * len(head) else ""


def _why(path: Path | str, error: Exception) -> str:
    """Why a file with a NetCDF head does not open."""
    try:
        with xr.open_dataset(path, decode_times=False) as raw:
            units = {n: v.attrs["units"] for n, v in raw.variables.items() if "units" in v.attrs}
    except Exception:
        return f"not a NetCDF file that can be read ({_first_line(error)})"
    time = next((n for n in units if n in ("time", "month", "valid_time")), "time")
    return (
        f"{time} has units '{units.get(time)}', of which no dates follow; "
        f"expected such as 'days since 2003-01-01' ({_first_line(error)})"
    )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


@contextmanager
def values_of(path: Path | str) -> Iterator[None]:
    """Name the file where its values cannot be read: a damaged chunk, a text of no encoding.

    Raises:
        InputError: instead of what the libraries below raise.
    """
    try:
        yield
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({_first_line(error)})") from error


def load(dataset: xr.Dataset, path: Path | str, report: Report) -> xr.Dataset:
    """Read all values; what means "missing" and does not say so becomes NaN and is told.

    Args:
        dataset: lazy.
        path: its file, for messages.
        report: takes the counts.

    Raises:
        InputError: values that cannot be read.
    """
    with values_of(path):
        dataset = dataset.load()
    for name, field in dataset.data_vars.items():
        if field.dtype.kind not in "iuf":
            continue
        own, width = _own_fill(field)
        fill = is_fill(field.values) | (abs(field.values - own) < width)
        if fill.any():
            values = np.unique(field.values[fill])
            dataset[name] = field.where(~fill)
            report.note(
                f"{path}: {name} is {' or '.join(f'{v:g}' for v in values)} in {int(fill.sum())} "
                "places, a fill value that the file does not declare: counted as missing"
            )
    return dataset


def _own_fill(field: xr.DataArray) -> tuple[float, float]:
    """NetCDF's own fill of whole numbers as it looks unpacked, and how near; NaN if declared."""
    kind = np.dtype(field.encoding.get("dtype", field.dtype))
    declared = {"_FillValue", "missing_value"} & set(field.encoding)
    if kind.kind != "i" or kind.itemsize < 2 or declared:
        return np.nan, 0.0
    scale, offset = (field.encoding.get(n, d) for n, d in (("scale_factor", 1), ("add_offset", 0)))
    return float(netCDF4.default_fillvals[kind.str[1:]]) * scale + offset, 0.1 * abs(scale)


def set_noise_right(name: str, values: np.ndarray) -> tuple[np.ndarray, int]:
    """Set to zero what is below it by :data:`NOISE`; leave alone what is more than that.

    Args:
        name: of the schema.
        values: any shape, NaN where missing.

    Returns:
        The values, and how many were set right.
    """
    lowest, share = NOISE.get(name, (0.0, 0.0))
    low = values < 0.0
    count = int(low.sum())
    if not 0 < count <= share * values.size or values[low].min() < lowest:
        return values, 0
    return np.where(low, values.dtype.type(0.0), values), count


def carry_overflow(field: xr.DataArray) -> tuple[np.ndarray, int]:
    """Carry back values of a packed flux that ran over the top of its range and so fell below 0.

    A writer that fits its range to the values reaches the bottom, too, and has none of these; then,
    and where they are not rare, nothing is changed.

    Returns:
        The values, and how many were carried by a whole turn of the packing.
    """
    values, kind = field.values, np.dtype(field.encoding.get("dtype", float))
    scale = float(field.encoding.get("scale_factor", 0.0))
    low = values < -1e-8
    if kind.kind != "i" or scale <= 0.0 or not 0 < low.sum() <= 1e-3 * values.size:
        return values, 0
    turn = scale * 2.0 ** (8 * kind.itemsize)
    top = float(field.encoding.get("add_offset", 0.0)) + turn / 2.0
    if np.nanmin(values) < top - 0.99 * turn or np.nanmax(values) < 0.9 * top:
        return values, 0
    return np.where(low, values + turn, values), int(low.sum())


def set_crossing_right(weather: xr.Dataset, path: Path | str, report: Report) -> xr.Dataset:
    """Bring tasmin down to tasmax where it is above it by no more than packing does.

    Raises:
        InputError: it is above it by more than :data:`MOST_CROSSING`.
    """
    if not {"tasmin", "tasmax"} <= set(weather):
        return weather
    above = (weather.tasmin - weather.tasmax).astype(float)
    count, most = int((above > 0).sum()), float(above.max())
    if count and most > MOST_CROSSING + 1e-4:
        worst = above.isel(above.argmax(...))
        raise InputError(
            f"{path}: tasmin is above tasmax by {most:g} K at lat {float(worst.lat):g}, lon "
            f"{float(worst.lon):g} on {str(worst.time.values)[:10]}; expected at most "
            f"{MOST_CROSSING:g} K, as packing does; values like this: {count}"
        )
    if count:
        report.note(
            f"{path}: tasmin is above tasmax by up to {most:.2g} K, {count} times: set equal"
        )
        weather["tasmin"] = weather.tasmin.where(~(above > 0), weather.tasmax).assign_attrs(
            weather.tasmin.attrs
        )
    return weather
