"""Are the scores of a model those of its run, and does evaluating write nothing by mistake?"""

from __future__ import annotations

import resource
import shutil
from dataclasses import replace

import cases
import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridlib.hydropy.parameters import Parameters
from hybridlib.hydropy.simulate import study_model, study_weather
from hybridlib.learning import evaluation
from hybridlib.learning.folder import (
    CONFIG,
    DIGEST,
    HISTORY,
    WEIGHTS,
    digest,
    read_config,
    save_weights,
)
from hybridlib.learning.learner import Learner
from hybridlib.learning.problem import SETTLED
from hybridlib.learning.run import Run
from hybridlib.learning.schemes import find_scheme
from hybridlib.learning.settings import Configuration, Settings
from hybridlib.learning.training import train
from hybridlib.study.instruments import total_water_anomaly
from hybridlib.study.schema import SECONDS_PER_DAY
from hybridlib.study.splits import Period, Split

SPLIT = Split(Period(2002, 2003), Period(2004, 2004))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return cases.tiny_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def run(study, tmp_path_factory):
    """The folder of two trained members."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    options = {"epochs": 1, "choose": False, "members": 2}
    train(Settings(scheme="hybrid_qs_plus", study=str(study.path), **options), folder)
    return folder


@pytest.fixture(scope="module")
def model(run):
    """Problem and members of the run."""
    opened = Run.open(run)
    return opened.problem, opened.learners


@pytest.fixture(scope="module")
def scores(model):
    return evaluation.evaluate(*model)


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the run that a test may spoil."""
    return shutil.copytree(run, tmp_path / "copy")


@pytest.fixture
def command(capsys):
    """Run `hybridlib evaluate`; return its exit code, what it printed and its error, or all."""
    return lambda *arguments: cases.run_command(capsys, "evaluate", *arguments)


def _by_hand(simulated, observed):
    """NSE, KGE and RMSE of one series."""
    seen = np.isfinite(observed)
    s, o = simulated[seen].astype(float), observed[seen].astype(float)
    misfit = np.sum((s - o) ** 2)
    shares = np.corrcoef(s, o)[0, 1], s.std() / o.std(), s.mean() / o.mean()
    kge = 1.0 - np.sqrt(sum((share - 1.0) ** 2 for share in shares))
    # The mean of an anomaly over its own baseline is 0, and no KGE can refer to it.
    kge = kge if abs(o.mean()) > 1e-6 * o.std() else np.nan
    return [1.0 - misfit / np.sum((o - o.mean()) ** 2), kge, np.sqrt(misfit / len(o))]


def test_are_the_scores_those_of_a_run_with_the_learned_parameters(study, model, scores):
    hydropy = study_model(study)
    weather = study_weather(study, hydropy)
    start, _ = hydropy.spin_up(weather.part(slice(365)), threshold=SETTLED)
    boxes, gauges = study.twsa.load(), study.discharge.discharge.values
    for member, learner in enumerate(model[1]):
        driven = weather._replace(pet=learner.pet(weather.pet, model[0].window))
        _, series = hydropy.run(driven, learner.parameters(), start, ("dis", "tws"))
        dis = series["dis"][:, study.gauge_cells] / 86400.0
        tws = total_water_anomaly(series["tws"], study.days, hydropy.basin, boxes)
        for name, simulated, observed, time in (
            ("discharge", dis, gauges, study.days),
            ("twsa", tws, boxes.twsa.values, boxes.indexes["month"]),
        ):
            for period, inside in (("train", time.year < 2004), ("validation", time.year == 2004)):
                inside &= time.year > 2001
                expected = [
                    _by_hand(simulated[inside, k], observed[inside, k])
                    for k in range(observed.shape[1])
                ]
                found = scores[name].sel(period=period, member=member)
                found = found.where(np.isfinite(np.transpose(expected)))
                # NSE is one minus a number near one: near 0 only the absolute error counts.
                np.testing.assert_allclose(found.T, expected, rtol=1e-4, atol=1e-5)


def test_are_the_scores_of_the_start_those_that_training_sees(study, run):
    start = Run.untrained(study, "hybrid_qs_plus")
    nse = evaluation.score(start.observe(), start.split).sel(metric="NSE", period="train").mean()
    first = pd.read_csv(run / HISTORY).iloc[0]
    for name in ("discharge", "twsa"):
        np.testing.assert_allclose(nse[name], first[f"nse_{name}_0"], rtol=1e-4)


