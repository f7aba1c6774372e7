"""The schemes, as data, and the trainable model each of them assembles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
from hybridlib.study.attributes import ATTRIBUTES
from hybridlib.study.plugins import Extended
from hybridlib.study.schema import InputError

JITTER = 0.1
"""Standard deviation of the free parameters' start about their defaults, in logits."""


PARAMETERS = ("default", "free", "network")
"""Where a scheme's parameters come from, HydroPy, each cell for itself, or the attributes."""


@dataclass(frozen=True)
class Scheme:
    """What of the model is trained, and on what.

    Attributes:
        name: on the command line.
        title: the paper's name.
        parameters: "default", "free" (per cell) or "network" (from attributes).
        replacement: whether a network corrects PET.
        weights: of discharge and of storage in the loss.
    """

    name: str
    title: str
    parameters: str
    replacement: bool
    weights: tuple[float, float]

    def __post_init__(self):
        if self.parameters not in PARAMETERS:
            raise InputError(
                f"scheme '{self.name}' has {self.parameters!r} parameters; expected "
                f"{' or '.join(PARAMETERS)}"
            )

    @property
    def trained(self) -> bool:
        """Whether there is anything to train."""
        return self.parameters != "default" or self.replacement

    @property
    def needs_twsa(self) -> bool:
        """Whether the loss reads gravimetry."""
        return self.weights[1] > 0


SCHEMES = Extended(
    "schemes",
    {
        scheme.name: scheme
        for scheme in (
            Scheme("hydropynn", "HydroPyNN", "default", False, (0.5, 0.5)),
            Scheme("hydropynn_q", "HydroPyNN(Q)", "free", False, (1.0, 0.0)),
            Scheme("hydropynn_qs", "HydroPyNN(Q,S)", "free", False, (0.5, 0.5)),
            Scheme("hybrid_q", "Hybrid(Q)", "network", False, (1.0, 0.0)),
            Scheme("hybrid_qs", "Hybrid(Q,S)", "network", False, (0.5, 0.5)),
            Scheme("hybrid_qs_plus", "Hybrid(Q,S)+", "network", True, (0.5, 0.5)),
        )
    },
)
"""The paper's five schemes, HydroPyNN(Q) for basins without gravimetry, and what packages add."""
TRUTH = "truth"
"""Title of a twin's truth among those of the schemes."""


def find_scheme(name: str) -> Scheme:
    """Return a scheme by its name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in SCHEMES:
        raise InputError(f"scheme '{name}' is unknown; expected one of: {', '.join(SCHEMES)}")
    return SCHEMES[name]


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
