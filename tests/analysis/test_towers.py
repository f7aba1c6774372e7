"""Do towers say what real ones would, and is agreement with them judged honestly?"""

import hashlib

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
from hybridlib.study.store import write_study
from hybridlib.twin import towers as invented

NAMES = ["Year_LBAMIP", "DoY_LBAMIP", "Hour_LBAMIP", "NEE", "LE", "Leraw", "H"]
UNITS = ["-", "-", "-", "umol m-2 s-1", "W m-2", "W m-2", "W m-2"]
DAYS = [(2003, 365, 80.0), (2004, 1, -9999), (2004, 2, 120.0), (2004, 60, 100.0), (2004, 61, -5)]


def _rows(days=DAYS):
    return [[f"{y:.6e}", f"{d:.6e}", "0", "-1", f"{le:.6e}", "-9999", "30"] for y, d, le in days]


def _file(folder, rows=None, names=NAMES, units=UNITS, name="K34day_CfluxBF.txt", end="\r\n"):
    lines = [names, units, ["x"] * len(names), *(_rows() if rows is None else rows)]
    path = folder / name
    path.write_bytes("".join("\t".join(line) + end for line in lines).encode())
    return path


# The reader


def test_does_latent_heat_become_water_on_its_own_day(tmp_path):
    et = lba.read_lba(_file(tmp_path))
    assert et.attrs["units"] == "mm d-1"
    assert et.time.values[[0, -1]].astype("datetime64[D]").astype(str).tolist() == [
        "2003-12-31", "2004-03-01"]  # fmt: skip
    # 86400 s / 2.45e6 J kg-1 = 0.0352653 mm d-1 for each W m-2.
    assert float(et.sel(time="2003-12-31")) == pytest.approx(80 * 0.0352653, rel=1e-5)
    assert float(et.sel(time="2004-02-29")) == pytest.approx(3.52653, rel=1e-5)
    assert float(et.sel(time="2004-03-01")) == pytest.approx(-5 * 0.0352653, rel=1e-5)
    assert np.isnan(et.sel(time="2004-01-01"))
    assert int(et.notnull().sum()) == 4 and et.sizes["time"] == 62


def test_is_the_column_that_was_asked_for_read(tmp_path):
    rows = _rows()
    rows[0][5] = "50"
    et = lba.read_lba(_file(tmp_path, rows, end="\n"), "Leraw")
    assert float(et[0]) == pytest.approx(50 * 0.0352653, rel=1e-5)
    assert int(et.notnull().sum()) == 1


def _with(row, column, text):
    rows = _rows()
    rows[row][column] = text
    return {"rows": rows}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"names": [*NAMES[:4], "Le", *NAMES[5:]]}, "column LE is there 0 times; expected once"),
        ({"names": [*NAMES[:5], "LE", "H"]}, "column LE is there 2 times"),
        (
            {"units": ["-"] * 4 + ["mm d-1", "-", "-"]},
            r"LE has 'mm d-1' and 'x'.*expected its unit",
        ),
        ({"rows": [*_rows(), _rows()[-1][:5]]}, "line 9 has 5 fields.*expected 7, as in line 1"),
        (_with(2, 4, "1,2"), "LE is '1,2' in line 6; expected a number"),
        (_with(0, 1, "366"), "Year_LBAMIP 2003, DoY_LBAMIP 366 in line 4 is no day"),
        (_with(1, 1, "1.5"), "DoY_LBAMIP 1.5 in line 5 is no day"),
        (_with(1, 0, "-9999"), "Year_LBAMIP -9999"),
        (_with(2, 1, "1"), "line 6 is 2004-01-01 after 2004-01-01; expected a later day"),
        (_with(3, 4, "1e20"), r"latent heat flux is 1e\+20 W m-2 in column LE on 2004-02-29"),
        (_with(3, 4, "inf"), "latent heat flux is inf"),
        ({"rows": []}, "3 lines; expected 3 lines of header and then days"),
    ],
)
def test_is_a_damaged_file_refused_with_what_is_wrong(tmp_path, change, sentence):
    path = _file(tmp_path, **change)
    with pytest.raises(InputError, match=sentence) as error:
        lba.read_lba(path)
    assert str(path) in str(error.value)


def test_is_a_file_that_is_no_table_or_is_not_there_refused(tmp_path):
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 40)
    with pytest.raises(InputError, match="noise"):
        lba.read_lba(tmp_path / "noise")
    with pytest.raises(InputError, match="cannot be read"):
        lba.read_lba(tmp_path / "absent")
    with pytest.raises(InputError, match="cannot be read"):
        lba.read_lba(tmp_path)


# Towers of a study


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """A twin that K34 stands in."""
    return cases.add_truth(cases.tiny_study(tmp_path_factory.mktemp("twin"), twsa=False))


def _digest(study):
    files = sorted(path for path in study.path.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def test_is_only_the_tower_inside_the_basin_found(twin):
    basin = twin.basin
    (cell,) = lba.tower_cells(twin).values()
    assert list(lba.tower_cells(twin)) == ["K34"]
    assert (basin.lat[basin.row[cell]], basin.lon[basin.col[cell]]) == (-2.75, -60.25)


def test_has_a_twin_tower_the_truth_of_its_cell_and_is_the_study_untouched(twin):
    before = _digest(twin)
    found = towers.find_towers(twin)
    assert _digest(twin) == before
    day = twin.forcing.evspsblpot.sel(lat=-2.75, lon=-60.25) * 86400.0
    np.testing.assert_allclose(found.et_true.sel(tower="K34"), 0.9 * day, rtol=1e-6)
    xr.testing.assert_identical(found, invented.twin_towers(twin))
    assert not found.equals(invented.twin_towers(twin, seed=1))


def test_gets_a_twin_without_towers_one_in_its_middle(twin, tmp_path):
    def moved(land):
        return land.assign_coords(lat=land.lat - 10)

    away = cases.changed_study(twin, tmp_path, "landsurface", moved)
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
    names = ("forcing", "landsurface", "attributes", "discharge")
    groups = {name: twin.group(name).load() for name in names}
    real = write_study(tmp_path / "real.zarr", groups, {"source": "real"})
    assert towers.find_towers(real) is None
    with pytest.raises(InputError, match="no file of a tower in this basin; expected K34day"):
        towers.find_towers(real, tmp_path)
    _file(tmp_path)
    found = towers.find_towers(real, tmp_path)
    assert found.indexes["time"].equals(real.days) and "et_true" not in found
    et = found.et.sel(tower="K34")
    assert float(et.sel(time="2004-01-02")) == pytest.approx(120 * 0.0352653, rel=1e-5)
    assert int(et.notnull().sum()) == 4
    with pytest.raises(InputError, match="twin and real never mix"):
        towers.find_towers(twin, tmp_path)
    _file(tmp_path, _rows([(1999, 1, 90.0)]))
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
    red = [
        towers.effective_days(_red(rng, days, memory), _red(rng, days, memory)) for _ in range(9)
    ]
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
