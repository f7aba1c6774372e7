"""Run HydroPyNN on files: HydroPy's layout in, HydroPy's variables out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import xarray as xr

from hybridlib import __version__
from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.land import Weather
from hybridlib.hydropy.model import BLOCK, STORES, VARIABLES, HydroPyNN, known_variables
from hybridlib.hydropy.parameters import largest_cut
from hybridlib.hydropy.processes import LIQUID_SHARE, SKIN_CAPACITY
from hybridlib.hydropy.routing import MOST_RESERVOIRS
from hybridlib.hydropy.step import State
from hybridlib.study import report, schema
from hybridlib.study.basin import WHOLE, Basin
from hybridlib.study.files import alone, refuse_special, written_whole
from hybridlib.study.landsurface import pack_landsurface
from hybridlib.study.prepare import check_forcing
from hybridlib.study.reading import load, read, set_noise_right, values_of
from hybridlib.study.report import Report
from hybridlib.study.schema import FLUX, SECONDS_PER_DAY, InputError
from hybridlib.study.stamps import check_daily
from hybridlib.study.store import Study

_FLOW, _STORE, _VOLUME, _SHARE = "m3 s-1", "kg m-2", "m3", "/"
OUTPUT = {
    "precip": (FLUX, "Total precipitation"),
    "rainf": (FLUX, "Rainfall"),
    "snowf": (FLUX, "Snowfall"),
    "smelt": (FLUX, "Snowmelt"),
    "rainmelt": (FLUX, "Rainfall and snowmelt"),
    "throu": (FLUX, "Throughfall onto ground"),
    "evap": (FLUX, "Evapotranspiration"),
    "potevap": (FLUX, "Potential evapotranspiration"),
    "transp": (FLUX, "Plant transpiration"),
    "sevap": (FLUX, "Bare soil evaporation"),
    "levap": (FLUX, "Lake evaporation"),
    "canoevap": (FLUX, "Canopy evaporation"),
    "skinevap": (FLUX, "Skin evaporation"),
    "qs": (FLUX, "Surface runoff"),
    "qsb": (FLUX, "Subsurface drainage"),
    "qtot": (FLUX, "Total runoff: surface runoff and subsurface drainage"),
    "qsl": (FLUX, "Overland flow into river"),
    "qg": (FLUX, "Groundwater runoff"),
    "rivdis": (_FLOW, "River inflow from upstream cells"),
    "dis": (_FLOW, "River discharge (outflow); at a sink what leaves the domain"),
    "freshwater": (_FLOW, "River discharge that leaves the domain"),
    "tws": (_STORE, "Total water storage"),
    "flake": (_SHARE, "Surface water fraction"),
    "fveg": (_SHARE, "Vegetation fraction"),
    "fbare": (_SHARE, "Bare soil fraction"),
    "swe": (_STORE, "Snow water equivalent"),
    "wliq": (_STORE, "Snow liquid water content"),
    "rootmoist": (_STORE, "Root zone soil moisture"),
    "skinstor": (_STORE, "Skin reservoir"),
    "canopystor": (_STORE, "Canopy reservoir"),
    "lakestor": (_STORE, "Surface water storage"),
    "groundwstor": (_STORE, "Groundwater storage"),
    "riverstor": (_VOLUME, "Riverflow storage"),
    "infl_subtime": (_VOLUME, "Inflow from upstream cell"),
}
"""HydroPy's units and long name of every variable of a run."""
DRIVERS = ("pr", "tas", "evspsblpot")
"""The forcing a run needs, in the order of :meth:`hybridlib.hydropy.model.HydroPyNN.weather`."""
CHUNK = 30
"""Days that lie together in an output file."""


def per_second(name: str) -> float:
    """Factor from a run's units (mm d-1, m3 d-1) to a file's (kg m-2 s-1, m3 s-1)."""
    return 1.0 / SECONDS_PER_DAY if OUTPUT[name][0] in (FLUX, _FLOW) else 1.0


