"""What the paper found about the water budget and floods, held against what is measured here."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.budget import (
    Ledger,
    annual_budget,
    biases,
    counted_years,
    mean_evapotranspiration,
)
from hybridlib.floods import peak_errors
from hybridlib.metrics import correlation, rmse
from hybridlib.schemes import TRUTH
from hybridlib.splits import Period
from hybridlib.verdicts import Claim, Verdicts, better, judge_all

NEGLIGIBLE = 10.0
"""A mean bias within this counts as none, mm a-1; our choice, half a percent of the
Amazon's rain."""
EARLY, HIGH = 5.0, 5.0
"""Days and percent within which the time and the height of floods count as met; our choice."""
NOTHING_TO_MEND = "not testable, there is nothing to mend"
SHORT = {"dS": "ΔS", "Q": "Q", "ET": "ET"}
"""Terms of the budget that have a bias, as they are written."""


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
        observed: of :func:`hybridlib.budget.observed_series`.
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


def named(measured: pd.DataFrame) -> dict[str, float]:
    """Give every measure a name of its own, such as "ET bias, Hybrid(Q,S)".

    Args:
        measured: of :func:`measure`.
    """
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


def _claim(
    text: str, paper: str, measure: str, titles, holds, section: str = "4.3", **more
) -> Claim:
    """A claim about one measure of some schemes."""
    numbers = tuple(f"{measure}, {title}" for title in titles)
    return Claim(section, text, paper, numbers, holds, **more)


def _above(*biases: float) -> bool:
    """Whether the last bias is positive, and not so small that it counts as none."""
    return biases[-1] > NEGLIGIBLE


def _below(*biases: float) -> bool:
    """Whether the last bias is negative, and not so small that it counts as none."""
    return biases[-1] < -NEGLIGIBLE


_PLUS, _QS, _Q = "Hybrid(Q,S)+", "Hybrid(Q,S)", "Hybrid(Q)"
# fmt: off
CLAIMS = (
    _claim("trained on discharge alone, storage gains too much", "ΔS +26 mm",
           "ΔS bias", [_Q], _above),
    _claim("trained on discharge alone, ET is too low", "ET −36 mm",
           "ET bias", [_Q], _below),
    _claim("gravimetry takes the bias out of ΔS", "ΔS +26, 0 mm", "ΔS bias", [_Q, _QS],
           lambda q, qs: abs(qs) <= NEGLIGIBLE if abs(q) > NEGLIGIBLE else NOTHING_TO_MEND),
    _claim("with gravimetry there is too much runoff", "Q +10, +37 mm",
           "Q bias", [_Q, _QS], _above),
    _claim("with gravimetry ET is too low, as without", "ET −36, −37 mm",
           "ET bias", [_Q, _QS], _below),
    _claim("learning PET makes the bias of ET smaller", "ET −37, ≈ 0 mm",
           "ET bias", [_QS, _PLUS], lambda qs, plus: abs(plus) < abs(qs) - NEGLIGIBLE),
    Claim("4.3", "learning PET leaves no bias in any term", "≈ 0",
          tuple(f"{term} bias, {_PLUS}" for term in ("ΔS", "Q", "ET")),
          lambda *terms: max(map(abs, terms)) <= NEGLIGIBLE),
    Claim("4.3", "without it, ET is too low in sub-basins 1, 3 and 5", "notably",
          tuple(f"sub-basin {number} ET bias, {_QS}" for number in (1, 3, 5)),
          lambda *terms: "not testable, the paper's sub-basins are not known"),
    _claim("learning PET brings the sub-basins' ET nearer", "Figure 8e",
           "sub-basin ET RMSE", [_QS, _PLUS], lambda qs, plus: plus < qs - NEGLIGIBLE),
    _claim("learning PET draws their pattern better", "Figure 8b–d",
           "sub-basin ET r", [_QS, _PLUS], better, bound=f"sub-basin ET r, {TRUTH}"),
    _claim("with learned PET, ET is lowest in sub-basin 4", "low",
           "sub-basin 4 ET rank", [_QS, _PLUS],
           lambda qs, plus: "not testable, it is without, too" if qs == plus == 1 else plus == 1),
    _claim("the other trained schemes lack runoff there", "pronounced",
           "sub-basin 4 Q bias", ["HydroPyNN(Q,S)", _Q, _QS],
           lambda *terms: max(terms) < -NEGLIGIBLE),
    _claim("untrained, floods come early", "earlier",
           "peak days late", ["HydroPyNN"], lambda late: late < -EARLY, "4.2", given=True),
    _claim("untrained, floods come high", "higher",
           "peak height (%)", ["HydroPyNN"], lambda height: height > HIGH, "4.2", given=True),
    _claim("training mends their time", "to different extents",
           "peak days late", ["HydroPyNN", _QS, _PLUS],
           lambda own, *others: max(map(abs, others)) < abs(own) - EARLY, "4.2"),
    _claim("learning PET makes high floods less high", "less notable",
           "peak height (%)", [_QS, _PLUS],
           lambda qs, plus: plus < qs if qs > HIGH else NOTHING_TO_MEND, "4.2"),
)
# fmt: on
"""What Wang et al. (2024) found about the water budget (section 4.3, Figures 7 to 9) and about
floods at Óbidos (section 4.2, there with the spatial split)."""


def findings(measured: pd.DataFrame) -> Verdicts:
    """Hold what the paper found against what is measured here.

    The bias of a twin's truth is the error of its observations, not of a model: it is taken off
    every bias before it is judged.

    Args:
        measured: of :func:`measure`.
    """
    twin = TRUTH in measured.index
    if twin:
        biased = [name for name in measured if name.endswith("bias")]
        measured = measured.assign(**(measured[biased] - measured.loc[TRUTH, biased]))
    return judge_all(CLAIMS, named(measured), twin)
