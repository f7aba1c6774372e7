"""Is what a run has kept refused where it was lost, changed or swapped?"""

from __future__ import annotations

import json
import random
import re
import shutil
import zipfile

import cases
import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridlib.learning import folder as home
from hybridlib.learning.folder import CHECKPOINT, CONFIG, HISTORY, METRICS, WEIGHTS, digest
from hybridlib.learning.provenance import PROVENANCE, read_commits
from hybridlib.learning.run import Run
from hybridlib.learning.settings import Settings
from hybridlib.learning.training import Fit, train
from hybridlib.study import digests
from hybridlib.study.schema import InputError

SCORES = xr.Dataset(
    {"discharge": (("metric", "member", "station"), np.arange(6.0).reshape(2, 1, 3))},
    {"metric": ["NSE", "KGE"], "member": [0], "station": ["mouth", "middle", "head"]},
    {"water_from_nowhere_mm": 1e-12, "study": "tiny"},
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return cases.tiny_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def settings(study):
    return Settings(scheme="hydropynn_q", study=str(study.path), epochs=2, choose=False)


@pytest.fixture(scope="module")
def whole(settings, tmp_path_factory):
    """The folder of a finished run with scores."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train(settings, folder)
    home.write_values(folder / METRICS, SCORES)
    return folder


@pytest.fixture(scope="module")
def fit(whole, settings):
    """A training that a checkpoint may be read into."""
    return Fit(Run.open(whole).problem, settings)


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


@pytest.fixture
def numbers(fit, study):
    """All numbers that a run's folder gives to whoever asks."""

    def read(folder):
        config = home.read_config(folder)
        run = Run.open(folder, study=study)
        assert run.study
        fit.restore(folder / CHECKPOINT, digest(config))
        restored = [variable.numpy() for variable in fit._variables().values()]
        learners = [fit.problem.learner(99)]
        home.load_weights(folder / WEIGHTS, learners, config)
        read_commits(folder)
        about = [config.model_dump(exclude={"study", "versions"}), fit.history, fit.epoch]
        tables = [run.history.to_dict(), home.read_values(folder / METRICS).to_dict()]
        return about, tables, restored, learners[0].get_weights()

    return read


def test_does_a_flipped_bit_change_no_number_in_silence(whole, copy, numbers):
    rng, expected = random.Random(60), numbers(whole)
    names = [CONFIG, HISTORY, METRICS, WEIGHTS, CHECKPOINT, PROVENANCE]
    refused = 0
    for name in rng.choices(names, k=60):
        path = copy / name
        kept = path.read_bytes()
        at, bit = rng.randrange(len(kept)), rng.randrange(8)
        path.write_bytes(kept[:at] + bytes([kept[at] ^ 1 << bit]) + kept[at + 1 :])
        try:
            found = numbers(copy)
        except InputError as error:
            refused += 1
            assert str(copy) in str(error), error
        else:
            np.testing.assert_equal(found, expected, err_msg=f"{name}, byte {at}, bit {bit}")
        path.write_bytes(kept)
    assert refused > 25
    np.testing.assert_equal(numbers(copy), expected)


def _packed(change, seal=True):
    """Change a checkpoint's arrays and state; with its digest made anew, or left as it was."""

    def spoil(path):
        with np.load(path) as stored:
            arrays = dict(stored)
        kept = arrays.pop("digest")
        state = json.loads(str(arrays.pop("state")))
        change(arrays, state)
        arrays["state"] = np.array(json.dumps(state))
        sealed = np.array(digests.of_arrays(arrays))
        np.savez(path, digest=sealed if seal else kept, **arrays)

    return spoil


def _bomb(path):
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("more.npy", bytes(10**8))


def _huge(path):
    with zipfile.ZipFile(path, "a") as packed, packed.open("more.npy", "w") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (250 * 10**12,)}
        np.lib.format.write_array_header_2_0(file, header)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_packed(lambda a, s: s.update(configuration="0" * 16)), "found one of configuration 0000"),
        (_packed(lambda a, s: s.pop("configuration")), "'configuration'"),
        (_packed(lambda a, s: s.update(save=None)), "'save'"),
        (_packed(lambda a, s: s.pop("chosen")), "found ['epoch', 'history', 'phase']"),
        (_packed(lambda a, s: a.pop("0_weight_0")), "arrays"),
        (_packed(lambda a, s: a["0_weight_0"].fill(np.nan)), "not finite"),
        (_packed(lambda a, s: a["0_weight_0"].fill(0.0), seal=False), "its digest is"),
        (_packed(lambda a, s: s.update(epoch=1), seal=False), "its digest is"),
        (_packed(lambda a, s: s["history"].pop(), seal=False), "its digest is"),
        (_bomb, "bytes, unpacked"),
        (_huge, ""),
    ],
)
def test_is_a_checkpoint_refused_that_is_not_this_runs(spoil, told, copy, fit):
    spoil(copy / CHECKPOINT)
    with pytest.raises(InputError) as refused:
        fit.restore(copy / CHECKPOINT, digest(home.read_config(copy)))
    assert str(refused.value).startswith(f"{copy / CHECKPOINT}: not a checkpoint of this run (")
    assert told in str(refused.value)


