"""Are PETs compared on the right days and cells, and claims about them judged by their numbers?"""

from types import SimpleNamespace

import cases
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridlib.analysis import evaporation
from hybridlib.analysis.evaporation import FORMULAS, HIGH, LOW, Compared
from hybridlib.findings import claims
from hybridlib.findings.rules import GIVEN, MISSING
from hybridlib.learning import comparison
from hybridlib.learning.run import Run
from hybridlib.learning.schemes import SCHEMES, TRUTH
from hybridlib.study import pet
from hybridlib.study.schema import FORCING, InputError
from hybridlib.study.splits import Period, Split

NAME = "Hybrid(Q,S)+"


def one_twice_as_large(land):
    """The first cell twice as large as each other; none larger than its coordinates give."""
    land["area"].values[:] *= 0.6
    land["area"].values[0, 0] *= 2.0
    return land


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """A twin with the range of temperature, too; one cell is twice as large as the others."""
    folder = tmp_path_factory.mktemp("twin")

    def warmer_by_day(forcing):
        for name, change in (("tasmin", -4.0), ("tasmax", 6.0)):
            forcing[name] = (forcing.tas + change).assign_attrs(FORCING[name].attrs)
        return forcing

    changes = "forcing", warmer_by_day, "landsurface", one_twice_as_large
    return cases.changed_study(cases.add_truth(cases.tiny_study(folder)), folder, *changes)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A study without a truth, on which no formula can be computed."""
    return cases.tiny_study(tmp_path_factory.mktemp("plain"), twsa=False, radiation=False)


def _learned(study, *members):
    """A scheme whose members' PET is known, mm d-1, (time, cell)."""
    problem = SimpleNamespace(days=study.days, scheme=SCHEMES["hybrid_qs_plus"])
    trained = cases.Ready(problem, members)
    vars(trained)["pet"] = np.stack(members)  # as if it had been computed
    return trained


def _reference(study):
    return study.basin.pack(study.forcing.evspsblpot) * 86400.0


@pytest.fixture(scope="module")
def fields(twin):
    reference = _reference(twin)
    return evaporation.pet_fields(twin, _learned(twin, reference, 3 * reference))


def _compare(twin, fields):
    """Season, maps and years of PETs, as they are compared."""
    period = Period(2002, 2003)
    season = evaporation.climatology(twin, fields, period)
    return season, evaporation.annual_maps(twin, fields, period), period


def test_are_formulas_offered_that_the_weather_allows(twin, plain):
    assert evaporation.possible_formulas(twin) == list(FORMULAS)
    assert evaporation.possible_formulas(plain) == []
    alone = evaporation.pet_fields(plain, _learned(plain, _reference(plain)))
    assert list(alone) == [NAME]
    season, _, _ = _compare(plain, alone)
    units = ("year (mm d⁻¹)", "days 90–270 (mm d⁻¹)", "other days (mm d⁻¹)")
    assert tuple(evaporation.seasons(season)) == units
    with pytest.raises(InputError, match="the study has no truth"):
        evaporation.distance_to_truth(plain, alone, None, None, Period(2002, 2003))


def test_is_every_formula_that_of_its_cell(twin, fields):
    assert list(fields) == [*FORMULAS.values(), NAME, TRUTH]
    for name, title in FORMULAS.items():
        grid = pet.potential_evaporation(twin.forcing, name).values * 86400.0
        np.testing.assert_allclose(fields[title], twin.basin.pack(grid), rtol=1e-5)
    np.testing.assert_allclose(fields[TRUTH], 1.5 * _reference(twin), rtol=1e-5)


def test_is_the_learned_pet_the_mean_or_the_member_that_was_asked_for(twin, fields):
    reference = _reference(twin)
    np.testing.assert_allclose(fields[NAME], 2 * reference, rtol=1e-5)
    two = _learned(twin, reference, 3 * reference)
    np.testing.assert_allclose(evaporation.pet_fields(twin, two, 1)[NAME], 3 * reference, rtol=1e-5)
    with pytest.raises(InputError, match="member is 2; expected 0 to 1"):
        evaporation.pet_fields(twin, two, 2)


