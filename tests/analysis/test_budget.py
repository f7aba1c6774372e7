"""Do annual water budgets close, and are model and observation measured with one ruler?"""

from dataclasses import replace
from types import SimpleNamespace

import cases
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridlib.analysis import budget
from hybridlib.learning.run import Run
from hybridlib.learning.schemes import SCHEMES
from hybridlib.study.schema import SECONDS_PER_DAY, InputError
from hybridlib.study.splits import Period, Split
from hybridlib.study.store import Study, write_group
from hybridlib.twin import geography

MONTHS = pd.date_range("2002-11-01", "2004-12-01", freq="MS")
ALL = Period(2001, 2004)
SPLIT = Split(Period(2002, 2003), Period(2004, 2004))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return cases.tiny_study(tmp_path_factory.mktemp("budget"))


@pytest.fixture(scope="module")
def untrained(study):
    return Run.untrained(study)


@pytest.fixture(scope="module")
def series(untrained):
    return budget.simulated_series(untrained)


@pytest.fixture(scope="module")
def catchments(study):
    return [budget.find_catchment(study, gauge) for gauge in ("mouth", "middle", "head")]


@pytest.fixture(scope="module")
def ledger(study, catchments):
    return budget.open_ledger(study, catchments)


def shares(turn: str, missing=()) -> dict[str, float]:
    """Months that tell the storage at a turn, with their shares."""
    seen = ~MONTHS.isin(pd.to_datetime(list(missing)))
    (row,) = budget.turn_shares(pd.DatetimeIndex([turn]), MONTHS, seen)
    return {f"{month:%Y-%m}": share for month, share in zip(MONTHS, row, strict=True) if share}


# The turn of the year


def test_is_storage_at_the_turn_the_mean_of_december_and_january():
    assert shares("2004-01-01") == pytest.approx({"2003-12": 0.5, "2004-01": 0.5})


def test_is_a_missing_month_bridged_along_the_line_to_the_next_one():
    # Mid-November is 46 days before the turn, mid-January 15.5 after it.
    found = shares("2004-01-01", ["2003-12-01"])
    assert found == pytest.approx({"2003-11": 15.5 / 61.5, "2004-01": 46 / 61.5})


def test_does_the_line_go_on_at_the_end_of_the_record():
    # Mid-November and mid-December are 46 and 15.5 days before it.
    found = shares("2005-01-01")
    assert found == pytest.approx({"2004-11": -15.5 / 30.5, "2004-12": 46 / 30.5})


def test_is_storage_in_the_middle_of_a_month_that_months_own():
    assert shares("2003-02-15") == pytest.approx({"2003-02": 1.0})
    # Mid-January is 28.5 days before the day before, the middle of February 1 day after it.
    near = {"2003-01": 1 / 29.5, "2003-02": 28.5 / 29.5}
    assert shares("2003-02-14") == pytest.approx(near)


def test_is_a_turn_unknown_where_no_two_months_are_near():
    gap = ["2003-11-01", "2003-12-01", "2004-01-01"]
    assert np.isnan(list(shares("2004-01-01", gap).values())).all()
    assert np.isnan(list(shares("2002-01-01").values())).all()
    assert np.isnan(list(shares("2002-10-01").values())).all(), "one month makes no line"
    later = gap[:2]
    assert np.isnan(list(shares("2004-01-01", later).values())).all(), "no line goes on inside"


# Where water is counted


@pytest.fixture(scope="module")
def amazon():
    """What of a study a catchment needs, for the whole Amazon."""
    place = geography.amazon()
    basin, gauges = geography.network(place), place.gauges
    cells = [basin.cell_at(row.cell_lat, row.cell_lon) for row in gauges.itertuples()]
    station = {"station": gauges.station.to_numpy(str)}
    areas = ("station", gauges.area_network_km2.to_numpy())
    discharge = xr.Dataset({"cell_area": areas}, station)
    discharge["area"] = "station", gauges.area_km2.to_numpy()
    study = SimpleNamespace(
        basin=basin, discharge=discharge, gauge_cells=np.array(cells), path="amazon", place=place
    )
    study.gauge = lambda name: Study.gauge(study, name)
    return study


