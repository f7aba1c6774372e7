"""The hidden truth of the twin: parameters, evapotranspiration and what instruments see of it.

Training never reads any of this but the observations. The truth is made with HydroPy itself, so
it can be recovered in principle; the noise and gaps of the observations bound how well.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import expit, logit

from hybridlib.hydropy.model import HydroPyNN
from hybridlib.hydropy.parameters import TABLE_1, Parameters
from hybridlib.study import pet
from hybridlib.study.basin import Basin
from hybridlib.study.instruments import anomaly, box_weights, monthly_means
from hybridlib.study.schema import SECONDS_PER_DAY, TWSA

GRACE_GAPS = (
    "2002-06 2002-07 2003-06 2011-01 2011-06 2012-05 2012-10 2013-03 2013-08 2013-09 2014-02 "
    "2014-07 2014-12 2015-06 2015-10 2015-11 2016-04 2016-09 2016-10"
)
"""Months without a GRACE solution up to 2016 (list of the GSFC mascon product)."""
GRACE_START = "2002-04"
PRODUCT_ERROR = 25.0
"""Error of one gravimetry product on a 3-degree box and month (mm); three are averaged."""
RATING_ERROR, READING_ERROR, RATING_MEMORY = 0.06, 0.03, 30.0
"""Relative error of the rating curve and of a reading, and how long the former lasts (days)."""
MISSING_SHARE = 0.05
"""Share of days without discharge, in spells; the paper's gauges miss less than 10 %."""
KEPT = ("dis", "tws", "evap")


def true_parameters(attributes: xr.Dataset, basin: Basin, default: Parameters) -> Parameters:
    """Hidden parameter fields, (cell,): defaults moved by nonlinear functions of the attributes.

    Each is ``low + (high - low) * expit(logit(default) + shift)`` within its range of Table 1.
    Vegetation and temperature rule f_crit: low under forest, high under low or cold vegetation.

    Args:
        attributes: the attributes on the grid.
        basin: the active cells.
        default: HydroPy's own parameters, (cell,).
    """
    a = {name: basin.pack(field) for name, field in attributes.data_vars.items()}
    z = {name: (field - field.mean()) / (field.std() + 1e-9) for name, field in a.items()}
    bare = expit((0.78 - a["fveg_avg"]) / 0.06)
    cold = expit((18.0 - a["temp_avg"]) / 3.0)
    wet = np.sqrt(a["fwetl"] + a["flake"])
    steep = np.tanh(np.log(a["slope_avg"] / 0.003) / 2.0)
    shift = {
        "d_min": 0.8 * np.tanh(z["wcap"]) - 0.5 * steep,
        "d_max": 0.8 * steep + 0.5 * np.tanh(z["beta"]) * np.tanh(z["p_avg"]),
        "s_min": 0.6 * np.tanh(z["wava"]) - 0.4 * z["fveg_avg"].clip(-2, 2) ** 2 / 4.0,
        "s_max": -2.0 + 0.7 * np.tanh(z["lai_avg"]) - 0.5 * steep,
        "f_crit": -1.6 + 2.6 * bare + 1.6 * cold + 0.5 * np.tanh(z["lai_diff"]),
        "f_evap": 0.8 * np.tanh(z["wmin"]) + 0.6 * bare,
        "lag_sur": 1.0 + 1.5 * wet - 1.0 * steep,
        "lag_gw": -2.2 + 0.8 * np.tanh(z["wcap"]) - 0.6 * steep,
        "lag_river": -1.0 - 0.4 * wet - 0.6 * steep,
    }
    fields = []
    for row in TABLE_1:
        share = (np.asarray(getattr(default, row.name), float) - row.low) / (row.high - row.low)
        place = expit(logit(share.clip(1e-3, 1 - 1e-3)) + shift[row.name])
        fields.append(row.low + (row.high - row.low) * place)
    return Parameters(*fields)


def pet_error(forcing: dict[str, np.ndarray], reference: np.ndarray) -> np.ndarray:
    """What the truth adds to Penman-Monteith, kg m-2 s-1.

    In humid air the truth moves past Priestley-Taylor, up to 130 % of the way; wind above
    2 m s-1 adds to it and still air takes away.

    Args:
        forcing: tas, huss, ps, sfcwind, rsds, rlds, any one shape.
        reference: Penman-Monteith of the same, kg m-2 s-1.
    """
    energy = pet.priestley_taylor(*(forcing[name] for name in ("tas", "ps", "rsds", "rlds")))
    humid = 1.3 * expit((forcing["huss"] * 1000.0 - 13.5) / 1.5)
    wind = 0.9 * np.tanh((forcing["sfcwind"] - 2.0) / 0.6)
    return humid * (energy - reference) + wind / SECONDS_PER_DAY


