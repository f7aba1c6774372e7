"""Flux towers: daily evapotranspiration seen by eddy covariance, and how well a model agrees.

Towers never train a scheme. Real series come from the LBA files (LBA-ECO CD-32); on a twin they
are derived from the truth when they are asked for, so the prepared study does not hold them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy import signal, stats

from hybridlib.learning.schemes import SCHEMES, TRUTH
from hybridlib.study.schema import InputError
from hybridlib.study.sources.lba import read_towers
from hybridlib.study.splits import Period
from hybridlib.study.store import Study
from hybridlib.twin.towers import twin_towers

LAG_SHARE = 5
"""Autocorrelation counts up to a fifth of the record (Pyper and Peterman 1998)."""
SIGNIFICANT = 0.01
"""The paper's level of significance."""
SAME_RANGE = 0.95
"""Share of the model's days within the tower's extremes from which both have one range. Ours."""
MEASURES = (
    "r",
    "p",
    "effective days",
    "p by these",
    "r without season",
    "MAE",
    "RMSE",
    "mean",
    "tower's mean",
    "within its range",
)
"""What :func:`agreement` tells beside the number of days."""


def find_towers(study: Study, folder: Path | str = "") -> xr.Dataset:
    """The towers of a study: read from files, or derived from a twin's truth.

    Args:
        study: the prepared study.
        folder: with LBA daily files, for a study of real data.

    Returns:
        As :func:`~hybridlib.study.sources.lba.read_towers` or
        :func:`~hybridlib.twin.towers.twin_towers`.

    Raises:
        InputError: a folder with real data for a twin, files that cannot be used, or neither files
            nor a truth.
    """
    if folder and study.attrs.get("source") == "twin":
        raise InputError(
            f"{folder}: real towers for {study.path}, which is a twin; twin and real never mix"
        )
    return read_towers(study, folder) if folder else twin_towers(study)


def at_towers(towers: xr.Dataset, fields: Mapping[str, xr.Dataset]) -> xr.DataArray:
    """Simulated evapotranspiration in the towers' cells, mm d-1, (scheme, time, tower).

    Args:
        towers: of :func:`find_towers`.
        fields: "evap" of :meth:`hybridlib.learning.run.Run.simulate`, by title. The
            truth of a twin is added.
    """
    cells = towers.cell.values
    columns = {title: field.evap.isel(cell=cells).values for title, field in fields.items()}
    if "et_true" in towers:
        columns[TRUTH] = towers.et_true.values
    coords = {"scheme": list(columns), "time": towers.time, "tower": towers.tower}
    return xr.DataArray(np.stack(list(columns.values())), coords, attrs=towers.et.attrs)


