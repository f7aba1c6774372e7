"""Are the schemes the paper's, and does each ask for what it needs?"""

from __future__ import annotations

from dataclasses import replace

import cases
import numpy as np
import pytest

from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.model import HydroPyNN
from hybridlib.hydropy.parameters import TABLE_1
from hybridlib.learning.learner import JITTER, Learner
from hybridlib.learning.networks import starting_logits
from hybridlib.learning.problem import build_problem
from hybridlib.learning.schemes import SCHEMES, find_scheme
from hybridlib.study.splits import Period, Split

SPLIT = Split(Period(2002, 2003), Period(2004, 2004))
DEFAULT = HydroPyNN.from_landsurface(cases.landsurface()).default_parameters()
ATTRIBUTES = np.random.default_rng(0).normal(size=(12, 21))

PAPER = {
    "hydropynn": ("HydroPyNN", "default", False, (0.5, 0.5)),
    "hydropynn_q": ("HydroPyNN(Q)", "free", False, (1.0, 0.0)),
    "hydropynn_qs": ("HydroPyNN(Q,S)", "free", False, (0.5, 0.5)),
    "hybrid_q": ("Hybrid(Q)", "network", False, (1.0, 0.0)),
    "hybrid_qs": ("Hybrid(Q,S)", "network", False, (0.5, 0.5)),
    "hybrid_qs_plus": ("Hybrid(Q,S)+", "network", True, (0.5, 0.5)),
}


def _learner(name, seed=0):
    return Learner(find_scheme(name), DEFAULT, ATTRIBUTES, seed)


def test_are_the_schemes_those_of_the_paper():
    found = {n: (s.title, s.parameters, s.replacement, s.weights) for n, s in SCHEMES.items()}
    assert found == PAPER
    assert all(scheme.name == name for name, scheme in SCHEMES.items())
    assert [name for name, scheme in SCHEMES.items() if not scheme.trained] == ["hydropynn"]
    alone = [name for name, scheme in SCHEMES.items() if not scheme.needs_twsa]
    assert alone == ["hydropynn_q", "hybrid_q"]


NETWORK = 22 * 256 + 257 * 64 + 65 * 16 + 17 * 9
CONV3D = (27 * 32 + 32 * 16 + 16 * 8 + 8) * 27 + 32 + 16 + 8 + 1
WEIGHTS = {"hydropynn": 0, "hydropynn_q": 9 * 12, "hybrid_q": NETWORK}
WEIGHTS["hybrid_qs_plus"] = NETWORK + CONV3D


@pytest.mark.parametrize("name", WEIGHTS)
def test_how_many_weights_does_a_scheme_train(name):
    weights = _learner(name).trainable_variables
    assert sum(int(np.prod(weight.shape)) for weight in weights) == WEIGHTS[name]


def test_has_the_untrained_scheme_the_very_parameters_of_hydropy():
    np.testing.assert_array_equal(_learner("hydropynn").parameters(), DEFAULT)


def test_do_free_parameters_start_near_the_defaults_by_their_seed():
    first, again, other = (_learner("hydropynn_q", seed).shift.numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()
    assert 0.8 * JITTER < first.std() < 1.2 * JITTER
    moved = starting_logits(_learner("hydropynn_q", 1).parameters())
    inside = np.abs(starting_logits(DEFAULT)) < 5.0
    np.testing.assert_allclose(moved[inside], (starting_logits(DEFAULT) + first)[inside], atol=1e-3)


@pytest.mark.parametrize("name", ["hydropynn_q", "hybrid_q"])
def test_can_every_parameter_of_every_cell_be_moved(name):
    learner = _learner(name)
    with tf.GradientTape() as tape:
        fields = zip(TABLE_1, learner.parameters(), strict=True)
        total = sum(tf.reduce_sum(field) / (row.high - row.low) for row, field in fields)
    slopes = tape.gradient(total, learner.trainable_variables)
    assert slopes[-1].shape[-1 if name == "hybrid_q" else 0] == 9
    assert (slopes[-1].numpy() != 0).all()


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A study without gravimetry."""
    return cases.tiny_study(tmp_path_factory.mktemp("bare"), twsa=False)


def test_is_discharge_enough_for_the_schemes_that_read_only_it(bare):
    problem = build_problem(bare, find_scheme("hydropynn_q"), SPLIT, 2003)
    assert problem.boxes is None and problem.window is None
    assert (problem.days[0].year, problem.days[-1].year) == (2001, 2003)
    observed = bare.discharge.discharge.values[:1095]
    scores = problem.objective(SPLIT.train)(np.nan_to_num(observed), None)
    assert float(scores["loss"]) == 0.0


def test_has_every_member_parameters_and_pet_of_its_own(bare):
    scheme = replace(find_scheme("hybrid_qs_plus"), weights=(1.0, 0.0))
    problem = build_problem(bare, scheme, SPLIT, 2003, "fcnn")
    learners = [problem.learner(seed) for seed in (0, 1)]
    for k, learner in enumerate(learners):
        learner.network.weights[-1].assign(np.full(9, 0.1 * k))
        learner.replacement.biases[-1].assign([0.2 + k])
    parameters, pet = problem.driven_by(learners)
    assert pet.shape == (1095, 2, 12) and parameters.d_max.shape == (2, 12)
    np.testing.assert_array_equal(pet[:, 1], problem.weather.pet + 1.2)
    for k, learner in enumerate(learners):
        own, demand = problem.driven_by([learner])
        np.testing.assert_array_equal(pet[:, k], demand)
        for together, alone in zip(parameters, own, strict=True):
            np.testing.assert_array_equal(together[k], alone)
