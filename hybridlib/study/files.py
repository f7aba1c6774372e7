"""Where files are sought; files that appear when they are whole, and one process at a time."""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from hybridlib.study.schema import InputError

INSTALLED = Path(__file__).resolve().parents[2]
"""The folder that the package lies in, a checkout or where packages are installed."""
MARKS = ("_config.yml", "notebooks/py")
"""What a project holds, the pages of the book and the texts of its notebooks."""


def project(needed: str = "") -> Path:
    """The folder of the book: the first with :data:`MARKS` from the working folder upwards.

    Where there is none, it is the checkout that the package lies in, or else the working folder.

    Args:
        needed: what of the book is asked for; empty where the working folder serves as well.

    Raises:
        InputError: no project, and something of it is needed.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, INSTALLED):
        if all((folder / mark).exists() for mark in MARKS):
            return folder
    if needed:
        raise InputError(
            f"{needed}: not installed with the library, and {here} lies in no project (no folder "
            f"with {' and '.join(MARKS)}); run this in a checkout of the project"
        )
    return here


def from_project(path: Path | str) -> Path:
    """Find a file or folder: a relative path is sought here, then from the project's folder."""
    here = Path(path)
    return here if here.exists() else project() / here


def of_the_book(path: Path | str) -> Path:
    """A file or folder that the book holds and the library does without.

    Raises:
        InputError: there is no project.
    """
    return project(str(path)) / path


def refuse_special(path: Path) -> None:
    """Refuse to write a file where something stands that is none.

    Raises:
        InputError: a folder, a device or a pipe stands there.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; expected a file to write")
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is a device or a pipe; expected a file to write")


@contextmanager
def written_whole(path: Path | str) -> Iterator[Path]:
    """Give a name to write under, and the real name only when all went well.

    A reader, or a run after a power cut, sees the old file or the new one, never a piece. The
    folder is made where it is missing.

    Raises:
        InputError: no file can stand there.
        OSError: with the file's name, where it cannot be written; what stood there stays.
    """
    path = Path(path)
    refuse_special(path)
    part = piece(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            with open(part, "rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        # NetCDF tells of a full disk in a RuntimeError.
        raise not_written(path, error) from error


def piece(path: Path) -> Path:
    """A name beside ``path`` that only this process writes under."""
    return path.with_name(f"{path.name}.{os.getpid()}.part")


def remove_pieces(paths: Iterable[Path]) -> None:
    """Remove, of some paths, what processes that were killed left under names of :func:`piece`."""
    for path in paths:
        if re.search(r"\.\d+\.part(\.weights\.h5)?$", path.name):
            remove(path)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(lock: Path, busy: str) -> Iterator[FileLock]:
    """Hold a lock file; the claim ends with the process at the latest.

    Args:
        lock: the file; this process may hold it several times.
        busy: what to say where another process holds it.

    Raises:
        InputError: another process holds it.
        OSError: the file cannot be written.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(lock, timeout=0, is_singleton=True)
        held.acquire()
    except Timeout:
        raise InputError(busy) from None
    except OSError as error:
        raise not_written(lock, error) from error
    try:
        yield held
    finally:
        held.release()


@contextmanager
def alone(path: Path | str) -> Iterator[None]:
    """Keep other processes from making a file or store while this one does.

    Pieces that a killed process left there are removed.

    Raises:
        InputError: another process is making it.
        OSError: nothing can be written beside it.
    """
    path = Path(path).resolve()
    busy = f"{path}: another process is writing this; wait for it, or name another"
    lock = path.with_name(f".{path.name}.lock")
    with locked(lock, busy) as held:
        remove_pieces(path.parent.glob(f"{glob.escape(path.name)}.*"))
        try:
            yield
        finally:
            if held.lock_counter == 1:
                lock.unlink(missing_ok=True)  # before the release: nobody else can hold it


def not_written(path: Path, error: Exception) -> OSError:
    """The error that names the file, for one that does not."""
    reason = getattr(error, "strerror", None) or str(error)
    return OSError(f"{path}: cannot be written ({reason}); what stood there is kept")
