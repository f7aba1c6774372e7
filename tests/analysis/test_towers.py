"""Do towers say what real ones would, and is agreement with them judged honestly?"""

import cases
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import signal, stats

from hybridlib.analysis import towers
from hybridlib.findings import claims
from hybridlib.findings.rules import MISSING
from hybridlib.study.schema import InputError
from hybridlib.study.sources import lba
from hybridlib.study.splits import Period
from hybridlib.twin import towers as invented

# Towers of a study


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """A twin that K34 stands in."""
    return cases.add_truth(cases.tiny_study(tmp_path_factory.mktemp("twin"), twsa=False))


def test_has_the_only_tower_inside_the_basin_its_cells_truth_and_is_the_study_untouched(twin):
    assert lba.tower_cells(twin) == {"K34": twin.basin.cell_at(-2.75, -60.25)}
    before = cases.contents(twin.path)
    found = towers.find_towers(twin)
    assert cases.contents(twin.path) == before
    day = twin.forcing.evspsblpot.sel(lat=-2.75, lon=-60.25) * 86400.0
    np.testing.assert_allclose(found.et_true.sel(tower="K34"), 0.9 * day, rtol=1e-6)
    xr.testing.assert_identical(found, invented.twin_towers(twin))
    assert not found.equals(invented.twin_towers(twin, seed=1))


def test_gets_a_twin_without_towers_one_in_its_middle(twin, tmp_path):
    south = ("landsurface", lambda land: land.assign_coords(lat=land.lat - 10))
    away = cases.changed_study(twin, tmp_path, *south)
    found = towers.find_towers(away)
    assert found.tower.values.tolist() == [invented.INVENTED]
    row, col = (field[int(found.cell[0])] for field in (away.basin.row, away.basin.col))
    assert row == 1 and col in (1, 2)


def test_has_a_twin_tower_the_errors_it_is_said_to_have():
    rng, days = np.random.default_rng(3), 20000
    true = rng.uniform(2.0, 5.0, days)
    seen = invented.observe(true, rng)
    error = seen / true
    assert np.nanmean(error) == pytest.approx(invented.CLOSURE, rel=0.02)
    expected = np.sqrt(np.exp(invented.FOOTPRINT**2 + invented.READING**2) - 1)
    assert np.nanstd(error) / np.nanmean(error) == pytest.approx(expected, rel=0.05)
    gap = np.isnan(seen)
    assert gap.mean() == pytest.approx(invented.MISSING_SHARE, abs=0.01)
    begins = (gap[1:] & ~gap[:-1]).sum()
    assert 5 < gap.sum() / begins < 20
    slow = pd.Series(error).rolling(30, min_periods=10).mean()
    assert slow.std() / slow.mean() == pytest.approx(invented.FOOTPRINT, rel=0.3)


def test_are_real_towers_read_on_the_days_of_the_study_and_never_mixed_with_a_twin(twin, tmp_path):
    real = cases.remade_study(twin, tmp_path, "real")
    with pytest.raises(InputError, match="the study has no truth"):
        towers.find_towers(real)
    with pytest.raises(InputError, match="no file of a tower in this basin; expected K34day"):
        towers.find_towers(real, tmp_path)
    cases.tower_file(tmp_path)
    found = towers.find_towers(real, tmp_path)
    assert found.indexes["time"].equals(real.days) and "et_true" not in found
    et = found.et.sel(tower="K34")
    assert float(et.sel(time="2004-01-02")) == pytest.approx(120 * 0.0352653, rel=1e-5)
    assert int(et.notnull().sum()) == 4
    with pytest.raises(InputError, match="twin and real never mix"):
        towers.find_towers(twin, tmp_path)
    cases.tower_file(tmp_path, cases.tower_rows([(1999, 1, 90.0)]))
    with pytest.raises(InputError, match="no value of LE on a day of the study; the file has 1999"):
        towers.find_towers(real, tmp_path)


# Agreement


def _red(rng, days, memory):
    """A series in which each day remembers the one before."""
    noise = rng.standard_normal(days + 200) * np.sqrt(1 - memory**2)
    return signal.lfilter([1.0], [1.0, -memory], noise)[200:]


def test_are_independent_days_all_effective_and_lasting_ones_few():
    rng, days = np.random.default_rng(0), 5000
    white = towers.effective_days(*rng.standard_normal((2, days)))
    assert 0.9 * days < white <= days
    memory = 0.8
    pairs = ((_red(rng, days, memory), _red(rng, days, memory)) for _ in range(9))
    red = [towers.effective_days(*pair) for pair in pairs]
    # Bretherton et al. (1999), eq. 31, for two series of one memory.
    expected = days * (1 - memory**2) / (1 + memory**2)
    assert np.median(red) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("gaps", [False, True])
def test_keeps_the_honest_p_value_its_level_where_the_naive_one_does_not(gaps):
    rng, days, trials = np.random.default_rng(1), 600, 300
    time = pd.date_range("2001-01-01", periods=days)
    naive, honest = [], []
    for _ in range(trials):
        one, other = _red(rng, days, 0.9), _red(rng, days, 0.9)
        if gaps:
            one[100:130] = one[300:420] = one[rng.random(days) < 0.1] = np.nan
        row = towers.agreement(one, other, time)
        naive.append(row["p"])
        honest.append(row["p by these"])
    assert np.mean(np.array(naive) < 0.05) > 0.4
    assert np.mean(np.array(honest) < 0.05) < 0.10


