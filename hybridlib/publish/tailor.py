"""A chapter cut to its study: cells that the study cannot fill are left out, words are put in.

A cell, a caption too, is tagged with what it needs (:data:`NEEDS`): ``# %% [markdown]
tags=["truth"]``. A word in double braces in a Markdown cell (:data:`WORDS`) is replaced by what
the study says there: ``*Source: {{source}}.*``
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat

from hybridlib.analysis.inventory import name_of
from hybridlib.experiments import results
from hybridlib.experiments.matrix import Matrix, read_matrix
from hybridlib.learning.networks import METEOROLOGY
from hybridlib.learning.run import WEIGHTS, Run
from hybridlib.study.files import ROOT, from_project
from hybridlib.study.schema import InputError
from hybridlib.study.store import Study
from hybridlib.twin.make import SIZES, cached, open_or_make

LAYOUT = ("parameters", "hide-input", "nowrap")
"""Tags that say how a cell looks, or that it holds the parameters."""
PLACEHOLDER = re.compile(r"\{\{ *([a-z]+) *\}\}")


@dataclass(frozen=True)
class Subject:
    """What a chapter is about, worked out from its parameters when it is asked for.

    Attributes:
        parameters: of the chapter: ``study``, or ``matrix`` with a study of its own, and where
            there are any ``runs``, ``tower_files`` and ``gauge``.
    """

    parameters: Mapping[str, object]

    @cached_property
    def matrix(self) -> Matrix | None:
        """The run matrix of a chapter that reads one."""
        given = self.parameters.get("matrix")
        return read_matrix(str(given)) if given else None

    @cached_property
    def place(self) -> str:
        """Where the study lies.

        Raises:
            InputError: the chapter has no study.
        """
        found = self.matrix.study if self.matrix else self.parameters.get("study")
        if not found:
            raise InputError("tags or words ask for a study; expected a parameter study or matrix")
        return str(found)

    @cached_property
    def study(self) -> Study:
        """The study; a built-in twin is made where it is missing."""
        return open_or_make(self.place)

    @cached_property
    def built_in(self) -> str:
        """Size of the built-in twin that belongs in this place, known before it is made."""
        place = Path(os.path.abspath(ROOT / self.place))
        return next((size for size in SIZES if place == cached(size)), "")

    def holds(self, group: str) -> bool:
        """Whether the study has a group; a built-in twin has all of them."""
        return bool(self.built_in) or self.study.has(group)

    @property
    def amazon(self) -> bool:
        """Whether this is the built-in twin of the whole Amazon."""
        if self.built_in:
            return self.built_in == "default"
        about = self.study.attrs
        return (about.get("source"), about.get("size")) == ("twin", "default")

    @property
    def title(self) -> str:
        """Name of the study."""
        return self.study.attrs.get("title") or self.study.path.stem

    @property
    def has_runs(self) -> bool:
        """Whether finished runs of this very study, or results of the matrix, are kept."""
        if self.matrix:
            return (from_project(self.matrix.results) / results.DATASET).is_file()
        kept = from_project(str(self.parameters.get("runs", "")) or "no folder")
        found = (weights.parent for weights in sorted(kept.glob(f"*/{WEIGHTS}")))
        return any(Run.open(folder).is_of(self.study) for folder in found)


NEEDS: dict[str, Callable[[Subject], bool]] = {
    "truth": lambda subject: subject.holds("truth"),
    "twsa": lambda subject: subject.holds("twsa"),
    "towers": lambda subject: bool(subject.parameters.get("tower_files")) or subject.holds("truth"),
    "radiation": lambda subject: (
        bool(subject.built_in) or set(METEOROLOGY) <= set(subject.study.forcing)
    ),
    "runs": lambda subject: subject.has_runs,
    "amazon": lambda subject: subject.amazon,
}
"""What a cell may need: a twin's truth, gravimetry, flux towers, the variables of the replacement
network, finished runs, the built-in twin of the whole Amazon."""

WORDS: dict[str, Callable[[Subject], str]] = {
    "source": lambda subject: (
        "Amazon twin"
        if subject.amazon
        else f"{subject.title} ({subject.study.attrs.get('source', 'source not given')})"
    ),
    "basin": lambda subject: "Amazon" if subject.amazon else subject.title,
    "gauge": lambda subject: name_of(subject.study.gauge(str(subject.parameters.get("gauge", "")))),
}
"""What a word stands for: where the numbers come from, the basin, the gauge looked at closely."""


def check(name: str, notebook: nbformat.NotebookNode) -> None:
    """Refuse what no chapter may ask for.

    Args:
        name: of the notebook, for messages.
        notebook: the chapter's text.

    Raises:
        InputError: an unknown tag, or an unknown word in a Markdown cell.
    """
    known = {"tag": [*LAYOUT, *NEEDS], "word": list(WORDS)}
    for number, cell in enumerate(notebook.cells, 1):
        asked = [("tag", tag) for tag in tags_of(cell)] + [("word", word) for word in _words(cell)]
        for kind, one in asked:
            if one not in known[kind]:
                raise InputError(
                    f"{name}, cell {number}: {kind} '{one}' is unknown; "
                    f"expected one of: {', '.join(known[kind])}"
                )


def cut(
    notebook: nbformat.NotebookNode, parameters: Mapping[str, object]
) -> tuple[nbformat.NotebookNode, dict[str, str]]:
    """Leave out the cells that the study cannot fill, and put the words in.

    Args:
        notebook: the chapter's text, checked.
        parameters: the values it will run with.

    Returns:
        The notebook to run, and the words used with what they stand for.

    Raises:
        InputError: no study, or one that cannot be opened.
    """
    subject = Subject(parameters)
    asked = {tag for cell in notebook.cells for tag in tags_of(cell) if tag in NEEDS}
    lacking = {need for need in asked if not NEEDS[need](subject)}
    kept = copy.copy(notebook)
    kept.cells = [cell for cell in notebook.cells if not lacking.intersection(tags_of(cell))]
    used = sorted({word for cell in kept.cells for word in _words(cell)})
    words = {word: WORDS[word](subject) for word in used}
    return fill(kept, words), words


def fill(notebook: nbformat.NotebookNode, words: Mapping[str, str]) -> nbformat.NotebookNode:
    """Return a notebook with words put into its Markdown cells; one that is not given stays."""
    filled = copy.deepcopy(notebook)
    for cell in filled.cells:
        if cell.cell_type == "markdown":
            cell.source = PLACEHOLDER.sub(lambda found: words.get(found[1], found[0]), cell.source)
    return filled


def tags_of(cell: nbformat.NotebookNode) -> list[str]:
    """Tags of a cell."""
    return list(cell.metadata.get("tags", []))


def _words(cell: nbformat.NotebookNode) -> list[str]:
    return PLACEHOLDER.findall(cell.source) if cell.cell_type == "markdown" else []
