"""Do the shares of the attributes add up, and find what a network was built to attend to?"""

from __future__ import annotations

from types import SimpleNamespace

import cases
import numpy as np
import pytest
import shap
import xarray as xr

from hybridlib.analysis import attention
from hybridlib.analysis.attention import (
    VEGETATION,
    expected_gradients,
    group_share,
    importance,
)
from hybridlib.findings import claims
from hybridlib.findings.rules import MISSING
from hybridlib.hydropy.backend import keras, tf
from hybridlib.hydropy.parameters import TABLE_1, Parameters
from hybridlib.learning.folder import WEIGHTS, load_weights, read_config
from hybridlib.learning.learner import Learner
from hybridlib.learning.schemes import find_scheme
from hybridlib.study.attributes import ATTRIBUTES
from hybridlib.study.schema import InputError
from hybridlib.twin import nature

CELLS = 40
LAND = np.arange(CELLS) % 8 != 0
VALUES = np.random.default_rng(1).normal(size=(CELLS, 21)).astype(np.float32)
F_CRIT = Parameters._fields.index("f_crit")


def _learner(scheme="hybrid_qs", seed=0, strength=0.3):
    """A network whose last layer is not zero, on attributes of our own."""
    learner = Learner(find_scheme(scheme), cases.default_of(CELLS), VALUES, seed)
    if learner.scheme.parameters == "network":
        last = learner.network.weights[-2]
        last.assign(np.random.default_rng(seed).normal(0, strength, last.shape))
    return learner


def test_do_the_shares_of_a_cell_add_up_to_its_departure_from_the_mean():
    few, many = (expected_gradients([_learner()], "f_crit", LAND, count) for count in (50, 800))
    departure = float(abs(many.value - many.start).mean())
    assert float(abs(many.completeness).mean()) < 0.1 * departure
    # Sampling errs by one over the square root of the samples.
    ratio = float(abs(few.completeness).mean() / abs(many.completeness).mean())
    assert 2.0 < ratio < 8.0
    np.testing.assert_allclose(few.error.mean() / many.error.mean(), 4.0, rtol=0.2)
    assert many.draws.values.tolist() == [10, 25, 50, 100, 250, 500, 800]
    relative = np.sqrt((many.completeness**2).mean()) / many.value.std()
    assert float(many.convergence[-1]) == pytest.approx(float(relative))
    assert float(many.convergence.sel(draws=50)) == pytest.approx(float(few.convergence[-1]))
    assert many.share.sizes == {"cell": LAND.sum(), "attribute": 21}
    np.testing.assert_array_equal(many.cell, np.flatnonzero(LAND))


def test_are_shares_of_a_nearly_linear_network_slope_times_distance():
    learner = _learner()
    # Large biases keep every unit on: the network is linear, and small, so the sigmoid is, too.
    for weight in learner.network.weights:
        weight.assign(0.01 * weight if len(weight.shape) == 2 else np.full(weight.shape, 5.0))
    learner.network.weights[-2].assign(np.full((16, 9), 1e-2))
    learner.network.weights[-1].assign(np.zeros(9))
    found = expected_gradients([learner], "f_crit", LAND, 400)
    slope = np.linalg.multi_dot(learner.network.get_weights()[::2])[:, F_CRIT]
    row = TABLE_1[F_CRIT]
    share = (found.value.values.mean() - row.low) / (row.high - row.low)
    slope = slope * (row.high - row.low) * share * (1 - share)
    inside = VALUES[LAND] - VALUES[LAND].mean(axis=0)
    fitted = (found.share.values * inside).sum(axis=0) / (inside**2).sum(axis=0)
    np.testing.assert_allclose(fitted, slope, rtol=0, atol=0.05 * abs(slope).max())
    first = np.argsort(-np.abs(slope * inside).mean(axis=0))[:3]
    assert importance(found).attribute[:3].values.tolist() == found.attribute[first].values.tolist()


def test_has_an_attribute_that_the_network_does_not_see_no_share():
    learner = _learner()
    first = learner.network.weights[0]
    first.assign(np.where(np.arange(21)[:, None] == 4, 0.0, first))
    found = expected_gradients([learner], "lag_sur", LAND, 20)
    assert not found.share.isel(attribute=4).any() and found.share.isel(attribute=5).any()
    assert found.share.attrs["units"] == "d"


