"""Are the schemes compared on equal terms, with weights that belong to the study?"""

import shutil
from dataclasses import replace

import cases
import h5py
import numpy as np
import pandas as pd
import pytest

from hybridlib.learning import comparison, evaluation
from hybridlib.learning.folder import HISTORY, WEIGHTS, read_config
from hybridlib.learning.run import Run
from hybridlib.learning.settings import PRESETS, Settings
from hybridlib.learning.training import train
from hybridlib.study.schema import InputError


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Discharge only, no radiation: two schemes can be trained."""
    return cases.tiny_study(tmp_path_factory.mktemp("study"), twsa=False, radiation=False)


@pytest.fixture(scope="module")
def folders(study, tmp_path_factory):
    """Runs of one step, made where nothing was kept."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("root")
        patch.setattr(comparison, "project", lambda: root)
        yield comparison.find_or_train(study, "runs", 1, report=lambda text: None)


def test_are_only_schemes_offered_that_the_data_allow(study, tmp_path):
    assert comparison.possible_schemes(study) == ["hydropynn", "hydropynn_q", "hybrid_q"]
    whole = cases.tiny_study(tmp_path)
    assert tuple(comparison.possible_schemes(whole)) == comparison.FIVE


def test_is_a_training_made_once_and_found_the_next_time(study, folders):
    assert list(folders) == ["hydropynn_q", "hybrid_q"]
    before = {name: (path / WEIGHTS).stat().st_mtime_ns for name, (path,) in folders.items()}
    said = []
    assert comparison.find_or_train(study, "runs", 1, report=said.append) == folders
    after = {name: (path / WEIGHTS).stat().st_mtime_ns for name, (path,) in folders.items()}
    assert after == before
    none = "HydroPyNN(Q): none kept; a demonstration (steps: at most 1) in build"
    assert said[0].startswith(none)
    assert len(pd.read_csv(folders["hybrid_q"][0] / HISTORY)) == 3


def test_are_kept_weights_taken_for_their_own_study_only(study, folders, tmp_path):
    kept = folders["hybrid_q"][0].parent
    said = []
    assert comparison.find_or_train(study, kept, 1, report=said.append) == folders
    assert [": weights kept in " in text for text in said] == [True, True]
    gauges = study.discharge.load()
    more = gauges.assign(discharge=1.1 * gauges.discharge)
    for source, change in (("real", {}), ("twin", {"discharge": more})):
        other = cases.remade_study(study, tmp_path, source, **change)
        found = comparison.find_or_train(other, kept, 1, report=lambda text: None)
        assert not {*found["hybrid_q"]} & {*folders["hybrid_q"]}


def test_is_a_training_of_no_step_refused_and_one_of_few_told(study, folders, capsys):
    with pytest.raises(InputError, match="live_steps is 0; expected at least 1"):
        comparison.find_or_train(study, "runs", 0)
    schemes = comparison.open_all(study, folders)
    comparison.caution(schemes)
    told = capsys.readouterr().out
    assert told.startswith("CAUTION: few steps of training, for show (HydroPyNN(Q), Hybrid(Q));")
    for title in ("HydroPyNN(Q)", "Hybrid(Q)"):
        longer = schemes[title].config.model_copy(update={"epochs": 60})
        schemes[title] = replace(schemes[title], config=longer)
    comparison.caution(schemes)
    assert not capsys.readouterr().out


def test_is_only_a_finished_run_listed_among_schedules(study, folders, tmp_path):
    (run,) = folders["hybrid_q"]
    half = shutil.copytree(run, tmp_path / "half")
    (half / WEIGHTS).unlink()
    table = comparison.schedules(study, {"one": run, "half": half, "none": tmp_path / "none"})
    assert table.index.tolist() == ["one"]
    history = pd.read_csv(run / HISTORY)
    assert table.loc["one", "hours"] == pytest.approx(history.seconds.sum() / 3600)
    assert np.isnan(table.loc["one", "mean NSE of TWSA"]), "trained on discharge alone"
    assert not len(comparison.schedules(cases.tiny_study(tmp_path), {"one": run}))


def test_are_schedules_compared_by_the_last_step_of_the_refit(study, folders, tmp_path):
    two = shutil.copytree(folders["hybrid_q"][0], tmp_path / "two")
    cases.change_config(two, members=2, choose=False)
    rows = [("choose", 9.0, 0.1), ("fit", 5.0, 0.2), ("fit", 4.0, 0.6)]
    pd.DataFrame(
        {"phase": phase, "epoch": k, "loss_0": loss, "loss_1": 1.0, "nse_discharge_0": nse,
         "seconds": 1800.0}
        for k, (phase, loss, nse) in enumerate(rows)
    ).to_csv(two / HISTORY, index=False)  # fmt: skip
    with h5py.File(two / WEIGHTS, "r+") as file:
        del file.attrs[HISTORY]  # it is not the one that the training left
    (row,) = comparison.schedules(study, {"two": two}).to_dict("records")
    assert (row["steps"], row["loss"], row["mean NSE of Q"], row["hours"]) == (2, 4.0, 0.6, 0.75)


