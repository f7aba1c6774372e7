"""Options by name, described once: what is unknown or cannot serve is refused in one sentence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from hybridlib.study.schema import InputError

WORDS = {
    "int": "int",
    "float": "a number",
    "string": "text",
    "bool": "true or false",
    "tuple": "a list",
    "dict": "keys and values",
}
"""What pydantic's types are called in a message."""


class Options(BaseModel):
    """Values that a file, a command or Python gives by name.

    A description stands under each field; types are strict, but a NumPy number is a number.

    Raises:
        InputError: a key that is unknown, missing, or has a value that cannot serve.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
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
            raise InputError(f"{where}: found {values!r}; expected keys and values")
        try:
            return cls(**values)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        except TypeError:
            raise InputError(f"{where}: found {values!r}; expected names as keys") from None

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
                return f"{name} is {found}; expected at least {least}"
        return f"{name} is {found!r}; expected {WORDS.get(kind.partition('_')[0], kind)}"


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
        raise ValueError(f"{{name}} is {list(values)!r}; expected a list of values, each once")
    return values
