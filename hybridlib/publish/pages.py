"""The book: Jupyter Book renders the pages and the notebooks that were run before.

Some pages are written by code, so that they cannot fall behind it: the tables of variables, from
the schema; how each notebook was run, from the notebook's own metadata; the findings, from the
numbers that the notebooks show; and the speed that was measured last, from the benchmarks' own
table.
"""

from __future__ import annotations

import csv
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import nbformat
from pydantic.fields import FieldInfo

from hybridlib.experiments.matrix import LISTS, Experiment
from hybridlib.findings.page import findings_table
from hybridlib.learning.settings import PRESETS, Preset, Settings
from hybridlib.publish.notebooks import available, home
from hybridlib.study import schema
from hybridlib.study.files import of_the_book

ROOMS = (
    "study",
    "hydropy",
    "learning",
    "twin",
    "experiments",
    "analysis",
    "findings",
    "figures",
    "publish",
)
"""Rooms of the library; one imports only from those before it."""
MEASURED = "benchmarks/results.csv"
"""What `python -m benchmarks --write` kept, two lines of comment, then a table."""


def build(strict: bool = False) -> Path:
    """Build the pages and return the first one; nothing is executed.

    Args:
        strict: treat every warning as an error, and build all pages anew.

    Raises:
        InputError: there is no project, which holds the pages.
        RuntimeError: Jupyter Book reported an error.
    """
    root = of_the_book("_config.yml").parent
    for name, page in generated_pages().items():
        path = root / "book" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(page, encoding="utf-8")
    program = Path(sys.executable).with_name("jupyter-book")
    flags = ["--all", "-W", "-n", "--keep-going"] if strict else []
    if subprocess.run([program, "build", root, "-q", *flags], check=False).returncode:
        raise RuntimeError("the book was not built, see the messages above")
    return root / "_build" / "html" / "index.html"


def generated_pages(notebooks: Path | None = None) -> dict[str, str]:
    """Return the text of the pages that code writes, by file name in ``book/``."""
    notebooks = notebooks or home()
    return {
        "variables.md": _variables(),
        "settings.md": _settings(),
        "status.md": _status(notebooks),
        "findings_table.md": findings_table(notebooks),
        "speed_table.md": _speed(of_the_book(MEASURED)),
        **{f"api/{room}.md": _room(room) for room in ROOMS},
    }


def _room(name: str) -> str:
    """All modules of a room with what their docstrings say."""
    package = importlib.import_module(f"hybridlib.{name}")
    page = [f"(room-{name})=", f"# {name}", "", (package.__doc__ or "").strip(), ""]
    for module in pkgutil.walk_packages(package.__path__, f"hybridlib.{name}."):
        if not module.ispkg:
            page += [f"## {module.name.removeprefix(f'hybridlib.{name}.')}", "", "```{eval-rst}"]
            page += [f".. automodule:: {module.name}", "   :members:", "```", ""]
    return "\n".join(page)


def _variables() -> str:
    parts = {
        "Forcing, daily (time, lat, lon)": schema.FORCING,
        "Land surface (lat, lon)": schema.LANDSURFACE,
        "Discharge, daily (time, station)": schema.DISCHARGE,
        "Water storage, monthly (month, box)": schema.TWSA,
    }
    page = ["(variables)=", "# Variables and units", ""]
    page += [
        "`hybridlib book` writes this page from `hybridlib/study/schema.py`, which checks every"
    ]
    page += [
        "file at the door. A missing variable, another unit or a value out of range is refused with"
    ]
    page += ["a sentence that says where.", ""]
    for title, table in parts.items():
        page += [f"## {title}", "", "| name | unit | meaning | range | also read as |"]
        page += ["|---|---|---|---|---|", *map(_variable_row, table.values()), ""]
    return "\n".join(page)


def _variable_row(variable: schema.Variable) -> str:
    unit = "1" if variable.units == "/" else variable.units
    also = ", ".join(f"`{alias}`" for alias in variable.aliases)
    return (
        f"| `{variable.name}` | {unit} | {variable.long_name} | {variable.low:g} to "
        f"{variable.high:g} | {also} |"
    )


def _settings() -> str:
    own = {name: field for name, field in Experiment.model_fields.items() if name in LISTS}
    parts = {
        "A training": (Settings.model_fields, "Options of `hybridlib train`, arguments of "
        "`Settings`, and the keys of a run's `config.json`."),
        "A group of the run matrix": (own, "Lists, of which every combination is trained, beside "
        "all of the settings above but scheme, study, fold and weight."),
        "A schedule": (Preset.model_fields, f"Presets: {', '.join(PRESETS)}."),
    }  # fmt: skip
    page = ["(settings)=", "# Settings", ""]
    page += ["`hybridlib book` writes this page from the models that check every value. An unknown"]
    page += ["name or a value that cannot serve is refused with a sentence.", ""]
    for title, (fields, text) in parts.items():
        page += [f"## {title}", "", text, "", "| name | meaning | unit | default |"]
        page += ["|---|---|---|---|", *(_setting(*item) for item in fields.items()), ""]
    return "\n".join(page)


def _setting(name: str, field: FieldInfo) -> str:
    extra = field.json_schema_extra
    unit = extra.get("unit", "") if isinstance(extra, dict) else ""
    default = "needed" if field.is_required() else f"`{field.default!r}`"
    default = "–" if field.default == "" else default
    meaning = " ".join((field.description or "").split())
    return f"| `{name}` | {meaning} | {unit} | {default} |"


def _status(folder: Path) -> str:
    page = ["(status)=", "# How these pages were run", ""]
    page += [
        "`hybridlib book` writes this page from the notebooks' own metadata. Every notebook here"
    ]
    page += ["ran from its first cell to its last; one that fails is not published.", ""]
    page += [
        "| notebook | preset | cells | figures | size | parameters |",
        "|---|---|---:|---:|---:|---|",
    ]
    return "\n".join([*page, *(_status_row(name, folder) for name in available(folder)), ""])


def _speed(table: Path) -> str:
    lines = table.read_text(encoding="utf-8").splitlines()
    machine, origin = (line.removeprefix("# ") for line in lines[:2])
    head, *rows = csv.reader(lines[2:])
    page = [f"Measured on: {machine}.", ""]
    page += [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join([*page, "", origin, ""])


def _status_row(name: str, folder: Path) -> str:
    path = folder / f"{name}.ipynb"
    if not path.exists():
        return f"| {name} | not run | | | | |"
    notebook = nbformat.read(path, as_version=4)
    made = notebook.metadata.get("hybridlib", {})
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    figures = sum("image/png" in output.get("data", {}) for output in outputs)
    parameters = ", ".join(f"{key} = {value}" for key, value in made.get("parameters", {}).items())
    size = f"{path.stat().st_size / 1e3:.0f} kB"
    preset = made.get("preset", "not run")
    return f"| {name} | {preset} | {len(notebook.cells)} | {figures} | {size} | {parameters} |"