def effective_days(one: np.ndarray, other: np.ndarray) -> float:
    """How many independent days tell as much about a correlation as these autocorrelated ones.

    N* = N / (1 + 2 Σ nₖ/N · rₖ(one) · rₖ(other)) with lags k up to N/5 and nₖ the number of pairs
    that far apart, which counts gaps (Pyper and Peterman 1998, Can. J. Fish. Aquat. Sci. 55,
    eq. 1). It never exceeds N.

    Args:
        one: values of each day, (time,), NaN where missing.
        other: likewise.
    """
    both = np.isfinite(one) & np.isfinite(other)
    days = int(both.sum())
    pairs = np.round(_lagged(both.astype(float)))
    shared = np.prod([_autocorrelation(x, both, pairs) for x in (one, other)], axis=0)
    lags = slice(1, max(2, days // LAG_SHARE) + 1)
    return days / max(1.0, 1.0 + 2.0 * float((pairs[lags] / days * shared[lags]).sum()))


def _lagged(values: np.ndarray) -> np.ndarray:
    """Sum of the products of a series with itself, by lag from 0."""
    return signal.correlate(values, values, method="fft")[len(values) - 1 :]


def _autocorrelation(values: np.ndarray, used: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Autocorrelation by lag from the days in use; 0 where no pair is that far apart."""
    departure = np.where(used, values - np.mean(values, where=used), 0.0)
    mean = np.divide(_lagged(departure), pairs, out=np.zeros_like(pairs), where=pairs > 0)
    return mean / mean[0]


def p_value(correlation: float, days: float) -> float:
    """Two-sided p-value of a correlation by Student's t with ``days`` - 2 degrees of freedom."""
    if not days > 2:
        return np.nan
    t = abs(correlation) * np.sqrt((days - 2) / max(1e-300, 1 - correlation**2))
    return float(2 * stats.t.sf(t, days - 2))


def without_season(values: np.ndarray, days: pd.DatetimeIndex) -> np.ndarray:
    """Departures from a season of two harmonics of the year, fitted where there are values.

    Args:
        values: (time,), NaN where missing.
        days: the days, (time,).
    """
    phase = 2 * np.pi * (days - pd.Timestamp("2000-01-01")).days.to_numpy() / 365.2425
    waves = [np.ones(len(days)), *(f(k * phase) for k in (1, 2) for f in (np.sin, np.cos))]
    season, used = np.stack(waves, axis=1), np.isfinite(values)
    return values - season @ np.linalg.lstsq(season[used], values[used], rcond=None)[0]


def agreement(
    simulated: np.ndarray, observed: np.ndarray, days: pd.DatetimeIndex
) -> dict[str, float]:
    """Compare a simulated with an observed series over the days on which both have a value.

    Args:
        simulated: mm d-1, (time,), without gaps in time.
        observed: mm d-1, (time,), NaN where missing.
        days: the days, (time,).

    Returns:
        Number of days; correlation with its p-value as if days were independent; the effective
        number of days (:func:`effective_days`) with the p-value by it; the correlation of the
        departures from each side's season; MAE, RMSE and both means, mm d-1; and the share of
        simulated days within the observed extremes. NaN where it is not defined.
    """
    both = np.isfinite(simulated) & np.isfinite(observed)
    a, b = (np.where(both, series, np.nan) for series in (simulated, observed))
    row = dict.fromkeys(("days", *MEASURES), np.nan) | {"days": int(both.sum())}
    if both.sum() < 3 or min(np.ptp(a[both]), np.ptp(b[both])) == 0:
        return row
    r, effective = float(np.corrcoef(a[both], b[both])[0, 1]), effective_days(a, b)
    rest = [without_season(series, days)[both] for series in (a, b)]
    low, high = b[both].min(), b[both].max()
    found = (
        r,
        p_value(r, both.sum()),
        effective,
        p_value(r, effective),
        float(np.corrcoef(*rest)[0, 1]) if min(map(np.ptp, rest)) > 1e-9 else np.nan,
        float(np.nanmean(abs(a - b))),
        float(np.sqrt(np.nanmean((a - b) ** 2))),
        float(np.nanmean(a)),
        float(np.nanmean(b)),
        float(np.mean((a[both] >= low) & (a[both] <= high))),
    )
    return row | dict(zip(MEASURES, found, strict=True))


def agreement_table(
    towers: xr.Dataset, simulated: xr.DataArray, period: Period, against: str = "et"
) -> pd.DataFrame:
    """Agreement of every scheme with every tower, one row each (the numbers of Figure 10).

    Args:
        towers: of :func:`find_towers`.
        simulated: of :func:`at_towers`.
        period: years that count.
        against: "et", what a tower reports, or "et_true", what happened in a twin's cell.

    Raises:
        InputError: no day of the study in the period.
    """
    days = towers.indexes["time"]
    inside = period.chosen(days)
    rows = {}
    for tower in towers.tower.values:
        seen = towers[against].sel(tower=tower).values[inside]
        for scheme in simulated.scheme.values:
            run = simulated.sel(tower=tower, scheme=scheme).values[inside].astype(float)
            rows[str(tower), str(scheme)] = agreement(run, seen, days[inside])
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename_axis(index=["tower", "scheme"])


def measures(table: pd.DataFrame, schemes: tuple[str, ...]) -> dict[str, float | str]:
    """What the paper's claims about the towers (section 4.3, Figure 10) are judged by, by name.

    A twin's tower feels the weather that drives the model. What the untrained scheme shows there,
    too, says nothing about the trained ones.

    Args:
        table: of :func:`agreement_table`.
        schemes: titles that the claims are about.

    Returns:
        For correlation and range the numbers of the schemes in words, the share of their rows
        that show it, and that of the untrained scheme on a twin (0 without one).
    """
    known = table[table.r.notna()]
    scheme = known.index.get_level_values("scheme")
    chosen = known.index.isin(schemes, level="scheme")
    untrained = (scheme == SCHEMES["hydropynn"].title) & (TRUTH in scheme)
    shows = {
        ("correlation at the towers", "towers that correlate", "untrained that correlate"): (
            (known["p by these"] < SIGNIFICANT) & (known.r > 0),
            known.apply(_correlation_text, axis=1),
        ),
        ("days within the towers' range", "towers of the same range", "untrained of the same"): (
            known["within its range"] >= SAME_RANGE,
            known["within its range"].map("{:.1%} of days".format),
        ),
    }
    found: dict[str, float | str] = {}
    for (told, share, of_untrained), (here, text) in shows.items():
        rows = text[chosen].items()
        found[told] = "; ".join(f"{' '.join(place)}: {words}" for place, words in rows)
        found[share] = float(here[chosen].mean())
        found[of_untrained] = float(here[untrained].mean()) if untrained.any() else 0.0
    return found


def _correlation_text(row: pd.Series) -> str:
    p = row["p by these"]
    return f"r {row.r:.2f}, p {f'{p:.1g}' if p > 1e-10 else '< 1e-10'}"
