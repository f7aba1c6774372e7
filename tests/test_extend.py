"""Does the template of a package do what the page on extending says?"""

import importlib
import shutil
import subprocess
import sys

import cases
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridlib.figures.style import COLOURS, SCHEME_COLOURS
from hybridlib.learning.run import Run
from hybridlib.learning.schemes import SCHEMES, find_scheme
from hybridlib.learning.settings import Settings
from hybridlib.learning.training import train
from hybridlib.study.attributes import ATTRIBUTES
from hybridlib.study.pet import FORMULAS, potential_evaporation
from hybridlib.study.prepare import prepare
from hybridlib.study.schema import InputError
from hybridlib.study.store import open_study

pytestmark = pytest.mark.slow

TABLES = ATTRIBUTES, FORMULAS, SCHEMES


def forget():
    """Tables read anew what is installed."""
    for table in TABLES:
        vars(table).pop("_table", None)
    sys.modules.pop("hybridlib_example", None)
    importlib.invalidate_caches()


@pytest.fixture(scope="module")
def installed(root, tmp_path_factory):
    """A folder with the template, installed as any package is."""
    source, target = (tmp_path_factory.mktemp("template") / name for name in ("source", "target"))
    shutil.copytree(root / "book" / "plugin", source)
    how = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", target]
    subprocess.run([sys.executable, "-m", "pip", "install", *how, source], check=True)
    return target


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The tiny basin, made without the template."""
    return cases.tiny_study(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def example(installed, plain):
    """The template at hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(installed)
        forget()
        yield
    forget()


@pytest.fixture(scope="module")
def study(example, plain, tmp_path_factory):
    """The tiny basin, prepared with Oudin's formula while the template is at hand."""
    folder, files = tmp_path_factory.mktemp("basin"), []
    for name in ("landsurface", "forcing", "discharge"):
        group = plain.group(name).load().drop_encoding().drop_vars("evspsblpot", errors="ignore")
        if name == "discharge":
            group["area"].attrs["units"] = "km2"
        files.append(folder / f"{name}.nc")
        group.to_netcdf(files[-1])
    return prepare(*files, folder / "prepared.zarr", formula="oudin")


def test_sees_the_study_the_attribute_and_the_network_one_more_input(study):
    assert list(study.attributes) == [*ATTRIBUTES.own, "frac_snow"]
    pr, tas = study.forcing.pr.values.astype(float), study.forcing.tas.values
    snow = (pr * (tas < 273.15)).sum(axis=0) / pr.sum(axis=0)
    assert 0.05 < snow.min() < snow.max() < 0.95
    np.testing.assert_allclose(study.attributes.frac_snow, snow, rtol=1e-5)
    (learner,) = Run.untrained(study, "hybrid_q_plus").learners
    assert learner.attribute_names == tuple(study.attributes)
    assert learner.network.input_shape == (None, 22)
    assert learner.replacement.kernels[0].shape[3] == 6 + 22


def test_trains_the_scheme_one_step(study, tmp_path):
    assert find_scheme("hybrid_q_plus").title == "Hybrid(Q)+"
    assert COLOURS["Hybrid(Q)+"] not in SCHEME_COLOURS.values()
    settings = Settings(
        scheme="hybrid_q_plus", study=str(study.path), train="2002-2003", validation="2004",
        epochs=1, choose=False,
    )  # fmt: skip
    train(settings, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert "frac_snow" in run.config.data, "a study without the attribute is another one"
    (learner,) = run.learners
    assert np.abs(learner.network.layers[-1].kernel.numpy()).max() > 0
    assert np.abs(learner.replacement.kernels[-1].numpy()).max() > 0


def test_uses_prepare_the_formula_by_its_name(study):
    assert study.attrs["pet"] == "oudin"
    expected = potential_evaporation(study.forcing.load(), "oudin")
    np.testing.assert_allclose(study.forcing.evspsblpot, expected, rtol=1e-5, atol=1e-10)
    # FAO-56, example 8: 32.2 MJ m-2 d-1 at the top of the atmosphere at 20 S on 3 September.
    place = {"time": pd.DatetimeIndex(["2001-09-03"]), "lat": [-20.0], "lon": [0.0]}
    tas = xr.DataArray(np.full((1, 1, 1), 293.15), place, ("time", "lat", "lon"))
    daily = 86400 * float(potential_evaporation(tas.to_dataset(name="tas"), "oudin").squeeze())
    assert daily == pytest.approx(32.2 / 2.45 * 25 / 100, rel=2e-3)


def test_keeps_a_study_the_attributes_it_was_made_with(study, plain):
    assert "frac_snow" in ATTRIBUTES and list(plain.attributes) == list(ATTRIBUTES.own)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", sys.path[1:])
        forget()
        assert list(ATTRIBUTES) == list(ATTRIBUTES.own)
        assert list(open_study(study.path).attributes) == [*ATTRIBUTES.own, "frac_snow"]
        with pytest.raises(InputError, match="'hybrid_q_plus' is unknown; expected .*hybrid_q,"):
            find_scheme("hybrid_q_plus")
        with pytest.raises(InputError, match="'oudin' is unknown"):
            potential_evaporation(study.forcing, "oudin")
    forget()


def test_names_the_help_what_is_installed(installed):
    code = "import sys; sys.argv = ['hybridlib', 'prepare', '--help']; "
    code += f"sys.path.insert(0, {str(installed)!r}); from hybridlib.cli import main; main()"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "or oudin" in " ".join(told.stdout.replace("│", " ").split())
