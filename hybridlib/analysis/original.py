"""What this project claims, measured: the original's numbers, water, gradients, speed, the twin."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.land import Weather
from hybridlib.hydropy.model import VARIABLES, HydroPyNN
from hybridlib.hydropy.parameters import Parameters
from hybridlib.hydropy.routing import (
    build_network,
    direction_masks,
    transfer,
    transfer_by_masks,
)
from hybridlib.hydropy.simulate import OUTPUT, per_second, study_model, study_weather
from hybridlib.hydropy.step import State, day_step
from hybridlib.study import instruments, metrics
from hybridlib.study.files import of_the_book
from hybridlib.study.schema import SECONDS_PER_DAY, InputError
from hybridlib.study.store import Study
from hybridlib.twin import geography
from hybridlib.twin.weather import climate_summary

REFERENCE_RUNS = Path("tests/data")
"""Cuts of three runs of the original HydroPy 1.0, in the project; its README tells their origin."""
CASES = ("tropical", "cold", "partial")
GROUPS = ("landsurface", "forcing", "output")
RIVER = ("dis", "rivdis", "freshwater", "riverstor", "infl_subtime")
"""Variables compared relative to max(abs(value), 1 m3 s-1 or a day of it); the others in mm."""
MOSELLE_SPACING = 0.2157
"""Spacing of the rows, degrees, that the original's run of the Moselle was given."""
MOSELLE_SCORES = Path("data/results/moselle.csv")


def reference_run(case: str) -> Path:
    """The file of a case, one of ``CASES``.

    Raises:
        InputError: there is no project, which holds it.
    """
    return of_the_book(REFERENCE_RUNS / f"{case}.nc")


def run_reference(path: Path, dtype: str = "float64", **options):
    """Run HydroPyNN on the inputs of a run of the original.

    Args:
        path: NetCDF with the groups landsurface, forcing and output.
        dtype: "float64" or "float32".
        **options: of :meth:`~hybridlib.hydropy.model.HydroPyNN.from_landsurface`.

    Returns:
        The model, everything it computed by HydroPy's name, (time, cell), and the groups.
    """
    groups = {group: xr.open_dataset(path, group=group).load() for group in GROUPS}
    model = HydroPyNN.from_landsurface(groups["landsurface"], dtype, **options)
    forcing = groups["forcing"]
    pr, tas, pet = (model.basin.pack(forcing[name]) for name in ("Precip", "TSurf", "PET"))
    weather = model.weather(pr, tas, pet, forcing.indexes["time"])
    return model, model.run(weather, variables=VARIABLES)[1], groups


def compare(path: Path, dtype: str = "float64", **options) -> pd.Series:
    """Largest difference from a run of the original, by variable (the paper's Table S6).

    In mm d-1 or mm; for river water relative to max(abs(value), 1 m3 s-1). Discharge at a sink is
    compared with ``freshwater``: the original adds the sink's own runoff there once more.
    """
    model, ours, groups = run_reference(path, dtype, **options)
    output, basin = groups["output"], model.basin
    days = np.isin(groups["forcing"].time.values, output.time.values)
    found = {}
    for name in (n for n in VARIABLES if n in output):
        theirs = basin.pack(output[name])
        if name == "dis":
            theirs = np.where(basin.sink, basin.pack(output["freshwater"]), theirs)
        theirs = theirs / per_second(name)
        mine = ours[name][days].astype(float)
        if name == "riverstor":
            mine = np.pad(mine, [(0, 0), (0, theirs.shape[1] - mine.shape[1]), (0, 0)])
        scale = np.maximum(np.abs(theirs), SECONDS_PER_DAY) if name in RIVER else 1.0
        apart = np.abs(mine - theirs) / scale
        # The original has no number in a cell without land; where it has one, so must we.
        found[name] = float(np.max(apart[~np.isnan(theirs)]))
    return pd.Series(found, name=f"{path.stem}, {dtype}")


