"""The 21 static attributes that the networks see of a cell.

The paper's own list (its Table S1) is not available; this one holds the six it names and a
plausible rest, all derived from the land surface and the forcing.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from hybridlib.study.schema import FREEZING, SECONDS_PER_DAY, InputError

ATTRIBUTES = {
    "lai_avg": ("m2 m-2", "mean leaf area index"),
    "lai_max": ("m2 m-2", "largest monthly leaf area index"),
    "lai_diff": ("m2 m-2", "largest minus smallest monthly leaf area index"),
    "fveg_avg": ("/", "mean vegetation fraction"),
    "fveg_max": ("/", "largest monthly vegetation fraction"),
    "fveg_diff": ("/", "largest minus smallest monthly vegetation fraction"),
    "wcap": ("kg m-2", "root-zone water capacity"),
    "wava": ("kg m-2", "plant-available water capacity"),
    "wmin": ("kg m-2", "smallest water capacity within the cell"),
    "wmax": ("kg m-2", "largest water capacity within the cell"),
    "beta": ("/", "shape of the capacity distribution"),
    "height": ("m", "mean height"),
    "topo_std": ("m", "standard deviation of height within the cell"),
    "slope_avg": ("m m-1", "mean slope within the cell"),
    "flake": ("/", "lake fraction"),
    "fwetl": ("/", "wetland fraction"),
    "p_avg": ("mm d-1", "mean precipitation"),
    "temp_avg": ("degC", "mean air temperature"),
    "pet_avg": ("mm d-1", "mean potential evapotranspiration"),
    "aridity": ("/", "mean potential evapotranspiration over mean precipitation"),
    "p_seasonality": ("/", "coefficient of variation of the mean monthly precipitation"),
}
"""Units and meaning of each attribute, in the order the networks take them."""


def static_attributes(landsurface: xr.Dataset, forcing: xr.Dataset) -> xr.Dataset:
    """Derive the attributes of every cell of the grid.

    Args:
        landsurface: HydroPy's variables, (lat, lon) or (month, lat, lon).
        forcing: pr, tas and evspsblpot, (time, lat, lon).

    Returns:
        One float32 field (lat, lon) for each of :data:`ATTRIBUTES`.

    Raises:
        InputError: fewer than 365 days of forcing; means and seasons need a year.
    """
    if forcing.sizes["time"] < 365:
        raise InputError(
            f"the forcing has {forcing.sizes['time']} days; attributes of the climate need a year"
        )
    yearly = {
        name: field.mean("month") if "month" in field.dims and str(name)[0] == "f" else field
        for name, field in landsurface.data_vars.items()
    }
    fields = {name: yearly[name] for name in ATTRIBUTES if name in yearly}
    for name in ("lai", "fveg"):
        months = landsurface[name]
        fields[f"{name}_avg"] = months.mean("month")
        fields[f"{name}_max"] = months.max("month")
        fields[f"{name}_diff"] = months.max("month") - months.min("month")
    fields["height"] = landsurface["srftopo"]
    monthly = forcing["pr"].groupby("time.month").mean() * SECONDS_PER_DAY
    fields["p_avg"] = forcing["pr"].mean("time", dtype=float) * SECONDS_PER_DAY
    fields["temp_avg"] = forcing["tas"].mean("time", dtype=float) - FREEZING
    fields["pet_avg"] = forcing["evspsblpot"].mean("time", dtype=float) * SECONDS_PER_DAY
    fields["aridity"] = fields["pet_avg"] / np.maximum(fields["p_avg"], 0.01)
    fields["p_seasonality"] = monthly.std("month") / np.maximum(monthly.mean("month"), 0.01)
    return xr.Dataset(
        {
            name: fields[name]
            .astype("float32")
            .drop_vars("month", errors="ignore")
            .assign_attrs(units=units, long_name=meaning)
            for name, (units, meaning) in ATTRIBUTES.items()
        }
    )