def labelled(model: HydroPyNN, series: dict[str, np.ndarray], days) -> xr.Dataset:
    """Give a run's series their names, units and places.

    Args:
        model: that ran.
        series: of :meth:`~hybridlib.hydropy.model.HydroPyNN.run`.
        days: of the series, pandas.DatetimeIndex.

    Returns:
        (time, cell), riverstor also by reservoir; fluxes in mm d-1, stores in mm, flows in m3 s-1.
    """
    units = {FLUX: "mm d-1", _STORE: "mm", _SHARE: "1"}
    found = {}
    for name, values in series.items():
        unit, long_name = OUTPUT[name]
        values = values / np.float32(SECONDS_PER_DAY) if unit == _FLOW else values
        dims = ("time", "reservoir", "cell") if values.ndim == 3 else ("time", "cell")
        found[name] = dims, values, {"units": units.get(unit, unit), "long_name": long_name}
    return xr.Dataset(found, {"time": days, **model.basin.cells})


def study_model(study: Study, dtype: str = "float32", **options) -> HydroPyNN:
    """HydroPyNN on a study's land surface, its lags from the cells' true lengths.

    Args:
        study: the prepared study.
        dtype: "float32" or "float64".
        **options: of :meth:`~hybridlib.hydropy.model.HydroPyNN.from_landsurface`.
    """
    options = {"zonal_length": "geometric", **options}
    return HydroPyNN.from_landsurface(
        study.landsurface.load(), dtype, source=str(study.path), **options
    )


def study_weather(study: Study, model: HydroPyNN, days: slice = slice(None)) -> Weather:
    """A study's weather, packed for a model.

    Args:
        study: the prepared study.
        model: from :func:`study_model`.
        days: labels of the first and last day, as for xarray's ``sel``.

    Raises:
        InputError: weather that is missing over land or out of range.
    """
    forcing = study.forcing[list(DRIVERS)].sel(time=days)
    time, fields = forcing.indexes["time"], {n: model.basin.pack(forcing[n]) for n in DRIVERS}
    for name, values in fields.items():
        check_forcing(values, name, model.basin, time, str(study.path))
    return model.weather(fields["pr"], fields["tas"], fields["evspsblpot"], time)


def simulate(
    landsurface: Path,
    forcing: Path,
    output: Path,
    dtype: str = "float64",
    variables: Iterable[str] = VARIABLES,
    restart_in: Path | None = None,
    restart_out: Path | None = None,
    any_date: bool = False,
    progress: Callable[[int, int], None] | None = None,
    note: Callable[[str], None] | None = None,
    **options,
) -> Report:
    """Run HydroPyNN from HydroPy's own input files to a file in HydroPy's layout.

    Forcing is read, run and written in blocks of a year, so memory does not grow with time; all of
    it is checked before the first day runs. The output appears under its name only when it is
    complete.

    Args:
        landsurface: NetCDF with HydroPy's land-surface variables.
        forcing: NetCDF with TSurf, Precip, PET (or tas, pr, evspsblpot), daily.
        output: NetCDF to write; (time, lat, lon), riverstor also by reservoir.
        dtype: "float32" or "float64".
        variables: what to write, from :data:`OUTPUT`.
        restart_in: stores to start from, written by ``restart_out``; empty stores by default.
        restart_out: where to keep the stores after the last day.
        any_date: accept stores that do not belong to the day before the first one.
        progress: called with days done and days in all.
        note: called with a sentence on where the lengths of reaches come from.
        **options: of :meth:`~hybridlib.hydropy.model.HydroPyNN.from_landsurface`; zonal_length is
            "auto" by default.

    Returns:
        What was found in the files, such as means, what was set right and what is odd.

    Raises:
        InputError: any input that cannot be used.
    """
    variables = known_variables(variables)
    if not variables:
        raise InputError(f"no variable is asked for; expected some of: {' '.join(VARIABLES)}")
    outputs = [output] if restart_out is None else [output, restart_out]
    _check_targets(outputs, [landsurface, forcing], restart_in)
    found = Report()
    land, weather = load(read(landsurface), landsurface, found), read(forcing)
    options = {"zonal_length": "auto", **options}
    model = HydroPyNN.from_landsurface(land, dtype, source=str(landsurface), **options)
    if note is not None and options["zonal_length"] == "auto":
        cut = largest_cut(land, model.basin)
        where = "the coordinates" if cut > WHOLE else "the areas, as the original takes them"
        note(f"lengths of reaches from {where}: a cell's area is off its coordinates' by {cut:.1%}")
    schema.check_same_grid(land, weather, (str(landsurface), str(forcing)))
    days = check_daily(weather, str(forcing), found)
    chosen = schema.select(weather, schema.FORCING, DRIVERS, str(forcing)).assign_coords(time=days)
    _judge_land(land, model.basin, landsurface, found)
    _judge_weather(chosen, model.basin, forcing, found)
    state = model.empty_state()
    if restart_in is not None:
        state = read_restart(restart_in, model, None if any_date else days[0])
    with (
        alone(output),
        written_whole(output) as part,
        _OutputFile(part, model, days, variables) as file,
    ):
        for start in range(0, len(days), BLOCK):
            stop = min(start + BLOCK, len(days))
            block = _weather_block(chosen.isel(time=slice(start, stop)), model, forcing)
            state, series = model.run(block, state=state, variables=variables)
            file.append(start, series)
            if progress is not None:
                progress(stop, len(days))
    if restart_out is not None:
        write_restart(restart_out, state, model, days[-1])
    return found


