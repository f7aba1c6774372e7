"""Do gradients of the day agree with finite differences, on either side of every threshold?"""

import cases
import numpy as np
import pandas as pd
import pytest

from hybridlib.hydropy import processes
from hybridlib.hydropy.adjoint import differentiable_run
from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.land import Weather
from hybridlib.hydropy.model import HydroPyNN
from hybridlib.hydropy.parameters import Parameters
from hybridlib.hydropy.processes import STEEPEST, power, transpiration
from hybridlib.hydropy.step import State, day_step

MODEL = HydroPyNN.from_landsurface(cases.landsurface(), "float64")
LAND = {name: np.asarray(field) for name, field in MODEL.land._asdict().items()}
CELLS = MODEL.basin.size
MM = 1000.0 / MODEL.basin.area
ASIDE = 1e-3
"""Distance from a threshold at which both sides are checked (mm or K)."""


def _point(**changes):
    """A rainy day on a half-full basin: every variable the day depends on, (cell,) or more."""
    rng = np.random.default_rng(3)
    share = rng.uniform(0.3, 0.7, CELLS)
    point = {
        "swe": 20.0 + 10.0 * share,
        "wliq": 0.5 * share,
        "skinstor": 0.01 * share,
        "canopystor": 0.2 * share,
        "rootmoist": LAND["wilt"] + share * (0.75 * LAND["wcap"] - LAND["wilt"]),
        "lakestor": 50.0 * share,
        "groundwstor": 80.0 * share,
        "riverstor": share * np.ones((MODEL.network.in_cascade.shape[0], 1)) * 3.0 / MM,
        "infl": np.where(MODEL.basin.sink, 0.0, 5.0 * share / MM),
        "rainf": 4.0 * share,
        "snowf": 1.0 * share,
        "melt": 3.0 * share,
        "pet": 2.0 + share,
        **{n: np.asarray(f) for n, f in MODEL.default_parameters()._asdict().items()},
    }
    return point | {name: np.zeros(CELLS) + value for name, value in changes.items()}


@tf.function(autograph=False)
def _day(values):
    """One number from everything a day returns, (…,), river water in mm."""
    weather = Weather(
        **{name: values[name] for name in ("rainf", "snowf", "melt", "pet")},
        month=tf.constant(3),
        next_month=tf.constant(4),
        share_next=tf.constant(0.3, tf.float64),
    )
    state = State(*(values[name] for name in State._fields))
    parameters = Parameters(*(values[name] for name in Parameters._fields))
    after, fluxes = day_step(state, weather, parameters, MODEL.land, MODEL.network)
    pieces = {**fluxes, **after._asdict()}
    total = 0.0
    for k, name in enumerate(sorted(pieces)):
        piece = pieces[name] * (MM if name in ("dis", "rivdis", "infl", "riverstor") else 1.0)
        if name == "freshwater":
            continue
        if name == "riverstor":
            piece = tf.reduce_sum(piece, axis=-2)
        weight = np.cos(1.0 + k + np.arange(CELLS))
        total += tf.reduce_sum(piece * weight, axis=-1)
    return total


def _gradient(point, name):
    values = {key: tf.constant(value) for key, value in point.items()}
    with tf.GradientTape() as tape:
        tape.watch(values[name])
        result = _day(values)
    zero = tf.UnconnectedGradients.ZERO
    return tape.gradient(result, values[name], unconnected_gradients=zero).numpy()


def _millimetres(name):
    """Depth of water that one unit of a variable stands for, so that all are checked alike."""
    if name in ("infl", "riverstor"):
        return MM
    return LAND["wcap"] if name in ("s_min", "s_max", "f_crit", "f_evap") else np.ones(CELLS)


def _finite_difference(point, name, step):
    """Central differences of every element, all in one call along a member axis."""
    value = point[name]
    shifts = np.eye(value.size).reshape(value.size, *value.shape)
    step = step / np.broadcast_to(_millimetres(name), value.shape)
    members = np.concatenate([value + step * shifts, value - step * shifts])
    wide = {}
    for key, other in point.items():
        wide[key] = tf.constant(
            members if key == name else np.broadcast_to(other, (len(members), *other.shape))
        )
    high, low = np.split(_day(wide).numpy(), 2)
    return ((high - low).reshape(value.shape)) / (2 * step)


def _check(point, names, step=1e-6):
    for name in names:
        exact, estimate = _gradient(point, name), _finite_difference(point, name, step)
        scale = _millimetres(name)
        difference = np.abs(exact - estimate) / scale
        assert difference.max() <= 1e-6 * max(1.0, np.abs(estimate / scale).max()), name


STORES = tuple(State._fields)
EMPTIED = [store for store in STORES if store not in ("riverstor", "infl")]
DRY = ("rainf", "snowf", "swe", "wliq")
ALL = (*STORES, *Parameters._fields, "pet", "rainf", "snowf", "melt")

SOIL = ("rootmoist", *Parameters._fields, "pet")
CAPACITY = {
    "wmin": LAND["wmin"],
    "wilting point": LAND["wilt"],
    "critical point": 0.75 * LAND["wcap"],
    "slow drainage starts": 0.05 * LAND["wcap"],
    "fast drainage starts": 0.90 * LAND["wcap"],
}
POINTS = {
    "an ordinary day": ({}, ALL),
    "a day of frost": ({"melt": -2.0}, ALL),
    "a dry day": (dict.fromkeys(DRY, 0.0), [name for name in ALL if name not in (*DRY, "melt")]),
    "wcap": ({"rootmoist": LAND["wcap"] - ASIDE}, SOIL),  # soil moisture never exceeds it
    **{f"empty {store}": ({store: ASIDE}, (store, "pet")) for store in EMPTIED[:4] + ["lakestor"]},
}
for side in (-ASIDE, ASIDE):
    POINTS[f"freezing point {side:+}"] = {"melt": side}, STORES
    for name, value in CAPACITY.items():
        POINTS[f"{name} {side:+}"] = {"rootmoist": value + side}, SOIL


