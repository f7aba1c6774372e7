"""The run matrix: experiments written in YAML become independent runs, on one machine or many.

Runs are tasks of `dask.distributed`. A run is a folder, so one that was stopped, or whose worker
was lost, goes on from its checkpoint wherever that folder can be reached.
"""

from __future__ import annotations

import itertools
import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from hybridlib.learning import evaluation, provenance
from hybridlib.learning.folder import (
    METRICS,
    claimed,
    read_config,
    refuse_another_run,
    telling,
    write_config,
    write_values,
)
from hybridlib.learning.provenance import PROVENANCE
from hybridlib.learning.run import Run
from hybridlib.learning.schemes import find_scheme
from hybridlib.learning.settings import Settings, Training
from hybridlib.learning.training import train
from hybridlib.study.files import from_project
from hybridlib.study.options import Options, each_once, read_yaml, shown
from hybridlib.study.schema import InputError

HYDROGRAPHS = "hydrographs.nc"
TOPIC = "hybridlib-progress"
HERE = "127.0.0.1"
"""Where a cluster of this machine listens; nobody reaches it from another."""
LISTS = ("schemes", "weights", "replacement")
"""Keys of a group of which every combination is trained."""
YEARS = ("train", "validation")
MOST_RUNS = 10_000
"""Runs of a group; more are a slip of the pen."""
RETRIES = 1
"""How often a run that failed is tried again before it is reported."""


class Experiment(Training):
    """A group of the matrix: every combination of its lists is trained.

    With a split in space every group of gauges is held out in turn; `members` are repeats from
    different starts, the first of which is `seed`.
    """

    schemes: Annotated[tuple[str, ...], AfterValidator(each_once)]
    """Names of schemes."""
    weights: Annotated[tuple[float, ...], AfterValidator(each_once)] = (-1.0,)
    """Of discharge in the loss; -1 for the scheme's own."""
    replacement: Annotated[tuple[str, ...], AfterValidator(each_once)] = ("conv3d",)
    """Kinds of the replacement network."""


class Matrix(Options):
    """What a matrix file says."""

    study: str
    """The prepared study of all runs."""
    runs: str
    """Folder for the runs, one folder an experiment."""
    results: str
    """Folder for the tables."""
    experiments: dict[str, dict]
    """Groups by name; see :class:`Experiment`."""

    @cached_property
    def groups(self) -> dict[str, Experiment]:
        """The experiments, by name."""
        return {name: Experiment(**group) for name, group in self.experiments.items()}


@dataclass(frozen=True)
class Task:
    """One task: a training and its scores.

    Attributes:
        experiment: name of its group.
        name: of its folder within the group.
        folder: where it lies.
        settings: what is learned; members of a scheme without a replacement network are trained
            side by side in one run, those with one in a run each.
    """

    experiment: str
    name: str
    folder: Path
    settings: Settings

    def __str__(self) -> str:
        return f"{self.experiment}/{self.name}"


def read_matrix(path: Path | str) -> Matrix:
    """Read a matrix file.

    Raises:
        InputError: no such file, or a key or value that is not understood.
    """
    path = from_project(path)
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; expected a matrix of runs, such as params/experiments.yml in a "
            "checkout of the project, or your own with --matrix"
        )
    matrix = Matrix.read(read_yaml(path), str(path))
    if not matrix.experiments:
        raise InputError(f"{path}: experiments is {{}}; expected a group for each experiment")
    for name, group in matrix.experiments.items():
        if not re.fullmatch(r"[\w+-][\w .+-]{0,99}", name):
            raise InputError(f"{path}: experiment {shown(name)}; expected a name fit for a folder")
        asked = Experiment.read(group, f"{path}: {name}")
        if (runs := _most_runs(asked)) > MOST_RUNS:
            raise InputError(f"{path}: {name}: {runs} runs; expected at most {MOST_RUNS}")
    try:
        expand(matrix)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return matrix


def _most_runs(group: Experiment) -> int:
    """Runs of a group, had every scheme a replacement network."""
    lists = (len(getattr(group, name)) for name in LISTS)
    return math.prod(lists) * group.members * (1 if group.split == "temporal" else group.folds)


