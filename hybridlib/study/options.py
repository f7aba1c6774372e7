"""Options by name, described once: what is unknown or cannot serve is refused in one sentence.

They come from Python, a command, or a file in YAML or JSON; a file is read with limits, so that
none keeps the reader busy, and none says one thing to a person and another to the program.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from hybridlib.study.schema import InputError

WORDS = {
    "int": "int",
    "float": "a number",
    "finite": "a finite number",
    "string": "text",
    "bool": "true or false",
    "tuple": "a list",
    "dict": "keys and values",
}
"""What pydantic's types are called in a message."""
DEEPEST, MOST_VALUES, MOST_DIGITS = 20, 2_000, 30
"""Levels and values of a file, aliases spelt out, and characters of a number."""
TOO_MUCH = f"more than {MOST_VALUES} values or {DEEPEST} levels, with aliases spelt out"
MOST_BYTES = {"YAML": 50_000, "JSON": 50_000_000}
AMBIGUOUS = re.compile(r"[-+]?(0[0-9_]+|.*:.*)$")
"""What YAML reads to the base of eight or sixty, such as ``010`` (8) and ``1:30`` (90)."""


class Options(BaseModel):
    """Values that a file, a command or Python gives by name.

    A description stands under each field; types are strict, but a NumPy number is a number.

    Raises:
        InputError: a key that is unknown, missing, or has a value that cannot serve.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    def __init__(self, **values: Any):
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(self._sentence(error)) from None

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, values: Any) -> Any:
        """Values as Python has them: no NumPy scalars, lists as tuples."""
        if not isinstance(values, dict):
            return values
        return {name: _python(value) for name, value in values.items()}

    @classmethod
    def read(cls, values: object, where: str):
        """Make one from what a file holds.

        Args:
            values: keys and values.
            where: the file, for messages.
        """
        if not isinstance(values, dict):
            raise InputError(f"{where}: found {shown(values)}; expected keys and values")
        try:
            return cls(**values)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        except TypeError:
            raise InputError(f"{where}: found {shown(values)}; expected names as keys") from None

    @classmethod
    def _sentence(cls, error: ValidationError) -> str:
        """The first thing that is wrong; what is unknown before what is missing."""
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        name, kind, found = ".".join(map(str, first["loc"])), first["type"], first["input"]
        match kind:
            case "extra_forbidden":
                known = ", ".join(cls.model_fields)
                return f"key '{name}' is unknown; expected some of {known}"
            case "missing":
                return f"key '{name}' is missing"
            case "value_error":
                return str(first["ctx"]["error"]).replace("{name}", name)
            case "greater_than_equal" | "too_short":
                limits = first["ctx"]
                least = limits.get("ge", limits.get("min_length"))
                return f"{name} is {shown(found)}; expected at least {least}"
            case "less_than_equal":
                return f"{name} is {shown(found)}; expected at most {first['ctx']['le']}"
        return f"{name} is {shown(found)}; expected {WORDS.get(kind.partition('_')[0], kind)}"


def _python(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(_python, value)) if isinstance(value, list | tuple) else value


def one_of(names: Iterable[str]) -> AfterValidator:
    """See that a text is one of some names; they are read when a value comes."""

    def known(value: str) -> str:
        if value not in names:
            raise ValueError(f"{{name}} '{value}' is unknown; expected {' or '.join(names)}")
        return value

    return AfterValidator(known)


def each_once(values: tuple) -> tuple:
    """Refuse a list that is empty or holds a value twice."""
    if not values or len(set(values)) < len(values):
        found = shown(list(values))
        raise ValueError(f"{{name}} is {found}; expected a list of values, each once")
    return values


def read_yaml(path: Path) -> Any:
    """What a YAML file holds.

    Raises:
        InputError: the file cannot be read, gives a key twice, or holds more or larger things
            than parameters are.
    """
    text = _text(path, "YAML")
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}{place}: not YAML ({error.problem or error.context})") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from None


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        InputError: as :func:`read_yaml`.
    """
    text = _text(path, "JSON")
    try:
        found = json.loads(
            text,
            object_pairs_hook=_each_key_once,
            parse_int=_number(int),
            parse_float=_number(float),
            parse_constant=_refuse,
        )
        _shallow(found)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a configuration in JSON ({error})") from None
    return found


