"""How the cost of forward + backward grows with members, days and cells."""

from __future__ import annotations

import numpy as np

from benchmarks.cases import ensemble, first_days, side_by_side, study_case
from benchmarks.measure import Cost, cost_of
from benchmarks.physics import our_gradients

GLOBAL_CELLS = 67_420
"""Land cells of a global 0.5 degree grid without Antarctica (ISIMIP's land mask)."""


def member_costs(path: str, days: int = 1461, members: int = 10) -> tuple[Cost, Cost]:
    """Cost of one member alone, and of an ensemble, a member a core, over the same days."""
    case = study_case(path, days)
    alone = cost_of(lambda: our_gradients(case))[1]
    several = ensemble(case, members)
    return alone, cost_of(lambda: our_gradients(several))[1]


def days_exponent(path: str, days: tuple[int, ...] = (366, 731, 1461, 2922)) -> float:
    """Power of the number of days that seconds grow with."""
    case = study_case(path, max(days))
    return exponent(days, [_seconds(first_days(case, count)) for count in days])


def cells_exponent(path: str, copies: tuple[int, ...] = (1, 2, 4, 8), days: int = 366) -> float:
    """Power of the number of cells that seconds grow with: the basin, two side by side, …."""
    case = study_case(path, days)
    return exponent(copies, [_seconds(side_by_side(case, count)) for count in copies])


def exponent(sizes, seconds) -> float:
    """Slope of the line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def global_grid(path: str, days: int = 365, segments: int = 12) -> tuple[int, Cost]:
    """A year of as many basins side by side as cover the world's land: cells and cost."""
    case = study_case(path, days)
    case = side_by_side(case, -(-GLOBAL_CELLS // case.model.basin.size))
    return case.model.basin.size, cost_of(lambda: our_gradients(case, segments), repeats=1)[1]


def _seconds(case) -> float:
    return cost_of(lambda: our_gradients(case))[1].seconds
