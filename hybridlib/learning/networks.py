"""The two networks: attributes to physical parameters, weather to a correction of PET.

Source: Wang et al. (2024), section 3.1, for the layers. Activations are ReLU; the last layer of
each network starts at zero, so an untrained network leaves HydroPy as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybridlib.hydropy.backend import keras, tf
from hybridlib.hydropy.parameters import TABLE_1, Parameters
from hybridlib.learning.schemes import KERNELS
from hybridlib.study.attributes import ATTRIBUTES
from hybridlib.study.basin import Basin

PARAMETERIZATION_LAYERS = (256, 64, 16)
REPLACEMENT_FILTERS = (32, 16, 8, 1)
METEOROLOGY = ("tas", "huss", "ps", "sfcwind", "rsds", "rlds")
"""What Penman-Monteith and the replacement network read, in this order."""
LEAST_SHARE = 1e-3
"""How near to the ends of its range a parameter may start, as a share of the range."""
DAYS_A_CHUNK = 366

_LOW = np.array([row.low for row in TABLE_1])[:, None]
_HIGH = np.array([row.high for row in TABLE_1])[:, None]
_SPAN = _HIGH - _LOW


def starting_logits(default: Parameters) -> np.ndarray:
    """Where each parameter starts within its range: the logit of its clipped share, (9, cell)."""
    share = (np.stack([np.asarray(field, float) for field in default]) - _LOW) / _SPAN
    share = share.clip(LEAST_SHARE, 1.0 - LEAST_SHARE)
    return np.log(share / (1.0 - share))


def squash(logits) -> Parameters:
    """Map logits, (…, 9, cell), into the ranges of Table 1."""
    low, span, high = (tf.constant(bound, logits.dtype) for bound in (_LOW, _SPAN, _HIGH))
    # Rounding may carry a saturated parameter past its upper end.
    return Parameters(*tf.unstack(tf.minimum(low + span * tf.sigmoid(logits), high), axis=-2))


def parameterization(seed: int, attributes: int = len(ATTRIBUTES.own)) -> keras.Model:
    """Build the parameterization NN: a study's attributes, 256, 64, 16, shifts of 9 logits."""
    seeds = iter(range(1000 * seed, 1000 * seed + len(PARAMETERIZATION_LAYERS)))
    hidden = [
        keras.layers.Dense(
            units, "relu", kernel_initializer=keras.initializers.HeNormal(next(seeds))
        )
        for units in PARAMETERIZATION_LAYERS
    ]
    last = keras.layers.Dense(len(TABLE_1), kernel_initializer="zeros")
    return keras.Sequential([keras.Input((attributes,)), *hidden, last], name="parameterization")