def expand(matrix: Matrix, only: Iterable[str] = ()) -> list[Task]:
    """List the runs of a matrix, in its order.

    Args:
        matrix: of :func:`read_matrix`.
        only: names of experiments; all by default.

    Raises:
        InputError: an unknown experiment, or settings that do not fit together.
    """
    only = list(only) or list(matrix.experiments)
    for name in only:
        if name not in matrix.experiments:
            known = ", ".join(matrix.experiments)
            raise InputError(f"experiment '{name}' is unknown; expected some of: {known}")
    runs = [run for name in only for run in _runs_of(matrix, name)]
    count = Counter(str(run).lower() for run in runs)
    for run in runs:
        if count[str(run).lower()] > 1:
            raise InputError(f"{run}: two runs of one name; expected settings that tell them apart")
    return runs


def _runs_of(matrix: Matrix, experiment: str) -> Iterable[Task]:
    group = matrix.groups[experiment]
    folds = (0,) if group.split == "temporal" else tuple(range(1, group.folds + 1))
    for scheme in group.schemes:
        kind = find_scheme(scheme)
        first, count = group.seed, group.members if kind.trained else 1
        several = [(first, count)]
        if kind.replacement:
            several = [(seed, 1) for seed in range(first, first + count)]
        kinds = group.replacement if kind.replacement else ("conv3d",)
        for fold, weight, rival, (seed, members) in itertools.product(
            folds, group.weights, kinds, several
        ):
            name = "-".join(
                [scheme]
                + [f"fold{fold}"] * bool(fold)
                + [f"w{weight:g}"] * (weight != -1.0)
                + [rival] * (rival != "conv3d")
                + [f"member{seed}"] * kind.replacement
            )
            settings = Settings(
                **group.model_dump(include=set(Training.model_fields))
                | {"scheme": scheme, "study": matrix.study, "fold": fold, "weight": weight}
                | {"seed": seed, "members": members, "replacement": rival}
            )
            yield Task(experiment, name, Path(matrix.runs) / experiment / name, settings)


def finished(run: Task) -> bool:
    """Whether a run was trained and scored, with these very settings and on this study.

    Raises:
        InputError: the folder holds a finished run of something else.
    """
    folder = from_project(run.folder)
    needed = {METRICS, PROVENANCE} | ({HYDROGRAPHS} if run.settings.fold else set())
    if not all((folder / name).is_file() for name in needed):
        return False
    found = read_config(folder)
    for name, value in _asked(run).items():
        if (own := getattr(found, name)) != value:
            raise InputError(
                f"{run.folder}: a finished run has {name} {own!r}; the matrix asks for "
                f"{value!r}; remove the folder or name the experiment anew"
            )
    return True


def _asked(run: Task) -> dict:
    """What the matrix asks of a run; without its study, all but what that decides."""
    if from_project(run.settings.study).exists():
        config = Run.plan(run.settings, run.folder).config
        return {name: getattr(config, name) for name in telling()}
    own = {name: getattr(run.settings, name) for name in Settings.model_fields if name != "study"}
    # The rule for years that are not given needs the study.
    asked = {name: value for name, value in own.items() if value or name not in YEARS}
    return asked | {"schedule": run.settings.adam}


def perform(run: Task, report: Callable[[dict], None] | None = None) -> str:
    """Train a run where it stands, score it, and keep the hydrographs of gauges held out.

    Args:
        run: what to do.
        report: called with the row of every step.

    Returns:
        The run's name.

    Raises:
        InputError: what :func:`~hybridlib.learning.training.train` refuses.
    """
    folder = from_project(run.folder)
    planned = Run.plan(run.settings, folder)
    refuse_another_run(folder, planned.config, resume=True)  # leaves what is no run untouched
    with claimed(folder):
        if planned.scheme.trained:
            train(run.settings, folder, resume=True, progress=report)
            if not (folder / PROVENANCE).exists():
                provenance.write_commits(folder, ["unknown"])
        else:
            refuse_another_run(folder, planned.config, resume=True)  # as training does for itself
            write_config(folder, planned.config)
            provenance.write_commits(folder, [provenance.RUNNING])
        done = Run.open(folder)
        pairs = done.observe()
        if held_out := list(done.split.held_out):
            _keep_hydrographs(folder / HYDROGRAPHS, pairs.sel(station=held_out))
        scores = evaluation.evaluate(done.problem, done.learners, pairs)
        evaluation.write_metrics(folder / METRICS, scores)
    return str(run)


