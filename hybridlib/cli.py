"""The command line: ``hybridlib twin | prepare | simulate | train | evaluate | …``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hybridlib import __version__
from hybridlib.learning.settings import Settings
from hybridlib.study.pet import FORMULAS
from hybridlib.study.schema import InputError
from hybridlib.terminal import (
    Stopped,
    console,
    long_work,
    options_of,
    progress_bar,
    scores_of,
    tell,
    tell_report,
    unexpected,
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="HydroPy as a recurrent neural network: data, physics, training and the book.",
)


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
    except Stopped as stopped:
        tell(f"Stopped: {str(stopped).removeprefix('stopped; ')}")
        sys.exit(130)
    except (InputError, RuntimeError, OSError) as error:
        console.print("[bold red]Error:[/] ", end="")
        console.print(str(error), highlight=False, markup=False)
        sys.exit(2 if isinstance(error, InputError) else 1)
    except Exception as error:
        unexpected(error)
        sys.exit(1)


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

    kept = "nothing was written, what stood there stays"
    with long_work(kept), console.status("twin") as status:
        study, made = make_twin(size, seed, output or cached(size), force, status.update)
    tell(f"{study.path}: {'made' if made else 'already there, nothing to do'}")


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
    from hybridlib.study.report import Report
    from hybridlib.study.store import stands

    if stands(output) and not force:
        raise InputError(f"{output}: a study stands here; --force replaces it, or name another")
    found = Report()
    with long_work("nothing was written, what stood there stays"):
        study = prepare_study(landsurface, forcing, discharge, output, twsa, pet, found)
    tell_report(found)
    tell(f"{study.path}: {study.basin.size} cells, {len(study.days)} days")


@app.command()
def simulate(
    output: Annotated[
        Path | None, typer.Option(help="NetCDF to write; of a run also Zarr, by the suffix.")
    ] = None,
    variables: Annotated[
        str | None,
        typer.Option(help="Names to write, separated by commas, or all; of a run dis by default."),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Trained model to run on its study, instead of files.")
    ] = None,
    study: Annotated[Path | None, typer.Option(help="The run's study, if it moved.")] = None,
    period: Annotated[str, typer.Option(help="Of a run: years, such as 2013-2016.")] = "",
    member: Annotated[int, typer.Option(help="Of a run: one member; -1 for all.")] = -1,
    gauges: Annotated[
        Path | None, typer.Option(help="Of a run: CSV of discharge at the gauges.")
    ] = None,
    maps: Annotated[
        Path | None, typer.Option(help="Of a run: folder for GeoTIFF maps of the period's mean.")
    ] = None,
    landsurface: Annotated[
        Path | None, typer.Option(help="NetCDF, HydroPy's land-surface variables.")
    ] = None,
    forcing: Annotated[
        Path | None, typer.Option(help="NetCDF, daily TSurf, Precip, PET or tas, pr, evspsblpot.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float64 (exact, the default) or float32 (fast).")
    ] = None,
    restart_in: Annotated[Path | None, typer.Option(help="Stores to start from.")] = None,
    restart_out: Annotated[Path | None, typer.Option(help="Where to keep the stores.")] = None,
    any_date: Annotated[
        bool, typer.Option(help="Start from stores of any date, as in cycling a year.")
    ] = False,
    zonal_length: Annotated[
        str | None,
        typer.Option(
            help="Length of a reach along a row: original or fortran (HydroPy's, from the area of "
            "the row's second or first column), geometric (from the longitudes), or auto "
            "(the default: original, but geometric where a cell's area is cut)."
        ),
    ] = None,
    cascade: Annotated[
        bool | None,
        typer.Option(help="HydroPy's cascade and four sub-steps, or one reservoir and one step."),
    ] = None,
) -> None:
    """Run a trained model on its study, or HydroPyNN on HydroPy's own input files.

    Fluxes of a run are in mm d-1, stores in mm, flows in m3 s-1; files in HydroPy's layout have
    HydroPy's units. Examples:

    `hybridlib simulate --run RUN --variables dis,evap,tws,swe --output O.nc --gauges Q.csv`

    `hybridlib simulate --landsurface L.nc --forcing F.nc --output O.nc --restart-out end.nc`
    """
    files = {"--landsurface": landsurface, "--forcing": forcing, "--output": output}
    if run is not None:
        foreign = (landsurface, forcing, restart_in, restart_out, any_date or None, dtype, cascade)
        if any(one is not None for one in (*foreign, zonal_length)):
            raise InputError("give either --run, or options of HydroPyNN on files, not both")
        _simulate_run(run, study, variables, period, member, output, gauges, maps)
        return
    if study or gauges or maps or period or member != -1:
        raise InputError("--study, --period, --member, --gauges and --maps belong to --run")
    if missing := [name for name, path in files.items() if path is None]:
        raise InputError(f"give {', '.join(missing)} (or --run for a trained model)")
    asked = {"zonal_length": zonal_length, "cascade": cascade, "dtype": dtype}
    options = {name: value for name, value in asked.items() if value is not None}
    restarts = {"restart_in": restart_in, "restart_out": restart_out, "any_date": any_date}
    _simulate_files(landsurface, forcing, output, variables, **restarts, **options)


def _simulate_files(landsurface, forcing, output, variables, restart_out, **options) -> None:
    """HydroPy's files in, HydroPy's files out."""
    from hybridlib.hydropy.simulate import simulate as run

    names, bar = _names("all" if variables is None else variables), progress_bar("days")
    task = bar.add_task("days", total=None)

    def progress(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    try:
        with long_work("nothing was written, what stood there stays"):
            found = run(landsurface, forcing, output, variables=names, restart_out=restart_out,
                        progress=progress, note=tell, **options)  # fmt: skip
    finally:
        if bar.live.is_started:
            bar.stop()
    tell_report(found)
    tell(f"{output}: {len(names)} variables")
    if restart_out is not None:
        tell(f"{restart_out}: stores after the last day")


def _simulate_run(run, study, variables, period, member, output, gauges, maps) -> None:
    """A trained model's results, labelled, in the files asked for."""
    from hybridlib.learning.run import Run
    from hybridlib.study import export

    names = _names("dis" if variables is None else variables)
    if not (output or gauges or maps):
        raise InputError("nothing to write; give --output, --gauges or --maps")
    if output is not None:
        export.check_target(output)
    if gauges is not None and "dis" not in names:
        raise InputError(f"{gauges}: no discharge to write; ask for the variable dis")
    with long_work("files that were told are whole, no other was begun"), console.status("running"):
        found = Run.open(run, study=study or "").simulate(names, period, member, grid=True)
        if output is not None:
            tell(f"{export.write(output, found)}: {', '.join(map(str, found))}")
        if gauges is not None:
            tell(f"{export.write_gauges(gauges, found)}: {found.sizes['station']} gauges")
        for path in export.write_maps(maps, found) if maps is not None else ():
            tell(f"{path}: mean of the period and the members")


