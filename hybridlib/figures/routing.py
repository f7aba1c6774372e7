"""Figures of flow transfer and routing, with the small computations they show."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.colors import ListedColormap

from hybridlib import maps
from hybridlib.backend import tf
from hybridlib.basin import Basin
from hybridlib.hydropy.routing import (
    DIRECTIONS,
    cascade,
    direction_masks,
    route,
    transfer,
    transfer_by_masks,
)
from hybridlib.rnn import HydroPyNN
from hybridlib.schema import EARTH_RADIUS, InputError
from hybridlib.study import gridded

COMPASS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
"""Names of the eight directions, in the order of the masks."""
ARROWS = dict(zip(COMPASS, "↑↗→↘↓↙←↖", strict=True)) | {"": "●"}
"""A glyph for each direction; a sink has none and is drawn as a dot."""

EXAMPLE = (
    ("SE", "S", "SW", "W"),
    ("E", "SE", "S", "SW"),
    ("NE", "E", "E", ""),
    ("N", "NW", "W", "N"),
)
"""A 4 x 4 network that uses all eight directions; constructed, its sink is the empty name."""
EXAMPLE_OUTFLOW = np.array([[2, 3, 1, 4], [5, 8, 2, 3], [6, 1, 9, 7], [2, 4, 3, 5]], float)
"""What leaves each cell of the example, in any unit of volume."""

BEFORE, AFTER = "#a9cfe8", "#f7cf99"
"""Tints of water before and after the transfer."""


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
    degrees = {"lat": -0.5 - 0.5 * np.arange(len(rows)), "lon": 0.5 * np.arange(len(rows[0]))}
    dataset = xr.Dataset({name: (("lat", "lon"), v) for name, v in fields.items()}, degrees)
    return Basin.from_landsurface(dataset, "the example")


def draw_transfer(basin: Basin, outflow: np.ndarray) -> plt.Figure:
    """Draw the flow transfer step by step: masks, masked outflow, shift, sum.

    The same steps as the paper's Figure 4b, in a drawing of our own.

    Args:
        basin: a small one, every cell of its grid active.
        outflow: what leaves each cell, (lat, lon).
    """
    masks = direction_masks(basin)
    inflow = transfer_by_masks(outflow, masks).numpy()
    fig = plt.figure(figsize=(7.5, 7.2))
    above, below = fig.subfigures(2, 1, height_ratios=(1.9, 4.6))
    axes = above.subplots(1, 3)
    _draw_directions(axes[0], masks, "flow directions")
    _draw_cells(axes[1], outflow, BEFORE, "outflow", size=12)
    _draw_cells(axes[2], inflow, AFTER, "inflow = sum of the shifted", size=12)
    panels = below.subplots(4, 7, width_ratios=(1, 1, 1, 0.25, 1, 1, 1))
    for k, name in enumerate(COMPASS):
        left = panels[k % 4, 4 * (k // 4) :][:3]
        product = outflow * masks[k]
        shifted = np.roll(product, DIRECTIONS[k], axis=(0, 1))
        title = ("mask", "mask × outflow", "shifted") if k % 4 == 0 else ("", "", "")
        _draw_cells(left[0], masks[k], BEFORE, title[0])
        _draw_cells(left[1], product, BEFORE, title[1])
        _draw_cells(left[2], shifted, AFTER, title[2])
        label = f"{ARROWS[name]}\n{name}"
        left[0].set_ylabel(label, fontsize=11, rotation=0, ha="center", va="center", labelpad=14)
    for gap in panels[:, 3]:
        gap.set_axis_off()
    return fig


def _draw_cells(ax, values, tint, title, size=9):
    """Write a number in each cell; cells above zero are tinted."""
    _draw_grid(ax, np.asarray(values) > 0, tint, title)
    for (row, col), value in np.ndenumerate(values):
        colour = "black" if value else "0.65"
        ax.text(col, row, f"{value:g}", ha="center", va="center", fontsize=size, color=colour)


def _draw_directions(ax, masks, title):
    """Draw each cell's arrow, and a dot where water leaves the domain."""
    _draw_grid(ax, np.zeros(masks.shape[1:], bool), BEFORE, title)
    for row, col in np.ndindex(masks.shape[1:]):
        drains = masks[:, row, col].any()
        name = COMPASS[masks[:, row, col].argmax()] if drains else ""
        ax.text(col, row, ARROWS[name], ha="center", va="center", fontsize=16)


