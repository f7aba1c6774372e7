"""Scores of a simulation against observations, for reports: NSE, KGE, RMSE, correlation, bias.

All take series along the first axis, skip days on which either side is missing, and return NaN
where a score is not defined; a number for a single series.
"""

from __future__ import annotations

import numpy as np
from numpy import ma

FLAT = 1e-6
"""Range over size up to which a series counts as constant, the rounding of float32."""


def _paired(simulated, observed):
    """Both series, masked where either is missing."""
    simulated, observed = np.asarray(simulated, float), np.asarray(observed, float)
    missing = ~(np.isfinite(simulated) & np.isfinite(observed))
    return ma.array(simulated, mask=missing), ma.array(observed, mask=missing)


def _plain(score) -> np.ndarray:
    return ma.filled(ma.asarray(score, float), np.nan)[()]


def nse(simulated, observed) -> np.ndarray:
    """Nash-Sutcliffe efficiency (Nash & Sutcliffe 1970), up to 1; NaN for constant observations."""
    simulated, observed = _paired(simulated, observed)
    spread = ((observed - observed.mean(axis=0)) ** 2).sum(axis=0)
    return _plain(1.0 - ma.divide(((simulated - observed) ** 2).sum(axis=0), spread))


def rmse(simulated, observed) -> np.ndarray:
    """Root mean square error, in the unit of the series."""
    simulated, observed = _paired(simulated, observed)
    return _plain(ma.sqrt(((simulated - observed) ** 2).mean(axis=0)))


def correlation(simulated, observed) -> np.ndarray:
    """Pearson's correlation; NaN where a side varies by less than float32 resolves of its size."""
    pair = _paired(simulated, observed)
    a, b = (side - side.mean(axis=0) for side in pair)
    varies = [_plain(ma.ptp(x, axis=0)) > FLAT * _plain(abs(x).max(axis=0)) for x in pair]
    found = ma.divide((a * b).mean(axis=0), a.std(axis=0) * b.std(axis=0))
    return np.where(varies[0] & varies[1], _plain(found), np.nan)[()]


def kge(simulated, observed) -> np.ndarray:
    """Kling-Gupta efficiency (Gupta et al. 2009), up to 1; NaN where a side is constant."""
    simulated, observed = _paired(simulated, observed)
    mean_s, mean_o = simulated.mean(axis=0), observed.mean(axis=0)
    std_s, std_o = simulated.std(axis=0), observed.std(axis=0)
    r = correlation(simulated, observed)
    terms = r - 1, ma.divide(std_s, std_o) - 1, ma.divide(mean_s, mean_o) - 1
    return _plain(1.0 - ma.sqrt(sum(term**2 for term in terms)))


def bias(simulated, observed) -> np.ndarray:
    """Mean error over the mean observation (1 is 100 %)."""
    simulated, observed = _paired(simulated, observed)
    return _plain(ma.divide((simulated - observed).sum(axis=0), observed.sum(axis=0)))
