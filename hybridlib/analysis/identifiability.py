"""Which parameters the observations fix: members that start apart, and a twin's truth.

The same training from other starts ends with other parameters. How far apart they end is the
spread (the paper's Figure S10). A small spread says that training leads to the same place; only a
truth says whether it is the right one.

A parameter is called *identifiable* in a scheme when all of this holds:

1. the loss has a slope along it (:data:`hybridlib.analysis.recovery.NO_GRADIENT` lists
   those without);
2. members agree: their spread is at most :data:`AGREE` of the way that their mean has come from
   HydroPy's own value, both as root mean squares over the cells with land;
3. on a twin, every member lies nearer to the truth than HydroPy's own value, with at most
   :data:`NEARER` of its root mean square error;
4. on a twin, the same holds of the pattern, after the mean over the cells has been taken off the
   members, HydroPy's own value and the truth. A parameter that fails only here is known by its
   *level only*;
5. on a twin, the members' mean correlates with the truth from cell to cell no less than HydroPy's
   own value does. A parameter that fails only here is known by *level and amplitude*: its pattern
   was nearer before.

The limits are our choice. Without a truth the last three cannot be asked, and nothing is called
identifiable; members can at most agree. Where the truth is HydroPy's own value, members that stay
there rightly count as not agreeing: nothing was learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.analysis.attention import (
    expected_gradients,
    importance,
    rulers,
    true_shares,
)
from hybridlib.analysis.recovery import NO_GRADIENT, learned_parameters, true_parameters
from hybridlib.hydropy.backend import keras, tf
from hybridlib.hydropy.parameters import TABLE_1, Parameters
from hybridlib.learning.learner import Learner
from hybridlib.learning.networks import starting_logits
from hybridlib.learning.run import Run
from hybridlib.learning.schemes import TRUTH
from hybridlib.study.metrics import correlation, rmse
from hybridlib.study.schema import SECONDS_PER_DAY, InputError
from hybridlib.study.store import Study

AGREE = 0.5
"""Most spread over the members, as a share of what they moved, that is called agreement."""
NEARER = 0.75
"""Largest error of a member, as a share of that of HydroPy's own value, that is called nearer."""
SMALL = 0.05
"""Largest spread over the members, as a share of the range, that is called small."""
BATCH = 64
"""Cells in a step of the control."""
IDENTIFIABLE = "identifiable"
LEVEL = "level only"
AMPLITUDE = "level and amplitude"
HARDLY = "members agree, hardly nearer the truth"
ASTRAY = "members agree, farther from the truth"
AGREED = "members agree, truth not known"
DIFFER = "members differ"
FLAT = "no gradient"


def with_members(schemes: Mapping[str, Run], least: int = 2) -> dict[str, Run]:
    """The trained schemes that have at least so many members."""
    return {
        title: trained
        for title, trained in schemes.items()
        if trained.problem.scheme.parameters != "default" and len(trained.learners) >= least
    }


def member_parameters(trained: Run) -> np.ndarray:
    """Parameters of every member, over the cells with land, (member, 9, cell)."""
    land = trained.problem.study.basin.land
    fields = [np.stack([np.asarray(f, float) for f in o.parameters()]) for o in trained.learners]
    return np.stack(fields)[..., land]


def land_mean(trained: Run, name: str) -> np.ndarray:
    """One parameter, mean over the members, over the cells with land, (cell,)."""
    return getattr(learned_parameters(trained), name)[trained.problem.study.basin.land]


def spread(trained: Run) -> xr.Dataset:
    """Spread of every parameter over the members, by cell.

    Args:
        trained: a scheme with at least two members.

    Returns:
        Over the cells with land sd (parameter, cell), standard deviation over the members as a
        share of the parameter's range (Table 1); and of_field (parameter, cell), the same as a
        share of the standard deviation of the members' mean over the cells: above 1 the luck of
        the start outweighs what tells the cells apart (NaN where the mean does not vary).

    Raises:
        InputError: a scheme with a single member.
    """
    members = _several(trained)
    ranges = _ranges()[:, None]
    sd = members.std(axis=0, ddof=1)
    pattern = members.mean(axis=0).std(axis=1, keepdims=True)
    pattern = np.where(pattern > 1e-6 * ranges, pattern, np.nan)
    dims = ("parameter", "cell")
    fields = {"sd": sd / ranges, "of_field": sd / pattern}
    return xr.Dataset(
        {name: (dims, values, {"units": "1"}) for name, values in fields.items()},
        {
            "parameter": list(Parameters._fields),
            "cell": np.flatnonzero(trained.problem.study.basin.land),
        },
        {"members": len(members)},
    )


def _several(trained: Run) -> np.ndarray:
    """Parameters of at least two members."""
    if len(trained.learners) < 2:
        raise InputError(
            f"{trained.problem.scheme.title} has {len(trained.learners)} member; "
            "a spread needs at least two"
        )
    return member_parameters(trained)


def _ranges() -> np.ndarray:
    return np.array([row.high - row.low for row in TABLE_1])


