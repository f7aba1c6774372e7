"""The command line: ``hybridlib twin | prepare | simulate | train | evaluate | …``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hybridlib import __version__
from hybridlib.study.pet import FORMULAS
from hybridlib.study.schema import InputError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="HydroPy as a recurrent neural network: data, physics, training and the book.",
)
console = Console(stderr=True, soft_wrap=True)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hybridlib {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; what goes wrong ends in one sentence: exit code 2 for bad input."""
    try:
        app()
    except (InputError, RuntimeError, OSError) as error:
        console.print("[bold red]Error:[/] ", end="")
        console.print(str(error), highlight=False, markup=False)
        sys.exit(2 if isinstance(error, InputError) else 1)


def _bar(description: str) -> Progress:
    columns = TextColumn(description), BarColumn(), TextColumn("{task.completed}/{task.total}")
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console)


@app.command()
def twin(
    size: Annotated[str, typer.Option(help="default: the whole Amazon; smoke: a tributary.")] = (
        "default"
    ),
    output: Annotated[
        Path | None, typer.Option(help="Zarr store to write; data/cache/SIZE.zarr by default.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same twin.")] = 1,
    force: Annotated[bool, typer.Option(help="Make it again even if it is there.")] = False,
) -> None:
    """Make the built-in twin: weather, land, a hidden truth and what is observed of it.

    Example: `hybridlib twin --size smoke --output data/cache/smoke.zarr`
    """
    from hybridlib.twin.make import cached, make_twin

    with console.status("twin") as status:
        study, made = make_twin(size, seed, output or cached(size), force, status.update)
    console.print(f"{study.path}: {'made' if made else 'already there, nothing to do'}")


@app.command()
def prepare(
    landsurface: Annotated[Path, typer.Option(help="NetCDF, HydroPy's land-surface variables.")],
    forcing: Annotated[Path, typer.Option(help="NetCDF, daily weather on the same grid.")],
    discharge: Annotated[Path, typer.Option(help="NetCDF, discharge(time, station) in m3 s-1.")],
    output: Annotated[Path, typer.Option(help="Zarr store to write.")],
    twsa: Annotated[Path | None, typer.Option(help="NetCDF, twsa(time, box) in mm.")] = None,
    pet: Annotated[
        str,
        typer.Option(help=f"given (evspsblpot in the file), {' or '.join(FORMULAS.names())}."),
    ] = "given",
    force: Annotated[bool, typer.Option(help="Replace a study that stands there.")] = False,
) -> None:
    """Import your own basin as a prepared study.

    Example: `hybridlib prepare --landsurface landsurface.nc --forcing forcing.nc
    --discharge discharge.nc --output moselle.zarr`
    """
    from hybridlib.study.prepare import prepare as prepare_study
    from hybridlib.study.store import Study

    if Study(output).has("forcing") and not force:
        raise InputError(f"{output}: a study stands here; --force replaces it, or name another")
    study = prepare_study(landsurface, forcing, discharge, output, twsa, pet)
    gauges = study.discharge
    for gauge in gauges.station:
        one = gauges.sel(station=gauge)
        note = ", moved to a neighbouring cell" if one.snapped else ""
        known = f"{float(one.area):,.0f} km2 as published" if one.area > 0 else "no published area"
        console.print(
            f"gauge {gauge.item()}: drains {float(one.cell_area):,.0f} km2 in the network, "
            f"{known}{note}"
        )
    console.print(f"{study.path}: {study.basin.size} cells, {len(study.days)} days")


