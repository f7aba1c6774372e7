"""Notebooks behind a strict door: papermill runs them, and only what succeeded is published.

The reviewed text of a notebook is ``notebooks/py/NAME.py`` (py:percent); ``notebooks/NAME.ipynb``
is made from it and never edited. A parameter is an assignment in the cell tagged ``parameters``;
its type is its annotation or that of its default. :mod:`hybridlib.publish.tailor` says which cells
a study cannot fill and which words it puts in.
"""

from __future__ import annotations

import ast
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jupytext
import nbformat
import papermill
from papermill.engines import NBClientEngine, papermill_engines
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from hybridlib.publish import tailor
from hybridlib.publish.tailor import tags_of
from hybridlib.study.files import from_project, of_the_book, written_whole
from hybridlib.study.options import read_yaml, shown
from hybridlib.study.schema import InputError

PUBLISHED_PRESET = "default"
MOST_BYTES = 2_000_000
"""Largest size of a published notebook."""

TYPES = {"int": int, "float": float, "str": str, "bool": bool}
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}


class NotebookError(RuntimeError):
    """A notebook that failed, with its name, the cell's number and the exception's last line."""


class Parameter(NamedTuple):
    """A notebook's parameter: its type, and its default where that is a literal, else None."""

    kind: type
    default: object


class _Job(NamedTuple):
    name: str
    notebook: nbformat.NotebookNode
    parameters: dict[str, object]
    changed: dict[str, object]


def home() -> Path:
    """Return the folder of the book's notebooks.

    Raises:
        InputError: there is no project.
    """
    return of_the_book("notebooks")


def available(folder: Path | None = None) -> list[str]:
    """Return the names of all notebooks, in the order of the book."""
    folder = folder or home()
    return sorted(path.stem for path in (folder / "py").glob("*.py"))


def parameters_of(name: str, folder: Path) -> dict[str, Parameter]:
    """Return a notebook's parameters by name, as its parameters cell declares them.

    Raises:
        InputError: A parameter is neither int, float, str nor bool.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{name}.ipynb"
        nbformat.write(_read_twin(name, folder), path)
        declared = papermill.inspect_notebook(path)
    return {key: _parameter(name, entry) for key, entry in declared.items()}


def run(
    names: Sequence[str],
    params_file: str | Path,
    overrides: Mapping[str, str] | None = None,
    output: str | Path | None = None,
    publish: bool = True,
    folder: Path | None = None,
) -> list[Path]:
    """Run notebooks with one set of parameters; nothing starts before every value is accepted.

    Cells that the notebook's study cannot fill are left out; see :mod:`hybridlib.publish.tailor`.

    Args:
        names: Notebooks to run, all of them when empty.
        params_file: YAML with a group ``global`` and one group per notebook.
        overrides: Values as text that win over the file's, as from ``-p key=value``.
        output: Where results go; by default ``notebooks/`` for the unchanged default preset, else
            ``build/notebooks/PRESET/``, with the overrides in the folder's name. A failed notebook
            is kept there, in ``failed/``.
        publish: False keeps the default preset out of ``notebooks/`` as well.
        folder: The folder of the notebooks; the book's own by default.

    Returns:
        The notebooks written.

    Example:
        >>> import hybridlib as hl
        >>> hl.run_notebooks(["02_hydropy_rnn"], "params/smoke.yml", output="shown")
        [PosixPath('shown/02_hydropy_rnn.ipynb')]

    Raises:
        InputError: Unknown notebook, parameter, tag or word, wrong type, a study that cannot be
            opened, or no project.
        NotebookError: A notebook raised, or is larger than 2 MB; it is not published.
    """
    folder = folder or home()
    params_file, overrides = from_project(params_file), dict(overrides or {})
    jobs = _plan(list(names), params_file, overrides, folder)
    preset = params_file.stem
    named = "-".join([preset, *(f"{key}={_in_a_name(text)}" for key, text in overrides.items())])
    if output and Path(output).exists() and not Path(output).is_dir():
        raise InputError(f"{output}: no folder; expected one for the results")
    workshop = Path(output) if output else folder.parent / "build" / "notebooks" / named
    publish = publish and output is None and preset == PUBLISHED_PRESET and not overrides
    target = folder if publish else workshop
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("cell {task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        return [_run_one(job, preset, target, workshop / "failed", progress) for job in jobs]


def _in_a_name(text: str) -> str:
    """A value as it can stand in a folder's name."""
    return re.sub(r"[^\w.+-]+", "_", text)[:40]


