"""The basin: which cells belong, where they lie and where their water goes.

Only active cells are computed. They are packed into one axis, ``cell``, in the order of rows; a
table of each cell's upstream neighbours replaces the grid for routing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, overload

import numpy as np
import xarray as xr

from hybridlib.study.schema import InputError, land_fraction, turned

if TYPE_CHECKING:
    import pyflwdir

WHOLE = 0.01
"""Largest share by which the area of a whole cell may differ from that of its coordinates."""
AXES = {
    "lat": {"units": "degrees_north", "standard_name": "latitude", "long_name": "latitude"},
    "lon": {"units": "degrees_east", "standard_name": "longitude", "long_name": "longitude"},
}
"""CF attributes of latitudes and longitudes."""


@dataclass(frozen=True)
class Basin:
    """Active cells of a regular grid and the D8 network that links them.

    Attributes:
        lat: latitudes of the rows, degrees north, shape (lat,).
        lon: longitudes of the columns, degrees east, shape (lon,).
        row: row of each cell, shape (cell,).
        col: column of each cell, shape (cell,).
        area: land area, m2, shape (cell,); 0 for a sea cell that only receives a river.
        downstream: index of the cell that receives the outflow, own index at a sink, (cell,).
    """

    lat: np.ndarray
    lon: np.ndarray
    row: np.ndarray
    col: np.ndarray
    area: np.ndarray
    downstream: np.ndarray

    @classmethod
    def from_landsurface(cls, landsurface: xr.Dataset, source: str = "land surface") -> Basin:
        """Pack the land cells of a land-surface dataset and the sea cells their rivers end in.

        Args:
            landsurface: ``lsm``, ``area`` (m2), ``rout_lat``, ``rout_lon``, (lat, lon); a
                ``glacier`` fraction, where given, is no land (as in HydroPy).
            source: the file's name, for messages.

        Raises:
            InputError: no land, a target off the grid, a pit outside the sinks, a cycle.
        """
        fraction = land_fraction(landsurface)
        land = fraction > 0
        if not land.any():
            raise InputError(f"{source}: lsm has no land; expected at least one cell above 0")
        area = np.asarray(landsurface["area"], float)
        if not (area[land] > 0).all():
            raise InputError(f"{source}: area is not above 0 m2 in every land cell")
        target_row, target_col = _targets(landsurface, land, source)
        lat, lon = np.asarray(landsurface["lat"], float), np.asarray(landsurface["lon"], float)
        _refuse_jumps(landsurface, land, (target_row, target_col), source)
        active = land.copy()
        while not active[receives := (target_row[active], target_col[active])].all():
            active[receives] = True  # a cell without land that a river passes or ends in
            _refuse_lost_rivers(active & ((target_row < 0) | (target_col < 0)), landsurface, source)
        index = np.full(land.shape, -1)
        index[active] = np.arange(active.sum())
        row, col = np.nonzero(active)
        downstream = index[target_row[active], target_col[active]]
        land_area = np.where(land, area * fraction, 0.0)[active]
        basin = cls(lat, lon, row, col, land_area, downstream)
        basin._refuse_cycles(source)
        return basin

    def _refuse_cycles(self, source: str) -> None:
        if self.sink.any() and (self.size == 1 or self.network.isvalid):
            return
        lost = ~self.sink if not self.sink.any() else self.network.rank < 0
        cell = int(np.argmax(lost))
        raise InputError(
            f"{source}: rout_lat, rout_lon run in a cycle that holds or follows the cell at "
            f"lat {self.lat[self.row[cell]]:g}, lon {self.lon[self.col[cell]]:g}; "
            "expected every cell to reach a sink"
        )

    @property
    def size(self) -> int:
        """Number of active cells."""
        return len(self.row)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return len(self.lat), len(self.lon)

    @property
    def land(self) -> np.ndarray:
        """True for cells with land, shape (cell,)."""
        return self.area > 0

    @property
    def sink(self) -> np.ndarray:
        """True where water leaves the domain, shape (cell,)."""
        return self.downstream == np.arange(self.size)

    @cached_property
    def network(self) -> pyflwdir.Flwdir:
        """The network as pyflwdir sees it, for upstream areas, ranks and catchments."""
        import pyflwdir  # here: it loads numba, and most readings of a study need no network

        return pyflwdir.Flwdir(self.downstream.astype(np.int32))

    @cached_property
    def upstream(self) -> np.ndarray:
        """Cells that drain into each cell, padded with ``size``, shape (cell, most neighbours)."""
        sender = np.flatnonzero(~self.sink)
        order = sender[np.argsort(self.downstream[sender], kind="stable")]
        count = np.bincount(self.downstream[sender], minlength=self.size)
        table = np.full((self.size, max(1, count.max())), self.size)
        place = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
        table[self.downstream[order], place] = order
        return table

    @cached_property
    def upstream_area(self) -> np.ndarray:
        """Area drained by each cell, its own included, m2, shape (cell,)."""
        if self.size == 1:
            return self.area.copy()
        return self.network.accuflux(self.area)

    def catchment(self, cell: int) -> np.ndarray:
        """True for every cell whose water passes ``cell``, itself included, shape (cell,)."""
        marked = np.zeros(self.size, np.int32)
        marked[cell] = 1
        if self.size == 1:
            return marked > 0
        return self.network.fillnodata(marked, nodata=0, direction="up") > 0

    def cell_at(self, lat: float, lon: float, source: str = "a place") -> int:
        """Return the cell that holds a point.

        Raises:
            InputError: the point lies outside the grid or outside the basin.
        """
        east = turned(lon, (self.lon[0] + self.lon[-1]) / 2.0)
        row, col = int(np.abs(self.lat - lat).argmin()), int(np.abs(self.lon - east).argmin())
        here = np.flatnonzero((self.row == row) & (self.col == col))
        off_grid = abs(self.lat[row] - lat) > _half_step(self.lat) or abs(
            self.lon[col] - east
        ) > _half_step(self.lon)
        if off_grid or not here.size or not self.land[here[0]]:
            raise InputError(
                f"{source}: lat {lat:g}, lon {lon:g} lies outside the basin "
                f"(lat {self.lat.min():g} to {self.lat.max():g}, "
                f"lon {self.lon.min():g} to {self.lon.max():g}, {self.size} cells)"
            )
        return int(here[0])

    def describe(self, cell: int) -> str:
        """Say where a cell lies, for messages."""
        return f"at lat {self.lat[self.row[cell]]:g}, lon {self.lon[self.col[cell]]:g}"

    def pack(self, field) -> np.ndarray:
        """Take the active cells out of a grid: (…, lat, lon) to (…, cell)."""
        return np.asarray(field)[..., self.row, self.col]

    @property
    def cells(self) -> dict[str, tuple]:
        """Coordinates of the axis ``cell``: latitude, longitude and land area."""
        area = {"units": "m2", "long_name": "land area"}
        return {
            "cell": ("cell", np.arange(self.size), {"long_name": "place among the basin's cells"}),
            "lat": ("cell", self.lat[self.row], AXES["lat"]),
            "lon": ("cell", self.lon[self.col], AXES["lon"]),
            "area": ("cell", self.area, area),
        }

    @overload
    def on_grid(self, data: xr.Dataset, **attrs) -> xr.Dataset: ...
    @overload
    def on_grid(self, data: xr.DataArray | np.ndarray, **attrs) -> xr.DataArray: ...

    def on_grid(self, data, **attrs):
        """Lay cells on the grid: the axis ``cell`` becomes ``lat, lon``, NaN where no cell is.

        Args:
            data: labelled, (…, cell), or bare values, (cell,): of all cells, of those with land,
                or of those that a coordinate ``cell`` tells. What has no cells stays as it is.
            **attrs: such as units and long_name; those of the data by default.

        Raises:
            InputError: cells of which it is not known where they lie.
        """
        if isinstance(data, xr.Dataset):
            laid = {name: self.on_grid(field, **attrs) for name, field in data.items()}
            grid = xr.Dataset(laid, attrs=data.attrs)
            return grid.assign_coords(area=self.on_grid(data.area)) if "area" in data else grid
        if not isinstance(data, xr.DataArray):
            data = xr.DataArray(data, dims="cell")
        if "cell" not in data.dims:
            return data
        at = data.indexes.get("cell")
        if at is None:
            given, known = data.sizes["cell"], (np.arange(self.size), np.flatnonzero(self.land))
            at = next((cells for cells in known if len(cells) == given), None)
        if at is None:
            expected = f"{self.size}, the {len(known[1])} with land, or a coordinate cell"
            raise InputError(f"{given} cells to lay on the grid; expected {expected}")
        data = data.drop_vars([n for n in data.coords if "cell" in data[n].dims])
        data = data.transpose(..., "cell")
        values = np.full((*data.shape[:-1], *self.shape), np.nan, np.result_type(data, np.float32))
        values[..., self.row[at], self.col[at]] = data
        axes = {"lat": ("lat", self.lat, AXES["lat"]), "lon": ("lon", self.lon, AXES["lon"])}
        dims = (*data.dims[:-1], "lat", "lon")
        return xr.DataArray(values, {**data.coords, **axes}, dims, data.name, data.attrs | attrs)

    def unpack(self, values, fill: float = np.nan) -> np.ndarray:
        """Lay packed cells back on the grid: (…, cell) to (…, lat, lon), ``fill`` elsewhere."""
        values = np.asarray(values)
        grid = np.full((*values.shape[:-1], *self.shape), fill, values.dtype)
        grid[..., self.row, self.col] = values
        return grid


def _half_step(coordinate: np.ndarray) -> float:
    return 0.5001 * abs(np.diff(coordinate)).max() if len(coordinate) > 1 else np.inf


def _refuse_lost_rivers(lost: np.ndarray, landsurface, source: str) -> None:
    """Refuse a cell without land that a river reaches and that names no target."""
    if lost.any():
        row, col = np.argwhere(lost)[0]
        raise InputError(
            f"{source}: a river reaches the cell at lat {float(landsurface.lat[row]):g}, lon "
            f"{float(landsurface.lon[col]):g}, which has no land and no target; expected rivers to "
            "end in a sink (rout_lat, rout_lon naming the cell itself)"
        )


def _targets(landsurface, land, source) -> tuple[np.ndarray, np.ndarray]:
    """Read the target row and column of every cell; cells without land may lack them."""
    targets = []
    for name, size in zip(("rout_lat", "rout_lon"), land.shape, strict=True):
        values = np.asarray(landsurface[name], float)
        off = land & ~((values >= 0) & (values < size) & (values == np.round(values)))
        if off.any():
            row, col = np.argwhere(off)[0]
            raise InputError(
                f"{source}: {name} is {values[row, col]:g} in row {row}, column {col}; "
                f"expected a whole number from 0 to {size - 1} on the grid"
            )
        usable = (values >= 0) & (values < size)
        targets.append(np.where(usable, values, -1).astype(int))
    return targets[0], targets[1]


def _refuse_jumps(landsurface, land, targets, source: str) -> None:
    """Refuse rivers into a cell that is no neighbour; around the globe the first column is one."""
    lat, lon = np.asarray(landsurface["lat"], float), np.asarray(landsurface["lon"], float)
    step = abs(np.diff(lon)).mean() if len(lon) > 1 else 0.0
    around = len(lon) if len(lon) * step > 359.9 else 0

    def jumps(row, col):
        rows, cols = np.indices(land.shape)
        west_east = abs(col - cols)
        if around:
            west_east = np.minimum(west_east, around - west_east)
        return land & ((abs(row - rows) > 1) | (west_east > 1))

    far = jumps(*targets)
    if not far.any():
        return
    row, col = targets
    readings = {
        " (they count from 1?)": (row - 1, col - 1),
        " (rout_lat and rout_lon exchanged?)": (col, row),
        " (rows counted from the other end?)": (land.shape[0] - 1 - row, col),
    }
    hint = next((words for words, other in readings.items() if not jumps(*other).any()), "")
    cells = ", ".join(
        f"lat {lat[r]:g}, lon {lon[c]:g} to lat {lat[row[r, c]]:g}, lon {lon[col[r, c]]:g}"
        for r, c in np.argwhere(far)[:3]
    )
    raise InputError(
        f"{source}: rout_lat, rout_lon name cells that are no neighbours: {cells}; expected one of "
        f"the eight around a cell, or itself; cells like this: {int(far.sum())} of "
        f"{int(land.sum())}{hint}"
    )
