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
# # HydroPy as a physical RNN
#
# **A hydrological model that steps through days is a recurrent network whose weights have
# names.** Its memory is water, its activation functions are processes, and its weights are the
# physical parameters of {cite:t}`stacke2021`.
#
# After this page you can
#
# - name what a day takes in, remembers and gives out, and in which order;
# - run HydroPyNN on a whole basin, from any state, and get any flux or store back;
# - read a hydrograph and a score, and say where the untrained model fails on the twin.
#
# You need {doc}`01_data_preparation` for the data and the idea of a linear reservoir. The captions
# describe the published page, which shows the Amazon twin.

# %% tags=["parameters"]
study: str = "data/cache/default.zarr"  # prepared study to run
gauge: str = ""  # gauge to look at closely; the one that drains most by default
first_year: int = 0  # scores start here; 0: two years after the record begins, or its last

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd

from hybridlib.analysis import inventory, original
from hybridlib.figures import hydrographs, style
from hybridlib.hydropy.parameters import parameter_table
from hybridlib.hydropy.simulate import study_model, study_weather
from hybridlib.twin.make import open_or_make

plt.style.use(style.STYLE)
data = open_or_make(study)
gauge = data.gauge(gauge)
first_year = first_year or min(data.days[0].year + 2, data.days[-1].year)

# %% [markdown]
# ## The network, unfolded
#
# An ordinary recurrent network updates a state from an input: $s_t = f(s_{t-1}, x_t; \theta)$.
# Here $s$ is eight kinds of stores and the river's inflow, $x$ is rain, temperature and
# {term}`PET`, and $\theta$ are nine parameters. The function $f$ is a day of HydroPy,
# routing included.
#
# ![Three days of the network: weather in, fluxes out, stores and river water on to the next
# day.](../book/images/unfolded.svg)
#
# **Figure 4 (a). A day is a step of the network.** Land processes act within a cell. The rivers
# couple the cells, four times a day; {doc}`03_flow_transfer` opens that box. *Drawing.*
#
# The model is built from a study in one line. It keeps only cells with land, packed into one
# axis, `cell`.

# %%
model = study_model(data)
weather = study_weather(data, model)
print(f"{data.attrs['title']} ({data.attrs['source']}): {model.basin.size} cells")
print(f"weather: {weather.rainf.shape[0]} days, {model.dtype.name}")

# %% [markdown]
# ## The nine parameters
#
# Six parameters start with one value everywhere. The three lags differ from cell to cell: they
# follow from slope, relief, lakes and the length of each river reach.

# %% tags=["hide-input"]
pd.options.display.float_format = "{:.3g}".format
parameter_table(model.default_parameters())

# %% [markdown]
# **Table 1.** The ranges are the paper's; the default values are HydroPy's, computed from this
# study's land surface.
#
# `lag_river` counts for each of up to five reservoirs in a row, so a cell holds its river about
# five times as long. `s_min` only switches slow drainage on and has no gradient
# ({doc}`00_verification`).
#
# ## Settle the stores
#
# A run from empty stores is wrong for years: groundwater drains over hundreds of days. So the
# first year is repeated until no cell's water changes by more than 5 mm from one cycle to the
# next.

# %%
first_cycle = weather.part(slice(365))
settled, changes = model.spin_up(first_cycle, threshold=5.0)
print(f"{len(changes)} cycles; largest change of the last one: {changes[-1]:.1f} mm")

# %% [markdown]
# ## Run all years
#
# One call runs all days and returns what is asked for, by HydroPy's names. The recurrence is
# compiled once and then serves every year.

# %%
wanted = ["dis", "rootmoist", "groundwstor", "lakestor", "riverstor"]
end, series = model.run(weather, state=settled, variables=wanted)
{name: values.shape for name, values in series.items()}

