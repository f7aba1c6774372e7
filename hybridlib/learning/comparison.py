"""The schemes side by side: weights found where they are kept, or trained here, and then run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.model import known_variables
from hybridlib.learning import evaluation
from hybridlib.learning.networks import METEOROLOGY, REPLACEMENT_FILTERS
from hybridlib.learning.problem import Problem, build_problem
from hybridlib.learning.run import (
    WEIGHTS,
    Run,
    identity,
    steps_made,
)
from hybridlib.learning.schemes import SCHEMES, Learner, find_scheme
from hybridlib.learning.settings import Settings
from hybridlib.learning.training import Fit, train
from hybridlib.study.files import project
from hybridlib.study.schema import InputError
from hybridlib.study.splits import FOLDS, Period
from hybridlib.study.store import Study

FIVE = ("hydropynn", "hydropynn_qs", "hybrid_q", "hybrid_qs", "hybrid_qs_plus")
"""The paper's five schemes, in its order."""
WITHOUT_STORAGE = ("hydropynn", "hydropynn_q", "hybrid_q")
"""What is left of them where there is no gravimetry."""
COARSE_DAYS = 120
"""Days on which bfloat16 is tried; a processor without it takes long."""
ENOUGH_STEPS = 20
"""Steps below which a training only shows how it works."""
LIVE_YEARS = 3
"""Years of the training period that a demonstration fits."""


@dataclass(frozen=True)
class Trained:
    """A scheme on all days of a study, ready to run.

    Attributes:
        problem: the scheme on the study.
        learners: its members.
        config: of its run, with all members where they were trained in a run each; empty for the
            untrained scheme.
        history: one row a step, each member's numbers in columns of its own; empty for the
            untrained scheme.
    """

    problem: Problem
    learners: list[Learner]
    config: dict
    history: pd.DataFrame

    @cached_property
    def pet(self) -> np.ndarray:
        """PET of every member, mm d-1, (member, time, cell)."""
        problem = self.problem
        pets = [learner.pet(problem.weather.pet, problem.window) for learner in self.learners]
        return np.stack([pet.numpy() for pet in pets])

    def places(self, member: int = -1) -> list[int]:
        """Places of one member, or of all; the untrained scheme has only one, whoever asks.

        Args:
            member: its place; -1 for all.

        Raises:
            InputError: a member that is not there.
        """
        count = len(self.learners)
        if not self.problem.scheme.trained:
            return [0]
        if not -1 <= member < count:
            raise InputError(
                f"{self.problem.scheme.title}: member is {member}; expected 0 to {count - 1}, or "
                "-1 for all"
            )
        return list(range(count)) if member < 0 else [member]


def possible_schemes(study: Study) -> list[str]:
    """Names of the schemes that a study has the data for."""
    names = FIVE if study.has("twsa") else WITHOUT_STORAGE
    radiation = set(METEOROLOGY) <= set(study.forcing)
    return [name for name in names if radiation or not SCHEMES[name].replacement]


def in_focus(
    schemes: Mapping[str, Trained], name: str, report: Callable[[str], None] = print
) -> str:
    """Title of the scheme asked for; where it is not there, of the richest one that is.

    Args:
        schemes: by title, in the paper's order.
        name: of the scheme asked for.
        report: called with a sentence where another one is taken.

    Raises:
        InputError: a name that no scheme has.
    """
    title = find_scheme(name).title
    if title in schemes:
        return title
    richest = list(schemes)[-1]
    report(f"{title} is not among the schemes that can be shown here; {richest} is")
    return richest


