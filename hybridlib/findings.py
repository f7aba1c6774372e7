"""What the paper found, what its twin says, and a verdict for each claim.

Chapters show their claims as :class:`Verdicts`; the page of findings reads them from the executed
notebooks, so that no number on it was typed in. The paper is Wang et al. (2024), Water Resources
Research 60, e2023WR036170; its numbers are of the real Amazon.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.recovery import TRUTH
from hybridlib.results import paired, part_of
from hybridlib.schemes import SCHEMES

KEY = "verdicts"
"""Under which a notebook keeps verdicts in the metadata of the table that readers see."""
COLUMNS = ("section", "the paper found", "its numbers", "here", "verdict")
UNDECIDED = 0.02
"""Median scores that differ by no more than this are called alike."""
SIGNIFICANT = 0.01
"""The paper's level of significance."""
SMALL_SHARE = 0.1
"""Spread of members, over what their NSE lacks to 1, that counts as small; our choice."""
SERIES = {"discharge": "NSE of Q", "twsa": "NSE of TWSA"}


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
Held = bool | str | None
"""Whether a finding holds, None where the numbers decide nothing, or in words why they cannot."""


def in_words(held: Held) -> str:
    """The verdict on a finding."""
    if isinstance(held, str):
        return held
    if held is None:
        return "undecided"
    return "reproduced" if held else "not reproduced"


@dataclass(frozen=True)
class Claim:
    """A finding of the paper.

    Attributes:
        section: of the paper.
        text: the finding.
        paper: the paper's numbers, where it gives them.
        numbers: names of those that judge it.
        holds: called with them; whether the finding holds here.
        bound: name of a score that no model can be expected to exceed.
        not_testable: why nothing here can judge it; empty where something does.
    """

    section: str
    text: str
    paper: str = "–"
    numbers: tuple[str, ...] = ()
    holds: Callable[..., Held] = bool
    bound: str = ""
    not_testable: str = ""


def better(worse: float, best: float) -> bool | None:
    """Whether the second score is higher by more than :data:`UNDECIDED`; None where alike."""
    return None if abs(best - worse) <= UNDECIDED else best > worse


def alike(one: float, other: float) -> bool:
    """Whether two scores differ by no more than :data:`UNDECIDED`."""
    return abs(one - other) <= UNDECIDED


def surely_better(worse: float, best: float, p: float) -> bool | None:
    """As :func:`better`; None where a test does not say so, too."""
    return better(worse, best) if p < SIGNIFICANT else None


def _schemes(text: str, series: str, worse: str, best: str, paper: str = "–", how=better) -> Claim:
    """A claim of section 4.1 about medians of two schemes in the validation years."""
    name = SERIES[series]
    numbers = tuple(f"{name}, {title}" for title in (worse, best))
    bound = f"{name}, {TRUTH}"
    return Claim("4.1", text, paper, numbers, how, bound)


# fmt: off
SCHEME_CLAIMS = (
    _schemes("training improves discharge, without a network, too", "discharge",
             "HydroPyNN", "HydroPyNN(Q,S)", "HydroPyNN 0.59, HydroPyNN(Q,S) 0.76"),
    _schemes("parameters from a network serve discharge as well as free ones", "discharge",
             "HydroPyNN(Q,S)", "Hybrid(Q,S)", how=alike),
    _schemes("gravimetry costs some discharge", "discharge", "Hybrid(Q,S)", "Hybrid(Q)"),
    _schemes("trained on discharge alone, storage is worse than untrained", "twsa",
             "Hybrid(Q)", "HydroPyNN"),
    _schemes("gravimetry repairs storage", "twsa", "Hybrid(Q)", "Hybrid(Q,S)"),
    _schemes("learning PET improves discharge", "discharge",
             "Hybrid(Q,S)", "Hybrid(Q,S)+", "Hybrid(Q,S)+ 0.83"),
    _schemes("learning PET improves storage", "twsa",
             "Hybrid(Q,S)", "Hybrid(Q,S)+", "Hybrid(Q,S)+ 0.77"),
    _schemes("all together improve discharge", "discharge",
             "HydroPyNN", "Hybrid(Q,S)+", "HydroPyNN 0.59, Hybrid(Q,S)+ 0.83"),
    _schemes("all together improve storage", "twsa",
             "HydroPyNN", "Hybrid(Q,S)+", "HydroPyNN ≈ 0.57, Hybrid(Q,S)+ 0.77"),
)
"""What the paper found about the schemes in time (section 4.1, Figure 5)."""

TRANSFER_CLAIMS = (
    Claim("4.2", "at gauges held out, Hybrid(Q,S) is better than the untrained model",
          "HydroPyNN 0.63, Hybrid(Q,S) 0.66",
          ("held out, HydroPyNN", "held out, Hybrid(Q,S)"), better),
    Claim("4.2", "at gauges held out, Hybrid(Q,S)+ is better than the untrained model",
          "HydroPyNN 0.63, Hybrid(Q,S)+ 0.80, p < 0.01",
          ("held out, HydroPyNN", "held out, Hybrid(Q,S)+", "p, Hybrid(Q,S)+ and HydroPyNN"),
          surely_better),
    Claim("4.2", "at gauges held out, Hybrid(Q,S)+ is better than Hybrid(Q,S)",
          "Hybrid(Q,S) 0.66, Hybrid(Q,S)+ 0.80, p < 0.01",
          ("held out, Hybrid(Q,S)", "held out, Hybrid(Q,S)+", "p, Hybrid(Q,S)+ and Hybrid(Q,S)"),
          surely_better),
    Claim("4.2", "Hybrid(Q,S)+ keeps its skill where neither gauge nor year trained", "0.76",
          ("trained on, Hybrid(Q,S)+", "held out in both, Hybrid(Q,S)+"),
          lambda seen, unseen: unseen >= seen - UNDECIDED),
    Claim("5.3", "scores hardly depend on the random start", "ten repeats",
          ("spread of members over distance of NSE from 1, Hybrid(Q,S)", "members"),
          lambda share, members: share <= SMALL_SHARE),
)
"""What the paper found with gauges held out, and of other starts (sections 4.2 and 5.3)."""

