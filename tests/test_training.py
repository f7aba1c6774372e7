"""Does a training survive whatever stops it, and say what it cannot use?"""

from __future__ import annotations

import functools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cases
import h5py
import numpy as np
import pandas as pd
import pytest

from hybridlib import adjoint, networks, training
from hybridlib.backend import tf
from hybridlib.cli import main
from hybridlib.study import Study, open_study, write_group
from hybridlib.training import (
    CHECKPOINT,
    CONFIG,
    HISTORY,
    WEIGHTS,
    Fit,
    Settings,
    TrainingError,
    train,
)

STEPS = ["choose", "choose", "choose", "fit", "fit"]
"""Phases of the steps of a run with two epochs: the third one of the choice only looks."""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return cases.tiny_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module", autouse=True)
def _problems_read_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "build_problem", functools.cache(training.build_problem))
        yield


@pytest.fixture(scope="module")
def rows():
    """The progress of the run that is never stopped."""
    return []


@pytest.fixture(scope="module")
def whole(study, rows, tmp_path_factory):
    """The folder of a run that is never stopped."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train(_settings(study), folder, progress=rows.append)
    return folder


def _settings(study: Study, **options) -> Settings:
    return Settings(**{"scheme": "hydropynn_qs", "study": str(study.path), "epochs": 2} | options)


def _weights(folder: Path) -> dict[str, np.ndarray]:
    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[...]

    with h5py.File(folder / WEIGHTS) as file:
        file.visititems(keep)
    return found


def _expect_same(folder: Path, other: Path, why: str = "") -> None:
    """See that two runs ended with the same bits and told the same story."""
    ours, theirs = _weights(folder), _weights(other)
    assert list(ours) == list(theirs), why
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=f"{why} {name}")
    stories = [pd.read_csv(run / HISTORY).drop(columns="seconds") for run in (folder, other)]
    pd.testing.assert_frame_equal(*stories)
    names = [{p.name for p in run.rglob("*")} for run in (folder, other)]
    assert names[0] == names[1] and not [n for n in names[0] if "part" in n], why


def _changed(study: Study, folder: Path, group: str, change) -> Study:
    """A copy of a study with another group."""
    copy = shutil.copytree(study.path, folder / "changed.zarr")
    write_group(copy, group, change(study.group(group).load()))
    return open_study(copy)


def _command_line(monkeypatch, capsys, *arguments):
    """Run the command and return its exit code and what it told on the error stream."""
    monkeypatch.setattr("sys.argv", ["hybridlib", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code, " ".join(capsys.readouterr().err.split())


# A hook cannot be taken off again: it is put on once, and asleep while nobody watches.
_watchers: list = []


def _tell(event, arguments):
    if _watchers and event in ("open", "os.mkdir", "os.rename", "os.remove"):
        watcher = _watchers.pop()
        watcher(event, str(arguments[0]))
        _watchers.append(watcher)


def _moments(folder: Path, work) -> dict[tuple, str]:
    """What `kill -9` leaves in a folder before each file operation of some work, none twice.

    A file that is being written is cut in half.
    """
    moments = {}

    def look(event, path):
        if not path.startswith(str(folder)):
            return
        left = []
        for file in sorted(folder.rglob("*")):
            content = file.read_bytes() if file.is_file() else None
            if content and "part" in file.name:
                content = content[: len(content) // 2]
            left.append((str(file.relative_to(folder)), content))
        moments.setdefault(tuple(left), f"before {event} {path}")

    sys.addaudithook(_tell)
    _watchers.append(look)
    try:
        work()
    finally:
        _watchers.clear()
    return moments


def test_does_a_run_killed_at_any_moment_end_with_the_weights_of_one_never_stopped(
    study, whole, tmp_path
):
    settings, run = _settings(study), tmp_path / "run"
    moments = _moments(run, lambda: train(settings, run))
    _expect_same(run, whole)
    assert len(moments) >= 4 * len(STEPS)
    for number, (left, moment) in enumerate(moments.items()):
        folder = tmp_path / str(number)
        for name, content in left:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir() if content is None else path.write_bytes(content)
        train(settings, folder, resume=True)
        _expect_same(folder, whole, moment)


KILLED = """
import os, signal, sys
import numpy as np
from hybridlib.cli import main

def command(run):
    sys.argv[1:] = [*given, "--run", run]
    try:
        main()
    except SystemExit as end:
        assert not end.code

