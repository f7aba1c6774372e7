"""Is a file that says one thing twice, too much, or nothing clear refused at once, and no other?"""

import time

import pytest

from hybridlib.study import options
from hybridlib.study.options import read_json, read_yaml, shown
from hybridlib.study.schema import InputError

LEVELS = options.DEEPEST + 1
TOO_MUCH = "more than 2000 values or 20 levels"
CHAIN = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)
REFUSED = {
    "aliases of aliases": (CHAIN, TOO_MUCH),
    "a list within itself": ("a: &a [*a]", TOO_MUCH),
    "keys within themselves": ("a: &a {b: *a}", TOO_MUCH),
    "aliases, one in the next": ("a0: &a0 [1]\n" + "".join(
        f"a{k}: &a{k} [*a{k - 1}]\n" for k in range(1, 30)), TOO_MUCH),
    "brackets": ("a: " + "[" * 5000, TOO_MUCH),
    "braces": ("a: " + "{" * 5000, TOO_MUCH),
    "levels": ("".join(f"{' ' * k}a:\n" for k in range(LEVELS + 1)), TOO_MUCH),
    "a long list": (f"a: [{'1,' * 3000}]", TOO_MUCH),
    "a large file": ("# " + "x" * 60_000, "larger than 50000 bytes"),
    "a key twice": ("a: 1\nb: 2\na: 3", "line 3: .*key 'a' is given twice"),
    "a key twice, quoted": ("g: {a: 1, 'a': 2}", "key 'a' is given twice"),
    "400 digits": ("a: [" + "9" * 400 + "]", "a number of 400 characters"),
    "400 digits after a point": ("a: 0." + "9" * 400, "a number of 402 characters"),
    "no number": ("a: .nan", ".nan is not finite"),
    "no end": ("a: -.inf", "-.inf is not finite"),
    "beyond all numbers": ("a: 1e999", "1e999 is not finite"),
    "to the base of eight": ("a: 010", "010 is no plain number"),
    "to the base of sixty": ("a: 1:30", "1:30 is no plain number"),
    "an impossible day": ("a: 2001-99-01", "month must be in 1..12"),
    "a program": ("a: !!python/object/apply:os.system ['touch x']", "could not determine"),
    "two documents": ("a: 1\n---\nb: 2", "found another document"),
    "a tab": ("a:\n\tb: 1", "cannot start any token"),
    "a list as a key": ("? [1, 2]\n: 3", "found unhashable key"),
    "half a list": ("a: [1", "expected ',' or ']'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_is_yaml_refused_at_once_with_its_file_and_without_its_content(name, tmp_path):
    text, told = REFUSED[name]
    path = tmp_path / "own.yml"
    path.write_text(text)
    begin = time.process_time()
    with pytest.raises(InputError, match=told) as refused:
        read_yaml(path)
    assert time.process_time() - begin < 1.0
    assert str(refused.value).startswith(str(path)) and len(str(refused.value)) < 200 + len(
        str(path)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("a: 1e-3\nb: 2.5E+2\nc: -1_000\nd: 0x1F", {"a": 1e-3, "b": 250.0, "c": -1000, "d": 31}),
        ("a: 0\nb: 0.5\nc: '010'\nd: '1:30'", {"a": 0, "b": 0.5, "c": "010", "d": "1:30"}),
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
        ("a: &x {n: 1, m: 2}\nb: {<<: *x, m: 3}", {"a": {"n": 1, "m": 2}, "b": {"n": 1, "m": 3}}),
        ("a: '" + "9" * 400 + "'", {"a": "9" * 400}),
        ("{a: {b: [c, d]}}  # über", {"a": {"b": ["c", "d"]}}),
        ("\ufeffa: 1\r\nb: yes\r\n", {"a": 1, "b": True}),
        ("a: [[[[[[[[b]]]]]]]]", {"a": [[[[[[[["b"]]]]]]]]}),
    ],
)
def test_is_good_yaml_of_an_odd_form_read(text, expected, tmp_path):
    path = tmp_path / "own.yml"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_yaml(path) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 100_000, "maximum recursion depth"),
        ("[" * 500 + "]" * 500, "nested deeper than 20 levels"),
        ("[" + "9" * 400 + "]", "a number of 400 characters"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": 1e999}', "beyond all numbers"),
        ('{"a": 1, "a": 2}', "key 'a' is given twice"),
        ("", "Expecting value"),
        ('{"a"', "Expecting ':'"),
    ],
)
def test_is_json_refused_that_is_not_clear(text, told, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(InputError, match=told) as refused:
        read_json(path)
    assert str(refused.value).startswith(f"{path}: ") and len(str(refused.value)) < 400


@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_is_a_file_that_is_no_text_or_none_refused(read, tmp_path):
    (tmp_path / "own").write_bytes(b"\xff\xfea: 1")
    with pytest.raises(InputError, match="own: not (JSON|YAML) .no UTF-8 at byte 0."):
        read(tmp_path / "own")
    with pytest.raises(InputError, match="cannot be read .Is a directory."):
        read(tmp_path)
    with pytest.raises(InputError, match="none: cannot be read .No such file"):
        read(tmp_path / "none")


@pytest.mark.parametrize("value", [10**400, "x" * 10_000, list(range(10**5)), [[[[[1]]]]]])
def test_is_a_value_shown_shortly_whatever_it_is(value):
    assert len(shown(value)) < 100


def test_is_a_short_value_shown_as_it_is():
    assert shown(["hybrid_q", 1]) == "['hybrid_q', 1]" and shown(2.5) == "2.5"
