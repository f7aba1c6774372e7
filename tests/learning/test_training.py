"""Does a training survive whatever stops it, and say what it cannot use?"""

from __future__ import annotations

import errno
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from types import SimpleNamespace

import cases
import numpy as np
import pandas as pd
import pytest

from hybridlib.hydropy import adjoint
from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.parameters import Parameters
from hybridlib.learning import networks, training
from hybridlib.learning.folder import CHECKPOINT, CONFIG, HISTORY, LOCK, WEIGHTS, read_config
from hybridlib.learning.settings import PRESETS, Settings
from hybridlib.learning.training import Fit, TrainingError, train
from hybridlib.study import files
from hybridlib.study.schema import InputError
from hybridlib.study.store import Study

STEPS = ["choose", "choose", "choose", "fit", "fit"]
"""Phases of the steps of a run with two epochs: the third one of the choice only looks."""
PAIR = {"scheme": "hybrid_qs_plus", "members": 2, "choose": False}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return cases.tiny_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module", autouse=True)
def _problems_read_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "build_problem", functools.cache(training.build_problem))
        yield


ROWS: list[dict] = []
"""The progress of the run that is never stopped."""


@pytest.fixture(scope="module")
def whole(study, tmp_path_factory):
    """The folder of a run that is never stopped."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train(_settings(study), folder, progress=ROWS.append)
    return folder


@pytest.fixture(scope="module")
def pair(study, tmp_path_factory):
    """The folder of a run of two members with a Conv3D network that is never stopped."""
    folder = tmp_path_factory.mktemp("runs") / "pair"
    train(_settings(study, **PAIR), folder)
    return folder


def _settings(study: Study, **options) -> Settings:
    return Settings(**{"scheme": "hydropynn_qs", "study": str(study.path), "epochs": 2} | options)


def _expect_same(folder: Path, other: Path, why: str = "") -> None:
    """See that two runs ended with the same bits and told the same story."""
    np.testing.assert_equal(*map(cases.stored_weights, (folder, other)), err_msg=why)
    stories = [pd.read_csv(run / HISTORY).drop(columns="seconds") for run in (folder, other)]
    pd.testing.assert_frame_equal(*stories)
    names = [{p.name for p in run.rglob("*")} for run in (folder, other)]
    assert names[0] == names[1] and not [n for n in names[0] if "part" in n], why


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
    study, tmp_path, monkeypatch
):
    # Steps so long that the first one spoils the model and patience ends at once.
    hasty = PRESETS["fast"].model_copy(update={"free": 20.0, "patience": 1})
    monkeypatch.setitem(PRESETS, "fast", hasty)
    settings, run = _settings(study, epochs=9), tmp_path / "run"
    moments = _moments(run, lambda: train(settings, run))
    assert list(pd.read_csv(run / HISTORY).phase) == ["choose", "choose", "choose", "fit"]
    seen = {Path(name).name for left in moments for name, _ in left}
    pieces = {files.piece(Path(name)).name for name in (CONFIG, HISTORY, CHECKPOINT, WEIGHTS)}
    assert pieces | {CONFIG, f"{files.piece(Path(WEIGHTS))}.weights.h5"} <= seen
    for number, (left, moment) in enumerate(moments.items()):
        folder = tmp_path / str(number)
        for name, content in left:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir() if content is None else path.write_bytes(content)
        train(settings, folder, resume=True)
        _expect_same(folder, run, moment)


STOPPED = """
import os, signal, sys
import numpy as np
from hybridlib.cli import main

