"""Scores of a simulation against observations, for reports: NSE, KGE, RMSE.

All take series along the first axis, skip days on which either side is missing, and return NaN
where a score is not defined.
"""

from __future__ import annotations

import numpy as np


def _paired(simulated, observed):
    simulated, observed = np.asarray(simulated, float), np.asarray(observed, float)
    seen = np.isfinite(simulated) & np.isfinite(observed)
    return np.where(seen, simulated, np.nan), np.where(seen, observed, np.nan)


def nse(simulated, observed) -> np.ndarray:
    """Nash-Sutcliffe efficiency (Nash & Sutcliffe 1970), up to 1; NaN for constant observations."""
    simulated, observed = _paired(simulated, observed)
    spread = np.nansum((observed - np.nanmean(observed, axis=0)) ** 2, axis=0)
    error = np.nansum((simulated - observed) ** 2, axis=0)
    return 1.0 - np.divide(error, spread, out=np.full_like(error, np.nan), where=spread > 0)


def rmse(simulated, observed) -> np.ndarray:
    """Root mean square error, in the unit of the series."""
    simulated, observed = _paired(simulated, observed)
    return np.sqrt(np.nanmean((simulated - observed) ** 2, axis=0))


def kge(simulated, observed) -> np.ndarray:
    """Kling-Gupta efficiency (Gupta et al. 2009), up to 1; NaN where a side is constant."""
    simulated, observed = _paired(simulated, observed)
    mean_s, mean_o = np.nanmean(simulated, axis=0), np.nanmean(observed, axis=0)
    std_s, std_o = np.nanstd(simulated, axis=0), np.nanstd(observed, axis=0)
    covariance = np.nanmean((simulated - mean_s) * (observed - mean_o), axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = covariance / (std_s * std_o) - 1, std_s / std_o - 1, mean_s / mean_o - 1
        return 1.0 - np.sqrt(sum(term**2 for term in terms))


def bias(simulated, observed) -> np.ndarray:
    """Mean error over the mean observation (1 is 100 %)."""
    simulated, observed = _paired(simulated, observed)
    return np.nansum(simulated - observed, axis=0) / np.nansum(observed, axis=0)
