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

from hybridlib.pet import LATENT_HEAT
from hybridlib.schema import SECONDS_PER_DAY, InputError, Variable, check_values
from hybridlib.schemes import SCHEMES, TRUTH
from hybridlib.splits import Period
from hybridlib.study import Study
from hybridlib.verdicts import SIGNIFICANT, Verdicts, tell

SITES = {"K34": (-2.609, -60.209), "K67": (-2.857, -54.959)}
"""Latitude and longitude of the two flux towers of the LBA programme."""
INVENTED = "invented"
"""Name of the tower that a twin gets in its middle where no real one stands in it."""

CLOSURE = 0.75
"""Share of the evapotranspiration that a tower sees. Wang et al. (2024) quote 20-30 % of missing
energy for tropical forest; over all biomes it is about 20 % (Wilson et al. 2002)."""
FOOTPRINT, FOOTPRINT_MEMORY = 0.08, 60.0
"""Relative departure of the 1-2 km that a tower sees from its cell, and how long one lasts (days).
Our choice."""
READING = 0.10
"""Relative random error of a day. Our choice; a half hour's is 13 % and some W m-2
(doi 10.1016/j.agrformet.2008.08.011, Figure 5)."""
MISSING_SHARE, GAP = 0.35, 8.0
"""Share of days without a value, and mean length of a gap (days). Our choice."""
SEED = 34

COLUMNS = ("Year_LBAMIP", "DoY_LBAMIP")
HEADER_LINES = 3
MISSING = -9999.0
WATTS = {"wm-2", "w/m2", "wm^-2", "w/m^2", "wm**-2"}
"""Spellings of W m-2, without blanks and in small letters."""
LATENT = Variable("latent heat flux", "W m-2", "daily mean", -100.0, 600.0)
"""The range catches wrong units (mm d-1 passes it, but has no unit line in W m-2)."""
LAG_SHARE = 5
"""Autocorrelation counts up to a fifth of the record (Pyper and Peterman 1998)."""
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
    names, units, rows = _read_lines(path)
    for name in (*COLUMNS, column):
        if names.count(name) != 1:
            raise InputError(
                f"{path}: column {name} is there {names.count(name)} times; expected once in "
                f"line 1 (found {len(names)} columns: {', '.join(names[:6])[:80]} …)"
            )
    at = names.index(column)
    found = [line[at] for line in units if at < len(line)]
    if not any("".join(text.lower().split()) in WATTS for text in found):
        raise InputError(
            f"{path}: {column} has {' and '.join(map(repr, found)) or 'nothing'} in the lines "
            "below its name; expected its unit, W m-2"
        )
    year, day, flux = (_numbers(rows, names.index(name), name, path) for name in (*COLUMNS, column))
    days = _dates(year, day, path)
    missing = np.isnan(flux) | (flux == MISSING)

    def where(index):
        return f"in column {column} on {days[index[0]]:%Y-%m-%d}"

    check_values(np.where(missing, 0.0, flux), LATENT, str(path), where)
    water = np.where(missing, np.nan, flux * SECONDS_PER_DAY / LATENT_HEAT)
    attrs = {"units": "mm d-1", "long_name": "evapotranspiration at a tower"}
    series = xr.DataArray(water, {"time": days}, ("time",), "et", attrs)
    return series.reindex(time=pd.date_range(days[0], days[-1]))


def _read_lines(path: Path | str) -> tuple[list[str], list[list[str]], list[list[str]]]:
    """Names, further lines of header, and the days' lines, all of the same number of fields."""
    try:
        text = Path(path).read_text(encoding="latin-1")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    lines = [[field.strip() for field in line.split("\t")] for line in text.split("\n")]
    while lines and not any(lines[-1]):
        lines.pop()
    if len(lines) <= HEADER_LINES:
        raise InputError(
            f"{path}: {len(lines)} lines; expected {HEADER_LINES} lines of header and then days"
        )
    for number, line in enumerate(lines[HEADER_LINES:], HEADER_LINES + 1):
        if len(line) != len(lines[0]):
            raise InputError(
                f"{path}: line {number} has {len(line)} fields separated by tabs; "
                f"expected {len(lines[0])}, as in line 1"
            )
    return lines[0], lines[1:HEADER_LINES], lines[HEADER_LINES:]


