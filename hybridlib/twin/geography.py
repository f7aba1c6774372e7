"""The Amazon's geography out of small tables: mask, D8 network, gauges, 3-degree boxes, sub-basins.

The network is made in two steps. A first guess follows the generalised river courses and drains
every other cell to the river that is cheapest to reach. A table of corrections, each with its
reason, then repairs what the straight courses get wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
import xarray as xr
from scipy.interpolate import RBFInterpolator
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from hybridlib.study.basin import Basin
from hybridlib.study.schema import InputError

FOLDER = Path(str(resources.files("hybridlib.twin") / "amazon"))
"""The tables, which come with the library."""
STEP = 0.5
LAT = np.arange(8.75, -21, -STEP)
LON = np.arange(-80.75, -45, STEP)
SHAPE = len(LAT), len(LON)
RADIUS = 6_371_000.0
MOUTH = (0.25, -50.25)
CLIMB = 0.01  # a climb of 100 m costs as much again as the way itself
SNAP_TOLERANCE = 0.05  # of the published drainage area
BOX = 3.0
SUBBASINS = {
    1: ("Solimoes above Sao Paulo de Olivenca", 3623100),
    2: ("Japura above Vila Bittencourt", 3621400),
    3: ("Negro above Serrinha", 3618051),
    4: ("Madeira above Porto Velho", 3635040),
    5: ("Branco above Caracarai", 3618500),
    6: ("Jurua above Gaviao", 3633120),
    7: ("Purus above Canutama", 3634320),
    8: ("Tapajos above Barra do Sao Manuel", 3637180),
    9: ("Xingu above Altamira", 3638050),
}
"""Name of each sub-basin and the GRDC number of the gauge that closes it."""

SMOKE_OUTLET = (-3.25, -51.75)  # the Xingu just below Altamira, so that no gauge stands on a sink
SMOKE_GAUGE = (-4.25, -53.75)  # the lower Iriri, which has no gauge of 1e5 km2

_COLUMNS = {
    "outline.csv": ["lon", "lat"],
    "rivers.csv": ["river", "point", "lon", "lat", "area_1000km2"],
    "stations.csv": ["grdc_id", "river", "station", "lat", "lon", "area_km2"],
    "climate_3deg.csv": ["lat", "lon", "elevation_m"],
    "corrections.csv": ["lat", "lon", "what", "to_lat", "to_lon", "reason"],
}
_NUMBERS = {"lat", "lon", "to_lat", "to_lon", "area_km2", "area_1000km2", "elevation_m"}


@dataclass(frozen=True, eq=False)
class Geography:
    """Where the basin lies, where its water goes and where it is observed.

    Attributes:
        lat: latitudes of the rows, degrees north, descending, (lat,).
        lon: longitudes of the columns, degrees east, ascending, (lon,).
        mask: True inside the basin, (lat, lon).
        area: cell areas, m2, everywhere, (lat, lon).
        rout_lat: 0-based row that receives a cell's water, own row at the sink and outside.
        rout_lon: 0-based column, likewise.
        gauges: one row per gauge: station, river, grdc_id, lat, lon (published), cell_lat,
            cell_lon, snapped, area_km2 (published), area_network_km2, error (their ratio - 1).
        boxes: indexed by name ("box_01" ... north to south, then west to east): lat, lon of the
            centre and cells, the number of basin cells.
        box_of_cell: row of the box in ``boxes`` for every basin cell, -1 where none, (lat, lon).
        subbasins: key of SUBBASINS, 0 where none, (lat, lon).
    """

    lat: np.ndarray
    lon: np.ndarray
    mask: np.ndarray
    area: np.ndarray
    rout_lat: np.ndarray
    rout_lon: np.ndarray
    gauges: pd.DataFrame
    boxes: pd.DataFrame
    box_of_cell: np.ndarray
    subbasins: np.ndarray


def amazon(folder: Path = FOLDER, corrected: bool = True) -> Geography:
    """The whole Amazon on 60 x 72 cells of 0.5 degrees: 1,951 cells, 24 gauges, 56 boxes.

    Args:
        folder: with outline, rivers, stations, climate_3deg and corrections (.csv).
        corrected: False gives the first guess, before any correction (1,958 cells).

    Raises:
        InputError: a table lacks a column, a correction cannot be applied, the water circles.
    """
    tables = {name: _read(Path(folder) / name, columns) for name, columns in _COLUMNS.items()}
    changes = _changes(tables["corrections.csv"]) if corrected else {}
    mask = _correct_mask(_inside(tables["outline.csv"]), changes)
    target = _first_guess(mask, _courses(tables["rivers.csv"], mask), tables["climate_3deg.csv"])
    target = _correct_target(target, mask, changes)
    rout_lat, rout_lon = np.divmod(target, SHAPE[1])
    area = cell_areas(LAT, LON)
    basin = _pack(LAT, LON, mask, area, rout_lat, rout_lon)
    gauges = _gauges(tables["stations.csv"], basin)
    boxes, box_of_cell = _boxes(LAT, LON, mask, least_share=1 / 2)
    subbasins = _subbasins(gauges, basin)
    return Geography(
        LAT, LON, mask, area, rout_lat, rout_lon, gauges, boxes, box_of_cell, subbasins
    )


def smoke(folder: Path = FOLDER) -> Geography:
    """The Xingu down to Altamira: a basin of at most 200 cells to try things out quickly.

    Its gauges are Altamira, Boa Sorte and "smoke gauge 1", a made-up gauge on the lower Iriri
    whose drainage area is the network's own. A box needs a third, not half, of its cells here.
    """
    whole = amazon(folder)
    basin = network(whole)
    outlet = basin.cell_at(*SMOKE_OUTLET)
    inside = basin.unpack(basin.catchment(outlet), False)
    ends = ~inside
    ends[basin.row[outlet], basin.col[outlet]] = True
    rows, columns = (slice(max(0, at.min() - 1), at.max() + 2) for at in np.nonzero(inside))
    own_row, own_column = np.indices(SHAPE)
    rout_lat = np.where(ends, own_row, whole.rout_lat) - rows.start
    rout_lon = np.where(ends, own_column, whole.rout_lon) - columns.start
    window = rows, columns
    boxes, box_of_cell = _boxes(LAT[rows], LON[columns], inside[window], least_share=1 / 3)
    return Geography(
        LAT[rows],
        LON[columns],
        inside[window],
        whole.area[window],
        rout_lat[window],
        rout_lon[window],
        _smoke_gauges(whole.gauges, basin, inside),
        boxes,
        box_of_cell,
        np.where(inside, whole.subbasins, 0)[window],
    )


def network(geography: Geography) -> Basin:
    """The D8 network as packed cells, for upstream areas, ranks and catchments."""
    place = geography
    return _pack(place.lat, place.lon, place.mask, place.area, place.rout_lat, place.rout_lon)


def upstream_area(geography: Geography) -> np.ndarray:
    """Area drained by each cell, its own included, km2, 0 outside the basin, (lat, lon)."""
    return _drained(network(geography))


def cell_areas(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Areas of the cells of a regular grid on a sphere of 6,371 km, m2, (lat, lon)."""
    half, width = abs(lat[1] - lat[0]) / 2, np.radians(abs(lon[1] - lon[0]))
    strip = np.sin(np.radians(lat + half)) - np.sin(np.radians(lat - half))
    return np.repeat(RADIUS**2 * width * strip[:, None], len(lon), axis=1)


