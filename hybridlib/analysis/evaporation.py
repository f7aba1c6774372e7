"""Evapotranspiration of the schemes, and PET compared: formulas, what was learned, the truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.learning.run import Run
from hybridlib.learning.schemes import TRUTH, find_scheme
from hybridlib.study import pet
from hybridlib.study.metrics import correlation, rmse
from hybridlib.study.schema import SECONDS_PER_DAY, InputError
from hybridlib.study.splits import Period
from hybridlib.study.store import Study

FORMULAS = {
    "penman-monteith": "Penman–Monteith",
    "hargreaves-samani": "Hargreaves–Samani",
    "priestley-taylor": "Priestley–Taylor",
}
"""Titles of the formulas of ``hybridlib.study.pet.FORMULAS``, in the paper's order."""
LOW, _, HIGH = FORMULAS.values()
"""The two formulas between which the paper finds the learned PET."""
OVER_YEAR, BY_CELL = "over the year", "from cell to cell"
DAYS_A_YEAR = 365.25
MIDDLE = (90, 270)
"""Days of the year on which the paper finds the learned PET close to Penman-Monteith."""
LOWLAND, MOUNTAIN = 500.0, 1000.0
"""Below and above these heights (m) a cell counts as lowland and as Andes. Ours."""
WEATHER = {
    "tas": "temperature",
    "huss": "humidity",
    "sfcwind": "wind",
    "rsds": "shortwave",
    "rlds": "longwave",
}


def companion(schemes: Mapping[str, Run], title: str) -> str:
    """Scheme that another is shown beside: Hybrid(Q,S) as in the paper's Figure 10, or the first.

    Args:
        schemes: by title, at least two.
        title: of the scheme in focus.
    """
    others = [one for one in schemes if one != title]
    beside = find_scheme("hybrid_qs").title
    return beside if beside in others else others[0]


def shown_years(text: str, trained: Run) -> Period:
    """Years like "2003-2016"; by default all that train or validate, as in the paper.

    Raises:
        InputError: of :meth:`hybridlib.study.splits.Period.parse`, or years outside the record.
    """
    days, split = trained.problem.days, trained.problem.split
    years = Period.parse(text) if text else split.whole
    if not days[0].year <= years.first <= years.last <= days[-1].year:
        raise InputError(
            f"period {years}: expected years within {days[0].year}-{days[-1].year}, the study's"
        )
    return years


def simulate_evaporation(schemes: Mapping[str, Run], member: int = -1) -> dict[str, xr.Dataset]:
    """Daily evapotranspiration of every cell, mm d-1, "evap" (time, cell), by title.

    Args:
        schemes: by title.
        member: place of one member of the trained ones; -1 for the mean over all of them.

    Raises:
        InputError: a scheme without that member.
    """
    runs = {title: one.simulate(["evap"], member=member) for title, one in schemes.items()}
    return {title: found.mean("member", keep_attrs=True) for title, found in runs.items()}


def reference_pet(study: Study) -> str:
    """Title of the PET that a study has before anything is learned; a twin's is the first."""
    name = study.attrs.get("pet", next(iter(FORMULAS)))
    return FORMULAS.get(name, name)


def possible_formulas(study: Study) -> list[str]:
    """Names of the formulas that a study has the weather for."""
    known = set(study.forcing.data_vars)
    return [name for name in FORMULAS if known.issuperset(pet.FORMULAS[name].variables)]


def pet_fields(study: Study, trained: Run, member: int = -1) -> xr.Dataset:
    """PET by every formula, of a scheme and, on a twin, of the truth.

    Args:
        study: the prepared study.
        trained: the scheme.
        member: place of one member; -1 for the mean over all of them.

    Returns:
        mm d-1, float32, (time, cell), by title; the formulas that the weather allows, the scheme
        and "truth".

    Raises:
        InputError: a member that is not there.
    """
    days, names = trained.problem.days, possible_formulas(study)
    weather = _packed_weather(study, names, days)
    fields = {
        FORMULAS[name]: pet.potential_evaporation(weather, name).values * SECONDS_PER_DAY
        for name in names
    }
    fields[trained.problem.scheme.title] = trained.pet[trained.places(member)].mean(axis=0)
    if study.has("truth"):
        fields[TRUTH] = study.true_daily("evspsblpot", days)
    attrs = {"units": "mm d-1", "long_name": "potential evapotranspiration"}
    dims = ("time", "cell")
    return xr.Dataset(
        {title: (dims, field.astype("float32"), attrs) for title, field in fields.items()},
        {"time": days},
    )


def _packed_weather(study: Study, formulas: Iterable[str], days: pd.DatetimeIndex) -> xr.Dataset:
    """What some formulas read, (time, cell)."""
    names = dict.fromkeys(name for each in formulas for name in pet.FORMULAS[each].variables)
    basin, forcing = study.basin, study.forcing.sel(time=days)
    fields = {name: (("time", "cell"), basin.pack(forcing[name])) for name in names}
    return xr.Dataset(fields, {"time": days, "lat": ("cell", basin.lat[basin.row])})


