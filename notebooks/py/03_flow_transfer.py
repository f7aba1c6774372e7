# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Flow transfer: routing as shifts and sums
#
# **A river network can be written with operations every machine-learning library has: multiply,
# shift, add.** Then a gradient can travel through it, from a gauge back to the farthest
# headwater.
#
# After this page you can
#
# - route water through a {term}`D8` network by hand and with eight masks;
# - replace the masks by a table of neighbours and show that nothing changes;
# - say what the gradient of a routing step is;
# - tell how fast water can move in the model, how fast it does move, and what the time step has
#   to do with it.
#
# You need matrices, linear reservoirs and a prepared study (the twin is made on first use).

# %% tags=["parameters"]
study: str = "data/cache/default.zarr"  # prepared study whose river network is used
days: int = 200  # days the pulse is followed

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from hybridlib.analysis import routing
from hybridlib.figures import routing as figures
from hybridlib.figures.style import STYLE
from hybridlib.hydropy.backend import tf
from hybridlib.hydropy.routing import build_network, direction_masks, transfer, transfer_by_masks
from hybridlib.hydropy.simulate import study_model
from hybridlib.study.basin import Basin
from hybridlib.study.schema import InputError
from hybridlib.twin.make import open_or_make

plt.style.use(STYLE)

# %% [markdown]
# ## Sixteen cells
#
# In a D8 network each cell sends all its water to one of its eight neighbours, or it is a
# {term}`sink`. A compass name per cell describes the whole network; the empty name is the sink.

# %%
pd.DataFrame(routing.EXAMPLE)

# %% [markdown]
# The paper {cite}`wang2024` moves water through such a network with a {term}`flow transfer` in
# four moves, drawn in its Figure 4b:
#
# 1. split the flow directions into eight binary masks, one per direction;
# 2. multiply the matrix of outflows by each mask;
# 3. shift each product by one cell in its direction;
# 4. add the eight shifted matrices up: the next inflow.
#
# The masks are made once. What is left for every time step has no loop over cells and no branch.
# Here are the four moves in plain NumPy. A direction is a step of rows and columns, the first row
# in the north.

# %%
directions = {"N": (-1, 0), "NE": (-1, 1), "E": (0, 1), "SE": (1, 1)}
directions |= {"S": (1, 0), "SW": (1, -1), "W": (0, -1), "NW": (-1, -1)}
drawing, outflow = np.array(routing.EXAMPLE), routing.EXAMPLE_OUTFLOW

arrived = np.zeros_like(outflow)
for name, step in directions.items():
    mask = drawing == name  # 1: the cells that drain this way
    leaving = outflow * mask  # 2: what leaves them
    shifted = np.roll(leaving, step, axis=(0, 1))  # 3: one cell on, all at once
    arrived += shifted  # 4
arrived.astype(int)

# %% [markdown]
# The library does the same in TensorFlow, so that a gradient can pass.

# %%
example = routing.example_basin()
masks = direction_masks(example)
inflow = transfer_by_masks(routing.EXAMPLE_OUTFLOW, masks).numpy()
assert (inflow == arrived).all()

print("each cell has so many directions:", masks.sum(axis=0).astype(int).tolist())
print(f"left all cells: {routing.EXAMPLE_OUTFLOW.sum():g}, arrived: {inflow.sum():g}")

# %% tags=["hide-input"]
figures.draw_transfer(example, routing.EXAMPLE_OUTFLOW);

# %% [markdown]
# **Figure 4 (b). Eight masks take the network apart, and one sum puts the water where it
# belongs.**
# Top: flow directions (the dot is the sink), what leaves each cell, what arrives. Below, for each
# direction: its mask, the outflow under the mask, the same shifted by one cell. The 7 units that
# leave the sink are in no mask: they leave the domain.
#
# *Source: constructed example; the steps are those of Figure 4b of the paper, network and numbers
# are our own.*
#
# ```{exercise} By hand
# :label: transfer-by-hand
# Let everything that arrived flow on at once: the inflow of the figure is the next outflow. Write
# down the 4 × 4 matrix of what arrives then, and the amount that has left the domain after both
# steps.
# ```
#
# ```{exercise} Around the rim
# :label: transfer-rim
# `tf.roll` shifts a matrix in a circle: what leaves on the right comes back on the left. Why does
# no water of the model ever take that way? Which basin would want it to?
# ```
#
# ```{exercise} Two cells that drain into each other
# :label: transfer-two-cells
# What would the eight masks do with two cells whose arrows point at each other? Build such a
# network with `routing.example_basin` and see what the library does.
# ```