def _read(path: Path, columns: list[str]) -> pd.DataFrame:
    table = pd.read_csv(path)
    missing = [name for name in columns if name not in table]
    if missing:
        raise InputError(
            f"{path}: column {missing[0]} is missing; expected {', '.join(columns)}, "
            f"found {', '.join(table.columns)}"
        )
    numbers = [name for name in columns if name in _NUMBERS]
    try:
        return table.astype(dict.fromkeys(numbers, float))
    except ValueError as error:
        raise InputError(f"{path}: {error}; expected numbers in {', '.join(numbers)}") from error


def _cells(lat, lon, source: str) -> np.ndarray:
    """Flat index of the cells with these centres."""
    row, column = (LAT[0] - np.asarray(lat)) / STEP, (np.asarray(lon) - LON[0]) / STEP
    good = np.isin(row, np.arange(SHAPE[0])) & np.isin(column, np.arange(SHAPE[1]))
    if not good.all():
        bad = int(np.argmin(good))
        raise InputError(
            f"{source}: lat {np.asarray(lat)[bad]:g}, lon {np.asarray(lon)[bad]:g} is not the "
            f"centre of a cell; expected lat {LAT[0]:g} to {LAT[-1]:g} and lon {LON[0]:g} to "
            f"{LON[-1]:g} in steps of {STEP:g}"
        )
    return (row * SHAPE[1] + column).astype(int)


