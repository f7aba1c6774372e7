"""Water budgets of the land above gauges: evapotranspiration as what is left, ET = P − Q − ΔS.

One operator serves the observations, every scheme and a twin's truth: the same days of discharge,
the same months and boxes of gravimetry. So their differences are differences of water.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.analysis.inventory import name_of
from hybridlib.learning.objective import months_of
from hybridlib.learning.run import Run
from hybridlib.study.basin import Basin
from hybridlib.study.instruments import box_weights
from hybridlib.study.schema import SECONDS_PER_DAY, InputError
from hybridlib.study.splits import Period, Split
from hybridlib.study.store import Study

SUB_BASINS = {
    1: ("Solimões", "SAO PAULO DE OLIVENCA"),
    2: ("Japurá", "VILA BITTENCOURT"),
    3: ("Negro", "SERRINHA"),
    4: ("Madeira", "PORTO VELHO"),
    5: ("Branco", "CARACARAI"),
    6: ("Juruá", "GAVIAO"),
    7: ("Purus", "CANUTAMA"),
    8: ("Tapajós", "BARRA DO SAO MANUEL-JUSANTE"),
    9: ("Xingu", "ALTAMIRA"),
}
"""River and gauge (GRDC's name) of each sub-basin; ours, as the paper's Table S7 is missing."""
DAYS_NEEDED = 0.9
"""Share of a year's days with discharge below which the year has no Q (the paper's gauges miss
less than 10 %)."""
REACH = 62.0
"""Days from the turn of a year within which months of gravimetry tell its storage (two months)."""
COVER_NEEDED = 1 / 3
"""Share of a catchment inside boxes of gravimetry below which it has no ΔS."""
SHORT = {"dS": "ΔS", "Q": "Q", "ET": "ET"}
"""Terms of the budget that have a bias, as they are written."""
TERMS = {
    "P": "precipitation",
    "Q": "runoff",
    "dS": "change of storage",
    "ET": "evapotranspiration, P − Q − ΔS",
    "evap": "evapotranspiration, summed over days and cells",
}


@dataclass(frozen=True)
class Catchment:
    """The land that drains through a gauge.

    Attributes:
        name: what it is called in tables.
        gauge: its station.
        cell: the gauge's cell.
        inside: True for its cells, (cell,).
    """

    name: str
    gauge: str
    cell: int
    inside: np.ndarray


@dataclass(frozen=True)
class Ledger:
    """What turns series of a study into annual budgets of catchments.

    Attributes:
        catchments: in order.
        basin: the active cells.
        cells: share of each cell in a mean over a catchment, (catchment, cell).
        precipitation: mm a-1, (year, catchment).
        seen: days whose discharge counts, (time, catchment).
        boxes: share of each box in a catchment's storage, (catchment, box); None without
            gravimetry.
        turns: share of each month in the storage at the turns of the years, one more than there
            are years, (turn, month, catchment); NaN where no month tells. None without.
        observed_boxes: the study's gravimetry in the months of the ledger; None without.
    """

    catchments: Sequence[Catchment]
    basin: Basin
    cells: np.ndarray
    precipitation: xr.DataArray
    seen: xr.DataArray
    boxes: np.ndarray | None
    turns: np.ndarray | None
    observed_boxes: xr.Dataset | None

    @property
    def days(self) -> pd.DatetimeIndex:
        """The days, (time,)."""
        return self.seen.indexes["time"]

    @property
    def area(self) -> np.ndarray:
        """Area of each catchment in the network, m2, (catchment,)."""
        return self.basin.upstream_area[[one.cell for one in self.catchments]]

    def on_all_days(self) -> Ledger:
        """The same ledger as if no gauge had missed a day."""
        return replace(self, seen=xr.ones_like(self.seen))


def find_catchment(study: Study, gauge: str, name: str = "") -> Catchment:
    """The land above a gauge, as the network drains.

    Args:
        study: the prepared study.
        gauge: name of the station; empty for the one that drains most.
        name: what to call it; the gauge's name by default.

    Raises:
        InputError: no such gauge.
    """
    gauge = study.gauge(gauge)
    cell = int(study.gauge_cells[study.discharge.indexes["station"].get_loc(gauge)])
    return Catchment(name or gauge, gauge, cell, study.basin.catchment(cell))


def find_sub_basins(study: Study) -> dict[int, Catchment]:
    """Sub-basins of a study, by number.

    Those of :data:`SUB_BASINS` whose gauge it has; without any, the land above each of its gauges,
    of the nine at most that drain most, the largest first.
    """
    gauges = study.discharge
    named = {n: pair for n, pair in SUB_BASINS.items() if pair[1] in gauges.station.values}
    if not named:
        order = np.argsort(-gauges.cell_area.values, kind="stable")[: len(SUB_BASINS)]
        stations = [str(name) for name in gauges.station.values[order]]
        named = {n: (name_of(station), station) for n, station in enumerate(stations, 1)}
    return {
        number: find_catchment(study, gauge, f"{number} {river}")
        for number, (river, gauge) in named.items()
    }


def open_ledger(
    study: Study, catchments: Iterable[Catchment], days: pd.DatetimeIndex | None = None
) -> Ledger:
    """Read what annual budgets of some catchments need from a study.

    Args:
        study: the prepared study.
        catchments: with names that differ.
        days: of the runs; the study's by default. Only whole years count.

    Raises:
        InputError: no catchment, two of one name, or no whole year.
    """
    basin, days = study.basin, study.days if days is None else days
    catchments = list(catchments)
    called = [one.name for one in catchments]
    if not called or len(set(called)) < len(called):
        raise InputError(f"catchments {', '.join(called) or 'none'}; expected each once, and some")
    inside = np.array([one.inside for one in catchments]) * basin.area
    cells = inside / inside.sum(axis=1, keepdims=True)
    names = {"catchment": called}
    discharge = study.discharge.discharge.sel(station=[one.gauge for one in catchments])
    seen = discharge.reindex(time=days).notnull().drop_vars("station").load()
    rain = annual_sums(basin.pack(study.forcing.pr.sel(time=days)) * SECONDS_PER_DAY, days)
    boxes, turns, observed = None, None, None
    if study.has("twsa"):
        observed = study.twsa.load()
        observed = observed.isel(month=months_of(days, observed.indexes["month"]))
        boxes = box_shares(basin, cells, observed)
        turns = _turns_of(rain.year.values, boxes, observed)
    return Ledger(
        catchments,
        basin,
        cells,
        (rain @ xr.DataArray(cells, names, ("catchment", "cell"))).assign_attrs(units="mm a-1"),
        seen.rename(station="catchment").assign_coords(names),
        boxes,
        turns,
        observed,
    )


def annual_sums(daily: np.ndarray, days: pd.DatetimeIndex) -> xr.DataArray:
    """Sums over whole years, (year, cell), of daily values, (time, cell).

    Raises:
        InputError: no whole year.
    """
    whole = _whole_years(days)
    start = np.searchsorted(days.year, whole)
    inside = np.isin(days.year, whole)
    sums = np.add.reduceat(np.asarray(daily)[inside], start - start[0], axis=0, dtype=float)
    return xr.DataArray(sums, {"year": whole}, ("year", "cell"))


def _whole_years(days: pd.DatetimeIndex) -> np.ndarray:
    years, count = np.unique(days.year, return_counts=True)
    whole = years[count == pd.DatetimeIndex([f"{y}-12-31" for y in years]).dayofyear]
    if not len(whole):
        raise InputError(f"the days run from {days[0]:%F} to {days[-1]:%F}; expected a whole year")
    return whole


def box_shares(basin: Basin, cells: np.ndarray, boxes: xr.Dataset) -> np.ndarray:
    """Share of each box in a catchment's storage, (catchment, box): its area inside.

    Args:
        basin: the active cells.
        cells: share of each cell in a mean over a catchment, (catchment, cell).
        boxes: box_lat and box_lon.

    Returns:
        Rows add up to 1, or are NaN where boxes hold less than :data:`COVER_NEEDED` of the
        catchment.
    """
    shares = box_cover(basin, cells, boxes)
    covered = shares.sum(axis=1, keepdims=True)
    return np.where(covered >= COVER_NEEDED, shares, np.nan) / np.maximum(covered, 1e-9)


def box_cover(basin: Basin, cells: np.ndarray, boxes: xr.Dataset) -> np.ndarray:
    """Share of a catchment's area that lies in each box, (catchment, box)."""
    member = box_weights(basin, boxes.box_lat.values, boxes.box_lon.values) > 0
    return cells @ member.T


