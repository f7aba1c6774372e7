"""What a hydrologist can judge of a basin that was read: means, gauges, and what was set right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import xarray as xr

from hybridlib.study import schema
from hybridlib.study.basin import Basin
from hybridlib.study.schema import SECONDS_PER_DAY, InputError

DAYS_A_YEAR = 365.25
A_YEAR = 365
"""Days from which on a mean stands for the climate."""


class Limits(NamedTuple):
    """Between which values a number is usual, and possible at all."""

    meaning: str
    units: str
    possible: tuple[float, float]
    usual: tuple[float, float]
    ask: str = "is the unit what it says?"


LIMITS = {
    "rain": Limits("mean rain", "mm yr-1", (20.0, 12_000.0), (100.0, 6_000.0)),
    "pet": Limits("mean PET", "mm yr-1", (100.0, 4_000.0), (250.0, 2_500.0)),
    "wcap": Limits("median soil capacity", "mm", (5.0, 5_000.0), (20.0, 2_000.0)),
    "storage": Limits("median range of storage", "mm", (0.0, 10_000.0), (30.0, 2_000.0)),
    "rain_share": Limits(
        "runoff over rain",
        "1",
        (0.0, 1.5),
        (0.01, 1.0),
        "are discharge, rain and drainage area in the units they say?",
    ),
    "area_ratio": Limits(
        "drainage area in the network over the published one",
        "1",
        (0.0, np.inf),
        (0.85, 1.15),
        "does the gauge lie on its river?",
    ),
}
"""Numbers that tell a wrong unit or label, wider than the driest and wettest places on Earth."""


@dataclass
class Report:
    """What was found in files on their way in.

    Attributes:
        numbers: basin means, and runoff by gauge, with units.
        notes: how stamps were read, what was counted as missing, what was set right.
        odd: what is possible, but seldom right.
    """

    numbers: xr.Dataset = field(default_factory=xr.Dataset)
    notes: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Tell something once."""
        if text not in self.notes:
            self.notes.append(text)

    def lines(self) -> list[str]:
        """Notes, basin means, and every gauge, a line each."""
        means = [
            f"{field.long_name} {float(field):,.0f} {field.units}"
            for field in self.numbers.data_vars.values()
            if field.ndim == 0
        ]
        found = [*self.notes, *([", ".join(means)] if means else [])]
        for name in self.numbers.get("station", xr.DataArray([])).values:
            one = self.numbers.sel(station=name)
            known = (
                f"{float(one.area):,.0f} km2 as published" if one.area > 0 else "no published area"
            )
            found.append(
                f"gauge {name}: drains {float(one.cell_area):,.0f} km2 in the network, {known}"
                f"{', moved to a neighbouring cell' if one.snapped else ''}; runoff "
                f"{float(one.runoff):,.0f} mm yr-1, {float(one.rain_share):.0%} of the rain"
            )
        return found

    def judge(self, name: str, value: float, source: str, place: str = "") -> None:
        """Keep a number as odd where it is unusual.

        Args:
            name: of :data:`LIMITS`.
            value: in its units.
            source: the file's name, for messages.
            place: of which gauge, for messages.

        Raises:
            InputError: a value that is impossible.
        """
        limits = LIMITS[name]
        if not place:
            about = {"units": limits.units, "long_name": limits.meaning}
            self.numbers[name] = ((), value, about)
        found = f"{source}: {limits.meaning}{place} is {value:,.3g} {limits.units}".removesuffix(
            " 1"
        )
        if not limits.possible[0] <= value <= limits.possible[1]:
            low, high = limits.possible
            raise InputError(f"{found}; expected {low:g} to {high:g}: {limits.ask}")
        if not limits.usual[0] <= value <= limits.usual[1]:
            low, high = limits.usual
            self.odd.append(f"{found}; usual is {low:g} to {high:g}: {limits.ask}")


def annual(values: np.ndarray) -> np.ndarray:
    """Yearly amount of a flux in kg m-2 s-1, (time, …), mm yr-1, (…)."""
    return np.mean(values, axis=0, dtype=float) * SECONDS_PER_DAY * DAYS_A_YEAR


def over_land(values: np.ndarray, basin: Basin) -> float:
    """Mean over the basin's land, from values of all cells, (cell,)."""
    return float(np.average(values[basin.land], weights=basin.area[basin.land]))


