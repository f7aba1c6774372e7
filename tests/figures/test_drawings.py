"""Do the drawings of the book, written by hand, say what the code does?"""

import re
from xml.etree import ElementTree

import pytest

from hybridlib.hydropy.parameters import Parameters
from hybridlib.hydropy.routing import SUBSTEPS
from hybridlib.hydropy.step import State
from hybridlib.learning import networks
from hybridlib.study.attributes import ATTRIBUTES

SVG = "{http://www.w3.org/2000/svg}"
INPUTS, OUTPUTS = len(ATTRIBUTES), len(Parameters._fields)
DENSE = (INPUTS, *networks.PARAMETERIZATION_LAYERS, OUTPUTS)
FILTERS = (len(networks.METEOROLOGY) + INPUTS, *networks.REPLACEMENT_FILTERS)
KERNEL, LAYERS = networks.KERNELS["conv3d"], len(networks.REPLACEMENT_FILTERS)
REACH = LAYERS * (KERNEL - 1) + 1
NUMBERS = {
    "framework": {"attributes": INPUTS, "parameters": OUTPUTS},
    "structure": {
        **{f"dense-{k}": size for k, size in enumerate(DENSE, 1)},
        **{f"filters-{k}": size for k, size in enumerate(FILTERS, 1)},
        **dict.fromkeys(("kernel", "kernel-rows", "kernel-columns"), KERNEL),
        **dict.fromkeys(("reach-days", "reach-rows", "reach-columns"), REACH),
        "layers": LAYERS,
    },
    "unfolded": {"substeps": SUBSTEPS},
}
"""What each drawing shows, by the id of its text."""


@pytest.fixture
def drawing(root, request):
    return ElementTree.parse(root / "book" / "images" / f"{request.param}.svg").getroot()


def each(argument, values):
    """Give a test each drawing with what is expected of it."""
    return pytest.mark.parametrize(
        ("drawing", argument), values.items(), indirect=["drawing"], ids=list(values)
    )


@each("numbers", NUMBERS)
def test_are_all_numbers_of_a_drawing_those_of_the_code(drawing, numbers):
    texts = [part for part in drawing.iter() if part.tag in (f"{SVG}text", f"{SVG}tspan")]
    shown = {part.get("id"): part.text for part in texts if part.get("id") in numbers}
    assert shown == {name: str(number) for name, number in numbers.items()}
    others = [part.text or "" for part in texts if part.get("id") not in numbers]
    others += [part.tail or "" for part in texts]
    assert set(re.findall(r"\d+", " ".join(others))) <= {"0", "1"}  # max(0, ...), day t + 1


@each("numbers", NUMBERS)
def test_can_a_drawing_be_heard_and_does_it_fit_any_page(drawing, numbers):
    words = drawing.find(f"{SVG}desc").text
    assert set(re.findall(r"\d+", words)) == {str(number) for number in numbers.values()}
    assert drawing.find(f"{SVG}title").text.strip()
    assert drawing.get("role") == "img"
    assert drawing.get("viewBox").startswith("0 0 750 ") and drawing.get("width") is None


@each("names", {"structure": Parameters._fields})
def test_does_each_parameter_act_somewhere_in_the_cell(drawing, names):
    shown = [part.text for part in drawing.iter() if "parameter" in part.get("class", "").split()]
    assert sorted(shown) == sorted(names)
    assert set(names) <= set(re.findall(r"\w+", drawing.find(f"{SVG}desc").text))


@each("missing", {"structure": {"infl"}, "unfolded": set()})  # infl: between cells, not in one
def test_has_each_field_of_the_state_a_word(drawing, missing):
    fields = [field for part in drawing.iter() for field in part.get("data-state", "").split()]
    assert sorted(fields) == sorted(set(State._fields) - missing)
