"""Does the run matrix survive lost workers, and say what it cannot do?"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cases
import numpy as np
import pandas as pd
import psutil
import pytest
import xarray as xr
import yaml

from hybridlib.experiments import matrix, results
from hybridlib.experiments.matrix import (
    HYDROGRAPHS,
    connect,
    expand,
    finished,
    perform,
    read_matrix,
    schedule,
)
from hybridlib.learning import provenance
from hybridlib.learning.folder import HISTORY, METRICS, claimed, read_config
from hybridlib.learning.provenance import PROVENANCE, code_version, read_commits
from hybridlib.study.schema import InputError
from hybridlib.study.store import open_study, write_group

TASK = {"schemes": ["hybrid_q"], "split": "spatial", "folds": 3, "epochs": 8, "choose": False}


def _matrix(folder: Path, groups: dict, study: str = "none.zarr", **other) -> Path:
    values = {"study": study, "runs": str(folder / "runs"), "results": str(folder / "results")}
    path = folder / "matrix.yml"
    path.write_text(yaml.safe_dump(values | {"experiments": groups} | other, sort_keys=False))
    return path


def _runs(folder: Path, groups: dict, study: str = "none.zarr", **other) -> list:
    return expand(read_matrix(_matrix(folder, groups, study, **other)))


def _copy(run, folder: Path, *without: str):
    """A copy of a run that a test may spoil."""
    copy = replace(run, folder=folder / "copy" / run.name)
    shutil.copytree(run.folder, copy.folder, ignore=shutil.ignore_patterns(*without))
    return copy


def test_is_every_combination_a_run_of_its_own(tmp_path):
    groups = {
        "time": {"schemes": ["hydropynn", "hybrid_qs", "hybrid_qs_plus"], "members": 3},
        "space": {"schemes": ["hybrid_qs"], "split": "spatial", "folds": 4},
        "loss": {"schemes": ["hybrid_qs_plus"], "weights": [0.0, 0.5], "replacement": ["fcnn"]},
    }
    runs = _runs(tmp_path, groups)
    assert [(str(run), run.settings.members, run.settings.seed) for run in runs] == [
        ("time/hydropynn", 1, 0),
        ("time/hybrid_qs", 3, 0),
        ("time/hybrid_qs_plus-member0", 1, 0),
        ("time/hybrid_qs_plus-member1", 1, 1),
        ("time/hybrid_qs_plus-member2", 1, 2),
        *((f"space/hybrid_qs-fold{fold}", 1, 0) for fold in (1, 2, 3, 4)),
        ("loss/hybrid_qs_plus-w0-fcnn-member0", 1, 0),
        ("loss/hybrid_qs_plus-w0.5-fcnn-member0", 1, 0),
    ]
    assert len({run.folder for run in runs}) == len(runs)
    assert [run.settings.fold for run in runs if run.experiment == "space"] == [1, 2, 3, 4]
    assert runs[-1].settings.weighted_scheme().weights == (0.5, 0.5)


def test_is_the_matrix_of_the_study_understood():
    runs = expand(read_matrix(cases.DATA.parents[1] / "params" / "experiments.yml"))
    assert {run.experiment for run in runs} >= {"temporal", "spatial", "spatiotemporal", "weights"}


GROUP = {"a": {"schemes": ["hybrid_q"]}}


@pytest.mark.parametrize(
    ("groups", "other", "told"),
    [
        ({}, {}, "experiments is {}; expected a group"),
        (GROUP, {"layers": 3}, "key 'layers' is unknown"),
        ({"a": {"scheme": "hybrid_q"}}, {}, "a: key 'scheme' is unknown"),
        ({"a": {"members": 2}}, {}, "a: key 'schemes' is missing"),
        ({"a": {"schemes": "hybrid_q"}}, {}, "a: schemes is 'hybrid_q'; expected a list"),
        ({"a": {"schemes": ["lstm"]}}, {}, "scheme 'lstm' is unknown"),
        ({"a": {"schemes": ["hybrid_q"], "split": "random"}}, {}, "split 'random' is unknown"),
        ({"a": {"schemes": ["hybrid_q"], "weights": [2.0]}}, {}, "weight is 2.0; expected 0 to 1"),
        ({"a": {"schemes": ["hybrid_q"], "members": "two"}}, {}, "members is 'two'; expected int"),
        (
            {"a": {"schemes": ["hybrid_q"], "weights": ["a"]}},
            {},
            "weights.0 is 'a'; expected a number",
        ),
        ({"a": {"schemes": ["hybrid_q"], "folds": 2.5}}, {}, "folds is 2.5; expected int"),
        ({"a": ["hybrid_q"]}, {}, "experiments.a is ['hybrid_q']; expected keys and values"),
        ({"a": {"schemes": []}}, {}, "a: schemes is []; expected a list of values, each once"),
        ({"a": {"schemes": ["hybrid_q"] * 2}}, {}, "expected a list of values, each once"),
        ({"a": {"schemes": ["hybrid_q"], "members": 0}}, {}, "members is 0; expected at least 1"),
        ({2003: {"schemes": ["hybrid_q"]}}, {}, "is 2003; expected text"),
        ({"a/b": {"schemes": ["hybrid_q"]}}, {}, "experiment 'a/b'; expected a name fit for a"),
        ({"..": {"schemes": ["hybrid_q"]}}, {}, "experiment '..'; expected a name fit for a"),
        ({"": {"schemes": ["hybrid_q"]}}, {}, "experiment ''; expected a name fit for a folder"),
        (GROUP, {"study": 3}, "study is 3; expected text"),
        (
            {"-": {"schemes": ["hybrid_q"], "folds": 10**8}},
            {},
            "folds is 100000000; expected at most",
        ),
        (
            {"a": {"schemes": ["hybrid_q"], "members": 10**9}},
            {},
            "members is 1000000000; expected at",
        ),
        ({"a": {"schemes": ["hybrid_q"], "weights": [0.5, 0.5000001]}}, {}, "two runs of one name"),
        (
            {"a": {"schemes": ["hybrid_q"], "split": "spatial", "folds": 1000, "members": 1000}},
            {},
            "a: 1000000 runs; expected at most 10000",
        ),
        ({"a\nb": {"schemes": ["hybrid_q"]}}, {}, "expected a name fit for a folder"),
        ({"n" * 300: {"schemes": ["hybrid_q"]}}, {}, "expected a name fit for a folder"),
    ],
)
def test_is_a_matrix_that_is_not_understood_refused(groups, other, told, tmp_path):
    with pytest.raises(InputError) as refused:
        _runs(tmp_path, groups, **other)
    assert told in str(refused.value) and str(refused.value).startswith(f"{tmp_path}/matrix.yml")


@pytest.mark.parametrize(
    ("text", "told"),
    [(b"study: a\nstudy: b\n", "key 'study' is given twice"), (b"study: \xff\n", "not YAML")],
)
def test_is_a_file_that_is_no_clear_yaml_refused(text, told, tmp_path):
    path = tmp_path / "matrix.yml"
    path.write_bytes(text)
    with pytest.raises(InputError, match=told):
        read_matrix(path)


def test_is_an_unknown_experiment_refused(tmp_path):
    with pytest.raises(InputError, match="experiment 'b' is unknown; expected some of: a"):
        expand(read_matrix(_matrix(tmp_path, GROUP)), ["b"])


@pytest.mark.slow
def test_does_a_run_whose_worker_is_killed_end_with_the_same_bits_elsewhere(tmp_path):
    study = str(cases.tiny_study(tmp_path).path)
    (lost, bad, *_) = _runs(tmp_path, {"a": TASK}, study)
    steps, told = [], {}
    settings = bad.settings.model_copy(update={"study": str(tmp_path / "none.zarr")})
    bad = replace(bad, name="bad", folder=tmp_path / "bad", settings=settings)

    def kill_once(row: dict) -> None:
        steps.append((row["run"], row["epoch"], row["worker"]))
        if row["epoch"] == 3 and len([s for s in steps if s[1] == 3]) == 1:
            os.kill(pids[row["worker"]], signal.SIGKILL)

    with connect("local", workers=2) as client:
        pids = client.run(os.getpid)
        failures = schedule(
            [lost, bad], client, kill_once, lambda run, how: told.update({str(run): how}), retries=1
        )
        assert list(failures) == ["a/bad"] and "none.zarr" in failures["a/bad"]
        assert told[str(lost)] == "done" and told["a/bad"] == failures["a/bad"]
        # What is finished is not done again.
        before = (lost.folder / METRICS).stat().st_mtime_ns
        assert schedule([lost], client, ended=lambda run, how: told.update(again=how)) == {}
    assert told["again"] == "was done" and (lost.folder / METRICS).stat().st_mtime_ns == before
    assert len({worker for run, _, worker in steps if run == str(lost)}) == 2
    epochs = [epoch for run, epoch, _ in steps if run == str(lost)]
    assert epochs.count(0) == 1, "the run began anew instead of going on"
    perform(replace(lost, name="whole", folder=tmp_path / "whole"))
    np.testing.assert_equal(*map(cases.stored_weights, (lost.folder, tmp_path / "whole")))


def _listening(process: psutil.Process) -> set[str]:
    """Addresses at which a process and its children wait for others."""
    every = [process, *process.children(recursive=True)]
    found = (one for each in every for one in each.net_connections(kind="inet"))
    return {one.laddr.ip for one in found if one.status == psutil.CONN_LISTEN}


def test_listens_a_cluster_of_this_machine_to_nobody_elsewhere():
    before = _listening(psutil.Process())
    with connect("local", workers=2) as client:
        assert client.submit(os.getpid).result() != os.getpid()
        dashboards = [one["services"] for one in client.scheduler_info()["workers"].values()]
        assert len(dashboards) == 2
        assert _listening(psutil.Process()) - before == {"127.0.0.1"}


@pytest.fixture(scope="module")
def performed(tmp_path_factory):
    """A matrix of three folds and the untrained scheme, performed without a cluster."""
    folder = tmp_path_factory.mktemp("performed")
    study = str(cases.tiny_study(folder).path)
    groups = {"space": TASK | {"schemes": ["hydropynn", "hybrid_q"], "epochs": 2}}
    matrix = read_matrix(_matrix(folder, groups, study))
    for run in expand(matrix):
        perform(run)
    return matrix


@pytest.fixture(scope="module")
def gathered(performed):
    return results.collect(performed)


def test_are_hydrographs_kept_of_gauges_held_out(performed):
    for run in expand(performed):
        (held_out,) = read_config(run.folder).held_out
        with xr.open_dataset(run.folder / HYDROGRAPHS) as kept:
            assert kept.station.values.tolist() == [held_out]
            assert np.isfinite(kept.discharge_simulated).all()


def test_has_every_gauge_its_score_of_the_fold_that_held_it_out(performed):
    gathered = results.write(performed)
    scores = results.part_of(gathered, "discharge", "validation", scheme="hybrid_q")
    assert scores.dims == ("member", "station") and np.isfinite(scores).all()
    for run in (run for run in expand(performed) if run.settings.scheme == "hybrid_q"):
        (held_out,) = read_config(run.folder).held_out
        with xr.open_dataset(run.folder / METRICS) as own:
            expected = own.discharge.sel(metric="NSE", period="validation", station=held_out)
        assert scores.sel(station=held_out).item() == expected.item()
    assert not results.to_do(performed, gathered).size
    xr.testing.assert_identical(results.read(performed.results), gathered)


def test_does_the_summary_count_what_it_joins(gathered):
    table = results.summary(gathered)
    assert set(table.part) == {"training", "validation"}
    assert set(table.folds) == {3} and set(table.members) == {1}
    discharge = table[(table.series == "discharge") & (table.metric == "NSE")]
    assert set(discharge["count"]) == {3}
    wide = results.wide(table)
    assert wide.discharge.str.contains("to").all() and len(wide) == 4


@pytest.mark.parametrize(
    ("series", "part", "scheme", "told"),
    [
        ("discharge", "validation in time", "hybrid_q", "part 'validation in time' is unknown"),
        ("discharge", "validation", "hybrid_qs", "no finished run with scheme hybrid_qs"),
        ("twsa", "validation", "hybrid_q", "'validation' in spatial: only gauges are held"),
        ("discharge", "validation", None, "runs of several kinds, scheme"),
    ],
)
def test_is_a_part_refused_that_runs_do_not_have_alike(gathered, series, part, scheme, told):
    with pytest.raises(InputError, match=told):
        results.part_of(gathered, series, part, **({"scheme": scheme} if scheme else {}))


def test_is_a_finished_run_with_other_settings_refused_with_its_study_and_without(
    performed, tmp_path
):
    run, away = expand(performed)[-1], "nowhere.zarr"
    clone = _copy(run, tmp_path)
    cases.change_config(clone.folder, study=away)
    for one in (run, replace(clone, settings=run.settings.model_copy(update={"study": away}))):
        assert finished(one)
        with pytest.raises(InputError, match="a finished run has epochs 2; the matrix asks for 5"):
            finished(replace(one, settings=one.settings.model_copy(update={"epochs": 5})))


def test_is_a_run_that_was_not_scored_whole_performed_again(performed):
    run = expand(performed)[-1]
    for name in (METRICS, PROVENANCE, HYDROGRAPHS):
        kept = run.folder / name
        away = kept.rename(kept.with_suffix(".away"))
        assert not finished(run)
        away.rename(kept)
    assert finished(run)


def test_does_a_clone_without_checkpoints_keep_its_weights(performed, tmp_path, monkeypatch):
    run = expand(performed)[-1]
    clone = _copy(run, tmp_path, "checkpoints", "*.nc")
    before = cases.contents(clone.folder)
    monkeypatch.setattr(provenance, "RUNNING", "another")
    perform(clone)
    after = cases.contents(clone.folder)
    assert before.items() <= after.items(), "weights, history, and to score again is not to train"
    ours, theirs = (xr.open_dataset(one.folder / METRICS).load() for one in (clone, run))
    xr.testing.assert_identical(ours, theirs)


def test_are_all_commits_kept_that_trained_a_run(performed, tmp_path, monkeypatch):
    for commit in ("first", "second", "second"):
        monkeypatch.setattr(provenance, "RUNNING", commit)
        provenance.add_commit(tmp_path)
    assert read_commits(tmp_path) == "first+second"
    untrained, *_, trained = expand(performed)
    own = read_commits(trained.folder)
    assert read_commits(untrained.folder) == own != "second"
    for run in (untrained, trained):
        copy = _copy(run, tmp_path)
        perform(copy)
        assert read_commits(copy.folder) == ("second" if run is untrained else own)


def test_leaves_a_run_that_cannot_be_trained_neither_configuration_nor_provenance(tmp_path):
    study = cases.tiny_study(tmp_path, twsa=False)
    groups = {"a": {"schemes": ["hybrid_qs"], "epochs": 2, "choose": False}}
    (run,) = _runs(tmp_path, groups, str(study.path))
    with pytest.raises(InputError, match="twsa"):
        perform(run)
    assert not [path for path in run.folder.rglob("*") if path.is_file() and path.name != "lock"]


def test_does_the_code_know_its_commit_and_that_it_was_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "INSTALLED", tmp_path)
    assert code_version() == "unknown"
    module = tmp_path / "hybridlib" / "a.py"
    module.parent.mkdir()
    module.write_text("a = 1\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for ask in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *ask], check=True)
    clean = code_version()
    assert 7 <= len(clean) <= 12 and not clean.endswith("-dirty")
    (tmp_path / "notes.txt").write_text("no code\n")
    assert code_version() == clean
    (tmp_path / "hybridlib" / "new.py").write_text("b = 2\n")
    assert code_version() == f"{clean}-dirty", "a module that git does not know counts, too"


def test_keep_small_rivers_their_digits_beside_large_ones(tmp_path):
    flow = np.array([[0.0123456, 123456.0], [np.nan, 1.0]])
    fields = ("discharge_observed", "discharge_simulated")
    pairs = xr.Dataset({name: (("time", "station"), flow) for name in fields})
    matrix._keep_hydrographs(tmp_path / HYDROGRAPHS, pairs)
    with xr.open_dataset(tmp_path / HYDROGRAPHS) as kept:
        np.testing.assert_allclose(kept.discharge_simulated, flow, rtol=1e-4)


def test_are_another_basin_and_other_observations_under_a_finished_run_noticed(performed, tmp_path):
    run, study = expand(performed)[-1], open_study(performed.study)
    copy, home = _copy(run, tmp_path), shutil.copytree(study.path, tmp_path / "study.zarr")
    cases.change_config(copy.folder, study=str(home))
    copy = replace(copy, settings=run.settings.model_copy(update={"study": str(home)}))
    assert finished(copy)
    gauges = study.discharge.load()
    write_group(home, "discharge", gauges.assign(discharge=3.0 * gauges.discharge + 5.0))
    with pytest.raises(InputError, match="a finished run has data 'discharge .*; the matrix asks"):
        finished(copy)
    with pytest.raises(InputError, match="the run here has data 'discharge"):
        perform(copy)
    cases.change_config(copy.folder, basin="another")
    with pytest.raises(InputError, match="a finished run has basin 'another'"):
        finished(copy)


def test_is_a_second_process_kept_from_a_run(performed):
    run = expand(performed)[-1]
    claim = (
        f"from hybridlib.learning.folder import claimed; claimed({str(run.folder)!r}).__enter__()"
    )
    program = [sys.executable, "-c", claim]
    with claimed(run.folder):
        found = subprocess.run(program, capture_output=True, text=True)
    assert "another process is at work on this run" in found.stderr
    assert subprocess.run(program).returncode == 0


def test_are_hydrographs_joined_over_folds_and_members(performed):
    pairs = results.held_out_pairs(performed, "space", "hybrid_q")
    assert pairs.discharge_simulated.dims == ("member", "time", "station")
    assert pairs.sizes["station"] == 3 and not pairs.station.to_index().duplicated().any()
    with pytest.raises(InputError, match="space: no run of hybrid_qs"):
        results.held_out_pairs(performed, "space", "hybrid_qs")


def test_are_kinds_of_network_compared_from_one_run_each(gathered):
    gathered = gathered.assign_coords(split=("run", ["temporal"] * gathered.sizes["run"]))
    one = gathered.isel(run=gathered.name.values == "hybrid_q-fold1")
    table = results.rivals(one, [("space", "conv3d")], "hybrid_q")
    median = float(results.part_of(one, "discharge", "validation").median())
    assert table.loc["conv3d", ["steps", "median NSE of Q"]].tolist() == [2, median]
    with pytest.raises(InputError, match="space: 3 runs of hybrid_q with conv3d; expected one"):
        results.rivals(gathered, [("space", "conv3d")], "hybrid_q")


@pytest.mark.parametrize(
    ("split", "part", "expected"),
    [
        ("temporal", "training", [3, 4]),
        ("temporal", "validation", [5, 6]),
        ("spatial", "training", [5, 2]),
        ("spatial", "validation", [3, 8]),
        ("spatiotemporal", "training", [5, 2]),
        ("spatiotemporal", "validation in time", [7, 4]),
        ("spatiotemporal", "validation in space", [1, 6]),
        ("spatiotemporal", "validation in both", [3, 8]),
    ],
)
def test_which_years_and_gauges_are_a_part(split, part, expected):
    """Two folds, the first of which holds out gauge a, the second gauge b."""
    dims = ("run", "metric", "period", "station")
    scores = np.arange(1.0, 9.0).reshape(2, 1, 2, 2)
    held_out = [[split != "temporal", False], [False, split != "temporal"]]
    keys = {key: ("run", [split] * 2) for key in results.KEYS}
    coords = {"metric": ["NSE"], "period": ["train", "validation"], "station": ["a", "b"]}
    coords |= keys | {"member": ("run", [0, 0]), "held_out": (("run", "station"), held_out)}
    both = xr.Dataset({"discharge": (dims, scores)}, coords)
    assert results.part_of(both, "discharge", part).values.tolist() == [expected]


def test_are_statistics_those_of_known_numbers():
    coords = {"member": [0], "station": list("abcde")}
    scores = [[0.9, 0.8, 0.7, 0.95, np.nan]], [[0.6, 0.7, 0.3, 0.75, 0.5]]
    found = results.paired(*(xr.DataArray(one, coords, list(coords)) for one in scores))
    assert found["pairs"] == 4
    assert found["mean difference"] == pytest.approx(0.25)
    # t = mean / (std / sqrt(n)) = 0.25 / (0.129099 / 2); two-sided with 3 degrees of freedom
    assert found["p (t-test)"] == pytest.approx(0.03047, abs=1e-4)
    assert found["p (Wilcoxon)"] == pytest.approx(0.125)


def test_has_every_member_its_place_and_its_share_of_the_hours(tmp_path):
    """Two members of a scheme without a replacement network, trained side by side."""
    study = cases.tiny_study(tmp_path)
    group = {"schemes": ["hybrid_q"], "members": 2, "epochs": 2}
    matrix = read_matrix(_matrix(tmp_path, {"a": group}, str(study.path)))
    (run,) = expand(matrix)
    perform(run)
    gathered = results.collect(matrix)
    assert gathered.member.values.tolist() == [0, 1]
    history = pd.read_csv(run.folder / HISTORY)
    assert gathered.hours.values.tolist() == [pytest.approx(history.seconds.sum() / 7200)] * 2
    assert gathered.iterations.values.tolist() == [len(history)] * 2
    more = _matrix(tmp_path, {"a": group, "b": group | {"members": 3, "epochs": 7}}, matrix.study)
    table = results.to_do(read_matrix(more), gathered)
    pace = float(gathered.hours[0]) / len(history)
    # Seven steps to choose, seven to fit, of three members.
    assert table.hours.tolist() == [pytest.approx(7 * 2 * 3 * pace)]
    assert results.part_of(gathered, "discharge", "validation").sizes["member"] == 2


def test_has_an_experiment_that_the_matrix_lacks_no_finished_scheme(performed, gathered):
    assert results.complete(gathered, performed, "space") == ["hydropynn", "hybrid_q"]
    assert results.complete(gathered, performed, "temporal") == []


def test_is_what_was_not_run_listed_with_its_cost(performed):
    groups = {"space": TASK | {"schemes": ["hybrid_q"], "epochs": 2},
              "more": {"schemes": ["hybrid_q"], "epochs": 10, "choose": False},
              "else": {"schemes": ["hybrid_qs"]}}  # fmt: skip
    folder = Path(performed.runs).parent
    larger = read_matrix(_matrix(folder, groups, performed.study))
    gathered = results.collect(larger)
    table = results.to_do(larger, gathered).set_index("name")
    assert list(table.index) == ["hybrid_q", "hybrid_qs"]
    pace = np.median((gathered.hours / gathered.iterations).values)
    assert table.hours["hybrid_q"] == pytest.approx(10 * pace)
    assert np.isnan(table.hours["hybrid_qs"])
