"""Does water find its way?"""

from dataclasses import replace

import cases
import numpy as np
import pytest

from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.routing import (
    build_network,
    cascade,
    direction_masks,
    route,
    transfer,
    transfer_by_masks,
)
from hybridlib.study.basin import Basin
from hybridlib.study.schema import InputError


def _random_basin(seed, rows=6, cols=7):
    """A random D8 network: each cell drains to a neighbour of lower random height."""
    rng = np.random.default_rng(seed)
    height = rng.random((rows, cols))
    land = cases.landsurface(rows, cols)
    for row in range(rows):
        for col in range(cols):
            near = [
                (height[r, c], r, c)
                for r in range(max(0, row - 1), min(rows, row + 2))
                for c in range(max(0, col - 1), min(cols, col + 2))
            ]
            land["rout_lat"][row, col], land["rout_lon"][row, col] = min(near)[1:]
    return Basin.from_landsurface(land)


def _network(basin, reservoirs=1):
    return build_network(basin, np.full(basin.size, reservoirs))


def test_does_water_that_leaves_one_cell_arrive_in_the_next():
    basin = Basin.from_landsurface(cases.landsurface())
    outflow = np.zeros(basin.size)
    outflow[0] = 7.0
    arrived = transfer(tf.constant(outflow), _network(basin)).numpy()
    assert arrived[basin.downstream[0]] == 7.0
    assert arrived.sum() == 7.0


def test_does_a_sink_let_its_water_go():
    basin = Basin.from_landsurface(cases.landsurface())
    outflow = basin.sink.astype(float)
    assert transfer(tf.constant(outflow), _network(basin)).numpy().sum() == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_are_the_packed_gather_and_the_eight_masks_the_same(seed):
    basin = _random_basin(seed)
    outflow = np.random.default_rng(seed).random(basin.size)
    packed = transfer(tf.constant(outflow), _network(basin)).numpy()
    grid = transfer_by_masks(basin.unpack(outflow, 0.0), direction_masks(basin)).numpy()
    np.testing.assert_allclose(basin.pack(grid), packed, rtol=1e-15)


def test_does_the_paper_s_4_by_4_example_move_every_outflow_one_cell_on():
    land = cases.landsurface(4, 4)
    basin = Basin.from_landsurface(land)
    outflow = np.arange(1.0, 17.0)
    expected = np.zeros(16)
    for cell, target in enumerate(basin.downstream):
        if target != cell:
            expected[target] += outflow[cell]
    grid = transfer_by_masks(outflow.reshape(4, 4), direction_masks(basin)).numpy()
    np.testing.assert_array_equal(grid.ravel(), expected)


@pytest.mark.parametrize("seed", range(3))
def test_is_the_gradient_of_the_transfer_its_exact_transpose(seed):
    basin = _random_basin(seed)
    network = _network(basin)
    matrix = np.zeros((basin.size, basin.size))
    moved = np.flatnonzero(~basin.sink)
    matrix[basin.downstream[moved], moved] = 1.0
    upstream = np.random.default_rng(seed).random((2, basin.size))
    outflow = tf.Variable(np.ones((2, basin.size)))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(transfer(outflow, network) * upstream)
    np.testing.assert_array_equal(tape.gradient(total, outflow).numpy(), upstream @ matrix)


def test_does_the_river_keep_its_water_over_a_day():
    basin = _random_basin(1)
    rng = np.random.default_rng(0)
    reservoirs = rng.integers(1, 6, basin.size)
    network = build_network(basin, reservoirs)
    before = rng.random((5, basin.size)) * (np.arange(5)[:, None] < reservoirs) * 1e8
    infl = np.where(basin.sink, 0.0, rng.random(basin.size) * 1e8)
    runoff = rng.random(basin.size) * 1e7
    after, infl_after, dis, _, freshwater = route(
        runoff, tf.constant(before), tf.constant(infl), rng.random(basin.size), network
    )
    gained = after.numpy().sum() - before.sum() + (infl_after.numpy() - infl).sum() / 4
    assert gained == pytest.approx(runoff.sum() - freshwater.numpy().sum(), rel=1e-12)
    np.testing.assert_array_equal(dis.numpy()[basin.sink], freshwater.numpy()[basin.sink])


def test_does_a_lag_of_zero_pass_water_on_at_once():
    basin = Basin.from_landsurface(cases.landsurface(1, 4).isel(lat=slice(0, 1)))
    runoff = np.array([4.0, 0.0, 0.0, 0.0])
    empty = tf.zeros((1, 4), tf.float64)
    _, infl, dis, rivdis, _ = route(runoff, empty, empty[0], np.zeros(4), _network(basin))
    np.testing.assert_allclose(dis.numpy(), [4.0, 3.0, 2.0, 2.0])
    np.testing.assert_allclose(rivdis.numpy(), [0.0, 3.0, 2.0, 0.0])
    np.testing.assert_allclose(infl.numpy(), [0.0, 4.0, 4.0, 0.0])


def test_what_does_a_cascade_let_out_of_each_reservoir():
    # With a lag of 3/4 days a quarter of the water leaves in a quarter of a day.
    stores = [tf.constant([water], tf.float64) for water in (12.0, 4.0, 5.0)]
    in_cascade = tf.constant([[True], [True], [False]])
    released, left = cascade(tf.constant([4.0], tf.float64), stores, 0.75, in_cascade, 4)
    assert released.numpy() == 2.0
    assert np.ravel(left).tolist() == [12.0, 6.0, 5.0]


def test_has_each_cell_as_many_reservoirs_as_it_should():
    basin = Basin.from_landsurface(cases.landsurface())
    reservoirs = 1 + np.arange(basin.size) % 5
    in_cascade = build_network(basin, reservoirs).in_cascade.numpy()
    np.testing.assert_array_equal(in_cascade.sum(axis=0), reservoirs)
    assert in_cascade[0].all()


def test_has_a_cell_outside_the_basin_no_direction():
    land = cases.landsurface()
    land["lsm"][0, 0] = 0.0
    masks = direction_masks(Basin.from_landsurface(land))
    assert not masks[:, 0, 0].any() and masks[:, 0, 1].sum() == 1.0


def test_do_the_masks_refuse_a_jump():
    basin = Basin.from_landsurface(cases.landsurface(3, 5))
    far = basin.downstream.copy()
    far[5] = 7
    place = "the cell at lat -2.75, lon -60.25 drains 0 rows and 2 columns"
    with pytest.raises(InputError, match=place):
        direction_masks(replace(basin, downstream=far))
