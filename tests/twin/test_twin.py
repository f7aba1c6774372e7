"""Is the twin what it claims to be: reproducible, closed, noisy and with gaps?"""

import json
import shutil

import cases
import numpy as np
import pytest

from hybridlib.analysis import original
from hybridlib.hydropy.parameters import TABLE_1
from hybridlib.hydropy.simulate import study_model
from hybridlib.study.attributes import ATTRIBUTES
from hybridlib.study.metrics import nse
from hybridlib.study.schema import InputError
from hybridlib.study.store import DIGESTS, Study
from hybridlib.twin.make import make_twin


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("twin") / "one.zarr"
    return make_twin("smoke", 3, path)[0]


def test_does_another_seed_give_another_twin(made, tmp_path):
    other, _ = make_twin("smoke", 4, tmp_path / "two.zarr")
    fields = other.forcing.assign(wcap=other.landsurface.wcap)
    for name, field in made.forcing.assign(wcap=made.landsurface.wcap).items():
        assert not np.array_equal(fields[name], field), name


def test_is_a_twin_that_is_there_left_alone_and_another_in_its_place_refused(made):
    before = cases.contents(made.path)
    study, anew = make_twin("smoke", 3, made.path)
    assert not anew and study == Study(made.path)
    with pytest.raises(InputError, match="something else stands here .seed is 3, expected 5"):
        make_twin("smoke", 5, made.path)
    assert cases.contents(made.path) == before


def test_is_a_twin_of_another_version_made_anew_with_the_bytes_of_its_seed(made, tmp_path):
    path = shutil.copytree(made.path, tmp_path / "old.zarr")
    attrs = json.loads((path / ".zattrs").read_text())
    (path / ".zattrs").write_text(json.dumps(attrs | {"version": "0"}))
    study, anew = make_twin("smoke", 3, path)
    assert anew and cases.contents(study.path) == cases.contents(made.path)


def test_is_a_twin_without_digests_made_anew_and_a_damaged_one_on_demand(made, tmp_path):
    path = shutil.copytree(made.path, tmp_path / "old.zarr")
    (path / DIGESTS).unlink()
    assert make_twin("smoke", 3, path)[1] and cases.contents(path) == cases.contents(made.path)
    (path / "forcing" / "pr" / "0.0.0").unlink()
    told = "forcing/pr/0.0.0 is missing; make it anew with `hybridlib twin --size smoke --seed 3"
    with pytest.raises(InputError, match=told):
        make_twin("smoke", 3, path)[0].forcing  # noqa: B018
    assert make_twin("smoke", 3, path, force=True)[1]
    assert cases.contents(path) == cases.contents(made.path)


def test_is_a_folder_that_is_no_study_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for force in (False, True):
        with pytest.raises(InputError, match="something that is no study stands here"):
            make_twin("smoke", 3, tmp_path, force)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_is_an_unknown_size_refused(tmp_path):
    with pytest.raises(InputError, match="size 'huge' is unknown; expected default or smoke"):
        make_twin("huge", 1, tmp_path / "x.zarr")


def test_is_the_smoke_size_small_and_complete(made):
    assert made.basin.size <= 200
    assert len(made.days) == 2191
    assert list(made.attributes.data_vars) == list(ATTRIBUTES)
    assert made.discharge.sizes["station"] >= 2 and made.twsa.sizes["box"] >= 3
    for name in ("forcing", "landsurface", "attributes"):
        for field in made.group(name).data_vars.values():
            assert field.notnull().all() and field.attrs["units"], field.name


def test_are_observations_the_truth_with_noise_and_gaps(made):
    seen, true = made.discharge.discharge.values, made.group("truth").discharge_true.values
    missing = np.isnan(seen).mean(axis=0)
    assert (missing > 0).all() and (missing < 0.1).all()
    ratio = np.log(seen / true)
    assert 0.02 < np.nanstd(ratio) < 0.12
    assert (nse(true, seen) > 0.9).all()


def test_does_the_satellite_lack_its_months(made):
    seen = made.twsa.twsa.notnull().any("box")
    gaps = made.twsa.month.dt.strftime("%Y-%m").values[~seen]
    before_launch = [f"2001-{month:02d}" for month in range(1, 13)]
    expected = [*before_launch, "2002-01", "2002-02", "2002-03", "2002-06", "2002-07", "2003-06"]
    assert gaps.tolist() == expected
    baseline = made.twsa.twsa.sel(month=slice("2004-01", "2005-12"))
    np.testing.assert_allclose(baseline.mean("month"), 0.0, atol=1e-3)


def test_do_hidden_parameters_lie_in_their_ranges_and_vary_as_the_rule_says(made):
    truth = made.group("truth")
    for row in TABLE_1:
        values = made.basin.pack(truth[row.name])
        assert (values >= row.low).all() and (values <= row.high).all()
        assert values.std() > 0.02 * values.mean(), row.name
    f_crit, cover = made.basin.pack(truth.f_crit), made.basin.pack(made.attributes.fveg_avg)
    assert np.corrcoef(f_crit, cover)[0, 1] < -0.7, "high under low or cold vegetation"


def test_is_there_something_to_learn(made):
    scores = original.score_table(original.observed_and_simulated(made))
    with pytest.raises(InputError, match="year 2050 is asked for; found 2001 to 2006"):
        original.observed_and_simulated(made, 2050)
    assert scores["NSE"].median() < 0.8


def test_does_the_truth_close_its_water_over_the_record(made):
    truth, basin = made.group("truth"), made.basin
    share = basin.area / basin.area.sum()
    rain, evap = (
        float((basin.pack(f).mean(axis=0) @ share) * 86400 * 365.25)
        for f in (made.forcing.pr, truth.evap)
    )
    outlet = made.discharge.station.values.tolist().index("ALTAMIRA")
    area = float(made.discharge.cell_area[outlet]) * 1e6
    runoff = float(truth.discharge_true[:, outlet].mean()) * 86400 * 365.25 / area * 1000
    assert rain - evap == pytest.approx(runoff, rel=0.05)


def test_is_the_network_of_the_study_its_own(made):
    drained = study_model(made).basin.upstream_area[made.gauge_cells] / 1e6
    np.testing.assert_allclose(drained, made.discharge.cell_area, rtol=1e-6)
