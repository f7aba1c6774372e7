"""Land-surface fields of the active cells: checked over land, harmless over sea."""

from __future__ import annotations

import numpy as np
import xarray as xr

from hybridlib.study.basin import Basin
from hybridlib.study.schema import (
    LANDSURFACE,
    MAYBE,
    InputError,
    cell_areas,
    check_values,
    land_fraction,
)

_ROUTING = ("lsm", "area", "rout_lat", "rout_lon")
# A sea cell that receives a river stores nothing; these only keep its arithmetic finite.
_SEA = {"wcap": 1.0, "wava": 0.5, "wmin": 0.0, "wmax": 2.0}
_GIVEN = ("srftopo",)  # a sea cell's height decides the drop of the river that ends there
CUT = 0.95
"""Share of its coordinates' area below which a cell's area is that of a part."""
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
        sea = np.nan_to_num(values[..., ~basin.land]) if name in _GIVEN else _SEA.get(name, 0.0)
        values[..., ~basin.land] = sea
        check_values(values, LANDSURFACE[name], source, lambda index: basin.describe(index[-1]))
        fields[name] = values
    for low, high, relation in _ORDER:
        _check_order(fields, low, high, relation, basin, source)
    whole = "cell_area" if "cell_area" in landsurface else "area"
    area = basin.pack(landsurface[whole]).astype(float)
    fields["area"] = np.where(basin.land, area, np.median(area[basin.land]))
    return fields


def land_alone(landsurface: xr.Dataset, source: str = "land surface") -> xr.Dataset:
    """Give ``area`` its one meaning in a prepared study: the cell's land inside the basin.

    A land fraction is multiplied into a whole cell's area, which stays as ``cell_area`` because
    HydroPy's lags follow from it; ``lsm`` is then a mask.

    Args:
        landsurface: as :func:`hybridlib.study.schema.select_landsurface` returns it.
        source: the file's name, for messages.

    Raises:
        InputError: land fractions and areas that are both partial.
    """
    fraction = land_fraction(landsurface)
    part = (fraction > 0.0) & (fraction < 1.0)
    bare = landsurface.drop_vars("glacier", errors="ignore")
    bare["lsm"] = bare.lsm.copy(data=(fraction > 0.0).astype(float))
    if not part.any():
        return bare
    lat, lon = landsurface.lat.values, landsurface.lon.values
    area, whole = landsurface.area.values, cell_areas(lat, lon)
    if (cut := (fraction > 0.0) & (area < CUT * whole)).any():
        row, col = np.argwhere(cut)[0]
        raise InputError(
            f"{source}: lsm (or glacier) is partial in {int(part.sum())} cells and area is partial "
            f"in {int(cut.sum())}, such as {area[row, col]:.4g} of {whole[row, col]:.4g} m2 at lat "
            f"{lat[row]:g}, lon {lon[col]:g}; expected whole areas with a land fraction, or areas "
            "inside the basin with lsm 1 or 0"
        )
    own = landsurface.area.copy(data=np.where(fraction > 0.0, area * fraction, area))
    whole_cells = landsurface.area.assign_attrs(MAYBE["cell_area"].attrs)
    return bare.assign(area=own, cell_area=whole_cells)


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
