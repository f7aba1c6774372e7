"""Do pyproject.toml, environment.yml and requirements.lock ask for the same, portable things?"""

import re
import sys
from importlib.metadata import version

import pytest
import rattler
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOP_LEVEL = ["README.md", "LICENSE", "CITATION.cff", "Makefile", "_config.yml", "_toc.yml"]


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def required(project):
    texts = project["dependencies"] + project["optional-dependencies"]["test"]
    return {req.name: req.specifier for req in map(Requirement, texts)}


@pytest.fixture(scope="module")
def conda(root):
    environment = yaml.safe_load((root / "environment.yml").read_text())
    *specs, others = environment["dependencies"]
    return [*specs, *others["pip"][:-1]]  # the last one is the project itself


def test_has_every_dependency_a_lower_and_an_upper_bound(required):
    for name, specifier in required.items():
        assert sorted(bound.operator for bound in specifier) == ["<", ">="], name


def test_do_the_installed_versions_satisfy_the_bounds(required):
    for name, specifier in required.items():
        assert specifier.contains(version(name), prereleases=True), (name, version(name))


def test_does_conda_understand_the_environment_and_get_the_same_bounds(project, required, conda):
    specs = {spec.name.normalized: str(spec.version) for spec in map(rattler.MatchSpec, conda)}
    assert specs.pop("pip") == "None"
    assert SpecifierSet(specs.pop("python")) == SpecifierSet(project["requires-python"])
    assert {name: SpecifierSet(bounds) for name, bounds in specs.items()} == required


def test_does_the_lock_name_exact_versions_and_no_address(root, required):
    lock = (root / "requirements.lock").read_text()
    assert not re.search(r"://|--index|--find-links|file:|/(home|root|tmp|work|Users)/", lock)
    lines = [line for line in lock.splitlines() if re.match(r"\w", line)]
    locked = [Requirement(line) for line in lines]
    assert all(str(req.specifier).startswith("==") for req in locked)
    for name, specifier in required.items():
        versions = [str(req.specifier)[2:] for req in locked if req.name == name]
        assert versions, name
        assert all(specifier.contains(each) for each in versions), name


def test_does_the_top_level_hold_what_a_newcomer_looks_for(root, project):
    for name in TOP_LEVEL:
        assert (root / name).is_file(), name
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert "version" not in citation, "the version stands in hybridlib/__init__.py alone"
    assert "version" in project["dynamic"]
    assert citation["license"] == "MIT"


def test_does_continuous_integration_only_call_make_test(root):
    lines = (root / ".ci" / "run").read_text().splitlines()
    assert lines[-1] == "make test"
    assert (root / ".ci" / "run").stat().st_mode & 0o100
