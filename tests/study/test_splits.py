"""Do training and validation years follow the rule, and never overlap?"""

from __future__ import annotations

import cases
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hybridlib.learning.problem import build_problem
from hybridlib.learning.settings import Settings
from hybridlib.learning.training import Fit
from hybridlib.study.basin import Basin
from hybridlib.study.schema import InputError
from hybridlib.study.splits import (
    Period,
    Split,
    hold_out,
    station_groups,
    temporal_split,
    trained_neighbours,
)


def _days(first, last):
    return pd.date_range(f"{first}-01-01", f"{last}-12-31")


RECORDS = {
    "Amazon": ((2001, 2016), (2001, 2016), 2009, "2003-2012", "2013-2016"),
    "Moselle": ((1989, 1993), (1990, 1993), None, "1990-1991", "1992-1993"),
    "smoke": ((2001, 2006), (2001, 2006), 2005, "2003-2005", "2006-2006"),
    "discharge ends early": ((2001, 2016), (2001, 2010), None, "2003-2006", "2007-2010"),
    "discharge starts late": ((2001, 2016), (2007, 2016), 2009, "2007-2013", "2014-2016"),
    "baseline of all years": ((2001, 2006), (2001, 2006), 2006, "2003-2005", "2006-2006"),
    "three years": ((2001, 2003), (2001, 2003), None, "2002-2002", "2003-2003"),
}


@pytest.mark.parametrize("record", RECORDS)
def test_which_years_train_and_which_validate(record):
    weather, discharge, baseline, train, validation = RECORDS[record]
    split = temporal_split(_days(*weather), _days(*discharge), baseline)
    assert (str(split.train), str(split.validation)) == (train, validation)


@given(
    length=st.integers(3, 60),
    late=st.integers(0, 20),
    early=st.integers(0, 20),
    baseline=st.none() | st.integers(1990, 2080),
)
def test_do_years_to_settle_to_train_and_to_validate_follow_each_other(
    length, late, early, baseline
):
    first, last = 2001, 2000 + length
    begin, end = first + late, last - early
    assume(end - max(begin, first + 2) >= 1)
    split = temporal_split(_days(first, last), _days(begin, end), baseline)
    assert first < split.train.first <= split.train.last
    assert split.train.last + 1 == split.validation.first <= split.validation.last == end
    assert begin <= split.train.first


def test_are_years_of_ones_own_taken():
    split = temporal_split(
        _days(2001, 2016), _days(2001, 2016), 2009, Period(2004, 2006), Period(2010, 2011)
    )
    assert split == Split(Period(2004, 2006), Period(2010, 2011))


def test_do_the_years_after_ones_own_training_validate():
    split = temporal_split(_days(2001, 2016), _days(2001, 2014), 2009, Period(2004, 2006))
    assert split.validation == Period(2007, 2014)


