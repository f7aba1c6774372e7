"""Is each claim of the paper judged by its own numbers?"""

import cases
import numpy as np
import pandas as pd
import pytest

from hybridlib import budget, budget_findings
from hybridlib.comparison import FIVE, Trained
from hybridlib.evaluation import open_untrained
from hybridlib.schemes import SCHEMES, TRUTH
from hybridlib.splits import Period
from hybridlib.verdicts import side_by_side

TITLES = [SCHEMES[name].title for name in FIVE]


def paper() -> pd.DataFrame:
    """Numbers as the paper found them."""
    table = pd.DataFrame(index=TITLES, dtype=float)
    table["ΔS bias"] = [40, 0, 26, 0, 1]
    table["Q bias"] = [30, 35, 10, 37, -2]
    table["ET bias"] = [-70, -35, -36, -37, 1]
    for number in (1, 3, 5):
        table[f"sub-basin {number} ET bias"] = [-90, -80, -70, -60, -5]
    table["sub-basin ET RMSE"] = [90, 70, 65, 60, 20]
    table["sub-basin ET r"] = [0.1, 0.3, 0.2, 0.3, 0.9]
    table["sub-basin 4 ET rank"] = [3, 2, 2, 2, 1]
    table["sub-basin 4 Q bias"] = [-120, -110, -90, -100, 0]
    table["peak days late"] = [-25, -8, -5, -6, -1]
    table["peak height (%)"] = [20, 9, 8, 10, 3]
    return table


def test_are_the_papers_own_numbers_found_to_bear_it_out():
    found = budget_findings.findings(paper()).table
    assert set(found.verdict.drop(8)) == {"reproduced"}
    assert found.verdict[8] == "not testable, the paper's sub-basins are not known"
    assert found.here[1] == "ΔS bias: Hybrid(Q) 26"
    assert found.here[10] == "sub-basin ET r: Hybrid(Q,S) 0.3, Hybrid(Q,S)+ 0.9"


@pytest.mark.parametrize(
    ("number", "measure", "title", "value", "verdict"),
    [
        (1, "ΔS bias", "Hybrid(Q)", 9, "not reproduced"),
        (1, "ΔS bias", "Hybrid(Q)", -11, "not reproduced"),
        (2, "ET bias", "Hybrid(Q)", 36, "not reproduced"),
        (3, "ΔS bias", "Hybrid(Q)", 9, "not testable, there is nothing to mend"),
        (3, "ΔS bias", "Hybrid(Q,S)", 11, "not reproduced"),
        (4, "Q bias", "Hybrid(Q,S)", -37, "not reproduced"),
        (5, "ET bias", "Hybrid(Q,S)", -9, "not reproduced"),
        (6, "ET bias", "Hybrid(Q,S)+", -30, "not reproduced"),
        (7, "Q bias", "Hybrid(Q,S)+", 11, "not reproduced"),
        (9, "sub-basin ET RMSE", "Hybrid(Q,S)+", 55, "not reproduced"),
        (10, "sub-basin ET r", "Hybrid(Q,S)", 0.89, "undecided"),
        (10, "sub-basin ET r", "Hybrid(Q,S)", 0.95, "not reproduced"),
        (11, "sub-basin 4 ET rank", "Hybrid(Q,S)+", 2, "not reproduced"),
        (11, "sub-basin 4 ET rank", "Hybrid(Q,S)", 1, "not testable, it is without, too"),
        (12, "sub-basin 4 Q bias", "Hybrid(Q)", 0, "not reproduced"),
        (13, "peak days late", "HydroPyNN", -4, "not reproduced"),
        (14, "peak height (%)", "HydroPyNN", -20, "not reproduced"),
        (15, "peak days late", "Hybrid(Q,S)+", 22, "not reproduced"),
        (16, "peak height (%)", "Hybrid(Q,S)", 2, "not testable, there is nothing to mend"),
        (16, "peak height (%)", "Hybrid(Q,S)+", 12, "not reproduced"),
    ],
)
def test_does_each_number_decide_its_claim(number, measure, title, value, verdict):
    table = paper()
    table.loc[title, measure] = value
    assert budget_findings.findings(table).table.verdict[number] == verdict


def test_is_the_error_of_the_observations_not_held_against_a_scheme():
    table = paper()
    table.loc["Hybrid(Q)", "ET bias"] = -15
    assert budget_findings.findings(table).table.verdict[2] == "reproduced"
    table.loc[TRUTH] = 0.0
    table.loc[TRUTH, "ET bias"] = -6
    found = budget_findings.findings(table).table
    assert found.verdict[2] == "not reproduced" and found.here[2] == "ET bias: Hybrid(Q) -9"
    given = found.verdict[found.verdict == "not testable, built into the twin"]
    assert given.index.tolist() == [13, 14], "floods of the untrained model"
    table.loc["HydroPyNN", "peak days late"] = 3
    assert budget_findings.findings(table).table.verdict[13] == "not reproduced"


