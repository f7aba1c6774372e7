"""What a parameterization network attends to: expected gradients of a parameter.

Source: Erion et al. (2021), Nature Machine Intelligence 3, 620-631, for expected gradients; Wang
et al. (2024), sections 3.4 and 5.2, for their use on f_crit. A share belongs to an attribute of a
cell: how much that attribute moves the parameter away from its mean over all cells. Shares explain
the network, not nature; on a twin :func:`true_shares` says what nature does there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from hybridlib.analysis.recovery import true_parameters
from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.parameters import TABLE_1, Parameters
from hybridlib.learning.learner import Learner
from hybridlib.learning.networks import squash
from hybridlib.learning.run import Run
from hybridlib.study.schema import InputError
from hybridlib.study.store import Study
from hybridlib.twin import nature

VEGETATION = ("lai_avg", "lai_max", "lai_diff", "fveg_avg", "fveg_max", "fveg_diff")
"""Attributes whose shares are added up to that of the vegetation."""
CLIMATE = ("p_avg", "temp_avg", "pet_avg", "aridity", "p_seasonality")
COUNTS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
"""Numbers of draws after which the error of completeness is kept."""
PAPER_SIX = ("lai_diff", "temp_avg", "fveg_avg", "fveg_max", "wmax", "fveg_diff")
"""The six most important attributes of f_crit in the paper (Figure 12b), in its order."""
PAPER_COLD = 15.0
"""Mean temperature below which the paper sees high positive shares of temperature, degC."""
ANDES = 3000.0
"""Height above which a cell is called Andean, m (the data page's border of grassland)."""
ROWS_A_BLOCK = 256


def with_network(schemes: Mapping[str, Run]) -> dict[str, Run]:
    """The schemes that have a network from attributes to parameters, by title."""
    return {
        title: trained
        for title, trained in schemes.items()
        if trained.problem.scheme.parameters == "network"
    }


def chosen_members(trained: Run, member: int = -1) -> list[Learner]:
    """One member of a scheme, or all of them.

    Args:
        trained: the scheme.
        member: place of the member; -1 for all.

    Raises:
        InputError: a member that is not there.
    """
    return [trained.learners[place] for place in trained.places(member)]


def expected_gradients(
    learners: Sequence[Learner],
    name: str,
    land: np.ndarray,
    samples: int = 200,
    seed: int = 0,
) -> xr.Dataset:
    """Share of each attribute in a parameter's departure from its mean over the cells.

    For a cell x, a cell x' drawn at random and a point a between them (0 to 1), the share of
    attribute i is the mean of (x_i - x'_i) dp/dx_i at x' + a (x - x') over many draws. Shares of a
    cell add up to p(x) less the mean of p, but for the error of sampling. A lag starts at HydroPy's
    own estimate in each cell; that start stays with the cell and is no attribute.

    Args:
        learners: members of a scheme with a parameterization network; their mean is explained.
        name: of the parameter, in :class:`~hybridlib.hydropy.parameters.Parameters`.
        land: cells that count, as x and as x', (cell,).
        samples: draws for each cell.
        seed: of the draws.

    Returns:
        share (cell, attribute) in the parameter's unit, over the cells with land; its standard
        error from the draws; value and start (cell): the parameter, and its mean over all x';
        completeness (cell): the sum of the shares less value minus start; and convergence (draws):
        the root mean square of completeness after so many draws, as a share of the standard
        deviation of value over the cells (NaN where value does not vary).

    Raises:
        InputError: an unknown parameter, no members, a scheme without a parameterization network,
            no land, land of another basin, or fewer than two samples.
    """
    cells = _checked(learners, name, land, samples)
    value, start = np.mean([_ends(learner, name, cells) for learner in learners], axis=0)
    draw = _drawing(learners, name, cells)
    rng = np.random.default_rng(seed)
    names = learners[0].attribute_names
    total = square = np.zeros((len(cells), len(names)))
    left = {}
    for count in range(1, samples + 1):
        others = tf.constant(rng.integers(len(cells), size=len(cells)), tf.int32)
        along = tf.constant(rng.random(len(cells)), tf.float32)
        moved = draw(others, along).numpy().astype(float)
        total, square = total + moved, square + moved**2
        if count in COUNTS or count == samples:
            left[count] = (total / count).sum(axis=1) - (value - start)
    share = total / samples
    variance = np.maximum(square - samples * share**2, 0.0) / (samples - 1)
    units = {"units": _units(name)}
    spread = np.ptp(value) > 0 and value.std()
    sizes = [np.sqrt(np.mean(rest**2)) / spread if spread else np.nan for rest in left.values()]
    dims = ("cell", "attribute")
    return xr.Dataset(
        {
            "share": (dims, share, units | {"long_name": f"share in {name}"}),
            "error": (dims, np.sqrt(variance / samples), units),
            "value": ("cell", value, units | {"long_name": name}),
            "start": ("cell", start, units),
            "completeness": ("cell", left[samples], units),
            "convergence": ("draws", sizes, {"units": "1"}),
        },
        {"cell": cells, "attribute": list(names), "draws": list(left)},
        {"parameter": name, "samples": samples, "members": len(learners)},
    )


def _checked(learners: Sequence[Learner], name: str, land: np.ndarray, samples: int) -> np.ndarray:
    """Places of the cells with land; refuses what cannot be explained."""
    _known(name)
    if samples < 2:
        raise InputError(f"{samples} samples are asked for; expected at least two")
    if not len(learners):
        raise InputError("no members are given; expected at least one")
    for learner in learners:
        if learner.scheme.parameters != "network":
            raise InputError(f"{learner.scheme.title} has no network from attributes to parameters")
        if learner.attributes.shape[0] != len(land):
            raise InputError(
                f"land has {len(land)} cells; expected the {learner.attributes.shape[0]} of the "
                "learners' basin"
            )
    cells = np.flatnonzero(land)
    if not len(cells):
        raise InputError("land is nowhere true; expected at least one cell with land")
    return cells


def _known(name: str) -> int:
    """Place of a parameter among the nine."""
    if name not in Parameters._fields:
        raise InputError(
            f"parameter '{name}' is unknown; expected one of: {', '.join(Parameters._fields)}"
        )
    return Parameters._fields.index(name)


def _units(name: str) -> str:
    return TABLE_1[_known(name)].units.replace("/", "1")


def _squashed(logits: tf.Tensor, name: str) -> tf.Tensor:
    """One parameter from its logits, any one shape."""
    flat = tf.reshape(logits, (-1,))
    fields = squash(tf.broadcast_to(flat, (len(TABLE_1), flat.shape[0])))
    return tf.reshape(getattr(fields, name), logits.shape)


def _ends(learner: Learner, name: str, cells: np.ndarray) -> np.ndarray:
    """The parameter of each cell, and its mean over the attributes of all cells, (2, cell)."""
    place = _known(name)
    begin = tf.gather(learner.start[place], cells)
    shift = learner.network(tf.gather(learner.attributes, cells))[:, place]
    value = _squashed(begin + shift, name).numpy().astype(float)
    # In blocks of cells, so that memory grows with the cells and not with their square.
    blocks = [
        _squashed(begin[first : first + ROWS_A_BLOCK, None] + shift, name).numpy().mean(1, float)
        for first in range(0, len(cells), ROWS_A_BLOCK)
    ]
    return np.stack([value, np.concatenate(blocks)])


def _drawing(learners: Sequence[Learner], name: str, cells: np.ndarray):
    """A function from one draw to every cell's shares, mean over the members, (cell, attribute)."""
    place = _known(name)
    own = tf.gather(learners[0].attributes, cells)
    begin = tf.gather(learners[0].start[place], cells)

    @tf.function(autograph=False)
    def draw(others, along):
        step = own - tf.gather(own, others)
        point = own - (1.0 - along)[:, None] * step
        with tf.GradientTape() as tape:
            tape.watch(point)
            fields = [_squashed(begin + one.network(point)[:, place], name) for one in learners]
            mean = tf.add_n(fields) / len(fields)
        return step * tape.gradient(mean, point)

    return draw


def true_shares(
    study: Study, default: Parameters, name: str, orders: int = 100, seed: int = 0
) -> xr.Dataset:
    """Share of each attribute in a twin's true parameter, from the rule that made it.

    Shapley values against cells drawn at random: attributes of a cell take the place of another
    cell's one after the other, in random order, and each is credited with the change it makes. For
    a rule that is a sum over the attributes these are the expected gradients; the twin's are sums
    within a sigmoid, so the two are close. The rule itself is asked, so nothing is written twice.

    Args:
        study: a twin.
        default: HydroPy's own parameters, where the rule begins, (cell,).
        name: of the parameter.
        orders: random orders, each with another cell for every cell.
        seed: of the orders.

    Returns:
        share (cell, attribute), value and start (cell), over the cells with land, as
        :func:`expected_gradients`.

    Raises:
        InputError: an unknown parameter, a study without a truth, or one that the rule of
            :mod:`hybridlib.twin.nature` did not make.
    """
    place, basin = _known(name), study.basin
    own = {str(key): basin.pack(field).astype(float) for key, field in study.attributes.items()}

    def rule(fields: Mapping[str, np.ndarray]) -> np.ndarray:
        grids = {key: (("lat", "lon"), basin.unpack(field)) for key, field in fields.items()}
        return np.asarray(nature.true_parameters(xr.Dataset(grids), basin, default)[place], float)

    value, cells = rule(own), np.flatnonzero(basin.land)
    if not np.allclose(value, true_parameters(study)[place], rtol=1e-4):
        raise InputError(f"{study.path}: {name} of the truth is not that of hybridlib.twin.nature")
    rng, keys = np.random.default_rng(seed), list(own)
    share, start = np.zeros((len(cells), len(keys))), np.zeros(len(cells))
    for _ in range(orders):
        # A whole field is shuffled, so means and spreads that the rule scales with stay.
        shuffled = np.arange(basin.size)
        shuffled[cells] = rng.permutation(cells)
        fields = {key: field[shuffled] for key, field in own.items()}
        before = rule(fields)[cells]
        start += before
        for k in rng.permutation(len(keys)):
            fields[keys[k]] = own[keys[k]]
            after = rule(fields)[cells]
            share[:, k] += after - before
            before = after
    units = {"units": _units(name)}
    return xr.Dataset(
        {
            "share": (("cell", "attribute"), share / orders, units),
            "value": ("cell", value[cells], units),
            "start": ("cell", start / orders, units),
        },
        {"cell": cells, "attribute": keys},
        {"parameter": name, "samples": orders},
    )


def importance(explained: xr.Dataset) -> xr.DataArray:
    """Mean absolute share of every attribute over the cells, the most important first."""
    mean = abs(explained.share).mean("cell")
    order = np.argsort(-mean.values, kind="stable")
    return mean.isel(attribute=order)


def importance_table(explained: xr.Dataset, members: Sequence[xr.Dataset] = ()) -> pd.DataFrame:
    """List every attribute's importance, the most important first.

    Args:
        explained: of :func:`expected_gradients`.
        members: the same of every member alone.

    Returns:
        One row an attribute, with importance and its sampling error (mean standard error of a
        cell's share), and that of each member alone; in the parameter's unit.
    """
    found = importance(explained)
    names = found.attribute.values
    columns = {
        "importance": found.values,
        "sampling error": explained.error.mean("cell").sel(attribute=names).values,
    }
    for k, one in enumerate(members):
        columns[f"member {k}"] = abs(one.share).mean("cell").sel(attribute=names).values
    return pd.DataFrame(columns, index=pd.Index(names, name="attribute"))


def rulers(true: xr.Dataset, least: float = 1e-6) -> list[str]:
    """Attributes that rule a true parameter at all, the most important first.

    Args:
        true: of :func:`true_shares`.
        least: importance above which an attribute counts, as a share of the parameter's spread.
    """
    found = importance(true)
    above = found > least * max(float(true.value.std()), 1e-12)
    return [str(name) for name in found.attribute.values[above.values]]


def group_share(explained: xr.Dataset, names: Sequence[str] = VEGETATION) -> xr.DataArray:
    """Share of vegetation attributes together, by default all of them, (cell,)."""
    total = explained.share.sel(attribute=list(names)).sum("attribute")
    return total.assign_attrs(explained.share.attrs)


def share_agreement(explained: xr.Dataset, true: xr.Dataset) -> pd.DataFrame:
    """Agreement from cell to cell of learned and true shares.

    Args:
        explained: of :func:`expected_gradients`.
        true: of :func:`true_shares`.

    Returns:
        Rows vegetation, temperature, climate without temperature and everything else; the mean
        absolute share learned and true, in the parameter's unit, and their correlation over the
        cells (NaN where one of them does not vary).
    """
    every = explained.attribute.values
    other = [name for name in every if name not in (*VEGETATION, *CLIMATE)]
    groups = {
        "vegetation": VEGETATION,
        "temperature": ("temp_avg",),
        "other climate": [name for name in CLIMATE if name != "temp_avg"],
        "soil, relief, open water": other,
    }
    rows = {}
    for group, names in groups.items():
        a, b = (group_share(one, names).values for one in (explained, true))
        varies = min(np.ptp(a), np.ptp(b)) > 1e-12
        rows[group] = {
            "learned": np.abs(a).mean(),
            "truth": np.abs(b).mean(),
            "r": np.corrcoef(a, b)[0, 1] if varies else np.nan,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def share_fields(
    study: Study, shares: Mapping[str, xr.Dataset], names: Sequence[str], text: str
) -> xr.Dataset:
    """Shares of some attributes together on the grid, NaN where there is no land, (lat, lon).

    Args:
        study: the prepared study.
        shares: of :func:`expected_gradients` or :func:`true_shares`, by title.
        names: of the attributes.
        text: long name of the fields.
    """
    on_grid = study.basin.on_grid
    return xr.Dataset(
        {
            title: on_grid(group_share(one, names), long_name=text, units=one.share.units)
            for title, one in shares.items()
        }
    )


class Types(NamedTuple):
    """Vegetation types of the cells with land.

    Attributes:
        flag: number of each cell's type, (cell,).
        names: of the types by number, as a reader sees them.
    """

    flag: np.ndarray
    names: dict[int, str]


def vegetation_types(study: Study) -> Types:
    """Read a study's own vegetation types; without any, every cell is of the same."""
    surface, basin = study.landsurface, study.basin
    if "vegetation_type" not in surface:
        return Types(np.ones(int(basin.land.sum()), int), {1: "every cell"})
    field = surface.vegetation_type
    words = [word.replace("_", " ") for word in field.attrs["flag_meanings"].split()]
    flags = np.ravel(field.attrs["flag_values"]).tolist()
    return Types(basin.pack(field)[basin.land], dict(zip(flags, words, strict=True)))


def means_by_type(types: Types, fields: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Mean of fields over the cells of each vegetation type.

    Args:
        types: of :func:`vegetation_types`.
        fields: over the cells with land, (cell,), by name.

    Returns:
        One row a type that occurs, with its number of cells.
    """
    rows = {}
    for flag, name in types.names.items():
        here = types.flag == flag
        if here.any():
            means = {title: float(np.mean(field[here])) for title, field in fields.items()}
            rows[name] = {"cells": int(here.sum())} | means
    return pd.DataFrame.from_dict(rows, orient="index")


def measures(study: Study, explained: xr.Dataset) -> dict[str, float | str]:
    """What the paper's claims about f_crit (section 5.2, Figure 12) are judged by, by name.

    Args:
        study: the prepared study.
        explained: of :func:`expected_gradients`.

    Returns:
        Without what the study has no vegetation types or no cells of the kind for; nothing for
        another parameter.
    """
    if explained.attrs["parameter"] != "f_crit":
        return {}
    basin, attributes, value = study.basin, study.attributes, explained.value.values
    temperature, height = (basin.pack(attributes[n])[basin.land] for n in ("temp_avg", "height"))
    plants, warmth = group_share(explained).values, explained.share.sel(attribute="temp_avg").values
    cold, high = temperature < PAPER_COLD, height > ANDES
    low, forest = _low_plants_and_forest(study)
    means = {
        "share under shrub and grass": plants[low],
        "share under forest": plants[forest],
        "share where cold": warmth[cold],
        # The mean of all shares is zero: elsewhere only their size tells whether they are weak.
        "size of the share elsewhere": abs(warmth[~cold]),
        "f_crit in the Andes": value[high],
        "f_crit below": value[~high],
    }
    found: dict[str, float | str] = {n: float(f.mean()) for n, f in means.items() if f.size}
    found["spread of f_crit"] = float(explained.value.std())
    return found | _order(explained)


def _order(explained: xr.Dataset) -> dict[str, float | str]:
    """Which attributes matter most, and how much vegetation and climate do."""
    order, group = importance(explained), [*VEGETATION, *CLIMATE]
    found: dict[str, float | str] = {
        "vegetation and climate": float(order.sel(attribute=group).sum() / order.sum()),
        "vegetation and climate by chance": len(group) / order.size,
    }
    for count, word in ((4, "four"), (6, "six")):
        first = [str(name) for name in order.attribute.values[:count]]
        found[f"among the first {word}"] = len(set(first) & set(PAPER_SIX[:count]))
        found[f"the first {word}"] = ", ".join(first)
    return found


def _low_plants_and_forest(study: Study) -> tuple[np.ndarray, np.ndarray]:
    """Cells with land under shrub or grass, and under forest; none without vegetation types."""
    types = vegetation_types(study)
    low = [flag for flag, word in types.names.items() if "grass" in word or "shrub" in word]
    forest = [f for f, word in types.names.items() if "forest" in word and "savanna" not in word]
    return np.isin(types.flag, low), np.isin(types.flag, forest)
