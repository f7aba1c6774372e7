"""Land-surface fields of the active cells: checked over land, harmless over sea."""

from __future__ import annotations

import numpy as np
import xarray as xr

from hybridlib.study.basin import Basin
from hybridlib.study.schema import LANDSURFACE, InputError, check_values

_ROUTING = ("lsm", "area", "rout_lat", "rout_lon")
# A sea cell that receives a river stores nothing; these only keep its arithmetic finite.
_SEA = {"wcap": 1.0, "wava": 0.5, "wmin": 0.0, "wmax": 2.0}
_ORDER = (("wmin", "wmax", "below"), ("wmin", "wcap", "below"), ("wava", "wcap", "at most"))


def pack_landsurface(
    landsurface: xr.Dataset, basin: Basin, source: str = "land surface"
) -> dict[str, np.ndarray]:
    """Pack HydroPy's fields, float64, (cell,) or (month, cell), in the schema's units.

    Args:
        landsurface: as :func:`hybridlib.study.schema.select_landsurface` returns it.
        basin: the active cells.
        source: the file's name, for messages.

    Raises:
        InputError: a value is NaN over land or out of range; soil capacities out of order.
    """
    fields = {}
    for name in LANDSURFACE:
        if name in _ROUTING:
            continue
        values = basin.pack(landsurface[name]).astype(float)
        values[..., ~basin.land] = _SEA.get(name, 0.0)
        check_values(values, LANDSURFACE[name], source, lambda index: basin.describe(index[-1]))
        fields[name] = values
    for low, high, relation in _ORDER:
        _check_order(fields, low, high, relation, basin, source)
    area = basin.pack(landsurface["area"]).astype(float)
    fields["area"] = np.where(basin.land, area, np.median(area[basin.land]))
    return fields


def _check_order(fields, low, high, relation, basin: Basin, source: str) -> None:
    """Refuse soils whose capacities are out of order."""
    strict = relation == "below"
    wrong = fields[low] >= fields[high] if strict else fields[low] > fields[high]
    if wrong.any():
        cell = int(np.argmax(wrong))
        raise InputError(
            f"{source}: {low} is {fields[low][cell]:g} mm and {high} is {fields[high][cell]:g} mm "
            f"{basin.describe(cell)}; expected {low} {relation} {high}; "
            f"cells like this: {int(wrong.sum())}"
        )
