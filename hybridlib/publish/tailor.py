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
from hybridlib.learning.folder import WEIGHTS
from hybridlib.learning.networks import METEOROLOGY
from hybridlib.learning.run import Run
from hybridlib.study.files import from_project, project
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
        parameters: of the chapter: ``study``, and where there are any ``runs``, ``scheme``,
            ``matrix``, ``tower_files`` and ``gauge``.
    """

    parameters: Mapping[str, object]

    @cached_property
    def place(self) -> str:
        """Where the study lies.

        Raises:
            InputError: the chapter has no study.
        """
        found = self.parameters.get("study")
        if not found:
            raise InputError("tags or words ask for a study; expected a parameter study")
        return str(found)

    @cached_property
    def study(self) -> Study:
        """The study; a built-in twin is made where it is missing."""
        return open_or_make(self.place)

    @cached_property
    def built_in(self) -> str:
        """Size of the built-in twin that belongs in this place, known before it is made."""
        place = Path(os.path.abspath(project() / self.place))
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

    @cached_property
    def runs(self) -> list[Run]:
        """Finished runs of this very study."""
        kept = from_project(str(self.parameters.get("runs", "")) or "no folder")
        found = (Run.open(weights.parent) for weights in sorted(kept.glob(f"*/{WEIGHTS}")))
        return [run for run in found if run.is_of(self.study)]

    @cached_property
    def matrix(self) -> Matrix | None:
        """The run matrix of a chapter, where results of it on this very study are kept."""
        given = self.parameters.get("matrix")
        matrix = read_matrix(str(given)) if given else None
        if not matrix or not (from_project(matrix.results) / results.DATASET).is_file():
            return None
        places = (Path(os.path.abspath(project() / place)) for place in (matrix.study, self.place))
        return matrix if len(set(places)) == 1 else None

    def has_results(self, experiment: str) -> bool:
        """Whether all runs of some scheme in an experiment of the matrix are finished."""
        if not self.matrix:
            return False
        return bool(results.complete(results.read(self.matrix.results), self.matrix, experiment))

    @property
    def has_members(self) -> bool:
        """Whether several members of the scheme that the chapter looks at are kept."""
        counts = (run.config for run in self.runs)
        scheme = self.parameters.get("scheme")
        return sum(one.members for one in counts if one.scheme == scheme) > 1


NEEDS: dict[str, Callable[[Subject], bool]] = {
    "truth": lambda subject: subject.holds("truth"),
    "twsa": lambda subject: subject.holds("twsa"),
    "towers": lambda subject: bool(subject.parameters.get("tower_files")) or subject.holds("truth"),
    "radiation": lambda subject: (
        bool(subject.built_in) or set(METEOROLOGY) <= set(subject.study.forcing)
    ),
    "runs": lambda subject: bool(subject.runs or subject.matrix),
    "members": lambda subject: subject.has_members,
    "amazon": lambda subject: subject.amazon,
    "temporal": lambda subject: subject.has_results("temporal"),
    "spatial": lambda subject: subject.has_results("spatial"),
    "spatiotemporal": lambda subject: subject.has_results("spatiotemporal"),
    "rival": lambda subject: subject.has_results("rival"),
    "weights": lambda subject: subject.has_results("weights"),
}
"""What a cell may need, such as a twin's truth, gravimetry, flux towers, the variables of the
replacement network, finished runs, several members of a scheme, the built-in twin of the whole
Amazon, or results of an experiment of the run matrix, by its name."""

WORDS: dict[str, Callable[[Subject], str]] = {
    "source": lambda subject: (
        "Amazon twin"
        if subject.amazon
        else f"{subject.study.title} ({subject.study.attrs.get('source', 'source not given')})"
    ),
    "basin": lambda subject: "Amazon" if subject.amazon else subject.study.title,
    "gauge": lambda subject: name_of(subject.study.gauge(str(subject.parameters.get("gauge", "")))),
}
"""What a word stands for, where numbers come from, the basin, the gauge looked at closely."""


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