def _turns_of(years: np.ndarray, boxes: np.ndarray, observed: xr.Dataset) -> np.ndarray:
    """Share of each month in every turn's storage, (turn, month, catchment).

    A month counts for a catchment when all of its boxes are observed.
    """
    finite = np.isfinite(observed.twsa.values)
    turns = pd.DatetimeIndex([f"{year}-01-01" for year in [*years, years[-1] + 1]])
    months = observed.indexes["month"]
    shares = []
    for row in boxes:
        seen = finite[:, row > 0].all(axis=1) & np.isfinite(row).all()
        shares.append(turn_shares(turns, months, seen))
    return np.stack(shares, axis=-1)


def turn_shares(turns: pd.DatetimeIndex, months: pd.DatetimeIndex, seen: np.ndarray) -> np.ndarray:
    """Read storage at the turn of a year off monthly means.

    It lies on the straight line through the nearest observed month on either side: the mean of
    December and January where both are there. Before the first and after the last observed month
    the line through the two nearest goes on to it. Months further away than :data:`REACH` tell
    nothing.

    Args:
        turns: midnights wanted.
        months: first day of each month.
        seen: True for observed months, (month,).

    Returns:
        Weights that add up to 1, or NaN where no two months tell, (turn, month).
    """
    middle = months + (months + pd.offsets.MonthBegin(1) - months) / 2
    shares = np.full((len(turns), len(months)), np.nan)
    for row, turn in zip(shares, turns, strict=True):
        away = np.asarray((middle - turn) / pd.Timedelta(days=1))
        near = np.flatnonzero(seen & (abs(away) <= REACH))
        before, after = near[away[near] <= 0], near[away[near] > 0]
        within = (seen & (away <= 0)).any() and (seen & (away > 0)).any()
        if len(near) < 2 or (within and not (len(before) and len(after))):
            continue
        a, b = (before[-1], after[0]) if within else _nearest(near, away)
        row[:] = 0.0
        row[a], row[b] = away[b] / (away[b] - away[a]), away[a] / (away[a] - away[b])
    return shares