def test_has_a_date_one_number_in_leap_years_and_others():
    dates = ["2003-01-01", "2003-02-28", "2003-03-01", "2003-12-31"]
    dates += ["2004-02-28", "2004-02-29", "2004-03-01", "2004-12-31"]
    found = evaporation.day_of_year(pd.DatetimeIndex(dates))
    assert found.tolist() == [1, 59, 60, 365, 59, 0, 60, 365]


def test_is_the_season_the_mean_over_area_and_years(twin):
    days, basin = twin.days, twin.basin
    by_cell = np.where(basin.area == basin.area.max(), 14.0, 1.0)
    by_day = (days.month == 3) & (days.day == 1)
    by_year = np.select([days.year == 2003, days.year == 2004], [1.0, 3.0], 100.0)
    values = np.outer(by_day * by_year, by_cell).astype("float32")
    field = xr.Dataset({"PET": (("time", "cell"), values)}, {"time": days})
    season = evaporation.climatology(twin, field, Period(2003, 2004))
    assert season.index.tolist() == list(range(1, 366))
    # 11 cells of 1 and one of 14 that weighs double: 39/13 = 3; years 1 and 3: 2.
    assert season.PET[60] == pytest.approx(6.0)
    assert season.PET.drop(60).abs().max() == 0.0
    with pytest.raises(InputError, match="period 1990-1991: no day; the study has 2001-01-01 to"):
        evaporation.climatology(twin, field, Period(1990, 1991))


def test_is_a_map_the_total_of_a_mean_year(twin):
    values = np.where(twin.days.year == 2003, 2.0, 50.0)[:, None] * np.arange(twin.basin.size)
    field = xr.Dataset({"PET": (("time", "cell"), values)}, {"time": twin.days})
    (grid,) = evaporation.annual_maps(twin, field, Period(2003, 2003)).data_vars.values()
    np.testing.assert_allclose(twin.basin.pack(grid), 730.5 * np.arange(twin.basin.size))
    assert grid.attrs == {"long_name": "mean annual PET", "units": "mm"}


def _season(**columns):
    day = pd.RangeIndex(1, 366, name="day of year")
    wave = np.cos(2 * np.pi * day / 365)
    inside = (day >= 90) & (day <= 270)
    low = 3 + 0.2 * wave
    table = pd.DataFrame({LOW: low, "Hargreaves–Samani": low + 2, HIGH: low + 1}, day)
    table[NAME] = low + np.where(inside, 0.2, 0.7)
    return table.assign(**columns)


def test_is_the_way_between_two_formulas_measured_in_each_season():
    way = evaporation.seasons(_season()).filter(like="way")
    np.testing.assert_allclose(way.loc[LOW], 0.0)
    np.testing.assert_allclose(way.loc[HIGH], 1.0)
    np.testing.assert_allclose(way.loc["Hargreaves–Samani"], 2.0)
    np.testing.assert_allclose(way.loc[NAME, ["way, days 90–270", "way, other days"]], [0.2, 0.7])


def test_is_a_region_weighted_by_area_and_nan_where_it_is_empty(twin, fields):
    _, maps, _ = _compare(twin, fields)
    table = evaporation.region_table(twin, maps)
    expected = np.average(twin.basin.pack(maps[NAME]), weights=twin.basin.area)
    assert table.loc[NAME, "basin"] == table.loc[NAME, "lowland"] == pytest.approx(expected)
    assert table[["Andes", "north-west", "south"]].isna().all(axis=None)


def test_does_a_link_with_weather_not_depend_on_units(twin, fields):
    season, maps, period = _compare(twin, fields)
    links = evaporation.weather_links(twin, season, maps, period, twin.basin.land)
    huss = twin.basin.pack(twin.forcing.huss.sel(time=slice("2002", "2003")).mean("time"))
    expected = np.corrcoef(huss, twin.basin.pack(maps[LOW]))[0, 1]
    assert links.loc[LOW, (evaporation.BY_CELL, "humidity")] == pytest.approx(expected, abs=1e-4)
    assert links.notna().all(axis=None)
    assert links.columns.get_level_values(0)[0] == evaporation.OVER_YEAR


