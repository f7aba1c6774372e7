"""What gauges that were held out tell, in tables and in numbers for the claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
import xarray as xr

from hybridlib.analysis.inventory import name_of
from hybridlib.experiments.results import PARTS, paired, part_of
from hybridlib.learning.schemes import SCHEMES
from hybridlib.study.splits import trained_neighbours
from hybridlib.study.store import Study


def parts_table() -> pd.DataFrame:
    """List the parts of the data that each split tells apart."""
    which = {None: "all gauges", False: "gauges that train", True: "gauges held out"}
    years = {"train": "training years", "validation": "validation years"}
    rows = [
        {"split": split, "part": part, "gauges": which[out], "years": years[period]}
        for split, parts in PARTS.items()
        for part, (period, out) in parts.items()
    ]
    table = pd.DataFrame(rows)
    table.loc[table.split == "spatial", "years"] = "all"
    return table.set_index(["split", "part"])


def groups_table(study: Study, groups: Iterable[Sequence[str]]) -> pd.DataFrame:
    """List the gauges of every fold, names shortened, and what trained gauges tell of them.

    Args:
        study: the prepared study.
        groups: names of the gauges held out together, a group a fold.

    Returns:
        A row (fold, station), of :func:`hybridlib.study.splits.trained_neighbours`.
    """
    cells, stations = study.gauge_cells, [str(name) for name in study.discharge.station.values]
    tables = {
        fold: trained_neighbours(study.basin, cells, stations, group).rename(index=name_of)
        for fold, group in enumerate(groups, 1)
    }
    table = pd.concat(tables, names=["fold"])
    return table.assign(**{"area measured": table["area measured"].map("{:.0%}".format)})


def readable_tests(table: pd.DataFrame) -> pd.DataFrame:
    """Format the tests of :func:`hybridlib.experiments.results.compare` for a page."""
    formats: Mapping[str, str] = {
        "median": "{:.2f}",
        "other median": "{:.2f}",
        "mean difference": "{:+.3f}",
        "p (t-test)": "{:.2g}",
        "p (Wilcoxon)": "{:.2g}",
    }
    return table.assign(**{name: table[name].map(how.format) for name, how in formats.items()})


def measures(results: xr.Dataset, finished: Mapping[str, Iterable[str]]) -> dict[str, float]:
    """Medians of discharge where gauges are held out, their tests, and the spread over members.

    Args:
        results: of :func:`hybridlib.experiments.results.read`.
        finished: names of schemes, of :func:`hybridlib.experiments.results.complete`, for the
            experiments
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
            numbers[f"mean difference to {other}"] = test["mean difference"]
            numbers[f"p to {other}"] = test["p (t-test)"]
    keys = {"experiment": "temporal", "scheme": "hybrid_qs"}
    if keys["scheme"] not in finished["temporal"]:
        return numbers
    members = part_of(results, "discharge", "validation", **keys).median("station")
    if members.size > 1:
        share = members.std(ddof=1) / (1 - members.mean())
        numbers["spread of members over distance of NSE from 1, Hybrid(Q,S)"] = float(share)
        numbers["members"] = float(members.size)
    return numbers
