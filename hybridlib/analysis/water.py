"""Water budgets and floods of the schemes in one table of numbers, for the claims about them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.analysis.budget import (
    SHORT,
    Ledger,
    annual_budget,
    biases,
    counted_years,
    mean_evapotranspiration,
)
from hybridlib.analysis.floods import peak_errors
from hybridlib.learning.schemes import TRUTH
from hybridlib.study.metrics import correlation, rmse
from hybridlib.study.splits import Period


def measure(
    ledger: Ledger,
    series: Mapping[str, xr.Dataset],
    observed: xr.Dataset,
    catchment: str,
    period: Period,
) -> pd.DataFrame:
    """Gather in one table what the paper's claims are about.

    Args:
        ledger: of the gauge's catchment and the sub-basins of a study.
        series: of schemes and, of a twin, the truth, by title.
        observed: of :func:`hybridlib.analysis.budget.observed_series`.
        catchment: name of the gauge's catchment.
        period: years that count, where the observed budget is complete.

    Returns:
        One row a title, one column a measure, in mm a-1 where no unit is named.
    """
    seen = annual_budget(ledger, observed)
    budgets = {title: annual_budget(ledger, one) for title, one in series.items()}
    bias = biases(budgets, seen, catchment, period)
    flood = peak_errors(ledger, series, observed, catchment, period).groupby("scheme").mean()
    columns = {f"{text} bias": bias[name] for name, text in SHORT.items()}
    columns |= {f"peak {name}": flood[name] for name in flood}
    years = counted_years(seen, period)
    evaporation = mean_evapotranspiration(seen, budgets, years).drop(catchment, errors="ignore")
    columns |= _measure_sub_basins(evaporation)
    fourth = [one.name for one in ledger.catchments if one.name.startswith("4 ")]
    for name in fourth:
        columns["sub-basin 4 Q bias"] = biases(budgets, seen, name, period).Q
    return pd.DataFrame(columns).reindex(bias.index)


def _measure_sub_basins(evaporation: pd.DataFrame) -> dict[str, pd.Series]:
    """Agreement over all sub-basins, bias of each, and the place of the fourth from the lowest."""
    if evaporation.empty:
        return {}
    near = agreement(evaporation)
    error = evaporation.iloc[:, 1:].sub(evaporation.iloc[:, 0], axis=0)
    columns = {f"sub-basin ET {name}": near[name] for name in ("RMSE", "r")}
    columns |= {f"sub-basin {name[0]} ET bias": error.loc[name] for name in evaporation.index}
    for name in evaporation.index[evaporation.index.str.startswith("4 ")]:
        columns["sub-basin 4 ET rank"] = evaporation.iloc[:, 1:].rank().loc[name]
    return columns


def measures(measured: pd.DataFrame) -> dict[str, float]:
    """Give every measure a name of its own, such as "ET bias, Hybrid(Q,S)".

    The bias of a twin's truth is the error of its observations, not of a model: it is taken off
    every bias.

    Args:
        measured: of :func:`measure`.
    """
    if TRUTH in measured.index:
        biased = [name for name in measured if name.endswith("bias")]
        measured = measured.assign(**(measured[biased] - measured.loc[TRUTH, biased]))
    return {
        f"{name}, {title}": float(value)
        for title, row in measured.iterrows()
        for name, value in row.dropna().items()
    }


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """How far each column is from the first: bias and RMSE (mm a-1) and correlation of rows.

    With the truth among the columns also each one's RMSE to it, (mm a-1).
    """
    first, others = table.iloc[:, 0], table.iloc[:, 1:]
    columns = {
        "bias": others.sub(first, axis=0).mean(),
        "RMSE": others.apply(rmse, observed=first),
        "r": others.apply(correlation, observed=first) if len(table) > 2 else np.nan,
    }
    if TRUTH in others:
        columns["RMSE to the truth"] = others.apply(rmse, observed=others[TRUTH])
    return pd.DataFrame(columns)