def test_do_large_cells_weigh_more_in_the_mean_error_and_all_alike_in_the_rest(twin):
    """2 mm/d too much in the cell that is twice as large as the eleven others."""
    large = twin.basin.area == twin.basin.area.max()
    true = 1.5 * _reference(twin)
    fields = evaporation.pet_fields(twin, _learned(twin, true + np.where(large, 2.0, 0.0)))
    row = evaporation.distance_to_truth(twin, fields, *_compare(twin, fields)).loc[NAME]
    assert row["mean error"] == pytest.approx(2 * 2 / 13, abs=1e-4)
    assert row["RMSE, days and cells"] == pytest.approx(2 / 12**0.5, abs=1e-4)
    assert row["RMSE, mean by cell"] == pytest.approx(2 / 12**0.5, abs=1e-4)
    assert row["RMSE, day of year"] == pytest.approx(2 * 2 / 13, abs=1e-4)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.0, -1.0])
def test_is_a_learned_share_of_the_way_to_the_truth_scored_as_that_share(twin, share):
    formula = evaporation.pet_fields(twin, _learned(twin, _reference(twin)))[LOW].values
    true = 1.5 * _reference(twin)
    fields = evaporation.pet_fields(twin, _learned(twin, formula + share * (true - formula)))
    distance = evaporation.distance_to_truth(twin, fields, *_compare(twin, fields))
    assert distance.index.tolist() == [*FORMULAS.values(), NAME]
    moved = evaporation.moved_to_truth(distance, NAME)
    np.testing.assert_allclose(moved, share if share >= 0 else -1.0, atol=2e-4)


def _compared(**changes):
    """What fulfils all claims of the paper."""
    four = [*FORMULAS.values(), NAME]
    season = _season()
    regions = ["basin", "lowland", "Andes", "north-west", "south"]
    region = pd.DataFrame(1000.0, [*four, TRUTH], regions)
    region["Andes"] = 700.0
    region.loc[[LOW, NAME], "north-west"] = 900.0
    region.loc[NAME, "south"] = 1100.0
    kinds = ("temperature", "humidity", "wind", "shortwave")
    hows = (evaporation.OVER_YEAR, evaporation.BY_CELL)
    links = pd.DataFrame(0.5, four, pd.MultiIndex.from_product([hows, kinds]))
    links.loc[NAME, (evaporation.BY_CELL, "humidity")] = -0.5
    error = pd.DataFrame({"RMSE, days and cells": [0.5, 0.9, 0.5, 0.4]}, four)
    error["r, mean by cell"] = [0.9, 0.8, 0.9, 0.95]
    parts = {"season": season, "region": region, "links": links, "distance": error} | changes
    parts["season"] = parts["season"].assign(truth=season[LOW] + 0.3)
    return Compared(NAME, True, **parts)


def _judged(compared) -> pd.DataFrame:
    twin, found = TRUTH in compared.season, evaporation.measures(compared)
    return claims.verdicts("pet", found, twin, compared.title).table


def test_are_all_claims_reproduced_where_they_are_true():
    found = _judged(_compared())
    built_in = found.index[found.verdict == GIVEN].tolist()
    assert built_in == [4, 5, 6, 7] and set(found.verdict.drop(built_in)) == {"reproduced"}
    assert found.here[1].startswith(f"way, year: {NAME} 0.4")
    assert found.here[1].endswith("truth 0.30")


def _in_the_middle(table, value):
    """A value on days 90 to 270, nothing on the others."""
    return np.where((table.index >= 90) & (table.index <= 270), value, 0.0)