def day_of_year(days: pd.DatetimeIndex) -> np.ndarray:
    """Day of a year without 29 February, 1 to 365; 0 on 29 February itself."""
    later = days.is_leap_year & (days.month > 2)
    return np.where((days.month == 2) & (days.day == 29), 0, days.dayofyear - later)


def _inside(fields: xr.Dataset, period: Period) -> xr.Dataset:
    return fields.isel(time=period.chosen(fields.indexes["time"]))


def climatology(study: Study, fields: xr.Dataset, period: Period) -> pd.DataFrame:
    """Basin mean of every day of the year, mm d-1, one column a field (Figure 11a).

    Cells count by their land area. Days are not smoothed, and 29 February is left out, so that a
    number means the same date in every year.

    Args:
        study: the prepared study.
        fields: of :func:`pet_fields`.
        period: years that count.

    Raises:
        InputError: no day in the period.
    """
    chosen = _inside(fields, period)
    weights = study.basin.area / study.basin.area.sum()
    daily = pd.DataFrame({title: field.values @ weights for title, field in chosen.items()})
    day = day_of_year(chosen.indexes["time"])
    return daily[day > 0].groupby(day[day > 0]).mean().rename_axis("day of year")


def annual_maps(study: Study, fields: xr.Dataset, period: Period) -> xr.Dataset:
    """Mean PET of a year, mm, (lat, lon), NaN where there is no land (Figure 11b).

    Args:
        study: the prepared study.
        fields: of :func:`pet_fields`.
        period: years that count.

    Raises:
        InputError: no day in the period.
    """
    basin, chosen = study.basin, _inside(fields, period)
    grids = {}
    for title, field in chosen.items():
        year = field.values.mean(axis=0, dtype=float) * DAYS_A_YEAR
        land = np.where(basin.land, year, np.nan)
        grids[title] = basin.on_grid(land, long_name="mean annual PET", units="mm")
    return xr.Dataset(grids)


def seasons(season: pd.DataFrame) -> pd.DataFrame:
    """Mean PET of the year, of days 90 to 270 and of the other days, mm d-1, a row a field.

    Where both formulas are there, the last two columns tell how far PET lies on the way from
    Penman-Monteith (0) to Priestley-Taylor (1).

    Args:
        season: of :func:`climatology`.
    """
    middle = (season.index >= MIDDLE[0]) & (season.index <= MIDDLE[1])
    parts = {"year": season, "days 90–270": season[middle], "other days": season[~middle]}
    table = pd.DataFrame({f"{name} (mm d⁻¹)": part.mean() for name, part in parts.items()})
    if {LOW, HIGH} <= set(table.index):
        for name in parts:
            mean = table[f"{name} (mm d⁻¹)"]
            table[f"way, {name}"] = (mean - mean[LOW]) / (mean[HIGH] - mean[LOW])
    return table


def regions(study: Study) -> dict[str, np.ndarray]:
    """Cells of the regions that the paper speaks of, (cell,), by name; some may be empty."""
    basin = study.basin
    height = basin.pack(study.landsurface.srftopo)
    lat, lon = basin.lat[basin.row], basin.lon[basin.col]
    lowland = basin.land & (height < LOWLAND)
    return {
        "basin": basin.land,
        "lowland": lowland,
        "Andes": basin.land & (height > MOUNTAIN) & (lat < 0) & (lon < -62),
        "north-west": lowland & (lon < -66) & (lat > -4),
        "south": lowland & (lat < -10),
    }


def region_table(study: Study, maps: xr.Dataset) -> pd.DataFrame:
    """Mean annual PET of every region, mm, a row a field; NaN for a region without cells.

    Args:
        study: the prepared study.
        maps: of :func:`annual_maps`.
    """
    area = study.basin.area
    columns = {}
    for name, cells in regions(study).items():
        weights = np.where(cells, area, 0.0)
        columns[name] = [
            np.average(np.nan_to_num(study.basin.pack(field)), weights=weights)
            if cells.any() else np.nan
            for field in maps.data_vars.values()
        ]  # fmt: skip
    return pd.DataFrame(columns, index=list(maps.data_vars))


def weather_links(
    study: Study, season: pd.DataFrame, maps: xr.Dataset, period: Period, cells: np.ndarray
) -> pd.DataFrame:
    """Correlation of every PET with the weather, over the year and from cell to cell.

    Args:
        study: the prepared study.
        season: of :func:`climatology`; compared with the basin mean of each day of the year.
        maps: of :func:`annual_maps`; compared with mean weather.
        period: years that count.
        cells: that are compared, True in (cell,).

    Returns:
        One row a field; columns (how, variable).
    """
    basin = study.basin
    inside = _inside(study.forcing, period)
    names = {name: label for name, label in WEATHER.items() if name in inside}
    weather = xr.Dataset(
        {label: (("time", "cell"), basin.pack(inside[name])) for name, label in names.items()},
        {"time": inside.time},
    )
    year, over, by_cell = climatology(study, weather, period), {}, {}
    for label in weather:
        over[OVER_YEAR, label] = [_link(season[title], year[label]) for title in season]
        mean = weather[label].values.mean(axis=0, dtype=float)[cells]
        by_cell[BY_CELL, label] = [
            _link(basin.pack(field)[cells], mean) for field in maps.data_vars.values()
        ]
    return pd.DataFrame(over | by_cell, index=list(maps.data_vars))


