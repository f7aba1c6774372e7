"""Runoff through the year and the floods at a gauge: how early, how high."""

from __future__ import annotations

import calendar
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.analysis.budget import DAYS_NEEDED, Ledger, daily_runoff
from hybridlib.study.schema import InputError
from hybridlib.study.splits import Period

SMOOTHING = 31
"""Days of the running mean in which a flood's peak is sought, as one reading is too noisy."""


def seasonal_runoff(
    ledger: Ledger, series: Mapping[str, xr.Dataset], catchment: str, period: Period
) -> pd.DataFrame:
    """Mean runoff of each calendar month on the days that were observed, mm d-1.

    Args:
        ledger: of :func:`~hybridlib.analysis.budget.open_ledger`.
        series: by title.
        catchment: its name.
        period: years that count.

    Returns:
        One row a month, a column a title.
    """
    inside = period.holds(ledger.days)
    columns = {}
    for title, one in series.items():
        daily = daily_runoff(ledger, one.discharge).sel(catchment=catchment)
        columns[title] = daily[inside].groupby("time.month").mean().to_series()
    return pd.DataFrame(columns)


def flood_peaks(runoff: xr.DataArray, begins: int) -> pd.DataFrame:
    """Day and height of the highest flood of every year.

    A year begins with the month of lowest water, so that no flood is cut in two, and has the name
    of the calendar year it ends in. Peaks are those of a running mean of :data:`SMOOTHING` days.

    Args:
        runoff: daily, NaN where missing, (time,).
        begins: first month of the year.

    Returns:
        day and height by year, of years with :data:`~hybridlib.analysis.budget.DAYS_NEEDED` of
        their days.
    """
    daily = runoff.to_series()
    last = calendar.month_abbr[(begins - 2) % 12 + 1].upper()
    year = daily.index.to_period(f"Y-{last}").year
    known = daily.notna().groupby(year).sum()
    smooth = daily.rolling(SMOOTHING, center=True, min_periods=SMOOTHING // 2 + 1).mean()
    floods = smooth[np.isin(year, known.index[known >= DAYS_NEEDED * 365])].dropna()
    floods = floods.groupby(floods.index.to_period(f"Y-{last}").year)
    return pd.DataFrame({"day": floods.idxmax(), "height": floods.max()}).rename_axis("year")


def summary(peaks: pd.DataFrame) -> pd.DataFrame:
    """Years, mean and median days late, and mean height (%), one row a scheme.

    Args:
        peaks: of :func:`peak_errors`.
    """
    by_scheme = peaks.groupby("scheme", sort=False)
    late, height = by_scheme["days late"], by_scheme["height (%)"]
    columns = {"years": late.count(), "days late": late.mean(), "median days late": late.median()}
    return pd.DataFrame(columns | {"height (%)": height.mean()})


def peak_errors(
    ledger: Ledger,
    series: Mapping[str, xr.Dataset],
    observed: xr.Dataset,
    catchment: str,
    period: Period,
) -> pd.DataFrame:
    """How late and how high the flood of every year comes, against the observed one.

    Args:
        ledger: of :func:`~hybridlib.analysis.budget.open_ledger`.
        series: by title.
        observed: of :func:`~hybridlib.analysis.budget.observed_series`.
        catchment: its name.
        period: years that count.

    Returns:
        "days late" (early below 0) and "height (%)" above the observed one, by title and year.

    Raises:
        InputError: the gauge was never read.
    """
    seen = daily_runoff(ledger, observed.discharge).sel(catchment=catchment)
    if not seen.notnull().any():
        raise InputError(f"{catchment}: discharge has no reading; floods need some years of it")
    begins = int(seen.groupby("time.month").mean().idxmin())
    true = flood_peaks(seen, begins)
    true = true[(true.index >= period.first) & (true.index <= period.last)]
    parts = {}
    for title, one in series.items():
        runoff = daily_runoff(ledger, one.discharge).sel(catchment=catchment)
        found = flood_peaks(runoff, begins).reindex(true.index)
        late = (found.day - true.day).dt.days
        parts[title] = pd.DataFrame(
            {"days late": late, "height (%)": 100.0 * (found.height / true.height - 1.0)}
        )
    return pd.concat(parts, names=["scheme"])