@app.command()
def simulate(
    landsurface: Annotated[Path, typer.Option(help="NetCDF, HydroPy's land-surface variables.")],
    forcing: Annotated[
        Path, typer.Option(help="NetCDF, daily TSurf, Precip, PET or tas, pr, evspsblpot.")
    ],
    output: Annotated[Path, typer.Option(help="NetCDF to write.")],
    dtype: Annotated[str, typer.Option(help="float64 (exact) or float32 (fast).")] = "float64",
    variables: Annotated[
        str, typer.Option(help="Names to write, separated by commas, or all.")
    ] = "all",
    restart_in: Annotated[Path | None, typer.Option(help="Stores to start from.")] = None,
    restart_out: Annotated[Path | None, typer.Option(help="Where to keep the stores.")] = None,
    any_date: Annotated[
        bool, typer.Option(help="Start from stores of any date, as in cycling a year.")
    ] = False,
    zonal_length: Annotated[
        str,
        typer.Option(
            help="Length of a reach along a row: original (HydroPy's, from the area of the row's "
            "second column) or geometric (from the longitudes)."
        ),
    ] = "original",
    cascade: Annotated[
        bool,
        typer.Option(help="HydroPy's cascade and four sub-steps, or one reservoir and one step."),
    ] = True,
) -> None:
    """Run HydroPyNN on HydroPy's own input files.

    Example: `hybridlib simulate --landsurface L.nc --forcing F.nc --output O.nc
    --variables dis,evap,tws --restart-out end.nc`
    """
    from hybridlib.hydropy.model import VARIABLES, known_variables
    from hybridlib.hydropy.simulate import simulate as run

    names = VARIABLES if variables == "all" else variables.replace(",", " ").split()
    names = known_variables(names)
    bar = _bar("days")
    task = bar.add_task("days", total=None)

    def progress(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    try:
        run(
            landsurface,
            forcing,
            output,
            dtype,
            names,
            restart_in,
            restart_out,
            any_date,
            progress,
            zonal_length=zonal_length,
            cascade=cascade,
        )
    finally:
        if bar.live.is_started:
            bar.stop()
    console.print(f"{output}: {len(names)} variables")
    if restart_out is not None:
        console.print(f"{restart_out}: stores after the last day")


@app.command()
def train(
    scheme: Annotated[
        str,
        typer.Option(help="hydropynn_q, hydropynn_qs, hybrid_q, hybrid_qs or hybrid_qs_plus."),
    ],
    study: Annotated[Path, typer.Option(help="Prepared study (prepare or twin make one).")],
    run: Annotated[Path, typer.Option(help="Folder of the run; new, or with --resume its own.")],
    split: Annotated[
        str, typer.Option(help="temporal, or spatial or spatiotemporal with --fold.")
    ] = "temporal",
    fold: Annotated[int, typer.Option(help="Group of gauges held out, from 1 on.")] = 0,
    folds: Annotated[int, typer.Option(help="Number of groups of gauges.")] = 4,
    split_seed: Annotated[int, typer.Option(help="Of the groups.")] = 0,
    train_years: Annotated[str, typer.Option(help="Such as 2003-2012; by default a rule.")] = "",
    validation_years: Annotated[str, typer.Option(help="Such as 2013-2016.")] = "",
    preset: Annotated[str, typer.Option(help="fast, or paper (Adam 5e-4, 300 steps).")] = "fast",
    epochs: Annotated[int, typer.Option(help="Most steps; 0: the preset's.")] = 0,
    weight: Annotated[
        float, typer.Option(help="Of discharge in the loss, 0 to 1; -1: the scheme's own.")
    ] = -1.0,
    choose: Annotated[
        bool,
        typer.Option(help="Choose the steps inside the training years, then refit on all of them."),
    ] = True,
    seed: Annotated[int, typer.Option(help="Of the first member's start.")] = 0,
    members: Annotated[int, typer.Option(help="Members of an ensemble, side by side.")] = 1,
    replacement: Annotated[
        str, typer.Option(help="conv3d, or fcnn, which sees no neighbours.")
    ] = "conv3d",
    precision: Annotated[
        str, typer.Option(help="float32, or bfloat16 for the replacement network.")
    ] = "float32",
    deterministic: Annotated[
        bool, typer.Option(help="Only operations that are reproducible by design.")
    ] = False,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint.")] = False,
) -> None:
    """Train a scheme; a stopped training goes on with --resume to the very same weights.

    Example: `hybridlib train --scheme hybrid_qs --study data/cache/default.zarr --run runs/qs`
    """
    from hybridlib.learning.settings import Settings
    from hybridlib.learning.training import train as fit

    settings = Settings(
        scheme, str(study), split, fold, folds, split_seed, train_years, validation_years, preset,
        epochs, weight, choose, seed, members, replacement, precision, deterministic,
    )  # fmt: skip
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[scores]}")
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("reading", total=None, scores="")

        def progress(row: dict) -> None:
            step = f"{row['phase']} {row['epoch']}"
            done = bar.tasks[0].completed + 1
            bar.update(task, description=step, scores=_scores(row), completed=done)
            bar.update(task, total=done + row["left"])

        def note(text: str) -> None:
            bar.console.print(text, highlight=False, markup=False)

        weights = fit(settings, run, resume, progress, note)
    console.print(f"{weights}: trained; `hybridlib evaluate --run {run}` scores it")