def _names(variables: str) -> list[str]:
    """Names in a list of variables, or all of them."""
    from hybridlib.hydropy.model import VARIABLES, known_variables

    names = VARIABLES if variables == "all" else variables.replace(",", " ").split()
    return list(known_variables(names))


@app.command()
@options_of(Settings, first=("scheme", "study"))
def train(
    run: Annotated[Path, typer.Option(help="Folder of the run; new, or with --resume its own.")],
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint.")] = False,
    **settings,
) -> None:
    """Train a scheme; a stopped training goes on with --resume to the very same weights.

    Example: `hybridlib train --scheme hybrid_qs --study data/cache/default.zarr --run runs/qs`
    """
    asked = Settings(**settings)
    from hybridlib.learning.training import train as fit

    bar = progress_bar("{task.description}", "{task.fields[scores]}")
    with long_work(f"the steps made are kept in {run}", "--resume"), bar:
        task = bar.add_task("reading", total=None, scores="")

        def progress(row: dict) -> None:
            step = f"{row['phase']} {row['epoch']}"
            done = bar.tasks[0].completed + 1
            bar.update(task, description=step, scores=scores_of(row), completed=done)
            bar.update(task, total=done + row["left"])

        weights = fit(asked, run, resume, progress, tell)
    tell(f"{weights}: trained. To score it:", f"hybridlib evaluate --run {run}")


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
    from hybridlib.learning.folder import METRICS
    from hybridlib.learning.run import Run

    if (run is None) == (scheme is None) or (scheme is not None and study is None):
        raise InputError("give either --run, or --scheme with --study")
    if run is not None and (train_years or validation_years):
        raise InputError("a run is scored in its own years; give years only with --scheme")
    if run is not None and study is not None and output is None:
        raise InputError("scores on another study need a file of their own: give --output")
    with long_work("scores that were kept stay"), console.status("running the model"):
        if run is not None:
            model = Run.open(run, study=study or "")
        elif scheme is not None and study is not None:
            model = Run.untrained(study, scheme, train_years, validation_years)
        scores = model.scores(anew=True)
    about = "{study} ({source}); train {train}, validation {validation}".format(**scores.attrs)
    for name in (name for name in evaluation.UNITS if name in scores):
        table = evaluation.table(scores, name)
        table.loc["median"] = table.median()
        typer.echo(f"\n{name}, {about}\n{table.to_string(float_format='{:.3f}'.format)}")
    typer.echo(f"\nwater from nowhere: at most {scores.attrs['water_from_nowhere_mm']:.1e} mm")
    target = output or (model.folder / METRICS if run is not None else None)
    if target is not None:
        evaluation.write_metrics(target, scores)
        tell(f"{target}: scores")