def _nearest(near: np.ndarray, away: np.ndarray) -> np.ndarray:
    return near[np.argsort(abs(away[near]))[:2]]


def observed_series(study: Study, days: pd.DatetimeIndex) -> xr.Dataset:
    """What gauges and gravimetry saw.

    Returns:
        discharge, m3 s-1, (time, station), and with gravimetry twsa, mm, (month, box).
    """
    series = {"discharge": study.discharge.discharge.reindex(time=days).load()}
    if study.has("twsa"):
        twsa = study.twsa.twsa.load()
        series["twsa"] = twsa.isel(month=months_of(days, twsa.indexes["month"]))
    return xr.Dataset(series)


def simulated_series(trained: Run, member: int = -1) -> xr.Dataset:
    """What gauges and gravimetry would see of a scheme, and what they cannot see.

    Args:
        trained: the scheme.
        member: place of one member; -1 for the mean over all of them.

    Returns:
        discharge and twsa as :func:`observed_series`; evap, mm a-1, and stored, mm at the end of
        each year with the water between two cells, (year, cell).
    """
    names = ("dis", "evap", "tws", "infl_subtime")
    found = trained.simulate(names, member=member).mean("member", keep_attrs=True)
    evap = annual_sums(found.evap.values, trained.problem.days)
    stored = evap.copy(data=_stored(trained, found, evap.year.values))
    seen = found[[name for name in ("discharge", "twsa") if name in found]]
    return seen.reset_coords(drop=True).assign(evap=evap, stored=stored)


