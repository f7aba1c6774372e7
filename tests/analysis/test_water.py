"""Are the numbers behind the claims about water those of the tables they come from?"""

import cases
import numpy as np
import pandas as pd
import pytest

from hybridlib.analysis import budget, water
from hybridlib.learning.run import Run
from hybridlib.learning.schemes import TRUTH
from hybridlib.study.splits import Period


def test_is_agreement_that_of_the_rows():
    table = pd.DataFrame({"told": [1000.0, 1100, 1200], "near": [1010, 1110, 1190], "flat": 1000})
    found = water.agreement(table)
    assert found.loc["near", "bias"] == pytest.approx(10 / 3)
    assert found.loc["near", "RMSE"] == pytest.approx(10)
    assert found.loc["near", "r"] > 0.99
    assert found.loc["flat", "bias"] == -100 and np.isnan(found.loc["flat", "r"])
    assert "RMSE to the truth" not in found
    twin = water.agreement(table.assign(**{TRUTH: [1000.0, 1100, 1206]}))
    assert twin.loc["near", "RMSE to the truth"] == pytest.approx(((100 + 100 + 256) / 3) ** 0.5)
    assert twin.loc[TRUTH, "RMSE to the truth"] == 0


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return cases.tiny_study(tmp_path_factory.mktemp("water"))


@pytest.fixture(scope="module")
def own(study):
    """What HydroPyNN simulates."""
    return budget.simulated_series(Run.untrained(study))


@pytest.fixture(scope="module")
def book(study):
    names = {"mouth": "all", "middle": "4 middle", "head": "1 head"}
    found = [budget.find_catchment(study, gauge, name) for gauge, name in names.items()]
    return budget.open_ledger(study, found)


def test_are_measures_those_of_the_tables_they_come_from(study, own, book):
    seen, period = budget.observed_series(study, study.days), Period(2001, 2004)
    row = water.measure(book, {"own": own}, seen, "all", period).loc["own"]
    observed, simulated = budget.annual_budget(book, seen), {"own": budget.annual_budget(book, own)}
    for sign, name in (("", "all"), ("sub-basin 4 ", "4 middle")):
        bias = budget.biases(simulated, observed, name, period)
        assert row[f"{sign}Q bias"] == bias.loc["own", "Q"]
    years = budget.counted_years(observed, period)
    told = budget.mean_evapotranspiration(observed, simulated, years).drop("all")
    assert row["sub-basin ET RMSE"] == water.agreement(told).loc["own", "RMSE"]
    error = told.loc["4 middle", "own"] - told.loc["4 middle"].iloc[0]
    assert row["sub-basin 4 ET bias"] == pytest.approx(error)


def test_are_floods_and_the_place_of_the_fourth_sub_basin_those_of_each_scheme(study, own, book):
    """Water that comes ten days late and half as high again, and ET that is high in the head."""
    seen = budget.observed_series(study, study.days).assign(discharge=own.discharge)
    late = own.assign(discharge=1.5 * own.discharge.shift(time=10))
    late["evap"] = own.evap * 0 + np.where(book.catchments[2].inside, 1000.0, 100.0)
    series = {"own": own, "late": late, "low": late.assign(evap=1100.0 - late.evap)}
    table = water.measure(book, series, seen, "all", Period(2001, 2004))
    assert table.loc["own", ["peak days late", "peak height (%)"]].tolist() == [0, 0]
    assert table.loc["late", "peak days late"] == pytest.approx(10)
    assert table.loc["late", "peak height (%)"] == pytest.approx(50)
    assert table.loc[["late", "low"], "sub-basin 4 ET rank"].tolist() == [1, 2]