def test_is_a_claim_without_its_numbers_not_testable():
    table = paper().drop(index="Hybrid(Q,S)+").filter(regex="^(Q|ET|peak)")
    table["ET bias"] = np.nan
    found = budget_findings.findings(table).table
    assert found.verdict[4] == "reproduced"
    told = set(found.verdict.drop(index=[4, 13, 14]))
    assert told == {"not testable, the numbers are missing"}
    assert found.here[6] == "–"


def test_is_agreement_that_of_the_rows():
    table = pd.DataFrame({"told": [1000.0, 1100, 1200], "near": [1010, 1110, 1190], "flat": 1000})
    found = budget_findings.agreement(table)
    assert found.loc["near", "bias"] == pytest.approx(10 / 3)
    assert found.loc["near", "RMSE"] == pytest.approx(10)
    assert found.loc["near", "r"] > 0.99
    assert found.loc["flat", "bias"] == -100 and np.isnan(found.loc["flat", "r"])
    assert "RMSE to the truth" not in found
    twin = budget_findings.agreement(table.assign(**{TRUTH: [1000.0, 1100, 1206]}))
    assert twin.loc["near", "RMSE to the truth"] == pytest.approx(((100 + 100 + 256) / 3) ** 0.5)
    assert twin.loc[TRUTH, "RMSE to the truth"] == 0


def test_are_verdicts_that_depend_on_the_years_both_given():
    other = paper()
    other.loc["Hybrid(Q)", "ΔS bias"] = 11
    both = {"2013-2016": paper(), "2003-2016": other}

    def joined():
        each = {when: budget_findings.findings(one) for when, one in both.items()}
        return side_by_side(each).table

    same = joined()
    assert set(same.verdict.drop(8)) == {"reproduced"}
    assert same.here[1] == "ΔS bias: Hybrid(Q) 26"
    other.loc["Hybrid(Q)", "ΔS bias"] = 9
    apart = joined().verdict
    assert apart[1] == "reproduced (2013-2016); not reproduced (2003-2016)"
    assert apart[2] == "reproduced"


def test_are_measures_those_of_the_tables_they_come_from(tmp_path):
    study = cases.tiny_study(tmp_path)
    series = budget.simulated_series(Trained(*open_untrained(study, "hydropynn"), {}, None))
    names = {"mouth": "all", "middle": "4 middle", "head": "1 head"}
    found = [budget.find_catchment(study, gauge, name) for gauge, name in names.items()]
    book, seen = budget.open_ledger(study, found), budget.observed_series(study, study.days)
    table = budget_findings.measure(book, {"own": series}, seen, "all", Period(2001, 2004))
    observed = budget.annual_budget(book, seen)
    own = {"own": budget.annual_budget(book, series)}
    bias = budget.biases(own, observed, "all", Period(2001, 2004))
    assert table.loc["own", "Q bias"] == bias.loc["own", "Q"]
    years = budget.counted_years(observed, Period(2001, 2004))
    told = budget.mean_evapotranspiration(observed, own, years).drop("all")
    near = budget_findings.agreement(told)
    assert table.loc["own", "sub-basin ET RMSE"] == near.loc["own", "RMSE"]
    error = told.loc["4 middle", "own"] - told.loc["4 middle"].iloc[0]
    assert table.loc["own", "sub-basin 4 ET bias"] == pytest.approx(error)
    fourth = budget.biases(own, observed, "4 middle", Period(2001, 2004))
    assert table.loc["own", "sub-basin 4 Q bias"] == fourth.loc["own", "Q"]


def test_are_floods_and_the_place_of_the_fourth_sub_basin_those_of_each_scheme(tmp_path):
    """Water that comes ten days late and half as high again, and ET that is high in the head."""
    study = cases.tiny_study(tmp_path)
    own = budget.simulated_series(Trained(*open_untrained(study, "hydropynn"), {}, None))
    seen = budget.observed_series(study, study.days).assign(discharge=own.discharge)
    names = {"mouth": "all", "middle": "4 middle", "head": "1 head"}
    found = [budget.find_catchment(study, gauge, name) for gauge, name in names.items()]
    late = own.assign(discharge=1.5 * own.discharge.shift(time=10))
    late["evap"] = own.evap * 0 + np.where(found[2].inside, 1000.0, 100.0)
    low = late.assign(evap=1100.0 - late.evap)
    series = {"own": own, "late": late, "low": low}
    book = budget.open_ledger(study, found)
    table = budget_findings.measure(book, series, seen, "all", Period(2001, 2004))
    assert table.loc["own", ["peak days late", "peak height (%)"]].tolist() == [0, 0]
    assert table.loc["late", "peak days late"] == pytest.approx(10)
    assert table.loc["late", "peak height (%)"] == pytest.approx(50)
    assert table.loc[["late", "low"], "sub-basin 4 ET rank"].tolist() == [1, 2]