def simulate_schemes(schemes: Mapping[str, Run], member: int = -1) -> dict[str, xr.Dataset]:
    """Run all schemes; see :func:`simulated_series`.

    Args:
        schemes: by title.
        member: place of one member of the trained ones; -1 for the mean over all of them.

    Raises:
        InputError: a scheme without that member.
    """
    return {title: simulated_series(trained, member) for title, trained in schemes.items()}


def _stored(trained: Run, fields: xr.Dataset, years: np.ndarray) -> np.ndarray:
    """Water at the end of each year, mm, (year, cell).

    HydroPy's tws leaves out what is on its way between two cells; a budget must not.
    """
    last = fields.sel(time=[f"{year}-12-31" for year in years])
    model = trained.problem.model
    area = np.where(model.basin.land, model.basin.area, np.inf)
    between = last.infl_subtime.values.astype(float) / model.substeps
    return last.tws.values + between / area * 1000.0


def true_series(study: Study, days: pd.DatetimeIndex) -> xr.Dataset:
    """What perfect gauges and gravimetry would have seen of a twin's truth, and its evaporation.

    Returns:
        As :func:`simulated_series`, without stored.

    Raises:
        InputError: a study without a truth.
    """
    truth = study.group("truth")
    series = {
        "discharge": truth.discharge_true.sel(time=days).load(),
        "evap": annual_sums(study.true_daily("evap", days), days),
    }
    if "twsa_true" in truth:
        months = months_of(days, truth.indexes["month"])
        series["twsa"] = truth.twsa_true.isel(month=months).load()
    return xr.Dataset(series)


def annual_budget(ledger: Ledger, series: xr.Dataset) -> xr.Dataset:
    """Annual budgets of all catchments of a ledger.

    Runoff is the mean of the days that were observed, over the network's area, and missing in a
    year with less than :data:`DAYS_NEEDED` of them. ΔS is the change from one turn of the year to
    the next, of the boxes' mean over the catchment.

    Args:
        ledger: of :func:`open_ledger`.
        series: of :func:`observed_series`, :func:`simulated_series` or :func:`true_series`.

    Returns:
        P, Q, dS, ET and evap, mm a-1, (year, catchment); NaN where a term is not known.
    """
    rain = ledger.precipitation
    terms = {"P": rain, "Q": _annual_runoff(ledger, series.discharge)}
    terms["dS"] = _storage_changes(ledger, series)
    terms["ET"] = terms["P"] - terms["Q"] - terms["dS"]
    terms["evap"] = _catchment_mean(ledger, series["evap"]) if "evap" in series else rain * np.nan
    return xr.Dataset(
        {
            name: terms[name].assign_attrs(units="mm a-1", long_name=text)
            for name, text in TERMS.items()
        }
    )


def _annual_runoff(ledger: Ledger, discharge: xr.DataArray) -> xr.DataArray:
    """Runoff of whole years, mm a-1, (year, catchment)."""
    depth = daily_runoff(ledger, discharge).groupby("time.year")
    length = ledger.seen.time.groupby("time.year").count()
    enough = ledger.seen.groupby("time.year").sum() >= DAYS_NEEDED * length
    return (depth.mean() * length).where(enough).sel(year=ledger.precipitation.year)


def daily_runoff(ledger: Ledger, discharge: xr.DataArray) -> xr.DataArray:
    """Discharge over the catchment's area on the days that count, mm d-1, (time, catchment)."""
    gauges = discharge.sel(station=[one.gauge for one in ledger.catchments])
    depth = gauges.reindex(time=ledger.days).values * (SECONDS_PER_DAY * 1000.0) / ledger.area
    return ledger.seen.copy(data=depth).where(ledger.seen).assign_attrs(units="mm d-1")


