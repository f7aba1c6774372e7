"""What does a command tell: what is kept when it is stopped, where its options come from?"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time

import cases
import numpy as np
import pytest

import hybridlib
from hybridlib import cli, terminal
from hybridlib.learning.settings import Settings
from hybridlib.study.schema import InputError

COMMAND = [sys.executable, "-m", "hybridlib"]


def tell(*arguments, **options) -> subprocess.CompletedProcess:
    told = {"capture_output": True, "text": True, **options}
    return subprocess.run([*COMMAND, *map(str, arguments)], check=False, **told)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_does_a_stopped_training_say_what_is_kept_and_the_command_that_goes_on(sent, tmp_path):
    study, run = cases.tiny_study(tmp_path), tmp_path / "run"
    words = f"train --scheme hydropynn_q --study {study.path} --run {run} --epochs 300 --no-choose"
    with subprocess.Popen([*COMMAND, *words.split()], stderr=subprocess.PIPE, text=True) as work:
        for _ in range(1200):
            if (run / "history.csv").exists():
                break
            time.sleep(0.1)
        work.send_signal(sent)
        told = work.communicate(timeout=120)[1]
    assert work.returncode == 130 and "Traceback" not in told
    said, command = told[told.rindex("Stopped:") :].strip().splitlines()
    assert said == f"Stopped: the steps made are kept in {run}. The command that goes on:"
    again = shlex.split(command)
    assert again == ["hybridlib", *words.split(), "--resume"]


def test_is_no_score_shown_that_is_not_defined():
    assert terminal.scores_of({"loss": 0.25, "nse_discharge": np.nan}) == "loss 0.250"
    assert terminal.scores_of({"loss": 0.2, "nse_twsa": 0.5}) == "loss 0.200 NSE TWSA 0.500"


def test_can_a_hint_be_copied_from_a_narrow_window(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    command = "hybridlib evaluate --run " + "long/" * 30 + "run"
    terminal.tell("weights: trained. To score it:", command)
    assert f"\n  {command}\n" in capsys.readouterr().err


def test_are_the_options_of_train_the_settings(monkeypatch):
    told = tell("train", "--help", env=os.environ | {"COLUMNS": "200"}).stdout
    assert "--train-years" in told and "--no-choose" in told and "--network-rate" in told
    for name, field in Settings.model_fields.items():
        flag = (field.json_schema_extra or {}).get("option") or name
        assert f"--{flag.replace('_', '-')}" in told, name
        assert field.description and field.description.split(",")[0].split(";")[0][:20] in told, (
            name
        )


def test_is_a_numpy_number_a_number_and_a_key_that_is_none_refused():
    found = Settings(scheme="hybrid_q", study="a.zarr", members=np.int64(3), weight=np.float32(0.5))
    assert (found.members, found.weight) == (3, 0.5) and type(found.members) is int
    with pytest.raises(InputError, match="key 'member' is unknown; expected some of split, folds"):
        Settings(scheme="hybrid_q", study="a.zarr", member=3)
    with pytest.raises(InputError, match="key 'study' is missing"):
        Settings(scheme="hybrid_q")


def test_is_the_version_told_at_once():
    done = tell("--version")
    assert done.stdout == f"hybridlib {hybridlib.__version__}\n"
    loaded = "import sys, hybridlib.__main__; print(sorted({'pandas', 'typer'} & {*sys.modules}))"
    light = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert light.stdout == "[]\n"


def test_is_the_face_loaded_when_it_is_used():
    code = (
        "import sys, hybridlib as hl; assert 'tensorflow' not in sys.modules and 'Run' in dir(hl); "
        "hl.Settings; assert 'tensorflow' not in sys.modules; hl.Run; print(hl.train.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "train\n", done.stderr
    with pytest.raises(AttributeError, match="no attribute 'model'"):
        _ = hybridlib.model


def test_is_tensorflow_before_the_library_warned_of():
    code = "import sys; sys.modules['tensorflow'] = sys; import hybridlib"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "UserWarning: tensorflow was imported before hybridlib" in done.stderr


def test_has_every_public_name_an_example():
    for name in hybridlib.__all__[1:]:
        assert re.search(r">>> .*\bhl\.", getattr(hybridlib, name).__doc__), name


def test_is_there_completion_for_the_shell():
    told = tell("--help").stdout
    assert "--install-completion" in told


def test_does_an_error_nobody_foresaw_end_in_a_sentence(capsys, monkeypatch):
    def fail(*_):
        raise KeyError("depth")

    monkeypatch.setattr("hybridlib.study.store.open_study", fail)
    monkeypatch.delenv(terminal.TRACEBACK, raising=False)
    code, _, told = cases.run_command(capsys, "info", "own/basin.zarr")
    assert code == 1 and "unexpected KeyError ('depth') with own/basin.zarr" in told
    assert told.endswith("run the same command with HYBRIDLIB_TRACEBACK=1")
    monkeypatch.setenv(terminal.TRACEBACK, "1")
    monkeypatch.setattr("sys.argv", ["hybridlib", "info", "own/basin.zarr"])
    with pytest.raises(KeyError, match="depth"):
        cli.main()


def test_is_an_output_of_notebooks_that_is_a_file_refused_before_they_run(capsys, tmp_path):
    (tmp_path / "file").write_text("older")
    code, _, told = cases.run_command(capsys, "notebooks", "--output", tmp_path / "file")
    assert code == 2 and "file: is no folder" in told
    assert (tmp_path / "file").read_text() == "older"