def comparison_table() -> pd.DataFrame:
    """Largest difference from the original, one row a variable, one column a case and dtype."""
    columns = [compare(reference_run(c), dtype) for dtype in ("float64", "float32") for c in CASES]
    table = pd.concat(columns, axis=1).reindex(VARIABLES)
    words = {"kg m-2 s-1": "mm/d", "kg m-2": "mm", "/": "–"}
    unit = ["relative" if n in RIVER else words[OUTPUT[n][0]] for n in table.index]
    table.insert(0, "unit", unit)
    table.insert(0, "meaning", [OUTPUT[name][1].split(";")[0] for name in table.index])
    return table


def water_closure() -> float:
    """Largest water from nowhere in any cell on any day of the reference cases, mm, float64."""
    worst = 0.0
    for case in CASES:
        model, series, _ = run_reference(reference_run(case))
        for residual in model.water_balance(series, model.empty_state()):
            worst = max(worst, float(np.abs(residual).max()))
    return worst


def gradient_error(directions: int = 20) -> float:
    """Largest relative difference of a day's gradient from central differences, float64.

    Every store, parameter and flux of weather is moved at once along random directions on a day
    in the middle of the tropical case.
    """
    model, series, groups = run_reference(reference_run("tropical"))
    values = _middle_of_run(model, series, groups)
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(model.basin.size)
    errors = []
    for _ in range(directions):
        step = {n: 1e-7 * np.abs(v) * rng.standard_normal(v.shape) for n, v in values.items()}
        with tf.GradientTape() as tape:
            watched = {n: tf.constant(v) for n, v in values.items()}
            tape.watch(watched)
            total = _weighted_day(watched, model, weights)
        slopes = tape.gradient(total, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        exact = sum(float(tf.reduce_sum(slopes[n] * step[n])) for n in values)
        ends = [
            float(_weighted_day({n: v + k * step[n] for n, v in values.items()}, model, weights))
            for k in (1.0, -1.0)
        ]
        estimate = (ends[0] - ends[1]) / 2.0
        errors.append(abs(exact - estimate) / max(abs(estimate), 1e-12))
    return max(errors)


def _middle_of_run(model, series, groups) -> dict[str, np.ndarray]:
    """Stores, parameters and weather of the middle day, by field name."""
    day = len(series["swe"]) // 2
    stores = {n: series["infl_subtime" if n == "infl" else n][day - 1] for n in State._fields}
    parameters = {n: v.numpy() for n, v in model.default_parameters()._asdict().items()}
    forcing = groups["forcing"].isel(time=[day])
    pr, tas, pet = (model.basin.pack(forcing[n]) for n in ("Precip", "TSurf", "PET"))
    weather = model.weather(pr, tas, pet, forcing.indexes["time"])
    fields = {n: getattr(weather, n)[0].numpy() for n in ("rainf", "melt", "pet")}
    return {**stores, **parameters, **fields}


def _weighted_day(values, model: HydroPyNN, weights):
    """One number that depends on every store and flux of a day, in mm."""
    constants = {"month": tf.constant(5), "next_month": tf.constant(6), "share_next": 0.5}
    rain = {n: values[n] for n in ("rainf", "melt", "pet")}
    weather = Weather(snowf=tf.zeros_like(values["rainf"]), **rain, **constants)
    state = State(*(values[n] for n in State._fields))
    parameters = Parameters(*(values[n] for n in Parameters._fields))
    after, fluxes = day_step(state, weather, parameters, model.land, model.network, model.substeps)
    depth = 1000.0 / model.basin.area
    water = after.rootmoist + after.lakestor + after.groundwstor + fluxes["evap"]
    return tf.reduce_sum((water + (fluxes["dis"] + after.infl) * depth) * weights)


def moselle_scores(folder: Path) -> pd.DataFrame:
    """Score HydroPyNN and the original on the Moselle at Perl, untrained.

    Args:
        folder: holds ``reference/moselle.nc`` and ``real/moselle/discharge.nc``.

    Returns:
        NSE and bias of both, by period.
    """
    observed = xr.open_dataset(folder / "real" / "moselle" / "discharge.nc").discharge[:, 0]
    model, series, groups = run_reference(
        folder / "reference" / "moselle.nc", latitude_step=MOSELLE_SPACING
    )
    outlet = int(np.flatnonzero(model.basin.sink)[0])
    days = {"time": groups["forcing"].time}
    original = model.basin.pack(groups["output"]["freshwater"])[:, outlet]
    flows = {
        "HydroPyNN": xr.DataArray(series["dis"][:, outlet] / SECONDS_PER_DAY, days),
        "original": xr.DataArray(original, days),
    }
    rows = []
    for first, last in (("1990", "1991"), ("1992", "1993")):
        seen = observed.sel(time=slice(first, last))
        row: dict[str, object] = {"period": f"{first}-{last}"}
        for name, flow in flows.items():
            simulated = flow.sel(time=seen.time)
            row[f"NSE {name}"] = float(metrics.nse(simulated, seen))
            row[f"bias {name}"] = float(metrics.bias(simulated, seen))
        rows.append(row)
    return pd.DataFrame(rows).set_index("period")


def kept_moselle_scores() -> pd.DataFrame:
    """What :func:`moselle_scores` gave where its data, which the project does not carry, are."""
    return pd.read_csv(of_the_book(MOSELLE_SCORES), comment="#", index_col="period")


def gauge_area_errors() -> pd.Series:
    """Error of the drainage area at the Amazon's gauges, as a share of the published one."""
    gauges = geography.amazon().gauges
    return gauges.set_index("station").error


def twin_facts(study: Study) -> dict[str, float]:
    """Facts of the full-size twin that the Amazon's are known for."""
    truth, days = study.group("truth"), study.days
    gauges = list(study.discharge.station.values)
    obidos = truth.discharge_true.isel(station=gauges.index("OBIDOS - LINIGRAFO"))
    monthly = obidos.groupby("time.month").mean()
    storage = truth.twsa_true.groupby("month.month").mean()
    rain = climate_summary(
        study.forcing.load(),
        study.basin.unpack(study.basin.land, False),
        study.forcing.lat.values,
        study.forcing.lon.values,
    )
    central = (study.twsa.box_lat == -4.5) & (study.twsa.box_lon == -61.5)
    amplitude = (storage.max("month") - storage.min("month")).values
    return {
        "days": len(days),
        "cells": study.basin.size,
        "gauges": len(gauges),
        "boxes": storage.sizes["box"],
        "mean discharge at Óbidos (1000 m3 s-1)": float(obidos.mean()) / 1e3,
        "month of high water at Óbidos": int(monthly.idxmax()),
        "month of low water at Óbidos": int(monthly.idxmin()),
        "seasonal storage range, central box (mm)": float(amplitude[central.values][0]),
        **{_rain(row): float(rain.loc[row.region, RAIN[row.season]]) for row in _known_rain()},
    }


def observed_and_simulated(
    study: Study,
    first: int = 2003,
    parameters: Parameters | None = None,
    evspsblpot: np.ndarray | None = None,
) -> xr.Dataset:
    """A run beside a study's observations, after spin-up, float32.

    Args:
        study: the prepared study.
        first: first year that is compared; the ones before settle the stores.
        parameters: (cell,); HydroPy's own by default.
        evspsblpot: kg m-2 s-1, (time, cell); the study's by default.

    Returns:
        discharge_observed and discharge_simulated, m3 s-1, (time, station).

    Raises:
        InputError: ``first`` is no year of the record.
    """
    begin, end = study.days[0].year, study.days[-1].year
    if not begin <= first <= end:
        raise InputError(f"{study.path}: year {first} is asked for; found {begin} to {end}")
    model = study_model(study)
    weather = study_weather(study, model)
    if evspsblpot is not None:
        weather = weather._replace(pet=tf.constant(evspsblpot * SECONDS_PER_DAY, model.dtype))
    state, _ = model.spin_up(weather.part(slice(365)), parameters, threshold=5.0)
    _, series = model.run(weather, parameters, state, variables=("dis",))
    gauges = study.discharge
    simulated = xr.DataArray(
        instruments.discharge_at(series["dis"], study.gauge_cells),
        {"time": study.days, "station": gauges.station},
        ("time", "station"),
        attrs={"units": "m3 s-1", "long_name": "simulated discharge"},
    )
    observed, simulated = xr.align(gauges.discharge, simulated)
    pair = {"discharge_observed": observed, "discharge_simulated": simulated}
    return xr.Dataset(pair).sel(time=slice(str(first), None))


def what_the_defaults_miss(study: Study, gauge: str, first: int = 2003) -> pd.DataFrame:
    """Exchange parts of HydroPyNN for the twin's truth and score each run.

    Returns:
        NSE at the gauge, median NSE and the gauge's month of high water, by what is true.

    Raises:
        InputError: the study is no twin.
    """
    truth, basin = study.group("truth"), study.basin
    default = study_model(study).default_parameters()
    true = Parameters(*(basin.pack(truth[name]) for name in Parameters._fields))
    demand = basin.pack(truth.evspsblpot)
    runs = {
        "nothing (HydroPyNN)": (default, None),
        "overland lag": (default._replace(lag_sur=true.lag_sur), None),
        "potential evapotranspiration": (default, demand),
        "all parameters": (true, None),
        "all of it": (true, demand),
    }
    rows = {}
    for name, (parameters, evspsblpot) in runs.items():
        pair = observed_and_simulated(study, first, parameters, evspsblpot)
        scores = score_table(pair)["NSE"]
        monthly = pair.discharge_simulated.sel(station=gauge).groupby("time.month").mean()
        rows[name] = {
            "NSE at the gauge": scores[gauge],
            "median NSE": scores.median(),
            "high water (month)": int(monthly.idxmax()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("what is true")


def transfer_difference(study: Study) -> float:
    """Largest difference between eight masks and the packed gather on a study's grid, float64."""
    basin = study.basin
    outflow = np.random.default_rng(0).random(basin.size)
    network = build_network(basin, np.ones(basin.size, int))
    grid = transfer_by_masks(basin.unpack(outflow, 0.0), direction_masks(basin))
    return float(np.abs(basin.pack(grid) - transfer(tf.constant(outflow), network)).max())


def restart_difference(study: Study) -> float:
    """Largest difference in discharge between one run and two that meet on day 200, m3 d-1."""
    model = study_model(study)
    weather = study_weather(study, model, slice(study.days[0], study.days[400]))
    _, whole = model.run(weather)
    middle, _ = model.run(weather.part(slice(200)))
    _, late = model.run(weather.part(slice(200, None)), state=middle)
    return float(np.abs(late["dis"] - whole["dis"][200:]).max())


def score_table(pair: xr.Dataset) -> pd.DataFrame:
    """NSE, KGE, RMSE and bias of every gauge, worst NSE last."""
    simulated, observed = pair.discharge_simulated.values, pair.discharge_observed.values
    table = pd.DataFrame(
        {
            "NSE": metrics.nse(simulated, observed),
            "KGE": metrics.kge(simulated, observed),
            "RMSE (m3 s-1)": metrics.rmse(simulated, observed),
            "bias (%)": 100 * metrics.bias(simulated, observed),
        },
        index=pd.Index(pair.station.values, name="station"),
    )
    return table.sort_values("NSE", ascending=False)


def claims(
    differences: pd.DataFrame,
    closure: float,
    gradient: float,
    moselle: pd.DataFrame,
    study: Study,
    areas: pd.Series | None = None,
    facts: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Set what was asked beside what was found.

    Args:
        differences: of :func:`comparison_table`.
        closure: of :func:`water_closure`, mm.
        gradient: of :func:`gradient_error`.
        moselle: of :func:`kept_moselle_scores`.
        study: the prepared study that routing and restart are tried on.
        areas: absolute errors of :func:`gauge_area_errors`; left out by default.
        facts: of :func:`twin_facts`; left out by default.

    Returns:
        Claim, what was asked, what was found and whether it is met.
    """
    river = differences.index.isin(RIVER)
    exact, single = (differences.filter(like=d) for d in ("float64", "float32"))
    late = moselle.loc["1992-1993", "NSE HydroPyNN"]
    rows = [
        ("float64 against the original, mm", 1e-9, exact[~river].max().max(), "at most"),
        ("float64 against the original, river water", 1e-9, exact[river].max().max(), "at most"),
        ("float32 against the original, mm", 2e-3, single[~river].max().max(), "at most"),
        ("float32 against the original, river water", 2e-4, single[river].max().max(), "at most"),
        ("water from nowhere, mm", 1e-9, closure, "at most"),
        ("gradient of a day, relative", 1e-6, gradient, "at most"),
        ("eight masks against the packed table", 1e-12, transfer_difference(study), "at most"),
        ("two runs against one, m3 d-1", 0.0, restart_difference(study), "exactly"),
        ("NSE on the Moselle 1992-1993 (real)", 0.86, late, "at least"),
    ]
    if areas is not None:
        rows += [
            ("drainage area at the gauges, median error", 0.05, areas.median(), "at most"),
            ("drainage area at the gauges, largest error", 0.15, areas.max(), "at most"),
        ]
    if facts is not None:
        rows += _twin_claims(facts)
    return pd.DataFrame(
        {
            "claim": claim,
            "asked": f"{relation} {asked:g}",
            "found": f"{found:.4g}",
            "met": "yes" if RELATIONS[relation](found, asked) else "no",
        }
        for claim, asked, found, relation in rows
    )


RELATIONS = {"at most": operator.le, "at least": operator.ge, "exactly": operator.eq}
TWIN_SIZE = {"days": 5844, "cells": 1951, "gauges": 24, "boxes": 56}
RAIN = {
    "year": "rain_mm",
    "wettest quarter": "cells_wettest_quarter_mm",
    "driest quarter": "cells_driest_quarter_mm",
}
"""Column of :func:`~hybridlib.twin.weather.climate_summary` for each season, means of the cells'
own quarters, as the known numbers are means of the boxes' own."""


def _known_rain() -> list:
    """Rain of the Amazon's regions: rows of region, season and expected_mm."""
    return list(pd.read_csv(geography.FOLDER / "expected_climate.csv").itertuples())


def _rain(row) -> str:
    return f"rain, {row.region}, {row.season} (mm)"


def _twin_claims(facts: Mapping[str, float]) -> list[tuple[str, float, float, str]]:
    """Rows for what the full-size twin must share with the Amazon."""
    discharge = facts["mean discharge at Óbidos (1000 m3 s-1)"]
    high, low = (facts[f"month of {w} water at Óbidos"] for w in ("high", "low"))
    rows: list[tuple[str, float, float, str]]
    rows = [(name, size, facts[name], "exactly") for name, size in TWIN_SIZE.items()]
    rows += [
        ("mean discharge at Óbidos, 1000 m3 s-1", 150.0, discharge, "at least"),
        ("mean discharge at Óbidos, 1000 m3 s-1", 200.0, discharge, "at most"),
        ("high water at Óbidos, months from May-June", 0.0, max(5 - high, high - 6, 0), "exactly"),
        ("low water at Óbidos, months from Oct-Nov", 0.0, max(10 - low, low - 11, 0), "exactly"),
        (
            "seasonal storage range, central box, mm",
            300.0,
            facts["seasonal storage range, central box (mm)"],
            "at least",
        ),
    ]
    for row in _known_rain():
        error = abs(facts[_rain(row)] / row.expected_mm - 1.0)
        bound = 0.03 if row.season == "year" else 0.15
        rows.append((f"error of {_rain(row).removesuffix(' (mm)')}", bound, error, "at most"))
    return rows
