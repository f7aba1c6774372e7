"""The fit: from a scheme and a study to a folder with weights, resumable at any moment."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from hybridlib import __version__
from hybridlib.backend import keras, tf
from hybridlib.files import not_written, written_whole
from hybridlib.networks import KERNELS
from hybridlib.problem import Problem, basin_digest, build_problem, seen_in
from hybridlib.provenance import add_commit
from hybridlib.rnn import FLUXES
from hybridlib.schema import InputError
from hybridlib.schemes import Learner, Scheme, find_scheme
from hybridlib.splits import (
    FOLDS,
    SPLITS,
    Period,
    Split,
    hold_out,
    station_groups,
    temporal_split,
)
from hybridlib.study import Study, open_study

CONFIG, HISTORY, WEIGHTS = "config.json", "history.csv", "model.weights.h5"
DIGEST = "configuration"
"""Attribute of the weights file that names the configuration it belongs to."""
CHECKPOINT, LOCK = Path("checkpoints") / "last.npz", Path("checkpoints") / "lock"
ROOM = 2**16
"""Room for the weights file's own structure, bytes a member."""
CLIP = 1.0
"""Largest norm of a member's gradient; a longer one is shortened to it."""


class TrainingError(RuntimeError):
    """A training that cannot go on; its last checkpoint is whole."""


@dataclass(frozen=True)
class Preset:
    """A schedule of Adam.

    Attributes:
        free: first learning rate of free parameters, in logits.
        network: first learning rate of network weights.
        warm_up: steps over which the rate rises to its first value. Adam's first steps are as long
            as the rate says however small the gradient; a network then overshoots.
        half_life: steps after which the rate has halved; None keeps it.
        steps: most steps.
        patience: steps without a better held-out loss after which the choice of steps ends.
    """

    free: float
    network: float
    warm_up: int
    half_life: float | None
    steps: int
    patience: int

    def rate(self, step: int, kind: str) -> float:
        """Learning rate of a step, from 0 on."""
        first = self.free if kind == "free" else self.network
        decay = 1.0 if self.half_life is None else 0.5 ** (step / self.half_life)
        return first * decay * min(1.0, (step + 1) / self.warm_up)


PRESETS = {
    "paper": Preset(free=5e-4, network=5e-4, warm_up=1, half_life=None, steps=300, patience=300),
    "fast": Preset(free=0.1, network=1e-2, warm_up=10, half_life=45.0, steps=100, patience=15),
}
"""The paper's setting (Adam, 5e-4, 300 iterations), and a faster schedule."""