def true_pet(forcing: xr.Dataset, basin: Basin) -> np.ndarray:
    """The truth's potential evapotranspiration, kg m-2 s-1, float32, (time, cell)."""
    names = ("tas", "huss", "ps", "sfcwind", "rsds", "rlds")
    packed = {name: basin.pack(forcing[name]) for name in names}
    reference = basin.pack(forcing["evspsblpot"])
    return np.maximum(reference + pet_error(packed, reference), 0.0).astype(np.float32)


def run_truth(
    model: HydroPyNN, forcing: xr.Dataset, parameters: Parameters, evspsblpot: np.ndarray
) -> dict[str, np.ndarray]:
    """Run the truth from settled stores: dis, tws and evap, (time, cell).

    Args:
        model: HydroPyNN of the twin.
        forcing: pr and tas, (time, lat, lon).
        parameters: the hidden fields, (cell,).
        evspsblpot: the hidden PET, kg m-2 s-1, (time, cell).
    """
    days = forcing.indexes["time"]
    pr, tas = model.basin.pack(forcing["pr"]), model.basin.pack(forcing["tas"])
    parameters = model.cast(parameters)
    weather = model.weather(pr, tas, evspsblpot, days)
    state, _ = model.spin_up(weather.part(slice(365)), parameters, threshold=5.0)
    return model.run(weather, parameters, state, variables=KEPT)[1]


def observe_discharge(
    true: np.ndarray, days: pd.DatetimeIndex, rng: np.random.Generator
) -> np.ndarray:
    """Discharge as gauges report it, m3 s-1: a drifting rating curve, readings and gaps.

    Args:
        true: m3 s-1, (time, station).
        days: the days.
        rng: the source of noise.
    """
    memory = np.exp(-1.0 / RATING_MEMORY)
    rating = np.empty_like(true, dtype=float)
    rating[0] = rng.standard_normal(true.shape[1])
    fresh = rng.standard_normal(true.shape) * np.sqrt(1.0 - memory**2)
    for day in range(1, len(days)):
        rating[day] = memory * rating[day - 1] + fresh[day]
    reading = rng.standard_normal(true.shape)
    seen = true * np.exp(RATING_ERROR * rating + READING_ERROR * reading)
    for station in range(true.shape[1]):
        missing = 0
        while missing < rng.uniform(0.2, 1.8) * MISSING_SHARE * len(days):
            start, spell = rng.integers(len(days)), int(rng.exponential(30)) + 1
            seen[start : start + spell, station] = np.nan
            missing += spell
    return seen


def observe_storage(
    tws: np.ndarray,
    days: pd.DatetimeIndex,
    basin: Basin,
    boxes: pd.DataFrame,
    baseline: tuple[str, str],
    rng: np.random.Generator,
) -> xr.Dataset:
    """Storage anomalies as the mean of three gravimetry products, mm, (month, box).

    Args:
        tws: total water storage, mm, (time, cell).
        days: the days.
        basin: the active cells.
        boxes: name, lat and lon of the 3-degree boxes.
        baseline: first and last month of the reference period.
        rng: the source of noise.

    Returns:
        ``twsa`` with gaps as NaN and ``twsa_true`` without noise.
    """
    months = pd.date_range(days[0], days[-1], freq="MS")
    weights = box_weights(basin, boxes.lat.values, boxes.lon.values)
    monthly = monthly_means(tws @ weights.T.astype(tws.dtype), days, months)
    products = PRODUCT_ERROR * rng.standard_normal((3, *monthly.shape))
    gaps = pd.PeriodIndex(GRACE_GAPS.split(), freq="M").to_timestamp()
    seen = ~months.isin(gaps) & (months >= pd.Timestamp(f"{GRACE_START}-01"))
    seen = np.repeat(seen[:, None], monthly.shape[1], axis=1)
    noisy = anomaly(monthly + products.mean(axis=0), months, seen, baseline)
    fields = {
        "twsa": (np.where(seen, noisy, np.nan), "observed total water storage anomaly"),
        "twsa_true": (anomaly(monthly, months, seen, baseline), "true storage anomaly"),
    }
    return xr.Dataset(
        {
            name: (("month", "box"), values.astype("float32"), {"units": "mm", "long_name": text})
            for name, (values, text) in fields.items()
        }
        | {
            "box_lat": ("box", boxes.lat.values, TWSA["box_lat"].attrs),
            "box_lon": ("box", boxes.lon.values, TWSA["box_lon"].attrs),
        },
        {"month": months, "box": boxes.index.to_numpy(str)},
        {"baseline_first": baseline[0], "baseline_last": baseline[1]},
    )
