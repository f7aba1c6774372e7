"""Is a parameter called identifiable only where members agree, and agree on the truth?"""

from dataclasses import replace

import cases
import numpy as np
import pandas as pd
import pytest

from hybridlib.analysis import identifiability
from hybridlib.analysis.identifiability import ASTRAY, DIFFER, FLAT, IDENTIFIABLE, LEVEL
from hybridlib.analysis.recovery import true_parameters
from hybridlib.findings import claims
from hybridlib.findings.rules import MISSING
from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.parameters import TABLE_1, Parameters
from hybridlib.learning.run import Run
from hybridlib.learning.schemes import find_scheme
from hybridlib.study.attributes import ATTRIBUTES
from hybridlib.study.schema import SECONDS_PER_DAY, InputError


@pytest.fixture(scope="module")
def ruled(tmp_path_factory):
    return cases.ruled_study(tmp_path_factory.mktemp("ruled"))


@pytest.fixture(scope="module")
def problem(ruled):
    return replace(Run.untrained(ruled[0]).problem, scheme=find_scheme("hybrid_qs"))


def _told(problem, default, *members):
    """A scheme whose members have learned what they are told."""
    default = tf.stack([tf.cast(field, tf.float32) for field in default])
    return cases.Ready(problem, [cases.Known(member, default) for member in members])


def test_does_each_way_of_being_wrong_have_its_own_verdict(ruled, problem):
    study, default = ruled
    true = true_parameters(study)
    level = np.full(study.basin.size, true.lag_gw.mean())
    wrong = np.full(study.basin.size, 0.56)
    members = [
        true._replace(lag_gw=level, f_crit=wrong + 0.001 * k, d_max=true.d_max + 3.0 * k)
        for k in (-1, 0, 1)
    ]
    # HydroPy's own lag_gw has the right level already; move it away.
    own = default._replace(lag_gw=np.full(study.basin.size, 1000.0))
    table = identifiability.identify(study, {"sage": _told(problem, own, *members)})
    found = identifiability.by_parameter(table)["sage"]
    expected = {"lag_gw": LEVEL, "f_crit": ASTRAY, "d_max": DIFFER, "s_min": FLAT}
    assert found.to_dict() == dict.fromkeys(Parameters._fields, IDENTIFIABLE) | expected
    row = table.loc["sage", "f_crit"]
    assert row.spread == pytest.approx(100 * 0.001 / 0.4)
    assert row.moved == pytest.approx(100 * 0.19 / 0.4, rel=1e-6)
    error = np.sqrt(((0.56 - true.f_crit) ** 2).mean())
    assert row.error == pytest.approx(100 * error / 0.4)
    assert row["error of spread"] == pytest.approx(error / 0.001)


def test_is_a_better_amplitude_told_from_a_better_pattern_and_little_from_harm(ruled, problem):
    study, default = ruled
    true, rng = true_parameters(study), np.random.default_rng(3)
    about = true.d_max - true.d_max.mean()
    bumps = 0.3 * about.std() * rng.standard_normal(about.size)
    own = default._replace(d_max=true.d_max + 2.0 * about)  # the pattern itself, three times over
    learned = true._replace(
        d_max=true.d_max + bumps,
        f_crit=0.1 * true.f_crit + 0.9 * own.f_crit,
        lag_sur=own.lag_sur + 0.5 * (own.lag_sur - true.lag_sur),
    )
    table = identifiability.identify(study, {"two": _told(problem, own, learned, learned)})
    row = table.loc["two"]
    assert row.loc["d_max", "own r"] == pytest.approx(1.0) and row.loc["d_max", "r"] < 0.99
    assert row.verdict["d_max"] == identifiability.AMPLITUDE
    assert row.verdict["f_crit"] == identifiability.HARDLY
    assert row.verdict["lag_sur"] == identifiability.ASTRAY


def test_is_a_member_alone_in_error_enough_to_deny(ruled, problem):
    study, default = ruled
    true = true_parameters(study)
    for left in (0.5, 0.8):
        off = true._replace(f_crit=(1 - left) * true.f_crit + left * 0.75)
        table = identifiability.identify(study, {"two": _told(problem, default, true, off)})
        row = table.loc["two", "f_crit"]
        assert row["worst member"] == pytest.approx(left, rel=1e-4)
    assert row.verdict in (identifiability.HARDLY, DIFFER)


def test_is_nothing_identifiable_without_a_truth(tmp_path):
    study = cases.tiny_study(tmp_path, twsa=False, radiation=False)
    untrained = Run.untrained(study)
    own = Parameters(*(np.asarray(field, float) for field in untrained.learners[0].parameters()))
    members = [own._replace(f_crit=own.f_crit - 0.1 - 0.001 * k) for k in range(2)]
    table = identifiability.identify(study, {"two": _told(untrained.problem, own, *members)})
    found = identifiability.by_parameter(table)["two"]
    assert found.f_crit == identifiability.AGREED and found.s_min == FLAT
    assert set(found.drop(["f_crit", "s_min"])) == {DIFFER} and "error" not in table