def test_are_the_nine_sub_basins_apart_and_as_large_as_published(amazon):
    found = budget.find_sub_basins(amazon)
    assert list(found) == list(range(1, 10))
    assert np.sum([one.inside for one in found.values()], axis=0).max() == 1
    for number, one in found.items():
        area = amazon.basin.area[one.inside].sum() / 1e6
        assert area == pytest.approx(float(amazon.discharge.area.sel(station=one.gauge)), rel=0.15)
        drawn = amazon.basin.pack(amazon.place.subbasins) == number
        np.testing.assert_array_equal(one.inside, drawn)
    largest = budget.find_catchment(amazon, "")
    assert largest.gauge == "OBIDOS - LINIGRAFO"
    above = [number for number, one in found.items() if one.inside[largest.inside].any()]
    assert above == [1, 2, 3, 4, 5, 6, 7], "Tapajós and Xingu join the river below Óbidos"


def test_is_each_sub_basin_named_after_the_river_of_its_gauge():
    stations = pd.read_csv(geography.FOLDER / "stations.csv").set_index("station")
    for number, (river, gauge) in budget.SUB_BASINS.items():
        name, grdc_id = geography.SUBBASINS[number]
        assert stations.grdc_id[gauge] == grdc_id
        assert name.split()[0] == river.translate(str.maketrans("õáó", "oao"))


def test_is_an_unknown_gauge_refused_with_those_there_are(study):
    with pytest.raises(InputError, match="no gauge 'delta'; expected one of: mouth, middle, head"):
        budget.find_catchment(study, "delta")


def test_are_catchments_of_one_name_or_none_refused(study, catchments):
    with pytest.raises(InputError, match="catchments none; expected each once, and some"):
        budget.open_ledger(study, [])
    with pytest.raises(InputError, match="catchments head, head; expected each once"):
        budget.open_ledger(study, [catchments[2]] * 2)


def test_is_discharge_of_other_days_put_on_those_of_the_ledger(ledger, series):
    short = series.discharge.sel(time=slice("2003", None))
    runoff, whole = (budget.daily_runoff(ledger, one) for one in (short, series.discharge))
    assert runoff.sel(time=slice(None, "2002")).isnull().all()
    xr.testing.assert_identical(
        runoff.sel(time=slice("2003", None)), whole.sel(time=slice("2003", None))
    )


def test_are_areas_those_of_the_network(study, ledger):
    np.testing.assert_allclose(ledger.cells.sum(axis=1), 1.0)
    inside = [one.inside @ study.basin.area for one in ledger.catchments]
    np.testing.assert_allclose(ledger.area, inside)


# Terms of the budget


def test_does_the_budget_close_with_exact_stores(ledger, series):
    exact = budget.exact_budget(ledger, series)
    later = exact.sel(year=slice(2002, None))
    np.testing.assert_allclose(later.ET, later.evap, atol=0.02)
    assert float(later.evap.min()) > 100


def test_are_rain_runoff_and_storage_what_they_were_made_of(study, ledger):
    """1000 m³/s in a leap year, storage that grows by 1 mm a day."""
    observed = budget.observed_series(study, study.days)
    grown = np.array((observed.month.values - np.datetime64("2002-01-01")) / np.timedelta64(1, "D"))
    middle = grown + np.array(observed.indexes["month"].days_in_month) / 2
    observed["discharge"][:] = 1000.0
    observed["twsa"][:] = middle[:, None]
    found = budget.annual_budget(ledger, observed).sel(year=2004, catchment="head")
    area = ledger.area[2]
    assert float(found.Q) == pytest.approx(1000 * SECONDS_PER_DAY * 366 / area * 1000)
    assert float(found.dS) == pytest.approx(366)
    year = study.forcing.pr.sel(time="2004").sum("time").values * SECONDS_PER_DAY
    inside = ledger.catchments[2].inside
    assert float(found.P) == pytest.approx(study.basin.pack(year)[inside].mean(), rel=1e-5)
    assert float(found.ET) == pytest.approx(float(found.P - found.Q - found.dS))


