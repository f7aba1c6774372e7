"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The project's folder, where relative paths are sought second."""


def from_project(path: Path | str) -> Path:
    """Find a file or folder: a relative path is sought here, then from the project's folder."""
    here = Path(path)
    return here if here.exists() else ROOT / here


@contextmanager
def written_whole(path: Path | str) -> Iterator[Path]:
    """Give a name to write under, and the real name only when all went well.

    A reader, or a run after a power cut, sees the old file or the new one, never a piece. The
    folder is made where it is missing.

    Raises:
        OSError: with the file's name, where it cannot be written; what stood there stays.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
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


def not_written(path: Path, error: Exception) -> OSError:
    """The error that names the file, for one that does not."""
    reason = getattr(error, "strerror", None) or str(error)
    return OSError(f"{path}: cannot be written ({reason}); what stood there is kept")
