"""The table: what was measured, on which machine, beside what was asked."""

from __future__ import annotations

import operator
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from benchmarks.cases import small_basins, study_case
from benchmarks.hybrid import forward_run, hybrid_iteration
from benchmarks.measure import in_fresh_process
from benchmarks.physics import compare_physics, relative_difference
from benchmarks.scaling import cells_exponent, days_exponent, global_grid, member_costs
from benchmarks.transfer import compare_transfer
from hybridlib import __version__
from hybridlib.experiments.shared import gradient
from hybridlib.hydropy.backend import tf
from hybridlib.study.files import written_whole
from hybridlib.twin.make import open_or_make

RESULTS = Path(__file__).parent / "results.csv"
ORIGIN = (
    "The original HydroPy 1.0 (NumPy and xarray; Stacke & Hagemann 2021) took about 150 ms a day "
    "on a grid of 3,735 cells with two outputs, run by this project on two cores."
)
RELATIONS = {"at most": operator.le, "at least": operator.ge}


class Row(NamedTuple):
    """A line of the table."""

    what: str
    found: float
    unit: str
    relation: str
    asked: float
    detail: str = ""

    @property
    def met(self) -> str:
        """Whether what was found is what was asked, in words; a dash where nothing was."""
        if not self.relation:
            return "–"
        return "yes" if RELATIONS[self.relation](self.found, self.asked) else "no"


def measured_rows(path: str, report: Callable[[str], None]) -> list[Row]:
    """Measure everything, one after the other; ratios first.

    Args:
        path: the study, the whole Amazon twin for the numbers to mean what they say.
        report: told what is being measured.
    """
    rows = []
    for name, measure in MEASUREMENTS.items():
        report(name)
        rows += measure(path)
    return sorted(rows, key=lambda row: row.unit != "")


def _physics(path: str) -> Iterator[Row]:
    found = compare_physics(in_fresh_process(study_case, path, 1461))
    ours, paper = found["ours"], found["paper"]
    size = f"{found['days']:,} days, {found['cells']:,} of {found['grid_cells']:,} cells"
    seconds = f"{paper['seconds']:.1f} s against {ours['seconds']:.2f} s; {size}"
    megabytes = f"{paper['megabytes']:,.0f} MB against {ours['megabytes']:,.0f} MB"
    yield Row("physics, faster than the paper's way", found["speedup"], "", "at least", 10, seconds)
    yield Row("physics, less memory", found["memory_ratio"], "", "at least", 8, megabytes)
    difference = found["gradient_difference"]
    flips = f"float64; in float32 {found['float32_beyond_1e-4']} of {found['float32_compared']:,} "
    flips += "differ by more, at thresholds within rounding"
    yield Row("physics, difference of gradients", difference, "", "at most", 1e-4, flips)


def _members(path: str) -> Iterator[Row]:
    alone, together = in_fresh_process(member_costs, path)
    ratio = together.seconds / 10 / alone.seconds
    detail = f"{together.seconds:.1f} s for ten against {alone.seconds:.2f} s for one; 1,461 days"
    yield Row("cost of one of ten members, to one alone", ratio, "", "at most", 0.5, detail)


def _growth(path: str) -> Iterator[Row]:
    days, cells = in_fresh_process(days_exponent, path), in_fresh_process(cells_exponent, path)
    yield Row("cost against days, exponent", days, "", "at most", 1.05, "366 to 2,922 days")
    yield Row("cost against cells, exponent", cells, "", "at most", 1.05, "1 to 8 basins, 366 days")


def _forward(path: str) -> Iterator[Row]:
    study = open_or_make(path)
    seconds = in_fresh_process(forward_run, path).seconds
    detail = f"{len(study.days):,} days, {study.basin.size:,} cells, discharge and storage"
    yield Row("forward simulation", seconds, "s", "at most", 3, detail)


def _hybrid(path: str) -> Iterator[Row]:
    cost = in_fresh_process(hybrid_iteration, path)
    detail = "both networks, run, loss, all gradients; the paper: 120 s, 200 GB on 64 cores"
    yield Row("one Hybrid(Q,S)+ iteration", cost.seconds, "s", "at most", 20, detail)
    above = f"of the whole process; {cost.megabytes / 1e3:.1f} GB above its inputs"
    yield Row("one Hybrid(Q,S)+ iteration", cost.total_megabytes / 1e3, "GB", "at most", 4, above)


def _global(path: str) -> Iterator[Row]:
    cells, cost = in_fresh_process(global_grid, path)
    detail = f"{cells:,} cells, 365 days in 12 segments, {cost.seconds:.0f} s; whole process"
    gigabytes = cost.total_megabytes / 1e3
    yield Row("global 0.5° land, forward + backward", gigabytes, "GB", "at most", 12, detail)


def _joint(path: str) -> Iterator[Row]:
    paths = [str(study.path) for study in small_basins()]
    alone, seconds = in_fresh_process(gradient, paths)
    together, seconds_of_two = in_fresh_process(gradient, paths, 2)
    difference = max(map(relative_difference, together, alone))
    detail = f"a step: {seconds_of_two:.1f} s against {seconds:.1f} s; three small twins"
    what = "three basins, one network: two processes against one, difference of gradients"
    yield Row(what, difference, "", "at most", 1e-5, detail)


def _transfer(path: str) -> Iterator[Row]:
    for what, (ratio, masks, table) in in_fresh_process(compare_transfer, path).items():
        detail = f"{masks:.1f} µs against {table:.1f} µs a sub-step, float32"
        yield Row(f"{what}, eight masks against the table", ratio, "", "", 0, detail)


MEASUREMENTS = {
    "physics against the paper's way": _physics,
    "flow transfer": _transfer,
    "ten members": _members,
    "days and cells": _growth,
    "forward simulation": _forward,
    "one Hybrid(Q,S)+ iteration": _hybrid,
    "global grid": _global,
    "three basins, two processes": _joint,
}


def as_frame(rows: list[Row]) -> pd.DataFrame:
    """The rows in words."""
    return pd.DataFrame(
        {
            "what": row.what,
            "found": f"{row.found:.3g} {row.unit}".strip(),
            "asked": f"{row.relation} {row.asked:g} {row.unit}".strip() if row.relation else "–",
            "met": row.met,
            "detail": row.detail,
        }
        for row in rows
    ).set_index("what")


def versions() -> dict[str, str]:
    """What ran."""
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "hybridlib": __version__,
    }


def machine() -> str:
    """Processor, cores and memory."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{_processor()}, {os.cpu_count()} cores, {gigabytes:.0f} GB"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def header() -> str:
    """Machine and versions in one line."""
    return "; ".join([machine(), *(f"{name} {version}" for name, version in versions().items())])


def write(rows: list[Row], path: Path = RESULTS) -> None:
    """Keep the table as CSV, with machine, versions and origin above it."""
    with written_whole(path) as part, open(part, "w") as file:
        file.write(f"# {header()}\n# {ORIGIN}\n")
        as_frame(rows).to_csv(file)