def _keep_hydrographs(path: Path, pairs) -> None:
    """Observed and simulated discharge, in four digits: small to carry."""
    kept = pairs[["discharge_observed", "discharge_simulated"]]
    packed = {"dtype": "float32", "zlib": True, "significant_digits": 4}
    write_values(path, kept, encoding=dict.fromkeys(kept.data_vars, packed))


def _key(run: Task) -> str:
    """A name that no run of another study, folder or setting has on a shared scheduler."""
    from dask.base import tokenize

    return f"{run}-{tokenize(str(run.folder), run.settings.model_dump())}"


def _task(run: Task) -> str:
    """Perform a run on a worker; what it reports reaches the client as events."""
    from distributed import get_worker

    worker = get_worker()
    if worker.state.nthreads > 1:
        raise InputError(
            f"the worker has {worker.state.nthreads} threads and would perform as many runs at a "
            "time in one process; start it with --nthreads 1"
        )

    def report(row: dict) -> None:
        worker.log_event(TOPIC, {"key": _key(run), "worker": worker.address, **row})

    return perform(run, report)


@contextmanager
def connect(scheduler: str = "local", workers: int = 1):
    """A client of a Dask cluster.

    Args:
        scheduler: "local" for a cluster of this machine that ends with the client, or an address.
        workers: processes of the local cluster.

    Raises:
        InputError: nothing answers at the address.
    """
    from distributed import Client, LocalCluster

    if scheduler != "local":
        try:
            client = Client(scheduler, timeout=10)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"scheduler '{scheduler}': no answer ({error}); expected local or the address of "
                "a running Dask scheduler, such as tcp://host:8786"
            ) from None
        with client:
            yield client
        return
    here = {"host": HERE, "dashboard_address": f"{HERE}:0", "worker_dashboard_address": f"{HERE}:0"}
    options = {"n_workers": workers, "threads_per_worker": 1, **here}
    options["silence_logs"] = logging.CRITICAL  # a failure is told once, by this program
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        yield client


def schedule(
    runs: Iterable[Task],
    client,
    report: Callable[[dict], None] | None = None,
    ended: Callable[[Task, str], None] | None = None,
    retries: int = RETRIES,
) -> dict[str, str]:
    """Perform runs on a Dask cluster, those that are not finished.

    Args:
        runs: of :func:`expand`.
        client: a ``distributed.Client``.
        report: called with every step of every run: "run", "worker" (its address) and the row.
        ended: called with a run and "done", "was done" or the reason of its failure.
        retries: how often a run that failed is tried again. A lost worker does not count, until
            a run has lost more than Dask's ``allowed-failures`` (3): then it fails.

    Returns:
        The reason of every failure, by run.

    Raises:
        InputError: a folder holds a finished run of something else; nothing is started.
    """
    from distributed import as_completed

    ended = ended or (lambda run, how: None)
    known = [(run, finished(run)) for run in runs]
    by_key = {_key(run): run for run, done in known if not done}
    if report is not None:

        def told(event) -> None:
            row = dict(event[1])
            if run := by_key.get(row.pop("key", None)):
                report({"run": str(run), **row})

        client.subscribe_topic(TOPIC, told)
    for run in (run for run, done in known if done):
        ended(run, "was done")
    tasks = [
        client.submit(_task, run, key=key, retries=retries, priority=-place)
        for place, (key, run) in enumerate(by_key.items())
    ]
    failures = {}
    for task in as_completed(tasks):
        run = by_key[task.key]
        if task.status != "finished":
            failures[str(run)] = _reason(task)
        ended(run, failures.get(str(run), "done"))
    return failures


def _reason(task) -> str:
    """Why a task failed, in one line."""
    error = task.exception()
    if error is None:
        return f"the task was {task.status}"
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
