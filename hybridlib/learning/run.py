"""A run: its folder, its configuration, its study and its split in one object.

A run's folder holds ``config.json``, ``history.csv``, ``model.weights.h5``, ``provenance.json``
and, once it is scored, ``metrics.nc``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

import h5py
import pandas as pd
from filelock import FileLock, Timeout

from hybridlib import __version__
from hybridlib.hydropy.backend import keras, tf
from hybridlib.learning.problem import Problem, basin_digest, build_problem, seen_in
from hybridlib.learning.schemes import SCHEMES, Learner, Scheme
from hybridlib.learning.settings import PRESETS, Settings
from hybridlib.study.files import from_project, not_written, written_whole
from hybridlib.study.schema import InputError
from hybridlib.study.splits import Period, Split
from hybridlib.study.store import Study, open_study

CONFIG, HISTORY, WEIGHTS = "config.json", "history.csv", "model.weights.h5"
DIGEST = "configuration"
"""Attribute of the weights file that names the configuration it belongs to."""
CHECKPOINT, LOCK = Path("checkpoints") / "last.npz", Path("checkpoints") / "lock"
ROOM = 2**16
"""Room for the weights file's own structure, bytes a member."""


@dataclass(frozen=True)
class Run:
    """A run, planned or there.

    Attributes:
        folder: where it lies.
        config: all that makes it this run; see :func:`configuration`.
        place: where its study lies now; empty for where it lay when the run was made.
    """

    folder: Path
    config: dict
    place: str = ""

    @classmethod
    def plan(cls, settings: Settings, folder: Path | str) -> Run:
        """A run to be made.

        Raises:
            InputError: a study or split that cannot be used.
        """
        study = open_study(settings.study)
        return cls(Path(folder), configuration(settings, study, settings.split_of(study)))

    @classmethod
    def open(cls, folder: Path | str, study: Study | Path | str = "") -> Run:
        """A run that is there, finished or not.

        Args:
            folder: of the run, as `hybridlib train` left it; sought in the project, too.
            study: where its study lies now.

        Raises:
            InputError: no run there, or a key of its configuration that is unknown or missing.
        """
        folder = from_project(folder)
        place = study.path if isinstance(study, Study) else study
        return cls(folder, read_config(folder), str(place or ""))

    @cached_property
    def settings(self) -> Settings:
        """What was asked for."""
        names = {field.name for field in fields(Settings)}
        return Settings(**{key: value for key, value in self.config.items() if key in names})

    @property
    def scheme(self) -> Scheme:
        """The scheme, with the run's weights of the loss."""
        return self.settings.weighted_scheme()

    @cached_property
    def split(self) -> Split:
        """What trains and what validates."""
        train, validation = (Period.parse(self.config[name]) for name in ("train", "validation"))
        return Split(train, validation, tuple(self.config["held_out"]))

    @cached_property
    def study(self) -> Study:
        """The study.

        Raises:
            InputError: it is not there, or of another basin.
        """
        study = open_study(self.place or self.config["study"])
        own, found = self.config["basin"], basin_digest(study.basin)
        if found != own:
            raise InputError(
                f"{self.folder}: weights of another basin than {study.path} "
                f"(found {own}, expected {found})"
            )
        return study

    @property
    def trained(self) -> bool:
        """Whether its weights are there."""
        return (self.folder / WEIGHTS).is_file()

    def is_of(self, study: Study) -> bool:
        """Whether it was made on this very study, wherever that was then."""
        about = identity(study)
        return {name: self.config[name] for name in about} == about

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row a step; none of a scheme that is not trained.

        Raises:
            InputError: there is no history.
        """
        if not SCHEMES[self.config["scheme"]].trained:
            return pd.DataFrame({"phase": [], "seconds": []})
        try:
            return pd.read_csv(self.folder / HISTORY)
        except (OSError, ValueError) as error:
            raise InputError(f"{self.folder / HISTORY}: no history of a run ({error})") from None

    def problem(self, last_year: int | None = None) -> Problem:
        """What its forward pass reads, up to the end of a year; of all days by default."""
        last = self.study.days[-1].year if last_year is None else last_year
        return build_problem(self.study, self.scheme, self.split, last, self.settings.replacement)

    def learners(self, problem: Problem) -> list[Learner]:
        """Its members with the weights that were learned.

        Raises:
            InputError: no weights, or weights of another configuration.
        """
        s = self.settings
        members = [problem.learner(s.seed + m, s.precision) for m in range(s.members)]
        load_weights(self.folder / WEIGHTS, members, self.config)
        return members

    def model(self) -> tuple[Problem, list[Learner]]:
        """The trained model on all days of its study.

        Raises:
            InputError: no finished run, or a study of another basin.
        """
        problem = self.problem()
        return problem, self.learners(problem)


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


def configuration(settings: Settings, study: Study, split: Split) -> dict:
    """All that makes a run this run."""
    return (
        asdict(settings)
        | {
            "train": str(split.train),
            "validation": str(split.validation),
            "held_out": list(split.held_out),
            "schedule": asdict(PRESETS[settings.preset]),
        }
        | identity(study)
    )


def identity(study: Study) -> dict[str, str]:
    """What tells one study from another, wherever it lies."""
    source = study.attrs.get("source", "unknown")
    return {"basin": basin_digest(study.basin), "source": source, "data": seen_in(study)}


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
        raise InputError(
            f"{path}: weights of another configuration ({first_line(error)})"
        ) from None


def first_line(error: Exception) -> str:
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
