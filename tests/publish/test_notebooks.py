"""Are notebooks run as asked, refused when asked wrongly, and published only when they succeed?"""

import re

import nbformat
import pytest

from hybridlib.publish import notebooks, pages
from hybridlib.publish.notebooks import NotebookError
from hybridlib.study.schema import InputError

TEXT = """\
# %% [markdown]
# # A small notebook

# %% tags=["parameters"]
seed: int = 1  # seed of the weather
share: float = 0.5  # between 0 and 1
basin: str = "amazon"
verbose: bool = False

# %%
import sys
print(seed, share, basin, verbose)
print("twice", file=sys.stderr)
print("again")

# %%
if basin == "atlantis":
    raise ValueError("first line\\nno such basin")
"""


@pytest.fixture
def folder(tmp_path):
    texts = tmp_path / "notebooks" / "py"
    texts.mkdir(parents=True)
    (texts / "01_small.py").write_text(TEXT)
    (texts / "02_other.py").write_text('# %% tags=["parameters"]\nyears: int = 2\n')
    return tmp_path / "notebooks"


def params(folder, text, preset="default"):
    file = folder.parent / f"{preset}.yml"
    file.write_text(text)
    return file


def printed(path):
    cells = nbformat.read(path, as_version=4).cells
    return "".join(out.get("text", "") for cell in cells for out in cell.get("outputs", []))


def test_do_values_reach_the_notebook_from_file_and_command_line(folder):
    file = params(folder, "global: {seed: 7}\n01_small: {share: 1}\n", preset="smoke")
    asked = {"verbose": "true", "basin": "12"}
    (path,) = notebooks.run(["01_small"], file, asked, folder=folder)
    assert printed(path).startswith("7 1.0 12 True")
    named = "smoke-verbose=true-basin=12"
    assert path == folder.parent / "build" / "notebooks" / named / "01_small.ipynb"


def test_is_the_unchanged_default_preset_the_only_one_published(folder):
    file = params(folder, "global: {seed: 1}\n")
    asked = notebooks.run(["01_small"], file, {"seed": "2"}, folder=folder)
    kept = notebooks.run(["01_small"], file, publish=False, folder=folder)
    workshop = folder.parent / "build" / "notebooks"
    assert kept == [workshop / "default" / "01_small.ipynb"]
    assert asked == [workshop / "default-seed=2" / "01_small.ipynb"], "two seeds, two results"
    assert not (folder / "01_small.ipynb").exists()
    assert notebooks.run(["01_small"], file, folder=folder) == [folder / "01_small.ipynb"]
    assert notebooks.drift(folder) == ["py/02_other.py has no 02_other.ipynb"]


def test_do_two_runs_give_the_same_bytes(folder):
    file = params(folder, "")
    (path,) = notebooks.run(["01_small"], file, folder=folder)
    first = path.read_bytes()
    notebooks.run(["01_small"], file, folder=folder)
    assert path.read_bytes() == first
    assert not re.search(rb"papermill|start_time|\d{4}-\d\d-\d\dT", first)


def test_is_a_failed_run_kept_aside_and_never_published(folder):
    file = params(folder, "01_small: {basin: atlantis}\n")
    (folder / "01_small.ipynb").write_text("what was published before")
    with pytest.raises(NotebookError, match=r"01_small, cell 4 of 4: ValueError: no such basin"):
        notebooks.run(["01_small"], file, folder=folder)
    assert (folder / "01_small.ipynb").read_text() == "what was published before"
    assert (folder.parent / "build/notebooks/default/failed/01_small.ipynb").exists()
    assert sorted(path.name for path in folder.iterdir()) == ["01_small.ipynb", "py"]


def test_is_a_notebook_above_the_size_limit_refused(folder, monkeypatch):
    monkeypatch.setattr(notebooks, "MOST_BYTES", 100)
    with pytest.raises(NotebookError, match="MB allowed"):
        notebooks.run(["02_other"], params(folder, ""), folder=folder)
    assert not (folder / "02_other.ipynb").exists()