def test_has_a_year_with_too_few_days_no_runoff(study, ledger):
    observed = budget.annual_budget(ledger, budget.observed_series(study, study.days))
    known = observed.Q.notnull().to_pandas()
    assert known["head"].all()
    assert known["mouth"].tolist() == [True, False, True, True], "60 days are missing in 2002"
    assert known["middle"].tolist() == [False, False, True, True], "begins in August 2002"


def test_is_a_perfect_model_free_of_bias(study, ledger, series):
    seen = budget.observed_series(study, study.days)
    seen["discharge"] = series.discharge.where(seen.discharge.notnull())
    seen["twsa"] = series.twsa.where(seen.twsa.notnull())
    observed = budget.annual_budget(ledger, seen)
    found = budget.biases({"own": budget.annual_budget(ledger, series)}, observed, "mouth", ALL)
    np.testing.assert_allclose(found.loc["own", ["dS", "Q", "ET"]].astype(float), 0.0, atol=1e-9)


def test_do_days_the_gauge_missed_not_count_for_the_model(ledger, series):
    seen = ledger.seen.copy()
    seen[dict(time=slice(800, 820))] = False  # in 2003: few enough for a Q
    short = replace(ledger, seen=seen)
    other = series.copy(deep=True)
    other["discharge"][800:820] = 1e6
    a, b = (budget.annual_budget(short, one).Q.sel(year=2003) for one in (series, other))
    xr.testing.assert_identical(a, b)
    flow = series.discharge.sel(time="2003", station="head").values
    rest = np.delete(flow, slice(800 - 730, 820 - 730)).mean() * SECONDS_PER_DAY * 365e3
    assert float(a.sel(catchment="head")) == pytest.approx(rest / ledger.area[2])
    whole = budget.annual_budget(ledger.on_all_days(), other).Q
    assert bool((whole.sel(year=2003) > 1e4).all())


def test_do_months_gravimetry_missed_not_count_for_the_model(study, ledger, series):
    other = series.copy(deep=True)
    other["twsa"] = series.twsa.where(study.twsa.twsa.notnull().values, 1e6)
    a, b = (budget.annual_budget(ledger, one).dS for one in (series, other))
    xr.testing.assert_identical(a, b)
    assert a.notnull().any()


def test_do_biases_add_up_to_zero_and_dots_to_their_bar(study, ledger, series):
    observed = budget.annual_budget(ledger, budget.observed_series(study, study.days))
    budgets = {"own": budget.annual_budget(ledger, series)}
    found = budget.biases(budgets, observed, "head", ALL).loc["own"]
    assert found.dS + found.Q + found.ET == pytest.approx(0.0, abs=1e-9)
    assert abs(found.Q) > 1.0
    assert budget.mean_budget(observed, budget.counted_years(observed, ALL)).Q.units == "mm a-1"
    years = budget.annual_biases(budgets, observed, "head", ALL)
    assert years.year.values.tolist() == [2002, 2003, 2004]
    assert float(years.Q.mean()) == pytest.approx(found.Q)


def test_is_the_methods_error_told_against_the_models_own_evapotranspiration(ledger, series):
    seen, whole = (budget.annual_budget(book, series) for book in (ledger, ledger.on_all_days()))
    years = budget.counted_years(seen, ALL)
    table = budget.method_error(ledger, series, years)
    for text, one in {"boxes": whole, "boxes and gaps": seen}.items():
        error = (one.ET - seen.evap).where(years).sel(catchment="mouth").dropna("year").values
        assert len(error) == 2
        assert table.loc["mouth", f"{text}: mean"] == pytest.approx(error.mean())
        assert table.loc["mouth", f"{text}: one year"] == pytest.approx(np.hypot(*error) / 2**0.5)
    assert (table["boxes: one year"] > 0.1).all(), "months and a box are not the stores"


