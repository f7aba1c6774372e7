"""Water on its way: an example network, a pulse that is followed, and travel times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.model import HydroPyNN
from hybridlib.hydropy.routing import DIRECTIONS, route
from hybridlib.study.basin import Basin
from hybridlib.study.schema import EARTH_RADIUS, InputError

COMPASS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
"""Names of the eight directions, in the order of the masks."""
EXAMPLE = (
    ("SE", "S", "SW", "W"),
    ("E", "SE", "S", "SW"),
    ("NE", "E", "E", ""),
    ("N", "NW", "W", "N"),
)
"""A 4 x 4 network that uses all eight directions; constructed, its sink is the empty name."""
EXAMPLE_OUTFLOW = np.array([[2, 3, 1, 4], [5, 8, 2, 3], [6, 1, 9, 7], [2, 4, 3, 5]], float)
"""What leaves each cell of the example, in any unit of volume."""
_route = tf.function(route, jit_compile=True, autograph=False)


def example_basin(directions: Sequence[Sequence[str]] = EXAMPLE) -> Basin:
    """Build a basin from a drawing of compass names, through the same door as any other.

    Args:
        directions: rows of names from :data:`COMPASS`, "" for a sink; first row in the north.

    Raises:
        InputError: a target off the grid or a cycle.
    """
    step = dict(zip(COMPASS, DIRECTIONS, strict=True)) | {"": (0, 0)}
    steps = np.array([[step[name] for name in row] for row in directions])
    rows, cols = np.indices(steps.shape[:2])
    fields = {
        "lsm": np.ones(rows.shape),
        "area": np.ones(rows.shape),
        "rout_lat": rows + steps[..., 0],
        "rout_lon": cols + steps[..., 1],
    }
    degrees = {"lat": -0.5 - 0.5 * np.arange(len(steps)), "lon": 0.5 * np.arange(len(steps[0]))}
    dataset = xr.Dataset({name: (("lat", "lon"), v) for name, v in fields.items()}, degrees)
    return Basin.from_landsurface(dataset, "the example")


def path_to_outlet(basin: Basin, cell: int | None = None) -> np.ndarray:
    """Cells from ``cell`` down to the sink, both included; by default the longest path."""
    if cell is None:
        cell = int(basin.network.rank.argmax())
    path = [cell]
    while not basin.sink[path[-1]]:
        path.append(int(basin.downstream[path[-1]]))
    return np.array(path)


def path_length(basin: Basin, path: np.ndarray) -> np.ndarray:
    """Length of the way from the first cell of a path to each, km, over cell centres."""
    lat, lon = np.deg2rad(basin.lat[basin.row[path]]), np.deg2rad(basin.lon[basin.col[path]])
    half = np.sin(np.diff(lat) / 2) ** 2
    half = half + np.cos(lat[1:]) * np.cos(lat[:-1]) * np.sin(np.diff(lon) / 2) ** 2
    legs = 2.0 * EARTH_RADIUS / 1e3 * np.arcsin(np.sqrt(half))
    return np.concatenate([[0.0], np.cumsum(legs)])


def travel_time(basin: Basin, residence: np.ndarray) -> np.ndarray:
    """Mean time from leaving a cell to leaving the domain, days, (cell,).

    The sum of ``residence`` over the cells below, without the sink: water that is moved into a
    sink leaves in the same sub-step, and a cell's own runoff joins below its river store.

    Args:
        basin: the network.
        residence: mean time that water spends in a cell, days, (cell,).
    """
    residence = np.where(basin.sink, 0.0, residence)
    days = np.zeros(basin.size)
    rank = basin.network.rank
    for step in range(1, rank.max() + 1):
        cells = np.flatnonzero(rank == step)
        below = basin.downstream[cells]
        days[cells] = days[below] + residence[below]
    return days


def follow_pulse(model: HydroPyNN, cell: int, days: int) -> xr.Dataset:
    """Put 1 m3 of runoff into one cell on day 1 and route it, with the default lags.

    Args:
        model: gives network, lags and sub-steps.
        cell: where the pulse starts; it leaves the cell on day 1, spread over the sub-steps.
        days: days to follow it.

    Returns:
        ``dis`` (day, cell), what leaves each cell, m3 d-1; ``stored`` (day), what the river
        stores hold and what is in transit at the day's end, m3; ``freshwater`` (day), what has
        left the domain that day, m3 d-1.

    Raises:
        InputError: no day.
    """
    if days < 1:
        raise InputError(f"days is {days}; expected at least 1, to follow a pulse")
    state = model.empty_state()
    riverstor, infl = state.riverstor, state.infl
    lag = tf.constant(model.lags.lag_river, model.dtype)
    runoff = tf.one_hot(cell, model.basin.size, dtype=model.dtype)
    series = []
    for _ in range(days):
        riverstor, infl, dis, _, freshwater = _route(
            runoff, riverstor, infl, lag, model.network, model.substeps
        )
        runoff = tf.zeros_like(runoff)
        stored = tf.reduce_sum(riverstor) + tf.reduce_sum(infl) / model.substeps
        series.append((dis.numpy(), float(stored), float(tf.reduce_sum(freshwater))))
    dis, stored, freshwater = (np.array(values) for values in zip(*series, strict=True))
    return xr.Dataset(
        {
            "dis": (("day", "cell"), dis, {"units": "m3 d-1", "long_name": "outflow"}),
            "stored": ("day", stored, {"units": "m3", "long_name": "in river stores, in transit"}),
            "freshwater": ("day", freshwater, {"units": "m3 d-1", "long_name": "left the domain"}),
        },
        {"day": np.arange(1, days + 1)},
    )


def pulse_timing(pulse: xr.Dataset, path: np.ndarray) -> pd.DataFrame:
    """When a pulse passes the cells of a path: first water, centre, spread.

    Args:
        pulse: from :func:`follow_pulse`.
        path: cells in the order of the flow.

    Returns:
        One row a cell; ``first``, the first day on which water leaves it; ``mean``, the pulse's
        centre in days after it started; ``spread``, its standard deviation in days; ``peak``,
        the largest share that leaves in a day. Centre and spread are NaN where less than 99.9 %
        has passed.
    """
    dis = pulse["dis"].values[:, path]
    day = pulse["day"].values[:, None]
    passed = dis.sum(axis=0)
    share = dis / np.where(passed > 0, passed, np.nan)
    centre = (day * share).sum(axis=0)
    spread = np.sqrt(((day - centre) ** 2 * share).sum(axis=0))
    whole = passed > 0.999
    return pd.DataFrame(
        {
            "first": np.where(passed > 0, day[(dis > 0).argmax(axis=0), 0], np.nan),
            "mean": np.where(whole, centre - 1.0, np.nan),
            "spread": np.where(whole, spread, np.nan),
            "peak": dis.max(axis=0),
        },
        index=pd.RangeIndex(len(path), name="cells downstream"),
    )