@dataclass(frozen=True)
class Settings:
    """Everything that decides what a run learns; kept in the run's ``config.json``.

    Attributes:
        scheme: a name in :data:`~hybridlib.schemes.SCHEMES`.
        study: the prepared study, as it was given.
        split: "temporal", "spatial" or "spatiotemporal".
        fold: which group of gauges is held out, from 1 on; 0 for the temporal split.
        folds: number of groups of gauges.
        split_seed: of the groups.
        train: training years ("2003-2012"); empty for the split's rule.
        validation: validation years; empty for the split's rule.
        preset: a name in :data:`PRESETS`.
        epochs: most steps; 0 for the preset's.
        weight: of discharge in the loss, 0 to 1, the rest is storage's; -1 for the scheme's own.
        choose: choose the number of steps inside the training period, then refit on all of it.
        seed: of the first member; the others follow.
        members: ensemble members, trained side by side.
        replacement: "conv3d", or "fcnn" for the rival without neighbours.
        precision: "float32" or "bfloat16", of the replacement network.
        deterministic: use only operations that TensorFlow calls deterministic. Conv3D rounds by the
            number of threads all the same; TF_NUM_INTRAOP_THREADS sets it.
    """

    scheme: str
    study: str
    split: str = "temporal"
    fold: int = 0
    folds: int = FOLDS
    split_seed: int = 0
    train: str = ""
    validation: str = ""
    preset: str = "fast"
    epochs: int = 0
    weight: float = -1.0
    choose: bool = True
    seed: int = 0
    members: int = 1
    replacement: str = "conv3d"
    precision: str = "float32"
    deterministic: bool = False

    def __post_init__(self):
        known = {
            "split": SPLITS,
            "preset": PRESETS,
            "replacement": KERNELS,
            "precision": ("float32", "bfloat16"),
        }
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value).__name__ != field.type:
                raise InputError(f"{field.name} is {value!r}; expected {field.type}")
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise InputError(
                    f"{name} '{getattr(self, name)}' is unknown; expected {' or '.join(values)}"
                )
        for name, least in (("epochs", 0), ("seed", 0), ("members", 1), ("split_seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least {least}")
        first, last = (0, 0) if self.split == "temporal" else (1, self.folds)
        if not first <= self.fold <= last:
            expected = f"1 to {last}" if last else "0"
            raise InputError(
                f"fold is {self.fold}; expected {expected} with the {self.split} split"
            )
        if not (self.weight == -1.0 or 0.0 <= self.weight <= 1.0):
            raise InputError(
                f"weight is {self.weight}; expected 0 to 1, or -1 for the scheme's own"
            )
        find_scheme(self.scheme)

    @property
    def steps(self) -> int:
        """Most steps."""
        return self.epochs or PRESETS[self.preset].steps

    def weighted_scheme(self) -> Scheme:
        """The scheme, with the weights asked for."""
        scheme = find_scheme(self.scheme)
        if self.weight < 0.0:
            return scheme
        return replace(scheme, weights=(self.weight, 1.0 - self.weight))

    def split_of(self, study: Study) -> Split:
        """What of a study trains."""
        split = split_of(study, self.train, self.validation)
        if self.fold == 0:
            return split
        groups = station_groups(list(study.discharge.station.values), self.folds, self.split_seed)
        return hold_out(split, self.split, groups[self.fold - 1])


def split_of(study: Study, train: str = "", validation: str = "") -> Split:
    """The temporal split of a study; periods as text, empty for the rule."""
    seen = study.discharge.discharge.notnull().any("station").values
    if not seen.any():
        raise InputError(f"{study.path}: discharge has no observation at any gauge")
    baseline = int(study.twsa.attrs["baseline_last"][:4]) if study.has("twsa") else None
    return temporal_split(
        study.days,
        study.discharge.indexes["time"][seen],
        baseline,
        Period.parse(train) if train else None,
        Period.parse(validation) if validation else None,
    )


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
    study = open_study(settings.study)
    scheme, split = settings.weighted_scheme(), settings.split_of(study)
    config = configuration(settings, study, split)
    refuse_another_run(folder, config, resume)  # before the long reading
    if (folder / WEIGHTS).is_file():
        return folder / WEIGHTS
    problem = build_problem(study, scheme, split, split.train.last, settings.replacement)
    fit = Fit(problem, settings)
    if note is not None:
        for series, why in fit.skipped.items():
            note(f"{series} does not count in {split.train}: {why}")
    with claimed(folder):  # Only now: what cannot be trained leaves no folder behind.
        refuse_another_run(folder, config, resume)  # another may have begun and ended meanwhile
        if (folder / WEIGHTS).is_file():
            return folder / WEIGHTS
        write_config(folder, config)
        add_commit(folder)
        if (folder / CHECKPOINT).exists():
            fit.restore(folder / CHECKPOINT)
        while not fit.done:
            row = fit.step()
            # A stop in between repeats the step; the other way round it would lose the last row.
            _write_history(folder / HISTORY, fit.history)
            fit.save(folder / CHECKPOINT)
            if progress is not None:
                progress(row)
        return save_weights(folder / WEIGHTS, fit.learners, config)


@contextmanager
def claimed(folder: Path | str) -> Iterator[None]:
    """Keep other processes from a run's folder; the claim ends with the process at the latest.

    Raises:
        InputError: another process holds it.
        OSError: the folder cannot be written.
    """
    path = Path(folder) / LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0, is_singleton=True)
        lock.acquire()
    except Timeout:
        raise InputError(f"{folder}: another process is at work on this run") from None
    except OSError as error:
        raise not_written(path, error) from error
    try:
        yield
    finally:
        lock.release()