def _numbers(rows: list[list[str]], at: int, name: str, path) -> np.ndarray:
    """One column as numbers."""
    values = np.empty(len(rows))
    for k, row in enumerate(rows):
        try:
            values[k] = float(row[at])
        except ValueError:
            raise InputError(
                f"{path}: {name} is {row[at]!r} in line {k + HEADER_LINES + 1}; expected a number"
            ) from None
    return values


def _dates(year: np.ndarray, day: np.ndarray, path) -> pd.DatetimeIndex:
    """Dates from years and days of the year, each later than the one before."""
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    good = (year == np.round(year)) & (day == np.round(day)) & (year >= 1900) & (year <= 2100)
    good &= (day >= 1) & (day <= 365 + leap)
    if not good.all():
        k = int(np.argmin(good))
        raise InputError(
            f"{path}: {COLUMNS[0]} {year[k]:g}, {COLUMNS[1]} {day[k]:g} in line "
            f"{k + HEADER_LINES + 1} is no day; expected whole numbers, 1 January being day 1"
        )
    days = pd.DatetimeIndex(pd.to_datetime(year.astype(int), format="%Y"))
    days = days + pd.to_timedelta(day - 1, unit="D")
    steps = np.diff(days.values) / np.timedelta64(1, "D")
    if (steps <= 0).any():
        k = int(np.argmax(steps <= 0))
        raise InputError(
            f"{path}: line {k + HEADER_LINES + 2} is {days[k + 1]:%Y-%m-%d} after "
            f"{days[k]:%Y-%m-%d}; expected a later day in every line (the daily file, not the "
            "hourly one)"
        )
    return days


def tower_cells(study: Study) -> dict[str, int]:
    """Cells of the known towers that stand in a basin, by name."""
    cells = {}
    for name, place in SITES.items():
        try:
            cells[name] = study.basin.cell_at(*place, f"tower {name}")
        except InputError:
            continue
    return cells


def find_towers(study: Study, folder: Path | str = "") -> xr.Dataset | None:
    """The towers of a study: read from files, or derived from a twin's truth.

    Args:
        study: the prepared study.
        folder: with LBA daily files, for a study of real data.

    Returns:
        As :func:`read_towers` or :func:`twin_towers`; None where there is neither.

    Raises:
        InputError: a folder with real data for a twin, or files that cannot be used.
    """
    if folder and study.attrs.get("source") == "twin":
        raise InputError(
            f"{folder}: real towers for {study.path}, which is a twin; twin and real never mix"
        )
    if folder:
        return read_towers(study, folder)
    return twin_towers(study) if study.has("truth") else None


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
    return _towers(study, np.stack(series, axis=1), {name: cells[name] for name in files})


def twin_towers(study: Study, seed: int = SEED) -> xr.Dataset:
    """Towers of a twin: its true evapotranspiration with the errors of real ones.

    Where none of the real towers stands in the basin, one is invented in its middle.

    Args:
        study: a twin.
        seed: same seed and cell, same series.

    Returns:
        "et", as a tower reports it, and "et_true", of its cell, both mm d-1, (time, tower); the
        towers' "cell".

    Raises:
        InputError: a study without a truth.
    """
    truth, basin = study.group("truth"), study.basin
    cells = tower_cells(study) or {INVENTED: _middle(study)}
    true = np.stack(
        [
            truth.evap.isel(lat=basin.row[cell], lon=basin.col[cell]).values * SECONDS_PER_DAY
            for cell in cells.values()
        ],
        axis=1,
    ).astype(float)
    chance = [np.random.default_rng([seed, cell]) for cell in cells.values()]
    seen = [observe(series, rng) for series, rng in zip(true.T, chance, strict=True)]
    towers = _towers(study, np.stack(seen, axis=1), cells)
    return towers.assign(et_true=towers.et.copy(data=true))