def test_is_the_naive_p_value_that_of_scipy():
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, 50))
    b += 0.3 * a
    row = towers.agreement(a, b, pd.date_range("2001-01-01", periods=50))
    expected = stats.pearsonr(a, b)
    assert row["r"] == pytest.approx(expected.statistic)
    assert row["p"] == pytest.approx(expected.pvalue)
    assert np.isnan(towers.p_value(0.5, 2.0))


def test_do_error_and_correlation_answer_different_questions():
    rng, days = np.random.default_rng(4), pd.date_range("2001-01-01", periods=400)
    seen = rng.uniform(2, 5, 400)
    row = towers.agreement(seen + 1, np.where(np.arange(400) < 40, np.nan, seen), days)
    assert row["days"] == 360
    assert row["r"] == pytest.approx(1.0)
    assert row["MAE"] == pytest.approx(1.0) and row["RMSE"] == pytest.approx(1.0)
    assert row["mean"] - row["tower's mean"] == pytest.approx(1.0)
    assert 0.5 < row["within its range"] < 0.8


def test_is_only_the_season_taken_out():
    days = pd.date_range("2001-01-01", "2006-12-31")
    phase = 2 * np.pi * days.dayofyear / 365.2425
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 0.3, (2, len(days)))
    one, other = 3 + np.sin(phase) + noise[0], 4 + 2 * np.sin(phase) + noise[1]
    assert np.nanstd(towers.without_season(one, days)) == pytest.approx(0.3, rel=0.05)
    row = towers.agreement(one, other, days)
    assert row["r"] > 0.8 and abs(row["r without season"]) < 0.06


@pytest.mark.parametrize(
    "seen", [np.full(30, np.nan), np.full(30, 2.0), [1.0, 2.0] + [np.nan] * 28]
)
def test_is_no_score_made_up_where_there_is_nothing_to_compare(seen):
    days = pd.date_range("2001-01-01", periods=30)
    row = towers.agreement(np.arange(30.0), np.array(seen), days)
    assert np.isnan([row[name] for name in towers.MEASURES]).all()


def test_is_the_truth_scored_like_a_scheme_and_against_itself_without_error(twin):
    found = towers.find_towers(twin)
    dry = xr.Dataset({"evap": (("time", "cell"), np.ones((len(twin.days), twin.basin.size)))})
    dry["evap"] = dry.evap * found.et_true.values * 0.75
    simulated = towers.at_towers(found, {"dry": dry})
    table = towers.agreement_table(found, simulated, Period(2002, 2003))
    assert table.index.tolist() == [("K34", "dry"), ("K34", "truth")]
    # The lesson of the page: a scheme as low as the tower has less error than what happened.
    assert table.loc[("K34", "dry"), "MAE"] < 0.6 * table.loc[("K34", "truth"), "MAE"]
    assert table.r.nunique() == 1 or np.ptp(table.r) < 1e-9
    true = towers.agreement_table(found, simulated, Period(2002, 2003), "et_true")
    assert true.loc[("K34", "truth"), "MAE"] == 0.0
    assert true.days.tolist() == [730, 730]
    with pytest.raises(InputError, match="period 1999-2000: no day"):
        towers.agreement_table(found, simulated, Period(1999, 2000))


def _judged(table, schemes):
    return claims.verdicts("towers", towers.measures(table, schemes)).table


def test_is_each_claim_about_towers_judged_by_its_own_numbers():
    index = pd.MultiIndex.from_product([["K34", "K67"], ["A", "B"]], names=["tower", "scheme"])
    table = pd.DataFrame(1e-5, index, towers.MEASURES)
    table["r"], table["within its range"] = 0.7, 1.0
    assert _judged(table, ("A",)).verdict.tolist() == ["reproduced"] * 2
    table.loc[("K67", "B"), ["p by these", "within its range"]] = 0.2, 0.9
    assert _judged(table, ("A",)).verdict.tolist() == ["reproduced"] * 2
    found = _judged(table, ("A", "B"))
    assert found.verdict.tolist() == ["not reproduced"] * 2
    assert "K67 B: r 0.70, p 0.2" in found.here[1]
    untrained = table.xs("A", level="scheme").assign(scheme="HydroPyNN")
    more = [table, untrained.set_index("scheme", append=True)]
    assert _judged(pd.concat(more), ("A",)).verdict[1] == "reproduced"
    more.append(more[1].rename(index={"HydroPyNN": "truth"}))
    found = _judged(pd.concat(more), ("A",)).verdict
    assert set(found) == {"not testable, the untrained model does so, too"}
    more[1].loc[("K67", "HydroPyNN"), "within its range"] = 0.5
    found = _judged(pd.concat(more), ("A",)).verdict
    assert found[1].startswith("not testable") and found[2] == "reproduced"
    table.loc[("K34", "A"), "r"] = -0.7
    assert _judged(table, ("A",)).verdict[1] == "not reproduced"
    assert _judged(table, ("C",)).verdict.tolist() == [MISSING] * 2
