"""The schemes side by side: weights found where they are kept, or trained here, and then run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.hydropy.backend import tf
from hybridlib.learning import evaluation
from hybridlib.learning.folder import CONFIG, WEIGHTS, identity
from hybridlib.learning.networks import METEOROLOGY, REPLACEMENT_FILTERS
from hybridlib.learning.problem import build_problem
from hybridlib.learning.run import Run
from hybridlib.learning.schemes import SCHEMES, find_scheme
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


def possible_schemes(study: Study) -> list[str]:
    """Names of the schemes that a study has the data for."""
    names = FIVE if study.has("twsa") else WITHOUT_STORAGE
    radiation = set(METEOROLOGY) <= set(study.forcing)
    return [name for name in names if radiation or not SCHEMES[name].replacement]


def in_focus(schemes: Mapping[str, Run], name: str, report: Callable[[str], None] = print) -> str:
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
        found = [one for one in found if (one / CONFIG).is_file() and _of(study, Run.open(one))]
        if found and not retrain:
            folders[name], how = found, "weights kept in"
        else:
            most = 0 if retrain else steps
            folder = _workshop(study) / (f"{most}-steps" if most else "full") / name
            _train(Settings(scheme=name, study=str(study.path), epochs=most), folder, report)
            few = f"none kept; a demonstration (steps: at most {most}) in"
            folders[name], how = [folder], few if most else "trained in full in"
        report(f"{SCHEMES[name].title}: {how} {', '.join(map(_shown, folders[name]))}")
    return folders


def _of(study: Study, run: Run) -> bool:
    """Whether a run is finished, and this study's own."""
    return run.trained and run.is_of(study)


def caution(schemes: Mapping[str, Run]) -> None:
    """Say that verdicts mean nothing where a scheme was trained for a few steps only, to show it.

    Args:
        schemes: by title.
    """
    short = [title for title, one in schemes.items() if 0 < one.config.epochs < ENOUGH_STEPS]
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


def open_all(study: Study, folders: Mapping[str, Sequence[Path]]) -> dict[str, Run]:
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
    first = Run.open(*folders[richest], study=study)
    reading = first.problem
    opened = {"HydroPyNN": Run.untrained(study, reading=reading)}
    for name, runs in folders.items():
        run = first if name == richest else Run.open(*runs, study=study, reading=reading)
        if run.split != first.split:
            raise InputError(f"{run.folder}: trained on {run.split}; expected {first.split}")
        opened[run.title] = run
    return opened


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
    there = {name: project() / folder for name, folder in runs.items()}
    opened = {name: Run.open(one) for name, one in there.items() if (one / CONFIG).is_file()}
    rows = {}
    for name, run in ((name, run) for name, run in opened.items() if _of(study, run)):
        last = run.history[run.history.phase == "fit"].iloc[-1]
        rows[name] = {
            "steps": run.steps(0),
            "loss": last.loss_0,
            "mean NSE of Q": last.nse_discharge_0,
            "mean NSE of TWSA": last.get("nse_twsa_0", np.nan),
            "hours": run.history.seconds.sum() / 3600.0 / run.config.members,
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
    own: dict = {"split": split, "fold": fold, "folds": folds, "choose": False}
    settings = Settings(scheme=name, study=str(study.path), epochs=steps, **own)
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


def loss_by_precision(trained: Run) -> pd.DataFrame:
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


def _pet_in_bfloat16(trained: Run, days: np.ndarray) -> np.ndarray:
    """PET of the first member on some days in a row, mm d-1, (time, cell)."""
    problem = trained.problem
    learner = problem.learner(trained.config.seed, "bfloat16")
    learner.set_weights(trained.learners[0].get_weights())
    halo = len(REPLACEMENT_FILTERS)
    around = slice(days[0] - halo, days[-1] + halo + 1)
    assert problem.window is not None, "the scheme has no replacement network"
    weather = problem.window.weather[around]
    window = replace(problem.window, weather=weather, chunk=len(weather))
    reference = problem.weather.pet[around]
    return learner.pet(reference, window).numpy()[halo : halo + len(days)]