def test_are_boxes_weighed_by_their_area_inside(study):
    basin, inside = study.basin, np.zeros((2, study.basin.size))
    near = basin.lon[basin.col] < -59.5  # two columns of four, and one cell
    inside[0, near], inside[1, [0, -1]] = 1 / near.sum(), 0.5
    boxes = xr.Dataset({"box_lat": ("box", [-3.0, -3.0]), "box_lon": ("box", [-60.75, -57.75])})
    cover = budget.box_cover(basin, inside, boxes)
    np.testing.assert_allclose(cover, [[1, 0], [0.5, 0.5]])
    one = boxes.isel(box=[0])
    np.testing.assert_allclose(budget.box_shares(basin, inside, one), [[1], [1]])
    far = inside[1:].copy()
    far[0, [0, -1]] = 1 / 3, 2 / 3
    np.testing.assert_allclose(budget.box_shares(basin, far, one), [[1]])
    far[0, [0, -1]] = 0.3, 0.7
    assert np.isnan(budget.box_shares(basin, far, one)).all(), "less than a third is covered"


def test_does_a_month_count_only_with_all_boxes_of_a_catchment(study, tmp_path):
    def two_boxes(group):
        west, east = group.isel(box=0), group.isel(box=0)
        pair = xr.concat([west, east], pd.Index(["west", "east"], name="box"))
        pair["box_lon"] = "box", [-60.75, -57.75], group.box_lon.attrs
        pair["twsa"] = pair.twsa.transpose("month", "box")
        pair["twsa"].loc["2003-12-01", "east"] = np.nan
        return pair

    changed = cases.changed_study(study, tmp_path, "twsa", two_boxes)
    found = [budget.find_catchment(changed, gauge) for gauge in ("mouth", "head")]
    ledger = budget.open_ledger(changed, found)
    np.testing.assert_allclose(ledger.boxes, [[0.5, 0.5], [1.0, 0.0]])
    turn = ledger.turns[3]  # 1 January 2004
    months = ledger.observed_boxes.indexes["month"]
    used = [months[turn[:, k] > 0].strftime("%Y-%m").tolist() for k in (0, 1)]
    assert used == [["2003-11", "2004-01"], ["2003-12", "2004-01"]]


# What a study may lack


def test_is_runoff_known_without_gravimetry(tmp_path):
    study = cases.tiny_study(tmp_path, twsa=False)
    ledger = budget.open_ledger(study, [budget.find_catchment(study, "head")])
    observed = budget.annual_budget(ledger, budget.observed_series(study, study.days))
    assert observed.Q.notnull().all() and observed.ET.isnull().all()
    assert budget.counted_years(observed, ALL).all()
    with pytest.raises(InputError, match="expected one of: 2001, 2002, 2003, 2004"):
        budget.chosen_years("2010-2012", observed, "head", SPLIT)
    table = budget.catchment_table(study, ledger, budget.counted_years(observed, ALL))
    assert list(table) == ["gauge", "area in the network (1000 km²)", "years"]
    bias = budget.biases({"same": observed}, observed, "head", ALL).loc["same"]
    assert bias.Q == 0 and np.isnan(bias.ET)


def test_is_a_period_without_a_complete_year_refused(study, ledger):
    observed = budget.annual_budget(ledger, budget.observed_series(study, study.days))
    for asked, found in (("2002-2003", Period(2002, 2003)), ("", SPLIT.validation)):
        assert budget.chosen_years(asked, observed, "middle", SPLIT) == found
    early = Split(Period(2003, 2004), Period(2002, 2002))
    assert budget.chosen_years("", observed, "middle", early) == Period(2002, 2004)
    with pytest.raises(InputError, match="middle: no year of 2002-2002.*one of: 2003, 2004"):
        budget.chosen_years("2002", observed, "middle", SPLIT)


def test_are_the_gauges_sub_basins_where_none_is_named(study):
    found = budget.find_sub_basins(study)
    assert {n: (one.name, one.gauge) for n, one in found.items()} == {
        1: ("1 Mouth", "mouth"), 2: ("2 Middle", "middle"), 3: ("3 Head", "head")
    }  # fmt: skip
    sizes = [int(one.inside.sum()) for one in found.values()]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[-1]


def test_is_a_record_without_a_whole_year_refused():
    days = pd.date_range("2001-02-01", "2001-12-31")
    with pytest.raises(InputError, match="run from 2001-02-01 to 2001-12-31; expected a whole"):
        budget.annual_sums(np.ones((len(days), 1)), days)