def find_or_train(
    study: Study,
    kept: Path | str,
    steps: int,
    retrain: bool = False,
    report: Callable[[str], None] = print,
) -> dict[str, list[Path]]:
    """Find runs of every scheme that a study has the data for; train where there is none.

    What is trained here lies in ``build/runs``, in a folder of the study's own, and is found
    there the next time; a training that was stopped goes on.

    Args:
        study: the prepared study.
        kept: folder with finished runs, named by scheme, or by scheme and member where members
            have a run each; relative to the project's folder.
        steps: most steps of a scheme without kept weights: enough to see it work, no more.
        retrain: train every scheme in full, whatever is kept.
        report: called with a sentence for every scheme.

    Returns:
        The folders of each scheme's runs, by the scheme's name.

    Raises:
        InputError: no step.
    """
    if steps < 1:
        raise InputError(f"live_steps is {steps}; expected at least 1 (retrain trains in full)")
    kept, folders = project() / kept, {}
    for name in filter(lambda name: SCHEMES[name].trained, possible_schemes(study)):
        found = [kept / name] if (kept / name).exists() else sorted(kept.glob(f"{name}-member*"))
        found = [one for one in found if (one / WEIGHTS).is_file() and Run.open(one).is_of(study)]
        if found and not retrain:
            folders[name], how = found, "weights kept in"
        else:
            most = 0 if retrain else steps
            folder = _workshop(study) / (f"{most}-steps" if most else "full") / name
            _train(Settings(name, str(study.path), epochs=most), folder, report)
            few = f"none kept; a demonstration (steps: at most {most}) in"
            folders[name], how = [folder], few if most else "trained in full in"
        report(f"{SCHEMES[name].title}: {how} {', '.join(map(_shown, folders[name]))}")
    return folders


def caution(schemes: Mapping[str, Trained]) -> None:
    """Say that verdicts mean nothing where a scheme was trained for a few steps only, to show it.

    Args:
        schemes: by title.
    """
    configs = {title: one.config for title, one in schemes.items() if one.config}
    short = [title for title, config in configs.items() if 0 < config["epochs"] < ENOUGH_STEPS]
    if short:
        print(f"CAUTION: few steps of training, for show ({', '.join(short)}); no verdict counts")


def _workshop(study: Study) -> Path:
    """Where runs of a study lie that are not kept."""
    path = str(study.path.resolve())
    about = " ".join([path, *(identity(study)[name] for name in ("basin", "data"))])
    digest = hashlib.sha256(about.encode()).hexdigest()[:8]
    return project() / "build" / "runs" / f"{study.path.stem}-{digest}"


def _shown(path: Path) -> str:
    return str(path.relative_to(project()) if path.is_relative_to(project()) else path)


def _train(settings: Settings, folder: Path, report: Callable[[str], None]) -> None:
    """Train unless that was done before; of a full training every tenth step is reported."""

    def progress(row: dict) -> None:
        if settings.epochs == 0 and row["epoch"] % 10 == 0:
            report(f"{settings.scheme}, {row['phase']} {row['epoch']}: loss {row['loss']:.3f}")

    if not (folder / WEIGHTS).is_file():
        train(settings, folder, resume=folder.exists(), progress=progress)


def open_all(study: Study, folders: Mapping[str, Sequence[Path]]) -> dict[str, Trained]:
    """Open the untrained scheme and runs of others on one reading of the weather.

    Args:
        study: the prepared study.
        folders: of :func:`find_or_train`, at least one.

    Returns:
        The schemes by title, in the paper's order.

    Raises:
        InputError: what :class:`hybridlib.learning.run.Run` refuses, or runs of two
            splits.
    """
    richest = max(folders, key=lambda name: SCHEMES[name].replacement)
    first = Run.open(folders[richest][0], study).problem()
    untrained = _with_scheme(first, "hydropynn")
    opened = {"HydroPyNN": Trained(untrained, [untrained.learner(0)], {}, pd.DataFrame())}
    for name, runs in folders.items():
        problem = _with_scheme(first, name)
        opened[problem.scheme.title] = _open_members(problem, runs)
    return opened


