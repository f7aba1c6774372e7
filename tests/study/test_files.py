"""Is the project found from wherever one works, and its absence said where it matters?"""

import pytest

from hybridlib.study import files
from hybridlib.study.schema import InputError


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty working folder, with the package installed outside any project."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(files, "INSTALLED", tmp_path / "site-packages")
    return folder


def test_is_the_project_the_nearest_upwards_and_else_the_checkout(
    elsewhere, tmp_path, root, monkeypatch
):
    monkeypatch.setattr(files, "INSTALLED", root)
    assert files.project() == root
    (tmp_path / "notebooks" / "py").mkdir(parents=True)
    assert files.project() == root, "any folder with notebooks is no project"
    (tmp_path / "_config.yml").touch()
    assert files.project("a page") == tmp_path
    (tmp_path / "study.zarr").mkdir()
    assert files.from_project("study.zarr") == tmp_path / "study.zarr"
    (elsewhere / "study.zarr").mkdir()
    assert files.from_project("study.zarr").resolve() == elsewhere / "study.zarr"


def test_serves_the_working_folder_without_a_project_but_not_for_the_book(elsewhere):
    assert files.project() == elsewhere
    assert files.from_project("new.zarr") == elsewhere / "new.zarr"
    sentence = f"data/a.csv: not installed with the library, and {elsewhere} lies in no project"
    with pytest.raises(InputError, match=f"{sentence}.*in a checkout of the project"):
        files.of_the_book("data/a.csv")
