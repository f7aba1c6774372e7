"""Is the adjoint's gradient that of a plain tape through time and of finite differences?"""

from __future__ import annotations

import functools

import cases
import numpy as np
import pytest

from hybridlib.hydropy import adjoint
from hybridlib.hydropy.adjoint import differentiable_run
from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.model import HydroPyNN, whole_day
from hybridlib.hydropy.parameters import Parameters
from hybridlib.hydropy.step import State
from hybridlib.study.schema import InputError

LANDSURFACE = cases.landsurface()
YEARS = 1500
"""Days of the long runs."""
FROST = 80
"""Day of the weather on which runs start: it freezes then, and snow falls and melts."""
DEPTHS = State(30.0, 1.0, 0.02, 0.2, 240.0, 30.0, 60.0, 3.0, 5.0)
"""Water that each store holds at most before the first day, mm."""
NAMES = ("dis", "evap", "precip", "riverstor", "tws")
INPUTS = (*Parameters._fields, *State._fields, "pet")
STEP = 1e-6
"""Relative step of finite differences: at 1e-5 they cross thresholds, at 1e-7 rounding shows."""


@functools.cache
def _model(dtype: str = "float64", cascade: bool = True) -> HydroPyNN:
    return HydroPyNN.from_landsurface(LANDSURFACE, dtype, cascade=cascade)


def _start(model, days):
    """Weather, parameters and stores before the first day, none of them empty."""
    weather = cases.pack_weather(model, cases.forcing(LANDSURFACE, FROST + days))
    rng = np.random.default_rng(11)
    stores = {
        name: depth * _millimetre(model, name) * rng.uniform(0.7, 1.0, empty.shape)
        for (name, empty), depth in zip(model.empty_state()._asdict().items(), DEPTHS, strict=True)
    }
    part = weather.part(slice(FROST, FROST + days))
    return part, model.default_parameters(), model.cast(State(**stores))


def _millimetre(model, name):
    """One millimetre of water in each cell, in the unit of a variable."""
    return model.basin.area / 1000.0 if name in ("dis", "riverstor", "infl") else 1.0


def _total(model, end, series):
    """Add up all that a run returns, in mm, every value with a weight of its own."""
    pieces = [*((name, series[name]) for name in NAMES), *end._asdict().items()]
    total = 0.0
    for k, (name, piece) in enumerate(pieces):
        weight = np.random.default_rng(k).normal(size=piece.shape) / _millimetre(model, name)
        total += tf.reduce_sum(piece * tf.cast(weight, model.dtype))
    return total


def _totals(model, end, series):
    """The total of each member of an ensemble."""
    return [
        _total(model, _member(end, k), {name: series[name][:, k] for name in NAMES})
        for k in range(len(end.swe))
    ]


def _member(fields, k):
    return type(fields)(*(field[k] for field in fields))


