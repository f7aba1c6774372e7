"""What a run learns: schedules, settings, and the split that follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field, model_validator

from hybridlib.learning.schemes import KERNELS, Scheme, find_scheme
from hybridlib.study.options import Options, one_of
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


class Preset(Options):
    """A schedule of Adam."""

    free: float
    """First learning rate of free parameters, in logits."""
    network: float
    """First learning rate of network weights."""
    warm_up: int
    """Steps over which the rate rises to its first value. Adam's first steps are as long as the
    rate says however small the gradient; a network then overshoots."""
    half_life: float | None
    """Steps after which the rate has halved; None keeps it."""
    steps: int
    """Most steps."""
    patience: int
    """Steps without a better held-out loss after which the choice of steps ends."""

    def rate(self, step: int, kind: str) -> float:
        """Learning rate of a step, from 0 on."""
        first = self.free if kind == "free" else self.network
        decay = 1.0 if self.half_life is None else 0.5 ** (step / self.half_life)
        return first * decay * min(1.0, (step + 1) / self.warm_up)

    def best_step(self, losses: Sequence[float]) -> int:
        """Step with the least held-out loss before patience ended; at least one.

        Args:
            losses: before each step.
        """
        best = 0
        for step, loss in enumerate(losses):
            if loss < losses[best]:
                best = step
            elif step - best >= self.patience:
                break
        return max(best, 1)


PRESETS = {
    "paper": Preset(free=5e-4, network=5e-4, warm_up=1, half_life=None, steps=300, patience=300),
    "fast": Preset(free=0.1, network=1e-2, warm_up=10, half_life=45.0, steps=100, patience=15),
}
"""The paper's setting (Adam, 5e-4, 300 iterations), and a faster schedule."""


LARGEST_SEED = 2**31 - 1_000_000
"""With members after it, still a seed of 31 bits."""


def _option(default: Any, unit: str = "", name: str = "", **limits) -> Any:
    """A setting with its unit, and its name on the command line where that is another."""
    return Field(default, json_schema_extra={"unit": unit, "option": name}, **limits)


class Training(Options):
    """How a training goes, whatever the scheme: what a run and a group of the matrix share."""

    split: Annotated[str, one_of(SPLITS)] = _option("temporal")
    """temporal, or spatial or spatiotemporal, which hold gauges out."""
    folds: int = _option(FOLDS, "groups", ge=1, le=1000)
    """Groups of gauges that take turns at being held out."""
    split_seed: int = _option(0, ge=0, le=LARGEST_SEED)
    """Seed of the groups."""
    train: str = _option("", "years", "train-years")
    """Training years, such as 2003-2012; empty for the split's rule."""
    validation: str = _option("", "years", "validation-years")
    """Validation years, such as 2013-2016; empty for the split's rule."""
    preset: Annotated[str, one_of(PRESETS)] = _option("fast")
    """Schedule, fast or paper (Adam at 5e-4, 300 steps)."""
    free_rate: float = _option(0.0, "logits", ge=0.0, le=1000.0)
    """First learning rate of free parameters; 0 for the preset's."""
    network_rate: float = _option(0.0, ge=0.0, le=1000.0)
    """First learning rate of network weights; 0 for the preset's."""
    epochs: int = _option(0, "steps", ge=0, le=1_000_000)
    """Most steps; 0 for the preset's."""
    choose: bool = _option(True)
    """Choose the number of steps inside the training years, then refit on all of them."""
    seed: int = _option(0, ge=0, le=LARGEST_SEED)
    """Seed of the first member's start; the others follow."""
    members: int = _option(1, "members", ge=1, le=1000)
    """Members of an ensemble, trained side by side."""
    precision: Annotated[str, one_of(("float32", "bfloat16"))] = _option("float32")
    """float32 or bfloat16, of the replacement network."""
    deterministic: bool = _option(False)
    """Use only operations that TensorFlow calls deterministic. Conv3D rounds by the number of
    threads all the same; TF_NUM_INTRAOP_THREADS sets it."""


class Settings(Training):
    """Everything that decides what a run learns.

    Example:
        >>> import hybridlib as hl
        >>> hl.Settings(scheme="hybrid_qs", study="data/cache/smoke.zarr", members=3).steps
        100
        >>> hl.Settings(scheme="hybrid_qs", study="data/cache/smoke.zarr", members=0)
        Traceback (most recent call last):
        hybridlib.study.schema.InputError: members is 0; expected at least 1

    Raises:
        InputError: a setting that is unknown or cannot serve.
    """

    scheme: str = _option(...)
    """hydropynn_q, hydropynn_qs, hybrid_q, hybrid_qs, hybrid_qs_plus, or an installed package's."""
    study: str = _option(...)
    """The prepared study."""
    fold: int = _option(0)
    """Group of gauges that is held out, from 1 on; 0 for the temporal split."""
    weight: float = _option(-1.0)
    """Of discharge in the loss, 0 to 1, the rest is storage's; -1 for the scheme's own."""
    replacement: Annotated[str, one_of(KERNELS)] = _option("conv3d")
    """Kind of the replacement network, conv3d or fcnn, which sees no neighbours."""

    @model_validator(mode="after")
    def _fit_together(self):
        first, last = (0, 0) if self.split == "temporal" else (1, self.folds)
        if not first <= self.fold <= last:
            expected = f"1 to {last}" if last else "0"
            raise ValueError(
                f"fold is {self.fold}; expected {expected} with the {self.split} split"
            )
        if not (self.weight == -1.0 or 0.0 <= self.weight <= 1.0):
            raise ValueError(
                f"weight is {self.weight}; expected 0 to 1, or -1 for the scheme's own"
            )
        find_scheme(self.scheme)
        return self

    @property
    def adam(self) -> Preset:
        """The preset, with the rates asked for."""
        preset = PRESETS[self.preset]
        own = {"free": self.free_rate, "network": self.network_rate}
        return preset.model_copy(update={name: rate for name, rate in own.items() if rate})

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


class Configuration(Settings):
    """All that makes a run this run, as ``config.json`` keeps it: settings and what they met."""

    held_out: tuple[str, ...] = ()
    """Gauges held out."""
    schedule: Preset = Field(...)
    """The schedule's numbers."""
    basin: str
    """A short name for the basin's cells and network."""
    source: str
    """real or twin."""
    data: str
    """What the study shows, in numbers."""
    versions: dict[str, str] = Field({})
    """Of the libraries that trained."""


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