class Replacement(keras.Model):
    """The replacement NN: six variables and a study's attributes to PET_err, mm d-1.

    Each layer sees a cell, its neighbours and the days around it. The attributes do not vary in
    time, so their share of the first layer is computed once.

    Args:
        seed: of the initial kernels.
        kind: "conv3d", or "fcnn" for the rival that sees only the cell and the day.
        dtype: of the forward pass, "float32" or "bfloat16"; weights and gradients are float32.
        attributes: how many the study has.
    """

    def __init__(
        self,
        seed: int,
        kind: str = "conv3d",
        dtype: str = "float32",
        attributes: int = len(ATTRIBUTES.own),
    ):
        super().__init__(name="replacement")
        self.width, self.compute = KERNELS[kind], dtype
        inputs = (len(METEOROLOGY) + attributes, *REPLACEMENT_FILTERS)
        self.kernels, self.biases = [], []
        for k, filters in enumerate(REPLACEMENT_FILTERS):
            last = k == len(REPLACEMENT_FILTERS) - 1
            start = "zeros" if last else keras.initializers.HeNormal(1000 * seed + 100 + k)
            shape = (self.width, self.width, self.width, inputs[k], filters)
            self.kernels.append(self.add_weight(shape, start, name=f"kernel_{k}"))
            self.biases.append(self.add_weight((filters,), "zeros", name=f"bias_{k}"))
        self.built = True

    def correction(self, window: Window) -> tf.Tensor:
        """PET_err of every cell on every day, mm d-1, (time, cell); differentiable.

        Time is worked off in chunks. Each reads a halo of days before and after, so chunks agree
        with one pass; the first and last day of the record stand for those beyond them. The
        backward pass computes a chunk again instead of keeping its layers.
        """
        weights = [tf.convert_to_tensor(w) for w in (*self.kernels, *self.biases)]
        static = _static_share(weights[0], weights[len(self.kernels)], window.attributes)
        layers = len(self.kernels)
        halo = layers * (self.width // 2)
        days = len(window.weather)
        starts = range(0, days, window.chunk)

        def chunk(start):
            place = np.arange(start - halo, start + window.chunk + halo).clip(0, days - 1)
            return tf.gather(window.weather, place)

        @tf.custom_gradient
        def run(static, *tensors):
            static, *weights = (tf.stop_gradient(tensor) for tensor in (static, *tensors))
            fixed = (static, weights, window.cells)
            pieces = [_layers(chunk(start), *fixed, self.compute) for start in starts]

            def gradient(slopes):
                slopes = tf.pad(slopes, [[0, len(starts) * window.chunk - days], [0, 0]])
                total = [tf.zeros_like(tensor) for tensor in (static, *weights)]
                for start in starts:
                    own = _pull(chunk(start), *fixed, slopes[start : start + window.chunk])
                    total = [a + b for a, b in zip(total, own, strict=True)]
                return total

            return tf.concat(pieces, 0)[:days], gradient

        return run(static, *weights)


@dataclass(frozen=True)
class Window:
    """What the replacement NN reads: the basin's box, with the neighbours its layers reach.

    Attributes:
        weather: six normalised variables, float32, (time, lat, lon, 6); 0 where missing.
        attributes: the normalised attributes, float32, (lat, lon, attribute).
        cells: place of each basin cell in the box without its margin, flat, (cell,).
        chunk: days worked off at a time.
    """

    weather: tf.Tensor
    attributes: tf.Tensor
    cells: tf.Tensor
    chunk: int = DAYS_A_CHUNK


def build_window(
    weather: np.ndarray,
    attributes: np.ndarray,
    basin: Basin,
    kind: str = "conv3d",
    chunk: int = DAYS_A_CHUNK,
) -> Window:
    """Crop the grid to the basin and the neighbours that matter; beyond the grid all is 0.

    Args:
        weather: normalised variables, (time, lat, lon, 6).
        attributes: normalised attributes, (lat, lon, attribute).
        basin: the active cells.
        kind: of :class:`Replacement`.
        chunk: days worked off at a time.
    """
    margin = len(REPLACEMENT_FILTERS) * (KERNELS[kind] // 2)
    spans, rims = [], []
    for place, length in ((basin.row, len(basin.lat)), (basin.col, len(basin.lon))):
        first, last = int(place.min()) - margin, int(place.max()) + margin + 1
        spans.append(slice(max(first, 0), min(last, length)))
        rims.append((max(-first, 0), max(last - length, 0)))
    top, left = basin.row.min(), basin.col.min()
    columns = basin.col.max() - left + 1
    return Window(
        tf.constant(np.pad(weather[:, spans[0], spans[1]], [(0, 0), *rims, (0, 0)]), tf.float32),
        tf.constant(np.pad(attributes[spans[0], spans[1]], [*rims, (0, 0)]), tf.float32),
        tf.constant((basin.row - top) * columns + basin.col - left, tf.int32),
        min(chunk, len(weather)),
    )


def _static_share(kernel, bias, attributes):
    """The attributes' part of the first layer: the same on each day."""
    flat = tf.reduce_sum(kernel[..., len(METEOROLOGY) :, :], axis=0, keepdims=True)
    return tf.nn.conv3d(attributes[None, None], flat, [1] * 5, "VALID")[0, 0] + bias


@tf.function(autograph=False)
def _layers(weather, static, weights, cells, compute):
    """PET_err from a chunk and its halo, (time, cell). Plain graph: XLA is slow at Conv3D."""
    kernels, biases = weights[: len(weights) // 2], weights[len(weights) // 2 :]
    kernels = [kernels[0][..., : len(METEOROLOGY), :], *kernels[1:]]
    field = tf.cast(weather, compute)[None]
    for k, kernel in enumerate(kernels):
        shift = static if k == 0 else biases[k]
        field = tf.nn.conv3d(field, tf.cast(kernel, compute), [1] * 5, "VALID")
        field = field + tf.cast(shift, compute)
        field = field if k == len(kernels) - 1 else tf.nn.relu(field)
    days = field.shape[1]
    return tf.gather(tf.reshape(tf.cast(field, tf.float32), (days, -1)), cells, axis=1)


@tf.function(autograph=False)
def _pull(weather, static, weights, cells, slopes):
    """Slopes of the static share and of all weights of a chunk, in float32.

    In bfloat16 the sums over a chunk stall on processors without it: a year gave half the slope.
    """
    inputs = [static, *weights]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = _layers(weather, static, weights, cells, "float32")
    zero = tf.UnconnectedGradients.ZERO
    return tape.gradient(output, inputs, slopes, unconnected_gradients=zero)
