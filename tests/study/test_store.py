"""Is a study read lightly, and each of its groups once?"""

import collections
import subprocess
import sys

import cases
import numpy as np
import xarray as xr

from hybridlib.learning.problem import build_problem
from hybridlib.learning.schemes import find_scheme
from hybridlib.learning.settings import split_of
from hybridlib.study.store import open_study, write_group

LIGHT = """
import sys, hybridlib.study
print(*{"tensorflow", "keras", "pyflwdir", "numba", "matplotlib"} & set(sys.modules))
import psutil
print(psutil.Process().memory_info().rss)
"""


def test_does_reading_a_study_load_neither_tensorflow_nor_a_network():
    told = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    heavy, resident = told.stdout.split("\n")[:2]
    assert heavy == "" and int(resident) < 150e6


def test_does_a_process_open_each_group_once(tmp_path, monkeypatch):
    cases.tiny_study(tmp_path)
    opened = collections.Counter()

    def count(*args, group, **options):
        opened[group] += 1
        return open_dataset(*args, group=group, **options)

    open_dataset = xr.open_dataset
    monkeypatch.setattr(xr, "open_dataset", count)
    for _ in range(2):
        study = open_study(tmp_path / "tiny.zarr")
        split = split_of(study)
        build_problem(study, find_scheme("hybrid_qs_plus"), split, split.train.last)
    assert opened == dict.fromkeys(("forcing", "landsurface", "attributes", "discharge", "twsa"), 1)


def test_is_a_group_that_was_written_anew_read_anew(tmp_path):
    study = cases.tiny_study(tmp_path)
    before = study.attributes.wcap.values
    study.attributes.load().wcap[:] = -1.0
    np.testing.assert_array_equal(study.attributes.wcap, before, "a reader's copy is its own")
    write_group(study.path, "attributes", study.attributes.load() + 1.0)
    np.testing.assert_array_equal(study.attributes.wcap, before + 1.0)
