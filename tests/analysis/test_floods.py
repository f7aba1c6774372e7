"""Are floods found when they come, and as high as they are?"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridlib.analysis import floods
from hybridlib.study.schema import InputError
from hybridlib.study.splits import Period

DAYS = pd.date_range("2001-01-01", "2004-12-31")


def river(highest: int, height: float = 2.0) -> xr.DataArray:
    """Runoff with one broad flood a year, on a day of the year."""
    angle = 2 * np.pi * (DAYS.dayofyear.values - highest) / 365.25
    return xr.DataArray(1.0 + (height - 1.0) * np.cos(angle), {"time": DAYS}, ("time",))


def test_has_every_year_its_flood():
    found = floods.flood_peaks(river(150), begins=12)
    assert found.index.tolist() == [2001, 2002, 2003, 2004], "11 months are enough of a year"
    assert abs(found.day.dt.dayofyear - 150).max() <= 1
    smoothed = 1 + np.sin(np.pi * 31 / 365.25) / (31 * np.pi / 365.25)
    np.testing.assert_allclose(found.height, smoothed, atol=2e-3)


def test_is_a_flood_at_new_year_counted_once():
    found = floods.flood_peaks(river(1), begins=7)
    assert found.index.tolist() == [2002, 2003, 2004]
    turn = pd.to_datetime([f"{year}-01-01" for year in found.index])
    assert max(abs((found.day - turn).dt.days)) <= 1


def test_has_a_year_with_a_long_gap_no_flood():
    flow = river(150)
    flow[DAYS.year == 2002] = flow[DAYS.year == 2002].where(np.arange(365) > 60)
    assert floods.flood_peaks(flow, begins=1).index.tolist() == [2001, 2003, 2004]


@pytest.fixture
def ledger():
    """One catchment of 86.4 km2, so that 1 m3 s-1 is 1 mm d-1; a gap on some days."""
    coords = {"time": DAYS, "catchment": ["land"]}
    seen = xr.DataArray(np.ones((len(DAYS), 1), bool), coords, list(coords))
    seen[500:520] = False
    one = SimpleNamespace(name="land", gauge="gauge")
    return SimpleNamespace(catchments=[one], seen=seen, area=np.array([86.4e6]), days=DAYS)


def gauged(flow: xr.DataArray) -> xr.Dataset:
    return xr.Dataset({"discharge": flow.expand_dims(station=["gauge"]).transpose("time", ...)})


def errors(ledger, seen, first=2001, **series):
    """Errors of series against what was seen, until 2004."""
    simulated = {name: gauged(flow) for name, flow in series.items()}
    return floods.peak_errors(ledger, simulated, gauged(seen), "land", Period(first, 2004))


def test_is_an_early_and_high_flood_told_by_days_and_percent(ledger):
    found = errors(ledger, river(150), 2003, same=river(150), early=1.2 * river(130))
    assert found.loc["same"].abs().max().max() == 0
    assert found.loc["early"].index.tolist() == [2003, 2004]
    assert found.loc["early", "days late"].tolist() == [-20, -20]
    np.testing.assert_allclose(found.loc["early", "height (%)"], 20.0, atol=0.1)


def test_does_the_summary_tell_the_year_that_stands_alone(ledger):
    late = river(150).copy()
    late[DAYS.year == 2003] = river(100)[DAYS.year == 2003]
    found = floods.summary(errors(ledger, river(150), late=late, same=river(150)))
    assert found.index.tolist() == ["late", "same"]
    assert found.loc["late", ["years", "median days late"]].tolist() == [3, 0]
    assert found.loc["late", "days late"] == pytest.approx(-50 / 3, abs=1)


def test_is_a_flood_at_new_year_held_against_the_one_of_the_same_season(ledger):
    found = errors(ledger, river(362), 2002, late=river(5))
    assert found.loc["late"].index.tolist() == [2002, 2003, 2004]
    assert abs(found.loc["late", "days late"] - 8).max() <= 1


def test_is_a_gauge_that_was_never_read_refused(ledger):
    with pytest.raises(InputError, match="land: discharge has no reading"):
        errors(ledger, river(150) * np.nan)


def test_is_the_season_that_of_the_days_observed(ledger):
    flow = river(150)
    both = {"a": gauged(flow), "b": gauged(flow.where(ledger.seen[:, 0], 1e6))}
    table = floods.seasonal_runoff(ledger, both, "land", Period(2002, 2002))
    np.testing.assert_allclose(table.a, table.b)
    assert table.a.idxmax() in (5, 6)
    march = flow[(DAYS.year == 2002) & (DAYS.month == 3)].mean()
    assert table.a[3] == pytest.approx(float(march))
