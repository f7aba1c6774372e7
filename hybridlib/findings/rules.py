"""One judge for all claims: what a claim is, how it is held against measures, how it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeAlias

import numpy as np
import pandas as pd

KEY = "verdicts"
"""Under which a notebook keeps verdicts in the metadata of the table that readers see."""
COLUMNS = ("section", "the paper found", "its numbers", "here", "verdict")
UNDECIDED = 0.02
"""Median scores that differ by no more than this are called alike."""
GIVEN = "not testable, built into the twin"
MISSING = "not testable, the numbers are missing"
UNTRAINED_TOO = "not testable, the untrained model does so, too"
Held = bool | str | None
"""Whether a finding holds, None where the numbers decide nothing, or in words why they cannot."""
Measures: TypeAlias = "Mapping[str, float | str]"
"""What an analysis found, by name, which is a measure or, after a comma, whose it is, too."""


def listed(names: Sequence[str], values: Sequence[float | str], form: str = ".3g") -> str:
    """Numbers in words, such as "NSE of Q: HydroPyNN 0.59, Hybrid(Q,S) 0.66; members 10"."""
    named = [
        (*name.rpartition(", ")[::2], f"{v:{form}}") for name, v in zip(names, values, strict=True)
    ]
    parts = []
    for measure, group in groupby(named, key=lambda one: one[0]):
        text = ", ".join(f"{title} {value}" for _, title, value in group)
        parts.append(f"{measure}: {text}" if measure else text)
    return "; ".join(parts)


@dataclass(frozen=True)
class Claim:
    """A finding of the paper.

    Attributes:
        about: the subject whose measures judge it; empty where nothing here can.
        section: of the paper.
        text: the finding.
        paper: the paper's numbers, where it gives them.
        measures: names of those that judge it; "{scheme}" stands for the scheme in focus.
        holds: called with their values; whether the finding holds here.
        told: what is found here, in words with places for the values; numbers behind their names
            where it is empty.
        form: of these numbers.
        also: names of measures that are told, where they are known, but do not judge.
        bound: name of a score that no model can be expected to exceed.
        not_testable: why nothing here can judge it; empty where something does.
        given: whether a twin shows it by the way it was made, whatever was trained.
    """

    about: str
    section: str
    text: str
    paper: str = "–"
    measures: tuple[str, ...] = ()
    holds: Callable[..., Held] = bool
    told: str = ""
    form: str = ".3g"
    also: tuple[str, ...] = ()
    bound: str = ""
    not_testable: str = ""
    given: bool = False

    def of(self, scheme: str) -> Claim:
        """The claim with a scheme's title in its measures."""
        names = (
            [name.format(scheme=scheme) for name in part] for part in (self.measures, self.also)
        )
        measures, also = map(tuple, names)
        return replace(self, measures=measures, also=also)


def judge(claim: Claim, measures: Measures, twin: bool = False) -> dict[str, str]:
    """Hold a claim against measures.

    Args:
        claim: of the paper.
        measures: by name.
        twin: whether they are a twin's.

    Returns:
        section, "the paper found", "its numbers", "here", and the verdict, "reproduced", "not
        reproduced", "undecided" or "not testable" with the reason. Where ``Claim.bound`` is
        known and the weaker of two scores lies as near to it as :data:`UNDECIDED`, no difference
        could show: not testable.
    """
    row = dict(zip(COLUMNS, (claim.section, claim.text, claim.paper, "–", ""), strict=True))
    if claim.not_testable:
        return row | {"verdict": f"not testable, {claim.not_testable}"}
    if not claim.measures or not all(_known(measures, name) for name in claim.measures):
        return row | {"verdict": MISSING}
    names = [*claim.measures, *(name for name in claim.also if _known(measures, name))]
    values = [measures[name] for name in claim.measures]
    held = claim.holds(*values)
    held = held if held is None or isinstance(held, str) else bool(held)
    near = (
        _known(measures, claim.bound)
        and float(measures[claim.bound]) - min(map(float, values)) <= UNDECIDED
    )
    if near and held in (True, None):
        names.append(claim.bound)
        held = "not testable, too near the ceiling"
    if claim.given and twin and held is True:
        held = GIVEN
    shown = [measures[name] for name in names]
    here = claim.told.format(*shown) if claim.told else listed(names, shown, claim.form)
    return row | {"here": here, "verdict": in_words(held)}


def _known(measures: Measures, name: str) -> bool:
    """Whether a measure is there, and a number where it is no text."""
    value = measures.get(name, np.nan)
    return isinstance(value, str) or bool(np.isfinite(value))


def in_words(held: Held) -> str:
    """The verdict on a finding."""
    if isinstance(held, str):
        return held
    if held is None:
        return "undecided"
    return "reproduced" if held else "not reproduced"


class Verdicts:
    """Claims of the paper with a verdict each: a table for readers, and for the page of findings.

    Args:
        table: with the columns ``COLUMNS``.
    """

    def __init__(self, table: pd.DataFrame):
        self.table = table[list(COLUMNS)]

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        with pd.option_context("display.max_colwidth", None):
            html, text = self.table.to_html(), self.table.to_string()
        shown = {"text/html": html, "text/plain": text}
        return shown, {KEY: self.table.to_dict("records")}


def judge_all(
    claims: Iterable[Claim], measures: Measures, twin: bool = False, scheme: str = ""
) -> Verdicts:
    """Judge several claims, numbered from 1; see :func:`judge`.

    Args:
        claims: in the order of the table.
        measures: by name.
        twin: whether they are a twin's.
        scheme: title of the scheme in focus, for claims about one.
    """
    rows = [judge(claim.of(scheme), measures, twin) for claim in claims]
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
        verdict.append(first.verdict[place] if alike_all else _for_each(said))
        shown = {name: one.table.here[place] for name, one in tables.items()}
        all_shown = len(shown) > 1 and (all_numbers or not alike_all)
        here.append(_for_each(shown) if all_shown else first.here[place])
    return Verdicts(first.assign(verdict=verdict, here=here))


def _for_each(texts: Mapping[str, str]) -> str:
    return "; ".join(f"{text} ({name})" for name, text in texts.items())