@app.command()
def info(
    path: Annotated[Path, typer.Argument(help="A prepared study, or the folder of a run.")],
) -> None:
    """Say on one screen what a study or a run holds.

    Example: `hybridlib info data/cache/default.zarr`
    """
    from hybridlib.learning.folder import CONFIG
    from hybridlib.study.files import from_project
    from hybridlib.study.store import open_study

    if (from_project(path) / CONFIG).is_file():
        from hybridlib.learning.run import Run

        about = Run.open(path).summary()
    else:
        about = open_study(path).summary()
    width = max(map(len, about))
    for name, text in about.items():
        typer.echo(f"{name:{width}}  {text}")


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

    asked = lab.read_matrix(matrix)
    if plan:
        from hybridlib.experiments import results as kept

        table = kept.plan(asked, only or ())
        typer.echo(table.to_string(index=False, na_rep="unknown", float_format="{:.2f}".format))
        waiting = table[table.state == "to do"]
        typer.echo(f"{len(waiting)} of {len(table)} to do, {waiting.hours.sum():.1f} hours known")
        return
    runs = lab.expand(asked, only or ())
    bar = progress_bar("{task.description}", "{task.fields[scores]}")
    with long_work("finished runs and the steps of the others are kept"), bar:
        tasks = {"": bar.add_task("all runs", total=len(runs), scores="")}

        def progress(row: dict) -> None:
            run = row["run"]
            if run not in tasks:
                tasks[run] = bar.add_task(run, total=None, scores="")
            done = bar.tasks[bar.task_ids.index(tasks[run])].completed + 1
            bar.update(tasks[run], completed=done, total=done + row["left"], scores=scores_of(row))

        def ended(run: lab.Task, how: str) -> None:
            bar.advance(tasks[""])
            if str(run) in tasks:
                bar.remove_task(tasks.pop(str(run)))
            tell(f"{run}: {how}")

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
    tell(f"{plan.results}: {lab.DATASET} and tables")


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

    if output is not None and output.exists() and not output.is_dir():
        raise InputError(f"{output}: is no folder; expected one for the notebooks' results")
    overrides = {}
    for value in values or []:
        key, equals, text = value.partition("=")
        if not equals:
            raise InputError(f"-p {value}: expected key=value")
        overrides[key] = text
    with long_work("notebooks that ran to their end are kept"):
        for path in run(names or [], params, overrides, output):
            tell(str(path))


@app.command()
def book(
    strict: Annotated[bool, typer.Option(help="Treat every warning as an error.")] = False,
) -> None:
    """Build the book from the notebooks as they were last run, and say where it lies."""
    from hybridlib.publish.pages import build

    with long_work("the notebooks are as they were"):
        tell(f"The book: {build(strict)}")
