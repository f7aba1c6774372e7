"""Do settings mean what they say, and is one that cannot serve named?"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridlib.learning.schemes import SCHEMES
from hybridlib.learning.settings import PRESETS, Settings, split_of
from hybridlib.study.schema import InputError
from hybridlib.study.splits import Period, Split, station_groups


def _settings(**options) -> Settings:
    return Settings(**{"scheme": "hybrid_qs", "study": "none.zarr"} | options)


@pytest.mark.parametrize(
    ("preset", "step", "kind", "rate"),
    [
        ("paper", 0, "free", 5e-4),
        ("paper", 299, "network", 5e-4),
        ("fast", 0, "free", 0.01),  # the first of ten steps of warming up
        ("fast", 9, "network", 0.01 * 0.5**0.2),
        ("fast", 45, "free", 0.05),
        ("fast", 90, "network", 0.0025),
    ],
)
def test_what_is_the_learning_rate_of_a_step(preset, step, kind, rate):
    assert PRESETS[preset].rate(step, kind) == pytest.approx(rate)


def test_is_a_run_one_member_of_the_kept_groups_unless_told():
    plain = _settings()
    assert (plain.members, plain.seed, plain.split_seed, plain.deterministic) == (1, 0, 0, False)


@pytest.mark.parametrize(
    ("options", "steps"),
    [({}, 100), ({"preset": "paper"}, 300), ({"epochs": 7}, 7)],
)
def test_how_many_steps_are_made_at_most(options, steps):
    assert _settings(**options).steps == steps


def test_does_patience_end_the_papers_choice_of_steps_only_with_its_steps():
    assert (PRESETS["paper"].patience, PRESETS["fast"].patience) == (300, 15)


def test_is_a_weight_of_ones_own_taken_and_else_the_schemes():
    own = SCHEMES["hybrid_qs"]
    assert _settings().weighted_scheme() == own
    for weight in (0.0, 0.3, 1.0):
        assert _settings(weight=weight).weighted_scheme().weights == (weight, 1.0 - weight)
    assert _settings(weight=0.3).weighted_scheme().title == own.title


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"split": "random"}, "split 'random' is unknown; expected temporal or spatial or spatio"),
        ({"precision": "int8"}, "precision 'int8' is unknown; expected float32 or bfloat16"),
        ({"members": 2.0}, "members is 2.0; expected int"),
        ({"epochs": -1}, "epochs is -1; expected at least 0"),
        ({"members": 0}, "members is 0; expected at least 1"),
        ({"seed": -1}, "seed is -1; expected at least 0"),
        ({"split_seed": -1}, "split_seed is -1; expected at least 0"),
        ({"fold": -1}, "fold is -1; expected 0 with the temporal split"),
        ({"fold": 1}, "fold is 1; expected 0 with the temporal split"),
        ({"split": "spatial"}, "fold is 0; expected 1 to 4 with the spatial split"),
        ({"split": "spatial", "fold": 5}, "fold is 5; expected 1 to 4 with the spatial split"),
        ({"weight": 1.1}, "weight is 1.1; expected 0 to 1, or -1 for the scheme's own"),
        ({"weight": -0.5}, "weight is -0.5; expected 0 to 1, or -1 for the scheme's own"),
        ({"scheme": "lstm"}, "scheme 'lstm' is unknown"),
    ],
)
def test_is_a_setting_that_cannot_serve_named(options, told):
    with pytest.raises(InputError) as refused:
        _settings(**options)
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize(
    "options", [{"split": "spatial", "fold": 1}, {"split": "spatiotemporal", "fold": 4}]
)
def test_are_the_first_and_the_last_fold_taken(options):
    assert _settings(**options).fold == options["fold"]


STATIONS = list("abcdefgh")


def _study(discharge=1.0, **attrs):
    """Weather of 2001-2016; discharge from 2003 on, or none."""
    days = pd.date_range("2001-01-01", "2016-12-31")
    values = np.where(days.year.values[:, None] >= 2003, discharge, np.nan) * np.ones(len(STATIONS))
    coords = {"time": days, "station": STATIONS}
    return SimpleNamespace(
        path="some.zarr",
        days=days,
        discharge=xr.Dataset({"discharge": (("time", "station"), values)}, coords),
        twsa=xr.Dataset(attrs=attrs),
        has=lambda group: bool(attrs),
    )


def test_which_years_of_a_study_train():
    assert split_of(_study()) == Split(Period(2003, 2012), Period(2013, 2016))
    late = _study(baseline_last="2014-12")  # the years of the baseline train, too
    assert split_of(late) == Split(Period(2003, 2014), Period(2015, 2016))
    own = _settings(train="2004-2006", validation="2010", folds=9).split_of(_study())
    assert own == Split(Period(2004, 2006), Period(2010, 2010))


def test_does_discharge_of_one_gauge_begin_the_record():
    study = _study()
    study.discharge.discharge[:, 1:] = np.nan
    assert split_of(study) == split_of(_study())


@pytest.mark.parametrize("fold", [1, 2, 3])
def test_does_a_fold_hold_out_its_own_group(fold):
    settings = _settings(split="spatiotemporal", fold=fold, folds=3, split_seed=5)
    assert settings.split_of(_study()).held_out == station_groups(STATIONS, 3, 5)[fold - 1]


def test_is_a_study_without_discharge_refused():
    with pytest.raises(InputError, match="some.zarr: discharge has no observation at any gauge"):
        split_of(_study(np.nan))
