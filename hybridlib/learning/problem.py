"""A scheme on a study: the forward pass from trainable weights to what instruments see."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.hydropy.adjoint import differentiable_run
from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.land import Weather
from hybridlib.hydropy.model import HydroPyNN
from hybridlib.hydropy.parameters import Parameters
from hybridlib.hydropy.simulate import study_model, study_weather
from hybridlib.hydropy.step import State
from hybridlib.learning.instruments import Instruments, build_instruments
from hybridlib.learning.learner import Learner
from hybridlib.learning.networks import METEOROLOGY, Window, build_window
from hybridlib.learning.objective import Objective, build_target, months_of, storage_in_reference
from hybridlib.learning.schemes import Scheme
from hybridlib.study.attributes import ATTRIBUTES
from hybridlib.study.basin import Basin
from hybridlib.study.prepare import check_forcing
from hybridlib.study.schema import InputError
from hybridlib.study.splits import Period, Split
from hybridlib.study.store import Study

SETTLED = 5.0
"""Largest change of a cell's water from one cycle of the first year to the next, mm."""


@dataclass(frozen=True)
class Problem:
    """What a forward pass reads, from the first day of the record to the last one needed.

    Attributes:
        study: the prepared study.
        scheme: what is trained.
        split: which observations train; the networks' inputs are normalised over its years.
        model: HydroPyNN, float32.
        days: the days, (time,).
        weather: packed, (time, cell).
        start: stores at the first day, settled with HydroPy's own parameters.
        attributes: normalised, (cell, attribute).
        kind: of the replacement network.
        window: what that network reads; None without it.
        boxes: observed storage anomalies of the months in ``days``; None without gravimetry.
        instruments: gauges and boxes.
    """

    study: Study
    scheme: Scheme
    split: Split
    model: HydroPyNN
    days: pd.DatetimeIndex
    weather: Weather
    start: State
    attributes: np.ndarray
    kind: str
    window: Window | None
    boxes: xr.Dataset | None
    instruments: Instruments

    def learner(self, seed: int, dtype: str = "float32") -> Learner:
        """The scheme's trainable part at its start."""
        default = self.model.default_parameters()
        names = list(map(str, self.study.attributes))
        return Learner(self.scheme, default, self.attributes, seed, self.kind, dtype, names)

    def predict(self, learners: Sequence[Learner], segments: int = 1):
        """Run every learner's model, one a core; differentiable.

        Returns:
            Discharge, m3 s-1, (time, …, station), and storage anomaly, mm, (month, …, box), or
            None without gravimetry; with a member axis where there is more than one learner.
        """
        parameters, pet = self.driven_by(learners)
        members = () if len(learners) == 1 else (len(learners),)
        start = State(
            *(tf.broadcast_to(s, (*members, *s.shape)) if members else s for s in self.start)
        )
        weather = self.weather._replace(pet=pet)
        _, series = differentiable_run(self.model, weather, parameters, start, segments=segments)
        discharge = self.instruments.discharge(series["dis"])
        twsa = None if self.boxes is None else self.instruments.anomaly(series["tws"])
        return discharge, twsa

    def driven_by(self, learners: Sequence[Learner]) -> tuple[Parameters, tf.Tensor]:
        """Parameters, (…, cell), and PET, mm d-1, (time, …, cell), of the learners."""
        fields = [learner.parameters() for learner in learners]
        pets = [learner.pet(self.weather.pet, self.window) for learner in learners]
        if len(learners) == 1:
            return fields[0], pets[0]
        shared = not self.scheme.replacement
        stacked = Parameters(*(tf.stack(field) for field in zip(*fields, strict=True)))
        return stacked, pets[0] if shared else tf.stack(pets, axis=1)

    def objective(self, period: Period) -> Objective:
        """The scheme's loss over the observations of a period, gauges held out left aside."""
        discharge = self.study.discharge.discharge.reindex(time=self.days)
        discharge = discharge.where(~discharge.station.isin(self.split.held_out))
        twsa = None
        if self.scheme.needs_twsa and self.boxes is not None:
            used = np.asarray(self.instruments.baseline) > 0
            twsa = build_target(storage_in_reference(self.boxes, used), period)
        return Objective(build_target(discharge, period), twsa, self.scheme.weights)