def stop(file, **arrays):
    calls.append(file)
    if len(calls) < 2:
        return savez(file, **arrays)
    file.write(b"PK" * 1000)
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

*given, folder = sys.argv[1:]
command(folder + "/whole")
savez, np.savez, calls = np.savez, stop, []
command(folder + "/killed")
"""
"""Train twice; the second run is killed halfway through its second checkpoint."""


def test_do_another_process_and_conv3d_with_two_members_go_on_to_the_same_weights(
    study, root, tmp_path
):
    options = "train --scheme hybrid_qs_plus --members 2 --no-choose --epochs 3 --deterministic"
    given = [*options.split(), "--study", str(study.path)]

    def python(code, *arguments):
        return subprocess.run([sys.executable, "-c", code, *given, *arguments], cwd=root)

    assert python(KILLED, str(tmp_path)).returncode == -signal.SIGKILL
    folder = tmp_path / "killed"
    assert (folder / f"{CHECKPOINT}.part").exists() and not (folder / WEIGHTS).exists()
    again = python(
        "from hybridlib.cli import main; main()", "--run", str(folder), "--resume"
    )
    assert again.returncode == 0
    _expect_same(folder, tmp_path / "whole")
    assert len(_weights(folder)) == 2 * (8 + 8)


def test_does_a_finished_run_stay_as_it_is_when_it_is_resumed(study, whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "run")
    train(_settings(study), folder, resume=True)
    _expect_same(folder, whole)


def test_has_the_history_one_row_a_step_and_reaches_the_progress_nothing_left(whole, rows):
    history = pd.read_csv(whole / HISTORY)
    assert list(history.phase) == STEPS
    assert list(history.epoch) == [0, 1, 2, 0, 1]
    assert list(history.held_out_0.notna()) == [phase == "choose" for phase in STEPS]
    assert [row["phase"] for row in rows] == STEPS
    left = [row["left"] for row in rows]
    assert left == sorted(left, reverse=True) and left[-2:] == [1, 0]


def test_does_a_seed_decide_the_weights_and_is_a_member_a_run_of_its_own_seed(
    study, whole, tmp_path
):
    train(_settings(study, seed=1), tmp_path / "alone")
    train(_settings(study, members=2), tmp_path / "ensemble")
    (first,), (alone,) = (_weights(run).values() for run in (whole, tmp_path / "alone"))
    assert not np.array_equal(first, alone)
    members = _weights(tmp_path / "ensemble").values()
    for member, single in zip(members, (first, alone), strict=True):
        np.testing.assert_array_equal(member, single)


def test_are_validation_years_never_read(study, whole, tmp_path):
    def spoil(name):
        def change(group):
            time = group.indexes["month" if name == "twsa" else "time"]
            group[name][time.year > 2003] *= -3.0
            group[name][-40 if name == "discharge" else -4 :] = np.nan
            return group

        return change

    other = _changed(study, tmp_path, "discharge", spoil("discharge"))
    write_group(other.path, "twsa", spoil("twsa")(other.twsa.load()))
    train(_settings(other), tmp_path / "run")
    _expect_same(tmp_path / "run", whole)


@pytest.mark.parametrize("option", [{"replacement": "fcnn"}, {"precision": "bfloat16"}])
def test_do_the_rival_and_half_precision_train_without_tracing_anything_twice(
    study, option, tmp_path
):
    programs = adjoint._forward, adjoint._backward, networks._layers, networks._pull
    counts = []

    def count(row):
        counts.append([program.experimental_get_tracing_count() for program in programs])

    settings = _settings(study, scheme="hybrid_qs_plus", **option)
    train(settings, tmp_path / "run", progress=count)
    assert len(counts) > 2 and counts.count(counts[0]) == len(counts)
    weights = _weights(tmp_path / "run")
    assert len(weights) == 16 and all(np.isfinite(values).all() for values in weights.values())
    config = json.loads((tmp_path / "run" / CONFIG).read_text())
    assert option.items() <= config.items()


def _with_endless_rain(problem):
    rain = problem.weather.rainf.numpy()
    rain[500, 3] = np.inf
    return problem.__class__(**vars(problem) | {"weather": problem.weather._replace(rainf=rain)})


def _with_lost_groundwater(problem):
    water = problem.start.groundwstor.numpy()
    water[5] = np.nan
    start = problem.start._replace(groundwstor=tf.constant(water))
    return problem.__class__(**vars(problem) | {"start": start})
