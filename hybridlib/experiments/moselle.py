"""A real basin: training on the Moselle at Perl, from several seeds, with both periods watched.

The data (prepared from mHM's test domain, LGPL-3.0) are not carried; what training on them gave
is, in ``data/results``. With a study of them, made by ``hybridlib prepare``, this renews it::

    from hybridlib.experiments import moselle
    moselle.keep(*moselle.train("moselle.zarr"))
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from hybridlib.learning.problem import Problem, build_problem
from hybridlib.learning.schemes import find_scheme
from hybridlib.learning.settings import Settings, split_of
from hybridlib.learning.training import Fit
from hybridlib.study.files import of_the_book, written_whole
from hybridlib.study.store import open_study

SCHEMES = ("hydropynn_q", "hybrid_q")
SEEDS = 5
WATCHED = 100
"""Steps that the curves show, beyond the chosen ones, to see what stopping there was worth."""
RESULTS = Path("data/results/moselle_training.csv")
CURVES = Path("data/results/moselle_curves.csv")
"""In the project."""
ORIGIN = (
    "# Moselle at Perl, daily, 24 km; trained 1990-1991, validated 1992-1993, by "
    "hybridlib.experiments.moselle.\n"
    "# Data from the test domain of mHM (LGPL-3.0), not carried by this project.\n"
)


def train(study: Path | str, steps: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train two schemes from five seeds; the validation years are watched, never used.

    Args:
        study: the prepared Moselle.
        steps: most steps, and those watched at least; 0 for the preset's and :data:`WATCHED`.

    Returns:
        scheme, seed, steps (chosen), train and validation (NSE at the outlet after the chosen
        steps), one row a seed; and the same scores after every step of a refit that goes on beyond
        the chosen number, with the untrained model as step 0.
    """
    results, curves = [], []
    for name in SCHEMES:
        settings = Settings(scheme=name, study=str(study), members=SEEDS, epochs=steps)
        data, scheme = open_study(study), find_scheme(name)
        split = split_of(data)
        fit = Fit(build_problem(data, scheme, split, split.train.last), settings)
        whole = build_problem(data, scheme, split, split.validation.last)
        while fit.phase == "choose":
            fit.step()
        # The same refit, from the same start, not stopped.
        watched = max(steps or WATCHED, *fit.chosen)
        longer = Fit(fit.problem, settings.model_copy(update={"choose": False, "epochs": watched}))
        rows = _watch(whole, longer)
        while not longer.done:
            longer.step()
            rows += _watch(whole, longer)
        curves += rows
        results += [row for row in rows if row["step"] == fit.chosen[row["seed"]]]
    final = pd.DataFrame(results).rename(columns={"step": "steps"})
    return final, pd.DataFrame(curves)


def _watch(whole: Problem, fit: Fit) -> list[dict]:
    """Score every member in both periods."""
    split, (discharge, twsa) = whole.split, whole.predict(fit.learners)
    scores = {
        period: whole.objective(years)(discharge, twsa)["nse_discharge"].numpy()
        for period, years in (("train", split.train), ("validation", split.validation))
    }
    return [
        {"scheme": whole.scheme.name, "seed": seed, "step": fit.epoch}
        | {period: float(values[seed]) for period, values in scores.items()}
        for seed in range(len(fit.learners))
    ]


def keep(results: pd.DataFrame, curves: pd.DataFrame) -> None:
    """Write both tables where the book reads them."""
    for path, table in ((RESULTS, results), (CURVES, curves)):
        with written_whole(of_the_book(path)) as part:
            part.write_text(ORIGIN + table.to_csv(index=False, float_format="%.4f"))


def kept_results() -> tuple[pd.DataFrame, pd.DataFrame]:
    """What :func:`train` gave where the data are.

    Raises:
        InputError: there is no project, which holds it.
    """
    return tuple(pd.read_csv(of_the_book(path), comment="#") for path in (RESULTS, CURVES))
