"""The command line: ``python -m benchmarks`` and ``python -m benchmarks physics``."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hybridlib.study.schema import InputError

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Speed and memory: one table, or the physics beside the paper's way.",
)
console = Console(stderr=True)

StudyOption = Annotated[str, typer.Option("--study", help="Prepared study; a twin is made.")]
DEFAULT = "data/cache/default.zarr"


def main() -> None:
    """Run the command line; what goes wrong ends in one sentence."""
    try:
        app()
    except InputError as error:
        console.print(f"Error: {error}", highlight=False, soft_wrap=True, markup=False)
        sys.exit(2)


@app.callback(invoke_without_command=True)
def table(
    context: typer.Context,
    study: StudyOption = DEFAULT,
    write: Annotated[bool, typer.Option(help="Replace benchmarks/results.csv.")] = False,
) -> None:
    """Measure everything and print one table; nothing is written unless `--write` is given.

    Takes about ten minutes on two cores and 12 GB of memory. Leave the machine alone meanwhile.
    """
    if context.invoked_subcommand is not None:
        return
    from benchmarks import table as results

    with console.status("benchmarks") as status:
        rows = results.measured_rows(study, status.update)
    frame = results.as_frame(rows).reset_index()
    printed = Table(*frame.columns, title=results.header(), caption=results.ORIGIN)
    for row in frame.itertuples(index=False):
        printed.add_row(*row)
    Console().print(printed)
    if write:
        results.write(rows)
        console.print(f"{results.RESULTS}: {len(rows)} rows")


@app.command()
def physics(
    study: StudyOption = DEFAULT,
    days: Annotated[int, typer.Option(min=1, help="From the study's first one on.")] = 1461,
    repeats: Annotated[int, typer.Option(min=1, help="Runs timed after compilation.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Forward and backward, our way beside the paper's: full grid, eight masks, tape through time.

    Example: `python -m benchmarks physics --days 1461 --json`
    """
    from benchmarks.cases import study_case
    from benchmarks.physics import compare_physics
    from benchmarks.table import machine, versions

    with console.status("physics"):
        found = compare_physics(study_case(study, days), repeats)
    found |= {"machine": machine(), "versions": versions()}
    if as_json:
        print(json.dumps(found))
        return
    Console().print_json(data=found)


if __name__ == "__main__":
    main()