def test_are_perfect_mean_and_constant_series_scored_as_known():
    time = pd.date_range("2002-01-01", "2004-12-31")
    flow = 5.0 + np.sin(np.arange(len(time)))
    observed = np.stack([flow, flow, np.full_like(flow, 5.0)], axis=1)
    observed[time.year == 2004, 1] = np.nan
    mean = np.full_like(flow, flow[time.year < 2004].mean())
    coords = {"time": time, "station": ["perfect", "mean", "constant"]}
    pairs = xr.Dataset({"discharge_observed": (tuple(coords), observed)}, coords)
    simulated = xr.DataArray(np.stack([flow, mean, flow], axis=1), coords)
    pairs["discharge_simulated"] = simulated.expand_dims(member=[0])
    scores = evaluation.score(pairs, SPLIT).discharge.sel(metric="NSE", member=0)
    expected = [[1.0, 0.0, np.nan], [1.0, np.nan, np.nan]]
    found = scores.sel(period=["train", "validation"])
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_is_the_table_the_mean_over_the_members(scores):
    table = evaluation.table(scores, "discharge")
    assert list(table.index) == ["mouth", "middle", "head"]
    assert list(table.columns) == [
        f"{period} {metric}" for period in ("train", "validation") for metric in evaluation.SCORES
    ]
    head = scores.discharge.sel(metric="KGE", period="validation", station="head")
    assert head[0] != head[1]
    assert table.loc["head", "validation KGE"] == pytest.approx(float(head[0] + head[1]) / 2)


def test_does_no_water_come_from_nowhere_whatever_the_networks_learned(study, scores):
    assert 0.0 < scores.attrs["water_from_nowhere_mm"] <= 1e-9
    start = Run.untrained(study, "hybrid_qs_plus")
    problem, (learner,) = start.problem, start.learners
    last = learner.replacement.kernels[-1]
    last.assign(np.random.default_rng(3).normal(size=last.shape))
    reference = problem.weather.pet.numpy()
    assert np.abs(learner.pet(problem.weather.pet, problem.window) - reference).mean() > 0.5
    assert evaluation.water_closure(problem, learner) <= 1e-9


def test_does_the_command_print_what_it_writes(copy, scores, command):
    code, printed, told = command("--run", copy)
    assert code == 0 and told == f"{copy / 'metrics.nc'}: scores"
    assert "discharge, tiny (twin); train 2002-2003, validation 2004-2004" in printed
    assert "water from nowhere: at most" in printed
    with xr.open_dataset(copy / "metrics.nc") as written:
        xr.testing.assert_identical(written.load(), scores.load())
    assert scores.discharge.dims == ("metric", "period", "member", "station")
    assert scores.twsa.dims == ("metric", "period", "member", "box")
    rows = [line.split() for line in printed.splitlines() if line.startswith("mouth")]
    mouth = scores.discharge.sel(station="mouth").mean("member").values.T.ravel()
    assert rows == [["mouth", *(f"{value:.3f}" for value in mouth)]]


def test_is_a_run_evaluated_from_another_folder_with_its_study_elsewhere(
    study, copy, scores, command, tmp_path
):
    cases.change_config(copy, study="gone.zarr")
    code, _, told = command("--run", copy)
    assert code == 2 and told.startswith("gone.zarr: no prepared study here")
    moved = shutil.copytree(study.path, tmp_path / "moved.zarr")
    output = tmp_path / "new" / "scores.nc"
    assert command("--run", copy, "--study", moved, "--output", output)[0] == 0
    with xr.open_dataset(output) as written:
        xr.testing.assert_identical(written.load(), scores.load())
    assert not (copy / "metrics.nc").exists()


def test_is_an_untrained_scheme_scored_without_gravimetry(command, tmp_path):
    study = cases.tiny_study(tmp_path, twsa=False)
    given = "--scheme=hydropynn", f"--study={study.path}", "--train-years=2002-2002"
    code, printed, _ = command(*given)
    assert code == 0 and "discharge, tiny (twin); train 2002-2002, validation 2003-2004" in printed
    assert "twsa" not in printed
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.zarr"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("", "give either --run, or --scheme with --study"),
        ("--scheme=hydropynn", "give either --run, or --scheme with --study"),
        ("--run={run} --scheme=hydropynn", "give either --run, or --scheme with --study"),
        ("--run={run} --train-years=2002-2002", "a run is scored in its own years"),
        ("--run=nowhere", "nowhere: no run here; expected a config.json"),
        ("--scheme=lstm --study={study}", "scheme 'lstm' is unknown; expected one of"),
    ],
)
def test_is_a_command_refused_that_names_no_model(arguments, told, run, study, command):
    code, printed, message = command(*arguments.format(run=run, study=study.path).split())
    assert code == 2 and not printed and told in message


def _half_of_the_weights(folder, problem):
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])


def _save(folder, learners):
    save_weights(folder / WEIGHTS, learners, read_config(folder))


def _members(count, **changes):
    def change(folder, problem):
        other = replace(problem, scheme=replace(problem.scheme, **changes))
        _save(folder, [other.learner(seed) for seed in range(count)])

    return change


def _weights_of_another_basin(folder, problem):
    _settings(scheme="hydropynn_qs")(folder, problem)
    half = Parameters(*(field[:6] for field in problem.model.default_parameters()))
    scheme = find_scheme("hydropynn_qs")
    members = [Learner(scheme, half, problem.attributes[:6], seed) for seed in range(2)]
    _save(folder, members)


def _settings(**changes):
    return lambda folder, problem: cases.change_config(folder, **changes)


def _no_digest(folder, problem):
    with h5py.File(folder / WEIGHTS, "r+") as file:
        del file.attrs[DIGEST]