def identify(study: Study, schemes: Mapping[str, Run]) -> pd.DataFrame:
    """Judge every parameter of every scheme by the rule at the head of this module.

    Args:
        study: the prepared study.
        schemes: by title, each with at least two members.

    Returns:
        Rows (scheme, parameter). Root mean squares over the cells with land, "spread" and "moved"
        of the members and their mean, in % of the range; "spread of moved" their ratio; "spread
        of field" spread over the spatial standard deviation of the mean. On a twin "error", of
        the members' mean in % of the range; "error of spread"; "worst member" and "worst
        pattern", error of the members as a share of that of HydroPy's own value, with and without
        the mean over the cells; "r" and "own r", correlation with the truth of the mean and of
        HydroPy's own value. Last "verdict".

    Raises:
        InputError: a scheme with a single member.
    """
    true = None
    if study.has("truth"):
        true = np.stack(true_parameters(study))[:, study.basin.land]
    rows = {}
    for title, trained in schemes.items():
        members = _several(trained) / _ranges()[:, None]
        own = trained.learners[0].default.numpy().astype(float)
        own = own[:, study.basin.land] / _ranges()[:, None]
        for k, row in enumerate(TABLE_1):
            real = None if true is None else true[k] / _ranges()[k]
            rows[title, row.name] = _judged(row.name, members[:, k], own[k], real)
    index = pd.MultiIndex.from_tuples(rows, names=["scheme", "parameter"])
    return pd.DataFrame(list(rows.values()), index)


def _judged(name: str, members: np.ndarray, own: np.ndarray, true: np.ndarray | None) -> dict:
    """Judge one parameter, in shares of its range, members (member, cell)."""
    mean = members.mean(axis=0)
    apart = float(np.sqrt(np.mean(members.var(axis=0, ddof=1))))
    moved = float(rmse(mean, own))
    row: dict[str, float] = {
        "spread": 100 * apart,
        "moved": 100 * moved,
        "spread of moved": _ratio(apart, moved),
        "spread of field": _ratio(apart, float(mean.std())),
    }
    nearer = []
    if true is not None:
        nearer = [_worst(members, own, true), _worst(*map(_centred, (members, own, true)))]
        error = float(rmse(mean, true))
        row |= {
            "error": 100 * error,
            "error of spread": _ratio(error, apart),
            "worst member": nearer[0],
            "worst pattern": nearer[1],
            "r": float(correlation(mean, true)),
            "own r": float(correlation(own, true)),
        }
    pattern_kept = true is None or not row["r"] < row["own r"]
    return row | {"verdict": _verdict(name, row["spread of moved"], nearer, pattern_kept)}


def _ratio(part: float, whole: float) -> float:
    """NaN where the whole is nothing but rounding."""
    return part / whole if whole > 1e-6 else np.nan


def _worst(members: np.ndarray, own: np.ndarray, true: np.ndarray) -> float:
    """Largest error of a member over that of HydroPy's own value."""
    return max(_ratio(float(rmse(member, true)), float(rmse(own, true))) for member in members)


def _centred(field: np.ndarray) -> np.ndarray:
    """A field less its mean over the cells, (…, cell)."""
    return field - field.mean(axis=-1, keepdims=True)


def _verdict(name: str, apart: float, nearer: list[float], pattern_kept: bool) -> str:
    """A comparison with NaN is false: what did not move has not agreed."""
    if name in NO_GRADIENT:
        return FLAT
    if not apart <= AGREE:
        return DIFFER
    if not nearer:
        return AGREED
    whole, pattern = nearer
    if not whole <= NEARER:
        return HARDLY if whole <= 1.0 else ASTRAY
    if not pattern <= NEARER:
        return LEVEL
    return IDENTIFIABLE if pattern_kept else AMPLITUDE


def by_parameter(judged: pd.DataFrame) -> pd.DataFrame:
    """Verdicts of :func:`identify`, a row a parameter and a column a scheme."""
    table = judged.verdict.unstack("scheme")
    return table.loc[
        list(Parameters._fields), list(dict.fromkeys(judged.index.get_level_values(0)))
    ]


def measures(judged: pd.DataFrame, title: str) -> dict[str, float | str]:
    """What the paper's "this uncertainty is small" (section 5.3, Figure S10) is judged by, by name.

    The paper names no limit; ours is a root mean square spread of :data:`SMALL` of the range in
    every parameter with a gradient.

    Args:
        judged: of :func:`identify`.
        title: of the scheme.

    Returns:
        The number of wider spreads, and all spreads in words; nothing for a scheme that was not
        judged.
    """
    if title not in judged.index.get_level_values(0):
        return {}
    spreads = judged.loc[title].spread.drop(index=list(NO_GRADIENT))
    wide = list(spreads.index[spreads > 100 * SMALL])
    listed = ", ".join(f"{name} {share:.1f}" for name, share in spreads.items())
    told = f"{listed}; above {SMALL:.0%}: {', '.join(wide) or 'none'}"
    return {"wide spreads": len(wide), "spreads in % of the range": told}