class Fit:
    """A training between two steps: weights, optimisers, history.

    It has two phases. "choose" fits the first years of the training period and watches the loss
    of its last ones, to find each member's number of steps. "fit" starts again on all of the
    training period. Validation years are never read.

    Args:
        problem: up to the end of the training period.
        settings: of the run.
    """

    def __init__(self, problem: Problem, settings: Settings):
        self.problem, self.settings = problem, settings
        self.preset = PRESETS[settings.preset]
        self.history: list[dict] = []
        self.chosen = [settings.steps] * settings.members
        self._objectives = {"fit": (problem.objective(problem.split.train), None)}
        if settings.choose:
            inner = problem.split.inner()
            self._objectives["choose"] = tuple(
                problem.objective(period) for period in (inner.train, inner.validation)
            )
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
        return best_step([row[f"held_out_{member}"] for row in rows], self.preset.patience)

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

    def save(self, path: Path) -> None:
        """Write a checkpoint; it replaces the last one only when it is whole."""
        arrays = {
            f"{m}_{kind}_{k}": variable.numpy()
            for m, pair in enumerate(zip(self.learners, self.optimizers, strict=True))
            for kind, owner in zip(("weight", "optimizer"), pair, strict=True)
            for k, variable in enumerate(_variables(owner))
        }
        state = {name: getattr(self, name) for name in ("phase", "epoch", "chosen", "history")}
        with written_whole(path) as part, open(part, "wb") as file:
            np.savez(file, state=np.array(json.dumps(state)), **arrays)

    def restore(self, path: Path) -> None:
        """Go back to a checkpoint.

        Raises:
            InputError: the file is no checkpoint of this run.
        """
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                state = json.loads(str(stored["state"]))
                for m, pair in enumerate(zip(self.learners, self.optimizers, strict=True)):
                    for kind, owner in zip(("weight", "optimizer"), pair, strict=True):
                        for k, variable in enumerate(_variables(owner)):
                            variable.assign(stored[f"{m}_{kind}_{k}"])
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: not a checkpoint of this run ({_reason(error)})") from None
        for name, value in state.items():
            setattr(self, name, value)


def best_step(losses: Sequence[float], patience: int) -> int:
    """Step with the least held-out loss before patience ended; at least one.

    Args:
        losses: before each step.
        patience: steps without a better one after which the search ends.
    """
    best = 0
    for step, loss in enumerate(losses):
        if loss < losses[best]:
            best = step
        elif step - best >= patience:
            break
    return max(best, 1)


def steps_made(history: pd.DataFrame, config: dict, member: int) -> int:
    """Steps that a member made on all of the training years.

    Members side by side stop at steps of their own; the history goes on to the last one's.

    Args:
        history: of the run.
        config: of the run.
        member: its place in the run.
    """
    if config["choose"]:
        losses = history.loc[history.phase == "choose", f"held_out_{member}"].dropna()
        return best_step(losses.tolist(), config["schedule"]["patience"])
    return int(history.loc[history.phase == "fit", f"loss_{member}"].notna().sum())


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


def configuration(settings: Settings, study: Study, split: Split) -> dict:
    """All that makes a run this run."""
    return asdict(settings) | {
        "train": str(split.train),
        "validation": str(split.validation),
        "held_out": list(split.held_out),
        "schedule": asdict(PRESETS[settings.preset]),
        "basin": basin_digest(study.basin),
        "source": study.attrs.get("source", "unknown"),
        "data": seen_in(study),
    }


def refuse_another_run(folder: Path, config: dict, resume: bool) -> None:
    """See that the folder is new or holds this very run.

    Args:
        folder: of the run.
        config: of :func:`configuration`.
        resume: whether a run may be there.

    Raises:
        InputError: it holds something else.
    """
    path = folder / CONFIG
    if folder.is_file():
        raise InputError(f"{folder}: a file stands here; expected a new folder")
    if not path.exists():
        # A run killed at its very start leaves no more than these. A checkpoint does not say whose
        # it is: without its configuration it is refused.
        begun = {folder / f"{CONFIG}.part", folder / LOCK.parent, folder / LOCK}
        if set(folder.rglob("*")) - begun:
            raise InputError(f"{folder}: holds files that are no run; expected a new folder")
        return
    if not resume:
        raise InputError(f"{folder}: a run is here; --resume goes on with it, or name another")
    found = read_config(folder)
    for name, value in config.items():
        if found.get(name) != value:
            raise InputError(
                f"{path}: the run here has {name} {found.get(name)!r}; {value!r} is asked for"
            )


