"""Learned against true: what only a twin can tell, because its truth is known.

Training reads none of this. A study of real data has no group ``truth`` and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.hydropy.parameters import TABLE_1, Parameters
from hybridlib.learning import evaluation
from hybridlib.learning.problem import Problem
from hybridlib.learning.run import Run
from hybridlib.learning.schemes import TRUTH
from hybridlib.study.metrics import correlation, rmse
from hybridlib.study.splits import Period
from hybridlib.study.store import Study

NO_GRADIENT = ("s_min",)
"""Only a threshold, so the loss has no slope along it, so no training moves it with a purpose."""

LIMITED = 0.9
"""Evapotranspiration over PET below which a day counts as short of water. Ours."""


def true_parameters(study: Study) -> Parameters:
    """The hidden parameter fields, (cell,)."""
    truth = study.group("truth")
    return Parameters(*(study.basin.pack(truth[row.name]) for row in TABLE_1))


def limited_days(study: Study) -> np.ndarray:
    """Share of days on which the soil holds a twin's true evapotranspiration back, %, (cell,).

    That is by more than a tenth of PET; over the cells with land. On the other days f_crit hardly
    matters.

    Raises:
        InputError: a study without a truth.
    """
    truth, land = study.group("truth"), study.basin.land
    actual, possible = (study.basin.pack(truth[name])[:, land] for name in ("evap", "evspsblpot"))
    return 100.0 * (actual < LIMITED * possible).mean(axis=0)


def learned_parameters(trained: Run) -> Parameters:
    """A scheme's parameter fields, mean over its members, (cell,)."""
    members = [learner.parameters() for learner in trained.learners]
    means = (np.mean(fields, axis=0, dtype=float) for fields in zip(*members, strict=True))
    return Parameters(*means)


def parameter_recovery(study: Study, schemes: Mapping[str, Run]) -> pd.DataFrame:
    """Agreement of every scheme's parameter fields with the truth, over the cells with land.

    Args:
        study: a twin.
        schemes: by title; the untrained one shows HydroPy's own fields.

    Returns:
        One row a parameter; columns (measure, scheme), with "correlation" (NaN for a field that is
        the same everywhere) and "RMSE", in the parameter's unit.

    Raises:
        InputError: a study without a truth.
    """
    true, land = true_parameters(study), study.basin.land
    columns = {}
    for measure, compare in (("correlation", correlation), ("RMSE", rmse)):
        for title, trained in schemes.items():
            pairs = zip(learned_parameters(trained), true, strict=True)
            columns[measure, title] = [compare(a[land], b[land]) for a, b in pairs]
    return pd.DataFrame(columns, index=pd.Index(Parameters._fields, name="parameter"))


def nearer_than_default(recovered: pd.DataFrame) -> pd.Series:
    """Count the parameters that each scheme brought nearer to the truth than HydroPy's own.

    Args:
        recovered: of :func:`parameter_recovery`; parameters without a gradient do not count.
    """
    error = recovered["RMSE"].drop(index=list(NO_GRADIENT))
    better = error.drop(columns="HydroPyNN").lt(error["HydroPyNN"], axis=0).sum()
    return better.rename(f"nearer to the truth (of {len(error)})")


def parameter_fields(study: Study, schemes: Mapping[str, Run], name: str) -> xr.Dataset:
    """One parameter on the grid: "truth", then every scheme by title, (lat, lon)."""
    row = next(row for row in TABLE_1 if row.name == name)
    fields = {TRUTH: getattr(true_parameters(study), name)}
    for title, trained in schemes.items():
        fields[title] = getattr(learned_parameters(trained), name)
    attrs = {"long_name": row.name, "units": row.units.replace("/", "1")}
    return _on_grid(study, fields, attrs)


def pet_errors(study: Study, trained: Run) -> xr.Dataset:
    """What the truth and a scheme add to the reference PET, mm d-1, float32, (time, cell).

    Args:
        study: a twin.
        trained: a scheme; its correction is the mean over its members.

    Returns:
        "truth" and "learned".

    Raises:
        InputError: a study without a truth.
    """
    problem = trained.problem
    reference = np.asarray(problem.weather.pet)
    fields = {
        "truth": study.true_daily("evspsblpot", problem.days) - reference,
        "learned": trained.pet.mean(axis=0) - reference,
    }
    dims = ("time", "cell")
    return xr.Dataset(
        {name: (dims, field, {"units": "mm d-1"}) for name, field in fields.items()},
        {"time": problem.days},
    )


def pet_recovery(study: Study, errors: xr.Dataset, period: Period) -> pd.DataFrame:
    """Agreement of the learned PET with the true one, beside that of the uncorrected reference.

    Args:
        study: a twin.
        errors: of :func:`pet_errors`.
        period: years that count.

    Returns:
        Rows "reference" and "learned"; bias and RMSE in mm d-1, and the correlation of learned and
        true error over all days and cells, of their basin means from day to day, and of their
        means in time from cell to cell.
    """
    land, area = study.basin.land, study.basin.area[study.basin.land]
    inside = period.holds(errors.indexes["time"])
    true, learned = (errors[name].values[inside][:, land] for name in ("truth", "learned"))
    rows = {}
    for name, found in (("reference", np.zeros_like(true)), ("learned", learned)):
        daily = [np.average(field, axis=1, weights=area) for field in (found, true)]
        mean = [field.mean(axis=0, dtype=float) for field in (found, true)]
        rows[name] = {
            "bias (mm d⁻¹)": float((daily[0] - daily[1]).mean()),
            "RMSE (mm d⁻¹)": rmse(found.ravel(), true.ravel()),
            "r, days and cells": correlation(found.ravel(), true.ravel()),
            "r, basin mean by day": correlation(*daily),
            "r, mean by cell": correlation(*mean),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def mean_pet_errors(study: Study, errors: xr.Dataset, period: Period) -> xr.Dataset:
    """Mean true and learned correction of PET and their difference, mm d-1, (lat, lon)."""
    inside = errors.isel(time=period.holds(errors.indexes["time"])).mean("time", dtype=float)
    fields = {name: field.values for name, field in inside.items()}
    fields["learned minus truth"] = fields["learned"] - fields["truth"]
    return _on_grid(study, fields, {"long_name": "mean correction of PET", "units": "mm d⁻¹"})


def truth_scores(study: Study, problem: Problem) -> xr.Dataset:
    """Scores of the truth itself against its own noisy observations: no model can beat them.

    Args:
        study: a twin.
        problem: its days and split.

    Returns:
        As :func:`hybridlib.learning.evaluation.score`.
    """
    truth = study.group("truth")
    gauges = study.discharge.discharge.reindex(time=problem.days).load()
    fields = {
        "discharge_observed": gauges,
        "discharge_simulated": truth.discharge_true.sel(time=problem.days).expand_dims("member"),
    }
    if problem.boxes is not None:
        boxes = problem.boxes
        true = truth.twsa_true.sel(month=boxes.month)
        fields |= {"twsa_observed": boxes.twsa, "twsa_simulated": true.expand_dims("member")}
    pairs = xr.Dataset(fields).assign_coords(member=[0])
    return evaluation.score(pairs, problem.split)


def _on_grid(study: Study, fields: Mapping[str, np.ndarray], attrs: dict) -> xr.Dataset:
    """Packed fields on the grid, NaN where there is no land, (lat, lon)."""
    land = study.basin.land
    shown = {name: ("cell", np.asarray(field, float)[land]) for name, field in fields.items()}
    return study.basin.on_grid(xr.Dataset(shown), **attrs)
