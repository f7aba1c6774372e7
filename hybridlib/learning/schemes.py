"""The schemes, as data."""

from __future__ import annotations

from dataclasses import dataclass

from hybridlib.study.plugins import Extended
from hybridlib.study.schema import InputError

KERNELS = {"conv3d": 3, "fcnn": 1}
"""Width of the replacement network's kernels along time, lat and lon; 1 sees no neighbour."""


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
        if min(self.weights) < 0.0 or abs(sum(self.weights) - 1.0) > 1e-9:
            told = f"scheme '{self.name}' has weights {self.weights}"
            raise InputError(f"{told}; expected none below 0 and a sum of 1")

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
