"""Is each finding judged by the numbers that the chapters show, and by nothing else?"""

from __future__ import annotations

import nbformat
import numpy as np
import pandas as pd
import pytest

from hybridlib.analysis import schemes, water
from hybridlib.findings import claims, page
from hybridlib.findings.rules import (
    COLUMNS,
    GIVEN,
    Claim,
    Verdicts,
    judge,
    judge_all,
    listed,
    side_by_side,
)
from hybridlib.learning.schemes import TRUTH
from hybridlib.publish.notebooks import home

TITLES = ["HydroPyNN", "HydroPyNN(Q,S)", "Hybrid(Q)", "Hybrid(Q,S)", "Hybrid(Q,S)+"]


def _medians(discharge, twsa, index=TITLES) -> dict[str, float]:
    return schemes.measures(pd.DataFrame({"discharge": discharge, "twsa": twsa}, index))


def test_is_each_claim_judged_by_its_own_medians():
    numbers = _medians([0.60, 0.76, 0.75, 0.76, 0.90], [0.57, 0.70, 0.50, 0.71, 0.70])
    found = claims.verdicts("schemes", numbers).table
    assert found.verdict.tolist() == [
        "reproduced",  # 0.60, 0.76
        "reproduced",  # alike
        "undecided",  # 0.76, 0.75
        "reproduced",  # 0.50 below 0.57
        "reproduced",
        "reproduced",
        "undecided",  # 0.71, 0.70
        "reproduced",
        "reproduced",
    ]
    assert found.here[1] == "NSE of Q: HydroPyNN 0.6, HydroPyNN(Q,S) 0.76"
    numbers["NSE of Q, Hybrid(Q,S)"] -= 0.2
    assert claims.verdicts("schemes", numbers).table.verdict[2] == "not reproduced"


def test_is_no_verdict_given_without_numbers_or_at_the_ceiling():
    titles = ["HydroPyNN", "Hybrid(Q,S)", "Hybrid(Q,S)+", TRUTH]
    numbers = _medians([0.7, 0.97, 0.979, 0.98], [0.8, 0.9, 0.905, 0.98], titles)
    found = claims.verdicts("schemes", numbers).table.set_index("the paper found").verdict
    near = "not testable, too near the ceiling"
    assert found["learning PET improves discharge"] == near
    assert found["learning PET improves storage"] == "undecided"
    assert found["all together improve discharge"] == "reproduced"
    assert found["gravimetry costs some discharge"] == "not testable, the numbers are missing"


PAPER = {
    "held out, HydroPyNN": 0.63,
    "held out, Hybrid(Q,S)": 0.66,
    "held out, Hybrid(Q,S)+": 0.80,
    "mean difference to HydroPyNN": 0.2,
    "mean difference to Hybrid(Q,S)": 0.2,
    "p to HydroPyNN": 1e-3,
    "p to Hybrid(Q,S)": 1e-3,
    "trained on, Hybrid(Q,S)+": 0.77,
    "held out in both, Hybrid(Q,S)+": 0.76,
    "spread of members over distance of NSE from 1, Hybrid(Q,S)": 0.05,
    "members": 10,
}
"""Numbers behind the claims about transfer, as the paper found them."""


@pytest.mark.parametrize(
    ("name", "value", "claim", "verdict"),
    [
        ("held out, Hybrid(Q,S)", 0.60, 1, "not reproduced"),
        ("held out, Hybrid(Q,S)", 0.64, 1, "undecided"),
        ("p to HydroPyNN", 0.02, 2, "undecided"),
        ("p to Hybrid(Q,S)", 0.02, 3, "undecided"),
        ("mean difference to Hybrid(Q,S)", -0.2, 3, "undecided"),
        ("held out in both, Hybrid(Q,S)+", 0.74, 4, "not reproduced"),
        ("spread of members over distance of NSE from 1, Hybrid(Q,S)", 0.2, 5, "not reproduced"),
    ],
)
def test_does_each_number_decide_its_claim_about_transfer(name, value, claim, verdict):
    as_found = claims.verdicts("transfer", PAPER).table.verdict
    assert set(as_found) == {"reproduced"}
    changed = claims.verdicts("transfer", PAPER | {name: value}).table.verdict
    assert changed[changed != as_found].to_dict() == {claim: verdict}


def water_budget() -> pd.DataFrame:
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


def _budget(measured: pd.DataFrame) -> pd.DataFrame:
    twin = TRUTH in measured.index
    return claims.verdicts("budget", water.measures(measured), twin).table


def test_are_the_papers_own_numbers_found_to_bear_it_out():
    found = _budget(water_budget())
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
def test_does_each_number_decide_its_claim_about_water(number, measure, title, value, verdict):
    table = water_budget()
    table.loc[title, measure] = value
    assert _budget(table).verdict[number] == verdict