OTHER = "weights of another configuration"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder, _: (folder / WEIGHTS).unlink(), f"{WEIGHTS}: no weights here; "),
        (_half_of_the_weights, f"{WEIGHTS}: {OTHER} (Unable to synchronously open file"),
        (_members(3), f"{WEIGHTS}: {OTHER} (found 48 arrays, expected 32)"),
        (_members(2, replacement=False), f"{WEIGHTS}: {OTHER} (found 16 arrays, expected 32)"),
        (_weights_of_another_basin, f"{WEIGHTS}: {OTHER} ("),
        (_settings(members=1), f"{WEIGHTS}: {OTHER} (found 32 arrays, expected 16)"),
        (_settings(members="two"), "members is 'two'; expected int"),
        (_settings(scheme="hybrid_qs"), f"{WEIGHTS}: {OTHER} (found 32 arrays, expected 16)"),
        (_settings(basin="0123"), "weights of another basin than"),
        (_settings(seed=7), f"{WEIGHTS}: {OTHER} (found those of configuration "),
        (_no_digest, f"{WEIGHTS}: {OTHER} (found those of configuration none, expected "),
        (_settings(layers=3), f"{CONFIG}: key 'layers' is unknown; expected some of"),
    ],
)
def test_is_a_run_refused_whose_parts_do_not_fit_and_nothing_written(
    spoil, told, copy, model, command
):
    spoil(copy, model[0])
    before = cases.contents(copy)
    code, printed, message = command("--run", copy)
    assert code == 2 and not printed and told in message
    assert cases.contents(copy) == before


def test_do_weights_know_their_configuration_by_its_values_alone(run):
    config = read_config(run)
    moved = config.model_copy(update={"study": "elsewhere.zarr", "versions": {}})
    usual = Configuration(**moved.model_dump(exclude={"deterministic"}))
    assert digest(config) == digest(moved) == digest(usual)
    others = {"seed": 1, "held_out": ("mouth",), "deterministic": True, "data": "other"}
    found = {digest(config.model_copy(update={name: value})) for name, value in others.items()}
    assert len(found | {digest(config)}) == 5


def test_are_old_scores_kept_when_the_disk_is_full(scores, tmp_path):
    path = tmp_path / "metrics.nc"
    path.write_text("old scores")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="metrics.nc: cannot be written") as full:
            evaluation.write_metrics(path, scores)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "what stood there is kept" in str(full.value)
    assert path.read_text() == "old scores" and list(tmp_path.iterdir()) == [path]


def test_is_evapotranspiration_scored_against_the_truth_of_a_twin_only(study):
    start = Run.untrained(study)
    pairs, split = start.observe(), start.split
    assert "evap_true" not in pairs and "evap" not in evaluation.score(pairs, split)
    perfect = pairs.assign(evap_true=pairs.evap_simulated.isel(member=0, drop=True))
    scores = evaluation.score(perfect, split).evap
    assert scores.sel(metric="NSE").values.tolist() == [[1.0], [1.0]]
    assert scores.sel(metric="RMSE").values.tolist() == [[0.0], [0.0]]


def test_is_the_score_of_evapotranspiration_that_of_area_means_in_mm_a_day(study, tmp_path):
    large = ("landsurface", cases.put("area", 0.2 * 2.5e9, 1, 2))
    study = cases.add_truth(cases.changed_study(study, tmp_path, *large))
    start = Run.untrained(study)
    problem, pairs = start.problem, start.observe()
    weights = study.landsurface.area / study.landsurface.area.sum()
    daily = (0.9 * SECONDS_PER_DAY * study.forcing.evspsblpot * weights).sum(("lat", "lon"))
    true = daily.resample(time="MS").mean().values
    np.testing.assert_allclose(pairs.evap_true, true, rtol=1e-5)
    driven = problem.weather, start.learners[0].parameters(), problem.start
    _, series = problem.model.run(*driven, ["evap"])
    land = study.basin.pack(weights)
    march = np.asarray(series["evap"])[59:90] @ land
    assert pairs.evap_simulated[0, 2] == pytest.approx(march.mean(), rel=1e-5)
    scores = evaluation.score(pairs, problem.split).evap.sel(period="validation", member=0)
    error, spread = pairs.evap_simulated[0, 36:] - true[36:], true[36:] - true[36:].mean()
    assert scores.sel(metric="RMSE") == pytest.approx(float((error**2).mean() ** 0.5), rel=1e-5)
    expected = 1 - float((error**2).sum()) / (spread**2).sum()
    assert scores.sel(metric="NSE") == pytest.approx(expected, rel=1e-5) and expected < 0.99


def test_is_a_record_evaluated_that_begins_within_a_month(study, tmp_path):
    late = slice("2001-01-15", None)
    study = cases.changed_study(study, tmp_path, "forcing", lambda f: f.sel(time=late))
    pairs = Run.untrained(study).observe()
    assert str(pairs.calendar.values[0])[:10] == "2001-01-01"
    assert np.isfinite(pairs.evap_simulated).all()
