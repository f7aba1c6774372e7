"""The fit: from a scheme and a study to a folder with weights, resumable at any moment."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hybridlib.hydropy.backend import keras, tf
from hybridlib.hydropy.model import FLUXES
from hybridlib.learning.folder import (
    CHECKPOINT,
    HISTORY,
    WEIGHTS,
    claimed,
    digest,
    first_line,
    refuse_another_run,
    save_weights,
    write_config,
)
from hybridlib.learning.learner import Learner
from hybridlib.learning.objective import Objective
from hybridlib.learning.problem import Problem, build_problem
from hybridlib.learning.provenance import add_commit
from hybridlib.learning.run import Run
from hybridlib.learning.schemes import find_scheme
from hybridlib.learning.settings import Settings
from hybridlib.study import digests
from hybridlib.study.files import written_whole
from hybridlib.study.schema import InputError

CLIP = 1.0
"""Largest norm of a member's gradient; a longer one is shortened to it."""


STATE = ("phase", "epoch", "chosen", "history")
"""What a checkpoint holds beside arrays."""
MOST_STATE = 50_000_000
"""Most bytes of it, with what packing adds."""


class TrainingError(RuntimeError):
    """A training that cannot go on; its last checkpoint is whole."""


def train(
    settings: Settings,
    folder: Path | str,
    resume: bool = False,
    progress: Callable[[dict], None] | None = None,
    note: Callable[[str], None] | None = None,
) -> Path:
    """Train a scheme; ``folder`` then holds its weights.

    Args:
        settings: what is learned.
        folder: of the run; new or empty, or with ``resume`` one that holds this very run.
        resume: go on from the last checkpoint; the weights are those of a run never stopped. A
            run that has ended is left as it is.
        progress: called after each step with its row of the history and the steps still to come.
        note: called before the first step with a sentence for each series that does not count.

    Returns:
        The file with the weights.

    Example:
        >>> import hybridlib as hl
        >>> study = "data/cache/smoke.zarr"
        >>> settings = hl.Settings(scheme="hydropynn_q", study=study, epochs=2, choose=False)
        >>> weights = hl.train(settings, "runs/first")
        >>> hl.Run.open("runs/first").history.epoch.tolist()
        [0, 1]

    Raises:
        InputError: settings or study that cannot be used, another run in ``folder``, or another
            process that trains there.
        TrainingError: a loss or gradient that is not finite.
        OSError: the folder cannot be written; what it held is kept.
    """
    folder = Path(folder)
    if not find_scheme(settings.scheme).trained:
        raise InputError(f"scheme '{settings.scheme}' has nothing to train; evaluate it instead")
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    run = Run.plan(settings, folder)
    refuse_another_run(folder, run.config, resume)  # before the long reading
    if run.trained:
        return folder / WEIGHTS
    last = run.split.train.last
    problem = build_problem(run.study, run.scheme, run.split, last, settings.replacement)
    fit = Fit(problem, settings)
    if note is not None:
        for series, why in fit.skipped.items():
            note(f"{series} does not count in {run.split.train}: {why}")
    with claimed(folder):  # Only now: what cannot be trained leaves no folder behind.
        refuse_another_run(folder, run.config, resume)  # another may have ended meanwhile
        if run.trained:
            return folder / WEIGHTS
        write_config(folder, run.config)
        add_commit(folder)
        if (folder / CHECKPOINT).exists():
            fit.restore(folder / CHECKPOINT, digest(run.config))
        while not fit.done:
            row = fit.step()
            # A stop in between repeats the step; the other way round it would lose the last row.
            _write_history(folder / HISTORY, fit.history)
            fit.save(folder / CHECKPOINT, digest(run.config))
            if progress is not None:
                progress(row)
        _write_history(folder / HISTORY, fit.history)  # what stands there may be damaged
        return save_weights(folder / WEIGHTS, fit.learners, run.config)


