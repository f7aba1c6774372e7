"""Flow transfer and the river cascade: the part of a day that couples cells.

Source: Wang et al. (2024), Figure 4b, for the eight masks; HydroPy 1.0 and the Hydrological
Discharge Model (Hagemann & Dümenil 1997) for the cascade.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybridlib.hydropy.backend import tf
from hybridlib.study.basin import Basin
from hybridlib.study.schema import InputError

SUBSTEPS = 4
"""HydroPy routes four times a day."""
MOST_RESERVOIRS = 5
"""Length of HydroPy's river cascade."""

DIRECTIONS = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
"""Row and column step of the eight masks, from north over north-east to north-west on a grid drawn
with its first row on top."""


class Network(NamedTuple):
    """Who drains into whom, as tensors.

    Attributes:
        upstream: neighbours that drain into a cell, padded with ``cell``, int32 (cell, most).
        downstream: the cell that receives; ``cell`` (nowhere) for a sink, int32 (cell,).
        sink: True where water leaves the domain, (cell,).
        in_cascade: 1 where a cell has the k-th reservoir, else 0, (reservoir, cell).
    """

    upstream: tf.Tensor
    downstream: tf.Tensor
    sink: tf.Tensor
    in_cascade: tf.Tensor

    def transfer(self, outflow):
        """Move outflow as :func:`transfer` does; another kind of network may bring its own way."""
        return transfer(outflow, self)


def build_network(basin: Basin, reservoirs: np.ndarray) -> Network:
    """Turn a basin and its number of river reservoirs per cell into tensors."""
    downstream = np.where(basin.sink, basin.size, basin.downstream)
    place = np.arange(reservoirs.max())[:, None]
    return Network(
        tf.constant(basin.upstream, tf.int32),
        tf.constant(downstream, tf.int32),
        tf.constant(basin.sink),
        tf.constant(place < reservoirs),
    )


def transfer(outflow, network: Network):
    """Move every cell's outflow to the cell below: a gather whose gradient is its transpose.

    Args:
        outflow: what leaves each cell, (…, cell).
        network: who drains into whom; what a sink lets out goes nowhere.

    Returns:
        What arrives in each cell, (…, cell).
    """
    return _move(outflow, network.upstream, network.downstream)


@tf.custom_gradient
def _move(outflow, upstream, downstream):
    arrived = tf.reduce_sum(_gather(outflow, upstream), axis=-1)
    return arrived, lambda gradient: (_gather(gradient, downstream), None, None)


def _gather(values, index):
    """Take ``values[..., index]``, with 0 one past the last cell."""
    padding = [[0, 0]] * (values.shape.rank - 1) + [[0, 1]]
    return tf.gather(tf.pad(values, padding), index, axis=-1)


def direction_masks(basin: Basin) -> np.ndarray:
    """Disaggregate the network into eight binary matrices, (direction, lat, lon).

    Raises:
        InputError: a cell drains into one that is not its neighbour.
    """
    target = basin.downstream
    rows = basin.row[target] - basin.row
    cols = basin.col[target] - basin.col
    masks = np.stack([(rows == r) & (cols == c) for r, c in DIRECTIONS])
    if not (masks.any(axis=0) | basin.sink).all():
        cell = int(np.argmin(masks.any(axis=0) | basin.sink))
        raise InputError(
            f"the cell {basin.describe(cell)} drains {rows[cell]} rows and {cols[cell]} columns "
            "away; "
            "eight masks need a neighbour (the packed form does not)"
        )
    return basin.unpack(masks.astype(float), fill=0.0)


def transfer_by_masks(outflow, masks):
    """The paper's flow transfer: multiply by eight masks, shift each product, add up.

    Args:
        outflow: what leaves each cell, (…, lat, lon).
        masks: from :func:`direction_masks`, (direction, lat, lon).

    Returns:
        What arrives in each cell, (…, lat, lon).
    """
    shifted = [
        tf.roll(outflow * masks[k], shift=step, axis=(-2, -1)) for k, step in enumerate(DIRECTIONS)
    ]
    return tf.add_n(shifted)


def cascade(inflow, riverstor, lag_river, in_cascade, substeps: int):
    """Run a sub-step's inflow through a cell's linear reservoirs, one after the other.

    Args:
        inflow: m3 per sub-step, (…, cell).
        riverstor: m3, a list of (…, cell), one a reservoir.
        lag_river: days, (…, cell).
        in_cascade: True where a cell has that reservoir, (reservoir, cell).
        substeps: sub-steps a day.

    Returns:
        What leaves the last reservoir (m3 per sub-step) and the new stores.
    """
    share = 1.0 / (lag_river + 1.0 / substeps) / substeps
    stores = []
    for k, store in enumerate(riverstor):
        filled = store + inflow
        outflow = tf.where(in_cascade[k], filled * share, inflow)
        stores.append(filled - outflow)
        inflow = outflow
    return inflow, stores


def route(runoff, riverstor, infl, lag_river, network: Network, substeps: int = SUBSTEPS):
    """Route a day's runoff through the river network.

    Args:
        runoff: a cell's own water, m3 d-1, (…, cell); it joins below the cell's river store.
        riverstor: m3, (…, reservoir, cell).
        infl: inflow that yesterday's routing left for today, m3 d-1, (…, cell).
        lag_river: lag of each reservoir, days, (…, cell).
        network: who drains into whom: ``transfer``, ``sink`` and ``in_cascade`` are used.
        substeps: sub-steps a day.

    Returns:
        riverstor, infl, dis (outflow; at a sink what leaves the domain), rivdis (inflow) and
        freshwater (0 but at sinks), m3 and m3 d-1.
    """
    nothing = tf.zeros_like(infl)
    stores = tf.unstack(riverstor, axis=-2)
    inflow = infl / substeps
    dis = rivdis = nothing
    for _ in range(substeps):
        rivdis = rivdis + inflow
        released, stores = cascade(inflow, stores, lag_river, network.in_cascade, substeps)
        outflow = released + runoff / substeps
        arrived = network.transfer(outflow)
        dis = dis + tf.where(network.sink, outflow + arrived, outflow)
        inflow = tf.where(network.sink, nothing, arrived)
    freshwater = tf.where(network.sink, dis, nothing)
    return tf.stack(stores, axis=-2), inflow * substeps, dis, rivdis, freshwater