# %% [markdown]
# ## The same with a table of neighbours
#
# Most of a grid's cells may be sea or other basins. This library therefore packs the active cells
# into one axis, `cell`, and keeps a table of each cell's upstream neighbours. A flow transfer
# then looks up the outflow of those neighbours and adds: a *gather*. Cells with fewer neighbours
# point at a padding cell that holds 0.

# %%
model = study_model(open_or_make(study), "float64")
basin = model.basin
rows, columns = basin.shape
share = basin.size / (rows * columns)
neighbours = basin.upstream.shape[1]

print(f"{rows} x {columns} grid, {basin.size} active cells ({share:.0%})")
print(f"a cell has at most {neighbours} upstream neighbours")
print(f"masks: {8 * rows * columns} products a transfer, table: {basin.upstream.size} look-ups")

# %% [markdown]
# The lines below say what a transfer is, and nothing about how to compute it fast: every cell hands
# its outflow to the cell below, and a sink hands it to nobody.

# %%
outflow = np.random.default_rng(3).random(basin.size)  # m3 d-1
arrived = np.zeros(basin.size)
for cell in np.flatnonzero(~basin.sink):
    arrived[basin.downstream[cell]] += outflow[cell]

looked_up = transfer(tf.constant(outflow), model.network).numpy()
difference = abs(looked_up - arrived).max()
assert difference < 1e-12
print(f"table against handing on, cell by cell: {difference:.0e} m3 d-1")

# %% [markdown]
# Masks and table must move the same water to the same place, on 16 cells and on the whole basin.


# %%
def largest_difference(basin: Basin, outflow: np.ndarray) -> float:
    network = build_network(basin, np.ones(basin.size, int))
    packed = transfer(tf.constant(outflow), network).numpy()
    on_grid = transfer_by_masks(basin.unpack(outflow, 0.0), direction_masks(basin)).numpy()
    return abs(packed - basin.pack(on_grid)).max()


print(f"4 x 4: {largest_difference(example, routing.EXAMPLE_OUTFLOW.ravel()):g}")
print(f"study: {largest_difference(basin, outflow):.0e} m3 d-1 of up to 1 m3 d-1 a cell")

# %% [markdown]
# The difference is 0 on the example and no more than rounding on the basin, where several terms
# are added in another order. We use the table from here on.
#
# ### No water is lost
#
# What leaves all cells is what arrives plus what the sinks let go.

# %%
released = outflow[basin.sink].sum()

print(f"left {outflow.sum():.6f}, arrived {looked_up.sum():.6f}, let go {released:.6f} m3 d-1")
print(f"balance: {outflow.sum() - looked_up.sum() - released:.0e} m3 d-1")

# %% [markdown]
# ### The gradient runs upstream
#
# The transfer is linear: a matrix $A$ of zeros with a single 1 in each column, in the row of the
# cell below, and no 1 in a sink's column. The gradient of $w^\top A q$ with respect to $q$ is
# $A^\top w$: every cell receives the weight of the one cell below it. The transpose of a gather
# over many neighbours is a gather of one.

# %%
weight = np.random.default_rng(4).random(basin.size)
flow = tf.Variable(outflow)
with tf.GradientTape() as tape:
    objective = tf.reduce_sum(weight * transfer(flow, model.network))

gradient = tape.gradient(objective, flow).numpy()
expected = np.where(basin.sink, 0.0, weight[basin.downstream])
print(f"gradient against the weight downstream: {abs(gradient - expected).max():g}")

# %% [markdown]
# Water runs down the network, the gradient climbs up the same edges. An error at a gauge thus
# reaches every cell above it, one cell for each sub-step, and no cell beside it.
#
# What either form costs is measured on the page {ref}`speed`. The masks are no slow algorithm. The
# table gains where the gradient is taken, because that is a single look-up, and wherever else the
# step computes, because it does so on the active cells only.
#
# ## The river step
#
# Between two transfers, water passes the {term}`stores <store>` of the river: a cascade of up to
# five linear reservoirs per cell {cite}`hagemann1997,stacke2021`. In a sub-step of $\Delta t$ =
# 1/4 day, reservoir $k$ with store $R_k$ and lag $\ell$ takes in $I_k$ and lets go
#
# $$ O_k = (R_k + I_k)\,\frac{\Delta t}{\ell + \Delta t}, \qquad I_{k+1} = O_k, $$
#
# with $R_k$ in m³, $I_k$ and $O_k$ in m³ per sub-step, $\ell$ and $\Delta t$ in days.
#
# What leaves the last reservoir, with the cell's own runoff, is the cell's outflow, and the
# transfer makes it the inflow of the cell below in the next sub-step.
#
# The paper does not say whether it keeps this cascade and the four sub-steps or uses one
# reservoir and one step a day. Its Table 1 gives defaults of 0.05 to 0.5 days for the lag of the
# river. The library can do both; how do their lags compare with that range?

