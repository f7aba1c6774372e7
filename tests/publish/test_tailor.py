"""Does a chapter keep the cells its study can fill, and say where its numbers come from?"""

import json
import shutil
from types import SimpleNamespace

import jupytext
import nbformat
import pytest
import xarray as xr

from hybridlib.experiments import results
from hybridlib.experiments.matrix import read_matrix
from hybridlib.learning.run import WEIGHTS
from hybridlib.publish import notebooks, tailor
from hybridlib.study.schema import InputError
from hybridlib.twin import make
from tests.cases import add_truth, remade_study, tiny_study

TEXT = """\
# %% tags=["parameters"]
study: str = "none.zarr"
runs: str = "none"
gauge: str = ""

# %% [markdown]
# # Rain over {{basin}}

# %% tags=["hide-input", "truth"]
print("the truth")

# %% [markdown] tags=["truth"]
# **Table.** *Source: {{source}}.*

# %% [markdown] tags=["twsa"]
# Boxes of {{ source }}; $x_{{i}_j}$ and ``f"{{source}}"`` of code are other things.

# %% tags=["truth", "twsa"]
print("both", "{{source}}")

# %% [markdown] tags=["amazon"]
# Rain falls on the Amazon.
"""


@pytest.fixture
def folder(tmp_path):
    texts = tmp_path / "notebooks" / "py"
    texts.mkdir(parents=True)
    (texts / "01_rain.py").write_text(TEXT)
    (tmp_path / "default.yml").write_text("")
    return tmp_path / "notebooks"


def kept_needs(parameters) -> set[str]:
    """Which needs a study with these parameters can fill."""
    cells = "\n".join(f'# %% tags=["{need}"]\nneed = "{need}"\n' for need in tailor.NEEDS)
    cut, _ = tailor.cut(jupytext.reads(cells, fmt="py:percent"), parameters)
    return {json.loads(cell.source.split(" = ")[1]) for cell in cut.cells}


def test_are_cells_left_out_and_words_put_in(folder, tmp_path):
    study = tiny_study(tmp_path, twsa=False)
    asked = {"study": str(study.path), "gauge": "middle"}
    (path,) = notebooks.run(["01_rain"], folder.parent / "default.yml", asked, folder=folder)
    notebook = nbformat.read(path, as_version=4)
    assert [cell.source for cell in notebook.cells[2:]] == ["# Rain over tiny"]
    assert notebook.metadata["hybridlib"]["words"] == {"basin": "tiny"}
    add_truth(study)
    (path,) = notebooks.run(["01_rain"], folder.parent / "default.yml", asked, folder=folder)
    notebook = nbformat.read(path, as_version=4)
    assert notebook.cells[4].source == "**Table.** *Source: tiny (twin).*"
    assert len(notebook.cells) == 5


def test_does_drift_put_the_words_in(folder, tmp_path):
    study = add_truth(tiny_study(tmp_path))
    shutil.copytree(study.path, tmp_path / "none.zarr")
    text = folder / "py" / "01_rain.py"
    text.write_text(TEXT.replace("none.zarr", str(tmp_path / "none.zarr")).partition("amazon")[0])
    text.write_text(text.read_text().rpartition("# %%")[0])
    notebooks.run(["01_rain"], folder.parent / "default.yml", folder=folder)
    published = (folder / "01_rain.ipynb").read_text()
    assert "Boxes of tiny (twin); $x_{{i}_j}$" in published
    assert 'print(\\"both\\", \\"{{source}}\\")' in published, "code is left as it is"
    assert notebooks.drift(folder) == []
    text.write_text(text.read_text().replace("{{basin}}", "{{gauge}}"))
    assert notebooks.drift(folder) == ["01_rain: cell 2 differs"]


def test_is_the_gauge_that_drains_most_meant_where_none_is_named(folder, tmp_path):
    study = str(tiny_study(tmp_path).path)
    text = jupytext.reads("# %% [markdown]\n# At {{gauge}}.\n", fmt="py:percent")
    for gauge, name in (("", "Mouth"), ("middle", "Middle")):
        cut, words = tailor.cut(text, {"study": study, "gauge": gauge})
        assert (cut.cells[0].source, words) == (f"At {name}.", {"gauge": name})


