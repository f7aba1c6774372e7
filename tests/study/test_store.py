"""Is a study read lightly, and each of its groups once?"""

import collections
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cases
import numpy as np
import pytest
import xarray as xr

from hybridlib.learning.problem import build_problem
from hybridlib.learning.schemes import find_scheme
from hybridlib.learning.settings import split_of
from hybridlib.study import files, store
from hybridlib.study.schema import InputError
from hybridlib.study.store import DIGESTS, Study, open_study, write_group, write_study

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


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return cases.tiny_study(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copy(whole, tmp_path):
    """A copy that may be spoilt."""
    return Path(shutil.copytree(whole.path, tmp_path / "copy.zarr"))


def _read(path: Path) -> dict[str, xr.Dataset]:
    """All that a study holds."""
    study = open_study(path)
    groups = [name for name in store.read_digests(path) if name != store.ROOT]
    return {name: study.group(name).load() for name in groups} | {"": xr.Dataset(attrs=study.attrs)}


def test_does_a_flipped_bit_change_no_number_in_silence(whole, copy):
    rng, expected = random.Random(60), _read(whole.path)
    _read(copy)  # what was read well before is read again
    places = [path for path in sorted(copy.rglob("*")) if path.is_file()]
    refused = 0
    for path in rng.choices(places, k=60):
        kept = path.read_bytes()
        at, bit = rng.randrange(len(kept)), rng.randrange(8)
        path.write_bytes(kept[:at] + bytes([kept[at] ^ 1 << bit]) + kept[at + 1 :])
        try:
            found = _read(copy)
        except InputError as error:
            refused += 1
            assert str(error).startswith(str(copy)), error
        else:
            assert found.keys() == expected.keys()
            for name, group in found.items():
                xr.testing.assert_identical(group, expected[name])
        path.write_bytes(kept)
    assert refused > 50
    _read(copy)


def _swap(one, other):
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def _edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda s: (s / "forcing/pr/2.0.0").unlink(), "forcing/pr/2.0.0 is missing"),
        (lambda s: shutil.rmtree(s / "attributes/wmax"), "attributes/wmax/.zarray is missing"),
        (lambda s: shutil.rmtree(s / "twsa"), "twsa/.zattrs is missing"),
        (lambda s: (s / "discharge/time/0").write_bytes(b""), "discharge/time/0 is not as it was"),
        (lambda s: _swap(s / "forcing/pr/0.0.0", s / "forcing/pr/1.0.0"), "pr/0.0.0 is not as it"),
        (lambda s: _swap(s / "landsurface/wcap/0.0", s / "landsurface/wava/0.0"), "wava/0.0 is"),
        (lambda s: shutil.copytree(s / "twsa", s / "truth"), ""),
        (lambda s: shutil.copytree(s / "forcing/pr", s / "forcing/more"), "does not belong there"),
        (lambda s: _edit(s / "forcing/pr/.zattrs", "kg m-2 s-1", "mm d-1"), "pr/.zattrs is not as"),
        (lambda s: _edit(s / "forcing/time/.zattrs", "2001", "1901"), "time/.zattrs is not as it"),
        (lambda s: _edit(s / ".zattrs", "twin", "real"), ".zattrs is not as it was written"),
        (lambda s: (s / ".zattrs").unlink(), ".zattrs is missing"),
        (lambda s: _edit(s / DIGESTS, '"twsa"', '"truth"'), "digests.json is not as it was"),
        (lambda s: (s / DIGESTS).write_text("{"), "digests.json: not a configuration in JSON"),
        (lambda s: (s / DIGESTS).unlink(), "this study has no digests.json: an older version made"),
        (lambda s: (s / "forcing/.DS_Store").write_bytes(b"icons"), ""),
    ],
)  # fmt: skip
def test_is_what_was_lost_changed_or_swapped_named_with_the_remedy(spoil, told, whole, copy):
    spoil(copy)
    if not told:
        found = _read(copy)
        assert found.keys() == _read(whole.path).keys() and "truth" not in found
        return
    with pytest.raises(InputError, match=re.escape(told)) as refused:
        _read(copy)
    assert str(refused.value).startswith(str(copy))
    if "JSON" not in told:
        assert f"make it anew with `hybridlib prepare ... --output {copy}" in str(refused.value)


def test_is_a_group_of_another_study_noticed(whole, copy, tmp_path):
    other = cases.changed_study(whole, tmp_path, "twsa", cases.put("twsa", 7.0, 3, 0))
    shutil.rmtree(copy / "twsa")
    shutil.copytree(other.path / "twsa", copy / "twsa")
    with pytest.raises(InputError, match="twsa/twsa/0.0 is not as it was written"):
        open_study(copy).twsa  # noqa: B018