class Fit:
    """A training between two steps: weights, optimisers, history.

    It has two phases. "choose" fits the first years of the training period and watches the loss
    of its last ones, to find each member's number of steps. "fit" starts again on all of the
    training period. No observation of the validation years is read.

    Args:
        problem: up to the end of the training period.
        settings: of the run.
    """

    def __init__(self, problem: Problem, settings: Settings):
        self.problem, self.settings = problem, settings
        self.preset = settings.adam
        self.history: list[dict] = []
        self.chosen = [settings.steps] * settings.members
        self._objectives: dict[str, tuple[Objective, Objective | None]]
        self._objectives = {"fit": (problem.objective(problem.split.train), None)}
        if settings.choose:
            inner = problem.split.inner()
            used, watched = map(problem.objective, (inner.train, inner.validation))
            self._objectives["choose"] = used, watched
        self._begin("choose" if settings.choose else "fit")

    def _begin(self, phase: str) -> None:
        """Start a phase at the untrained model."""
        s = self.settings
        self.phase, self.epoch = phase, 0
        self.learners = [self.problem.learner(s.seed + m, s.precision) for m in range(s.members)]
        self.optimizers = [keras.optimizers.Adam() for _ in self.learners]
        for optimizer, learner in zip(self.optimizers, self.learners, strict=True):
            optimizer.build(learner.trainable_variables)

    @property
    def done(self) -> bool:
        """Whether every member has made its steps on all of the training period."""
        return self.phase == "fit" and self.epoch >= max(self.chosen)

    @property
    def skipped(self) -> dict[str, str]:
        """Gauges and boxes that do not count in the training period though they should, and why."""
        objective = self._objectives["fit"][0]
        targets = {"gauge": objective.discharge, "box": objective.twsa}
        return {
            f"{kind} {name}": why
            for kind, target in targets.items()
            if target is not None
            for name, why in target.skipped.items()
            if name not in self.problem.split.held_out
        }

    def step(self) -> dict:
        """Make one step of every member; return its row of the history (means over members)."""
        begin = time.perf_counter()
        objective, held_out = self._objectives[self.phase]
        variables = [learner.trainable_variables for learner in self.learners]
        with tf.GradientTape() as tape:
            discharge, twsa = self.problem.predict(self.learners)
            scores = objective(discharge, twsa)
            total = tf.reduce_sum(scores["loss"])
        gradients = tape.gradient(total, variables)
        self._check(total, gradients)
        if held_out is not None:
            scores["held_out"] = held_out(discharge, twsa)["loss"]
        self._apply(gradients, variables)
        scores = {name: np.atleast_1d(values.numpy()) for name, values in scores.items()}
        row = {"phase": self.phase, "epoch": self.epoch}
        row |= {f"{name}_{m}": float(v[m]) for name, v in scores.items() for m in range(len(v))}
        self.history.append(row | {"seconds": round(time.perf_counter() - begin, 2)})
        self.epoch += 1
        if self.phase == "choose" and self._settled():
            self.chosen = [self._best(m) for m in range(len(self.learners))]
            self._begin("fit")
        return self._summary(scores)

    def _apply(self, gradients, variables) -> None:
        rate = self.preset.rate(self.epoch, self.problem.scheme.parameters)
        for m, optimizer in enumerate(self.optimizers):
            if self.phase == "fit" and self.epoch >= self.chosen[m]:
                continue
            optimizer.learning_rate = rate
            clipped, _ = tf.clip_by_global_norm(gradients[m], CLIP)
            optimizer.apply(clipped, variables[m])

    def _best(self, member: int) -> int:
        rows = [row for row in self.history if row["phase"] == "choose"]
        return self.preset.best_step([row[f"held_out_{member}"] for row in rows])

    def _settled(self) -> bool:
        """Whether no member can find a better number of steps any more."""
        if self.epoch > self.settings.steps:
            return True
        waited = [self.epoch - 1 - self._best(m) for m in range(len(self.learners))]
        return min(waited) >= self.preset.patience

    def _summary(self, scores: dict) -> dict:
        """What a reader of the progress wants to see."""
        row = {key: self.history[-1][key] for key in ("phase", "epoch", "seconds")}
        row |= {name: float(values.mean()) for name, values in scores.items()}
        to_fit = max(self.chosen) if self.phase == "fit" else 2 * self.settings.steps
        return row | {"left": to_fit - self.epoch}

    def _check(self, loss, gradients) -> None:
        flat = tf.nest.flatten(gradients)
        if np.isfinite(loss) and all(bool(tf.reduce_all(tf.math.is_finite(g))) for g in flat):
            return
        raise TrainingError(
            f"epoch {self.epoch} of phase {self.phase}: loss or gradient is not finite: "
            f"{find_not_finite(self.problem, self.learners)}; what was learned before is kept"
        )

    def _variables(self) -> dict[str, Any]:
        """All that a step changes, by member and place."""
        return {
            f"{m}_{kind}_{k}": variable
            for m, pair in enumerate(zip(self.learners, self.optimizers, strict=True))
            for kind, owner in zip(("weight", "optimizer"), pair, strict=True)
            for k, variable in enumerate(_variables(owner))
        }

    def save(self, path: Path, owner: str) -> None:
        """Write a checkpoint; it replaces the last one only when it is whole.

        Args:
            path: of the checkpoint.
            owner: digest of the configuration that it belongs to.
        """
        arrays = {name: variable.numpy() for name, variable in self._variables().items()}
        state = {name: getattr(self, name) for name in STATE} | {"configuration": owner}
        arrays["state"] = np.array(json.dumps(state))
        with written_whole(path) as part, open(part, "wb") as file:
            np.savez(file, digest=np.array(digests.of_arrays(arrays)), **arrays)

    def restore(self, path: Path, owner: str) -> None:
        """Go back to a checkpoint.

        Args:
            path: of the checkpoint.
            owner: as in :meth:`save`.

        Raises:
            InputError: the file is no checkpoint of this run.
        """
        try:
            arrays, state = self._stored(path, owner)
            for name, variable in self._variables().items():
                variable.assign(arrays[name])
        except Exception as error:  # what libraries make of a damaged file has no end
            raise InputError(
                f"{path}: not a checkpoint of this run ({first_line(error)})"
            ) from None
        for name in STATE:
            setattr(self, name, state[name])

    def _stored(self, path: Path, owner: str) -> tuple[dict[str, np.ndarray], dict]:
        """Arrays and state of a checkpoint that is as :meth:`save` left it."""
        expected = {name: variable.numpy().nbytes for name, variable in self._variables().items()}
        packed = io.BytesIO(path.read_bytes())
        with zipfile.ZipFile(packed) as members:
            size = sum(member.file_size for member in members.infolist())
            if size > 2 * sum(expected.values()) + MOST_STATE:
                raise ValueError(f"{size} bytes, unpacked")
        with np.load(packed, allow_pickle=False) as stored:
            arrays = dict(stored)
        if (kept := str(arrays.pop("digest", "none"))) != digests.of_arrays(arrays):
            raise ValueError(f"its digest is {kept}, expected {digests.of_arrays(arrays)}")
        state = json.loads(str(arrays.pop("state")))
        if (found := state.pop("configuration")) != owner:
            raise ValueError(f"found one of configuration {found}, expected {owner}")
        if state.keys() != set(STATE) or arrays.keys() != expected.keys():
            raise ValueError(f"found {sorted(state)} and {len(arrays)} arrays")
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("found numbers that are not finite")
        return arrays, state