def _judge_land(raw: xr.Dataset, basin: Basin, source: Path, found: Report) -> None:
    land = schema.select_landsurface(raw, str(source))
    packed = pack_landsurface(land, basin, str(source))
    report.judge_land(found, packed, land, basin, str(source))


def _judge_weather(forcing: xr.Dataset, basin: Basin, source: Path, found: Report) -> None:
    """Check every day before the first one runs, and judge rain and demand over all of them."""
    sums, set_right = np.zeros((2, basin.size)), dict.fromkeys(DRIVERS, 0)
    for start in range(0, forcing.sizes["time"], BLOCK):
        block = forcing.isel(time=slice(start, start + BLOCK))
        fields, counts = _drivers(block, basin, source)
        sums += [fields["pr"].sum(axis=0), fields["evspsblpot"].sum(axis=0)]
        set_right = {name: set_right[name] + counts[name] for name in DRIVERS}
    for name in (name for name in DRIVERS if set_right[name]):
        found.note(f"{source}: {name} is a little below 0 in {set_right[name]} places: set to 0")
    days = forcing.sizes["time"]
    rain, demand = (report.annual(total[None] / days) for total in sums)
    report.judge_climate(found, rain, demand, days, basin, str(source))


def _drivers(forcing: xr.Dataset, basin: Basin, source: Path):
    """A block's weather, checked, (time, cell), and how many values of each were set right."""
    days, fields, counts = forcing.indexes["time"], {}, {}
    for name in DRIVERS:
        with values_of(source):
            values = basin.pack(forcing[name]).astype(float)
        # A sea cell that only receives a river has no weather of its own.
        values = np.where(basin.land, values, 280.0 if name == "tas" else 0.0)
        fields[name], counts[name] = set_noise_right(name, values)
        check_forcing(fields[name], name, basin, days, str(source))
    return fields, counts


def _weather_block(forcing: xr.Dataset, model: HydroPyNN, source: Path) -> Weather:
    fields, _ = _drivers(forcing, model.basin, source)
    days = forcing.indexes["time"]
    return model.weather(fields["pr"], fields["tas"], fields["evspsblpot"], days)


def _check_targets(outputs: list[Path], inputs: list[Path], restart_in: Path | None) -> None:
    """Refuse outputs that cannot be written or would replace what is read or written elsewhere."""
    taken = {Path(path).resolve() for path in inputs}
    for k, path in enumerate(map(Path, outputs)):
        # Stores may be continued in place: they are read before anything is written.
        if path.resolve() in taken or (
            k == 0 and restart_in is not None and path.resolve() == Path(restart_in).resolve()
        ):
            raise InputError(f"{path}: is an input or another output of this run; name another")
        refuse_special(path)
        if not path.parent.is_dir():
            raise InputError(f"{path}: the folder {path.parent} does not exist")
        taken.add(path.resolve())