def build_problem(
    study: Study,
    scheme: Scheme,
    split: Split,
    last_year: int,
    kind: str = "conv3d",
) -> Problem:
    """Read what a scheme needs from a study, from its first day to the end of a year.

    Args:
        study: the prepared study.
        scheme: what is trained.
        split: which observations train.
        last_year: the run's last.
        kind: of the replacement network.

    Raises:
        InputError: the study lacks what the scheme needs, or its weather has gaps.
    """
    if scheme.needs_twsa and scheme.trained:
        study.group("twsa")
    days = study.days[study.days.year <= last_year]
    covered = slice(days[0], days[-1])
    model = study_model(study)
    weather = study_weather(study, model, covered)
    attributes = _normalised_attributes(study)
    window = _window(study, split, covered, attributes, kind) if scheme.replacement else None
    start, _ = model.spin_up(weather.part(slice(365)), threshold=SETTLED)
    boxes = None
    if study.has("twsa"):
        boxes = study.twsa.load()
        boxes = boxes.isel(month=months_of(days, boxes.indexes["month"]))
    return Problem(
        study,
        scheme,
        split,
        model,
        days,
        weather,
        start,
        attributes[study.basin.row, study.basin.col].astype(np.float32),
        kind,
        window,
        boxes,
        build_instruments(model.basin, study.gauge_cells, days, boxes),
    )


def basin_digest(basin: Basin) -> str:
    """A short name for a basin: weights of another one do not fit."""
    digest = hashlib.sha256()
    for field in (basin.row, basin.col, basin.downstream):
        digest.update(np.asarray(field, np.int64).tobytes())
    digest.update(np.round(np.concatenate([basin.lat, basin.lon]), 6).tobytes())
    return digest.hexdigest()[:16]


def seen_in(study: Study) -> str:
    """What a study shows, in numbers of four digits: weights trained on others are not its own.

    Machines may differ in the last digits of a twin, so it cannot be told by its bytes.

    Returns:
        Mean discharge over gauges and days, m3 s-1; standard deviation of storage anomalies, mm;
        and means over the land of the attributes that come from the weather or from packages.
    """
    numbers = {"discharge": float(study.discharge.discharge.mean())}
    if study.has("twsa"):
        numbers["twsa"] = float(study.twsa.twsa.std())
    land, attributes = study.basin.land, study.attributes
    added = [name for name in map(str, attributes) if name not in ATTRIBUTES.own]
    for name in ("p_avg", "temp_avg", "pet_avg", *added):
        numbers[name] = float(study.basin.pack(attributes[name])[land].mean(dtype=float))
    return ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())


def _normalised_attributes(study: Study) -> np.ndarray:
    """Attributes with mean 0 and spread 1 over the land, 0 where missing, (lat, lon, attribute)."""
    basin, attributes = study.basin, study.land_attributes()
    fields = (field.values.astype(float) for field in attributes.values())
    return np.stack([normalised(one, basin.pack(one)[basin.land]) for one in fields], axis=-1)


def _window(study: Study, split: Split, days: slice, attributes: np.ndarray, kind: str) -> Window:
    """Normalise the six variables over the basin's land and the training years."""
    basin, forcing = study.basin, study.forcing.sel(time=days)
    missing = [name for name in METEOROLOGY if name not in forcing]
    if missing:
        raise InputError(
            f"{study.path}: forcing has no {', '.join(missing)}; "
            f"the replacement network reads {', '.join(METEOROLOGY)}"
        )
    time = forcing.indexes["time"]
    fields = np.empty((*forcing.pr.shape, len(METEOROLOGY)), np.float32)
    for k, name in enumerate(METEOROLOGY):
        field = forcing[name].values
        packed = basin.pack(field)
        check_forcing(packed, name, basin, time, str(study.path))
        fields[..., k] = normalised(field, packed[split.train.holds(time)][:, basin.land])
    return build_window(fields, attributes, basin, kind)


def normalised(field: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """A field less the mean of a sample, over its spread where it has one; 0 where missing.

    Args:
        field: of any shape, in any unit.
        sample: values that count for mean and spread.
    """
    sample = sample.astype(float)
    mean, spread = np.nanmean(sample), np.nanstd(sample)
    spread = spread if spread > 1e-9 * max(1.0, abs(mean)) else 1.0
    return np.nan_to_num((field - mean) / spread)
