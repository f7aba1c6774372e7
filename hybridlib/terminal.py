"""What a command shows: progress, an error in one sentence, and what is kept when it is stopped."""

from __future__ import annotations

import inspect
import math
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hybridlib.study.options import Options
from hybridlib.study.report import Report

console = Console(stderr=True, soft_wrap=True)
TRACEBACK = "HYBRIDLIB_TRACEBACK"
"""Variable of the environment that shows where an unexpected error came from."""
SHOWN = {"loss": "loss", "nse_discharge": "NSE Q", "nse_twsa": "NSE TWSA"}
"""Scores of a step that progress shows, and their short names."""


class Stopped(RuntimeError):
    """A command that was stopped from outside; its sentence says what is kept."""


def tell(text: str, command: str = "") -> None:
    """Say what was done, and below it, on a line to copy, the command that comes next."""
    console.print(text, highlight=False, markup=False)
    if command:
        console.print(f"  {command}", highlight=False, markup=False)


def tell_report(found: Report) -> None:
    """Say what files held: what was set right, means, gauges, and in colour what is odd."""
    for line in found.lines():
        tell(line)
    for odd in found.odd:
        console.print("[bold yellow]Odd:[/] ", end="")
        console.print(odd, highlight=False, markup=False)


def unexpected(error: Exception) -> None:
    """End what nobody foresaw in a sentence, with the files that were named, or as a traceback.

    Raises:
        Exception: the error itself, where :data:`TRACEBACK` is set.
    """
    if os.environ.get(TRACEBACK):
        raise error
    named = [word.rpartition("=")[2] for word in sys.argv[1:]]
    files = ", ".join(word for word in named if "." in word or "/" in word) or "no file"
    console.print("[bold red]Error:[/] ", end="")
    console.print(
        f"unexpected {type(error).__name__} ({' '.join(str(error).split())}) with {files}; "
        f"to see where, run the same command with {TRACEBACK}=1",
        highlight=False,
        markup=False,
    )


@contextmanager
def long_work(kept: str, option: str = "") -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end work in one sentence.

    Args:
        kept: what is kept.
        option: with which the same command goes on, where it needs one.

    Raises:
        Stopped: it was stopped.
    """

    def stop(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        words = ["hybridlib", *sys.argv[1:]]
        again = shlex.join(words + [option] * (option not in words and bool(option)))
        raise Stopped(f"stopped; {kept}. The command that goes on:\n  {again}") from None
    finally:
        signal.signal(signal.SIGTERM, before)


def progress_bar(description: str, count: str = "{task.completed}/{task.total}") -> Progress:
    """A bar with what is done, what it took and what is left."""
    columns = TextColumn(description), BarColumn(), TextColumn(count)
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console)


def scores_of(row: dict) -> str:
    """Loss and mean NSE of a step, those that are defined."""
    shown = {text: row.get(key, math.nan) for key, text in SHOWN.items()}
    return " ".join(f"{text} {value:.3f}" for text, value in shown.items() if math.isfinite(value))


def options_of(model: type[Options], first: Iterable[str] = ()) -> Callable:
    """Give a command the fields of a model as options: name, default and help stand there alone.

    Args:
        model: whose fields become options; the command takes them as ``**settings``.
        first: fields that come first.
    """
    names = dict.fromkeys([*first, *model.model_fields])
    fields = {name: model.model_fields[name] for name in names}

    def decorate(command: Callable) -> Callable:
        own = inspect.signature(command, eval_str=True).parameters.values()
        taken = [one for one in own if one.kind is not inspect.Parameter.VAR_KEYWORD]
        for name, field in fields.items():
            extra: Any = field.json_schema_extra or {}
            flag = f"--{(extra.get('option') or name).replace('_', '-')}"
            flags = [f"{flag}/--no-{flag[2:]}"] if field.annotation is bool else [flag]
            option = typer.Option(*flags, help=" ".join((field.description or "").split()))
            kind = cast(Any, Annotated)[field.annotation, option]
            default = inspect.Parameter.empty if field.is_required() else field.default
            taken.append(
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind
                )
            )
        taken.sort(key=lambda one: (one.default is not inspect.Parameter.empty, one.kind))
        taken = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in taken]
        command.__dict__["__signature__"] = inspect.Signature(taken)
        command.__annotations__ = {one.name: one.annotation for one in taken}
        return command

    return decorate
