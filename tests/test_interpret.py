"""Do the shares of the attributes add up, and find what a network was built to attend to?"""

from __future__ import annotations

import numpy as np
import pytest

from hybridlib.hydropy.parameters import TABLE_1, Lags, Parameters, default_parameters
from hybridlib.interpret import (
    VEGETATION,
    expected_gradients,
    importance,
    vegetation_share,
)
from hybridlib.schema import InputError
from hybridlib.schemes import Learner, find_scheme

CELLS = 40
LAND = np.arange(CELLS) % 8 != 0
F_CRIT = Parameters._fields.index("f_crit")


@pytest.fixture(scope="module")
def attributes():
    return np.random.default_rng(1).normal(size=(CELLS, 21)).astype(np.float32)


def _learner(attributes, scheme="hybrid_qs", seed=0, strength=0.3):
    """A network whose last layer is not zero."""
    lags = Lags(*(np.full(CELLS, value) for value in (20.0, 400.0, 0.2, 5)))
    learner = Learner(find_scheme(scheme), default_parameters(lags), attributes, seed)
    if learner.scheme.parameters == "network":
        weights = learner.network.get_weights()
        rng = np.random.default_rng(seed)
        weights[-2] = rng.normal(0, strength, weights[-2].shape)
        learner.network.set_weights(weights)
    return learner


def test_do_the_shares_of_a_cell_add_up_to_its_departure_from_the_mean(attributes):
    few, many = (
        expected_gradients([_learner(attributes)], "f_crit", LAND, samples)
        for samples in (50, 3200)
    )
    departure = float(abs(many.value - many.start).mean())
    assert float(abs(many.completeness).mean()) < 0.05 * departure
    # Sampling errs by one over the square root of the samples.
    ratio = float(abs(few.completeness).mean() / abs(many.completeness).mean())
    assert 4.0 < ratio < 16.0
    np.testing.assert_allclose(few.error.mean() / many.error.mean(), 8.0, rtol=0.2)
    assert many.sizes == {"cell": LAND.sum(), "attribute": 21}
    np.testing.assert_array_equal(many.cell, np.flatnonzero(LAND))


def test_are_shares_of_a_nearly_linear_network_slope_times_distance(attributes):
    learner = _learner(attributes)
    # Large biases keep every unit on: the network is linear, and small, so the sigmoid is, too.
    weights = [0.01 * w if w.ndim == 2 else np.full_like(w, 5.0) for w in
               learner.network.get_weights()]  # fmt: skip
    weights[-2], weights[-1] = 1e-2 * np.ones_like(weights[-2]), np.zeros_like(weights[-1])
    learner.network.set_weights(weights)
    found = expected_gradients([learner], "f_crit", LAND, 4000)
    slope = np.linalg.multi_dot([w for w in weights if w.ndim == 2])[:, F_CRIT]
    row = TABLE_1[F_CRIT]
    share = (found.value.values.mean() - row.low) / (row.high - row.low)
    slope = slope * (row.high - row.low) * share * (1 - share)
    inside = attributes[LAND]
    expected = slope * (inside - inside.mean(axis=0))
    scale = np.abs(expected).max()
    assert np.abs(found.share.values - expected).max() < 0.1 * scale
    assert list(importance(found).attribute[:3].values) == list(
        found.attribute.values[np.argsort(-np.abs(expected).mean(axis=0))[:3]]
    )


def test_has_an_attribute_that_the_network_does_not_see_no_share(attributes):
    learner = _learner(attributes)
    weights = learner.network.get_weights()
    weights[0][4] = 0.0
    learner.network.set_weights(weights)
    found = expected_gradients([learner], "lag_sur", LAND, 20)
    assert not found.share.isel(attribute=4).any() and found.share.isel(attribute=5).any()
    assert found.share.attrs["units"] == "d"


def test_is_the_share_of_members_their_mean(attributes):
    members = [_learner(attributes, seed=seed) for seed in (0, 1)]
    together = expected_gradients(members, "f_crit", LAND, 10)
    alone = [expected_gradients([member], "f_crit", LAND, 10) for member in members]
    np.testing.assert_allclose(together.share, sum(one.share for one in alone) / 2, rtol=1e-12)
    vegetation = sum(together.share.sel(attribute=name) for name in VEGETATION)
    np.testing.assert_allclose(vegetation_share(together), vegetation, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "scheme", "samples", "told"),
    [
        ("f_krit", "hybrid_qs", 10, "parameter 'f_krit' is unknown; expected one of: d_min"),
        ("f_crit", "hydropynn_qs", 10, "HydroPyNN(Q,S) has no network from attributes"),
        ("f_crit", "hybrid_qs", 1, "1 samples are asked for; expected at least two"),
    ],
)
def test_is_what_cannot_be_explained_refused(name, scheme, samples, told, attributes):
    with pytest.raises(InputError) as refused:
        expected_gradients([_learner(attributes, scheme)], name, LAND, samples)
    assert told in str(refused.value)
