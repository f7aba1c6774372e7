"""Several basins, one network: what a continent needs beside a matrix of independent runs.

Basins do not exchange water, so each is a task of its own. If one parameterization network serves
all of them, its gradient is the mean of the basins' gradients, and only that must travel between
processes: a few hundred kilobytes a step, however large the basins are. The attributes have to be
normalised over all basins together, or the same landscape would look different in each.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import get_context

import numpy as np

from hybridlib.hydropy.backend import tf
from hybridlib.learning.learner import Learner
from hybridlib.learning.problem import Problem, build_problem, normalised
from hybridlib.learning.schemes import find_scheme
from hybridlib.learning.settings import split_of
from hybridlib.study.schema import InputError
from hybridlib.study.store import Study, open_study


def land_attributes(studies: Sequence[Study]) -> np.ndarray:
    """The attributes of all land cells of all basins, (cell, attribute).

    Raises:
        InputError: basins with other attributes than the first.
    """
    first = list(studies[0].attributes)
    for study in studies:
        if list(study.attributes) != first:
            raise InputError(
                f"{study.path}: attributes {', '.join(map(str, study.attributes))}; expected those "
                f"of {studies[0].path}, {', '.join(map(str, first))}"
            )
    return np.concatenate([_attributes(study)[study.basin.land] for study in studies])


def _attributes(study: Study) -> np.ndarray:
    """The attributes of a basin's cells, (cell, attribute)."""
    packed = [study.basin.pack(field) for field in study.land_attributes().values()]
    return np.stack(packed, axis=-1).astype(float)


def open_basin(
    path: str, scheme: str, sample: np.ndarray, seed: int = 0
) -> tuple[Problem, Learner]:
    """A basin's problem and a network that starts as every other basin's does.

    Args:
        path: of the prepared study.
        scheme: with a parameterization network and without a replacement network.
        sample: of :func:`land_attributes`, over which attributes have mean 0 and spread 1.
        seed: of the network, the same for all basins.

    Raises:
        InputError: a scheme whose weights belong to a basin's cells or weather.
    """
    kind = find_scheme(scheme)
    if kind.parameters != "network" or kind.replacement:
        raise InputError(
            f"scheme '{scheme}' has weights of one basin; expected hybrid_q or hybrid_qs"
        )
    study = open_study(path)
    split = split_of(study)
    problem = build_problem(study, kind, split, split.train.last)
    columns = zip(_attributes(study).T, sample.T, strict=True)
    attributes = np.stack([normalised(*column) for column in columns], axis=-1)
    problem = replace(problem, attributes=attributes.astype(np.float32))
    return problem, problem.learner(seed)


def slopes(problem: Problem, learner: Learner) -> list[tf.Tensor]:
    """Gradient of a basin's loss over its training years for the network's weights."""
    objective = problem.objective(problem.split.train)
    with tf.GradientTape() as tape:
        loss = objective(*problem.predict([learner]))["loss"]
    return tape.gradient(loss, learner.trainable_variables)


def mean_slopes(basins: Sequence[tuple[Problem, Learner]], count: int) -> list[tf.Tensor]:
    """Sum of the gradients of some basins over the number of all of them.

    Args:
        basins: those of this process.
        count: of basins in all processes.
    """
    each = [slopes(*basin) for basin in basins]
    return [tf.add_n(parts) / count for parts in zip(*each, strict=True)]


def gradient(
    paths: Sequence[str],
    processes: int = 1,
    weights: Sequence[np.ndarray] | None = None,
    scheme: str = "hybrid_qs",
) -> tuple[list[np.ndarray], float]:
    """Gradient of the mean loss of several basins for their one network.

    Args:
        paths: of the prepared studies.
        processes: of this machine, each with some of the basins.
        weights: of the network; those of an untrained one by default.
        scheme: as in :func:`open_basin`.

    Returns:
        The gradient, and the seconds of a step after the first, for a process's own basins and the
        exchange.

    Raises:
        InputError: a number of processes that the basins cannot fill, or what
            :func:`open_basin` refuses.
        RuntimeError: a process that failed.
    """
    if not 1 <= processes <= len(paths):
        raise InputError(f"{processes} processes are asked for; expected 1 to {len(paths)}, the "
                         "number of basins")  # fmt: skip
    sample = land_attributes([open_study(path) for path in paths])
    with ExitStack() as stack:
        # A process each, so that it finds its basins again; they speak through pipes, not ports.
        pools = [
            stack.enter_context(ProcessPoolExecutor(1, get_context("spawn")))
            for _ in range(processes)
        ]
        opened = [
            pool.submit(_open, paths[index::processes], scheme, sample)
            for index, pool in enumerate(pools)
        ]
        for one in opened:
            one.result()
        for _ in range(2):
            begin = time.perf_counter()
            steps = [pool.submit(_step, weights, len(paths)) for pool in pools]
            parts = [step.result() for step in steps]
            total = [np.sum(slopes, axis=0) for slopes in zip(*parts, strict=True)]
            seconds = time.perf_counter() - begin
    return total, seconds


_basins: list[tuple[Problem, Learner]] = []
"""The basins of this process, open."""


def _open(paths: Sequence[str], scheme: str, sample: np.ndarray) -> None:
    _basins.extend(open_basin(path, scheme, sample) for path in paths)


def _step(weights: Sequence[np.ndarray] | None, count: int) -> list[np.ndarray]:
    """The share that this process's basins have in the mean gradient."""
    if weights is not None:
        for _, learner in _basins:
            learner.set_weights(weights)
    return [np.asarray(slope) for slope in mean_slopes(_basins, count)]