class _OutputFile:
    """A NetCDF file on the basin's grid that grows along time."""

    def __init__(self, path: Path, model: HydroPyNN, days: pd.DatetimeIndex, variables):
        self.basin, self.variables = model.basin, variables
        try:
            self.file = netCDF4.Dataset(path, "w")
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from None
        self._coordinates(days)
        for name in variables:
            units, long_name = OUTPUT[name]
            river = name == "riverstor"
            dims = ("time", "res", "lat", "lon") if river else ("time", "lat", "lon")
            kind = model.dtype.as_numpy_dtype
            sizes = [len(self.file.dimensions[dim]) for dim in dims[1:]]
            field = self.file.createVariable(
                name,
                kind,
                dims,
                fill_value=np.nan,
                chunksizes=[CHUNK, *sizes],
                compression="zlib",
                complevel=1,
            )
            field.setncatts({"units": units, "long_name": long_name})

    def _coordinates(self, days: pd.DatetimeIndex) -> None:
        self.file.setncatts(
            {"Conventions": "CF-1.8", "source": f"HydroPyNN of hybridlib {__version__}"}
        )
        axes = {
            "time": (days - days[0]).days.to_numpy(),
            "lat": self.basin.lat,
            "lon": self.basin.lon,
            **({"res": np.arange(MOST_RESERVOIRS)} if "riverstor" in self.variables else {}),
        }
        attrs = {
            "time": {"units": f"days since {days[0]:%Y-%m-%d}", "calendar": "standard"},
            "lat": {"units": "degrees_north", "standard_name": "latitude"},
            "lon": {"units": "degrees_east", "standard_name": "longitude"},
            "res": {"units": "1", "long_name": "river reservoir"},
        }
        for name, values in axes.items():
            self.file.createDimension(name, None if name == "time" else len(values))
            self.file.createVariable(name, values.dtype, (name,))[:] = values
            self.file[name].setncatts(attrs[name])

    def append(self, start: int, series: dict[str, np.ndarray]) -> None:
        """Write the days from ``start`` on."""
        for name, values in series.items():
            values = values * values.dtype.type(per_second(name))
            if OUTPUT[name][0] not in (_FLOW, _VOLUME):
                values = np.where(self.basin.land, values, values.dtype.type(np.nan))
            if name == "riverstor":
                values = _pad_reservoirs(values)
            self._write(name, start, self.basin.unpack(values))

    def _write(self, name: str, start: int, values: np.ndarray) -> None:
        try:
            self.file[name][start : start + len(values)] = values
        except RuntimeError as error:
            raise OSError(f"{self.file.filepath()}: {error}; is the disk full?") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


def _pad_reservoirs(values: np.ndarray) -> np.ndarray:
    """Fill up to HydroPy's five reservoirs with empty ones, (…, reservoir, cell)."""
    missing = max(0, MOST_RESERVOIRS - values.shape[-2])
    return np.pad(values, [(0, 0)] * (values.ndim - 2) + [(0, missing), (0, 0)])


def write_restart(path: Path, state: State, model: HydroPyNN, day: pd.Timestamp) -> None:
    """Keep the stores after ``day`` on the grid, by HydroPy's names."""
    basin = model.basin
    fields = {}
    for name, attribute in STORES.items():
        units, long_name = OUTPUT[name]
        values = np.asarray(getattr(state, attribute))
        dims = ("res", "lat", "lon") if name == "riverstor" else ("lat", "lon")
        attrs = {"units": units, "long_name": long_name}
        fields[name] = (dims, basin.unpack(values), attrs)
    attrs = {"after": f"{day:%Y-%m-%d}", "source": f"HydroPyNN of hybridlib {__version__}"}
    with written_whole(path) as part:
        axes = {
            "lat": basin.lat,
            "lon": basin.lon,
            "res": np.arange(model.network.in_cascade.shape[0]),
        }
        xr.Dataset(fields, axes, attrs).to_netcdf(part)


