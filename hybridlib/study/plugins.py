"""Tables that installed packages add to, by entry points: attributes, formulas of PET, schemes.

A package names what it brings in its ``pyproject.toml``, in the groups ``hybridlib.attributes``,
``hybridlib.pet`` and ``hybridlib.schemes``; ``book/plugin`` is a template.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from hybridlib.study.schema import InputError

Entry = TypeVar("Entry")


class Extended(MutableMapping[str, Entry]):
    """A table of the library, followed by what installed packages add to it, by name.

    Their modules are loaded when the table is first read, not when it is made: so importing a
    study stays light, and a package may import the library.

    Args:
        group: of the entry points, without "hybridlib.".
        own: the library's entries, all of one kind.

    Raises:
        InputError: when the table is first read and a package brings what cannot be used.
    """

    def __init__(self, group: str, own: Mapping[str, Entry]):
        self.group, self.own = group, dict(own)

    def names(self) -> list[str]:
        """All names, without loading anything."""
        return list(dict.fromkeys([*self.own, *(point.name for point in self._points())]))

    def _points(self) -> list[EntryPoint]:
        return sorted(entry_points(group=f"hybridlib.{self.group}"), key=lambda point: point.name)

    @cached_property
    def _table(self) -> dict[str, Entry]:
        table = dict(self.own)
        for point in self._points():
            table[point.name] = _loaded(point, table)
        return table

    def __getitem__(self, name: str) -> Entry:
        return self._table[name]

    def __setitem__(self, name: str, entry: Entry) -> None:
        self._table[name] = entry

    def __delitem__(self, name: str) -> None:
        del self._table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


def _loaded(point: EntryPoint, table: Mapping[str, Entry]) -> Entry:
    """What an entry point names, if it fits into a table."""
    package = f"{point.dist.name} {point.dist.version}" if point.dist else "a package"
    whose = f"{package}: {point.group} '{point.name}'"
    if point.name in table:
        raise InputError(f"{whose} is there already; expected another name")
    try:
        entry = point.load()
    except Exception as error:
        raise InputError(f"{whose} cannot be loaded from {point.value} ({error!r})") from error
    kind = type(next(iter(table.values())))
    if not isinstance(entry, kind):
        raise InputError(f"{whose} is {entry!r}; expected one {kind.__module__}.{kind.__name__}")
    own = getattr(entry, "name", point.name)
    if own != point.name:
        raise InputError(f"{whose} calls itself '{own}'; expected the same name")
    return entry
