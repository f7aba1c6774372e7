"""The page of findings: every claim with the verdict that a chapter shows."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from hybridlib.findings.claims import CLAIMS
from hybridlib.findings.rules import KEY, judge


def read_verdicts(notebook: Path) -> list[dict[str, str]]:
    """Verdicts that an executed notebook shows, one row each; none where it has not run."""
    if not notebook.is_file():
        return []
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [row for output in outputs for row in output.get("metadata", {}).get(KEY, [])]


def all_verdicts(folder: Path) -> pd.DataFrame:
    """Gather what the executed notebooks of a folder say, and what none of them can test.

    Returns:
        One row a claim, with ``hybridlib.findings.rules.COLUMNS`` and "chapter", in the order of
        the paper's sections.
    """
    rows = [judge(claim, {}) | {"chapter": ""} for claim in CLAIMS if not claim.about]
    for path in sorted(folder.glob("*.ipynb")):
        rows += [row | {"chapter": path.stem} for row in read_verdicts(path)]
    table = pd.DataFrame(rows).sort_values("section", kind="stable")
    return table.set_index(pd.RangeIndex(1, len(table) + 1))


def findings_table(folder: Path) -> str:
    """Every claim with the twin's verdict and the section that computes it, as Markdown."""
    table = all_verdicts(folder)
    mixed = table.verdict.str.contains(r"; .*\(")
    short = table.verdict.str.partition(",")[0].where(~mixed, "mixed")
    counts = ", ".join(f"{word} {count}" for word, count in short.value_counts().items())
    page = [f"{len(table)} claims: {counts}.", ""]
    page += ["| § | the paper found | its numbers | on the twin | verdict | computed in |"]
    page += ["|---|---|---|---|---|---|"]
    for row in table.itertuples(index=False):
        section, text, paper, here, verdict, chapter = row
        link = f"{{ref}}`{chapter[:2]} <verdicts-{chapter[:2]}>`" if chapter else "–"
        page += [f"| {section} | {text} | {paper} | {here} | **{verdict}** | {link} |"]
    return "\n".join([*page, ""])