def departures(study: Study, schemes: Mapping[str, Run], name: str) -> pd.DataFrame:
    """How far every scheme's field of one parameter lies from a twin's truth.

    Args:
        study: a twin.
        schemes: by title.
        name: of the parameter.

    Returns:
        Rows the truth and the schemes; mean, and standard deviation over the cells with land; of
        the schemes (mean over the members) the bias, the RMSE and the correlation (NaN where the
        field does not vary). In the parameter's unit.

    Raises:
        InputError: a study without a truth.
    """
    land = study.basin.land
    true = np.asarray(getattr(true_parameters(study), name), float)[land]
    rows = {TRUTH: {"mean": true.mean(), "spatial sd": true.std()}}
    for title, trained in schemes.items():
        found = land_mean(trained, name)
        rows[title] = {
            "mean": found.mean(),
            "spatial sd": found.std(),
            "bias": found.mean() - true.mean(),
            "RMSE": rmse(found, true),
            "r": correlation(found, true),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def told_the_truth(study: Study, trained: Run, steps: int = 3000, seed: int = 0) -> Learner:
    """Fit a scheme's network to a twin's true parameters themselves: what a perfect teacher gives.

    A control. Where the network of the scheme misses a rule that this one finds, the observations
    hid the rule; where this one misses it, too, the method cannot tell its attributes apart.

    Args:
        study: a twin.
        trained: a scheme with a parameterization network.
        steps: of Adam, each on :data:`BATCH` cells.
        seed: of the start.

    Raises:
        InputError: a study without a truth, or a scheme without such a network.
    """
    learner, land = trained.problem.learner(seed), study.basin.land
    if learner.scheme.parameters != "network":
        raise InputError(f"{learner.scheme.title} has no network from attributes to parameters")
    target = (starting_logits(true_parameters(study)) - learner.start.numpy()).T[land]
    learner.network.layers[-1].bias.assign(target.mean(axis=0))
    weight = tf.constant(1.0 / np.maximum(target.var(axis=0), 1e-6), tf.float32)
    keras.utils.set_random_seed(seed)
    learner.network.compile(
        keras.optimizers.Adam(1e-3), lambda true, found: weight * (found - true) ** 2
    )
    pairs = tf.data.Dataset.from_tensor_slices((learner.attributes.numpy()[land], target))
    pairs = pairs.shuffle(len(target), seed).repeat().batch(BATCH)
    learner.network.fit(pairs, steps_per_epoch=steps, shuffle=False, verbose=0)
    return learner


def rules_found(
    study: Study, learners: Sequence[Learner], default: Parameters, samples: int = 200
) -> pd.DataFrame:
    """Does a network attend to the attributes that rule each true parameter?

    Args:
        study: a twin.
        learners: members with a parameterization network; their mean is explained.
        default: HydroPy's own parameters, (cell,).
        samples: draws of :func:`hybridlib.analysis.attention.expected_gradients`.

    Returns:
        Rows the parameters with a gradient; "true rule", the attributes that rule it; "found",
        as many that the network finds most important; "hits", how many are the same; "share",
        their part of all importance learned, %; and "by chance", that part if all counted
        alike, %.

    Raises:
        InputError: what :func:`hybridlib.analysis.attention.true_shares` and
            ``expected_gradients`` refuse.
    """
    rows = {}
    for name in Parameters._fields:
        if name in NO_GRADIENT:
            continue
        rule = rulers(true_shares(study, default, name, orders=10))
        found = importance(expected_gradients(learners, name, study.basin.land, samples))
        first = [str(key) for key in found.attribute.values[: len(rule)]]
        rows[name] = {
            "true rule": ", ".join(rule),
            "found": ", ".join(first),
            "hits": f"{len(set(first) & set(rule))} of {len(rule)}",
            "share": 100 * float(found.sel(attribute=rule).sum() / found.sum()),
            "by chance": 100 * len(rule) / found.size,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")


def pet_spread(study: Study, trained: Run) -> xr.Dataset:
    """Spread of mean PET over the members, by cell, and on a twin its error.

    Args:
        study: the prepared study.
        trained: a scheme with a replacement network and at least two members.

    Returns:
        Over the cells with land, mm d-1, mean and sd over the members of each member's mean over
        all days; on a twin error, mean less the truth's.

    Raises:
        InputError: a scheme with a single member or without a replacement network.
    """
    _several(trained)
    problem, land = trained.problem, study.basin.land
    if not problem.scheme.replacement:
        raise InputError(f"{problem.scheme.title} has no network that learns PET")
    means = trained.pet[..., land].mean(axis=1, dtype=float)
    fields = {"mean": means.mean(axis=0), "sd": means.std(axis=0, ddof=1)}
    if study.has("truth"):
        true = study.group("truth").evspsblpot.sel(time=problem.days).mean("time", dtype=float)
        fields["error"] = fields["mean"] - study.basin.pack(true)[land] * SECONDS_PER_DAY
    units = {"units": "mm d-1"}
    return xr.Dataset(
        {name: ("cell", field, units) for name, field in fields.items()},
        {"cell": np.flatnonzero(land)},
    )