def _slopes(run, total, model, weather, parameters, state):
    """Differentiate the total of a run with respect to each of :data:`INPUTS`."""
    inputs = [*parameters, *state, weather.pet]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        result = total(model, *run(model, weather, parameters, state, NAMES))
    return tape.gradient(result, inputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _gradient(model, weather, parameters, state, total=_total, **options):
    """The adjoint's gradient by the name of the input."""
    run = functools.partial(differentiable_run, **options)
    slopes = _slopes(run, total, model, weather, parameters, state)
    return {name: slope.numpy() for name, slope in zip(INPUTS, slopes, strict=True)}


@functools.cache
def _default_gradient(dtype="float64", cascade=True, days=YEARS):
    model = _model(dtype, cascade)
    return _gradient(model, *_start(model, days))


def _plain_run(model, weather, parameters, state, names):
    """The same days in a loop that TensorFlow differentiates by itself."""
    days = weather.rainf.shape[0]
    fixed = model.land, model.network, model.substeps

    def advance(day, state, series):
        state, today = whole_day(state, weather.day(day), parameters, *fixed)
        series = {name: array.write(day, today[name]) for name, array in series.items()}
        return day + 1, state, series

    series = {name: tf.TensorArray(model.dtype, days) for name in names}
    first = tf.constant(0), state, series
    _, state, series = tf.while_loop(lambda day, *_: day < days, advance, first)
    return state, {name: array.stack() for name, array in series.items()}


@pytest.mark.parametrize(
    ("dtype", "days", "tolerance"), [("float32", 365, 1e-4), ("float64", YEARS, 1e-9)]
)
def test_is_the_gradient_that_of_a_plain_tape_through_years(dtype, days, tolerance):
    model = _model(dtype)
    plain = tf.function(functools.partial(_slopes, _plain_run, _total, model), autograph=False)
    ours = _default_gradient(dtype, days=days)
    for name, expected in zip(INPUTS, plain(*_start(model, days)), strict=True):
        assert ours[name].shape == expected.shape and ours[name].dtype == dtype, name
        largest = np.abs(expected).max()
        assert np.abs(ours[name] - expected).max() <= tolerance * largest, name


@pytest.mark.parametrize(("days", "cascade"), [(30, False), (YEARS, True)])
def test_is_the_gradient_that_of_finite_differences(days, cascade):
    model = _model("float64", cascade)
    weather, parameters, state = _start(model, days)
    gradient = _default_gradient("float64", cascade, days)
    rng = np.random.default_rng(7)
    exact, moved = np.zeros(6), []
    for name, value in zip(INPUTS, (*parameters, *state, weather.pet), strict=True):
        directions = value * rng.normal(size=(6, *value.shape))
        exact += np.sum(gradient[name] * directions, axis=tuple(range(1, directions.ndim)))
        moved.append(tf.concat([value + STEP * directions, value - STEP * directions], 0))
    members = weather._replace(pet=np.moveaxis(moved[-1], 0, 1))
    run = model.run(members, Parameters(*moved[:9]), State(*moved[9:-1]), NAMES)
    above, below = np.split(np.array(_totals(model, *run)), 2)
    estimate = (above - below) / (2.0 * STEP)
    np.testing.assert_allclose(estimate, exact, rtol=1e-6)


def test_does_every_input_have_a_gradient_but_the_threshold_of_slow_drainage():
    # s_min only switches drainage on: no descent along gradients can move it.
    for name, slope in _default_gradient().items():
        assert slope.any() == (name != "s_min"), name


def test_is_the_series_that_of_a_run():
    model = _model(cascade=False)
    start = _start(model, 30)
    end, series = differentiable_run(model, *start, NAMES)
    expected_end, expected = model.run(*start, NAMES)
    assert sorted(series) == sorted(expected)
    for name in NAMES:
        np.testing.assert_allclose(series[name], expected[name], rtol=1e-12)
    for ours, theirs in zip(end, expected_end, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_do_segments_leave_every_bit_of_the_gradient_over_30_days():
    model = _model(cascade=False)
    parts = _gradient(model, *_start(model, 30), segments=7)
    for name, whole in _default_gradient("float64", False, 30).items():
        np.testing.assert_array_equal(parts[name], whole, err_msg=name)


@pytest.mark.parametrize("segments", [1, 7])
def test_does_a_second_gradient_use_the_programs_of_the_first(segments):
    model = _model(cascade=False)
    weather, parameters, state = _start(model, 30)
    programs = adjoint._forward, adjoint._backward
    counts = []
    for factor in (1.0, 0.5):
        changed = Parameters(*(factor * field for field in parameters))
        _gradient(model, weather, changed, state, segments=segments)
        counts.append([program.experimental_get_tracing_count() for program in programs])
    assert counts[0] == counts[1]


@pytest.mark.parametrize("members", [False, True], ids=["one member", "three members"])
def test_can_a_training_step_be_traced_around_it(members):
    model = _model(cascade=False)
    weather, *fields = _start(model, 30)
    start = (weather, *(map(_ensemble, fields) if members else fields))
    step = tf.function(
        functools.partial(_slopes, differentiable_run, _total, model), autograph=False
    )
    slopes = step.get_concrete_function(*start).structured_outputs
    weather, parameters, state = start
    for slope, value in zip(slopes, (*parameters, *state, weather.pet), strict=True):
        assert slope.shape == value.shape


def _ensemble(fields):
    """Three members that differ in every value."""
    rng = np.random.default_rng(2)
    return type(fields)(*(field * rng.uniform(0.8, 1.0, (3, *field.shape)) for field in fields))


@pytest.mark.parametrize("shared", [False, True], ids=["own demand", "shared demand"])
def test_has_the_gradient_of_a_member_every_bit_of_one_alone(shared):
    model = _model(cascade=False)
    weather, *fields = _start(model, 30)
    parameters, state = map(_ensemble, fields)
    demand = [weather.pet * (1.0 if shared else factor) for factor in (0.8, 1.0, 1.2)]
    pet = weather.pet if shared else tf.stack(demand, axis=1)
    together = _gradient(
        model, weather._replace(pet=pet), parameters, state, lambda *run: sum(_totals(*run))
    )
    alone = [
        _gradient(model, weather._replace(pet=demand[k]), _member(parameters, k), _member(state, k))
        for k in range(3)
    ]
    for name in INPUTS:
        each = np.stack([one[name] for one in alone], axis=1 if name == "pet" else 0)
        if shared and name == "pet":  # added up, in an order of its own
            np.testing.assert_allclose(together[name], each.sum(axis=1), rtol=1e-10, atol=1e-18)
        else:
            np.testing.assert_array_equal(together[name], each, err_msg=name)


@pytest.mark.parametrize(
    ("days", "options", "told"),
    [
        (30, {"segments": 0}, "0 segments are asked for; expected 1 to 30"),
        (30, {"segments": 31}, "31 segments are asked for; expected 1 to 30"),
        (0, {}, "the weather has no day; expected at least one"),
        (30, {"variables": ["snow"]}, "variable 'snow' is unknown; expected some of: precip"),
    ],
)
def test_is_a_run_refused_that_cannot_be_made(days, options, told):
    model = _model(cascade=False)
    with pytest.raises(InputError, match=told):
        differentiable_run(model, *_start(model, days), **options)


def test_are_parameters_of_other_members_than_the_stores_refused():
    model = _model()
    weather, parameters, state = _start(model, 2)
    two = Parameters(*(tf.stack([field, field]) for field in parameters))
    with pytest.raises(InputError, match=r"d_min has members \(2,\); expected \(\), as the stores"):
        differentiable_run(model, weather, two, state)