@pytest.mark.parametrize("place", POINTS)
def test_are_gradients_right_on_a_day_and_beside_each_threshold(place):
    changes, names = POINTS[place]
    _check(_point(**changes), names, step=1e-7 if place == "wcap" else 1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"rootmoist": LAND["wcap"]},
        {"rootmoist": LAND["wmin"]},
        {"melt": 0.0},
        *({store: 0.0} for store in EMPTIED),
        dict.fromkeys(EMPTIED, 0.0),
        {"pet": 0.0},
        {"lag_river": 0.0, "s_max": 1.0},
    ],
    ids=lambda changes: "+".join(changes),
)
def test_are_gradients_finite_on_every_threshold(changes):
    point = _point(**changes)
    for name in ALL:
        assert np.isfinite(_gradient(point, name)).all(), name


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("base", [-0.1, 0.0, 1e-12, STEEPEST, 1e-4, 0.3, 1.0])
def test_is_a_power_exact_and_its_slope_finite(base, exponent):
    value = tf.constant([base], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(value)
        result = power(value, tf.constant(exponent, tf.float64))
    positive = max(base, 0.0)
    assert result.numpy()[0] == pytest.approx(positive**exponent, rel=1e-14)
    slope = exponent * positive**exponent / max(base, STEEPEST)
    assert tape.gradient(result, value).numpy()[0] == pytest.approx(slope, rel=1e-12)


def test_is_the_slow_drainage_threshold_without_a_gradient():
    # s_min only switches drainage on: no descent along gradients can move it.
    assert not _gradient(_point(), "s_min").any()


def test_what_happens_where_the_critical_point_falls_below_wilting():
    wilting, nothing = LAND["wilt"], np.zeros(CELLS)
    dry = dict.fromkeys((*DRY, "melt", "canopystor"), 0.0)
    f_crit = 0.8 * wilting / LAND["wcap"]
    for aside, transpires in ((-1.0, False), (1.0, True)):
        point = _point(rootmoist=wilting + aside, f_crit=f_crit, **dry)
        given = point["rootmoist"], point["pet"], nothing, nothing + 0.7, LAND["wcap"]
        flow = transpiration(*map(tf.constant, (*given, wilting, f_crit)))
        assert ((flow.numpy() > 0) == transpires).all()
        assert np.isfinite(_gradient(point, "f_crit")).all()


SIDE = 8
BETA = np.logspace(-2, np.log10(50), SIDE)[:, None] * np.ones((1, SIDE))
SHARE = np.linspace(0.05, 0.99, SIDE)[None] * np.ones((SIDE, 1))
CAPACITIES = np.logspace(-9, 3, SIDE)[:, None] * np.ones((1, SIDE))
THIN = {"wcap": CAPACITIES, "wmin": 0.1 * CAPACITIES, "wmax": 2 * CAPACITIES, "beta": 0.3}
SOILS = {
    "little spread, large beta": {
        "wcap": 200.0, "wmin": 200 * SHARE, "wmax": 300.0, "wava": 150.0, "beta": BETA
    },
    "thin": THIN | {"wava": CAPACITIES * np.linspace(0, 1, SIDE)},
}  # fmt: skip


@pytest.mark.parametrize("wet", [0, 100], ids=["dry", "100 wet days"])
@pytest.mark.parametrize("f_evap", [0.0, 0.05])
@pytest.mark.parametrize("soil", SOILS)
def test_are_gradients_finite_in_every_soil_that_the_schema_lets_in(soil, f_evap, wet):
    days = 300
    land = cases.landsurface(SIDE, SIDE)
    for name, value in SOILS[soil].items():
        land[name].values[:] = value
    model = HydroPyNN.from_landsurface(land, "float32", zonal_length="geometric")
    rain = np.random.default_rng(0).gamma(0.3, 20, days) * (np.arange(days) < wet) / 86400
    field = np.ones((days, model.basin.size))
    time = pd.date_range("2003-01-01", periods=days)
    weather = model.weather(rain[:, None] * field, 300 * field, 5 / 86400 * field, time)
    parameters = model.default_parameters()._replace(f_evap=tf.fill([model.basin.size], f_evap))
    inputs = [*parameters, weather.pet]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        _, series = differentiable_run(model, weather, parameters, model.empty_state())
        total = tf.reduce_sum(series["dis"]) / 1e6 + tf.reduce_sum(series["tws"])
    for slope in tape.gradient(total, inputs):
        assert np.isfinite(slope).all()


@pytest.mark.parametrize("whole", [3.0, 1e-3, 1e-14])
def test_is_the_slope_of_a_quotient_exact_and_finite(whole):
    values = [tf.constant([2.0 * whole], tf.float32), tf.constant([whole], tf.float32)]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        result = processes.share_of(*values)
    assert tape.gradient(result, values[0]).numpy()[0] == pytest.approx(1 / whole)
    assert tape.gradient(result, values[1]).numpy()[0] == pytest.approx(-2 / whole)
    values = [tf.constant([1e-30]), tf.constant([1e-37])]
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = processes.share_of(*values)
    assert np.isfinite(tape.gradient(result, values)).all()
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = processes.share_of(values[0], 0.0 * values[1])
    assert result.numpy()[0] == 0.0 and tape.gradient(result, values[0]).numpy()[0] == 0.0
