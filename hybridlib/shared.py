"""Several basins, one network: what a continent needs beside a matrix of independent runs.

Basins do not exchange water, so each is a task of its own. If one parameterization network serves
all of them, its gradient is the mean of the basins' gradients, and only that must travel between
processes: a few hundred kilobytes a step, however large the basins are. The attributes have to be
normalised over all basins together, or the same landscape would look different in each.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from hybridlib.attributes import ATTRIBUTES
from hybridlib.backend import tf
from hybridlib.problem import Problem, build_problem
from hybridlib.schema import InputError
from hybridlib.schemes import Learner, find_scheme
from hybridlib.study import Study, open_study
from hybridlib.training import split_of


def common_scale(studies: Sequence[Study]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of the 21 attributes over the land of all basins, each (21,)."""
    fields = []
    for study in studies:
        packed = [study.basin.pack(study.attributes[name]) for name in ATTRIBUTES]
        fields.append(np.stack(packed, axis=-1)[study.basin.land].astype(float))
    cells = np.concatenate(fields)
    spread = np.nanstd(cells, axis=0)
    return np.nanmean(cells, axis=0), np.where(spread > 0, spread, 1.0)


def open_basin(
    path: str, scheme: str, scale: tuple[np.ndarray, np.ndarray], seed: int = 0
) -> tuple[Problem, Learner]:
    """A basin's problem and a network that starts as every other basin's does.

    Args:
        path: of the prepared study.
        scheme: with a parameterization network and without a replacement network.
        scale: of :func:`common_scale`.
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
    packed = np.stack([study.basin.pack(study.attributes[name]) for name in ATTRIBUTES], axis=-1)
    attributes = np.nan_to_num((packed - scale[0]) / scale[1]).astype(np.float32)
    problem = replace(problem, attributes=attributes)
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
        processes: that `tf.distribute` joins, each with some of the basins.
        weights: of the network; those of an untrained one by default.
        scheme: as in :func:`open_basin`.

    Returns:
        The gradient, and the seconds of a step after the first: a process's own basins and the
        exchange.

    Raises:
        RuntimeError: a process that failed.
    """
    addresses = [f"localhost:{port}" for port in _free_ports(processes)]
    context = get_context("spawn")
    with TemporaryDirectory() as folder:
        output = Path(folder) / "slopes.npz"
        workers = [
            context.Process(
                target=_work, args=(index, addresses, list(paths), weights, scheme, output)
            )
            for index in range(processes)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if any(worker.exitcode for worker in workers):
            codes = [worker.exitcode for worker in workers]
            raise RuntimeError(f"a process of the joint training failed: exit codes {codes}")
        with np.load(output) as kept:
            count = len(kept.files) - 1
            return [kept[str(k)] for k in range(count)], float(kept["seconds"])


def _work(
    index: int,
    addresses: list[str],
    paths: list[str],
    weights: Sequence[np.ndarray] | None,
    scheme: str,
    output: Path,
) -> None:
    """One process: gradients of its own basins, added up over all processes."""
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    os.environ["TF_CONFIG"] = json.dumps(task)
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    scale = common_scale([open_study(path) for path in paths])
    basins = [open_basin(path, scheme, scale) for path in paths[index :: len(addresses)]]

    if weights is not None:
        for _, learner in basins:
            learner.set_weights(weights)
    for _ in range(2):
        begin = time.perf_counter()
        own = mean_slopes(basins, len(paths))
        total = [strategy.reduce("SUM", slope, axis=None) for slope in own]
        seconds = time.perf_counter() - begin
    if index == 0:
        arrays = {str(k): np.asarray(slope) for k, slope in enumerate(total)}
        np.savez(output, seconds=seconds, **arrays)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("localhost", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
