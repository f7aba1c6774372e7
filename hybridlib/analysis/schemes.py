"""Tables of the schemes: what they are, how they were trained, which parameters they found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from hybridlib.analysis.recovery import learned_parameters
from hybridlib.hydropy.parameters import TABLE_1, Parameters
from hybridlib.learning.run import Run
from hybridlib.learning.schemes import SCHEMES, TRUTH, find_scheme
from hybridlib.learning.settings import PRESETS, Preset
from hybridlib.learning.training import CLIP

SERIES = {"discharge": "NSE of Q", "twsa": "NSE of TWSA"}


def scheme_table(names: Iterable[str], reference: str = "Penman–Monteith") -> pd.DataFrame:
    """List what each scheme learns, from what, and with which weights in the loss.

    Args:
        names: of the schemes.
        reference: what the PET of the study is.
    """
    learns = {
        "default": "nothing: HydroPy's own",
        "free": "9 parameters in each cell, each for itself",
        "network": "9 parameters in each cell, from its attributes",
    }
    rows = {}
    for scheme in map(find_scheme, names):
        weights = dict(zip("QS", scheme.weights, strict=True))
        rows[scheme.title] = {
            "learns": learns[scheme.parameters],
            "PET": reference + " + network" * scheme.replacement,
            "trained on": " and ".join(n for n, w in weights.items() if w) * scheme.trained or "–",
            "weights": ", ".join(f"{w:g}" for w in scheme.weights) if scheme.trained else "–",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def parameter_summary(schemes: Mapping[str, Run], true: Parameters | None = None) -> pd.DataFrame:
    """List every parameter's range and its median over the cells in every scheme (Table 1)."""
    columns = {title: learned_parameters(trained) for title, trained in schemes.items()}
    if true is not None:
        columns[TRUTH] = true
    table = pd.DataFrame(
        {
            "unit": [row.units.replace("/", "–") for row in TABLE_1],
            "range": [f"{row.low:g} to {row.high:g}" for row in TABLE_1],
        },
        index=pd.Index(Parameters._fields, name="parameter"),
    )
    for title, fields in columns.items():
        table[title] = [f"{np.median(field):.3g}" for field in fields]
    return table


def hyperparameters(schemes: Mapping[str, Run]) -> pd.DataFrame:
    """List how every scheme was trained, beside the paper's setting (Table S5)."""
    columns = {"the paper": _setting(PRESETS["paper"], "network")}
    for title, trained in schemes.items():
        scheme, config = trained.scheme, trained.config
        if not scheme.trained:
            continue
        weights = sum(int(np.prod(w.shape)) for w in trained.learners[0].trainable_variables)
        columns[title] = _setting(config.schedule, scheme.parameters) | {
            "most steps": config.epochs or config.schedule.steps,
            "steps chosen, by member": ", ".join(map(str, steps_chosen(trained))),
            "gradient clipped at": f"{CLIP:g}",
            "trainable numbers": weights,
            "members": config.members,
            "training years": config.train,
        }
    return pd.DataFrame(columns).fillna("–")


def steps_chosen(trained: Run) -> list[int]:
    """Steps of every member on all of the training years."""
    return [trained.steps(member) for member in range(trained.config.members)]


def _setting(preset: Preset, kind: str) -> dict[str, object]:
    """What the paper's setting and ours have in common."""
    return {
        "optimiser": "Adam",
        "learning rate": f"{preset.free if kind == 'free' else preset.network:g}",
        "rate rises over": f"{preset.warm_up} steps" if preset.warm_up > 1 else "–",
        "rate halves after": f"{preset.half_life:g} steps" if preset.half_life else "never",
        "most steps": preset.steps,
    }


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers with three digits that count, a dash where there is none."""
    return table.map(lambda value: f"{value:.3g}" if np.isfinite(value) else "–")


def moselle_table(results: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """List means over the seeds on the real Moselle, and the spread of the unseen years' NSE."""
    start = curves[curves.step == 0].groupby("scheme")
    end = results.groupby("scheme", sort=False)
    table = pd.DataFrame(
        {
            "seeds": end.seed.count(),
            "steps chosen": end.steps.mean(),
            "trained years": end.train.mean(),
            "unseen years, untrained": start.validation.mean(),
            "unseen years": end.validation.mean(),
            "lowest seed": end.validation.min(),
            "highest seed": end.validation.max(),
        }
    ).loc[list(end.groups)]
    return table.rename(index=lambda name: SCHEMES[name].title)


def measures(medians: pd.DataFrame) -> dict[str, float]:
    """Medians of :func:`hybridlib.learning.comparison.medians`, named as the claims do."""
    return {
        f"{SERIES[name]}, {title}": float(medians.loc[title, name])
        for name in medians.columns
        for title in medians.index
    }
