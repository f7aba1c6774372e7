"""What instruments see of a run: discharge at gauges, storage anomalies on 3-degree boxes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.study.basin import Basin
from hybridlib.study.schema import SECONDS_PER_DAY, InputError, turned

BOX_DEGREES = 3.0
"""Width of a box of gravimetry, whose resolution is about 300 km."""
BASELINE = ("2004-01", "2009-12")
"""Months whose mean is the zero of every anomaly (GRACE mascon products)."""


def discharge_at(dis: np.ndarray, cells: np.ndarray | list[int]) -> np.ndarray:
    """Discharge at gauges, m3 s-1, (time, station), from a run's dis in m3 d-1, (time, cell)."""
    return dis[..., cells] / SECONDS_PER_DAY


def box_weights(
    basin: Basin, box_lat: np.ndarray, box_lon: np.ndarray, degrees: float = BOX_DEGREES
) -> np.ndarray:
    """Share of each cell in the mean over each box, (box, cell); rows add up to 1.

    Args:
        basin: the active cells.
        box_lat: centres of the boxes, degrees, (box,).
        box_lon: centres of the boxes, degrees, (box,).
        degrees: width of a box.

    Raises:
        InputError: a box without a land cell.
    """
    lat, lon = basin.lat[basin.row], basin.lon[basin.col]
    # A cell whose centre lies on an edge belongs to the box north or east of it, to one only.
    north = lat - np.asarray(box_lat)[:, None]
    east = turned(lon - np.asarray(box_lon)[:, None], 0.0)
    half = degrees / 2
    weights = ((north >= -half) & (north < half) & (east >= -half) & (east < half)) * basin.area
    total = weights.sum(axis=1, keepdims=True)
    if not (total > 0).all():
        box = int(np.argmin(total[:, 0]))
        raise InputError(
            f"the box at lat {box_lat[box]:g}, lon {box_lon[box]:g} holds no land cell of the basin"
        )
    return weights / total


def monthly_means(daily: np.ndarray, days: pd.DatetimeIndex, months: pd.DatetimeIndex):
    """Mean of each month, (month, …), from daily values, (time, …).

    Args:
        daily: values of ``days``.
        days: the days.
        months: first day of each month wanted.

    Raises:
        InputError: a month without a day.
    """
    place = months.get_indexer(days.to_period("M").to_timestamp())
    sums = np.zeros((len(months), *daily.shape[1:]))
    used = place >= 0
    np.add.at(sums, place[used], daily[used])
    count = np.bincount(place[used], minlength=len(months))
    if not count.all():
        raise InputError(f"no day of the run lies in {months[np.argmin(count)]:%Y-%m}")
    return sums / count.reshape(-1, *[1] * (daily.ndim - 1))


def anomaly(monthly: np.ndarray, months: pd.DatetimeIndex, seen=None, baseline=BASELINE):
    """Subtract the mean over the baseline's months, the same ones on both sides.

    Args:
        monthly: storage, (month, box).
        months: first day of each month.
        seen: True where the instrument has a value, (month, box); all by default.
        baseline: first and last month of the reference period.

    Raises:
        InputError: no observed month in the baseline.
    """
    seen = np.ones(monthly.shape, bool) if seen is None else seen
    return monthly - np.mean(monthly, axis=0, where=baseline_months(months, seen, baseline))


def baseline_months(months: pd.DatetimeIndex, seen: np.ndarray, baseline) -> np.ndarray:
    """Which values enter the mean that anomalies refer to, (month, box).

    Args:
        months: first day of each month.
        seen: True where the instrument has a value, (month, box).
        baseline: first and last month of the reference period.

    Raises:
        InputError: no observed month of a box in the baseline.
    """
    first, last = (pd.Timestamp(f"{month}-01") for month in baseline)
    used = ((months >= first) & (months <= last))[:, None] & seen
    if not used.any(axis=0).all():
        raise InputError(
            f"no month between {baseline[0]} and {baseline[1]} is observed; "
            "expected some, for the mean that anomalies refer to; the attributes baseline_first "
            "and baseline_last, such as '2018-06', tell a file's own"
        )
    return used


def baseline_of(boxes: xr.Dataset) -> tuple[str, str]:
    """First and last month of the reference period of a study's ``twsa`` group."""
    return boxes.attrs["baseline_first"], boxes.attrs["baseline_last"]


def total_water_anomaly(
    tws: np.ndarray, days: pd.DatetimeIndex, basin: Basin, boxes: xr.Dataset
) -> np.ndarray:
    """A run's storage anomaly as gravimetry would see it, mm, (month, box).

    Args:
        tws: total water storage, mm, (time, cell).
        days: the days of the run.
        basin: the active cells.
        boxes: a study's ``twsa`` group: month, box_lat, box_lon and the observations, whose gaps
            are left out of the mean on both sides.
    """
    weights = box_weights(basin, boxes.box_lat.values, boxes.box_lon.values)
    months = boxes.indexes["month"]
    monthly = monthly_means(tws @ weights.T.astype(tws.dtype), days, months)
    return anomaly(monthly, months, np.isfinite(boxes.twsa.values), baseline_of(boxes))