def _edited(change):
    def spoil(path):
        with h5py.File(path, "r+") as file:
            names = list(home._arrays(file))
            change(file, names)

    return spoil


def _put(value):
    return _edited(lambda file, names: file[names[0]].__setitem__(..., value))


def _other(**options):
    def change(file, names):
        old = file[names[0]]
        shape, kind = old.shape, old.dtype
        del file[names[0]]
        given = {"shape": shape, "dtype": kind} | options
        file.create_dataset(names[0], **given)

    return _edited(change)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_put(np.nan), "not finite"),
        (_put(np.inf), "not finite"),
        (_put(0.5), "the arrays are not as they were written"),
        (_other(dtype="f8"), "bytes, expected at most"),
        (_other(shape=(10**6, 10**6), chunks=(1000, 1000)), "4000000000000 bytes, expected at"),
        (_other(dtype=h5py.string_dtype()), "bytes, expected at most"),
        (_other(external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)]), "in the file itself"),
        (_edited(lambda f, n: f.__setitem__("more", 1.0)), "found 2 arrays, expected 1"),
    ],
)
def test_are_weights_refused_that_are_not_as_they_were_written(spoil, told, copy, fit):
    spoil(copy / WEIGHTS)
    learners = [fit.problem.learner(0)]
    with pytest.raises(InputError, match=re.escape(told)) as refused:
        home.load_weights(copy / WEIGHTS, learners, home.read_config(copy))
    assert str(refused.value).startswith(f"{copy / WEIGHTS}: ")


def test_are_files_of_another_seed_refused(settings, copy, fit, tmp_path):
    other = settings.model_copy(update={"seed": 5})
    train(other, tmp_path / "other")
    for name in (CHECKPOINT, WEIGHTS):
        shutil.copy(tmp_path / "other" / name, copy / name)
    own = home.read_config(copy)
    with pytest.raises(InputError, match="weights of another configuration"):
        home.load_weights(copy / WEIGHTS, [fit.problem.learner(0)], own)
    (copy / WEIGHTS).unlink()
    with pytest.raises(InputError, match="not a checkpoint of this run .found one of config"):
        train(settings, copy, resume=True)


def test_is_a_history_refused_that_the_training_did_not_leave(copy):
    table = pd.read_csv(copy / HISTORY)
    table.assign(loss_0=table.loss_0 / 2).to_csv(copy / HISTORY, index=False)
    with pytest.raises(InputError, match="history.csv: not as the training"):
        Run.open(copy).history  # noqa: B018


def test_is_a_damaged_history_written_anew_by_a_run_that_goes_on(settings, whole, copy):
    (copy / WEIGHTS).unlink()
    (copy / HISTORY).write_text("lost")
    train(settings, copy, resume=True)
    assert (copy / HISTORY).read_bytes() == (whole / HISTORY).read_bytes()
    np.testing.assert_equal(*map(cases.stored_weights, (copy, whole)))


@pytest.mark.parametrize("name", ["discharge", "station"])
def test_are_scores_refused_that_were_changed(name, copy):
    with h5py.File(copy / METRICS, "r+") as file:
        file[name][...] = file[name][...][::-1]
    with pytest.raises(InputError, match="metrics.nc: not as it was written"):
        Run.open(copy).scores()


def test_are_scores_what_was_written_and_open_as_any_netcdf(tmp_path):
    home.write_values(tmp_path / "a.nc", SCORES)
    xr.testing.assert_identical(home.read_values(tmp_path / "a.nc"), SCORES)
    with xr.open_dataset(tmp_path / "a.nc") as plain:
        xr.testing.assert_identical(plain.load(), SCORES)


def test_are_runs_of_older_versions_still_read(copy, fit):
    with h5py.File(copy / WEIGHTS, "r+") as file:
        for name in (home.ARRAYS, HISTORY):
            del file.attrs[name]
    SCORES.to_netcdf(copy / METRICS)
    home.load_weights(copy / WEIGHTS, [fit.problem.learner(0)], home.read_config(copy))
    assert len(Run.open(copy).history) == 2
    xr.testing.assert_identical(Run.open(copy).scores(), SCORES)


@pytest.mark.parametrize("given", [False, True])
def test_is_a_run_not_evaluated_on_a_study_that_shows_other_numbers(given, study, copy, tmp_path):
    double = ("discharge", lambda d: d.assign(discharge=2.0 * d.discharge))
    other = cases.changed_study(study, tmp_path, *double)
    if not given:
        cases.change_config(copy, study=str(other.path))
    run = Run.open(copy, study=other if given else "")
    with pytest.raises(InputError, match="weights of another data than"):
        run.observe()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("members", 10**9),
        ("seed", 10**30),
        ("folds", 10**8),
        ("epochs", 10**9),
        ("split_seed", 2**40),
    ],
)
def test_are_settings_beyond_all_use_refused(name, value, copy):
    cases.change_config(copy, **{name: value})
    with pytest.raises(InputError, match=f"config.json: ({name} is .*at most|not a conf)"):
        home.read_config(copy)
