"""A run's folder: configuration, history, weights, and who may write there.

It holds ``config.json``, ``history.csv``, ``model.weights.h5``, ``provenance.json`` and, once the
run is scored, ``metrics.nc``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
from filelock import FileLock, Timeout

from hybridlib import __version__
from hybridlib.hydropy.backend import keras, tf
from hybridlib.learning.learner import Learner
from hybridlib.learning.problem import basin_digest, seen_in
from hybridlib.learning.settings import Configuration, Settings
from hybridlib.study.files import not_written, written_whole
from hybridlib.study.schema import InputError
from hybridlib.study.splits import Split
from hybridlib.study.store import Study

CONFIG, HISTORY, WEIGHTS = "config.json", "history.csv", "model.weights.h5"
METRICS = "metrics.nc"
"""A run's scores."""
DIGEST = "configuration"
"""Attribute of the weights file that names the configuration it belongs to."""
CHECKPOINT, LOCK = Path("checkpoints") / "last.npz", Path("checkpoints") / "lock"
ROOM = 2**16
"""Room for the weights file's own structure, bytes a member."""


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


def configuration(settings: Settings, study: Study, split: Split) -> Configuration:
    """All that makes a run this run."""
    own = {"train": str(split.train), "validation": str(split.validation)}
    found = {"held_out": split.held_out, "schedule": settings.adam, **identity(study)}
    return Configuration(**settings.model_dump() | own | found)


def identity(study: Study) -> dict[str, str]:
    """What tells one study from another, wherever it lies."""
    source = study.attrs.get("source", "unknown")
    return {"basin": basin_digest(study.basin), "source": source, "data": seen_in(study)}


def refuse_another_run(folder: Path, config: Configuration, resume: bool) -> None:
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
    for name in telling():
        own, asked = getattr(found, name), getattr(config, name)
        if own != asked:
            raise InputError(f"{path}: the run here has {name} {own!r}; {asked!r} is asked for")


def write_config(folder: Path, config: Configuration) -> None:
    """Write a new run's configuration; that of a run that goes on stays."""
    path = folder / CONFIG
    versions = {"hybridlib": __version__, "tensorflow": tf.__version__, "keras": keras.__version__}
    if not path.exists():
        with written_whole(path) as part:
            kept = config.model_copy(update={"versions": versions})
            part.write_text(kept.model_dump_json(indent=2) + "\n")


def telling() -> list[str]:
    """What tells one run from another; not the versions, nor where its study lies."""
    return [name for name in Configuration.model_fields if name not in ("study", "versions")]


def read_config(folder: Path | str) -> Configuration:
    """Read a run's configuration; a setting that it does not name has its default.

    Raises:
        InputError: no run there, or a key that is unknown, missing or cannot serve.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise InputError(f"{folder}: no run here; expected a {CONFIG} of `hybridlib train`")
    try:
        values = json.loads(path.read_text())
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: not a configuration in JSON ({error})") from None
    return Configuration.read(values, str(path))


def digest(config: Configuration) -> str:
    """A short name for a configuration, by which weights know whose they are.

    It is made of names and values. What stands at its default is left out, so that a new setting
    changes no digest; the study's place and the versions are no part of it.
    """
    kept = config.model_dump(mode="json", exclude_defaults=True, exclude={"study", "versions"})
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


class _Members(keras.Model):
    """What is written to the weights file."""

    def __init__(self, learners: list[Learner]):
        super().__init__()
        self.members = list(learners)
        self.built = True


def save_weights(path: Path, learners: list[Learner], config: Configuration) -> Path:
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


def load_weights(path: Path, learners: list[Learner], config: Configuration) -> None:
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