def write_config(folder: Path, config: dict) -> None:
    """Write a new run's configuration; that of a run that goes on stays."""
    path = folder / CONFIG
    versions = {"hybridlib": __version__, "tensorflow": tf.__version__, "keras": keras.__version__}
    if not path.exists():
        with written_whole(path) as part:
            part.write_text(json.dumps(config | {"versions": versions}, indent=2) + "\n")


def read_config(folder: Path | str) -> dict:
    """Read a run's configuration.

    Raises:
        InputError: no run there, or a key that is unknown or missing.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise InputError(f"{folder}: no run here; expected a {CONFIG} of `hybridlib train`")
    try:
        config = dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: not a configuration in JSON ({error})") from None
    derived = {"held_out", "schedule", "basin", "source", "data", "versions"}
    expected = {f.name for f in fields(Settings)} | derived
    for word, names in (("unknown", set(config) - expected), ("missing", expected - set(config))):
        if names:
            raise InputError(f"{path}: {word} key {', '.join(sorted(names))}")
    return config


def digest(config: dict) -> str:
    """A short name for a configuration, by which weights know whose they are.

    It is made of names and values. What stands at its default is left out, so that a new setting
    changes no digest; the study's place and the versions are no part of it.

    Args:
        config: of :func:`configuration` or :func:`read_config`.
    """
    usual = {field.name: field.default for field in fields(Settings)} | {"held_out": []}
    kept = {
        name: value
        for name, value in config.items()
        if name not in ("study", "versions") and value != usual.get(name)
    }
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def configured_split(config: dict) -> Split:
    """The split of a run's configuration."""
    train, validation = (Period.parse(config[name]) for name in ("train", "validation"))
    return Split(train, validation, tuple(config["held_out"]))


def _write_history(path: Path, history: list[dict]) -> None:
    with written_whole(path) as part:
        pd.DataFrame(history).to_csv(part, index=False, float_format="%.9g")


class _Members(keras.Model):
    """What is written to the weights file."""

    def __init__(self, learners: list[Learner]):
        super().__init__()
        self.members = list(learners)
        self.built = True


def save_weights(path: Path, learners: list[Learner], config: dict) -> Path:
    """Write the weights of all members, and the digest of the configuration they belong to."""
    members = _Members(learners)
    with written_whole(path) as part:
        # On a full disk HDF5 would end the process: see first that there is room.
        part.write_bytes(bytes(ROOM * len(learners) + 8 * members.count_params()))
        part.unlink()
        whole = part.with_name("part.weights.h5")
        try:
            members.save_weights(whole)
            with h5py.File(whole, "r+") as file:
                file.attrs[DIGEST] = digest(config)
            whole.replace(part)
        finally:
            whole.unlink(missing_ok=True)
    return path


def load_weights(path: Path, learners: list[Learner], config: dict) -> None:
    """Read the weights of all members.

    Raises:
        InputError: no such file, or weights of another configuration, scheme, basin or number of
            members.
    """
    if not path.is_file():
        raise InputError(f"{path}: no weights here; the training has not ended (--resume ends it)")
    members = _Members(learners)
    try:
        found, own = _arrays(path)
        expected = len(members.weights), digest(config)
        if found != expected[0]:
            raise ValueError(f"found {found} arrays, expected {expected[0]}")
        if own != expected[1]:
            raise ValueError(f"found those of configuration {own}, expected {expected[1]}")
        members.load_weights(path)
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{path}: weights of another configuration ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    """First line of a message that a library made, the rest of which is data."""
    return str(error).partition("\n")[0]


def _arrays(path: Path) -> tuple[int, str]:
    """Number of arrays in a weights file, and the digest of its configuration.

    Keras would not mind any arrays that it does not ask for.
    """
    found = []
    with h5py.File(path) as file:
        file.visititems(lambda _, item: found.append(isinstance(item, h5py.Dataset)))
        return sum(found), str(file.attrs.get(DIGEST, "none"))