def test_is_an_attribute_missing_over_land_refused_and_over_the_sea_not(whole, tmp_path):
    sea = (
        ("landsurface", cases.put("lsm", 0.0, 0, 0)),
        ("attributes", cases.put("wmax", np.nan, 0, 0)),
    )
    assert (
        cases.changed_study(whole, tmp_path, *sea[0], *sea[1]).land_attributes().wmax.isnull().any()
    )
    land = cases.changed_study(whole, tmp_path, "attributes", cases.put("wmax", np.nan, 1, 2))
    told = "attribute wmax is missing .NaN. at lat -2.75, lon -59.25"
    split = split_of(land)
    with pytest.raises(InputError, match=told):
        build_problem(land, find_scheme("hybrid_q"), split, split.train.last)


def _kill_at(moment: str) -> str:
    """Replace a study by one with another title, in a process that ends at some moment."""
    return f"""
import os, pathlib, shutil, sys
from hybridlib.study import store

def end(event, arguments):
    names = [pathlib.Path(str(a)).name for a in arguments if isinstance(a, (str, os.PathLike))]
    told.append((event, *names))
    if {moment}:
        os._exit(9)

told = []
study = store.open_study(sys.argv[1])
groups = {{name: study.group(name).load() for name in ("forcing", "landsurface", "discharge")}}
sys.addaudithook(end)
store.write_study(sys.argv[1], groups, study.attrs | {{"title": "new"}})
"""


@pytest.mark.parametrize(
    ("moment", "title"),
    [
        ("event == 'os.mkdir' and names[0] == 'landsurface'", "tiny"),
        ("event == 'os.rename' and names == ['copy.zarr', '.copy.zarr.replaced']", "tiny"),
        ("event == 'os.rename' and names[0].endswith('.part') and names[1] == 'copy.zarr'", "tiny"),
        ("event in ('os.rmdir', 'shutil.rmtree') and names[0] == '.copy.zarr.replaced'", "new"),
        ("event in ('os.remove', 'os.rmdir') and '.lock' in names[0]", "new"),
    ],
)
def test_leaves_a_killed_replacement_the_old_study_or_the_new_one(moment, title, copy):
    program = [sys.executable, "-c", _kill_at(moment), str(copy)]
    assert subprocess.run(program).returncode == 9, "the moment came"
    study = open_study(copy)
    assert study.title == title and len(study.days) == 1461
    _read(copy)
    newer = write_study(copy, {"forcing": study.forcing.load()}, {"source": "real"})
    assert newer.attrs == {"source": "real"}
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_is_a_second_process_kept_from_a_store_and_a_file(copy, tmp_path):
    before = cases.contents(copy)
    claim = "import sys; from hybridlib.study.files import alone; alone(sys.argv[1]).__enter__()"
    for path in (copy, tmp_path / "o.nc"):
        program = [sys.executable, "-c", claim, str(path)]
        with files.alone(path), files.alone(path):
            found = subprocess.run(program, capture_output=True, text=True)
            assert f"{path}: another process is writing this" in found.stderr
        assert subprocess.run(program).returncode == 0
    assert cases.contents(copy) == before


def test_are_pieces_of_killed_processes_removed_and_nothing_else(tmp_path):
    kept = ["o.nc", "o.nc.part", "o.nc.2.part.txt", "p.nc.7.part", "o.nc.bak"]
    for name in [*kept, "o.nc.7.part", "o.nc.8.part.weights.h5"]:
        (tmp_path / name).touch()
    (tmp_path / "o.nc.9.part").mkdir()
    with files.alone(tmp_path / "o.nc"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_do_two_processes_write_under_names_of_their_own(tmp_path, monkeypatch):
    with files.written_whole(tmp_path / "a") as ours:
        monkeypatch.setattr(os, "getpid", lambda: 1)
        with files.written_whole(tmp_path / "a") as theirs:
            theirs.write_text("theirs")
        ours.write_text("ours")
    assert (tmp_path / "a").read_text() == "ours" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("kind", [Path.mkdir, os.mkfifo])
def test_is_what_is_no_file_left_as_it_is(kind, tmp_path):
    kind(tmp_path / "a")
    with (
        pytest.raises(InputError, match="a: is a .*; expected a file to write"),
        files.written_whole(tmp_path / "a"),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_is_a_study_replaced_where_a_link_points(copy, tmp_path):
    link = tmp_path / "link.zarr"
    link.symlink_to(copy)
    study = write_study(link, {"forcing": open_study(link).forcing.load()}, {"source": "real"})
    assert study == Study(link) and link.is_symlink()
    assert open_study(copy).attrs == {"source": "real"}


def test_does_a_table_of_digests_differ_by_nothing_but_what_is_kept(whole, copy):
    tables = [json.loads((path / DIGESTS).read_text()) for path in (whole.path, copy)]
    assert tables[0] == tables[1] and len(tables[0]["groups"]["forcing"]) > 20