UNTESTABLE = (
    Claim("3.1", "a network that sees neighbours corrects PET better than one that does not",
          "Table S2", not_testable="the twin's PET error has no neighbours in it"),
    Claim("4.1", "training is far cheaper than a heuristic calibration of HydroPy",
          not_testable="no calibration of the original was run here"),
    Claim("4.2", "at gauges held out, Hybrid(Q,S)+ falls below 0.70 at few", "3 of 24",
          not_testable="levels of twin and Amazon do not compare"),
    Claim("4.2", "held out, the hydrograph at Óbidos is met almost perfectly", "NSE 0.92",
          not_testable="levels of twin and Amazon do not compare; Figure 6b shows it"),
    Claim("5.3", "errors of weather and observations would add to the uncertainty",
          not_testable="the twin's weather has no error"),
)
# fmt: on


def judge(claim: Claim, numbers: Mapping[str, float]) -> dict[str, str]:
    """Hold a claim against the numbers of its chapter.

    Args:
        claim: of the paper.
        numbers: of the chapter, by name.

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
        "here": ", ".join(f"{n}: {v:.3g}" for n, v in zip(claim.numbers, values, strict=True))
        if known
        else "–",
    }
    if claim.not_testable or not known:
        why = claim.not_testable or "the numbers are missing"
        return row | {"verdict": f"not testable, {why}"}
    held = claim.holds(*values)
    ceiling = numbers.get(claim.bound, np.nan)
    refuted = held is not None and not held
    if not isinstance(held, str) and not refuted and ceiling - min(values) <= UNDECIDED:
        row["here"] += f", {claim.bound}: {ceiling:.3g}"
        held = "not testable, too near the ceiling"
    return row | {"verdict": in_words(held)}


def verdicts(claims: Iterable[Claim], numbers: Mapping[str, float]) -> Verdicts:
    """Judge claims by the numbers of a chapter."""
    rows = [judge(claim, numbers) for claim in claims]
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


def scheme_numbers(medians: pd.DataFrame) -> dict[str, float]:
    """Name the medians of :func:`hybridlib.comparison.medians` for the claims about schemes."""
    return {
        f"{SERIES[name]}, {title}": float(medians.loc[title, name])
        for name in medians.columns
        for title in medians.index
    }


def transfer_numbers(
    results: xr.Dataset, finished: Mapping[str, Iterable[str]]
) -> dict[str, float]:
    """Medians of discharge where gauges are held out, their tests, and the spread over members.

    Args:
        results: of :func:`hybridlib.results.read`.
        finished: names of schemes, of :func:`hybridlib.results.complete`, for the experiments
            "spatial", "spatiotemporal" and "temporal".
    """
    numbers, spatial = {}, {}
    parts = {"held out": ("spatial", "validation")}
    parts["trained on"] = ("spatiotemporal", "training")
    parts["held out in both"] = ("spatiotemporal", "validation in both")
    for text, (experiment, part) in parts.items():
        for name in finished[experiment]:
            scores = part_of(results, "discharge", part, experiment=experiment, scheme=name)
            numbers[f"{text}, {SCHEMES[name].title}"] = float(scores.mean("member").median())
            if experiment == "spatial":
                spatial[SCHEMES[name].title] = scores
    plus = "Hybrid(Q,S)+"
    if plus in spatial:
        for other in [title for title in spatial if title != plus]:
            test = paired(spatial[plus], spatial[other])
            numbers[f"p, {plus} and {other}"] = test["p (t-test)"]
    keys = {"experiment": "temporal", "scheme": "hybrid_qs"}
    if keys["scheme"] not in finished["temporal"]:
        return numbers
    members = part_of(results, "discharge", "validation", **keys).median("station")
    if members.size > 1:
        share = members.std(ddof=1) / (1 - members.mean())
        numbers["spread of members over distance of NSE from 1, Hybrid(Q,S)"] = float(share)
        numbers["members"] = float(members.size)
    return numbers


def read_verdicts(notebook: Path) -> list[dict[str, str]]:
    """Verdicts that an executed notebook shows, one row each; none where it has not run."""
    if not notebook.is_file():
        return []
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [row for output in outputs for row in output.get("metadata", {}).get(KEY, [])]


def all_verdicts(folder: Path) -> pd.DataFrame:
    """Gather what the executed notebooks of a folder say, and what none of them can test.

    Returns:
        One row a claim: :data:`COLUMNS` and "chapter", in the order of the paper's sections.
    """
    rows = [judge(claim, {}) | {"chapter": ""} for claim in UNTESTABLE]
    for path in sorted(folder.glob("*.ipynb")):
        rows += [row | {"chapter": path.stem} for row in read_verdicts(path)]
    table = pd.DataFrame(rows).sort_values("section", kind="stable")
    return table.set_index(pd.RangeIndex(1, len(table) + 1))
