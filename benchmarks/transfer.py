"""The flow transfer as eight masks and as a table: time of each, in one run."""

from __future__ import annotations

import numpy as np

from benchmarks.measure import cost_of
from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.routing import cascade, direction_masks, transfer, transfer_by_masks
from hybridlib.hydropy.simulate import study_model
from hybridlib.twin.make import open_or_make


def compare_transfer(path: str, days: int = 30, repeats: int = 30) -> dict[str, tuple]:
    """Time both forms of the transfer, compiled, as a chain of the sub-steps of some days.

    Args:
        path: the study, whose network, lags and sub-steps are used.
        days: of routing.
        repeats: runs of which the fastest counts.

    Returns:
        The time with masks over that with the table, and microseconds a sub-step in either form,
        for the transfer alone, its gradient alone, and the river's cascade with the transfer.
    """
    model = study_model(open_or_make(path))
    basin, network = model.basin, model.network
    masks = tf.constant(direction_masks(basin), model.dtype)
    forms = (
        (lambda flow: transfer_by_masks(flow, masks), basin.unpack),
        (lambda flow: transfer(flow, network), lambda field, fill: field),
    )
    volume = np.random.default_rng(0).random(basin.size)
    steps = days * model.substeps
    cost = []
    for move, lay in forms:
        flow = tf.constant(lay(volume, 0.0), model.dtype)
        lag = tf.constant(lay(model.lags.lag_river, 1.0), model.dtype)
        in_cascade = tf.constant(lay(network.in_cascade.numpy(), False))
        empty = [tf.zeros_like(flow)] * len(in_cascade)
        river = _river(move, lag, in_cascade, model.substeps)
        loops = (move, (flow,)), (_backward(move), (flow,)), (river, (flow, *empty))
        cost.append([_microseconds(_chained(b, steps), s, repeats) / steps for b, s in loops])
    names = "flow transfer", "its gradient", "cascade and transfer"
    return {
        name: (masked / packed, masked, packed)
        for name, masked, packed in zip(names, *cost, strict=True)
    }


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


def _microseconds(run, state, repeats: int) -> float:
    """Least time of a call after one that compiles."""
    return 1e6 * cost_of(lambda: run(*state).numpy(), repeats)[1].seconds
