"""Does every chapter run on a basin that is not the Amazon, and speak of that basin only?"""

import re
from pathlib import Path

import nbformat
import pytest

from hybridlib.publish import notebooks
from hybridlib.study.store import write_study
from tests.cases import tiny_study

CITATION = re.compile(r"\{cite(:t)?\}`[^`]*`")
ALIKE = ("00_verification", "02_hydropy_rnn", "03_flow_transfer")
"""Chapters that do not read gravimetry."""


def cases():
    """Each chapter on a study with gravimetry, and on one without where that may matter."""
    for name in notebooks.available():
        yield pytest.param(name, True, id=f"{name}, gravimetry")
        if name not in ALIKE:
            yield pytest.param(name, False, id=f"{name}, no gravimetry")


def other_basin(folder: Path, twsa: bool) -> dict[str, str]:
    """A small real basin of three gauges and four years, and no runs: parameters of all chapters.

    Nothing is kept for it, so schemes make one step.
    """
    tiny = tiny_study(folder, twsa)
    groups = ("forcing", "landsurface", "attributes", "discharge", "twsa")
    kept = {name: tiny.group(name).load() for name in groups if tiny.has(name)}
    about = {"title": "Testland", "source": "real"}
    study = str(write_study(folder / "testland.zarr", kept, about).path)
    matrix = folder / "matrix.yml"
    places = f"study: {study}\nruns: {folder}\nresults: {folder}\n"
    matrix.write_text(places + "experiments: {space: {schemes: [hybrid_q], split: spatial}}\n")
    given = {"study": study, "matrix": str(matrix), "runs": str(folder / "no")}
    return given | {"live_steps": "1", "samples": "20", "days": "60"}


def shown(notebook) -> str:
    """All that a reader sees: Markdown and what the cells put out, pictures aside."""
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            texts += [output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")]
    return CITATION.sub("", "\n".join(map(str, texts)))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "twsa"), cases())
def test_does_a_chapter_run_on_another_basin_and_not_speak_of_the_amazon(name, twsa, tmp_path):
    known, params = notebooks.parameters_of(name, notebooks.home()), tmp_path / "testland.yml"
    params.write_text("")
    asked = {key: text for key, text in other_basin(tmp_path, twsa).items() if key in known}
    (path,) = notebooks.run([name], params, asked, output=tmp_path)
    text = shown(nbformat.read(path, as_version=4))
    assert "Testland" in text
    assert not re.findall(r".*(?:Amazon|Obidos|Óbidos|\{\{).*", text)