def test_is_the_share_of_members_their_mean():
    members = [_learner(seed=seed) for seed in (0, 1)]
    together = expected_gradients(members, "f_crit", LAND, 10)
    alone = [expected_gradients([member], "f_crit", LAND, 10) for member in members]
    half = sum(one.share for one in alone) / 2
    np.testing.assert_allclose(together.share, half, rtol=0, atol=1e-7 * float(abs(half).max()))
    vegetation = sum(together.share.sel(attribute=name) for name in VEGETATION)
    np.testing.assert_allclose(group_share(together), vegetation, rtol=1e-9)


def _exact(learner, cells, points=200):
    """Shares of f_crit by the midpoint rule along every path from every cell, (cell, 21)."""
    own, begin = tf.gather(learner.attributes, cells), learner.start[F_CRIT, 0]
    row, shares = TABLE_1[F_CRIT], []
    along = tf.repeat(tf.constant((np.arange(points) + 0.5) / points, tf.float32), len(cells))
    for cell in own:
        way = tf.tile(cell - own, (points, 1))
        path = tf.tile(own, (points, 1)) + along[:, None] * way
        with tf.GradientTape() as tape:
            tape.watch(path)
            place = tf.sigmoid(begin + learner.network(path)[:, F_CRIT])
            value = tf.reduce_sum(row.low + (row.high - row.low) * place)
        shares.append(tf.reduce_mean(way * tape.gradient(value, path), axis=0))
    return np.stack(shares)


def test_does_the_standard_error_say_how_far_shares_lie_from_the_exact_ones():
    learner = _learner()
    found = expected_gradients([learner], "f_crit", LAND, 300, seed=3)
    exact = _exact(learner, np.flatnonzero(LAND))
    off = (found.share.values - exact) / found.error.values
    assert 0.9 < off.std() < 1.1 and abs(off.mean()) < 0.15


def test_have_members_that_pull_against_each_other_neither_share_nor_error():
    one, other = (_learner(strength=0.01) for _ in range(2))
    other.network.weights[-2].assign(-one.network.weights[-2])
    alone = expected_gradients([one], "f_crit", LAND, 50)
    both = expected_gradients([one, other], "f_crit", LAND, 50)
    # A sigmoid is not quite odd about its start: a thousandth is left.
    assert float(both.error.max()) < 0.02 * float(alone.error.max())
    assert float(abs(both.share).max()) < 0.02 * float(abs(alone.share).max())


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
def test_does_shap_find_the_same_shares_of_the_trained_network(root):
    folder = root / "data" / "runs" / "temporal" / "hybrid_qs"
    config = read_config(folder)
    learners = [_learner() for _ in range(config.members)]
    load_weights(folder / WEIGHTS, learners, config)
    learner = learners[0]
    found = expected_gradients([learner], "f_crit", LAND, 500)
    start, row = learner.start[F_CRIT, 0], TABLE_1[F_CRIT]

    class OfRange(keras.layers.Layer):
        def call(self, shifts):
            place = tf.sigmoid(start + shifts[:, F_CRIT : F_CRIT + 1])
            return row.low + (row.high - row.low) * place

    inputs = keras.Input((21,))
    model = keras.Model(inputs, OfRange()(learner.network(inputs)))
    explainer = shap.GradientExplainer(model, VALUES[LAND])
    theirs = explainer.shap_values(VALUES[LAND], nsamples=500, rseed=1)[..., 0]
    # Both have the same sampling error.
    off = (found.share.values - theirs) / (np.sqrt(2.0) * found.error.values)
    assert 0.9 < off.std() < 1.1 and abs(off.mean()) < 0.15
    assert np.corrcoef(theirs.ravel(), found.share.values.ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "f_krit"}, "parameter 'f_krit' is unknown; expected one of: d_min"),
        ({"learners": ["hydropynn_qs"]}, r"HydroPyNN\(Q,S\) has no network from attributes"),
        ({"samples": 1}, "1 samples are asked for; expected at least two"),
        ({"learners": []}, "no members are given"),
        ({"land": np.zeros(CELLS, bool)}, "land is nowhere true"),
        ({"land": LAND[1:]}, "land has 39 cells; expected the 40"),
    ],
)
def test_is_what_cannot_be_explained_refused(changes, told):
    given = {"learners": ["hybrid_qs"], "name": "f_crit", "land": LAND, "samples": 10} | changes
    with pytest.raises(InputError, match=told):
        expected_gradients(**given | {"learners": [*map(_learner, given["learners"])]})


