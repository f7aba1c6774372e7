"""What the paper found, what its twin says, and a verdict for each claim.

Claims about the schemes and their transfer stand here, those about one subject beside what
measures it. The paper is Wang et al. (2024), Water Resources Research 60, e2023WR036170; its
numbers are of the real Amazon.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
import xarray as xr

from hybridlib.results import paired, part_of
from hybridlib.schemes import SCHEMES, TRUTH
from hybridlib.verdicts import UNDECIDED, Claim, alike, better, judge, read_verdicts, surely_better

SMALL_SHARE = 0.1
"""Spread of members, over what their NSE lacks to 1, that counts as small; our choice."""
SERIES = {"discharge": "NSE of Q", "twsa": "NSE of TWSA"}


def _schemes(text: str, series: str, worse: str, best: str, paper: str = "–", how=better) -> Claim:
    """A claim of section 4.1 about medians of two schemes in the validation years."""
    name = SERIES[series]
    numbers = tuple(f"{name}, {title}" for title in (worse, best))
    bound = f"{name}, {TRUTH}"
    return Claim("4.1", text, paper, numbers, how, bound)


def _tested(other: str) -> tuple[str, str]:
    """Names of what a paired test of Hybrid(Q,S)+ and another scheme says."""
    return f"mean difference to {other}", f"p to {other}"


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
          ("held out, HydroPyNN", "held out, Hybrid(Q,S)+", *_tested("HydroPyNN")),
          surely_better),
    Claim("4.2", "at gauges held out, Hybrid(Q,S)+ is better than Hybrid(Q,S)",
          "Hybrid(Q,S) 0.66, Hybrid(Q,S)+ 0.80, p < 0.01",
          ("held out, Hybrid(Q,S)", "held out, Hybrid(Q,S)+", *_tested("Hybrid(Q,S)")),
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
            results_of_test = test["mean difference"], test["p (t-test)"]
            numbers |= zip(_tested(other), results_of_test, strict=True)
    keys = {"experiment": "temporal", "scheme": "hybrid_qs"}
    if keys["scheme"] not in finished["temporal"]:
        return numbers
    members = part_of(results, "discharge", "validation", **keys).median("station")
    if members.size > 1:
        share = members.std(ddof=1) / (1 - members.mean())
        numbers["spread of members over distance of NSE from 1, Hybrid(Q,S)"] = float(share)
        numbers["members"] = float(members.size)
    return numbers


def all_verdicts(folder: Path) -> pd.DataFrame:
    """Gather what the executed notebooks of a folder say, and what none of them can test.

    Returns:
        One row a claim: :data:`hybridlib.verdicts.COLUMNS` and "chapter", in the order of the
        paper's sections.
    """
    rows = [judge(claim, {}) | {"chapter": ""} for claim in UNTESTABLE]
    for path in sorted(folder.glob("*.ipynb")):
        rows += [row | {"chapter": path.stem} for row in read_verdicts(path)]
    table = pd.DataFrame(rows).sort_values("section", kind="stable")
    return table.set_index(pd.RangeIndex(1, len(table) + 1))
