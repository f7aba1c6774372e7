"""Do the networks start at HydroPy, stay in its ranges and see what they should?"""

from __future__ import annotations

import functools
from types import SimpleNamespace

import cases
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.model import HydroPyNN
from hybridlib.hydropy.parameters import TABLE_1, Parameters
from hybridlib.learning.learner import Learner
from hybridlib.learning.networks import (
    LEAST_SHARE,
    METEOROLOGY,
    Replacement,
    build_window,
    parameterization,
    squash,
)
from hybridlib.learning.problem import _normalised_attributes, _window
from hybridlib.learning.schemes import find_scheme
from hybridlib.study.attributes import ATTRIBUTES, static_attributes
from hybridlib.study.basin import Basin
from hybridlib.study.schema import InputError
from hybridlib.study.splits import Period, Split

DAYS = 23
KINDS = ("conv3d", "fcnn")
LOW = np.array([row.low for row in TABLE_1], np.float32)[:, None]
HIGH = np.array([row.high for row in TABLE_1], np.float32)[:, None]


@functools.cache
def _default() -> Parameters:
    """HydroPy's parameters, with lags of the first cells put at, below and above the ranges."""
    default = HydroPyNN.from_landsurface(cases.landsurface()).default_parameters()
    lag_gw = np.array(default.lag_gw)
    lag_gw[:4] = 3.0, 30.0, 1500.0, 4000.0
    return default._replace(lag_gw=tf.constant(lag_gw))


@functools.cache
def _learner(seed: int = 0, scheme: str = "hybrid_q") -> Learner:
    attributes = np.random.default_rng(4).normal(size=(12, 21))
    return Learner(find_scheme(scheme), _default(), attributes, seed)


def _randomise(model, seed: int, scale: float = 1.0) -> None:
    """Give every weight, those of the last layer too, a value."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        spread = scale * np.sqrt(2.0 / np.prod(weight.shape[:-1]))
        weight.assign(rng.normal(0.0, spread, weight.shape))


def test_has_the_parameterization_the_papers_layers():
    shapes = [tuple(weight.shape) for weight in parameterization(0).weights]
    assert shapes[::2] == [(21, 256), (256, 64), (64, 16), (16, 9)]
    assert shapes[1::2] == [(256,), (64,), (16,), (9,)]


def test_does_training_start_at_the_default_of_every_cell():
    start, default = np.stack(_learner().parameters()), np.stack(_default())
    rim = LEAST_SHARE * (HIGH - LOW)
    inside = (default > LOW + rim) & (default < HIGH - rim)
    assert (~inside).sum() == 4
    np.testing.assert_allclose(start[inside], default[inside], rtol=2e-6)
    np.testing.assert_allclose(start, default.clip(LOW + rim, HIGH - rim), rtol=2e-6)


def test_do_parameters_at_their_rim_still_have_a_slope():
    logits = tf.zeros((9, 12)) + _learner().start
    with tf.GradientTape() as tape:
        tape.watch(logits)
        fields = tf.stack(squash(logits))
    slope = tape.gradient(fields, logits).numpy()
    assert (slope >= 0.9 * LEAST_SHARE * (HIGH - LOW)).all()


@given(logits=st.lists(st.floats(width=32, allow_nan=False), min_size=9, max_size=9))
@settings(deadline=None)
def test_do_parameters_stay_within_their_ranges_whatever_the_logits(logits):
    fields = np.stack(squash(tf.constant(logits, tf.float32)[:, None]))
    assert ((fields >= LOW) & (fields <= HIGH)).all()


def test_do_the_networks_leave_room_up_to_both_ends_of_the_ranges():
    low, high = (np.stack(squash(tf.fill((9, 1), end))) for end in (-30.0, 30.0))
    np.testing.assert_allclose(low, LOW, atol=1e-9)
    np.testing.assert_allclose(high, HIGH, rtol=2e-7)


@pytest.mark.parametrize("build", [parameterization, Replacement], ids=["parameters", "pet"])
def test_do_seeds_decide_the_weights(build):
    first, again, other = ([w.numpy() for w in build(seed).weights] for seed in (3, 3, 4))
    differ = []
    for one, same, another in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, same)
        differ.append((one != another).any())
    assert sum(differ) == 3


# The replacement network, on a grid that the basin's neighbourhood leaves and does not fill.


@functools.cache
def _basin() -> Basin:
    mask = np.zeros((10, 12), bool)
    mask[1:4, 2:6] = True
    mask[1, 2] = mask[3, 5] = False
    row, col = np.nonzero(mask)
    lat, lon = -2.25 - 0.5 * np.arange(10), -60.25 + 0.5 * np.arange(12)
    return Basin(lat, lon, row, col, np.ones(row.size), np.zeros(row.size, int))


@functools.cache
def _fields() -> tuple[np.ndarray, np.ndarray]:
    """Normalised weather and attributes on the grid."""
    rng = np.random.default_rng(6)
    shape = _basin().shape
    return (
        rng.normal(size=(DAYS, *shape, 6)).astype(np.float32),
        rng.normal(size=(*shape, 21)).astype(np.float32),
    )


@functools.cache
def _network(kind: str = "conv3d", dtype: str = "float32") -> Replacement:
    network = Replacement(0, kind, dtype)
    _randomise(network, 12)
    return network


@functools.cache
def _reach(kind: str = "conv3d", chunk: int = DAYS):
    return build_window(*_fields(), _basin(), kind, chunk)


def _plain(weights, kind: str, dtype=tf.float32):
    """PET_err by convolutions of all 27 channels, on all days and the whole grid at once."""
    weather, attributes = _fields()
    halo = 4 if kind == "conv3d" else 0
    still = np.broadcast_to(attributes, (DAYS, *attributes.shape))
    field = np.concatenate([weather, still], axis=-1)
    field = np.pad(field, [(halo, halo), (0, 0), (0, 0), (0, 0)], mode="edge")
    field = np.pad(field, [(0, 0), (halo, halo), (halo, halo), (0, 0)])
    field = tf.constant(field[None], dtype)
    for k, (kernel, bias) in enumerate(zip(weights[:4], weights[4:], strict=True)):
        field = tf.nn.conv3d(field, kernel, [1] * 5, "VALID") + bias
        field = field if k == 3 else tf.nn.relu(field)
    place = _basin().row * 12 + _basin().col
    return tf.gather(tf.reshape(field, (DAYS, -1)), place, axis=1)


def _weights(network: Replacement, dtype=tf.float32):
    return [tf.cast(tf.convert_to_tensor(w), dtype) for w in (*network.kernels, *network.biases)]


def _close(found, expected, share: float) -> None:
    """Agreement to a share of the largest value."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= share * np.abs(expected).max()


