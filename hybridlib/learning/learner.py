"""The trainable part of a scheme: parameters of every cell, and PET where a network corrects it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hybridlib.hydropy.backend import keras, tf
from hybridlib.hydropy.parameters import TABLE_1, Parameters
from hybridlib.learning.networks import (
    Replacement,
    Window,
    parameterization,
    squash,
    starting_logits,
)
from hybridlib.learning.schemes import Scheme
from hybridlib.study.attributes import ATTRIBUTES

JITTER = 0.1
"""Standard deviation of the free parameters' start about their defaults, in logits."""


class Learner(keras.Model):
    """The trainable part of a scheme: parameters of every cell and, in one scheme, PET.

    Args:
        scheme: what is trained.
        default: HydroPy's own parameters, where training starts, (cell,).
        attributes: normalised, (cell, attribute).
        seed: of the start.
        kind: of :class:`~hybridlib.learning.networks.Replacement`.
        dtype: of the replacement network's forward pass.
        names: of the attributes.
    """

    def __init__(
        self,
        scheme: Scheme,
        default: Parameters,
        attributes: np.ndarray,
        seed: int = 0,
        kind: str = "conv3d",
        dtype: str = "float32",
        names: Sequence[str] = tuple(ATTRIBUTES.own),
    ):
        super().__init__(name="learner")
        self.scheme = scheme
        self.default = tf.stack([tf.cast(field, tf.float32) for field in default])
        self.start = tf.constant(starting_logits(default), tf.float32)
        self.attributes = tf.constant(attributes, tf.float32)
        self.attribute_names = tuple(names)
        if scheme.parameters == "free":
            start = keras.initializers.RandomNormal(stddev=JITTER, seed=1000 * seed)
            self.shift = self.add_weight((len(TABLE_1), attributes.shape[0]), start, name="shift")
        elif scheme.parameters == "network":
            self.network = parameterization(seed, attributes.shape[1])
        if scheme.replacement:
            self.replacement = Replacement(seed, kind, dtype, attributes.shape[1])
        self.built = True

    def parameters(self) -> Parameters:
        """The nine parameters, within the ranges of Table 1, (cell,)."""
        if self.scheme.parameters == "default":
            return Parameters(*tf.unstack(self.default))
        if self.scheme.parameters == "free":
            return squash(self.start + tf.convert_to_tensor(self.shift))
        return squash(self.start + tf.transpose(self.network(self.attributes)))

    def pet(self, reference, window: Window | None):
        """PET, mm d-1, (time, cell): the reference, corrected by the network where there is one.

        Args:
            reference: mm d-1, (time, cell).
            window: what the replacement network reads; None without it.
        """
        if not self.scheme.replacement:
            return reference
        assert window is not None, "the replacement network has no window"
        return tf.maximum(reference + self.replacement.correction(window), 0.0)
