"""A forward run of a study, and an iteration of Hybrid(Q,S)+ with all weights' gradients."""

from __future__ import annotations

from benchmarks.measure import Cost, cost_of
from hybridlib.hydropy.simulate import study_model, study_weather
from hybridlib.learning.problem import build_problem
from hybridlib.learning.schemes import find_scheme
from hybridlib.learning.settings import Settings, split_of
from hybridlib.learning.training import Fit
from hybridlib.twin.make import open_or_make

SCHEME = "hybrid_qs_plus"


def forward_run(path: str) -> Cost:
    """Cost of a forward run of all days, float32."""
    study = open_or_make(path)
    model = study_model(study)
    weather = study_weather(study, model)
    return cost_of(lambda: model.run(weather, variables=("dis", "tws")))[1]


def hybrid_iteration(path: str) -> Cost:
    """Cost of a step from the record's first day to the last one of the training period."""
    study = open_or_make(path)
    split = split_of(study)
    problem = build_problem(study, find_scheme(SCHEME), split, split.train.last)
    fit = Fit(problem, Settings(scheme=SCHEME, study=path, choose=False))
    return cost_of(fit.step, repeats=2)[1]