def _storage_changes(ledger: Ledger, series: xr.Dataset) -> xr.DataArray:
    """Change of storage as gravimetry sees it, mm a-1, (year, catchment)."""
    rain = ledger.precipitation
    if ledger.boxes is None or "twsa" not in series:
        return rain * np.nan
    # Gaps have no share in any turn: whatever number stands in them does not count.
    monthly = np.nan_to_num(series.twsa.values) @ ledger.boxes.T
    return rain.copy(data=np.diff((ledger.turns * monthly).sum(axis=1), axis=0))


def _catchment_mean(ledger: Ledger, field: xr.DataArray) -> xr.DataArray:
    """Mean over each catchment, (year, catchment), of a field, (year, cell)."""
    return ledger.precipitation.copy(data=field.values @ ledger.cells.T)


def exact_budget(ledger: Ledger, series: xr.Dataset) -> xr.Dataset:
    """Annual budgets with every day of discharge and the stores themselves, without instruments.

    Args:
        ledger: of :func:`open_ledger`.
        series: of :func:`simulated_series`.

    Returns:
        As :func:`annual_budget`; the first year has no ΔS.
    """
    budget = annual_budget(ledger.on_all_days(), series)
    stored = _catchment_mean(ledger, series.stored)
    budget["dS"] = stored - stored.shift(year=1)
    budget["ET"] = budget.P - budget.Q - budget.dS
    return budget


def counted_years(observed: xr.Dataset, period: Period) -> xr.DataArray:
    """Years of a period whose observed budget is complete, (year, catchment).

    In a catchment without any ΔS discharge alone decides.

    Args:
        observed: of :func:`annual_budget`.
        period: years wanted.
    """
    years = observed.year
    inside = (years >= period.first) & (years <= period.last)
    known = xr.where(observed.dS.isnull().all("year"), observed.Q, observed.ET)
    return (known.notnull() & inside).transpose("year", "catchment")


def chosen_years(text: str, observed: xr.Dataset, catchment: str, split: Split) -> Period:
    """Years like "2013-2016"; by default those that validate.

    Where none of these has a complete observed budget in the catchment, by default all that train
    or validate.

    Args:
        text: years, or nothing.
        observed: of :func:`annual_budget`.
        catchment: its name.
        split: of the schemes.

    Raises:
        InputError: no complete year in the period; with the years there are.
    """
    wanted = [Period.parse(text)] if text else [split.validation, split.whole]
    for period in wanted:
        if counted_years(observed, period).sel(catchment=catchment).any():
            return period
    whole = counted_years(observed, Period(*map(int, observed.year.values[[0, -1]])))
    found = observed.year.values[whole.sel(catchment=catchment)]
    raise InputError(
        f"{catchment}: no year of {period} has discharge on {DAYS_NEEDED:.0%} of its days and "
        f"storage at both ends; expected one of: {', '.join(map(str, found)) or 'none'}"
    )


def mean_budget(budget: xr.Dataset, years: xr.DataArray) -> xr.Dataset:
    """Mean of the years that count, mm a-1, (catchment,).

    Args:
        budget: of :func:`annual_budget`.
        years: of :func:`counted_years`.
    """
    return budget.where(years).mean("year", keep_attrs=True)