def test_are_sums_those_of_whole_years_only():
    days = pd.date_range("2003-12-30", "2005-01-02")
    sums = budget.annual_sums(np.ones((len(days), 2)), days)
    assert sums.year.values.tolist() == [2004] and sums.values.tolist() == [[366, 366]]


def test_is_the_truth_read_in_the_same_units(study, tmp_path):
    with pytest.raises(InputError, match="the study has no truth"):
        budget.true_series(study, study.days)
    twin = cases.tiny_study(tmp_path)
    shape = ("time", "lat", "lon"), np.full(twin.forcing.pr.shape, 3.0 / SECONDS_PER_DAY)
    truth = xr.Dataset({"evap": shape}, twin.forcing.coords).merge(
        {
            "discharge_true": twin.discharge.discharge.load(),
            "twsa_true": twin.twsa.twsa.load(),
        }
    )
    write_group(twin.path, "truth", truth)
    series = budget.true_series(twin, twin.days)
    ledger = budget.open_ledger(twin, [budget.find_catchment(twin, "mouth")])
    np.testing.assert_allclose(budget.annual_budget(ledger, series).evap, 3.0 * np.array(
        [[365], [365], [365], [366]]), rtol=1e-6)  # fmt: skip


# Schemes


def test_does_member_choose_one_of_the_trained_and_leave_the_untrained(untrained, series):
    own = untrained.learners[0]
    slow = own.parameters()._replace(lag_gw=2.0 * own.parameters().lag_gw)
    other = SimpleNamespace(parameters=lambda: slow, pet=own.pet)
    problem = replace(untrained.problem, scheme=SCHEMES["hydropynn_qs"])
    trained = cases.Ready(problem, [own, other])
    pair = {"a": untrained, "b": trained}
    first, second, mean = (budget.simulate_schemes(pair, *member) for member in ((0,), (1,), ()))
    xr.testing.assert_identical(mean["b"], budget.simulated_series(trained))
    for found in (first, second, mean):
        xr.testing.assert_identical(found["a"], series)
    xr.testing.assert_equal(first["b"], series)
    slower = budget.simulated_series(cases.Ready(untrained.problem, [other]))
    xr.testing.assert_equal(second["b"], slower)
    assert abs(slower.discharge - series.discharge).max() > 1.0
    middle = (slower.discharge + series.discharge) / 2
    xr.testing.assert_allclose(mean["b"].discharge, middle, rtol=1e-5)
    with pytest.raises(InputError, match=r"HydroPyNN\(Q,S\): member is 2; expected 0 to 1"):
        budget.simulate_schemes(pair, 2)


def test_is_evapotranspiration_told_beside_the_water_balance(study, ledger, series):
    observed = budget.annual_budget(ledger, budget.observed_series(study, study.days))
    own = budget.annual_budget(ledger, series)
    years = budget.counted_years(observed, Period(2002, 2002))
    table = budget.mean_evapotranspiration(observed, {"own": own}, years)
    assert list(table.index) == ["head"], "the other gauges lack days in 2002"
    assert table.loc["head", "own"] == pytest.approx(float(own.evap.sel(year=2002)[2]))
    told = float(observed.ET.sel(year=2002, catchment="head"))
    assert table.loc["head", "P − Q − ΔS"] == pytest.approx(told)


def test_does_the_table_count_areas_and_years(study, ledger):
    observed = budget.annual_budget(ledger, budget.observed_series(study, study.days))
    areas = study.discharge.assign(area=("station", [7e3, 5e3, 3e3]))
    known = SimpleNamespace(discharge=areas)
    table = budget.catchment_table(known, ledger, budget.counted_years(observed, ALL))
    assert table.years.tolist() == [2, 2, 3]
    assert table["published (1000 km²)"].tolist() == [7, 5, 3]
    assert table["in boxes (%)"].tolist() == pytest.approx([100, 100, 100])
    assert table.loc["mouth", "area in the network (1000 km²)"] == pytest.approx(
        study.basin.area.sum() / 1e9
    )


def test_is_a_value_laid_on_its_own_cells_only(study, catchments):
    field = budget.in_cells(study.basin, catchments[2:], {"head": 7.0, "mouth": 1.0})
    assert np.isfinite(field).tolist() == catchments[2].inside.tolist()
    assert np.nanmax(field) == 7.0