def test_is_the_spread_that_of_the_members_by_cell(ruled, problem):
    study, default = ruled
    shift = np.linspace(0.01, 0.02, study.basin.size)
    trend = 0.6 + 0.02 * np.arange(study.basin.size)
    members = [default._replace(f_crit=trend + k * shift) for k in (-1, 0, 1)]
    found = identifiability.spread(_told(problem, default, *members))
    np.testing.assert_allclose(found.sd.sel(parameter="f_crit"), shift / 0.4)
    of_field = found.of_field.sel(parameter="f_crit")
    np.testing.assert_allclose(of_field, shift / trend.std())
    assert not found.sd.sel(parameter="d_max").any()
    assert found.of_field.sel(parameter="d_max").isnull().all()


def test_is_a_spread_of_one_member_refused(ruled, problem):
    study, default = ruled
    alone = _told(problem, default, default)
    for call in (identifiability.spread, lambda one: identifiability.identify(study, {"one": one})):
        with pytest.raises(InputError, match=r"Hybrid\(Q,S\) has 1 member; a spread needs"):
            call(alone)
    two = _told(problem, default, default, default)
    untrained = cases.Ready(replace(problem, scheme=find_scheme("hydropynn")), two.learners)
    schemes = {"one": alone, "two": two, "untrained": untrained}
    assert list(identifiability.with_members(schemes)) == ["two"]


def test_is_the_departure_from_the_truth_that_of_the_members_mean(ruled, problem):
    study, default = ruled
    true = true_parameters(study)
    members = [true._replace(f_crit=true.f_crit + shift) for shift in (0.01, 0.05)]
    schemes = {"own": _told(problem, default, default), "two": _told(problem, default, *members)}
    table = identifiability.departures(study, schemes, "f_crit")
    assert table.loc["two", ["bias", "RMSE", "r"]].tolist() == pytest.approx([0.03, 0.03, 1.0])
    assert table.loc["truth", "spatial sd"] == pytest.approx(true.f_crit.std())
    assert np.isnan(table.loc["own", "r"]) and table.loc["own", "mean"] == pytest.approx(0.75)


def test_does_a_network_that_sees_only_the_rule_attend_to_it(ruled, problem):
    study, default = ruled
    learner = problem.learner(0)
    first, *_, last, _ = learner.network.weights
    seen = np.isin(list(ATTRIBUTES), ["fveg_avg", "temp_avg", "lai_diff"])
    first.assign(np.where(seen[:, None], first, 0.0))
    last.assign(np.random.default_rng(0).normal(0, 0.3, last.shape))
    table = identifiability.rules_found(study, [learner], default, 50)
    assert list(table.index) == [name for name in Parameters._fields if name != "s_min"]
    row = table.loc["f_crit"]
    assert row.hits == "3 of 3" and row.share == pytest.approx(100.0)
    assert row["by chance"] == pytest.approx(100 * 3 / 21)
    assert table.loc["lag_gw"].hits == "0 of 2" and table.loc["lag_gw"].share == 0.0


def test_does_a_network_that_is_told_the_truth_learn_it(ruled, problem):
    study, _ = ruled
    trained = cases.Ready(problem, [problem.learner(0)])
    found = identifiability.told_the_truth(study, trained, steps=1500).parameters()
    for row, field, true in zip(TABLE_1, found, true_parameters(study), strict=True):
        assert np.std(field - true) < 0.1 * np.std(true), row.name
    untrained = cases.Ready(replace(problem, scheme=find_scheme("hydropynn")), [])
    with pytest.raises(InputError, match="HydroPyNN has no network from attributes"):
        identifiability.told_the_truth(study, untrained)


def test_is_the_spread_of_pet_that_of_the_members_means(ruled, problem):
    study, default = ruled
    plus = replace(problem, scheme=find_scheme("hybrid_qs_plus"))
    reference = problem.weather.pet.numpy()
    trained = _told(plus, default, default, default)
    trained.__dict__["pet"] = np.stack([reference, reference + 2.0])
    found = identifiability.pet_spread(study, trained)
    np.testing.assert_allclose(found.sd, np.sqrt(2.0), rtol=1e-6)
    np.testing.assert_allclose(found["mean"], reference.mean(axis=0) + 1.0, rtol=1e-5)
    raw = study.basin.pack(study.forcing.evspsblpot.mean("time", dtype=float)) * SECONDS_PER_DAY
    np.testing.assert_allclose(found.error, 1.0 - 0.5 * raw, atol=1e-4)
    with pytest.raises(InputError, match=r"Hybrid\(Q,S\) has no network that learns PET"):
        identifiability.pet_spread(study, _told(problem, default, default, default))


@pytest.mark.parametrize(
    ("spreads", "verdict", "here"),
    [
        ([4.0] * 9, "reproduced", "lag_river 4.0; above 5%: none"),
        ([4.0, 6.0, 9.0, *[1.0] * 6], "not reproduced", "lag_river 1.0; above 5%: d_max"),
    ],
)
def test_is_a_small_spread_one_that_is_small_in_every_parameter(spreads, verdict, here):
    index = pd.MultiIndex.from_product([["a"], Parameters._fields])
    judged = pd.DataFrame({"spread": spreads}, index)

    def told(table, title):
        return claims.verdicts("members", identifiability.measures(table, title)).table.iloc[0]

    row = told(judged, "a")
    assert row.verdict == verdict and row.here.endswith(here)
    assert told(judged, "b").verdict == told(pd.DataFrame(), "a").verdict == MISSING