def test_is_one_member_or_all_of_them_chosen():
    trained = cases.Ready(SimpleNamespace(scheme=find_scheme("hybrid_qs")), ["a", "b"])
    assert attention.chosen_members(trained) == ["a", "b"]
    assert attention.chosen_members(trained, 1) == ["b"]
    with pytest.raises(InputError, match="member is 2; expected 0 to 1, or -1 for all"):
        attention.chosen_members(trained, 2)


def test_has_a_parameter_that_no_network_moves_no_shares_and_no_convergence():
    found = expected_gradients([_learner(strength=0.0)], "s_min", LAND, 10)
    assert not found.share.any() and found.convergence.isnull().all()


# The twin's own rule


@pytest.fixture(scope="module")
def ruled(tmp_path_factory):
    return cases.ruled_study(tmp_path_factory.mktemp("ruled"))


def test_do_only_the_attributes_in_the_rule_have_a_true_share(ruled):
    study, default = ruled
    true = attention.true_shares(study, default, "f_crit", orders=4)
    assert set(attention.rulers(true)) == {"fveg_avg", "temp_avg", "lai_diff"}
    whole = true.share.sum("attribute")
    np.testing.assert_allclose(whole, true.value - true.start, atol=1e-12)
    true = attention.true_shares(study, default, "lag_gw", orders=2)
    assert set(attention.rulers(true)) == {"wcap", "slope_avg"}


def test_are_true_shares_of_a_linear_rule_slope_times_distance(ruled, monkeypatch):
    study, default = ruled

    def linear(attributes, basin, default):
        wava, beta = (basin.pack(attributes[name]) for name in ("wava", "beta"))
        return Parameters(*[0.3 * wava - 2.0 * beta] * len(TABLE_1))

    monkeypatch.setattr(nature, "true_parameters", linear)
    field = linear(study.attributes, study.basin, default)
    monkeypatch.setattr(attention, "true_parameters", lambda study: field)
    true = attention.true_shares(study, default, "f_crit", orders=40)
    for name, slope in (("wava", 0.3), ("beta", -2.0)):
        values = study.basin.pack(study.attributes[name]).astype(float)
        share = true.share.sel(attribute=name)
        fitted = np.polyfit(values - values.mean(), share, 1)
        assert fitted == pytest.approx([slope, 0.0], rel=0.1, abs=1e-9)


def test_is_a_truth_by_another_rule_refused(ruled, monkeypatch):
    study, default = ruled
    other = attention.true_parameters(study)._replace(f_crit=np.full(study.basin.size, 0.6))
    monkeypatch.setattr(attention, "true_parameters", lambda study: other)
    with pytest.raises(InputError, match="f_crit of the truth is not that of hybridlib.twin"):
        attention.true_shares(study, default, "f_crit", 2)


def _explained(study, **shares):
    """Shares that are told, 0 for all others, of f_crit."""
    size = int(study.basin.land.sum())
    share = np.zeros((size, len(ATTRIBUTES)))
    for name, values in shares.items():
        share[:, list(ATTRIBUTES).index(name)] = values
    units = {"units": "1"}
    return xr.Dataset(
        {
            "share": (("cell", "attribute"), share, units),
            "error": (("cell", "attribute"), 0 * share, units),
            "value": ("cell", 0.7 + share.sum(axis=1), units),
        },
        {"attribute": list(ATTRIBUTES)},
        {"parameter": "f_crit"},
    )


def _judged(study, explained):
    return claims.verdicts("attention", attention.measures(study, explained)).table


def test_is_each_finding_of_the_paper_judged_by_its_own_shares(ruled):
    study, _ = ruled
    types = attention.vegetation_types(study)
    cold = study.basin.pack(study.attributes.temp_avg) < 15.0
    plants, warmth = np.where(types.flag == 3, 0.05, -0.05), np.where(cold, 0.04, -0.01)
    paper = _explained(
        study, lai_diff=plants, temp_avg=warmth, fveg_avg=0.4 * plants, fveg_max=0.3 * plants,
        wmax=0.01, fveg_diff=0.1 * plants,
    )  # fmt: skip
    table = _judged(study, paper)
    assert table.verdict.tolist() == ["reproduced"] * 5 + [MISSING]
    other = _explained(study, lai_diff=-plants, temp_avg=-warmth, wava=0.2, beta=0.2)
    table = _judged(study, other)
    assert table.verdict.tolist() == ["not reproduced"] * 5 + [MISSING]
    assert table.here[1] == "2 of 4 among wava, beta, lai_diff, temp_avg"
    assert attention.measures(study, other.assign_attrs(parameter="d_max")) == {}


