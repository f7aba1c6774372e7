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
# - compute a day of snow, soil and groundwater by hand;
# - run HydroPyNN on a whole basin, from any state, and get any flux or store back;
# - read a hydrograph and a score, and say where the untrained model fails.
#
# You need {doc}`01_data_preparation` for the data and the idea of a linear reservoir.

# %% tags=["parameters"]
study: str = "data/cache/default.zarr"  # prepared study to run
gauge: str = ""  # gauge to look at closely; the one that drains most by default
first_year: int = 0  # scores start here; 0: two years after the record begins, or its last

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from hybridlib.analysis import inventory, original
from hybridlib.figures import hydrographs, style
from hybridlib.hydropy.parameters import parameter_table
from hybridlib.hydropy.simulate import study_model, study_weather
from hybridlib.study.schema import SECONDS_PER_DAY
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
# ## One day by hand
#
# What does the function $f$ do? Here is a day of the land in one cell, in plain NumPy. The cell is
# the gauge's. The day is wet: of the first year's days, the one with the 36th most rain. Stores are
# mm, fluxes mm d⁻¹. The day starts with what the model left in the stores.

# %%
cell = data.gauge_cells[list(data.discharge.station.values).index(gauge)]
place = 1 + int(weather.rainf[1:365, cell].numpy().argsort()[-36])
date = data.days[place]
exact = study_model(data, "float64")  # so that what is left is rounding
today = study_weather(data, exact, slice(date, date))
before = exact.cast(model.run(weather.part(slice(place)), state=settled)[0])

swe, wliq, skinstor, canopystor, rootmoist, lakestor, groundwstor = (
    float(getattr(before, name)[cell]) for name in before._fields[:7]
)
d_min, d_max, s_min, s_max, f_crit, f_evap, lag_sur, lag_gw = (
    float(field[cell]) for field in exact.default_parameters()[:8]
)

# %% [markdown]
# The land's seasons are given by month. A day lies between the middles of two months.

# %%
month, following, share = int(today.month[0]), int(today.next_month[0]), float(today.share_next[0])
land = {name: field.numpy()[..., cell] for name, field in exact.land._asdict().items()}
flake, fveg, lai = (
    (1 - share) * land[name][month] + share * land[name][following]
    for name in ("flake", "fveg", "lai")
)
flake = max(flake, 1e-10)
fveg = min(fveg, 1 - flake)
fbare = 1 - flake - fveg

# %% [markdown]
# Snow falls below 272.05 K, rain above 276.45 K, both in between. Melt is (8.3/24 × hours of
# daylight + 0.7) mm per day and K above 0 °C, taken from the library. The pack holds 6 % of its
# weight as water. Where no snow lies the snow lines are run but not tested.
#
# Bare ground and each layer of leaves hold 0.2 mm. They are wetted and dry again; what they cannot
# hold falls through to the soil.

# %%
sky = data.forcing[["pr", "tas"]].sel(time=date)
precip, tas = (float(data.basin.pack(sky[name])[cell]) for name in ("pr", "tas"))
melt, pet = float(today.melt[0, cell]), float(today.pet[0, cell])
frozen = melt < 0

snowf = precip * SECONDS_PER_DAY * np.clip((276.45 - tas) / 4.4, 0, 1)
rainf = precip * SECONDS_PER_DAY - snowf
swe, wliq = (swe + wliq + snowf, 0.0) if frozen else (swe + snowf, wliq)
melted = min(swe, max(melt, 0.0))
smelt = max(wliq + melted - 0.06 * (swe - melted), 0.0)
throu, dried = 0.0, []
for store, fraction, capacity in ((skinstor, fbare, 0.2), (canopystor, fveg, 0.2 * lai)):
    water = (store / fraction if fraction else 0.0) + rainf + smelt  # on the surface's own area
    wet = min(water, capacity) / capacity if capacity else 0.0
    dried.append(min(wet * pet, water))  # on the surface's own area, too
    throu += max(water - dried[-1] - capacity, 0.0) * fraction

# %% [markdown]
# The soil's capacity varies within the cell (the ARNO scheme). The places that hold least fill
# first, and rain on what is full runs off. `level` is the capacity up to which places are full. On
# frozen ground all throughfall runs off. A moist soil drains slowly, a nearly full one fast.

# %%
wcap, wmin, wmax, shape = land["wcap"], land["wmin"], land["wmax"], 1 + land["bmod"]


def unfilled(level):
    """The share of the cell that can hold more than `level`, raised for the integral over it."""
    return np.clip((wmax - level) / (wmax - wmin), 0, 1) ** shape


room = max(1 - (rootmoist - wmin) / (wcap - wmin), 0) ** (1 / shape)
level = rootmoist if rootmoist <= wmin else wmax - (wmax - wmin) * room
full = level + throu
stored = (wmax - wmin) / shape * (unfilled(level) - unfilled(full))
qs = max(throu - max(wmin - rootmoist, 0) - stored, 0) if full > wmin else 0.0
qs = max(throu - (wcap - rootmoist), 0) if full >= wmax else qs
qs = throu if frozen else qs
fast = max(rootmoist - s_max * wcap, 0) / (wcap - s_max * wcap)
qsb = d_min * rootmoist / wcap + (d_max - d_min) * fast**1.5
qsb = 0.0 if frozen or rootmoist <= s_min * wcap else min(qsb, rootmoist)

# %% [markdown]
# The soil loses water to the air, too. Plants take what the wet canopy left of the demand, less
# below the share `f_crit` of the capacity, nothing at the wilting point. Bare ground takes what its
# wet skin left, in proportion to the moisture above the share `f_evap`.