def shown(value: object) -> str:
    """A value in a message: short, whatever it is."""
    return _shown.repr(value)


_shown = reprlib.Repr()
_shown.maxstring = _shown.maxother = 80
_shown.maxlevel = 2


def _text(path: Path, kind: str) -> str:
    """A file's text, of a size that can be read in a moment."""
    try:
        if path.stat().st_size > MOST_BYTES[kind]:
            raise InputError(f"{path}: larger than {MOST_BYTES[kind]} bytes; not read as {kind}")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not {kind} (no UTF-8 at byte {error.start})") from None


def _number(kind: type):
    def read(text: str):
        if len(text) > MOST_DIGITS or not math.isfinite(value := kind(text)):
            raise ValueError(f"a number of {len(text)} characters, or beyond all numbers")
        return value

    return read


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {shown(twice)} is given twice")
    return found


def _shallow(value: Any, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise ValueError(f"nested deeper than {DEEPEST} levels")
    parts = value.values() if isinstance(value, dict) else value
    for part in parts if isinstance(value, dict | list) else ():
        _shallow(part, depth + 1)


class _Loader(yaml.SafeLoader):
    """YAML with limits, keys given once, numbers as they look, and 1e-3 a number as in YAML 1.2."""

    depth = count = 0

    def compose_node(self, parent, index):
        self.depth, self.count = self.depth + 1, self.count + 1
        if self.depth > DEEPEST or self.count > MOST_VALUES:
            raise yaml.YAMLError(TOO_MUCH)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def fetch_flow_collection_start(self, token):
        if self.flow_level > DEEPEST:  # the scanner reads far ahead
            raise yaml.YAMLError(TOO_MUCH)
        super().fetch_flow_collection_start(token)

    def get_single_node(self):
        node = super().get_single_node()
        if node is not None:
            self._measure(node, {})
        return node

    def _measure(self, node, known: dict) -> tuple[int, int]:
        """Values and levels below a node, aliases spelt out; every node is looked at once."""
        if (size := known.get(id(node))) is not None:
            return size
        known[id(node)] = MOST_VALUES, 0  # met again below itself, it would have no end
        values, levels = 1, 0
        if isinstance(node, yaml.ScalarNode):
            self._check_number(node)
        else:
            parts = node.value
            if isinstance(node, yaml.MappingNode):
                parts = [part for pair in parts for part in pair]
            for count, depth in (self._measure(part, known) for part in parts):
                values, levels = values + count, max(levels, depth + 1)
        if values > MOST_VALUES or levels > DEEPEST:
            raise yaml.YAMLError(TOO_MUCH)
        known[id(node)] = values, levels
        return values, levels

    def _check_number(self, node) -> None:
        kind, text = node.tag.rpartition(":")[2], node.value
        place = {"problem_mark": node.start_mark}
        if kind not in ("int", "float"):
            return
        if len(text) > MOST_DIGITS:
            told = f"a number of {len(text)} characters"
        elif AMBIGUOUS.match(text):
            told = f"{text} is no plain number; write it without leading zeros, or in quotes"
        elif kind == "float" and not math.isfinite(self.construct_yaml_float(node)):
            told = f"{text} is not finite"
        else:
            return
        raise yaml.MarkedYAMLError(problem=told, **place)

    def construct_mapping(self, node, deep=False):
        names = set()
        for key, _ in node.value:
            name = key.tag, key.value if isinstance(key, yaml.ScalarNode) else id(key)
            if name in names:
                told = f"key {shown(name[1])} is given twice"
                raise yaml.MarkedYAMLError(problem=told, problem_mark=key.start_mark)
            names.add(name)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), "-+0123456789"
)
