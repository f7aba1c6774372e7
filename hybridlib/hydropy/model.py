"""The recurrence over days: HydroPy as a recurrent network, compiled with XLA."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.land import Land, Weather, prepare_land, prepare_weather
from hybridlib.hydropy.parameters import Lags, Parameters, default_lags, default_parameters
from hybridlib.hydropy.routing import SUBSTEPS, Network, build_network
from hybridlib.hydropy.step import State, day_step
from hybridlib.study.basin import Basin
from hybridlib.study.schema import InputError, select_landsurface

BLOCK = 366
"""Days a compiled call runs at most, so one program serves every year."""

STORES = {
    "swe": "swe",
    "wliq": "wliq",
    "rootmoist": "rootmoist",
    "skinstor": "skinstor",
    "canopystor": "canopystor",
    "lakestor": "lakestor",
    "groundwstor": "groundwstor",
    "riverstor": "riverstor",
    "infl_subtime": "infl",
}
"""HydroPy's name of each store and our field of :class:`~hybridlib.hydropy.step.State`."""

FLUXES = (
    "precip", "rainf", "snowf", "smelt", "rainmelt", "throu", "evap", "potevap", "transp", "sevap",
    "levap", "canoevap", "skinevap", "qs", "qsb", "qtot", "qsl", "qg", "rivdis", "dis",
    "freshwater", "tws", "flake", "fveg", "fbare",
)  # fmt: skip
VARIABLES = (*FLUXES, *STORES)
"""Everything a run can return, by HydroPy's names."""