# %% tags=["hide-input"]
hydrographs.storage_layers(series, data.days, model.basin);
# %% [markdown]
# **Figure. The basin breathes once a year.** Soil holds most of the water; what changes with the
# seasons is shared between soil, groundwater, surface water and rivers. *Source: Amazon twin, run
# with HydroPy's own parameters.*
#
# The state at the end can be stored and continued: a run in two parts gives the same numbers, bit
# for bit, as a run in one.

# %%
half = len(data.days) // 2
middle, early = model.run(weather.part(slice(half)), state=settled)
_, late = model.run(weather.part(slice(half, None)), state=middle)
bool((early["dis"] == series["dis"][:half]).all() and (late["dis"] == series["dis"][half:]).all())

# %% [markdown]
# ## Discharge at the gauges
#
# The untrained network is compared with the observations from `first_year` on. {term}`NSE` is 1
# for a perfect simulation and 0 for one no better than the mean.

# %%
pair = original.observed_and_simulated(data, first_year)
scores = original.score_table(pair)
print(f"median NSE of {len(scores)} gauges: {scores['NSE'].median():.2f}")

# %% tags=["hide-input"]
hydrographs.hydrograph(pair, gauge);
# %% [markdown]
# **Figure. The gauge that drains most.** The model follows the seasons. *Source: Amazon twin.*

# %% tags=["hide-input"]
hydrographs.seasonal_hydrograph(pair, gauge);
# %% [markdown]
# **Figure. Early and high.** On the twin the untrained model's flood comes before the observed
# one and rises above it. The paper found the same at Óbidos with real data, and names too little
# evapotranspiration from March to May as a likely cause. *Source: Amazon twin.*
#
# On the twin the cause can be looked up. The next table puts parts of the hidden truth into the
# untrained model, one at a time.

# %%
pd.options.display.float_format = "{:.2f}".format
original.what_the_defaults_miss(data, gauge, first_year) if data.has("truth") else None

# %% [markdown]
# **Table. What the defaults miss.** On the twin it is mostly the lag of overland flow: the truth
# holds water on the surface for longer. Its potential evapotranspiration matters less for
# discharge. This says nothing about the real river. *Source: Amazon twin.*

# %% tags=["hide-input"]
hydrographs.score_map(data.discharge, scores, model.basin);
# %% [markdown]
# **Figure. Where the untrained model does well.** *Source: Amazon twin.*

# %% tags=["hide-input"]
pd.options.display.float_format = "{:,.2f}".format
scores.rename(index=inventory.name_of)

# %% [markdown]
# **Table. Scores of the untrained model.** The paper reports median NSEs of 0.59 (2013 to 2016) and
# 0.63 (2003 to 2016) for its HydroPyNN on real data. The number above is the twin's: the truth was
# made so that the defaults miss it, and a likeness confirms nothing.

# %% tags=["hide-input"]
hydrographs.hydrograph_grid(pair);

# %% [markdown]
# **Figure. All gauges.** *Source: Amazon twin.*
#
# ```{exercise}
# :label: rnn-single
#
# The paper does not say whether it kept HydroPy's five reservoirs and four sub-steps. Build the
# variant with one reservoir and one step a day, run it and compare the median NSE.
# ```
#
# ```{exercise}
# :label: rnn-store
#
# Follow the groundwater of one cell through a year. Which two fluxes change it?
# ```
#
# ## Solutions
#
# ````{solution} rnn-single
# :class: dropdown
#
# ```python
# single = study_model(data, cascade=False)
# state, _ = single.spin_up(first_cycle, threshold=5.0)
# _, run = single.run(weather, state=state)
# ```
#
# The transfer now takes a day for each cell on the way instead of a quarter, so floods come later
# and flatter.
# ````
#
# ````{solution} rnn-store
# :class: dropdown
#
# ```python
# names = ["groundwstor", "qsb", "qg"]
# _, run = model.run(first_cycle, state=settled, variables=names)
# plt.plot(run["groundwstor"][:, 0])
# ```
#
# Drainage `qsb` fills it, groundwater runoff `qg` empties it:
# $\Delta G = q_{sb} - q_g$ to rounding.
# ````