def _variables(owner) -> list:
    return owner.variables if isinstance(owner, keras.optimizers.Optimizer) else owner.weights


def find_not_finite(problem: Problem, learners: list[Learner]) -> str:
    """Say in words where the first number that is not finite arises: cell, day and variable."""
    basin = problem.model.basin
    for member, learner in enumerate(learners):
        parameters, pet = problem.driven_by([learner])
        for name, field in parameters._asdict().items():
            bad = ~np.isfinite(field)
            if bad.any():
                return f"parameter {name} {basin.describe(int(bad.argmax()))}, member {member}"
        weather = problem.weather._replace(pet=pet)
        found = _first_bad_day(
            problem, {n: getattr(weather, n).numpy() for n in weather._fields[:4]}
        )
        if found:
            return f"{found} (weather), member {member}"
        _, series = problem.model.run(weather, parameters, problem.start, FLUXES)
        # In the order of a day's processes: what comes first is the cause.
        found = _first_bad_day(problem, {name: series[name] for name in FLUXES})
        if found:
            return f"{found}, member {member}"
    return "the run itself is finite, its gradient is not"


def _first_bad_day(problem: Problem, series: dict[str, np.ndarray]) -> str:
    """The first value that is not finite, in words; empty where all are."""
    first = {}
    for name, values in series.items():
        bad = ~np.isfinite(values)
        if bad.any():
            first[name] = tuple(np.argwhere(bad)[0])
    if not first:
        return ""
    name = min(first, key=lambda key: first[key][0])
    day, cell = first[name][0], first[name][-1]
    return f"{name} {problem.model.basin.describe(int(cell))} on {problem.days[day]:%Y-%m-%d}"


def _write_history(path: Path, history: list[dict]) -> None:
    with written_whole(path) as part:
        pd.DataFrame(history).to_csv(part, index=False, float_format="%.9g")