@app.command()
def evaluate(
    run: Annotated[Path | None, typer.Option(help="Folder of a finished run.")] = None,
    scheme: Annotated[
        str | None, typer.Option(help="An untrained scheme instead, such as hydropynn.")
    ] = None,
    study: Annotated[Path | None, typer.Option(help="The study; a run's own by default.")] = None,
    train_years: Annotated[str, typer.Option(help="For --scheme; by default a rule.")] = "",
    validation_years: Annotated[str, typer.Option(help="For --scheme; by default the rest.")] = "",
    output: Annotated[
        Path | None, typer.Option(help="NetCDF for the scores; metrics.nc in the run by default.")
    ] = None,
) -> None:
    """Score a model by gauge and box, in training and validation years, and close its water.

    Example: `hybridlib evaluate --run runs/qs` or `hybridlib evaluate --scheme hydropynn
    --study data/cache/default.zarr`
    """
    from hybridlib.learning import evaluation
    from hybridlib.learning.run import Run
    from hybridlib.learning.settings import split_of
    from hybridlib.study.store import open_study

    if (run is None) == (scheme is None) or (scheme is not None and study is None):
        raise InputError("give either --run, or --scheme with --study")
    if run is not None and (train_years or validation_years):
        raise InputError("a run is scored in its own years; give years only with --scheme")
    if run is not None and study is not None and output is None:
        raise InputError("scores on another study need a file of their own: give --output")
    with console.status("running the model"):
        if run is not None:
            model = Run.open(run, study or "").model()
        elif scheme is not None and study is not None:
            data = open_study(study)
            years = split_of(data, train_years, validation_years)
            model = evaluation.open_untrained(data, scheme, years)
        scores = evaluation.evaluate(*model)
    about = "{study} ({source}); train {train}, validation {validation}".format(**scores.attrs)
    for name in (name for name in evaluation.UNITS if name in scores):
        table = evaluation.table(scores, name)
        table.loc["median"] = table.median()
        typer.echo(f"\n{name}, {about}\n{table.to_string(float_format='{:.3f}'.format)}")
    typer.echo(f"\nwater from nowhere: at most {scores.attrs['water_from_nowhere_mm']:.1e} mm")
    target = output or (run / evaluation.METRICS if run is not None else None)
    if target is not None:
        evaluation.write_metrics(target, scores)
        console.print(f"{target}: scores")


