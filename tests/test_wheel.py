"""Is what is installed usable: a wheel, a new environment, an empty folder, no project?"""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import cases
import pytest

from hybridlib import __version__

pytestmark = pytest.mark.slow

LEFT = ".*", "*.egg-info", "__pycache__", "build", "_build", "data", "runs"


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    """A wheel of the project as a clean checkout holds it."""
    clean, target = (tmp_path_factory.mktemp("built") / name for name in ("checkout", "wheels"))
    shutil.copytree(root, clean, ignore=shutil.ignore_patterns(*LEFT))
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", target, clean]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True)
    (made,) = target.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The Python of a new environment with the wheel, and the dependencies of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    # A path file in a folder that a path file names is not read: no editable install is seen.
    (packages,) = folder.glob("lib/python*/site-packages")
    seen = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (packages / "dependencies.pth").write_text("\n".join(sorted(seen)))
    return python


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    return tmp_path_factory.mktemp("empty")


@pytest.fixture
def told(installed, empty):
    """What a program of the new environment tells in the empty folder, after it ended well."""

    def tell(program, *arguments, code=0):
        ours = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
        clean = {name: value for name, value in os.environ.items() if name not in ours}
        command = [installed.with_name(program), *map(str, arguments)]
        done = subprocess.run(command, cwd=empty, env=clean, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done.stdout + " ".join(done.stderr.split())

    return tell


@pytest.fixture(scope="module")
def files(empty):
    """Options that name the three files of a small basin."""
    study = cases.tiny_study(empty)
    groups = {name: study.group(name).load() for name in ("landsurface", "forcing", "discharge")}
    groups["discharge"]["area"].attrs["units"] = "km2"
    for name, group in groups.items():
        group.drop_encoding().to_netcdf(empty / f"{name}.nc")
    shutil.rmtree(study.path)
    return {name: [f"--{name}", f"{name}.nc"] for name in groups}


def test_holds_a_wheel_the_library_with_its_data_and_nothing_else(root, wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {Path(name).parts[0] for name in names} == {
        "hybridlib",
        f"hybridlib-{__version__}.dist-info",
    }
    suffixes = {".py", ".typed", ".csv", ".mplstyle", ".shp", ".shx", ".dbf", ".prj", ".md"}
    ours = [path for path in (root / "hybridlib").rglob("*") if path.suffix in suffixes]
    assert {str(path.relative_to(root)) for path in ours} == {
        name for name in names if name.startswith("hybridlib/")
    }
    assert "hybridlib/py.typed" in names


def test_runs_what_was_installed(told, installed):
    where = told("python", "-c", "import hybridlib; print(hybridlib.__file__)")
    assert Path(where.strip()).is_relative_to(installed.parents[1])
    assert told("hybridlib", "--version").strip() == f"hybridlib {__version__}"


def test_does_the_library_do_its_work_without_a_project(told, empty, files):
    told("hybridlib", "simulate", *files["landsurface"], *files["forcing"], "--output", "out.nc")
    told("hybridlib", "prepare", *(word for pair in files.values() for word in pair), "--output",
         "tiny.zarr")  # fmt: skip
    told("hybridlib", "train", "--scheme", "hybrid_q", "--study", "tiny.zarr", "--run", "run",
         "--epochs", "1", "--no-choose", "--train-years", "2002-2003")  # fmt: skip
    scores = told("hybridlib", "evaluate", "--run", "run")
    assert "train 2002-2003, validation 2004-2004" in scores
    assert (empty / "out.nc").exists() and (empty / "run" / "metrics.nc").exists()


def test_comes_the_twin_with_its_tables(told, empty):
    assert "data/cache/smoke.zarr: made" in told("hybridlib", "twin", "--size", "smoke")
    assert (empty / "data" / "cache" / "smoke.zarr" / "truth").is_dir()


def test_are_maps_drawn_from_shapes_that_come_along(told, installed):
    ask = "from cartopy.io import shapereader; import hybridlib.figures.maps; "
    ask += "print(shapereader.natural_earth('110m', 'physical', 'coastline'))"
    assert Path(told("python", "-c", ask).strip()).is_relative_to(installed.parents[1])


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("notebooks", "notebooks: not installed with the library"),
        ("book", "_config.yml: not installed with the library"),
        ("experiments", "params/experiments.yml: no such file"),
        ("results", "params/experiments.yml: no such file"),
    ],
)
def test_is_the_absence_of_a_project_said_in_one_sentence(told, command, missing):
    error = told("hybridlib", command, code=2)
    assert error.count("Error: ") == 1 and missing in error
    assert "checkout of the project" in error
