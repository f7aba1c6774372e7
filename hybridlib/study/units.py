"""Units by what they mean: many spellings of one unit are the same; nothing is converted."""

from __future__ import annotations

import re
from functools import lru_cache

WATER = "1000 kg m-3"
_NAMES = {
    **dict.fromkeys(
        ("", "/", "-", "none", "fraction", "unitless", "dimensionless", "no unit"), "1"
    ),
    **dict.fromkeys(("cumec", "cumecs"), "m3 s-1"),
    **dict.fromkeys(("cfs", "cusec", "cusecs"), "ft3 s-1"),
    **dict.fromkeys(("degrees_k", "degree_k"), "K"),
}
"""Spellings that no grammar of units knows."""


@lru_cache(maxsize=256)
def _measure(text: str):
    """The unit as a pint quantity, or None for what is no unit."""
    from cf_xarray.units import units  # here: it takes time, and most files are spelled plainly

    text = _NAMES.get(text.lower(), text)
    # Units are lower case; a word in capitals (Kelvin, Pascal) is a name of one.
    text = re.sub(r"[A-Z][a-z]{3,}|\b[A-Z]{4,}\b", lambda word: word[0].lower(), text)
    try:
        return units.Quantity(1.0, units.Unit(text))
    except Exception:  # pint raises errors of many kinds for what it cannot read
        return None


def _factor(found, expected) -> tuple[float, float] | None:
    """Factor and offset from one unit to another, None where they measure different things."""
    zero, one = 0.0 * found, found
    ends = [q.to_base_units() for q in (zero, one, 0.0 * expected, expected)]
    # Radians have no dimension, but are no fraction: the base units must be the very same.
    if str(ends[1].units) != str(ends[3].units):
        return None
    step = ends[3].magnitude - ends[2].magnitude
    offset = (ends[0].magnitude - ends[2].magnitude) / step
    return (ends[1].magnitude - ends[0].magnitude) / step, offset


def same_unit(found: str, expected: str) -> bool:
    """Whether two spellings mean one unit: ``m**3/s`` and ``m3 s-1``, but not ``mm`` and ``m``."""
    found, expected = " ".join(found.split()), " ".join(expected.split())
    if found == expected:
        return True
    one, other = _measure(found), _measure(expected)
    if one is None or other is None:
        return False
    change = _factor(one, other)
    return change is not None and abs(change[0] - 1.0) < 1e-9 and abs(change[1]) < 1e-9


def remedy(found: str, expected: str) -> str:
    """What turns values in one unit into another, for a refusal; empty where nothing does."""
    one, other = _measure(" ".join(found.split())), _measure(expected)
    if one is None or other is None:
        return "" if one is not None else f" ('{found}' is no unit that is known)"
    change, water = _factor(one, other), ""
    if change is None:
        density, water = _measure("kg m-3") * 1000.0, f", for water of {WATER}"
        change = _factor(one * density, other) or _factor(one / density, other)
    if change is None:
        return " (it measures something else)"
    steps = [f"multiply by {change[0]:.6g}"] if abs(change[0] - 1.0) > 1e-9 or water else []
    steps += [f"add {change[1]:g}"] if abs(change[1]) > 1e-9 else []
    return f"; {' and '.join(steps)}{water}, nothing is converted here"
