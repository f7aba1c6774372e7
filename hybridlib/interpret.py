"""What a parameterization network attends to: expected gradients of a parameter.

Source: Erion et al. (2021), Nature Machine Intelligence 3, 620-631, for expected gradients; Wang
et al. (2024), section 3.4, for their use on f_crit. A share belongs to an attribute of a cell: how
much that attribute moves the parameter away from its mean over all cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from hybridlib.attributes import ATTRIBUTES
from hybridlib.backend import tf
from hybridlib.hydropy.parameters import TABLE_1, Parameters
from hybridlib.networks import squash
from hybridlib.schema import InputError
from hybridlib.schemes import Learner

VEGETATION = ("lai_avg", "lai_max", "lai_diff", "fveg_avg", "fveg_max", "fveg_diff")
"""Attributes whose shares are added up to that of the vegetation."""


def expected_gradients(
    learners: Sequence[Learner],
    name: str,
    land: np.ndarray,
    samples: int = 200,
    seed: int = 0,
) -> xr.Dataset:
    """Share of each attribute in a parameter's departure from its mean over the cells.

    For a cell x, a cell x' drawn at random and a point a between them (0 to 1), the share of
    attribute i is the mean of (x_i - x'_i) dp/dx_i at x' + a (x - x') over many draws. Shares of a
    cell add up to p(x) less the mean of p, but for the error of sampling. A lag starts at HydroPy's
    own estimate in each cell; that start stays with the cell and is no attribute.

    Args:
        learners: members of a scheme with a parameterization network; their mean is explained.
        name: of the parameter, in :class:`~hybridlib.hydropy.parameters.Parameters`.
        land: cells that count, as x and as x', (cell,).
        samples: draws for each cell.
        seed: of the draws.

    Returns:
        share (cell, attribute) in the parameter's unit, over the cells with land; its standard
        error from the draws; value and start (cell): the parameter, and its mean over x'; and
        completeness (cell): the sum of the shares less value minus start.

    Raises:
        InputError: an unknown parameter, a scheme without a parameterization network, or fewer
            than two samples.
    """
    if name not in Parameters._fields:
        raise InputError(
            f"parameter '{name}' is unknown; expected one of: {', '.join(Parameters._fields)}"
        )
    if samples < 2:
        raise InputError(f"{samples} samples are asked for; expected at least two")
    for learner in learners:
        if learner.scheme.parameters != "network":
            raise InputError(f"{learner.scheme.title} has no network from attributes to parameters")
    cells = np.flatnonzero(land)
    each = [_of_one(learner, name, cells, samples, seed) for learner in learners]
    share, square, value, start = (np.mean(parts, axis=0) for parts in zip(*each, strict=True))
    spread = np.maximum(square - share**2, 0.0)
    units = next(row.units for row in TABLE_1 if row.name == name).replace("/", "1")
    dims = ("cell", "attribute")
    return xr.Dataset(
        {
            "share": (dims, share, {"units": units, "long_name": f"share in {name}"}),
            "error": (dims, np.sqrt(spread / samples), {"units": units}),
            "value": ("cell", value, {"units": units, "long_name": name}),
            "start": ("cell", start, {"units": units}),
            "completeness": ("cell", share.sum(axis=1) - (value - start), {"units": units}),
        },
        {"cell": cells, "attribute": list(ATTRIBUTES)},
        {"parameter": name, "samples": samples, "members": len(learners)},
    )


def _of_one(learner: Learner, name: str, cells: np.ndarray, samples: int, seed: int):
    """Mean share and mean squared share, value, and mean of the start, of one member."""
    place = Parameters._fields.index(name)
    own = tf.gather(learner.attributes, cells)
    begin = tf.gather(learner.start[place], cells)
    rng = np.random.default_rng(seed)

    def parameter(attributes):
        logits = begin + learner.network(attributes)[:, place]
        shape = (len(TABLE_1), len(cells))
        return getattr(squash(tf.broadcast_to(logits, shape)), name)

    @tf.function(autograph=False)
    def draw(others, along):
        step = own - tf.gather(own, others)
        point = own - (1.0 - along)[:, None] * step
        with tf.GradientTape() as tape:
            tape.watch(point)
            total = tf.reduce_sum(parameter(point))
        return step * tape.gradient(total, point), parameter(tf.gather(own, others))

    share = square = start = 0.0
    for _ in range(samples):
        others = tf.constant(rng.integers(len(cells), size=len(cells)), tf.int32)
        along = tf.constant(rng.random(len(cells)), tf.float32)
        moved, at_other = (values.numpy().astype(float) for values in draw(others, along))
        share, square, start = share + moved, square + moved**2, start + at_other
    value = parameter(own).numpy().astype(float)
    return share / samples, square / samples, value, start / samples


def importance(explained: xr.Dataset) -> xr.DataArray:
    """Mean absolute share of every attribute over the cells, the most important first."""
    mean = abs(explained.share).mean("cell")
    order = np.argsort(-mean.values, kind="stable")
    return mean.isel(attribute=order)


def vegetation_share(explained: xr.Dataset) -> xr.DataArray:
    """Share of all vegetation attributes together, (cell,)."""
    return explained.share.sel(attribute=list(VEGETATION)).sum("attribute")