def test_what_can_a_study_fill(tmp_path):
    study = tiny_study(tmp_path)
    assert kept_needs({"study": study.path}) == {"twsa", "radiation"}
    real = remade_study(study, tmp_path, "real", forcing=study.forcing.drop_vars("rlds"))
    assert kept_needs({"study": real.path}) == set()
    assert kept_needs({"study": real.path, "tower_files": "towers"}) == {"towers"}
    add_truth(study)
    assert kept_needs({"study": study.path}) == {"twsa", "radiation", "truth", "towers"}


def test_is_a_built_in_twin_known_before_it_is_made(monkeypatch):
    monkeypatch.setattr(tailor, "open_or_make", lambda path: pytest.fail("the twin was opened"))
    everything = {"twsa", "radiation", "truth", "towers"}
    parameters = {"study": "data/cache/default.zarr", "matrix": "params/experiments.yml"}
    experiments = set(read_matrix(parameters["matrix"]).experiments) - {"paper"}
    assert kept_needs(parameters) == everything | {"amazon", "runs"} | experiments
    text = jupytext.reads("# %% [markdown]\n# {{source}}, {{basin}}\n", fmt="py:percent")
    assert tailor.cut(text, parameters)[0].cells[0].source == "Amazon twin, Amazon"
    smoke = tailor.Subject({"study": str(make.cached("smoke"))})
    assert smoke.holds("truth") and not smoke.amazon


def test_do_runs_count_of_this_very_study_only(tmp_path, monkeypatch):
    study = tiny_study(tmp_path)
    folder = tmp_path / "runs" / "hybrid_q"
    asked = {"study": study.path, "runs": tmp_path / "runs"}
    assert "runs" not in kept_needs(asked)
    folder.mkdir(parents=True)
    (folder / WEIGHTS).touch()
    for mine, members, found in (
        (True, 2, {"runs", "members"}), (True, 1, {"runs"}), (False, 2, set()),
    ):  # fmt: skip
        config = SimpleNamespace(scheme="hybrid_q", members=members)
        run = SimpleNamespace(is_of=lambda study, mine=mine: mine, config=config)
        monkeypatch.setattr(tailor.Run, "open", lambda folder, run=run: run)
        for scheme in ("hybrid_q", "hybrid_qs"):
            other = set() if scheme == "hybrid_q" else {"members"}
            needs = kept_needs(asked | {"scheme": scheme}) & {"runs", "members"}
            assert needs == found - other


def test_are_results_of_a_matrix_sought(tmp_path):
    study = tiny_study(tmp_path)
    matrix = tmp_path / "mine.yml"
    place = f"study: {study.path}\nruns: {tmp_path}\nresults: {tmp_path}\n"
    matrix.write_text(
        place + "experiments: {spatial: {schemes: [hybrid_q], split: spatial, folds: 2}}\n"
    )
    asked = {"study": study.path, "matrix": matrix}
    assert kept_needs(asked) == {"twsa", "radiation"}
    for folds, found in ((1, {"runs"}), (2, {"runs", "spatial"})):
        names = [f"hybrid_q-fold{fold + 1}" for fold in range(folds)]
        about = {"name": ("run", names), "experiment": ("run", ["spatial"] * folds)}
        xr.Dataset(about).to_netcdf(tmp_path / results.DATASET)
        assert kept_needs(asked) == {"twsa", "radiation"} | found
    assert "runs" not in kept_needs(asked | {"study": remade_study(study, tmp_path, "real").path})


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ('# %% tags=["thruth"]\n', "01_rain, cell 1: tag 'thruth' is unknown; expected .*truth"),
        ("# %% [markdown]\n# {{sorce}}\n", "01_rain, cell 1: word 'sorce' is unknown; .*source"),
    ],
)
def test_is_an_unknown_tag_or_word_refused_before_anything_runs(folder, cell, sentence):
    (folder / "py" / "01_rain.py").write_text(cell)
    with pytest.raises(InputError, match=sentence):
        notebooks.run([], folder.parent / "default.yml", folder=folder)
    assert not (folder.parent / "build").exists()


def test_is_a_missing_study_told(folder):
    with pytest.raises(InputError, match=r"none.zarr: no prepared study here"):
        notebooks.run(["01_rain"], folder.parent / "default.yml", folder=folder)
    with pytest.raises(InputError, match="expected a parameter study"):
        kept_needs({})
