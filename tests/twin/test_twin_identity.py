"""Is the twin still the one that its version names?

A change of what is made raises ``VERSION`` and writes the sample anew::

    python -m tests.twin.test_twin_identity
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hybridlib.twin import geography, landsurface, make, nature, weather

SAMPLE = Path(__file__).parents[1] / "data" / "twin_smoke.json"
GROUPS = ("forcing", "landsurface", "attributes", "discharge", "twsa", "truth")
FEW = 40
"""Values that are kept of a field of floats."""


def _constants() -> dict[str, object]:
    """Numbers, words and tables of them that the modules of a twin name, wherever they stand."""
    found: dict[str, object] = {}
    for module in (geography, landsurface, weather, nature):
        found |= {name: _plain(value) for name, value in vars(module).items() if name.isupper()}
    return {name: value for name, value in found.items() if value is not None}


def _plain(value):
    """A constant as JSON keeps it, nothing where it cannot."""
    try:
        return json.loads(json.dumps(value, default=np.ndarray.tolist))
    except TypeError:
        return None


def _table(path: Path) -> list:
    """A table by its values: comments and spelling of numbers do not count."""
    return json.loads(pd.read_csv(path, comment="#").to_json(orient="values"))


def _sampled(values: np.ndarray) -> dict:
    """Integers, masks and words whole, dates by their ends; of floats gaps, mean, some values."""
    flat = values.ravel()
    if values.dtype.kind == "M":
        flat = np.datetime_as_string(flat[[0, -1]], "D")
    if flat.dtype.kind != "f":
        return {"shape": list(values.shape), "exact": flat.tolist()}
    gaps = int(np.isnan(flat).sum())
    some = flat[~np.isnan(flat)].astype(float)
    kept = some[:: max(1, len(some) // FEW)]
    return {
        "shape": list(values.shape),
        "gaps": gaps,
        "size": float(abs(some).max(initial=0.0)),
        "mean": float(some.mean()) if len(some) else 0.0,
        "some": kept.tolist(),
    }


def _sample(folder: Path) -> dict:
    """All that tells one twin from another, small enough to keep."""
    study, _ = make.make_twin("smoke", 1, folder / "twin.zarr")
    groups = {name: study.group(name) for name in GROUPS}
    place = geography.amazon()
    fields = {name: getattr(place, name) for name in ("mask", "rout_lat", "rout_lon")}
    return {
        "version": make.VERSION,
        "constants": _constants(),
        "sizes": {size: _plain(parts[1:]) for size, parts in make.SIZES.items()},
        "tables": {path.name: _table(path) for path in sorted(geography.FOLDER.glob("*.csv"))},
        "amazon": {name: _sampled(np.asarray(field)) for name, field in fields.items()},
        "smoke": {
            f"{group}.{name}": _sampled(field.values)
            for group, dataset in groups.items()
            for name, field in sorted(dataset.variables.items())
        },
    }


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[dict, dict]:
    """What is made now, and what was kept."""
    made = json.loads(json.dumps(_sample(tmp_path_factory.mktemp("identity"))))
    return made, json.loads(SAMPLE.read_text())


def test_is_the_sample_that_of_this_version(pair):
    made, kept = pair
    assert made["version"] == kept["version"], "write the sample of the new version"


@pytest.mark.parametrize("part", ["constants", "sizes", "tables"])
def test_are_constants_and_tables_those_of_the_version(pair, part):
    made, kept = pair
    assert made[part] == kept[part]


@pytest.mark.parametrize("part", ["amazon", "smoke"])
def test_is_the_same_twin_made(pair, part):
    made, kept = (one[part] for one in pair)
    assert list(made) == list(kept)
    for name, own in kept.items():
        assert _alike(made[name], own), f"{name} changed: raise the version"


def _alike(made: dict, kept: dict) -> bool:
    """Floats to 1e-6 of their own or of their field's size, everything else exactly."""
    if "exact" in kept:
        return made == kept
    same = made["shape"] == kept["shape"] and made["gaps"] == kept["gaps"]
    numbers = ([*one["some"], one["mean"], one["size"]] for one in (made, kept))
    return same and np.allclose(*numbers, rtol=1e-6, atol=1e-6 * kept["size"])


def test_would_a_change_be_noticed(pair):
    _, kept = pair
    rain = kept["smoke"]["forcing.pr"]
    moved = rain | {"some": [value * (1 + 3e-6) + 3e-6 * rain["size"] for value in rain["some"]]}
    assert not _alike(moved, rain)
    mask = kept["amazon"]["mask"]
    assert not _alike(mask | {"exact": [not mask["exact"][0], *mask["exact"][1:]]}, mask)


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as scratch:
        SAMPLE.write_text(json.dumps(_sample(Path(scratch)), indent=1) + "\n")