def _place(cell: int) -> str:
    row, column = divmod(int(cell), SHAPE[1])
    return f"lat {LAT[row]:g}, lon {LON[column]:g}"


def _inside(outline: pd.DataFrame) -> np.ndarray:
    """True where at least half of a cell lies inside the outline, (lat, lon)."""
    polygon, half = shapely.Polygon(outline[["lon", "lat"]].to_numpy()), STEP / 2
    lon, lat = np.meshgrid(LON, LAT)
    squares = shapely.box(lon - half, lat - half, lon + half, lat + half)
    share = shapely.area(shapely.intersection(squares, polygon)) / STEP**2
    return share >= 0.5 - 1e-9  # 26 cells are cut exactly in half: rounding must not decide


def _courses(rivers: pd.DataFrame, mask: np.ndarray) -> np.ndarray:
    """Next cell down a river course, -1 where no course runs, (cell,); larger rivers go first."""
    down, inside = np.full(mask.size, -1), mask.ravel()
    order = rivers.sort_values(["area_1000km2", "river", "point"], ascending=[False, True, True])
    for number, river in order.groupby("river", sort=False):
        points = np.divmod(_cells(river.lat, river.lon, f"rivers.csv, river {number}"), SHAPE[1])
        course = np.ravel_multi_index(_chain(np.transpose(points)).T, SHAPE)
        for here, below in pairwise(course):
            if down[here] < 0 and inside[here] and inside[below]:
                down[here] = below
    return down