@pytest.mark.parametrize(
    ("text", "asked", "sentence"),
    [
        ("03_none: {}", {}, "group '03_none' is no notebook"),
        ("global: {sed: 1}", {}, r"global: unknown parameter 'sed'.*know: basin, seed"),
        ("02_other: {seed: 1}", {}, "unknown parameter 'seed', 02_other knows: years"),
        ("01_small: {seed: 1.5}", {}, r"'seed' is 1.5 \(float\), expected int"),
        ("01_small: {seed: true}", {}, r"'seed' is True \(bool\), expected int"),
        ("01_small: {share: many}", {}, r"'share' is 'many' \(str\), expected float"),
        ("01_small: {basin: 3}", {}, r"'basin' is 3 \(int\), expected str"),
        ("01_small: 3", {}, "found 3, expected 'key: value' lines"),
        ("[1, 2]", {}, "expected groups of parameters"),
        ("", {"years": "2"}, "-p: unknown parameter 'years', 01_small knows"),
        ("", {"seed": "two"}, "'seed' is 'two', expected int"),
        ("", {"verbose": "maybe"}, "'verbose' is 'maybe', expected bool"),
    ],
)
def test_is_a_wrong_parameter_refused_before_anything_runs(folder, text, asked, sentence):
    with pytest.raises(InputError, match=sentence):
        notebooks.run(["01_small"], params(folder, text), asked, folder=folder)
    assert not (folder.parent / "build").exists()


def test_is_an_unknown_notebook_or_file_refused(folder):
    with pytest.raises(InputError, match="no notebook '09_late', there are: 01_small, 02_other"):
        notebooks.run(["09_late"], params(folder, ""), folder=folder)
    with pytest.raises(InputError, match="no parameter file .*absent.yml; expected one like"):
        notebooks.run([], folder / "absent.yml", folder=folder)


def test_is_a_parameter_of_another_type_refused(folder):
    (folder / "py" / "02_other.py").write_text('# %% tags=["parameters"]\nyears = [1, 2]\n')
    with pytest.raises(InputError, match="'years' is of type list"):
        notebooks.run(["02_other"], params(folder, ""), folder=folder)


def test_does_drift_name_the_cell_and_sync_mend_it(folder):
    assert notebooks.sync(folder) == ["01_small", "02_other"]
    assert notebooks.drift(folder) == []
    text = folder / "py" / "01_small.py"
    text.write_text(text.read_text().replace("A small", "A changed"))
    assert notebooks.drift(folder) == ["01_small: cell 1 differs"]
    assert notebooks.sync(folder) == ["01_small"]
    assert notebooks.drift(folder) == []


def test_does_the_status_page_say_what_was_run(folder):
    notebooks.run(["01_small"], params(folder, ""), folder=folder)
    page = pages.generated_pages(folder)["status.md"]
    assert re.search(
        r"\| 01_small \| default \| 4 \| 0 \| \d+ kB \| basin = amazon, seed = 1, share", page
    )
    assert "| 02_other | not run |" in page


# The notebooks of this book


def test_do_committed_notebooks_agree_with_their_texts():
    assert notebooks.drift() == []


@pytest.mark.parametrize("name", notebooks.available())
def test_is_a_committed_notebook_executed_small_and_free_of_its_machine(name):
    path = notebooks.home() / f"{name}.ipynb"
    assert path.stat().st_size <= notebooks.MOST_BYTES
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata["hybridlib"]["preset"] == notebooks.PUBLISHED_PRESET
    assert notebook.cells[0].source.startswith("# ")
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [out for cell in code for out in cell.outputs]
    assert all(out.output_type != "error" for out in outputs)
    texts = [str(out.get("text", out.get("data", {}).get("text/plain", ""))) for out in outputs]
    assert not [text for text in texts if re.search(r"site-packages|/home/|/root/| at 0x", text)]


@pytest.mark.parametrize("preset", ["default", "smoke"])
def test_is_each_preset_accepted_by_the_notebooks(root, preset):
    file = root / "params" / f"{preset}.yml"
    assert len(notebooks._plan([], file, {}, notebooks.home())) == len(notebooks.available())


def test_are_the_pages_written_by_code_up_to_date(root):
    for name, page in pages.generated_pages().items():
        assert (root / "book" / name).read_text() == page, f"run `hybridlib book` to renew {name}"