REFUSED = {
    "overlap": ((2003, 2008), (2008, 2012), "training 2003-2008 and validation 2008-2012 overlap"),
    "overlap in one year": (
        (2003, 2008),
        (2002, 2003),
        "training 2003-2008 and validation 2002-2003 overlap",
    ),
    "before the record": ((1999, 2008), None, "training period 1999-2008; expected years within"),
    "after the record": ((2003, 2008), (2009, 2017), "validation period 2009-2017; expected years"),
    "nothing to settle": ((2001, 2008), None, "training period 2001-2008 starts with the record"),
    "nothing to validate": ((2003, 2016), None, "validation period 2017-2016; expected years"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_are_years_that_cannot_serve_refused(why):
    train, validation, message = REFUSED[why]
    periods = Period(*train), validation and Period(*validation)
    with pytest.raises(InputError, match=message):
        temporal_split(_days(2001, 2016), _days(2001, 2016), None, *periods)


@pytest.mark.parametrize(
    ("weather", "discharge", "left"),
    [((2001, 2002), (2001, 2002), 1), ((2001, 2016), (2016, 2016), 1), ((2001, 2001),) * 2 + (0,)],
)
def test_is_a_record_without_two_years_after_the_first_refused(weather, discharge, left):
    message = f"weather .* and discharge from {discharge[0]} leave {left} years"
    with pytest.raises(InputError, match=message):
        temporal_split(_days(*weather), _days(*discharge))


@pytest.mark.parametrize(
    ("years", "first", "held_out"),
    [("2003-2012", "2003-2009", "2010-2012"), ("2002-2003", "2002-2002", "2003-2003")],
)
def test_is_the_inner_split_part_of_the_training_years(years, first, held_out):
    inner = Split(Period.parse(years), Period(2013, 2016)).inner()
    assert (str(inner.train), str(inner.validation)) == (first, held_out)


def test_is_a_single_training_year_not_split_again():
    with pytest.raises(InputError, match="the training period 2003-2003 has one year"):
        Split(Period(2003, 2003), Period(2004, 2004)).inner()


def test_does_a_period_hold_its_first_and_its_last_day_only():
    days = _days(2001, 2006)
    inside = days[Period.parse("2003-2004").holds(days)]
    assert len(inside) == 365 + 366
    assert (inside[0], inside[-1]) == (pd.Timestamp("2003-01-01"), pd.Timestamp("2004-12-31"))
    assert np.diff(inside).max() == np.timedelta64(1, "D")


def test_is_a_period_without_a_day_of_the_study_refused():
    days = _days(2001, 2006)
    np.testing.assert_array_equal(Period(2003, 2004).chosen(days), Period(2003, 2004).holds(days))
    message = "period 2010-2012: no day; the study has 2001-01-01 to 2006-12-31"
    with pytest.raises(InputError, match=message):
        Period(2010, 2012).chosen(days)


@pytest.mark.parametrize("text", ["2003-", "-2003", "2003/2012", "a-b", "", "2003-04-05"])
def test_is_a_period_that_is_no_pair_of_years_refused(text):
    with pytest.raises(InputError, match="is not understood; expected years like 2003-2012"):
        Period.parse(text)


def test_is_one_year_a_period_and_the_past_no_end():
    assert Period.parse("2003") == Period(2003, 2003)
    with pytest.raises(InputError, match="period '2012-2003' ends before it begins"):
        Period.parse("2012-2003")


@given(count=st.integers(2, 60), folds=st.integers(2, 12), seed=st.integers(0, 99))
def test_is_every_gauge_in_one_group_and_are_groups_alike_in_size(count, folds, seed):
    assume(folds <= count)
    names = [f"gauge {k}" for k in range(count)]
    groups = station_groups(names, folds, seed)
    assert sorted(name for group in groups for name in group) == sorted(names)
    sizes = [len(group) for group in groups]
    assert len(groups) == folds and max(sizes) - min(sizes) <= 1
    assert station_groups(names, folds, seed) == groups


def test_does_another_seed_deal_other_groups_and_none_the_papers_four():
    names = [f"gauge {k}" for k in range(24)]
    assert station_groups(names, 4, 0) != station_groups(names, 4, 1)
    assert station_groups(names) == station_groups(names, 4, 0)


@pytest.mark.parametrize("folds", [1, 4])
def test_are_groups_that_the_gauges_cannot_fill_refused(folds):
    with pytest.raises(InputError, match=f"{folds} folds are asked for; expected 2 to 3"):
        station_groups(["a", "b", "c"], folds)


def test_which_years_have_splits_in_space():
    split, group = Split(Period(2003, 2012), Period(2013, 2016)), ("a", "b")
    assert hold_out(split, "temporal", group) == split
    whole = Period(2003, 2016)
    assert hold_out(split, "spatial", group) == Split(whole, whole, group)
    assert hold_out(split, "spatiotemporal", group) == Split(split.train, split.validation, group)
    assert hold_out(split, "spatial", group).inner() == Split(
        Period(2003, 2012), Period(2013, 2016), group
    )


FOLDS = [
    ("temporal", 0),
    *((kind, fold) for kind in ("spatial", "spatiotemporal") for fold in (1, 2, 3)),
]


def _learned(study, kind: str, fold: int):
    """History and weights of a short training, its choice of steps included."""
    settings = Settings(
        scheme="hybrid_qs", study=str(study.path), split=kind, fold=fold, folds=3, epochs=1
    )
    split = settings.split_of(study)
    problem = build_problem(study, settings.weighted_scheme(), split, split.train.last)
    fit = Fit(problem, settings)
    while not fit.done:
        fit.step()
    story = [{k: v for k, v in row.items() if k != "seconds"} for row in fit.history]
    return split, story, fit.learners[0].get_weights()


def _noise_where(field, validates):
    """Other observations where they validate; gaps stay gaps."""
    rng = np.random.default_rng(3)
    return field.where(~validates, field * rng.uniform(0.2, 3.0, field.shape)).astype(field.dtype)


@pytest.mark.parametrize(("kind", "fold"), FOLDS)
def test_does_no_validation_datum_reach_training(kind, fold, tmp_path):
    study = cases.tiny_study(tmp_path)
    split, story, weights = _learned(study, kind, fold)

    def validates(gauges):
        later = gauges.time.dt.year.isin(range(split.validation.first, split.validation.last + 1))
        return gauges.station.isin(split.held_out) | (later if kind != "spatial" else False)

    other = cases.changed_study(
        study, tmp_path, "discharge",
        lambda g: g.assign(discharge=_noise_where(g.discharge, validates(g))),
    )  # fmt: skip
    assert not other.discharge.discharge.equals(study.discharge.discharge)
    _, same_story, same_weights = _learned(other, kind, fold)
    assert same_story == story
    for ours, theirs in zip(same_weights, weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("kind", "fold"), FOLDS)
def test_do_training_data_reach_training(kind, fold, tmp_path):
    study = cases.tiny_study(tmp_path)
    split, story, _ = _learned(study, kind, fold)

    def trains(gauges):
        inside = gauges.time.dt.year.isin(range(split.train.first, split.train.last + 1))
        return inside & ~gauges.station.isin(split.held_out)

    other = cases.changed_study(
        study, tmp_path, "discharge",
        lambda g: g.assign(discharge=_noise_where(g.discharge, trains(g))),
    )  # fmt: skip
    assert _learned(other, kind, fold)[1] != story


def test_does_no_storage_of_validation_years_reach_training(tmp_path):
    study = cases.tiny_study(tmp_path)
    split, story, _ = _learned(study, "temporal", 0)
    other = cases.changed_study(
        study, tmp_path, "twsa",
        lambda g: g.assign(twsa=_noise_where(g.twsa, g.month.dt.year >= split.validation.first)),
    )  # fmt: skip
    assert _learned(other, "temporal", 0)[1] == story


def test_is_said_what_trained_gauges_tell_of_one_held_out():
    basin = Basin.from_landsurface(cases.landsurface(3, 4))
    cells = [basin.cell_at(-2.25 - 0.5 * row, -60.25 + 0.5 * col)
             for row, col in ((0, 1), (0, 3), (1, 3), (2, 0))]  # fmt: skip
    table = trained_neighbours(basin, np.array(cells), list("abcd"), ["b", "d"])
    # b drains the first row, 4 cells, 2 of which a measures; c lies below it. d is a headwater.
    assert table.loc["b"].tolist() == [1, 1, 0.5]
    assert table.loc["d"].tolist() == [0, 0, 0.0]