# %%
usable = max(rootmoist - land["wilt"], 0.0)
stress = min(usable / (f_crit * wcap - land["wilt"]), 1.0)
damp = max(rootmoist - f_evap * wcap, 0.0)


def soil_losses(skin, canopy):
    """Transpiration and soil evaporation after a wet skin and a wet canopy took their part."""
    transp = fveg * min((pet - canopy) * stress, usable)
    return transp, fbare * min((pet - skin) * damp / (wcap - f_evap * wcap), damp)


transp, sevap = soil_losses(*dried)
left = rootmoist + throu - qs - qsb - transp - sevap  # the soil at the end of the day

# %% [markdown]
# Runoff and drainage pass a linear reservoir each on their way to the river. Each lets go its
# filled store over (lag + 1 day). Rain on lakes and lake evaporation pass the same store as
# surface runoff.

# %%
levap = min(pet * flake, lakestor)
qsl = (lakestor + (rainf + smelt) * flake + qs - levap) / (lag_sur + 1)
qg = (groundwstor + qsb) / (lag_gw + 1)

# %% [markdown]
# The library computes the same for all cells at once, in TensorFlow.

# %%
ours = {"rainf": rainf, "snowf": snowf, "smelt": smelt, "throu": throu}
ours |= {"qs": qs, "qsb": qsb, "transp": transp, "sevap": sevap, "levap": levap}
ours |= {"qsl": qsl, "qg": qg, "rootmoist": left}
_, series = exact.run(today, state=before, variables=ours)
compared = pd.DataFrame(
    {"by hand": ours, "library": {name: series[name][0, cell] for name in ours}}
)
assert abs(compared["by hand"] - compared["library"]).max() < 1e-9
print(f"{date:%Y-%m-%d}, largest difference: {abs(compared.diff(axis=1)).max().max():.0e} mm")
compared.T

# %% [markdown]
# **Table. Fluxes of one cell on one day, mm d⁻¹, and its soil.** Rain, snow and snowmelt;
# throughfall; surface runoff and drainage; transpiration; evaporation of bare ground and of lakes;
# overland flow and groundwater runoff into the river; the soil's water at the end of the day, mm.
# *Source: {{source}}.*
#
# Leaves that stay wet meet the whole demand, so plants take nothing on such a day. Here is the same
# soil and demand without rain, snow or a wet surface.

# %%
dry = today._replace(rainf=0 * today.rainf, snowf=0 * today.snowf)
bare = {name: 0 * getattr(before, name) for name in ("swe", "wliq", "skinstor", "canopystor")}
names = ["transp", "sevap"]
_, series = exact.run(dry, state=before._replace(**bare), variables=names)
rows = {"by hand": soil_losses(0, 0), "library": [series[name][0, cell] for name in names]}
dry_day = pd.DataFrame(rows, names)
assert abs(dry_day.diff(axis=1)).max(axis=None) < 1e-9
dry_day.T

# %% [markdown]
# **Table. What the soil loses to the air on a dry day, mm d⁻¹.** Plants, then bare ground. *Source:
# {{source}}.*
#
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
# **Figure. Where the basin keeps its water.** *Source: {{source}}, run with HydroPy's own
# parameters.*

# %% [markdown] tags=["amazon"]
# The basin breathes once a year. Soil holds most of the water; what changes with the seasons is
# shared between soil, groundwater, surface water and rivers.

# %% [markdown]
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
# **Figure. Observed and simulated at {{gauge}}.** *Source: {{source}}.*

# %% tags=["hide-input"]
hydrographs.seasonal_hydrograph(pair, gauge);
# %% [markdown]
# **Figure. The year at {{gauge}}.** *Source: {{source}}.*

# %% [markdown] tags=["amazon"]
# Early and high: the model follows the seasons, but on the twin the untrained model's flood comes
# before the observed one and rises above it. The paper found the same at Óbidos with real data, and
# names too little evapotranspiration from March to May as a likely cause.

# %% [markdown] tags=["truth"]
# On the twin the cause can be looked up. The next table puts parts of the hidden truth into the
# untrained model, one at a time.

# %% tags=["truth"]
pd.options.display.float_format = "{:.2f}".format
original.what_the_defaults_miss(data, gauge, first_year)

# %% [markdown] tags=["truth"]
# **Table. What the defaults miss.** Compare each row with the first. This says nothing about a real
# river. *Source: {{source}}.*

# %% [markdown] tags=["amazon", "truth"]
# On the twin it is mostly the lag of overland flow: the truth holds water on the surface for
# longer. Its potential evapotranspiration matters less for discharge.

# %% tags=["hide-input"]
hydrographs.score_map(data.discharge, scores, model.basin);
# %% [markdown]
# **Figure. Where the untrained model does well.** *Source: {{source}}.*

# %% tags=["hide-input"]
pd.options.display.float_format = "{:,.2f}".format
scores.rename(index=inventory.name_of)

# %% [markdown]
# **Table. Scores of the untrained model.** *Source: {{source}}.*

# %% [markdown] tags=["amazon"]
# The paper reports median NSEs of 0.59 (2013 to 2016) and 0.63 (2003 to 2016) for its HydroPyNN on
# real data. The number above is the twin's: the truth was made so that the defaults miss it, and a
# likeness confirms nothing.

# %% tags=["hide-input"]
hydrographs.hydrograph_grid(pair);

# %% [markdown]
# **Figure. All gauges.** *Source: {{source}}.*
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
