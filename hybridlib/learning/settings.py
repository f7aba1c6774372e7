"""What a run learns: schedules, settings, and the split that follows from them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from hybridlib.learning.networks import KERNELS
from hybridlib.learning.schemes import Scheme, find_scheme
from hybridlib.study.schema import InputError
from hybridlib.study.splits import (
    FOLDS,
    SPLITS,
    Period,
    Split,
    hold_out,
    station_groups,
    temporal_split,
)
from hybridlib.study.store import Study


@dataclass(frozen=True)
class Preset:
    """A schedule of Adam.

    Attributes:
        free: first learning rate of free parameters, in logits.
        network: first learning rate of network weights.
        warm_up: steps over which the rate rises to its first value. Adam's first steps are as long
            as the rate says however small the gradient; a network then overshoots.
        half_life: steps after which the rate has halved; None keeps it.
        steps: most steps.
        patience: steps without a better held-out loss after which the choice of steps ends.
    """

    free: float
    network: float
    warm_up: int
    half_life: float | None
    steps: int
    patience: int

    def rate(self, step: int, kind: str) -> float:
        """Learning rate of a step, from 0 on."""
        first = self.free if kind == "free" else self.network
        decay = 1.0 if self.half_life is None else 0.5 ** (step / self.half_life)
        return first * decay * min(1.0, (step + 1) / self.warm_up)


PRESETS = {
    "paper": Preset(free=5e-4, network=5e-4, warm_up=1, half_life=None, steps=300, patience=300),
    "fast": Preset(free=0.1, network=1e-2, warm_up=10, half_life=45.0, steps=100, patience=15),
}
"""The paper's setting (Adam, 5e-4, 300 iterations), and a faster schedule."""


@dataclass(frozen=True)
class Settings:
    """Everything that decides what a run learns; kept in the run's ``config.json``.

    Attributes:
        scheme: a name in :data:`~hybridlib.learning.schemes.SCHEMES`.
        study: the prepared study, as it was given.
        split: "temporal", "spatial" or "spatiotemporal".
        fold: which group of gauges is held out, from 1 on; 0 for the temporal split.
        folds: number of groups of gauges.
        split_seed: of the groups.
        train: training years ("2003-2012"); empty for the split's rule.
        validation: validation years; empty for the split's rule.
        preset: a name in :data:`PRESETS`.
        epochs: most steps; 0 for the preset's.
        weight: of discharge in the loss, 0 to 1, the rest is storage's; -1 for the scheme's own.
        choose: choose the number of steps inside the training period, then refit on all of it.
        seed: of the first member; the others follow.
        members: ensemble members, trained side by side.
        replacement: "conv3d", or "fcnn" for the rival without neighbours.
        precision: "float32" or "bfloat16", of the replacement network.
        deterministic: use only operations that TensorFlow calls deterministic. Conv3D rounds by the
            number of threads all the same; TF_NUM_INTRAOP_THREADS sets it.
    """

    scheme: str
    study: str
    split: str = "temporal"
    fold: int = 0
    folds: int = FOLDS
    split_seed: int = 0
    train: str = ""
    validation: str = ""
    preset: str = "fast"
    epochs: int = 0
    weight: float = -1.0
    choose: bool = True
    seed: int = 0
    members: int = 1
    replacement: str = "conv3d"
    precision: str = "float32"
    deterministic: bool = False

    def __post_init__(self):
        known = {
            "split": SPLITS,
            "preset": PRESETS,
            "replacement": KERNELS,
            "precision": ("float32", "bfloat16"),
        }
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value).__name__ != field.type:
                raise InputError(f"{field.name} is {value!r}; expected {field.type}")
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise InputError(
                    f"{name} '{getattr(self, name)}' is unknown; expected {' or '.join(values)}"
                )
        for name, least in (("epochs", 0), ("seed", 0), ("members", 1), ("split_seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least {least}")
        first, last = (0, 0) if self.split == "temporal" else (1, self.folds)
        if not first <= self.fold <= last:
            expected = f"1 to {last}" if last else "0"
            raise InputError(
                f"fold is {self.fold}; expected {expected} with the {self.split} split"
            )
        if not (self.weight == -1.0 or 0.0 <= self.weight <= 1.0):
            raise InputError(
                f"weight is {self.weight}; expected 0 to 1, or -1 for the scheme's own"
            )
        find_scheme(self.scheme)

    @property
    def steps(self) -> int:
        """Most steps."""
        return self.epochs or PRESETS[self.preset].steps

    def weighted_scheme(self) -> Scheme:
        """The scheme, with the weights asked for."""
        scheme = find_scheme(self.scheme)
        if self.weight < 0.0:
            return scheme
        return replace(scheme, weights=(self.weight, 1.0 - self.weight))

    def split_of(self, study: Study) -> Split:
        """What of a study trains."""
        split = split_of(study, self.train, self.validation)
        if self.fold == 0:
            return split
        groups = station_groups(list(study.discharge.station.values), self.folds, self.split_seed)
        return hold_out(split, self.split, groups[self.fold - 1])


def split_of(study: Study, train: str = "", validation: str = "") -> Split:
    """The temporal split of a study; periods as text, empty for the rule."""
    seen = study.discharge.discharge.notnull().any("station").values
    if not seen.any():
        raise InputError(f"{study.path}: discharge has no observation at any gauge")
    baseline = int(study.twsa.attrs["baseline_last"][:4]) if study.has("twsa") else None
    return temporal_split(
        study.days,
        study.discharge.indexes["time"][seen],
        baseline,
        Period.parse(train) if train else None,
        Period.parse(validation) if validation else None,
    )
