"""Do instruments see what is there?"""

import cases
import numpy as np
import pandas as pd
import pytest

from hybridlib.basin import Basin
from hybridlib.observe import anomaly, box_weights, discharge_at, monthly_means
from hybridlib.schema import InputError

DAYS = pd.date_range("2004-01-01", "2004-12-31")
MONTHS = pd.date_range("2004-01-01", periods=12, freq="MS")


def test_is_a_month_the_mean_of_its_days():
    daily = np.arange(len(DAYS), dtype=float)[:, None]
    monthly = monthly_means(daily, DAYS, MONTHS)
    assert monthly[0, 0] == 15.0 and monthly[1, 0] == 31 + 14.0


def test_is_a_month_without_days_refused():
    with pytest.raises(InputError, match="no day of the run lies in 2005-01"):
        monthly_means(np.zeros((366, 1)), DAYS, MONTHS.append(pd.DatetimeIndex(["2005-01-01"])))


def test_is_the_baseline_the_mean_over_observed_months_only():
    monthly = np.arange(12.0)[:, None]
    seen = np.ones((12, 1), bool)
    seen[6:] = False
    found = anomaly(monthly, MONTHS, seen, ("2004-01", "2004-12"))
    np.testing.assert_allclose(found[:, 0], np.arange(12.0) - 2.5)


def test_is_a_baseline_without_observations_refused():
    with pytest.raises(InputError, match="no month between 2010-01 and 2010-12"):
        anomaly(np.zeros((12, 1)), MONTHS, baseline=("2010-01", "2010-12"))


def test_is_a_box_the_area_weighted_mean_of_its_cells():
    land = cases.landsurface()
    land["area"][0, 0] = 5e9
    basin = Basin.from_landsurface(land)
    weights = box_weights(basin, np.array([-2.75]), np.array([-59.5]))
    assert weights.shape == (1, 12)
    assert weights.sum() == pytest.approx(1.0)
    assert weights[0, 0] == pytest.approx(2 * weights[0, 1])


def test_is_a_box_without_cells_refused():
    basin = Basin.from_landsurface(cases.landsurface())
    with pytest.raises(InputError, match="the box at lat 40, lon 0 holds no land cell"):
        box_weights(basin, np.array([40.0]), np.array([0.0]))


def test_is_discharge_given_per_second():
    assert discharge_at(np.full((2, 3), 86400.0), np.array([1])).tolist() == [[1.0], [1.0]]
