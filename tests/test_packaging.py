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
    matched = map(rattler.MatchSpec, conda)
    specs = {spec.name.normalized.replace("_", "-"): str(spec.version) for spec in matched}
    assert specs.pop("pip") == "None"
    assert SpecifierSet(specs.pop("python")) == SpecifierSet(project["requires-python"])
    assert {name: SpecifierSet(bounds) for name, bounds in specs.items()} == required


@pytest.fixture(scope="module")
def locked(root):
    """Requirements of the lock, each with the number of its hashes."""
    entries = re.split(r"\n(?=\w)", (root / "requirements.lock").read_text())[1:]
    heads = (re.split(r" \\|\n", entry)[0] for entry in entries)
    return [
        (Requirement(head), entry.count("--hash=sha256:"))
        for head, entry in zip(heads, entries, strict=True)
    ]


def test_names_the_lock_no_address(root):
    lock = (root / "requirements.lock").read_text()
    assert not re.search(r"://|--index|--find-links|file:|/(home|root|tmp|work|Users)/", lock)


def test_has_every_locked_version_a_hash(locked):
    assert len(locked) > 100
    for requirement, hashes in locked:
        assert str(requirement.specifier).startswith("==") and hashes, requirement


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_satisfies_the_lock_what_is_required(locked, required, python, system):
    here = {"python_version": python, "python_full_version": f"{python}.9"}
    here |= {"sys_platform": system, "platform_system": system.title()}
    chosen = [one for one, _ in locked if not one.marker or one.marker.evaluate(here)]
    for name, specifier in required.items():
        versions = [str(one.specifier)[2:] for one in chosen if one.name == name]
        assert len(versions) == 1 and specifier.contains(versions[0]), (name, versions)


def test_is_the_package_built_with_the_setuptools_whose_hash_is_locked(root, locked):
    build = tomllib.loads((root / "pyproject.toml").read_text())["build-system"]["requires"]
    assert [Requirement(text) for text in build] == [
        one for one, _ in locked if one.name == "setuptools"
    ]
    lines = re.sub(r"\\\n\s*", "", (root / "Makefile").read_text()).splitlines()
    made = [line for line in lines if "pip install" in line and "uv==" not in line]
    assert ["--require-hashes" in line for line in made] == [True, False]
    assert "--no-deps --no-build-isolation --editable ." in made[1]


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
