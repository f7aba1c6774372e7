"""Labelled results as files that others open: NetCDF, Zarr, CSV of gauges, GeoTIFF of maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from hybridlib import __version__
from hybridlib.study.files import alone, not_written, piece, remove, written_whole
from hybridlib.study.schema import InputError

WRITERS = ".nc", ".zarr"
"""Suffixes of :func:`write`."""


def write(path: Path | str, data: xr.Dataset) -> Path:
    """Write a dataset, as NetCDF or Zarr by the suffix; it appears only when it is whole.

    Raises:
        InputError: another suffix, or a Zarr store that stands there.
        OSError: the file cannot be written.
    """
    path = check_target(path)
    made = f"hybridlib {__version__}"
    data = data.assign_attrs(Conventions="CF-1.8", history=made)
    if path.suffix == ".nc":
        packed: dict = {
            n: {"zlib": True, "complevel": 1} for n, f in data.items() if f.dtype.kind == "f"
        }
        packed |= {str(name): {"_FillValue": None} for name in data.coords}
        with written_whole(path) as part:
            data.to_netcdf(part, engine="netcdf4", encoding=packed)
        return path
    with alone(path):
        if path.exists():
            raise InputError(f"{path}: something stands here; name another store, or remove it")
        part = piece(path)
        try:
            data.to_zarr(part, consolidated=True, zarr_format=2)
            part.rename(path)
        except OSError as error:
            raise not_written(path, error) from error
        finally:
            remove(part)
    return path


def check_target(path: Path | str) -> Path:
    """Refuse a place that :func:`write` cannot write, before the work.

    Raises:
        InputError: another suffix, or a Zarr store that stands there.
    """
    path = Path(path)
    if path.suffix not in WRITERS:
        raise InputError(f"{path}: suffix '{path.suffix}'; expected {' or '.join(WRITERS)}")
    if path.suffix == ".zarr" and path.exists():
        raise InputError(f"{path}: something stands here; name another store, or remove it")
    return path


def write_gauges(path: Path | str, data: xr.Dataset) -> Path:
    """Write discharge at the gauges, m3 s-1: a row a day and member, a column a gauge.

    Args:
        path: CSV to write.
        data: with discharge (…, time, station).

    Raises:
        InputError: no discharge in the data.
    """
    if "discharge" not in data:
        raise InputError(f"{path}: no discharge to write; ask for the variable dis")
    table = data.discharge.reset_coords(drop=True).to_series().unstack("station")
    with written_whole(path) as part:
        table[list(data.station.values)].to_csv(part, float_format="%.6g")
    return Path(path)


def write_maps(folder: Path | str, data: xr.Dataset) -> list[Path]:
    """Write the mean over time and members of every field on the grid as a GeoTIFF.

    What a cell's reservoirs hold is added up.

    Args:
        folder: made where it is missing; a file a variable, NAME_FIRST-LAST.tif.
        data: with fields (…, time, lat, lon).

    Returns:
        The files.

    Raises:
        InputError: no field on a grid.
    """
    import rioxarray  # noqa: F401  here: it gives xarray its rio accessor, and takes long to load

    written = []
    for name, field in data.items():
        if not {"time", "lat", "lon"} <= set(field.dims):
            continue
        first, last = field.indexes["time"][[0, -1]].year
        whole = field.sum("reservoir", keep_attrs=True, skipna=False) if field.ndim > 4 else field
        mean = whole.mean([d for d in whole.dims if d not in ("lat", "lon")], keep_attrs=True)
        raster = mean.astype("float32").rename(lat="y", lon="x").sortby("y", ascending=False)
        raster = raster.rio.write_crs("EPSG:4326").rio.write_nodata(np.nan)
        path = Path(folder) / f"{name}_{first}-{last}.tif"
        with written_whole(path) as part:
            raster.rio.to_raster(part, driver="GTiff", compress="deflate")
        written.append(path)
    if not written:
        raise InputError(f"{folder}: no map to write; expected fields (time, lat, lon)")
    return written
