"""Do the figures of evapotranspiration show the days, schemes and cells they are said to?"""

import cases
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.collections import QuadMesh

from hybridlib.analysis import towers
from hybridlib.figures import evaporation
from hybridlib.figures.style import OBSERVED, SCHEME_COLOURS
from hybridlib.study.splits import Period
from hybridlib.twin.towers import CLOSURE

TWO = ("Hybrid(Q,S)", "Hybrid(Q,S)+")


pytestmark = pytest.mark.usefixtures("closed_figures")


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    return cases.add_truth(cases.tiny_study(tmp_path_factory.mktemp("twin"), twsa=False))


@pytest.fixture(scope="module")
def pair(twin):
    """The twin's tower, and two schemes of which the second evaporates 1 mm more."""
    found = towers.find_towers(twin)
    rng = np.random.default_rng(0)
    field = rng.uniform(2, 4, (len(twin.days), twin.basin.size))
    runs = {
        title: xr.Dataset({"evap": (("time", "cell"), field + k)}) for k, title in enumerate(TWO)
    }
    return found, towers.at_towers(found, runs)


def test_shows_the_scatter_each_scheme_in_the_years_asked_for(pair):
    found, simulated = pair
    period = Period(2003, 2003)
    table = towers.agreement_table(found, simulated, period)
    fig = evaporation.tower_scatter(found, simulated, table, TWO, period)
    told = [f"({letter}) K34, {title}" for letter, title in zip("ab", TWO, strict=True)]
    assert [ax.get_title() for ax in fig.axes] == told
    for ax, title in zip(fig.axes, TWO, strict=True):
        dots, *lines = ax.lines
        assert dots.get_color() == SCHEME_COLOURS[title]
        np.testing.assert_array_equal(
            dots.get_xdata(), simulated.sel(scheme=title, tower="K34", time="2003")
        )
        np.testing.assert_array_equal(dots.get_ydata(), found.et.sel(tower="K34", time="2003"))
        assert [line.get_slope() for line in lines] == [1, CLOSURE]
        assert f"MAE {table.loc[('K34', title), 'MAE']:.2f}" in ax.texts[0].get_text()


def test_has_a_real_tower_no_line_of_missing_energy(pair):
    found, simulated = pair
    real = found.drop_vars("et_true")
    period = Period(2003, 2003)
    table = towers.agreement_table(real, simulated, period)
    fig = evaporation.tower_scatter(real, simulated, table, TWO, period)
    assert [len(ax.lines) for ax in fig.axes] == [2, 2]


def test_is_the_season_of_a_scheme_that_of_the_days_with_a_tower(pair):
    found, simulated = pair
    fig = evaporation.tower_season(found, simulated, [*TWO, "truth"], Period(2003, 2004))
    (ax,) = fig.axes
    assert [line.get_label() for line in ax.lines] == [*TWO, "truth", "tower"]
    assert ax.lines[-1].get_color() == OBSERVED
    used = found.et.sel(tower="K34", time=slice("2003", "2004")).notnull()
    july = simulated.sel(tower="K34", scheme=TWO[0], time=slice("2003", "2004"))[used.values]
    expected = float(july[july["time.month"] == 7].mean())
    assert ax.lines[0].get_ydata()[6] == pytest.approx(expected)
    assert ax.get_ylim()[1] > max(line.get_ydata().max() for line in ax.lines)


def test_shows_the_series_one_year(pair):
    found, simulated = pair
    (ax,) = evaporation.tower_series(found, simulated, TWO, 2004).axes
    assert [len(line.get_xdata()) for line in ax.lines] == [366, 366, 366]


def test_says_a_table_what_is_small_and_what_is_not_known():
    index = pd.MultiIndex.from_tuples([("K34", "A"), ("K34", "B")])
    table = pd.DataFrame(np.nan, index, ("days", *towers.MEASURES))
    table.loc[("K34", "A")] = [900, 0.8765, 0.0, 55.4, 2e-5, 0.5, 1, 1, 3, 3, 1]
    shown = evaporation.tower_table(table)
    assert shown.loc[("K34", "A")].tolist()[:5] == ["900", "0.88", "< 1e-99", "55", "2.0e-05"]
    assert set(shown.loc[("K34", "B")]) == {"–"}


def test_has_every_pet_a_line_and_a_map_with_one_scale(twin):
    names = ["Penman–Monteith", "Priestley–Taylor", "Hybrid(Q,S)+", "truth"]
    season = pd.DataFrame({name: np.full(365, k) for k, name in enumerate(names)}, range(1, 366))
    (ax,) = evaporation.pet_season(season).axes
    assert [line.get_label() for line in ax.lines] == names
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines}) == len(names)
    basin = twin.basin
    grid = {"lat": basin.lat, "lon": basin.lon}
    fields = {
        name: (("lat", "lon"), np.full(basin.shape, 1000.0 + k)) for k, name in enumerate(names)
    }
    fields["Hargreaves–Samani"] = ("lat", "lon"), np.full(basin.shape, 1400.0)
    fig = evaporation.pet_maps(twin, xr.Dataset(fields, grid))
    names.append("Hargreaves–Samani")
    panels, bars = fig.axes[: len(names)], fig.axes[len(names) :]
    titles = [f"({letter}) {name}" for letter, name in zip("abcde", names, strict=True)]
    assert [ax.get_title(loc="left") or ax.get_title() for ax in panels] == titles
    assert [bar.get_xlabel() for bar in bars] == ["mean annual PET (mm)"] + 4 * [
        "more than (a) (mm)"
    ]
    meshes = [c for ax in panels for c in ax.collections if isinstance(c, QuadMesh)]
    assert [mesh.get_array().mean() for mesh in meshes] == [1000, 1, 2, 3, 400]
    assert [mesh.get_clim() for mesh in meshes[1:]] == 3 * [(-3.0, 3.0)] + [(-400.0, 400.0)]
    alone = evaporation.pet_maps(twin, xr.Dataset(fields, grid)[["Hybrid(Q,S)+"]])
    (mesh,) = [c for c in alone.axes[0].collections if isinstance(c, QuadMesh)]
    assert mesh.get_array().mean() == 1002
