"""The paper's way to run HydroPy as a network: the whole grid, eight masks, a tape through time.

Source: Wang et al. (2024), section 3 and Figure 4. The processes, the cascade and the sub-steps
are those of :mod:`hybridlib.hydropy`; only the layout, the transfer and the gradient differ.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.land import Land, Weather
from hybridlib.hydropy.model import HydroPyNN, whole_day
from hybridlib.hydropy.routing import direction_masks, transfer_by_masks
from hybridlib.study.basin import Basin


class MaskNetwork(NamedTuple):
    """A network whose axis ``cell`` is the whole grid, row after row.

    Attributes:
        masks: (direction, lat, lon), 0 outside the basin.
        sink: True where water leaves the domain, (cell,).
        in_cascade: True where a cell has the k-th reservoir, (reservoir, cell).
    """

    masks: tf.Tensor
    sink: tf.Tensor
    in_cascade: tf.Tensor

    def transfer(self, outflow):
        """Multiply by eight masks, shift and add up, (…, cell)."""
        grid = tf.reshape(outflow, [*outflow.shape[:-1], *self.masks.shape[1:]])
        return tf.reshape(transfer_by_masks(grid, self.masks), outflow.shape)


def to_grid(basin: Basin, values):
    """Lay packed cells on the whole grid, (…, cell); cells outside copy the first one's values."""
    place = np.zeros(basin.shape, int)
    place[basin.row, basin.col] = np.arange(basin.size)
    return tf.nest.map_structure(lambda field: tf.gather(field, place.ravel(), axis=-1), values)


def from_grid(basin: Basin, values: np.ndarray) -> np.ndarray:
    """Take the active cells out of a grid that lies row after row, (…, cell)."""
    return basin.pack(values.reshape(*values.shape[:-1], *basin.shape))


def grid_network(model: HydroPyNN) -> MaskNetwork:
    """The model's network as masks."""
    return MaskNetwork(
        tf.constant(direction_masks(model.basin), model.dtype),
        to_grid(model.basin, model.network.sink),
        to_grid(model.basin, model.network.in_cascade),
    )


def grid_weather(basin: Basin, weather: Weather) -> Weather:
    """The weather on the whole grid; what belongs to the day alone stays."""
    daily = ("rainf", "snowf", "melt", "pet")
    return weather._replace(**{name: to_grid(basin, getattr(weather, name)) for name in daily})


def run_through_time(
    weather: Weather, parameters, state, land: Land, network: MaskNetwork, substeps: int
) -> dict[str, tf.Tensor]:
    """Run all days in one loop that a tape can look into.

    Returns:
        dis (m3 d-1) and tws (mm), (time, cell).
    """
    days, kind, names = weather.rainf.shape[0], weather.rainf.dtype, ("dis", "tws")
    # As Keras' own recurrent layers do: the slope of a slice would be as large as the record.
    inputs = [tf.TensorArray(field.dtype, days).unstack(field) for field in weather]
    series = {name: tf.TensorArray(kind, days) for name in names}

    def advance(day, state, series):
        today = Weather(*(array.read(day) for array in inputs))
        state, values = whole_day(state, today, parameters, land, network, substeps)
        series = {name: array.write(day, values[name]) for name, array in series.items()}
        return day + 1, state, series

    _, _, series = tf.while_loop(
        lambda day, *_: day < days, advance, (tf.constant(0), state, series)
    )
    return {name: array.stack() for name, array in series.items()}