def judge_climate(
    report: Report, rain: np.ndarray, pet: np.ndarray, days: int, basin: Basin, source: str
) -> None:
    """Judge rain and potential evapotranspiration, mm yr-1, (cell,), where there is a year of them.

    Raises:
        InputError: as of a wrong unit.
    """
    if days < A_YEAR:
        report.note(f"{source}: {days} days; rain and PET are not judged by less than a year")
        return
    report.judge("rain", over_land(rain, basin), source)
    report.judge("pet", over_land(pet, basin), source)


def judge_land(
    report: Report, packed: dict[str, np.ndarray], land: xr.Dataset, basin: Basin, source: str
) -> None:
    """Judge the land surface.

    Args:
        report: takes the median capacity of the soils, and what is odd.
        packed: fields of the cells, as :func:`~hybridlib.study.landsurface.pack_landsurface` gives.
        land: the fields on the grid.
        basin: active cells.
        source: the file's name, for messages.

    Raises:
        InputError: soils as of a wrong unit.
    """
    here = basin.land
    ends = int(basin.sink.sum())
    report.note(f"{source}: {basin.size} cells, rivers end in {ends} of them")
    if basin.size >= schema.MANY and ends > 0.2 * basin.size:
        report.odd.append(f"{source}: rivers end in {ends} of {basin.size} cells; expected few")
    report.judge("wcap", float(np.median(packed["wcap"][here])), source)
    for name in ("lai", "fveg", "slope_avg"):
        if not packed[name][..., here].any():
            report.odd.append(f"{source}: {name} is 0 everywhere; expected it somewhere above 0")
    heights, spread = packed["srftopo"][here], float(np.median(packed["topo_std"][here]))
    if here.sum() > 2 and np.ptp(heights) < 0.1 * spread:
        report.odd.append(
            f"{source}: srftopo differs by {np.ptp(heights):g} m between cells, topo_std within "
            f"them is {spread:g} m; expected heights in m"
        )
    if here.sum() >= schema.MANY and min(basin.shape) > 1:
        share = float(np.nanmax(schema.share_of_cell(land)))
        if share < 0.95:
            report.odd.append(
                f"{source}: no cell's area is more than {share:.0%} of what its coordinates give; "
                "expected some whole cells"
            )


def judge_storage(report: Report, anomalies: np.ndarray, source: str) -> None:
    """Judge the range of storage anomalies, mm, (month, box).

    Raises:
        InputError: as of a wrong unit.
    """
    spans = np.nanmax(anomalies, axis=0) - np.nanmin(anomalies, axis=0)
    report.judge("storage", float(np.median(spans)), source)


def judge_gauges(report: Report, gauges: xr.Dataset, rain: np.ndarray, basin: Basin, source: str):
    """Judge runoff against rain, and drainage areas against the published ones.

    Args:
        report: takes runoff and its share of rain, (station,), and what is odd.
        gauges: discharge, m3 s-1, area and cell_area, km2.
        rain: mm yr-1, (cell,).
        basin: active cells and network.
        source: the file's name, for messages.

    Raises:
        InputError: more runoff than 1.5 times the rain on the catchment.
    """
    runoff, share = [], []
    for name in gauges.station.values:
        one = gauges.sel(station=name)
        cell = basin.cell_at(float(one.cell_lat), float(one.cell_lon), str(name))
        there = np.where(basin.catchment(cell), basin.area, 0.0)
        flow, days = float(one.discharge.mean()), int(one.discharge.notnull().sum())
        runoff.append(flow * SECONDS_PER_DAY * DAYS_A_YEAR / there.sum() * 1e3)
        share.append(runoff[-1] / np.average(rain, weights=there))
        place = f" at {name}"
        if days == 0:
            report.odd.append(f"{source}: discharge{place} is missing on every day")
        elif days >= A_YEAR or share[-1] > 20.0:
            report.judge("rain_share", share[-1], source, place)
        if float(one.area) > 0:
            report.judge("area_ratio", float(one.cell_area / one.area), source, place)
    about = {"units": "mm yr-1", "long_name": "mean runoff over the network's area"}
    report.numbers["runoff"] = "station", runoff, about
    report.numbers["rain_share"] = "station", share, {"units": "1", "long_name": "runoff over rain"}
    report.numbers = report.numbers.assign_coords(station=gauges.station.values)
    report.numbers.update(gauges[["area", "cell_area", "snapped"]])
