"""What the run matrix gave: one dataset, tables with their provenance, and statistics.

Everything is computed again from the runs' own folders; nothing is typed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from hybridlib.experiments.matrix import HYDROGRAPHS, Matrix, Task, expand, finished
from hybridlib.learning.evaluation import UNITS
from hybridlib.learning.folder import METRICS, read_values
from hybridlib.learning.provenance import read_commits
from hybridlib.learning.run import Run
from hybridlib.learning.schemes import find_scheme
from hybridlib.study.files import from_project, written_whole
from hybridlib.study.schema import InputError
from hybridlib.study.splits import trained_neighbours
from hybridlib.study.store import open_study

DATASET, RUNS, SUMMARY, TO_DO = "results.nc", "runs.csv", "summary.csv", "to_do.csv"
NEIGHBOURS = "gauges.csv"
KEYS = ("experiment", "scheme", "split", "weight", "replacement")
"""What tells one line of the summary from another; folds and members are joined in it."""
PACED = ("experiment", "name", "scheme", "replacement", "iterations", "hours")
"""Coordinates of a run that tell what others will take."""
PARTS: dict[str, dict[str, tuple[str, bool | None]]] = {
    "temporal": {"training": ("train", None), "validation": ("validation", None)},
    "spatial": {"training": ("train", False), "validation": ("validation", True)},
    "spatiotemporal": {
        "training": ("train", False),
        "validation in time": ("validation", False),
        "validation in space": ("train", True),
        "validation in both": ("validation", True),
    },
}
"""Parts of the data by split, as period and whether gauges are held out (None without such)."""


def collect(matrix: Matrix) -> xr.Dataset:
    """Gather the scores of all finished runs.

    Returns:
        discharge (run, metric, period, station), twsa (run, metric, period, box) and on a twin evap
        (run, metric, period), NaN in runs scored before it was; "run" is one
        member of one training, described by coordinates along it: experiment, name, scheme, split,
        fold, preset, member, weight (of discharge), replacement, steps (on all of the training
        years), iterations (with those that chose them), hours, water_from_nowhere_mm, commit,
        versions and held_out (run, station). Not every combination was trained, so these are no
        dimensions.

    Raises:
        InputError: no run is finished.
    """
    parts = [part for run in expand(matrix) if finished(run) for part in _members_of(run)]
    if not parts:
        raise InputError(f"{matrix.runs}: no finished run; `hybridlib experiments` performs them")
    joined = xr.concat(parts, "run", join="outer", combine_attrs="drop_conflicts", coords="all")
    return joined.assign_attrs(study=matrix.study)


def _members_of(task: Task) -> Iterable[xr.Dataset]:
    """Scores of every member of a run, with all that describes it."""
    run = Run.open(task.folder)
    config, history = run.config, run.history
    commit = read_commits(run.folder)
    versions = " ".join(f"{name} {number}" for name, number in config.versions.items())
    scores = read_values(run.folder / METRICS)
    for member in range(scores.sizes["member"]):
        described = {
            "experiment": task.experiment,
            "name": task.name,
            **config.model_dump(include={"scheme", "split", "fold", "preset"}),
            "member": config.seed + member,
            "weight": run.scheme.weights[0],
            "replacement": config.replacement,
            "steps": run.steps(member) if len(history) else 0,
            "iterations": len(history),
            "hours": float(history.seconds.sum()) / 3600.0 / scores.sizes["member"],
            "water_from_nowhere_mm": scores.attrs["water_from_nowhere_mm"],
            "commit": commit,
            "versions": versions,
        }
        one = scores.isel(member=member).drop_vars("member")
        yield one.assign_coords(described).expand_dims("run").drop_attrs(deep=False)


def part_of(results: xr.Dataset, name: str, part: str, metric: str = "NSE", **keys) -> xr.DataArray:
    """Scores of one part of the data, (member, station or box); of evap (member,).

    With gauges held out in turn, a gauge's score in a part is the mean over the folds in which it
    belongs to it: one fold where it is held out, the others where it trains.

    Args:
        results: of :func:`collect`.
        name: "discharge", "twsa" or "evap".
        part: of :data:`PARTS`, such as "validation".
        metric: "NSE", "KGE" or "RMSE".
        **keys: what to choose, such as ``experiment="spatial", scheme="hybrid_qs"``.

    Raises:
        InputError: no such run, runs that differ in more than fold and member, or a part that
            their split does not have, or has not of storage.
    """
    chosen = select(results, **keys)
    for key in KEYS:
        if len(found := sorted(set(chosen[key].values))) > 1:
            raise InputError(f"runs of several kinds, {key} {found}; expected one: give {key}")
    split = str(chosen.split.values[0])
    if part not in PARTS[split]:
        raise InputError(f"part '{part}' is unknown in {split}; expected one of {[*PARTS[split]]}")
    period, held_out = PARTS[split][part]
    if held_out and name != "discharge":
        raise InputError(f"{name} of '{part}' in {split}: only gauges are held out in space")
    scores = chosen[name].sel(metric=metric, period=period)
    if held_out is not None and name == "discharge":
        scores = scores.where(chosen.held_out == held_out)
    return scores.groupby("member").mean()


def select(results: xr.Dataset, **keys) -> xr.Dataset:
    """The runs that agree with all keys.

    Raises:
        InputError: there is none.
    """
    match = np.ones(results.sizes["run"], bool)
    for key, value in keys.items():
        match &= results[key].values == value
    if not match.any():
        wanted = ", ".join(f"{key} {value}" for key, value in keys.items())
        raise InputError(f"no finished run with {wanted}; `hybridlib results` lists what there is")
    return results.isel(run=match)


def complete(results: xr.Dataset, matrix: Matrix, experiment: str) -> list[str]:
    """Schemes of an experiment of which every run is finished, in the matrix's order.

    None of one that the matrix does not have.
    """
    if experiment not in matrix.experiments:
        return []
    done: dict[str, bool] = {}
    names = set(results.name.values[results.experiment.values == experiment])
    for run in expand(matrix, [experiment]):
        scheme = run.settings.scheme
        done[scheme] = done.get(scheme, True) and run.name in names
    return [scheme for scheme, all_done in done.items() if all_done]


def held_out_pairs(matrix: Matrix, experiment: str, scheme: str) -> xr.Dataset:
    """Hydrographs of every gauge from the run that held it out, in the years that validate.

    Returns:
        discharge_observed (time, station) and discharge_simulated (member, time, station), m3 s-1.

    Raises:
        InputError: a run of these is not finished, or they differ in more than fold and member.
    """
    members: dict[int, dict[int, xr.Dataset]] = {}
    for run in (run for run in expand(matrix, [experiment]) if run.settings.scheme == scheme):
        if not run.settings.fold:
            raise InputError(f"{run}: holds no gauge out; expected an experiment in space")
        if not finished(run):
            raise InputError(f"{run.folder}: not finished; `hybridlib experiments` performs it")
        folds = members.setdefault(run.settings.seed, {})
        if run.settings.fold in folds:
            raise InputError(f"{experiment}: {scheme} has runs with several weights or networks")
        kept_run = Run.open(run.folder)
        kept, years = read_values(kept_run.folder / HYDROGRAPHS), kept_run.split.validation
        folds[run.settings.fold] = kept.isel(time=years.holds(kept.indexes["time"]))
    if not members:
        raise InputError(f"{experiment}: no run of {scheme}")
    each = [xr.concat(folds.values(), "station") for folds in members.values()]
    joined = xr.concat([one.discharge_simulated for one in each], "member")
    member = np.arange(joined.sizes["member"])
    return each[0].assign(discharge_simulated=joined.assign_coords(member=member))


def compare(
    results: xr.Dataset, pairs: Iterable[tuple[str, str, str, str]], metric: str = "NSE"
) -> pd.DataFrame:
    """Test several pairs of schemes.

    Args:
        results: of :func:`collect`.
        pairs: experiment, part, and the names of two schemes, the one expected to be better first.
        metric: "NSE", "KGE" or "RMSE".

    Returns:
        One row a pair, of :func:`paired`, for discharge.
    """
    rows = []
    for experiment, part, better, worse in pairs:
        sides = [
            part_of(results, "discharge", part, metric, experiment=experiment, scheme=scheme)
            for scheme in (better, worse)
        ]
        titles = [find_scheme(name).title for name in (better, worse)]
        about = {"experiment": experiment, "scheme": titles[0], "against": titles[1]}
        rows.append(about | paired(*sides))
    return pd.DataFrame(rows, columns=TESTED)


def summary(results: xr.Dataset) -> pd.DataFrame:
    """Medians and quartiles over gauges or boxes, of means over the members.

    Returns:
        One row for every group of runs, part, series and metric; "spread" is the standard deviation
        over members of their medians, NaN for one member; "folds" counts those that are finished.
        Without gravimetry there is no row for storage, nor where only gauges are held out: every
        box trains in every fold.
    """
    rows = []
    groups = pd.MultiIndex.from_arrays([results[key].values for key in KEYS]).unique()
    for values in groups:
        keys = dict(zip(KEYS, values, strict=True))
        runs = select(results, **keys)
        about = {"members": len(set(runs.member.values)), "folds": len(set(runs.fold.values))}
        for part, (_, held_out) in PARTS[keys["split"]].items():
            # Every box trains in every fold: storage is never held out in space.
            for name in ("discharge",) if held_out else (n for n in UNITS if n in results):
                for metric in results.metric.values:
                    scores = part_of(results, name, part, metric, **keys)
                    rows.append(keys | about | _quartiles(scores, part, name, metric))
    return pd.DataFrame(rows)


def rivals(results: xr.Dataset, runs: Iterable[tuple[str, str]], scheme: str) -> pd.DataFrame:
    """Compare kinds of the replacement network from the same start (Table S2).

    Args:
        results: of :func:`collect`.
        runs: experiment and kind of network; the first member of each is taken.
        scheme: its name.

    Returns:
        One row a kind, with median NSE of discharge and storage in the validation years, steps and
        hours.

    Raises:
        InputError: no such run, or several.
    """
    rows = {}
    for experiment, kind in runs:
        keys: dict = {"experiment": experiment, "scheme": scheme, "replacement": kind}
        keys["member"] = int(select(results, **keys).member.min())  # the first of them
        chosen = select(results, **keys)
        if (count := chosen.sizes["run"]) > 1:
            raise InputError(f"{experiment}: {count} runs of {scheme} with {kind}; expected one")
        row = {"steps": int(chosen.steps[0]), "hours": float(chosen.hours[0])}
        texts = {"discharge": "median NSE of Q", "twsa": "median NSE of TWSA"}
        for name, text in ((name, text) for name, text in texts.items() if name in results):
            row[text] = float(part_of(results, name, "validation", "NSE", **keys).median())
        rows[kind] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("network")


def wide(summary: pd.DataFrame, metric: str = "NSE") -> pd.DataFrame:
    """The summary for reading: median and quartiles of discharge and storage side by side."""
    chosen = summary[summary.metric == metric].copy()
    digits = "{:.3f}" if metric != "RMSE" else "{:,.0f}"
    chosen["scores"] = [
        f"{digits.format(row['median'])} ({digits.format(row['lower quartile'])} to "
        f"{digits.format(row['upper quartile'])})" if row["count"] else "–"
        for _, row in chosen.iterrows()
    ]  # fmt: skip
    schemes = [find_scheme(name) for name in chosen.scheme]
    weights, kinds = (zip(schemes, chosen[key], strict=True) for key in ("weight", "replacement"))
    chosen["weight"] = [f"{weight:g}" if scheme.trained else "–" for scheme, weight in weights]
    chosen["replacement"] = [kind if scheme.replacement else "–" for scheme, kind in kinds]
    index = ["experiment", "scheme", "weight", "replacement", "part", "members", "folds"]
    table = chosen.pivot(index=index, columns="series", values="scores").fillna("–")
    return table.reindex(chosen[index].drop_duplicates().itertuples(index=False, name=None))


def _quartiles(scores: xr.DataArray, part: str, name: str, metric: str) -> dict:
    mean = scores.mean("member").values
    mean = mean[np.isfinite(mean)]
    low, median, high = np.quantile(mean, [0.25, 0.5, 0.75]) if mean.size else [np.nan] * 3
    medians = scores.median(scores.dims[-1:])
    return {
        "part": part,
        "series": name,
        "metric": str(metric),
        "count": mean.size,
        "lower quartile": low,
        "median": median,
        "upper quartile": high,
        "spread": float(medians.std(ddof=1)) if medians.size > 1 else np.nan,
    }


TESTED = (
    "experiment", "scheme", "against", "pairs", "higher at", "median", "other median",
    "mean difference", "p (t-test)", "p (Wilcoxon)",
)  # fmt: skip
"""Columns of :func:`compare`."""


def paired(better: xr.DataArray, worse: xr.DataArray) -> dict[str, float]:
    """Test whether one scheme scores higher than another at the same gauges or boxes.

    Args:
        better: scores, (member, series); members are averaged.
        worse: of the other scheme, on the same series.

    Returns:
        The number of pairs, at how many the first is higher, both medians, the mean difference, and
        the two-sided p-values of the paired t-test (the paper's) and of Wilcoxon's signed-rank
        test, which asks no normality.
    """
    pair = xr.align(better.mean("member"), worse.mean("member"), join="inner")
    both = np.isfinite(pair[0]) & np.isfinite(pair[1])
    a, b = (side.values[both.values] for side in pair)
    if len(a) < 2:
        raise InputError(f"{len(a)} pairs of scores; expected at least two")
    return {
        "pairs": len(a),
        "higher at": int((a > b).sum()),
        "median": float(np.median(a)),
        "other median": float(np.median(b)),
        "mean difference": float((a - b).mean()),
        "p (t-test)": float(stats.ttest_rel(a, b).pvalue),
        "p (Wilcoxon)": float(stats.wilcoxon(a, b).pvalue),
    }


def provenance(results: xr.Dataset) -> pd.DataFrame:
    """One row a run and member: what it was, what it cost, which code made it."""
    names = (
        "experiment", "name", "scheme", "split", "fold", "member", "weight", "replacement",
        "preset", "steps", "iterations", "hours", "water_from_nowhere_mm", "commit", "versions",
    )  # fmt: skip
    return pd.DataFrame({name: results[name].values for name in names})


def plan(matrix: Matrix, only: Iterable[str] = (), results: xr.Dataset | None = None):
    """Runs of a matrix with what they cost by the pace of those that are finished.

    Args:
        matrix: of :func:`~hybridlib.experiments.matrix.read_matrix`.
        only: names of experiments; all by default.
        results: of :func:`collect`, where that was done before.

    Returns:
        Columns experiment, name, state ("done" or "to do"), members, steps (most that are made,
        those that choose their number included) and hours: what a finished run took, and of
        others the median time of a step in finished runs of the same scheme, for all steps; NaN
        where none tells.
    """
    states = {run: finished(run) for run in expand(matrix, only)}
    if results is None:
        known = any(finished(run) for run in expand(matrix))
        results = collect(matrix) if known else xr.Dataset({name: ("run", []) for name in PACED})
    rows = [_planned(run, done, results) for run, done in states.items()]
    return pd.DataFrame(rows, columns=["experiment", "name", "state", "members", "steps", "hours"])


def _planned(run: Task, done: bool, results: xr.Dataset) -> dict:
    """A row of the plan."""
    s = run.settings
    steps = s.steps * (2 if s.choose else 1) if find_scheme(s.scheme).trained else 0
    own = (results.experiment == run.experiment) & (results.name == run.name)
    alike = (results.scheme == s.scheme) & (results.replacement == s.replacement)
    paced = (alike & (results.iterations > 0)).values
    hours = np.nan
    if done and own.any():
        hours = float(results.hours.values[own.values].sum())
    elif not steps or paced.any():
        pace = (results.hours / results.iterations).values[paced]
        hours = float(np.median(pace)) * steps * s.members if steps else 0.0
    state = "done" if done else "to do"
    row = {"experiment": run.experiment, "name": run.name, "state": state, "members": s.members}
    return row | {"steps": steps, "hours": hours}


def to_do(matrix: Matrix, results: xr.Dataset) -> pd.DataFrame:
    """Rows of :func:`plan` that are not done."""
    table = plan(matrix, results=results)
    return table[table.state != "done"].drop(columns="state")


def neighbours(matrix: Matrix, results: xr.Dataset) -> pd.DataFrame:
    """Gauges of every fold, with :func:`~hybridlib.study.splits.trained_neighbours`.

    Returns:
        experiment, fold, station and what gauges that train tell of it; one row a gauge held out.
    """
    study = open_study(matrix.study)
    cells, stations = study.gauge_cells, [str(name) for name in study.discharge.station.values]
    tables = [pd.DataFrame(columns=["experiment", "fold", "station"])]
    folds = pd.MultiIndex.from_arrays([results[key].values for key in ("experiment", "fold")])
    for experiment, fold in (pair for pair in folds.unique() if pair[1]):
        held_out = select(results, experiment=experiment, fold=fold).held_out.isel(run=0)
        names = [str(name) for name in held_out.station.values[held_out.values]]
        table = trained_neighbours(study.basin, cells, stations, names).reset_index()
        tables.append(table.assign(experiment=experiment, fold=fold))
    return pd.concat(tables[1:] or tables)


def write(matrix: Matrix) -> xr.Dataset:
    """Gather all finished runs and keep dataset and tables in the matrix's folder of results."""
    results, folder = collect(matrix), from_project(matrix.results)
    with written_whole(folder / DATASET) as part:
        results.to_netcdf(part, encoding={n: {"zlib": True} for n in results.data_vars})
    tables = {
        RUNS: provenance(results),
        SUMMARY: summary(results),
        TO_DO: to_do(matrix, results),
        NEIGHBOURS: neighbours(matrix, results),
    }
    for name, table in tables.items():
        with written_whole(folder / name) as part:
            table.to_csv(part, index=False, float_format="%.4g")
    return results


def read(folder: Path | str) -> xr.Dataset:
    """Open the dataset that :func:`write` kept.

    Raises:
        InputError: there is none.
    """
    path = from_project(folder) / DATASET
    if not path.is_file():
        raise InputError(f"{path}: no results here; `hybridlib results` gathers them")
    return read_values(path)
