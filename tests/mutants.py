"""Do the tests notice when a line of the code is wrong? Ask with ``python -m tests.mutants``.

Cosmic Ray changes one place of a module at a time; the tests that ask about the module run on each
of these mutants. One that they pass with has survived: a question that nobody asks, or a change
that changes nothing. Results are kept in ``build/mutants.jsonl``, so a second call goes on.

TensorFlow is imported once, each mutant runs in a fork, and no file changes. So nothing before the
fork may run an operation of TensorFlow: its threads would not come along.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import json
import multiprocessing
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from rich.console import Console
from rich.progress import Progress
from rich.table import Table


class Asked(NamedTuple):
    """A module and pytest's arguments that ask about it."""

    file: str
    tests: tuple[str, ...]


MODULES = {
    "metrics": Asked("hybridlib/study/metrics.py", ("tests/study/test_metrics.py",)),
    "splits": Asked(
        "hybridlib/study/splits.py", ("tests/study/test_splits.py", "-k", "not reach_training")
    ),
    "instruments": Asked("hybridlib/study/instruments.py", ("tests/study/test_instruments.py",)),
    "routing": Asked("hybridlib/hydropy/routing.py", ("tests/hydropy/test_routing.py",)),
    "objective": Asked("hybridlib/learning/objective.py", ("tests/learning/test_objective.py",)),
    "settings": Asked("hybridlib/learning/settings.py", ("tests/learning/test_settings.py",)),
    "budget": Asked("hybridlib/analysis/budget.py", ("tests/analysis/test_budget.py",)),
    "rules": Asked("hybridlib/findings/rules.py", ("tests/findings/test_claims.py",)),
}
SHARED = ("tests/conftest.py", "tests/cases.py")
RESULTS = Path("build/mutants.jsonl")
SLOW = (
    "hybridlib.hydropy.backend hypothesis matplotlib.pyplot papermill pyflwdir pytest scipy.stats "
    "xarray zarr"
)
"""What takes long to import; of ours only the module that no mutant changes."""

# Of arithmetic operators one replacement each: who notices a sum in place of a difference notices a
# power, too. Of comparisons the two that imply the others (Kaminski, Ammann & Offutt 2013), but of
# `==` only `!=`: names have no order. A minus, `~` or `not` is removed; `+`, `~` or `not` in place
# of a minus does the same or raises at once. Left out: ExceptionReplacer, which breaks off at a
# dotted name, and operators on variables, which want to be told names and draw numbers at random.
OPERATORS = {
    "ReplaceBinaryOperator_": "Add_Sub Sub_Add Mul_Div Div_Mul FloorDiv_Div Mod_Div Pow_Mul "
    "BitOr_BitAnd BitAnd_BitOr",
    "ReplaceComparisonOperator_": "Lt_LtE Lt_NotEq LtE_Lt LtE_Eq Gt_GtE Gt_NotEq GtE_Gt GtE_Eq "
    "Eq_NotEq NotEq_Eq Is_IsNot IsNot_Is",
    "ReplaceUnaryOperator_Delete_": "USub Invert Not",
    "Replace": "TrueWithFalse FalseWithTrue AndWithOr OrWithAnd BreakWithContinue "
    "ContinueWithBreak",
    "": "AddNot NumberReplacer RemoveDecorator ZeroIterationForLoop",
}
GUARDS = ("strict", "frozen")
"""Keywords that change nothing until somebody slips: `zip(…, strict=True)`, frozen data."""


def mutants(source: str, most: int) -> list[str]:
    """Sources with one change each, drawn with the same seed every time."""
    nodes, own, places, found = list(ast_nodes(get_ast(source))), program(source), [], {}
    for kind, names in OPERATORS.items():
        for operator in (get_operator(f"core/{kind}{name}")() for name in names.split()):
            count = sum(len(list(operator.mutation_positions(node))) for node in nodes)
            places += [(operator, place) for place in range(count)]
    random.Random(0).shuffle(places)
    for operator, place in places:
        other = mutate_code(source, operator, place)
        if program(other) not in ("", own):
            found[other] = None
        if len(found) == most:
            break
    return list(found)