def _link(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of fields; NaN for fewer than three values."""
    return float(correlation(one, other)) if len(one) > 2 else np.nan


def distance_to_truth(
    study: Study, fields: xr.Dataset, season: pd.DataFrame, maps: xr.Dataset, period: Period
) -> pd.DataFrame:
    """How far every PET is from the twin's true one, a row a field.

    Args:
        study: a twin.
        fields: of :func:`pet_fields`.
        season: of :func:`climatology`.
        maps: of :func:`annual_maps`.
        period: years that count.

    Returns:
        Mean error; RMSE over all days and cells, of the basin's day of the year and of the mean
        of each cell, all mm d-1; and the correlation of the map with the true one.

    Raises:
        InputError: a study without a truth.
    """
    if TRUTH not in fields:
        study.group("truth")
    basin, chosen = study.basin, _inside(fields, period)
    cells = basin.land
    mean = {title: basin.pack(field)[cells] / DAYS_A_YEAR for title, field in maps.items()}
    rows = {}
    for title in (title for title in fields if title != TRUTH):
        error = chosen[title].values[:, cells] - chosen[TRUTH].values[:, cells]
        rows[title] = {
            "mean error": np.average(mean[title] - mean[TRUTH], weights=basin.area[cells]),
            "RMSE, days and cells": float(np.sqrt(np.mean(error**2, dtype=float))),
            "RMSE, day of year": rmse(season[title], season[TRUTH]),
            "RMSE, mean by cell": rmse(mean[title], mean[TRUTH]),
            "r, mean by cell": correlation(mean[title], mean[TRUTH]),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def moved_to_truth(distance: pd.DataFrame, title: str) -> pd.Series:
    """Share of Penman-Monteith's error that a scheme removed; negative where it added to it.

    Args:
        distance: of :func:`distance_to_truth`.
        title: of the scheme.
    """
    errors = distance.filter(regex="error|RMSE").abs()
    return (1 - errors.loc[title] / errors.loc[LOW]).rename("share of the error removed")


class Compared(NamedTuple):
    """What the paper's claims about PET are held against.

    Attributes:
        title: of the scheme in focus.
        learns: whether it learns PET.
        season: of :func:`climatology`.
        region: of :func:`region_table`.
        links: of :func:`weather_links`.
        distance: of :func:`distance_to_truth`.
    """

    title: str
    learns: bool
    season: pd.DataFrame
    region: pd.DataFrame
    links: pd.DataFrame
    distance: pd.DataFrame

    @property
    def four(self) -> list[str]:
        """The three formulas and the scheme."""
        return [*FORMULAS.values(), self.title]

    @property
    def shown(self) -> list[str]:
        """The scheme and, on a twin, the truth."""
        return [name for name in (self.title, TRUTH) if name in self.season]


def measures(compared: Compared) -> dict[str, float]:
    """What the paper's claims about PET (section 5.1, Figure 11) are judged by, by name.

    Returns:
        Nothing where a formula is missing, or where the scheme learns no PET.
    """
    if not compared.learns or not set(compared.four) <= set(compared.season):
        return {}
    season, links, four = compared.season, compared.links, compared.four
    apart = season[four].corr().values
    found = {"least correlation of two": apart[np.triu_indices(len(apart), 1)].min()}
    table = seasons(season)
    for column in table.filter(like="way, "):
        found |= {f"{column}, {title}": table.loc[title, column] for title in compared.shown}
    for name in ("temperature", "shortwave"):
        found[f"least correlation with {name}"] = links.loc[four, (OVER_YEAR, name)].min()
    for name, against in (("Andes", "basin"), ("north-west", "lowland"), ("south", "lowland")):
        departure = compared.region[name] / compared.region[against] - 1
        found |= {f"{name}, {title}": value for title, value in departure.items()}
    for name in links[BY_CELL]:
        found |= {f"r with {name}, {t}": links.loc[t, (BY_CELL, name)] for t in (four[-1], LOW)}
    if TRUTH in season:
        found[f"{LOW} less the truth"] = season[LOW].mean() - season[TRUTH].mean()
    named = {"RMSE, days and cells": "RMSE to the truth", "r, mean by cell": "r of the map"}
    for column, name in named.items():
        found |= {f"{name}, {t}": compared.distance.loc[t, column] for t in four}
    return {name: float(value) for name, value in found.items()}
