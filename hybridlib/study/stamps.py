"""Which day or month a value belongs to: CF bounds where there are any, else the stamp."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.study.report import Report
from hybridlib.study.schema import InputError, hint_of_names

DAY = pd.Timedelta(days=1)


def check_daily(dataset: xr.Dataset, source: str, report: Report | None = None) -> pd.DatetimeIndex:
    """Return the days of a dataset at 00:00, without gaps, repeats or another step.

    Args:
        dataset: with ``time`` and, where the file has them, its bounds.
        source: the file's name, for messages.
        report: is told how stamps were read.

    Raises:
        InputError: no time, another calendar, unsorted, duplicate or missing days, another step.
    """
    stamps = _dates(dataset, "time", source)
    bounds = _bounds(dataset, "time", source)
    index, how = stamps, _hours(stamps)
    if bounds is not None:
        spans = bounds[1] - bounds[0]
        if (abs(spans - DAY) > pd.Timedelta(minutes=1)).any():
            raise InputError(
                f"{source}: time bounds span {spans.min()} to {spans.max()}; expected one day each"
            )
        # A day that begins at 12:00 counts as the day it begins in.
        index = bounds[0] + (DAY / 2 - pd.Timedelta(seconds=1))
        how = f"bounds from {bounds[0][0]:%H:%M} to {bounds[1][0]:%H:%M} say the day"
    _check_steps(index, source)
    days = index.normalize()
    if report is not None:
        report.note(f"{source}: {days[0]:%F} to {days[-1]:%F}; {how}")
        if bounds is None and (days == stamps).all() and days[0].day == 2 and days[-1].day == 1:
            report.odd.append(
                f"{source}: time runs from {days[0]:%F} to {days[-1]:%F} at 00:00; if a stamp is "
                "the end of its day, give time bounds: it was read as the beginning"
            )
    return days


def _dates(dataset: xr.Dataset, name: str, source: str) -> pd.DatetimeIndex:
    """A coordinate's dates to the second, or a sentence that says why there are none."""
    if name not in dataset.coords:
        raise InputError(
            f"{source}: coordinate {name} is missing; expected dates{hint_of_names(dataset)}"
        )
    index, about = dataset.indexes.get(name), dataset[name].attrs
    if index is None or len(index) == 0:
        raise InputError(f"{source}: {name} is empty; expected dates")
    if isinstance(index, pd.DatetimeIndex):
        if index.hasnans:
            raise InputError(f"{source}: {name} lacks a date in place {int(index.isna().argmax())}")
        return index.round("s")
    calendar = getattr(index, "calendar", None)
    if calendar in ("standard", "gregorian", "proleptic_gregorian"):
        raise InputError(f"{source}: {name} holds dates such as {index[0]}; expected 1678 to 2261")
    if calendar is not None:
        raise InputError(
            f"{source}: {name} is in the calendar '{calendar}'; expected the standard calendar, "
            "with every 29 February; in Python dataset.convert_calendar('standard'), and fill the "
            "days that it lacks"
        )
    if index.dtype.kind in "iuf" and "units" not in about:
        other = next((k for k in about if k.lower() == "units"), None)
        found = f" (found '{other}': rename it)" if other else ""
        raise InputError(
            f"{source}: {name} has no attribute units{found}; "
            "expected such as 'days since 2003-01-01'"
        )
    raise InputError(
        f"{source}: {name} holds {index[0]!r}, with units '{about.get('units')}'; expected dates, "
        "with units such as 'days since 2003-01-01'"
    )


def _bounds(dataset: xr.Dataset, name: str, source: str):
    """First and last moment of every interval, or None where the file has no bounds."""
    field = dataset[name]
    bounds = field.attrs.get("bounds", field.encoding.get("bounds"))
    if bounds not in dataset.variables:
        return None
    values = dataset[bounds]
    if values.ndim != 2 or values.dims[0] != name or values.shape[1] != 2:
        raise InputError(f"{source}: {bounds} has dimensions {values.dims}; expected {name} and 2")
    if values.dtype.kind != "M" or np.isnat(values.values).any():
        raise InputError(f"{source}: {bounds} holds no dates; expected two for every {name}")
    first, last = (pd.DatetimeIndex(values.values[:, k]).round("s") for k in (0, 1))
    if (first > last).any():
        raise InputError(f"{source}: {bounds} ends before it begins at {first[first > last][0]}")
    return None if (first == last).all() else (first, last)


def _hours(stamps: pd.DatetimeIndex) -> str:
    """How stamps without bounds are read."""
    hours = sorted(set(stamps.strftime("%H:%M")))
    if hours == ["00:00"]:
        return "stamps at 00:00 without bounds, read as the day that begins there"
    return f"stamps at {', '.join(hours[:3])} without bounds, read as the day they lie in"


def _check_steps(index: pd.DatetimeIndex, source: str) -> None:
    """Refuse repeats, another order, gaps, and steps other than a day."""
    if index.has_duplicates:
        raise InputError(f"{source}: {index[index.duplicated()][0]:%Y-%m-%d} stands twice in time")
    steps = np.diff(index.values) / np.timedelta64(1, "D")
    if len(steps) and (steps < 0).any():
        raise InputError(f"{source}: time does not increase after {index[:-1][steps < 0][0]:%F}")
    if len(steps) and np.median(steps) != 1:
        raise InputError(
            f"{source}: time goes in steps of {np.median(steps):g} days; expected daily values"
        )
    if (steps != 1).any():
        before = index[:-1][steps != 1][0]
        after = index[1:][steps != 1][0]
        raise InputError(f"{source}: days are missing between {before:%F} and {after:%F}")


def months_of(dataset: xr.Dataset, source: str, report: Report) -> pd.DatetimeIndex:
    """Return the first day of the month each solution of gravimetry stands for, (month,).

    Bounds decide, by their middle. A solution that shares its month goes to the neighbour that it
    reaches into, where none is there.

    Raises:
        InputError: no dates, or a month with two solutions and no bounds that tell them apart.
    """
    stamps, bounds = _dates(dataset, "month", source), _bounds(dataset, "month", source)
    middle = stamps if bounds is None else bounds[0] + (bounds[1] - bounds[0]) / 2
    months = middle.to_period("M")
    if bounds is None:
        report.note(f"{source}: stamps without bounds, read as the month they lie in")
    else:
        report.note(f"{source}: the middle of the bounds says the month")
        months = _apart(months, bounds, source, report)
    twice = months[months.duplicated()]
    if len(twice):
        remedy = (
            "give CF time bounds, or leave one out"
            if bounds is None
            else "their bounds do not tell them apart; leave one out"
        )
        raise InputError(f"{source}: {twice[0]} stands twice in month; {remedy}")
    return months.to_timestamp()


def _apart(months: pd.PeriodIndex, bounds, source: str, report: Report) -> pd.PeriodIndex:
    """Move one of two solutions of a month into the free month that its bounds reach into."""
    months = list(months)
    for k in range(1, len(months)):
        if months[k] != months[k - 1]:
            continue
        # An end at 00:00 of the first still lies in the month before.
        late = (bounds[1][k] - pd.Timedelta(seconds=1)).to_period("M")
        early = bounds[0][k - 1].to_period("M")
        old = months[k]
        if late == old + 1 and late not in months:
            months[k] = late
        elif early == old - 1 and early not in months:
            months[k - 1] = early
        else:
            continue
        new = late if months[k] == late else early
        report.note(f"{source}: of two solutions in {old} one counts for {new}, by its bounds")
    return pd.PeriodIndex(months)
