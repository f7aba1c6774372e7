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
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from hybridlib.hydropy.backend import tf
from hybridlib.learning.learner import Learner
from hybridlib.learning.problem import Problem, build_problem, normalised
from hybridlib.learning.schemes import find_scheme
from hybridlib.learning.settings import split_of
from hybridlib.study.files import written_whole
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
    packed = [study.basin.pack(field) for field in study.attributes.values()]
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
        processes: that `tf.distribute` joins, each with some of the basins.
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
        _wait_for(workers, output)
        with np.load(output) as kept:
            count = len(kept.files) - 1
            return [kept[f"arr_{k}"] for k in range(count)], float(kept["seconds"])


def _wait_for(workers: Sequence, output: Path) -> None:
    """Wait until all processes have ended; when one fails, end the others, which wait for it."""
    running = {worker.sentinel: worker for worker in workers}
    while running:
        for sentinel in wait(list(running)):
            worker = running.pop(sentinel)
            worker.join()
            if worker.exitcode:
                for other in running.values():
                    other.terminate()
                    other.join()
                refused = output.with_suffix(".txt")
                if refused.exists():
                    raise InputError(refused.read_text())
                raise RuntimeError(
                    f"a process of the joint training failed: exit code {worker.exitcode}"
                )


def _work(
    index: int,
    addresses: list[str],
    paths: list[str],
    weights: Sequence[np.ndarray] | None,
    scheme: str,
    output: Path,
) -> None:
    """One process: gradients of its own basins, added up over all processes."""
    try:
        _work_through(index, addresses, paths, weights, scheme, output)
    except InputError as error:
        with written_whole(output.with_suffix(".txt")) as part:
            part.write_text(str(error))
        sys.exit(2)


def _work_through(index, addresses, paths, weights, scheme, output) -> None:
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    os.environ["TF_CONFIG"] = json.dumps(task)
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    sample = land_attributes([open_study(path) for path in paths])
    basins = [open_basin(path, scheme, sample) for path in paths[index :: len(addresses)]]
    if weights is not None:
        for _, learner in basins:
            learner.set_weights(weights)
    for _ in range(2):
        begin = time.perf_counter()
        own = mean_slopes(basins, len(paths))
        total = [strategy.reduce("SUM", slope, axis=None) for slope in own]
        seconds = time.perf_counter() - begin
    if index == 0:
        np.savez(output, *map(np.asarray, total), seconds=seconds)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("localhost", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