def _middle(study: Study) -> int:
    """The land cell nearest to the middle of all."""
    basin = study.basin
    lat, lon = basin.lat[basin.row], basin.lon[basin.col]
    far = (lat - lat.mean()) ** 2 + (lon - lon.mean()) ** 2
    return int(np.where(basin.land, far, np.inf).argmin())


def _towers(study: Study, et: np.ndarray, cells: Mapping[str, int]) -> xr.Dataset:
    attrs = {"units": "mm d-1", "long_name": "daily evapotranspiration"}
    coords = {"time": study.days, "tower": list(cells)}
    fields = {"et": (("time", "tower"), et, attrs), "cell": ("tower", list(cells.values()))}
    return xr.Dataset(fields, coords, {"source": study.attrs.get("source", "unknown")})


def observe(true: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Evapotranspiration as a tower reports it.

    Turbulence that it misses (:data:`CLOSURE`), a footprint that drifts away from the cell and
    back (:data:`FOOTPRINT`), a random error of each day (:data:`READING`), and gaps. The errors
    are factors with a mean of 1.

    Args:
        true: of the cell, mm d-1, (time,).
        rng: the source of noise.

    Returns:
        mm d-1, (time,), NaN in gaps.
    """
    memory = np.exp(-1.0 / FOOTPRINT_MEMORY)
    fresh = rng.standard_normal(len(true)) * np.sqrt(1.0 - memory**2)
    fresh[0] = rng.standard_normal()
    drift = signal.lfilter([1.0], [1.0, -memory], fresh)
    day = rng.standard_normal(len(true))
    error = np.exp(FOOTPRINT * drift + READING * day - (FOOTPRINT**2 + READING**2) / 2)
    seen = CLOSURE * error * true
    while np.isnan(seen).mean() < MISSING_SHARE:
        start, spell = rng.integers(len(true)), int(rng.exponential(GAP)) + 1
        seen[start : start + spell] = np.nan
    return seen


def at_towers(towers: xr.Dataset, fields: Mapping[str, xr.Dataset]) -> xr.DataArray:
    """Simulated evapotranspiration in the towers' cells, mm d-1, (scheme, time, tower).

    Args:
        towers: of :func:`find_towers`.
        fields: "evap" of :func:`hybridlib.comparison.simulate_fields`, by title. The truth of a
            twin is added.
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


def tower_findings(table: pd.DataFrame, schemes: tuple[str, ...]) -> Verdicts:
    """Hold what the paper found at the towers (section 4.3, Figure 10) against the table.

    A twin's tower feels the weather that drives the model. What the untrained scheme shows there,
    too, says nothing about the trained ones.

    Args:
        table: of :func:`agreement_table`.
        schemes: titles that the claims are about.
    """
    known = table[table.r.notna()]
    chosen = known[known.index.isin(schemes, level="scheme")]
    claims = {
        f"daily ET correlates with the towers' (p < {SIGNIFICANT:g})": (
            (known["p by these"] < SIGNIFICANT) & (known.r > 0),
            chosen.apply(_correlation_text, axis=1),
        ),
        "measured and modelled ET are within the same range": (
            known["within its range"] >= SAME_RANGE,
            chosen["within its range"].map("{:.1%} of days".format),
        ),
    }
    found = []
    for claim, (shows, shown) in claims.items():
        here = "; ".join(f"{' '.join(place)}: {text}" for place, text in shown.items())
        held = bool(shows[chosen.index].all())
        if held and _untrained_does(shows):
            held = "not testable, the untrained model does so, too"
        found.append((claim, here, held))
    return tell(found, "4.3")


def _correlation_text(row: pd.Series) -> str:
    p = row["p by these"]
    return f"r {row.r:.2f}, p {f'{p:.1g}' if p > 1e-10 else '< 1e-10'}"


def _untrained_does(shows: pd.Series) -> bool:
    """Whether the untrained scheme shows something at all towers of a twin."""
    scheme = shows.index.get_level_values("scheme")
    untrained = shows[scheme == SCHEMES["hydropynn"].title]
    return TRUTH in scheme and len(untrained) > 0 and bool(untrained.all())