def drift(folder: Path | None = None) -> list[str]:
    """Return a sentence per cell whose type, source or tags differ between text and notebook.

    Words stand in the text as the notebook says that they were put in.
    """
    folder = folder or home()
    texts, notebooks = set(available(folder)), {path.stem for path in folder.glob("*.ipynb")}
    found = [f"{name}.ipynb has no py/{name}.py" for name in sorted(notebooks - texts)]
    found += [f"py/{name}.py has no {name}.ipynb" for name in sorted(texts - notebooks)]
    for name in sorted(texts & notebooks):
        notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
        words = notebook.metadata.get("hybridlib", {}).get("words", {})
        text = [_essence(cell) for cell in tailor.fill(_read_twin(name, folder), words).cells]
        own = (cell for cell in notebook.cells if "injected-parameters" not in tags_of(cell))
        made = [_essence(cell) for cell in own]
        if len(text) != len(made):
            found.append(f"{name}: {len(text)} cells in py, {len(made)} in ipynb")
        pairs = enumerate(zip(text, made, strict=False), 1)
        found += [f"{name}: cell {number} differs" for number, (a, b) in pairs if a != b]
    return found


def sync(folder: Path | None = None) -> list[str]:
    """Remake every notebook that differs from its text, without outputs; return their names."""
    folder = folder or home()
    stale = [name for name in available(folder) if any(name in line for line in drift(folder))]
    for name in stale:
        _write(_read_twin(name, folder), folder / f"{name}.ipynb")
    return stale


def _read_twin(name: str, folder: Path) -> nbformat.NotebookNode:
    """Return the notebook a text twin describes, with ids that are the same each time."""
    notebook = jupytext.read(folder / "py" / f"{name}.py", fmt="py:percent")
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells, 1):
        cell["id"] = f"cell-{number}"
    notebook.nbformat_minor = 5
    return notebook


def _parameter(notebook: str, entry: Mapping[str, str]) -> Parameter:
    try:
        default = ast.literal_eval(entry["default"])
    except (ValueError, SyntaxError):
        default = None
    kind = entry["inferred_type_name"]
    kind = type(default).__name__ if kind in (None, "None") else kind
    if kind not in TYPES:
        raise InputError(
            f"{notebook}: parameter '{entry['name']}' is of type {kind}, "
            f"a notebook's parameters are {', '.join(TYPES)}"
        )
    return Parameter(TYPES[kind], default)


def _plan(names, params_file, overrides, folder) -> list[_Job]:
    """Return what is to be run with which values, or refuse."""
    known = available(folder)
    groups = _read_groups(params_file, known)
    for name in names:
        if name not in known:
            raise InputError(f"no notebook '{name}', there are: {', '.join(known)}")
    declared = {name: parameters_of(name, folder) for name in known}
    names = names or known
    for key in groups.get("global", {}):
        _known_somewhere(key, f"{params_file}, global", declared)
    for name, values in groups.items():
        for key in values if name != "global" else ():
            _known_somewhere(key, f"{params_file}, {name}", {name: declared[name]})
    for key in overrides:
        _known_somewhere(key, "-p", {name: declared[name] for name in names})
    return [_job(name, declared[name], groups, params_file, overrides, folder) for name in names]


def _read_groups(params_file: Path, known: Sequence[str]) -> dict[str, dict]:
    """Return the groups of a parameter file: ``global`` and one per notebook."""
    if not params_file.is_file():
        raise InputError(
            f"no parameter file {params_file}; expected one like params/default.yml of the project"
        )
    groups = read_yaml(params_file) or {}
    if not isinstance(groups, dict):
        raise InputError(f"{params_file}: found {shown(groups)}, expected groups of parameters")
    for name, values in groups.items():
        if name not in ("global", *known):
            raise InputError(
                f"{params_file}: group {shown(name)} is no notebook, "
                f"expected global or one of: {', '.join(known)}"
            )
        if not isinstance(values or {}, dict):
            raise InputError(
                f"{params_file}, {name}: found {shown(values)}, expected 'key: value' lines"
            )
    return {name: values or {} for name, values in groups.items()}


def _known_somewhere(key, where, declared):
    """Refuse a parameter that none of the notebooks has."""
    if not any(key in parameters for parameters in declared.values()):
        known = sorted({name for parameters in declared.values() for name in parameters})
        raise InputError(
            f"{where}: unknown parameter {shown(key)}, {' and '.join(declared) or 'no notebook'} "
            f"know{'s' * (len(declared) == 1)}: {', '.join(known) or 'none'}"
        )


def _job(name, declared, groups, params_file, overrides, folder) -> _Job:
    """Return a notebook with all its values; only those unlike the default are injected."""
    notebook = _read_twin(name, folder)
    tailor.check(name, notebook)
    values = {key: parameter.default for key, parameter in declared.items()}
    for group in ("global", name):
        for key, value in groups.get(group, {}).items():
            if key in declared:
                values[key] = _typed(value, declared[key].kind, f"{params_file}, {group}", key)
    for key, text in overrides.items():
        if key in declared:
            values[key] = _parsed(text, declared[key].kind, key)
    changed = {key: value for key, value in values.items() if value != declared[key].default}
    return _Job(name, notebook, values, changed)