def command(run, *more):
    sys.argv[1:] = [*given, f"--run={folder}/{run}", *more]
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
command("deterministic", "--deterministic")
savez, np.savez, calls = np.savez, stop, []
command("killed")
"""
"""Train twice; the second run is killed halfway through its second checkpoint."""


def test_does_a_killed_ensemble_with_conv3d_go_on_to_the_weights_of_another_process(
    study, pair, root, tmp_path
):
    options = "--scheme=hybrid_qs_plus --members=2 --no-choose --epochs=2"
    given = "train", *options.split(), f"--study={study.path}", tmp_path
    stopped = subprocess.run([sys.executable, "-c", STOPPED, *given], cwd=root)
    assert stopped.returncode == -signal.SIGKILL
    folder = tmp_path / "killed"
    assert [*folder.glob(f"{CHECKPOINT}.*.part")] and not (folder / WEIGHTS).exists()
    train(_settings(study, **PAIR), folder, resume=True)
    _expect_same(folder, pair)
    _expect_same(tmp_path / "deterministic", pair)


def test_has_the_history_one_row_a_step_and_reaches_the_progress_nothing_left(whole):
    history = pd.read_csv(whole / HISTORY)
    assert list(history.phase) == STEPS
    assert list(history.epoch) == [0, 1, 2, 0, 1]
    assert list(history.held_out_0.notna()) == [phase == "choose" for phase in STEPS]
    assert [row["phase"] for row in ROWS] == STEPS
    left = [row["left"] for row in ROWS]
    assert left == sorted(left, reverse=True) and left[-2:] == [1, 0]


def test_does_a_seed_decide_the_weights_and_is_a_member_a_run_of_its_own_seed(
    study, pair, tmp_path
):
    train(_settings(study, **PAIR | {"members": 1, "seed": 1}), tmp_path)
    both, weights = (list(cases.stored_weights(run).values()) for run in (pair, tmp_path))
    first, second = both[:16], both[16:]
    assert max(np.abs(a - b).max() for a, b in zip(first, weights, strict=True)) > 0.1
    # Not bit for bit: the program of two members rounds otherwise. A step is 5e-3 long.
    for ours, alone in zip(second, weights, strict=True):
        np.testing.assert_allclose(ours, alone, atol=5e-5)
    losses = [pd.read_csv(run / HISTORY) for run in (pair, tmp_path)]
    np.testing.assert_allclose(losses[0].loss_1, losses[1].loss_0, rtol=1e-5)


@pytest.mark.parametrize(
    ("gradient", "applied"), [([3.0, 4.0], [0.6, 0.8]), ([0.3, 0.4], [0.3, 0.4])]
)
def test_is_a_gradient_longer_than_1_shortened_to_it(gradient, applied):
    told = []
    optimizer = SimpleNamespace(apply=lambda gradients, variables: told.extend(gradients))
    problem = SimpleNamespace(scheme=SimpleNamespace(parameters="free"))
    begun = {"phase": "choose", "epoch": 0, "preset": PRESETS["fast"]}
    fit = SimpleNamespace(problem=problem, optimizers=[optimizer], **begun)
    Fit._apply(fit, [[tf.constant(gradient)]], [None])
    np.testing.assert_allclose(told, [applied], rtol=1e-6)


def test_are_validation_years_never_read(study, whole, tmp_path):
    def spoil(name):
        def change(group):
            time = group.indexes["month" if name == "twsa" else "time"]
            group[name][time.year > 2003] *= -3.0
            group[name][-40 if name == "discharge" else -4 :] = np.nan
            return group

        return change

    changes = ("discharge", spoil("discharge"), "twsa", spoil("twsa"))
    other = cases.changed_study(study, tmp_path, *changes)
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

    settings = _settings(study, scheme="hybrid_qs_plus", epochs=1, **option)
    train(settings, tmp_path / "run", progress=count)
    assert len(counts) == 3 and counts.count(counts[0]) == 3
    weights = cases.stored_weights(tmp_path / "run")
    assert len(weights) == 16 and all(np.isfinite(values).all() for values in weights.values())
    assert option.items() <= read_config(tmp_path / "run").model_dump().items()


@pytest.mark.parametrize(
    ("part", "name", "at", "value", "place"),
    [
        ("weather", "rainf", 6003, inf, "rainf at lat -2.25, lon -58.75 on 2002-05-16 (weather)"),
        ("start", "groundwstor", 5, nan, "qg at lat -2.75, lon -59.75 on 2001-01-01"),
    ],
)
def test_is_the_first_number_that_is_not_finite_named_with_its_cell_and_day(
    study, part, name, at, value, place, tmp_path, monkeypatch
):
    def spoil(problem):
        fields = getattr(problem, part)
        spoilt = getattr(fields, name).numpy()
        spoilt.flat[at] = value
        return replace(problem, **{part: fields._replace(**{name: tf.constant(spoilt)})})

    build = training.build_problem
    monkeypatch.setattr(training, "build_problem", lambda *given: spoil(build(*given)))
    told = f"epoch 0 of phase choose: loss or gradient is not finite: {place}, member 0; "
    with pytest.raises(TrainingError, match=re.escape(told)):
        train(_settings(study), tmp_path / "run")


def test_does_a_run_stopped_by_a_weight_that_is_not_finite_go_on_from_the_step_before(
    study, whole, tmp_path, monkeypatch
):
    step = Fit.step

    def spoil(fit):
        if fit.epoch == 1:
            shift = fit.learners[0].shift.numpy()
            shift[2, 7] = np.nan
            fit.learners[0].shift.assign(shift)
        return step(fit)

    with monkeypatch.context() as patch, pytest.raises(TrainingError) as stopped:
        patch.setattr(Fit, "step", spoil)
        train(_settings(study), tmp_path)
    name = Parameters._fields[2]
    assert "epoch 1 of phase choose" in str(stopped.value)
    assert f"parameter {name} at lat -2.75, lon -58.75, member 0" in str(stopped.value)
    train(_settings(study), tmp_path, resume=True)
    _expect_same(tmp_path, whole)


@pytest.mark.parametrize("file", [HISTORY, CHECKPOINT, WEIGHTS], ids=str)
def test_is_nothing_lost_when_the_disk_is_full(study, whole, file, tmp_path, monkeypatch):
    replace, full_disk = Path.replace, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill(part, target):
        if Path(target) == tmp_path / file:
            raise full_disk
        return replace(part, target)

    def progress(row):
        monkeypatch.setattr(Path, "replace", fill)

    with pytest.raises(OSError) as full:
        train(_settings(study), tmp_path, progress=progress)
    monkeypatch.undo()
    assert str(full.value) == (
        f"{tmp_path / file}: cannot be written (No space left on device); what stood there is kept"
    )
    assert not [path for path in tmp_path.rglob("*") if "part" in path.name]
    train(_settings(study), tmp_path, resume=True)
    _expect_same(tmp_path, whole)


@pytest.fixture
def command(study, tmp_path, capsys):
    """Run `hybridlib train` on a folder; return its exit code and its error, or all it told."""

    def run(*arguments, folder=tmp_path / "run", scheme="hydropynn_qs", study=study, epochs=2):
        given = {"scheme": scheme, "study": study.path, "run": folder, "epochs": epochs}
        options = [f"--{name}={value}" for name, value in given.items()]
        return cases.run_command(capsys, "train", *options, *arguments)[::2]

    return run


@pytest.fixture
def refused(command, tmp_path):
    """See that the command writes nothing and says why."""

    def refused(told, *arguments, **options):
        code, message = command(*arguments, **options)
        assert code == 2 and message.startswith(told)
        assert not (tmp_path / "run").exists()

    return refused


def test_does_a_folder_that_cannot_be_written_end_in_one_sentence(command, tmp_path):
    (tmp_path / "file").write_text("a report")
    below = tmp_path / "file" / "run"
    told = f"{below / LOCK}: cannot be written (Not a directory); what stood there is kept"
    assert command(folder=below) == (1, told)
    assert (tmp_path / "file").read_text() == "a report"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--scheme=lstm", "scheme 'lstm' is unknown; expected one of: hydropynn, hydropynn_q,"),
        ("--scheme=hydropynn", "scheme 'hydropynn' has nothing to train; evaluate it instead"),
        ("--split=random", "split 'random' is unknown; expected temporal"),
        ("--precision=int8", "precision 'int8' is unknown; expected float32 or bfloat16"),
        ("--preset=slow", "preset 'slow' is unknown; expected paper or fast"),
        ("--replacement=conv2d", "replacement 'conv2d' is unknown; expected conv3d or fcnn"),
        ("--train-years=2003-2002", "period '2003-2002' ends before it begins"),
        ("--validation-years=2003-2004", "training 2002-2003 and validation 2003-2004 overlap"),
        ("--train-years=2002", "the training period 2002-2002 has one year"),
        ("--study=no.zarr", "no.zarr: no prepared study here"),
    ],
)
def test_is_a_setting_refused_before_anything_is_written(arguments, told, refused):
    refused(told, arguments)


@pytest.mark.parametrize(
    ("scheme", "lacks", "told"),
    [
        ("hydropynn_qs", "twsa", "the study has no twsa; found"),
        ("hybrid_qs_plus", "radiation", "forcing has no huss, ps, sfcwind, rsds, rlds"),
    ],
)
def test_is_a_study_refused_that_lacks_what_a_scheme_needs(scheme, lacks, told, refused, tmp_path):
    poor = cases.tiny_study(tmp_path, **{lacks: False})
    refused(f"{poor.path}: {told}", scheme=scheme, study=poor)


def test_is_missing_weather_refused_with_its_cell_and_day(study, refused, tmp_path):
    other = cases.changed_study(study, tmp_path, "forcing", cases.put("pr", np.nan, 100, 1, 2))
    place = "at lat -2.75, lon -59.25 on 2001-04-11"
    refused(f"{other.path}: pr is missing (NaN) {place}", study=other)


def _silent(*gauges):
    """Take one gauge's observations away, let another's never change."""

    def change(group):
        for gauge, value in zip(gauges, (np.nan, 70.0, np.nan), strict=False):
            group.discharge.loc[{"station": gauge}] = value
        return group

    return change


def test_is_a_gauge_that_cannot_be_scored_named_and_left_out(study, command, tmp_path):
    other = cases.changed_study(study, tmp_path, "discharge", _silent("mouth", "middle"))
    code, message = command("--no-choose", study=other, epochs=1)
    assert code == 0
    assert "gauge mouth does not count in 2002-2003: no observation" in message
    told = "gauge middle does not count in 2002-2003: observations do not vary, NSE is undefined"
    assert told in message and "gauge head" not in message
    scores = pd.read_csv(tmp_path / "run" / HISTORY)
    assert scores.nse_discharge_0.between(-1.0, 1.0).all()


def test_is_a_study_refused_in_which_no_gauge_can_be_scored(study, refused, tmp_path):
    other = cases.changed_study(study, tmp_path, "discharge", _silent("mouth", "middle", "head"))
    refused("discharge: no station can be scored in 2002-2003", study=other)


def test_is_another_run_or_anything_else_in_the_folder_left_alone(command, whole, tmp_path):
    before = cases.contents(whole)
    told = f"{whole}: a run is here; --resume goes on with it, or name another"
    assert command(folder=whole) == (2, told)
    told = f"{whole / CONFIG}: the run here has seed 0; 1 is asked for"
    assert command("--resume", "--seed=1", folder=whole) == (2, told)
    assert cases.contents(whole) == before
    (tmp_path / "notes.txt").write_text("mine")
    for folder, what in (
        (tmp_path, "holds files that are no run"),
        (tmp_path / "notes.txt", "a file stands here"),
    ):
        told = f"{folder}: {what}; expected a new folder"
        assert command("--resume", folder=folder) == (2, told)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not a configuration in JSON"),
        ("7", "found 7; expected keys and values"),
        ("{}", "key 'scheme' is missing"),
        ('{"layers": 3}', "key 'layers' is unknown; expected some of"),
    ],
)
def test_is_a_damaged_configuration_refused(text, told, command, tmp_path):
    path = tmp_path / "run" / CONFIG
    path.parent.mkdir()
    path.write_text(text)
    code, message = command("--resume")
    assert code == 2 and message.startswith(f"{path}: {told}")


def _half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _of_another_basin(path):
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["0_weight_0"] = arrays["0_weight_0"][:, 1:]
    np.savez(path, **arrays)


@pytest.mark.parametrize("lost", ["nothing", "checkpoints"])
def test_is_a_training_that_has_ended_left_as_it_is(whole, command, tmp_path, lost):
    folder = shutil.copytree(whole, tmp_path / "run", ignore=shutil.ignore_patterns(lost))
    before = cases.contents(folder)
    assert command("--resume")[0] == 0
    assert cases.contents(folder) == before


def test_is_a_checkpoint_without_its_configuration_refused(whole, command, tmp_path):
    kept = tmp_path / "run" / CHECKPOINT
    kept.parent.mkdir(parents=True)
    shutil.copy(whole / CHECKPOINT, kept)
    told = (2, f"{tmp_path / 'run'}: holds files that are no run; expected a new folder")
    assert command() == told
    assert command("--resume") == told
    assert sorted(path.name for path in kept.parent.iterdir()) == [kept.name]


def test_is_a_run_that_another_process_made_meanwhile_not_taken_over(
    study, whole, tmp_path, monkeypatch
):
    folder, build = tmp_path / "run", training.build_problem

    def build_late(*arguments):
        shutil.copytree(whole, folder)
        return build(*arguments)

    monkeypatch.setattr(training, "build_problem", build_late)
    settings = _settings(study, seed=7)
    with pytest.raises(InputError, match="a run is here; --resume goes on with it"):
        train(settings, folder)
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="the run here has seed 0; 7 is asked for"):
        train(settings, folder, resume=True)


@pytest.mark.parametrize(
    "damage", [_half, _of_another_basin, lambda path: path.write_text("lost"), Path.touch]
)
def test_is_a_damaged_checkpoint_refused(damage, whole, command, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / WEIGHTS).unlink()  # a training that had not ended
    if damage is Path.touch:
        (folder / CHECKPOINT).unlink()
    damage(folder / CHECKPOINT)
    code, message = command("--resume")
    assert code == 2
    assert message.startswith(f"{folder / CHECKPOINT}: not a checkpoint of this run (")
