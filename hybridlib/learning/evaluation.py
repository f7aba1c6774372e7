"""What a trained model is worth: scores by gauge and box, water balance, recovered truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.land import Weather
from hybridlib.hydropy.model import BLOCK, VARIABLES
from hybridlib.hydropy.simulate import study_model
from hybridlib.learning.folder import write_values
from hybridlib.learning.learner import Learner
from hybridlib.learning.problem import Problem
from hybridlib.study import metrics
from hybridlib.study.splits import Split

SCORES = {"NSE": metrics.nse, "KGE": metrics.kge, "RMSE": metrics.rmse}
UNITS = {"discharge": "m3 s-1", "twsa": "mm"}


def simulate_members(
    problem: Problem, learners: Sequence[Learner], pets: Iterable[np.ndarray] | None = None
) -> xr.Dataset:
    """Observations and simulations of every member.

    Args:
        problem: on all days of its study.
        learners: its members.
        pets: their PET where it is known, mm d-1, (time, cell): convolutions take long.

    Returns:
        discharge_observed (time, station) and discharge_simulated (member, time, station), m3 s-1;
        with gravimetry twsa_observed (month, box) and twsa_simulated (member, month, box), mm; and
        evap_simulated (member, calendar), mean over the land in each calendar month, mm d-1, with
        a twin's evap_true (calendar).
    """
    if pets is None:
        pets = (learner.pet(problem.weather.pet, problem.window) for learner in learners)
    runs = [_simulate(problem, *own) for own in zip(learners, pets, strict=True)]
    gauges = problem.study.discharge.discharge.reindex(time=problem.days)
    dims = {"time": problem.days, "station": gauges.station}
    fields = {
        "discharge_observed": gauges.load(),
        "discharge_simulated": _members([run[0] for run in runs], dims, "m3 s-1", "discharge"),
    }
    if problem.boxes is not None:
        boxes = problem.boxes
        dims = {"month": boxes.month, "box": boxes.box}
        fields |= {
            "twsa_observed": boxes.twsa,
            "twsa_simulated": _members([run[1] for run in runs], dims, "mm", "storage anomaly"),
        }
    evap = [run[2] for run in runs]
    dims = {"calendar": evap[0].index}
    means = [one.to_numpy() for one in evap]
    fields["evap_simulated"] = _members(means, dims, "mm d-1", "evapotranspiration over the land")
    if problem.study.has("truth"):
        monthly = _monthly_mean(problem, problem.study.true_daily("evap", problem.days)).to_numpy()
        fields["evap_true"] = xr.DataArray(monthly, dims, attrs={"units": "mm d-1"})
    return xr.Dataset(fields).assign_attrs(scheme=problem.scheme.name)


def _simulate(problem: Problem, learner: Learner, pet):
    """Discharge, anomaly and mean evap of a member, without keeping what only gradients need."""
    weather, parameters = problem.weather._replace(pet=tf.constant(pet)), learner.parameters()
    _, series = problem.model.run(weather, parameters, problem.start, ("dis", "tws", "evap"))
    see = problem.instruments
    twsa = None if problem.boxes is None else see.anomaly(series["tws"]).numpy()
    return see.discharge(series["dis"]).numpy(), twsa, _monthly_mean(problem, series["evap"])


def _monthly_mean(problem: Problem, field) -> pd.Series:
    """Mean over the land in each month, by its first day, of a daily field (time, cell)."""
    basin = problem.model.basin
    daily = np.average(np.asarray(field)[:, basin.land], axis=1, weights=basin.area[basin.land])
    return pd.Series(daily, problem.days).resample("MS").mean().rename_axis("calendar")


def _members(values: list[np.ndarray], coords: dict, units: str, text: str) -> xr.DataArray:
    coords = {"member": np.arange(len(values)), **coords}
    attrs = {"units": units, "long_name": f"{text}, simulated"}
    return xr.DataArray(np.stack(values), coords, tuple(coords), attrs=attrs)


def score(pairs: xr.Dataset, split: Split) -> xr.Dataset:
    """NSE, KGE and RMSE of every member by gauge and box, training and validation apart.

    Returns:
        discharge (metric, period, member, station) and, with gravimetry, twsa
        (metric, period, member, box); NaN where a score is not defined; on a twin evap
        (metric, period, member), of monthly means over the land against the truth. ``held_out``
        (station) tells the gauges that never trained.
    """
    scored: dict[str, tuple] = {}
    for name in (n for n in UNITS if f"{n}_observed" in pairs):
        observed, simulated = pairs[f"{name}_observed"], pairs[f"{name}_simulated"]
        time, series = observed.dims
        parts = []
        for period in (split.train, split.validation):
            inside = period.holds(observed.indexes[time])
            seen = observed.values[inside]
            members = [member.values[inside] for member in simulated]
            parts.append([[score(m, seen) for m in members] for score in SCORES.values()])
        scored[name] = (
            ("metric", "period", "member", series),
            np.array(parts).transpose(1, 0, 2, 3),
            {"long_name": f"scores of {name}; RMSE in {UNITS[name]}"},
        )
    if "evap_true" in pairs:
        scored["evap"] = ("metric", "period", "member"), _evap_scores(pairs, split)
    coords = {
        "metric": list(SCORES),
        "period": ["train", "validation"],
        "member": pairs.member,
        "held_out": ("station", pairs.station.isin(split.held_out).values),
        **{dim: pairs[dim] for dim in ("station", "box") if dim in pairs.dims},
    }
    attrs = {"train": str(split.train), "validation": str(split.validation)}
    return xr.Dataset(scored, coords, attrs | pairs.attrs)


def _evap_scores(pairs: xr.Dataset, split: Split) -> np.ndarray:
    """Scores of monthly evapotranspiration over the land against the truth."""
    parts = []
    for period in (split.train, split.validation):
        inside = period.holds(pairs.indexes["calendar"])
        true = pairs.evap_true.values[inside]
        members = [member.values[inside] for member in pairs.evap_simulated]
        parts.append([[float(score(m, true)) for m in members] for score in SCORES.values()])
    return np.array(parts).transpose(1, 0, 2)


def table(scores: xr.Dataset, name: str) -> pd.DataFrame:
    """Scores of discharge or storage, one row a gauge or box, mean over the members.

    Args:
        scores: of :func:`score`.
        name: "discharge" or "twsa".
    """
    mean = scores[name].mean("member")
    series = mean.dims[-1]
    stacked = mean.stack(column=("period", "metric")).transpose(series, "column")
    columns = [" ".join(pair) for pair in stacked.indexes["column"]]
    return pd.DataFrame(stacked.values, mean.indexes[series].rename(series), columns)


def water_closure(problem: Problem, learner: Learner) -> float:
    """Largest water from nowhere in any cell on any day of a trained model, mm, float64."""
    model = study_model(problem.study, "float64")
    parameters, pet = problem.driven_by([learner])
    weather = Weather(
        *(field if field.dtype == tf.int32 else _double(field) for field in problem.weather)
    )._replace(pet=_double(pet))
    state, worst = model.cast(problem.start), 0.0
    for begin in range(0, len(problem.days), BLOCK):
        part = weather.part(slice(begin, begin + BLOCK))
        after, series = model.run(part, parameters, state, VARIABLES)
        for residual in model.water_balance(series, state):
            worst = max(worst, float(np.abs(residual).max()))
        state = after
    return worst


def _double(field):
    return tf.cast(field, tf.float64)


def evaluate(
    problem: Problem, learners: Sequence[Learner], pairs: xr.Dataset | None = None
) -> xr.Dataset:
    """Score a model and close its water: what ``metrics.nc`` holds.

    Args:
        problem: on all days of its study.
        learners: its members.
        pairs: of :func:`simulate_members`, where that was run before.
    """
    pairs = simulate_members(problem, learners) if pairs is None else pairs
    scores = score(pairs, problem.split)
    closure = max(water_closure(problem, learner) for learner in learners)
    return scores.assign_attrs(
        water_from_nowhere_mm=closure,
        study=problem.study.title,
        source=problem.study.attrs.get("source", "unknown"),
    )


def write_metrics(path: Path, scores: xr.Dataset) -> None:
    """Write ``metrics.nc``."""
    write_values(path, scores)
