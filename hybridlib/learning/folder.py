"""A run's folder: configuration, history, weights, and who may write there.

It holds ``config.json``, ``history.csv``, ``model.weights.h5``, ``provenance.json`` and, once the
run is scored, ``metrics.nc``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from hybridlib import __version__
from hybridlib.hydropy.backend import keras, tf
from hybridlib.learning.learner import Learner
from hybridlib.learning.problem import basin_digest, seen_in
from hybridlib.learning.settings import Configuration, Settings
from hybridlib.study import digests
from hybridlib.study.files import locked, remove_pieces, written_whole
from hybridlib.study.options import read_json
from hybridlib.study.schema import InputError
from hybridlib.study.splits import Split
from hybridlib.study.store import Study

CONFIG, HISTORY, WEIGHTS = "config.json", "history.csv", "model.weights.h5"
METRICS = "metrics.nc"
"""A run's scores."""
DIGEST, ARRAYS = "configuration", "arrays"
"""Attributes of the weights file with digests of its configuration and of its arrays."""
VALUES = "values"
"""Group of a file of scores whose attribute is the digest of what the file holds."""
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
    with locked(Path(folder) / LOCK, f"{folder}: another process is at work on this run"):
        remove_pieces(Path(folder).rglob("*"))
        yield


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
        begun = {LOCK.parent.name, LOCK.name}
        left = {path.name for path in folder.rglob("*")} - begun
        if not all(name.startswith(f"{CONFIG}.") for name in left):
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
    return Configuration.read(read_json(path), str(path))


def digest(config: Configuration) -> str:
    """A short name for a configuration, by which weights know whose they are.

    It is made of names and values. What stands at its default is left out, so that a new setting
    changes no digest; the study's place and the versions are no part of it.
    """
    kept = config.model_dump(mode="json", exclude_defaults=True, exclude={"study", "versions"})
    return digests.of_values(kept)


class _Members(keras.Model):
    """What is written to the weights file."""

    def __init__(self, learners: list[Learner]):
        super().__init__()
        self.members = list(learners)
        self.built = True


def save_weights(path: Path, learners: list[Learner], config: Configuration) -> Path:
    """Write the weights of all members, and the digests of what they belong to.

    That is their configuration, and the history beside them.
    """
    members = _Members(learners)
    with written_whole(path) as part:
        # On a full disk HDF5 would end the process: see first that there is room.
        part.write_bytes(bytes(ROOM * len(learners) + 8 * members.count_params()))
        part.unlink()
        whole = part.with_name(f"{part.name}.weights.h5")
        history = path.with_name(HISTORY)
        try:
            members.save_weights(whole)
            with h5py.File(whole, "r+") as file:
                file.attrs[DIGEST] = digest(config)
                file.attrs[ARRAYS] = digests.of_arrays(_arrays(file))
                if history.is_file():
                    file.attrs[HISTORY] = digests.of_file(history)
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
        with h5py.File(path) as file:
            _check_weights(file, members, digest(config))
        members.load_weights(path)
    except Exception as error:  # what libraries make of a damaged file has no end
        raise InputError(
            f"{path}: weights of another configuration ({first_line(error)})"
        ) from None


def _check_weights(file: h5py.File, members: _Members, config: str) -> None:
    """See that a file holds what was written for a configuration, before it is read for use.

    Keras would not mind any arrays that it does not ask for.

    Raises:
        ValueError: it does not.
    """
    found, expected = _datasets(file), members.weights
    if len(found) != len(expected):
        raise ValueError(f"found {len(found)} arrays, expected {len(expected)}")
    if (own := str(file.attrs.get(DIGEST, "none"))) != config:
        raise ValueError(f"found those of configuration {own}, expected {config}")
    size, most = sum(one.nbytes for one in found.values()), 4 * members.count_params()
    if size > most or any(one.external for one in found.values()):
        raise ValueError(f"found {size} bytes, expected at most {most}, in the file itself")
    arrays = _arrays(file)
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("found numbers that are not finite")
    kept = str(file.attrs.get(ARRAYS, ""))  # weights of older versions lack it
    if kept and kept != digests.of_arrays(arrays):
        raise ValueError("the arrays are not as they were written")


def check_history(folder: Path) -> None:
    """See that the history of a finished run is the one that its weights were written beside.

    Raises:
        InputError: it is not.
    """
    if not (folder / WEIGHTS).is_file():
        return
    try:
        with h5py.File(folder / WEIGHTS) as file:
            kept = str(file.attrs.get(HISTORY, ""))
    except Exception as error:
        raise InputError(f"{folder / WEIGHTS}: cannot be read ({first_line(error)})") from None
    if kept and kept != digests.of_file(folder / HISTORY):
        raise InputError(f"{folder / HISTORY}: not as the training of {WEIGHTS} left it")


def write_values(path: Path, data: xr.Dataset, **options) -> None:
    """Write a dataset as NetCDF, with a digest of what it holds."""
    with written_whole(path) as part:
        data.to_netcdf(part, engine="netcdf4", **options)
        with xr.open_dataset(part, engine="netcdf4") as written:
            found = digests.of_dataset(written.load())
        with h5py.File(part, "r+") as file:
            file.create_group(VALUES).attrs[DIGEST] = found


def read_values(path: Path) -> xr.Dataset:
    """Read what :func:`write_values` wrote.

    Raises:
        InputError: the file cannot be read, or is not as it was written.
    """
    try:
        with xr.open_dataset(path, engine="netcdf4") as opened:
            found = opened.load()
        with h5py.File(path) as file:
            kept = str(file[VALUES].attrs[DIGEST]) if VALUES in file else ""
    except Exception as error:
        raise InputError(f"{path}: cannot be read ({first_line(error)})") from None
    if kept and kept != digests.of_dataset(found):  # files of older versions lack it
        raise InputError(f"{path}: not as it was written; score the run again")
    return found


def first_line(error: Exception) -> str:
    """First line of a message that a library made, the rest of which is data."""
    return str(error).partition("\n")[0]


def _datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item

    file.visititems(keep)
    return found


def _arrays(file: h5py.File) -> dict[str, np.ndarray]:
    """All arrays of a weights file, by name."""
    return {name: item[()] for name, item in _datasets(file).items()}
