"""Is each finding judged by the numbers that the chapters show, and by nothing else?"""

from __future__ import annotations

import nbformat
import pandas as pd
import pytest

from hybridlib import findings
from hybridlib.notebooks import NOTEBOOKS
from hybridlib.schemes import TRUTH
from hybridlib.verdicts import (
    Claim,
    Verdicts,
    judge,
    judge_all,
    read_verdicts,
    surely_better,
)

TITLES = ["HydroPyNN", "HydroPyNN(Q,S)", "Hybrid(Q)", "Hybrid(Q,S)", "Hybrid(Q,S)+"]


def _medians(discharge, twsa, index=TITLES) -> dict[str, float]:
    return findings.scheme_numbers(pd.DataFrame({"discharge": discharge, "twsa": twsa}, index))


def test_is_each_claim_judged_by_its_own_medians():
    numbers = _medians([0.60, 0.76, 0.75, 0.76, 0.90], [0.57, 0.70, 0.50, 0.71, 0.70])
    found = judge_all(findings.SCHEME_CLAIMS, numbers).table
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
    assert judge_all(findings.SCHEME_CLAIMS, numbers).table.verdict[2] == "not reproduced"


def test_is_no_verdict_given_without_numbers_or_at_the_ceiling():
    titles = ["HydroPyNN", "Hybrid(Q,S)", "Hybrid(Q,S)+", TRUTH]
    numbers = _medians([0.7, 0.97, 0.979, 0.98], [0.8, 0.9, 0.905, 0.98], titles)
    found = judge_all(findings.SCHEME_CLAIMS, numbers).table.set_index("the paper found").verdict
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
    as_found = judge_all(findings.TRANSFER_CLAIMS, PAPER).table.verdict
    assert set(as_found) == {"reproduced"}
    changed = judge_all(findings.TRANSFER_CLAIMS, PAPER | {name: value}).table.verdict
    assert changed[changed != as_found].to_dict() == {claim: verdict}


@pytest.mark.parametrize(
    ("p", "verdict"), [(0.001, "reproduced"), (0.3, "undecided")]
)  # fmt: skip
def test_does_a_test_that_decides_nothing_leave_the_claim_undecided(p, verdict):
    claim = Claim("4.2", "b is better", numbers=("a", "b", "more", "p"), holds=surely_better)

    def judged(a, b, more, p):
        return judge(claim, {"a": a, "b": b, "more": more, "p": p})["verdict"]

    assert judged(0.5, 0.8, 0.2, p) == verdict
    assert judged(0.8, 0.5, -0.2, 0.001) == "not reproduced"
    assert judged(0.79, 0.8, 0.01, 0.001) == "undecided"
    assert judged(0.5, 0.8, -0.2, 0.001) == "undecided", "medians and means disagree"


def test_are_verdicts_read_from_the_notebook_that_shows_them(tmp_path):
    row = {"the paper found": "b is better", "here": "a: 1, b: 2", "verdict": "reproduced"}
    shown = Verdicts(pd.DataFrame([row]), "4.3")
    data, kept = shown._repr_mimebundle_()
    assert "b is better" in data["text/html"]
    cell = nbformat.v4.new_code_cell("shown")
    cell.outputs = [nbformat.v4.new_output("execute_result", data, metadata=kept)]
    path = tmp_path / "04_five_schemes.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    assert read_verdicts(path) == [row | {"section": "4.3", "its numbers": "–"}]
    assert read_verdicts(tmp_path / "none.ipynb") == []
    table = findings.all_verdicts(tmp_path)
    assert table.section.is_monotonic_increasing
    assert table.chapter.tolist().count("04_five_schemes") == 1
    assert len(table) == 1 + len(findings.UNTESTABLE)


def test_has_every_chapter_with_findings_said_them():
    chapters = set(findings.all_verdicts(NOTEBOOKS).chapter)
    assert {name[:2] for name in chapters} >= {"04", "05", "06", "07", "08"}
