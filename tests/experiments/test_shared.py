"""Does one network for several basins learn the same on two processes as on one?"""

from __future__ import annotations

import cases
import numpy as np
import pytest

from hybridlib.experiments import shared
from hybridlib.study.schema import InputError
from hybridlib.study.store import open_study


def _scaled(name, factor):
    return lambda d: d.assign({name: (factor * d[name]).assign_attrs(d[name].attrs)})


@pytest.fixture(scope="module")
def basins(tmp_path_factory):
    """Three basins that differ in rain and in one attribute."""
    folder = tmp_path_factory.mktemp("basins")
    study = cases.tiny_study(folder)
    paths = []
    for factor in (1.0, 1.3, 0.8):
        changes = "forcing", _scaled("pr", factor), "attributes", _scaled("height", factor)
        paths.append(str(cases.changed_study(study, folder, *changes).path))
    return paths


@pytest.fixture(scope="module")
def sample(basins):
    """Attributes of all cells with land."""
    return shared.land_attributes([open_study(path) for path in basins])


@pytest.fixture
def opened(basins, sample):
    """Problem and learner of each basin."""
    return [shared.open_basin(path, "hybrid_qs", sample) for path in basins]


def test_is_a_basin_with_other_attributes_refused(basins, tmp_path):
    studies = [open_study(path) for path in basins[:2]]
    changes = "attributes", lambda d: d.assign(frac_snow=d.height)
    studies.append(cases.changed_study(studies[0], tmp_path, *changes))
    with pytest.raises(InputError, match="attributes lai_avg, .*, frac_snow; expected those of"):
        shared.land_attributes(studies)


@pytest.mark.slow
def test_is_the_gradient_of_two_processes_that_of_one(basins, opened):
    # Untrained, the last layer is zero and no other has a slope.
    rng = np.random.default_rng(4)
    weights = [w + rng.normal(0, 0.02, w.shape) for w in opened[0][1].get_weights()]
    for _, learner in opened:
        learner.set_weights(weights)
    alone = [slope.numpy() for slope in shared.mean_slopes(opened, 3)]
    together, seconds = shared.gradient(basins, 2, weights)
    assert seconds > 0 and len(alone) == len(together) == 8
    assert all(np.abs(slope).max() > 1e-6 for slope in alone)
    for ours, theirs in zip(together, alone, strict=True):
        assert np.abs(ours - theirs).max() <= 1e-5 * max(np.abs(theirs).max(), 1e-12)


def test_is_the_joint_gradient_the_mean_of_the_basins(opened):
    each = [shared.slopes(*one) for one in opened]
    joint = shared.mean_slopes(opened, 3)
    for mean, *own in zip(joint, *each, strict=True):
        np.testing.assert_allclose(mean, sum(map(np.asarray, own)) / 3, rtol=1e-5, atol=1e-8)


def test_are_attributes_on_one_scale_for_all_basins(opened):
    fields = [problem.attributes for problem, _ in opened]
    together = np.concatenate(fields)
    np.testing.assert_allclose(together.mean(axis=0), 0.0, atol=1e-5)
    varied = together.std(axis=0) > 1e-6
    np.testing.assert_allclose(together.std(axis=0)[varied], 1.0, atol=1e-5)
    assert not np.allclose(fields[0], fields[1])


@pytest.mark.parametrize("scheme", ["hydropynn_qs", "hybrid_qs_plus"])
def test_is_a_scheme_with_weights_of_one_basin_refused(scheme, basins, sample):
    with pytest.raises(InputError, match=f"scheme '{scheme}' has weights of one basin"):
        shared.open_basin(basins[0], scheme, sample)


def test_are_more_processes_than_basins_refused():
    with pytest.raises(InputError, match="2 processes are asked for; expected 1 to 1"):
        shared.gradient(["a.zarr"], 2)


@pytest.mark.slow
def test_is_told_what_a_process_refuses_and_the_others_do_not_wait_for_it(basins):
    with pytest.raises(InputError, match="none.zarr: no prepared study here"):
        shared.gradient([*basins[:1], "none.zarr"], 2)