def test_is_the_error_of_the_observations_not_held_against_a_scheme():
    table = water_budget()
    table.loc["Hybrid(Q)", "ET bias"] = -15
    assert _budget(table).verdict[2] == "reproduced"
    table.loc[TRUTH] = 0.0
    table.loc[TRUTH, "ET bias"] = -6
    found = _budget(table)
    assert found.verdict[2] == "not reproduced" and found.here[2] == "ET bias: Hybrid(Q) -9"
    given = found.verdict[found.verdict == "not testable, built into the twin"]
    assert given.index.tolist() == [13, 14], "floods of the untrained model"
    table.loc["HydroPyNN", "peak days late"] = 3
    assert _budget(table).verdict[13] == "not reproduced"


def test_is_a_claim_without_its_numbers_not_testable():
    table = water_budget().drop(index="Hybrid(Q,S)+").filter(regex="^(Q|ET|peak)")
    table["ET bias"] = np.nan
    found = _budget(table)
    assert found.verdict[4] == "reproduced"
    told = set(found.verdict.drop(index=[4, 13, 14]))
    assert told == {"not testable, the numbers are missing"}
    assert found.here[6] == "–"


def test_are_verdicts_that_depend_on_the_years_both_given():
    other = water_budget()
    other.loc["Hybrid(Q)", "ΔS bias"] = 11
    both = {"2013-2016": water_budget(), "2003-2016": other}

    def joined(all_numbers=False):
        told = {when: claims.verdicts("budget", water.measures(one)) for when, one in both.items()}
        return side_by_side(told, all_numbers).table

    same = joined()
    assert set(same.verdict.drop(8)) == {"reproduced"}
    assert same.here[1] == "ΔS bias: Hybrid(Q) 26"
    all_told = "ΔS bias: Hybrid(Q) 26 (2013-2016); ΔS bias: Hybrid(Q) 11 (2003-2016)"
    assert joined(all_numbers=True).here[1] == all_told
    other.loc["Hybrid(Q)", "ΔS bias"] = 9
    apart = joined().verdict
    assert apart[1] == "reproduced (2013-2016); not reproduced (2003-2016)"
    assert apart[2] == "reproduced"
    del both["2003-2016"]
    assert joined(all_numbers=True).here[1] == same.here[1], "one period needs no name"


@pytest.mark.parametrize(
    ("p", "verdict"), [(0.001, "reproduced"), (0.3, "undecided")]
)  # fmt: skip
def test_does_a_test_that_decides_nothing_leave_the_claim_undecided(p, verdict):
    claim = Claim("", "4.2", "b is better", "–", ("a", "b", "more", "p"), claims.surely_better)

    def judged(a, b, more, p):
        return judge(claim, {"a": a, "b": b, "more": more, "p": p})["verdict"]

    assert judged(0.5, 0.8, 0.2, p) == verdict
    assert judged(0.8, 0.5, -0.2, 0.001) == "not reproduced"
    assert judged(0.79, 0.8, 0.01, 0.001) == "undecided"
    assert judged(0.5, 0.8, -0.2, 0.001) == "undecided", "medians and means disagree"


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        (0.90, 0.97, "reproduced"),
        (0.97, 0.975, "not testable, too near the ceiling"),
        (0.975, 0.97, "not reproduced"),
    ],
)
def test_does_only_a_finding_that_holds_come_too_near_the_ceiling(a, b, verdict):
    claim = Claim(
        "", "4.2", "b is better", measures=("a", "b"), holds=lambda a, b: b > a, bound="top"
    )
    assert judge(claim, {"a": a, "b": b, "top": 0.98})["verdict"] == verdict


def test_is_a_finding_that_a_twin_was_given_told_so_of_a_twin_only():
    claim, numbers = Claim("", "4.2", "a is there", measures=("a",), given=True), {"a": 1.0}
    found = [judge(claim, numbers), judge(claim, numbers, twin=True)]
    assert [one["verdict"] for one in found] == ["reproduced", GIVEN]
    assert judge_all([claim], numbers).table.verdict.tolist() == ["reproduced"]


def test_is_every_number_told_behind_its_title():
    told = listed(["near, Hybrid(Q)", "near, truth", "members"], [0.314, 0.4, 3.0], ".2f")
    assert told == "near: Hybrid(Q) 0.31, truth 0.40; members 3.00"


def test_are_verdicts_read_from_the_notebook_that_shows_them(tmp_path):
    row = dict(zip(COLUMNS, ("4.3", "b is better", "–", "a: 1, b: 2", "reproduced"), strict=True))
    shown = Verdicts(pd.DataFrame([row]))
    data, kept = shown._repr_mimebundle_()
    assert "b is better" in data["text/html"]
    cell = nbformat.v4.new_code_cell("shown")
    cell.outputs = [nbformat.v4.new_output("execute_result", data, metadata=kept)]
    path = tmp_path / "04_five_schemes.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    assert page.read_verdicts(path) == [row]
    assert page.read_verdicts(tmp_path / "none.ipynb") == []
    table = page.all_verdicts(tmp_path)
    assert table.section.is_monotonic_increasing
    assert table.chapter.tolist().count("04_five_schemes") == 1
    assert len(table) == 1 + sum(not one.about for one in claims.CLAIMS)


def test_has_every_chapter_with_findings_said_them():
    chapters = set(page.all_verdicts(home()).chapter)
    assert {name[:2] for name in chapters} >= {"04", "05", "06", "07", "08"}