def _draw_grid(ax, tinted, tint, title):
    ax.imshow(tinted, cmap=ListedColormap(["white", tint]), vmin=0, vmax=1)
    rows, cols = tinted.shape
    ax.set(xticks=np.arange(-0.5, cols), yticks=np.arange(-0.5, rows))
    ax.set(xticklabels=[], yticklabels=[])
    ax.tick_params(length=0)
    ax.grid(True, color="0.5", linewidth=0.6)
    ax.set_axisbelow(False)
    ax.spines[:].set(visible=True, color="0.5")
    ax.set_title(title, fontsize=10, loc="center")


def compare_cost(model: HydroPyNN, days: int, repeats: int = 30) -> pd.DataFrame:
    """Time both forms of the transfer, compiled, in one run.

    Args:
        model: gives network, lags, sub-steps a day and dtype.
        days: days of routing; each has ``model.substeps`` transfers.
        repeats: runs of which the fastest counts.

    Returns:
        The time with masks over that with the table, and microseconds a sub-step in either form,
        for the transfer alone, its gradient alone, and the river's cascade with the transfer.
    """
    basin, network = model.basin, model.network
    masks = tf.constant(direction_masks(basin), model.dtype)
    forms = {
        "eight masks (µs)": (lambda flow: transfer_by_masks(flow, masks), basin.unpack),
        "table (µs)": (lambda flow: transfer(flow, network), lambda field, fill: field),
    }
    volume = np.random.default_rng(0).random(basin.size)
    steps = days * model.substeps
    cost = {}
    for form, (move, lay) in forms.items():
        flow = tf.constant(lay(volume, 0.0), model.dtype)
        lag = tf.constant(lay(model.lags.lag_river, 1.0), model.dtype)
        in_cascade = tf.constant(lay(network.in_cascade.numpy(), False))
        empty = [tf.zeros_like(flow)] * len(in_cascade)
        river = _river(move, lag, in_cascade, model.substeps)
        loops = (move, (flow,)), (_backward(move), (flow,)), (river, (flow, *empty))
        cost[form] = [
            _fastest(_chained(body, steps), state, repeats) / steps for body, state in loops
        ]
    table = pd.DataFrame(cost, index=["transfer", "its gradient", "cascade and transfer"])
    table.insert(0, "masks / table", table["eight masks (µs)"] / table["table (µs)"])
    return table


def _backward(move):
    """Return a transfer's gradient; the transfer is linear, so any flow gives the same one."""

    def back(gradient):
        with tf.GradientTape() as tape:
            tape.watch(gradient)
            moved = move(gradient)
        return tape.gradient(moved, gradient, output_gradients=gradient)

    return back


def _river(move, lag_river, in_cascade, substeps: int):
    """Return one routing sub-step: the reservoirs of every cell, then the transfer."""

    def step(inflow, *stores):
        released, stores = cascade(inflow, stores, lag_river, in_cascade, substeps)
        return (move(released), *stores)

    return step


def _chained(body, steps: int):
    """Compile ``steps`` turns of a loop whose flow is fed by a steady source."""

    @tf.function(jit_compile=True, autograph=False)
    def run(source, *rest):
        def turn(step, *state):
            moved = body(*state)
            flow, *others = moved if isinstance(moved, tuple) else (moved,)
            return (step + 1, flow + source, *others)

        return tf.while_loop(lambda step, *_: step < steps, turn, (0, source, *rest))[1]

    return run


def _fastest(run, state, repeats: int) -> float:
    """Least time of a call in microseconds, after one that compiles."""
    run(*state).numpy()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run(*state).numpy()
        times.append(time.perf_counter() - start)
    return 1e6 * min(times)


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


_route = tf.function(route, jit_compile=True, autograph=False)


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
        One row a cell: ``first``, the first day on which water leaves it; ``mean``, the pulse's
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


