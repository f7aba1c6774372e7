"""A run: a scheme on a study, from its folder to labelled results, in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.model import known_variables
from hybridlib.hydropy.parameters import TABLE_1
from hybridlib.hydropy.simulate import labelled
from hybridlib.learning import evaluation
from hybridlib.learning.folder import (
    CONFIG,
    HISTORY,
    METRICS,
    WEIGHTS,
    check_history,
    configuration,
    digest,
    identity,
    load_weights,
    read_config,
    read_values,
)
from hybridlib.learning.learner import Learner
from hybridlib.learning.problem import Problem, build_problem
from hybridlib.learning.schemes import Scheme
from hybridlib.learning.settings import Configuration, Settings
from hybridlib.study.files import from_project
from hybridlib.study.schema import InputError
from hybridlib.study.splits import Period, Split
from hybridlib.study.store import Study, open_study

ONE_RUN = ("seed", "members", "study", "versions")
"""In what trainings may differ whose members make one ensemble."""
PERIODS = ("train", "validation")
CURVES = {
    "choosing: first years of the training period": ("choose", "loss", "--"),
    "choosing: its last years, held out": ("choose", "held_out", ":"),
    "refit: all of the training period": ("fit", "loss", "-"),
}
"""Phase, column and style of the curves of a training."""


@dataclass(frozen=True, eq=False)
class Run:
    """A scheme on all days of a study: trained, planned, or as it is before training.

    Attributes:
        config: all that makes it this run; the members of all folders.
        folders: where it lies; several where members were trained in a run each, none of a scheme
            that is not trained.
        place: where its study lies now; empty for where it lay when the run was made.
        reading: weather and stores that were read for another scheme of the same study.

    Example:
        >>> import hybridlib as hl
        >>> run = hl.Run.untrained(hl.open_study("data/cache/smoke.zarr"))
        >>> flow = run.simulate(["dis", "evap"], "2004")
        >>> flow.discharge.dims, flow.evap.attrs["units"]
        (('member', 'time', 'station'), 'mm d-1')
    """

    config: Configuration
    folders: tuple[Path, ...] = ()
    place: str = ""
    reading: Problem | None = None

    @classmethod
    def plan(cls, settings: Settings, folder: Path | str) -> Run:
        """A run to be made.

        Raises:
            InputError: a study or split that cannot be used.
        """
        study = open_study(settings.study)
        config = configuration(settings, study, settings.split_of(study))
        return cls(config, (Path(folder),))

    @classmethod
    def open(
        cls, *folders: Path | str, study: Study | Path | str = "", reading: Problem | None = None
    ) -> Run:
        """A run that is there, finished or not.

        Args:
            *folders: as `hybridlib train` left them; sought in the project, too. The members of
                several make one ensemble.
            study: where its study lies now.
            reading: as the attribute.

        Raises:
            InputError: no run there, a configuration that cannot be read, or runs that are not
                members of one ensemble.
        """
        if not folders:
            raise InputError("no folder of a run is given; expected at least one")
        found = tuple(map(from_project, folders))
        configs = [read_config(folder) for folder in found]
        for folder, config in zip(found, configs, strict=True):
            if (name := _differing(config, configs[0])) is not None:
                own, first = getattr(config, name), getattr(configs[0], name)
                raise InputError(f"{folder}: {name} is {own!r}; expected {first!r} as {found[0]}")
        seeds = [seed for one in configs for seed in range(one.seed, one.seed + one.members)]
        if len(set(seeds)) < len(seeds):
            raise InputError(f"{found[-1]}: a member with a seed of another; seeds are {seeds}")
        members = sum(config.members for config in configs)
        place = study.path if isinstance(study, Study) else study
        whole = configs[0].model_copy(update={"members": members})
        return cls(whole, found, str(place or ""), reading)

    @classmethod
    def untrained(
        cls,
        study: Study | Path | str,
        scheme: str = "hydropynn",
        train: str = "",
        validation: str = "",
        reading: Problem | None = None,
    ) -> Run:
        """A scheme as it is before training.

        Args:
            study: the prepared study.
            scheme: its name.
            train: years in which it is scored as trained; by default a rule.
            validation: the other years.
            reading: as the attribute.
        """
        data = study if isinstance(study, Study) else open_study(study)
        settings = Settings(scheme=scheme, study=str(data.path), train=train, validation=validation)
        split = settings.split_of(data) if reading is None else reading.split
        return cls(configuration(settings, data, split), (), str(data.path), reading)

    @property
    def folder(self) -> Path:
        """Where it lies, the first where members were trained in a run each."""
        return self.folders[0]

    @property
    def scheme(self) -> Scheme:
        """The scheme, with the run's weights of the loss."""
        return self.config.weighted_scheme()

    @property
    def title(self) -> str:
        """The paper's name of the scheme."""
        return self.scheme.title

    @cached_property
    def split(self) -> Split:
        """What trains and what validates."""
        config = self.config
        try:
            train, validation = Period.parse(config.train), Period.parse(config.validation)
        except InputError as error:
            raise InputError(f"{self.folder / CONFIG}: {error}") from None
        return Split(train, validation, config.held_out)

    @cached_property
    def study(self) -> Study:
        """The study.

        Raises:
            InputError: it is not there, or shows something else than it did in training.
        """
        study = open_study(self.place or self.config.study)
        for name, found in identity(study).items():
            if (own := getattr(self.config, name)) != found:
                raise InputError(
                    f"{self.folder}: weights of another {name} than {study.path} "
                    f"(found {own}, expected {found})"
                )
        return study

    @property
    def trained(self) -> bool:
        """Whether its weights are there."""
        return bool(self.folders) and all((one / WEIGHTS).is_file() for one in self.folders)

    def is_of(self, study: Study) -> bool:
        """Whether it was made on this very study, wherever that was then."""
        return all(getattr(self.config, name) == own for name, own in identity(study).items())

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row a step, each member's numbers in columns of its own.

        Raises:
            InputError: there is no history.
        """
        if not self.scheme.trained or not self.folders:
            return pd.DataFrame({"phase": [], "seconds": []})
        parts, members, seconds = [], 0, []
        for folder in self.folders:
            check_history(folder)
            try:
                part = pd.read_csv(folder / HISTORY).set_index(["phase", "epoch"])
            except (OSError, ValueError, KeyError) as error:
                raise InputError(f"{folder / HISTORY}: no history of a run ({error})") from None
            seconds.append(part.pop("seconds"))
            parts.append(part.rename(columns=lambda name, by=members: _shifted(name, by)))
            members += read_config(folder).members
        spent = pd.concat(seconds, axis=1).sum(axis=1)
        return pd.concat([*parts, spent.rename("seconds")], axis=1).reset_index()

    @cached_property
    def problem(self) -> Problem:
        """What its forward pass reads, on all days of its study."""
        study, scheme, kind = self.study, self.scheme, self.config.replacement
        if self.reading is None:
            return build_problem(study, scheme, self.split, study.days[-1].year, kind)
        window = self.reading.window if scheme.replacement else None
        return replace(self.reading, scheme=scheme, split=self.split, window=window)

    @cached_property
    def learners(self) -> list[Learner]:
        """Its members.

        Raises:
            InputError: no weights, or weights of another configuration.
        """
        if not self.folders or not self.scheme.trained:
            return [self.problem.learner(0)]
        found = []
        for folder in self.folders:
            own = read_config(folder)
            seeds = range(own.seed, own.seed + own.members)
            members = [self.problem.learner(seed, own.precision) for seed in seeds]
            load_weights(folder / WEIGHTS, members, own)
            found += members
        return found

    @cached_property
    def pet(self) -> np.ndarray:
        """PET of every member, mm d-1, (member, time, cell)."""
        return np.stack([self.pet_of(place) for place in range(len(self.learners))])

    def pet_of(self, place: int) -> np.ndarray:
        """PET of one member, mm d-1, (time, cell); convolutions take long, so it is kept."""
        if place not in self._pets:
            pet = self.learners[place].pet(self.problem.weather.pet, self.problem.window)
            self._pets[place] = np.asarray(pet)
        return self._pets[place]

    @cached_property
    def _pets(self) -> dict[int, np.ndarray]:
        return {}

    def places(self, member: int = -1) -> list[int]:
        """Places of one member, or of all; an untrained scheme has only one, whoever asks.

        Args:
            member: its place; -1 for all.

        Raises:
            InputError: a member that is not there.
        """
        count = len(self.learners)
        if not self.scheme.trained:
            return [0]
        if not -1 <= member < count:
            raise InputError(
                f"{self.title}: member is {member}; expected 0 to {count - 1}, or -1 for all"
            )
        return list(range(count)) if member < 0 else [member]

    def steps(self, member: int) -> int:
        """Steps that a member made on all of the training years.

        Members side by side stop at steps of their own; the history goes on to the last one's.
        """
        history = self.history
        if self.config.choose:
            losses = history.loc[history.phase == "choose", f"held_out_{member}"].dropna()
            return self.config.schedule.best_step(losses.tolist())
        return int(history.loc[history.phase == "fit", f"loss_{member}"].notna().sum())

    def simulate(
        self,
        variables: str | Sequence[str] = ("dis",),
        period: str | int = "",
        member: int = -1,
        grid: bool = False,
    ) -> xr.Dataset:
        """Run the model from the study's first day, and keep what is asked for.

        Args:
            variables: names in :data:`hybridlib.hydropy.model.VARIABLES`.
            period: years such as "2013-2016" or 2015; all by default.
            member: place of one member; -1 for all.
            grid: lay cells on the grid.

        Returns:
            Each variable (member, time, cell), or (member, time, lat, lon); fluxes in mm d-1,
            stores in mm, flows in m3 s-1, water in rivers in m3, also by reservoir. With dis also
            discharge (member, time, station) at the gauges; with tws and gravimetry also twsa
            (member, month, box), mm.

        Raises:
            InputError: an unknown variable, a member or years that are not there.
        """
        names = known_variables([variables] if isinstance(variables, str) else variables)
        problem, places = self.problem, self.places(member)
        years = Period.parse(str(period)) if period else Period(*problem.days[[0, -1]].year)
        inside = years.chosen(problem.days)
        runs = [self._member(place, names, years, inside) for place in places]
        found = xr.concat(runs, pd.Index(places, name="member"), combine_attrs="override")
        found.member.attrs["long_name"] = "member of the ensemble"
        about = {"title": f"{self.title} on {self.study.title}", "scheme": self.scheme.name}
        about |= {"source": self.study.attrs.get("source", "unknown")}
        about |= {"weights": " ".join(self._digests())}
        found = found.assign_attrs(about)
        return self.study.basin.on_grid(found) if grid else found

    def _member(self, place: int, names: Sequence[str], years: Period, inside) -> xr.Dataset:
        """What one member makes of the weather, in the years asked for."""
        problem, see = self.problem, self.problem.instruments
        weather = problem.weather._replace(pet=tf.constant(self.pet_of(place)))
        parameters = self.learners[place].parameters()
        _, series = problem.model.run(weather, parameters, problem.start, names)
        kept = {name: np.asarray(field)[inside] for name, field in series.items()}
        found = labelled(problem.model, kept, problem.days[inside])
        gauges, boxes = self.study.gauges, problem.boxes
        if "dis" in names:
            flow = np.asarray(see.discharge(series["dis"]))[inside]
            attrs = {"units": "m3 s-1", "long_name": "discharge at the gauges"}
            found["discharge"] = ("time", "station"), flow, attrs
            found = found.assign_coords(gauges)
        if "tws" in names and boxes is not None:
            seen = boxes.twsa.copy(data=np.asarray(see.anomaly(series["tws"])))
            seen = seen.assign_coords(box_lat=boxes.box_lat, box_lon=boxes.box_lon)
            found["twsa"] = seen.isel(month=years.holds(seen.indexes["month"]))
        return found

    def observe(self) -> xr.Dataset:
        """Observations and simulations; :func:`hybridlib.learning.evaluation.simulate_members`."""
        return evaluation.simulate_members(self.problem, self.learners, self.pet)

    def scores(self, anew: bool = False) -> xr.Dataset:
        """Scores by gauge and box, in training and validation years.

        Args:
            anew: compute them even if they are kept in the run's folder.

        Returns:
            As :func:`hybridlib.learning.evaluation.evaluate`.
        """
        kept = [folder / METRICS for folder in self.folders]
        if anew or not kept or not all(path.is_file() for path in kept) or not self._at_home():
            return evaluation.evaluate(self.problem, self.learners, self.observe())
        parts = [read_values(path) for path in kept]
        if len(parts) == 1:
            return parts[0]
        whole = xr.concat(parts, "member", combine_attrs="drop_conflicts", data_vars="minimal")
        closure = max(part.attrs["water_from_nowhere_mm"] for part in parts)
        members = np.arange(whole.sizes["member"])
        return whole.assign_coords(member=members).assign_attrs(water_from_nowhere_mm=closure)

    def _at_home(self) -> bool:
        """Whether the study is the very one that the run was made on, as far as is known."""
        return not self.place or self.is_of(self.study)

    def parameters(self, grid: bool = False) -> xr.Dataset:
        """The nine parameters of every member, (member, cell) or (member, lat, lon)."""
        fields = [learner.parameters() for learner in self.learners]
        stacked = (np.stack(list(map(np.asarray, each))) for each in zip(*fields, strict=True))
        basin = self.study.basin
        found = {
            row.name: (("member", "cell"), values, row.attrs)
            for row, values in zip(TABLE_1, stacked, strict=True)
        }
        coords = {"member": np.arange(len(fields)), **basin.cells}
        labels = xr.Dataset(found, coords, {"title": f"{self.title}: parameters"})
        return basin.on_grid(labels) if grid else labels

    def plot_training(self, ax=None, **style):
        """Draw the loss before each step, mean over the members, in both phases.

        Args:
            ax: Matplotlib axes; new ones by default.
            **style: of the lines.

        Returns:
            The axes.

        Raises:
            InputError: nothing was trained.
        """
        if not len(self.history):
            raise InputError(f"{self.title} has no training to show")
        own = ax is None
        if own:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        for text, (phase, column, look) in CURVES.items():
            part = self.history[self.history.phase == phase].set_index("epoch")
            loss = part.filter(regex=f"^{column}_").mean(axis=1)
            ax.plot(loss.index, loss, look, **{"label": text, "color": "C0"} | style)
        if own:
            ax.set(title=self.title, xlabel="steps made", ylabel="loss (–)", yscale="log")
            ax.legend()
        return ax

    def summary(self) -> dict[str, str]:
        """What the run is, a line a name."""
        config, split = self.config, self.split
        held_out = f"; held out: {', '.join(split.held_out)}" if split.held_out else ""
        versions = ", ".join(f"{name} {number}" for name, number in config.versions.items())
        state = "nothing to train"
        if self.scheme.trained:
            state = "trained" if self.trained else "not finished; --resume goes on"
        places = ", ".join(map(str, self.folders)) or "before training"
        about = {
            "run": f"{self.title} ({config.scheme}), {places}",
            "study": f"{config.study} ({config.source})",
            "split": f"{config.split}, {split.train}, validated in {split.validation}{held_out}",
            "members": f"{config.members}, from seed {config.seed}",
            "state": state,
        }
        if versions:
            about["versions"] = versions
        if self.trained:
            about["weights"] = f"of configuration {' '.join(self._digests())}"
        if self.trained and len(self.history):
            about["steps"] = ", ".join(str(self.steps(m)) for m in range(config.members))
            about["hours"] = f"{self.history.seconds.sum() / 3600:.2f}"
        if self.folders and (self.folder / METRICS).is_file():
            scores = self.scores().sel(metric="NSE")
            for name in (name for name in evaluation.UNITS if name in scores):
                median = scores[name].mean("member").median(scores[name].dims[-1])
                text = ", ".join(f"{p} {float(median.sel(period=p)):.3f}" for p in PERIODS)
                about[f"median NSE, {name}"] = text
        return about

    def _digests(self) -> list[str]:
        """Of the configuration of each folder's weights."""
        return [digest(read_config(folder)) for folder in self.folders]

    def compare(self, other: Run, metric: str = "NSE") -> xr.Dataset:
        """Scores beside those of another run on the same study, in the validation years.

        Args:
            other: the other one.
            metric: "NSE", "KGE" or "RMSE".

        Returns:
            discharge (run, station) and, with gravimetry, twsa (run, box), mean over the members;
            run has the two titles and "difference", this less the other.

        Raises:
            InputError: a run of another study or other validation years, or an unknown metric.
        """
        whose = other.summary()["run"]
        if not other.is_of(self.study):
            raise InputError(f"{whose}: not a run of {self.study.path}")
        if other.split.validation != self.split.validation:
            own, theirs = self.split.validation, other.split.validation
            raise InputError(f"{whose}: validated in {theirs}; expected {own}")
        if metric not in evaluation.SCORES:
            known = ", ".join(evaluation.SCORES)
            raise InputError(f"metric '{metric}' is unknown; expected one of: {known}")
        chosen = {"metric": metric, "period": "validation"}
        ours, theirs = (one.scores().sel(chosen).mean("member") for one in (self, other))
        names = [name for name in evaluation.UNITS if name in ours and name in theirs]
        parts = [ours[names], theirs[names], ours[names] - theirs[names]]
        names_of = [one.title for one in (self, other)]
        if names_of[0] == names_of[1]:
            names_of = [f"{one.title} {place}" for place, one in enumerate((self, other))]
        titles = pd.Index([*names_of, "difference"], name="run")
        return xr.concat(parts, titles, combine_attrs="override")


def _differing(config: Configuration, other: Configuration) -> str | None:
    """A setting in which two trainings differ that are not members of one ensemble."""
    names = (name for name in Configuration.model_fields if name not in ONE_RUN)
    return next((n for n in names if getattr(config, n) != getattr(other, n)), None)


def _shifted(column: str, by: int) -> str:
    """The column of a later member: "loss_0" shifted by 2 is "loss_2"."""
    name, _, member = column.rpartition("_")
    return f"{name}_{int(member) + by}" if member.isdigit() else column