# %%
single = study_model(open_or_make(study), "float64", cascade=False)
ways = {"cascade, four sub-steps a day": model, "one reservoir, one step a day": single}

for name, way in ways.items():
    lag = way.lags.lag_river
    inside = ((lag >= 0.05) & (lag <= 0.5)).mean()
    print(f"{name}: {lag.min():.2f} to {lag.max():.2f} d, {inside:.1%} of cells in 0.05 to 0.5 d")

# %% [markdown] tags=["amazon"]
# On the twin the lags of the cascade's reservoirs fit the paper's range, those of the single
# reservoir mostly do not. That is a hint that the paper kept the cascade, and no proof: the twin's
# slopes and lakes, from which the lags follow, are not measured.

# %% [markdown]
# The cascade is HydroPy's own and our default.
#
# ### A pulse from the farthest headwater
#
# We put 1 m³ of runoff into the cell with the longest way to the outlet, on day 1, and let it run
# with the model's default lags. No other water is in the rivers. Double precision is needed here:
# after some tens of cells the very first drops are too small for a number in float32.

# %%
path = routing.path_to_outlet(basin)
distance = routing.path_length(basin, path)
pulses = {name: routing.follow_pulse(way, path[0], days) for name, way in ways.items()}

print(f"{len(path) - 1} cells, {distance[-1]:,.0f} km from the pulse to the outlet")
for name, pulse in pulses.items():
    total = pulse.freshwater.cumsum("day") + pulse.stored
    print(f"{name}: out + stored is 1 m3 to {float(abs(total - 1).max()):.0e} m3 on every day")

# %% tags=["hide-input"]
steps = [round(quarter * (len(path) - 1) / 4) for quarter in (1, 2, 3, 4)]
figures.draw_hydrographs(pulses, path, distance, steps);

# %% [markdown]
# **Figure. One reservoir and one step a day make the same pulse later, longer and lower.**
# Share of the pulse that leaves four cells of the path each day; dots mark the peaks. Both panels
# have the same total lag in every cell.
#
# *Source: {{source}}, network and default lags of the study; the pulse is constructed.*

# %%
timings = {name: routing.pulse_timing(pulse, path) for name, pulse in pulses.items()}
at_outlet = pd.DataFrame({name: timing.iloc[-1] for name, timing in timings.items()}).T
at_outlet["speed"] = distance[-1] * 1e3 / (at_outlet["mean"] * 86400)
at_outlet["peak"] *= 100
units = {"first": "day", "mean": "d", "spread": "d", "peak": "% d⁻¹", "speed": "m s⁻¹"}
at_outlet.rename(columns={name: f"{name} ({unit})" for name, unit in units.items()}).round(2)

# %% [markdown]
# The table holds the outlet: the first day with any water, the centre of the pulse and its
# standard deviation in days after the pulse, the largest share in a day, and the speed of the
# centre. The single reservoir is later and flatter.
#
# ### Never more than four cells a day
#
# Water can pass all reservoirs of a cell within a sub-step, but it changes cells only at a
# sub-step's end. Four sub-steps a day: four cells a day, whatever the lags.

# %%
for name, way in ways.items():
    limit = np.arange(len(path)) / way.substeps
    first = timings[name]["first"]
    print(f"{name}: first water is never early: {bool((first >= limit).all())}")
    print(f"  and at most {(first - limit).max():g} day(s) behind the limit")

# %% tags=["hide-input"]
figures.draw_arrival(timings, {name: way.substeps for name, way in ways.items()});

# %% [markdown]
# **Figure. The first drop runs at the limit of the time step, the bulk comes much later.**
# First day with water (dots), centre of the pulse and one standard deviation around it, and the
# limit set by the sub-steps (dashed), for every cell of the path. With one step a day the limit
# itself is so slow that it holds the bulk back.
#
# *Source: {{source}}, network and default lags of the study; the pulse is constructed.*
#
# ```{exercise} Mean time in a cell
# :label: transfer-residence
# Show that a drop stays in one reservoir for $\ell$ days on average, exactly. What is its mean
# time per cell with $N$ reservoirs and $n$ sub-steps a day? Check your formula with the table
# above.
# ```
#
# ```{exercise} Can a longer step be made up for?
# :label: transfer-daily-step
# Which lag would the single reservoir with one step a day need to have the cascade's mean travel
# time? In how many cells is there such a lag?
# ```
#
# ## Travel time to the outlet
#
# A reservoir holds a drop for its lag on average, and every change of cells waits for the end of
# a sub-step. The mean time in a cell is therefore $N\ell + 1/n$ days. Summed along the way down
# it gives the travel time of every cell's runoff, without routing anything.

