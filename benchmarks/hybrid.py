"""One iteration of Hybrid(Q,S)+: both networks, the run, the loss and all weights' gradients."""

from __future__ import annotations

from benchmarks.measure import Cost, cost_of
from hybridlib.problem import build_problem
from hybridlib.schemes import find_scheme
from hybridlib.training import Fit, Settings, split_of
from hybridlib.twin.make import open_or_make

SCHEME = "hybrid_qs_plus"


def hybrid_iteration(path: str) -> Cost:
    """Cost of a step from the record's first day to the last one of the training period."""
    study = open_or_make(path)
    split = split_of(study)
    problem = build_problem(study, find_scheme(SCHEME), split, split.train.last)
    fit = Fit(problem, Settings(SCHEME, path, choose=False))
    return cost_of(fit.step, repeats=2)[1]
