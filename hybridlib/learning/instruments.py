"""The instruments of :mod:`hybridlib.study.instruments` as differentiable operators, float32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.hydropy.backend import tf
from hybridlib.study.basin import Basin
from hybridlib.study.instruments import baseline_months, baseline_of, box_weights, monthly_means
from hybridlib.study.schema import SECONDS_PER_DAY


@dataclass(frozen=True)
class Instruments:
    """Gauges and gravimetry as differentiable operators on a run, float32.

    Attributes:
        cells: each gauge's cell, (station,).
        boxes: share of each cell in a box, (box, cell).
        months: share of each day in a month's mean, (month, time).
        baseline: share of each month in the mean that anomalies refer to, (month, box).
    """

    cells: tf.Tensor
    boxes: tf.Tensor | None = None
    months: tf.Tensor | None = None
    baseline: tf.Tensor | None = None

    def discharge(self, dis):
        """Discharge at the gauges, m3 s-1, (time, …, station), from dis in m3 d-1."""
        return tf.gather(dis, self.cells, axis=-1) / SECONDS_PER_DAY

    def anomaly(self, tws):
        """Storage anomaly of each box and month, mm, (month, …, box), from tws in mm."""
        daily = tf.linalg.matmul(tws, self.boxes, transpose_b=True)
        monthly = tf.tensordot(self.months, daily, 1)
        shape = [monthly.shape[0], *[1] * (len(tws.shape) - 2), -1]
        mean = tf.reduce_sum(monthly * tf.reshape(self.baseline, shape), axis=0)
        return monthly - mean


def build_instruments(
    basin: Basin, gauge_cells: np.ndarray, days: pd.DatetimeIndex, boxes: xr.Dataset | None = None
) -> Instruments:
    """Prepare the operators for a run over ``days``.

    Args:
        basin: the active cells.
        gauge_cells: index of each gauge's cell, (station,).
        days: the days of the run.
        boxes: a study's ``twsa`` group, cut to months that the run covers; None without.

    Raises:
        InputError: of :func:`~hybridlib.study.instruments.box_weights` and
            :func:`~hybridlib.study.instruments.monthly_means`; no month in the baseline.
    """
    cells = tf.constant(gauge_cells, tf.int32)
    if boxes is None:
        return Instruments(cells)
    weights = box_weights(basin, boxes.box_lat.values, boxes.box_lon.values)
    months = boxes.indexes["month"]
    means = monthly_means(np.eye(len(days), dtype=np.float32), days, months)
    used = baseline_months(months, np.isfinite(boxes.twsa.values), baseline_of(boxes))
    constants = weights, means, used / used.sum(axis=0)
    return Instruments(cells, *(tf.constant(field, tf.float32) for field in constants))