def _open_members(problem: Problem, folders: Sequence[Path]) -> Trained:
    """A scheme with the members of all its runs."""
    learners, histories, members = [], [], 0
    for folder in folders:
        run = Run.open(folder, problem.study)
        if run.split != problem.split:
            raise InputError(f"{folder}: trained on {run.split}; expected {problem.split}")
        own, history = run.learners(problem), run.history.set_index(["phase", "epoch"])
        if members:
            history = history.drop(columns="seconds")
        histories.append(history.rename(columns=lambda name, by=members: _shifted(name, by)))
        learners += own
        members += len(own)
    history = pd.concat(histories, axis=1).reset_index()
    return Trained(problem, learners, run.config | {"members": members}, history)


def _shifted(column: str, by: int) -> str:
    """The column of a later member: "loss_0" shifted by 2 is "loss_2"."""
    name, _, member = column.rpartition("_")
    return f"{name}_{int(member) + by}" if member.isdigit() else column


def _with_scheme(problem: Problem, name: str) -> Problem:
    """Another scheme on the same weather and stores."""
    scheme = find_scheme(name)
    return replace(problem, scheme=scheme, window=problem.window if scheme.replacement else None)


def simulate_all(schemes: Mapping[str, Trained]) -> dict[str, xr.Dataset]:
    """Observations and simulations of every scheme, by title.

    See :func:`hybridlib.learning.evaluation.simulate_members`.
    """
    return {
        title: evaluation.simulate_members(trained.problem, trained.learners, trained.pet)
        for title, trained in schemes.items()
    }


def simulate_fields(trained: Trained, variables: Sequence[str], member: int = -1) -> xr.Dataset:
    """Run a scheme on all its days and keep fields of every cell.

    Args:
        trained: the scheme.
        variables: names in :data:`hybridlib.hydropy.model.VARIABLES`.
        member: place of one member; -1 for the mean over all of them.

    Returns:
        Each variable, (time, cell), float32, in the unit of
        :data:`hybridlib.hydropy.model.VARIABLES`.

    Raises:
        InputError: an unknown variable, or a member that is not there.
    """
    names, problem = known_variables(variables), trained.problem
    chosen = trained.places(member)
    total: dict[str, np.ndarray | float] = dict.fromkeys(names, 0.0)
    for place in chosen:
        weather = problem.weather._replace(pet=tf.constant(trained.pet[place]))
        parameters = trained.learners[place].parameters()
        _, series = problem.model.run(weather, parameters, problem.start, names)
        for name in names:
            total[name] = total[name] + np.asarray(series[name]) / len(chosen)
    fields = {name: (("time", "cell"), field) for name, field in total.items()}
    return xr.Dataset(fields, {"time": problem.days})


def medians(scores: Mapping[str, xr.Dataset], metric: str = "NSE") -> pd.DataFrame:
    """Median over gauges and over boxes in the validation years, one row a scheme.

    Args:
        scores: of :func:`hybridlib.learning.evaluation.score`, by title.
        metric: "NSE", "KGE" or "RMSE".
    """
    rows = {}
    for title, scored in scores.items():
        chosen = scored.sel(metric=metric, period="validation").mean("member")
        series = (name for name in evaluation.UNITS if name in chosen)
        rows[title] = {name: float(chosen[name].median()) for name in series}
    return pd.DataFrame.from_dict(rows, orient="index")