def program(source: str) -> str:
    """A module without what nobody evaluates; empty where it is none."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.keyword) and node.arg in GUARDS:
            node.value = ast.Constant(None)
    return ast.dump(tree)


def ask(asked: Asked, source: str, folder: str, limit: int) -> None:
    """Run the tests with a module's source replaced; the process ends with pytest's exit code.

    Args:
        asked: the module and its tests.
        source: in place of the module's.
        folder: for what the tests write.
        limit: of computing, seconds; other work on the machine does not count.
    """
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    module, others = asked.file.removesuffix(".py").replace("/", "."), SourceFileLoader.get_code

    def get_code(loader, name):
        if name != module:
            return others(loader, name)
        return compile(source, loader.path, "exec", dont_inherit=True)

    SourceFileLoader.get_code = get_code  # in place of the one that reads compiled code
    options = "-x", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}/{os.getpid()}"
    os._exit(sys.modules["pytest"].main([*options, *asked.tests]))


def answers(asked: Asked, sources: list[str], limit: int) -> Iterator[tuple[str, str, float]]:
    """Ask about sources, as many at a time as there are cores.

    Returns:
        Each of them as it ends, its outcome and the seconds it computed.
    """
    waiting, running, fork = sources[::-1], {}, multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        while waiting or running:
            while waiting and len(running) < os.cpu_count():
                source = waiting.pop()
                child = fork.Process(target=ask, args=(asked, source, folder, limit), daemon=True)
                child.start()
                running[child] = source, time.monotonic()
            time.sleep(0.05)
            for child, (source, begin) in list(running.items()):
                before, code, after = computed(), child.exitcode, computed()
                if code is None and time.monotonic() - begin < 10 * limit:
                    continue
                if code is None:  # it waits for ever
                    os.killpg(child.pid, signal.SIGKILL)
                    child.join()
                late = code in (None, -signal.SIGKILL, -signal.SIGXCPU)
                outcome = "timeout" if late else "killed" if code else "survived"
                del running[child]
                yield source, outcome, round(after - before, 2)


def computed() -> float:
    """Seconds that children which have ended were computing."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def results(name: str, most: int, known: dict[str, dict], progress: Progress) -> list[dict]:
    """Results of a module's mutants after that of the module itself; what is not known is asked."""
    asked = MODULES[name]
    own = Path(asked.file).read_text()
    files = asked.file, *SHARED, *(one for one in asked.tests if one.startswith("tests/"))
    texts = [Path(file.partition("::")[0]).read_text() for file in files]
    sources = [own, *mutants(own, most)]
    keys = {
        source: hashlib.sha256("\0".join([*asked.tests, *texts, source]).encode()).hexdigest()
        for source in sources
    }
    task, limit = progress.add_task(name, total=len(sources)), 900
    for part in (sources[:1], sources[1:]):
        new = [source for source in part if keys[source] not in known]
        progress.update(task, advance=len(part) - len(new), refresh=True)
        for source, outcome, seconds in answers(asked, new, limit):
            if source == own and outcome != "survived":
                sys.exit(f"{name}: its tests do not pass: python -m pytest {' '.join(asked.tests)}")
            known[keys[source]] = {"key": keys[source], "outcome": outcome, "seconds": seconds}
            with RESULTS.open("a") as file:
                file.write(json.dumps(known[keys[source]]) + "\n")
            progress.update(task, advance=1, refresh=True)
        limit = int(20 + 4 * known[keys[own]]["seconds"])
    return [known[key] | {"source": source} for source, key in keys.items()]


def difference(file: str, own: str, other: str) -> str:
    """File, line and the lines that differ."""
    both = own.splitlines(), other.splitlines()
    _, _, where, *lines = difflib.unified_diff(*both, n=0, lineterm="")
    return "\n".join([f"{file}:{re.search('[0-9]+', where)[0]}", *lines, ""])


def main(
    only: Annotated[str, typer.Option(metavar="NAME", help="One module.")] = "",
    most: Annotated[int, typer.Option(min=1, help="Mutants a module.")] = 80,
) -> None:
    """Count the mutants that the tests notice, and show those that they do not."""
    if only and only not in MODULES:
        raise typer.BadParameter(f"'{only}' is unknown; expected one of: {', '.join(MODULES)}")
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    for name in SLOW.split():
        importlib.import_module(name)
    settings = sys.modules["hypothesis"].settings
    settings.register_profile("mutants", derandomize=True, deadline=None)
    settings.load_profile("mutants")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.touch()
    rows = map(json.loads, RESULTS.read_text().splitlines())
    known = {row["key"]: row for row in rows}
    told = Table("module", "mutants", "killed", "survived", "timeouts", "score", "seconds a run")
    alive = []
    with Progress(console=Console(stderr=True), auto_refresh=False) as progress:
        for name in [only] if only else MODULES:
            own, *rest = results(name, most, known, progress)
            outcomes = [row["outcome"] for row in rest]
            counts = [outcomes.count(outcome) for outcome in ("killed", "survived", "timeout")]
            score = f"{1 - counts[1] / len(rest):.1%}"
            told.add_row(name, *map(str, (len(rest), *counts)), score, f"{own['seconds']:.1f}")
            left = [row["source"] for row in rest if row["outcome"] == "survived"]
            alive += [difference(MODULES[name].file, own["source"], source) for source in left]
    console = Console()
    console.print(told)
    console.print(*alive, sep="\n", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
