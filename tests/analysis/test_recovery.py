"""Does the book tell a recovered truth from a good score?"""

import cases
import numpy as np
import pytest
import xarray as xr
from cases import Known

from hybridlib.analysis import recovery
from hybridlib.hydropy.parameters import TABLE_1, Parameters
from hybridlib.learning.run import Run
from hybridlib.study.schema import SECONDS_PER_DAY, InputError
from hybridlib.study.splits import Period
from hybridlib.study.store import write_group


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """The tiny study with a truth: parameters that vary, PET half as high again, no noise."""
    study = cases.tiny_study(tmp_path_factory.mktemp("twin"))
    rng, basin, dims = np.random.default_rng(2), study.basin, ("lat", "lon")
    truth = xr.Dataset(coords={"lat": basin.lat, "lon": basin.lon})
    for row in TABLE_1:
        truth[row.name] = dims, basin.unpack(rng.uniform(row.low, row.high, basin.size))
    truth["evspsblpot"] = 1.5 * study.forcing.evspsblpot.load()
    truth["discharge_true"] = study.discharge.discharge.load().fillna(0.0)
    truth["twsa_true"] = study.twsa.twsa.load().fillna(0.0)
    write_group(study.path, "truth", truth)
    return study


@pytest.fixture(scope="module")
def untrained(twin):
    return Run.untrained(twin)


def _told(untrained, *parameters, pet=None):
    """A scheme whose members have learned what they are told."""
    members = [Known(own, pet=pet) for own in parameters]
    return cases.Ready(untrained.problem, members)


def test_is_a_day_short_of_water_one_on_which_less_evaporates_than_could(twin, tmp_path):
    def dry_september(truth):
        share = xr.where(truth.time.dt.month == 9, 0.5, 0.95)
        return truth.assign(evap=truth.evspsblpot * share)

    study = cases.changed_study(twin, tmp_path, "truth", dry_september)
    short = recovery.limited_days(study)
    assert short.shape == (study.basin.land.sum(),)
    np.testing.assert_allclose(short, 100 * 30 * 4 / len(study.days))


def test_does_a_member_that_knows_the_truth_recover_it_and_the_default_not(twin, untrained):
    true = recovery.true_parameters(twin)
    schemes = {"HydroPyNN": untrained, "sage": _told(untrained, true)}
    found = recovery.parameter_recovery(twin, schemes)
    np.testing.assert_allclose(found["correlation", "sage"], 1.0)
    np.testing.assert_array_equal(found["RMSE", "sage"], 0.0)
    assert np.isnan(found["correlation", "HydroPyNN"]["f_crit"])
    expected = np.sqrt(((0.75 - true.f_crit) ** 2).mean())
    assert found["RMSE", "HydroPyNN"]["f_crit"] == pytest.approx(expected, rel=1e-6)
    assert recovery.nearer_than_default(found).to_dict() == {"sage": 8}


def test_are_the_fields_of_several_members_averaged(untrained):
    low, high = (Parameters(*(np.full(12, value) for _ in TABLE_1)) for value in (1.0, 4.0))
    mean = recovery.learned_parameters(_told(untrained, low, high))
    assert all((field == 2.5).all() for field in mean)


def test_are_fields_laid_where_their_cells_are(twin, untrained):
    true = recovery.true_parameters(twin)
    fields = recovery.parameter_fields(twin, {"sage": _told(untrained, true)}, "lag_sur")
    xr.testing.assert_equal(fields.truth, fields.sage)
    np.testing.assert_array_equal(twin.basin.pack(fields.truth), true.lag_sur)
    assert fields.truth.attrs == {"long_name": "lag_sur", "units": "d"}


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_is_a_learned_share_of_the_pet_error_scored_as_that_share(twin, untrained, share):
    reference = untrained.problem.weather.pet.numpy()
    told = _told(untrained, None, pet=(1 + 0.5 * share) * reference)
    errors = recovery.pet_errors(twin, told)
    np.testing.assert_allclose(errors.truth, 0.5 * reference, rtol=1e-4, atol=1e-6)
    table = recovery.pet_recovery(twin, errors, Period(2004, 2004))
    correlations = table.loc["learned"].filter(like="r,")
    np.testing.assert_allclose(correlations, 1.0, atol=1e-5)
    for measure in ("bias (mm d⁻¹)", "RMSE (mm d⁻¹)"):
        left = (1 - share) * table.loc["reference", measure]
        assert table.loc["learned", measure] == pytest.approx(left, abs=1e-5)


def test_is_the_mean_correction_that_of_the_period_alone(twin, untrained):
    reference = untrained.problem.weather.pet.numpy()
    errors = recovery.pet_errors(twin, _told(untrained, None, pet=reference + 1.0))
    fields = recovery.mean_pet_errors(twin, errors, Period(2004, 2004))
    year = untrained.problem.days.year == 2004
    raw = twin.forcing.evspsblpot.values[year].mean(axis=0, dtype=float) * SECONDS_PER_DAY
    np.testing.assert_allclose(fields.truth, 0.5 * raw, rtol=1e-5)
    np.testing.assert_allclose(fields.learned, 1.0, rtol=1e-6)
    np.testing.assert_allclose(fields["learned minus truth"], 1 - 0.5 * raw, atol=1e-5)


def test_does_a_truth_without_noise_score_one(twin, untrained):
    scores = recovery.truth_scores(twin, untrained.problem)
    for name in ("discharge", "twsa"):
        np.testing.assert_allclose(scores[name].sel(metric="NSE"), 1.0)


def test_is_a_study_without_a_truth_refused(tmp_path):
    study = cases.tiny_study(tmp_path, twsa=False, radiation=False)
    with pytest.raises(InputError, match="the study has no truth"):
        recovery.true_parameters(study)
