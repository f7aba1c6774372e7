"""What a study holds, in tables: its groups, attributes, gauges, gaps, and corrected cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.study.attributes import ATTRIBUTES
from hybridlib.study.schema import DISCHARGE, FORCING, LANDSURFACE, TWSA
from hybridlib.study.store import Study
from hybridlib.twin import geography
from hybridlib.twin.geography import Geography

GROUPS = ("forcing", "landsurface", "attributes", "discharge", "twsa", "truth")
UNCHANGED, TURNED, DROPPED, ADDED = range(4)
CHANGES = {
    TURNED: ("other target", "#de8f05"),
    DROPPED: ("dropped", "#cc78bc"),
    ADDED: ("added", "#029e73"),
}
"""Name and colour of what a correction does to a cell."""


def covers_amazon(study: Study) -> bool:
    """Whether a study lies on the Amazon's grid of 60 x 72 cells, whatever its source."""
    grid = study.landsurface
    return np.array_equal(grid.lat, geography.LAT) and np.array_equal(grid.lon, geography.LON)


def contents(study: Study) -> pd.DataFrame:
    """List a study's groups: their dimensions, how many variables, the first ones with units."""
    known = [*FORCING, *DISCHARGE, *TWSA, *LANDSURFACE, *ATTRIBUTES]
    order = {name: at for at, name in enumerate(known)}
    rows = {}
    for name in filter(study.has, GROUPS):
        group = study.group(name)
        fields = sorted(map(str, group.data_vars), key=lambda field: (order.get(field, 99), field))
        units = {field: group[field].attrs.get("units", "no unit") for field in fields[:2]}
        first = [f"{field} ({unbroken(unit)})" for field, unit in units.items()]
        rows[name] = {
            "dimensions": ", ".join(f"{dim} {size}" for dim, size in sorted(group.sizes.items())),
            "variables": len(fields),
            "the first two (unit)": ", ".join(first),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def attribute_table(study: Study) -> pd.DataFrame:
    """List the static attributes with unit and basin median, lowest and highest cell (Table S1)."""
    rows = {}
    for name, field in study.attributes.items():
        unit, meaning = field.attrs["units"], field.attrs["long_name"]
        values = study.basin.pack(field)[study.basin.land]
        ends = {"median": np.median(values), "lowest": values.min(), "highest": values.max()}
        rows[name] = {"meaning": meaning, "unit": unbroken(unit)} | {
            key: f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"
            for key, value in ends.items()
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def unbroken(unit: str) -> str:
    """A unit that a narrow table does not break: "kg m-2" with hard space and hyphen."""
    return unit.replace(" ", "\N{NO-BREAK SPACE}").replace("-", "\N{NON-BREAKING HYPHEN}")


def station_table(study: Study) -> pd.DataFrame:
    """List the gauges with areas, observed mean flow and share of missing days (Table S4).

    Returns:
        One row a gauge, numbered as on the map, with river where known, station, published and
        network drainage area (1000 km2), their difference (%), mean discharge over the days
        observed (m3 s-1), missing days (%), and whether the gauge moved to a neighbouring cell.
    """
    gauges = study.discharge
    flow = gauges.discharge.load()
    rivers = gauges.river.to_series().str.title() if "river" in gauges else None
    columns = {} if rivers is None else {"river": rivers.str.replace(", Rio", "").values}
    columns |= {
        "station": gauges.station.to_series().str.title().values,
        "area (10³ km²)": _whole(gauges.area.values / 1e3),
        "in the network": _whole(gauges.cell_area.values / 1e3),
        "error (%)": (100 * (gauges.cell_area / gauges.area - 1)).values.round(1),
        "mean flow (m³ s⁻¹)": _whole(flow.mean("time", dtype=float).values),
        **_measured(study),
        "missing (%)": (100 * flow.isnull().mean("time")).values.round(1),
        "snapped": np.where(gauges.snapped, "yes", ""),
    }
    return pd.DataFrame(columns, index=range(1, gauges.sizes["station"] + 1))


def _measured(study: Study) -> dict[str, pd.array]:
    """Real long-term mean flow of the Amazon's gauges, where the study has them."""
    if not covers_amazon(study):
        return {}
    known = pd.read_csv(geography.FOLDER / "stations.csv").set_index("station")
    flow = known.mean_discharge_m3s.reindex(study.discharge.station.values)
    return {"measured (m³ s⁻¹)": _whole(flow.values)}


def _whole(values) -> pd.array:
    """Round to whole numbers; what is unknown stays unknown."""
    return pd.array(np.round(values), dtype="Int64")


def changed_cells(before: Geography, after: Geography) -> xr.DataArray:
    """Say what corrections did to each cell: UNCHANGED, TURNED, DROPPED or ADDED, (lat, lon).

    A cell counts as turned only where it is in the basin before and after; one that drained into
    a dropped cell turns, too.
    """
    both = before.mask & after.mask
    other = (before.rout_lat != after.rout_lat) | (before.rout_lon != after.rout_lon)
    changes = np.full(before.mask.shape, UNCHANGED)
    changes[both & other] = TURNED
    changes[before.mask & ~after.mask] = DROPPED
    changes[after.mask & ~before.mask] = ADDED
    return xr.DataArray(changes, {"lat": after.lat, "lon": after.lon}, ("lat", "lon"))


def area_errors(before: Geography, after: Geography) -> pd.DataFrame:
    """Errors of the gauges' drainage areas before and after corrections, %, by station."""
    return pd.DataFrame(
        {
            "before (%)": 100 * before.gauges.set_index("station").error,
            "after (%)": 100 * after.gauges.set_index("station").error,
        }
    )


def missing_days(discharge: xr.DataArray) -> xr.DataArray:
    """Share of days without a value, %, (station, month start), from daily values with NaN."""
    share = 100.0 * discharge.isnull().resample(time="MS").mean()
    return share.transpose("station", "time").assign_attrs(units="%", long_name="missing days")


def seasonal_amplitude(twsa: xr.DataArray) -> xr.DataArray:
    """Largest minus smallest mean month of the storage anomaly, mm, (box,)."""
    months = twsa.groupby("month.month").mean()
    attrs = {"units": "mm", "long_name": "seasonal amplitude of water storage"}
    return (months.max("month") - months.min("month")).assign_attrs(attrs)


def name_of(station: str) -> str:
    """Turn a gauge's name in capitals into one that reads well."""
    return str(station).split(" - ")[0].title()