def biases(
    budgets: Mapping[str, xr.Dataset], observed: xr.Dataset, catchment: str, period: Period
) -> pd.DataFrame:
    """Mean departures from the observed budget of one catchment.

    Args:
        budgets: of :func:`annual_budget`, by title.
        observed: the same of the observations.
        catchment: its name.
        period: years that count, where the observed budget is complete.

    Returns:
        One row a title; dS, Q, ET and evap (against the observed ET), mm a-1; above 0 is too much.
        As P is the same, dS + Q + ET = 0.
    """
    years = counted_years(observed, period)
    seen = mean_budget(observed, years).sel(catchment=catchment)
    rows = {}
    for title, budget in budgets.items():
        mean = mean_budget(budget, years).sel(catchment=catchment)
        against = {"dS": seen.dS, "Q": seen.Q, "ET": seen.ET, "evap": seen.ET}
        rows[title] = {name: float(mean[name] - term) for name, term in against.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def annual_biases(
    budgets: Mapping[str, xr.Dataset], observed: xr.Dataset, catchment: str, period: Period
) -> xr.Dataset:
    """Departures from the observed budget year by year: dS, Q and ET, mm a-1, (title, year)."""
    years = counted_years(observed, period).sel(catchment=catchment)
    seen = observed.sel(catchment=catchment)[["dS", "Q", "ET"]]
    parts = [budget.sel(catchment=catchment)[list(seen)] - seen for budget in budgets.values()]
    joined = xr.concat(parts, pd.Index(list(budgets), name="title"))
    return joined.isel(year=np.flatnonzero(years))


def method_error(ledger: Ledger, series: xr.Dataset, years: xr.DataArray) -> pd.DataFrame:
    """Error of ET = P − Q − ΔS on a model whose evapotranspiration is known.

    Args:
        ledger: of :func:`open_ledger`, of a study with gravimetry.
        series: of :func:`simulated_series`.
        years: of :func:`counted_years`.

    Returns:
        One row a catchment, mm a-1, with mean and root mean square over the years, of the error
        with boxes in place of stores, and with the gauge's missing days, too.
    """
    truth = exact_budget(ledger, series)
    ways = {"boxes": ledger.on_all_days(), "boxes and gaps": ledger}
    columns = {}
    for text, book in ways.items():
        error = (annual_budget(book, series).ET - truth.evap).where(years)
        columns[f"{text}: mean"] = error.mean("year").to_series()
        columns[f"{text}: one year"] = np.sqrt((error**2).mean("year")).to_series()
    return pd.DataFrame(columns)


def catchment_table(study: Study, ledger: Ledger, years: xr.DataArray) -> pd.DataFrame:
    """List gauge, areas, share inside boxes and the number of years that count.

    What is known of no catchment has no column.
    """
    gauges = study.discharge.sel(station=[one.gauge for one in ledger.catchments])
    boxes = ledger.observed_boxes
    cover = np.nan if boxes is None else box_cover(ledger.basin, ledger.cells, boxes).sum(axis=1)
    columns = {
        "gauge": [one.gauge for one in ledger.catchments],
        "area in the network (1000 km²)": ledger.area / 1e9,
        "published (1000 km²)": gauges.area.values / 1e3,
        "in boxes (%)": 100.0 * cover,
        "years": years.sum("year").values,
    }
    table = pd.DataFrame(columns, pd.Index(years.catchment.values, name="catchment"))
    return table.dropna(axis=1, how="all")


def mean_evapotranspiration(
    observed: xr.Dataset, budgets: Mapping[str, xr.Dataset], years: xr.DataArray
) -> pd.DataFrame:
    """ET of catchments, mm a-1: observed as P − Q − ΔS, everywhere else the model's own.

    Args:
        observed: of :func:`annual_budget`.
        budgets: the same of schemes and, of a twin, the truth, by title.
        years: of :func:`counted_years`.

    Returns:
        One row a catchment with a year that counts; columns "P − Q − ΔS" and the titles.
    """
    columns = {"P − Q − ΔS": mean_budget(observed, years).ET.to_series()}
    for title, budget in budgets.items():
        columns[title] = mean_budget(budget, years).evap.to_series()
    return pd.DataFrame(columns).dropna(subset="P − Q − ΔS")


def in_cells(
    basin: Basin, catchments: Iterable[Catchment], values: Mapping[str, float]
) -> np.ndarray:
    """Give every cell its catchment's value, (cell,); NaN outside them all.

    Args:
        basin: the active cells.
        catchments: where they lie; of two that overlap the later one is seen.
        values: by name of the catchment.
    """
    field = np.full(basin.size, np.nan)
    for one in catchments:
        if one.name in values:
            field[one.inside] = values[one.name]
    return field