@dataclass(frozen=True)
class HydroPyNN:
    """HydroPy on one basin, ready to run: the physical network of the study.

    Attributes:
        basin: active cells and network.
        land: static fields in ``dtype``.
        network: routing tables.
        lags: default lags and reservoirs, float64.
        substeps: routing sub-steps a day.
        dtype: tf.float32 for training, tf.float64 for verification.

    Example:
        >>> import hybridlib as hl
        >>> from hybridlib.hydropy.simulate import labelled, study_weather
        >>> study = hl.open_study("data/cache/smoke.zarr")
        >>> model = hl.HydroPyNN.from_landsurface(study.landsurface.load(), "float64")
        >>> weather = study_weather(study, model, slice("2001-01-01", "2001-12-31"))
        >>> state, series = model.run(weather, variables=["dis", "evap"])
        >>> labelled(model, series, study.days[:365]).evap.attrs["units"]
        'mm d-1'
    """

    basin: Basin
    land: Land
    network: Network
    lags: Lags
    substeps: int
    dtype: tf.DType

    @classmethod
    def from_landsurface(
        cls,
        landsurface: xr.Dataset,
        dtype: str | tf.DType = "float32",
        cascade: bool = True,
        source: str = "land surface",
        **lag_options,
    ) -> HydroPyNN:
        """Assemble the network from HydroPy's land-surface variables.

        Args:
            landsurface: HydroPy's variables on the grid, with units.
            dtype: "float32" or "float64".
            cascade: True for HydroPy's cascade and four sub-steps; False for one reservoir and
                one step a day.
            source: the file's name, for messages.
            **lag_options: of :func:`~hybridlib.hydropy.parameters.default_lags`.

        Raises:
            InputError: the land surface cannot be used.
        """
        dtype = _float_type(dtype)
        landsurface = select_landsurface(landsurface, source)
        basin = Basin.from_landsurface(landsurface, source)
        land = prepare_land(landsurface, basin, source)
        lags = default_lags(landsurface, basin, cascade=cascade, source=source, **lag_options)
        return cls(
            basin,
            Land(*(tf.constant(field, dtype) for field in land)),
            build_network(basin, lags.reservoirs),
            lags,
            SUBSTEPS if cascade else 1,
            dtype,
        )

    def default_parameters(self) -> Parameters:
        """HydroPy's own parameters, each (cell,)."""
        return self.cast(default_parameters(self.lags))

    def cast(self, fields):
        """Bring a named tuple of arrays to the model's dtype."""
        return type(fields)(*(tf.cast(field, self.dtype) for field in fields))

    def empty_state(self, members: tuple[int, ...] = ()) -> State:
        """All stores at zero, ``(*members, cell)``."""
        cell = tf.zeros((*members, self.basin.size), self.dtype)
        river = tf.zeros((*members, self.network.in_cascade.shape[0], self.basin.size), self.dtype)
        return State(*(river if name == "riverstor" else cell for name in State._fields))

    def weather(self, pr, tas, pet, time) -> Weather:
        """Prepare packed forcing, (time, cell), in float64 and cast it.

        Args:
            pr: precipitation, kg m-2 s-1.
            tas: air temperature, K.
            pet: potential evapotranspiration, kg m-2 s-1.
            time: pandas.DatetimeIndex, (time,).
        """
        lat = self.basin.lat[self.basin.row]
        weather = prepare_weather(pr, tas, pet, time, lat)
        return Weather(*(_as(field, self.dtype) for field in weather))

    def run(
        self,
        weather: Weather,
        parameters: Parameters | None = None,
        state: State | None = None,
        variables: Iterable[str] = ("dis",),
        progress: Callable[[int], None] | None = None,
    ) -> tuple[State, dict[str, np.ndarray]]:
        """Run the days of ``weather`` from ``state``.

        Args:
            weather: fields (time, cell) in the model's dtype.
            parameters: (…, cell); HydroPy's own by default.
            state: stores at the first day's start, (…, cell); empty by default.
            variables: what to keep of each day, from :data:`VARIABLES`.
            progress: called with the number of days done after each block.

        Returns:
            The stores after the last day and each variable, (time, …, cell), mm d-1, mm, m3 d-1
            or m3.

        Raises:
            InputError: an unknown variable, or no day.
        """
        variables = known_variables(variables)
        parameters = self.default_parameters() if parameters is None else self.cast(parameters)
        members = np.broadcast_shapes(*(field.shape[:-1] for field in parameters))
        state = self.empty_state(members) if state is None else state
        days = len(weather.rainf)
        if days == 0:
            raise InputError("the weather has no day; expected at least one")
        kept: dict[str, np.ndarray] = {}
        for start in range(0, days, BLOCK):
            stop = min(start + BLOCK, days)
            state, series = run_days(
                state,
                _block(weather, start),
                tf.constant(stop - start),
                parameters,
                self.land,
                self.network,
                self.substeps,
                tuple(sorted(variables)),
            )
            for name, values in series.items():
                if name not in kept:
                    kept[name] = np.empty((days, *values.shape[1:]), self.dtype.as_numpy_dtype)
                kept[name][start:stop] = values[: stop - start]
            if progress is not None:
                progress(stop)
        return state, kept

    def spin_up(
        self,
        weather: Weather,
        parameters: Parameters | None = None,
        threshold: float = 1.0,
        most: int = 100,
    ) -> tuple[State, list[float]]:
        """Cycle the days of ``weather`` until the stores settle.

        Args:
            weather: whole years.
            parameters: (…, cell); HydroPy's own by default.
            threshold: largest change of any cell's water from one cycle to the next, mm.
            most: cycles after which to give up.

        Returns:
            The settled stores and the largest change of each cycle, mm.

        Raises:
            InputError: the stores did not settle within ``most`` cycles.
        """
        state, _ = self.run(weather, parameters, variables=())
        water = self.stored_water(state)
        changes: list[float] = []
        while len(changes) < most:
            state, _ = self.run(weather, parameters, state, variables=())
            before, water = water, self.stored_water(state)
            changes.append(float(np.abs(water - before).max()))
            if changes[-1] <= threshold:
                return state, changes
        raise InputError(
            f"the stores still change by {changes[-1]:.3g} mm a cycle after {most} cycles; "
            f"expected at most {threshold:g} mm"
        )

    def stored_water(self, state: State) -> np.ndarray:
        """All water of a cell, that in transit included, mm, float64, (…, cell)."""
        area = np.where(self.basin.land, self.basin.area, np.inf)
        fields = state._asdict()
        volume = np.asarray(fields.pop("riverstor"), float).sum(axis=-2)
        volume = volume + np.asarray(fields.pop("infl"), float) / self.substeps
        return sum(np.asarray(field, float) for field in fields.values()) + volume / area * 1000.0

    def water_balance(
        self, series: dict[str, np.ndarray], before: State
    ) -> tuple[np.ndarray, np.ndarray]:
        """What each cell gains from nowhere each day, mm: 0 to rounding.

        Args:
            series: a run with precip, evap, qsl, qg, dis and every store, (time, cell).
            before: stores at the start of that run.

        Returns:
            Residuals of the land's and of the river's balance, float64, (time, cell).
        """
        basin = self.basin
        stores = {
            name: np.concatenate([np.asarray(getattr(before, field))[None], series[name]])
            for name, field in STORES.items()
        }
        in_river = ("riverstor", "infl_subtime")
        vertical = sum(stores[name] for name in STORES if name not in in_river)
        runoff = series["qsl"] + series["qg"]
        land = np.diff(vertical, axis=0) - (series["precip"] - series["evap"] - runoff)
        volume = stores["riverstor"].sum(axis=-2) + stores["infl_subtime"] / self.substeps
        own = runoff * (basin.area / 1000.0)
        nowhere = np.zeros_like(own[:, :1])
        arrived = np.concatenate([series["dis"], nowhere], axis=1)[:, basin.upstream].sum(-1)
        river = np.diff(volume, axis=0) - (arrived + own - series["dis"])
        area = np.where(basin.land, basin.area, np.inf)
        return np.where(basin.land, land, 0.0), river / area * 1000.0


