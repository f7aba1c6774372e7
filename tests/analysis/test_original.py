"""Is HydroPyNN HydroPy? Every flux and store against runs of the original."""

import cases
import numpy as np
import pytest

from hybridlib.analysis import original
from hybridlib.analysis.original import CASES, RIVER, reference_run
from hybridlib.hydropy.model import VARIABLES
from hybridlib.hydropy.simulate import OUTPUT


@pytest.fixture(scope="module")
def differences():
    return original.comparison_table()


@pytest.mark.parametrize("name", VARIABLES)
def test_is_every_flux_and_store_the_originals_and_float32_within_its_bounds(differences, name):
    told = ["partial"] if name in ("qtot", "rainmelt") else CASES  # the others do not output them
    for case in told:
        assert differences.loc[name, f"{case}, float64"] <= 1e-9
        assert differences.loc[name, f"{case}, float32"] <= (2e-4 if name in RIVER else 2e-3)


@pytest.mark.parametrize("case", CASES[:2])
def test_are_lags_and_reservoirs_the_originals_and_is_snow_in_the_cold_case_alone(case):
    derived = cases.reference(case)["derived"]
    model, series, _ = original.run_reference(reference_run(case))
    names = {"lag_sur": "lag_land", "lag_gw": "lag_base", "lag_river": "lag_river"}
    for ours, theirs in names.items():
        expected = model.basin.pack(derived[theirs])
        np.testing.assert_allclose(getattr(model.lags, ours), expected, rtol=1e-12)
    reservoirs = model.basin.pack(derived["ncasc_river"]).astype(int)
    np.testing.assert_array_equal(model.lags.reservoirs, reservoirs)
    assert (series["swe"].max() > 100) == (case == "cold")
    assert len(np.unique(model.lags.reservoirs)) >= 4


def test_does_water_close_in_every_cell_on_every_day():
    assert original.water_closure() <= 1e-9


def test_does_the_comparison_notice_a_wrong_number(tmp_path):
    path = tmp_path / "tropical.nc"
    path.write_bytes(reference_run("tropical").read_bytes())
    groups = cases.reference("tropical")
    groups["output"]["rootmoist"][3, 4, 4] += 1e-6
    for name, group in groups.items():
        group.to_netcdf(path, "a", group=name)
    assert original.compare(path)["rootmoist"] == pytest.approx(1e-6, rel=1e-3)


def test_is_every_output_described():
    assert set(OUTPUT) == set(VARIABLES)


@pytest.mark.parametrize("name", ["tropical", "cold", "moselle"])
def test_are_the_full_reference_runs_met_too(name):
    # The Moselle's reference run took the spacing of its rows as a given number.
    options = {"latitude_step": original.MOSELLE_SPACING} if name == "moselle" else {}
    found = original.compare(cases.shared(f"reference/{name}.nc"), **options)
    assert found.max() <= 1e-9, found.idxmax()


def test_are_the_kept_scores_of_the_moselle_the_originals():
    cases.shared("reference/moselle.nc")
    scores = original.moselle_scores(cases.SHARED)
    expected = [0.78, 0.86]
    assert scores["NSE HydroPyNN"].tolist() == pytest.approx(expected, abs=0.005)
    np.testing.assert_allclose(scores["NSE HydroPyNN"], scores["NSE original"], atol=1e-9)
    np.testing.assert_allclose(original.kept_moselle_scores(), scores, atol=1e-4)
