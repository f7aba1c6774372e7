"""Do the tables of the book say what is in the data?"""

from types import SimpleNamespace

import cases
import gallery
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from hybridlib.analysis import inventory, schemes, transfer, weather
from hybridlib.experiments import results
from hybridlib.learning.run import Run
from hybridlib.learning.settings import PRESETS
from hybridlib.study.attributes import ATTRIBUTES
from hybridlib.study.schema import SECONDS_PER_DAY
from hybridlib.study.store import write_study
from hybridlib.twin import geography

DAYS = pd.date_range("2001-01-01", "2003-06-30")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Three cells that drain east, the first of twice the size; two gauges, one with a gap."""
    dims, land = ("lat", "lon"), cases.landsurface(2, 3)
    land.lsm[1], land.area[0, 0] = 0.0, 2.0 * land.area[0, 0]
    warm = np.broadcast_to([[280.0, 290.0, 294.0], [0.0, 0.0, 0.0]], (len(DAYS), 2, 3))
    rain = np.full(warm.shape, 2.0 / SECONDS_PER_DAY)
    daily = {"tas": (("time", *dims), warm), "pr": (("time", *dims), rain)}
    flow = np.full((len(DAYS), 2), 100.0)
    flow[31:45, 0] = np.nan
    gauges = {"area": [3000.0, 5000.0], "cell_area": [3000.0, 4000.0], "snapped": [False, True],
              "cell_lat": [-2.25] * 2, "cell_lon": [-59.75, -59.25]}  # fmt: skip
    discharge = xr.Dataset({name: ("station", values) for name, values in gauges.items()})
    discharge["discharge"] = ("time", "station"), flow
    attributes = dict.fromkeys(ATTRIBUTES, (dims, np.full((2, 3), 0.5)))
    groups = {
        "forcing": xr.Dataset(daily, land.drop_dims("month").coords).assign_coords(time=DAYS),
        "landsurface": land,
        "attributes": xr.Dataset(attributes, land.drop_dims("month").coords),
        "discharge": discharge.assign_coords(time=DAYS, station=["UPPER", "LOWER"]),
    }
    return write_study(tmp_path_factory.mktemp("study") / "three.zarr", groups, {"source": "real"})


def test_does_the_station_table_hold_gaps_errors_and_moves(study):
    table = inventory.station_table(study)
    assert list(table.index) == [1, 2]
    assert table["missing (%)"].tolist() == [round(100 * 14 / len(DAYS), 1), 0.0]
    assert table["error (%)"].tolist() == [0.0, -20.0]
    assert table["mean flow (m³ s⁻¹)"].tolist() == [100, 100]
    assert table["snapped"].tolist() == ["", "yes"] and "river" not in table
    share = inventory.missing_days(study.discharge.discharge)
    assert float(share.sel(station="UPPER", time="2001-02-01")) == pytest.approx(50.0)
    assert float(share.sum()) == pytest.approx(50.0) and share.shape == (2, 30)
    assert inventory.contents(study).index.tolist() == [*inventory.GROUPS[:4]]


def test_do_the_changed_cells_equal_the_table_of_corrections():
    changes = inventory.changed_cells(geography.amazon(corrected=False), geography.amazon())
    table = pd.read_csv(geography.FOLDER / "corrections.csv")
    kinds = {"target": inventory.TURNED, "drop": inventory.DROPPED, "add": inventory.ADDED}
    for what, kind in kinds.items():
        rows, columns = np.nonzero(changes.values == kind)
        drawn = set(zip(geography.LAT[rows], geography.LON[columns], strict=True))
        named = table[table.what == what]
        assert drawn == set(zip(named.lat, named.lon, strict=True)), what


def test_is_the_amplitude_that_of_the_mean_year_with_gaps_left_out():
    months = pd.date_range("2003-01-01", "2006-12-01", freq="MS")
    storage = 50.0 * np.cos(2 * np.pi * (months.month.values - 4) / 12)[:, None] * [1.0, 3.0]
    storage[5:9] = np.nan
    twsa = xr.DataArray(storage, {"month": months, "box": ["a", "b"]}, ("month", "box"))
    assert inventory.seasonal_amplitude(twsa).values == pytest.approx([100.0, 300.0])


def test_are_basin_means_weighted_by_area_and_outside_cells_left_out(study):
    daily, monthly = weather.summarise(study)
    assert daily.tas.values == pytest.approx(np.full(len(DAYS), 286.0))
    assert monthly.days.sum() == len(DAYS) and monthly.days[0] == 93
    table = weather.meteorology_table(study, daily, monthly)
    assert table.loc["tas", "basin mean":].tolist() == [12.9, 6.9, 20.9]
    assert table.loc["pr", "basin mean":].tolist() == [2.0, 2.0, 2.0]
    assert weather.annual_rain(daily).to_dict() == pytest.approx({2001: 730.0, 2002: 730.0})
    assert weather.climate_check(study, monthly).empty, "not the Amazon"


def test_are_schema_units_turned_into_those_shown():
    given = {"tas": 273.15, "huss": 0.018, "ps": 101_300.0, "pr": 1 / SECONDS_PER_DAY}
    shown = weather.plain_units(xr.Dataset(given))
    assert [float(shown[name]) for name in given] == pytest.approx([0.0, 18.0, 1013.0, 1.0])
    assert shown.huss.units == "g kg⁻¹"


def test_is_the_climate_check_the_found_over_the_expected_rain():
    lat, lon = geography.LAT, geography.LON
    inside = xr.DataArray(np.ones((60, 72)), {"lat": lat, "lon": lon}, ("lat", "lon"))
    amazon = SimpleNamespace(landsurface=xr.Dataset({"lsm": inside}))
    values = {"pr": 2 / SECONDS_PER_DAY, "tas": 300.0, "huss": 0.015, "ps": 1e5}
    values |= {"sfcwind": 2.0, "rsds": 200.0, "rlds": 400.0}
    fields = {name: inside.expand_dims(month=12) * value for name, value in values.items()}
    months = {"month": np.arange(1, 13), "days": ("month", np.full(12, 30))}
    table = weather.climate_check(amazon, xr.Dataset(fields).assign_coords(months))
    assert table["found (mm)"].tolist() == [730] + 6 * [183]
    difference = table.loc[("basin", "year"), "difference (%)"]
    assert difference == pytest.approx(100 * (730.5 / 2156 - 1), abs=0.05)


def test_does_the_table_of_schemes_say_what_each_learns_from_what():
    table = schemes.scheme_table(["hydropynn", "hybrid_q", "hybrid_qs_plus"])
    assert list(table.index) == ["HydroPyNN", "Hybrid(Q)", "Hybrid(Q,S)+"]
    assert table["trained on"].tolist() == ["–", "Q", "Q and S"]
    assert table.weights.tolist() == ["–", "1, 0", "0.5, 0.5"]
    assert table.PET.str.contains("network").tolist() == [False, False, True]


def test_are_hyperparameters_read_from_the_run(tmp_path):
    untrained = Run.untrained(cases.tiny_study(tmp_path, False, False), "hybrid_q")
    told = gallery.trainings()["Hybrid(Q)"]
    vars(told)["learners"] = untrained.learners
    table = schemes.hyperparameters({"Hybrid(Q)": told})
    assert table.loc["learning rate"].tolist() == ["0.0005", f"{PRESETS['fast'].network:g}"]
    ours = table["Hybrid(Q)"]
    assert (ours["most steps"], ours["steps chosen, by member"]) == (7, "3, 2")
    by_hand = sum(a * b + b for a, b in [(21, 256), (256, 64), (64, 16), (16, 9)])
    assert ours["trainable numbers"] == by_hand
    summary = schemes.parameter_summary({"HydroPyNN": told})
    assert summary.loc["f_crit"].tolist() == ["–", "0.55 to 0.95", "0.75"]


def test_does_the_moselle_table_average_seeds():
    table = schemes.moselle_table(*gallery.moselle())
    assert list(table.index) == ["HydroPyNN(Q)", "Hybrid(Q)"]
    first = table.loc["HydroPyNN(Q)"]
    assert first["unseen years"] == pytest.approx(0.94)
    assert first["unseen years, untrained"] == pytest.approx(0.8)
    assert (first["lowest seed"], first["highest seed"]) == (0.93, 0.95)


def test_are_numbers_readable_without_exponents_and_gaps_shown_as_such():
    table = schemes.readable(pd.DataFrame({"a": [0.012345, 137.1, np.nan]}))
    assert table.a.tolist() == ["0.0123", "137", "–"]


def test_do_tests_read_well():
    pair = [("spatial", "validation", "hybrid_qs", "hydropynn")]
    table = transfer.readable_tests(results.compare(gallery.results(), pair))
    assert table.loc[0, ["scheme", "against"]].tolist() == ["Hybrid(Q,S)", "HydroPyNN"]
    assert table.loc[0, "mean difference"] == "+0.300"


def test_do_tables_name_every_part_and_gauge(tmp_path):
    table = transfer.parts_table()
    assert table.loc[("spatial", "validation")].tolist() == ["gauges held out", "all"]
    assert len(table) == sum(map(len, results.PARTS.values()))
    study = cases.tiny_study(tmp_path, twsa=False)
    groups = transfer.groups_table(study, [["head", "middle"], ["mouth"]])
    assert groups.index.tolist() == [(1, "Head"), (1, "Middle"), (2, "Mouth")]
    assert groups["trained below"].tolist() == [1, 1, 0]
    mouth, middle, head = (study.basin.catchment(cell).sum() for cell in study.gauge_cells)
    assert groups["area measured"].tolist() == ["0%", "0%", f"{(middle + head) / mouth:.0%}"]


def test_are_the_numbers_of_the_findings_those_of_the_parts():
    scores, pair = gallery.results(), gallery.PAIR
    finished = {"spatial": pair, "spatiotemporal": pair, "temporal": ["hybrid_qs"]}
    numbers = transfer.measures(scores, finished)
    # Folds 1 and 2 have levels 0.6 and 0.7 (or 0.9 and 1.0); gauges add 0.00 to 0.06.
    assert numbers["trained on, Hybrid(Q,S)"] == pytest.approx(0.93)
    assert numbers["held out, HydroPyNN"] == pytest.approx(0.68)
    assert numbers["held out in both, Hybrid(Q,S)"] == pytest.approx(0.98)
    assert "held out, Hybrid(Q,S)+" not in numbers
    # Members have medians 0.83 and 0.93.
    share = numbers["spread of members over distance of NSE from 1, Hybrid(Q,S)"]
    assert share == pytest.approx(np.std([0.83, 0.93], ddof=1) / (1 - 0.88))
    assert numbers["members"] == 2.0
    few = transfer.measures(scores, dict.fromkeys(finished, []) | {"spatial": pair[:1]})
    assert few == {"held out, HydroPyNN": numbers["held out, HydroPyNN"]}


def test_is_the_richest_scheme_held_against_the_others_gauge_by_gauge():
    scores, pair = gallery.results(), gallery.PAIR
    plus = scores.isel(run=scores.scheme.values == "hybrid_qs")
    noise = 0.1 + 0.03 * np.random.default_rng(1).random(plus.discharge.shape)
    plus = plus.assign(discharge=plus.discharge + noise)
    plus = plus.assign_coords(scheme=("run", ["hybrid_qs_plus"] * plus.sizes["run"]))
    three = xr.concat([scores, plus], "run")
    finished = {"spatial": [*pair, "hybrid_qs_plus"], "spatiotemporal": [], "temporal": []}
    tested = transfer.measures(three, finished)
    keys = {"experiment": "spatial", "scheme": "hybrid_qs_plus"}
    ours, theirs = (
        results.part_of(three, "discharge", "validation", **keys | {"scheme": name})[0]
        for name in ("hybrid_qs_plus", "hydropynn")
    )
    assert tested["mean difference to HydroPyNN"] == pytest.approx(float((ours - theirs).mean()))
    assert tested["p to HydroPyNN"] == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