def read_restart(path: Path, model: HydroPyNN, first: pd.Timestamp | None = None) -> State:
    """Read stores written by :func:`write_restart`.

    Args:
        path: the file.
        model: whose cells and reservoirs they must fit.
        first: the day they must lead up to; any by default.

    Raises:
        InputError: another grid, another date, another number of reservoirs, a store that is
            missing, in another unit, NaN, negative or above what a cell can hold.
    """
    basin = model.basin
    stored = read(path)
    schema.check_same_grid(_grid(basin), stored, ("the land surface", str(path)))
    _check_date(stored.attrs.get("after"), first, path)
    stores = load(schema.select(stored, _TABLE, STORES, str(path)), path, Report())
    fields = {}
    for name in STORES:
        fields[name] = values = basin.pack(stores[name]).astype(float)
        reservoirs = model.network.in_cascade.shape[0]
        if name == "riverstor" and len(values) != reservoirs:
            raise InputError(
                f"{path}: riverstor has {len(values)} reservoirs; expected {reservoirs}"
            )
        if name == "riverstor" and list(stores.get("res", range(reservoirs))) != list(
            range(reservoirs)
        ):
            raise InputError(f"{path}: res is out of order; expected 0 to {reservoirs - 1}")
        schema.check_values(
            values, _TABLE[name], str(path), lambda index: basin.describe(index[-1])
        )
    _check_capacities(fields, model, path)
    return State(**{STORES[name]: tf.constant(v, model.dtype) for name, v in fields.items()})


# A hundred metres of snow or lake, three times the Amazon's largest flow for ten days in a reach.
_MOST = {"riverstor": 1e12, "infl_subtime": 1e11, "groundwstor": 2e4}
_TABLE = {
    name: schema.Variable(
        name,
        *OUTPUT[name],
        0.0,
        _MOST.get(name, 1e5),
        dims=("res", "lat", "lon") if name == "riverstor" else ("lat", "lon"),
    )
    for name in STORES
}
"""The stores of a restart file."""


def _check_capacities(stores: dict[str, np.ndarray], model: HydroPyNN, path: Path) -> None:
    """Refuse stores above what a cell can hold: its soil, its leaves, its skin, its snow.

    Raises:
        InputError: with the first cell.
    """
    land = {name: np.asarray(getattr(model.land, name), float) for name in ("wcap", "lai", "fveg")}
    leaves = SKIN_CAPACITY * (land["lai"].max(axis=0) * land["fveg"].max(axis=0)).clip(0.0)
    most = {
        "rootmoist": (land["wcap"], "the soil's capacity"),
        "skinstor": (np.full(model.basin.size, SKIN_CAPACITY), "what bare ground holds"),
        "canopystor": (leaves, "what the leaves hold"),
        "wliq": (LIQUID_SHARE * stores["swe"], f"{LIQUID_SHARE:g} of the snow"),
    }
    for name, (capacity, meaning) in most.items():
        above = stores[name] > 1.001 * capacity + 1e-6
        if above.any():
            cell = int(np.argmax(above))
            raise InputError(
                f"{path}: {name} is {stores[name][cell]:g} kg m-2 {model.basin.describe(cell)}; "
                f"expected at most {capacity[cell]:g} kg m-2, {meaning}; cells like this: "
                f"{int(above.sum())}"
            )


def _check_date(after, first: pd.Timestamp | None, path: Path) -> None:
    """Refuse stores of another day than the one before ``first``."""
    if after is not None and not re.fullmatch(r"\d{4}-\d\d-\d\d", str(after)):
        raise InputError(f"{path}: attribute after is {after!r}; expected a date like 2003-12-31")
    if first is None:
        return
    before = first - pd.Timedelta(days=1)
    if str(after) != f"{before:%F}":
        raise InputError(
            f"{path}: stores are those after {after or 'an unknown day'}; expected {before:%F}, "
            "the day before the forcing begins (--any-date accepts others)"
        )


def _grid(basin: Basin) -> xr.Dataset:
    return xr.Dataset(coords={"lat": basin.lat, "lon": basin.lon})