def _typed(value, kind: type, where: str, key: str):
    """Return a value of the parameter's type; whole numbers serve as float, nothing else bends."""
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise InputError(
            f"{where}: parameter '{key}' is {shown(value)} ({type(value).__name__}), "
            f"expected {kind.__name__}"
        )
    return value


def _parsed(text: str, kind: type, key: str):
    """Return the value of the parameter's type that a text from the command line stands for."""
    try:
        return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise InputError(f"-p: parameter '{key}' is '{text}', expected {kind.__name__}") from None


class _ReportingEngine(NBClientEngine):
    """Papermill's own engine, which also says which cell starts."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, on_cell=None, **kwargs):
        start = nb_man.cell_start

        def cell_start(cell, *args, **options):
            on_cell(cell)
            return start(cell, *args, **options)

        nb_man.cell_start = cell_start
        return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)


papermill_engines.register("reporting", _ReportingEngine)


def _run_one(job: _Job, preset: str, target: Path, failed: Path, progress: Progress) -> Path:
    """Run one notebook in a scratch folder and put the result in its place, or the wreck aside."""
    cells = len(job.notebook.cells)
    cut, words = tailor.cut(job.notebook, job.parameters)
    job = job._replace(notebook=cut)
    task = progress.add_task(job.name, total=len(cut.cells))
    started = []

    def on_cell(cell):
        if "injected-parameters" not in tags_of(cell):
            started.append(cell["id"].removeprefix("cell-"))
            progress.update(task, completed=len(started))

    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch) / "result.ipynb"
        try:
            notebook = _execute(job, words, preset, result, on_cell)
        except Exception as error:
            kept = _keep(result, failed / f"{job.name}.ipynb")
            where = f"cell {started[-1]} of {cells}" if started else "start"
            raise NotebookError(f"{job.name}, {where}: {_last_line(error)} (see {kept})") from error
    (failed / f"{job.name}.ipynb").unlink(missing_ok=True)
    return _write(notebook, target / f"{job.name}.ipynb")


def _execute(job: _Job, words, preset: str, result: Path, on_cell) -> nbformat.NotebookNode:
    """Return the executed and stripped notebook; `result` holds what papermill wrote."""
    nbformat.write(job.notebook, result)
    papermill.execute_notebook(
        result,
        result,
        parameters=job.changed,
        engine_name="reporting",
        kernel_name="python3",
        progress_bar=False,
        on_cell=on_cell,
        extra_arguments=["--IPKernelApp.log_level=CRITICAL"],  # a stop at the end is no error
    )
    made = {"preset": preset, "parameters": job.parameters, "words": words}
    notebook = _strip(nbformat.read(result, as_version=4), made)
    size = len(nbformat.writes(notebook).encode())
    if size > MOST_BYTES:
        raise NotebookError(f"{size / 1e6:.1f} MB, at most {MOST_BYTES / 1e6:.0f} MB allowed")
    return notebook


def _strip(notebook, made: Mapping[str, object]) -> nbformat.NotebookNode:
    """Return the notebook without anything that differs between two equal runs."""
    notebook.metadata = nbformat.from_dict({**METADATA, "hybridlib": made})
    for number, cell in enumerate(notebook.cells, 1):
        cell["id"] = f"cell-{number}"
        cell.metadata = nbformat.from_dict(
            {k: v for k, v in cell.metadata.items() if v and k not in ("papermill", "execution")}
        )
        if cell.cell_type == "code":
            cell.outputs = _joined_streams(cell.outputs)
    return notebook


def _joined_streams(outputs):
    """Return the outputs with neighbouring pieces of one stream joined: pieces follow the clock."""
    joined: list[nbformat.NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output["output_type"] == "stream" and last.get("name") == output["name"]:
            last["text"] += output["text"]
        else:
            joined.append(output)
    return joined


def _last_line(error: Exception) -> str:
    """Return the exception of the cell, or of the run, as one line."""
    name = getattr(error, "ename", type(error).__name__)
    lines = str(getattr(error, "evalue", error)).strip().splitlines()
    return f"{name}: {lines[-1]}" if lines else name


def _keep(source: Path, kept: Path) -> Path:
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, kept)
    return kept


def _write(notebook, path: Path) -> Path:
    """Write a notebook whole or not at all."""
    with written_whole(path) as part:
        part.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    return path


def _essence(cell) -> tuple[str, str, list[str]]:
    return cell.cell_type, cell.source, tags_of(cell)
