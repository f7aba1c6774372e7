"""Does every chapter run on a basin that is not the Amazon, and speak of that basin only?"""

import re

import nbformat
import pytest

from hybridlib.publish import notebooks
from hybridlib.study.store import Study, write_study
from tests.cases import tiny_study

pytestmark = pytest.mark.slow
CITATION = re.compile(r"\{cite(:t)?\}`[^`]*`")


@pytest.fixture(scope="module", params=["with gravimetry", "without gravimetry"])
def testland(request, tmp_path_factory) -> Study:
    """A small real basin of three gauges and four years."""
    folder = tmp_path_factory.mktemp("testland")
    names = ["forcing", "landsurface", "attributes", "discharge"]
    names += ["twsa"] * (request.param == "with gravimetry")
    tiny = tiny_study(folder)
    groups = {name: tiny.group(name).load() for name in names}
    return write_study(folder / "testland.zarr", groups, {"title": "Testland", "source": "real"})


def shown(notebook) -> str:
    """All that a reader sees: Markdown and what the cells put out, pictures aside."""
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            texts += [output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")]
    return CITATION.sub("", "\n".join(map(str, texts)))


@pytest.mark.parametrize(
    "name",
    [
        "00_verification",
        "01_data_preparation",
        "02_hydropy_rnn",
        "03_flow_transfer",
        "04_five_schemes",
        "05_ungauged_basins",
        "06_water_budget",
        "07_evapotranspiration",
        "08_what_was_learned",
    ],
)
def test_does_a_chapter_run_on_another_basin_and_not_speak_of_the_amazon(name, testland, tmp_path):
    asked = {"study": str(testland.path), "runs": str(tmp_path / "none"), "live_steps": "1"}
    known = notebooks.parameters_of(name)
    few = {key: text for key, text in asked.items() if key in known}
    params = tmp_path / "testland.yml"
    params.write_text("")
    (path,) = notebooks.run([name], params, few, output=tmp_path)
    text = shown(nbformat.read(path, as_version=4))
    assert "Testland (real)" in text
    foreign = re.findall(r".*(?:Amazon|Obidos|Óbidos|\{\{).*", text)
    assert not foreign
