"""What the measurements start from: a study's first days, more basins side by side, members."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.land import Land, Weather
from hybridlib.hydropy.model import HydroPyNN
from hybridlib.hydropy.parameters import Lags, Parameters
from hybridlib.hydropy.routing import build_network
from hybridlib.hydropy.simulate import study_model, study_weather
from hybridlib.hydropy.step import State
from hybridlib.study.basin import Basin
from hybridlib.study.schema import InputError
from hybridlib.study.store import Study
from hybridlib.twin.make import cached, make_twin, open_or_make


class Case(NamedTuple):
    """A run and the loss it ends in.

    Attributes:
        model: HydroPyNN with HydroPy's full cascade.
        weather: fields (time, cell).
        parameters: each (…, cell).
        state: stores at the first day's start, (…, cell).
        weights: of dis (per m3 d-1) and tws (per mm) in the loss, (cell,).
    """

    model: HydroPyNN
    weather: Weather
    parameters: Parameters
    state: State
    weights: dict[str, tf.Tensor]


def study_case(path: str, days: int) -> Case:
    """The first ``days`` of a study; the loss looks at all of its gauges.

    Raises:
        InputError: no such study, or fewer days in it.
    """
    study = open_or_make(path)
    if not 0 < days <= len(study.days):
        raise InputError(f"{path}: {days} days are asked for; expected 1 to {len(study.days)}")
    model = study_model(study)
    weather = study_weather(study, model, slice(study.days[0], study.days[days - 1]))
    return warm_case(model, weather, study.gauge_cells)


def warm_case(model: HydroPyNN, weather: Weather, gauges: np.ndarray) -> Case:
    """Start from the stores after a year: empty ones sit on thresholds, where slopes jump.

    The loss, in mm, is the mean runoff of the gauges' catchments plus the mean water storage.
    """
    basin = model.basin
    dis = np.zeros(basin.size)
    dis[gauges] = 1000.0 / basin.upstream_area[gauges] / len(gauges)
    weights = {"dis": dis, "tws": basin.land / basin.land.sum()}
    weights = {name: tf.constant(values, model.dtype) for name, values in weights.items()}
    state, _ = model.run(weather.part(slice(365)), variables=())
    return Case(model, weather, model.default_parameters(), state, weights)


def small_basins(seeds: tuple[int, ...] = (1, 2, 3)) -> list[Study]:
    """Twins of the smoke size that differ in their weather."""
    folder = cached("smoke").parent
    return [make_twin("smoke", seed, folder / f"smoke-{seed}.zarr")[0] for seed in seeds]


def in_double(case: Case) -> Case:
    """The same case in float64."""

    def wider(fields):
        return type(fields)(*(
            tf.cast(field, tf.float64) if field.dtype == tf.float32 else field for field in fields
        ))  # fmt: skip

    model = replace(case.model, land=wider(case.model.land), dtype=tf.float64)
    weights = {name: tf.cast(values, tf.float64) for name, values in case.weights.items()}
    return Case(model, wider(case.weather), wider(case.parameters), wider(case.state), weights)


def first_days(case: Case, days: int) -> Case:
    """The first days of a case."""
    return case._replace(weather=case.weather.part(slice(days)))


def ensemble(case: Case, members: int) -> Case:
    """Members side by side, each with parameters up to a tenth larger, ascending."""
    factor = tf.linspace(tf.constant(1.0, case.model.dtype), 1.1, members)[:, None]
    parameters = Parameters(*(field * factor for field in case.parameters))
    state = State(*(tf.repeat(store[None], members, axis=0) for store in case.state))
    return case._replace(parameters=parameters, state=state)


def side_by_side(case: Case, copies: int) -> Case:
    """The same basin ``copies`` times along the longitudes, as one larger land surface."""

    def tiled(field):
        return tf.concat([field] * copies, axis=-1)

    model, daily = case.model, ("rainf", "snowf", "melt", "pet")
    basin = _tiled_basin(model.basin, copies)
    lags = Lags(*(np.tile(field, copies) for field in model.lags))
    larger = replace(
        model,
        basin=basin,
        land=Land(*map(tiled, model.land)),
        network=build_network(basin, lags.reservoirs),
        lags=lags,
    )
    return Case(
        larger,
        case.weather._replace(**{name: tiled(getattr(case.weather, name)) for name in daily}),
        Parameters(*map(tiled, case.parameters)),
        State(*map(tiled, case.state)),
        {name: tiled(values) / copies for name, values in case.weights.items()},
    )


def _tiled_basin(basin: Basin, copies: int) -> Basin:
    width = basin.lon[-1] - basin.lon[0] + np.diff(basin.lon).mean()
    place = np.repeat(np.arange(copies), basin.size)
    return Basin(
        basin.lat,
        np.concatenate([basin.lon + k * width for k in range(copies)]),
        np.tile(basin.row, copies),
        np.tile(basin.col, copies) + place * len(basin.lon),
        np.tile(basin.area, copies),
        np.tile(basin.downstream, copies) + place * basin.size,
    )
