"""Do the tables and figures of the data chapter show what is in the data?"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridlib.analysis import inventory, weather
from hybridlib.figures import geography as places
from hybridlib.figures import weather as climate
from hybridlib.study.attributes import ATTRIBUTES
from hybridlib.study.schema import SECONDS_PER_DAY
from hybridlib.study.store import write_study
from hybridlib.twin import geography

DAYS = pd.date_range("2001-01-01", "2003-06-30")
LAT, LON = [1.0, 0.0], [10.0, 11.0, 12.0]


pytestmark = pytest.mark.usefixtures("closed_figures")


@pytest.fixture(scope="module")
def networks():
    return geography.amazon(corrected=False), geography.amazon()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Three cells in a row that drain east, the first twice as large; two gauges with gaps."""
    grid = {"lat": LAT, "lon": LON}
    land = {
        "lsm": [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]],
        "area": [[2e9, 1e9, 1e9], [1e9, 1e9, 1e9]],
        "rout_lat": [[0, 0, 0], [1, 1, 1]],
        "rout_lon": [[1, 2, 2], [0, 1, 2]],
        "srftopo": [[300.0, 200.0, 100.0], [0.0, 0.0, 0.0]],
    }
    warm = np.broadcast_to([[280.0, 290.0, 294.0], [0.0, 0.0, 0.0]], (len(DAYS), 2, 3))
    rain = np.full(warm.shape, 2.0 / SECONDS_PER_DAY)
    daily = {"tas": (("time", "lat", "lon"), warm), "pr": (("time", "lat", "lon"), rain)}
    flow = np.full((len(DAYS), 2), 100.0)
    flow[31:45, 0] = np.nan
    gauges = {
        "discharge": (("time", "station"), flow),
        "area": ("station", [3000.0, 5000.0]),
        "cell_lat": ("station", [1.0, 1.0]),
        "cell_lon": ("station", [11.0, 12.0]),
        "cell_area": ("station", [3000.0, 4000.0]),
        "snapped": ("station", [False, True]),
    }
    half = (("lat", "lon"), np.full((2, 3), 0.5))
    groups = {
        "forcing": xr.Dataset(daily, {"time": DAYS, **grid}),
        "landsurface": xr.Dataset({k: (("lat", "lon"), v) for k, v in land.items()}, grid),
        "attributes": xr.Dataset(dict.fromkeys(ATTRIBUTES, half), grid),
        "discharge": xr.Dataset(gauges, {"time": DAYS, "station": ["UPPER", "LOWER"]}),
    }
    return write_study(tmp_path_factory.mktemp("study") / "three.zarr", groups, {"source": "real"})


def test_are_missing_days_counted_by_gauge_and_month(study):
    share = inventory.missing_days(study.discharge.discharge)
    assert share.dims == ("station", "time") and share.sizes["time"] == 30
    assert float(share.sel(station="UPPER", time="2001-02-01")) == pytest.approx(100 * 14 / 28)
    assert float(share.sum()) == pytest.approx(50.0)


def test_do_the_changed_cells_equal_the_table_of_corrections(networks):
    changes = inventory.changed_cells(*networks)
    table = pd.read_csv(geography.FOLDER / "corrections.csv")
    kinds = {"target": inventory.TURNED, "drop": inventory.DROPPED, "add": inventory.ADDED}
    for what, kind in kinds.items():
        rows, columns = np.nonzero(changes.values == kind)
        drawn = set(zip(geography.LAT[rows], geography.LON[columns], strict=True))
        named = table[table.what == what]
        assert drawn == set(zip(named.lat, named.lon, strict=True)), what


def test_are_area_errors_relative_to_the_published_areas(networks):
    errors = inventory.area_errors(*networks)
    for name, place in zip(errors, networks, strict=True):
        gauge = place.gauges.set_index("station").loc["GAVIAO"]
        drained = geography.upstream_area(place)
        row, column = np.flatnonzero(place.lat == gauge.cell_lat), place.lon == gauge.cell_lon
        found = drained[row[0], column][0]
        assert errors.loc["GAVIAO", name] == pytest.approx(100 * (found / 162_000 - 1))


def test_does_the_station_table_hold_gaps_errors_and_moves(study):
    table = inventory.station_table(study)
    assert list(table.index) == [1, 2]
    assert table["missing (%)"].tolist() == [round(100 * 14 / len(DAYS), 1), 0.0]
    assert table["error (%)"].tolist() == [0.0, -20.0]
    assert table["mean flow (m³ s⁻¹)"].tolist() == [100, 100]
    assert table["snapped"].tolist() == ["", "yes"]
    assert "river" not in table


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
    assert table.index.tolist() == ["tas", "pr"]
    assert table.loc["tas", "basin mean":].tolist() == [12.9, 6.9, 20.9]
    assert table.loc["pr", "basin mean":].tolist() == [2.0, 2.0, 2.0]


def test_is_only_a_full_year_a_year_of_rain(study):
    rain = weather.annual_rain(weather.summarise(study)[0])
    assert rain.to_dict() == pytest.approx({2001: 730.0, 2002: 730.0})


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
    year = table.loc[("basin", "year")]
    assert year["difference (%)"] == pytest.approx(100 * (730.5 / 2156 - 1), abs=0.05)


def test_is_another_basin_drawn_without_what_only_the_amazon_has(study):
    daily, monthly = weather.summarise(study)
    assert not inventory.covers_amazon(study)
    assert weather.climate_check(study, monthly).empty
    assert climate.annual_rain_figure(study, daily).axes[0].get_legend() is None
    assert inventory.contents(study).index.tolist() == [
        "forcing",
        "landsurface",
        "attributes",
        "discharge",
    ]
    relief = places.basin_map(study).axes[0]
    assert [text.get_text() for text in relief.texts] == ["1", "2"]
    for figure in (
        climate.climatology_figure(daily),
        climate.weather_maps(study, monthly),
        places.discharge_figure(study),
    ):
        figure.canvas.draw()
