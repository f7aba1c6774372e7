"""The loss of training: one minus the mean NSE, of discharge and of storage, weighted.

Source: Wang et al. (2024), equation 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.hydropy.backend import tf
from hybridlib.study.schema import InputError
from hybridlib.study.splits import Period


@dataclass(frozen=True)
class Target:
    """Series to be met, scaled so that the squared misfits of a series add up to 1 - NSE.

    Attributes:
        observed: 0 where missing, (time, series).
        weight: one over the square root of the series' sum of squares about its mean; 0 where
            missing or outside the period, (time, series).
        used: places of the series that count.
        skipped: why each of the others does not, by name.
    """

    observed: tf.Tensor
    weight: tf.Tensor
    used: np.ndarray
    skipped: dict[str, str]

    def nse(self, simulated):
        """NSE of each series, (…, series), from a simulation, (time, …, series)."""
        shape = [len(self.observed), *[1] * (len(simulated.shape) - 2), -1]
        observed, weight = tf.reshape(self.observed, shape), tf.reshape(self.weight, shape)
        return 1.0 - tf.reduce_sum(((simulated - observed) * weight) ** 2, axis=0)

    def mean_nse(self, simulated):
        """Mean over the series that count, (…,)."""
        return tf.reduce_mean(tf.gather(self.nse(simulated), self.used, axis=-1), axis=-1)


def build_target(observed: xr.DataArray, period: Period) -> Target:
    """Prepare observations for the NSE; gaps are left out, no series is dropped for a gap.

    Args:
        observed: (time or month, series); NaN where missing.
        period: years that count.

    Raises:
        InputError: no series with two different values in the period.
    """
    time = observed.indexes[observed.dims[0]]
    names = [str(name) for name in observed[observed.dims[1]].values]
    values = observed.values.astype(float)
    seen = np.isfinite(values) & period.holds(time)[:, None]
    values = np.where(seen, values, 0.0)
    count = seen.sum(axis=0)
    mean = values.sum(axis=0) / np.maximum(count, 1)
    spread = (np.where(seen, values - mean, 0.0) ** 2).sum(axis=0)
    constant = spread <= 1e-12 * (values**2).sum(axis=0)
    skipped = {
        name: "observations do not vary, NSE is undefined" if n else "no observation"
        for name, n, flat in zip(names, count, constant, strict=True)
        if flat
    }
    used = np.array([name not in skipped for name in names])
    if not used.any():
        raise InputError(
            f"{observed.name}: no {observed.dims[1]} can be scored in {period} "
            f"({'; '.join(sorted(set(skipped.values())))}); expected at least one"
        )
    scale = np.where(seen & used, 1.0 / np.sqrt(np.where(used, spread, 1.0)), 0.0)
    return Target(
        tf.constant(values, tf.float32),
        tf.constant(scale, tf.float32),
        np.flatnonzero(used),
        skipped,
    )


@dataclass(frozen=True)
class Objective:
    """What training minimises over one period.

    Attributes:
        discharge: target at the gauges.
        twsa: target on the boxes; None where the scheme does not use gravimetry.
        weights: of discharge and of storage.
    """

    discharge: Target
    twsa: Target | None
    weights: tuple[float, float]

    def __call__(self, discharge, twsa) -> dict[str, tf.Tensor]:
        """Score a simulation, (time, …, station) and (month, …, box).

        Returns:
            loss, nse_discharge and nse_twsa (NaN without gravimetry), (…,).
        """
        first = self.discharge.mean_nse(discharge)
        second = tf.fill(tf.shape(first), np.float32(np.nan))
        loss = self.weights[0] * (1.0 - first)
        if self.twsa is not None and twsa is not None:
            second = self.twsa.mean_nse(twsa)
            loss = loss + self.weights[1] * (1.0 - second)
        return {"loss": loss, "nse_discharge": first, "nse_twsa": second}


def storage_in_reference(boxes: xr.Dataset, used: np.ndarray) -> xr.DataArray:
    """Observed anomalies against the same months as the simulation's, mm, (month, box)."""
    mean = np.nansum(np.where(used, boxes.twsa.values, 0.0), axis=0) / used.sum(axis=0)
    return boxes.twsa.copy(data=boxes.twsa.values - mean)


def months_of(days: pd.DatetimeIndex, months: pd.DatetimeIndex) -> np.ndarray:
    """Which months lie in the days, whole or in part."""
    return months.isin(days.to_period("M").to_timestamp())