@pytest.mark.parametrize(
    ("part", "change", "failing"),
    [
        ("season", lambda t: t.assign(**{NAME: t[HIGH] + 0.1}), [1, 2, 3]),
        ("season", lambda t: t.assign(**{NAME: t[NAME] + _in_the_middle(t, 0.6)}), [2, 3]),
        ("season", lambda t: t.assign(**{NAME: t[LOW] + 0.4}), [3]),
        ("season", lambda t: t.assign(**{"Hargreaves–Samani": 8.0 - t[LOW]}), [4]),
        ("season", lambda t: t.assign(**{LOW: t[LOW] + 0.5}), [1, 2, 3, 6]),
        ("region", lambda t: t.assign(Andes=990.0), [7]),
        ("region", lambda t: t.assign(**{"north-west": 900.0}), [8]),
        ("region", lambda t: t.assign(**{"north-west": 1000.0}), [8]),
        ("region", lambda t: t.assign(south=1010.0), [9]),
        ("links", lambda t: -t, [5, 10]),
        ("distance", lambda t: t + np.array([[0], [0], [0], [0.2]]), [11]),
    ],
)
def test_does_each_claim_fail_by_its_own_numbers(part, change, failing):
    whole = _compared()
    found = _judged(_compared(**{part: change(getattr(whole, part))}))
    changed = found.verdict != _judged(whole).verdict
    assert found.index[changed].tolist() == failing


def test_is_a_claim_about_learning_not_testable_where_the_formula_shows_it_too():
    links = _compared().links
    links.loc[LOW, (evaporation.BY_CELL, "humidity")] = -0.5
    found = _judged(_compared(links=links))
    assert found.verdict[10] == "not testable, Penman–Monteith shows it, too"


def test_is_a_pet_nearer_in_days_but_not_on_the_map_called_mixed():
    distance = _compared().distance
    distance.loc[NAME, "r, mean by cell"] = 0.85
    found = _judged(_compared(distance=distance))
    assert found.verdict[11] == "mixed, best in RMSE only"


def test_is_nothing_judged_without_formulas_regions_or_a_learned_pet():
    whole = _compared()
    for change in ({"season": whole.season[[NAME]]}, {"learns": False}):
        found = _judged(whole._replace(**change))
        assert set(found.verdict) == {MISSING}
    empty = whole.region.assign(**dict.fromkeys(("Andes", "north-west", "south"), np.nan))
    found = _judged(whole._replace(region=empty))
    assert found.index[found.verdict == MISSING].tolist() == [7, 8, 9]


def test_is_the_richest_scheme_shown_where_the_one_asked_for_is_not_possible():
    said, schemes = [], {"HydroPyNN": None, "Hybrid(Q,S)": None, NAME: None}
    assert comparison.in_focus(schemes, "hybrid_qs_plus", said.append) == NAME and not said
    few = {"HydroPyNN": None, "Hybrid(Q)": None}
    assert comparison.in_focus(few, "hybrid_qs_plus", said.append) == "Hybrid(Q)"
    assert said == [f"{NAME} is not among the schemes that can be shown here; Hybrid(Q) is"]
    with pytest.raises(InputError, match="scheme 'hybrid' is unknown"):
        comparison.in_focus(schemes, "hybrid")
    beside = {NAME: "Hybrid(Q,S)", "Hybrid(Q,S)": "HydroPyNN", "HydroPyNN": "Hybrid(Q,S)"}
    assert {one: evaporation.companion(schemes, one) for one in schemes} == beside
    assert evaporation.companion(few, "HydroPyNN") == "Hybrid(Q)"


def test_are_the_years_those_of_the_split_unless_asked_for():
    split = Split(Period(2003, 2012), Period(2013, 2016))
    problem = SimpleNamespace(split=split, days=pd.date_range("2001-01-01", "2016-12-31"))
    trained = cases.Ready(problem, [])
    assert evaporation.shown_years("", trained) == Period(2003, 2016)
    assert evaporation.shown_years("2005-2006", trained) == Period(2005, 2006)
    for asked in ("2003-2020", "1999-2003"):
        with pytest.raises(InputError, match=f"period {asked}: expected years within 2001-2016"):
            evaporation.shown_years(asked, trained)


def test_does_the_untrained_scheme_evaporate_with_its_only_member(twin):
    schemes = {"HydroPyNN": Run.untrained(twin)}
    (field,) = evaporation.simulate_evaporation(schemes, member=2).values()
    assert field.evap.shape == (len(twin.days), twin.basin.size)
    # Water that evaporates can neither be negative nor more than the air demands.
    assert float(field.evap.min()) >= 0
    assert (field.evap.values <= _reference(twin) * 1.001 + 1e-4).all()