@tf.function(jit_compile=True, autograph=False)
def run_days(state, weather, days, parameters, land, network, substeps, variables):
    """Run the first ``days`` of a block; compiled once for each shape, dtype and choice.

    Args:
        state: :class:`~hybridlib.hydropy.step.State`.
        weather: :class:`~hybridlib.hydropy.land.Weather`, (block, cell).
        days: scalar int32, at most the block's length.
        parameters: :class:`~hybridlib.hydropy.parameters.Parameters`.
        land: :class:`~hybridlib.hydropy.land.Land`.
        network: :class:`~hybridlib.hydropy.routing.Network`.
        substeps: Python int.
        variables: tuple of names.

    Returns:
        The stores after the last day, and each variable, (block, …, cell), by name.
    """
    block = weather.rainf.shape[0]
    shapes = {name: variable_shape(name, state) for name in variables}
    series = {
        name: tf.TensorArray(weather.rainf.dtype, block, element_shape=shape)
        for name, shape in shapes.items()
    }

    def advance(day, state, series):
        state, today = whole_day(state, weather.day(day), parameters, land, network, substeps)
        series = {
            name: array.write(day, tf.broadcast_to(today[name], shapes[name]))
            for name, array in series.items()
        }
        return day + 1, state, series

    _, state, series = tf.while_loop(
        lambda day, *_: day < days, advance, (tf.constant(0), state, series)
    )
    return state, {name: array.stack() for name, array in series.items()}


def whole_day(state, weather, parameters, land, network, substeps):
    """A day of :func:`hybridlib.hydropy.step.day_step`, fluxes and stores in one dict, by name."""
    state, fluxes = day_step(state, weather, parameters, land, network, substeps)
    return state, fluxes | {name: getattr(state, field) for name, field in STORES.items()}


def variable_shape(name: str, state: State):
    """Shape of a day of a variable, of :data:`VARIABLES`."""
    return getattr(state, STORES[name]).shape if name in STORES else state.swe.shape


def known_variables(variables: Iterable[str]) -> tuple[str, ...]:
    """Return the names as a tuple; refuse any that a run cannot return.

    Raises:
        InputError: an unknown variable.
    """
    variables = tuple(dict.fromkeys(variables))
    known = " ".join(VARIABLES)
    for name in variables:
        if name not in VARIABLES:
            raise InputError(f"variable '{name}' is unknown; expected some of: {known}")
    return variables


def _as(field: np.ndarray, dtype: tf.DType):
    return tf.constant(field, tf.int32 if field.dtype.kind == "i" else dtype)


def _block(weather: Weather, start: int) -> Weather:
    """Cut a block out; one that would be shorter is filled with the last day, which is not run."""
    if start + BLOCK <= len(weather.rainf):
        return weather.part(slice(start, start + BLOCK))
    days = tf.minimum(tf.range(start, start + BLOCK), len(weather.rainf) - 1)
    return Weather(*(tf.gather(field, days) for field in weather))


def _float_type(dtype: str | tf.DType) -> tf.DType:
    name = dtype if isinstance(dtype, str) else dtype.name
    if name not in ("float32", "float64"):
        raise InputError(f"dtype is '{name}'; expected float32 or float64")
    return tf.as_dtype(name)