# %%
total_lag = model.lags.reservoirs * model.lags.lag_river  # d
in_reservoirs = routing.travel_time(basin, total_lag)
to_outlet = routing.travel_time(basin, total_lag + 1 / model.substeps)

print(f"from the farthest cell: {to_outlet[path[0]]:.2f} d, of these in reservoirs ", end="")
print(f"{in_reservoirs[path[0]]:.2f} d")
print(f"centre of the pulse at the outlet: {at_outlet['mean'].iloc[0]:.2f} d")
print(f"median over all cells: {np.median(to_outlet):.0f} d")

# %% tags=["hide-input"]
figures.map_travel_time(basin, to_outlet, path, steps);

# %% [markdown]
# **Figure. How long river water is on its way, with HydroPy's default lags.** Mean time from
# leaving a cell to leaving the domain; the land's stores come on top. The line is the path of the
# pulse; its dots are the cells of the hydrographs, with the number of cells from the pulse. Colours
# step where two catchments meet. *Source: {{source}}.*

# %% [markdown] tags=["amazon"]
# From the farthest Andes river water needs months to the mouth, and neighbours can be weeks apart.
# The network follows the real river courses; slopes, lakes and wetlands, which set the lags, are
# plausible but not measured. The lags are HydroPy's defaults, not the twin's truth.

# %% [markdown]
# ## What to keep
#
# - A routing step is a linear map. Masks and table are two ways to write it, and its gradient is
#   the same map run upstream.
# - The network adds no parameter and loses no water.
# - The time step is part of the model: one step a day instead of four adds three quarters of a day
#   for every cell on the way.
#
# ## Solutions
#
# ```{solution-start} transfer-by-hand
# :class: dropdown
# ```
#
# The 14 units in the sink leave, with the 7 of the first step that makes 21 of 65. The other 44
# arrive:

# %%
second = transfer_by_masks(inflow, masks).numpy()
print(second.astype(int))
print(f"left the domain: {routing.EXAMPLE_OUTFLOW.sum() - second.sum():g}")

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{solution-start} transfer-rim
# :class: dropdown
# ```
#
# Water would have to leave the grid to come back on the other side. A target off the grid is
# refused when the basin is read, so every mask is 0 on the rim it points at, and the roll carries
# only zeros around:

# %%
rims = {"N": np.s_[0, :], "E": np.s_[:, -1], "S": np.s_[-1, :], "W": np.s_[:, 0]}
for name, rim in rims.items():
    pointing = [mask for mask, way in zip(masks, routing.COMPASS, strict=True) if name in way]
    most = max(mask[rim].max() for mask in pointing)
    print(f"{len(pointing)} masks point {name}, their largest value on the {name} rim is {most:g}")

# %% [markdown]
# A global grid would want it in longitude: a river across the date line leaves in the last column
# and arrives in the first. The table of neighbours takes such a river as any other.
# `direction_masks` refuses it, because the cell below is no neighbour on the grid.
#
# ```{solution-end}
# ```
#
# ```{solution-start} transfer-two-cells
# :class: dropdown
# ```
#
# The masks would swap the water of the two cells for ever, and nothing would reach a sink. Mass
# would be conserved and the model would still be wrong. The library refuses the network when it
# is read, and says where:

# %%
drawing = [list(row) for row in routing.EXAMPLE]
drawing[1][1], drawing[1][2] = "E", "W"
try:
    routing.example_basin(drawing)
except InputError as error:
    print(error)

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{solution} transfer-residence
# :class: dropdown
# In each sub-step a drop leaves with probability $p = \Delta t / (\ell + \Delta t)$, so it fails
# on average $(1 - p)/p = \ell/\Delta t$ times before it leaves, and each failure costs $\Delta
# t$: together $\ell$. A cell with $N$ reservoirs holds it for $N\ell$ on average, and the
# transfer costs one sub-step of $1/n$: $N\ell + 1/n$.
#
# Added up along the path, that is the centre of the pulse in the table: the lags, and a quarter of
# a day for each cell passed. With one step a day it is a whole day for each cell.
# ```
#
# ```{solution-start} transfer-daily-step
# :class: dropdown
# ```
#
# The mean times are equal when $\ell_1 + 1 = N\ell + 1/4$, that is $\ell_1 = N\ell - 3/4$ days.
# Where $N\ell$ is below 3/4 day this is negative, and there is no such lag: the cell is passed
# faster than a daily step can do.

# %%
needed = total_lag - 0.75
print(f"no lag fits in {(needed < 0).mean():.0%} of the cells")

# %% [markdown]
# In the others the mean can be matched, but not the shape: one reservoir spreads the pulse more
# than five in a row with the same total lag. A network trained with one step a day cannot repair
# that by its lags.
#
# ```{solution-end}
# ```