@functools.cache
def _slopes() -> np.ndarray:
    return np.random.default_rng(13).normal(size=(DAYS, _basin().size)).astype(np.float32)


@functools.cache
def _gradient(kind: str, chunk: int, dtype: str = "float32"):
    network = _network(kind, dtype)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(network.correction(_reach(kind, chunk)) * _slopes())
    return tape.gradient(total, [*network.kernels, *network.biases])


@pytest.mark.parametrize(("kind", "width"), [("conv3d", 3), ("fcnn", 1)])
def test_has_the_replacement_the_papers_layers(kind, width):
    network = Replacement(0, kind)
    channels = (27, 32, 16, 8, 1)
    shapes = [(width,) * 3 + pair for pair in zip(channels[:-1], channels[1:], strict=True)]
    assert [tuple(kernel.shape) for kernel in network.kernels] == shapes
    assert [tuple(bias.shape) for bias in network.biases] == [(n,) for n in channels[1:]]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_does_an_untrained_network_leave_pet_as_it_is(kind, dtype):
    assert not Replacement(0, kind, dtype).correction(_reach(kind)).numpy().any()


def test_can_an_untrained_network_learn():
    network = Replacement(0)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(network.correction(_reach()) * _slopes())
    last = tape.gradient(total, [network.kernels[-1], network.biases[-1]])
    assert all(slope.numpy().any() for slope in last)


def test_is_pet_never_negative():
    learner = Learner(find_scheme("hybrid_qs_plus"), _default(), np.zeros((12, 21)))
    _randomise(learner.replacement, 12)
    reference = np.abs(_slopes())
    pet = learner.pet(reference, _reach()).numpy()
    error = learner.replacement.correction(_reach()).numpy()
    np.testing.assert_array_equal(pet, np.maximum(reference + error, 0.0))
    assert (pet == 0).any() and (pet > 0).any()