@app.command()
def experiments(
    matrix: Annotated[Path, typer.Option(help="YAML that lists the runs.")] = Path(
        "params/experiments.yml"
    ),
    only: Annotated[
        list[str] | None, typer.Option(help="An experiment of the matrix; repeatable.")
    ] = None,
    scheduler: Annotated[
        str, typer.Option(help="local, or a Dask scheduler's address such as tcp://host:8786.")
    ] = "local",
    workers: Annotated[
        int,
        typer.Option(min=1, help="Runs at a time with the local scheduler; each uses all cores."),
    ] = 1,
    retries: Annotated[int, typer.Option(min=0, help="How often a failed run is tried again.")] = 1,
    plan: Annotated[bool, typer.Option(help="List the runs and what is done; start none.")] = False,
) -> None:
    """Perform the run matrix; finished runs are skipped, stopped ones go on.

    Example: `hybridlib experiments --matrix params/experiments.yml --scheduler tcp://head:8786`
    """
    from hybridlib.experiments import matrix as lab

    runs = lab.expand(lab.read_matrix(matrix), only or ())
    if plan:
        for run in runs:
            typer.echo(f"{run}: {'done' if lab.finished(run) else 'to do'}")
        return
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[scores]}")
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as bar:
        tasks = {"": bar.add_task("all runs", total=len(runs), scores="")}

        def progress(row: dict) -> None:
            run = row["run"]
            if run not in tasks:
                tasks[run] = bar.add_task(run, total=None, scores="")
            done = bar.tasks[bar.task_ids.index(tasks[run])].completed + 1
            bar.update(tasks[run], completed=done, total=done + row["left"], scores=_scores(row))

        def ended(run: lab.Task, how: str) -> None:
            bar.advance(tasks[""])
            if str(run) in tasks:
                bar.remove_task(tasks.pop(str(run)))
            bar.console.print(f"{run}: {how}", highlight=False, markup=False)

        with lab.connect(scheduler, workers) as client:
            failures = lab.schedule(runs, client, progress, ended, retries)
    if failures:
        listed = "".join(f"\n  {run}: {reason}" for run, reason in failures.items())
        raise RuntimeError(
            f"{len(failures)} of {len(runs)} runs failed; the same command tries them again{listed}"
        )


@app.command()
def results(
    matrix: Annotated[Path, typer.Option(help="YAML that lists the runs.")] = Path(
        "params/experiments.yml"
    ),
    metric: Annotated[str, typer.Option(help="NSE, KGE or RMSE.")] = "NSE",
) -> None:
    """Gather all finished runs of the matrix, write dataset and tables, print the tables.

    Example: `hybridlib results --metric KGE`
    """
    from hybridlib.experiments import results as lab
    from hybridlib.experiments.matrix import read_matrix
    from hybridlib.learning.evaluation import SCORES

    if metric not in SCORES:
        raise InputError(f"metric '{metric}' is unknown; expected {', '.join(SCORES)}")
    plan = read_matrix(matrix)
    gathered = lab.write(plan)
    table = lab.wide(lab.summary(gathered), metric)
    typer.echo(f"{metric}, {gathered.attrs['study']}\n{table.to_string()}")
    waiting = lab.to_do(plan, gathered)
    if len(waiting):
        typer.echo(f"\nnot finished, hours estimated\n{waiting.to_string(index=False)}")
    console.print(f"{plan.results}: {lab.DATASET} and tables")


def _scores(row: dict) -> str:
    shown = {"loss": "loss", "nse_discharge": "NSE Q", "nse_twsa": "NSE TWSA"}
    return " ".join(f"{text} {row[key]:.3f}" for key, text in shown.items())


@app.command()
def notebooks(
    names: Annotated[
        list[str] | None, typer.Argument(help="Notebooks to run; all of them by default.")
    ] = None,
    params: Annotated[Path, typer.Option(help="YAML with a group global and one a notebook.")] = (
        Path("params/default.yml")
    ),
    values: Annotated[
        list[str] | None, typer.Option("-p", help="key=value, wins over the file; repeatable.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
) -> None:
    """Run notebooks with parameters; only what ran to its end is published.

    Example: `hybridlib notebooks 02_hydropy_rnn -p study=moselle.zarr`
    """
    from hybridlib.publish.notebooks import run

    overrides = {}
    for value in values or []:
        key, equals, text = value.partition("=")
        if not equals:
            raise InputError(f"-p {value}: expected key=value")
        overrides[key] = text
    for path in run(names or [], params, overrides, output):
        console.print(str(path))


@app.command()
def book(
    strict: Annotated[bool, typer.Option(help="Treat every warning as an error.")] = False,
) -> None:
    """Build the book from the notebooks as they were last run, and say where it lies."""
    from hybridlib.publish.pages import build

    console.print(f"The book: {build(strict)}")