def test_are_runs_of_two_splits_not_compared(study, folders, tmp_path):
    other = shutil.copytree(folders["hybrid_q"][0], tmp_path / "other")
    cases.change_config(other, train="2002-2002")
    with pytest.raises(InputError, match="trained on .*2002.*; expected"):
        comparison.open_all(study, folders | {"hybrid_q": [other]})


def test_is_everything_trained_in_full_when_asked_whatever_is_kept(study, folders, monkeypatch):
    monkeypatch.setitem(PRESETS, "fast", PRESETS["fast"].model_copy(update={"steps": 2}))
    kept, said = folders["hybrid_q"][0].parent, []
    full = comparison.find_or_train(study, kept, 1, retrain=True, report=said.append)
    assert {path.parent.name for (path,) in full.values()} == {"full"}
    assert read_config(full["hybrid_q"][0]).epochs == 0
    assert [text for text in said if "loss" in text][0].startswith("hydropynn_q, choose 0: loss ")
    assert said[-1].startswith("Hybrid(Q): trained in full in build")


def test_do_shared_inputs_give_what_each_run_gives_alone(study, folders):
    opened = comparison.open_all(study, folders)
    assert list(opened) == ["HydroPyNN", "HydroPyNN(Q)", "Hybrid(Q)"]
    pairs = {title: run.observe() for title, run in opened.items()}
    alone = Run.open(folders["hybrid_q"][0]).observe()
    np.testing.assert_array_equal(pairs["Hybrid(Q)"].discharge_simulated, alone.discharge_simulated)
    untrained = Run.untrained(study).observe()
    own = pairs["HydroPyNN"].discharge_simulated
    np.testing.assert_array_equal(own, untrained.discharge_simulated)
    split = opened["HydroPyNN"].problem.split
    scores = {title: evaluation.score(pair, split) for title, pair in pairs.items()}
    medians = comparison.medians(scores)
    by_hand = np.median(scores["Hybrid(Q)"].discharge.sel(metric="NSE", period="validation"))
    assert medians.loc["Hybrid(Q)", "discharge"] == pytest.approx(by_hand)


def test_are_members_of_separate_runs_those_of_one_run(study, tmp_path):
    settings = Settings(scheme="hybrid_q", study=str(study.path), epochs=1)
    train(settings.model_copy(update={"members": 2}), tmp_path / "one" / "hybrid_q")
    for seed in (0, 1):
        train(
            settings.model_copy(update={"seed": seed}), tmp_path / "each" / f"hybrid_q-member{seed}"
        )
    one, each = (
        comparison.find_or_train(study, tmp_path / how, 1, report=lambda text: None)
        for how in ("one", "each")
    )
    names = [path.name for path in each["hybrid_q"]]
    assert names == ["hybrid_q-member0", "hybrid_q-member1"]
    one, each = (comparison.open_all(study, found)["Hybrid(Q)"] for found in (one, each))
    weights = ([learner.get_weights() for learner in found.learners] for found in (one, each))
    np.testing.assert_equal(*weights)
    assert each.config.members == 2
    columns = one.history.columns.drop("seconds")
    pd.testing.assert_frame_equal(one.history[columns], each.history[columns])


def test_does_a_live_training_begin_untrained_and_get_better(study):
    table = comparison.train_live(study, "hydropynn_q", 2)
    assert list(table.index) == [0, 1, 2]
    assert table.loss.is_monotonic_decreasing
    np.testing.assert_allclose(table.loss, 1 - table["mean NSE of Q"], rtol=1e-6)


def test_does_bfloat16_change_one_year_of_pet_a_little(tmp_path):
    study = cases.tiny_study(tmp_path)
    trained = Run.untrained(study, "hybrid_qs_plus")
    last = trained.learners[0].replacement.kernels[-1]
    last.assign(np.random.default_rng(4).normal(0, 0.1, last.shape))
    table = comparison.loss_by_precision(trained)
    assert table.loc["float32", "pet_difference"] == 0.0
    assert 0.0 < table.loc["bfloat16", "pet_difference"] < 0.1
    assert table.loss.float32 == pytest.approx(table.loss.bfloat16, rel=0.01)
    assert table.loss.float32 != table.loss.bfloat16


def test_are_fields_those_of_each_member(study, folders):
    opened = comparison.open_all(study, folders)
    trained = opened["Hybrid(Q)"]
    two = cases.Ready(trained.problem, [*trained.learners, *opened["HydroPyNN"].learners])
    both = two.simulate(["evap", "dis"])
    each = [two.simulate(["evap", "dis"], member=member) for member in (0, 1)]
    assert both.evap.dims == ("member", "time", "cell")
    assert not np.array_equal(each[0].evap, each[1].evap)
    for name in ("evap", "dis", "discharge"):
        np.testing.assert_array_equal(both[name], np.concatenate([one[name] for one in each]))
    with pytest.raises(InputError, match="member is 2; expected 0 to 1"):
        two.simulate(["evap"], member=2)
