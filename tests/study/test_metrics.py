"""Do scores mean what they say?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridlib.study.metrics import bias, correlation, kge, nse, rmse

OBSERVED = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 9.0], [np.nan, 1.0]])


def test_is_a_perfect_simulation_perfect():
    np.testing.assert_allclose(nse(OBSERVED, OBSERVED), 1.0)
    np.testing.assert_allclose(kge(OBSERVED, OBSERVED), 1.0)
    np.testing.assert_allclose(rmse(OBSERVED, OBSERVED), 0.0)
    np.testing.assert_allclose(correlation(OBSERVED, OBSERVED), 1.0)
    np.testing.assert_allclose(bias(OBSERVED, OBSERVED), 0.0)


def test_is_the_mean_worth_an_nse_of_zero():
    mean = np.full(3, 3.0)
    assert nse(mean, OBSERVED[:3, 0]) == 0.0


def test_what_are_the_scores_of_a_worked_example():
    simulated, observed = np.array([2.0, 3.0, 4.0]), np.array([1.0, 3.0, 5.0])
    assert nse(simulated, observed) == pytest.approx(1 - 2 / 8)
    assert rmse(simulated, observed) == pytest.approx(np.sqrt(2 / 3))
    assert kge(simulated, observed) == pytest.approx(0.5)
    # Twice the observations: mean and spread are twice as large, the correlation is 1.
    assert kge(2 * observed, observed) == pytest.approx(1 - np.sqrt(2))


@pytest.mark.parametrize("score", [nse, rmse, correlation, kge, bias])
def test_is_a_series_scored_as_if_alone_beside_another(score):
    simulated = OBSERVED[:3] + np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 3.0]])
    alone = [score(simulated[:, k], OBSERVED[:3, k]) for k in (0, 1)]
    assert score(simulated, OBSERVED[:3]).tolist() == pytest.approx(alone)
    assert alone[0] != pytest.approx(alone[1])


def test_are_missing_days_left_out_on_both_sides():
    simulated = OBSERVED + 1.0
    simulated[0, 1] = np.nan
    expected = 1 - 3.0 / np.var(OBSERVED[1:, 1]) / 3
    assert nse(simulated, OBSERVED)[1] == pytest.approx(expected)


def test_is_a_score_of_constant_observations_undefined():
    flat = np.ones(5)
    assert np.isnan(nse(np.arange(5.0), flat))
    assert np.isnan(kge(np.arange(5.0), flat))


def test_is_a_series_without_variation_given_no_correlation():
    true = np.array([1.0, 2.0, 4.0])
    assert correlation(2 * true + 1, true) == pytest.approx(1.0)
    assert correlation(-true, true) == pytest.approx(-1.0)
    assert correlation(1e-9 * true, true) == pytest.approx(1.0)  # another unit
    assert np.isnan(correlation(np.full(3, 0.05, np.float32), true))
    assert np.isnan(correlation(np.full(3, np.nan), true))
    for change in (0.5, 1.0):  # by no more than a millionth of its size
        rounded = 1e6 - np.array([0.0, change, 0.0])
        assert np.isnan(correlation(rounded, true)) and np.isnan(correlation(true, rounded))
    found = correlation(np.array([[2.0, 1.0], [np.nan, 1.0], [8.0, 1.0]]), np.array([true] * 2).T)
    assert found[0] == pytest.approx(1.0) and np.isnan(found[1])


@given(st.floats(0.5, 2.0))
def test_does_a_factor_show_as_bias(factor):
    assert bias(factor * OBSERVED, OBSERVED)[1] == pytest.approx(factor - 1, abs=1e-12)
