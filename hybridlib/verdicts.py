"""A claim of the paper, the verdict on it, and tables of them.

Chapters show their claims as :class:`Verdicts`; the page of findings reads them from the executed
notebooks, so that no number on it was typed in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

KEY = "verdicts"
"""Under which a notebook keeps verdicts in the metadata of the table that readers see."""
COLUMNS = ("section", "the paper found", "its numbers", "here", "verdict")
UNDECIDED = 0.02
"""Median scores that differ by no more than this are called alike."""
SIGNIFICANT = 0.01
"""The paper's level of significance."""


class Verdicts:
    """Claims of the paper with a verdict each: a table for readers, and for the page of findings.

    Args:
        table: with the columns "the paper found", "here" and "verdict"; "section" of the paper and
            "its numbers" where it has them.
        section: of all its claims, where the table has none.
    """

    def __init__(self, table: pd.DataFrame, section: str = "–"):
        filled = {"section": section, "its numbers": "–"} | dict(table.items())
        self.table = pd.DataFrame({name: filled[name] for name in COLUMNS}, table.index)

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        with pd.option_context("display.max_colwidth", None):
            html, text = self.table.to_html(), self.table.to_string()
        shown = {"text/html": html, "text/plain": text}
        return shown, {KEY: self.table.to_dict("records")}


NOT_TESTABLE = "not testable"
GIVEN = "not testable, built into the twin"
Held = bool | str | None
"""Whether a finding holds, None where the numbers decide nothing, or in words why they cannot."""


def in_words(held: Held) -> str:
    """The verdict on a finding."""
    if isinstance(held, str):
        return held
    if held is None:
        return "undecided"
    return "reproduced" if held else "not reproduced"


def tell(findings: Iterable[tuple[str, str, Held]], section: str) -> Verdicts:
    """Verdicts on findings, numbered from 1.

    Args:
        findings: the finding, our numbers in words, and whether it holds; without numbers it is
            not testable.
        section: of the paper.
    """
    rows = [
        {
            "the paper found": finding,
            "here": here or "–",
            "verdict": in_words(held if here else NOT_TESTABLE),
        }
        for finding, here, held in findings
    ]
    return Verdicts(pd.DataFrame(rows, index=range(1, len(rows) + 1)), section)


@dataclass(frozen=True)
class Claim:
    """A finding of the paper.

    Attributes:
        section: of the paper.
        text: the finding.
        paper: the paper's numbers, where it gives them.
        numbers: names of those that judge it: a measure or, after a comma, whose it is, too.
        holds: called with them; whether the finding holds here.
        bound: name of a score that no model can be expected to exceed.
        not_testable: why nothing here can judge it; empty where something does.
        given: whether a twin shows it by the way it was made, whatever was trained.
    """

    section: str
    text: str
    paper: str = "–"
    numbers: tuple[str, ...] = ()
    holds: Callable[..., Held] = bool
    bound: str = ""
    not_testable: str = ""
    given: bool = False


def better(worse: float, best: float) -> bool | None:
    """Whether the second score is higher by more than :data:`UNDECIDED`; None where alike."""
    return None if abs(best - worse) <= UNDECIDED else best > worse


def alike(one: float, other: float) -> bool:
    """Whether two scores differ by no more than :data:`UNDECIDED`."""
    return abs(one - other) <= UNDECIDED


def surely_better(worse: float, best: float, more: float, p: float) -> bool | None:
    """As :func:`better`, of medians; None where a test does not say so, too.

    Args:
        worse: median of one.
        best: of the other.
        more: mean difference that the test is about.
        p: its p-value, two-sided.
    """
    alike_signs = (best - worse) * more > 0
    return better(worse, best) if p < SIGNIFICANT and alike_signs else None


def judge(claim: Claim, numbers: Mapping[str, float], twin: bool = False) -> dict[str, str]:
    """Hold a claim against the numbers of its chapter.

    Args:
        claim: of the paper.
        numbers: of the chapter, by name.
        twin: whether they are a twin's.

    Returns:
        section, "the paper found", "its numbers", "here", and the verdict: "reproduced", "not
        reproduced", "undecided" or "not testable" with the reason. Where :attr:`Claim.bound` is
        known and the weaker of two scores lies as near to it as :data:`UNDECIDED`, no difference
        could show: not testable.
    """
    values = [numbers.get(name, np.nan) for name in claim.numbers]
    known = bool(values) and bool(np.isfinite(values).all())
    row = {
        "section": claim.section,
        "the paper found": claim.text,
        "its numbers": claim.paper,
        "here": _listed(claim.numbers, values) if known else "–",
    }
    if claim.not_testable or not known:
        why = claim.not_testable or "the numbers are missing"
        return row | {"verdict": f"not testable, {why}"}
    held = claim.holds(*values)
    ceiling = numbers.get(claim.bound, np.nan)
    refuted = held is not None and not held
    if not isinstance(held, str) and not refuted and ceiling - min(values) <= UNDECIDED:
        row["here"] = _listed([*claim.numbers, claim.bound], [*values, ceiling])
        held = "not testable, too near the ceiling"
    return row | {"verdict": GIVEN if claim.given and twin and held is True else in_words(held)}


def _listed(names: Iterable[str], values: Iterable[float]) -> str:
    """Numbers in words, such as "NSE of Q: HydroPyNN 0.59, Hybrid(Q,S) 0.66; members 10"."""
    named = [
        (*name.rpartition(", ")[::2], f"{v:.3g}") for name, v in zip(names, values, strict=True)
    ]
    parts = []
    for measure, group in groupby(named, key=lambda one: one[0]):
        text = ", ".join(f"{title} {value}" for _, title, value in group)
        parts.append(f"{measure}: {text}" if measure else text)
    return "; ".join(parts)


def judge_all(
    claims: Iterable[Claim], numbers: Mapping[str, float], twin: bool = False
) -> Verdicts:
    """Judge claims by the numbers of a chapter; see :func:`judge`."""
    rows = [judge(claim, numbers, twin) for claim in claims]
    return Verdicts(pd.DataFrame(rows, index=range(1, len(rows) + 1)))


def side_by_side(tables: Mapping[str, Verdicts], all_numbers: bool = False) -> Verdicts:
    """Join verdicts on the same claims, of several periods or schemes.

    Args:
        tables: by the name of the period or scheme; the first one counts most.
        all_numbers: show the numbers of all, also where their verdict is the same.

    Returns:
        The claims; a verdict is told once where all agree, else for each.
    """
    first = next(iter(tables.values())).table
    verdict, here = [], []
    for place in first.index:
        said = {name: one.table.verdict[place] for name, one in tables.items()}
        alike_all = len(set(said.values())) == 1
        verdict.append(first.verdict[place] if alike_all else _each(said))
        shown = {name: one.table.here[place] for name, one in tables.items()}
        all_shown = len(shown) > 1 and (all_numbers or not alike_all)
        here.append(_each(shown) if all_shown else first.here[place])
    return Verdicts(first.assign(verdict=verdict, here=here))


def _each(texts: Mapping[str, str]) -> str:
    return "; ".join(f"{text} ({name})" for name, text in texts.items())


def read_verdicts(notebook: Path) -> list[dict[str, str]]:
    """Verdicts that an executed notebook shows, one row each; none where it has not run."""
    if not notebook.is_file():
        return []
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [row for output in outputs for row in output.get("metadata", {}).get(KEY, [])]
