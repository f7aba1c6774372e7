"""Examples in docstrings run in a folder of their own that holds the small twin."""

from pathlib import Path

import pytest
from _pytest.doctest import DoctestItem

collect_ignore = ["tests/data", "tests/mutants.py"]


@pytest.fixture(scope="session")
def _folder_of_examples(tmp_path_factory):
    from hybridlib.twin.make import make_twin

    folder = tmp_path_factory.mktemp("examples")
    make_twin("smoke", 1, folder / "data" / "cache" / "smoke.zarr")
    (folder / "params").symlink_to(Path(__file__).parent / "params")
    return folder


@pytest.fixture(autouse=True)
def _examples_have_the_small_twin(request, monkeypatch):
    if isinstance(request.node, DoctestItem):
        monkeypatch.chdir(request.getfixturevalue("_folder_of_examples"))