def _chain(points: np.ndarray) -> np.ndarray:
    """Fill the straight lines between (row, column) points with cells that touch."""
    cells = [points[:1]]
    for start, end in pairwise(points):
        steps = max(abs(end - start).max(), 1)
        step = np.arange(1, steps + 1)[:, None]
        cells.append(start + (2 * step * (end - start) + steps) // (2 * steps))
    return np.concatenate(cells)


def _first_guess(mask: np.ndarray, course: np.ndarray, climate: pd.DataFrame) -> np.ndarray:
    """Target of every cell, own index outside the basin and at the mouth, (lat, lon).

    The shortest paths from the mouth up: next to nothing along the courses, elsewhere the way in
    degrees, dearer uphill, between heights interpolated from the 3-degree boxes. Shortest paths
    form a tree, so water never circles.
    """
    here, below = _neighbours(mask)
    allowed = (course[here] < 0) | (course[here] == below)
    here, below = here[allowed], below[allowed]
    lon, lat = (field.ravel() for field in np.meshgrid(LON, LAT))
    boxes = climate[["lat", "lon"]].to_numpy()
    height = RBFInterpolator(boxes, climate.elevation_m.to_numpy(float), kernel="linear")
    height = height(np.column_stack([lat, lon]))
    narrow = np.cos(np.radians((lat[here] + lat[below]) / 2))
    way = np.hypot(lat[here] - lat[below], (lon[here] - lon[below]) * narrow)
    cost = way * (1 + CLIMB * np.maximum(0, height[below] - height[here]))
    cost[course[here] == below] = 1e-6
    graph = csr_array((cost, (below, here)), shape=(mask.size, mask.size))
    mouth = _cells([MOUTH[0]], [MOUTH[1]], "the mouth")[0]
    distance, before = dijkstra(graph, indices=mouth, return_predecessors=True)
    lost = mask.ravel() & ~np.isfinite(distance)
    if lost.any():
        raise InputError(
            f"rivers.csv or corrections.csv: no way leads from {_place(int(np.argmax(lost)))} to "
            f"the mouth; expected every cell of the basin to reach {_place(mouth)}"
        )
    return np.where(before < 0, np.arange(mask.size), before).reshape(SHAPE)


def _neighbours(mask: np.ndarray) -> tuple[np.ndarray, ...]:
    """All pairs of basin cells that touch, as two arrays of flat indices."""
    row, column = np.nonzero(mask)
    pairs = []
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            r, c = row + down, column + right
            kept = (r >= 0) & (r < SHAPE[0]) & (c >= 0) & (c < SHAPE[1]) & bool(down or right)
            kept[kept] = mask[r[kept], c[kept]]
            pairs.append(((row * SHAPE[1] + column)[kept], (r * SHAPE[1] + c)[kept]))
    return tuple(map(np.concatenate, zip(*pairs, strict=True)))


def _changes(corrections: pd.DataFrame) -> dict[str, np.ndarray]:
    """Cells to add and drop, and (cell, new target) pairs, checked one by one."""
    source = "corrections.csv"
    what = corrections.what
    unknown = corrections[~what.isin(["add", "drop", "target"])]
    if len(unknown):
        raise InputError(
            f"{source}: what is '{unknown.what.iloc[0]}' in line {unknown.index[0] + 2}; "
            "expected add, drop or target"
        )
    cell = _cells(corrections.lat, corrections.lon, source)
    twice = corrections.duplicated(["lat", "lon"]).to_numpy()
    if twice.any():
        raise InputError(f"{source}: {_place(cell[twice][0])} is corrected twice; expected once")
    moved = corrections[what == "target"]
    to = _cells(moved.to_lat, moved.to_lon, f"{source}, target")
    reach = np.maximum(abs(moved.lat - moved.to_lat), abs(moved.lon - moved.to_lon)).to_numpy()
    if (reach != STEP).any():
        bad = int(np.argmax(reach != STEP))
        raise InputError(
            f"{source}: the target of {_place(cell[what == 'target'][bad])} is {_place(to[bad])}; "
            "expected one of its eight neighbours"
        )
    return {
        "add": cell[what == "add"],
        "drop": cell[what == "drop"],
        "target": np.column_stack([cell[what == "target"], to]),
    }


def _correct_mask(mask: np.ndarray, changes: dict[str, np.ndarray]) -> np.ndarray:
    """Add and drop cells; one that stands so already is an error, it would hide a stale row."""
    mask = mask.copy()
    for what, state in (("add", True), ("drop", False)):
        cells = changes.get(what, np.array([], int))
        if (mask.flat[cells] == state).any():
            stale = cells[mask.flat[cells] == state][0]
            raise InputError(
                f"corrections.csv: {what} names {_place(stale)}, which is "
                f"{'inside' if state else 'outside'} the basin already"
            )
        mask.flat[cells] = state
    return mask


def _correct_target(target, mask, changes) -> np.ndarray:
    """Give cells their new targets, both inside the basin."""
    pairs = changes.get("target", np.empty((0, 2), int))
    outside = pairs[~mask.flat[pairs.ravel()].reshape(pairs.shape).all(axis=1)]
    if len(outside):
        raise InputError(
            f"corrections.csv: {_place(outside[0, 0])} shall drain to {_place(outside[0, 1])}; "
            "expected both inside the basin"
        )
    target = target.copy()
    target.flat[pairs[:, 0]] = pairs[:, 1]
    return target


def _pack(lat, lon, mask, area, rout_lat, rout_lon) -> Basin:
    """Pack the network; refuses cycles."""
    fields = {"lsm": mask.astype(float), "area": area, "rout_lat": rout_lat, "rout_lon": rout_lon}
    grid = {name: (("lat", "lon"), field) for name, field in fields.items()}
    return Basin.from_landsurface(xr.Dataset(grid, {"lat": lat, "lon": lon}), "corrections.csv")


def _drained(basin: Basin) -> np.ndarray:
    """Drained area, km2, 0 outside the basin, (lat, lon)."""
    return basin.unpack(basin.upstream_area / 1e6, 0.0)


def _gauges(stations: pd.DataFrame, basin: Basin) -> pd.DataFrame:
    """Give each gauge its cell, or the neighbour that drains the published area.

    The cell that holds the gauge is kept when its drained area is within SNAP_TOLERANCE of the
    published one. Else the gauge goes to the nearest of the eight neighbours that is, or to the
    one that comes closest if none is. No two gauges share a cell; the larger choose first.
    """
    drained = _drained(basin)
    chosen: dict[int, tuple[int, int]] = {}
    for gauge in stations.sort_values("area_km2", ascending=False, kind="stable").itertuples():
        near = [at for at in _around(gauge.lat, gauge.lon) if at not in chosen.values()]
        ratio = np.array([max(drained[at], 1) / gauge.area_km2 for at in near])
        within = np.flatnonzero(abs(ratio - 1) <= SNAP_TOLERANCE)
        chosen[gauge.Index] = near[within[0] if len(within) else abs(np.log(ratio)).argmin()]
    row, column = np.transpose([chosen[gauge] for gauge in stations.index])
    apart = np.maximum(abs(LAT[row] - stations.lat), abs(LON[column] - stations.lon))
    return stations[["station", "river", "grdc_id", "lat", "lon"]].assign(
        cell_lat=LAT[row],
        cell_lon=LON[column],
        snapped=apart > STEP / 2,
        area_km2=stations.area_km2,
        area_network_km2=drained[row, column],
        error=drained[row, column] / stations.area_km2 - 1,
    )


def _around(lat: float, lon: float) -> list[tuple[int, int]]:
    """The cell that holds a point, then its neighbours on the grid, nearest centre first."""
    row, column = int((LAT[0] - lat) / STEP + 0.5), int((lon - LON[0]) / STEP + 0.5)
    cells = [
        (r, c)
        for r in range(max(0, row - 1), min(SHAPE[0], row + 2))
        for c in range(max(0, column - 1), min(SHAPE[1], column + 2))
    ]
    return sorted(
        cells,
        key=lambda at: (at != (row, column), np.hypot(LAT[at[0]] - lat, LON[at[1]] - lon)),
    )


def _smoke_gauges(gauges: pd.DataFrame, basin: Basin, inside: np.ndarray) -> pd.DataFrame:
    """The Amazon's gauges inside the smoke basin, and the made-up one."""
    cells = [basin.cell_at(*place) for place in zip(gauges.cell_lat, gauges.cell_lon, strict=True)]
    held = inside[basin.row[cells], basin.col[cells]]
    lat, lon = SMOKE_GAUGE
    drained = basin.upstream_area[basin.cell_at(lat, lon)] / 1e6
    made_up = {
        "station": "smoke gauge 1",
        "river": "IRIRI, RIO",
        "grdc_id": 0,
        "lat": lat,
        "lon": lon,
        "cell_lat": lat,
        "cell_lon": lon,
        "snapped": False,
        "area_km2": drained,
        "area_network_km2": drained,
        "error": 0.0,
    }
    return pd.concat([gauges[held], pd.DataFrame([made_up])], ignore_index=True)


def _boxes(lat, lon, mask, least_share: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Boxes on multiples of 3 degrees with at least this share of their cells in the basin."""
    row, column = np.nonzero(mask)
    centre = [np.floor(at / BOX) * BOX + BOX / 2 for at in (lat[row], lon[column])]
    cells = pd.DataFrame({"lat": centre[0], "lon": centre[1]})
    boxes = cells.groupby(["lat", "lon"]).size().rename("cells").reset_index()
    boxes = boxes[boxes.cells >= least_share * (BOX / STEP) ** 2]
    boxes = boxes.sort_values(["lat", "lon"], ascending=[False, True], ignore_index=True)
    number = cells.merge(boxes.reset_index(names="number"), how="left", on=["lat", "lon"]).number
    box_of_cell = np.full(mask.shape, -1)
    box_of_cell[row, column] = number.fillna(-1).astype(int)
    boxes.index = pd.Index([f"box_{n:02d}" for n in range(1, len(boxes) + 1)], name="box")
    return boxes, box_of_cell


def _subbasins(gauges: pd.DataFrame, basin: Basin) -> np.ndarray:
    """Catchments above the gauges of SUBBASINS; one inside another is taken out of the larger."""
    cells = gauges.set_index("grdc_id")
    catchments = {}
    for number, (_, grdc_id) in SUBBASINS.items():
        if grdc_id not in cells.index:
            raise InputError(f"stations.csv: grdc_id {grdc_id} is missing; a sub-basin ends there")
        gauge = cells.loc[grdc_id]
        catchments[number] = basin.catchment(basin.cell_at(gauge.cell_lat, gauge.cell_lon))
    subbasins = np.zeros(basin.size, int)
    for number in sorted(catchments, key=lambda number: -catchments[number].sum()):
        subbasins[catchments[number]] = number
    return basin.unpack(subbasins, 0)
