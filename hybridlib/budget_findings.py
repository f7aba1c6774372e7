"""What the paper found about the water budget and floods, held against what is measured here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

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
from hybridlib.comparison import UNDECIDED
from hybridlib.floods import peak_errors
from hybridlib.recovery import correlation
from hybridlib.splits import Period

NEGLIGIBLE = 10.0
"""A mean bias within this counts as none, mm a-1; our choice, half a percent of the
Amazon's rain."""
EARLY, HIGH = 5.0, 5.0
"""Days and percent within which the time and the height of floods count as met; our choice."""
NOTHING_TO_TEST = "not testable"
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


def named(measured: pd.DataFrame, place: str, when: str = "") -> dict[str, float]:
    """Give every measure a name of its own, such as "obidos ET bias Hybrid(Q,S)".

    Args:
        measured: of :func:`measure`.
        place: of the gauge; names of sub-basins have none.
        when: years, at the end of every name.
    """
    end = f", {when}" if when else ""
    return {
        f"{name if name.startswith('sub-basin') else f'{place} {name}'} {title}{end}": float(value)
        for title, row in measured.iterrows()
        for name, value in row.dropna().items()
    }


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """How far each column is from the first: bias and RMSE (mm a-1) and correlation of rows."""
    first, others = table.iloc[:, 0], table.iloc[:, 1:]
    error = others.sub(first, axis=0)
    return pd.DataFrame(
        {
            "bias": error.mean(),
            "RMSE": np.sqrt((error**2).mean()),
            "r": others.apply(correlation, true=first) if len(table) > 2 else np.nan,
        }
    )


class Claim(NamedTuple):
    """A finding of the paper and how to test it.

    Attributes:
        text: the finding.
        paper: the paper's numbers or words.
        values: measure and title of each number it is about.
        holds: told those numbers, whether they bear it out, or in words why they cannot tell.
    """

    text: str
    paper: str
    values: tuple[tuple[str, str], ...]
    holds: Callable[..., bool | str]


def _each(measure: str, *titles: str) -> tuple[tuple[str, str], ...]:
    return tuple((measure, title) for title in titles)


_PLUS, _QS, _Q = "Hybrid(Q,S)+", "Hybrid(Q,S)", "Hybrid(Q)"
# fmt: off
CLAIMS = (
    Claim("trained on discharge alone, storage gains too much", "ΔS +26",
          _each("ΔS bias", _Q), lambda bias: bias > NEGLIGIBLE),
    Claim("trained on discharge alone, ET is too low", "ET −36",
          _each("ET bias", _Q), lambda bias: bias < -NEGLIGIBLE),
    Claim("gravimetry takes the bias out of ΔS", "ΔS +26, 0",
          _each("ΔS bias", _Q, _QS),
          lambda q, qs: abs(qs) <= NEGLIGIBLE if abs(q) > NEGLIGIBLE else NOTHING_TO_TEST),
    Claim("gravimetry leaves too much runoff", "Q +37",
          _each("Q bias", _QS), lambda bias: bias > NEGLIGIBLE),
    Claim("gravimetry leaves too little ET", "ET −37",
          _each("ET bias", _QS), lambda bias: bias < -NEGLIGIBLE),
    Claim("learning PET makes the bias of ET smaller", "ET −37, ≈ 0",
          _each("ET bias", _QS, _PLUS), lambda qs, plus: abs(plus) < abs(qs) - NEGLIGIBLE),
    Claim("learning PET leaves no bias in any term", "≈ 0",
          tuple((f"{term} bias", _PLUS) for term in ("ΔS", "Q", "ET")),
          lambda *terms: max(map(abs, terms)) <= NEGLIGIBLE),
    Claim("without it, ET is too low in sub-basins 1, 3 and 5", "notably",
          tuple((f"sub-basin {number} ET bias", _QS) for number in (1, 3, 5)),
          lambda *terms: max(terms) < -NEGLIGIBLE),
    Claim("learning PET brings the sub-basins' ET nearer", "Figure 8e",
          _each("sub-basin ET RMSE", _QS, _PLUS), lambda qs, plus: plus < qs - NEGLIGIBLE),
    Claim("learning PET draws their pattern better", "Figure 8b–d",
          _each("sub-basin ET r", _QS, _PLUS),
          lambda qs, plus: plus > qs if abs(plus - qs) > UNDECIDED else "undecided"),
    Claim("with learned PET, ET is lowest in sub-basin 4 (place from the lowest)", "low",
          _each("sub-basin 4 ET rank", _QS, _PLUS), lambda qs, plus: plus == 1),
    Claim("the other trained schemes lack runoff there", "pronounced",
          _each("sub-basin 4 Q bias", "HydroPyNN(Q,S)", _Q, _QS),
          lambda *terms: max(terms) < -NEGLIGIBLE),
    Claim("untrained, floods come early", "earlier",
          _each("peak days late", "HydroPyNN"), lambda late: late < -EARLY),
    Claim("untrained, floods come high", "higher",
          _each("peak height (%)", "HydroPyNN"), lambda height: height > HIGH),
    Claim("training mends their time", "to different extents",
          _each("peak days late", "HydroPyNN", _QS, _PLUS),
          lambda own, *others: max(map(abs, others)) < abs(own) - EARLY),
    Claim("learning PET makes high floods less high", "less notable",
          _each("peak height (%)", _QS, _PLUS),
          lambda qs, plus: plus < qs if qs > HIGH else NOTHING_TO_TEST),
)
# fmt: on
"""What Wang et al. (2024) found about the water budget (section 4.3, Figures 7 to 9) and about
floods at Óbidos (section 4.2, there with the spatial split)."""


def findings(measured: pd.DataFrame) -> pd.DataFrame:
    """Hold what the paper found against what is measured here.

    Args:
        measured: of :func:`measure`.

    Returns:
        For every claim the paper's numbers, ours and the verdict.
    """
    rows = []
    for claim in CLAIMS:
        pairs = [pair for pair in claim.values if pair[0] in measured and pair[1] in measured.index]
        values = [float(measured.loc[title, name]) for name, title in pairs]
        known = len(values) == len(claim.values) and np.isfinite(values).all()
        holds = claim.holds(*values) if known else NOTHING_TO_TEST
        rows.append(
            {
                "the paper found": claim.text,
                "there": claim.paper,
                "here": _told(pairs, values) if known else "–",
                "verdict": {True: "reproduced", False: "not reproduced"}.get(holds, holds),
            }
        )
    return pd.DataFrame(rows, index=range(1, len(rows) + 1))


def _told(pairs: Sequence[tuple[str, str]], values: Sequence[float]) -> str:
    """Numbers with what tells them apart: their titles or, of one title, their measures."""
    one = len({title for _, title in pairs}) == 1 < len(pairs)
    texts = []
    for (name, title), value in zip(pairs, values, strict=True):
        label = name.removesuffix(" bias") if one else title
        if name.endswith((" r", "rank", "RMSE")):
            texts.append(f"{label} {value:{'.2f' if name.endswith(' r') else '.0f'}}")
        else:
            number = f"{round(value):+d}".replace("-", "−")
            texts.append(f"{label} {number}")
    return ", ".join(texts)
