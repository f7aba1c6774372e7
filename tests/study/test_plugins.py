"""Does a table take what a package brings, and refuse what does not fit with the package's name?"""

import importlib
import sys
from typing import NamedTuple

import cases
import pytest

from hybridlib.learning.schemes import Scheme
from hybridlib.study.attributes import ATTRIBUTES, Attribute, static_attributes
from hybridlib.study.plugins import Extended
from hybridlib.study.schema import InputError


class Row(NamedTuple):
    name: str


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install a package with entry points in the group hybridlib.rows."""

    def install(points, source="", name="brought"):
        info = tmp_path / f"{name}-2.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
        lines = "".join(f"{point} = {where}\n" for point, where in points.items())
        (info / "entry_points.txt").write_text(f"[hybridlib.rows]\n{lines}")
        source = f"import sys\nRow = sys.modules[{__name__!r}].Row\n" + source
        (tmp_path / f"{name}.py").write_text(source)
        importlib.invalidate_caches()

    monkeypatch.syspath_prepend(tmp_path)
    yield install
    sys.modules.pop("brought", None)


def table():
    return Extended("rows", {"own": Row("own")})


def test_stand_own_entries_first_and_those_of_packages_by_name(package):
    rows = table()
    package({"b": "brought:B", "a": "brought:A"}, "A, B = Row('a'), Row('b')\n")
    assert rows.names() == ["own", "a", "b"] == list(rows)
    assert rows["b"] == Row("b") and "c" not in rows and rows.own == {"own": Row("own")}


def test_loads_making_a_table_or_naming_its_entries_no_package(package):
    package({"a": "brought:A"}, "raise RuntimeError('loaded')\n")
    assert table().names() == ["own", "a"]
    assert "brought" not in sys.modules


@pytest.mark.parametrize(
    ("points", "source", "sentence"),
    [
        ({"own": "brought:A"}, "A = Row('own')", "is there already; expected another name"),
        ({"a": "brought:A"}, "A = ('a',)", r"is \('a',\); expected one .*\.Row"),
        ({"a": "brought:A"}, "A = Row('b')", "calls itself 'b'; expected the same name"),
        ({"a": "brought:B"}, "A = Row('a')", "cannot be loaded from brought:B .AttributeError"),
        ({"a": "absent:A"}, "", "cannot be loaded from absent:A .ModuleNotFoundError"),
    ],
)
def test_is_what_does_not_fit_refused_with_the_package(package, points, source, sentence):
    package(points, source + "\n")
    (name,) = points
    with pytest.raises(InputError, match=f"brought 2.0: hybridlib.rows '{name}' {sentence}"):
        list(table())


def test_is_a_name_that_two_packages_bring_refused(package):
    package({"a": "brought:A"}, "A = Row('a')\n")
    package({"a": "brought:A"}, "A = Row('a')\n", name="other")
    with pytest.raises(InputError, match="hybridlib.rows 'a' is there already"):
        list(table())


# What an entry must give


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        (lambda land, weather: land.lai, "has dimensions month, lat, lon; expected lat, lon"),
        (lambda land, weather: weather.swe, "cannot be derived from these data .*swe"),
        (lambda land, weather: land["dem"], "cannot be derived from these data .*dem"),
    ],
)
def test_is_an_attribute_refused_that_gives_no_number_a_cell(monkeypatch, field, sentence):
    monkeypatch.setitem(ATTRIBUTES, "mine", Attribute("/", "mine", field))
    with pytest.raises(InputError, match=f"attribute 'mine' {sentence}"):
        static_attributes(cases.landsurface(), cases.tiny_weather())


def test_knows_a_scheme_where_its_parameters_come_from():
    with pytest.raises(InputError, match="scheme 'a' has 'tree' parameters; expected default or"):
        Scheme("a", "A", "tree", False, (1.0, 0.0))