@pytest.mark.parametrize(
    ("group", "verdict"),
    [(0.07, "reproduced"), (0.06, "undecided"), (0.05, "not reproduced")],
)
def test_do_attributes_dominate_only_well_above_chance(ruled, group, verdict):
    found = _explained(ruled[0], lai_avg=group, wava=0.1 - group)
    table = _judged(ruled[0], found)
    assert table.verdict[3] == verdict
    assert table.here[3] == f"{10 * group:.0%} of all importance, by chance 52%"


def test_is_a_share_that_is_strong_elsewhere_or_faint_not_the_papers(ruled):
    study, _ = ruled
    cold = study.basin.pack(study.attributes.temp_avg) < 15.0
    sign = np.where(np.arange(len(cold)) % 2, 1.0, -1.0)
    for warmth, verdict in (
        (np.where(cold, 0.04, 0.03 * sign), "not reproduced"),
        (np.where(cold, 0.04, 0.01 * sign), "reproduced"),
        (np.where(cold, 0.004, 0.0), "undecided"),
    ):
        found = _explained(study, temp_avg=warmth, wava=0.1 * sign)
        assert _judged(study, found).verdict[5] == verdict


def test_is_height_judged_where_there_are_mountains(ruled, tmp_path):
    high = np.arange(ruled[0].basin.size) % 3 == 0

    def raised(attributes):
        grid = ruled[0].basin.unpack(np.where(high, 3100.0, 2900.0))
        return attributes.assign(height=attributes.height.copy(data=grid))

    study = cases.changed_study(ruled[0], tmp_path, "attributes", raised)
    sign = np.where(np.arange(len(high)) % 2, 1.0, -1.0)
    for step, verdict in ((0.1, "reproduced"), (-0.1, "not reproduced"), (0.0004, "undecided")):
        found = _explained(study, wava=np.where(high, step, 0.0), beta=0.01 * sign)
        assert _judged(study, found).verdict[6] == verdict


def test_is_a_study_without_vegetation_types_no_obstacle(tmp_path):
    study = cases.tiny_study(tmp_path, twsa=False, radiation=False)
    assert attention.vegetation_types(study).names == {1: "every cell"}
    assert _judged(study, _explained(study)).verdict[4] == MISSING


def test_are_means_taken_over_the_cells_of_each_type():
    types = attention.Types(np.array([1, 3, 3, 1]), {1: "forest", 2: "savanna", 3: "grass"})
    table = attention.means_by_type(types, {"a": np.array([1.0, 5.0, 7.0, 3.0])})
    expected = {"forest": {"cells": 2, "a": 2.0}, "grass": {"cells": 2, "a": 6.0}}
    assert table.to_dict("index") == expected


def test_agree_shares_with_themselves_and_fields_lie_where_their_cells_are(ruled):
    study, default = ruled
    true = attention.true_shares(study, default, "f_crit", 5)
    table = attention.share_agreement(true, true)
    assert table.r[["vegetation", "temperature"]].tolist() == pytest.approx([1.0, 1.0])
    assert np.isnan(table.r["other climate"])
    fields = attention.share_fields(study, {"truth": true}, VEGETATION, "share")
    packed = study.basin.pack(fields.truth)[study.basin.land]
    np.testing.assert_allclose(packed, group_share(true))


def test_has_the_table_every_member_beside_their_mean(ruled):
    study, _ = ruled
    both = _explained(study, wava=0.2, beta=-0.1)
    members = [_explained(study, wava=0.1), _explained(study, wava=0.3, beta=-0.2)]
    table = attention.importance_table(both, members)
    assert table.index[:2].tolist() == ["wava", "beta"]
    expected = {"importance": 0.1, "sampling error": 0.0, "member 0": 0.0, "member 1": 0.2}
    assert table.loc["beta"].to_dict() == pytest.approx(expected)
