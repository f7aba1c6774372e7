"""Which code made a run: the commits that trained it, or that scored it where nothing trains."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from hybridlib.study.files import INSTALLED, written_whole
from hybridlib.study.schema import InputError

PROVENANCE = "provenance.json"


def code_version() -> str:
    """The commit of the code, "-dirty" where the library was changed since; else "unknown"."""
    if not (INSTALLED / ".git").exists():
        return "unknown"
    ask = partial(subprocess.check_output, stderr=subprocess.DEVNULL, text=True, cwd=INSTALLED)
    try:
        head = ask(["git", "rev-parse", "--short", "HEAD"])
        changed = ask(["git", "status", "--porcelain", "--", "hybridlib"])
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.strip() + "-dirty" * bool(changed)


RUNNING = code_version()
"""The code of this process, asked when it was loaded, as later commits do not change what runs."""


def add_commit(folder: Path) -> None:
    """Add this process to those that trained a run: a run may be stopped and go on."""
    known = (folder / PROVENANCE).exists()
    write_commits(folder, [*(read_commits(folder).split("+") if known else ()), RUNNING])


def write_commits(folder: Path, commits: Iterable[str]) -> None:
    """Keep the commits that made a run, each once."""
    with written_whole(folder / PROVENANCE) as part:
        part.write_text(json.dumps({"commit": "+".join(dict.fromkeys(commits))}) + "\n")


def read_commits(folder: Path) -> str:
    """The commits that made a run, joined by "+".

    Raises:
        InputError: the file is missing or damaged.
    """
    path = folder / PROVENANCE
    try:
        return str(json.loads(path.read_text())["commit"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: no provenance of a run ({error!r})") from None
