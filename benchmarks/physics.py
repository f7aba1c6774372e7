"""Forward and backward through HydroPy: our way beside the paper's."""

from __future__ import annotations

import numpy as np

from benchmarks.cases import Case, in_double
from benchmarks.grid import from_grid, grid_network, grid_weather, run_through_time, to_grid
from benchmarks.measure import Cost, cost_of, in_fresh_process
from hybridlib.hydropy.adjoint import differentiable_run
from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.parameters import Parameters

SERIES = ("dis", "tws")


def mean_loss(series: dict[str, tf.Tensor], weights: dict[str, tf.Tensor]):
    """Weigh the cells' means over days and add up, members too."""
    return sum(tf.reduce_sum(tf.reduce_mean(series[n], 0) * weights[n]) for n in SERIES)


def our_gradients(case: Case, segments: int = 1) -> list[tf.Tensor]:
    """Gradients of the loss for the nine parameters and PET: packed cells, own adjoint."""
    sources = [*case.parameters, case.weather.pet]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        _, series = differentiable_run(
            case.model, case.weather, case.parameters, case.state, SERIES, segments
        )
        loss = mean_loss(series, case.weights)
    return tape.gradient(loss, sources)


@tf.function(autograph=False)
def _gradients_through_time(weather, parameters, state, land, network, substeps, weights):
    sources = [*parameters, weather.pet]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        series = run_through_time(weather, parameters, state, land, network, substeps)
        loss = mean_loss(series, weights)
    return tape.gradient(loss, sources)


def measure_ours(case: Case, repeats: int = 3, segments: int = 1) -> tuple[list[np.ndarray], Cost]:
    """Gradients and cost of our way."""
    gradients, cost = cost_of(lambda: our_gradients(case, segments), repeats)
    return [gradient.numpy() for gradient in gradients], cost


def measure_paper(case: Case, repeats: int = 3) -> tuple[list[np.ndarray], Cost]:
    """Gradients, on the active cells, and cost of the paper's way."""
    model, basin = case.model, case.model.basin
    active = basin.unpack(np.ones(basin.size), 0.0).ravel()
    inputs = (
        grid_weather(basin, case.weather),
        to_grid(basin, case.parameters),
        to_grid(basin, case.state),
        to_grid(basin, model.land),
        grid_network(model),
        model.substeps,
        {name: to_grid(basin, values) * active for name, values in case.weights.items()},
    )
    gradients, cost = cost_of(lambda: _gradients_through_time(*inputs), repeats)
    return [from_grid(basin, gradient.numpy()) for gradient in gradients], cost


def compare_physics(case: Case, repeats: int = 3) -> dict:
    """Measure both ways in fresh processes, one after the other.

    Gradients are compared in float64. In float32, in which time and memory are measured, the two
    programs round differently, and where a store comes within rounding of a threshold of HydroPy's
    they may take different branches; such slopes are counted.

    Returns:
        speedup and memory_ratio (paper's over ours, float32), gradient_difference (the largest of
        gradient_differences, by parameter and for PET, float64), float32_beyond_1e-4 of
        float32_compared slopes, days, cells, grid_cells and each way's cost, seconds and MB.
    """
    ours, our_cost = in_fresh_process(measure_ours, case, repeats)
    paper, paper_cost = in_fresh_process(measure_paper, case, repeats)
    exact = in_double(case)
    precise = [in_fresh_process(way, exact, 1)[0] for way in (measure_ours, measure_paper)]
    names = (*Parameters._fields, "pet")
    differences = dict(zip(names, map(relative_difference, *precise), strict=True))
    return {
        "speedup": paper_cost.seconds / our_cost.seconds,
        "memory_ratio": paper_cost.megabytes / our_cost.megabytes,
        "gradient_difference": max(differences.values()),
        "float32_beyond_1e-4": sum(map(count_beyond, ours, paper)),
        "float32_compared": sum(slope.size for slope in ours),
        "days": len(case.weather.rainf),
        "cells": case.model.basin.size,
        "grid_cells": int(np.prod(case.model.basin.shape)),
        "ours": our_cost._asdict(),
        "paper": paper_cost._asdict(),
        "gradient_differences": differences,
    }


def count_beyond(a: np.ndarray, b: np.ndarray, share: float = 1e-4) -> int:
    """Number of elements that differ by more than a share of the largest."""
    return int((np.abs(a - b) > share * np.abs(b).max()).sum())


def relative_difference(a: np.ndarray, b: np.ndarray) -> float:
    """max(abs(a - b)) / max(abs(b)); 0 where both are 0 everywhere."""
    difference = np.abs(a - b).max()
    return float(difference / np.abs(b).max()) if difference else 0.0