def schedules(study: Study, runs: Mapping[str, Path | str]) -> pd.DataFrame:
    """Compare how runs of one scheme ended.

    Args:
        study: the prepared study.
        runs: folder of each run by a name for it; relative to the project's folder. Those that
            are not finished, or of another study, are left out.

    Returns:
        Steps of the refit, loss and mean NSE before the last one (first member), and hours of
        all steps for each member; one row a run.
    """
    rows = {}
    for name, folder in runs.items():
        folder = project() / folder
        if not (folder / WEIGHTS).is_file() or not Run.open(folder).is_of(study):
            continue
        run = Run.open(folder)
        history = run.history
        last = history[history.phase == "fit"].iloc[-1]
        rows[name] = {
            "steps": steps_made(history, run.config, 0),
            "loss": last.loss_0,
            "mean NSE of Q": last.nse_discharge_0,
            "mean NSE of TWSA": last.get("nse_twsa_0", np.nan),
            "hours": history.seconds.sum() / 3600.0 / run.config["members"],
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def train_live(
    study: Study,
    name: str,
    steps: int,
    years: int = LIVE_YEARS,
    split: str = "temporal",
    fold: int = 0,
    folds: int = FOLDS,
) -> pd.DataFrame:
    """Fit a scheme to the first years of the training period, without keeping anything.

    Args:
        study: the prepared study.
        name: of the scheme.
        steps: how many.
        years: of the training period; more where the storage baseline begins later.
        split: "temporal", or another with a fold.
        fold: group of gauges held out.
        folds: number of groups.

    Returns:
        Loss and mean NSE before the first step and after each.
    """
    settings = Settings(name, str(study.path), split, fold, folds, epochs=steps, choose=False)
    whole = settings.split_of(study)
    last = whole.train.first + years - 1
    if study.has("twsa"):
        last = max(last, int(study.twsa.attrs["baseline_first"][:4]))
    short = replace(whole, train=Period(whole.train.first, min(last, whole.train.last)))
    problem = build_problem(study, find_scheme(name), short, short.train.last)
    fit = Fit(problem, settings)
    while not fit.done:
        fit.step()
    after = problem.objective(short.train)(*problem.predict(fit.learners))
    names = {"loss": "loss", "nse_discharge": "mean NSE of Q", "nse_twsa": "mean NSE of TWSA"}
    rows = [{text: row[f"{key}_0"] for key, text in names.items()} for row in fit.history]
    rows.append({text: float(after[key]) for key, text in names.items()})
    return pd.DataFrame(rows).rename_axis("steps")


def loss_by_precision(trained: Trained) -> pd.DataFrame:
    """Loss of the first training year, its first days' PET corrected in float32 or in bfloat16.

    Args:
        trained: a scheme with a replacement network; of its members the first is taken, and
            :data:`COARSE_DAYS` days.

    Returns:
        Rows "float32" and "bfloat16"; loss, mean NSE of discharge and of storage, and the largest
        difference of PET to float32, mm d-1.
    """
    problem, pet = trained.problem, trained.pet[0]
    year = Period(*[problem.split.train.first] * 2)
    days, coarse = np.flatnonzero(year.holds(problem.days))[:COARSE_DAYS], pet.copy()
    coarse[days] = _pet_in_bfloat16(trained, days)
    objective, rows = problem.objective(year), {}
    for precision, field in (("float32", pet), ("bfloat16", coarse)):
        weather = problem.weather._replace(pet=tf.constant(field))
        parameters = trained.learners[0].parameters()
        _, series = problem.model.run(weather, parameters, problem.start, ("dis", "tws"))
        see = problem.instruments
        scores = objective(see.discharge(series["dis"]), see.anomaly(series["tws"]))
        rows[precision] = {name: float(value) for name, value in scores.items()}
        rows[precision]["pet_difference"] = float(abs(field - pet).max())
    return pd.DataFrame.from_dict(rows, orient="index")


def _pet_in_bfloat16(trained: Trained, days: np.ndarray) -> np.ndarray:
    """PET of the first member on some days in a row, mm d-1, (time, cell)."""
    problem, config = trained.problem, trained.config
    learner = problem.learner(config["seed"], "bfloat16")
    learner.set_weights(trained.learners[0].get_weights())
    halo = len(REPLACEMENT_FILTERS)
    around = slice(days[0] - halo, days[-1] + halo + 1)
    assert problem.window is not None, "the scheme has no replacement network"
    weather = problem.window.weather[around]
    window = replace(problem.window, weather=weather, chunk=len(weather))
    reference = problem.weather.pet[around]
    return learner.pet(reference, window).numpy()[halo : halo + len(days)]
