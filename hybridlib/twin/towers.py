"""Flux towers of a twin: its true evapotranspiration with the errors of real ones."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import signal

from hybridlib.study.schema import SECONDS_PER_DAY
from hybridlib.study.sources.lba import tower_cells, tower_dataset
from hybridlib.study.store import Study

INVENTED = "invented"
"""Name of the tower that a twin gets in its middle where no real one stands in it."""
CLOSURE = 0.75
"""Share of the evapotranspiration that a tower sees. Wang et al. (2024) quote 20-30 % of missing
energy for tropical forest; over all biomes it is about 20 % (Wilson et al. 2002)."""
FOOTPRINT, FOOTPRINT_MEMORY = 0.08, 60.0
"""Relative departure of the 1-2 km that a tower sees from its cell, and how long one lasts (days).
Our choice."""
READING = 0.10
"""Relative random error of a day. Our choice; a half hour's is 13 % and some W m-2
(doi 10.1016/j.agrformet.2008.08.011, Figure 5)."""
MISSING_SHARE, GAP = 0.35, 8.0
"""Share of days without a value, and mean length of a gap (days). Our choice."""
SEED = 34


def twin_towers(study: Study, seed: int = SEED) -> xr.Dataset:
    """Towers of a twin: its true evapotranspiration with the errors of real ones.

    Where none of the real towers stands in the basin, one is invented in its middle.

    Args:
        study: a twin.
        seed: same seed and cell, same series.

    Returns:
        "et", as a tower reports it, and "et_true", of its cell, both mm d-1, (time, tower); the
        towers' "cell".

    Raises:
        InputError: a study without a truth.
    """
    truth, basin = study.group("truth"), study.basin
    cells = tower_cells(study) or {INVENTED: _middle(study)}
    true = np.stack(
        [
            truth.evap.isel(lat=basin.row[cell], lon=basin.col[cell]).values * SECONDS_PER_DAY
            for cell in cells.values()
        ],
        axis=1,
    ).astype(float)
    chance = [np.random.default_rng([seed, cell]) for cell in cells.values()]
    seen = [observe(series, rng) for series, rng in zip(true.T, chance, strict=True)]
    towers = tower_dataset(study, np.stack(seen, axis=1), cells)
    return towers.assign(et_true=towers.et.copy(data=true))


def _middle(study: Study) -> int:
    """The land cell nearest to the middle of all."""
    basin = study.basin
    lat, lon = basin.lat[basin.row], basin.lon[basin.col]
    far = (lat - lat.mean()) ** 2 + (lon - lon.mean()) ** 2
    return int(np.where(basin.land, far, np.inf).argmin())


def observe(true: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Evapotranspiration as a tower reports it.

    Turbulence that it misses (:data:`CLOSURE`), a footprint that drifts away from the cell and
    back (:data:`FOOTPRINT`), a random error of each day (:data:`READING`), and gaps. The errors
    are factors with a mean of 1.

    Args:
        true: of the cell, mm d-1, (time,).
        rng: the source of noise.

    Returns:
        mm d-1, (time,), NaN in gaps.
    """
    memory = np.exp(-1.0 / FOOTPRINT_MEMORY)
    fresh = rng.standard_normal(len(true)) * np.sqrt(1.0 - memory**2)
    fresh[0] = rng.standard_normal()
    drift = signal.lfilter([1.0], [1.0, -memory], fresh)
    day = rng.standard_normal(len(true))
    error = np.exp(FOOTPRINT * drift + READING * day - (FOOTPRINT**2 + READING**2) / 2)
    seen = CLOSURE * error * true
    while np.isnan(seen).mean() < MISSING_SHARE:
        start, spell = rng.integers(len(true)), int(rng.exponential(GAP)) + 1
        seen[start : start + spell] = np.nan
    return seen
