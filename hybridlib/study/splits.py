"""Which observations train and which validate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hybridlib.study.basin import Basin
from hybridlib.study.schema import InputError

SPLITS = ("temporal", "spatial", "spatiotemporal")
FOLDS = 4
"""Groups of gauges that take turns at validating, in the paper."""
LONG_RECORD = 8
"""Years after the warm-up beyond which five sevenths train, as in the paper; else half do."""


@dataclass(frozen=True)
class Period:
    """Whole years, both ends included."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read "2003-2012", or a single year.

        Raises:
            InputError: anything else.
        """
        first, _, last = text.partition("-") if "-" in text else (text, "", text)
        if not (first.isdigit() and last.isdigit()):
            raise InputError(f"period '{text}' is not understood; expected years like 2003-2012")
        if int(first) > int(last):
            raise InputError(
                f"period '{text}' ends before it begins; expected years like 2003-2012"
            )
        return cls(int(first), int(last))

    def holds(self, time: pd.DatetimeIndex):
        """Whether each day or month lies in it."""
        return (time.year >= self.first) & (time.year <= self.last)

    def chosen(self, days: pd.DatetimeIndex):
        """As :meth:`holds`, of the days of a study.

        Raises:
            InputError: none of them lies in it.
        """
        inside = self.holds(days)
        if not inside.any():
            raise InputError(f"period {self}: no day; the study has {days[0]:%F} to {days[-1]:%F}")
        return inside


@dataclass(frozen=True)
class Split:
    """What trains: the discharge of gauges that are not held out, in the training years.

    Attributes:
        train: training years; the years before them only settle the stores.
        validation: validation years; the training years themselves where the split is in space.
        held_out: gauges whose discharge never trains.
    """

    train: Period
    validation: Period
    held_out: tuple[str, ...] = ()

    @property
    def whole(self) -> Period:
        """All years from the first to the last that trains or validates."""
        pair = self.train, self.validation
        return Period(min(one.first for one in pair), max(one.last for one in pair))

    def inner(self) -> Split:
        """Split the training period itself: its last 30 % of years (one at least) are held out.

        Raises:
            InputError: a training period of one year.
        """
        years = self.train.last - self.train.first + 1
        if years < 2:
            raise InputError(
                f"the training period {self.train} has one year; choosing the number of steps "
                "inside it needs two (give --epochs and --no-choose)"
            )
        last = self.train.last - max(1, round(0.3 * years))
        return replace(
            self,
            train=Period(self.train.first, last),
            validation=Period(last + 1, self.train.last),
        )


def temporal_split(
    days: pd.DatetimeIndex,
    discharge_days: pd.DatetimeIndex,
    baseline_end: int | None = None,
    train: Period | None = None,
    validation: Period | None = None,
) -> Split:
    """Split a record in time; for the Amazon 2001-2016 the paper's 2003-2012 and 2013-2016.

    The first two years settle the stores (one of a record below six years), as do years before
    the first discharge. Of the rest, five sevenths train if there are more than
    :data:`LONG_RECORD`, else half, and in any case the years of the storage baseline.

    Args:
        days: the days of the weather.
        discharge_days: days with discharge.
        baseline_end: last year of the storage anomalies' baseline.
        train: training years, instead of the rule.
        validation: validation years, instead of the rest.

    Raises:
        InputError: periods outside the record, overlapping, or a record too short.
    """
    begin, end = days[0].year, days[-1].year
    warm = begin + (2 if end - begin >= 5 else 1)
    first = max(warm, discharge_days[0].year)
    if train is None:
        years = min(end, discharge_days[-1].year) - first + 1
        if years < 2:
            raise InputError(
                f"weather {begin}-{end} and discharge from {discharge_days[0].year} leave {years} "
                "years after the warm-up; expected at least two, to train and to validate"
            )
        share = 5 / 7 if years > LONG_RECORD else 1 / 2
        last = first + max(1, round(share * years)) - 1
        train = Period(first, min(max(last, baseline_end or last), first + years - 2))
    validation = validation or Period(train.last + 1, min(end, discharge_days[-1].year))
    _check(train, validation, begin, end)
    return Split(train, validation)


def station_groups(
    stations: Sequence[str], folds: int = FOLDS, seed: int = 0
) -> list[tuple[str, ...]]:
    """Deal the gauges out at random into groups whose sizes differ by one at most.

    Args:
        stations: names, each once.
        folds: number of groups.
        seed: same seed and names, same groups.

    Raises:
        InputError: fewer than two groups, or fewer gauges than groups.
    """
    if not 2 <= folds <= len(stations):
        raise InputError(
            f"{folds} folds are asked for; expected 2 to {len(stations)}, the number of gauges"
        )
    order = np.random.default_rng(seed).permutation(len(stations))
    return [tuple(sorted(str(stations[k]) for k in order[fold::folds])) for fold in range(folds)]


def hold_out(split: Split, kind: str, held_out: tuple[str, ...]) -> Split:
    """Turn a temporal split into one in space, or in both.

    Args:
        split: temporal.
        kind: "temporal" leaves it; "spatial" trains and validates in all its years, on different
            gauges; "spatiotemporal" keeps its years and holds gauges out, too.
        held_out: gauges that validate.
    """
    if kind == "temporal":
        return split
    if kind == "spatial":
        return Split(split.whole, split.whole, held_out)
    return replace(split, held_out=held_out)


def trained_neighbours(
    basin: Basin, cells: np.ndarray, stations: Sequence[str], held_out: Sequence[str]
) -> pd.DataFrame:
    """Say what gauges that train tell of each gauge that is held out.

    Args:
        basin: of the gauges.
        cells: of each gauge, (station,).
        stations: their names.
        held_out: names of gauges held out together.

    Returns:
        One row a gauge held out, with "trained above" and "trained below", the numbers of gauges
        that train on its own water's way, and "area measured", the share of its catchment that
        drains through one of those above, 0 to 1.
    """
    catchments = {name: basin.catchment(c) for name, c in zip(stations, cells, strict=True)}
    place = dict(zip(stations, cells, strict=True))
    trained = [name for name in stations if name not in held_out]
    rows = {}
    for name in held_out:
        own = catchments[name]
        above = [other for other in trained if own[place[other]] and place[other] != place[name]]
        below = [other for other in trained if catchments[other][place[name]]]
        measured = np.any([catchments[other] for other in above] or [np.zeros_like(own)], axis=0)
        rows[name] = {
            "trained above": len(above),
            "trained below": len(below),
            "area measured": float(basin.area[measured].sum() / basin.area[own].sum()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("station")


def _check(train: Period, validation: Period, begin: int, end: int) -> None:
    for name, period in (("training", train), ("validation", validation)):
        if not begin <= period.first <= period.last <= end:
            raise InputError(f"{name} period {period}; expected years within {begin}-{end}")
    if train.first <= begin:
        raise InputError(
            f"training period {train} starts with the record; expected a year before it, "
            "in which the stores settle"
        )
    if validation.first <= train.last and train.first <= validation.last:
        raise InputError(f"training {train} and validation {validation} overlap")