def draw_hydrographs(
    pulses: Mapping[str, xr.Dataset], path: np.ndarray, distance: np.ndarray, steps: Sequence[int]
) -> plt.Figure:
    """Draw the pulse as it passes cells of the path, one panel for each way of routing.

    Args:
        pulses: from :func:`follow_pulse`, by the panel's title.
        path: cells in the order of the flow.
        distance: km from the first cell of the path, (path,).
        steps: places on the path to draw.
    """
    fig, axes = plt.subplots(
        len(pulses), 1, figsize=(7.5, 2.6 * len(pulses)), sharex=True, sharey=True
    )
    colours = plt.get_cmap("viridis")(np.linspace(0.0, 0.85, len(steps)))
    for ax, (title, pulse) in zip(np.atleast_1d(axes), pulses.items(), strict=True):
        for step, colour in zip(steps, colours, strict=True):
            share = 100.0 * pulse["dis"][:, path[step]]
            label = f"{step} cells, {distance[step]:,.0f} km"
            ax.plot(pulse["day"], share, color=colour, label=label)
            peak = int(share.values.argmax())
            ax.plot(pulse["day"][peak], share[peak], "o", color=colour, markersize=4)
        ax.set(title=title, ylabel="leaves the cell\n(% of the pulse per day)", ylim=(0, None))
    ax.set(xlabel="day", xlim=(0, _last_day(pulses.values(), path[list(steps)])))
    np.atleast_1d(axes)[0].legend(title="downstream of the pulse")
    return fig


def _last_day(pulses, cells) -> float:
    """Day by which nearly all of every pulse has passed the cells, with some room."""
    passed = [pulse["dis"].values[:, cells].cumsum(axis=0).min(axis=1) for pulse in pulses]
    return 1.05 * max(int(np.searchsorted(share, 0.998)) + 1 for share in passed)


def draw_arrival(timings: Mapping[str, pd.DataFrame], substeps: Mapping[str, int]) -> plt.Figure:
    """Draw when first water and the pulse's centre pass, against the number of cells.

    Args:
        timings: from :func:`pulse_timing`, by name.
        substeps: sub-steps a day, by the same names: no water is faster than that many cells.
    """
    fig, axes = plt.subplots(1, len(timings), figsize=(7.5, 3.6), sharey=True, squeeze=False)
    for ax, (name, timing) in zip(axes[0], timings.items(), strict=True):
        cells = timing.index.to_numpy()
        low, high = timing["mean"] - timing["spread"], timing["mean"] + timing["spread"]
        ax.fill_between(cells, low, high, color="#0173b2", alpha=0.25, linewidth=0)
        ax.plot(cells, timing["mean"], color="#0173b2", label="centre of the pulse (± 1 s.d.)")
        ax.plot(cells, timing["first"], ".", color="#d55e00", label="first water")
        limit = f"limit: {substeps[name]} cell{'s' * (substeps[name] > 1)} a day"
        ax.plot(cells, cells / substeps[name], color="black", linestyle="--", label=limit)
        ax.set(title=name, xlabel="cells downstream of the pulse")
        ax.legend(loc="upper left", fontsize=9)
    latest = max((timing["mean"] + timing["spread"]).max() for timing in timings.values())
    axes[0, 0].set(ylabel="time since the pulse (days)", ylim=(0, 1.35 * latest))
    return fig


def map_travel_time(
    basin: Basin, days: np.ndarray, path: np.ndarray, steps: Sequence[int]
) -> plt.Figure:
    """Map the mean time to the outlet, with a path and places on it.

    Args:
        basin: the network.
        days: from :func:`travel_time`, (cell,).
        path: cells in the order of the flow.
        steps: places on the path to mark with their number of cells.
    """
    field = gridded(basin, days, long_name="mean travel time to the outlet", units="days")
    fig, ax = maps.basin_axes(extent=maps.extent_of(field), figsize=(7.5, 5.4))
    maps.map_field(ax, field)
    lon, lat = basin.lon[basin.col[path]], basin.lat[basin.row[path]]
    ax.plot(lon, lat, color="white", linewidth=2.6, transform=maps.LONLAT)
    ax.plot(lon, lat, color="black", linewidth=1.2, transform=maps.LONLAT)
    for step in (0, *steps):
        ax.plot(lon[step], lat[step], "o", color="white", mec="black", transform=maps.LONLAT)
        ax.annotate(
            f"{step}",
            (lon[step], lat[step]),
            xytext=(5, 5),
            textcoords="offset points",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.8, "lw": 0},
        )
    return fig