@pytest.mark.parametrize("kind", KINDS)
def test_is_the_correction_that_of_plain_convolutions_of_27_channels_on_the_whole_grid(kind):
    expected = _plain(_weights(_network(kind)), kind)
    assert np.abs(expected).max() > 0.1
    _close(_network(kind).correction(_reach(kind)), expected, 1e-5)


@pytest.mark.parametrize("chunk", [1, 4, 22])
def test_are_days_in_chunks_those_of_one_pass(chunk):
    assert _reach(chunk=chunk).chunk == chunk
    _close(_network().correction(_reach(chunk=chunk)), _network().correction(_reach()), 1e-5)


def test_is_a_record_shorter_than_the_halo_worked_off():
    weather, attributes = _fields()
    one = build_window(weather[:1], attributes, _basin())
    many = build_window(np.repeat(weather[:1], 9, axis=0), attributes, _basin())
    _close(_network().correction(one)[0], _network().correction(many)[4], 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_does_the_grid_beyond_the_neighbourhood_change_nothing(kind):
    weather, attributes = (field.copy() for field in _fields())
    near = np.zeros(_basin().shape, bool)
    margin = 4 if kind == "conv3d" else 0
    near[max(1 - margin, 0) : 4 + margin, max(2 - margin, 0) : 6 + margin] = True
    assert not near.all()
    weather[:, ~near] = attributes[~near] = np.nan
    cut = build_window(weather, attributes, _basin(), kind)
    expected = _network(kind).correction(_reach(kind))
    np.testing.assert_array_equal(_network(kind).correction(cut), expected)


@pytest.mark.parametrize(("kind", "chunk"), [("conv3d", DAYS), ("conv3d", 4), ("fcnn", 4)])
def test_is_the_gradient_that_of_a_plain_tape(kind, chunk):
    weights = _weights(_network(kind))
    with tf.GradientTape() as tape:
        tape.watch(weights)
        total = tf.reduce_sum(_plain(weights, kind) * _slopes())
    for found, expected in zip(_gradient(kind, chunk), tape.gradient(total, weights), strict=True):
        _close(found, expected, 1e-5)


def test_is_the_gradient_that_of_finite_differences():
    # The differences need float64, which the plain convolutions have; 1e-5 is float32's share.
    weights = _weights(_network(), tf.float64)
    rng = np.random.default_rng(14)
    directions = [rng.normal(size=w.shape) * np.std(w) for w in weights]
    exact = sum(np.sum(g * d) for g, d in zip(_gradient("conv3d", 4), directions, strict=True))

    def total(step):
        moved = [w + step * d for w, d in zip(weights, directions, strict=True)]
        return float(tf.reduce_sum(_plain(moved, "conv3d", tf.float64) * _slopes()))

    assert exact == pytest.approx((total(1e-6) - total(-1e-6)) / 2e-6, rel=1e-5)


def _changed(kind: str, day: int) -> np.ndarray:
    """Where PET_err changes when a cell's weather on one day does, (day, lat, lon)."""
    network = Replacement(0, kind)
    for weight in network.weights:
        # Weights above 0 keep every path through the layers open.
        weight.assign(np.abs(np.random.default_rng(5).normal(size=weight.shape)))
    side = np.arange(11)
    row, col = np.indices((11, 11)).reshape(2, -1)
    basin = Basin(side, side, row, col, np.ones(121), np.arange(121))
    weather, attributes = np.ones((14, 11, 11, 6)), np.ones((11, 11, 21))
    before = network.correction(build_window(weather, attributes, basin, kind, 5))
    weather[day, 5, 5] = 50.0
    after = network.correction(build_window(weather, attributes, basin, kind, 5))
    return basin.unpack((before != after).numpy(), False)


@pytest.mark.parametrize(("kind", "reach"), [("conv3d", 4), ("fcnn", 0)])
@pytest.mark.parametrize("day", [0, 5, 13])
def test_how_far_does_the_weather_of_a_cell_reach(kind, reach, day):
    expected = np.zeros((14, 11, 11), bool)
    near = slice(5 - reach, 6 + reach)
    expected[max(day - reach, 0) : day + reach + 1, near, near] = True
    np.testing.assert_array_equal(_changed(kind, day), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_is_bfloat16_float32_with_eight_bits_but_for_the_gradient(kind):
    # Four layers, each of which rounds its input and its weights to 8 bits.
    network = _network(kind, "bfloat16")
    assert all(weight.dtype == "float32" for weight in network.weights)
    found, expected = network.correction(_reach(kind)), _network(kind).correction(_reach(kind))
    assert found.dtype == tf.float32 and (found.numpy() != expected.numpy()).any()
    _close(found, expected, 4 * 2**-8)
    for ours, theirs in zip(_gradient(kind, 4, "bfloat16"), _gradient(kind, 4), strict=True):
        np.testing.assert_array_equal(ours, theirs)


# What the networks read of a study: here one with sea in its north-west, where nothing is known.

SPLIT = Split(Period(2002, 2003), Period(2004, 2004))
TRAINING, VALIDATION = slice(365, 1095), slice(1095, None)


@functools.cache
def _coast():
    land, weather = cases.landsurface(), cases.tiny_weather()
    attributes = static_attributes(land, weather)[list(ATTRIBUTES)]
    land["lsm"][0, :2] = 0.0
    for name in METEOROLOGY:
        weather[name][:, 0, :2] = np.nan
    attributes["wcap"][0, :2] = np.nan
    return land, weather, attributes


def _read(change=lambda weather: weather):
    """The normalised weather and attributes on the grid, after a change of the weather."""
    land, weather, attributes = _coast()
    weather = change(weather.copy(deep=True))
    basin = Basin.from_landsurface(land)
    about = {"attributes": attributes, "land_attributes": lambda: attributes}
    study = SimpleNamespace(path="coast", basin=basin, forcing=weather, **about)
    days = slice("2001-01-01", "2004-12-31")
    window = _window(study, SPLIT, days, _normalised_attributes(study), "fcnn")
    return window.weather.numpy(), window.attributes.numpy()


def test_are_cells_without_weather_or_attributes_0_after_normalisation():
    weather, attributes = _read()
    assert weather.shape == (1461, 3, 4, 6) and attributes.shape == (3, 4, 21)
    assert not weather[:, 0, :2].any() and weather[:, 0, 2:].all()
    wcap = attributes[..., list(ATTRIBUTES).index("wcap")]
    assert not wcap[0, :2].any() and wcap[0, 2:].all()


def test_have_inputs_mean_0_and_spread_1_over_the_land_and_the_training_years():
    weather, attributes = _read()
    land = _coast()[0].lsm.values > 0
    own = weather[TRAINING][:, land].astype(float)
    np.testing.assert_allclose(own.mean(axis=(0, 1)), 0.0, atol=1e-6)
    np.testing.assert_allclose(own.std(axis=(0, 1)), 1.0, atol=1e-6)
    own = attributes[land].astype(float)
    constant = [np.ptp(_coast()[2][name].values[land]) == 0 for name in ATTRIBUTES]
    assert 0 < sum(constant) < len(ATTRIBUTES)
    np.testing.assert_allclose(own.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(own.std(axis=0), np.where(constant, 0.0, 1.0), atol=1e-6)


def test_do_validation_years_leave_the_inputs_of_the_years_before_them():
    before = _read()[0]
    after = _read(lambda weather: weather.where(weather.time.dt.year < 2004, 0.9 * weather))[0]
    np.testing.assert_array_equal(after[:1095], before[:1095])
    assert (after[VALIDATION, 1:] != before[VALIDATION, 1:]).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            cases.put("huss", np.nan, 40, 2, 1),
            "huss is missing .NaN. at lat -3.25, lon -59.75 on 2001-02-10",
        ),
        (
            lambda weather: weather.drop_vars(["rsds", "rlds"]),
            "forcing has no rsds, rlds; the replacement network reads tas, huss",
        ),
    ],
)
def test_is_weather_missing_over_land_or_without_radiation_refused(change, told):
    with pytest.raises(InputError, match=f"coast: {told}"):
        _read(change)


def test_is_a_variable_that_never_varies_0():
    assert not _read(cases.put("ps", 101325.0))[0][..., METEOROLOGY.index("ps")].any()
